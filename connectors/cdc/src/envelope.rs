use millrace_api::data::{Data, Schema, SchemaBuilder, Struct, Text, Value};

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `c`
    Create,
    /// `u`
    Update,
    /// `d`
    Delete,
    /// `r`: read by a snapshot
    Read,
    /// `t`
    Truncate,
}

impl Operation {
    /// One letter, as in the envelope's `op` and in `skipped.operations`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Create => "c",
            Self::Update => "u",
            Self::Delete => "d",
            Self::Read => "r",
            Self::Truncate => "t",
        }
    }
}

/// When an event was built, in the three units of the envelope.
#[derive(Debug, Clone, Copy)]
pub struct EventTime {
    /// Nanoseconds since the epoch.
    pub nanos: i64,
}

/// Schema of the `transaction` member.
pub fn transaction_block_schema() -> Schema {
    SchemaBuilder::structure()
        .name("event.block")
        .version(1)
        .optional(true)
        .field("id", Schema::string())
        .field("total_order", Schema::int64())
        .field("data_collection_order", Schema::int64())
        .build_valid()
}

/// Builds change events of one table: `before`, `after`, `source`, `transaction`, `op`, `ts_ms`, `ts_us`, `ts_ns`.
#[derive(Debug, Clone)]
pub struct Envelope {
    schema: Schema,
    ops: [Text; 5],
}

impl Envelope {
    /// For rows of `row` (an optional struct) under the envelope name `name` (`<topic>.Envelope`).
    pub fn new(name: &str, row: &Schema, source: &Schema) -> Self {
        let schema = SchemaBuilder::structure()
            .name(name)
            .version(2)
            .field("before", row.clone())
            .field("after", row.clone())
            .field("source", source.clone())
            .field("transaction", transaction_block_schema())
            .field("op", Schema::string())
            .field("ts_ms", Schema::int64().to_optional())
            .field("ts_us", Schema::int64().to_optional())
            .field("ts_ns", Schema::int64().to_optional())
            .build_valid();
        let ops = [
            Operation::Create,
            Operation::Update,
            Operation::Delete,
            Operation::Read,
            Operation::Truncate,
        ]
        .map(|op| Text::from(op.code()));
        Self { schema, ops }
    }

    /// The envelope's schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// An event. Rows that do not exist are [`Value::Null`].
    pub fn event(
        &self,
        op: Operation,
        before: Value,
        after: Value,
        source: Struct,
        time: EventTime,
    ) -> Data {
        let values: [Value; 8] = [
            before,
            after,
            Value::Struct(source),
            Value::Null,
            Value::String(self.ops[op as usize].clone()),
            Value::Int64(time.nanos.div_euclid(1_000_000)),
            Value::Int64(time.nanos.div_euclid(1_000)),
            Value::Int64(time.nanos),
        ];
        Data::new(
            self.schema.clone(),
            Struct::new(self.schema.clone(), Box::<[Value]>::from(values)),
        )
    }
}
