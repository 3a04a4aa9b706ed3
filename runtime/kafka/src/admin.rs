//! Topics, offsets and groups, over the raw client.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{
    BrokerId, ConsumerGroupDescribeRequest, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeConfigsRequest, DescribeGroupsRequest, GroupId, ListOffsetsRequest,
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::StrBytes;
use millrace_log::{
    Admin, ClientSettings, GroupOffset, LogError, NewTopic, TopicDescription, TopicPartition,
};
use tokio::time::{Instant, sleep};

use crate::errors::from_response;
use crate::raw::{RawClient, Target, topic_name};

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const LEADER_NOT_AVAILABLE: i16 = 5;
const TOPIC_ALREADY_EXISTS: i16 = 36;
const GROUP_ID_NOT_FOUND: i16 = 69;
const TOPIC_RESOURCE: i8 = 2;

/// Timestamps that `ListOffsets` understands as positions.
pub(crate) const EARLIEST: i64 = -2;
pub(crate) const LATEST: i64 = -1;

/// How long a new or deleted topic may take to become visible.
const PROPAGATION: Duration = Duration::from_secs(30);

/// [`Admin`] for Kafka.
#[derive(Debug)]
pub(crate) struct KafkaAdmin {
    raw: Arc<RawClient>,
    closed: Arc<AtomicBool>,
}

impl KafkaAdmin {
    pub(crate) fn new(raw: Arc<RawClient>, closed: Arc<AtomicBool>) -> Self {
        Self { raw, closed }
    }

    fn open(&self) -> Result<(), LogError> {
        if self.closed.load(Ordering::Acquire) {
            Err(LogError::Closed)
        } else {
            Ok(())
        }
    }

    /// Offsets at `timestamp` ([`EARLIEST`], [`LATEST`]), in the order asked for. With `committed`, the end is that of the last finished transaction.
    pub(crate) async fn list_offsets(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
        committed: bool,
    ) -> Result<Vec<i64>, LogError> {
        self.open()?;
        let deadline = Instant::now() + self.raw.api_timeout();
        let mut found: HashMap<TopicPartition, i64> = HashMap::new();
        loop {
            let missing: Vec<&TopicPartition> = partitions
                .iter()
                .filter(|p| !found.contains_key(*p))
                .collect();
            if missing.is_empty() {
                return Ok(partitions
                    .iter()
                    .map(|p| found.get(p).copied().unwrap_or(-1))
                    .collect());
            }
            match self
                .list_offsets_once(&missing, timestamp, committed, &mut found)
                .await
            {
                Ok(()) => {}
                // Leaders move while brokers restart.
                Err(error) if error.is_retriable() && Instant::now() < deadline => {
                    sleep(Duration::from_millis(100)).await
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn list_offsets_once(
        &self,
        partitions: &[&TopicPartition],
        timestamp: i64,
        committed: bool,
        found: &mut HashMap<TopicPartition, i64>,
    ) -> Result<(), LogError> {
        let mut topics: Vec<String> = partitions.iter().map(|p| p.topic.to_string()).collect();
        topics.sort_unstable();
        topics.dedup();
        let metadata = self.raw.metadata(Some(topics)).await?;
        let mut leaders: HashMap<(&str, i32), i32> = HashMap::new();
        for topic in &metadata.topics {
            let name = topic.name.as_ref().map(|n| n.as_str()).unwrap_or_default();
            for partition in &topic.partitions {
                leaders.insert((name, partition.partition_index), *partition.leader_id);
            }
        }
        let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
        for p in partitions {
            match leaders.get(&(&*p.topic, p.partition)) {
                None => return Err(LogError::UnknownTopic(p.to_string())),
                Some(-1) => {
                    return Err(LogError::retriable(format!(
                        "partition {p} has no leader at the moment"
                    )));
                }
                Some(leader) => by_leader
                    .entry(*leader)
                    .or_default()
                    .entry(&*p.topic)
                    .or_default()
                    .push(p.partition),
            }
        }
        for (leader, topics) in by_leader {
            let topics = topics
                .into_iter()
                .map(|(name, partitions)| {
                    let partitions = partitions
                        .into_iter()
                        .map(|p| {
                            ListOffsetsPartition::default()
                                .with_partition_index(p)
                                .with_timestamp(timestamp)
                        })
                        .collect();
                    ListOffsetsTopic::default()
                        .with_name(topic_name(name))
                        .with_partitions(partitions)
                })
                .collect();
            let request = ListOffsetsRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_isolation_level(i8::from(committed))
                .with_topics(topics);
            let response = self.raw.once(Target::Broker(leader), 6, &request).await?;
            for topic in response.topics {
                for p in topic.partitions {
                    let at = TopicPartition::new(topic.name.as_str(), p.partition_index);
                    if p.error_code != 0 {
                        return Err(
                            match from_response(
                                &format!("cannot read the offsets of {at}"),
                                p.error_code,
                                None,
                            ) {
                                LogError::UnknownTopic(_) => LogError::UnknownTopic(at.to_string()),
                                other => other,
                            },
                        );
                    }
                    found.insert(at, p.offset);
                }
            }
        }
        Ok(())
    }

    /// Returns once no transaction holds back the positions of `group` for `partitions`.
    pub(crate) async fn await_stable(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<(), LogError> {
        self.open()?;
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for p in partitions {
            topics.entry(&*p.topic).or_default().push(p.partition);
        }
        let topics = topics
            .into_iter()
            .map(|(name, partitions)| {
                OffsetFetchRequestTopic::default()
                    .with_name(topic_name(name))
                    .with_partition_indexes(partitions)
            })
            .collect();
        let request = OffsetFetchRequest::default()
            .with_group_id(group_id(group))
            .with_topics(Some(topics))
            .with_require_stable(true);
        let what = format!("cannot read the offsets of group '{group}'");
        self.raw
            .send(Target::Coordinator(group), 7, &request, |response| {
                let codes = response
                    .topics
                    .iter()
                    .flat_map(|t| t.partitions.iter().map(|p| p.error_code));
                match std::iter::once(response.error_code)
                    .chain(codes)
                    .find(|code| *code != 0)
                {
                    Some(code) => Err(from_response(&what, code, None)),
                    None => Ok(()),
                }
            })
            .await
    }

    async fn wait_until_visible(&self, name: &str, present: bool) -> Result<(), LogError> {
        let deadline = Instant::now() + PROPAGATION;
        while self.ready(name).await? != present {
            if Instant::now() >= deadline {
                let state = if present {
                    "has no leaders"
                } else {
                    "is still there"
                };
                return Err(LogError::Timeout(format!(
                    "topic '{name}' {state} after {} s",
                    PROPAGATION.as_secs()
                )));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Whether the topic exists and every partition has a leader.
    async fn ready(&self, name: &str) -> Result<bool, LogError> {
        let metadata = self.raw.metadata(Some(vec![name.to_owned()])).await?;
        Ok(metadata.topics.iter().any(|t| {
            t.error_code == 0
                && !t.partitions.is_empty()
                && t.partitions.iter().all(|p| *p.leader_id >= 0)
        }))
    }
}

#[async_trait::async_trait]
impl Admin for KafkaAdmin {
    async fn create_topic(&self, topic: &NewTopic) -> Result<(), LogError> {
        self.open()?;
        let settings = topic
            .settings
            .iter()
            .map(|(name, value)| {
                CreatableTopicConfig::default()
                    .with_name(StrBytes::from_string(name.clone()))
                    .with_value(Some(StrBytes::from_string(value.clone())))
            })
            .collect();
        let new = CreatableTopic::default()
            .with_name(topic_name(&*topic.name))
            .with_num_partitions(topic.partitions)
            .with_replication_factor(topic.replication_factor)
            .with_configs(settings);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![new])
            .with_timeout_ms(30_000);
        let what = format!("cannot create topic '{}'", topic.name);
        // A refusal is an answer, not a reason to ask again; only a controller that moved is.
        const NOT_CONTROLLER: i16 = 41;
        self.raw
            .send(Target::Controller, 6, &request, |response| {
                let result = response.topics.first().ok_or_else(|| {
                    LogError::fatal(format!("{what}: the broker does not say what became of it"))
                })?;
                let refusal = |code| {
                    from_response(
                        &what,
                        code,
                        result.error_message.as_ref().map(|t| t.as_str()),
                    )
                };
                match result.error_code {
                    0 => Ok(Ok(())),
                    TOPIC_ALREADY_EXISTS => Ok(Err(LogError::TopicExists(topic.name.clone()))),
                    NOT_CONTROLLER => Err(refusal(NOT_CONTROLLER)),
                    code => Ok(Err(refusal(code))),
                }
            })
            .await??;
        self.wait_until_visible(&topic.name, true).await
    }

    async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        self.open()?;
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![topic_name(name)])
            .with_timeout_ms(30_000);
        let what = format!("cannot delete topic '{name}'");
        self.raw
            .send(Target::Controller, 5, &request, |response| {
                match response
                    .responses
                    .first()
                    .map(|r| (r.error_code, r.error_message.clone()))
                {
                    Some((0, _)) => Ok(()),
                    Some((UNKNOWN_TOPIC_OR_PARTITION, _)) => {
                        Err(LogError::UnknownTopic(name.to_owned()))
                    }
                    Some((code, text)) => Err(from_response(
                        &what,
                        code,
                        text.as_ref().map(|t| t.as_str()),
                    )),
                    None => Err(LogError::fatal(format!(
                        "{what}: the broker does not say what became of it"
                    ))),
                }
            })
            .await?;
        self.wait_until_visible(name, false).await
    }

    async fn list_topics(&self) -> Result<Vec<String>, LogError> {
        self.open()?;
        let metadata = self.raw.metadata(None).await?;
        let mut names: Vec<String> = metadata
            .topics
            .iter()
            .filter(|t| t.error_code == 0)
            .filter_map(|t| t.name.as_ref().map(|n| n.to_string()))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn describe_topic(&self, name: &str) -> Result<Option<TopicDescription>, LogError> {
        self.open()?;
        let metadata = self.raw.metadata(Some(vec![name.to_owned()])).await?;
        let Some(topic) = metadata.topics.first() else {
            return Ok(None);
        };
        match topic.error_code {
            0 | LEADER_NOT_AVAILABLE => Ok(Some(TopicDescription {
                name: name.to_owned(),
                partitions: topic.partitions.len() as i32,
                replication_factor: topic
                    .partitions
                    .iter()
                    .find(|p| p.partition_index == 0)
                    .map_or(0, |p| p.replica_nodes.len() as i16),
            })),
            UNKNOWN_TOPIC_OR_PARTITION => Ok(None),
            code => Err(from_response(
                &format!("cannot describe topic '{name}'"),
                code,
                None,
            )),
        }
    }

    async fn topic_settings(&self, name: &str) -> Result<ClientSettings, LogError> {
        self.open()?;
        let resource = DescribeConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(StrBytes::from_string(name.to_owned()));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let what = format!("cannot read the settings of topic '{name}'");
        self.raw
            .send(Target::Any, 4, &request, |response| {
                let result = response
                    .results
                    .into_iter()
                    .next()
                    .ok_or_else(|| LogError::fatal(format!("{what}: the answer is empty")))?;
                match result.error_code {
                    0 => Ok(result
                        .configs
                        .into_iter()
                        .filter_map(|c| c.value.map(|v| (c.name.to_string(), v.to_string())))
                        .collect()),
                    UNKNOWN_TOPIC_OR_PARTITION => Err(LogError::UnknownTopic(name.to_owned())),
                    code => Err(from_response(
                        &what,
                        code,
                        result.error_message.as_ref().map(|t| t.as_str()),
                    )),
                }
            })
            .await
    }

    async fn offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<(i64, i64)>, LogError> {
        let first = self.list_offsets(partitions, EARLIEST, false).await?;
        let end = self.list_offsets(partitions, LATEST, false).await?;
        Ok(first.into_iter().zip(end).collect())
    }

    async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, LogError> {
        self.open()?;
        let request = OffsetFetchRequest::default()
            .with_group_id(group_id(group))
            .with_topics(None)
            .with_require_stable(true);
        let what = format!("cannot read the offsets of group '{group}'");
        let mut offsets = self
            .raw
            .send(Target::Coordinator(group), 7, &request, |response| {
                if response.error_code != 0 {
                    return Err(from_response(&what, response.error_code, None));
                }
                let mut out = Vec::new();
                for topic in response.topics {
                    let name: Arc<str> = Arc::from(topic.name.as_str());
                    for p in topic.partitions {
                        if p.error_code != 0 {
                            return Err(from_response(&what, p.error_code, None));
                        }
                        if p.committed_offset >= 0 {
                            out.push(GroupOffset {
                                partition: TopicPartition::new(
                                    Arc::clone(&name),
                                    p.partition_index,
                                ),
                                offset: p.committed_offset,
                            });
                        }
                    }
                }
                Ok(out)
            })
            .await?;
        offsets.sort_by(|a, b| a.partition.cmp(&b.partition));
        Ok(offsets)
    }

    async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), LogError> {
        self.open()?;
        let busy = || {
            LogError::retriable(format!(
                "the offsets of group '{group}' cannot be changed while it has members: stop its consumers first"
            ))
        };
        if self.group_members(group).await? > 0 {
            return Err(busy());
        }
        let of_topic = |keep: fn(&Option<i64>) -> bool| {
            let mut topics: BTreeMap<&str, Vec<(i32, i64)>> = BTreeMap::new();
            for (p, offset) in offsets.iter().filter(|(_, offset)| keep(offset)) {
                topics
                    .entry(&*p.topic)
                    .or_default()
                    .push((p.partition, offset.unwrap_or(-1)));
            }
            topics
        };
        // The group could get members between the check and the change; the coordinator then refuses, and that is not worth waiting for.
        let set = of_topic(Option::is_some);
        if !set.is_empty() {
            let topics = set
                .into_iter()
                .map(|(name, partitions)| {
                    let partitions = partitions
                        .into_iter()
                        .map(|(p, offset)| {
                            OffsetCommitRequestPartition::default()
                                .with_partition_index(p)
                                .with_committed_offset(offset)
                                .with_committed_metadata(Some(StrBytes::from_static_str("")))
                        })
                        .collect();
                    OffsetCommitRequestTopic::default()
                        .with_name(topic_name(name))
                        .with_partitions(partitions)
                })
                .collect();
            let request = OffsetCommitRequest::default()
                .with_group_id(group_id(group))
                .with_generation_id_or_member_epoch(-1)
                .with_topics(topics);
            let refusals = self
                .raw
                .send(Target::Coordinator(group), 8, &request, |response| {
                    let codes = response.topics.into_iter().flat_map(|t| {
                        let name = t.name;
                        t.partitions.into_iter().map(move |p| {
                            (
                                TopicPartition::new(name.as_str(), p.partition_index),
                                p.error_code,
                            )
                        })
                    });
                    coordinator_errors(codes, &format!("cannot set the offsets of group '{group}'"))
                })
                .await?;
            first_refusal(group, refusals, busy)?;
        }
        let removed = of_topic(Option::is_none);
        if !removed.is_empty() {
            let topics = removed
                .into_iter()
                .map(|(name, partitions)| {
                    let partitions = partitions
                        .into_iter()
                        .map(|(p, _)| {
                            OffsetDeleteRequestPartition::default().with_partition_index(p)
                        })
                        .collect();
                    OffsetDeleteRequestTopic::default()
                        .with_name(topic_name(name))
                        .with_partitions(partitions)
                })
                .collect();
            let request = OffsetDeleteRequest::default()
                .with_group_id(group_id(group))
                .with_topics(topics);
            let refusals = self
                .raw
                .send(Target::Coordinator(group), 0, &request, |response| {
                    let whole = std::iter::once((TopicPartition::new("", 0), response.error_code))
                        .filter(|(_, code)| *code != GROUP_ID_NOT_FOUND);
                    let codes = response.topics.into_iter().flat_map(|t| {
                        let name = t.name;
                        t.partitions.into_iter().map(move |p| {
                            (
                                TopicPartition::new(name.as_str(), p.partition_index),
                                p.error_code,
                            )
                        })
                    });
                    coordinator_errors(
                        whole.chain(codes),
                        &format!("cannot remove the offsets of group '{group}'"),
                    )
                })
                .await?;
            first_refusal(group, refusals, busy)?;
        }
        Ok(())
    }

    async fn group_members(&self, group: &str) -> Result<usize, LogError> {
        self.open()?;
        let what = format!("cannot describe group '{group}'");
        let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
        let members = self
            .raw
            .send(
                Target::Coordinator(group),
                5,
                &request,
                |response| match response.groups.into_iter().next() {
                    None => Ok(Some(0)),
                    Some(g) if g.error_code == 0 && &*g.group_state == "Dead" => Ok(None),
                    Some(g) if g.error_code == 0 => Ok(Some(g.members.len())),
                    Some(g) if g.error_code == GROUP_ID_NOT_FOUND => Ok(None),
                    Some(g) => Err(from_response(&what, g.error_code, None)),
                },
            )
            .await?;
        if let Some(members) = members {
            return Ok(members);
        }
        // A group of the protocol of KIP-848 is unknown to DescribeGroups, and brokers before 3.7 do not know the other call.
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group_id(group)]);
        let response = match self.raw.once(Target::Coordinator(group), 0, &request).await {
            Ok(response) => response,
            Err(LogError::Fatal { .. }) => return Ok(0),
            Err(error) => return Err(error),
        };
        match response.groups.into_iter().next() {
            Some(g) if g.error_code == 0 => Ok(g.members.len()),
            _ => Ok(0),
        }
    }
}

fn group_id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}

/// Failures of the coordinator itself as an error that is tried again; refusals of single partitions as a list.
fn coordinator_errors(
    codes: impl Iterator<Item = (TopicPartition, i16)>,
    what: &str,
) -> Result<Vec<(TopicPartition, i16)>, LogError> {
    const COORDINATOR_MOVES: [i16; 3] = [14, 15, 16];
    let refusals: Vec<_> = codes.filter(|(_, code)| *code != 0).collect();
    match refusals
        .iter()
        .find(|(_, code)| COORDINATOR_MOVES.contains(code))
    {
        Some((_, code)) => Err(from_response(what, *code, None)),
        None => Ok(refusals),
    }
}

fn first_refusal(
    group: &str,
    refusals: Vec<(TopicPartition, i16)>,
    busy: impl Fn() -> LogError,
) -> Result<(), LogError> {
    const HAS_MEMBERS: [i16; 4] = [22, 25, 68, 86];
    match refusals.into_iter().next() {
        None => Ok(()),
        Some((_, code)) if HAS_MEMBERS.contains(&code) => Err(busy()),
        Some((at, UNKNOWN_TOPIC_OR_PARTITION)) => Err(LogError::UnknownTopic(at.to_string())),
        Some((at, code)) => Err(from_response(
            &format!("cannot change the offset of {at} in group '{group}'"),
            code,
            None,
        )),
    }
}
