//! What is worked out once for a pair of schemas and a table: statement, binders, keys.

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use millrace_api::data::{Schema, SinkRecord, Value};

use super::binder::{Binder, UnsupportedType, value_of};
use super::config::InsertMode;
use super::fields::{Column, Columns, Source};
use super::key_index::KeyHasher;
use super::settings::Settings;
use crate::postgres::{Expression, TableDefinition, TableId, UnquotableName, delete, insert, update, upsert};

/// What a plan does with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Inserts, upserts or updates.
    Write,
    /// Deletes.
    Delete,
}

/// Why rows of these schemas cannot be written to the table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// Java's ConnectException.
    #[error("{0}")]
    Connect(String),
    /// A field that no parameter can carry.
    #[error(transparent)]
    Type(#[from] UnsupportedType),
    /// A name that cannot be written.
    #[error(transparent)]
    Name(#[from] UnquotableName),
}

/// A statement with what fills it.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The statement; `None` when there is nothing to do (an update without anything but keys).
    pub(crate) sql: Option<Arc<str>>,
    /// One for each parameter: keys first.
    pub(crate) binders: Vec<Binder>,
    /// How many of them are keys.
    keys: usize,
    /// Kept so that the identifiers under which the plan is found stay theirs.
    _schemas: [Option<Schema>; 2],
}

impl Plan {
    /// Builds the plan. The table has all columns.
    pub(crate) fn new(
        settings: &Settings,
        table: &TableId,
        definition: &TableDefinition,
        columns: &Columns,
        purpose: Purpose,
        schemas: [Option<Schema>; 2],
    ) -> Result<Self, PlanError> {
        let mode = settings.config.insert_mode;
        if purpose == Purpose::Write && mode == InsertMode::Upsert {
            if settings.config.generic_dialect() {
                return Err(PlanError::Connect(format!("Write to table '{table}' in UPSERT mode is not supported with the Generic dialect.")));
            }
            if columns.keys.is_empty() {
                return Err(PlanError::Connect(format!(
                    "Write to table '{table}' in UPSERT mode requires key field names to be known, check the primary key configuration"
                )));
            }
        }
        let used: Vec<&Column> = if purpose == Purpose::Delete { columns.keys.iter().collect() } else { columns.all().collect() };
        let mut binders = Vec::with_capacity(used.len());
        let mut expressions = Vec::with_capacity(used.len());
        for column in used {
            // A column that is not there is left to the server to complain about.
            let found = definition.column(&column.name);
            let target = found.map_or("text", |column| column.base_type.as_str());
            let binder = Binder::new(column, target, settings.config.replace_null_with_default, settings.nanos)?;
            let name = settings.quoting.name(found.map_or(&column.name, |column| column.name.as_str()))?;
            expressions.push(Expression { name, element: binder.element, cast: binder.cast.clone() });
            binders.push(binder);
        }
        let keys = columns.keys.len();
        let sql = match (purpose, mode) {
            (Purpose::Delete, _) => Some(delete(&table.sql, &expressions)),
            (Purpose::Write, InsertMode::Insert) => Some(insert(&table.sql, &expressions)),
            (Purpose::Write, InsertMode::Upsert) => Some(upsert(&table.sql, &expressions[..keys], &expressions[keys..])),
            (Purpose::Write, InsertMode::Update) => update(&table.sql, &expressions[..keys], &expressions[keys..]),
        };
        Ok(Self { sql: sql.map(Arc::from), binders, keys, _schemas: schemas })
    }

    /// Hash of a record's key; `None` when a part of it is null, which is equal to nothing.
    #[inline]
    pub(crate) fn key_hash(&self, record: &SinkRecord) -> Option<u64> {
        let mut hasher = KeyHasher::default();
        for binder in &self.binders[..self.keys] {
            match binder.source {
                Source::Topic => record.record.topic.hash(&mut hasher),
                Source::Partition => record.original_partition.hash(&mut hasher),
                Source::Offset => record.offset.hash(&mut hasher),
                source => match value_of(record, source) {
                    Value::Null => return None,
                    value => value.hash(&mut hasher),
                },
            }
        }
        Some(hasher.finish())
    }

    /// Whether two records have the same key.
    #[inline]
    pub(crate) fn same_key(&self, a: &SinkRecord, b: &SinkRecord) -> bool {
        self.binders[..self.keys].iter().all(|binder| match binder.source {
            Source::Topic => a.record.topic == b.record.topic,
            Source::Partition => a.original_partition == b.original_partition,
            Source::Offset => a.offset == b.offset,
            source => value_of(a, source) == value_of(b, source),
        })
    }
}
