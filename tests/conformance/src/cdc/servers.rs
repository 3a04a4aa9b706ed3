use std::sync::Arc;

use anyhow::{Context as _, Result};
use millrace_kafka::{KafkaLog, KafkaOptions};
use millrace_testkit::{Kafka, Postgres, RestClient, Worker, WorkerOptions};

pub(super) const JSON_CONVERTER: &str = "org.apache.kafka.connect.json.JsonConverter";
pub(super) const OFFSETS_TOPIC: &str = "connect-offsets";

/// One Kafka, one PostgreSQL and one worker for all scenarios; they end with this value or with the process.
#[derive(Debug)]
pub struct Servers {
    pub(super) postgres: &'static Postgres,
    pub(super) log: Arc<KafkaLog>,
    pub(super) bootstrap: String,
    worker: Worker,
}

impl Servers {
    /// # Errors
    /// When one of them is not installed, not built or does not start.
    pub async fn start() -> Result<Self> {
        let (kafka, postgres) = tokio::try_join!(Kafka::shared(), Postgres::shared())?;
        let bootstrap = kafka.bootstrap();
        let log = KafkaLog::connect(KafkaOptions {
            properties: vec![("bootstrap.servers".to_owned(), bootstrap.clone())],
        });
        let worker = Worker::start(
            WorkerOptions::on_kafka(&bootstrap)
                .set("key.converter", JSON_CONVERTER)
                .set("value.converter", JSON_CONVERTER)
                .set("offset.storage.topic", OFFSETS_TOPIC)
                .set("offset.storage.partitions", "1")
                .set("offset.flush.interval.ms", "200"),
        );
        let (log, worker) = (log.await.context("cannot connect to Kafka")?, worker.await?);
        Ok(Servers {
            postgres,
            log,
            bootstrap,
            worker,
        })
    }

    pub(super) fn rest(&self) -> &RestClient {
        self.worker.rest()
    }

    /// All that the worker has printed.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn worker_log(&self) -> Result<String> {
        self.worker.log()
    }
}
