//! Kafka's converters: keys, values and headers as bytes and back, byte for byte as a Java worker writes them.

mod calendar;
mod charset;
mod configured;
pub mod header;
mod java_text;
pub mod json;
mod primitive;
mod string;
mod temporal;

use std::sync::Arc;

use millrace_api::plugin::{ConverterPlugin, HeaderConverterPlugin};

pub use header::{SimpleHeaderConverter, SimpleHeaderConverterPlugin};
pub use json::{JsonConverter, JsonConverterConfig, JsonConverterPlugin};
pub use primitive::{PrimitiveConverter, PrimitiveConverterPlugin};
pub use string::{StringConverter, StringConverterPlugin};

/// All converters for keys and values, in the order in which `/connector-plugins` lists them.
pub fn converters() -> Vec<Arc<dyn ConverterPlugin>> {
    let mut all: Vec<Arc<dyn ConverterPlugin>> = Vec::new();
    all.extend(
        PrimitiveConverterPlugin::all().map(|plugin| Arc::new(plugin) as Arc<dyn ConverterPlugin>),
    );
    all.push(Arc::new(JsonConverterPlugin));
    all.push(Arc::new(StringConverterPlugin));
    all
}

/// All header converters, in the order in which `/connector-plugins` lists them.
pub fn header_converters() -> Vec<Arc<dyn HeaderConverterPlugin>> {
    let mut all: Vec<Arc<dyn HeaderConverterPlugin>> = Vec::new();
    all.extend(
        PrimitiveConverterPlugin::all()
            .map(|plugin| Arc::new(plugin) as Arc<dyn HeaderConverterPlugin>),
    );
    all.push(Arc::new(JsonConverterPlugin));
    all.push(Arc::new(SimpleHeaderConverterPlugin));
    all.push(Arc::new(StringConverterPlugin));
    all
}
