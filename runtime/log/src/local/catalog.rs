use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use tokio::sync::Notify;

use super::{TopicPolicy, lock};
use crate::{LogError, TopicPartition};

/// A partition's place, bounds and the tasks that wait for its next record.
#[derive(Debug)]
pub struct Partition {
    /// Which partition.
    pub name: TopicPartition,
    /// The store's number for it; never used again for another partition.
    pub id: i64,
    start: AtomicI64,
    end: AtomicI64,
    deleted: AtomicBool,
    /// Whoever reads this partition and wants to hear of new records.
    listeners: Mutex<Vec<Weak<Notify>>>,
}

impl Partition {
    /// A partition that holds offsets `start..end`.
    pub fn new(name: TopicPartition, id: i64, start: i64, end: i64) -> Self {
        Self {
            name,
            id,
            start: start.into(),
            end: end.into(),
            deleted: false.into(),
            listeners: Mutex::default(),
        }
    }

    /// Offset of the oldest record.
    pub fn start(&self) -> i64 {
        self.start.load(Ordering::Acquire)
    }

    /// Offset of the next record to come.
    pub fn end(&self) -> i64 {
        self.end.load(Ordering::Acquire)
    }

    /// Whether the topic was deleted.
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Publishes a new end and wakes readers. Call it after the records can be read.
    pub fn set_end(&self, end: i64) {
        if self.end.swap(end, Ordering::AcqRel) != end {
            self.wake();
        }
    }

    /// Publishes a new start. Call it after older records are gone.
    pub fn set_start(&self, start: i64) {
        self.start.store(start, Ordering::Release);
    }

    /// Marks the partition as gone and wakes readers, so that they fail.
    pub fn delete(&self) {
        self.deleted.store(true, Ordering::Release);
        self.wake();
    }

    /// Has `listener` notified of new records for as long as it lives.
    pub fn listen(&self, listener: &Arc<Notify>) {
        let mut listeners = lock(&self.listeners);
        listeners.retain(|l| l.strong_count() > 0);
        listeners.push(Arc::downgrade(listener));
    }

    /// Ends what [`listen`](Self::listen) began.
    pub fn unlisten(&self, listener: &Arc<Notify>) {
        lock(&self.listeners)
            .retain(|l| !std::ptr::eq(l.as_ptr(), Arc::as_ptr(listener)) && l.strong_count() > 0);
    }

    fn wake(&self) {
        for listener in lock(&self.listeners).iter().filter_map(Weak::upgrade) {
            listener.notify_one();
        }
    }
}

/// A topic and its partitions.
#[derive(Debug)]
pub struct Topic {
    /// Name.
    pub name: Arc<str>,
    /// The store's number for it.
    pub id: i64,
    /// Settings in force.
    pub policy: TopicPolicy,
    /// Partitions by number.
    pub partitions: Vec<Arc<Partition>>,
}

/// All topics of a log.
#[derive(Debug, Default)]
pub struct Catalog {
    topics: RwLock<BTreeMap<Arc<str>, Arc<Topic>>>,
}

impl Catalog {
    /// The topic called `name`.
    pub fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// The topic called `name`, or [`LogError::UnknownTopic`].
    pub fn existing(&self, name: &str) -> Result<Arc<Topic>, LogError> {
        self.topic(name)
            .ok_or_else(|| LogError::UnknownTopic(name.to_owned()))
    }

    /// The partition, or [`LogError::UnknownTopic`].
    pub fn partition(&self, name: &TopicPartition) -> Result<Arc<Partition>, LogError> {
        self.topic(&name.topic)
            .and_then(|t| {
                usize::try_from(name.partition)
                    .ok()
                    .and_then(|n| t.partitions.get(n).cloned())
            })
            .ok_or_else(|| LogError::UnknownTopic(name.to_string()))
    }

    /// All topics, sorted by name.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Name and number of partitions of every topic: what the coordinator wants to know.
    pub fn sizes(&self) -> BTreeMap<Arc<str>, i32> {
        self.topics()
            .iter()
            .map(|t| (Arc::clone(&t.name), t.partitions.len() as i32))
            .collect()
    }

    /// Enters a topic.
    pub fn insert(&self, topic: Arc<Topic>) {
        self.topics
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(Arc::clone(&topic.name), topic);
    }

    /// Wakes every waiting reader: the log was closed or broke.
    pub fn wake_all(&self) {
        self.topics()
            .iter()
            .flat_map(|t| &t.partitions)
            .for_each(|p| p.wake());
    }

    /// Removes a topic and marks its partitions as deleted.
    pub fn remove(&self, name: &str) -> Option<Arc<Topic>> {
        let topic = self
            .topics
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name)?;
        topic.partitions.iter().for_each(|p| p.delete());
        Some(topic)
    }
}
