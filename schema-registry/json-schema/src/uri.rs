//! Just enough of RFC 3986 to resolve `$id` and `$ref`: split, and resolve against a base.

use std::borrow::Cow;

/// Longest URI that is kept: relative ids accumulate along the nesting, and each reference hashes the result.
const MAX_LENGTH: usize = 8192;

/// What a URI consists of; `None` is "not written", which is not the same as empty.
struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

fn parts(text: &str) -> Parts<'_> {
    let (rest, fragment) = split_once(text, '#');
    let (rest, query) = split_once(rest, '?');
    let (scheme, rest) = match rest.find([':', '/']) {
        Some(at) if rest.as_bytes()[at] == b':' && is_scheme(&rest[..at]) => {
            (Some(&rest[..at]), &rest[at + 1..])
        }
        _ => (None, rest),
    };
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        }
        None => (None, rest),
    };
    Parts {
        scheme,
        authority,
        path,
        query,
        fragment,
    }
}

fn split_once(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Whether the URI has a scheme.
pub(crate) fn is_absolute(text: &str) -> bool {
    parts(text).scheme.is_some()
}

/// The URI without its fragment, and the fragment with its `#` (empty when there is none).
pub(crate) fn split_fragment(text: &str) -> (&str, &str) {
    match text.find('#') {
        Some(at) => (&text[..at], &text[at..]),
        None => (text, ""),
    }
}

/// `reference` as seen from `base`; an empty base leaves it as it is.
///
/// # Errors
/// A text that cannot be a URI, or one of absurd length.
pub(crate) fn resolve(base: &str, reference: &str) -> Result<String, String> {
    if reference.len() > MAX_LENGTH || base.len() > MAX_LENGTH {
        return Err(format!("a URI may have {MAX_LENGTH} bytes at most"));
    }
    if let Some(c) = reference.chars().find(|c| {
        matches!(
            c,
            ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'
        ) || c.is_control()
    }) {
        return Err(format!("{c:?} is not allowed in the URI `{reference}`"));
    }
    let r = parts(reference);
    if let Some(c) = misplaced(&r) {
        return Err(format!(
            "{c:?} is not allowed there in the URI `{reference}`"
        ));
    }
    if base.is_empty() {
        return Ok(reference.to_owned());
    }
    let b = parts(base);
    // A base such as `urn:x:y` has no path to resolve against: only a fragment can be added.
    let opaque = b.scheme.is_some() && b.authority.is_none() && !b.path.starts_with('/');
    if r.scheme.is_some() {
        return Ok(reference.to_owned());
    }
    if opaque {
        return Ok(match reference.strip_prefix('#') {
            Some(_) => format!("{}{reference}", split_fragment(base).0),
            None => reference.to_owned(),
        });
    }
    // As `java.net.URI` has it, which keeps what RFC 3986 would remove: `..` at the start, and everywhere in absolute paths.
    let (authority, path, query): (_, Cow<'_, str>, _) = if r.authority.is_some() {
        (r.authority, r.path.into(), r.query)
    } else if r.path.is_empty() && r.query.is_none() && r.fragment.is_some() {
        (b.authority, b.path.into(), b.query)
    } else if r.path.starts_with('/') {
        (b.authority, r.path.into(), r.query)
    } else {
        let merged = match b.path.rfind('/') {
            Some(at) => format!("{}{}", &b.path[..=at], r.path),
            None if b.authority.is_some() && !r.path.is_empty() => format!("/{}", r.path),
            None => r.path.to_owned(),
        };
        (b.authority, normal(&merged).into(), r.query)
    };
    let mut out = String::with_capacity(base.len() + reference.len());
    if let Some(scheme) = b.scheme {
        out.push_str(scheme);
        out.push(':');
    }
    if let Some(authority) = authority {
        out.push_str("//");
        out.push_str(authority);
    }
    out.push_str(&path);
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
    if let Some(fragment) = r.fragment {
        out.push('#');
        out.push_str(fragment);
    }
    if out.len() > MAX_LENGTH {
        return Err(format!("a URI may have {MAX_LENGTH} bytes at most"));
    }
    Ok(out)
}

/// A character that URIs may have, but not in that place: a bracket in a path, a second `#`.
fn misplaced(parts: &Parts<'_>) -> Option<char> {
    let in_path = parts.path.chars().find(|c| matches!(c, '[' | ']'));
    in_path.or_else(|| parts.fragment?.chars().find(|c| *c == '#'))
}

/// The path without empty and `.` segments, and without each `..` that has a segment before it to go back from.
fn normal(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut is_directory = false;
    for segment in path.split('/') {
        is_directory = true;
        match segment {
            "" | "." => {}
            ".." if kept.last().is_some_and(|before| *before != "..") => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                is_directory = false;
            }
        }
    }
    let mut out = String::with_capacity(path.len());
    if path.starts_with('/') {
        out.push('/');
    }
    out.push_str(&kept.join("/"));
    if is_directory && !kept.is_empty() {
        out.push('/');
    }
    out
}

/// A token of a JSON pointer in a fragment: percent-decoded, then `~1` and `~0`.
pub(crate) fn pointer_token(token: &str) -> Result<Cow<'_, str>, String> {
    if !token.contains(['%', '~', '+']) {
        return Ok(token.into());
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let digits = after.get(..2).and_then(|d| std::str::from_utf8(d).ok());
                let Some(value) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) else {
                    return Err(format!(
                        "`%` in `{token}` is not followed by two hex digits"
                    ));
                };
                bytes.push(value);
                rest = &after[2..];
            }
            // As in a form: a plus is a blank.
            b'+' => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&bytes)
        .replace("~1", "/")
        .replace("~0", "~")
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve() {
        for (base, reference, resolved) in [
            ("", "a.json#/x", "a.json#/x"),
            ("http://x.test/s/a.json", "b.json", "http://x.test/s/b.json"),
            (
                "http://x.test/s/a.json",
                "../b.json#c",
                "http://x.test/b.json#c",
            ),
            ("http://x.test/s/a.json", "/b.json", "http://x.test/b.json"),
            (
                "http://x.test/s/a.json#",
                "#/definitions/N",
                "http://x.test/s/a.json#/definitions/N",
            ),
            ("http://x.test", "b.json", "http://x.test/b.json"),
            ("mem://input", "./b.json", "mem://input/b.json"),
            ("urn:x:y", "#/definitions/N", "urn:x:y#/definitions/N"),
            ("urn:x:y", "b.json", "b.json"),
            ("a.json", "b.json", "b.json"),
            ("s/a.json", "b.json", "s/b.json"),
            ("http://x.test/a", "urn:b", "urn:b"),
            ("http://x.test/s/a", "../../b", "http://x.test/../b"),
            ("http://x.test/s/a", "/s/../b", "http://x.test/s/../b"),
            ("http://x.test/s/a", "", "http://x.test/s/"),
            ("http://x.test/s/a", "?q", "http://x.test/s/?q"),
            ("http://x.test/s/a?q", "#c", "http://x.test/s/a?q#c"),
            ("http://x.test/s/a", "..", "http://x.test/"),
            ("http://x.test", "", "http://x.test"),
            ("s/a.json", "../../b.json", "../b.json"),
            ("s/a.json", "t//u/./b.json", "s/t/u/b.json"),
            ("a.json", "./", ""),
            ("http://x.test/a", "//y.test/b", "http://y.test/b"),
        ] {
            assert_eq!(
                resolve(base, reference).as_deref(),
                Ok(resolved),
                "{reference} from {base}"
            );
        }
        assert!(resolve("http://x.test/", "a b").is_err());
        assert!(resolve("http://x.test/", &"a/".repeat(9000)).is_err());
    }

    #[test]
    fn pointer_tokens_are_decoded() {
        assert_eq!(pointer_token("a~1b~0c%25").as_deref(), Ok("a/b~c%"));
        assert!(pointer_token("%zz").is_err());
    }
}
