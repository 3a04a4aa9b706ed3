use std::sync::Arc;

use millrace_api::config::ConnectConfig;
use millrace_api::data::{
    Data, Kind, Record, Schema, SchemaBuilder, SchemaMemo, Struct, Text, Value, logical,
};
use millrace_api::plugin::{DataError, TaskError, Transform, Verdict};

use crate::purpose::{basics, build, field_value, put, require_map, require_struct};
use crate::registration::{Configured, SCHEMAS};
use crate::side::Side;

const PURPOSE: &str = "field insertion";

#[derive(Debug, ConnectConfig)]
pub(crate) struct InsertFieldConfig {
    /// Field for the topic. A `!` at the end of a name makes the field required, a `?` or nothing optional.
    #[config(name = "topic.field", importance = "medium")]
    topic_field: Option<String>,
    /// Field for the partition, if the record has one.
    #[config(name = "partition.field", importance = "medium")]
    partition_field: Option<String>,
    /// Field for the offset: refused, because transforms here do not see it.
    #[config(name = "offset.field", importance = "medium")]
    offset_field: Option<String>,
    /// Field for the record's timestamp.
    #[config(name = "timestamp.field", importance = "medium")]
    timestamp_field: Option<String>,
    /// Field for a fixed text.
    #[config(name = "static.field", importance = "medium")]
    static_field: Option<String>,
    /// The fixed text.
    #[config(name = "static.value", importance = "medium")]
    static_value: Option<String>,
    /// Whether a null in a field that has a default is read as that default.
    #[config(
        name = "replace.null.with.default",
        default = true,
        importance = "medium"
    )]
    replace_null_with_default: bool,
}

/// Adds what is known of a record, or a fixed text, to its key or value.
#[derive(Debug)]
pub(crate) struct InsertField {
    side: Side,
    insertions: Vec<Insertion>,
    replace_null_with_default: bool,
    schemas: SchemaMemo<Schema>,
}

#[derive(Debug)]
struct Insertion {
    name: Arc<str>,
    optional: bool,
    what: What,
}

#[derive(Debug)]
enum What {
    Topic,
    Partition,
    Timestamp,
    Text(Text),
}

impl Insertion {
    fn new(name: &str, what: What) -> Self {
        match (name.strip_suffix('!'), name.strip_suffix('?')) {
            (Some(name), _) => Self {
                name: name.into(),
                optional: false,
                what,
            },
            (None, stripped) => Self {
                name: stripped.unwrap_or(name).into(),
                optional: true,
                what,
            },
        }
    }

    fn schema(&self) -> Schema {
        let builder = match self.what {
            What::Topic | What::Text(_) => SchemaBuilder::new(Kind::String),
            What::Partition => SchemaBuilder::new(Kind::Int32),
            What::Timestamp => SchemaBuilder::new(Kind::Int64)
                .name(logical::TIMESTAMP)
                .version(1),
        };
        builder.optional(self.optional).build_valid()
    }

    fn value(&self, origin: &Origin) -> Value {
        match &self.what {
            What::Topic => Value::from(&*origin.topic),
            What::Partition => origin.partition.map_or(Value::Null, Value::Int32),
            What::Timestamp => origin.timestamp.map_or(Value::Null, Value::Int64),
            What::Text(text) => Value::String(text.clone()),
        }
    }
}

/// What is inserted of the record.
struct Origin {
    topic: Arc<str>,
    partition: Option<i32>,
    timestamp: Option<i64>,
}

impl Configured for InsertField {
    type Config = InsertFieldConfig;

    fn new(config: InsertFieldConfig, side: Side) -> Result<Self, TaskError> {
        if config.offset_field.is_some() {
            return Err(TaskError::config(
                "transform.config",
                "offset.field of InsertField is not available: a transform does not see the offset of a record. Remove it",
            ));
        }
        let mut insertions = Vec::new();
        let mut insert = |name: &Option<String>, what| {
            insertions.extend(name.as_deref().map(|name| Insertion::new(name, what)))
        };
        insert(&config.topic_field, What::Topic);
        insert(&config.partition_field, What::Partition);
        insert(&config.timestamp_field, What::Timestamp);
        if let Some(field) = &config.static_field {
            let value = config.static_value.as_deref().ok_or_else(|| {
                TaskError::config("transform.config", format!("Invalid value null for configuration static.value: No value specified for static field: {field}"))
            })?;
            insert(&config.static_field, What::Text(Text::new(value)));
        }
        if insertions.is_empty() {
            return Err(TaskError::config(
                "transform.config",
                "No field insertion configured",
            ));
        }
        Ok(Self {
            side,
            insertions,
            replace_null_with_default: config.replace_null_with_default,
            schemas: SchemaMemo::new(SCHEMAS),
        })
    }
}

impl Transform for InsertField {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, DataError> {
        let origin = Origin {
            topic: Arc::clone(&record.topic),
            partition: record.partition,
            timestamp: record.timestamp,
        };
        let data = self.side.of(record);
        if data.value.is_null() {
            return Ok(Verdict::Keep);
        }
        let Some(schema) = &data.schema else {
            let mut entries = require_map(&data.value, PURPOSE)?.to_vec();
            for insertion in &self.insertions {
                let value = insertion.value(&origin);
                // What a record does not have is not inserted.
                if !value.is_null() {
                    put(&mut entries, &insertion.name, value);
                }
            }
            *data = Data::schemaless(Value::Map(Arc::new(entries)));
            return Ok(Verdict::Keep);
        };
        let row = require_struct(&data.value, PURPOSE)?;
        let insertions = &self.insertions;
        let schema = self.schemas.get_or_try_insert(schema, |schema| {
            let builder = schema
                .fields()
                .iter()
                .fold(basics(schema), |builder, field| {
                    builder.field(Arc::clone(&field.name), field.schema.clone())
                });
            build(insertions.iter().fold(builder, |builder, insertion| {
                builder.field(Arc::clone(&insertion.name), insertion.schema())
            }))
        })?;
        let mut values = Vec::with_capacity(schema.fields().len());
        values.extend(
            (0..row.values().len())
                .map(|index| field_value(row, index, self.replace_null_with_default)),
        );
        values.extend(
            self.insertions
                .iter()
                .map(|insertion| insertion.value(&origin)),
        );
        *data = Data::new(schema.clone(), Struct::new(schema.clone(), values));
        Ok(Verdict::Keep)
    }
}
