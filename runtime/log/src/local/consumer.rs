use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::coordinator::{MemberEvent, MemberRef};
use super::reader::Cursors;
use super::{FetchLimit, Store, number_setting};
use crate::{
    Assigned, GroupConsumer, GroupConsumerOptions, GroupEvent, LogError, StartAt, TopicPartition,
};

/// [`GroupConsumer`] over a [`Store`] and its [`Coordinator`](super::Coordinator).
///
/// Obeys `max.poll.records` (500), `fetch.max.bytes` (1 MiB) and `max.poll.interval.ms` (300,000) of a Java consumer.
#[derive(Debug)]
pub struct LocalConsumer<S: Store> {
    store: Arc<S>,
    member: MemberRef,
    cursors: Cursors,
    waker: Arc<Notify>,
    start_at: StartAt,
    limit: FetchLimit,
    max_poll_interval: Duration,
    /// Given by the coordinator, not yet returned as an event: their positions are being looked up.
    pending: Option<Vec<TopicPartition>>,
}

impl<S: Store> LocalConsumer<S> {
    /// Joins the group.
    pub fn join(store: Arc<S>, options: &GroupConsumerOptions) -> Result<Self, LogError> {
        store.ensure_open()?;
        if options.group.is_empty() {
            return Err(LogError::Config(
                "group.id is empty: name the consumer group".to_owned(),
            ));
        }
        let settings = &options.settings;
        let records = number_setting(settings, "max.poll.records", "records", 500)?.max(1) as usize;
        let bytes = number_setting(settings, "fetch.max.bytes", "bytes", 1 << 20)?
            .clamp(1, 64 << 20) as usize;
        let max_poll_interval = Duration::from_millis(
            number_setting(settings, "max.poll.interval.ms", "milliseconds", 300_000)?.max(1),
        );
        let waker = Arc::new(Notify::new());
        let member = store.coordinator().join(
            &options.group,
            &options.subscription,
            max_poll_interval,
            &waker,
        )?;
        let cursors = Cursors::new(Arc::clone(&waker));
        let limit = FetchLimit { records, bytes };
        Ok(Self {
            store,
            member,
            cursors,
            waker,
            start_at: options.start_at,
            limit,
            max_poll_interval,
            pending: None,
        })
    }

    /// Looks up where to start in the partitions that were given and takes them in.
    async fn take_assigned(
        &mut self,
        partitions: Vec<TopicPartition>,
    ) -> Result<GroupEvent, LogError> {
        let store = Arc::clone(&self.store);
        let committed = match partitions.is_empty() {
            true => Vec::new(),
            false => store.committed(&self.member.group, &partitions).await?,
        };
        let mut assigned = Vec::with_capacity(partitions.len());
        for (name, committed) in partitions.into_iter().zip(committed) {
            // A topic deleted meanwhile is not an error: the coordinator takes its partitions away.
            let Ok(partition) = store.catalog().partition(&name) else {
                continue;
            };
            if store
                .coordinator()
                .check_owner(&self.member, std::iter::once(&name))
                .is_err()
            {
                continue;
            }
            let (start, end) = (partition.start(), partition.end());
            let position = match (committed, self.start_at) {
                (Some(offset), _) if (start..=end).contains(&offset) => offset,
                (_, StartAt::Earliest) => start,
                (_, StartAt::Latest) => end,
            };
            self.cursors.add(partition, position);
            assigned.push(Assigned {
                partition: name,
                position,
            });
        }
        self.pending = None;
        Ok(GroupEvent::Assigned(assigned))
    }

    /// What there is to return without waiting.
    async fn ready(&mut self) -> Result<Option<GroupEvent>, LogError> {
        loop {
            self.store.ensure_open()?;
            if let Some(partitions) = self.pending.clone() {
                return self.take_assigned(partitions).await.map(Some);
            }
            self.store.before_poll(&self.member.group);
            match self.store.coordinator().poll(&self.member) {
                MemberEvent::Lost(mut partitions) => {
                    partitions.retain(|p| self.cursors.remove(p));
                    if !partitions.is_empty() {
                        return Ok(Some(GroupEvent::Lost(partitions)));
                    }
                }
                MemberEvent::Revoking(partitions) => {
                    return Ok(Some(GroupEvent::Revoking(partitions)));
                }
                MemberEvent::AwaitingRelease => return Ok(None),
                MemberEvent::Assigned(partitions) => self.pending = Some(partitions),
                MemberEvent::Nothing => {
                    let batch = self
                        .cursors
                        .fetch(&*self.store, self.limit, self.start_at)
                        .await?;
                    return Ok(batch.map(GroupEvent::Records));
                }
            }
        }
    }

    fn assigned(&mut self, name: &TopicPartition) -> Result<&mut super::reader::Cursor, LogError> {
        let group = &self.member.group;
        self.cursors.get_mut(name).ok_or_else(|| {
            LogError::Fenced(format!(
                "partition {name} is not assigned to this member of group '{group}'"
            ))
        })
    }
}

#[async_trait::async_trait]
impl<S: Store> GroupConsumer for LocalConsumer<S> {
    async fn next(&mut self, timeout: Duration) -> Result<GroupEvent, LogError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(event) = self.ready().await? {
                return Ok(event);
            }
            if Instant::now() >= deadline {
                return Ok(GroupEvent::Idle);
            }
            // Woken now and then however long the caller's timeout is: waiting here counts as polling, and somebody has to notice members that stopped.
            let until = deadline.min(Instant::now() + self.max_poll_interval / 3);
            let _ = timeout_at(until, self.waker.notified()).await;
        }
    }

    async fn release(&mut self) -> Result<(), LogError> {
        self.store.ensure_open()?;
        for partition in self.store.coordinator().release(&self.member) {
            self.cursors.remove(&partition);
        }
        Ok(())
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.store.ensure_open()?;
        match offsets.is_empty() {
            true => Ok(()),
            false => self.store.commit(&self.member, offsets).await,
        }
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        partitions
            .iter()
            .try_for_each(|p| self.assigned(p).map(|c| c.paused = true))
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        partitions
            .iter()
            .try_for_each(|p| self.assigned(p).map(|c| c.paused = false))
    }

    async fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), LogError> {
        self.store.ensure_open()?;
        if offset < 0 {
            return Err(LogError::Config(format!(
                "seek of {partition} to offset {offset}: offsets begin at 0"
            )));
        }
        self.assigned(partition)?.next = offset;
        Ok(())
    }

    fn lag(&self) -> Vec<(TopicPartition, i64)> {
        self.cursors
            .iter()
            .map(|c| {
                (
                    c.partition.name.clone(),
                    (c.partition.end() - c.next).max(0),
                )
            })
            .collect()
    }

    async fn close(self: Box<Self>) -> Result<(), LogError> {
        self.store.ensure_open()
    }
}

impl<S: Store> Drop for LocalConsumer<S> {
    fn drop(&mut self) {
        self.store.coordinator().leave(&self.member);
    }
}
