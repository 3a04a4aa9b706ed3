//! What is worked out once for a pair of schemas and a table: statement, binders, keys.

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use millrace_api::data::{Schema, SinkRecord, Value};

use super::binder::{Binder, UnsupportedType, value_of};
use super::config::InsertMode;
use super::fields::{Column, Columns, Source};
use super::key_index::KeyHasher;
use super::settings::Settings;
use crate::postgres::{
    Expression, TableDefinition, TableId, UnquotableName, delete, insert, update, upsert,
};

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
                return Err(PlanError::Connect(format!(
                    "Write to table '{table}' in UPSERT mode is not supported with the Generic dialect."
                )));
            }
            if columns.keys.is_empty() {
                return Err(PlanError::Connect(format!(
                    "Write to table '{table}' in UPSERT mode requires key field names to be known, check the primary key configuration"
                )));
            }
        }
        let used: Vec<&Column> = if purpose == Purpose::Delete {
            columns.keys.iter().collect()
        } else {
            columns.all().collect()
        };
        let mut binders = Vec::with_capacity(used.len());
        let mut expressions = Vec::with_capacity(used.len());
        for column in used {
            // A column that is not there is left to the server to complain about.
            let found = definition.column(&column.name);
            let target = found.map_or("text", |column| column.base_type.as_str());
            let binder = Binder::new(
                column,
                target,
                settings.config.replace_null_with_default,
                settings.nanos,
            )?;
            let name = settings
                .quoting
                .name(found.map_or(&column.name, |column| column.name.as_str()))?;
            expressions.push(Expression {
                name,
                element: binder.element,
                cast: binder.cast.clone(),
            });
            binders.push(binder);
        }
        let keys = columns.keys.len();
        let sql = match (purpose, mode) {
            (Purpose::Delete, _) => Some(delete(&table.sql, &expressions)),
            (Purpose::Write, InsertMode::Insert) => Some(insert(&table.sql, &expressions)),
            (Purpose::Write, InsertMode::Upsert) => Some(upsert(
                &table.sql,
                &expressions[..keys],
                &expressions[keys..],
            )),
            (Purpose::Write, InsertMode::Update) => {
                update(&table.sql, &expressions[..keys], &expressions[keys..])
            }
        };
        Ok(Self {
            sql: sql.map(Arc::from),
            binders,
            keys,
            _schemas: schemas,
        })
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
        self.binders[..self.keys]
            .iter()
            .all(|binder| match binder.source {
                Source::Topic => a.record.topic == b.record.topic,
                Source::Partition => a.original_partition == b.original_partition,
                Source::Offset => a.offset == b.offset,
                source => value_of(a, source) == value_of(b, source),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{ColumnDefinition, TableKind};
    use crate::sink::testing::{config, row_schema};
    use millrace_api::data::SchemaBuilder;

    fn sql(settings: &[(&str, &str)], purpose: Purpose) -> String {
        let settings = Settings::new("c".into(), config(settings));
        let key = SchemaBuilder::structure()
            .field("id", Schema::int32())
            .build_valid();
        let value = (purpose == Purpose::Write).then(row_schema);
        let columns =
            Columns::of("t", &settings.config, Some(&key), value.as_ref()).expect("columns");
        let table = TableId {
            catalog: "d".into(),
            schema: "s".into(),
            table: "t".into(),
            sql: "\"s\".\"t\"".into(),
        };
        let column = |name: &str, base_type: &str| ColumnDefinition {
            name: name.to_owned(),
            base_type: base_type.to_owned(),
        };
        let names = [
            ("id", "integer"),
            ("Note", "uuid"),
            ("__connect_topic", "text"),
            ("__connect_partition", "integer"),
            ("__connect_offset", "bigint"),
        ];
        let definition = TableDefinition {
            kind: TableKind::Table,
            columns: names
                .iter()
                .map(|(name, kind)| column(name, kind))
                .collect(),
        };
        let plan = Plan::new(
            &settings,
            &table,
            &definition,
            &columns,
            purpose,
            [None, None],
        );
        plan.map_or_else(
            |error| error.to_string(),
            |plan| plan.sql.as_deref().unwrap_or("none").to_owned(),
        )
    }

    /// The column's own spelling and type are in the statement.
    #[test]
    fn statements_of_every_mode() {
        let write = |settings: &[(&str, &str)]| sql(settings, Purpose::Write);
        let plain = r#"INSERT INTO "s"."t" ("id","Note") SELECT u.c0,u.c1::uuid FROM unnest($1::int4[],$2::text[]) AS u(c0,c1)"#;
        let kafka = r#"INSERT INTO "s"."t" ("__connect_topic","__connect_partition","__connect_offset","id","Note") SELECT u.c0,u.c1,u.c2,u.c3,u.c4::uuid FROM unnest($1::text[],$2::int4[],$3::int8[],$4::int4[],$5::text[]) AS u(c0,c1,c2,c3,c4)"#;
        let by_value = [("pk.mode", "record_value"), ("pk.fields", "id")];
        let with = |first: (&'static str, &'static str), rest: &[(&'static str, &'static str)]| {
            write(&[&[first], rest].concat())
        };
        assert_eq!(write(&[]), plain);
        assert_eq!(write(&[("pk.mode", "kafka")]), kafka);
        assert_eq!(write(&[("pk.mode", "record_key")]), plain);
        assert_eq!(write(&by_value), plain);
        let upsert = ("insert.mode", "upsert");
        assert_eq!(
            with(upsert, &[]),
            "Write to table '\"s\".\"t\"' in UPSERT mode requires key field names to be known, check the primary key configuration"
        );
        assert_eq!(
            with(upsert, &[("pk.mode", "kafka")]),
            format!(
                r#"{kafka} ON CONFLICT ("__connect_topic","__connect_partition","__connect_offset") DO UPDATE SET "id"=EXCLUDED."id","Note"=EXCLUDED."Note""#
            )
        );
        for keys in [&[("pk.mode", "record_key")][..], &by_value[..]] {
            assert_eq!(
                with(upsert, keys),
                format!(r#"{plain} ON CONFLICT ("id") DO UPDATE SET "Note"=EXCLUDED."Note""#)
            );
            assert_eq!(
                with(("insert.mode", "update"), keys),
                r#"UPDATE "s"."t" AS target SET "Note"=u.c1::uuid FROM unnest($1::int4[],$2::text[]) AS u(c0,c1) WHERE target."id"=u.c0"#
            );
        }
        assert_eq!(
            with(("insert.mode", "update"), &[("pk.mode", "record_value")]),
            "none"
        );
        assert_eq!(
            sql(
                &[("pk.mode", "record_key"), ("delete.enabled", "true")],
                Purpose::Delete
            ),
            r#"DELETE FROM "s"."t" AS target USING unnest($1::int4[]) AS u(c0) WHERE target."id"=u.c0"#
        );
    }
}
