//! Reading the topic for ever: every record goes into the registry, in order, once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_log::{Log, LogError, Table, TableRecord};
use registry_core::{Registry, TopicWrite};
use tokio::sync::{mpsc, watch};

use super::records::schema_record;
use super::validation::table_options;
use crate::metrics::Metrics;
use crate::options::TopicOptions;

/// How long one look at the topic lasts when nothing comes.
const LOOK: Duration = Duration::from_secs(5);

/// A failure that lasts is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// What the follower feeds.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) options: TopicOptions,
    pub(crate) registry: Arc<Registry>,
    /// Offset of the last record that was applied; -1 before the first.
    pub(crate) applied: watch::Sender<i64>,
    /// What the leader must write to undo conflicting records.
    pub(crate) corrections: mpsc::Sender<TopicWrite>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Follower {
    /// Reads `table` from its start and never ends, whatever happens: a topic that cannot be read now may be readable later, and reads are answered from memory meanwhile.
    pub(crate) async fn run(self, mut table: Box<dyn Table>) {
        let mut trouble = Trouble::default();
        let mut read_to_end = false;
        loop {
            let result = if read_to_end {
                table
                    .follow(LOOK, &mut |record| self.apply(&record))
                    .await
                    .map(|_| ())
            } else {
                table.read_to_end(&mut |record| self.apply(&record)).await
            };
            match result {
                Ok(()) => {
                    read_to_end = true;
                    trouble.over();
                }
                Err(error) => {
                    let pause = trouble.after(&error);
                    tokio::time::sleep(pause).await;
                    if !error.is_retriable() {
                        match self.log.table(table_options(&self.options)).await {
                            Ok(again) => {
                                // It begins at the start: what was applied already is passed over.
                                table = again;
                                read_to_end = false;
                            }
                            Err(error) => {
                                tracing::debug!(%error, "the schemas topic cannot be opened again yet")
                            }
                        }
                    }
                }
            }
        }
    }

    fn apply(&self, record: &TableRecord<'_>) {
        if record.partition != 0 || record.offset <= *self.applied.borrow() {
            return;
        }
        let applied =
            self.registry
                .apply(record.key, record.value, record.offset, record.timestamp);
        match applied.skipped {
            Some(why) => tracing::warn!(
                offset = record.offset,
                "a record of the schemas topic was skipped: {why}"
            ),
            None => {
                if let Some(schema) = schema_record(record.key, record.value) {
                    self.metrics.schema(schema);
                }
            }
        }
        for correction in applied.corrections {
            // Only a leader's writer takes them; where it does not keep up, the conflict stays without harm, since the record had no effect here.
            if self.corrections.try_send(correction).is_err() {
                tracing::debug!("a correction was not taken");
            }
        }
        self.applied.send_replace(record.offset);
    }
}

/// Keeps a log from filling with one failure.
#[derive(Debug, Default)]
struct Trouble {
    count: u32,
    since: Option<Instant>,
    logged: Option<Instant>,
}

impl Trouble {
    fn after(&mut self, error: &LogError) -> Duration {
        let now = Instant::now();
        self.count += 1;
        let since = *self.since.get_or_insert(now);
        if self.logged.is_none_or(|logged| now - logged >= LOG_EVERY) {
            self.logged = Some(now);
            tracing::error!(
                %error,
                attempts = self.count,
                "the schemas topic cannot be read for {:?}: answers may be old; trying again",
                now - since
            );
        }
        Duration::from_millis(100 << self.count.min(4)).min(Duration::from_secs(1))
    }

    fn over(&mut self) {
        if self.count > 0 {
            tracing::info!(attempts = self.count, "the schemas topic can be read again");
            *self = Self::default();
        }
    }
}
