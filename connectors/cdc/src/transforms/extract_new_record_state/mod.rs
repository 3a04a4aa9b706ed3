//! `io.debezium.transforms.ExtractNewRecordState`: change events become the rows they are about.

mod config;
mod drop_fields;
mod field_reference;
mod layout;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use millrace_api::config::{ConfigDef, ConnectConfig, Props};
use millrace_api::data::{Data, Record, Schema, SchemaMemo, Struct, Value};
use millrace_api::plugin::{DataError, PluginInfo, TaskError, Transform, TransformPlugin, Verdict};

use config::{DeleteTombstoneHandling, ExtractNewRecordStateConfig};
use drop_fields::DropFields;
use field_reference::FieldReference;
use layout::Layout;

/// Class and version: that of the Debezium release whose behaviour this is.
const INFO: PluginInfo = PluginInfo {
    class: "io.debezium.transforms.ExtractNewRecordState",
    version: "3.7.0.Final",
};

/// Envelope schemas kept ready. A database has as many as it has tables.
const LAYOUTS: usize = 1024;

/// Turns the envelope of a change event into the row after the change; what becomes of deletes and their tombstones is configured.
///
/// Values that are no envelopes (heartbeats, transaction markers, logical messages) pass unchanged; truncates are dropped.
struct ExtractNewRecordState {
    handling: DeleteTombstoneHandling,
    replace_null_with_default: bool,
    add_fields: Vec<FieldReference>,
    add_headers: Vec<FieldReference>,
    /// Column whose text is the topic to go to.
    route_by_field: Option<String>,
    drop_fields: Option<DropFields>,
    layouts: SchemaMemo<Layout>,
}

impl ExtractNewRecordState {
    fn new(config: &ExtractNewRecordStateConfig) -> Result<Self, TaskError> {
        let references = |prefix: &str, key: &str, names: &[String]| {
            let parsed = names
                .iter()
                .filter(|name| !name.is_empty())
                .map(|name| FieldReference::parse(prefix, name))
                .collect::<Result<Vec<_>, _>>();
            parsed.map_err(|problem| {
                TaskError::config(
                    "transform.config",
                    format!(
                        "Invalid value {} for configuration {key}: {problem}",
                        names.join(",")
                    ),
                )
            })
        };
        let named = |text: &str| Some(text.to_owned()).filter(|text| !text.trim().is_empty());
        let drop_header = config.drop_fields_header_name.as_deref().and_then(named);
        Ok(Self {
            handling: config.delete_tombstone_handling_mode,
            replace_null_with_default: config.replace_null_with_default,
            add_fields: references(&config.add_fields_prefix, "add.fields", &config.add_fields)?,
            add_headers: references(
                &config.add_headers_prefix,
                "add.headers",
                &config.add_headers,
            )?,
            route_by_field: named(&config.route_by_field),
            drop_fields: drop_header.map(|header| {
                DropFields::new(
                    header,
                    config.drop_fields_from_key,
                    config.drop_fields_keep_schema_compatible,
                )
            }),
            layouts: SchemaMemo::new(LAYOUTS),
        })
    }

    fn tombstone(&self, record: &mut Record) -> Verdict {
        if self.handling != DeleteTombstoneHandling::RewriteWithTombstone {
            return Verdict::Drop;
        }
        for reference in self
            .add_headers
            .iter()
            .filter(|reference| reference.is_operation())
        {
            record.headers.push(
                Arc::clone(&reference.name),
                Data::new(Schema::string(), "d"),
            );
        }
        Verdict::Keep
    }
}

impl Transform for ExtractNewRecordState {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, DataError> {
        if record.value.value.is_null() {
            return Ok(self.tombstone(record));
        }
        let Some(schema) = record.value.schema.as_ref().filter(|schema| {
            schema
                .name()
                .is_some_and(|name| name.ends_with(".Envelope"))
        }) else {
            return Ok(Verdict::Keep);
        };
        let (handling, replace) = (self.handling, self.replace_null_with_default);
        let layout = self.layouts.get_or_try_insert(schema, |schema| {
            Layout::new(
                schema,
                &self.add_fields,
                &self.add_headers,
                self.route_by_field.as_deref(),
                handling.is_rewrite(),
                replace,
            )
        })?;
        let Value::Struct(envelope) = &mut record.value.value else {
            let found = record.value.value.java_class();
            return Err(DataError::new(format!(
                "Only Struct objects supported for [source field insertion], found: {found}"
            )));
        };
        for added in &layout.headers {
            record.headers.push(
                Arc::clone(&added.name),
                Data::new(added.schema.clone(), added.value(envelope)),
            );
        }
        let deleted = envelope.values()[layout.after.index].is_null();
        if deleted && envelope.values()[layout.before.index].is_null() {
            // A truncate: there is no row.
            return Ok(Verdict::Drop);
        }
        let row = if deleted {
            &layout.before
        } else {
            &layout.after
        };
        if let Some(topic) = row.topic(envelope)? {
            record.topic = topic;
        }
        record.value = match (deleted, handling) {
            (true, DeleteTombstoneHandling::Drop) => return Ok(Verdict::Drop),
            // Not the connector's own kind of tombstone, which has no schema: sinks that expect rows see by it which table the key is of.
            (true, DeleteTombstoneHandling::Tombstone) => {
                Data::new(layout.after.original.clone(), Value::Null)
            }
            (true, DeleteTombstoneHandling::DeleteToTombstone) => Data::NONE,
            _ => row.unwrap(envelope, deleted)?,
        };
        if let Some(drop_fields) = &mut self.drop_fields {
            drop_fields.apply(record)?;
        }
        Ok(Verdict::Keep)
    }
}

/// The transform, as registered.
#[derive(Debug)]
pub struct ExtractNewRecordStatePlugin;

impl TransformPlugin for ExtractNewRecordStatePlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(ExtractNewRecordStateConfig::definition().clone())
    }

    fn create(&self, props: &Props) -> Result<Box<dyn Transform>, TaskError> {
        for old in ["drop.tombstones", "delete.handling.mode"] {
            if props.contains_key(old) {
                // As in Debezium since 3.0: silently falling back to the default would lose the deletes of an old configuration.
                tracing::warn!(
                    "{old} of ExtractNewRecordState has no effect any more: set delete.tombstone.handling.mode"
                );
            }
        }
        let config = ExtractNewRecordStateConfig::parse(props)
            .map_err(|errors| TaskError::config("transform.config", errors.to_string()))?;
        Ok(Box::new(ExtractNewRecordState::new(&config)?))
    }
}

/// The values of a struct, moved out when nothing else holds it.
fn take_values(row: &mut Struct, room: usize) -> Vec<Value> {
    let mut values = Vec::with_capacity(row.values().len() + room);
    values.extend(row.values_mut().iter_mut().map(std::mem::take));
    values
}
