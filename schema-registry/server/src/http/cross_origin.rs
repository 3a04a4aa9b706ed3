//! `access.control.*`: which web pages' scripts may call.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::StartError;

/// The cross-origin rules; there are none while `access.control.allow.origin` is blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossOrigin {
    /// Origins; `*` in one stands for any text.
    origins: Vec<String>,
    methods: HeaderValue,
    headers: HeaderValue,
    expose: Option<HeaderValue>,
}

impl CrossOrigin {
    /// From the settings' values, each a comma-separated list; blank `methods` and `headers` are those that Jetty's filter has.
    ///
    /// # Errors
    /// A text that cannot stand in a header, under its key.
    pub fn new(
        origins: &str,
        methods: &str,
        headers: &str,
        expose: &str,
    ) -> Result<Option<Self>, StartError> {
        let origins: Vec<String> = items(origins).map(str::to_owned).collect();
        if origins.is_empty() {
            return Ok(None);
        }
        let list = |key: &str, text: &str, fallback: &'static str| {
            let joined = items(text).collect::<Vec<_>>().join(",");
            if joined.is_empty() {
                return Ok(HeaderValue::from_static(fallback));
            }
            HeaderValue::from_str(&joined).map_err(|_| {
                StartError::setting(key, text, "a comma-separated list of names is needed")
            })
        };
        let expose = list("access.control.expose.headers", expose, "")?;
        Ok(Some(Self {
            origins,
            methods: list("access.control.allow.methods", methods, "GET,POST,HEAD")?,
            headers: list(
                "access.control.allow.headers",
                headers,
                "X-Requested-With,Content-Type,Accept,Origin",
            )?,
            expose: Some(expose).filter(|expose| !expose.is_empty()),
        }))
    }

    fn allows<'a>(&self, request: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = request.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.origins
            .iter()
            .any(|pattern| matches(pattern, text))
            .then_some(origin)
    }

    /// The headers of the answer to a pre-flight request; `None` when the request is none.
    pub(crate) fn preflight(&self, request: &HeaderMap) -> Option<Vec<(HeaderName, HeaderValue)>> {
        if !request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let origin = self.allows(request)?;
        Some(vec![
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            (
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            ),
            (header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone()),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone()),
            (
                header::ACCESS_CONTROL_MAX_AGE,
                HeaderValue::from_static("1800"),
            ),
            (header::VARY, HeaderValue::from_static("Origin")),
        ])
    }

    /// Adds to the answer's headers what a request from an allowed page needs.
    pub(crate) fn apply(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.allows(request) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
            if let Some(expose) = &self.expose {
                answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
            }
        }
    }
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// Whether `text` is `pattern`, in which each `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_matched_and_preflights_answered() {
        assert_eq!(CrossOrigin::new(" ", "GET", "", "").expect("off"), None);
        let rules = CrossOrigin::new(
            "https://*.example.com, http://a",
            "GET, PUT",
            "",
            "X-Request-ID",
        )
        .expect("rules")
        .expect("on");
        let mut request = HeaderMap::new();
        request.insert(
            header::ORIGIN,
            HeaderValue::from_static("https://x.example.com"),
        );
        assert_eq!(rules.preflight(&request), None);
        let mut answer = HeaderMap::new();
        rules.apply(&request, &mut answer);
        assert_eq!(
            answer[header::ACCESS_CONTROL_ALLOW_ORIGIN],
            "https://x.example.com"
        );
        assert_eq!(
            answer[header::ACCESS_CONTROL_EXPOSE_HEADERS],
            "X-Request-ID"
        );
        request.insert(
            header::ACCESS_CONTROL_REQUEST_METHOD,
            HeaderValue::from_static("PUT"),
        );
        let headers = rules.preflight(&request).expect("a pre-flight");
        assert!(headers.contains(&(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET,PUT")
        )));
        request.insert(
            header::ORIGIN,
            HeaderValue::from_static("https://example.org"),
        );
        assert_eq!(rules.preflight(&request), None);
        assert!(
            matches("*", "anything")
                && !matches("http://a", "http://ab")
                && matches("a*c*e", "abcde")
        );
    }
}
