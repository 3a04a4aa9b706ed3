//! Which schema a payload was written with, and with which it is read.

use std::collections::HashSet;
use std::sync::Arc;

use millrace_api::plugin::DataError;

use super::rest_failure::rest_failure;
use super::{PayloadSchema, SchemaSerde};
use crate::{ClientError, Reference, RegisteredSchema, SchemaType};

/// More schemas than one can reach through references.
const MAX_REFERENCES: usize = 10_000;

impl SchemaSerde {
    /// The schema that a payload was written with, as Confluent's deserializer finds it for `topic`: by id under the topic's subject, then its version there.
    /// `record_name` gives the record's name from a schema's text, for record strategies.
    ///
    /// # Errors
    /// What the registry answered.
    pub async fn payload_schema(
        &self,
        topic: &str,
        schema: PayloadSchema,
        record_name: &(dyn Fn(&RegisteredSchema) -> Option<String> + Sync),
    ) -> Result<Arc<RegisteredSchema>, DataError> {
        let failed = |error: ClientError| rest_failure(error, || self.retrieving_payload(schema));
        let needs_record = self.subjects.needs_record();
        let topics_subject = if needs_record {
            None
        } else {
            Some(self.subject(topic, None).await?)
        };
        let found = match schema {
            PayloadSchema::Id(id) => self.registry.by_id(id, topics_subject.as_deref()).await,
            PayloadSchema::Guid(guid) => self.registry.by_guid(guid).await,
        };
        let found = found.map_err(failed)?;
        if found.schema_type != self.schema_type {
            let (is, wanted) = (found.schema_type.name(), self.schema_type.name());
            let message = format!(
                "{}: it is of type {is}, not {wanted}",
                self.retrieving_payload(schema)
            );
            return Err(DataError::new(message)
                .with_java_class("org.apache.kafka.common.errors.SerializationException"));
        }
        let subject = match topics_subject {
            Some(subject) => subject,
            None => self.subject(topic, record_name(&found).as_deref()).await?,
        };
        self.contract
            .permits_reading(&found, &subject, self.has_reader_schema())?;
        // The schema's own word on its version comes before the registry's, which then is not asked.
        if let Some(version) = found.own_version() {
            return Ok(Arc::new(RegisteredSchema {
                subject: Some(subject),
                version,
                ..found
            }));
        }
        if found.version > 0 && found.subject.as_ref() == Some(&subject) {
            return Ok(Arc::new(found));
        }
        let registered = self
            .registry
            .version_of(&subject, &found, true)
            .await
            .map_err(failed)?;
        Ok(Arc::new(RegisteredSchema {
            subject: Some(subject),
            version: registered.version,
            // A payload that names a guid has no id of its own.
            id: if matches!(schema, PayloadSchema::Guid(_)) {
                registered.id
            } else {
                found.id
            },
            guid: found.guid.or(registered.guid),
            ..found
        }))
    }

    /// Under `use.latest.version` and its kin: the schema that data is read with, instead of the one it was written with.
    ///
    /// # Errors
    /// What the registry answered.
    pub async fn reader_schema(
        &self,
        written: &RegisteredSchema,
        subject: &str,
    ) -> Result<Option<Arc<RegisteredSchema>>, DataError> {
        let answer = if !self.metadata.is_empty() {
            self.registry
                .latest_with_metadata(subject, &self.metadata)
                .await
        } else if self.config.use_latest_version {
            self.registry.version(subject, None).await
        } else {
            return Ok(None);
        };
        let failed = |error| {
            rest_failure(error, || {
                self.retrieving_payload(PayloadSchema::Id(written.id))
            })
        };
        let reader = answer.map_err(failed)?;
        // Data goes from version to version, and each step may have rules.
        let (first, last) = (
            written.version.min(reader.version),
            written.version.max(reader.version),
        );
        let mut between = Vec::new();
        // A version that is not known is no place to begin.
        let steps = if first > 0 { first + 1..last } else { 0..0 };
        for version in steps {
            match self.registry.version(subject, Some(version)).await {
                Ok(schema) => between.push(schema),
                // Deleted: no step.
                Err(error) if error.code == 40402 => {}
                Err(error) => return Err(failed(error)),
            }
        }
        self.contract
            .permits_migrating(written, &between, &reader, subject)?;
        Ok(Some(Arc::new(reader)))
    }

    /// The texts of everything that `schema` refers to, with the names by which it does, dependencies first, each name once.
    ///
    /// # Errors
    /// What the registry answered.
    pub async fn references(
        &self,
        schema: &RegisteredSchema,
    ) -> Result<Vec<(Arc<str>, Arc<str>)>, DataError> {
        struct Level {
            /// What is referred to, and still to be visited.
            rest: std::vec::IntoIter<Reference>,
            /// Context of the schema that refers, as `:.ctx:`.
            context: String,
            /// The schema that refers; none for the one that was asked about.
            own: Option<(Arc<str>, Arc<str>)>,
        }
        let context =
            |subject: Option<&str>| subject.map(context_of).unwrap_or_default().to_owned();
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        let mut levels = vec![Level {
            rest: schema.references.clone().into_iter(),
            context: context(schema.subject.as_deref()),
            own: None,
        }];
        while let Some(level) = levels.last_mut() {
            let Some(reference) = level.rest.next() else {
                found.extend(levels.pop().and_then(|level| level.own));
                continue;
            };
            if !seen.insert(Arc::clone(&reference.name)) {
                continue;
            }
            if seen.len() > MAX_REFERENCES {
                let message = format!(
                    "Schema {} refers to more than {MAX_REFERENCES} others",
                    schema.id
                );
                return Err(DataError::new(message)
                    .with_java_class("org.apache.kafka.common.errors.SerializationException"));
            }
            // An unqualified subject is meant in the context of the schema that refers to it.
            let subject = if context_of(&reference.subject).is_empty() {
                format!("{}{}", level.context, reference.subject)
            } else {
                reference.subject.to_string()
            };
            let next = self.registry.version(&subject, Some(reference.version)).await.map_err(|error| {
                rest_failure(error, || format!("Error retrieving schema {} version {}, to which schema {} refers as {}", subject, reference.version, schema.id, reference.name))
            })?;
            levels.push(Level {
                rest: next.references.into_iter(),
                context: context_of(&subject).to_owned(),
                own: Some((reference.name, next.text)),
            });
        }
        Ok(found)
    }

    fn retrieving_payload(&self, schema: PayloadSchema) -> String {
        let what = match (self.schema_type, self.is_key) {
            (SchemaType::Avro, true) => "Avro key",
            (SchemaType::Avro, false) => "Avro value",
            (SchemaType::Json, _) => "JSON",
            (SchemaType::Protobuf, _) => "Protobuf",
        };
        format!(
            "Error retrieving {what} schema for id {}",
            schema.java_text(self.schema_type, None)
        )
    }
}

/// `:.ctx:` of a qualified subject, else nothing.
fn context_of(subject: &str) -> &str {
    if !subject.starts_with(":.") {
        return "";
    }
    subject[1..].find(':').map_or("", |end| &subject[..end + 2])
}
