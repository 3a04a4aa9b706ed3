//! The thread that owns the writing connection.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread::JoinHandle;

use millrace_log::local::{MemberRef, Partition};
use millrace_log::{LogError, TopicPartition};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Permit, Receiver, Sender, channel};
use tokio::sync::oneshot;

use crate::codec::StoredBatch;
use crate::drafts::Draft;
use crate::error::from_sqlite;
use crate::producer::Deliveries;
use crate::schema::{FILE, MAX_OFFSET, row_id};
use crate::shared::Shared;

/// Requests that may be queued; their bytes are bounded by their producers' buffers.
const QUEUE: usize = 1024;
/// Requests that share one commit: at most so many …
const GROUP_REQUESTS: usize = 256;
/// … or so many bytes.
const GROUP_BYTES: usize = 8 << 20;
/// Beyond this the WAL is rewound with readers held off for a moment. Ordinary checkpoints keep it near 16 MiB.
const WAL_LIMIT: u64 = 64 << 20;
/// How many bytes are written between two looks at the WAL's size.
const WAL_LOOK: usize = 8 << 20;

/// Proof that a producer is the newest with its transactional id.
#[derive(Debug, Clone)]
pub(crate) struct Epoch {
    pub(crate) transactional_id: Arc<str>,
    pub(crate) pid: i64,
    pub(crate) epoch: i64,
}

/// Records and positions that become visible together.
#[derive(Debug, Default)]
pub(crate) struct Append {
    pub(crate) epoch: Option<Epoch>,
    /// Partitions of the batches that wait in `staged`, in order; written before `drafts`.
    pub(crate) staged: Vec<Arc<Partition>>,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) offsets: Vec<(Arc<str>, TopicPartition, i64)>,
}

/// Who hears what became of an append.
#[derive(Debug)]
pub(crate) enum Done {
    /// Hears the offsets of the records that have a sequence number, in the order of those numbers.
    Reply(oneshot::Sender<Result<Vec<i64>, LogError>>),
    Deliveries(Arc<Deliveries>),
}

type Alone = Box<dyn FnOnce(&mut Writer) + Send>;
type Positions = Vec<Option<i64>>;

enum Work {
    Append(Append, Done),
    Commit {
        member: MemberRef,
        offsets: Vec<(TopicPartition, i64)>,
        done: oneshot::Sender<Result<(), LogError>>,
    },
    Committed {
        group: String,
        partitions: Vec<TopicPartition>,
        done: oneshot::Sender<Result<Positions, LogError>>,
    },
    /// Work with a transaction of its own.
    Alone(Alone),
    Stop,
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Append(append, _) => append.drafts.iter().map(|d| d.batch.data.len()).sum(),
            _ => 0,
        }
    }
}

/// Where requests are queued. They are done in the order in which they were sent.
#[derive(Debug, Clone)]
pub(crate) struct WriterHandle {
    queue: Sender<Work>,
    shared: Arc<Shared>,
}

impl WriterHandle {
    async fn ask<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, LogError>>) -> Work,
    ) -> Result<T, LogError> {
        self.shared.ensure_open()?;
        let (done, answer) = oneshot::channel();
        self.queue
            .send(make(done))
            .await
            .map_err(|_| self.shared.reason())?;
        answer.await.unwrap_or_else(|_| Err(self.shared.reason()))
    }

    /// Writes `append` whole or not at all; returns the offsets of its records that have a sequence number, in the order of those numbers.
    pub(crate) async fn append(&self, append: Append) -> Result<Vec<i64>, LogError> {
        self.ask(|done| Work::Append(append, Done::Reply(done)))
            .await
    }

    pub(crate) async fn commit(
        &self,
        member: MemberRef,
        offsets: Vec<(TopicPartition, i64)>,
    ) -> Result<(), LogError> {
        self.ask(|done| Work::Commit {
            member,
            offsets,
            done,
        })
        .await
    }

    pub(crate) async fn committed(
        &self,
        group: String,
        partitions: Vec<TopicPartition>,
    ) -> Result<Positions, LogError> {
        self.ask(|done| Work::Committed {
            group,
            partitions,
            done,
        })
        .await
    }

    /// Has the writer run `work` between two groups.
    pub(crate) async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        self.ask(|done| Work::Alone(Box::new(move |writer| drop(done.send(work(writer))))))
            .await
    }

    /// [`alone`](Self::alone) for a thread of our own.
    pub(crate) fn alone_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        self.shared.ensure_open()?;
        let (done, answer) = oneshot::channel();
        let work = Work::Alone(Box::new(move |writer| drop(done.send(work(writer)))));
        self.queue
            .blocking_send(work)
            .map_err(|_| self.shared.reason())?;
        answer
            .blocking_recv()
            .unwrap_or_else(|_| Err(self.shared.reason()))
    }

    /// A place in the queue for a caller that does not wait; `None` when the queue is full.
    pub(crate) fn place(&self) -> Result<Option<Place<'_>>, LogError> {
        self.shared.ensure_open()?;
        match self.queue.try_reserve() {
            Ok(permit) => Ok(Some(Place(permit))),
            Err(TrySendError::Full(())) => Ok(None),
            Err(TrySendError::Closed(())) => Err(self.shared.reason()),
        }
    }

    /// Has the thread end. Call it after the log was marked as closed: a thread that is too busy for the message sees the mark.
    pub(crate) fn stop(&self) {
        let _ = self.queue.try_send(Work::Stop);
    }
}

/// A place in the writer's queue.
pub(crate) struct Place<'q>(Permit<'q, Work>);

impl Place<'_> {
    /// Queues an append whose outcome goes to `deliveries`.
    pub(crate) fn append(self, append: Append, deliveries: &Arc<Deliveries>) {
        self.0.send(Work::Append(
            append,
            Done::Deliveries(Arc::clone(deliveries)),
        ));
    }

    /// Queues `work`; `then` hears the outcome.
    pub(crate) fn alone<T: 'static>(
        self,
        work: impl FnOnce(&mut Writer) -> Result<T, LogError> + Send + 'static,
        then: impl FnOnce(Result<T, LogError>) + Send + 'static,
    ) {
        self.0
            .send(Work::Alone(Box::new(move |writer| then(work(writer)))));
    }
}

/// What the writing thread works with.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) shared: Arc<Shared>,
    /// Newest epoch of each transactional id that this process has initialised.
    pub(crate) epochs: HashMap<Arc<str>, i64>,
    bytes_since_wal_look: usize,
}

/// What a group has done to a partition so far.
#[derive(Debug)]
struct Grown {
    partition: Arc<Partition>,
    end: i64,
    bytes: usize,
    batches: Vec<StoredBatch>,
    /// Batches were moved that are not in `batches`.
    unseen: bool,
}

type Growth = BTreeMap<i64, Grown>;

/// An outcome that waits for the commit of its group.
enum Outcome {
    /// Per draft the offset of its first record.
    Append(Done, Vec<Draft>, Result<Vec<i64>, LogError>),
    Commit(oneshot::Sender<Result<(), LogError>>, Result<(), LogError>),
    Committed(oneshot::Sender<Result<Positions, LogError>>, Positions),
}

/// Starts the thread. It ends with the connection still open, so that its owner can close it last: closing the last one that may write tidies up the WAL.
pub(crate) fn start(
    conn: Connection,
    shared: Arc<Shared>,
) -> std::io::Result<(WriterHandle, JoinHandle<Writer>)> {
    let (queue, mut requests) = channel(QUEUE);
    let mut writer = Writer {
        conn,
        shared: Arc::clone(&shared),
        epochs: HashMap::new(),
        bytes_since_wal_look: 0,
    };
    let thread = std::thread::Builder::new()
        .name("millrace-log-writer".into())
        .spawn(move || {
            writer.run(&mut requests);
            writer
        })?;
    Ok((WriterHandle { queue, shared }, thread))
}

impl Writer {
    fn run(&mut self, requests: &mut Receiver<Work>) {
        let mut next = requests.blocking_recv();
        while let Some(first) = next.take() {
            match first {
                Work::Stop => break,
                Work::Alone(work) => work(self),
                first => {
                    let mut bytes = first.bytes();
                    let mut group = vec![first];
                    while group.len() < GROUP_REQUESTS && bytes < GROUP_BYTES {
                        match requests.try_recv() {
                            Ok(work @ (Work::Alone(_) | Work::Stop)) => {
                                next = Some(work);
                                break;
                            }
                            Ok(work) => {
                                bytes += work.bytes();
                                group.push(work);
                            }
                            Err(_) => break,
                        }
                    }
                    self.commit_group(group);
                }
            }
            if self.shared.is_closed() {
                break;
            }
            if next.is_none() {
                next = requests.blocking_recv();
            }
        }
        requests.close();
        let reason = self.shared.reason();
        while let Some(work) = next.take().or_else(|| requests.try_recv().ok()) {
            refuse(work, &reason);
        }
    }

    /// Turns an SQLite error into the caller's, and stops the log when what is on the disk is not known.
    pub(crate) fn fail(&self, error: rusqlite::Error, doing: &str) -> LogError {
        let error = from_sqlite(error, doing, &self.shared.options.dir);
        if !error.is_retriable() {
            self.shared.poison(&error);
        }
        error
    }

    /// Runs `work` in a transaction of its own: committed when it returns `Ok`, else nothing has happened.
    pub(crate) fn transaction<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LogError> {
        self.shared.ensure_open()?;
        let result = self.in_transaction(work);
        result.map_err(|e| self.fail(e, doing))
    }

    fn in_transaction<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        let result =
            work(&self.conn).and_then(|value| self.conn.execute_batch("COMMIT").map(|()| value));
        if result.is_err() && !self.conn.is_autocommit() {
            // SQLite has rolled back by itself after most errors; a second failure adds nothing to the first.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        result
    }

    fn commit_group(&mut self, group: Vec<Work>) {
        if let Err(error) = self.shared.ensure_open() {
            return group.into_iter().for_each(|work| refuse(work, &error));
        }
        let mut growth = Growth::new();
        let mut waiting = group.into_iter();
        let mut outcomes = Vec::with_capacity(waiting.len());
        let mut failed = None;
        let result = self.in_transaction(|conn| {
            for work in waiting.by_ref() {
                match self.apply(conn, work, &mut growth) {
                    Ok(outcome) => outcomes.push(outcome),
                    Err(broken) => {
                        let (work, error) = *broken;
                        failed = Some(work);
                        return Err(error);
                    }
                }
            }
            let mut update = conn
                .prepare_cached("UPDATE part SET log_end = ?2, bytes = bytes + ?3 WHERE id = ?1")?;
            for (id, grown) in &growth {
                update.execute(params![id, grown.end, grown.bytes as i64])?;
            }
            Ok(())
        });
        match result {
            Ok(()) => {
                for (id, grown) in growth {
                    self.bytes_since_wal_look += grown.bytes;
                    match grown.unseen {
                        true => self.shared.tail.forget(id),
                        false => self.shared.tail.append(id, grown.batches),
                    }
                    grown.partition.set_end(grown.end);
                }
                outcomes
                    .into_iter()
                    .for_each(|outcome| outcome.finish(None));
                self.bound_wal();
            }
            Err(error) => {
                let error = self.fail(error, "writing");
                outcomes
                    .into_iter()
                    .for_each(|outcome| outcome.finish(Some(&error)));
                failed
                    .into_iter()
                    .chain(waiting)
                    .for_each(|work| refuse(work, &error));
            }
        }
    }

    /// Does one request inside the group's transaction. What concerns only the request (fenced, unknown topic) is found before anything is written and stands in
    /// its outcome; an SQLite error ends the group.
    fn apply(
        &self,
        conn: &Connection,
        work: Work,
        growth: &mut Growth,
    ) -> Result<Outcome, Box<(Work, rusqlite::Error)>> {
        match work {
            Work::Append(mut append, done) => {
                let offset_ids = match self.check_append(&append, growth) {
                    Ok(ids) => ids,
                    Err(error) => return Ok(Outcome::Append(done, append.drafts, Err(error))),
                };
                match write_append(conn, &mut append, &offset_ids, growth) {
                    Ok(bases) => Ok(Outcome::Append(done, append.drafts, Ok(bases))),
                    Err(error) => Err(Box::new((Work::Append(append, done), error))),
                }
            }
            Work::Commit {
                member,
                offsets,
                done,
            } => {
                let result = self
                    .shared
                    .coordinator
                    .check_owner(&member, offsets.iter().map(|(p, _)| p));
                let result =
                    result.and_then(|()| self.partition_ids(offsets.iter().map(|(p, _)| p)));
                let ids = match result {
                    Ok(ids) => ids,
                    Err(error) => return Ok(Outcome::Commit(done, Err(error))),
                };
                let written = ids.iter().zip(&offsets).try_for_each(|(id, (_, offset))| {
                    put_offset(conn, &member.group, *id, *offset)
                });
                match written {
                    Ok(()) => Ok(Outcome::Commit(done, Ok(()))),
                    Err(error) => Err(Box::new((
                        Work::Commit {
                            member,
                            offsets,
                            done,
                        },
                        error,
                    ))),
                }
            }
            Work::Committed {
                group,
                partitions,
                done,
            } => {
                let read = partitions
                    .iter()
                    .map(|p| match self.shared.catalog.partition(p) {
                        Ok(partition) => get_offset(conn, &group, partition.id),
                        Err(_) => Ok(None),
                    });
                match read.collect::<rusqlite::Result<Positions>>() {
                    Ok(positions) => Ok(Outcome::Committed(done, positions)),
                    Err(error) => Err(Box::new((
                        Work::Committed {
                            group,
                            partitions,
                            done,
                        },
                        error,
                    ))),
                }
            }
            work @ (Work::Alone(_) | Work::Stop) => {
                Err(Box::new((work, rusqlite::Error::InvalidQuery)))
            }
        }
    }

    /// Whether the request can be done; the partition ids of its positions.
    fn check_append(&self, append: &Append, growth: &Growth) -> Result<Vec<i64>, LogError> {
        if let Some(epoch) = &append.epoch {
            self.check_epoch(epoch)?;
        }
        for partition in append
            .staged
            .iter()
            .chain(append.drafts.iter().map(|d| &d.partition))
        {
            if partition.is_deleted() {
                return Err(LogError::UnknownTopic(partition.name.to_string()));
            }
            if growth.get(&partition.id).map_or(partition.end(), |g| g.end)
                >= MAX_OFFSET - (1 << 32)
            {
                return Err(LogError::fatal(format!(
                    "partition {} has used up its offsets",
                    partition.name
                )));
            }
        }
        self.partition_ids(append.offsets.iter().map(|(_, p, _)| p))
    }

    /// I4: a producer that was taken over writes nothing more.
    pub(crate) fn check_epoch(&self, epoch: &Epoch) -> Result<(), LogError> {
        match self.epochs.get(&epoch.transactional_id) {
            Some(current) if *current == epoch.epoch => Ok(()),
            current => Err(LogError::Fenced(format!(
                "transactional id '{}' was taken over by a newer producer (epoch {}, this one has {})",
                epoch.transactional_id,
                current.copied().unwrap_or_default(),
                epoch.epoch
            ))),
        }
    }

    fn partition_ids<'a>(
        &self,
        names: impl Iterator<Item = &'a TopicPartition>,
    ) -> Result<Vec<i64>, LogError> {
        names
            .map(|name| self.shared.catalog.partition(name).map(|p| p.id))
            .collect()
    }

    /// Readers that come one after the other without a break keep SQLite from rewinding the WAL; then it has to be told.
    fn bound_wal(&mut self) {
        if self.bytes_since_wal_look < WAL_LOOK {
            return;
        }
        self.bytes_since_wal_look = 0;
        let wal = self.shared.options.dir.join(format!("{FILE}-wal"));
        if std::fs::metadata(wal).is_ok_and(|m| m.len() > WAL_LIMIT) {
            let rewound = self
                .conn
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |r| {
                    r.get::<_, i64>(0)
                });
            match rewound {
                Ok(0) => {}
                Ok(_) => tracing::debug!("the WAL could not be rewound: a reader was busy"),
                Err(error) => drop(self.fail(error, "rewinding the WAL")),
            }
        }
    }
}

/// Assigns offsets and inserts. I5: positions are rows of the same transaction.
fn write_append(
    conn: &Connection,
    append: &mut Append,
    offset_ids: &[i64],
    growth: &mut Growth,
) -> rusqlite::Result<Vec<i64>> {
    if let (Some(epoch), false) = (&append.epoch, append.staged.is_empty()) {
        move_staged(conn, epoch.pid, &append.staged, growth)?;
    }
    let mut insert = conn.prepare_cached(
        "INSERT INTO batch(id, last, max_ts, count, data) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut bases = Vec::with_capacity(append.drafts.len());
    for draft in &mut append.drafts {
        let grown = grow(growth, &draft.partition);
        let base = grown.end;
        let last = base + i64::from(draft.batch.last_delta);
        insert.execute(params![
            row_id(draft.partition.id, base),
            last,
            draft.batch.max_timestamp,
            draft.batch.count,
            draft.batch.data
        ])?;
        grown.end = last + 1;
        grown.bytes += draft.batch.data.len();
        grown.batches.push(StoredBatch {
            base,
            last,
            data: std::mem::take(&mut draft.batch.data).into(),
        });
        bases.push(base);
    }
    for ((group, _, offset), id) in append.offsets.iter().zip(offset_ids) {
        put_offset(conn, group, *id, *offset)?;
    }
    Ok(bases)
}

/// Gives the batches that wait in `staged` their offsets.
fn move_staged(
    conn: &Connection,
    pid: i64,
    partitions: &[Arc<Partition>],
    growth: &mut Growth,
) -> rusqlite::Result<()> {
    let mut select = conn.prepare_cached(
        "SELECT id, last_delta, length(data) FROM staged WHERE pid = ?1 ORDER BY id",
    )?;
    let rows = select
        .query_map([pid], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(i64, i64, i64)>>>()?;
    let mut insert = conn.prepare_cached("INSERT INTO batch(id, last, max_ts, count, data) SELECT ?1, ?2, max_ts, count, data FROM staged WHERE id = ?3")?;
    for ((id, last_delta, bytes), partition) in rows.into_iter().zip(partitions) {
        let grown = grow(growth, partition);
        let last = grown.end + last_delta;
        insert.execute(params![row_id(partition.id, grown.end), last, id])?;
        grown.end = last + 1;
        grown.bytes += bytes as usize;
        grown.unseen = true;
    }
    conn.prepare_cached("DELETE FROM staged WHERE pid = ?1")?
        .execute([pid])?;
    Ok(())
}

fn grow<'g>(growth: &'g mut Growth, partition: &Arc<Partition>) -> &'g mut Grown {
    growth.entry(partition.id).or_insert_with(|| Grown {
        partition: Arc::clone(partition),
        end: partition.end(),
        bytes: 0,
        batches: Vec::new(),
        unseen: false,
    })
}

/// Stores a position.
pub(crate) fn put_offset(
    conn: &Connection,
    group: &str,
    partition: i64,
    offset: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO group_offset(grp, part, offset, ts) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT(grp, part) DO UPDATE SET offset = excluded.offset, ts = excluded.ts";
    conn.prepare_cached(sql)?
        .execute(params![
            group,
            partition,
            offset,
            millrace_log::local::now_ms()
        ])
        .map(|_| ())
}

fn get_offset(conn: &Connection, group: &str, partition: i64) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT offset FROM group_offset WHERE grp = ?1 AND part = ?2")?
        .query_row(params![group, partition], |r| r.get(0))
        .optional()
}

impl Outcome {
    /// Tells whoever asked; `failed` is why the group was not written. A caller that is gone does not hear it.
    fn finish(self, failed: Option<&LogError>) {
        match self {
            Self::Append(Done::Reply(done), drafts, result) => {
                let result = failed.cloned().map_or(result, Err);
                drop(done.send(result.map(|bases| offsets_by_sequence(&drafts, &bases))))
            }
            Self::Append(Done::Deliveries(deliveries), drafts, result) => {
                deliveries.settle(&drafts, failed.cloned().map_or(result, Err))
            }
            Self::Commit(done, result) => drop(done.send(failed.cloned().map_or(result, Err))),
            Self::Committed(done, positions) => {
                drop(done.send(failed.cloned().map_or(Ok(positions), Err)))
            }
        }
    }
}

/// Offsets of the records that have a sequence number, in the order of those numbers. `bases` has the first offset of each draft.
fn offsets_by_sequence(drafts: &[Draft], bases: &[i64]) -> Vec<i64> {
    let mut numbered: Vec<(u64, i64)> = drafts
        .iter()
        .zip(bases)
        .flat_map(|(draft, base)| draft.sequences.iter().copied().zip(*base..))
        .collect();
    numbered.sort_unstable();
    numbered.into_iter().map(|(_, offset)| offset).collect()
}

/// Answers work that was not done. `Alone` and `Stop` are never part of a group.
fn refuse(work: Work, error: &LogError) {
    match work {
        Work::Append(append, Done::Reply(done)) => drop((append, done.send(Err(error.clone())))),
        Work::Append(append, Done::Deliveries(deliveries)) => {
            deliveries.settle(&append.drafts, Err(error.clone()))
        }
        Work::Commit { done, .. } => drop(done.send(Err(error.clone()))),
        Work::Committed { done, .. } => drop(done.send(Err(error.clone()))),
        Work::Alone(_) | Work::Stop => {}
    }
}
