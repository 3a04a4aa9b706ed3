//! Leaves one row for each key of a batch: PostgreSQL refuses to upsert a row twice in one statement, and picks any row when it updates from several.
//!
//! The last record of a key counts. A delete before it is still carried out, because it resets columns that the record does not have.

use millrace_api::data::SinkRecord;

use super::key_index::KeyIndex;
use super::plan::Plan;

/// A row that waits to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Number of the record.
    pub(crate) record: u32,
    /// Whether it deletes.
    pub(crate) delete: bool,
    /// A later row has the same key.
    pub(crate) superseded: bool,
    /// A write before which its key is deleted.
    pub(crate) deleted_before: bool,
}

/// Marks rows whose key comes again.
pub(crate) fn fold(keys: &mut KeyIndex, plan: &Plan, records: &[SinkRecord], rows: &mut [Row]) {
    keys.reset(rows.len());
    for at in 0..rows.len() {
        let record = &records[rows[at].record as usize];
        let Some(hash) = plan.key_hash(record) else {
            continue;
        };
        let before = keys.put(hash, at as u32, |other| {
            plan.same_key(&records[rows[other as usize].record as usize], record)
        });
        if let Some(before) = before {
            let before = &mut rows[before as usize];
            before.superseded = true;
            let deleted = before.delete || before.deleted_before;
            rows[at].deleted_before = deleted && !rows[at].delete;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use millrace_api::data::{Data, Schema, SchemaBuilder, Struct, Value};
    use proptest::prelude::*;

    use super::*;
    use crate::postgres::{TableDefinition, TableId, TableKind};
    use crate::sink::config::InsertMode;
    use crate::sink::fields::Columns;
    use crate::sink::plan::Purpose;
    use crate::sink::settings::Settings;
    use crate::sink::testing::{config, record};

    /// What a record does: a key, and the value of its column or, without, a delete.
    type Change = (u8, Option<i32>);
    /// Rows by key: the column of the record, and one that no record has.
    type Rows = BTreeMap<u8, (i32, &'static str)>;

    fn change(rows: &mut Rows, (key, value): Change, mode: InsertMode) {
        match (value, mode) {
            (None, _) => {
                rows.remove(&key);
            }
            (Some(value), InsertMode::Update) => {
                rows.entry(key).and_modify(|row| row.0 = value);
            }
            (Some(value), _) => {
                rows.entry(key)
                    .and_modify(|row| row.0 = value)
                    .or_insert((value, "fresh"));
            }
        }
    }

    fn records(changes: &[Change]) -> Vec<SinkRecord> {
        let key_schema = SchemaBuilder::structure()
            .field("k", Schema::int32())
            .build_valid();
        let value_schema = SchemaBuilder::structure()
            .field("v", Schema::int32())
            .build_valid();
        (0..)
            .zip(changes)
            .map(|(offset, (key, value))| {
                let key = Data::new(
                    key_schema.clone(),
                    Struct::new(key_schema.clone(), vec![Value::Int32((*key).into())]),
                );
                let value = value.map_or(Data::NONE, |value| {
                    Data::new(
                        value_schema.clone(),
                        Struct::new(value_schema.clone(), vec![value.into()]),
                    )
                });
                record("t", offset, key, value)
            })
            .collect()
    }

    proptest! {
        #[test]
        fn folded_rows_leave_what_one_after_the_other_would(
            there in proptest::collection::btree_set(0u8..6, 0..6),
            changes in proptest::collection::vec((0u8..6, proptest::option::weighted(0.6, 0i32..1000)), 0..40),
            update: bool,
        ) {
            let mode = if update { InsertMode::Update } else { InsertMode::Upsert };
            let before: Rows = there.into_iter().map(|key| (key, (-1, "old"))).collect();
            let mut expected = before.clone();
            changes.iter().for_each(|&one| change(&mut expected, one, mode));

            let records = records(&changes);
            let settings = Settings::new("c".into(), config(&[("pk.mode", "record_key"), ("delete.enabled", "true"), ("insert.mode", "upsert")]));
            let table = TableId { catalog: "d".into(), schema: "s".into(), table: "t".into(), sql: "t".into() };
            let definition = TableDefinition { kind: TableKind::Table, columns: Vec::new() };
            let key = SchemaBuilder::structure().field("k", Schema::int32()).build_valid();
            let columns = Columns::of("t", &settings.config, Some(&key), None).expect("columns");
            let plan = Plan::new(&settings, &table, &definition, &columns, Purpose::Delete, [None, None]).expect("plan");
            let mut rows: Vec<Row> = (0..).zip(&changes).map(|(record, (_, value))| Row { record, delete: value.is_none(), superseded: false, deleted_before: false }).collect();
            fold(&mut KeyIndex::default(), &plan, &records, &mut rows);

            let mut got = before;
            let left: Vec<Row> = rows.into_iter().filter(|row| !row.superseded).collect();
            let mut keys: Vec<u8> = left.iter().map(|row| changes[row.record as usize].0).collect();
            keys.sort_unstable();
            prop_assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "a key twice: {keys:?}");
            for row in left.iter().filter(|row| row.delete || row.deleted_before) {
                change(&mut got, (changes[row.record as usize].0, None), mode);
            }
            for row in left.iter().filter(|row| !row.delete) {
                change(&mut got, changes[row.record as usize], mode);
            }
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn keys_that_are_null_are_equal_to_nothing() {
        let schema = SchemaBuilder::structure()
            .field("k", Schema::int32().to_optional())
            .build_valid();
        let settings = Settings::new(
            "c".into(),
            config(&[
                ("pk.mode", "record_value"),
                ("pk.fields", "k"),
                ("insert.mode", "upsert"),
            ]),
        );
        let table = TableId {
            catalog: "d".into(),
            schema: "s".into(),
            table: "t".into(),
            sql: "t".into(),
        };
        let definition = TableDefinition {
            kind: TableKind::Table,
            columns: Vec::new(),
        };
        let columns = Columns::of("t", &settings.config, None, Some(&schema)).expect("columns");
        let plan = Plan::new(
            &settings,
            &table,
            &definition,
            &columns,
            Purpose::Write,
            [None, None],
        )
        .expect("plan");
        let records: Vec<_> = (0..2)
            .map(|offset| {
                record(
                    "t",
                    offset,
                    Data::NONE,
                    Data::new(schema.clone(), Struct::empty(schema.clone())),
                )
            })
            .collect();
        let mut rows: Vec<Row> = (0..2)
            .map(|record| Row {
                record,
                delete: false,
                superseded: false,
                deleted_before: false,
            })
            .collect();
        fold(&mut KeyIndex::default(), &plan, &records, &mut rows);
        assert!(rows.iter().all(|row| !row.superseded));
    }
}
