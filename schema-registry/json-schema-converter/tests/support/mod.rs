//! A registry in memory, and recorded cases as schemas and values.
#![allow(dead_code)] // each test uses its part

pub(crate) mod forms;
pub(crate) mod registry;

use std::sync::Arc;

use futures::FutureExt;
use millrace_api::config::Props;
use millrace_api::data::{Blob, Data, Headers};
use millrace_api::plugin::{Converter, ConverterPlugin, DataError, Decoded, Encoded};
use millrace_json_schema_converter::JsonSchemaConverterPlugin;
use registry_client::Registries;

use registry::MemoryRegistry;

/// A converter on its own registry.
pub(crate) struct Fixture {
    pub(crate) registry: Arc<MemoryRegistry>,
    pub(crate) converter: Box<dyn Converter>,
}

impl Fixture {
    pub(crate) fn new(settings: &[(&str, &str)], is_key: bool) -> Self {
        Self::on(Arc::default(), settings, is_key).expect("a converter")
    }

    pub(crate) fn on(
        registry: Arc<MemoryRegistry>,
        settings: &[(&str, &str)],
        is_key: bool,
    ) -> Result<Self, String> {
        let registries = Registries::new();
        let url = "http://registry.test:8081";
        registries.add_local(&[url.to_owned()], Arc::<MemoryRegistry>::clone(&registry));
        let mut props: Props = settings.iter().copied().collect();
        props.insert("schema.registry.url", url);
        let converter = JsonSchemaConverterPlugin::new(registries)
            .create(&props, is_key)
            .map_err(|error| error.trace())?;
        Ok(Self {
            registry,
            converter,
        })
    }

    /// Writes; `None` is null.
    pub(crate) fn encode(
        &mut self,
        topic: &str,
        headers: &mut Headers,
        data: &Data,
    ) -> Result<Option<Vec<u8>>, DataError> {
        for _ in 0..2 {
            let mut out = Vec::new();
            match self.converter.encode(topic, headers, data, &mut out)? {
                Encoded::Written => return Ok(Some(out)),
                Encoded::Null => return Ok(None),
                Encoded::NeedsSchema(need) => {
                    assert!(
                        out.is_empty(),
                        "nothing is written before the schema is known"
                    );
                    self.converter
                        .prepare(need)
                        .now_or_never()
                        .expect("a registry in memory answers at once")?;
                }
            }
        }
        panic!("a schema is asked for once");
    }

    /// Reads.
    pub(crate) fn decode(
        &mut self,
        topic: &str,
        headers: &Headers,
        payload: Option<&[u8]>,
    ) -> Result<Data, DataError> {
        let blob = payload.map(Blob::from);
        for _ in 0..2 {
            match self.converter.decode(topic, headers, blob.as_ref())? {
                Decoded::Data(data) => return Ok(data),
                Decoded::NeedsSchema(need) => {
                    self.converter
                        .prepare(need)
                        .now_or_never()
                        .expect("a registry in memory answers at once")?;
                }
            }
        }
        panic!("a schema is asked for once");
    }

    /// Writes without headers to topic `t`.
    pub(crate) fn write(&mut self, data: &Data) -> Result<Option<Vec<u8>>, DataError> {
        self.encode("t", &mut Headers::new(), data)
    }

    /// Reads from topic `t`.
    pub(crate) fn read(&mut self, payload: &[u8]) -> Result<Data, DataError> {
        self.decode("t", &Headers::new(), Some(payload))
    }
}
