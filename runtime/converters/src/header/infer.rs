use std::sync::Arc;

use millrace_api::data::{Data, Decimal, Kind, Schema, SchemaBuilder, Value, logical};

use super::merge::{Common, widen};
use super::tokens::{Tokens, trim};
use crate::temporal::{Temporal, parse_temporal};

/// How deep lists and maps may be nested. A Java worker ends with a stack overflow some thousands of levels deep and then keeps the raw bytes.
const MAX_DEPTH: usize = 500;

/// A text that cannot be read in the way that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotThis;

/// The value that a text most likely stands for, with a schema of its type (Java's `Values.parseString`). Text that looks like nothing else is a string.
///
/// # Errors
/// When the text is nested too deep.
pub fn infer(text: &str) -> Result<Data, NotThis> {
    if text.is_empty() {
        return Ok(Data::new(Schema::string(), text));
    }
    let mut tokens = Tokens::new(text);
    let mut depth = Depth {
        now: 0,
        exceeded: false,
    };
    match parse(&mut tokens, false, &mut depth) {
        _ if depth.exceeded => Err(NotThis),
        Ok(data) => Ok(data.unwrap_or(Data::NONE)),
        Err(NotThis) => Err(NotThis),
    }
}

struct Depth {
    now: usize,
    exceeded: bool,
}

/// Reads one value; `None` is null.
fn parse(
    tokens: &mut Tokens<'_>,
    embedded: bool,
    depth: &mut Depth,
) -> Result<Option<Data>, NotThis> {
    if !tokens.has_next() {
        return Ok(None);
    }
    if embedded && tokens.take("\"") {
        return Ok(Some(quoted(tokens)));
    }
    if single(tokens, embedded, "null") {
        return Ok(None);
    }
    for (literal, value) in [("true", true), ("false", false)] {
        if single(tokens, embedded, literal) {
            return Ok(Some(Data::new(Schema::boolean(), value)));
        }
    }
    let start = tokens.mark();
    depth.now += 1;
    let nested = if depth.now > MAX_DEPTH {
        depth.exceeded = true;
        Err(NotThis)
    } else if tokens.take("[") {
        list(tokens, depth).map(Some)
    } else if tokens.take("{") {
        map(tokens, depth).map(Some)
    } else {
        Ok(None)
    };
    depth.now -= 1;
    if depth.exceeded {
        return Err(NotThis);
    }
    match nested {
        Ok(Some(data)) => return Ok(Some(data)),
        Ok(None) => {}
        Err(NotThis) => tokens.rewind(start),
    }
    if !tokens.has_next() {
        return Err(NotThis);
    }
    let token = tokens.next();
    if trim(token).is_empty() {
        return Ok(Some(Data::new(Schema::string(), token)));
    }
    let token = trim(token);
    let digit = token.starts_with(|c: char| c.is_ascii_digit());
    if digit && let Some(data) = temporal(tokens, token) {
        return Ok(Some(data));
    }
    if (digit || token.starts_with(['+', '-']))
        && let Some(data) = number(token)
    {
        return Ok(Some(data));
    }
    if embedded {
        Err(NotThis)
    } else {
        Ok(Some(Data::new(Schema::string(), tokens.original())))
    }
}

/// A literal. At top level nothing may follow it: `true}` is a string.
fn single(tokens: &mut Tokens<'_>, embedded: bool, literal: &str) -> bool {
    let start = tokens.mark();
    if tokens.take(literal) && (embedded || !tokens.has_next()) {
        return true;
    }
    tokens.rewind(start);
    false
}

/// The rest of a quoted text: a date or time when it looks like one, else a string. Escapes stay in it, as they do in Java.
fn quoted(tokens: &mut Tokens<'_>) -> Data {
    let mut content = String::new();
    while tokens.has_next() {
        if tokens.take("\"") {
            break;
        }
        content.push_str(tokens.next());
    }
    let is_temporal = |data: &Data| {
        data.schema.as_ref().is_some_and(|s| {
            matches!(
                s.name(),
                Some(logical::DATE | logical::TIME | logical::TIMESTAMP)
            )
        })
    };
    match number_like(&content).filter(is_temporal) {
        Some(data) => data,
        None => Data::new(Schema::string(), content.as_str()),
    }
}

/// What a whole text is when it begins with a digit.
fn number_like(content: &str) -> Option<Data> {
    let mut tokens = Tokens::new(content);
    if !tokens.has_next() {
        return None;
    }
    let token = trim(tokens.next());
    if token.starts_with(|c: char| c.is_ascii_digit()) {
        temporal(&mut tokens, token)
    } else {
        None
    }
}

fn list(tokens: &mut Tokens<'_>, depth: &mut Depth) -> Result<Data, NotThis> {
    let mut values = Vec::new();
    let mut element = Common::default();
    while tokens.has_next() {
        if tokens.take("]") {
            return Ok(match element.schema() {
                Some(schema) => {
                    let values = values
                        .into_iter()
                        .map(|v| widen(&schema, v))
                        .collect::<Result<Vec<_>, _>>()?;
                    Data::new(Schema::array(schema), Value::Array(Arc::new(values)))
                }
                None => Data::new(
                    SchemaBuilder::new(Kind::Array).build_valid(),
                    Value::Array(Arc::new(values)),
                ),
            });
        }
        if tokens.take(",") {
            return Err(NotThis);
        }
        let value = parse(tokens, true, depth)?;
        element.merge(value.as_ref().and_then(|d| d.schema.as_ref()));
        values.push(value.map_or(Value::Null, |d| d.value));
        let here = tokens.mark();
        if tokens.take("]") {
            tokens.rewind(here);
        } else if !tokens.take(",") {
            return Err(NotThis);
        }
    }
    Err(NotThis)
}

fn map(tokens: &mut Tokens<'_>, depth: &mut Depth) -> Result<Data, NotThis> {
    let mut entries: Vec<(Value, Value)> = Vec::new();
    let (mut keys, mut values) = (Common::default(), Common::default());
    while tokens.has_next() {
        if tokens.take("}") {
            return finish_map(entries, keys.schema(), values.schema());
        }
        if tokens.take(",") {
            return Err(NotThis);
        }
        let key = parse(tokens, true, depth)?
            .filter(|key| !key.value.is_null())
            .ok_or(NotThis)?;
        if !tokens.take(":") {
            return Err(NotThis);
        }
        let value = parse(tokens, true, depth)?;
        keys.merge(key.schema.as_ref());
        values.merge(value.as_ref().and_then(|d| d.schema.as_ref()));
        let value = value.map_or(Value::Null, |d| d.value);
        match entries.iter_mut().find(|(k, _)| *k == key.value) {
            Some(entry) => entry.1 = value,
            None => entries.push((key.value, value)),
        }
        tokens.take(",");
    }
    Err(NotThis)
}

fn finish_map(
    entries: Vec<(Value, Value)>,
    key: Option<Schema>,
    value: Option<Schema>,
) -> Result<Data, NotThis> {
    let Some(key) = key else {
        return Ok(Data::new(
            SchemaBuilder::new(Kind::Map).build_valid(),
            Value::Map(Arc::new(entries)),
        ));
    };
    let mut widened = Vec::with_capacity(entries.len());
    for (k, v) in entries {
        let v = match &value {
            Some(schema) => widen(schema, v)?,
            None => v,
        };
        widened.push((widen(&key, k)?, v));
    }
    let schema = match value {
        Some(value) => Schema::map(key, value),
        None => SchemaBuilder::map_with_null_values(key).build_valid(),
    };
    Ok(Data::new(schema, Value::Map(Arc::new(widened))))
}

/// A date, time or timestamp that begins with `token`. A time has colons, which are tokens: it is the token and the four after it.
fn temporal(tokens: &mut Tokens<'_>, token: &str) -> Option<Data> {
    let here = tokens.mark();
    if let Some(rest) = tokens.next_many(4)
        && let Some(found) = parse_temporal(&format!("{token}{rest}").replace("\\:", ":"))
    {
        return Some(data_of(found));
    }
    tokens.rewind(here);
    parse_temporal(&token.replace("\\:", ":")).map(data_of)
}

fn data_of(temporal: Temporal) -> Data {
    let schema = |kind, name: &str| SchemaBuilder::new(kind).name(name).version(1).build_valid();
    match temporal {
        Temporal::Date(days) => Data::new(schema(Kind::Int32, logical::DATE), Value::Int32(days)),
        Temporal::Time(millis) => {
            Data::new(schema(Kind::Int32, logical::TIME), Value::Int32(millis))
        }
        Temporal::Timestamp(millis) => Data::new(
            schema(Kind::Int64, logical::TIMESTAMP),
            Value::Int64(millis),
        ),
    }
}

/// The narrowest type that holds the number.
fn number(token: &str) -> Option<Data> {
    let decimal: Decimal = token.parse().ok()?;
    if let Some(exact) = exact_i64(&decimal) {
        return Some(if let Ok(v) = i8::try_from(exact) {
            Data::new(Schema::int8(), Value::Int8(v))
        } else if let Ok(v) = i16::try_from(exact) {
            Data::new(Schema::int16(), Value::Int16(v))
        } else if let Ok(v) = i32::try_from(exact) {
            Data::new(Schema::int32(), Value::Int32(v))
        } else {
            Data::new(Schema::int64(), Value::Int64(exact))
        });
    }
    if decimal.scale() != 0 {
        // Rust's parser and Java's round alike; only the form of the text differs, and `token` is one that both take.
        if let Some(v) = token.parse::<f32>().ok().filter(|v| v.is_finite()) {
            return Some(Data::new(Schema::float32(), Value::Float32(v)));
        }
        if let Some(v) = token.parse::<f64>().ok().filter(|v| v.is_finite()) {
            return Some(Data::new(Schema::float64(), Value::Float64(v)));
        }
    }
    Some(Data::new(
        logical::decimal(decimal.scale()).build_valid(),
        decimal,
    ))
}

/// The number as an integer, when it is one and fits.
fn exact_i64(decimal: &Decimal) -> Option<i64> {
    let unscaled = decimal.unscaled();
    if unscaled.sign() == num_bigint::Sign::NoSign {
        return Some(0);
    }
    // Neither a number with more zeros before the point than an integer has digits, nor one with more fraction digits than digits.
    let bits = i64::try_from(unscaled.bits()).unwrap_or(i64::MAX);
    if decimal.scale() < -19 || i64::from(decimal.scale()) > bits {
        return None;
    }
    let whole = decimal.with_scale(0)?;
    whole.unscaled_i128().and_then(|v| i64::try_from(v).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_and_text(text: &str) -> String {
        let data = infer(text).expect("inferred");
        let Some(schema) = &data.schema else {
            return "null".into();
        };
        let mut out = Vec::new();
        super::super::write_text(Some(schema), &data.value, &mut out);
        let name = schema
            .name()
            .and_then(|n| n.rsplit('.').next())
            .unwrap_or(schema.kind().name());
        format!("{name} {}", String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn types_are_inferred_as_in_java() {
        for (text, expected) in [
            ("", "STRING "),
            ("null", "null"),
            (" null ", "null"),
            ("true", "BOOLEAN true"),
            (" false ", "BOOLEAN false"),
            ("TRUE", "STRING TRUE"),
            ("true}", "STRING true}"),
            ("123", "INT8 123"),
            (" 123 ", "INT8 123"),
            ("-129", "INT16 -129"),
            ("+40000", "INT32 40000"),
            ("3000000000", "INT64 3000000000"),
            ("1.0", "INT8 1"),
            ("1e2", "INT8 100"),
            ("1.5", "FLOAT32 1.5"),
            ("1e39", "FLOAT64 1.0E39"),
            ("99999999999999999999", "Decimal 99999999999999999999"),
            ("1e400", "Decimal 1E+400"),
            ("1e1000000000", "Decimal 1E+1000000000"),
            ("12,34", "INT8 12"),
            ("5:6", "INT8 5"),
            ("12abc", "STRING 12abc"),
            ("2020-02-29", "Date 2020-02-29"),
            ("12:34:56.789Z", "Time 12:34:56.789Z"),
            (
                "2020-02-29T12:34:56.789Z",
                "Timestamp 2020-02-29T12:34:56.789Z",
            ),
            (r"12\:34\:56.789Z", "Time 12:34:56.789Z"),
            ("[]", "ARRAY []"),
            ("[1,2,300]", "ARRAY [1,2,300]"),
            ("[1, 2.5]", "ARRAY [1.0,2.5]"),
            ("[1,\"a\",true]", "ARRAY [1,\"a\",true]"),
            ("[null,null]", "ARRAY [null,null]"),
            ("[a]", "STRING [a]"),
            ("[1,,2]", "STRING [1,,2]"),
            ("[1 2]", "STRING [1 2]"),
            ("[1,null]", "STRING [1,null]"),
            ("[\"2020-02-29\"]", "ARRAY [2020-02-29]"),
            ("{\"a\":1,\"b\":300}", "MAP {\"a\":1,\"b\":300}"),
            ("{1:null}", "MAP {1:null}"),
            ("{\"a\":1 \"b\":2}", "MAP {\"a\":1,\"b\":2}"),
            ("{}", "MAP {}"),
            ("{null:1}", "STRING {null:1}"),
            ("{\"a\":[1,{\"b\":2}]}", "MAP {\"a\":[1,{\"b\":2}]}"),
            (" plain, text ", "STRING  plain, text "),
            ("-", "STRING -"),
        ] {
            assert_eq!(kind_and_text(text), expected, "{text:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(infer(&"[".repeat(100_000)), Err(NotThis));
        assert!(infer(&format!("{}{}", "[".repeat(400), "]".repeat(400))).is_ok());
    }
}
