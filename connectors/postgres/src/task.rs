//! The task: connects, takes the snapshot, streams, and connects again after a failure that may pass.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use millrace_api::config::Props;
use millrace_api::data::{OffsetMap, OffsetValue};
use millrace_api::plugin::{
    ErrorKind, Gauge, Poll, SourceBatch, SourceTask, SourceTaskContext, TaskError, Watermark,
};
use millrace_cdc::{ContextHeaders, EventTime, Heartbeat, run_id};

use crate::catalog::TypeRegistry;
use crate::config::{FlushMode, PostgresConfig};
use crate::events::Events;
use crate::offset::Position;
use crate::setup::{Fixed, Setup, StreamPlan, prepare};
use crate::slot;
use crate::snapshot::{Snapshot, Step};
use crate::source_info::CONNECTOR;
use crate::sql::SqlClient;
use crate::streaming::{self, Streaming, Surroundings};
use crate::table::PlanContext;

/// Source task of the PostgreSQL connector.
#[derive(Default)]
pub(crate) struct PostgresTask {
    running: Option<Running>,
}

impl std::fmt::Debug for PostgresTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresTask")
            .field("running", &self.running.is_some())
            .finish()
    }
}

struct Running {
    context: SourceTaskContext,
    fixed: Arc<Fixed>,
    plans: PlanContext,
    partition: OffsetMap,
    headers: ContextHeaders,
    heartbeat: Heartbeat,
    phase: Phase,
    /// Retriable failures in a row.
    failures: i32,
    retry_at: Option<tokio::time::Instant>,
    lag_bytes: Gauge,
    lag_millis: Gauge,
}

enum Phase {
    /// Connecting; kept here so that a poll that is dropped does not start over. The offset is where to go on.
    Connecting(BoxFuture<'static, Result<Setup, TaskError>>),
    Snapshot(Box<SnapshotPhase>),
    StartingStream(BoxFuture<'static, Result<(Streaming, SqlClient, TypeRegistry), TaskError>>),
    Streaming(Box<StreamPhase>),
    /// To be connected again from this position; `None`: from what is stored.
    Broken(Option<Position>),
    Finished,
}

struct SnapshotPhase {
    snapshot: Snapshot,
    sql: SqlClient,
    types: TypeRegistry,
    stream: Option<StreamPlan>,
}

struct StreamPhase {
    streaming: Streaming,
    sql: SqlClient,
    types: TypeRegistry,
}

#[async_trait::async_trait]
impl SourceTask for PostgresTask {
    async fn start(&mut self, context: SourceTaskContext, props: &Props) -> Result<(), TaskError> {
        let config = PostgresConfig::read(props)?;
        let filter = config.tables()?;
        let avro = ["key.converter", "value.converter"].iter().any(|k| {
            props.get(k).is_some_and(|v| {
                v.ends_with(".avro.AvroConverter") || v.ends_with(".converter.AvroConverter")
            })
        });
        let plans = config.plan_context(avro)?;
        let overrides = overrides(&config, props)?;
        let now_ms = context.clock.now_millis();
        let headers = ContextHeaders::new(
            config.extended_headers,
            &config.topic_prefix,
            CONNECTOR,
            context.id.task,
            &run_id(now_ms),
        );
        let heartbeat = Heartbeat::new(
            &config.naming().heartbeat_topic(),
            &config.topic_prefix,
            heartbeat_interval(&config),
            now_ms,
        );
        let partition = partition(&config.topic_prefix);
        let stored = context.offsets.offset(&partition).await?;
        let fixed = Arc::new(Fixed {
            filter,
            skipped_given: props.contains_key("skipped.operations"),
            overrides,
            config,
        });
        let phase = Phase::Connecting(Box::pin(prepare(Arc::clone(&fixed), stored)));
        let lag_bytes = context.metrics.gauge(
            "millrace_source_lag_bytes",
            "Bytes of WAL between the server's end and what is confirmed",
        );
        let lag_millis = context.metrics.gauge(
            "millrace_source_lag_milliseconds",
            "Time between the commit of the last change and its arrival here",
        );
        self.running = Some(Running {
            context,
            fixed,
            plans,
            partition,
            headers,
            heartbeat,
            phase,
            failures: 0,
            retry_at: None,
            lag_bytes,
            lag_millis,
        });
        Ok(())
    }

    async fn poll(&mut self, out: &mut SourceBatch) -> Result<Poll, TaskError> {
        let Some(running) = &mut self.running else {
            return Err(TaskError::fatal(
                "postgres.not-started",
                "poll was called before start",
            ));
        };
        match running.poll(out).await {
            Ok(poll) => {
                if !out.is_empty() {
                    running.failures = 0;
                }
                Ok(poll)
            }
            Err(error) => Err(running.failed(error)),
        }
    }

    async fn committed(&mut self, watermark: &Watermark) -> Result<(), TaskError> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        if running.fixed.config.flush_mode() == FlushMode::Manual {
            return Ok(());
        }
        let Phase::Streaming(phase) = &mut running.phase else {
            return Ok(());
        };
        let stored = watermark
            .offsets
            .iter()
            .filter(|(partition, _)| **partition == running.partition)
            .filter_map(|(_, offset)| Position::from_map(offset));
        // I1: only what is stored is confirmed.
        if let Some(lsn) = stored.filter_map(|p| p.confirmable()).max() {
            phase.streaming.confirm(lsn);
            running.lag_bytes.set(phase.streaming.lag_bytes());
        }
        Ok(())
    }

    fn render_offset(&self, packed: &[u64; 5]) -> OffsetMap {
        Position::map_of(packed)
    }

    async fn stop(&mut self) -> Result<(), TaskError> {
        let Some(running) = self.running.take() else {
            return Ok(());
        };
        let config = &running.fixed.config;
        if let Phase::Streaming(phase) = running.phase {
            phase.streaming.stop().await;
            if config.slot_drop_on_stop {
                slot::drop_slot(&phase.sql, config).await?;
            }
        }
        Ok(())
    }
}

impl Running {
    async fn poll(&mut self, out: &mut SourceBatch) -> Result<Poll, TaskError> {
        if let Some(at) = self.retry_at {
            // Waits in slices, so that commits and the stop are not held up.
            let slice = at.min(tokio::time::Instant::now() + self.context.poll_timeout);
            tokio::time::sleep_until(slice).await;
            if slice < at {
                return Ok(Poll::Idle);
            }
            self.retry_at = None;
        }
        let events = Events::new(
            &self.fixed.config,
            self.headers.clone(),
            out.partition(&self.partition),
        );
        let now = self.context.clock.now_nanos();
        let timeout = self.context.poll_timeout;
        let limit = usize::try_from(self.fixed.config.max_batch_size).unwrap_or(2048);
        match &mut self.phase {
            Phase::Finished => {
                tokio::time::sleep(timeout).await;
                Ok(Poll::Finished)
            }
            Phase::Broken(position) => {
                let from = match position {
                    Some(position) => Some(position.to_map()),
                    None => self.context.offsets.offset(&self.partition).await?,
                };
                self.phase = Phase::Connecting(Box::pin(prepare(Arc::clone(&self.fixed), from)));
                Ok(Poll::Ready)
            }
            Phase::Connecting(connecting) => {
                let Ok(setup) = tokio::time::timeout(timeout, connecting).await else {
                    return Ok(Poll::Idle);
                };
                self.phase = self.connected(setup?);
                Ok(Poll::Ready)
            }
            Phase::Snapshot(phase) => {
                let time = EventTime { nanos: now };
                let step = phase.snapshot.step(
                    &self.fixed,
                    &self.plans,
                    &phase.types,
                    &phase.sql,
                    &events,
                    time,
                    limit,
                    out,
                );
                let done = match tokio::time::timeout(timeout, step).await {
                    Ok(step) => step? == Step::Done,
                    Err(_) => false,
                };
                if done {
                    if self.heartbeat.enabled() {
                        let record = self.heartbeat.forced(now / 1_000_000);
                        events.other(record, &phase.snapshot.position(), out);
                    }
                    self.snapshot_done();
                }
                Ok(if out.is_empty() {
                    Poll::Idle
                } else {
                    Poll::Ready
                })
            }
            Phase::StartingStream(starting) => {
                let Ok(started) = tokio::time::timeout(timeout, starting).await else {
                    return Ok(Poll::Idle);
                };
                let (streaming, sql, types) = started?;
                self.phase = Phase::Streaming(Box::new(StreamPhase {
                    streaming,
                    sql,
                    types,
                }));
                Ok(Poll::Ready)
            }
            Phase::Streaming(phase) => {
                let StreamPhase {
                    streaming,
                    sql,
                    types,
                } = &mut **phase;
                let around = Surroundings {
                    fixed: &self.fixed,
                    context: &self.plans,
                    sql,
                    events: &events,
                    now,
                };
                let stepped = streaming
                    .step(&around, types, &mut self.heartbeat, limit, timeout, out)
                    .await?;
                if stepped.beat
                    && let Some(query) = self
                        .fixed
                        .config
                        .heartbeat_query
                        .as_deref()
                        .filter(|q| !q.trim().is_empty())
                {
                    sql.run(query, "running heartbeat.action.query").await?;
                }
                if streaming.last_commit_us() > 0 && !out.records().is_empty() {
                    self.lag_millis
                        .set((now / 1_000 - streaming.last_commit_us()) / 1_000);
                }
                self.lag_bytes.set(streaming.lag_bytes());
                Ok(if stepped.busy || !out.is_empty() {
                    Poll::Ready
                } else {
                    Poll::Idle
                })
            }
        }
    }

    fn connected(&self, setup: Setup) -> Phase {
        let Setup {
            sql,
            types,
            snapshot,
            stream,
        } = setup;
        match (snapshot, stream) {
            (Some(plan), stream) => Phase::Snapshot(Box::new(SnapshotPhase {
                snapshot: Snapshot::new(plan),
                sql,
                types,
                stream,
            })),
            (None, Some(stream)) => self.start_stream(stream, sql, types, Duration::ZERO),
            (None, None) => Phase::Finished,
        }
    }

    fn snapshot_done(&mut self) {
        let Phase::Snapshot(phase) = std::mem::replace(&mut self.phase, Phase::Finished) else {
            return;
        };
        let SnapshotPhase {
            sql, types, stream, ..
        } = *phase;
        if let Some(stream) = stream {
            self.phase = self.start_stream(stream, sql, types, self.fixed.config.streaming_delay);
        }
    }

    fn start_stream(
        &self,
        plan: StreamPlan,
        sql: SqlClient,
        types: TypeRegistry,
        delay: Duration,
    ) -> Phase {
        let fixed = Arc::clone(&self.fixed);
        Phase::StartingStream(Box::pin(async move {
            tokio::time::sleep(delay).await;
            let streaming = streaming::start(&fixed.config, plan).await?;
            Ok((streaming, sql, types))
        }))
    }

    /// What a failure means: connections are dropped, and after a pause that grows they are made again, from what was handed out last.
    fn failed(&mut self, error: TaskError) -> TaskError {
        // In a snapshot nothing but a new snapshot helps: then what is stored decides.
        let position = match &self.phase {
            Phase::Streaming(phase) => Some(*phase.streaming.position()),
            Phase::Broken(position) => *position,
            _ => None,
        };
        self.phase = Phase::Broken(position.filter(|p| p.lsn_proc.is_some()));
        if error.kind != ErrorKind::Retriable {
            return error;
        }
        self.failures += 1;
        let config = &self.fixed.config;
        if config.errors_max_retries >= 0 && self.failures > config.errors_max_retries {
            let text = format!(
                "An exception occurred in the change event producer. This connector will be stopped. {} (errors.max.retries={})",
                error.message, config.errors_max_retries
            );
            return TaskError::fatal(error.code, text);
        }
        let pause = Duration::from_millis(250)
            .saturating_mul(1 << self.failures.clamp(1, 10))
            .min(config.restart_wait);
        self.retry_at = Some(tokio::time::Instant::now() + pause);
        TaskError {
            message: format!(
                "An exception occurred in the change event producer. This connector will be restarted. {}",
                error.message
            ),
            ..error
        }
    }
}

/// `{"server":"<prefix>"}`
pub(crate) fn partition(prefix: &str) -> OffsetMap {
    OffsetMap::from_iter([("server".to_owned(), OffsetValue::from(prefix))])
}

/// `connector_and_driver` without heartbeats would store nothing on a quiet database: Debezium then beats every ten minutes.
fn heartbeat_interval(config: &PostgresConfig) -> i64 {
    if config.heartbeat_interval_ms == 0 && config.flush_mode() == FlushMode::ConnectorAndDriver {
        tracing::warn!(
            "lsn.flush.mode=connector_and_driver needs heartbeats: heartbeat.interval.ms is taken as 600000"
        );
        return 600_000;
    }
    config.heartbeat_interval_ms
}

fn overrides(config: &PostgresConfig, props: &Props) -> Result<Vec<(String, String)>, TaskError> {
    let list = config.snapshot_overrides.as_deref().unwrap_or("");
    list.split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(|table| {
            let key = format!("snapshot.select.statement.overrides.{table}");
            match props.get(&key) {
                Some(select) => Ok((table.to_owned(), select.trim().trim_end_matches(';').to_owned())),
                None => Err(TaskError::config("postgres.config", format!("'snapshot.select.statement.overrides' names table '{table}', but '{key}' is missing: give its SELECT"))),
            }
        })
        .collect()
}
