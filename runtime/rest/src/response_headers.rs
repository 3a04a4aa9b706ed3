//! `response.http.headers.config`: headers that every answer carries.

use std::time::SystemTime;

use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, TimeDelta, Utc};

use crate::error::RestError;

const KEY: &str = "response.http.headers.config";

/// Headers to set or add.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseHeaders(Vec<ResponseHeader>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct ResponseHeader {
    /// Beside a header of the same name instead of in its place.
    add: bool,
    name: HeaderName,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(HeaderValue),
    /// A date this long after the answer.
    DateAfter(TimeDelta),
}

impl ResponseHeaders {
    /// Reads comma-separated items of `<set|add|setDate|addDate> <name>:<value>`; an item that contains a comma is put in double quotes. The value of the two date
    /// actions is a number of milliseconds from the moment of the answer.
    ///
    /// # Errors
    /// The first item that does not have this form.
    pub fn parse(text: &str) -> Result<Self, RestError> {
        split(text)
            .iter()
            .map(|item| ResponseHeader::parse(item))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for header in &self.0 {
            let value = match &header.value {
                Value::Text(text) => text.clone(),
                Value::DateAfter(delta) => {
                    let date = DateTime::<Utc>::from(SystemTime::now())
                        .checked_add_signed(*delta)
                        .unwrap_or(DateTime::<Utc>::MAX_UTC);
                    match HeaderValue::from_str(
                        &date.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
                    ) {
                        Ok(value) => value,
                        Err(_) => continue,
                    }
                }
            };
            if header.add {
                headers.append(header.name.clone(), value);
            } else {
                headers.insert(header.name.clone(), value);
            }
        }
    }
}

impl ResponseHeader {
    fn parse(item: &str) -> Result<Self, RestError> {
        let refuse = |problem: String| Err(RestError::invalid(KEY, item, problem));
        let Some((action, header)) = item.trim().split_once(char::is_whitespace) else {
            return refuse(format!(
                "Invalid format of header config '{item}'. Expected: '[action] [header name]:[header value]'"
            ));
        };
        let header = header.trim();
        let (add, date) = match action.to_ascii_lowercase().as_str() {
            "set" => (false, false),
            "add" => (true, false),
            "setdate" => (false, true),
            "adddate" => (true, true),
            _ => {
                return refuse(format!(
                    "Invalid header config action: '{action}'. Expected one of [set, add, setDate, addDate]"
                ));
            }
        };
        let (name, value) = match header.split(':').collect::<Vec<_>>()[..] {
            [name, value] if !value.is_empty() => (name.trim(), value.trim()),
            _ => {
                return refuse(format!(
                    "Invalid format of header name and header value pair '{header}'. Expected: '[header name]:[header value]'"
                ));
            }
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return refuse(format!(
                "Invalid header name '{name}'. The '[header name]' cannot contain whitespace"
            ));
        }
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return refuse(format!(
                "Invalid header name '{name}'. Letters, digits and - are allowed"
            ));
        };
        let value = if date {
            match value.parse().ok().and_then(TimeDelta::try_milliseconds) {
                Some(delta) => Value::DateAfter(delta),
                None => {
                    return refuse(format!(
                        "Invalid header value '{value}'. A date is given as a number of milliseconds from now"
                    ));
                }
            }
        } else {
            match HeaderValue::from_str(value) {
                Ok(value) => Value::Text(value),
                Err(_) => {
                    return refuse(format!(
                        "Invalid header value '{value}'. Printable characters are allowed"
                    ));
                }
            }
        };
        Ok(Self { add, name, value })
    }
}

/// The items of a comma-separated list; commas inside double quotes do not separate, and a backslash inside quotes keeps the next character.
fn split(text: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut quoted = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => item.extend(chars.next()),
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            _ => item.push(c),
        }
    }
    items.push(item);
    items
        .into_iter()
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_obeyed() {
        let config = ResponseHeaders::parse(
            r#"set X-A: one, ADD Cache-Control:no-cache, "set Vary: a, b", setDate Expires: 86400000, addDate Date: 0"#,
        );
        let mut headers = HeaderMap::new();
        headers.insert("x-a", HeaderValue::from_static("before"));
        headers.insert("cache-control", HeaderValue::from_static("before"));
        config.expect("valid").apply(&mut headers);
        assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["one"]);
        assert_eq!(
            headers.get_all("cache-control").iter().collect::<Vec<_>>(),
            ["before", "no-cache"]
        );
        assert_eq!(headers["vary"], "a, b");
        let date = |name: &str| {
            DateTime::parse_from_rfc2822(headers[name].to_str().expect("text")).expect("a date")
        };
        assert_eq!((date("expires") - date("date")).num_hours(), 24);
    }

    #[test]
    fn what_is_wrong_is_said_in_java_s_words() {
        for (text, problem) in [
            (
                "set",
                "Invalid format of header config 'set'. Expected: '[action] [header name]:[header value]'",
            ),
            (
                "put A: b",
                "Invalid header config action: 'put'. Expected one of [set, add, setDate, addDate]",
            ),
            (
                "set A B: c",
                "Invalid header name 'A B'. The '[header name]' cannot contain whitespace",
            ),
            (
                "set A",
                "Invalid format of header name and header value pair 'A'. Expected: '[header name]:[header value]'",
            ),
            (
                "set A: b:c",
                "Invalid format of header name and header value pair 'A: b:c'. Expected: '[header name]:[header value]'",
            ),
            (
                "setDate A: soon",
                "Invalid header value 'soon'. A date is given as a number of milliseconds from now",
            ),
        ] {
            let error = ResponseHeaders::parse(text).expect_err(text).to_string();
            assert_eq!(
                error,
                format!(
                    "Invalid value {text} for configuration response.http.headers.config: {problem}"
                )
            );
        }
        assert_eq!(
            ResponseHeaders::parse(" ").expect("nothing"),
            ResponseHeaders::default()
        );
    }
}
