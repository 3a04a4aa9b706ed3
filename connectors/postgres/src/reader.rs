//! Reads the replication stream on a task of its own, so that the server goes on sending while events are built, and answers the server while nobody wants events.

use std::time::Duration;

use bytes::Bytes;
use pg_replication::{Frame, Lsn, ReplicationError, ReplicationStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Buffers read ahead: each holds up to 256 KiB, or one larger message.
const AHEAD: usize = 8;

/// How long a read waits before it looks for positions to confirm.
const LOOK: Duration = Duration::from_secs(1);

/// What one read brought.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) buffer: Bytes,
    pub(crate) frames: Vec<Frame>,
}

/// Positions to tell the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Confirmed {
    written: u64,
    stored: u64,
}

/// The reading task. Dropping this ends it and the connection.
#[derive(Debug)]
pub(crate) struct StreamReader {
    batches: mpsc::Receiver<Result<Batch, ReplicationError>>,
    confirmed: watch::Sender<Confirmed>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl StreamReader {
    /// Starts to read. `repeat`: how often the server is told the confirmed position while nothing else is said.
    pub(crate) fn start(mut stream: ReplicationStream, repeat: Duration) -> Self {
        stream.set_status_interval(repeat);
        let (sender, batches) = mpsc::channel(AHEAD);
        let (confirmed, watched) = watch::channel(Confirmed::default());
        let stop = CancellationToken::new();
        let task = tokio::spawn(read(stream, sender, watched, stop.clone(), repeat));
        Self {
            batches,
            confirmed,
            stop,
            task,
        }
    }

    /// The next batch; `None` after `timeout`. Cancel-safe.
    pub(crate) async fn next(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<Batch>, ReplicationError> {
        match tokio::time::timeout(timeout, self.batches.recv()).await {
            Err(_) => Ok(None),
            Ok(Some(batch)) => batch.map(Some),
            Ok(None) => Err(ReplicationError::Closed("earlier")),
        }
    }

    /// Tells the server, soon, that everything before `stored` is stored. Positions never go back.
    pub(crate) fn confirm(&self, written: u64, stored: u64) {
        self.confirmed.send_if_modified(|now| {
            let next = Confirmed {
                written: now.written.max(written),
                stored: now.stored.max(stored),
            };
            std::mem::replace(now, next) != next
        });
    }

    /// Confirms what is left and ends the stream in an orderly way, so that the server frees the slot at once.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        self.batches.close();
        if let Err(error) = (&mut self.task).await {
            tracing::debug!(%error, "the reader of the replication stream did not end in an orderly way");
        }
    }
}

async fn read(
    mut stream: ReplicationStream,
    batches: mpsc::Sender<Result<Batch, ReplicationError>>,
    mut confirmed: watch::Receiver<Confirmed>,
    stop: CancellationToken,
    repeat: Duration,
) {
    let mut frames = Vec::new();
    loop {
        // Room first: what is read has a place then, and while there is none the server's time limit is kept by repeating the positions.
        let permit = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Ok(()) = confirmed.changed() => {
                tell(&mut stream, &mut confirmed).await;
                continue;
            }
            permit = batches.reserve() => permit,
            () = tokio::time::sleep(repeat) => {
                tell(&mut stream, &mut confirmed).await;
                continue;
            }
        };
        let Ok(permit) = permit else { break };
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Ok(()) = confirmed.changed() => {
                tell(&mut stream, &mut confirmed).await;
                continue;
            }
            read = stream.next_batch(&mut frames, LOOK) => read,
        };
        match read {
            Ok(buffer) if !frames.is_empty() => permit.send(Ok(Batch {
                buffer,
                frames: std::mem::take(&mut frames),
            })),
            Ok(_) => {}
            Err(error) => {
                permit.send(Err(error));
                return;
            }
        }
    }
    tell(&mut stream, &mut confirmed).await;
    if let Err(error) = stream.stop(Duration::from_secs(2)).await {
        tracing::debug!(%error, "the replication stream did not end in an orderly way");
    }
}

/// A failure to write is found by the next read, which may know the server's reason.
async fn tell(stream: &mut ReplicationStream, confirmed: &mut watch::Receiver<Confirmed>) {
    let now = *confirmed.borrow_and_update();
    let stored = Lsn(now.stored);
    let _ = stream
        .standby_status(Lsn(now.written), stored, stored, false)
        .await;
}
