//! The thread that applies retention, compacts, removes deleted topics and gives pages back. It reads on a connection of its own; every change goes through the
//! writer in small transactions, so that commits do not wait long behind it.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use millrace_log::LogError;
use millrace_log::local::{Partition, TopicPolicy, now_ms};
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use crate::compaction;
use crate::error::from_sqlite;
use crate::schema::{base_offset, open_reader, row_id};
use crate::shared::Shared;
use crate::writer::{Writer, WriterHandle};

/// Rows deleted in one transaction.
const SLICE: usize = 500;
/// Free pages that are left in the file for reuse: 16 MiB.
const SPARE_PAGES: i64 = 1024;
/// Commands that may be queued.
const QUEUE: usize = 64;
/// Less than this is not worth a compaction.
const LEAST_DIRTY_BYTES: i64 = 1 << 20;

enum Command {
    Look,
    Retain(String, oneshot::Sender<Result<(), LogError>>),
    Compact(String, oneshot::Sender<Result<(), LogError>>),
    Stop,
}

#[derive(Debug)]
pub(crate) struct CleanerHandle {
    commands: SyncSender<Command>,
}

impl CleanerHandle {
    pub(crate) fn stop(&self) {
        // A thread that is gone has stopped; one that is too busy for the message sees that the log is closed.
        let _ = self.commands.try_send(Command::Stop);
    }

    /// Has the thread look for work now.
    pub(crate) fn look(&self) {
        // With a full queue it will look anyway.
        let _ = self.commands.try_send(Command::Look);
    }

    async fn ask(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<(), LogError>>) -> Command,
    ) -> Result<(), LogError> {
        let (done, answer) = oneshot::channel();
        self.commands
            .try_send(make(done))
            .map_err(|error| match error {
                TrySendError::Full(_) => LogError::retriable("the embedded log is busy cleaning"),
                TrySendError::Disconnected(_) => LogError::Closed,
            })?;
        answer.await.unwrap_or(Err(LogError::Closed))
    }

    pub(crate) async fn enforce_retention(&self, topic: &str) -> Result<(), LogError> {
        self.ask(|done| Command::Retain(topic.to_owned(), done))
            .await
    }

    pub(crate) async fn compact(&self, topic: &str) -> Result<(), LogError> {
        self.ask(|done| Command::Compact(topic.to_owned(), done))
            .await
    }
}

pub(crate) fn start(
    shared: Arc<Shared>,
    writer: WriterHandle,
) -> Result<(CleanerHandle, JoinHandle<()>), LogError> {
    let cleaner = Cleaner {
        conn: open_reader(&shared.options.dir)?,
        shared,
        writer,
    };
    let (commands, requests) = sync_channel(QUEUE);
    let run = move || {
        loop {
            let command = requests.recv_timeout(cleaner.shared.options.check_interval);
            if cleaner.shared.is_closed() {
                return;
            }
            match command {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Command::Look) | Err(RecvTimeoutError::Timeout) => cleaner.look(),
                // Whoever asked may be gone by now.
                Ok(Command::Retain(topic, done)) => drop(done.send(cleaner.retain_topic(&topic))),
                Ok(Command::Compact(topic, done)) => drop(done.send(cleaner.compact_topic(&topic))),
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("millrace-log-cleaner".into())
        .spawn(run);
    let thread = thread.map_err(|e| LogError::Fatal {
        message: "cannot start a thread".to_owned(),
        source: Some(Arc::new(e)),
    })?;
    Ok((CleanerHandle { commands }, thread))
}

/// What the thread works with.
#[derive(Debug)]
pub(crate) struct Cleaner {
    pub(crate) conn: Connection,
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: WriterHandle,
}

impl Cleaner {
    pub(crate) fn read_error(&self, error: rusqlite::Error) -> LogError {
        from_sqlite(error, "cleaning", &self.shared.options.dir)
    }

    /// Does everything that is due. One partition that fails does not keep the others from being cleaned.
    fn look(&self) {
        warn(self.purge_deleted());
        for topic in self.shared.catalog.topics() {
            for partition in &topic.partitions {
                warn(self.look_at(partition, &topic.policy));
            }
        }
        warn(self.give_back(SPARE_PAGES));
    }

    fn look_at(&self, partition: &Arc<Partition>, policy: &TopicPolicy) -> Result<(), LogError> {
        self.shared.ensure_open()?;
        if policy.delete {
            self.retain(partition, policy)?;
        }
        if policy.compact && self.is_dirty(partition, policy.min_dirty_ratio)? {
            compaction::compact(self, partition, policy)?;
        }
        Ok(())
    }

    fn retain_topic(&self, topic: &str) -> Result<(), LogError> {
        let topic = self.shared.catalog.existing(topic)?;
        if topic.policy.delete {
            topic
                .partitions
                .iter()
                .try_for_each(|p| self.retain(p, &topic.policy))?;
        }
        self.give_back(0)
    }

    fn compact_topic(&self, topic: &str) -> Result<(), LogError> {
        let topic = self.shared.catalog.existing(topic)?;
        if topic.policy.compact {
            topic
                .partitions
                .iter()
                .try_for_each(|p| compaction::compact(self, p, &topic.policy))?;
        }
        self.give_back(0)
    }

    /// Deletes the oldest batches that are too old or too many. As with Kafka's segments, what remains is at least `retention.bytes`.
    fn retain(&self, partition: &Arc<Partition>, policy: &TopicPolicy) -> Result<(), LogError> {
        if policy.retention_ms.is_none() && policy.retention_bytes.is_none() {
            return Ok(());
        }
        loop {
            let rows = self.oldest(partition).map_err(|e| self.read_error(e))?;
            let bytes = self.conn.query_row(
                "SELECT bytes FROM part WHERE id = ?1",
                [partition.id],
                |r| r.get::<_, i64>(0),
            );
            let bytes = bytes.map_err(|e| self.read_error(e))?;
            let before = policy.retention_ms.map(|ms| now_ms() - ms);
            let (mut freed, mut count, mut start) = (0, 0, partition.start());
            for (_, last, size, max_timestamp) in &rows {
                let expired = before.is_some_and(|before| *max_timestamp < before);
                let excess = policy
                    .retention_bytes
                    .is_some_and(|keep| bytes - freed - size >= keep);
                if !(expired || excess) {
                    break;
                }
                (freed, count, start) = (freed + size, count + 1, last + 1);
            }
            if count == 0 {
                return Ok(());
            }
            let until = rows[count - 1].0;
            let target = Arc::clone(partition);
            self.writer
                .alone_blocking(move |writer| writer.delete_oldest(&target, until, start, freed))?;
            if count < SLICE {
                return Ok(());
            }
        }
    }

    /// Row id, last offset, size and newest timestamp of the oldest batches.
    fn oldest(&self, partition: &Partition) -> rusqlite::Result<Vec<(i64, i64, i64, i64)>> {
        let sql = "SELECT id, last, length(data), max_ts FROM batch WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3";
        let mut statement = self.conn.prepare_cached(sql)?;
        let (first, end) = (
            row_id(partition.id, 0),
            row_id(partition.id, partition.end()) - 1,
        );
        let rows = statement.query_map(params![first, end, SLICE as i64], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
        })?;
        rows.collect()
    }

    fn is_dirty(&self, partition: &Partition, ratio: f64) -> Result<bool, LogError> {
        let read = || -> rusqlite::Result<(i64, i64)> {
            let (bytes, cleaned): (i64, i64) = self.conn.query_row(
                "SELECT bytes, cleaned_to FROM part WHERE id = ?1",
                [partition.id],
                |r| Ok((r.get(0)?, r.get(1)?)),
            )?;
            let sql = "SELECT coalesce(sum(length(data)), 0) FROM batch WHERE id BETWEEN ?1 AND ?2";
            let (first, end) = (
                row_id(partition.id, cleaned),
                row_id(partition.id, partition.end()) - 1,
            );
            Ok((
                bytes,
                self.conn
                    .prepare_cached(sql)?
                    .query_row([first, end], |r| r.get(0))?,
            ))
        };
        let (bytes, dirty) = read().map_err(|e| self.read_error(e))?;
        Ok(dirty >= LEAST_DIRTY_BYTES && dirty as f64 >= ratio * bytes as f64)
    }

    /// Removes what deleted topics have left.
    fn purge_deleted(&self) -> Result<(), LogError> {
        let topics = || -> rusqlite::Result<Vec<i64>> {
            self.conn
                .prepare_cached("SELECT id FROM topic WHERE state = 1")?
                .query_map([], |r| r.get(0))?
                .collect()
        };
        for topic in topics().map_err(|e| self.read_error(e))? {
            while self
                .writer
                .alone_blocking(move |writer| writer.purge(topic))?
            {}
        }
        Ok(())
    }

    /// Shrinks the file until `spare` free pages are left, in short steps.
    fn give_back(&self, spare: i64) -> Result<(), LogError> {
        while self
            .writer
            .alone_blocking(move |writer| writer.vacuum_some(spare))?
        {}
        Ok(())
    }
}

fn warn(result: Result<(), LogError>) {
    match result {
        Ok(()) | Err(LogError::Closed) => {}
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "cleaning the embedded log failed; it is tried again"
        ),
    }
}

impl Writer {
    /// Deletes the batches up to row `until` and moves the partition's start with them.
    fn delete_oldest(
        &mut self,
        partition: &Partition,
        until: i64,
        start: i64,
        freed: i64,
    ) -> Result<(), LogError> {
        self.transaction("applying retention", |conn| {
            conn.prepare_cached("DELETE FROM batch WHERE id BETWEEN ?1 AND ?2")?
                .execute([row_id(partition.id, 0), until])?;
            conn.prepare_cached("UPDATE part SET log_start = ?2, bytes = bytes - ?3 WHERE id = ?1")?
                .execute([partition.id, start, freed])
                .map(|_| ())
        })?;
        partition.set_start(start);
        Ok(())
    }

    /// Removes some batches of a deleted topic, and its rows after the last one; true while there is more.
    fn purge(&mut self, topic: i64) -> Result<bool, LogError> {
        self.transaction("removing a deleted topic", |conn| {
            let parts: Vec<i64> = conn.prepare_cached("SELECT id FROM part WHERE topic = ?1")?.query_map([topic], |r| r.get(0))?.collect::<Result<_, _>>()?;
            for part in parts {
                let sql = "DELETE FROM batch WHERE id IN (SELECT id FROM batch WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)";
                let deleted = conn.prepare_cached(sql)?.execute(params![row_id(part, 0), row_id(part + 1, 0) - 1, SLICE as i64])?;
                if deleted > 0 {
                    return Ok(true);
                }
            }
            conn.execute("DELETE FROM part WHERE topic = ?1", [topic])?;
            conn.execute("DELETE FROM topic WHERE id = ?1", [topic])?;
            Ok(false)
        })
    }

    /// Gives up to 256 free pages back to the file system; true while more than `spare` are left.
    fn vacuum_some(&mut self, spare: i64) -> Result<bool, LogError> {
        self.shared.ensure_open()?;
        let vacuum = || -> rusqlite::Result<bool> {
            let free = || {
                self.conn
                    .query_row("PRAGMA freelist_count", [], |r| r.get::<_, i64>(0))
            };
            let before = free()?;
            if before <= spare {
                return Ok(false);
            }
            // It frees one page a step, so it has to be stepped to its end.
            let mut statement = self.conn.prepare("PRAGMA incremental_vacuum(256)")?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            let after = free()?;
            Ok(after > spare && after < before)
        };
        vacuum().map_err(|e| self.fail(e, "giving pages back"))
    }

    /// Replaces the batches in rows `old` by `new`, all or nothing; `freed` bytes fewer remain.
    pub(crate) fn replace(
        &mut self,
        partition: &Partition,
        old: &[i64],
        new: &[compaction::Rewritten],
        freed: i64,
    ) -> Result<(), LogError> {
        self.transaction("compacting", |conn| {
            let (Some(first), Some(last)) = (old.first(), old.last()) else {
                return Ok(());
            };
            let deleted = conn
                .prepare_cached("DELETE FROM batch WHERE id BETWEEN ?1 AND ?2")?
                .execute([first, last])?;
            if deleted != old.len() {
                return Err(rusqlite::Error::StatementChangedRows(deleted));
            }
            let mut insert = conn.prepare_cached(
                "INSERT INTO batch(id, last, max_ts, count, data) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for batch in new {
                let last = batch.base + i64::from(batch.encoded.last_delta);
                insert.execute(params![
                    row_id(partition.id, batch.base),
                    last,
                    batch.encoded.max_timestamp,
                    batch.encoded.count,
                    batch.encoded.data
                ])?;
            }
            conn.prepare_cached("UPDATE part SET bytes = bytes - ?2 WHERE id = ?1")?
                .execute([partition.id, freed])
                .map(|_| ())
        })?;
        // What is kept in memory still has the superseded records.
        self.shared.tail.forget(partition.id);
        Ok(())
    }

    /// Notes how far a partition is compacted.
    pub(crate) fn set_cleaned_to(&mut self, partition: i64, offset: i64) -> Result<(), LogError> {
        self.transaction("compacting", |conn| {
            conn.prepare_cached("UPDATE part SET cleaned_to = ?2 WHERE id = ?1")?
                .execute([partition, offset])
                .map(|_| ())
        })
    }
}

/// Row ids of batches.
pub(crate) fn rows_of(partition: &Partition, batches: &[crate::codec::StoredBatch]) -> Vec<i64> {
    batches
        .iter()
        .map(|b| row_id(partition.id, base_offset(b.base)))
        .collect()
}
