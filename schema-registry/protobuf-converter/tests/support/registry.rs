use std::sync::{Arc, Mutex, PoisonError};

use md5::{Digest, Md5};

use registry_client::{ClientError, NewSchema, RegisteredSchema, SchemaRegistry, SchemaType};
use registry_protobuf::{Direction, ProtobufSchema, Strictness};

/// Ids from 1 by text, versions from 1 per subject; BACKWARD unless a subject says NONE.
#[derive(Debug, Default)]
pub(crate) struct MemoryRegistry {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    registered: Vec<RegisteredSchema>,
    unchecked: Vec<String>,
}

impl State {
    fn of(&self, subject: &str) -> impl Iterator<Item = &RegisteredSchema> {
        let subject = subject.to_owned();
        self.registered
            .iter()
            .filter(move |r| r.subject.as_deref() == Some(&subject))
    }

    fn texts(&self, schema: &NewSchema) -> Vec<(Arc<str>, Arc<str>)> {
        let mut texts = Vec::new();
        for reference in &schema.references {
            if let Some(found) = self
                .of(&reference.subject)
                .find(|r| r.version == reference.version)
            {
                texts.extend(self.texts(&found.to_new()));
                texts.push((Arc::clone(&reference.name), Arc::clone(&found.text)));
            }
        }
        texts
    }
}

fn refuse<T>(status: u16, code: i32, message: impl Into<String>) -> Result<T, ClientError> {
    Err(ClientError {
        status,
        code,
        message: message.into(),
        retriable: false,
    })
}

impl MemoryRegistry {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_compatibility(&self, subject: &str, level: &str) {
        let mut state = self.state();
        state.unchecked.retain(|s| s != subject);
        if level == "NONE" {
            state.unchecked.push(subject.to_owned());
        }
    }

    /// Everything that is registered, by id.
    pub(crate) fn registered(&self) -> Vec<RegisteredSchema> {
        let mut all = self.state().registered.clone();
        all.sort_by_key(|r| (r.id, r.subject.clone(), r.version));
        all
    }

    pub(crate) fn add(
        &self,
        subject: &str,
        schema: &NewSchema,
        normalize: bool,
    ) -> Result<RegisteredSchema, ClientError> {
        let mut state = self.state();
        let texts = state.texts(schema);
        let mut text = Arc::clone(&schema.text);
        if schema.schema_type == SchemaType::Protobuf {
            let protobuf = match ProtobufSchema::parse(&schema.text, &texts, Strictness::New) {
                Ok(protobuf) => protobuf,
                Err(error) => return refuse(422, 42201, error.to_string()),
            };
            text = if normalize {
                protobuf.normalized()
            } else {
                protobuf.canonical()
            }
            .into();
            let same = state.of(subject).find(|r| r.text == text).cloned();
            if let Some(same) = same {
                return Ok(same);
            }
            if !state.unchecked.iter().any(|s| s == subject)
                && let Some(last) = state.of(subject).max_by_key(|r| r.version)
            {
                let texts = state.texts(&last.to_new());
                let old = ProtobufSchema::parse(&last.text, &texts, Strictness::Stored)
                    .expect("what was registered parses");
                let found = ProtobufSchema::check(&protobuf, &old, Direction::Backward)
                    .expect("the check does not fail");
                if !found.is_empty() {
                    return refuse(409, 40901, format!("incompatible: {}", found[0].message));
                }
            }
        }
        let version = 1 + state.of(subject).map(|r| r.version).max().unwrap_or(0);
        let known = state.registered.iter().find(|r| r.text == text);
        let highest = state.registered.iter().map(|r| r.id).max().unwrap_or(0);
        let id = known.map_or(highest + 1, |r| r.id);
        let registered = RegisteredSchema {
            subject: Some(subject.into()),
            version,
            id,
            guid: Some(Md5::digest(text.as_bytes()).into()),
            schema_type: schema.schema_type,
            text,
            references: schema.references.clone(),
        };
        state.registered.push(registered.clone());
        Ok(registered)
    }
}

#[async_trait::async_trait]
impl SchemaRegistry for MemoryRegistry {
    async fn register(
        &self,
        subject: &str,
        schema: &NewSchema,
        normalize: bool,
    ) -> Result<RegisteredSchema, ClientError> {
        self.add(subject, schema, normalize)
    }

    async fn lookup(
        &self,
        subject: &str,
        schema: &NewSchema,
        normalize: bool,
    ) -> Result<RegisteredSchema, ClientError> {
        let state = self.state();
        let text: Arc<str> = match ProtobufSchema::parse(&schema.text, &[], Strictness::Stored) {
            Ok(protobuf) if normalize => protobuf.normalized().into(),
            Ok(protobuf) => protobuf.canonical().into(),
            Err(_) => Arc::clone(&schema.text),
        };
        if state.of(subject).next().is_none() {
            return refuse(404, 40401, format!("Subject '{subject}' not found."));
        }
        match state
            .of(subject)
            .find(|r| r.text == text || r.text == schema.text)
        {
            Some(found) => Ok(found.clone()),
            None => refuse(404, 40403, "Schema not found"),
        }
    }

    async fn by_id(&self, id: i32, subject: Option<&str>) -> Result<RegisteredSchema, ClientError> {
        let state = self.state();
        match state
            .registered
            .iter()
            .filter(|r| r.id == id)
            .find(|r| subject.is_none_or(|s| r.subject.as_deref() == Some(s)))
            .or_else(|| state.registered.iter().find(|r| r.id == id))
        {
            Some(found) => Ok(RegisteredSchema {
                subject: None,
                version: 0,
                ..found.clone()
            }),
            None => refuse(404, 40403, format!("Schema {id} not found")),
        }
    }

    async fn by_guid(&self, guid: [u8; 16]) -> Result<RegisteredSchema, ClientError> {
        let found = self.state();
        match found.registered.iter().find(|r| r.guid == Some(guid)) {
            Some(found) => Ok(RegisteredSchema {
                subject: None,
                version: 0,
                ..found.clone()
            }),
            None => refuse(404, 40403, "Schema not found"),
        }
    }

    async fn version(
        &self,
        subject: &str,
        version: Option<i32>,
    ) -> Result<RegisteredSchema, ClientError> {
        let state = self.state();
        let found = match version {
            Some(version) => state.of(subject).find(|r| r.version == version),
            None => state.of(subject).max_by_key(|r| r.version),
        };
        match found {
            Some(found) => Ok(found.clone()),
            None => refuse(404, 40401, format!("Subject '{subject}' not found.")),
        }
    }

    async fn latest_with_metadata(
        &self,
        subject: &str,
        _metadata: &[(String, String)],
    ) -> Result<RegisteredSchema, ClientError> {
        refuse(404, 40401, format!("Subject '{subject}' not found."))
    }

    async fn version_of(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<RegisteredSchema, ClientError> {
        self.lookup(subject, schema, false).await
    }

    async fn call(
        &self,
        _method: &str,
        _path: &str,
        _body: Option<String>,
    ) -> Result<(u16, String), ClientError> {
        Ok((
            404,
            r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#.to_owned(),
        ))
    }
}
