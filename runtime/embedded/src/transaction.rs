use std::sync::Arc;

use millrace_log::local::{Partition, Topic};
use millrace_log::{LogError, RecordBatch, TopicPartition, TransactionalProducer};
use rusqlite::params;

use crate::drafts::{Draft, Drafts};
use crate::engine::Engine;
use crate::writer::{Append, Epoch, Writer};

/// [`TransactionalProducer`] of the embedded log. The open transaction waits here, encoded; what exceeds `log.transaction.max.bytes` waits in the file, in a table
/// that no reader sees.
#[derive(Debug)]
pub(crate) struct EmbeddedTransaction {
    engine: Arc<Engine>,
    epoch: Epoch,
    drafts: Drafts,
    /// Partition of each batch that was moved to the file.
    staged: Vec<Arc<Partition>>,
    offsets: Vec<(Arc<str>, TopicPartition, i64)>,
    /// Why the open transaction can only be aborted.
    must_abort: Option<LogError>,
    /// Why this producer is of no more use.
    dead: Option<LogError>,
}

impl EmbeddedTransaction {
    /// Takes over the transactional id: older producers with it are fenced when this returns.
    pub(crate) async fn open(
        engine: Arc<Engine>,
        transactional_id: &str,
    ) -> Result<Self, LogError> {
        if transactional_id.is_empty() {
            return Err(LogError::Config(
                "transactional.id is empty: name the producer".to_owned(),
            ));
        }
        let id: Arc<str> = Arc::from(transactional_id);
        let epoch = engine
            .writer()?
            .alone(move |writer| writer.init_transactions(&id))
            .await?;
        Ok(Self {
            engine,
            epoch,
            drafts: Drafts::default(),
            staged: Vec::new(),
            offsets: Vec::new(),
            must_abort: None,
            dead: None,
        })
    }

    fn usable(&self) -> Result<(), LogError> {
        self.engine.shared.ensure_open()?;
        self.dead.clone().map_or(Ok(()), Err)
    }

    /// Notes what an error means for the calls to come.
    fn failed(&mut self, error: LogError) -> LogError {
        match &error {
            LogError::Fenced(_) | LogError::Timeout(_) => self.dead = Some(error.clone()),
            _ => self.must_abort = Some(error.clone()),
        }
        error
    }

    async fn add(&mut self, batch: &RecordBatch) -> Result<(), LogError> {
        let mut topics: Vec<Option<Arc<Topic>>> = vec![None; batch.topics().len()];
        for (at, record) in batch.iter().enumerate() {
            let topic = &mut topics[batch.record(at).topic.0 as usize];
            let topic = match topic {
                Some(topic) => topic,
                None => topic.insert(self.engine.topic_to_write(record.topic).await?),
            };
            self.drafts.push(topic, &record, None)?;
        }
        if self.drafts.bytes() > self.engine.shared.options.transaction_max_bytes {
            self.spill().await?;
        }
        Ok(())
    }

    async fn spill(&mut self) -> Result<(), LogError> {
        let drafts = self.drafts.take();
        self.staged
            .extend(drafts.iter().map(|d| Arc::clone(&d.partition)));
        let epoch = self.epoch.clone();
        self.engine
            .writer()?
            .alone(move |writer| writer.stage(&epoch, &drafts))
            .await
    }

    async fn drop_staged(&mut self) -> Result<(), LogError> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let pid = self.epoch.pid;
        self.engine
            .writer()?
            .alone(move |writer| writer.drop_staged(pid))
            .await?;
        self.staged.clear();
        Ok(())
    }
}

#[async_trait::async_trait]
impl TransactionalProducer for EmbeddedTransaction {
    async fn append(&mut self, batch: &RecordBatch) -> Result<(), LogError> {
        self.usable()?;
        self.must_abort.clone().map_or(Ok(()), Err)?;
        self.add(batch).await.map_err(|e| self.failed(e))
    }

    async fn commit_group_offsets(
        &mut self,
        group: &str,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), LogError> {
        self.usable()?;
        self.must_abort.clone().map_or(Ok(()), Err)?;
        for (partition, _) in offsets {
            self.engine
                .shared
                .catalog
                .partition(partition)
                .map_err(|e| self.failed(e))?;
        }
        let group: Arc<str> = Arc::from(group);
        self.offsets.extend(
            offsets
                .iter()
                .map(|(p, o)| (Arc::clone(&group), p.clone(), *o)),
        );
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), LogError> {
        self.usable()?;
        self.must_abort.clone().map_or(Ok(()), Err)?;
        let append = Append {
            epoch: Some(self.epoch.clone()),
            staged: std::mem::take(&mut self.staged),
            drafts: self.drafts.take(),
            offsets: std::mem::take(&mut self.offsets),
        };
        if append.staged.is_empty() && append.drafts.is_empty() && append.offsets.is_empty() {
            return Ok(());
        }
        match self.engine.writer()?.append(append).await {
            Ok(_) => Ok(()),
            Err(error) => {
                // The records went with the request, so the same transaction cannot be tried again here: after any failure a new producer has to be made.
                self.dead = Some(error.clone());
                Err(error)
            }
        }
    }

    async fn abort(&mut self) -> Result<(), LogError> {
        self.drafts.clear();
        self.offsets.clear();
        self.must_abort = None;
        self.usable()?;
        self.drop_staged().await
    }
}

impl Writer {
    /// Raises the epoch of a transactional id durably and drops what an older producer with it has left open.
    fn init_transactions(&mut self, id: &Arc<str>) -> Result<Epoch, LogError> {
        let (pid, epoch) = self.transaction("initialising a transactional producer", |conn| {
            let sql = "INSERT INTO producer(txn_id, pid, epoch) VALUES (?1, (SELECT coalesce(max(pid), 0) + 1 FROM producer), 0)
                       ON CONFLICT(txn_id) DO UPDATE SET epoch = epoch + 1 RETURNING pid, epoch";
            let (pid, epoch) = conn.query_row(sql, params![&**id], |r| Ok((r.get(0)?, r.get(1)?)))?;
            conn.execute("DELETE FROM staged WHERE pid = ?1", [pid])?;
            Ok((pid, epoch))
        })?;
        self.epochs.insert(Arc::clone(id), epoch);
        Ok(Epoch {
            transactional_id: Arc::clone(id),
            pid,
            epoch,
        })
    }

    /// Moves a part of an open transaction to the file.
    fn stage(&mut self, epoch: &Epoch, drafts: &[Draft]) -> Result<(), LogError> {
        self.check_epoch(epoch)?;
        self.transaction("storing part of a large transaction", |conn| {
            let sql = "INSERT INTO staged(pid, last_delta, max_ts, count, data) VALUES (?1, ?2, ?3, ?4, ?5)";
            let mut insert = conn.prepare_cached(sql)?;
            for Draft { batch, .. } in drafts {
                insert.execute(params![epoch.pid, batch.last_delta, batch.max_timestamp, batch.count, batch.data])?;
            }
            Ok(())
        })
    }

    fn drop_staged(&mut self, pid: i64) -> Result<(), LogError> {
        self.transaction("dropping an aborted transaction", |conn| {
            conn.execute("DELETE FROM staged WHERE pid = ?1", [pid])
                .map(|_| ())
        })
    }
}
