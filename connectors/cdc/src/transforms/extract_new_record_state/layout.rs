use std::sync::Arc;

use millrace_api::data::{Data, Field, Kind, Schema, Struct, Value};
use millrace_api::plugin::DataError;

use super::field_reference::{Added, FieldReference, basics};
use super::take_values;

const BUILDER_EXCEPTION: &str = "org.apache.kafka.connect.errors.SchemaBuilderException";

/// Where everything is in envelopes of one schema, and what comes out of them.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) before: Row,
    pub(super) after: Row,
    pub(super) headers: Vec<Added>,
}

impl Layout {
    pub(super) fn new(
        envelope: &Schema,
        fields: &[FieldReference],
        headers: &[FieldReference],
        route_by: Option<&str>,
        rewrite: bool,
        replace_null_with_default: bool,
    ) -> Result<Self, DataError> {
        let resolve = |references: &[FieldReference]| {
            references
                .iter()
                .filter_map(|r| r.resolve(envelope).transpose())
                .collect::<Result<Vec<_>, _>>()
        };
        let added = resolve(fields)?;
        let row = |name: &str| {
            let unknown = || {
                DataError::new(format!("Unknown field: {name}"))
                    .with_java_class("java.lang.IllegalArgumentException")
            };
            let (index, field) = envelope.field(name).ok_or_else(unknown)?;
            Row::new(
                index,
                field,
                &added,
                route_by,
                rewrite,
                replace_null_with_default,
            )
        };
        Ok(Self {
            before: row("before")?,
            after: row("after")?,
            headers: resolve(headers)?,
        })
    }
}

/// One of the two rows of an envelope.
#[derive(Debug)]
pub(super) struct Row {
    /// Which field of the envelope it is.
    pub(super) index: usize,
    /// Its schema in the envelope.
    pub(super) original: Schema,
    /// Its schema when it comes out.
    schema: Schema,
    added: Vec<Added>,
    /// Whether `__deleted` follows the columns.
    rewrite: bool,
    /// Columns whose null becomes a default.
    defaults: Vec<(usize, Value)>,
    /// Name of the column that is the topic, and where it is.
    route: Option<(String, Option<usize>)>,
}

impl Row {
    fn new(
        index: usize,
        field: &Field,
        added: &[Added],
        route_by: Option<&str>,
        rewrite: bool,
        replace_null_with_default: bool,
    ) -> Result<Self, DataError> {
        let original = field.schema.clone();
        if original.kind() != Kind::Struct {
            return Err(DataError::new(format!(
                "Only Struct objects supported for [source field insertion], found: a {} as '{}'",
                original.kind().name(),
                field.name
            )));
        }
        let mut builder = basics(&original);
        for column in original.fields() {
            builder = builder.field(Arc::clone(&column.name), column.schema.clone());
        }
        if rewrite {
            builder = builder.field("__deleted", Schema::string().to_optional());
        }
        for added in added {
            builder = builder.field(Arc::clone(&added.name), added.schema.clone());
        }
        let schema = builder
            .build()
            .map_err(|e| DataError::new(e.to_string()).with_java_class(BUILDER_EXCEPTION))?;
        let defaults = original
            .fields()
            .iter()
            .enumerate()
            .filter_map(|(i, column)| Some((i, column.schema.default()?.clone())));
        let route = route_by.map(|name| {
            let column = original
                .field(name)
                .filter(|(_, column)| column.schema.kind() == Kind::String);
            (name.to_owned(), column.map(|(i, _)| i))
        });
        Ok(Self {
            index,
            schema,
            added: added.to_vec(),
            rewrite,
            defaults: if rewrite && replace_null_with_default {
                defaults.collect()
            } else {
                Vec::new()
            },
            route,
            original,
        })
    }

    /// The topic that the row goes to, when it says one.
    pub(super) fn topic(&self, envelope: &Struct) -> Result<Option<Arc<str>>, DataError> {
        let Some((name, column)) = &self.route else {
            return Ok(None);
        };
        let Some(column) = column else {
            return Err(DataError::new(match self.original.field(name) {
                Some(_) => format!("Field '{name}' is not of type STRING"),
                None => format!("{name} is not a valid field name"),
            }));
        };
        let row = envelope.values()[self.index].as_struct();
        Ok(row
            .and_then(|row| row.values()[*column].as_str())
            .filter(|topic| !topic.trim().is_empty())
            .map(Arc::from))
    }

    /// Takes the row out of the envelope.
    pub(super) fn unwrap(&self, envelope: &mut Struct, deleted: bool) -> Result<Data, DataError> {
        let extra: Vec<Value> = self
            .added
            .iter()
            .map(|added| added.value(envelope))
            .collect();
        let mut row = match std::mem::take(&mut envelope.values_mut()[self.index]) {
            Value::Struct(row) => row,
            other => {
                return Err(DataError::new(format!(
                    "Only Struct objects supported for [source field insertion], found: {}",
                    other.java_class()
                )));
            }
        };
        if *row.schema() != self.original {
            return Err(DataError::new("Struct schemas do not match."));
        }
        let mut values = take_values(&mut row, usize::from(self.rewrite) + extra.len());
        for (column, default) in &self.defaults {
            if values[*column].is_null() {
                values[*column] = default.clone();
            }
        }
        if self.rewrite {
            values.push(Value::from(if deleted { "true" } else { "false" }));
        }
        values.extend(extra);
        Ok(Data::new(
            self.schema.clone(),
            Struct::new(self.schema.clone(), values),
        ))
    }
}
