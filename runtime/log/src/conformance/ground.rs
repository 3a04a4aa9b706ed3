use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Subject;
use crate::{
    Admin, ClientSettings, Delivery, FetchBatch, GroupConsumer, GroupConsumerOptions, GroupEvent,
    Log, LogError, NewTopic, Producer, ProducerOptions, Reader, ReaderOptions, RecordBatch,
    StartAt, Subscription, TimestampType, TopicPartition, TransactionalProducer,
};

/// What cases stand on: the log and short words for common steps.
pub(super) struct Ground<'s> {
    pub(super) subject: &'s dyn Subject,
    pub(super) log: Arc<dyn Log>,
}

/// One record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) timestamp_type: TimestampType,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Got {
    /// The value as text; a tombstone is `-`.
    pub(super) fn text(&self) -> String {
        self.value.as_ref().map_or_else(
            || "-".to_owned(),
            |v| String::from_utf8_lossy(v).into_owned(),
        )
    }
}

/// The records of a fetched batch.
pub(super) fn owned(batch: &FetchBatch) -> Vec<Got> {
    let own = |record: &crate::FetchedRecord| Got {
        partition: batch.topic_partition(record).partition,
        offset: record.offset,
        timestamp: record.timestamp,
        timestamp_type: record.timestamp_type,
        key: batch.key(record).map(<[u8]>::to_vec),
        value: batch.value(record).map(<[u8]>::to_vec),
        headers: batch
            .headers(record)
            .map(|(n, v)| (n.to_string(), v.map(|v| batch.slice(v).to_vec())))
            .collect(),
    };
    batch.records.iter().map(own).collect()
}

/// The values of `records` in the order given.
pub(super) fn texts(records: &[Got]) -> Vec<String> {
    records.iter().map(Got::text).collect()
}

/// A batch of records for one topic: partition, key, value.
pub(super) fn batch(topic: &str, records: &[(i32, &str, &str)]) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.topic(topic);
    for (partition, key, value) in records {
        batch.append(
            topic,
            *partition,
            -1,
            Some(key.as_bytes()),
            Some(value.as_bytes()),
        );
    }
    batch
}

pub(super) fn settings(pairs: &[(&str, &str)]) -> ClientSettings {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

impl<'s> Ground<'s> {
    pub(super) async fn new(subject: &'s dyn Subject) -> Self {
        Self {
            subject,
            log: subject.open().await,
        }
    }

    pub(super) fn admin(&self) -> Arc<dyn Admin> {
        self.log.admin()
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.subject.patience()
    }

    /// Makes a topic and waits until it can be described.
    pub(super) async fn topic(
        &self,
        prefix: &str,
        partitions: i32,
        pairs: &[(&str, &str)],
    ) -> String {
        let name = self.subject.unique(prefix);
        self.make_topic(&name, partitions, pairs).await;
        name
    }

    pub(super) async fn make_topic(&self, name: &str, partitions: i32, pairs: &[(&str, &str)]) {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions,
            replication_factor: -1,
            settings: settings(pairs),
        };
        self.admin()
            .create_topic(&topic)
            .await
            .expect("creating a topic");
        let deadline = self.deadline();
        while self
            .admin()
            .describe_topic(name)
            .await
            .expect("describing a topic")
            .is_none_or(|t| t.partitions != partitions)
        {
            assert!(Instant::now() < deadline, "topic {name} did not appear");
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn producer(&self) -> Box<dyn Producer> {
        self.log
            .producer(ProducerOptions::default())
            .await
            .expect("a producer")
    }

    pub(super) async fn transactional(&self, id: &str) -> Box<dyn TransactionalProducer> {
        self.log
            .transactional_producer(id, ProducerOptions::default())
            .await
            .expect("a transactional producer")
    }

    /// Sends all of `batch` and returns what became of each record, in the order of sending.
    pub(super) async fn send_all(
        &self,
        producer: &mut dyn Producer,
        batch: &RecordBatch,
    ) -> Vec<Result<(i32, i64), LogError>> {
        let deadline = self.deadline();
        let mut deliveries: Vec<Delivery> = Vec::new();
        let mut sent = 0;
        while sent < batch.len() || deliveries.len() < batch.len() {
            assert!(
                Instant::now() < deadline,
                "{} of {} records were sent and {} delivered",
                sent,
                batch.len(),
                deliveries.len()
            );
            if sent < batch.len() {
                sent += producer.send(batch, sent).expect("send");
            }
            producer.wait(Duration::from_millis(100)).await;
            producer.deliveries(&mut deliveries);
        }
        deliveries.sort_by_key(|d| d.sequence);
        let first = deliveries[0].sequence;
        assert!(
            deliveries
                .iter()
                .enumerate()
                .all(|(i, d)| d.sequence == first + i as u64),
            "each record has one delivery"
        );
        deliveries.into_iter().map(|d| d.result).collect()
    }

    /// Writes records and returns where they are.
    pub(super) async fn write(
        &self,
        topic: &str,
        records: &[(i32, &str, &str)],
    ) -> Vec<(i32, i64)> {
        let mut producer = self.producer().await;
        let results = self.send_all(&mut *producer, &batch(topic, records)).await;
        results
            .into_iter()
            .map(|r| r.expect("a delivery"))
            .collect()
    }

    pub(super) async fn reader(&self, topic: &str, from: &[(i32, i64)]) -> Box<dyn Reader> {
        let from = from
            .iter()
            .map(|(n, offset)| (TopicPartition::new(topic, *n), *offset))
            .collect();
        let options = ReaderOptions {
            client_id: "conformance".into(),
            from,
            settings: Vec::new(),
        };
        self.log.reader(options).await.expect("a reader")
    }

    /// Reads `count` records, failing when they do not come.
    pub(super) async fn take(&self, reader: &mut dyn Reader, count: usize) -> Vec<Got> {
        let deadline = self.deadline();
        let mut got = Vec::new();
        while got.len() < count {
            assert!(
                Instant::now() < deadline,
                "{} of {count} records came: {:?}",
                got.len(),
                texts(&got)
            );
            got.extend(owned(
                &reader
                    .next(Duration::from_millis(500))
                    .await
                    .expect("reading"),
            ));
        }
        got
    }

    /// The first `count` records of partitions `0..partitions`.
    pub(super) async fn read(&self, topic: &str, partitions: i32, count: usize) -> Vec<Got> {
        let from: Vec<(i32, i64)> = (0..partitions).map(|n| (n, -2)).collect();
        let mut reader = self.reader(topic, &from).await;
        self.take(&mut *reader, count).await
    }

    pub(super) async fn member(
        &self,
        group: &str,
        subscription: Subscription,
        start_at: StartAt,
    ) -> Member {
        let options = GroupConsumerOptions {
            group: group.to_owned(),
            client_id: "conformance".into(),
            subscription,
            start_at,
            settings: settings(&[("session.timeout.ms", "6000")]),
        };
        Member {
            consumer: self
                .log
                .group_consumer(options)
                .await
                .expect("a group consumer"),
            owned: Vec::new(),
            got: Vec::new(),
            asked: Vec::new(),
        }
    }
}

/// A group member that does as it is told.
pub(super) struct Member {
    pub(super) consumer: Box<dyn GroupConsumer>,
    /// What it has, with the position it was given.
    pub(super) owned: Vec<(TopicPartition, i64)>,
    /// Topic and record of everything that was delivered to it.
    pub(super) got: Vec<(Arc<str>, Got)>,
    /// What it was asked for and has not released.
    pub(super) asked: Vec<TopicPartition>,
}

impl Member {
    /// Takes one event in without answering it; false when there was none.
    pub(super) async fn step(&mut self) -> bool {
        match self
            .consumer
            .next(Duration::from_millis(100))
            .await
            .expect("an event")
        {
            GroupEvent::Records(batch) => {
                let topics = batch
                    .records
                    .iter()
                    .map(|r| Arc::clone(&batch.topic_partition(r).topic));
                let got: Vec<_> = topics.zip(owned(&batch)).collect();
                for (topic, record) in &got {
                    let place = TopicPartition::new(Arc::clone(topic), record.partition);
                    assert!(
                        self.owned.iter().any(|(p, _)| *p == place),
                        "a record of {place}, which is not assigned"
                    );
                    assert!(
                        self.asked.is_empty(),
                        "records while partitions are asked for"
                    );
                }
                self.got.extend(got);
            }
            GroupEvent::Assigned(assigned) => self
                .owned
                .extend(assigned.into_iter().map(|a| (a.partition, a.position))),
            GroupEvent::Revoking(partitions) => self.asked = partitions,
            GroupEvent::Lost(partitions) => self.owned.retain(|(p, _)| !partitions.contains(p)),
            GroupEvent::Idle => return false,
        }
        true
    }

    /// Where it stands in each of its partitions.
    pub(super) fn positions(&self) -> Vec<(TopicPartition, i64)> {
        let next = |(place, start): &(TopicPartition, i64)| {
            let last = self
                .got
                .iter()
                .rev()
                .find(|(t, r)| *t == place.topic && r.partition == place.partition);
            (
                place.clone(),
                last.map_or(*start, |(_, r)| (r.offset + 1).max(*start)),
            )
        };
        self.owned.iter().map(next).collect()
    }

    /// Commits what it has read and gives back what it was asked for.
    pub(super) async fn give_back(&mut self) {
        let positions = self.positions();
        self.consumer
            .commit(&positions)
            .await
            .expect("a commit before the release");
        let asked = std::mem::take(&mut self.asked);
        self.owned.retain(|(p, _)| !asked.contains(p));
        self.consumer.release().await.expect("a release");
    }

    /// Steps, giving back what it is asked for.
    pub(super) async fn go_on(&mut self) {
        self.step().await;
        if !self.asked.is_empty() {
            self.give_back().await;
        }
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.got.iter().map(|(_, r)| r.text()).collect()
    }

    /// Goes on until `done`.
    pub(super) async fn until(
        &mut self,
        ground: &Ground<'_>,
        what: &str,
        done: impl Fn(&Self) -> bool,
    ) {
        let deadline = ground.deadline();
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "{what} did not happen; owns {:?}, got {:?}",
                self.owned,
                self.texts()
            );
            self.go_on().await;
        }
    }
}

pub(super) fn topics(names: &[&str]) -> Subscription {
    Subscription::Topics(names.iter().map(|n| (*n).to_owned()).collect())
}
