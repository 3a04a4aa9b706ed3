use std::sync::Arc;

use millrace_api::config::{Candidate, ConnectConfig};
use millrace_api::data::{Data, Record, Schema, SchemaMemo, Struct, Value};
use millrace_api::plugin::{DataError, TaskError, Transform, Verdict};

use crate::purpose::{basics, build, field_value, put, require_map, require_struct};
use crate::registration::{Configured, SCHEMAS};
use crate::side::Side;

const PURPOSE: &str = "field replacement";

#[derive(Debug, ConnectConfig)]
pub(crate) struct ReplaceFieldConfig {
    /// Fields to leave out. Goes before `include`.
    #[config(name = "exclude", default = "", importance = "medium")]
    exclude: Vec<String>,
    /// Fields to keep; all when there is none.
    #[config(name = "include", default = "", importance = "medium")]
    include: Vec<String>,
    /// New names: `old:new` pairs, separated by commas.
    #[config(name = "renames", default = "", importance = "medium", validate = valid_renames)]
    renames: Vec<String>,
    /// Whether a null in a field that has a default is read as that default.
    #[config(
        name = "replace.null.with.default",
        default = true,
        importance = "medium"
    )]
    replace_null_with_default: bool,
}

fn rename(mapping: &str) -> Option<(&str, &str)> {
    mapping
        .split_once(':')
        .filter(|(old, new)| !old.is_empty() && !new.is_empty() && !new.contains(':'))
}

fn valid_renames(candidate: &Candidate<'_>) -> Result<(), String> {
    let mappings = candidate
        .value
        .and_then(|value| value.as_list())
        .unwrap_or_default();
    match mappings.iter().find(|mapping| rename(mapping).is_none()) {
        Some(wrong) => Err(format!("Invalid rename mapping: {wrong}")),
        None => Ok(()),
    }
}

/// Leaves out and renames fields.
#[derive(Debug)]
pub(crate) struct ReplaceField {
    side: Side,
    config: ReplaceFieldConfig,
    replaced: SchemaMemo<Replaced>,
}

/// The new schema, and which field of the old one each of its fields is.
#[derive(Debug)]
struct Replaced {
    schema: Schema,
    sources: Vec<usize>,
}

impl Configured for ReplaceField {
    type Config = ReplaceFieldConfig;

    fn new(config: ReplaceFieldConfig, side: Side) -> Result<Self, TaskError> {
        Ok(Self {
            side,
            config,
            replaced: SchemaMemo::new(SCHEMAS),
        })
    }
}

impl ReplaceFieldConfig {
    fn keeps(&self, name: &str) -> bool {
        !self.exclude.iter().any(|excluded| excluded == name)
            && (self.include.is_empty() || self.include.iter().any(|included| included == name))
    }

    /// The last mapping of a name counts.
    fn new_name<'a>(&'a self, name: &'a str) -> &'a str {
        let mappings = self
            .renames
            .iter()
            .rev()
            .filter_map(|mapping| rename(mapping));
        mappings
            .filter(|(old, _)| *old == name)
            .map(|(_, new)| new)
            .next()
            .unwrap_or(name)
    }

    fn replace(&self, schema: &Schema) -> Result<Replaced, DataError> {
        let mut builder = basics(schema);
        let mut sources = Vec::new();
        for (index, field) in schema
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| self.keeps(&field.name))
        {
            let name = self.new_name(&field.name);
            builder = builder.field(
                if name == &*field.name {
                    Arc::clone(&field.name)
                } else {
                    name.into()
                },
                field.schema.clone(),
            );
            sources.push(index);
        }
        Ok(Replaced {
            schema: build(builder)?,
            sources,
        })
    }
}

impl Transform for ReplaceField {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, DataError> {
        let data = self.side.of(record);
        if data.value.is_null() {
            return Ok(Verdict::Keep);
        }
        let Some(schema) = &data.schema else {
            let entries = require_map(&data.value, PURPOSE)?;
            let mut kept = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                let name = key.as_str().unwrap_or_default();
                if self.config.keeps(name) {
                    put(&mut kept, self.config.new_name(name), value.clone());
                }
            }
            *data = Data::schemaless(Value::Map(Arc::new(kept)));
            return Ok(Verdict::Keep);
        };
        let row = require_struct(&data.value, PURPOSE)?;
        let config = &self.config;
        let replaced = self
            .replaced
            .get_or_try_insert(schema, |schema| config.replace(schema))?;
        let values: Vec<Value> = replaced
            .sources
            .iter()
            .map(|index| field_value(row, *index, config.replace_null_with_default))
            .collect();
        *data = Data::new(
            replaced.schema.clone(),
            Struct::new(replaced.schema.clone(), values),
        );
        Ok(Verdict::Keep)
    }
}
