use std::sync::Arc;

use millrace_api::config::{ConnectConfig, Validator};
use millrace_api::data::{Data, Record, Schema, SchemaBuilder, SchemaMemo, Struct, Value};
use millrace_api::plugin::{DataError, TaskError, Transform, Verdict};

use crate::purpose::{build, entry, field_value, put, require_map, require_struct};
use crate::registration::{Configured, SCHEMAS};
use crate::side::Side;

const PURPOSE: &str = "copying fields from value to key";

#[derive(Debug, ConnectConfig)]
pub(crate) struct ValueToKeyConfig {
    /// Fields of the value that make up the key.
    #[config(name = "fields", required, importance = "high", validate = Validator::non_empty_list())]
    fields: Vec<String>,
    /// Whether a null in a field that has a default is read as that default.
    #[config(
        name = "replace.null.with.default",
        default = true,
        importance = "medium"
    )]
    replace_null_with_default: bool,
}

/// Makes a key of fields of the value.
#[derive(Debug)]
pub(crate) struct ValueToKey {
    config: ValueToKeyConfig,
    keys: SchemaMemo<Key>,
}

#[derive(Debug)]
struct Key {
    schema: Schema,
    sources: Vec<usize>,
}

impl Configured for ValueToKey {
    type Config = ValueToKeyConfig;

    fn new(config: ValueToKeyConfig, _side: Side) -> Result<Self, TaskError> {
        Ok(Self {
            config,
            keys: SchemaMemo::new(SCHEMAS),
        })
    }
}

fn key_of(schema: &Schema, fields: &[String]) -> Result<Key, DataError> {
    let mut builder = SchemaBuilder::structure();
    let mut sources = Vec::with_capacity(fields.len());
    for name in fields {
        let (index, field) = schema
            .field(name)
            .ok_or_else(|| DataError::new(format!("Field does not exist: {name}")))?;
        builder = builder.field(Arc::clone(&field.name), field.schema.clone());
        sources.push(index);
    }
    Ok(Key {
        schema: build(builder)?,
        sources,
    })
}

impl Transform for ValueToKey {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, DataError> {
        let Some(schema) = &record.value.schema else {
            let entries = require_map(&record.value.value, PURPOSE)?;
            let mut key = Vec::with_capacity(self.config.fields.len());
            for field in &self.config.fields {
                put(
                    &mut key,
                    field,
                    entry(entries, field).cloned().unwrap_or(Value::Null),
                );
            }
            record.key = Data::schemaless(Value::Map(Arc::new(key)));
            return Ok(Verdict::Keep);
        };
        let row = require_struct(&record.value.value, PURPOSE)?;
        let config = &self.config;
        let key = self
            .keys
            .get_or_try_insert(schema, |schema| key_of(schema, &config.fields))?;
        let values: Vec<Value> = key
            .sources
            .iter()
            .map(|index| field_value(row, *index, config.replace_null_with_default))
            .collect();
        record.key = Data::new(key.schema.clone(), Struct::new(key.schema.clone(), values));
        Ok(Verdict::Keep)
    }
}
