use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::{DataError, PluginInfo, TaskError};
use crate::config::{ConfigDef, Props};
use crate::data::{Blob, Data, Headers};

/// A schema that a converter has to fetch or register before it can go on: opaque to the worker, which awaits [`Converter::prepare`] with it and calls again.
pub struct NeedsSchema(pub Box<dyn Any + Send>);

impl fmt::Debug for NeedsSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NeedsSchema")
    }
}

/// Outcome of [`Converter::encode`].
#[derive(Debug)]
pub enum Encoded {
    /// The bytes were appended.
    Written,
    /// The record's key or value is null.
    Null,
    /// Nothing was appended: prepare, then call again.
    NeedsSchema(NeedsSchema),
}

/// Outcome of [`Converter::decode`].
#[derive(Debug)]
pub enum Decoded {
    /// The data.
    Data(Data),
    /// Prepare, then call again.
    NeedsSchema(NeedsSchema),
}

/// Turns keys or values into bytes and back. One instance per task and per role (key or value).
///
/// `encode` and `decode` are synchronous: no await inside the record loop. A converter that talks to a schema registry answers `NeedsSchema` for a schema it has not
/// met and does its I/O in [`prepare`](Self::prepare).
pub trait Converter: Send {
    /// Appends the bytes of `data` to `out`. May add headers. On an error `out` may hold a partial value: the caller drops it.
    fn encode(
        &mut self,
        topic: &str,
        headers: &mut Headers,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, DataError>;

    /// Decodes `bytes` (`None` is null). Text and bytes of the result may be slices of the same frame.
    fn decode(
        &mut self,
        topic: &str,
        headers: &Headers,
        bytes: Option<&Blob>,
    ) -> Result<Decoded, DataError>;

    /// Does what a `NeedsSchema` asked for. The default is for converters that never ask.
    fn prepare<'a>(&'a mut self, need: NeedsSchema) -> BoxFuture<'a, Result<(), DataError>> {
        let _ = need;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Turns header values into bytes and back.
pub trait HeaderConverter: Send {
    /// Appends the bytes of a header's value to `out`; `false`: the value is null.
    fn encode(
        &mut self,
        topic: &str,
        name: &str,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<bool, DataError>;

    /// Decodes a header's value.
    fn decode(&mut self, topic: &str, name: &str, bytes: Option<&Blob>) -> Result<Data, DataError>;
}

/// A kind of converter.
pub trait ConverterPlugin: Send + Sync {
    /// Class, aliases, version.
    fn info(&self) -> &PluginInfo;
    /// Its configuration keys, without prefix.
    fn config(&self) -> Arc<ConfigDef>;
    /// A configured instance for keys or for values; `props` without the `key.converter.` or `value.converter.` prefix.
    fn create(&self, props: &Props, is_key: bool) -> Result<Box<dyn Converter>, TaskError>;
}

/// A kind of header converter.
pub trait HeaderConverterPlugin: Send + Sync {
    /// Class, aliases, version.
    fn info(&self) -> &PluginInfo;
    /// Its configuration keys, without prefix.
    fn config(&self) -> Arc<ConfigDef>;
    /// A configured instance; `props` without the `header.converter.` prefix.
    fn create(&self, props: &Props) -> Result<Box<dyn HeaderConverter>, TaskError>;
}
