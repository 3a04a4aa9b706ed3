use millrace_api::config::{ConfigEnum, ConnectConfig};
use millrace_api::data::{Data, Kind, Record, Schema, SchemaMemo, Value};
use millrace_api::plugin::{DataError, TaskError, Transform, Verdict};

use crate::field_path::parse_path;
use crate::purpose::{entry, field_value, require_map, require_struct};
use crate::registration::{Configured, SCHEMAS};
use crate::side::Side;

const PURPOSE: &str = "field extraction";

/// How `field` is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ConfigEnum)]
#[config(case = "insensitive")]
enum FieldSyntax {
    /// As the name of a top-level field.
    #[config(value = "V1")]
    V1,
    /// As a path.
    #[config(value = "V2")]
    V2,
}

#[derive(Debug, ConnectConfig)]
pub(crate) struct ExtractFieldConfig {
    /// The field to extract.
    #[config(name = "field", required, importance = "medium")]
    field: String,
    /// How the field is named: `V1`, a top-level field by its exact name; `V2`, a path with dots between its steps, and backticks around a step that has dots.
    #[config(name = "field.syntax.version", default = "V1", importance = "high")]
    field_syntax_version: FieldSyntax,
    /// Whether a null in a field that has a default is read as that default.
    #[config(
        name = "replace.null.with.default",
        default = true,
        importance = "medium"
    )]
    replace_null_with_default: bool,
}

/// Replaces a struct or map by one of its fields.
#[derive(Debug)]
pub(crate) struct ExtractField {
    side: Side,
    original: String,
    path: Vec<String>,
    replace_null_with_default: bool,
    found: SchemaMemo<Found>,
}

/// Where the field is in structs of one schema.
#[derive(Debug)]
struct Found {
    indexes: Vec<usize>,
    schema: Schema,
}

impl Configured for ExtractField {
    type Config = ExtractFieldConfig;

    fn new(config: ExtractFieldConfig, side: Side) -> Result<Self, TaskError> {
        let path = match config.field_syntax_version {
            FieldSyntax::V1 => vec![config.field.clone()],
            FieldSyntax::V2 => parse_path(&config.field)
                .map_err(|problem| TaskError::config("transform.config", problem))?,
        };
        Ok(Self {
            side,
            original: config.field,
            path,
            replace_null_with_default: config.replace_null_with_default,
            found: SchemaMemo::new(SCHEMAS),
        })
    }
}

impl ExtractField {
    fn schemaless(&self, value: &Value) -> Result<Value, DataError> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        let mut entries = require_map(value, PURPOSE)?;
        let Some((last, parents)) = self.path.split_last() else {
            return Ok(Value::Null);
        };
        for step in parents {
            match entry(entries, step) {
                None | Some(Value::Null) => return Ok(Value::Null),
                Some(inner) => entries = require_map(inner, "nested field access")?,
            }
        }
        Ok(entry(entries, last).cloned().unwrap_or(Value::Null))
    }
}

fn find(schema: &Schema, path: &[String], original: &str) -> Result<Found, DataError> {
    let mut indexes = Vec::with_capacity(path.len());
    let mut current = schema;
    for step in path {
        if current.kind() != Kind::Struct {
            return Err(DataError::new("Cannot look up fields on non-struct type"));
        }
        let unknown = || {
            DataError::new(format!("Unknown field: {original}"))
                .with_java_class("java.lang.IllegalArgumentException")
        };
        let (index, field) = current.field(step).ok_or_else(unknown)?;
        indexes.push(index);
        current = &field.schema;
    }
    Ok(Found {
        indexes,
        schema: current.clone(),
    })
}

impl Transform for ExtractField {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, DataError> {
        let data = self.side.of(record);
        let Some(schema) = &data.schema else {
            let value = self.schemaless(&data.value)?;
            *data = Data::schemaless(value);
            return Ok(Verdict::Keep);
        };
        if !data.value.is_null() {
            require_struct(&data.value, PURPOSE)?;
        }
        let found = self
            .found
            .get_or_try_insert(schema, |schema| find(schema, &self.path, &self.original))?;
        let mut value = data.value.clone();
        for (step, index) in found.indexes.iter().enumerate() {
            // Parents are read with their defaults whatever is configured.
            let or_default = self.replace_null_with_default || step + 1 < found.indexes.len();
            value = value
                .as_struct()
                .map_or(Value::Null, |row| field_value(row, *index, or_default));
        }
        *data = Data::new(found.schema.clone(), value);
        Ok(Verdict::Keep)
    }
}
