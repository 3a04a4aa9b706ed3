//! `access.control.allow.origin` and `access.control.allow.methods`.

use axum::http::Method;
use axum::http::header::{self, HeaderMap, HeaderValue};

use crate::error::RestError;

const METHODS_KEY: &str = "access.control.allow.methods";

/// Which web pages' scripts may read answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossOrigin {
    /// Origins; `*` in one stands for any text.
    origins: Vec<String>,
    /// All methods, named in every pre-flight whatever was asked for.
    methods: HeaderValue,
}

impl CrossOrigin {
    /// From the two keys' values, both comma-separated: blank `origins` switches the whole off (`None`), blank `methods` are `GET,POST,HEAD`.
    ///
    /// # Errors
    /// Methods that cannot stand in a header.
    pub fn new(origins: &str, methods: &str) -> Result<Option<Self>, RestError> {
        let items = |text: &str| {
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let origins = items(origins);
        if origins.is_empty() {
            return Ok(None);
        }
        let listed = items(methods);
        let text = if listed.is_empty() {
            "GET,POST,HEAD".to_owned()
        } else {
            listed.join(",")
        };
        if listed
            .iter()
            .any(|method| Method::from_bytes(method.as_bytes()).is_err())
        {
            return Err(RestError::invalid(
                METHODS_KEY,
                methods,
                "a comma-separated list of HTTP methods is needed, for example GET,POST,PUT",
            ));
        }
        let methods = HeaderValue::from_str(&text)
            .map_err(|_| RestError::invalid(METHODS_KEY, text, "not allowed in a header"))?;
        Ok(Some(Self { origins, methods }))
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        origin
            .to_str()
            .is_ok_and(|origin| self.origins.iter().any(|pattern| matches(pattern, origin)))
    }

    /// Adds to the answer's headers what the request's ask for.
    pub(crate) fn apply(&self, method: &Method, request: &HeaderMap, answer: &mut HeaderMap) {
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = request
            .get(header::ORIGIN)
            .filter(|origin| self.allows(origin))
        else {
            return;
        };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if method == Method::OPTIONS && request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            answer.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("Content-Type"),
            );
            answer.insert(
                header::ACCESS_CONTROL_MAX_AGE,
                HeaderValue::from_static("60"),
            );
        }
    }
}

/// Whether `text` is `pattern`, in which each `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
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
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("*", "http://x", true),
            ("http://a", "http://a", true),
            ("http://a", "http://ab", false),
            ("http://*.example", "http://ui.example", true),
            ("http://*.example", "http://ui.example.evil", false),
            ("http://*.example:*", "http://ui.example:81", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXc", false),
            ("aba*aba", "aba", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn blank_switches_it_off_and_methods_are_checked() {
        assert_eq!(CrossOrigin::new(" , ", "GET").expect("valid"), None);
        let on = CrossOrigin::new("http://a", " ")
            .expect("valid")
            .expect("on");
        assert_eq!(on.methods, "GET,POST,HEAD");
        assert!(
            CrossOrigin::new("http://a", "GET,P UT")
                .expect_err("no method")
                .to_string()
                .contains(METHODS_KEY)
        );
    }
}
