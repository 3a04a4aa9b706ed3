//! `NaN` and the infinities, bare in JSON text: some serializers write them, Java's reads them.

/// What a text begins with that stands for one of them.
const MARK: char = '\u{1}';

/// The text with each of them as a marked string; `None` when it has none.
pub(crate) fn marked(text: &str) -> Option<String> {
    const NAMES: [(&str, &str); 8] = [
        ("NaN", "NaN"),
        ("-Infinity", "-inf"),
        ("+Infinity", "inf"),
        ("Infinity", "inf"),
        ("-INF", "-inf"),
        ("+INF", "inf"),
        ("INF", "inf"),
        ("-NaN", "NaN"),
    ];
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find(['"', 'N', 'I', '-', '+']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('"') {
            let end = string_end(rest);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        match NAMES.iter().find(|(name, _)| rest.starts_with(name)) {
            // A name of a member is no number.
            Some((name, _)) if rest[name.len()..].trim_ascii_start().starts_with(':') => {
                return None;
            }
            Some((name, value)) => {
                out.push_str("\"\\u0001");
                out.push_str(value);
                out.push('"');
                rest = &rest[name.len()..];
                found = true;
            }
            None => {
                out.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    found.then_some(out)
}

/// Where the string at the beginning ends, its closing quote included.
fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' => at += 1,
            b'"' => break,
            _ => {}
        }
    }
    // A text that ends in the middle of something is refused by whoever reads it.
    if text.is_char_boundary(at.min(text.len())) {
        at.min(text.len())
    } else {
        text.len()
    }
}

/// The value of a marked string.
pub(crate) fn value(text: &str) -> Option<f64> {
    text.strip_prefix(MARK)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_outside_of_strings_counts() {
        assert_eq!(marked(r#"{"NaN":"Infinity","a":-1}"#), None);
        assert_eq!(
            marked(r#"[NaN,"a\"NaN",-Infinity]"#).as_deref(),
            Some("[\"\\u0001NaN\",\"a\\\"NaN\",\"\\u0001-inf\"]")
        );
        assert!(value("\u{1}NaN").is_some_and(f64::is_nan));
        assert_eq!(value("\u{1}-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(value("NaN"), None);
        assert!(marked("\"\\").is_none());
        assert_eq!(marked("{NaN : 1}"), None);
    }
}
