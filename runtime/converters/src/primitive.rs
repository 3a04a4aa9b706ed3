//! `org.apache.kafka.connect.converters.*`: values whose bytes are the value.

use std::sync::Arc;

use millrace_api::config::{ConfigDef, ConnectConfig, LetterCase, Props, Validator};
use millrace_api::data::{Blob, Data, Headers, Kind, Schema, SchemaBuilder, Value};
use millrace_api::plugin::{
    Converter, ConverterPlugin, DataError, Decoded, Encoded, HeaderConverter,
    HeaderConverterPlugin, PluginInfo, TaskError,
};

use crate::configured::{KAFKA_VERSION, Role, configured};

/// The only key of these converters.
#[derive(Clone, Debug, ConnectConfig)]
struct PrimitiveConverterConfig {
    /// What the converter is used for: `key`, `value` or `header`. Set by the worker.
    #[config(name = "converter.type", required, importance = "low", validate = Validator::one_of(["key", "value", "header"], LetterCase::Exact))]
    _converter_type: String,
}

/// Which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Bytes as they are.
    ByteArray,
    /// One byte, 0 or 1.
    Boolean,
    /// A number of fixed width, big-endian.
    Short,
    Integer,
    Long,
    Float,
    Double,
}

impl Form {
    fn kind(self) -> Kind {
        match self {
            Self::ByteArray => Kind::Bytes,
            Self::Boolean => Kind::Boolean,
            Self::Short => Kind::Int16,
            Self::Integer => Kind::Int32,
            Self::Long => Kind::Int64,
            Self::Float => Kind::Float32,
            Self::Double => Kind::Float64,
        }
    }

    /// The word in messages.
    fn word(self) -> &'static str {
        match self {
            Self::ByteArray => "bytes",
            Self::Boolean => "boolean",
            Self::Short => "short",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
        }
    }

    fn width(self) -> usize {
        match self {
            Self::ByteArray => 0,
            Self::Boolean => 1,
            Self::Short => 2,
            Self::Integer | Self::Float => 4,
            Self::Long | Self::Double => 8,
        }
    }
}

fn serialization_error(message: String) -> DataError {
    DataError::new(message).with_java_class("org.apache.kafka.common.errors.SerializationException")
}

/// Bytes, a boolean or a number as its bytes.
#[derive(Debug)]
pub struct PrimitiveConverter {
    form: Form,
    schema: Schema,
}

impl PrimitiveConverter {
    fn new(form: Form) -> Self {
        Self {
            form,
            schema: SchemaBuilder::new(form.kind()).optional(true).build_valid(),
        }
    }

    fn write(&self, data: &Data, out: &mut Vec<u8>) -> Result<bool, DataError> {
        let wrong_schema = |name: &str, kind: Kind| {
            DataError::new(format!("Invalid schema type for {name}: {}", kind.name()))
        };
        match (self.form, data.schema.as_ref().map(Schema::kind)) {
            (Form::ByteArray, Some(kind)) if kind != Kind::Bytes => {
                return Err(wrong_schema("ByteArrayConverter", kind));
            }
            (Form::Boolean, Some(kind)) if kind != Kind::Boolean => {
                return Err(wrong_schema("BooleanConverter", kind));
            }
            _ => {}
        }
        match (self.form, &data.value) {
            (_, Value::Null) => return Ok(false),
            (Form::ByteArray, Value::Bytes(v)) => out.extend_from_slice(v),
            (Form::Boolean, Value::Boolean(v)) => out.push(u8::from(*v)),
            (Form::Short, Value::Int16(v)) => out.extend_from_slice(&v.to_be_bytes()),
            (Form::Integer, Value::Int32(v)) => out.extend_from_slice(&v.to_be_bytes()),
            (Form::Long, Value::Int64(v)) => out.extend_from_slice(&v.to_be_bytes()),
            (Form::Float, Value::Float32(v)) => out.extend_from_slice(&v.to_be_bytes()),
            (Form::Double, Value::Float64(v)) => out.extend_from_slice(&v.to_be_bytes()),
            (Form::ByteArray, other) => {
                return Err(DataError::new(format!(
                    "ByteArrayConverter is not compatible with objects of type {}",
                    other.java_class()
                )));
            }
            (Form::Boolean, other) => {
                return Err(DataError::new(format!(
                    "BooleanConverter is not compatible with objects of type {}",
                    other.java_class()
                )));
            }
            (form, other) => {
                return Err(DataError::new(format!(
                    "Failed to serialize to {} (was {}): ",
                    form.word(),
                    other.java_class()
                )));
            }
        }
        Ok(true)
    }

    fn read(&self, bytes: Option<&Blob>) -> Result<Data, DataError> {
        let Some(bytes) = bytes else {
            return Ok(Data::new(self.schema.clone(), Value::Null));
        };
        let value = match (self.form, &**bytes) {
            (Form::ByteArray, _) => Some(Value::Bytes(bytes.clone())),
            (Form::Boolean, [0]) => Some(Value::Boolean(false)),
            (Form::Boolean, [1]) => Some(Value::Boolean(true)),
            (Form::Boolean, _) => None,
            (Form::Short, b) => b
                .try_into()
                .ok()
                .map(|b| Value::Int16(i16::from_be_bytes(b))),
            (Form::Integer, b) => b
                .try_into()
                .ok()
                .map(|b| Value::Int32(i32::from_be_bytes(b))),
            (Form::Long, b) => b
                .try_into()
                .ok()
                .map(|b| Value::Int64(i64::from_be_bytes(b))),
            (Form::Float, b) => b
                .try_into()
                .ok()
                .map(|b| Value::Float32(f32::from_be_bytes(b))),
            (Form::Double, b) => b
                .try_into()
                .ok()
                .map(|b| Value::Float64(f64::from_be_bytes(b))),
        };
        let value = value.ok_or_else(|| {
            let cause = if bytes.len() != self.form.width() {
                format!(
                    "Size of data received is {}, but {} needs {}",
                    bytes.len(),
                    self.form.word(),
                    self.form.width()
                )
            } else {
                format!(
                    "Unexpected byte received by {}: only 0 and 1 are known",
                    self.form.word()
                )
            };
            DataError::new(format!("Failed to deserialize {}: ", self.form.word()))
                .with_source(serialization_error(cause))
        })?;
        Ok(Data::new(self.schema.clone(), value))
    }
}

impl Converter for PrimitiveConverter {
    fn encode(
        &mut self,
        _topic: &str,
        _headers: &mut Headers,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, DataError> {
        self.write(data, out).map(|written| {
            if written {
                Encoded::Written
            } else {
                Encoded::Null
            }
        })
    }

    fn decode(
        &mut self,
        _topic: &str,
        _headers: &Headers,
        bytes: Option<&Blob>,
    ) -> Result<Decoded, DataError> {
        self.read(bytes).map(Decoded::Data)
    }
}

impl HeaderConverter for PrimitiveConverter {
    fn encode(
        &mut self,
        _topic: &str,
        _name: &str,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<bool, DataError> {
        self.write(data, out)
    }

    fn decode(
        &mut self,
        _topic: &str,
        _name: &str,
        bytes: Option<&Blob>,
    ) -> Result<Data, DataError> {
        self.read(bytes)
    }
}

/// One of these converters, for keys, values and headers.
#[derive(Debug)]
pub struct PrimitiveConverterPlugin {
    info: PluginInfo,
    form: Form,
}

impl PrimitiveConverterPlugin {
    /// All of them, by class name.
    pub fn all() -> [Self; 7] {
        let plugin = |class, form| Self {
            info: PluginInfo {
                class,
                version: KAFKA_VERSION,
            },
            form,
        };
        [
            plugin(
                "org.apache.kafka.connect.converters.BooleanConverter",
                Form::Boolean,
            ),
            plugin(
                "org.apache.kafka.connect.converters.ByteArrayConverter",
                Form::ByteArray,
            ),
            plugin(
                "org.apache.kafka.connect.converters.DoubleConverter",
                Form::Double,
            ),
            plugin(
                "org.apache.kafka.connect.converters.FloatConverter",
                Form::Float,
            ),
            plugin(
                "org.apache.kafka.connect.converters.IntegerConverter",
                Form::Integer,
            ),
            plugin(
                "org.apache.kafka.connect.converters.LongConverter",
                Form::Long,
            ),
            plugin(
                "org.apache.kafka.connect.converters.ShortConverter",
                Form::Short,
            ),
        ]
    }

    fn converter(&self, props: &Props, role: Role) -> Result<PrimitiveConverter, TaskError> {
        configured::<PrimitiveConverterConfig>(props, role)?;
        Ok(PrimitiveConverter::new(self.form))
    }
}

impl ConverterPlugin for PrimitiveConverterPlugin {
    fn info(&self) -> &PluginInfo {
        &self.info
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(PrimitiveConverterConfig::definition().clone())
    }

    fn create(&self, props: &Props, is_key: bool) -> Result<Box<dyn Converter>, TaskError> {
        Ok(Box::new(self.converter(props, Role::of(is_key))?))
    }
}

impl HeaderConverterPlugin for PrimitiveConverterPlugin {
    fn info(&self) -> &PluginInfo {
        &self.info
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(PrimitiveConverterConfig::definition().clone())
    }

    fn create(&self, props: &Props) -> Result<Box<dyn HeaderConverter>, TaskError> {
        Ok(Box::new(self.converter(props, Role::Header)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roundtrip(form: Form, value: Value, bytes: &[u8]) {
        let converter = PrimitiveConverter::new(form);
        let data = Data::new(converter.schema.clone(), value);
        let mut out = Vec::new();
        assert!(converter.write(&data, &mut out).expect("written"));
        assert_eq!(out, bytes);
        assert_eq!(converter.read(Some(&bytes.into())).expect("read"), data);
        assert_eq!(converter.read(None).expect("null").value, Value::Null);
    }

    #[test]
    fn values_are_big_endian_bytes() {
        roundtrip(Form::Short, Value::Int16(-2), &[0xff, 0xfe]);
        roundtrip(Form::Integer, Value::Int32(258), &[0, 0, 1, 2]);
        roundtrip(Form::Long, Value::Int64(1), &[0, 0, 0, 0, 0, 0, 0, 1]);
        roundtrip(Form::Float, Value::Float32(1.0), &[0x3f, 0x80, 0, 0]);
        roundtrip(
            Form::Double,
            Value::Float64(1.0),
            &[0x3f, 0xf0, 0, 0, 0, 0, 0, 0],
        );
        roundtrip(Form::Boolean, Value::Boolean(true), &[1]);
        roundtrip(Form::ByteArray, Value::Bytes(vec![9, 8].into()), &[9, 8]);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_javas_texts() {
        let written = |form, data: Data| {
            PrimitiveConverter::new(form)
                .write(&data, &mut Vec::new())
                .expect_err("refused")
                .message
        };
        assert_eq!(
            written(Form::Integer, Data::schemaless("x")),
            "Failed to serialize to integer (was class java.lang.String): "
        );
        assert_eq!(
            written(Form::ByteArray, Data::new(Schema::string(), "x")),
            "Invalid schema type for ByteArrayConverter: STRING"
        );
        assert_eq!(
            written(Form::ByteArray, Data::schemaless("x")),
            "ByteArrayConverter is not compatible with objects of type class java.lang.String"
        );
        assert_eq!(
            written(Form::Boolean, Data::new(Schema::string(), "x")),
            "Invalid schema type for BooleanConverter: STRING"
        );
        let read = |form, bytes: &[u8]| {
            PrimitiveConverter::new(form)
                .read(Some(&bytes.into()))
                .expect_err("refused")
                .message
        };
        assert_eq!(read(Form::Long, &[1, 2]), "Failed to deserialize long: ");
        assert_eq!(read(Form::Boolean, &[2]), "Failed to deserialize boolean: ");
    }
}
