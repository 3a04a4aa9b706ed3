//! The task: connects, writes one batch in one transaction, retries, reports.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::data::SinkRecord;
use millrace_api::plugin::{DataError, SinkBatch, SinkTask, SinkTaskContext, TaskError};
use tokio::time::Instant;

use super::config::JdbcSinkConfig;
use super::isolate::{Search, is_refusal};
use super::settings::Settings;
use super::writer::{DdlCommit, Failure, Writer};
use crate::postgres::{ErrorClass, ServerError, Session, Target};

/// Java's class for a table that is missing or lacks columns.
const TABLE_EXCEPTION: &str = "io.confluent.connect.jdbc.sink.TableAlterOrCreateException";
const SQL_EXCEPTION: &str = "java.sql.SQLException";

/// Where a record was consumed: names it over deliveries.
type Coordinates = (Arc<str>, i32, i64);

/// `io.confluent.connect.jdbc.sink.JdbcSinkTask`
#[derive(Debug, Default)]
pub(crate) struct JdbcSinkTask {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    context: SinkTaskContext,
    settings: Arc<Settings>,
    target: Target,
    session: Option<Session>,
    writer: Writer,
    /// Retries left until a batch succeeds.
    retries_left: i32,
    /// Not before this the next attempt.
    retry_at: Option<Instant>,
    /// Records of the batch that is being redelivered which are committed, or reported, already: DDL and bad records commit on the way.
    done: HashSet<Coordinates>,
}

#[async_trait::async_trait]
impl SinkTask for JdbcSinkTask {
    async fn start(&mut self, context: SinkTaskContext, props: &Props) -> Result<(), TaskError> {
        let config = JdbcSinkConfig::checked(props)
            .map_err(|errors| TaskError::config("jdbc.config", errors.to_string()))?;
        let target = Target::of(&config, props).map_err(|(key, message)| {
            TaskError::config("jdbc.config", format!("{key}: {message}"))
        })?;
        let settings = Arc::new(Settings::new(Arc::clone(&context.id.connector), config));
        // Connects with the first batch, as in Java: an idle sink does not need its database.
        self.running = Some(Running {
            context,
            target,
            session: None,
            writer: Writer::new(Arc::clone(&settings)),
            retries_left: settings.config.max_retries,
            retry_at: None,
            done: HashSet::new(),
            settings,
        });
        Ok(())
    }

    async fn put(&mut self, batch: &SinkBatch) -> Result<(), TaskError> {
        match &mut self.running {
            Some(running) => running.put(&batch.records).await,
            None => Err(TaskError::fatal(
                "jdbc.not-started",
                "the task was not started",
            )),
        }
    }

    async fn stop(&mut self) -> Result<(), TaskError> {
        if let Some(session) = self.running.take().and_then(|running| running.session) {
            session.close().await;
        }
        Ok(())
    }
}

impl Running {
    async fn put(&mut self, records: &[SinkRecord]) -> Result<(), TaskError> {
        if let Some(at) = self.retry_at.take() {
            self.pause_until(at).await?;
        }
        let mut pending: Vec<u32> = (0u32..)
            .zip(records)
            .filter(|(_, record)| !self.is_done(record))
            .map(|(number, _)| number)
            .collect();
        let mut durable = Vec::new();
        let outcome = self.deliver(records, &mut pending, &mut durable).await;
        match outcome {
            Ok(()) => {
                self.retries_left = self.settings.config.max_retries;
                self.done.clear();
                Ok(())
            }
            Err(error) => {
                self.done.extend(
                    durable
                        .iter()
                        .map(|&number| coordinates(&records[number as usize])),
                );
                Err(error)
            }
        }
    }

    fn is_done(&self, record: &SinkRecord) -> bool {
        !self.done.is_empty() && self.done.contains(&coordinates(record))
    }

    /// Writes what is pending, whatever it takes short of another `put`.
    async fn deliver(
        &mut self,
        records: &[SinkRecord],
        pending: &mut Vec<u32>,
        durable: &mut Vec<u32>,
    ) -> Result<(), TaskError> {
        let mut looked_again = false;
        loop {
            let failure = match self.attempt(records, pending, durable).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            durable.sort_unstable();
            pending.retain(|number| durable.binary_search(number).is_err());
            self.roll_back().await;
            let at_commit = matches!(&failure, Failure::Server(error) if error.at_commit);
            match failure {
                Failure::Fatal(error) => return Err(error),
                // Somebody changed a table since it was looked at: look again, once.
                Failure::Server(error) if error.class() == ErrorClass::Stale && !looked_again => {
                    tracing::info!(connector = %self.settings.connector, error = error.message(), "a table is not what it was; looking at it again");
                    looked_again = true;
                    self.writer.forget_tables();
                }
                failure if is_refusal(&failure) => {
                    return self
                        .refused(
                            records,
                            std::mem::take(pending),
                            durable,
                            failure,
                            at_commit,
                        )
                        .await;
                }
                Failure::Server(error) => return Err(self.retry(&error)),
                Failure::Table(message) => return Err(table_error(message)),
            }
        }
    }

    /// One transaction for everything.
    async fn attempt(
        &mut self,
        records: &[SinkRecord],
        pending: &[u32],
        durable: &mut Vec<u32>,
    ) -> Result<(), Failure> {
        if pending.is_empty() {
            return Ok(());
        }
        let mut session = self.begin().await?;
        let outcome = async {
            self.writer
                .write(&mut session, records, pending, DdlCommit::AtOnce(durable))
                .await?;
            session.commit().await.map_err(Failure::from)
        }
        .await;
        self.session = Some(session);
        outcome
    }

    /// A session with an open transaction. A connection that died since the last batch is replaced without further ado.
    async fn begin(&mut self) -> Result<Session, Failure> {
        if let Some(mut session) = self.session.take() {
            match session.control("BEGIN").await {
                Ok(()) => return Ok(session),
                Err(error) if error.class() == ErrorClass::ConnectionLost => {
                    tracing::info!(connector = %self.settings.connector, error = error.message(), "connection is gone; connecting again");
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut session = self.connect().await.map_err(Failure::Fatal)?;
        session.control("BEGIN").await?;
        Ok(session)
    }

    /// Connects, in as many attempts as configured.
    async fn connect(&mut self) -> Result<Session, TaskError> {
        // Another server may have other tables.
        self.writer.forget_tables();
        let config = &self.settings.config;
        let mut attempt = 1;
        loop {
            let problem = match Session::connect(&self.target).await {
                Ok(session) => return Ok(session),
                Err(problem) => problem,
            };
            if attempt >= config.connection_attempts {
                return Err(TaskError::fatal(
                    "jdbc.connect",
                    format!("Could not connect to the database in {attempt} attempt(s): {problem}"),
                ));
            }
            tracing::warn!(connector = %self.settings.connector, attempt, problem, "cannot connect; trying again");
            let backoff =
                Duration::from_millis(u64::try_from(config.connection_backoff_ms).unwrap_or(0));
            self.pause_until(Instant::now() + backoff).await?;
            attempt += 1;
        }
    }

    /// Leaves the session without a transaction, or drops it.
    async fn roll_back(&mut self) {
        self.writer.rolled_back();
        if let Some(session) = &mut self.session
            && let Err(error) = session.control("ROLLBACK").await
        {
            tracing::debug!(connector = %self.settings.connector, error = error.message(), "cannot roll back; dropping the connection");
            self.session = None;
        }
    }

    /// The server refuses something in the batch: with a reporter find it and write the rest, else retry and finally fail with its name.
    async fn refused(
        &mut self,
        records: &[SinkRecord],
        pending: Vec<u32>,
        durable: &mut Vec<u32>,
        failure: Failure,
        deferred: bool,
    ) -> Result<(), TaskError> {
        let reporter = self.context.reporter.clone();
        match (&reporter, failure) {
            (None, Failure::Table(message)) => return Err(table_error(message)),
            (None, Failure::Server(error)) if self.retries_left > 0 => {
                return Err(self.retry(&error));
            }
            (_, failure) => self.log_refusal(&failure),
        }
        let mut search = Search::new(pending, deferred, reporter.is_some());
        while !search.pending.is_empty() {
            let mut session = match self.session.take() {
                Some(session) => session,
                None => self.connect().await?,
            };
            let outcome = search
                .next_bad(&mut session, &mut self.writer, records, durable)
                .await;
            self.session = Some(session);
            let bad = match outcome {
                Ok(None) => return Ok(()),
                Ok(Some(bad)) => bad,
                Err(failure) => {
                    self.roll_back().await;
                    return Err(match failure {
                        Failure::Fatal(error) => error,
                        Failure::Table(message) => table_error(message),
                        Failure::Server(error) => self.retry(&error),
                    });
                }
            };
            let record = &records[bad.record as usize];
            let (class, message) = self.name_bad(record, &bad.failure);
            let Some(reporter) = &reporter else {
                return Err(TaskError::fatal("jdbc.record.refused", message)
                    .with_source(source(bad.failure, class)));
            };
            durable.push(bad.record);
            reporter.report(record, DataError::new(message).with_java_class(class))?;
        }
        Ok(())
    }

    /// Message for a record that the server refuses, with the class under which Java would report it.
    fn name_bad(&self, record: &SinkRecord, failure: &Failure) -> (&'static str, String) {
        let error = match failure {
            Failure::Table(message) => return (TABLE_EXCEPTION, message.clone()),
            Failure::Fatal(error) => return (error.java_class, error.message.clone()),
            Failure::Server(error) => error,
        };
        let (table, key) = self.writer.describe(record);
        let mut place = String::new();
        if let Some(column) = error.column() {
            place.push_str(&format!(", column {column}"));
        }
        if let Some(constraint) = error.constraint() {
            place.push_str(&format!(", constraint {constraint}"));
        }
        let message = format!(
            "Record at (topic='{}',partition={},offset={}) with key {key} cannot be written to table {table}{place}: {}",
            record.original_topic,
            record.original_partition,
            record.offset,
            self.text_of(error)
        );
        (SQL_EXCEPTION, message)
    }

    fn text_of(&self, error: &ServerError) -> String {
        if self.settings.config.trim_sensitive_log {
            error.trimmed()
        } else {
            error.message()
        }
    }

    fn log_refusal(&self, failure: &Failure) {
        let text = match failure {
            Failure::Server(error) => self.text_of(error),
            Failure::Table(message) => message.clone(),
            Failure::Fatal(error) => error.message.clone(),
        };
        tracing::warn!(connector = %self.settings.connector, error = text, "the database refuses a batch; looking for the record");
    }

    /// The batch shall be put again, unless that was done often enough.
    fn retry(&mut self, error: &ServerError) -> TaskError {
        // As with a fresh writer in Java: nothing that was known about tables is taken for granted.
        self.writer.forget_tables();
        if error.class() == ErrorClass::ConnectionLost {
            self.session = None;
        }
        let text = self.text_of(error);
        if self.retries_left <= 0 {
            let retries = self.settings.config.max_retries;
            return TaskError::fatal(
                "jdbc.retries-exhausted",
                format!(
                    "The batch could not be written in {retries} retries (max.retries): {text}"
                ),
            );
        }
        self.retries_left -= 1;
        let backoff = Duration::from_millis(
            u64::try_from(self.settings.config.retry_backoff_ms).unwrap_or(0),
        );
        self.retry_at = Some(Instant::now() + backoff);
        TaskError::retriable(
            "jdbc.retry",
            format!(
                "The batch could not be written, {} retries left: {text}",
                self.retries_left
            ),
        )
    }

    /// Waits, but not longer than the task lives.
    async fn pause_until(&self, at: Instant) -> Result<(), TaskError> {
        tokio::select! {
            () = tokio::time::sleep_until(at) => Ok(()),
            () = self.context.cancel.cancelled() => Err(TaskError::retriable("jdbc.stopping", "the task is being stopped")),
        }
    }
}

fn coordinates(record: &SinkRecord) -> Coordinates {
    (
        Arc::clone(&record.original_topic),
        record.original_partition,
        record.offset,
    )
}

fn table_error(message: String) -> TaskError {
    TaskError::fatal("jdbc.table", message).with_java_class(TABLE_EXCEPTION)
}

fn source(failure: Failure, class: &'static str) -> DataError {
    match failure {
        Failure::Server(error) => DataError::new(error.trimmed()).with_java_class(class),
        Failure::Table(message) => DataError::new(message).with_java_class(class),
        Failure::Fatal(error) => DataError::new(error.message).with_java_class(class),
    }
}
