//! Reads JSON bodies as Java's mapper does.
//!
//! Scalars become texts (`3` is `"3"`, `1.50` is `"1.5"`), the last of two equal keys counts, and whatever cannot be read is a 500 whose message has the mapper's
//! shape: what is wrong, line and column, and the member. Values never appear in a message, because they may be secrets.

use axum::http::StatusCode;
use indexmap::IndexMap;
use millrace_api::config::RawProps;
use millrace_api::data::java_f64;
use millrace_worker::herder::{ConnectorOffset, ConnectorOffsets, TargetState};
use serde_json::value::RawValue;

use crate::answer::ApiError;

const STRING: &str = "java.lang.String";
const STRING_MAP: &str = "java.util.LinkedHashMap<java.lang.String,java.lang.String>";
const CREATE: &str = "org.apache.kafka.connect.runtime.rest.entities.CreateConnectorRequest";
const INITIAL_STATE: &str =
    "org.apache.kafka.connect.runtime.rest.entities.CreateConnectorRequest$InitialState";
const OFFSETS: &str = "org.apache.kafka.connect.runtime.rest.entities.ConnectorOffsets";
const OFFSET: &str = "org.apache.kafka.connect.runtime.rest.entities.ConnectorOffset";

/// Body of `POST /connectors`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CreateRequest {
    pub(crate) name: Option<String>,
    pub(crate) config: Option<RawProps>,
    pub(crate) initial_state: Option<TargetState>,
}

/// A flat map; `None` for no body and for `null`.
pub(crate) fn config(body: &[u8]) -> Result<Option<RawProps>, ApiError> {
    let document = Document::new(body)?;
    let Some(root) = document.root()? else {
        return Ok(None);
    };
    document.config(root, "")
}

/// A connector to create; `None` for no body and for `null`.
pub(crate) fn create(body: &[u8]) -> Result<Option<CreateRequest>, ApiError> {
    let document = Document::new(body)?;
    let Some(members) = document
        .root()?
        .map(|root| document.object(root, CREATE, ""))
        .transpose()?
        .flatten()
    else {
        return Ok(None);
    };
    let mut request = CreateRequest::default();
    for (key, value) in members {
        let chain = format!("{CREATE}[\"{key}\"]");
        match key.as_str() {
            "name" => request.name = document.text(value, &chain)?,
            "config" => request.config = document.config(value, &chain)?,
            "initial_state" => {
                if let Some(word) = document.text(value, &chain)? {
                    let state = word.parse::<TargetState>().map_err(|_| {
                        let problem = "No enum constant: one of RUNNING, PAUSED, STOPPED is needed";
                        document.error(
                            &format!(
                                "Cannot construct instance of `{INITIAL_STATE}`, problem: {problem}"
                            ),
                            value.get(),
                            &chain,
                        )
                    })?;
                    request.initial_state = Some(state);
                }
            }
            _ => {
                return Err(document.unknown_member(
                    CREATE,
                    &key,
                    &["name", "config", "initial_state"],
                    value,
                    "",
                ));
            }
        }
    }
    Ok(Some(request))
}

/// Offsets to alter; `None` for no body and for `null`.
pub(crate) fn offsets(body: &[u8]) -> Result<Option<ConnectorOffsets>, ApiError> {
    let document = Document::new(body)?;
    let Some(members) = document
        .root()?
        .map(|root| document.object(root, OFFSETS, ""))
        .transpose()?
        .flatten()
    else {
        return Ok(None);
    };
    let mut all = ConnectorOffsets::default();
    let chain = format!("{OFFSETS}[\"offsets\"]");
    for (key, value) in members {
        if key != "offsets" {
            return Err(document.unknown_member(OFFSETS, &key, &["offsets"], value, ""));
        }
        all.offsets = match Kind::of(value) {
            Kind::Null => None,
            Kind::Array => {
                let items: Vec<&RawValue> = document.inner(value)?;
                let read = items.iter().enumerate().map(|(at, item)| document.offset(item, &format!("{chain}->java.util.ArrayList[{at}]")));
                Some(read.collect::<Result<_, _>>()?)
            }
            kind => return Err(document.mismatch("java.util.ArrayList<org.apache.kafka.connect.runtime.rest.entities.ConnectorOffset>", kind, value, &chain)),
        };
    }
    Ok(Some(all))
}

/// What Java says when a method goes on with a body that was not there, and what was missing.
pub(crate) fn missing(method: &str, variable: &str) -> ApiError {
    ApiError::internal(format!(
        "Cannot invoke \"{method}\" because \"{variable}\" is null: the request needs a JSON object as its body, with all its members"
    ))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

impl Kind {
    fn of(value: &RawValue) -> Self {
        match value.get().as_bytes().first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::String,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }
}

/// The text of a body, to which values found in it point.
struct Document<'a> {
    text: &'a str,
}

impl<'a> Document<'a> {
    fn new(body: &'a [u8]) -> Result<Self, ApiError> {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        match std::str::from_utf8(body) {
            Ok(text) => Ok(Self { text }),
            Err(error) => {
                let (line, column) = line_column(body, error.valid_up_to());
                Err(located("Invalid UTF-8 in the JSON text", line, column, ""))
            }
        }
    }

    /// The whole value; `None` when there is none.
    fn root(&self) -> Result<Option<&'a RawValue>, ApiError> {
        if self.text.trim_ascii().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(self.text)
            .map(Some)
            .map_err(|error| self.syntax(&error))
    }

    /// Malformed JSON.
    fn syntax(&self, error: &serde_json::Error) -> ApiError {
        let whole = error.to_string();
        let what = whole
            .rsplit_once(" at line ")
            .map_or(whole.as_str(), |(what, _)| what);
        let kind = if error.is_eof() {
            "Unexpected end-of-input"
        } else {
            "Unexpected character"
        };
        located(
            &format!("{kind}: {what}"),
            error.line(),
            error.column().max(1),
            "",
        )
    }

    /// Looks into a value whose syntax has been checked; what can still be wrong is an escape.
    fn inner<T: serde::Deserialize<'a>>(&self, value: &'a RawValue) -> Result<T, ApiError> {
        serde_json::from_str(value.get()).map_err(|error| {
            let whole = error.to_string();
            let what = whole
                .rsplit_once(" at line ")
                .map_or(whole.as_str(), |(what, _)| what);
            self.error(&format!("Unexpected character: {what}"), value.get(), "")
        })
    }

    /// Members in order; the last of equal keys counts. `None` for null.
    fn object(
        &self,
        value: &'a RawValue,
        class: &str,
        chain: &str,
    ) -> Result<Option<IndexMap<String, &'a RawValue>>, ApiError> {
        match Kind::of(value) {
            Kind::Null => Ok(None),
            Kind::Object => self.inner(value).map(Some),
            kind => Err(self.mismatch(class, kind, value, chain)),
        }
    }

    fn config(&self, value: &'a RawValue, chain: &str) -> Result<Option<RawProps>, ApiError> {
        let Some(members) = self.object(value, STRING_MAP, chain)? else {
            return Ok(None);
        };
        let mut config = RawProps::with_capacity(members.len());
        for (key, value) in members {
            let text = match Kind::of(value) {
                Kind::Object | Kind::Array => {
                    let arrow = if chain.is_empty() { "" } else { "->" };
                    return Err(self.mismatch(
                        STRING,
                        Kind::of(value),
                        value,
                        &format!("{chain}{arrow}java.util.LinkedHashMap[\"{key}\"]"),
                    ));
                }
                _ => self.text(value, chain)?,
            };
            config.insert(key, text);
        }
        Ok(Some(config))
    }

    /// A scalar as text.
    fn text(&self, value: &'a RawValue, chain: &str) -> Result<Option<String>, ApiError> {
        match Kind::of(value) {
            Kind::Null => Ok(None),
            Kind::String => self.inner(value).map(Some),
            Kind::Boolean => Ok(Some(value.get().to_owned())),
            Kind::Number => Ok(Some(number_text(value.get()))),
            kind => Err(self.mismatch(STRING, kind, value, chain)),
        }
    }

    fn offset(&self, value: &'a RawValue, chain: &str) -> Result<ConnectorOffset, ApiError> {
        let Some(members) = self.object(value, OFFSET, chain)? else {
            return Err(missing(
                "org.apache.kafka.connect.runtime.rest.entities.ConnectorOffset.partition()",
                "connectorOffset",
            ));
        };
        let mut offset = ConnectorOffset {
            partition: serde_json::Value::Null,
            offset: serde_json::Value::Null,
        };
        for (key, value) in members {
            let place = match key.as_str() {
                "partition" => &mut offset.partition,
                "offset" => &mut offset.offset,
                _ => {
                    return Err(self.unknown_member(
                        OFFSET,
                        &key,
                        &["partition", "offset"],
                        value,
                        chain,
                    ));
                }
            };
            *place = match Kind::of(value) {
                Kind::Object | Kind::Null => self.inner(value)?,
                kind => {
                    let chain = format!("{chain}->{OFFSET}[\"{key}\"]");
                    return Err(self.mismatch(
                        "java.util.LinkedHashMap<java.lang.String,java.lang.Object>",
                        kind,
                        value,
                        &chain,
                    ));
                }
            };
        }
        Ok(offset)
    }

    /// A value of another kind than is needed.
    fn mismatch(&self, class: &str, kind: Kind, value: &RawValue, chain: &str) -> ApiError {
        let plain = class.split('<').next().unwrap_or(class);
        let problem = match kind {
            Kind::Object => format!(
                "Cannot deserialize value of type `{class}` from Object value (token `JsonToken.START_OBJECT`)"
            ),
            Kind::Array => format!(
                "Cannot deserialize value of type `{class}` from Array value (token `JsonToken.START_ARRAY`)"
            ),
            Kind::String => format!(
                "Cannot construct instance of `{plain}` (although at least one Creator exists): no String-argument constructor/factory method to deserialize from String value"
            ),
            Kind::Number => format!(
                "Cannot construct instance of `{plain}` (although at least one Creator exists): no number-argument constructor/factory method to deserialize from Number value"
            ),
            Kind::Boolean | Kind::Null => format!(
                "Cannot construct instance of `{plain}` (although at least one Creator exists): no boolean/Boolean-argument constructor/factory method to deserialize from boolean value"
            ),
        };
        self.error(&problem, value.get(), chain)
    }

    fn unknown_member(
        &self,
        class: &str,
        key: &str,
        known: &[&str],
        value: &RawValue,
        chain: &str,
    ) -> ApiError {
        let count = if known.len() == 1 {
            "one known property".to_owned()
        } else {
            format!("{} known properties", known.len())
        };
        let names = known
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", ");
        let arrow = if chain.is_empty() { "" } else { "->" };
        self.error(
            &format!("Unrecognized field \"{key}\" (class {class}), not marked as ignorable ({count}: {names}])"),
            value.get(),
            &format!("{chain}{arrow}{class}[\"{key}\"]"),
        )
    }

    /// An error at `part`, which points into the text.
    fn error(&self, problem: &str, part: &str, chain: &str) -> ApiError {
        let offset = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let (line, column) = line_column(self.text.as_bytes(), offset);
        located(problem, line, column, chain)
    }
}

fn located(problem: &str, line: usize, column: usize, chain: &str) -> ApiError {
    let chain = if chain.is_empty() {
        String::new()
    } else {
        format!(" (through reference chain: {chain})")
    };
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!(
            "{problem}\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {line}, column: {column}]{chain}"
        ),
    )
}

/// Line and column, both from 1, the column in bytes.
fn line_column(text: &[u8], offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let begin = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    (line, before.len() - begin + 1)
}

/// Integers digit for digit, fractions as Java prints its doubles.
fn number_text(literal: &str) -> String {
    if !literal.contains(['.', 'e', 'E']) {
        return literal.to_owned();
    }
    let Ok(number) = literal.parse::<f64>() else {
        return literal.to_owned();
    };
    let mut text = Vec::new();
    java_f64(number, &mut text);
    String::from_utf8(text).unwrap_or_else(|_| literal.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str =
        "at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)";

    #[test]
    fn scalars_become_texts() {
        let read = config(br#"{"a": "x\u00e4", "b": 3, "c": true, "d": 1.50, "e": 1e3, "f": 123456789012345678901234567890, "g": null, "a2": -0, "b": 4}"#);
        let read = read.expect("valid").expect("a map");
        let expected = [
            ("a", Some("xä")),
            ("b", Some("4")),
            ("c", Some("true")),
            ("d", Some("1.5")),
            ("e", Some("1000.0")),
            ("f", Some("123456789012345678901234567890")),
            ("g", None),
            ("a2", Some("-0")),
        ];
        assert_eq!(
            read.iter()
                .map(|(k, v)| (k.as_str(), v.as_deref()))
                .collect::<Vec<_>>(),
            expected
        );
        assert_eq!(config(b""), Ok(None));
        assert_eq!(config(b" \n"), Ok(None));
        assert_eq!(config(b"null"), Ok(None));
        assert_eq!(config(b"\xEF\xBB\xBF{}"), Ok(Some(RawProps::new())));
    }

    #[test]
    fn messages_have_the_mapper_s_shape() {
        let message = |body: &[u8]| {
            let error = config(body).expect_err("unreadable");
            assert_eq!(error.status, 500);
            error.message
        };
        assert_eq!(
            message(br#"{"name": "c-put", "config": {"x": 1}}"#),
            format!(
                "Cannot deserialize value of type `java.lang.String` from Object value (token `JsonToken.START_OBJECT`)\n {SOURCE}; line: 1, column: 29] (through reference chain: java.util.LinkedHashMap[\"config\"])"
            )
        );
        assert_eq!(
            message(b"[]"),
            format!(
                "Cannot deserialize value of type `java.util.LinkedHashMap<java.lang.String,java.lang.String>` from Array value (token `JsonToken.START_ARRAY`)\n {SOURCE}; line: 1, column: 1]"
            )
        );
        assert_eq!(
            message(b"{\n \"a\": [1]}"),
            format!(
                "Cannot deserialize value of type `java.lang.String` from Array value (token `JsonToken.START_ARRAY`)\n {SOURCE}; line: 2, column: 7] (through reference chain: java.util.LinkedHashMap[\"a\"])"
            )
        );
        assert_eq!(
            message(br#"{"a": "#),
            format!(
                "Unexpected end-of-input: EOF while parsing a value\n {SOURCE}; line: 1, column: 6]"
            )
        );
        for (body, what) in [
            (
                &b"{'a': 1}"[..],
                "Unexpected character: key must be a string",
            ),
            (b"{} x", "Unexpected character: trailing characters"),
            (b"{\"a\": 1 /* c */}", "Unexpected character"),
            (
                b"\"x\"",
                "Cannot construct instance of `java.util.LinkedHashMap`",
            ),
            (
                b"5",
                "Cannot construct instance of `java.util.LinkedHashMap`",
            ),
            (
                b"true",
                "Cannot construct instance of `java.util.LinkedHashMap`",
            ),
            (b"{\"a\": \"\\ud800\"}", "Unexpected character"),
            (b"{\"a\": \"\xff\"}", "Invalid UTF-8 in the JSON text"),
        ] {
            let message = message(body);
            assert!(
                message.starts_with(what) && message.contains(SOURCE),
                "{message}"
            );
        }
    }

    #[test]
    fn a_secret_never_gets_into_a_message() {
        for body in [
            &br#"{"password": {"x": "hunter2"}}"#[..],
            br#""hunter2""#,
            br#"{"password": "hunter2", "#,
            br#"{"password": ["hunter2"]}"#,
        ] {
            let message = config(body).expect_err("unreadable").message;
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn a_connector_to_create() {
        let read = |body: &str| create(body.as_bytes()).map_err(|e| e.message);
        let request = read(r#"{"name": 12, "config": {"a": 1}, "initial_state": "paused"}"#)
            .expect("valid")
            .expect("an object");
        assert_eq!(request.name.as_deref(), Some("12"));
        assert_eq!(request.config.expect("a map")["a"].as_deref(), Some("1"));
        assert_eq!(request.initial_state, Some(TargetState::Paused));
        assert_eq!(read("null"), Ok(None));
        assert_eq!(
            read(r#"{"initial_state": null, "config": null, "name": null}"#),
            Ok(Some(CreateRequest::default()))
        );
        assert_eq!(
            read(r#"{"name": {"a": 1}}"#).expect_err("an object"),
            format!(
                "Cannot deserialize value of type `java.lang.String` from Object value (token `JsonToken.START_OBJECT`)\n {SOURCE}; line: 1, column: 10] (through reference chain: {CREATE}[\"name\"])"
            )
        );
        for state in ["\"\"", "\"up\"", "5"] {
            let error = read(&format!(r#"{{"initial_state": {state}}}"#)).expect_err(state);
            assert!(
                error.starts_with("Cannot construct instance of `")
                    && error.contains("RUNNING, PAUSED, STOPPED"),
                "{error}"
            );
        }
        let error = read(r#"{"name": "a", "nmae": "b"}"#).expect_err("unknown member");
        assert!(error.starts_with(&format!("Unrecognized field \"nmae\" (class {CREATE}), not marked as ignorable (3 known properties: \"name\", \"config\", \"initial_state\"])")), "{error}");
        let error = read(r#"{"config": {"x": {}}}"#).expect_err("an object");
        assert!(
            error.ends_with(&format!(
                "(through reference chain: {CREATE}[\"config\"]->java.util.LinkedHashMap[\"x\"])"
            )),
            "{error}"
        );
        assert!(read("[]").expect_err("an array").starts_with(&format!(
            "Cannot deserialize value of type `{CREATE}` from Array value"
        )));
    }

    #[test]
    fn offsets_to_alter() {
        let read = |body: &str| offsets(body.as_bytes()).map_err(|e| e.message);
        let all = read(
            r#"{"offsets": [{"partition": {"f": "a", "n": 1}, "offset": {"p": 4}}, {"partition": {"f": "b"}, "offset": null}]}"#,
        );
        let all = all
            .expect("valid")
            .expect("an object")
            .offsets
            .expect("a list");
        assert_eq!(
            serde_json::to_string(&all[0]).expect("JSON"),
            r#"{"partition":{"f":"a","n":1},"offset":{"p":4}}"#
        );
        assert!(all[1].offset.is_null());
        assert_eq!(read("{}"), Ok(Some(ConnectorOffsets::default())));
        assert_eq!(read("null"), Ok(None));
        for (body, start) in [
            (r#"{"offset": []}"#, "Unrecognized field \"offset\""),
            (
                r#"{"offsets": [{"partition": {}, "x": 1}]}"#,
                "Unrecognized field \"x\"",
            ),
            (
                r#"{"offsets": {}}"#,
                "Cannot deserialize value of type `java.util.ArrayList<",
            ),
            (
                r#"{"offsets": [{"partition": []}]}"#,
                "Cannot deserialize value of type `java.util.LinkedHashMap<java.lang.String,java.lang.Object>` from Array",
            ),
            (r#"{"offsets": [null]}"#, "Cannot invoke \""),
        ] {
            let error = read(body).expect_err(body);
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn deep_nesting_does_not_overflow() {
        let deep = format!(
            "{{\"offsets\": [{{\"partition\": {{\"a\": {}{}}}}}]}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(
            offsets(deep.as_bytes())
                .expect_err("too deep")
                .message
                .contains("recursion limit")
        );
    }
}
