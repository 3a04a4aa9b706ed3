use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::faults::{Fault, Faults, GroupFaults};
use super::partition::PartitionData;
use super::rng::Rng;
use crate::local::{
    Catalog, Coordinator, FetchLimit, Groups, MemberRef, Partition, Store, Topic, TopicPolicy,
    check_topic_name, lock, now_ms,
};
use crate::partitioner::Partitioner;
use crate::{
    ClientSettings, FetchBatchBuilder, GroupOffset, LogError, NewTopic, RecordBatch, RecordView,
    TimestampType, TopicPartition,
};

/// What outlives closing: topics, records, committed positions, epochs of transactional ids.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) catalog: Catalog,
    state: Mutex<State>,
    pub(super) faults: Arc<Faults>,
    pub(super) seed: u64,
}

#[derive(Debug)]
struct State {
    partitions: HashMap<i64, PartitionData>,
    next_id: i64,
    /// Epoch by transactional id.
    producers: HashMap<String, u64>,
    offsets: BTreeMap<String, BTreeMap<TopicPartition, i64>>,
    rng: Rng,
}

impl Data {
    pub(super) fn new(seed: u64) -> Self {
        let state = State {
            partitions: HashMap::new(),
            next_id: 1,
            producers: HashMap::new(),
            offsets: BTreeMap::new(),
            rng: Rng::new(seed),
        };
        Self {
            catalog: Catalog::default(),
            state: Mutex::new(state),
            faults: Arc::new(Faults::new(seed)),
            seed,
        }
    }
}

/// An open in-memory log: the data, and the groups of those who have it open.
#[derive(Debug)]
pub(super) struct MemoryStore {
    pub(super) data: Arc<Data>,
    coordinator: Arc<Coordinator>,
    pub(super) groups: Arc<Groups>,
    pub(super) closed: CancellationToken,
}

/// A transaction that is to be written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) batches: Vec<RecordBatch>,
    pub(super) offsets: Vec<(String, TopicPartition, i64)>,
}

impl MemoryStore {
    pub(super) fn open(data: Arc<Data>) -> Self {
        let coordinator = Arc::new(Coordinator::default());
        coordinator.set_topics(data.catalog.sizes());
        let groups = Groups::disturbed(Box::new(GroupFaults(Arc::clone(&data.faults))));
        Self {
            data,
            coordinator,
            groups: Arc::new(groups),
            closed: CancellationToken::new(),
        }
    }

    pub(super) fn close(&self) {
        self.closed.cancel();
        self.coordinator.wake_all();
        self.data.catalog.wake_all();
    }

    /// Takes over `transactional_id`; returns the new epoch.
    pub(super) fn init_producer(&self, transactional_id: &str) -> u64 {
        let mut state = lock(&self.data.state);
        let epoch = state
            .producers
            .entry(transactional_id.to_owned())
            .or_default();
        *epoch += 1;
        *epoch
    }

    pub(super) fn check_epoch(&self, transactional_id: &str, epoch: u64) -> Result<(), LogError> {
        check_epoch(&lock(&self.data.state), transactional_id, epoch)
    }

    /// Appends one record and makes it visible.
    pub(super) fn append_one(
        &self,
        record: &RecordView<'_>,
        partitioner: &mut Partitioner,
    ) -> Result<(i32, i64), LogError> {
        let mut state = lock(&self.data.state);
        let partition = self.place(&mut state, record, partitioner)?;
        let offset = write(&mut state, &partition, record, now_ms());
        publish(&state, &partition.partition);
        Ok((partition.partition.name.partition, offset))
    }

    /// Fails as [`append_one`](Self::append_one) would, without writing.
    pub(super) fn check_batch(&self, batch: &RecordBatch) -> Result<(), LogError> {
        let mut state = lock(&self.data.state);
        let mut partitioner = Partitioner::default();
        batch.iter().try_for_each(|record| {
            self.place(&mut state, &record, &mut partitioner)
                .map(|_| ())
        })
    }

    /// Writes all records and positions of a transaction, or nothing.
    pub(super) fn commit_transaction(
        &self,
        transactional_id: &str,
        epoch: u64,
        pending: &Pending,
    ) -> Result<(), LogError> {
        let mut state = lock(&self.data.state);
        check_epoch(&state, transactional_id, epoch)?;
        let (touched, _) = self.write_all(&mut state, &pending.batches)?;
        for partition in &touched {
            if let Some(data) = state.partitions.get_mut(&partition.id) {
                data.skip(1);
            }
        }
        for (group, partition, offset) in &pending.offsets {
            state
                .offsets
                .entry(group.clone())
                .or_default()
                .insert(partition.clone(), *offset);
        }
        touched.iter().for_each(|p| publish(&state, p));
        Ok(())
    }

    /// Writes records; returns the partitions that grew and the offset of each record. Readers see nothing of it before [`publish`].
    fn write_all(
        &self,
        state: &mut State,
        batches: &[RecordBatch],
    ) -> Result<(Vec<Arc<Partition>>, Vec<i64>), LogError> {
        let mut partitioner = Partitioner::default();
        let mut places = Vec::new();
        for record in batches.iter().flat_map(RecordBatch::iter) {
            places.push(self.place(state, &record, &mut partitioner)?);
        }
        let now = now_ms();
        let mut touched: BTreeMap<i64, Arc<Partition>> = BTreeMap::new();
        let mut offsets = Vec::with_capacity(places.len());
        for (record, place) in batches.iter().flat_map(RecordBatch::iter).zip(places) {
            offsets.push(write(state, &place, &record, now));
            touched.insert(place.partition.id, place.partition);
        }
        Ok((touched.into_values().collect(), offsets))
    }

    /// Where `record` goes; creates its topic when it is missing, as a broker with default settings does.
    fn place(
        &self,
        state: &mut State,
        record: &RecordView<'_>,
        partitioner: &mut Partitioner,
    ) -> Result<Place, LogError> {
        let topic = match self.data.catalog.topic(record.topic) {
            Some(topic) => topic,
            None => self.add_topic(state, record.topic, 1, TopicPolicy::default())?,
        };
        topic
            .policy
            .check_record(&topic.name, record.size(), record.key.is_some())?;
        let number = match record.partition {
            -1 => partitioner.choose(record.key, topic.partitions.len() as i32),
            number => number,
        };
        let partition = usize::try_from(number)
            .ok()
            .and_then(|n| topic.partitions.get(n))
            .cloned();
        let partition =
            partition.ok_or_else(|| LogError::UnknownTopic(format!("{}-{number}", topic.name)))?;
        Ok(Place {
            partition,
            log_append_time: topic.policy.log_append_time,
        })
    }

    fn add_topic(
        &self,
        state: &mut State,
        name: &str,
        partitions: i32,
        policy: TopicPolicy,
    ) -> Result<Arc<Topic>, LogError> {
        check_topic_name(name)?;
        let name: Arc<str> = Arc::from(name);
        let mut list = Vec::new();
        for number in 0..partitions {
            let id = state.next_id;
            state.next_id += 1;
            state.partitions.insert(id, PartitionData::default());
            list.push(Arc::new(Partition::new(
                TopicPartition::new(Arc::clone(&name), number),
                id,
                0,
                0,
            )));
        }
        let topic = Arc::new(Topic {
            name,
            id: state.next_id,
            policy,
            partitions: list,
        });
        self.data.catalog.insert(Arc::clone(&topic));
        self.coordinator.set_topics(self.data.catalog.sizes());
        Ok(topic)
    }

    /// Deletes what the topic's `retention.*` settings no longer keep.
    pub(super) fn enforce_retention(&self, topic: &str) -> Result<(), LogError> {
        self.maintain(topic, |data, topic, start| {
            data.enforce_retention(&topic.policy, now_ms(), start)
        })
    }

    /// Compacts the topic whatever its dirty ratio is; nothing happens unless its policy says `compact`.
    pub(super) fn compact(&self, topic: &str) -> Result<(), LogError> {
        self.maintain(topic, |data, topic, start| {
            if topic.policy.compact {
                data.compact(&topic.policy, now_ms());
            }
            start
        })
    }

    fn maintain(
        &self,
        topic: &str,
        work: impl Fn(&mut PartitionData, &Topic, i64) -> i64,
    ) -> Result<(), LogError> {
        self.ensure_open()?;
        let topic = self.data.catalog.existing(topic)?;
        let mut state = lock(&self.data.state);
        for partition in &topic.partitions {
            if let Some(data) = state.partitions.get_mut(&partition.id) {
                partition.set_start(work(data, &topic, partition.start()));
            }
        }
        Ok(())
    }
}

/// Where a record goes.
struct Place {
    partition: Arc<Partition>,
    log_append_time: bool,
}

fn check_epoch(state: &State, transactional_id: &str, epoch: u64) -> Result<(), LogError> {
    match state.producers.get(transactional_id) {
        Some(current) if *current == epoch => Ok(()),
        current => Err(LogError::Fenced(format!(
            "transactional id '{transactional_id}' was taken over by a newer producer (epoch {}, this one has {epoch})",
            current.copied().unwrap_or_default()
        ))),
    }
}

fn write(state: &mut State, place: &Place, record: &RecordView<'_>, now: i64) -> i64 {
    let timestamp = match (place.log_append_time, record.timestamp) {
        (true, _) => (now, TimestampType::LogAppendTime),
        (false, -1) => (now, TimestampType::CreateTime),
        (false, timestamp) => (timestamp, TimestampType::CreateTime),
    };
    let State {
        partitions, rng, ..
    } = state;
    partitions
        .entry(place.partition.id)
        .or_default()
        .append(record, timestamp, rng)
}

fn publish(state: &State, partition: &Partition) {
    if let Some(data) = state.partitions.get(&partition.id) {
        partition.set_end(data.end());
    }
}

#[async_trait::async_trait]
impl Store for MemoryStore {
    fn ensure_open(&self) -> Result<(), LogError> {
        match self.closed.is_cancelled() {
            true => Err(LogError::Closed),
            false => Ok(()),
        }
    }

    fn catalog(&self) -> &Catalog {
        &self.data.catalog
    }

    fn coordinator(&self) -> &Arc<Coordinator> {
        &self.coordinator
    }

    fn before_poll(&self, group: &str) {
        if self.data.faults.strikes(Fault::Rebalance) {
            self.coordinator.force_rebalance(group);
        }
        if self.data.faults.strikes(Fault::LostPartitions) {
            self.coordinator.lose_partitions(group);
        }
    }

    async fn fetch(
        &self,
        partition: &Arc<Partition>,
        from: i64,
        limit: FetchLimit,
        out: &mut FetchBatchBuilder,
    ) -> Result<i64, LogError> {
        if let Some(delay) = self.data.faults.delay() {
            tokio::time::sleep(delay).await;
        }
        let state = lock(&self.data.state);
        let data = state
            .partitions
            .get(&partition.id)
            .ok_or_else(|| LogError::UnknownTopic(partition.name.to_string()))?;
        Ok(data.fetch(&partition.name, from, partition.end(), limit, out))
    }

    async fn committed(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, LogError> {
        let state = lock(&self.data.state);
        let offsets = state.offsets.get(group);
        Ok(partitions
            .iter()
            .map(|p| offsets.and_then(|o| o.get(p)).copied())
            .collect())
    }

    async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, LogError> {
        let state = lock(&self.data.state);
        let offsets = state.offsets.get(group).into_iter().flatten();
        Ok(offsets
            .map(|(partition, offset)| GroupOffset {
                partition: partition.clone(),
                offset: *offset,
            })
            .collect())
    }

    async fn commit(
        &self,
        member: &MemberRef,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), LogError> {
        if self.data.faults.strikes(Fault::GroupCommitFails) {
            return Err(LogError::retriable(format!(
                "injected: positions of group '{}' were not stored",
                member.group
            )));
        }
        let mut state = lock(&self.data.state);
        self.coordinator
            .check_owner(member, offsets.iter().map(|(p, _)| p))?;
        state
            .offsets
            .entry(member.group.to_string())
            .or_default()
            .extend(offsets.iter().cloned());
        match self.data.faults.strikes(Fault::GroupCommitLostAck) {
            true => Err(LogError::Timeout(format!(
                "injected: the answer to a commit of group '{}' was lost",
                member.group
            ))),
            false => Ok(()),
        }
    }

    async fn append(&self, batch: &RecordBatch) -> Result<Vec<i64>, LogError> {
        if self.data.faults.strikes(Fault::TableWriteFails) {
            return Err(LogError::retriable(
                "injected: the table write was not stored",
            ));
        }
        let mut state = lock(&self.data.state);
        let (touched, offsets) = self.write_all(&mut state, std::slice::from_ref(batch))?;
        touched.iter().for_each(|p| publish(&state, p));
        match self.data.faults.strikes(Fault::TableWriteLostAck) {
            true => Err(LogError::Timeout(
                "injected: the answer to a table write was lost".to_owned(),
            )),
            false => Ok(offsets),
        }
    }

    async fn create_topic(&self, topic: &NewTopic) -> Result<(), LogError> {
        let policy = TopicPolicy::default().with(&topic.settings as &ClientSettings)?;
        let mut state = lock(&self.data.state);
        if self.data.catalog.topic(&topic.name).is_some() {
            return Err(LogError::TopicExists(topic.name.clone()));
        }
        self.add_topic(&mut state, &topic.name, topic.partitions.max(1), policy)
            .map(|_| ())
    }

    async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        let mut state = lock(&self.data.state);
        let topic = self
            .data
            .catalog
            .remove(name)
            .ok_or_else(|| LogError::UnknownTopic(name.to_owned()))?;
        for partition in &topic.partitions {
            state.partitions.remove(&partition.id);
            for offsets in state.offsets.values_mut() {
                offsets.remove(&partition.name);
            }
        }
        self.coordinator.set_topics(self.data.catalog.sizes());
        Ok(())
    }

    async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), LogError> {
        let mut state = lock(&self.data.state);
        let members = self.coordinator.members(group);
        if members > 0 {
            return Err(LogError::retriable(format!(
                "group '{group}' has {members} members; stop them before changing its offsets"
            )));
        }
        let stored = state.offsets.entry(group.to_owned()).or_default();
        for (partition, offset) in offsets {
            match offset {
                Some(offset) => stored.insert(partition.clone(), *offset),
                None => stored.remove(partition),
            };
        }
        Ok(())
    }
}
