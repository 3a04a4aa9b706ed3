//! The `source` block of events.

use millrace_api::data::{Frame, Schema, SchemaBuilder, Struct, Text, Value};

/// Version that events and REST show: the release of Debezium whose events these are.
pub(crate) const VERSION: &str = "3.7.0.Final";

/// Kind of connector in the source block and the context headers.
pub(crate) const CONNECTOR: &str = "postgresql";

/// Schema of the block.
pub(crate) fn schema() -> Schema {
    let optional_long = || Schema::int64().to_optional();
    let snapshot = SchemaBuilder::new(millrace_api::data::Kind::String)
        .name("io.debezium.data.Enum")
        .version(1)
        .optional(true)
        .parameter(
            "allowed",
            "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental",
        )
        .default(Some(Value::from("false")))
        .build_valid();
    SchemaBuilder::structure()
        .name("io.debezium.connector.postgresql.Source")
        .version(1)
        .field("version", Schema::string())
        .field("connector", Schema::string())
        .field("name", Schema::string())
        .field("ts_ms", Schema::int64())
        .field("snapshot", snapshot)
        .field("db", Schema::string())
        .field("sequence", Schema::string().to_optional())
        .field("ts_us", optional_long())
        .field("ts_ns", optional_long())
        .field("schema", Schema::string())
        .field("table", Schema::string())
        .field("txId", optional_long())
        .field("lsn", optional_long())
        .field("xmin", optional_long())
        .field("origin", Schema::string().to_optional())
        .field("origin_lsn", optional_long())
        .build_valid()
}

/// Where a snapshot's row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotMarker {
    First,
    FirstInTable,
    LastInTable,
    Last,
    Middle,
}

/// What one event says about where it comes from.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    /// Microseconds since the epoch.
    pub(crate) ts_us: i64,
    pub(crate) snapshot: Option<SnapshotMarker>,
    pub(crate) sequence: Value,
    pub(crate) schema: &'a Text,
    pub(crate) table: &'a Text,
    pub(crate) tx_id: Option<u32>,
    pub(crate) lsn: u64,
    /// Name and commit position on the server that the transaction was replicated from.
    pub(crate) replicated: Option<(&'a Text, u64)>,
}

/// Builds blocks; what is the same for all events of a task is kept.
#[derive(Debug)]
pub(crate) struct SourceInfo {
    schema: Schema,
    version: Value,
    connector: Value,
    name: Value,
    db: Value,
    markers: [Value; 5],
}

impl SourceInfo {
    pub(crate) fn new(prefix: &str, db: &str) -> Self {
        Self {
            schema: schema(),
            version: Value::from(VERSION),
            connector: Value::from(CONNECTOR),
            name: Value::from(prefix),
            db: Value::from(db),
            markers: [
                "first",
                "first_in_data_collection",
                "last_in_data_collection",
                "last",
                "true",
            ]
            .map(Value::from),
        }
    }

    pub(crate) fn block(&self, origin: &Origin<'_>) -> Struct {
        let values: [Value; 16] = [
            self.version.clone(),
            self.connector.clone(),
            self.name.clone(),
            Value::Int64(origin.ts_us.div_euclid(1_000)),
            origin.snapshot.map_or(Value::Null, |m| self.marker(m)),
            self.db.clone(),
            origin.sequence.clone(),
            Value::Int64(origin.ts_us),
            Value::Int64(origin.ts_us.saturating_mul(1_000)),
            Value::String(origin.schema.clone()),
            Value::String(origin.table.clone()),
            origin
                .tx_id
                .map_or(Value::Null, |id| Value::Int64(i64::from(id))),
            Value::Int64(origin.lsn as i64),
            Value::Null,
            origin
                .replicated
                .map_or(Value::Null, |(name, _)| Value::String(name.clone())),
            origin
                .replicated
                .map_or(Value::Null, |(_, lsn)| Value::Int64(lsn as i64)),
        ];
        Struct::new(self.schema.clone(), Box::<[Value]>::from(values))
    }

    pub(crate) fn marker(&self, marker: SnapshotMarker) -> Value {
        self.markers[marker as usize].clone()
    }
}

/// Writes the texts of `sequence` of a whole batch into one buffer, so that an event costs no allocation for it.
#[derive(Debug, Default)]
pub(crate) struct SequenceBuffer {
    bytes: Vec<u8>,
}

impl SequenceBuffer {
    /// Appends `["<last commit>","<lsn>"]` and gives its place.
    pub(crate) fn push(&mut self, last_commit: Option<u64>, lsn: u64) -> (u32, u32) {
        let start = self.bytes.len();
        let mut number = itoa::Buffer::new();
        match last_commit {
            Some(commit) => {
                self.bytes.extend_from_slice(b"[\"");
                self.bytes
                    .extend_from_slice(number.format(commit).as_bytes());
                self.bytes.extend_from_slice(b"\",\"");
            }
            None => self.bytes.extend_from_slice(b"[null,\""),
        }
        self.bytes.extend_from_slice(number.format(lsn).as_bytes());
        self.bytes.extend_from_slice(b"\"]");
        (start as u32, (self.bytes.len() - start) as u32)
    }

    /// The buffer as a frame; empty afterwards.
    pub(crate) fn freeze(&mut self) -> Frame {
        let capacity = self.bytes.len();
        Frame::new(std::mem::replace(
            &mut self.bytes,
            Vec::with_capacity(capacity),
        ))
    }
}
