//! What Java's HTTP server does to a request's path before a resource sees it.

use std::borrow::Cow;

/// A path that is answered with the server's own page instead of the registry's JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) &'static str);

/// Most segments that any path of the registry has, a `/contexts/{ctx}` prefix included; a longer path is an unknown one.
pub(crate) const MOST_SEGMENTS: usize = 16;

/// The raw segments of a path, at most [`MOST_SEGMENTS`] of them: `/` has none, and a slash at the end is not counted.
pub(crate) fn segments(path: &str) -> Result<Vec<&str>, Refused> {
    if path
        .bytes()
        .any(|byte| byte == b'\\' || byte < b' ' || byte == 0x7f)
    {
        return Err(Refused("Suspicious Path Character"));
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut all = Vec::with_capacity(4);
    for segment in path.split('/') {
        check(segment)?;
        if all.len() < MOST_SEGMENTS {
            all.push(segment);
        }
    }
    Ok(all)
}

fn check(segment: &str) -> Result<(), Refused> {
    if segment.is_empty() {
        return Err(Refused("Ambiguous URI empty segment"));
    }
    if !segment.contains('%') {
        return Ok(());
    }
    let bytes = segment.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            at += 1;
            continue;
        }
        let escape = bytes.get(at + 1..at + 3).ok_or(Refused("Bad Request"))?;
        let byte = hex(escape[0])
            .zip(hex(escape[1]))
            .map(|(high, low)| (high << 4) | low)
            .ok_or(Refused("Bad Request"))?;
        if byte < b' ' || byte == 0x7f || byte == b'\\' {
            return Err(Refused("Suspicious Path Character"));
        }
        at += 3;
    }
    let decoded = decode_bytes(segment, false);
    if std::str::from_utf8(&decoded).is_err() {
        return Err(Refused("Bad Request"));
    }
    if matches!(&*decoded, b"." | b"..") {
        return Err(Refused("Ambiguous URI path segment"));
    }
    Ok(())
}

/// A segment as a fixed name is compared with it: without matrix parameters (`;a=b`).
pub(crate) fn name(segment: &str) -> &str {
    match segment.split_once(';') {
        Some((name, _)) => name,
        None => segment,
    }
}

/// A segment as a parameter: without matrix parameters, escapes resolved.
pub(crate) fn parameter(segment: &str) -> String {
    decode(name(segment), false).into_owned()
}

/// `text` with its escapes resolved; with `plus`, `+` is a space. A broken escape stays as it is, bytes that are no UTF-8 become replacement characters.
pub(crate) fn decode(text: &str, plus: bool) -> Cow<'_, str> {
    match decode_bytes(text, plus) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
    }
}

fn decode_bytes(text: &str, plus: bool) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes
        .iter()
        .any(|byte| *byte == b'%' || (plus && *byte == b'+'))
    {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|two| hex(two[0]).zip(hex(two[1])));
        match (bytes[at], escaped) {
            (_, Some((high, low))) => {
                out.push((high << 4) | low);
                at += 3;
                continue;
            }
            (b'+', None) if plus => out.push(b' '),
            (byte, None) => out.push(byte),
        }
        at += 1;
    }
    Cow::Owned(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(path: &str) -> Result<Vec<String>, &'static str> {
        segments(path)
            .map(|all| all.into_iter().map(parameter).collect())
            .map_err(|refused| refused.0)
    }

    #[test]
    fn segments_are_split_before_they_are_decoded() {
        assert_eq!(decoded("/"), Ok(vec![]));
        assert_eq!(decoded("/subjects/"), Ok(vec!["subjects".into()]));
        assert_eq!(
            decoded("/subjects/a%2Fb/versions"),
            Ok(vec!["subjects".into(), "a/b".into(), "versions".into()])
        );
        assert_eq!(
            decoded("/subjects/%3A.ctx%3As;v=1"),
            Ok(vec!["subjects".into(), ":.ctx:s".into()])
        );
        assert_eq!(
            decoded("/subjects/%20%C3%A4+%25"),
            Ok(vec!["subjects".into(), " ä+%".into()])
        );
    }

    #[test]
    fn what_java_s_server_refuses() {
        for (path, reason) in [
            ("//subjects", "Ambiguous URI empty segment"),
            ("/subjects//", "Ambiguous URI empty segment"),
            ("/subjects//versions", "Ambiguous URI empty segment"),
            ("/subjects/tab%09x/versions", "Suspicious Path Character"),
            ("/subjects/nl%0A/versions", "Suspicious Path Character"),
            ("/subjects/%7f/versions", "Suspicious Path Character"),
            ("/subjects/%5C", "Suspicious Path Character"),
            ("/subjects/%2e%2E", "Ambiguous URI path segment"),
            ("/subjects/%zz", "Bad Request"),
            ("/subjects/%4", "Bad Request"),
            ("/subjects/%ff", "Bad Request"),
        ] {
            assert_eq!(decoded(path), Err(reason), "{path}");
        }
    }

    #[test]
    fn query_texts_decode_leniently() {
        assert_eq!(decode("a+b%20c%", true), "a b c%");
        assert_eq!(decode("a+b", false), "a+b");
        assert_eq!(decode("%ff", true), "\u{fffd}");
    }

    #[test]
    fn long_paths_are_cut_short() {
        let path = "/a".repeat(10_000);
        assert_eq!(segments(&path).map(|all| all.len()), Ok(MOST_SEGMENTS));
    }
}
