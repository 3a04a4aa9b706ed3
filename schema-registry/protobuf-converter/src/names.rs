//! Names of messages and fields.

use std::fmt::Write as _;

use crate::terms::DEFAULT_NAME;

/// Names for what has none, counted through one schema.
#[derive(Debug, Default)]
pub(crate) struct DefaultNames(u32);

impl DefaultNames {
    /// The name, or the next default one.
    pub(crate) fn or_default(&mut self, name: Option<&str>) -> String {
        match name.filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => {
                self.0 += 1;
                format!("{DEFAULT_NAME}{}", self.0)
            }
        }
    }

    /// The name without what stands before its last dot.
    pub(crate) fn unqualified(&mut self, name: Option<&str>, scrub_names: bool) -> String {
        let full = self.or_default(name);
        scrub(full.rsplit('.').next().unwrap_or(&full), scrub_names)
    }
}

/// Package and simple name.
pub(crate) fn split(full_name: &str, scrub_names: bool) -> (Option<String>, String) {
    // Java's split leaves out empty parts at the end.
    let trimmed = full_name.trim_end_matches('.');
    let parts: Vec<String> = trimmed
        .split('.')
        .map(|part| scrub(part, scrub_names))
        .collect();
    match parts.split_last() {
        Some((name, [])) => (None, name.clone()),
        Some((name, package)) => (Some(package.join(".")), name.clone()),
        None => (None, String::new()),
    }
}

/// A legal name out of any, if that is wanted: percent-encoded, `x` before a digit or underscore at the beginning, `_` for everything that is no letter or digit.
pub(crate) fn scrub(name: &str, scrub_names: bool) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first = name.chars().next();
    if !scrub_names
        || name.is_empty()
        || (name.chars().all(legal) && !first.is_some_and(|c| c.is_ascii_digit() || c == '_'))
    {
        return name.to_owned();
    }
    let mut encoded = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'*' | b'_') => {
                encoded.push(char::from(b));
            }
            b => {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{b:02X}");
            }
        }
    }
    if encoded.starts_with(|c: char| c.is_ascii_digit() || c == '_') {
        encoded.insert(0, 'x');
    }
    encoded
        .chars()
        .map(|c| if legal(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrubbed_names() {
        for (name, expected) in [
            ("a-b", "a_b"),
            ("1x", "x1x"),
            ("_id", "x_id"),
            ("ü", "_C3_BC"),
            ("a b", "a_b"),
            ("fine_1", "fine_1"),
            ("", ""),
        ] {
            assert_eq!(scrub(name, true), expected);
            assert_eq!(scrub(name, false), name);
        }
    }

    #[test]
    fn names_are_split_at_the_last_dot() {
        assert_eq!(split("a.b.C", false), (Some("a.b".into()), "C".into()));
        assert_eq!(split("C", false), (None, "C".into()));
        assert_eq!(
            split("my-server.1inv.C", true),
            (Some("my_server.x1inv".into()), "C".into())
        );
    }

    #[test]
    fn defaults_are_counted() {
        let mut names = DefaultNames::default();
        assert_eq!(names.unqualified(None, false), "ConnectDefault1");
        assert_eq!(names.unqualified(Some("a.B"), false), "B");
        assert_eq!(names.unqualified(Some(""), false), "ConnectDefault2");
    }
}
