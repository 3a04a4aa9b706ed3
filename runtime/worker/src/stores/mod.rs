//! What the worker keeps in the log: configurations, source offsets and statuses, in compacted topics with Java's own keys and JSON.
//!
//! Each store is a pure state that applies records ([`config::ConfigState`], [`offset::OffsetState`], [`status::StatusState`]) and a thin shell that reads the
//! topic into it ([`TableStore`]) and writes.

pub mod config;
mod java_json;
pub mod offset;
pub mod status;

pub use java_json::{offset_map_value, read_offset_map};

use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use millrace_log::{Log, LogError, Table, TableOptions, TableRecord, TableWrite, TableWriter};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Something that records of a compacted topic add up to.
pub trait TableState: Default + Debug + Send + Sync + 'static {
    /// Takes one record in.
    fn apply(&mut self, record: TableRecord<'_>);
}

type ReadToEnd = oneshot::Sender<Result<(), LogError>>;

/// A compacted topic that is read to its end, then followed in the background, into a state that anybody may look at.
#[derive(Debug)]
pub struct TableStore<S> {
    state: Arc<RwLock<S>>,
    writer: Arc<dyn TableWriter>,
    requests: mpsc::Sender<ReadToEnd>,
    partitions: i32,
    topic: String,
}

/// How long one look for new records waits: long, because a request interrupts it.
const FOLLOW_FOR: Duration = Duration::from_secs(10);

impl<S: TableState> TableStore<S> {
    /// Opens the topic (creating it when it is missing), reads it to its end, and follows it until `cancel`.
    pub async fn open(
        log: &dyn Log,
        options: TableOptions,
        cancel: CancellationToken,
    ) -> Result<Self, LogError> {
        let topic = options.topic.clone();
        let mut table = log.table(options).await?;
        let state = Arc::new(RwLock::new(S::default()));
        read_to_end(&mut *table, &state).await?;
        let (requests, receiver) = mpsc::channel(64);
        let store = Self {
            state: Arc::clone(&state),
            writer: table.writer(),
            requests,
            partitions: table.partitions(),
            topic,
        };
        tokio::spawn(follow(table, state, receiver, cancel, store.topic.clone()));
        Ok(store)
    }

    /// The state as far as it has been read.
    pub fn state(&self) -> RwLockReadGuard<'_, S> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything that was written before this call is in the state.
    pub async fn read_to_end(&self) -> Result<(), LogError> {
        let (answer, result) = oneshot::channel();
        self.requests
            .send(answer)
            .await
            .map_err(|_| LogError::Closed)?;
        result.await.map_err(|_| LogError::Closed)?
    }

    /// Appends records in order.
    pub async fn put(&self, writes: &[TableWrite]) -> Result<(), LogError> {
        if writes.is_empty() {
            Ok(())
        } else {
            self.writer.put(writes).await.map(|_| ())
        }
    }

    /// Name of the topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Number of partitions of the topic.
    pub fn partitions(&self) -> i32 {
        self.partitions
    }
}

async fn read_to_end<S: TableState>(
    table: &mut dyn Table,
    state: &RwLock<S>,
) -> Result<(), LogError> {
    table
        .read_to_end(&mut |record| {
            state
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .apply(record)
        })
        .await
}

async fn follow<S: TableState>(
    mut table: Box<dyn Table>,
    state: Arc<RwLock<S>>,
    mut requests: mpsc::Receiver<ReadToEnd>,
    cancel: CancellationToken,
    topic: String,
) {
    let mut pause = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    loop {
        let request = {
            let mut apply = |record: TableRecord<'_>| {
                state
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .apply(record)
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                request = requests.recv() => match request {
                    Some(request) => Some(request),
                    None => return,
                },
                followed = table.follow(FOLLOW_FOR, &mut apply) => match followed {
                    Ok(_) => {
                        pause.reset();
                        None
                    }
                    Err(LogError::Closed) => return,
                    Err(error) => {
                        tracing::warn!(topic, %error, "cannot follow the topic; trying again");
                        tokio::select! {
                            () = cancel.cancelled() => return,
                            () = tokio::time::sleep(pause.next_pause()) => {}
                        }
                        None
                    }
                },
            }
        };
        if let Some(first) = request {
            // Whoever asks while others wait shares the same read.
            let mut waiting = vec![first];
            while let Ok(next) = requests.try_recv() {
                waiting.push(next);
            }
            let result = read_to_end(&mut *table, &state).await;
            for answer in waiting {
                // The caller may have stopped waiting.
                let _ = answer.send(result.clone());
            }
        }
    }
}

/// Pauses that double up to a limit.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts with `first`, never exceeds `max`.
    pub fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            next: first,
        }
    }

    /// How long to wait now; longer the next time.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(self.max);
        pause
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}
