//! `Accept` and `Content-Type`.

use http::header::{self, HeaderMap, HeaderValue};

/// What answers come as, best first, with the quality that the registry gives them in thousandths.
const OFFERED: [(&str, u32); 3] = [
    ("application/vnd.schemaregistry.v1+json", 1000),
    ("application/vnd.schemaregistry+json", 900),
    ("application/json", 500),
];

/// The type of an answer; an index into [`OFFERED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MediaType(usize);

impl MediaType {
    /// What is sent when nothing was asked for.
    pub(crate) const DEFAULT: Self = Self(0);

    /// For `Content-Type`.
    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(OFFERED[self.0].0)
    }
}

/// The type that suits the request's `Accept` headers; `None`: 406.
pub(crate) fn negotiate(headers: &HeaderMap) -> Option<MediaType> {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    let Some(only) = values.peek() else {
        return Some(MediaType::DEFAULT);
    };
    if matches!(
        only.as_bytes(),
        b"*/*" | b"application/vnd.schemaregistry.v1+json"
    ) {
        return Some(MediaType::DEFAULT);
    }
    // The client's wish counts before the registry's.
    let mut best: Option<(u32, u32, usize)> = None;
    let mut named = false;
    for value in values {
        let Ok(value) = value.to_str() else { continue };
        for range in value
            .split(',')
            .map(str::trim)
            .filter(|range| !range.is_empty())
        {
            named = true;
            let quality = quality(range);
            if quality == 0 {
                continue;
            }
            for (index, (offered, server)) in OFFERED.iter().enumerate() {
                let better =
                    best.is_none_or(|(client, ours, _)| (quality, *server) > (client, ours));
                if better && covers(range, offered) {
                    best = Some((quality, *server, index));
                }
            }
        }
    }
    match best {
        Some((_, _, index)) => Some(MediaType(index)),
        None if !named => Some(MediaType::DEFAULT),
        None => None,
    }
}

fn covers(range: &str, offered: &str) -> bool {
    let plain = range.split(';').next().unwrap_or_default().trim();
    if plain == "*" {
        // Java's own HTTP client sends a lone star.
        return true;
    }
    let (Some((kind, subtype)), Some((offered_kind, offered_subtype))) =
        (plain.split_once('/'), offered.split_once('/'))
    else {
        return false;
    };
    (kind == "*" || kind.eq_ignore_ascii_case(offered_kind))
        && (subtype == "*" || subtype.eq_ignore_ascii_case(offered_subtype))
}

/// `q` in thousandths; 1000 without one.
fn quality(range: &str) -> u32 {
    range
        .split(';')
        .skip(1)
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .and_then(|(_, value)| value.trim().parse::<f32>().ok())
        .map_or(1000, |q| (q.clamp(0.0, 1.0) * 1000.0) as u32)
}

/// What a request says its body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentType {
    /// Nothing, or a type that is read as JSON.
    Readable,
    /// Another type: 415.
    Other,
    /// Not a type at all: 400.
    Broken,
}

/// Judges the request's `Content-Type`.
pub(crate) fn content_type(headers: &HeaderMap) -> ContentType {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return ContentType::Readable;
    };
    let plain = value
        .to_str()
        .ok()
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    let Some((kind, subtype)) = plain.and_then(|plain| plain.split_once('/')) else {
        return ContentType::Broken;
    };
    if !is_token(kind) || !is_token(subtype) {
        return ContentType::Broken;
    }
    let readable = OFFERED
        .iter()
        .map(|(offered, _)| *offered)
        .chain(["application/octet-stream"])
        .any(|accepted| covers(&format!("{kind}/{subtype}"), accepted));
    if readable {
        ContentType::Readable
    } else {
        ContentType::Other
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().expect("a header value"))])
    }

    #[test]
    fn answers_come_as_the_client_wishes() {
        let v1 = Some(MediaType(0));
        for (accept, expected) in [
            ("*/*", v1),
            ("application/*", v1),
            (
                "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json",
                v1,
            ),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                v1,
            ),
            ("application/vnd.schemaregistry+json", Some(MediaType(1))),
            ("application/json", Some(MediaType(2))),
            ("Application/JSON; charset=utf-8", Some(MediaType(2))),
            (
                "application/json, application/vnd.schemaregistry.v1+json;q=0.5",
                Some(MediaType(2)),
            ),
            ("text/html, image/gif, *; q=.2", v1),
            ("", v1),
            ("text/plain", None),
            ("application/xml", None),
            ("application/json;q=0", None),
        ] {
            assert_eq!(
                negotiate(&with(header::ACCEPT, accept)),
                expected,
                "{accept}"
            );
        }
        assert_eq!(negotiate(&HeaderMap::new()), v1);
    }

    #[test]
    fn bodies_are_json_or_octets() {
        for (value, expected) in [
            ("application/json", ContentType::Readable),
            (
                "application/vnd.schemaregistry.v1+json; charset=utf-8",
                ContentType::Readable,
            ),
            ("application/vnd.schemaregistry+json", ContentType::Readable),
            ("application/octet-stream", ContentType::Readable),
            ("text/plain", ContentType::Other),
            ("application/xml", ContentType::Other),
            ("json", ContentType::Broken),
            ("application/", ContentType::Broken),
            ("/json", ContentType::Broken),
        ] {
            assert_eq!(
                content_type(&with(header::CONTENT_TYPE, value)),
                expected,
                "{value}"
            );
        }
        assert_eq!(content_type(&HeaderMap::new()), ContentType::Readable);
    }
}
