//! `org.apache.kafka.connect.storage.SimpleHeaderConverter`: headers as text, their types guessed when read.

mod infer;
mod merge;
mod text;
mod tokens;

use std::sync::Arc;

use millrace_api::config::{ConfigDef, Props};
use millrace_api::data::{Blob, Data, Schema, Value};
use millrace_api::plugin::{
    DataError, HeaderConverter, HeaderConverterPlugin, PluginInfo, TaskError,
};

use crate::configured::KAFKA_VERSION;

pub use infer::infer;
pub use text::write_text;

const INFO: PluginInfo = PluginInfo {
    class: "org.apache.kafka.connect.storage.SimpleHeaderConverter",
    version: KAFKA_VERSION,
};

/// The default header converter. It writes no type, so what is read back need not be what was written: a text `123` comes back as an INT8.
#[derive(Debug, Default)]
pub struct SimpleHeaderConverter;

impl HeaderConverter for SimpleHeaderConverter {
    fn encode(
        &mut self,
        _topic: &str,
        _name: &str,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<bool, DataError> {
        if data.value.is_null() {
            return Ok(false);
        }
        write_text(data.schema.as_ref(), &data.value, out);
        Ok(true)
    }

    fn decode(
        &mut self,
        _topic: &str,
        _name: &str,
        bytes: Option<&Blob>,
    ) -> Result<Data, DataError> {
        let Some(bytes) = bytes else {
            return Ok(Data::NONE);
        };
        let text = bytes
            .clone()
            .into_text()
            .unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned().into());
        // What cannot even be guessed at is kept as it came.
        Ok(
            infer(&text)
                .unwrap_or_else(|_| Data::new(Schema::bytes(), Value::Bytes(bytes.clone()))),
        )
    }
}

/// The simple header converter.
#[derive(Debug)]
pub struct SimpleHeaderConverterPlugin;

impl HeaderConverterPlugin for SimpleHeaderConverterPlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(ConfigDef::new())
    }

    fn create(&self, _props: &Props) -> Result<Box<dyn HeaderConverter>, TaskError> {
        Ok(Box::new(SimpleHeaderConverter))
    }
}
