//! Threads of this crate: every call of librdkafka that may block runs on one of them, or on tokio's pool for blocking calls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use millrace_log::LogError;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Something with a thread that ends soon after it was told to.
pub(crate) trait Stop: Send + Sync {
    fn stop(&self);
}

/// What stops a thread, and what tells that it has ended.
type Running = (Weak<dyn Stop>, JoinHandle<()>);

/// The threads of one [`crate::KafkaLog`].
#[derive(Default)]
pub(crate) struct Threads {
    running: Mutex<Vec<Running>>,
    closed: Arc<AtomicBool>,
    closing: CancellationToken,
}

/// How long `close` waits for threads that sit in a call to a broker that does not answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

impl Threads {
    /// Set when the log was closed.
    pub(crate) fn closed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.closed)
    }

    /// Cancelled when the log is closed, for tasks.
    pub(crate) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Fails once the log was closed.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        if self.closed.load(Ordering::Acquire) {
            Err(LogError::Closed)
        } else {
            Ok(())
        }
    }

    /// Starts a thread that ends soon after `owner.stop()`.
    pub(crate) fn start(
        &self,
        name: &str,
        owner: Weak<dyn Stop>,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), LogError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the same lock as in `close`, so that no thread starts unseen.
        self.check()?;
        running.retain(|(_, handle)| !handle.is_finished());
        running.push((owner, spawn(name, run)?));
        Ok(())
    }

    /// Stops all threads and waits for them.
    pub(crate) async fn close(&self) -> Result<(), LogError> {
        let all = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            self.closed.store(true, Ordering::Release);
            self.closing.cancel();
            std::mem::take(&mut *running)
        };
        for owner in all.iter().filter_map(|(owner, _)| owner.upgrade()) {
            owner.stop();
        }
        let joined = tokio::task::spawn_blocking(move || {
            all.into_iter()
                .filter_map(|(_, handle)| handle.join().err())
                .count()
        });
        match tokio::time::timeout(CLOSE_TIMEOUT, joined).await {
            Ok(Ok(0)) => Ok(()),
            Ok(_) => Err(LogError::fatal("a thread of the Kafka client panicked")),
            Err(_) => Err(LogError::Timeout(
                "threads of the Kafka client are still waiting for a broker".to_owned(),
            )),
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, LogError> {
    let cannot = |e: std::io::Error| LogError::Retriable {
        message: format!("cannot start the thread '{name}': {e}"),
        source: Some(Arc::new(e)),
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(cannot)
}

/// Drops `last` on a thread of its own when it is the last reference: destroying a client waits for brokers.
pub(crate) fn drop_elsewhere<T: Send + Sync + 'static>(last: Arc<T>) {
    if let Some(inner) = Arc::into_inner(last)
        && let Err(error) = spawn("kafka-drop", move || drop(inner))
    {
        tracing::warn!(%error, "a Kafka client was destroyed on the calling thread");
    }
}

type Call = Box<dyn FnOnce() + Send>;

/// One caller at a time waits; more can only be there when it went away again and again.
const MAX_CALLS: usize = 16;

/// A thread that makes one blocking call after the other, in the order in which they were asked for, also those whose caller went away.
pub(crate) struct CallThread {
    calls: mpsc::SyncSender<Call>,
    stopped: Arc<CallStop>,
}

#[derive(Default)]
struct CallStop(AtomicBool);

impl Stop for CallStop {
    fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl CallThread {
    pub(crate) fn start(threads: &Threads, name: &str) -> Result<Self, LogError> {
        let (calls, queue) = mpsc::sync_channel::<Call>(MAX_CALLS);
        let stopped = Arc::new(CallStop::default());
        let owner: Arc<dyn Stop> = Arc::clone(&stopped) as Arc<dyn Stop>;
        let seen = Arc::clone(&stopped);
        threads.start(name, Arc::downgrade(&owner), move || {
            loop {
                match queue.recv_timeout(Duration::from_millis(100)) {
                    Ok(call) => call(),
                    Err(mpsc::RecvTimeoutError::Timeout) if !seen.0.load(Ordering::Acquire) => {}
                    Err(_) => break,
                }
            }
        })?;
        Ok(Self { calls, stopped })
    }

    /// Runs `call` on the thread and waits for its result.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LogError> {
        let (done, result) = oneshot::channel();
        self.detached(move || drop(done.send(call())))?;
        result.await.map_err(|_| LogError::Closed)
    }

    /// Runs `call` on the thread without waiting.
    pub(crate) fn detached(&self, call: impl FnOnce() + Send + 'static) -> Result<(), LogError> {
        if self.stopped.0.load(Ordering::Acquire) {
            return Err(LogError::Closed);
        }
        self.calls.try_send(Box::new(call)).map_err(|e| match e {
            mpsc::TrySendError::Full(_) => {
                LogError::retriable("the Kafka client is still busy with earlier calls")
            }
            mpsc::TrySendError::Disconnected(_) => LogError::Closed,
        })
    }
}
