//! The initial snapshot: one `COPY` per table inside one transaction, its text read as the stream's is.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use millrace_api::data::{Frame, Struct, Text, Value};
use millrace_api::plugin::{SourceBatch, TaskError};
use millrace_cdc::{EventTime, TableId};
use pg_replication::{
    CopyOut, Lsn, PayloadRange, ReplicationConnection, ReplicationError, quote_identifier,
};

use crate::catalog::{self, CatalogTable, TypeRegistry};
use crate::events::{Events, Occasion};
use crate::offset::{Position, SnapshotProgress};
use crate::publication::quoted;
use crate::setup::{Fixed, SnapshotPlan};
use crate::source_info::{Origin, SequenceBuffer, SnapshotMarker};
use crate::sql::{SqlClient, replication_error, sql_error};
use crate::table::{PlanContext, Row, TablePlan, WireColumn, WireValue};

/// A snapshot under way.
pub(crate) struct Snapshot {
    tables: Vec<TableId>,
    lsn: Lsn,
    tx_id: Option<u32>,
    ts_usec: i64,
    /// Index of the table at hand.
    table: usize,
    /// The connection for copies, between two of them.
    idle: Option<ReplicationConnection>,
    copy: Option<TableCopy>,
    /// The last row, kept back: only its successor, or the end, tells its marker.
    held: Option<Held>,
    sequence: Text,
    /// Source block of the last row, with what it depends on.
    block: Option<(Arc<TablePlan>, SnapshotMarker, Struct)>,
    cells: Vec<WireValue>,
    rows: u64,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Snapshot(table {} of {}, {} rows)",
            self.table,
            self.tables.len(),
            self.rows
        )
    }
}

struct TableCopy {
    plan: Arc<TablePlan>,
    lines: Lines,
    /// For each column of the plan, where in the copied line it is.
    places: Vec<Option<usize>>,
    rows: u64,
}

enum Lines {
    /// Kept here, so that a poll that is dropped does not lose the connection.
    Starting(BoxFuture<'static, Result<CopyOut, ReplicationError>>),
    /// Lines that have arrived, all in one buffer, and how many are taken.
    Running {
        copy: Box<CopyOut>,
        frame: Frame,
        places: Vec<PayloadRange>,
        taken: usize,
    },
}

struct Held {
    plan: Arc<TablePlan>,
    row: Row,
    size: usize,
    first_in_table: bool,
    first: bool,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    More,
    Done,
}

impl Snapshot {
    pub(crate) fn new(plan: SnapshotPlan) -> Self {
        let mut buffer = SequenceBuffer::default();
        let (start, len) = buffer.push(None, plan.lsn.0);
        let sequence = buffer
            .freeze()
            .text(start, len)
            .unwrap_or_else(|| Text::from(""));
        tracing::info!(tables = plan.tables.len(), lsn = %plan.lsn, "snapshot begins");
        Self {
            tables: plan.tables,
            lsn: plan.lsn,
            tx_id: plan.tx_id,
            ts_usec: plan.ts_usec,
            table: 0,
            idle: Some(plan.copy),
            copy: None,
            held: None,
            sequence,
            block: None,
            cells: Vec::new(),
            rows: 0,
        }
    }

    /// The position to stream from afterwards, and what a heartbeat at the end carries.
    pub(crate) fn position(&self) -> Position {
        Position {
            lsn: self.lsn.0,
            tx_id: self.tx_id,
            ts_usec: self.ts_usec,
            ..Position::default()
        }
    }

    /// Reads up to `limit` rows. Cancel-safe: a row is taken from the copy only when it is kept.
    #[allow(clippy::too_many_arguments)]
    pub(crate) async fn step(
        &mut self,
        fixed: &Fixed,
        context: &PlanContext,
        types: &TypeRegistry,
        sql: &SqlClient,
        events: &Events,
        time: EventTime,
        limit: usize,
        out: &mut SourceBatch,
    ) -> Result<Step, TaskError> {
        let mut taken = 0;
        while taken < limit {
            let Some(copy) = &mut self.copy else {
                let Some(id) = self.tables.get(self.table).cloned() else {
                    self.finish(sql, events, time, out).await?;
                    return Ok(Step::Done);
                };
                let (plan, places, statement) = prepare(fixed, context, types, sql, &id).await?;
                let Some(connection) = self.idle.take() else {
                    return Err(TaskError::retriable(
                        "postgres.snapshot.connection",
                        "the connection for the snapshot is gone",
                    ));
                };
                let starting = Box::pin(async move { connection.copy_out(&statement).await });
                self.copy = Some(TableCopy {
                    plan,
                    lines: Lines::Starting(starting),
                    places,
                    rows: 0,
                });
                continue;
            };
            let fail = |plan: &TablePlan, e: &ReplicationError| {
                replication_error(
                    &fixed.config,
                    &format!("Snapshotting of table {}", plan.id),
                    e,
                )
            };
            match &mut copy.lines {
                Lines::Starting(starting) => {
                    let started = starting.await.map_err(|e| fail(&copy.plan, &e))?;
                    copy.lines = Lines::Running {
                        copy: Box::new(started),
                        frame: Frame::new(Bytes::new()),
                        places: Vec::new(),
                        taken: 0,
                    };
                }
                Lines::Running {
                    frame,
                    places,
                    taken: at,
                    ..
                } if *at < places.len() => {
                    let (frame, place) = (frame.clone(), places[*at]);
                    *at += 1;
                    taken += 1;
                    self.line(&frame, place, events, time, out)?;
                }
                Lines::Running {
                    copy: rows,
                    frame,
                    places,
                    taken: at,
                } => {
                    *at = 0;
                    match rows.next_batch(places).await {
                        Ok(Some(buffer)) => *frame = Frame::new(buffer),
                        Ok(None) => self.table_done(fixed)?,
                        Err(error) => return Err(fail(&copy.plan, &error)),
                    }
                }
            }
        }
        Ok(Step::More)
    }

    fn table_done(&mut self, fixed: &Fixed) -> Result<(), TaskError> {
        let Some(copy) = self.copy.take() else {
            return Ok(());
        };
        tracing::info!(table = %copy.plan.id, rows = copy.rows, "table is read");
        if let Lines::Running { copy: rows, .. } = copy.lines {
            let idle = rows
                .finish()
                .map_err(|e| replication_error(&fixed.config, "ending the copy", &e))?;
            self.idle = Some(idle);
        }
        self.table += 1;
        Ok(())
    }

    fn line(
        &mut self,
        frame: &Frame,
        place: PayloadRange,
        events: &Events,
        time: EventTime,
        out: &mut SourceBatch,
    ) -> Result<(), TaskError> {
        let Some(copy) = &mut self.copy else {
            return Ok(());
        };
        let size = place.len as usize;
        let plain = split(frame, place, &mut self.cells);
        let cells = copy.places.iter().map(|place| {
            place
                .and_then(|i| self.cells.get(i).copied())
                .unwrap_or(WireValue::Null)
        });
        let row = copy
            .plan
            .row(plain.as_ref().unwrap_or(frame), cells, None)
            .map_err(|e| {
                TaskError::fatal(
                    "postgres.snapshot.row",
                    format!("Snapshotting of table {} failed: {e}", copy.plan.id),
                )
            })?;
        let first_in_table = copy.rows == 0;
        copy.rows += 1;
        self.rows += 1;
        let next = Held {
            plan: Arc::clone(&copy.plan),
            row,
            size,
            first_in_table,
            first: first_in_table && self.table == 0,
        };
        if let Some(held) = self.held.replace(next) {
            // The next row is the first of its table: so this one was the last of another.
            let marker = match (held.first, first_in_table, held.first_in_table) {
                (true, _, _) => SnapshotMarker::First,
                (false, true, _) => SnapshotMarker::LastInTable,
                (false, false, true) => SnapshotMarker::FirstInTable,
                (false, false, false) => SnapshotMarker::Middle,
            };
            self.emit(held, marker, events, time, out);
        }
        Ok(())
    }

    fn emit(
        &mut self,
        held: Held,
        marker: SnapshotMarker,
        events: &Events,
        time: EventTime,
        out: &mut SourceBatch,
    ) {
        let progress = if marker == SnapshotMarker::Last {
            SnapshotProgress::Done
        } else {
            SnapshotProgress::Running
        };
        let at = Occasion {
            plan: &held.plan,
            origin: Origin {
                ts_us: self.ts_usec,
                snapshot: Some(marker),
                sequence: Value::String(self.sequence.clone()),
                schema: &held.plan.schema_text,
                table: &held.plan.table_text,
                tx_id: self.tx_id,
                lsn: self.lsn.0,
                replicated: None,
            },
            position: Position {
                snapshot: Some(progress),
                ..self.position()
            },
            time,
            size: held.size,
        };
        let source = match &self.block {
            Some((plan, of, block)) if *of == marker && Arc::ptr_eq(plan, &held.plan) => {
                block.clone()
            }
            _ => {
                let block = events.source.block(&at.origin);
                self.block = Some((Arc::clone(&held.plan), marker, block.clone()));
                block
            }
        };
        events.read(&at, held.row, source, out);
    }

    async fn finish(
        &mut self,
        sql: &SqlClient,
        events: &Events,
        time: EventTime,
        out: &mut SourceBatch,
    ) -> Result<(), TaskError> {
        sql.run("ROLLBACK", "ending the snapshot's transaction")
            .await?;
        if let Some(held) = self.held.take() {
            self.emit(held, SnapshotMarker::Last, events, time, out);
        }
        tracing::info!(rows = self.rows, "snapshot is complete");
        Ok(())
    }
}

/// The plan of a table, where its columns are in a copied line, and the statement that copies it.
async fn prepare(
    fixed: &Fixed,
    context: &PlanContext,
    types: &TypeRegistry,
    sql: &SqlClient,
    id: &TableId,
) -> Result<(Arc<TablePlan>, Vec<Option<usize>>, String), TaskError> {
    let what = format!("Snapshotting of table {id}");
    let catalog = catalog::table(sql, id)
        .await
        .map_err(|e| sql_error(&what, &e))?
        .unwrap_or_default();
    let wire: Vec<WireColumn> = catalog
        .columns
        .iter()
        .map(|c| WireColumn {
            name: c.name.clone(),
            type_oid: c.type_oid,
            type_modifier: c.type_modifier,
        })
        .collect();
    let plan = TablePlan::new(context, types, id, &wire, &catalog)
        .map_err(|e| TaskError::fatal("postgres.snapshot.plan", e.to_string()))?;
    let (select, names) = match fixed
        .overrides
        .iter()
        .find(|(table, _)| *table == id.to_string())
    {
        Some((_, select)) => {
            let statement = sql.prepare(select).await.map_err(|e| {
                sql_error(
                    &format!("{what}: preparing its snapshot.select.statement.overrides"),
                    &e,
                )
            })?;
            (
                select.clone(),
                statement
                    .columns()
                    .iter()
                    .map(|c| c.name().to_owned())
                    .collect(),
            )
        }
        None => select_of(&plan, &catalog, id),
    };
    let places = wire
        .iter()
        .map(|c| names.iter().position(|n| *n == c.name))
        .collect();
    Ok((Arc::new(plan), places, format!("COPY ({select}) TO STDOUT")))
}

/// The columns that the value or the key needs; all of them when that is none.
fn select_of(plan: &TablePlan, catalog: &CatalogTable, id: &TableId) -> (String, Vec<String>) {
    let used = plan.used_columns();
    let names: Vec<String> = if used.is_empty() {
        catalog.columns.iter().map(|c| c.name.clone()).collect()
    } else {
        used
    };
    let list: Vec<String> = names.iter().map(|n| quote_identifier(n)).collect();
    (
        format!("SELECT {} FROM {}", list.join(", "), quoted(id)),
        names,
    )
}

/// Splits a line of COPY's text format into cells. Without escapes their places are in the buffer that the line lies in; with escapes, in a frame of their own.
fn split(frame: &Frame, place: PayloadRange, cells: &mut Vec<WireValue>) -> Option<Frame> {
    cells.clear();
    let line = frame.bytes().get(place.as_range()).unwrap_or_default();
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let mut start = 0;
    let mut escaped = false;
    let mut backslash = false;
    for (end, byte) in text.iter().copied().chain([b'\t']).enumerate() {
        match byte {
            b'\t' => {
                cells.push(if backslash && &text[start..end] == b"\\N" {
                    WireValue::Null
                } else {
                    escaped |= backslash;
                    WireValue::Text {
                        start: place.offset + start as u32,
                        len: (end - start) as u32,
                    }
                });
                backslash = false;
                start = end + 1;
            }
            b'\\' => backslash = true,
            _ => {}
        }
    }
    if !escaped {
        return None;
    }
    let mut plain = Vec::with_capacity(text.len());
    for cell in cells.iter_mut() {
        if let WireValue::Text { start, len } = *cell {
            let from = plain.len();
            let begin = (start - place.offset) as usize;
            unescape(&text[begin..begin + len as usize], &mut plain);
            *cell = WireValue::Text {
                start: from as u32,
                len: (plain.len() - from) as u32,
            };
        }
    }
    Some(Frame::new(plain))
}

/// Undoes COPY's escapes.
fn unescape(cell: &[u8], out: &mut Vec<u8>) {
    let mut bytes = cell.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next() {
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 0x0b,
            Some(other) => other,
            None => b'\\',
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(line: &str) -> Vec<Option<String>> {
        let mut cells = Vec::new();
        // Not at the start of its buffer, as most lines.
        let buffer = Frame::new(format!("before\n{line}").into_bytes());
        let place = PayloadRange {
            offset: 7,
            len: line.len() as u32,
        };
        let plain = split(&buffer, place, &mut cells);
        let frame = plain.as_ref().unwrap_or(&buffer);
        cells
            .iter()
            .map(|c| match c {
                WireValue::Text { start, len } => {
                    Some(frame.text(*start, *len).expect("UTF-8").to_string())
                }
                _ => None,
            })
            .collect()
    }

    #[test]
    fn lines_are_split_and_unescaped() {
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(
            cells("1\ta b\t\\N\t\n"),
            [some("1"), some("a b"), None, some("")]
        );
        assert_eq!(
            cells("x\\ty\t\\\\N\ta\\nb\\\\\n"),
            [some("x\ty"), some("\\N"), some("a\nb\\")]
        );
        assert_eq!(cells("\\N\n"), [None]);
        assert_eq!(cells("\\\\x00ff\n"), [some("\\x00ff")]);
    }
}
