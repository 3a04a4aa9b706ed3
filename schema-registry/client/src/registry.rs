use std::fmt::Debug;
use std::sync::Arc;

use java_idioms::Json;
use java_idioms::json::ReadOptions;

use crate::ClientError;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaType {
    /// `AVRO`
    Avro,
    /// `JSON`
    Json,
    /// `PROTOBUF`
    Protobuf,
}

impl SchemaType {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }

    /// The type with this name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Avro, Self::Json, Self::Protobuf]
            .into_iter()
            .find(|t| t.name() == name)
    }
}

/// A mention of another registered schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Name by which the schema mentions it.
    pub name: Arc<str>,
    /// Subject.
    pub subject: Arc<str>,
    /// Version.
    pub version: i32,
}

/// A schema to register or to look up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NewSchema {
    /// Format.
    pub schema_type: SchemaType,
    /// Text.
    pub text: Arc<str>,
    /// References in their order.
    pub references: Vec<Reference>,
}

/// A schema as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredSchema {
    /// Subject, when the answer names one.
    pub subject: Option<Arc<str>>,
    /// Version under the subject; 0 when the answer names none.
    pub version: i32,
    /// Id in the subject's context.
    pub id: i32,
    /// Guid, from registries of release 8.0 on.
    pub guid: Option<[u8; 16]>,
    /// Format.
    pub schema_type: SchemaType,
    /// Text.
    pub text: Arc<str>,
    /// References in their order.
    pub references: Vec<Reference>,
    /// Metadata as a JSON object, as the registry sent it.
    pub metadata: Option<Arc<str>>,
    /// Rule set of a data contract as a JSON object, as the registry sent it.
    pub rule_set: Option<Arc<str>>,
}

impl RegisteredSchema {
    /// The version that the schema's own metadata names, in the property `confluent:version`; none when that is no integer. Reads the metadata: to be asked once per
    /// schema.
    pub fn own_version(&self) -> Option<i32> {
        let metadata = Json::read(self.metadata.as_deref()?, ReadOptions::default()).ok()?;
        let version = metadata.get("properties")?.get("confluent:version")?;
        version.as_str()?.parse().ok()
    }

    /// The same as something to register or to look up.
    pub fn to_new(&self) -> NewSchema {
        NewSchema {
            schema_type: self.schema_type,
            text: Arc::clone(&self.text),
            references: self.references.clone(),
        }
    }
}

/// A schema registry, seen from a serializer. One value is shared by all tasks that use the same registry with the same settings; implementations cache what cannot
/// change (ids, guids, registrations), so repeated questions cost no round trip.
#[async_trait::async_trait]
pub trait SchemaRegistry: Send + Sync + Debug {
    /// `POST /subjects/{s}/versions`. The text in the answer is the registry's where it sends one, else the one that was given.
    async fn register(
        &self,
        subject: &str,
        schema: &NewSchema,
        normalize: bool,
    ) -> Result<RegisteredSchema, ClientError>;

    /// `POST /subjects/{s}`
    async fn lookup(
        &self,
        subject: &str,
        schema: &NewSchema,
        normalize: bool,
    ) -> Result<RegisteredSchema, ClientError>;

    /// `GET /schemas/ids/{id}`
    async fn by_id(&self, id: i32, subject: Option<&str>) -> Result<RegisteredSchema, ClientError>;

    /// `GET /schemas/guids/{guid}`
    async fn by_guid(&self, guid: [u8; 16]) -> Result<RegisteredSchema, ClientError>;

    /// `GET /subjects/{s}/versions/{v}`; `None` is `latest`. Not cached longer than the settings say when it is the latest. A version that is named by its number may have
    /// been soft-deleted: schemas that refer to it, and data, still need it.
    async fn version(
        &self,
        subject: &str,
        version: Option<i32>,
    ) -> Result<RegisteredSchema, ClientError>;

    /// `GET /subjects/{s}/metadata?key=…&value=…`
    async fn latest_with_metadata(
        &self,
        subject: &str,
        metadata: &[(String, String)],
    ) -> Result<RegisteredSchema, ClientError>;

    /// `POST /subjects/{s}`: the version and id that a schema which the registry knows has under a subject, with `deleted` also those that it had. Its metadata and rule
    /// set count, unlike in [`lookup`](Self::lookup).
    async fn version_of(
        &self,
        subject: &str,
        schema: &RegisteredSchema,
        deleted: bool,
    ) -> Result<RegisteredSchema, ClientError> {
        crate::rest::version_of(self, subject, schema, deleted).await
    }

    /// Any call, answered as status and body: for what has no method here. `path` with its query, percent-encoded.
    async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, String), ClientError>;
}
