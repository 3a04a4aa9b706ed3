//! A static member that comes back is given what it had, even when its topics have changed meanwhile.
//!
//! The coordinator does not rebalance a group when a member with a known `group.instance.id` joins again, whatever topics there are by now, and every member that is
//! already there compares the topics only with those that it found at its own start. So partitions of a topic that was created while the member was away belong to nobody
//! until something else brings a rebalance. Here that is noticed, and the rebalance is brought about.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Buf as _;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, DescribeGroupsRequest, GroupId, LeaveGroupRequest,
};
use kafka_protocol::protocol::{Decodable as _, StrBytes};
use millrace_log::{LogError, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::time::sleep;

use crate::errors::from_response;
use crate::fetcher::Context;
use crate::raw::{RawClient, Target};

/// How often a group is looked at that is just rebalancing.
const LOOKS: usize = 60;
const PAUSE: Duration = Duration::from_millis(500);

/// Looks once after the member's first assignment. Ends when dropped.
pub(super) struct StaticReturn {
    group: String,
    instance: String,
    raw: Arc<RawClient>,
    running: Option<tokio::task::AbortHandle>,
}

impl Drop for StaticReturn {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

impl StaticReturn {
    /// For a member with this `group.instance.id`.
    pub(super) fn new(raw: &Arc<RawClient>, group: &str, instance: &str) -> Self {
        Self {
            group: group.to_owned(),
            instance: instance.to_owned(),
            raw: Arc::clone(raw),
            running: None,
        }
    }

    /// The member has been given partitions; `consumer` knows its topics.
    pub(super) fn assigned(&mut self, consumer: &Arc<BaseConsumer<Context>>) {
        if self.running.is_some() {
            return;
        }
        let (group, instance) = (self.group.clone(), self.instance.clone());
        let raw = Arc::clone(&self.raw);
        // Weak, so that the last reference stays with the consumer's thread.
        let consumer = Arc::downgrade(consumer);
        let task = tokio::spawn(async move {
            if let Err(error) = look(&raw, &group, &instance, &consumer).await {
                tracing::warn!(group, instance, %error, "cannot see whether the static member came back to all its partitions; those of topics that were created while it was away may be left unread until the next rebalance");
            }
        });
        self.running = Some(task.abort_handle());
    }
}

async fn look(
    raw: &RawClient,
    group: &str,
    instance: &str,
    consumer: &Weak<BaseConsumer<Context>>,
) -> Result<(), LogError> {
    for _ in 0..LOOKS {
        let Some(topics) = consumer.upgrade().and_then(|c| subscription(&c)) else {
            return Ok(());
        };
        match left_over(raw, group, topics).await? {
            Some(partitions) if partitions.is_empty() => return Ok(()),
            Some(partitions) => {
                let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
                tracing::info!(
                    group,
                    instance,
                    partitions = partitions.join(", "),
                    "partitions belong to no member since this static member came back; starting a rebalance"
                );
                return remove(raw, group, instance).await;
            }
            None => sleep(PAUSE).await,
        }
    }
    Ok(())
}

fn subscription(consumer: &BaseConsumer<Context>) -> Option<Vec<String>> {
    let list = consumer.subscription().ok()?;
    let mut topics: Vec<String> = list
        .elements()
        .iter()
        .map(|t| t.topic().to_owned())
        .collect();
    topics.dedup();
    Some(topics)
}

/// Partitions of `topics` that no member of the group has; `None` while the group is rebalancing.
async fn left_over(
    raw: &RawClient,
    group: &str,
    topics: Vec<String>,
) -> Result<Option<Vec<TopicPartition>>, LogError> {
    let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
    let what = format!("cannot describe group '{group}'");
    let members = raw
        .send(Target::Coordinator(group), 5, &request, |response| {
            let described = response.groups.into_iter().next();
            let described = described.ok_or_else(|| LogError::fatal(what.clone()))?;
            match described.error_code {
                0 if &*described.group_state == "Stable" => Ok(Some(described.members)),
                0 => Ok(None),
                code => Err(from_response(&what, code, None)),
            }
        })
        .await?;
    let Some(members) = members else {
        return Ok(None);
    };
    let mut taken = HashSet::new();
    for member in members {
        let mut bytes = member.member_assignment;
        if bytes.is_empty() {
            continue;
        }
        let garbled = || LogError::fatal(format!("{what}: an assignment cannot be decoded"));
        let version = bytes.try_get_i16().map_err(|_| garbled())?;
        // Later versions only append.
        let assignment = ConsumerProtocolAssignment::decode(&mut bytes, version.clamp(0, 3))
            .map_err(|_| garbled())?;
        for topic in assignment.assigned_partitions {
            let name: Arc<str> = Arc::from(topic.topic.as_str());
            taken.extend(
                topic
                    .partitions
                    .into_iter()
                    .map(|p| TopicPartition::new(Arc::clone(&name), p)),
            );
        }
    }
    let metadata = raw.metadata(Some(topics)).await?;
    let mut left = Vec::new();
    for topic in metadata.topics.iter().filter(|t| t.error_code == 0) {
        let name: Arc<str> = Arc::from(topic.name.as_ref().map_or("", |n| n.as_str()));
        let all = topic
            .partitions
            .iter()
            .map(|p| TopicPartition::new(Arc::clone(&name), p.partition_index));
        left.extend(all.filter(|p| !taken.contains(p)));
    }
    left.sort();
    Ok(Some(left))
}

/// Takes the member out of the group, as an administrator would; it joins again by itself, which rebalances.
async fn remove(raw: &RawClient, group: &str, instance: &str) -> Result<(), LogError> {
    let member = MemberIdentity::default().with_group_instance_id(Some(text(instance)));
    let request = LeaveGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_members(vec![member]);
    let what = format!("cannot take group.instance.id={instance} out of group '{group}'");
    raw.send(
        Target::Coordinator(group),
        5,
        &request,
        |response| match response.error_code {
            0 => Ok(()),
            code => Err(from_response(&what, code, None)),
        },
    )
    .await
}

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}
