//! `Content-Type` and `Accept`.

use axum::http::header::{self, HeaderMap};

/// What a request says its body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentType {
    /// Nothing.
    Absent,
    /// `application/json`, with or without parameters.
    Json,
    /// `*/*` or `application/*`: passes, but no body can be read as it.
    Wildcard,
    /// Another type.
    Other,
    /// Not a type at all.
    Broken,
}

pub(crate) fn content_type(headers: &HeaderMap) -> ContentType {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return ContentType::Absent;
    };
    let Some((kind, subtype)) = value.to_str().ok().and_then(parts) else {
        return ContentType::Broken;
    };
    let is = |text: &str, other: &str| text.eq_ignore_ascii_case(other);
    match (kind, subtype) {
        ("*", "*") => ContentType::Wildcard,
        (kind, "*") if is(kind, "application") => ContentType::Wildcard,
        (kind, subtype) if is(kind, "application") && is(subtype, "json") => ContentType::Json,
        _ => ContentType::Other,
    }
}

/// Whether `Accept` admits `kind/subtype`. Quality is not looked at, not even 0.
pub(crate) fn accepts(headers: &HeaderMap, kind: &str, subtype: &str) -> bool {
    let mut named = false;
    for value in headers.get_all(header::ACCEPT) {
        let Ok(value) = value.to_str() else { continue };
        for range in value
            .split(',')
            .map(str::trim)
            .filter(|range| !range.is_empty())
        {
            named = true;
            let plain = range.split(';').next().unwrap_or_default().trim();
            // Java's own HTTP client sends a lone star.
            let (a, b) = if plain == "*" {
                ("*", "*")
            } else {
                parts(range).unwrap_or(("", ""))
            };
            if (a == "*" || a.eq_ignore_ascii_case(kind))
                && (b == "*" || b.eq_ignore_ascii_case(subtype))
            {
                return true;
            }
        }
    }
    !named
}

fn parts(text: &str) -> Option<(&str, &str)> {
    let (kind, subtype) = text.split(';').next()?.trim().split_once('/')?;
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
    };
    (token(kind) && token(subtype)).then_some((kind, subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().expect("a header value"))])
    }

    #[test]
    fn content_types() {
        for (value, expected) in [
            ("application/json", ContentType::Json),
            ("APPLICATION/JSON; charset=utf-8", ContentType::Json),
            ("application/vnd.x+json", ContentType::Other),
            ("text/plain", ContentType::Other),
            ("*/*", ContentType::Wildcard),
            ("application/*", ContentType::Wildcard),
            ("json", ContentType::Broken),
            ("application/", ContentType::Broken),
        ] {
            assert_eq!(
                content_type(&headers(header::CONTENT_TYPE, value)),
                expected,
                "{value}"
            );
        }
        assert_eq!(content_type(&HeaderMap::new()), ContentType::Absent);
    }

    #[test]
    fn accepted_types() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/*", true),
            ("*/*", true),
            ("text/html, image/gif, *; q=.2", true),
            ("text/html, */*;q=0.1", true),
            ("application/json;q=0", true),
            ("", true),
            ("application/xml", false),
            ("text/plain", false),
            ("zzz", false),
        ] {
            assert_eq!(
                accepts(&headers(header::ACCEPT, value), "application", "json"),
                expected,
                "{value}"
            );
        }
        assert!(accepts(&HeaderMap::new(), "application", "json"));
    }
}
