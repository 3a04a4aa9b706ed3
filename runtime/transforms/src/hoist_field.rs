use std::sync::Arc;

use millrace_api::config::ConnectConfig;
use millrace_api::data::{Data, Record, Schema, SchemaBuilder, SchemaMemo, Struct, Value};
use millrace_api::plugin::{DataError, TaskError, Transform, Verdict};

use crate::purpose::build;
use crate::registration::{Configured, SCHEMAS};
use crate::side::Side;

#[derive(Debug, ConnectConfig)]
pub(crate) struct HoistFieldConfig {
    /// Name of the field that the key or value becomes.
    #[config(name = "field", required, importance = "medium")]
    field: String,
}

/// Wraps a key or value into a struct, or a map when it has no schema, as its only field.
#[derive(Debug)]
pub(crate) struct HoistField {
    side: Side,
    field: Arc<str>,
    schemas: SchemaMemo<Schema>,
}

impl Configured for HoistField {
    type Config = HoistFieldConfig;

    fn new(config: HoistFieldConfig, side: Side) -> Result<Self, TaskError> {
        Ok(Self {
            side,
            field: config.field.into(),
            schemas: SchemaMemo::new(SCHEMAS),
        })
    }
}

impl Transform for HoistField {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, DataError> {
        let data = self.side.of(record);
        let value = std::mem::take(&mut data.value);
        let Some(inner) = &data.schema else {
            *data = Data::schemaless(Value::Map(Arc::new(vec![(
                Value::from(&*self.field),
                value,
            )])));
            return Ok(Verdict::Keep);
        };
        if value.is_null() && !inner.optional() {
            return Err(DataError::new(format!(
                "Invalid value: null used for required field: \"{}\", schema type: {}",
                self.field,
                inner.kind().name()
            )));
        }
        let field = &self.field;
        let schema = self
            .schemas
            .get_or_try_insert(inner, |inner| {
                build(SchemaBuilder::structure().field(Arc::clone(field), inner.clone()))
            })?
            .clone();
        *data = Data::new(schema.clone(), Struct::new(schema, vec![value]));
        Ok(Verdict::Keep)
    }
}
