//! Files that a schema imports, registered as schemas of their own.

use std::sync::Arc;

use millrace_api::plugin::{DataError, TaskError};
use registry_client::serde::SchemaSerde;
use registry_client::{ClientError, NewSchema, Reference, SchemaType};
use registry_protobuf::{ProtobufSchema, known_file};

use crate::config::ProtobufConverterConfig;
use crate::fault::SERIALIZATION;

const PACKAGE: &str = "io.confluent.kafka.serializers.subject.";

/// How the subject of an imported file is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// By the import path.
    Path,
    /// By the import path with dots, without `.proto`.
    Dotted,
}

/// What is done with imports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct References {
    skip_known: bool,
    register: bool,
    latest: bool,
    normalize: bool,
    naming: Naming,
}

impl References {
    pub(crate) fn new(
        config: &ProtobufConverterConfig,
        auto_register: bool,
        use_latest: bool,
        normalize: bool,
    ) -> Result<Self, TaskError> {
        let class = config.reference_subject_name_strategy.trim();
        let naming = match class.strip_prefix(PACKAGE) {
            Some("DefaultReferenceSubjectNameStrategy") => Naming::Path,
            Some("QualifiedReferenceSubjectNameStrategy") => Naming::Dotted,
            _ => {
                return Err(TaskError::config(
                    "converter.config",
                    format!(
                        "reference.subject.name.strategy is {class}, which is not built in: use {PACKAGE}DefaultReferenceSubjectNameStrategy or {PACKAGE}QualifiedReferenceSubjectNameStrategy"
                    ),
                ));
            }
        };
        let own = !config.reference_lookup_only;
        Ok(Self {
            skip_known: config.skip_known_types,
            register: auto_register && own,
            latest: use_latest && own,
            normalize,
            naming,
        })
    }

    fn subject(self, path: &str) -> String {
        match self.naming {
            Naming::Path => path.to_owned(),
            Naming::Dotted => path
                .strip_suffix(".proto")
                .unwrap_or(path)
                .replace('/', "."),
        }
    }

    /// The references of a schema that imports these files. All of them are built in: a translated schema has no others.
    pub(crate) async fn of(
        self,
        serde: &SchemaSerde,
        imports: &[String],
    ) -> Result<Vec<Reference>, DataError> {
        let mut references = Vec::new();
        if self.skip_known {
            return Ok(references);
        }
        for path in imports {
            let Some(file) = known_file(path) else {
                continue;
            };
            let subject = self.subject(path);
            let schema = NewSchema {
                schema_type: SchemaType::Protobuf,
                text: ProtobufSchema::from_file(file.clone(), Vec::new())
                    .canonical()
                    .into(),
                references: Vec::new(),
            };
            let registry = serde.registry();
            let failed = |error: ClientError| {
                DataError::new(format!(
                    "Error registering Protobuf schema: {}",
                    schema.text
                ))
                .with_java_class(SERIALIZATION)
                .with_source(error)
            };
            let mut found = if self.register {
                registry.register(&subject, &schema, self.normalize).await
            } else if self.latest {
                registry.version(&subject, None).await
            } else {
                registry.lookup(&subject, &schema, self.normalize).await
            }
            .map_err(failed)?;
            if found.version <= 0 {
                // Registries before release 8.0 answer a registration with the id alone.
                found = registry
                    .lookup(&subject, &schema, self.normalize)
                    .await
                    .map_err(failed)?;
            }
            references.push(Reference {
                name: Arc::from(path.as_str()),
                subject: subject.into(),
                version: found.version,
            });
        }
        Ok(references)
    }
}
