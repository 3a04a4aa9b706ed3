use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use millrace_embedded::EmbeddedLog;
use millrace_kafka::{KafkaLog, KafkaOptions};
use millrace_log::Log;
use millrace_testkit::{Database, Kafka, Postgres, Worker, WorkerOptions, unique, wait_until};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio_postgres::Client;

/// How long any condition may take: far more than it does, on a machine that has other things to do.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Where the worker of a test keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// A directory of the test's own.
    Embedded,
    /// The broker that all tests share, with topics of the test's own.
    Kafka,
}

/// A database and a place for records that no other test uses, and the configurations that fit both.
#[derive(Debug)]
pub struct Ground {
    kind: LogKind,
    /// Name of everything that belongs to this test: topic prefix, slot, publication, worker group.
    pub id: String,
    pub database: Database,
    /// A session of the superuser in [`database`](Self::database).
    pub sql: Client,
    bootstrap: Option<String>,
    // The worker's log outlives the worker's processes.
    dir: TempDir,
}

impl Ground {
    /// On the PostgreSQL server that all tests share, after running `schema` in the new database.
    ///
    /// # Errors
    /// When a server cannot be started or refuses.
    pub async fn new(kind: LogKind, name: &str, schema: &str) -> Result<Self> {
        Self::on(Postgres::shared().await?, kind, name, schema).await
    }

    /// The same on a server of the test's own.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn on(postgres: &Postgres, kind: LogKind, name: &str, schema: &str) -> Result<Self> {
        let database = postgres.create_database(name).await?;
        let sql = database.connect().await?;
        sql.batch_execute(schema).await?;
        let bootstrap = match kind {
            LogKind::Embedded => None,
            LogKind::Kafka => Some(Kafka::shared().await?.bootstrap()),
        };
        let dir = tempfile::Builder::new().prefix("millrace-e2e-").tempdir()?;
        Ok(Ground {
            kind,
            id: unique(name),
            database,
            sql,
            bootstrap,
            dir,
        })
    }

    pub fn kind(&self) -> LogKind {
        self.kind
    }

    /// A worker that stores offsets five times a second.
    pub fn worker(&self) -> WorkerOptions {
        let json = "org.apache.kafka.connect.json.JsonConverter";
        let options = match &self.bootstrap {
            None => WorkerOptions::on_embedded_log(&self.dir.path().join("log")),
            Some(bootstrap) => WorkerOptions::on_kafka(bootstrap),
        };
        let storage = ["config", "offset", "status"]
            .into_iter()
            .fold(options, |options, what| {
                options.set(
                    &format!("{what}.storage.topic"),
                    &format!("{}-{what}s", self.id),
                )
            });
        storage
            .set("group.id", &self.id)
            .set("offset.storage.partitions", "1")
            .set("status.storage.partitions", "1")
            .set("key.converter", json)
            .set("value.converter", json)
            .set("offset.flush.interval.ms", "200")
    }

    /// Starts [`worker`](Self::worker).
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start(&self) -> Result<ShownWorker> {
        self.start_with(self.worker()).await
    }

    /// Starts a worker with other options.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start_with(&self, options: WorkerOptions) -> Result<ShownWorker> {
        Ok(ShownWorker(Worker::start(options).await?))
    }

    /// The log, to look at beside the worker.
    ///
    /// # Errors
    /// When it is not there, or not yet.
    pub async fn log(&self) -> Result<Arc<dyn Log>> {
        Ok(match &self.bootstrap {
            None => EmbeddedLog::open_read_only(self.dir.path().join("log"))?,
            Some(bootstrap) => {
                KafkaLog::connect(KafkaOptions {
                    properties: vec![("bootstrap.servers".to_owned(), bootstrap.clone())],
                })
                .await?
            }
        })
    }

    /// Topic of a table in schema `public`.
    pub fn topic(&self, table: &str) -> String {
        format!("{}.public.{table}", self.id)
    }

    /// Topics of tables.
    pub fn topics(&self, tables: &[&str]) -> Vec<String> {
        tables.iter().map(|table| self.topic(table)).collect()
    }

    /// The table that [`sink`](Self::sink) makes of a table, as SQL names it.
    pub fn copy_of(&self, table: &str) -> String {
        format!("public.\"{}\"", self.topic(table))
    }

    /// A source that captures these tables. It waits for a slot that its predecessor, killed a moment ago, still holds.
    pub fn source(&self, tables: &[&str]) -> Value {
        json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "tasks.max": "1",
            "database.hostname": self.database.host,
            "database.port": self.database.port.to_string(),
            "database.user": "postgres",
            "database.password": "secret-of-the-source",
            "database.dbname": self.database.name,
            "topic.prefix": self.id,
            "slot.name": self.id,
            "publication.name": self.id,
            "publication.autocreate.mode": "filtered",
            "table.include.list": format!("public\\.({})", tables.join("|")),
            "slot.max.retries": "200",
            "slot.retry.delay.ms": "100",
            "status.update.interval.ms": "200",
            "retriable.restart.connector.wait.ms": "1000",
        })
    }

    /// A sink that copies the topics of these tables into [`copy_of`](Self::copy_of).
    pub fn sink(&self, tables: &[&str]) -> Value {
        let mut config = json!({
            "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
            "tasks.max": "1",
            "topics": self.topics(tables).join(","),
            "connection.url": format!("jdbc:postgresql://{}:{}/{}", self.database.host, self.database.port, self.database.name),
            "connection.user": "postgres",
            "connection.password": "secret-of-the-sink",
            "table.name.format": "\"${topic}\"",
            "insert.mode": "upsert",
            "pk.mode": "record_key",
            "delete.enabled": "true",
            "auto.create": "true",
            "auto.evolve": "true",
            "transforms": "unwrap",
            "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
            "transforms.unwrap.delete.tombstone.handling.mode": "tombstone",
        });
        if self.kind == LogKind::Kafka {
            // Topics that come later are found soon.
            config["consumer.override.metadata.max.age.ms"] = json!("500");
            // A member that was killed is missed soon.
            config["consumer.override.session.timeout.ms"] = json!("2000");
            config["consumer.override.heartbeat.interval.ms"] = json!("400");
            // By default a sink's group has the connector's name: the tests share the broker, and names.
            config["consumer.override.group.id"] = json!(format!("connect-{}", self.id));
        }
        config
    }

    /// Creates a connector and waits until it and its one task run.
    ///
    /// # Errors
    /// When it is refused or does not run within a minute.
    pub async fn create(&self, worker: &Worker, name: &str, config: &Value) -> Result<()> {
        worker.rest().create_connector(name, config).await?;
        worker
            .rest()
            .wait_connector_state(name, "RUNNING", 1)
            .await?;
        Ok(())
    }

    /// Waits until the source streams; while its slot is made the slot is in use too.
    ///
    /// # Errors
    /// When it does not within [`PATIENCE`].
    pub async fn wait_streaming(&self) -> Result<()> {
        wait_until(
            PATIENCE,
            &format!("slot {} streams", self.id),
            async || {
                let row = self
                    .sql
                    .query_opt(
                        "SELECT 1 FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE slot_name = $1 AND state IN ('catchup', 'streaming')",
                        &[&self.id],
                    )
                    .await?;
                Ok(row.map(|_| ()))
            },
        )
        .await
    }

    /// The stored source offset: `GET /connectors/NAME/offsets`, `None` when there is none yet.
    ///
    /// # Errors
    /// When the worker does not answer.
    pub async fn offset(&self, worker: &Worker, name: &str) -> Result<Option<Value>> {
        let body = worker
            .rest()
            .get(&format!("/connectors/{name}/offsets"))
            .await?
            .success()?;
        Ok(body["offsets"]
            .get(0)
            .map(|entry| entry["offset"].clone())
            .filter(|offset| !offset.is_null()))
    }
}

/// A worker whose log goes to the test's output, which is shown when the test fails.
#[derive(Debug)]
pub struct ShownWorker(Worker);

impl Deref for ShownWorker {
    type Target = Worker;

    fn deref(&self) -> &Worker {
        &self.0
    }
}

impl DerefMut for ShownWorker {
    fn deref_mut(&mut self) -> &mut Worker {
        &mut self.0
    }
}

impl Drop for ShownWorker {
    fn drop(&mut self) {
        let log = without_escapes(&self.0.log().unwrap_or_default());
        // Without the line for each request.
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| !line.contains("RestServer: "))
            .collect();
        eprintln!(
            "the end of the worker's log:\n{}",
            lines[lines.len().saturating_sub(60)..].join("\n")
        );
    }
}

/// A configuration with other values; an empty one removes the key.
pub fn changed(config: &Value, changes: &[(&str, &str)]) -> Value {
    let mut map: Map<String, Value> = config.as_object().cloned().unwrap_or_default();
    for (key, value) in changes {
        if value.is_empty() {
            map.remove(*key);
        } else {
            map.insert((*key).to_owned(), json!(value));
        }
    }
    Value::Object(map)
}

/// A log without the escape sequences that colour it.
pub fn without_escapes(log: &str) -> String {
    let mut parts = log.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}
