//! `org.apache.kafka.connect.storage.StringConverter`.

use std::sync::Arc;

use millrace_api::config::{ConfigDef, ConnectConfig, LetterCase, Props, Validator};
use millrace_api::data::{Blob, Data, Headers, Schema, Text, Value};
use millrace_api::plugin::{
    Converter, ConverterPlugin, DataError, Decoded, Encoded, HeaderConverter,
    HeaderConverterPlugin, PluginInfo, TaskError,
};

use crate::charset::Charset;
use crate::configured::{KAFKA_VERSION, Role, configured};
use crate::java_text::write_java_text;

const INFO: PluginInfo = PluginInfo {
    class: "org.apache.kafka.connect.storage.StringConverter",
    version: KAFKA_VERSION,
};

/// Keys of the string converter.
#[derive(Clone, Debug, ConnectConfig)]
struct StringConverterConfig {
    /// What the converter is used for: `key`, `value` or `header`. Set by the worker.
    #[config(name = "converter.type", required, importance = "low", validate = Validator::one_of(["key", "value", "header"], LetterCase::Exact))]
    _converter_type: String,
    /// Character set in which text is written and read.
    #[config(
        name = "converter.encoding",
        default = "UTF-8",
        importance = "high",
        group = "Encoding",
        order = 0,
        width = "medium",
        display = "Encoding"
    )]
    encoding: String,
}

/// Writes every value as its Java text and reads everything as a string.
#[derive(Debug)]
pub struct StringConverter {
    charset: Charset,
    schema: Schema,
}

impl StringConverter {
    fn new(props: &Props, role: Role) -> Result<Self, TaskError> {
        let config: StringConverterConfig = configured(props, role)?;
        let charset = Charset::named(&config.encoding).ok_or_else(|| {
            TaskError::config(
                "converter.encoding",
                format!("Invalid value {} for configuration converter.encoding: not a known character set; known are {}", config.encoding, Charset::KNOWN.join(", ")),
            )
        })?;
        Ok(Self {
            charset,
            schema: Schema::string().to_optional(),
        })
    }

    fn write(&self, data: &Data, out: &mut Vec<u8>) -> bool {
        match &data.value {
            Value::Null => return false,
            Value::String(text) => self.charset.encode(text, out),
            other if self.charset == Charset::Utf8 => {
                write_java_text(data.schema.as_ref(), other, out)
            }
            other => {
                let mut text = Vec::new();
                write_java_text(data.schema.as_ref(), other, &mut text);
                self.charset.encode(&String::from_utf8_lossy(&text), out);
            }
        }
        true
    }

    fn read(&self, bytes: Option<&Blob>) -> Data {
        let value = match bytes {
            None => Value::Null,
            // Slices the frame when it is what we want already.
            Some(bytes) if self.charset == Charset::Utf8 => match bytes.clone().into_text() {
                Some(text) => Value::String(text),
                None => Value::String(Text::new(self.charset.decode(bytes))),
            },
            Some(bytes) => Value::String(Text::new(self.charset.decode(bytes))),
        };
        Data::new(self.schema.clone(), value)
    }
}

impl Converter for StringConverter {
    fn encode(
        &mut self,
        _topic: &str,
        _headers: &mut Headers,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, DataError> {
        Ok(if self.write(data, out) {
            Encoded::Written
        } else {
            Encoded::Null
        })
    }

    fn decode(
        &mut self,
        _topic: &str,
        _headers: &Headers,
        bytes: Option<&Blob>,
    ) -> Result<Decoded, DataError> {
        Ok(Decoded::Data(self.read(bytes)))
    }
}

impl HeaderConverter for StringConverter {
    fn encode(
        &mut self,
        _topic: &str,
        _name: &str,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<bool, DataError> {
        Ok(self.write(data, out))
    }

    fn decode(
        &mut self,
        _topic: &str,
        _name: &str,
        bytes: Option<&Blob>,
    ) -> Result<Data, DataError> {
        Ok(self.read(bytes))
    }
}

/// The string converter, for keys, values and headers.
#[derive(Debug)]
pub struct StringConverterPlugin;

impl ConverterPlugin for StringConverterPlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(StringConverterConfig::definition().clone())
    }

    fn create(&self, props: &Props, is_key: bool) -> Result<Box<dyn Converter>, TaskError> {
        Ok(Box::new(StringConverter::new(props, Role::of(is_key))?))
    }
}

impl HeaderConverterPlugin for StringConverterPlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(StringConverterConfig::definition().clone())
    }

    fn create(&self, props: &Props) -> Result<Box<dyn HeaderConverter>, TaskError> {
        Ok(Box::new(StringConverter::new(props, Role::Header)?))
    }
}
