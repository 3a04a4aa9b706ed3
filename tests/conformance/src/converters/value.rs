//! Connect values as JSON and back, by their schema.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use java_idioms::Json;
use java_idioms::json::{Number, Object};
use millrace_api::data::{Blob, Decimal, Kind, Schema, Struct, Value, logical};
use num_bigint::BigInt;

use super::schema;

/// Reads a value under its schema.
pub(super) fn read(json: &Json, schema: Option<&Schema>, named: &Object) -> Result<Value> {
    Reader {
        named,
        outside: Vec::new(),
    }
    .read(json, schema)
}

struct Reader<'a> {
    named: &'a Object,
    /// Structs around the value: what a struct inside itself stands for.
    outside: Vec<Schema>,
}

impl Reader<'_> {
    fn read(&mut self, json: &Json, schema: Option<&Schema>) -> Result<Value> {
        if json.is_null() {
            return Ok(Value::Null);
        }
        let typed = json
            .get("t")
            .and_then(Json::as_str)
            .zip(json.get("v"))
            .filter(|_| schema.is_none_or(|schema| schema.field("t").is_none()));
        if let Some((kind, value)) = typed {
            return self.typed(kind, value, schema);
        }
        let schema = schema.context("a value without schema says its type")?;
        if schema.kind() == Kind::Struct {
            return self.structure(json, schema);
        }
        if schema.name() == Some(logical::DECIMAL) && schema.kind() == Kind::Bytes {
            return decimal(json.as_str().context("a decimal is written as text")?);
        }
        match schema.kind() {
            Kind::Array => self.array(json, schema.value_schema()),
            Kind::Map => self.map(json, schema.key_schema(), schema.value_schema()),
            kind => plain(kind, json),
        }
    }

    fn array(&mut self, json: &Json, element: Option<&Schema>) -> Result<Value> {
        let all = json.as_array().context("an array is written as one")?;
        let all: Vec<Value> = all
            .iter()
            .map(|value| self.read(value, element))
            .collect::<Result<_>>()?;
        Ok(Value::Array(Arc::new(all)))
    }

    fn map(&mut self, json: &Json, key: Option<&Schema>, value: Option<&Schema>) -> Result<Value> {
        let all = json
            .as_array()
            .context("a map is written as an array of pairs")?;
        let pair = |pair: &Json| match pair.as_array() {
            Some([k, v]) => Ok((self.read(k, key)?, self.read(v, value)?)),
            _ => bail!("an entry of a map is a pair"),
        };
        let all: Vec<(Value, Value)> = all.iter().map(pair).collect::<Result<_>>()?;
        Ok(Value::Map(Arc::new(all)))
    }

    fn structure(&mut self, json: &Json, declared: &Schema) -> Result<Value> {
        let members = json
            .as_object()
            .context("a struct is written as an object")?;
        let other = members
            .get("$schema")
            .map(|other| schema::read(other, self.named))
            .transpose()?
            .flatten();
        let declared = other.as_ref().unwrap_or(declared);
        let schema = if declared.is_back_reference() {
            self.outside
                .iter()
                .rev()
                .find(|outside| outside.name() == declared.name())
                .cloned()
                .context("no struct of that name around it")?
        } else {
            declared.clone()
        };
        self.outside.push(schema.clone());
        let mut values = vec![Value::Null; schema.fields().len()];
        for (name, value) in members.iter().filter(|(name, _)| &***name != "$schema") {
            let (index, field) = schema
                .field(name)
                .ok_or_else(|| anyhow!("{name} is not a valid field name"))?;
            values[index] = self
                .read(value, Some(&field.schema))
                .with_context(|| format!("field {name}"))?;
        }
        self.outside.pop();
        Ok(Value::Struct(Struct::new(schema, values)))
    }

    /// A value of a type that its schema does not say.
    fn typed(&mut self, kind: &str, json: &Json, schema: Option<&Schema>) -> Result<Value> {
        Ok(match kind {
            "array" => self.array(json, None)?,
            "map" => self.map(json, None, None)?,
            "decimal" => decimal(json.as_str().context("a decimal is written as text")?)?,
            "date" => date(
                json.as_i64().context("a date is written as milliseconds")?,
                schema,
            )?,
            "int8" => plain(Kind::Int8, json)?,
            "int16" => plain(Kind::Int16, json)?,
            "int32" => plain(Kind::Int32, json)?,
            "int64" => plain(Kind::Int64, json)?,
            "float32" => plain(Kind::Float32, json)?,
            "float64" => plain(Kind::Float64, json)?,
            "boolean" => plain(Kind::Boolean, json)?,
            "string" => plain(Kind::String, json)?,
            "bytes" => plain(Kind::Bytes, json)?,
            other => bail!("there is no type `{other}`"),
        })
    }
}

/// A `java.util.Date`, which exists here only as what its schema makes of it.
fn date(millis: i64, schema: Option<&Schema>) -> Result<Value> {
    match schema.and_then(Schema::name) {
        Some(logical::DATE) => Ok(Value::Int32(i32::try_from(millis.div_euclid(86_400_000))?)),
        Some(logical::TIME) => Ok(Value::Int32(i32::try_from(millis)?)),
        Some(logical::TIMESTAMP) => Ok(Value::Int64(millis)),
        _ => bail!(
            "a java.util.Date has no counterpart without the schema of a date, a time or a timestamp"
        ),
    }
}

fn plain(kind: Kind, json: &Json) -> Result<Value> {
    let integer = || {
        json.as_i64()
            .with_context(|| format!("{} is no integer", json.to_text()))
    };
    Ok(match kind {
        Kind::Int8 => Value::Int8(i8::try_from(integer()?)?),
        Kind::Int16 => Value::Int16(i16::try_from(integer()?)?),
        Kind::Int32 => Value::Int32(i32::try_from(integer()?)?),
        Kind::Int64 => Value::Int64(integer()?),
        // Through a double, as the recorder's JSON reader did.
        Kind::Float32 => Value::Float32(float(json)? as f32),
        Kind::Float64 => Value::Float64(float(json)?),
        Kind::Boolean => Value::Boolean(json.as_bool().context("not a boolean")?),
        Kind::String => Value::string(json.as_str().context("not a string")?),
        Kind::Bytes => Value::Bytes(Blob::from(unhex(
            json.as_str().context("bytes are written in hexadecimal")?,
        )?)),
        kind => bail!("a {} stands here in another way", schema::kind_name(kind)),
    })
}

fn float(json: &Json) -> Result<f64> {
    match json {
        Json::Number(number) => Ok(number.as_f64()),
        Json::String(text) => match &**text {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            other => bail!("{other} is no number"),
        },
        other => bail!("{} is no number", other.to_text()),
    }
}

/// `125e-2`: the unscaled integer, `e`, minus the scale.
fn decimal(text: &str) -> Result<Value> {
    let (unscaled, exponent) = text
        .split_once('e')
        .with_context(|| format!("{text} is no decimal"))?;
    let unscaled: BigInt = unscaled
        .parse()
        .with_context(|| format!("{text} is no decimal"))?;
    let exponent: i32 = exponent
        .parse()
        .with_context(|| format!("{text} is no decimal"))?;
    Ok(Decimal::from_big(unscaled, -exponent).into())
}

/// Bytes from lower-case hexadecimal digits.
pub(super) fn unhex(text: &str) -> Result<Vec<u8>> {
    ensure!(
        text.len().is_multiple_of(2) && text.is_ascii(),
        "{text} is not hexadecimal"
    );
    (0..text.len())
        .step_by(2)
        .map(|at| Ok(u8::from_str_radix(&text[at..at + 2], 16)?))
        .collect()
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> Json {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into()
}

/// Writes a value by its schema; what does not fit the schema, and what has none, says its type.
pub(super) fn write(value: &Value, schema: Option<&Schema>) -> Json {
    if value.is_null() {
        return Json::Null;
    }
    match schema {
        Some(schema) if value.kind() == Some(schema.kind()) => fitting(value, schema),
        _ => {
            let kind = match value {
                Value::Decimal(_) => "decimal",
                other => other.kind().map_or("?", schema::kind_name),
            };
            let member = |name: &str, value: Json| (Arc::from(name), value);
            Object::from_iter([member("t", kind.into()), member("v", bare(value))]).into()
        }
    }
}

fn fitting(value: &Value, schema: &Schema) -> Json {
    match value {
        Value::Array(all) => all
            .iter()
            .map(|value| write(value, schema.value_schema()))
            .collect::<Vec<_>>()
            .into(),
        Value::Map(all) => pairs(all, schema.key_schema(), schema.value_schema()),
        Value::Struct(all) => structure(all),
        other => bare(other),
    }
}

fn pairs(all: &[(Value, Value)], key: Option<&Schema>, value: Option<&Schema>) -> Json {
    all.iter()
        .map(|(k, v)| Json::from(vec![write(k, key), write(v, value)]))
        .collect::<Vec<_>>()
        .into()
}

fn structure(all: &Struct) -> Json {
    let fields = all.schema().fields().iter().zip(all.values());
    fields
        .map(|(field, value)| (Arc::clone(&field.name), write(value, Some(&field.schema))))
        .collect::<Object>()
        .into()
}

fn bare(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => (*value).into(),
        Value::Int8(value) => i32::from(*value).into(),
        Value::Int16(value) => i32::from(*value).into(),
        Value::Int32(value) => (*value).into(),
        Value::Int64(value) => (*value).into(),
        Value::Float32(value) => number(f64::from(*value)),
        Value::Float64(value) => number(*value),
        Value::String(text) => text.as_str().into(),
        Value::Bytes(bytes) => hex(bytes),
        Value::Decimal(decimal) => {
            format!("{}e{}", decimal.unscaled(), -i64::from(decimal.scale())).into()
        }
        Value::Array(all) => all
            .iter()
            .map(|value| write(value, None))
            .collect::<Vec<_>>()
            .into(),
        Value::Map(all) => pairs(all, None, None),
        Value::Struct(all) => structure(all),
    }
}

fn number(value: f64) -> Json {
    match Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}
