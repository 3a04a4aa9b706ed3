use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use millrace_log::local::{Catalog, Coordinator, FetchLimit, MemberRef, Partition, Store, Topic};
use millrace_log::{
    FetchBatchBuilder, GroupOffset, LogError, NewTopic, RecordBatch, TopicPartition,
};

use crate::cleaner::CleanerHandle;
use crate::codec::Decoder;
use crate::drafts::Drafts;
use crate::error::damaged;
use crate::options::EmbeddedOptions;
use crate::read_pool::{Range, ReadPool};
use crate::shared::Shared;
use crate::writer::{Append, Writer, WriterHandle};
use crate::{cleaner, schema, watcher, writer};

/// An open embedded log: its threads and what they share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) cluster_id: String,
    /// `None` when the log is open for reading only.
    writer: Option<WriterHandle>,
    pub(crate) cleaner: Option<CleanerHandle>,
    watcher: Option<watcher::WatcherHandle>,
    readers: ReadPool,
    held: Mutex<Held>,
}

/// What is given up when the log is closed, in this order.
#[derive(Debug)]
struct Held {
    threads: Vec<JoinHandle<()>>,
    /// Ends with its connection, the only one that may write. SQLite folds the WAL into the file when the last connection closes, so this one goes last.
    writer: Option<JoinHandle<Writer>>,
    /// Held for as long as this process owns the directory.
    lock: Option<File>,
}

fn io_error(dir: &Path, doing: &str, error: std::io::Error) -> LogError {
    LogError::Fatal {
        message: format!(
            "cannot {doing} {}: check log.dir and who may write to it",
            dir.display()
        ),
        source: Some(Arc::new(error)),
    }
}

/// Makes this process the owner of `dir`, or says who is.
fn own(dir: &Path) -> Result<File, LogError> {
    let path = dir.join("lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| io_error(&path, "open", e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Whose it is only makes the message better.
            let _ = file.read_to_string(&mut owner);
            let owner = match owner.trim() {
                "" => String::new(),
                pid => format!(" (process {pid})"),
            };
            return Err(LogError::Config(format!(
                "the embedded log in {} is in use by another worker{owner}: stop that one, or give this one another log.dir",
                dir.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(io_error(&path, "lock", error)),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()));
    written.map_err(|e| io_error(&path, "write", e))?;
    Ok(file)
}

impl Engine {
    /// Opens the log as its owner.
    pub(crate) fn open(options: EmbeddedOptions) -> Result<Self, LogError> {
        let dir = options.dir.clone();
        std::fs::create_dir_all(&dir).map_err(|e| io_error(&dir, "create", e))?;
        let lock = own(&dir)?;
        let conn = schema::open_writer(&options)?;
        // SQLite makes its own files durable; that the directory is there is our affair.
        for path in [
            Some(dir.as_path()),
            dir.parent().filter(|p| !p.as_os_str().is_empty()),
        ]
        .into_iter()
        .flatten()
        {
            File::open(path)
                .and_then(|d| d.sync_all())
                .map_err(|e| io_error(path, "sync", e))?;
        }
        let cluster_id = schema::cluster_id(&conn, &dir)?;
        let catalog = schema::load_catalog(&conn, &options.topic_defaults, &dir)?;
        let shared = Arc::new(Shared::new(options, catalog));
        let (readers, mut threads) = ReadPool::start(&dir)?;
        let (writer, writer_thread) = writer::start(conn, Arc::clone(&shared))
            .map_err(|e| io_error(&dir, "start a thread for", e))?;

        let (cleaner, thread) = cleaner::start(Arc::clone(&shared), writer.clone())?;
        threads.push(thread);
        Ok(Self {
            shared,
            cluster_id,
            writer: Some(writer),
            cleaner: Some(cleaner),
            watcher: None,
            readers,
            held: Mutex::new(Held {
                threads,
                writer: Some(writer_thread),
                lock: Some(lock),
            }),
        })
    }

    /// Opens the log beside its owner, to read.
    pub(crate) fn open_read_only(options: EmbeddedOptions) -> Result<Self, LogError> {
        let dir = options.dir.clone();
        if !dir.join(schema::FILE).is_file() {
            return Err(LogError::Config(format!(
                "there is no embedded log in {}: {} is missing",
                dir.display(),
                schema::FILE
            )));
        }
        let conn = schema::open_reader(&dir)?;
        schema::check_layout(&conn, &dir)?;
        let cluster_id = schema::cluster_id(&conn, &dir)?;
        let catalog = schema::load_catalog(&conn, &options.topic_defaults, &dir)?;
        let shared = Arc::new(Shared::new(options, catalog));
        let (readers, mut threads) = ReadPool::start(&dir)?;
        let (watcher, thread) = watcher::start(conn, Arc::clone(&shared))
            .map_err(|e| io_error(&dir, "start a thread for", e))?;
        threads.push(thread);
        Ok(Self {
            shared,
            cluster_id,
            writer: None,
            cleaner: None,
            watcher: Some(watcher),
            readers,
            held: Mutex::new(Held {
                threads,
                writer: None,
                lock: None,
            }),
        })
    }

    /// Where to write, unless the log is open for reading only.
    pub(crate) fn writer(&self) -> Result<&WriterHandle, LogError> {
        self.shared.ensure_open()?;
        self.writer.as_ref().ok_or_else(|| {
            LogError::Config(format!("the embedded log in {} is open for reading only; its worker is the one that writes", self.shared.options.dir.display()))
        })
    }

    /// The topic; made with default settings when it is missing.
    pub(crate) async fn topic_to_write(&self, name: &Arc<str>) -> Result<Arc<Topic>, LogError> {
        if let Some(topic) = self.shared.catalog.topic(name) {
            return Ok(topic);
        }
        let made = Arc::clone(name);
        self.writer()?
            .alone(move |writer| writer.ensure_topic(&made))
            .await?;
        self.shared.catalog.existing(name)
    }

    /// Stops the threads and waits for them. Blocks.
    pub(crate) fn close(&self) {
        self.shared.mark_closed();
        if let Some(cleaner) = &self.cleaner {
            cleaner.stop();
        }
        if let Some(watcher) = &self.watcher {
            watcher.stop();
        }
        self.readers.stop();
        if let Some(writer) = &self.writer {
            writer.stop();
        }
        // Held until the end: whoever closes at the same time returns when it is done.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in std::mem::take(&mut held.threads) {
            if thread.join().is_err() {
                tracing::error!("a thread of the embedded log has panicked");
            }
        }
        if held
            .writer
            .take()
            .is_some_and(|writer| writer.join().map(drop).is_err())
        {
            tracing::error!("the writing thread of the embedded log has panicked");
        }
        held.lock.take();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait::async_trait]
impl Store for Engine {
    fn ensure_open(&self) -> Result<(), LogError> {
        self.shared.ensure_open()
    }

    async fn refresh(&self) -> Result<(), LogError> {
        match &self.watcher {
            Some(watcher) => watcher.refresh().await,
            None => Ok(()),
        }
    }

    fn catalog(&self) -> &Catalog {
        &self.shared.catalog
    }

    fn coordinator(&self) -> &Arc<Coordinator> {
        &self.shared.coordinator
    }

    async fn fetch(
        &self,
        partition: &Arc<Partition>,
        from: i64,
        limit: FetchLimit,
        out: &mut FetchBatchBuilder,
    ) -> Result<i64, LogError> {
        let end = partition.end();
        let batches = match self
            .shared
            .tail
            .get(partition.id, from, limit.bytes, limit.records)
        {
            Some(batches) => batches,
            None => {
                let range = Range {
                    partition: Arc::clone(partition),
                    from,
                    end,
                    bytes: limit.bytes.min(4 << 20),
                };
                self.readers.read(range).await?
            }
        };
        let Some(last) = batches.last().map(|b| b.last) else {
            return Ok(end);
        };
        let (records, bytes) = (out.len(), out.byte_size());
        for batch in &batches {
            let bad = |what| damaged(&partition.name, batch.base, what);
            let mut decoder = Decoder::new(batch).map_err(bad)?;
            while let Some(record) = decoder.next().map_err(bad)? {
                if record.offset < from {
                    continue;
                }
                if out.len() - records >= limit.records || out.byte_size() - bytes >= limit.bytes {
                    return Ok(record.offset);
                }
                let stamp = (record.timestamp, record.timestamp_type);
                out.push(
                    &partition.name.topic,
                    partition.name.partition,
                    record.offset,
                    stamp,
                    record.key,
                    record.value,
                    record.headers(),
                );
            }
        }
        Ok(last + 1)
    }

    async fn committed(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, LogError> {
        self.writer()?
            .committed(group.to_owned(), partitions.to_vec())
            .await
    }

    async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, LogError> {
        let group = group.to_owned();
        let rows = match &self.watcher {
            Some(watcher) => watcher.group_offsets(group).await?,
            None => {
                self.writer()?
                    .alone(move |writer| writer.group_offsets(&group))
                    .await?
            }
        };
        Ok(rows
            .into_iter()
            .map(|(topic, n, offset)| GroupOffset {
                partition: TopicPartition::new(topic, n),
                offset,
            })
            .collect())
    }

    async fn commit(
        &self,
        member: &MemberRef,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), LogError> {
        self.writer()?
            .commit(member.clone(), offsets.to_vec())
            .await
    }

    async fn append(&self, batch: &RecordBatch) -> Result<Vec<i64>, LogError> {
        let mut drafts = Drafts::default();
        for (sequence, record) in (0..).zip(batch.iter()) {
            let topic = self.topic_to_write(record.topic).await?;
            drafts.push(&topic, &record, Some(sequence))?;
        }
        self.writer()?
            .append(Append {
                drafts: drafts.take(),
                ..Append::default()
            })
            .await
    }

    async fn create_topic(&self, topic: &NewTopic) -> Result<(), LogError> {
        let NewTopic {
            name,
            partitions,
            settings,
            ..
        } = topic.clone();
        self.writer()?
            .alone(move |writer| writer.create_topic(&name, partitions, &settings))
            .await
    }

    async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        let name = name.to_owned();
        self.writer()?
            .alone(move |writer| writer.delete_topic(&name))
            .await?;
        if let Some(cleaner) = &self.cleaner {
            cleaner.look();
        }
        Ok(())
    }

    async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), LogError> {
        let (group, offsets) = (group.to_owned(), offsets.to_vec());
        self.writer()?
            .alone(move |writer| writer.alter_group_offsets(&group, &offsets))
            .await
    }
}
