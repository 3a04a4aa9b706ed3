//! One server for all tests, a database for each; records, a reporter that remembers, a task that is put to work.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use millrace_api::config::Props;
use millrace_api::data::{
    Data, Headers, Kind, Record, Schema, SchemaBuilder, SinkRecord, Struct, TimestampType, Value,
};
use millrace_api::plugin::{
    Clock, DataError, ErrantRecordReporter, ErrorKind, Gauge, SinkBatch, SinkConnectorPlugin as _,
    SinkTask, SinkTaskContext, TaskError, TaskId, TaskMetrics,
};
use millrace_jdbc::JdbcSinkPlugin;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use throwaway_postgres::{Options, ThrowawayPostgres};
use tokio_util::sync::CancellationToken;

/// The server that all tests share. It ends with this process.
pub(crate) fn server() -> &'static ThrowawayPostgres {
    static SERVER: OnceLock<ThrowawayPostgres> = OnceLock::new();
    SERVER.get_or_init(|| ThrowawayPostgres::start(Options::default()).unwrap())
}

/// A database of its own.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) port: u16,
    connection: PgConnection,
}

impl Database {
    pub(crate) async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self::on(
            server().port(),
            &format!("jdbc_{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        )
        .await
    }

    pub(crate) async fn on(port: u16, name: &str) -> Self {
        let mut admin = connect(port, "postgres").await;
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut admin)
            .await
            .unwrap();
        Self {
            name: name.to_owned(),
            port,
            connection: connect(port, name).await,
        }
    }

    /// Connects anew, after the server was away.
    pub(crate) async fn reconnect(&mut self) {
        self.connection = connect(self.port, &self.name).await;
    }

    pub(crate) async fn execute(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut self.connection)
            .await
            .unwrap();
    }

    /// Rows as the server writes them: `(1,a,)`.
    pub(crate) async fn rows(&mut self, sql: &str) -> Vec<String> {
        let sql = format!("SELECT r::text FROM ({sql}) r");
        let rows = sqlx::query(AssertSqlSafe(sql))
            .persistent(false)
            .fetch_all(&mut self.connection)
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Columns as `name type`, `not null` and default, in order; then the primary key.
    pub(crate) async fn shape(&mut self, table: &str) -> Vec<String> {
        let sql = format!(
            "SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END \
               || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') \
             FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = '{table}'::regclass AND a.attnum > 0 AND NOT a.attisdropped \
             UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'p'"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .persistent(false)
            .fetch_all(&mut self.connection)
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub(crate) fn url(&self) -> String {
        format!("jdbc:postgresql://127.0.0.1:{}/{}", self.port, self.name)
    }

    pub(crate) fn props(&self, settings: &[(&str, &str)]) -> Props {
        let mut props = Props::from_iter([
            ("name", "c".to_owned()),
            ("connection.url", self.url()),
            ("connection.user", "postgres".to_owned()),
            ("connection.attempts", "1".to_owned()),
            ("retry.backoff.ms", "1".to_owned()),
            ("max.retries", "1".to_owned()),
        ]);
        props.extend(settings.iter().copied());
        props
    }
}

async fn connect(port: u16, database: &str) -> PgConnection {
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username("postgres")
        .database(database);
    PgConnection::connect_with(&options).await.unwrap()
}

/// Remembers what was reported; refuses to go on when told to.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    pub(crate) reported: Mutex<Vec<(i64, &'static str, String)>>,
    pub(crate) intolerant: bool,
}

impl Reporter {
    pub(crate) fn offsets(&self) -> Vec<i64> {
        self.reported
            .lock()
            .unwrap()
            .iter()
            .map(|(offset, ..)| *offset)
            .collect()
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        self.reported
            .lock()
            .unwrap()
            .iter()
            .map(|(.., message)| message.clone())
            .collect()
    }
}

impl ErrantRecordReporter for Reporter {
    fn report(&self, record: &SinkRecord, error: DataError) -> Result<(), TaskError> {
        self.reported.lock().unwrap().push((
            record.offset,
            error.java_class,
            error.message.to_string(),
        ));
        if self.intolerant {
            Err(TaskError::fatal(
                "test",
                "Tolerance exceeded in error handler",
            ))
        } else {
            Ok(())
        }
    }
}

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now_nanos(&self) -> i64 {
        i64::try_from(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_nanos(),
        )
        .unwrap()
    }
}

#[derive(Debug)]
struct NoMetrics;

impl TaskMetrics for NoMetrics {
    fn gauge(&self, _: &'static str, _: &'static str) -> Gauge {
        Gauge::default()
    }
}

/// A running task.
pub(crate) struct Sink {
    pub(crate) task: Box<dyn SinkTask>,
    pub(crate) cancel: CancellationToken,
}

impl Sink {
    pub(crate) async fn start(database: &Database, settings: &[(&str, &str)]) -> Self {
        Self::with_reporter(database, settings, None).await
    }

    pub(crate) async fn with_reporter(
        database: &Database,
        settings: &[(&str, &str)],
        reporter: Option<Arc<Reporter>>,
    ) -> Self {
        Self::try_start(database.props(settings), reporter)
            .await
            .unwrap()
    }

    pub(crate) async fn try_start(
        props: Props,
        reporter: Option<Arc<Reporter>>,
    ) -> Result<Self, TaskError> {
        let mut task = JdbcSinkPlugin.task();
        let cancel = CancellationToken::new();
        let context = SinkTaskContext {
            id: TaskId {
                connector: "c".into(),
                task: 0,
            },
            reporter: reporter.map(|reporter| reporter as Arc<dyn ErrantRecordReporter>),
            clock: Arc::new(SystemClock),
            metrics: Arc::new(NoMetrics),
            cancel: cancel.clone(),
        };
        task.start(context, &props).await?;
        Ok(Self { task, cancel })
    }

    pub(crate) async fn put(&mut self, records: Vec<SinkRecord>) -> Result<(), TaskError> {
        self.task.put(&SinkBatch { records }).await
    }

    /// As the worker does: the same batch again while errors are retriable.
    pub(crate) async fn put_until_settled(
        &mut self,
        records: Vec<SinkRecord>,
    ) -> Result<u32, TaskError> {
        let batch = SinkBatch { records };
        let mut retries = 0;
        loop {
            match self.task.put(&batch).await {
                Ok(()) => return Ok(retries),
                Err(error) if error.kind == ErrorKind::Retriable => retries += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// A struct schema of `(name, schema)`.
pub(crate) fn structure(fields: &[(&str, Schema)]) -> Schema {
    fields
        .iter()
        .fold(SchemaBuilder::structure(), |builder, (name, schema)| {
            builder.field(*name, schema.clone())
        })
        .build_valid()
}

/// A struct of `(name, schema, value)`.
pub(crate) fn row(fields: Vec<(&str, Schema, Value)>) -> Data {
    let schema = structure(
        &fields
            .iter()
            .map(|(name, schema, _)| (*name, schema.clone()))
            .collect::<Vec<_>>(),
    );
    let values: Vec<Value> = fields.into_iter().map(|(.., value)| value).collect();
    Data::new(schema.clone(), Struct::new(schema, values))
}

/// `{nr: INT32, title: STRING?, amount: INT32?}`
pub(crate) fn item(nr: i32, title: &str, amount: i32) -> Data {
    row(vec![
        ("nr", Schema::int32(), nr.into()),
        ("title", Schema::string().to_optional(), title.into()),
        ("amount", Schema::int32().to_optional(), amount.into()),
    ])
}

/// `{nr: INT32}`
pub(crate) fn key(nr: i32) -> Data {
    row(vec![("nr", Schema::int32(), nr.into())])
}

/// A named schema.
pub(crate) fn named(kind: Kind, name: &str) -> Schema {
    SchemaBuilder::new(kind)
        .name(name)
        .version(1)
        .optional(true)
        .build_valid()
}

/// A record of partition 0.
pub(crate) fn record(topic: &str, offset: i64, key: Data, value: Data) -> SinkRecord {
    SinkRecord {
        record: Record {
            topic: topic.into(),
            partition: Some(0),
            timestamp: Some(1_700_000_000_000),
            key,
            value,
            headers: Headers::default(),
        },
        original_topic: topic.into(),
        original_partition: 0,
        offset,
        timestamp_type: TimestampType::CreateTime,
    }
}

/// Records of one topic with offsets from 0, without keys.
pub(crate) fn values(topic: &str, values: Vec<Data>) -> Vec<SinkRecord> {
    (0..)
        .zip(values)
        .map(|(offset, value)| record(topic, offset, Data::NONE, value))
        .collect()
}

/// Records of one topic with offsets from 0.
pub(crate) fn pairs(topic: &str, pairs: Vec<(Data, Data)>) -> Vec<SinkRecord> {
    (0..)
        .zip(pairs)
        .map(|(offset, (key, value))| record(topic, offset, key, value))
        .collect()
}

/// Settings of an upsert by record key that makes its tables.
pub(crate) const UPSERT: &[(&str, &str)] = &[
    ("insert.mode", "upsert"),
    ("pk.mode", "record_key"),
    ("auto.create", "true"),
    ("delete.enabled", "true"),
];
