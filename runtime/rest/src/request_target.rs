//! What Java's HTTP server does to a request target before Connect sees it.

use axum::http::{StatusCode, Uri};

use crate::percent;

/// The longest target, in bytes.
const LONGEST: usize = 8 << 10;

/// A segment of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// As sent, without matrix parameters (`;a=b`): what fixed names are compared with.
    pub(crate) raw: String,
    /// With its escapes resolved: what a parameter is.
    pub(crate) decoded: String,
}

/// A target that is answered with the server's HTML page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) reason: &'static str,
}

const fn bad(reason: &'static str) -> Refused {
    Refused {
        status: StatusCode::BAD_REQUEST,
        reason,
    }
}

/// The segments of a path: `/` has none, and one slash at the end is not counted.
pub(crate) fn segments(uri: &Uri) -> Result<Vec<Segment>, Refused> {
    if uri
        .path_and_query()
        .is_some_and(|target| target.as_str().len() > LONGEST)
    {
        return Err(Refused {
            status: StatusCode::URI_TOO_LONG,
            reason: "URI Too Long",
        });
    }
    let path = uri.path();
    if path.contains('\\') {
        return Err(bad("Suspicious Path Character"));
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').map(segment).collect()
}

fn segment(text: &str) -> Result<Segment, Refused> {
    if text.is_empty() {
        return Err(bad("Ambiguous URI empty segment"));
    }
    let raw = text.split(';').next().unwrap_or_default();
    let decoded = percent::decode(raw, false)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or(bad("Bad Request"))?;
    if percent::decode(text, false).is_none() {
        return Err(bad("Bad Request"));
    }
    let escapes = |escape: &str| {
        raw.as_bytes()
            .windows(3)
            .any(|window| window.eq_ignore_ascii_case(escape.as_bytes()))
    };
    if escapes("%2F") {
        return Err(bad("Ambiguous URI path separator"));
    }
    if escapes("%25") {
        return Err(bad("Ambiguous URI path encoding"));
    }
    if escapes("%5C") {
        return Err(bad("Suspicious Path Character"));
    }
    if (decoded == "." || decoded == "..") && raw != decoded {
        return Err(bad("Ambiguous URI path segment"));
    }
    Ok(Segment {
        raw: raw.to_owned(),
        decoded,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(path: &str) -> Result<Vec<String>, (u16, &'static str)> {
        segments(&path.parse().expect("a URI"))
            .map(|all| all.into_iter().map(|s| s.decoded).collect())
            .map_err(|r| (r.status.as_u16(), r.reason))
    }

    #[test]
    fn segments_are_decoded_one_by_one() {
        assert_eq!(decoded("/"), Ok(vec![]));
        assert_eq!(decoded("/connectors/?a=//"), Ok(vec!["connectors".into()]));
        assert_eq!(
            decoded("/connectors/a%20b;c=d/config"),
            Ok(vec!["connectors".into(), "a b".into(), "config".into()])
        );
        assert_eq!(
            decoded("/connectors/a%3Bb"),
            Ok(vec!["connectors".into(), "a;b".into()])
        );
        assert_eq!(
            decoded("/connectors/.."),
            Ok(vec!["connectors".into(), "..".into()])
        );
        assert_eq!(
            decoded("/connectors/%C3%A4%2eb"),
            Ok(vec!["connectors".into(), "ä.b".into()])
        );
    }

    #[test]
    fn ambiguous_targets_are_refused() {
        for (path, reason) in [
            ("/connectors/a%2Fb", "Ambiguous URI path separator"),
            ("/connectors/a%2fb", "Ambiguous URI path separator"),
            ("/connectors/a%25b", "Ambiguous URI path encoding"),
            ("/connectors/%2e%2E", "Ambiguous URI path segment"),
            ("/connectors/.%2e", "Ambiguous URI path segment"),
            ("//", "Ambiguous URI empty segment"),
            ("/connectors//a", "Ambiguous URI empty segment"),
            ("/connectors/a%5Cb", "Suspicious Path Character"),
            ("/connectors/%zz", "Bad Request"),
            ("/connectors/%", "Bad Request"),
            ("/connectors/%ff", "Bad Request"),
        ] {
            assert_eq!(decoded(path), Err((400, reason)), "{path}");
        }
        let long = format!("/connectors?x={}", "y".repeat(8180));
        assert_eq!(decoded(&long), Err((414, "URI Too Long")));
        assert!(decoded(&long[..LONGEST]).is_ok());
    }
}
