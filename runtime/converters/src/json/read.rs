//! JSON to values, by a schema or by what is there.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use millrace_api::data::{Blob, Decimal, Kind, Schema, Struct, Text, Value};
use millrace_api::plugin::DataError;
use num_bigint::BigInt;

use super::plan::{Logical, ReadPlan, time_in_range};
use super::reader::{Fault, RawNumber, RawString, Reader, Token, syntax};

type Outcome<T> = Result<T, Box<Fault>>;

/// Base64 as Jackson reads it: padding is required, the bits after the last byte are not looked at.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// Reads values out of one document. Text without escapes is a slice of the document's frame.
pub(crate) struct ValueReader<'a> {
    pub(crate) reader: Reader<'a>,
    document: &'a Blob,
    replace_null_with_default: bool,
    /// Set when something that is not text was read as a required text or bytes: the struct around it must refuse that null.
    odd_null: bool,
}

impl<'a> ValueReader<'a> {
    pub(crate) fn new(document: &'a Blob, at: usize, replace_null_with_default: bool) -> Self {
        Self {
            reader: Reader::new(document, at),
            document,
            replace_null_with_default,
            odd_null: false,
        }
    }

    /// Reads the next value by `plan`.
    pub(crate) fn value(&mut self, plan: &ReadPlan) -> Outcome<Value> {
        let token = self.reader.peek()?;
        if token == Token::Null {
            self.reader.literal()?;
            return self.null(&plan.schema).map_err(Into::into);
        }
        if plan.logical != Logical::No {
            return self.logical(plan, token);
        }
        match plan.kind {
            Kind::Boolean => match token {
                Token::Boolean => Ok(Value::Boolean(self.reader.literal()?.unwrap_or(false))),
                _ => self.skipped(Value::Boolean(false)),
            },
            // Narrowed without a check, as a Java worker does.
            Kind::Int8 => Ok(Value::Int8(self.integer(token)? as i8)),
            Kind::Int16 => Ok(Value::Int16(self.integer(token)? as i16)),
            Kind::Int32 => Ok(Value::Int32(self.integer(token)? as i32)),
            Kind::Int64 => Ok(Value::Int64(self.integer(token)?)),
            Kind::Float32 => match token {
                Token::Number => Ok(Value::Float32(self.float()?)),
                _ => self.skipped(Value::Float32(0.0)),
            },
            Kind::Float64 => match token {
                Token::Number => Ok(Value::Float64(self.double()?)),
                _ => self.skipped(Value::Float64(0.0)),
            },
            Kind::String => match token {
                Token::String => self.text().map(Value::String),
                _ => self.odd_null(plan),
            },
            Kind::Bytes => match token {
                Token::String => match self.base64()? {
                    Ok(bytes) => Ok(Value::Bytes(bytes.into())),
                    Err(cause) => Err(DataError::new("Invalid bytes field")
                        .with_source(cause)
                        .into()),
                },
                _ => self.odd_null(plan),
            },
            Kind::Array => self.array(plan.value.as_deref(), token),
            Kind::Map => self.map(plan, token),
            Kind::Struct => self.structure(plan, token),
        }
    }

    /// Reads the next value without a schema: integers are INT64, other numbers FLOAT64, objects maps.
    pub(crate) fn schemaless(&mut self) -> Outcome<Value> {
        match self.reader.peek()? {
            Token::Null | Token::Boolean => {
                Ok(self.reader.literal()?.map_or(Value::Null, Value::Boolean))
            }
            Token::Number => {
                let number = self.reader.number()?;
                if number.integral {
                    Ok(Value::Int64(low_bits(number.text)))
                } else {
                    Ok(Value::Float64(self.parsed(number, double_of)?))
                }
            }
            Token::String => self.text().map(Value::String),
            Token::Array => self.array(None, Token::Array),
            Token::Object => {
                self.reader.enter()?;
                let mut entries = Entries::default();
                let mut first = true;
                while let Some(name) = self.reader.next_member(first)? {
                    first = false;
                    let name = Value::String(self.text_of(name)?);
                    let value = self.schemaless()?;
                    entries.put(name, value);
                }
                Ok(entries.finish())
            }
        }
    }

    /// What a null or a missing member is by `schema`.
    fn null(&self, schema: &Schema) -> Result<Value, DataError> {
        match schema.default() {
            Some(default) if self.replace_null_with_default => Ok(default.clone()),
            _ if schema.optional() => Ok(Value::Null),
            _ => Err(DataError::new(format!(
                "Invalid null value for required {} field",
                schema.kind().name()
            ))),
        }
    }

    fn skipped(&mut self, value: Value) -> Outcome<Value> {
        self.reader.skip()?;
        Ok(value)
    }

    fn odd_null(&mut self, plan: &ReadPlan) -> Outcome<Value> {
        self.odd_null |= !plan.schema.optional();
        self.skipped(Value::Null)
    }

    fn logical(&mut self, plan: &ReadPlan, token: Token) -> Outcome<Value> {
        let name = plan.logical.name();
        match (plan.logical, token) {
            (Logical::Decimal(_), Token::Number) => {
                let number = self.reader.number()?;
                self.parsed(number, |text| text.parse().ok())
                    .map(|v: Decimal| Value::from(v))
            }
            (Logical::Decimal(scale), Token::String) => {
                let invalid = || DataError::new("Invalid bytes for Decimal field");
                match (self.base64()?, scale) {
                    (Err(cause), _) => Err(invalid().with_source(cause).into()),
                    (Ok(_), None) => Err(invalid()
                        .with_source(DataError::new(
                            "Invalid Decimal schema: scale parameter not found.",
                        ))
                        .into()),
                    (Ok(bytes), _) if bytes.is_empty() => {
                        Err(invalid().with_source("Zero length BigInteger").into())
                    }
                    (Ok(bytes), Some(scale)) => Ok(Decimal::from_be_bytes(&bytes, scale).into()),
                }
            }
            (Logical::Date | Logical::Time, Token::Number) => {
                let number = self.reader.number()?;
                let value: Option<i32> = number.text.parse().ok().filter(|_| number.integral);
                match value {
                    None => Err(DataError::new(format!("Invalid type for {name}, underlying representation should be integer but was NUMBER")).into()),
                    Some(millis) if plan.logical == Logical::Time && !time_in_range(millis) => {
                        Err(DataError::new("Time values must use number of milliseconds greater than 0 and less than 86400000").into())
                    }
                    Some(value) => Ok(Value::Int32(value)),
                }
            }
            (Logical::Timestamp, Token::Number) => {
                let number = self.reader.number()?;
                if number.integral {
                    Ok(Value::Int64(low_bits(number.text)))
                } else {
                    Err(DataError::new("Invalid type for Timestamp, underlying representation should be integral but was NUMBER").into())
                }
            }
            (_, token) => {
                let wanted = match plan.logical {
                    Logical::Decimal(_) => "numeric or bytes",
                    Logical::Timestamp => "integral",
                    _ => "integer",
                };
                Err(DataError::new(format!("Invalid type for {name}, underlying representation should be {wanted} but was {}", token.node_type())).into())
            }
        }
    }

    fn structure(&mut self, plan: &ReadPlan, token: Token) -> Outcome<Value> {
        if token != Token::Object {
            return Err(DataError::new(format!(
                "Structs should be encoded as JSON objects, but found {}",
                token.node_type()
            ))
            .into());
        }
        self.reader.enter()?;
        let fields = plan.schema.fields();
        let mut values = vec![Value::Null; fields.len()];
        let mut first = true;
        // Members mostly come in the order of the fields: then no name is looked up.
        let mut expected = 0;
        while let Some(name) = self.reader.next_member(first)? {
            first = false;
            let content = self.reader.content(name);
            let at = if name.escaped {
                let name = self.reader.text(name)?;
                plan.schema.field(&name).map(|(i, _)| i)
            } else if fields
                .get(expected)
                .is_some_and(|f| f.name.as_bytes() == content)
            {
                Some(expected)
            } else {
                std::str::from_utf8(content)
                    .ok()
                    .and_then(|name| plan.schema.field(name))
                    .map(|(i, _)| i)
            };
            let Some(at) = at else {
                self.reader.skip()?;
                continue;
            };
            expected = at + 1;
            values[at] = self.value(&plan.fields[at])?;
            if self.odd_null {
                self.odd_null = false;
                let location = format!("field: \"{}\"", fields[at].name);
                refuse_nulls(&plan.fields[at].schema, &values[at], &location)?;
            }
        }
        // A null by now was either read and is allowed, or its member is missing.
        for (value, field) in values.iter_mut().zip(fields) {
            if value.is_null() {
                *value = self.null(&field.schema)?;
            }
        }
        Ok(Value::Struct(Struct::new(plan.schema.clone(), values)))
    }

    fn array(&mut self, element: Option<&ReadPlan>, token: Token) -> Outcome<Value> {
        let mut values = Vec::new();
        let mut first = true;
        match token {
            Token::Array => {
                self.reader.enter()?;
                while self.reader.next_element(first)? {
                    first = false;
                    values.push(self.part(element)?);
                }
            }
            // Java iterates over whatever the node is: an object gives its members, a scalar nothing.
            Token::Object => {
                self.reader.enter()?;
                while self.reader.next_member(first)?.is_some() {
                    first = false;
                    values.push(self.part(element)?);
                }
            }
            _ => self.reader.skip()?,
        }
        Ok(Value::Array(Arc::new(values)))
    }

    fn part(&mut self, plan: Option<&ReadPlan>) -> Outcome<Value> {
        match plan {
            Some(plan) => self.value(plan),
            None => self.schemaless(),
        }
    }

    fn map(&mut self, plan: &ReadPlan, token: Token) -> Outcome<Value> {
        let mut entries = Entries::default();
        let mut first = true;
        if plan
            .key
            .as_ref()
            .is_some_and(|key| key.kind == Kind::String)
        {
            if token != Token::Object {
                return Err(DataError::new(format!(
                    "Maps with string fields should be encoded as JSON objects, but found {}",
                    token.node_type()
                ))
                .into());
            }
            self.reader.enter()?;
            while let Some(name) = self.reader.next_member(first)? {
                first = false;
                let name = Value::String(self.text_of(name)?);
                let value = self.part(plan.value.as_deref())?;
                entries.put(name, value);
            }
            return Ok(entries.finish());
        }
        if token != Token::Array {
            let found = token.node_type();
            return Err(DataError::new(format!("Maps with non-string fields should be encoded as JSON array of tuples, but found {found}")).into());
        }
        self.reader.enter()?;
        while self.reader.next_element(first)? {
            first = false;
            let token = self.reader.peek()?;
            if token != Token::Array {
                return Err(DataError::new(format!(
                    "Found invalid map entry instead of array tuple: {}",
                    token.node_type()
                ))
                .into());
            }
            let length = self.length_of_array()?;
            if length != 2 {
                return Err(DataError::new(format!(
                    "Found invalid map entry, expected length 2 but found :{length}"
                ))
                .into());
            }
            self.reader.enter()?;
            self.reader.next_element(true)?;
            let key = self.part(plan.key.as_deref())?;
            self.reader.next_element(false)?;
            let value = self.part(plan.value.as_deref())?;
            self.reader.next_element(false)?;
            entries.put(key, value);
        }
        Ok(entries.finish())
    }

    /// Number of elements of the array that is next; the cursor stays.
    fn length_of_array(&self) -> Outcome<usize> {
        let mut ahead = self.reader.clone();
        ahead.enter()?;
        let mut count = 0;
        while ahead.next_element(count == 0)? {
            ahead.skip()?;
            count += 1;
        }
        Ok(count)
    }

    fn text(&mut self) -> Outcome<Text> {
        let raw = self.reader.string()?;
        self.text_of(raw)
    }

    fn text_of(&self, raw: RawString) -> Outcome<Text> {
        if raw.escaped {
            return self.reader.text(raw).map(Text::new);
        }
        let slice = u32::try_from(raw.start)
            .ok()
            .zip(u32::try_from(raw.end - raw.start).ok())
            .and_then(|(start, len)| self.document.slice(start, len));
        slice
            .and_then(Blob::into_text)
            .ok_or_else(|| syntax(raw.start, "Invalid UTF-8 in a string"))
    }

    /// Bytes of a base64 string, or what is wrong with it.
    fn base64(&mut self) -> Outcome<Result<Vec<u8>, String>> {
        let raw = self.reader.string()?;
        let unescaped;
        let content = if raw.escaped {
            unescaped = self.reader.text(raw)?;
            unescaped.as_bytes()
        } else {
            self.reader.content(raw)
        };
        let decoded = match BASE64.decode(content) {
            Err(_) if content.iter().any(|b| *b <= b' ') => BASE64.decode(
                content
                    .iter()
                    .copied()
                    .filter(|b| *b > b' ')
                    .collect::<Vec<_>>(),
            ),
            other => other,
        };
        Ok(decoded.map_err(|e| {
            format!("Failed to decode a JSON string as base64 (MIME-NO-LINEFEEDS): {e}")
        }))
    }

    fn integer(&mut self, token: Token) -> Outcome<i64> {
        if token != Token::Number {
            self.reader.skip()?;
            return Ok(0);
        }
        let number = self.reader.number()?;
        if number.integral {
            Ok(low_bits(number.text))
        } else {
            self.parsed(number, |text| {
                text.parse().ok().map(|v| low_bits_of_decimal(&v))
            })
        }
    }

    fn double(&mut self) -> Outcome<f64> {
        let number = self.reader.number()?;
        self.parsed(number, double_of)
    }

    fn float(&mut self) -> Outcome<f32> {
        let number = self.reader.number()?;
        self.parsed(number, |text| {
            if exponent_fits(text) {
                text.parse().ok()
            } else {
                None
            }
        })
    }

    fn parsed<T>(
        &self,
        number: RawNumber<'_>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Outcome<T> {
        parse(number.text).ok_or_else(|| {
            syntax(
                self.reader.position(),
                format!(
                    "Malformed numeric value ({}): Exponent out of range.",
                    number.text
                ),
            )
        })
    }
}

/// A double of a number whose exponent a Java decimal can hold.
fn double_of(text: &str) -> Option<f64> {
    if exponent_fits(text) {
        text.parse().ok()
    } else {
        None
    }
}

/// Java makes a decimal of every fraction first, and its exponent has 32 bits.
fn exponent_fits(text: &str) -> bool {
    match text.find(['e', 'E']) {
        Some(at) if text.len() - at > 9 => text.parse::<Decimal>().is_ok(),
        _ => true,
    }
}

/// The low 64 bits of an integer of any size, which is what Java makes of one that does not fit.
fn low_bits(text: &str) -> i64 {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let value = digits.bytes().fold(0i64, |value, digit| {
        value.wrapping_mul(10).wrapping_add(i64::from(digit & 15))
    });
    if negative {
        value.wrapping_neg()
    } else {
        value
    }
}

/// The same of a decimal without its fraction.
fn low_bits_of_decimal(value: &Decimal) -> i64 {
    let low = |v: &BigInt| -> i64 {
        let digit = v.magnitude().iter_u64_digits().next().unwrap_or(0) as i64;
        if v.sign() == num_bigint::Sign::Minus {
            digit.wrapping_neg()
        } else {
            digit
        }
    };
    let unscaled = value.unscaled();
    match value.scale() {
        0 => low(&unscaled),
        scale if scale < 0 => {
            // 10^64 and more have 64 zero bits at the end.
            (0..scale.unsigned_abs().min(64)).fold(low(&unscaled), |v, _| v.wrapping_mul(10))
        }
        // No number has more digits than the reader lets through, so a larger scale leaves nothing.
        scale if scale > 2000 => 0,
        scale => low(&(unscaled / BigInt::from(10).pow(scale.unsigned_abs()))),
    }
}

/// Says where in `value` there is a null that its schema does not allow, as a Java struct does when a field is put.
fn refuse_nulls(schema: &Schema, value: &Value, location: &str) -> Result<(), DataError> {
    match value {
        Value::Null if !schema.optional() => Err(DataError::new(format!(
            "Invalid value: null used for required {location}, schema type: {}",
            schema.kind().name()
        ))),
        Value::Array(values) => match schema.value_schema() {
            Some(element) => values.iter().try_for_each(|v| {
                refuse_nulls(element, v, &format!("element of array {location}"))
            }),
            None => Ok(()),
        },
        Value::Map(entries) => entries.iter().try_for_each(|(key, value)| {
            if let Some(schema) = schema.key_schema() {
                refuse_nulls(schema, key, &format!("key of map {location}"))?;
            }
            schema.value_schema().map_or(Ok(()), |schema| {
                refuse_nulls(schema, value, &format!("value of map {location}"))
            })
        }),
        _ => Ok(()),
    }
}

/// Entries of a map in the making: a key that comes again replaces the value and keeps its place.
#[derive(Default)]
struct Entries {
    list: Vec<(Value, Value)>,
    /// Only once there are many: comparing with a few keys is faster than hashing.
    index: HashMap<Value, usize>,
}

impl Entries {
    const MANY: usize = 12;

    fn put(&mut self, key: Value, value: Value) {
        let at = if self.list.len() < Self::MANY {
            self.list.iter().position(|(k, _)| *k == key)
        } else {
            if self.index.is_empty() {
                self.index = self
                    .list
                    .iter()
                    .enumerate()
                    .map(|(i, (k, _))| (k.clone(), i))
                    .collect();
            }
            self.index.get(&key).copied()
        };
        match at {
            Some(at) => self.list[at].1 = value,
            None => {
                if self.list.len() >= Self::MANY {
                    self.index.insert(key.clone(), self.list.len());
                }
                self.list.push((key, value));
            }
        }
    }

    fn finish(self) -> Value {
        Value::Map(Arc::new(self.list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_wrap_like_javas() {
        assert_eq!(low_bits("12345678901234567890"), -6101065172474983726);
        assert_eq!(low_bits("-9223372036854775808"), i64::MIN);
        assert_eq!(low_bits("0007"), 7);
        for (text, value) in [
            ("1.9", 1),
            ("-1.9", -1),
            ("1e3", 1000),
            ("1E-1", 0),
            ("1e400", 0),
            ("1e-2147483", 0),
            ("12345678901234567890.5", -6101065172474983726),
            ("1e19", 1e19 as u64 as i64),
        ] {
            assert_eq!(
                low_bits_of_decimal(&text.parse().expect("a decimal")),
                value,
                "{text}"
            );
        }
    }

    #[test]
    fn a_repeated_key_replaces_whatever_the_size() {
        for size in [3, 50] {
            let mut entries = Entries::default();
            for round in 0..2 {
                for i in 0..size {
                    entries.put(Value::Int64(i), Value::Int64(i + round));
                }
            }
            let Value::Map(map) = entries.finish() else {
                panic!("a map")
            };
            assert_eq!(map.len(), size as usize);
            assert!(map.iter().enumerate().all(
                |(i, (k, v))| *k == Value::Int64(i as i64) && *v == Value::Int64(i as i64 + 1)
            ));
        }
    }
}
