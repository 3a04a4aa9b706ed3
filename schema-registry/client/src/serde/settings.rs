use std::time::Duration;

use millrace_api::config::{ConnectConfig, Props, Validator};
use millrace_api::plugin::TaskError;

use super::MessageIndexes;
use super::contract::Environment;
use super::frame::{GUID, ID, IdReader, IdWriter};
use super::subject::{Naming, Strategy};
use crate::SchemaType;
use crate::answer::parse_guid;
use crate::settings::refuse;

const SUBJECT_PACKAGE: &str = "io.confluent.kafka.serializers.subject.";
const ID_PACKAGE: &str = "io.confluent.kafka.serializers.schema.id.";
const NO_CONTEXT: &str = "io.confluent.kafka.serializers.context.NullContextNameStrategy";

/// Settings of Confluent's serializers beside those of the client.
#[derive(Debug, Clone, ConnectConfig)]
pub(super) struct SerdeConfig {
    /// Whether the registry normalises schemas when it registers or looks them up: differences of order that mean nothing are then no differences.
    #[config(name = "normalize.schemas", default = false, importance = "medium")]
    pub(super) normalize: bool,
    /// Whether schemas are registered. When they are not, they are looked up, or chosen by one of the `use.…` settings.
    #[config(name = "auto.register.schemas", default = true, importance = "medium")]
    pub(super) auto_register: bool,
    /// Whether a new version takes over the tags of the one before. This is not supported: leave it at false.
    #[config(name = "propagate.schema.tags", default = false, importance = "low")]
    pub(super) propagate_tags: bool,
    /// Id of the schema that everything is written under, without `auto.register.schemas`; -1: none.
    #[config(name = "use.schema.id", default = -1, importance = "low")]
    pub(super) use_schema_id: i32,
    /// Guid of the schema that everything is written under, without `auto.register.schemas`. The subject must hold it too: its id there is what is written.
    #[config(name = "use.schema.guid", importance = "low")]
    pub(super) use_schema_guid: Option<String>,
    /// Whether the schema of `use.schema.id` or `use.schema.guid` must be backward compatible with the data's.
    #[config(name = "id.compatibility.strict", default = true, importance = "low")]
    pub(super) id_strict: bool,
    /// Whether the subject's latest version is used: to write under, without `auto.register.schemas`, and to read with.
    #[config(name = "use.latest.version", default = false, importance = "low")]
    pub(super) use_latest_version: bool,
    /// Whether the latest version must be backward compatible with the data's schema.
    #[config(
        name = "latest.compatibility.strict",
        default = true,
        importance = "low"
    )]
    pub(super) latest_strict: bool,
    /// For how many seconds the latest version of a subject is remembered; -1 is without end.
    #[config(name = "latest.cache.ttl.sec", default = -1, importance = "low", validate = Validator::at_least(-1))]
    pub(super) latest_cache_ttl_sec: i32,
    /// Like `use.latest.version`, with the latest version whose metadata has these properties: `key=value` pairs separated by commas, an item with a comma in single
    /// quotes.
    #[config(name = "use.latest.with.metadata", importance = "low")]
    pub(super) use_latest_with_metadata: Option<String>,
    /// Form of the text that is registered. Only the converter's own is supported: leave it out.
    #[config(name = "schema.format", importance = "low")]
    pub(super) schema_format: Option<String>,
    /// Where this runs: `ALL`, `CLIENT`, `GATEWAY`, `SERVER` or `NONE`. Rules of data contracts that are meant for another environment are passed over.
    #[config(name = "execution.environment", importance = "medium")]
    pub(super) execution_environment: Option<String>,
    /// Names of rule executors. Rules of data contracts are not run: leave it out.
    #[config(name = "rule.executors", default = "", importance = "low")]
    pub(super) rule_executors: Vec<String>,
    /// Names of rule actions. Rules of data contracts are not run: leave it out.
    #[config(name = "rule.actions", default = "", importance = "low")]
    pub(super) rule_actions: Vec<String>,
    /// Whether Java looks for rule executors on its class path. There are none here, so the value changes nothing.
    #[config(
        name = "rule.service.loader.enable",
        default = true,
        importance = "low"
    )]
    #[expect(dead_code, reason = "published; there is no class path to look at")]
    pub(super) rule_service_loader: bool,
    /// Whether metrics of rules are kept. No rules are run, so the value changes nothing.
    #[config(name = "rule.metrics.enable", default = true, importance = "low")]
    #[expect(dead_code, reason = "published; no rules are run")]
    pub(super) rule_metrics: bool,
    /// When validation rules in a schema are checked. They are not: leave it at `DISABLED`.
    #[config(
        name = "validation.rules.execution",
        default = "DISABLED",
        importance = "medium"
    )]
    pub(super) validation_rules: String,
    /// Java class that checks validation rules. They are not checked, so the value changes nothing.
    #[config(
        name = "validation.rules.executor.class",
        default = "io.confluent.kafka.schemaregistry.rules.cel.CelValidator",
        importance = "low"
    )]
    #[expect(dead_code, reason = "published; validation rules are not checked")]
    pub(super) validation_rules_executor: String,
    /// Whether the first violation of a validation rule ends their check. They are not checked, so the value changes nothing.
    #[config(
        name = "validation.rules.fail.fast",
        default = false,
        importance = "low"
    )]
    #[expect(dead_code, reason = "published; validation rules are not checked")]
    pub(super) validation_rules_fail_fast: bool,
    /// How the registry's context is chosen. Only that none is can be chosen here; a context can be part of a topic's association.
    #[config(
        name = "context.name.strategy",
        default = "io.confluent.kafka.serializers.context.NullContextNameStrategy",
        importance = "medium"
    )]
    pub(super) context_strategy: String,
    /// Under which subject schemas of keys are registered: a class of `io.confluent.kafka.serializers.subject`: `TopicNameStrategy`, `RecordNameStrategy`,
    /// `TopicRecordNameStrategy` or `AssociatedNameStrategy` (the subject that the registry associates with the topic, else by `subject.name.strategy.fallback.type`).
    #[config(
        name = "key.subject.name.strategy",
        default = "io.confluent.kafka.serializers.subject.AssociatedNameStrategy",
        importance = "medium"
    )]
    pub(super) key_strategy: String,
    /// Under which subject schemas of values are registered; see `key.subject.name.strategy`.
    #[config(
        name = "value.subject.name.strategy",
        default = "io.confluent.kafka.serializers.subject.AssociatedNameStrategy",
        importance = "medium"
    )]
    pub(super) value_strategy: String,
    /// What the associated name strategy does for a topic without association: `TOPIC`, `RECORD` or `TOPIC_RECORD` name the strategy to follow, `NONE` is an error.
    #[config(
        name = "subject.name.strategy.fallback.type",
        default = "TOPIC",
        importance = "low"
    )]
    pub(super) fallback: String,
    /// Kafka cluster id by which the associated name strategy asks; without it, any cluster's associations count.
    #[config(name = "subject.name.strategy.kafka.cluster.id", importance = "low")]
    pub(super) cluster_id: Option<String>,
    /// For how many seconds an associated name is remembered; -1 is without end.
    #[config(name = "subject.name.strategy.cache.expiry.secs", default = -1, importance = "low", validate = Validator::at_least(-1))]
    pub(super) subject_expiry_sec: i32,
    /// How many associated names are remembered.
    #[config(name = "subject.name.strategy.cache.size", default = 1000, importance = "low", validate = Validator::at_least(0))]
    pub(super) subject_cache_size: i32,
    /// Where the id of a key's schema is written: `io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer` (before the payload) or `…HeaderSchemaIdSerializer`
    /// (its guid in the header `__key_schema_id`).
    #[config(
        name = "key.schema.id.serializer",
        default = "io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer",
        importance = "medium"
    )]
    pub(super) key_id_writer: String,
    /// Where the id of a key's schema is looked for: `io.confluent.kafka.serializers.schema.id.DualSchemaIdDeserializer` (header, else prefix),
    /// `…PrefixSchemaIdDeserializer`, `…HeaderSchemaIdDeserializer` or `…ConfigSchemaIdDeserializer` (payloads carry none: `use.schema.id` or `use.schema.guid` names it, and
    /// `use.message.indexes` the message, as indexes between commas).
    #[config(
        name = "key.schema.id.deserializer",
        default = "io.confluent.kafka.serializers.schema.id.DualSchemaIdDeserializer",
        importance = "medium"
    )]
    pub(super) key_id_reader: String,
    /// Where the id of a value's schema is written: like `key.schema.id.serializer`, the header is `__value_schema_id`.
    #[config(
        name = "value.schema.id.serializer",
        default = "io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer",
        importance = "medium"
    )]
    pub(super) value_id_writer: String,
    /// Where the id of a value's schema is looked for: like `key.schema.id.deserializer`.
    #[config(
        name = "value.schema.id.deserializer",
        default = "io.confluent.kafka.serializers.schema.id.DualSchemaIdDeserializer",
        importance = "medium"
    )]
    pub(super) value_id_reader: String,
    /// Whether Java's reflection finds the schema. There are no Java objects here: leave it at false.
    #[config(name = "schema.reflection", default = false, importance = "low")]
    pub(super) reflection: bool,
}

/// What is configured for keys, or for values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    pub(super) strategy: Strategy,
    pub(super) writer: IdWriter,
    pub(super) reader: IdReader,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Roles {
    pub(super) key: Role,
    pub(super) value: Role,
}

impl SerdeConfig {
    pub(super) fn refuse_what_cannot_be_obeyed(&self) -> Result<(), TaskError> {
        let set = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let rules = "rules of data contracts are not run; leave it out";
        if self.propagate_tags {
            return Err(refuse(
                "propagate.schema.tags",
                Some("true"),
                "tags are not taken over; set it to false",
            ));
        }
        if let Some(format) = set(&self.schema_format) {
            return Err(refuse(
                "schema.format",
                Some(&format),
                "schemas are registered in the converter's own form only; leave it out",
            ));
        }
        for (key, names) in [
            ("rule.executors", &self.rule_executors),
            ("rule.actions", &self.rule_actions),
        ] {
            if !names.is_empty() {
                return Err(refuse(key, Some(&names.join(",")), rules));
            }
        }
        if !self.validation_rules.eq_ignore_ascii_case("DISABLED") {
            return Err(refuse(
                "validation.rules.execution",
                Some(&self.validation_rules),
                "validation rules are not checked; set it to DISABLED",
            ));
        }
        if self.context_strategy != NO_CONTEXT {
            return Err(refuse(
                "context.name.strategy",
                Some(&self.context_strategy),
                &format!("Java classes cannot be loaded; allowed is {NO_CONTEXT}"),
            ));
        }
        if self.reflection {
            return Err(refuse(
                "schema.reflection",
                Some("true"),
                "there are no Java objects here; set it to false",
            ));
        }
        Ok(())
    }

    /// What is configured for both roles: a wrong class is an error whichever role it is for.
    pub(super) fn roles(&self) -> Result<Roles, TaskError> {
        let fallback = self.fallback()?;
        Ok(Roles {
            key: Role {
                strategy: strategy("key.subject.name.strategy", &self.key_strategy, fallback)?,
                writer: id_writer("key.schema.id.serializer", &self.key_id_writer)?,
                reader: id_reader("key.schema.id.deserializer", &self.key_id_reader)?,
            },
            value: Role {
                strategy: strategy(
                    "value.subject.name.strategy",
                    &self.value_strategy,
                    fallback,
                )?,
                writer: id_writer("value.schema.id.serializer", &self.value_id_writer)?,
                reader: id_reader("value.schema.id.deserializer", &self.value_id_reader)?,
            },
        })
    }

    pub(super) fn environment(&self) -> Result<Option<Environment>, TaskError> {
        let Some(name) = self.execution_environment.as_deref() else {
            return Ok(None);
        };
        Environment::from_name(name).map(Some).ok_or_else(|| {
            refuse(
                "execution.environment",
                Some(name),
                "allowed are ALL, CLIENT, GATEWAY, SERVER and NONE",
            )
        })
    }

    /// What stands before every payload for the reader that takes it from the settings: the id before the guid, and only what was set.
    pub(super) fn configured(
        &self,
        props: &Props,
        schema_type: SchemaType,
    ) -> Result<Option<Box<[u8]>>, TaskError> {
        let mut bytes = Vec::new();
        if props.contains_key("use.schema.id") {
            bytes.push(ID);
            bytes.extend(self.use_schema_id.to_be_bytes());
        } else if let Some(guid) = self.guid()? {
            bytes.push(GUID);
            bytes.extend(guid);
        } else {
            return Ok(None);
        }
        if schema_type == SchemaType::Protobuf {
            let text = props.get("use.message.indexes").unwrap_or("0");
            let path: Result<Vec<i32>, _> = text.split(',').map(|i| i.trim().parse()).collect();
            let path = path
                .ok()
                .filter(|path| path.len() <= 16 && path.iter().all(|index| *index >= 0))
                .ok_or_else(|| {
                    refuse(
                        "use.message.indexes",
                        Some(text),
                        "allowed are up to 16 indexes from 0 on, separated by commas",
                    )
                })?;
            MessageIndexes::write(&path, &mut bytes);
        }
        Ok(Some(bytes.into()))
    }

    /// The guid of `use.schema.guid`.
    pub(super) fn guid(&self) -> Result<Option<[u8; 16]>, TaskError> {
        let text = self
            .use_schema_guid
            .as_deref()
            .filter(|text| !text.is_empty());
        text.map(|text| {
            parse_guid(text).ok_or_else(|| {
                refuse(
                    "use.schema.guid",
                    Some(text),
                    "it is no guid, such as 095d71cf-1255-6b9d-5e33-0ad575b3df5d",
                )
            })
        })
        .transpose()
    }

    fn fallback(&self) -> Result<Option<Naming>, TaskError> {
        match self.fallback.to_ascii_uppercase().as_str() {
            "TOPIC" => Ok(Some(Naming::Topic)),
            "RECORD" => Ok(Some(Naming::Record)),
            "TOPIC_RECORD" => Ok(Some(Naming::TopicRecord)),
            "NONE" => Ok(None),
            _ => Err(refuse(
                "subject.name.strategy.fallback.type",
                Some(&self.fallback),
                "allowed are TOPIC, RECORD, TOPIC_RECORD and NONE",
            )),
        }
    }

    /// How long the latest version may be remembered; without end when it is not used.
    pub(super) fn latest_lifetime(&self) -> Option<Duration> {
        let uses_latest = self.use_latest_version
            || self
                .use_latest_with_metadata
                .as_deref()
                .is_some_and(|spec| !spec.is_empty());
        u64::try_from(self.latest_cache_ttl_sec)
            .ok()
            .filter(|_| uses_latest)
            .map(Duration::from_secs)
    }
}

fn strategy(key: &str, class: &str, fallback: Option<Naming>) -> Result<Strategy, TaskError> {
    match class.strip_prefix(SUBJECT_PACKAGE) {
        Some("TopicNameStrategy") => Ok(Strategy::Plain(Naming::Topic)),
        Some("RecordNameStrategy") => Ok(Strategy::Plain(Naming::Record)),
        Some("TopicRecordNameStrategy") => Ok(Strategy::Plain(Naming::TopicRecord)),
        Some("AssociatedNameStrategy") => Ok(Strategy::Associated(fallback)),
        _ => Err(refuse(
            key,
            Some(class),
            &format!(
                "Java classes cannot be loaded; allowed are TopicNameStrategy, RecordNameStrategy, TopicRecordNameStrategy and AssociatedNameStrategy, each after {SUBJECT_PACKAGE}"
            ),
        )),
    }
}

fn id_writer(key: &str, class: &str) -> Result<IdWriter, TaskError> {
    match class.strip_prefix(ID_PACKAGE) {
        Some("PrefixSchemaIdSerializer") => Ok(IdWriter::Prefix),
        Some("HeaderSchemaIdSerializer") => Ok(IdWriter::Header),
        _ => Err(refuse(
            key,
            Some(class),
            &format!(
                "Java classes cannot be loaded; allowed are PrefixSchemaIdSerializer and HeaderSchemaIdSerializer, each after {ID_PACKAGE}"
            ),
        )),
    }
}

fn id_reader(key: &str, class: &str) -> Result<IdReader, TaskError> {
    match class.strip_prefix(ID_PACKAGE) {
        Some("DualSchemaIdDeserializer") => Ok(IdReader::Dual),
        Some("PrefixSchemaIdDeserializer") => Ok(IdReader::Prefix),
        Some("HeaderSchemaIdDeserializer") => Ok(IdReader::Header),
        Some("ConfigSchemaIdDeserializer") => Ok(IdReader::Config),
        _ => Err(refuse(
            key,
            Some(class),
            &format!(
                "Java classes cannot be loaded; allowed are DualSchemaIdDeserializer, PrefixSchemaIdDeserializer, HeaderSchemaIdDeserializer and ConfigSchemaIdDeserializer, each after {ID_PACKAGE}"
            ),
        )),
    }
}
