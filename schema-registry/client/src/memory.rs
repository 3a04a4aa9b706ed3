//! A registry in memory and a converter on it, for the tests of converters: no server, no network, no task, so every question is answered at once.
//!
//! It stores what it is given, byte for byte: it neither parses nor compares schemas. What depends on a registry's rules is tested on a real one.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::marker::PhantomData;
use std::sync::Arc;

use futures::FutureExt as _;
use millrace_api::config::Props;
use millrace_api::data::{Blob, Data, Headers};
use millrace_api::plugin::{
    Converter, ConverterPlugin, DataError, Decoded, Encoded, NeedsSchema, TaskError,
};
use parking_lot::Mutex;

use crate::{ClientError, NewSchema, RegisteredSchema, Registries, SchemaRegistry};

const URL: &str = "http://registry.in.memory";

/// Ids from 1 by text, versions from 1 per subject.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    registered: Mutex<Vec<RegisteredSchema>>,
}

impl MemoryRegistry {
    /// Everything that is registered, in the order of its registration.
    pub fn registered(&self) -> Vec<RegisteredSchema> {
        self.registered.lock().clone()
    }

    /// Registers a schema, whatever the subject holds.
    pub fn add(&self, subject: &str, schema: &NewSchema) -> RegisteredSchema {
        let mut registered = self.registered.lock();
        if let Some(known) = registered.iter().find(|r| is(r, subject, schema)) {
            return known.clone();
        }
        let version = 1 + highest(of(&registered, subject).map(|r| r.version));
        let same = registered
            .iter()
            .find(|r| r.text == schema.text && r.references == schema.references);
        let id = same.map_or_else(|| 1 + highest(registered.iter().map(|r| r.id)), |r| r.id);
        let new = RegisteredSchema {
            subject: Some(subject.into()),
            version,
            id,
            guid: Some(guid(schema)),
            schema_type: schema.schema_type,
            text: Arc::clone(&schema.text),
            references: schema.references.clone(),
            metadata: None,
            rule_set: None,
        };
        registered.push(new.clone());
        new
    }

    fn find(
        &self,
        what: &str,
        holds: impl Fn(&RegisteredSchema) -> bool,
    ) -> Result<RegisteredSchema, ClientError> {
        let registered = self.registered.lock();
        let found = registered.iter().rev().find(|r| holds(r));
        found.cloned().ok_or_else(|| ClientError {
            status: 404,
            code: 40403,
            message: format!("{what} not found"),
            retriable: false,
        })
    }
}

fn of<'a>(
    registered: &'a [RegisteredSchema],
    subject: &str,
) -> impl Iterator<Item = &'a RegisteredSchema> {
    registered
        .iter()
        .filter(move |r| r.subject.as_deref() == Some(subject))
}

fn is(registered: &RegisteredSchema, subject: &str, schema: &NewSchema) -> bool {
    registered.subject.as_deref() == Some(subject) && registered.to_new() == *schema
}

fn highest(numbers: impl Iterator<Item = i32>) -> i32 {
    numbers.max().unwrap_or(0)
}

/// Of the content alone, as a real registry's; otherwise made differently.
fn guid(schema: &NewSchema) -> [u8; 16] {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        schema.hash(&mut hasher);
        hasher.finish()
    };
    ((u128::from(half(0)) << 64) | u128::from(half(1))).to_be_bytes()
}

/// What an answer by id or guid leaves out.
fn without_subject(found: RegisteredSchema) -> RegisteredSchema {
    RegisteredSchema {
        subject: None,
        version: 0,
        ..found
    }
}

#[async_trait::async_trait]
impl SchemaRegistry for MemoryRegistry {
    async fn register(
        &self,
        subject: &str,
        schema: &NewSchema,
        _normalize: bool,
    ) -> Result<RegisteredSchema, ClientError> {
        Ok(self.add(subject, schema))
    }

    async fn lookup(
        &self,
        subject: &str,
        schema: &NewSchema,
        _normalize: bool,
    ) -> Result<RegisteredSchema, ClientError> {
        self.find("Schema", |r| is(r, subject, schema))
    }

    async fn by_id(
        &self,
        id: i32,
        _subject: Option<&str>,
    ) -> Result<RegisteredSchema, ClientError> {
        self.find(&format!("Schema {id}"), |r| r.id == id)
            .map(without_subject)
    }

    async fn by_guid(&self, guid: [u8; 16]) -> Result<RegisteredSchema, ClientError> {
        self.find("Schema", |r| r.guid == Some(guid))
            .map(without_subject)
    }

    async fn version(
        &self,
        subject: &str,
        version: Option<i32>,
    ) -> Result<RegisteredSchema, ClientError> {
        self.find(&format!("Subject '{subject}'"), |r| {
            r.subject.as_deref() == Some(subject) && version.is_none_or(|v| v == r.version)
        })
    }

    async fn latest_with_metadata(
        &self,
        subject: &str,
        _metadata: &[(String, String)],
    ) -> Result<RegisteredSchema, ClientError> {
        self.find(&format!("Subject '{subject}' with metadata"), |_| false)
    }

    async fn version_of(
        &self,
        subject: &str,
        schema: &RegisteredSchema,
        _deleted: bool,
    ) -> Result<RegisteredSchema, ClientError> {
        self.lookup(subject, &schema.to_new(), false).await
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        _body: Option<String>,
    ) -> Result<(u16, String), ClientError> {
        let answer = format!(r#"{{"error_code":404,"message":"{method} {path} is not kept"}}"#);
        Ok((404, answer))
    }
}

/// A converter of plugin `P` on a registry of its own.
pub struct ConverterInMemory<P> {
    /// What the converter registers and asks.
    pub registry: Arc<MemoryRegistry>,
    /// The converter.
    pub converter: Box<dyn Converter>,
    plugin: PhantomData<P>,
}

impl<P> fmt::Debug for ConverterInMemory<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConverterInMemory")
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}

impl<P: ConverterPlugin + From<Registries>> ConverterInMemory<P> {
    /// On an empty registry.
    ///
    /// # Panics
    /// The settings are refused.
    #[allow(clippy::expect_used)] // a test's own settings
    pub fn new(settings: &[(&str, &str)], is_key: bool) -> Self {
        Self::on(Arc::default(), settings, is_key).expect("settings that a converter takes")
    }

    /// On a registry that holds something, or with settings that may be refused.
    ///
    /// # Errors
    /// The converter's own.
    pub fn on(
        registry: Arc<MemoryRegistry>,
        settings: &[(&str, &str)],
        is_key: bool,
    ) -> Result<Self, TaskError> {
        let registries = Registries::new();
        registries.add_local(&[URL.to_owned()], Arc::<MemoryRegistry>::clone(&registry));
        let mut props: Props = settings.iter().copied().collect();
        props.insert("schema.registry.url", URL);
        Ok(Self {
            registry,
            converter: P::from(registries).create(&props, is_key)?,
            plugin: PhantomData,
        })
    }
}

impl<P> ConverterInMemory<P> {
    /// Writes; `None` is null.
    ///
    /// # Errors
    /// The converter's own.
    ///
    /// # Panics
    /// It wrote something before it knew the schema, or asks again for what it has been given.
    pub fn encode(
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
                    assert!(out.is_empty(), "bytes before the schema is known");
                    self.prepare(need)?;
                }
            }
        }
        panic!("the schema is asked for a second time");
    }

    /// Reads.
    ///
    /// # Errors
    /// The converter's own.
    ///
    /// # Panics
    /// It asks again for what it has been given.
    pub fn decode(
        &mut self,
        topic: &str,
        headers: &Headers,
        payload: Option<&[u8]>,
    ) -> Result<Data, DataError> {
        let payload = payload.map(Blob::from);
        for _ in 0..2 {
            match self.converter.decode(topic, headers, payload.as_ref())? {
                Decoded::Data(data) => return Ok(data),
                Decoded::NeedsSchema(need) => self.prepare(need)?,
            }
        }
        panic!("the schema is asked for a second time");
    }

    /// Writes without headers to topic `t`.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn write(&mut self, data: &Data) -> Result<Option<Vec<u8>>, DataError> {
        self.encode("t", &mut Headers::new(), data)
    }

    /// Reads from topic `t`.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn read(&mut self, payload: &[u8]) -> Result<Data, DataError> {
        self.decode("t", &Headers::new(), Some(payload))
    }

    #[allow(clippy::expect_used)] // nothing in this registry waits
    fn prepare(&mut self, need: NeedsSchema) -> Result<(), DataError> {
        let prepared = self.converter.prepare(need).now_or_never();
        prepared.expect("a registry in memory answers at once")
    }
}
