use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use millrace_api::data::{Data, Record, Schema, SchemaMemo, Struct, Value};
use millrace_api::plugin::DataError;

use super::field_reference::basics;
use super::take_values;

/// Sets of dropped fields kept ready per schema.
const SETS: usize = 256;
/// Schemas kept ready.
const SCHEMAS: usize = 1024;

/// Drops the fields that a header lists.
pub(super) struct DropFields {
    header: String,
    from_key: bool,
    keep_schema_compatible: bool,
    /// By schema and by which of its fields stay: the schema without the others.
    reduced: SchemaMemo<HashMap<Vec<bool>, Schema>>,
}

impl DropFields {
    pub(super) fn new(header: String, from_key: bool, keep_schema_compatible: bool) -> Self {
        Self {
            header,
            from_key,
            keep_schema_compatible,
            reduced: SchemaMemo::new(SCHEMAS),
        }
    }

    pub(super) fn apply(&mut self, record: &mut Record) -> Result<(), DataError> {
        let Some(header) = record
            .headers
            .iter()
            .find(|header| *header.name == *self.header)
        else {
            return Ok(());
        };
        let names = match &header.data.value {
            Value::Null => return Ok(()),
            Value::Array(names) => Arc::clone(names),
            other => {
                return Err(DataError::new(format!(
                    "header '{}' must hold a list of the names of fields to drop, found: {}",
                    self.header,
                    other.java_class()
                ))
                .with_java_class("java.lang.ClassCastException"));
            }
        };
        if names.is_empty() {
            return Ok(());
        }
        if self.from_key {
            self.reduce(&mut record.key, &names);
        }
        self.reduce(&mut record.value, &names);
        Ok(())
    }

    fn reduce(&mut self, data: &mut Data, names: &[Value]) {
        let Value::Struct(row) = &mut data.value else {
            return;
        };
        let listed = |name: &str| names.iter().any(|listed| listed.as_str() == Some(name));
        let fields = row.schema().fields();
        let kept: Vec<bool> = fields
            .iter()
            .map(|field| {
                !(listed(&field.name) && (field.schema.optional() || !self.keep_schema_compatible))
            })
            .collect();
        if self.keep_schema_compatible && kept.iter().all(|kept| *kept) {
            return;
        }
        let Ok(sets) = self
            .reduced
            .get_or_try_insert(row.schema(), |_| Ok::<_, Infallible>(HashMap::new()));
        if sets.len() >= SETS && !sets.contains_key(&kept) {
            sets.clear();
        }
        let original = row.schema().clone();
        let schema = sets
            .entry(kept.clone())
            .or_insert_with(|| {
                let remaining = original
                    .fields()
                    .iter()
                    .zip(&kept)
                    .filter(|(_, kept)| **kept);
                // A subset of the fields of a valid struct.
                remaining
                    .fold(basics(&original), |builder, (field, _)| {
                        builder.field(Arc::clone(&field.name), field.schema.clone())
                    })
                    .build_valid()
            })
            .clone();
        // As Java's ReplaceField, which this stands for: nulls become defaults on the way.
        let values = take_values(row, 0)
            .into_iter()
            .zip(original.fields())
            .zip(&kept)
            .filter(|(_, kept)| **kept)
            .map(|((value, field), _)| {
                if value.is_null() {
                    field.schema.default().cloned().unwrap_or(value)
                } else {
                    value
                }
            });
        let values: Vec<Value> = values.collect();
        *data = Data::new(schema.clone(), Struct::new(schema, values));
    }
}
