//! From a default expression in the catalog to a default value in the schema: what can be told without evaluating it.

use std::sync::LazyLock;

use fancy_regex::Regex;
use millrace_api::data::Value;

use crate::convert::Convert;

/// Something that is computed at insert: a call, possibly in parentheses, or one of the standard's constants.
static COMPUTED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)\A(?:\(?[A-Za-z0-9_."]+\(.*\).*|current_timestamp|current_time|current_date|localtime|localtimestamp)\)?\z"#)
        .unwrap_or_else(|e| unreachable!("fixed pattern: {e}"))
});
/// The first literal in single quotes.
static LITERAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)'((?:[^']|'')*)'").unwrap_or_else(|e| unreachable!("fixed pattern: {e}"))
});

/// The schema default of a column with this expression; `None` when there is none or it cannot be told. `computed` stands for one that is computed at insert;
/// by default what the conversion suggests.
pub(crate) fn schema_default(
    expression: &str,
    convert: &Convert,
    computed: Option<&str>,
) -> Option<Value> {
    let expression = expression.trim();
    if COMPUTED.is_match(expression).unwrap_or(false) {
        return computed.map_or_else(|| placeholder(convert), |text| convert.literal(text).ok());
    }
    let text = match LITERAL.captures(expression) {
        Ok(Some(found)) => found.get(1)?.as_str().replace("''", "'"),
        _ => {
            if expression.len() >= 4 && expression[..4].eq_ignore_ascii_case("null") {
                return None;
            }
            unparenthesised(expression)
        }
    };
    let text = match convert {
        Convert::Bit | Convert::Bits => text.trim_start_matches(['B', 'b']).to_owned(),
        Convert::Boolean => match &*text.to_ascii_lowercase() {
            "true" | "t" | "on" | "yes" | "1" => "t".to_owned(),
            _ => "f".to_owned(),
        },
        Convert::Interval(_) => interval(&text),
        _ => text,
    };
    match convert.literal(&text) {
        Ok(Value::Struct(_) | Value::Null) => None,
        Ok(value) => Some(value),
        Err(error) => {
            tracing::warn!(expression, %error, "the default cannot be told without evaluating it and is left out of the schema");
            None
        }
    }
}

/// `(5)` and `-(3)` are numbers.
fn unparenthesised(text: &str) -> String {
    let without_cast = text.split("::").next().unwrap_or(text).trim();
    without_cast
        .chars()
        .filter(|c| !matches!(c, '(' | ')'))
        .collect()
}

fn interval(text: &str) -> String {
    if text.eq_ignore_ascii_case("epoch") {
        "00:00:00".to_owned()
    } else {
        text.to_owned()
    }
}

/// What stands in the schema for a default that is computed at insert.
fn placeholder(convert: &Convert) -> Option<Value> {
    let literal = match convert {
        Convert::Boolean => "f",
        Convert::Bit => "0",
        Convert::Bits => "00",
        Convert::Int16
        | Convert::Int32
        | Convert::Int64
        | Convert::Float32
        | Convert::Float64
        | Convert::Decimal { .. } => "0",
        Convert::DecimalAsDouble | Convert::DecimalAsString { .. } => "0.0",
        Convert::Date(_) => "1970-01-01",
        Convert::Time(_) => "00:00:00",
        Convert::Timestamp(_) => "1970-01-01 00:00:00",
        Convert::TimestampTz { .. } => "1970-01-01 00:00:00+00",
        Convert::Interval(_) => "00:00:00",
        Convert::Text => "",
        _ => return None,
    };
    convert.literal(literal).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::{DateForm, TimestampForm};

    #[test]
    fn literals_and_placeholders() {
        for (expression, convert, expected) in [
            (
                "nextval('t_id_seq'::regclass)",
                Convert::Int32,
                Some(Value::Int32(0)),
            ),
            (
                "now()",
                Convert::Timestamp(TimestampForm::Micros),
                Some(Value::Int64(0)),
            ),
            (
                "CURRENT_DATE",
                Convert::Date(DateForm::Days),
                Some(Value::Int32(0)),
            ),
            ("'a''b'::text", Convert::Text, Some(Value::from("a'b"))),
            (
                "'a'::text || 'b'::text",
                Convert::Text,
                Some(Value::from("a")),
            ),
            ("5", Convert::Int32, Some(Value::Int32(5))),
            ("'-3'::integer", Convert::Int32, Some(Value::Int32(-3))),
            ("(1 + 1)", Convert::Int32, None),
            ("NULL::character varying", Convert::Text, None),
            ("true", Convert::Boolean, Some(Value::Boolean(true))),
            ("(1 = 1)", Convert::Boolean, Some(Value::Boolean(false))),
            (
                "CURRENT_USER",
                Convert::Text,
                Some(Value::from("CURRENT_USER")),
            ),
            ("upper('x'::text)", Convert::Text, Some(Value::from(""))),
            (
                "B'101'::\"bit\"",
                Convert::Bits,
                Some(Value::Bytes(millrace_api::data::Blob::from(vec![5u8]))),
            ),
        ] {
            assert_eq!(
                schema_default(expression, &convert, None),
                expected,
                "{expression}"
            );
        }
        let computed = |expression| schema_default(expression, &Convert::Text, Some("{}"));
        assert_eq!(
            (computed("jsonb_build_object()"), computed("'[]'::jsonb")),
            (Some(Value::from("{}")), Some(Value::from("[]")))
        );
    }
}
