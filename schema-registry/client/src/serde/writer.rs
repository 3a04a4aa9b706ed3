//! Which schema data is written with.

use std::fmt::Write as _;
use std::sync::Arc;

use millrace_api::plugin::DataError;

use super::rest_failure::rest_failure;
use super::{SchemaSerde, WriterSchema};
use crate::{ClientError, NewSchema, RegisteredSchema, SchemaType};

impl SchemaSerde {
    /// Registers, looks up or picks the schema for data of `schema`, as `auto.register.schemas`, `use.latest.version`, `use.schema.id`, `use.schema.guid`,
    /// `use.latest.with.metadata`, `normalize.schemas` say.
    ///
    /// # Errors
    /// What the registry answered (retriable where trying again may help).
    pub async fn writer_schema(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<WriterSchema, DataError> {
        let written = self.schema_to_write(subject, schema).await?;
        self.contract
            .permits_writing(&written.registered, subject)?;
        Ok(written)
    }

    async fn schema_to_write(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<WriterSchema, DataError> {
        let config = &self.config;
        let registry = &self.registry;
        if config.auto_register {
            let answer = registry.register(subject, schema, config.normalize).await;
            let registered = answer.map_err(|error| {
                rest_failure(error, || format!("{}{}", self.registering(), schema.text))
            })?;
            return Ok(own(registered));
        }
        if config.use_schema_id >= 0 {
            let answer = registry.by_id(config.use_schema_id, Some(subject)).await;
            let registered = answer.map_err(|error| {
                rest_failure(error, || {
                    format!("Error retrieving schema ID{}", schema.text)
                })
            })?;
            return self.chosen(
                registered,
                schema,
                config.id_strict.then_some("id.compatibility.strict"),
            );
        }
        if let Some(guid) = self.guid {
            return self.schema_by_guid(guid, subject, schema).await;
        }
        if !self.metadata.is_empty() {
            let answer = registry.latest_with_metadata(subject, &self.metadata).await;
            let registered = answer.map_err(|error| {
                rest_failure(error, || {
                    format!(
                        "Error retrieving latest with metadata '{}'{}",
                        self.metadata_text(),
                        schema.text
                    )
                })
            })?;
            return self.chosen(registered, schema, None);
        }
        if config.use_latest_version {
            let answer = registry.version(subject, None).await;
            let registered = answer.map_err(|error| {
                rest_failure(error, || {
                    format!("{}{}", self.retrieving_latest(), schema.text)
                })
            })?;
            return self.chosen(
                registered,
                schema,
                config
                    .latest_strict
                    .then_some("latest.compatibility.strict"),
            );
        }
        let answer = registry.lookup(subject, schema, config.normalize).await;
        let registered = answer.map_err(|error| {
            rest_failure(error, || format!("{}{}", self.retrieving(), schema.text))
        })?;
        Ok(own(registered))
    }

    /// The schema that `use.schema.guid` names. A guid stands for a content, wherever it is registered: its id is that of the subject, where it must be live.
    async fn schema_by_guid(
        &self,
        guid: [u8; 16],
        subject: &str,
        schema: &NewSchema,
    ) -> Result<WriterSchema, DataError> {
        let failed = |error: ClientError, text: &str| {
            rest_failure(error, || format!("Error retrieving schema GUID{text}"))
        };
        let answer = self.registry.by_guid(guid).await;
        let found = answer.map_err(|error| failed(error, &schema.text))?;
        let mut written = self.chosen(
            found,
            schema,
            self.config.id_strict.then_some("id.compatibility.strict"),
        )?;
        let found = &*written.registered;
        let answer = self.registry.version_of(subject, found, false).await;
        let under_subject = answer.map_err(|error| failed(error, &found.text))?;
        written.registered = Arc::new(RegisteredSchema {
            subject: Some(Arc::from(subject)),
            version: under_subject.version,
            id: under_subject.id,
            ..found.clone()
        });
        Ok(written)
    }

    /// A schema that was not asked for by its text: foreign unless it is the data's own.
    fn chosen(
        &self,
        registered: RegisteredSchema,
        schema: &NewSchema,
        strict: Option<&'static str>,
    ) -> Result<WriterSchema, DataError> {
        if registered.schema_type != self.schema_type {
            let (found, wanted) = (registered.schema_type.name(), self.schema_type.name());
            let message = format!(
                "Schema {} of the registry is of type {found}, but data is written as {wanted}",
                registered.id
            );
            return Err(DataError::new(message)
                .with_java_class("org.apache.kafka.common.errors.SerializationException"));
        }
        let foreign = registered.text != schema.text || registered.references != schema.references;
        Ok(WriterSchema {
            registered: Arc::new(registered),
            foreign,
            strict: strict.filter(|_| foreign),
        })
    }

    fn registering(&self) -> &'static str {
        match self.schema_type {
            SchemaType::Avro => "Error registering Avro schema",
            SchemaType::Json => "Error registering JSON schema: ",
            SchemaType::Protobuf => "Error registering Protobuf schema: ",
        }
    }

    fn retrieving(&self) -> &'static str {
        match self.schema_type {
            SchemaType::Avro => "Error retrieving Avro schema",
            SchemaType::Json => "Error retrieving JSON schema: ",
            SchemaType::Protobuf => "Error retrieving Protobuf schema: ",
        }
    }

    fn retrieving_latest(&self) -> &'static str {
        match self.schema_type {
            SchemaType::Avro => "Error retrieving latest version of Avro schema",
            SchemaType::Json | SchemaType::Protobuf => "Error retrieving latest version: ",
        }
    }

    /// As Java prints a map.
    fn metadata_text(&self) -> String {
        let mut text = String::from("{");
        for (index, (key, value)) in self.metadata.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{separator}{key}={value}");
        }
        text.push('}');
        text
    }
}

fn own(registered: RegisteredSchema) -> WriterSchema {
    WriterSchema {
        registered: Arc::new(registered),
        foreign: false,
        strict: None,
    }
}
