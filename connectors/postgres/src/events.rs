//! From rows to records.

use std::sync::Arc;

use millrace_api::data::{Data, Headers, Record, SourceRecord, Struct, Value};
use millrace_api::plugin::SourceBatch;
use millrace_cdc::{ContextHeaders, EventTime, Operation};

use crate::config::PostgresConfig;
use crate::offset::Position;
use crate::source_info::{Origin, SourceInfo};
use crate::table::{Row, TablePlan};

/// Builds the records of one task.
#[derive(Debug)]
pub(crate) struct Events {
    pub(crate) source: SourceInfo,
    headers: ContextHeaders,
    /// Index of the source partition in the batch.
    pub(crate) partition: u32,
    tombstones: bool,
    skip_create: bool,
    skip_update: bool,
    skip_delete: bool,
    pub(crate) skip_truncate: bool,
    skip_without_change: bool,
}

/// What one event is made of beside its rows.
#[derive(Debug)]
pub(crate) struct Occasion<'a> {
    pub(crate) plan: &'a TablePlan,
    pub(crate) origin: Origin<'a>,
    pub(crate) position: Position,
    pub(crate) time: EventTime,
    /// Bytes of the rows as they arrived, for the byte budget.
    pub(crate) size: usize,
}

impl Events {
    pub(crate) fn new(config: &PostgresConfig, headers: ContextHeaders, partition: u32) -> Self {
        Self {
            source: SourceInfo::new(&config.topic_prefix, &config.dbname),
            headers,
            partition,
            tombstones: config.tombstones,
            skip_create: config.skips("c"),
            skip_update: config.skips("u"),
            skip_delete: config.skips("d"),
            skip_truncate: config.skips("t"),
            skip_without_change: config.skip_without_change,
        }
    }

    pub(crate) fn insert(&self, at: &Occasion<'_>, new: Row, out: &mut SourceBatch) {
        if !self.skip_create {
            let source = self.source.block(&at.origin);
            self.change(
                at,
                Operation::Create,
                Value::Null,
                new.value.into(),
                source,
                new.key,
                self.headers.plain(),
                out,
            );
        }
    }

    pub(crate) fn update(
        &self,
        at: &Occasion<'_>,
        old: Option<Row>,
        new: Row,
        out: &mut SourceBatch,
    ) {
        let source = self.source.block(&at.origin);
        match old {
            Some(old) if !old.key.is_none() && old.key != new.key => {
                self.key_change(at, old, new, source, out)
            }
            _ if self.skip_update => {}
            Some(old) if self.skip_without_change && old.value == new.value => {}
            old => {
                let before = old.map_or(Value::Null, |o| o.value.into());
                self.change(
                    at,
                    Operation::Update,
                    before,
                    new.value.into(),
                    source,
                    new.key,
                    self.headers.plain(),
                    out,
                );
            }
        }
    }

    pub(crate) fn delete(&self, at: &Occasion<'_>, old: Row, out: &mut SourceBatch) {
        if !self.skip_delete {
            let source = self.source.block(&at.origin);
            self.removal(at, old, source, self.headers.plain(), out);
        }
    }

    pub(crate) fn truncate(&self, at: &Occasion<'_>, out: &mut SourceBatch) {
        let source = self.source.block(&at.origin);
        self.change(
            at,
            Operation::Truncate,
            Value::Null,
            Value::Null,
            source,
            Data::NONE,
            self.headers.plain(),
            out,
        );
    }

    /// A row of a snapshot, with a block made before: it is the same for nearly all rows of a table.
    pub(crate) fn read(&self, at: &Occasion<'_>, row: Row, source: Struct, out: &mut SourceBatch) {
        self.change(
            at,
            Operation::Read,
            Value::Null,
            row.value.into(),
            source,
            row.key,
            self.headers.plain(),
            out,
        );
    }

    /// An update of the key is a delete of the old row and a create of the new one.
    fn key_change(
        &self,
        at: &Occasion<'_>,
        old: Row,
        new: Row,
        source: Struct,
        out: &mut SourceBatch,
    ) {
        let old_key = old.key.clone();
        if !self.skip_delete {
            let headers = self.headers.with_key("__debezium.newkey", new.key.clone());
            self.removal(at, old, source.clone(), headers, out);
        }
        if !self.skip_create {
            let headers = self.headers.with_key("__debezium.oldkey", old_key);
            self.change(
                at,
                Operation::Create,
                Value::Null,
                new.value.into(),
                source,
                new.key,
                headers,
                out,
            );
        }
    }

    fn removal(
        &self,
        at: &Occasion<'_>,
        old: Row,
        source: Struct,
        headers: Headers,
        out: &mut SourceBatch,
    ) {
        let tombstone = self.tombstones.then(|| (old.key.clone(), headers.clone()));
        self.change(
            at,
            Operation::Delete,
            old.value.into(),
            Value::Null,
            source,
            old.key,
            headers,
            out,
        );
        if let Some((key, headers)) = tombstone {
            self.push(at, key, Data::NONE, headers, out);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn change(
        &self,
        at: &Occasion<'_>,
        op: Operation,
        before: Value,
        after: Value,
        source: Struct,
        key: Data,
        headers: Headers,
        out: &mut SourceBatch,
    ) {
        let value = at.plan.envelope.event(op, before, after, source, at.time);
        self.push(at, key, value, headers, out);
    }

    fn push(
        &self,
        at: &Occasion<'_>,
        key: Data,
        value: Data,
        headers: Headers,
        out: &mut SourceBatch,
    ) {
        let record = Record {
            topic: Arc::clone(&at.plan.topic),
            partition: None,
            timestamp: None,
            key,
            value,
            headers,
        };
        // Beside the row's own bytes: the values and blocks that hold it.
        let size = at.size + 600;
        out.push(
            SourceRecord {
                record,
                source_partition: self.partition,
                source_offset: at.position.pack(),
            },
            size,
        );
    }

    /// Gives all records from `first` on but the last the position before their change: it is done when all of them are durable. With its own position on the
    /// delete of a change of a key, a crash between that record and the create would lose the row.
    pub(crate) fn hold_back(first: usize, before: &Position, out: &mut SourceBatch) {
        if let Some((_, others)) = out
            .records_mut()
            .get_mut(first..)
            .and_then(<[SourceRecord]>::split_last_mut)
        {
            for record in others {
                record.source_offset = before.pack();
            }
        }
    }

    /// A record that is no change: a heartbeat.
    pub(crate) fn other(&self, record: Record, position: &Position, out: &mut SourceBatch) {
        out.push(
            SourceRecord {
                record,
                source_partition: self.partition,
                source_offset: position.pack(),
            },
            200,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_passed_with_its_last_record() {
        let mut out = SourceBatch::new();
        let partition = out.partition(&crate::task::partition("p"));
        let (before, after) = (
            Position {
                lsn: 1,
                ..Position::default()
            },
            Position {
                lsn: 2,
                ..Position::default()
            },
        );
        let push = |out: &mut SourceBatch, position: &Position| {
            let record = Record {
                topic: Arc::from("t"),
                partition: None,
                timestamp: None,
                key: Data::NONE,
                value: Data::NONE,
                headers: Headers::new(),
            };
            out.push(
                SourceRecord {
                    record,
                    source_partition: partition,
                    source_offset: position.pack(),
                },
                1,
            );
        };
        push(&mut out, &before);
        for _ in 0..3 {
            push(&mut out, &after);
        }
        Events::hold_back(1, &before, &mut out);
        // A change without records, or with one, leaves all as it is.
        Events::hold_back(4, &before, &mut out);
        Events::hold_back(3, &before, &mut out);
        let lsns: Vec<u64> = out
            .records()
            .iter()
            .map(|record| match &record.source_offset {
                millrace_api::data::SourceOffset::Packed(words) => words[0],
                millrace_api::data::SourceOffset::Map(_) => 0,
            })
            .collect();
        assert_eq!(lsns, [1, 1, 1, 2]);
    }
}
