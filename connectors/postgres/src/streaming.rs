//! The stream: pgoutput messages to change events.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_api::data::{Frame as Buffer, Text, Value};
use millrace_api::plugin::{SourceBatch, TaskError};
use millrace_cdc::{EventTime, Heartbeat, TableId};
use pg_replication::pgoutput::{Cell, Decoder, Message, ProtoVersion, Relation, TupleView};
use pg_replication::{Frame, Lsn, ReplicationConnection, XLogData, quote_identifier};

use crate::catalog::{self, TypeRegistry};
use crate::config::PostgresConfig;
use crate::events::{Events, Occasion};
use crate::offset::{MessageType, Position};
use crate::reader::StreamReader;
use crate::resume::Resume;
use crate::setup::{Fixed, StreamPlan};
use crate::source_info::{Origin, SequenceBuffer};
use crate::sql::{SqlClient, replication_error, sql_error};
use crate::table::{PlanContext, Row, RowError, TablePlan, WireColumn, WireValue};

/// Seconds between 1970 and 2000, where PostgreSQL's clock starts.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Where a relation of the stream goes.
#[derive(Debug)]
enum Shape {
    Captured {
        plan: Arc<TablePlan>,
        wire: Vec<WireColumn>,
    },
    /// The filters do not accept it, or it has no columns.
    Filtered,
}

/// The transaction at hand.
#[derive(Debug)]
struct Transaction {
    id: u32,
    /// Commit time, microseconds since the epoch.
    ts_usec: i64,
    origin: Option<(Text, u64)>,
}

/// A running stream.
#[derive(Debug)]
pub(crate) struct Streaming {
    reader: StreamReader,
    decoder: Decoder,
    shapes: HashMap<u32, Shape>,
    position: Position,
    resume: Resume,
    transaction: Option<Transaction>,
    /// What has arrived and is not processed yet: from `frames[next]` on.
    buffer: Buffer,
    frames: Vec<Frame>,
    next: usize,
    /// Place of each frame's `sequence` text in `sequence_texts`.
    sequences: Vec<(u32, u32)>,
    sequence_texts: Buffer,
    sequence_buffer: SequenceBuffer,
    /// End of WAL as far as the server told.
    server_end: u64,
    /// Highest position received.
    received: u64,
    /// Where the stream began.
    from: u64,
    /// Highest position that may be confirmed.
    confirmed: u64,
    /// Time of the last record or progress mark, milliseconds since the epoch.
    last_sign_ms: i64,
    progress_interval_ms: i64,
    marks_progress: bool,
    filtered: u64,
}

/// What a step came to.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Stepped {
    /// Messages were processed, or more are at hand.
    pub(crate) busy: bool,
    /// A heartbeat was sent: run `heartbeat.action.query`.
    pub(crate) beat: bool,
}

/// What processing needs beside the stream.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) fixed: &'a Fixed,
    pub(crate) context: &'a PlanContext,
    pub(crate) sql: &'a SqlClient,
    pub(crate) events: &'a Events,
    /// Nanoseconds since the epoch, read once per step.
    pub(crate) now: i64,
}

/// Opens the connection that a stream needs.
pub(crate) async fn connect(config: &PostgresConfig) -> Result<ReplicationConnection, TaskError> {
    let connected =
        ReplicationConnection::connect(&config.connect_options("Debezium Streaming")).await;
    connected.map_err(|e| {
        let mut error = replication_error(config, "opening the replication connection", &e);
        if error.message.contains("superuser or replication role")
            || error
                .message
                .contains("permission denied to start WAL sender")
        {
            error.message.push_str(&format!(
                ": grant it with ALTER ROLE \"{}\" REPLICATION",
                config.user
            ));
        }
        error
    })
}

/// Starts streaming; a slot that is still in use is waited for.
pub(crate) async fn start(
    config: &PostgresConfig,
    plan: StreamPlan,
) -> Result<Streaming, TaskError> {
    let (from, resume) = Resume::after(&plan.position);
    let publication = quote_identifier(&config.publication_name);
    let options = [
        ("proto_version", ProtoVersion::V1.as_str()),
        ("publication_names", &*publication),
    ];
    let mut connection = Some(plan.connection);
    let mut tries = 0;
    let stream = loop {
        let connection = match connection.take() {
            Some(connection) => connection,
            None => connect(config).await?,
        };
        let error = match connection
            .start_replication(&config.slot_name, Lsn(from), &options)
            .await
        {
            Ok(stream) => break stream,
            Err(error) => error,
        };
        if error
            .server()
            .is_some_and(|s| s.message.contains("has already been removed"))
            || error.sqlstate() == Some("58P01")
        {
            return Err(TaskError::fatal(
                "postgres.wal.removed",
                format!(
                    "The offset to start reading from has been removed from the database write-ahead log. Create a new snapshot (delete the connector's offsets, or snapshot.mode=\
                     when_needed) and raise max_slot_wal_keep_size. (slot '{}', {})",
                    config.slot_name,
                    Lsn(from)
                ),
            ));
        }
        if error.sqlstate() != Some("55006") {
            return Err(replication_error(
                config,
                &format!("Failed to start replication stream at {}", Lsn(from)),
                &error,
            ));
        }
        tries += 1;
        if tries > config.slot_max_retries {
            return Err(TaskError::fatal(
                "postgres.slot.in-use",
                format!(
                    "Failed to start replication stream at {}; when setting up multiple connectors for the same database host, please make sure to use a distinct replication \
                     slot name for each. Slot '{}' is in use: {error}",
                    Lsn(from),
                    config.slot_name
                ),
            ));
        }
        tracing::warn!(
            slot = config.slot_name,
            tries,
            "the slot is in use by another process and is tried again"
        );
        tokio::time::sleep(config.slot_retry_delay).await;
    };
    let repeat = Duration::from_millis(config.status_update_interval_ms.unsigned_abs().into());
    tracing::info!(slot = config.slot_name, from = %Lsn(from), "streaming begins");
    Ok(Streaming {
        reader: StreamReader::start(stream, repeat),
        decoder: Decoder::new(ProtoVersion::V1),
        shapes: HashMap::new(),
        position: plan.position,
        resume,
        transaction: None,
        buffer: Buffer::new(Bytes::new()),
        frames: Vec::new(),
        next: 0,
        sequences: Vec::new(),
        sequence_texts: Buffer::new(Bytes::new()),
        sequence_buffer: SequenceBuffer::default(),
        server_end: 0,
        received: 0,
        from,
        confirmed: 0,
        last_sign_ms: i64::MIN,
        progress_interval_ms: config.status_update_interval_ms.into(),
        marks_progress: config.flush_mode() != crate::config::FlushMode::Manual,
        filtered: 0,
    })
}

impl Streaming {
    /// Where the stream stands: everything up to here was handed out.
    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// Microseconds since the epoch of the last commit seen; 0 when none.
    pub(crate) fn last_commit_us(&self) -> i64 {
        self.position.ts_usec
    }

    /// Bytes of WAL between the server's end, as far as it told, and what is stored; before the first confirmation, what the stream began with counts as stored.
    pub(crate) fn lag_bytes(&self) -> i64 {
        let stored = self.confirmed.max(self.from);
        i64::try_from(self.server_end.saturating_sub(stored)).unwrap_or(i64::MAX)
    }

    /// Tells the server that everything before `lsn` is stored.
    pub(crate) fn confirm(&mut self, lsn: u64) {
        if lsn > self.confirmed {
            self.confirmed = lsn;
            self.reader.confirm(self.received.max(lsn), lsn);
        }
    }

    /// Processes what has arrived, at most `limit` records; waits at most `timeout` for something. Cancel-safe: a frame counts as processed after all its
    /// records are in `out`.
    pub(crate) async fn step(
        &mut self,
        around: &Surroundings<'_>,
        types: &mut TypeRegistry,
        heartbeat: &mut Heartbeat,
        limit: usize,
        timeout: Duration,
        out: &mut SourceBatch,
    ) -> Result<Stepped, TaskError> {
        let mut stepped = Stepped::default();
        if self.next >= self.frames.len() {
            self.frames.clear();
            self.next = 0;
            let config = &around.fixed.config;
            let batch = self
                .reader
                .next(timeout)
                .await
                .map_err(|e| replication_error(config, "reading the replication stream", &e))?;
            if let Some(batch) = batch {
                self.buffer = Buffer::new(batch.buffer);
                self.frames = batch.frames;
                self.write_sequences();
            }
        }
        while let Some(frame) = self.frames.get(self.next).copied() {
            stepped.busy = true;
            match frame {
                Frame::KeepAlive { wal_end, .. } => self.keep_alive(wal_end.0, around, out),
                Frame::XLogData(data) => {
                    self.received = self.received.max(data.wal_start.0);
                    self.server_end = self.server_end.max(data.wal_end.0);
                    self.message(data, around, types, out).await?;
                }
            }
            self.next += 1;
            if out.records().len() >= limit {
                break;
            }
        }
        if !out.records().is_empty() {
            self.last_sign_ms = around.now / 1_000_000;
        } else if self.position.lsn != 0
            && let Some(record) = heartbeat.due(around.now / 1_000_000)
        {
            around.events.other(record, &self.position, out);
            stepped.beat = true;
        }
        Ok(stepped)
    }

    /// `sequence` of each frame, all in one buffer: an event then costs no allocation for it.
    fn write_sequences(&mut self) {
        self.sequences.clear();
        let mut last_commit = self.position.lsn_commit;
        let bytes = self.buffer.bytes().clone();
        for frame in &self.frames {
            let place = match frame {
                Frame::XLogData(data) => match bytes.get(data.payload.offset as usize) {
                    Some(b'C') => {
                        last_commit = Some(data.wal_start.0);
                        (0, 0)
                    }
                    Some(b'I' | b'U' | b'D' | b'T') => {
                        self.sequence_buffer.push(last_commit, data.wal_start.0)
                    }
                    _ => (0, 0),
                },
                Frame::KeepAlive { .. } => (0, 0),
            };
            self.sequences.push(place);
        }
        self.sequence_texts = self.sequence_buffer.freeze();
    }

    async fn message(
        &mut self,
        data: XLogData,
        around: &Surroundings<'_>,
        types: &mut TypeRegistry,
        out: &mut SourceBatch,
    ) -> Result<(), TaskError> {
        let bytes = self.buffer.bytes().clone();
        let payload = bytes.get(data.payload.as_range()).unwrap_or_default();
        let lsn = data.wal_start.0;
        let message = self.decoder.decode(payload).map_err(|e| {
            TaskError::fatal(
                "postgres.stream.malformed",
                format!(
                    "the message at {} of slot '{}' cannot be read: {e}",
                    data.wal_start, around.fixed.config.slot_name
                ),
            )
        })?;
        match message {
            Message::Begin(begin) => {
                self.resume.begin(begin.final_lsn.0);
                let ts_usec = begin.commit_time_us + POSTGRES_EPOCH_MICROS;
                self.transaction = Some(Transaction {
                    id: begin.xid,
                    ts_usec,
                    origin: None,
                });
                self.position = Position {
                    lsn,
                    tx_id: Some(begin.xid),
                    ts_usec,
                    message: Some(MessageType::Begin),
                    ..self.position
                };
            }
            Message::Commit(commit) => {
                self.commit(if lsn == 0 { commit.end_lsn.0 } else { lsn }, around, out)
            }
            Message::Origin(origin) => {
                if let Some(tx) = &mut self.transaction {
                    tx.origin = Some((Text::from(origin.name), origin.commit_lsn.0));
                }
            }
            Message::Relation(relation) => self.relation(&relation, around, types).await?,
            Message::Insert(insert) => {
                self.row_change(
                    insert.relation,
                    data,
                    None,
                    Some(insert.new),
                    around,
                    types,
                    out,
                )
                .await?
            }
            Message::Update(update) => {
                self.row_change(
                    update.relation,
                    data,
                    update.old.map(|o| o.tuple()),
                    Some(update.new),
                    around,
                    types,
                    out,
                )
                .await?;
            }
            Message::Delete(delete) => {
                self.row_change(
                    delete.relation,
                    data,
                    Some(delete.old.tuple()),
                    None,
                    around,
                    types,
                    out,
                )
                .await?
            }
            Message::Truncate(truncate) => {
                self.truncate(truncate.relations.iter().collect(), lsn, around, out)
            }
            // Types are read from the catalog; the rest is sent only when asked for, and this connector does not ask.
            _ => {}
        }
        Ok(())
    }

    fn commit(&mut self, lsn: u64, around: &Surroundings<'_>, out: &mut SourceBatch) {
        let passed = std::mem::take(&mut self.resume);
        if !passed.is_done() {
            self.resume = passed;
            self.resume.commit();
        }
        self.transaction = None;
        // A transaction that was passed over because it is older than the stored position does not move it back.
        if self.position.lsn_commit.is_none_or(|c| c < lsn) {
            self.position = Position {
                lsn,
                lsn_proc: Some(lsn),
                lsn_commit: Some(lsn),
                message: Some(MessageType::Commit),
                events: 0,
                ..self.position
            };
        }
        self.mark_progress(self.position, around, out);
    }

    /// While nothing captured changes, the position moves on all the same, or the slot would hold WAL for ever.
    fn keep_alive(&mut self, wal_end: u64, around: &Surroundings<'_>, out: &mut SourceBatch) {
        self.server_end = self.server_end.max(wal_end);
        self.received = self.received.max(wal_end);
        if self.transaction.is_some() || !self.resume.is_done() || wal_end <= self.position.lsn {
            return;
        }
        let position = Position {
            lsn: wal_end,
            lsn_proc: Some(wal_end),
            lsn_commit: Some(wal_end),
            message: Some(MessageType::Commit),
            events: 0,
            ..self.position
        };
        self.mark_progress(position, around, out);
    }

    fn mark_progress(
        &mut self,
        position: Position,
        around: &Surroundings<'_>,
        out: &mut SourceBatch,
    ) {
        let now_ms = around.now / 1_000_000;
        if self.last_sign_ms == i64::MIN {
            self.last_sign_ms = now_ms;
        }
        if self.marks_progress
            && out.records().is_empty()
            && now_ms - self.last_sign_ms >= self.progress_interval_ms
        {
            out.push_progress(around.events.partition, position.pack());
            self.last_sign_ms = now_ms;
        }
    }

    async fn relation(
        &mut self,
        relation: &Relation<'_>,
        around: &Surroundings<'_>,
        types: &mut TypeRegistry,
    ) -> Result<(), TaskError> {
        let schema = if relation.namespace.is_empty() {
            "pg_catalog"
        } else {
            relation.namespace
        };
        let id = TableId::new(schema, relation.name);
        if !around.fixed.filter.accepts(&id) {
            self.shapes.insert(relation.id, Shape::Filtered);
            return Ok(());
        }
        let wire: Vec<WireColumn> = relation
            .columns
            .iter()
            .map(|c| WireColumn {
                name: c.name.to_owned(),
                type_oid: c.type_oid,
                type_modifier: c.type_modifier,
            })
            .collect();
        if wire.iter().any(|c| types.get(c.type_oid).is_none()) {
            *types = TypeRegistry::load(around.sql)
                .await
                .map_err(|e| sql_error("reading the types of the database", &e))?;
        }
        let shape = plan(&id, wire, around, types).await?;
        self.shapes.insert(relation.id, shape);
        Ok(())
    }

    /// Moves the position to a change, whether it is captured or not; `false`: it was sent before.
    fn advance(&mut self, lsn: u64, message: MessageType) -> bool {
        if !self.resume.is_done() && self.resume.skips(lsn) {
            return false;
        }
        let same = self.position.lsn_proc == Some(lsn) && self.position.events > 0;
        self.position.events = if same {
            self.position.events.saturating_add(1)
        } else {
            1
        };
        self.position.lsn = lsn;
        self.position.lsn_proc = Some(lsn);
        self.position.message = Some(message);
        true
    }

    #[allow(clippy::too_many_arguments)]
    async fn row_change(
        &mut self,
        relation: u32,
        data: XLogData,
        old: Option<TupleView<'_>>,
        new: Option<TupleView<'_>>,
        around: &Surroundings<'_>,
        types: &mut TypeRegistry,
        out: &mut SourceBatch,
    ) -> Result<(), TaskError> {
        let rows = match self.rows(relation, data, old, new) {
            Err(RowError::UnknownLabel { .. }) => {
                // The enum got a label: read the types again and look once more.
                *types = TypeRegistry::load(around.sql)
                    .await
                    .map_err(|e| sql_error("reading the types of the database", &e))?;
                self.refresh(relation, around, types).await?;
                self.rows(relation, data, old, new)
            }
            rows => rows,
        };
        let rows = rows.map_err(|e| {
            TaskError::fatal(
                "postgres.stream.row",
                format!("the change at {} cannot be sent: {e}", data.wal_start),
            )
        })?;
        let message = match (&old, &new) {
            (_, None) => MessageType::Delete,
            (None, Some(_)) if data_tag(&self.buffer, &data) == b'I' => MessageType::Insert,
            _ => MessageType::Update,
        };
        let (before, first) = (self.position, out.records().len());
        if !self.advance(data.wal_start.0, message) {
            return Ok(());
        }
        let Some((plan, old, new)) = rows else {
            self.filtered += 1;
            if self.filtered.is_multiple_of(10_000) {
                tracing::debug!(
                    count = self.filtered,
                    "changes of tables that are not captured"
                );
            }
            return Ok(());
        };
        let sequence = self
            .sequences
            .get(self.next)
            .and_then(|(start, len)| self.sequence_texts.text(*start, *len));
        let at = self.occasion(&plan, sequence, data, around);
        match (message, old, new) {
            (MessageType::Insert, _, Some(new)) => around.events.insert(&at, new, out),
            (_, old, Some(new)) => around.events.update(&at, old, new, out),
            (_, Some(old), None) => around.events.delete(&at, old, out),
            (_, None, None) => {}
        }
        Events::hold_back(first, &before, out);
        Ok(())
    }

    fn occasion<'a>(
        &'a self,
        plan: &'a TablePlan,
        sequence: Option<Text>,
        data: XLogData,
        around: &Surroundings<'_>,
    ) -> Occasion<'a> {
        let replicated = self
            .transaction
            .as_ref()
            .and_then(|t| t.origin.as_ref())
            .map(|(name, lsn)| (name, *lsn));
        let (tx_id, ts_us) = self
            .transaction
            .as_ref()
            .map_or((self.position.tx_id, self.position.ts_usec), |t| {
                (Some(t.id), t.ts_usec)
            });
        Occasion {
            plan,
            origin: Origin {
                ts_us,
                snapshot: None,
                sequence: sequence.map_or(Value::Null, Value::String),
                schema: &plan.schema_text,
                table: &plan.table_text,
                tx_id,
                lsn: data.wal_start.0,
                replicated,
            },
            position: self.position,
            time: EventTime { nanos: around.now },
            size: data.payload.len as usize,
        }
    }

    /// Old and new row of a change, converted; `None`: the table is not captured.
    #[allow(clippy::type_complexity)]
    fn rows(
        &self,
        relation: u32,
        data: XLogData,
        old: Option<TupleView<'_>>,
        new: Option<TupleView<'_>>,
    ) -> Result<Option<(Arc<TablePlan>, Option<Row>, Option<Row>)>, RowError> {
        let Some(Shape::Captured { plan, .. }) = self.shapes.get(&relation) else {
            return Ok(None);
        };
        if plan.width() == 0 {
            return Ok(None);
        }
        let base = data.payload.offset;
        let old = old
            .map(|t| plan.row(&self.buffer, cells(t, base), None))
            .transpose()?;
        let new = new
            .map(|t| plan.row(&self.buffer, cells(t, base), old.as_ref()))
            .transpose()?;
        Ok(Some((Arc::clone(plan), old, new)))
    }

    async fn refresh(
        &mut self,
        relation: u32,
        around: &Surroundings<'_>,
        types: &TypeRegistry,
    ) -> Result<(), TaskError> {
        let Some(Shape::Captured { plan: known, wire }) = self.shapes.get(&relation) else {
            return Ok(());
        };
        let (id, wire) = (known.id.clone(), wire.clone());
        let shape = plan(&id, wire, around, types).await?;
        self.shapes.insert(relation, shape);
        Ok(())
    }

    fn truncate(
        &mut self,
        relations: Vec<u32>,
        lsn: u64,
        around: &Surroundings<'_>,
        out: &mut SourceBatch,
    ) {
        let (before, first) = (self.position, out.records().len());
        if !self.advance(lsn, MessageType::Truncate) || around.events.skip_truncate {
            return;
        }
        let sequence = self
            .sequences
            .get(self.next)
            .and_then(|(start, len)| self.sequence_texts.text(*start, *len));
        for relation in relations {
            let Some(Shape::Captured { plan, .. }) = self.shapes.get(&relation) else {
                continue;
            };
            let plan = Arc::clone(plan);
            let Some(Frame::XLogData(data)) = self.frames.get(self.next).copied() else {
                continue;
            };
            let at = self.occasion(&plan, sequence.clone(), data, around);
            around.events.truncate(&at, out);
        }
        Events::hold_back(first, &before, out);
    }

    /// Ends the stream in an orderly way, so that the server frees the slot at once.
    pub(crate) async fn stop(self) {
        self.reader.stop().await;
    }
}

fn data_tag(buffer: &Buffer, data: &XLogData) -> u8 {
    buffer
        .bytes()
        .get(data.payload.offset as usize)
        .copied()
        .unwrap_or_default()
}

/// The plan for a relation, with what the catalog says now.
async fn plan(
    id: &TableId,
    wire: Vec<WireColumn>,
    around: &Surroundings<'_>,
    types: &TypeRegistry,
) -> Result<Shape, TaskError> {
    let catalog = catalog::table(around.sql, id)
        .await
        .map_err(|e| sql_error(&format!("reading the columns of table '{id}'"), &e))?
        .unwrap_or_default();
    let plan = TablePlan::new(around.context, types, id, &wire, &catalog)
        .map_err(|e| TaskError::fatal("postgres.stream.plan", e.to_string()))?;
    Ok(Shape::Captured {
        plan: Arc::new(plan),
        wire,
    })
}

/// Cells of a tuple with places relative to the whole buffer.
fn cells(tuple: TupleView<'_>, base: u32) -> impl Iterator<Item = WireValue> {
    tuple.cells().map(move |cell| match cell {
        Cell::Null => WireValue::Null,
        Cell::UnchangedToast => WireValue::Unchanged,
        Cell::Text(range) | Cell::Binary(range) => WireValue::Text {
            start: base + range.offset,
            len: range.len,
        },
    })
}
