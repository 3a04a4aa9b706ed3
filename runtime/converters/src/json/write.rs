//! Values as JSON, by a plan compiled once per schema.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_api::data::{Decimal, Kind, Schema, Value, java_f32, java_f64};
use millrace_api::plugin::DataError;

use super::config::DecimalFormat;
use super::escape::write_string;
use super::plan::{Logical, time_in_range};

/// How values are written, from the converter's configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriteOptions {
    pub(crate) decimal_format: DecimalFormat,
    pub(crate) replace_null_with_default: bool,
}

/// What a null becomes.
#[derive(Debug)]
enum NullRule {
    Null,
    /// The default, rendered.
    Default(Box<[u8]>),
    Refuse,
}

#[derive(Debug)]
enum Form {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
    Bytes,
    Decimal {
        scale: Option<i32>,
        format: DecimalFormat,
    },
    Date,
    Time,
    Timestamp,
    Array(Option<Box<WritePlan>>),
    Map {
        key: Option<Box<WritePlan>>,
        value: Option<Box<WritePlan>>,
        as_object: bool,
    },
    Struct {
        schema: Schema,
        fields: Box<[FieldPlan]>,
    },
}

#[derive(Debug)]
struct FieldPlan {
    /// `{"name":` or `,"name":`, escaped.
    lead: Box<[u8]>,
    plan: WritePlan,
}

/// How values of one schema are written.
#[derive(Debug)]
pub(crate) struct WritePlan {
    form: Form,
    on_null: NullRule,
}

impl WritePlan {
    /// Compiles `schema`. Fails when its default cannot be written.
    pub(crate) fn new(schema: &Schema, options: WriteOptions) -> Result<Self, DataError> {
        let form = match Logical::of(schema) {
            Logical::Decimal(scale) => Form::Decimal {
                scale,
                format: options.decimal_format,
            },
            Logical::Date => Form::Date,
            Logical::Time => Form::Time,
            Logical::Timestamp => Form::Timestamp,
            Logical::No => Self::form(schema, options)?,
        };
        let mut plan = Self {
            form,
            on_null: if schema.optional() {
                NullRule::Null
            } else {
                NullRule::Refuse
            },
        };
        if let Some(default) = schema
            .default()
            .filter(|_| options.replace_null_with_default)
        {
            let mut rendered = Vec::new();
            plan.write(default, &mut rendered, &mut Vec::new())?;
            plan.on_null = NullRule::Default(rendered.into());
        }
        Ok(plan)
    }

    fn form(schema: &Schema, options: WriteOptions) -> Result<Form, DataError> {
        let part = |part: Option<&Schema>| {
            part.map(|s| Self::new(s, options).map(Box::new))
                .transpose()
        };
        Ok(match schema.kind() {
            Kind::Int8 => Form::Int8,
            Kind::Int16 => Form::Int16,
            Kind::Int32 => Form::Int32,
            Kind::Int64 => Form::Int64,
            Kind::Float32 => Form::Float32,
            Kind::Float64 => Form::Float64,
            Kind::Boolean => Form::Boolean,
            Kind::String => Form::String,
            Kind::Bytes => Form::Bytes,
            Kind::Array => Form::Array(part(schema.value_schema())?),
            Kind::Map => Form::Map {
                key: part(schema.key_schema())?,
                value: part(schema.value_schema())?,
                as_object: schema
                    .key_schema()
                    .is_some_and(|k| k.kind() == Kind::String),
            },
            Kind::Struct => {
                let mut fields = Vec::with_capacity(schema.fields().len());
                for field in schema.fields() {
                    let mut lead = vec![if fields.is_empty() { b'{' } else { b',' }];
                    write_string(&field.name, &mut lead);
                    lead.push(b':');
                    fields.push(FieldPlan {
                        lead: lead.into(),
                        plan: Self::new(&field.schema, options)?,
                    });
                }
                Form::Struct {
                    schema: schema.clone(),
                    fields: fields.into(),
                }
            }
        })
    }

    /// Appends `value`. `scratch` is working space for decimals.
    pub(crate) fn write(
        &self,
        value: &Value,
        out: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), DataError> {
        match (&self.form, value) {
            (_, Value::Null) => match &self.on_null {
                NullRule::Null => out.extend_from_slice(b"null"),
                NullRule::Default(rendered) => out.extend_from_slice(rendered),
                NullRule::Refuse => {
                    return Err(DataError::new(
                        "Conversion error: null value for field that is required and has no default value",
                    ));
                }
            },
            (Form::String, Value::String(v)) => write_string(v, out),
            (Form::Int32 | Form::Date, Value::Int32(v)) => write_integer(*v, out),
            (Form::Int64 | Form::Timestamp, Value::Int64(v)) => write_integer(*v, out),
            (Form::Int16, Value::Int16(v)) => write_integer(*v, out),
            (Form::Int8, Value::Int8(v)) => write_integer(*v, out),
            (Form::Boolean, Value::Boolean(v)) => {
                out.extend_from_slice(if *v { b"true" } else { b"false" })
            }
            (Form::Float64, Value::Float64(v)) => write_double(*v, out),
            (Form::Float32, Value::Float32(v)) => write_float(*v, out),
            (Form::Bytes, Value::Bytes(v)) => write_base64(v, out),
            (Form::Decimal { scale, format }, Value::Decimal(v)) => match format {
                DecimalFormat::Numeric => write_decimal(v, out),
                DecimalFormat::Base64 => {
                    let scale = scale.ok_or_else(|| {
                        DataError::new("Invalid Decimal schema: scale parameter not found.")
                    })?;
                    if v.scale() != scale {
                        return Err(DataError::new(format!(
                            "Decimal value has mismatching scale for given Decimal schema. Schema has scale {scale}, value has scale {}.",
                            v.scale()
                        )));
                    }
                    scratch.clear();
                    v.write_be_bytes(scratch);
                    write_base64(scratch, out);
                }
            },
            (Form::Time, Value::Int32(v)) => {
                if !time_in_range(*v) {
                    return Err(DataError::new(
                        "Kafka Connect Time type should not have any date fields set to non-zero values.",
                    ));
                }
                write_integer(*v, out);
            }
            (Form::Struct { schema, fields }, Value::Struct(v)) => {
                if v.schema() != schema {
                    return Err(DataError::new("Mismatching schema."));
                }
                if fields.is_empty() {
                    out.push(b'{');
                }
                for (field, value) in fields.iter().zip(v.values()) {
                    out.extend_from_slice(&field.lead);
                    field.plan.write(value, out, scratch)?;
                }
                out.push(b'}');
            }
            (Form::Array(element), Value::Array(v)) => {
                out.push(b'[');
                for (i, value) in v.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    write_part(element.as_deref(), value, out, scratch)?;
                }
                out.push(b']');
            }
            (
                Form::Map {
                    key,
                    value,
                    as_object: true,
                },
                Value::Map(v),
            ) => {
                out.push(b'{');
                for (i, (k, item)) in v.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    match k {
                        Value::String(name) => write_string(name, out),
                        // A null key's default or "null": the key is text whatever it is.
                        other => {
                            let mut rendered = Vec::new();
                            write_part(key.as_deref(), other, &mut rendered, scratch)?;
                            let quoted = rendered.first() == Some(&b'"');
                            out.extend_from_slice(if quoted { b"" } else { b"\"" });
                            out.extend_from_slice(&rendered);
                            out.extend_from_slice(if quoted { b"" } else { b"\"" });
                        }
                    }
                    out.push(b':');
                    write_part(value.as_deref(), item, out, scratch)?;
                }
                out.push(b'}');
            }
            (
                Form::Map {
                    key,
                    value,
                    as_object: false,
                },
                Value::Map(v),
            ) => {
                out.push(b'[');
                for (i, (k, item)) in v.iter().enumerate() {
                    out.extend_from_slice(if i > 0 { b",[" } else { b"[" });
                    write_part(key.as_deref(), k, out, scratch)?;
                    out.push(b',');
                    write_part(value.as_deref(), item, out, scratch)?;
                    out.push(b']');
                }
                out.push(b']');
            }
            (form, other) => return Err(form.mismatch(other)),
        }
        Ok(())
    }
}

impl Form {
    fn mismatch(&self, value: &Value) -> DataError {
        let class = value.java_class();
        let kind = match self {
            Self::Decimal { .. } => {
                return DataError::new(format!(
                    "Invalid type for Decimal, expected BigDecimal but was {class}"
                ));
            }
            Self::Date => {
                return DataError::new(format!(
                    "Invalid type for Date, expected Date but was {class}"
                ));
            }
            Self::Time => {
                return DataError::new(format!(
                    "Invalid type for Time, expected Date but was {class}"
                ));
            }
            Self::Timestamp => {
                return DataError::new(format!(
                    "Invalid type for Timestamp, expected Date but was {class}"
                ));
            }
            Self::Bytes => return DataError::new(format!("Invalid type for bytes type: {class}")),
            Self::Int8 => Kind::Int8,
            Self::Int16 => Kind::Int16,
            Self::Int32 => Kind::Int32,
            Self::Int64 => Kind::Int64,
            Self::Float32 => Kind::Float32,
            Self::Float64 => Kind::Float64,
            Self::Boolean => Kind::Boolean,
            Self::String => Kind::String,
            Self::Array(_) => Kind::Array,
            Self::Map { .. } => Kind::Map,
            Self::Struct { .. } => Kind::Struct,
        };
        DataError::new(format!("Invalid type for {}: {class}", kind.name()))
    }
}

/// An element, key or value whose schema may be missing.
fn write_part(
    plan: Option<&WritePlan>,
    value: &Value,
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) -> Result<(), DataError> {
    match plan {
        Some(plan) => plan.write(value, out, scratch),
        None => write_schemaless(value, out),
    }
}

/// Appends a value that has no schema, in the form its class suggests.
pub(crate) fn write_schemaless(value: &Value, out: &mut Vec<u8>) -> Result<(), DataError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(v) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
        Value::Int8(v) => write_integer(*v, out),
        Value::Int16(v) => write_integer(*v, out),
        Value::Int32(v) => write_integer(*v, out),
        Value::Int64(v) => write_integer(*v, out),
        Value::Float32(v) => write_float(*v, out),
        Value::Float64(v) => write_double(*v, out),
        Value::String(v) => write_string(v, out),
        Value::Bytes(v) => write_base64(v, out),
        Value::Decimal(_) => {
            return Err(DataError::new(format!(
                "Java {} does not have corresponding schema type.",
                value.java_class()
            )));
        }
        Value::Struct(_) => return Err(DataError::new("Mismatching schema.")),
        Value::Array(v) => {
            out.push(b'[');
            for (i, value) in v.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_schemaless(value, out)?;
            }
            out.push(b']');
        }
        Value::Map(v) if v.iter().all(|(k, _)| matches!(k, Value::String(_))) => {
            out.push(b'{');
            for (i, (key, value)) in v.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_schemaless(key, out)?;
                out.push(b':');
                write_schemaless(value, out)?;
            }
            out.push(b'}');
        }
        Value::Map(v) => {
            out.push(b'[');
            for (i, (key, value)) in v.iter().enumerate() {
                out.extend_from_slice(if i > 0 { b",[" } else { b"[" });
                write_schemaless(key, out)?;
                out.push(b',');
                write_schemaless(value, out)?;
                out.push(b']');
            }
            out.push(b']');
        }
    }
    Ok(())
}

fn write_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Not-a-number and the infinities have no number form in JSON: they are quoted.
fn write_double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        java_f64(value, out);
    } else {
        out.push(b'"');
        java_f64(value, out);
        out.push(b'"');
    }
}

fn write_float(value: f32, out: &mut Vec<u8>) {
    if value.is_finite() {
        java_f32(value, out);
    } else {
        out.push(b'"');
        java_f32(value, out);
        out.push(b'"');
    }
}

pub(crate) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    if STANDARD.encode_slice(bytes, &mut out[start..]).is_err() {
        unreachable!("the length of padded base64 is a function of the input's");
    }
    out.push(b'"');
}

/// As Java's `BigDecimal.toString`; without allocating when it needs neither more than 128 bits nor an exponent.
fn write_decimal(value: &Decimal, out: &mut Vec<u8>) {
    if let Some(unscaled) = value.unscaled_i128()
        && let Ok(scale) = usize::try_from(value.scale())
    {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
        if digits.len() + 5 >= scale {
            if unscaled < 0 {
                out.push(b'-');
            }
            if digits.len() > scale {
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                out.extend_from_slice(whole);
                if !fraction.is_empty() {
                    out.push(b'.');
                    out.extend_from_slice(fraction);
                }
            } else {
                out.extend_from_slice(b"0.");
                out.extend(std::iter::repeat_n(b'0', scale - digits.len()));
                out.extend_from_slice(digits);
            }
            return;
        }
    }
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_like_their_text() {
        for text in [
            "0",
            "0.00",
            "-1.50",
            "123.45",
            "1E+3",
            "1E-7",
            "0.000001",
            "-0.0000123",
            "0.0000001234567",
            "0E-8",
            "170141183460469231731687303715884105728.1",
            "99999999999999999999",
        ] {
            let value: Decimal = text.parse().expect("a decimal");
            let mut out = Vec::new();
            write_decimal(&value, &mut out);
            assert_eq!(String::from_utf8(out).expect("ASCII"), value.to_string());
        }
    }
}
