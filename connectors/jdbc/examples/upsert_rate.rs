//! Rows per second and CPU of the sink: 1,000,000 rows of the demo shop's order lines, upserted in batches of 3000 into a throw-away PostgreSQL.
//!
//! `cargo run -p millrace-jdbc --example upsert_rate --profile bench-run [-- ROWS [BATCH]]`
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Instant;

use millrace_api::config::Props;
use millrace_api::data::{
    Data, Headers, Kind, Record, Schema, SchemaBuilder, SinkRecord, Struct, TimestampType, Value,
    logical,
};
use millrace_api::plugin::{
    Clock, Gauge, SinkBatch, SinkConnectorPlugin as _, SinkTaskContext, TaskId, TaskMetrics,
};
use millrace_jdbc::JdbcSinkPlugin;
use sqlx::{Connection as _, PgConnection};
use throwaway_postgres::{Options, ThrowawayPostgres};

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now_nanos(&self) -> i64 {
        0
    }
}

impl TaskMetrics for Fixed {
    fn gauge(&self, _: &'static str, _: &'static str) -> Gauge {
        Gauge::default()
    }
}

/// Two keys, a reference, a text of some 80 bytes, two numbers, a price, a moment, a flag: about 200 bytes as JSON.
struct Shop {
    key: Schema,
    value: Schema,
    topic: Arc<str>,
    note: String,
}

impl Shop {
    fn new() -> Self {
        let named = |kind: Kind, name: &str| {
            SchemaBuilder::new(kind)
                .name(name)
                .version(1)
                .optional(true)
                .build_valid()
        };
        Self {
            key: SchemaBuilder::structure()
                .field("order_id", Schema::int64())
                .field("line", Schema::int32())
                .build_valid(),
            value: SchemaBuilder::structure()
                .field("order_id", Schema::int64())
                .field("line", Schema::int32())
                .field("product_id", Schema::int32())
                .field("quantity", Schema::int32())
                .field("price", logical::decimal(2).build_valid())
                .field("note", Schema::string().to_optional())
                .field("changed_at", named(Kind::Int64, logical::TIMESTAMP))
                .field("gift", Schema::boolean())
                .build_valid(),
            topic: "order_lines".into(),
            note: "handle with care; leave at the door when nobody is at home, please ".to_owned(),
        }
    }

    fn record(&self, offset: i64) -> SinkRecord {
        let (order, line) = (offset / 4, (offset % 4) as i32);
        let key = vec![Value::Int64(order), Value::Int32(line)];
        let value = vec![
            Value::Int64(order),
            Value::Int32(line),
            Value::Int32((offset * 7919 % 5000) as i32),
            Value::Int32(line + 1),
            Value::Decimal(Box::new(millrace_api::data::Decimal::new(
                i128::from(offset % 100_000),
                2,
            ))),
            format!("{}{offset}", self.note).as_str().into(),
            Value::Int64(1_700_000_000_000 + offset),
            Value::Boolean(offset % 10 == 0),
        ];
        SinkRecord {
            record: Record {
                topic: Arc::clone(&self.topic),
                partition: Some(0),
                timestamp: Some(1_700_000_000_000),
                key: Data::new(self.key.clone(), Struct::new(self.key.clone(), key)),
                value: Data::new(self.value.clone(), Struct::new(self.value.clone(), value)),
                headers: Headers::default(),
            },
            original_topic: Arc::clone(&self.topic),
            original_partition: 0,
            offset,
            timestamp_type: TimestampType::CreateTime,
        }
    }
}

/// Time that this thread has run, user and system, in seconds. The task runs on it alone.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<i64>().expect("a number"));
    let (rows, batch_size) = (
        arguments.next().unwrap_or(1_000_000),
        arguments.next().unwrap_or(3000),
    );
    let server = ThrowawayPostgres::start(Options::default()).unwrap();
    let props = Props::from_iter([
        (
            "connection.url",
            format!("jdbc:postgresql://127.0.0.1:{}/postgres", server.port()),
        ),
        ("connection.user", "postgres".to_owned()),
        ("insert.mode", "upsert".to_owned()),
        ("pk.mode", "record_key".to_owned()),
        ("delete.enabled", "true".to_owned()),
        ("auto.create", "true".to_owned()),
    ]);
    let mut task = JdbcSinkPlugin.task();
    let context = SinkTaskContext {
        id: TaskId {
            connector: "bench".into(),
            task: 0,
        },
        reporter: None,
        clock: Arc::new(Fixed),
        metrics: Arc::new(Fixed),
        cancel: Default::default(),
    };
    task.start(context, &props).await.unwrap();
    let shop = Shop::new();
    for (name, shift) in [("insert", 0), ("update half, insert half", rows / 2)] {
        let (mut wall, mut cpu) = (0.0, 0.0);
        let mut first = 0;
        while first < rows {
            // Made outside of what is measured.
            let batch = SinkBatch {
                records: (first..rows.min(first + batch_size))
                    .map(|offset| shop.record(offset + shift))
                    .collect(),
            };
            first += batch_size;
            let (start, cpu_before) = (Instant::now(), cpu_seconds());
            task.put(&batch).await.unwrap();
            wall += start.elapsed().as_secs_f64();
            cpu += cpu_seconds() - cpu_before;
        }
        let per_row = 1e6 / rows as f64;
        println!(
            "{name}: {rows} rows in batches of {batch_size}: {wall:.1} s, {:.0} rows/s, {:.2} µs client CPU per row",
            rows as f64 / wall,
            cpu * per_row
        );
    }
    task.stop().await.unwrap();
    let mut check = PgConnection::connect(&server.url()).await.unwrap();
    let sql = "SELECT count(*), max(changed_at)::text FROM order_lines WHERE note LIKE 'handle with care%'";
    let (count, last): (i64, String) = sqlx::query_as(sql).fetch_one(&mut check).await.unwrap();
    assert_eq!(count, rows + rows / 2, "every row once");
    println!("table: {count} rows, last changed at {last}");
}
