//! Threads with a reading connection each.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use millrace_log::LogError;
use millrace_log::local::Partition;
use rusqlite::{Connection, params};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use crate::codec::{StoredBatch, verify};
use crate::error::{damaged, from_sqlite};
use crate::schema::{base_offset, open_reader, row_id};

const THREADS: usize = 3;
/// Reads that may be queued.
const QUEUE: usize = 64;

/// A range to read.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) partition: Arc<Partition>,
    /// First offset wanted.
    pub(crate) from: i64,
    /// Only batches that begin before it.
    pub(crate) end: i64,
    /// Stop once so many bytes are there.
    pub(crate) bytes: usize,
}

struct Job {
    range: Range,
    done: oneshot::Sender<Result<Vec<StoredBatch>, LogError>>,
}

/// Reads off the async threads.
#[derive(Debug)]
pub(crate) struct ReadPool {
    queue: Mutex<Option<Sender<Job>>>,
}

impl ReadPool {
    pub(crate) fn start(dir: &Path) -> Result<(Self, Vec<JoinHandle<()>>), LogError> {
        let (queue, jobs) = channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut threads = Vec::new();
        for n in 0..THREADS {
            let (conn, jobs, dir) = (open_reader(dir)?, Arc::clone(&jobs), dir.to_owned());
            let thread = std::thread::Builder::new().name(format!("millrace-log-reader-{n}"));
            let thread = thread.spawn(move || run(&conn, &jobs, &dir));
            threads.push(thread.map_err(|e| LogError::Fatal {
                message: "cannot start a thread".to_owned(),
                source: Some(Arc::new(e)),
            })?);
        }
        Ok((
            Self {
                queue: Mutex::new(Some(queue)),
            },
            threads,
        ))
    }

    pub(crate) async fn read(&self, range: Range) -> Result<Vec<StoredBatch>, LogError> {
        let (done, answer) = oneshot::channel();
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        queue
            .ok_or(LogError::Closed)?
            .send(Job { range, done })
            .await
            .map_err(|_| LogError::Closed)?;
        answer.await.unwrap_or(Err(LogError::Closed))
    }

    /// Has the threads end once what is queued is done.
    pub(crate) fn stop(&self) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

fn run(conn: &Connection, jobs: &Mutex<Receiver<Job>>, dir: &Path) {
    loop {
        let job = jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        let Some(Job { range, done }) = job else {
            return;
        };
        if !done.is_closed() {
            // Whoever asked may be gone by now.
            let _ = done.send(read_range(conn, &range, dir));
        }
    }
}

/// One short statement, done when this returns: an open one would pin a snapshot and let the WAL grow without bound.
pub(crate) fn read_range(
    conn: &Connection,
    range: &Range,
    dir: &Path,
) -> Result<Vec<StoredBatch>, LogError> {
    let Range {
        partition,
        from,
        end,
        bytes,
    } = range;
    let first = row_id(partition.id, *from);
    let read = || -> rusqlite::Result<Vec<StoredBatch>> {
        let sql = "SELECT id, last, data FROM batch
                   WHERE id >= coalesce((SELECT max(id) FROM batch WHERE id BETWEEN ?1 AND ?2), ?2) AND id < ?3 ORDER BY id";
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query(params![
            row_id(partition.id, 0),
            first,
            row_id(partition.id, *end)
        ])?;
        let (mut found, mut size) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let (id, last): (i64, i64) = (row.get(0)?, row.get(1)?);
            if last < *from {
                continue;
            }
            let data = row.get_ref(2)?.as_blob()?.to_vec();
            size += data.len();
            found.push(StoredBatch {
                base: base_offset(id),
                last,
                data: data.into(),
            });
            if size >= *bytes {
                break;
            }
        }
        Ok(found)
    };
    let found = read().map_err(|e| from_sqlite(e, "reading", dir))?;
    for batch in &found {
        verify(&batch.data).map_err(|what| damaged(&partition.name, batch.base, what))?;
    }
    Ok(found)
}
