use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::TopicPartition;

/// What the assignor knows of a member.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) id: u64,
    /// Topics it subscribes to and that exist.
    pub(super) topics: BTreeSet<Arc<str>>,
    /// What it has now.
    pub(super) owned: &'a BTreeSet<TopicPartition>,
}

/// Spreads all partitions over the members that subscribe to their topics: as even as the subscriptions allow, moving as little as possible, and the same result
/// for the same input.
pub(super) fn assign(
    topics: &BTreeMap<Arc<str>, i32>,
    members: &[Candidate<'_>],
) -> BTreeMap<u64, BTreeSet<TopicPartition>> {
    let mut result: BTreeMap<u64, BTreeSet<TopicPartition>> =
        members.iter().map(|m| (m.id, BTreeSet::new())).collect();
    let mut eligible: BTreeMap<TopicPartition, Vec<u64>> = BTreeMap::new();
    for (topic, &count) in topics {
        let subscribers: Vec<u64> = members
            .iter()
            .filter(|m| m.topics.contains(topic))
            .map(|m| m.id)
            .collect();
        if !subscribers.is_empty() {
            eligible.extend((0..count).map(|n| {
                (
                    TopicPartition::new(Arc::clone(topic), n),
                    subscribers.clone(),
                )
            }));
        }
    }
    let mut owner: BTreeMap<&TopicPartition, u64> = BTreeMap::new();
    for member in members {
        for (partition, subscribers) in member
            .owned
            .iter()
            .filter_map(|p| eligible.get_key_value(p))
        {
            if subscribers.contains(&member.id) {
                owner.insert(partition, member.id);
            }
        }
    }
    let mut load: BTreeMap<u64, usize> = members.iter().map(|m| (m.id, 0)).collect();
    for id in owner.values() {
        *load.entry(*id).or_default() += 1;
    }
    let lightest = |load: &BTreeMap<u64, usize>, ids: &[u64]| {
        ids.iter().copied().min_by_key(|id| (load[id], *id))
    };
    for (partition, subscribers) in &eligible {
        if !owner.contains_key(partition)
            && let Some(id) = lightest(&load, subscribers)
        {
            owner.insert(partition, id);
            *load.entry(id).or_default() += 1;
        }
    }
    // Each move shrinks a difference of at least two, so this ends.
    let mut moved = true;
    while moved {
        moved = false;
        for (partition, subscribers) in eligible.iter().rev() {
            let (Some(&from), Some(to)) = (owner.get(partition), lightest(&load, subscribers))
            else {
                continue;
            };
            if load[&from] >= load[&to] + 2 {
                owner.insert(partition, to);
                *load.entry(from).or_default() -= 1;
                *load.entry(to).or_default() += 1;
                moved = true;
            }
        }
    }
    for (partition, id) in owner {
        result.entry(id).or_default().insert(partition.clone());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        topics: &[(&str, i32)],
        members: &[(u64, &[&str], &BTreeSet<TopicPartition>)],
    ) -> BTreeMap<u64, BTreeSet<TopicPartition>> {
        let topics = topics.iter().map(|(n, c)| (Arc::from(*n), *c)).collect();
        let members: Vec<_> = members
            .iter()
            .map(|(id, topics, owned)| Candidate {
                id: *id,
                topics: topics.iter().map(|t| Arc::from(*t)).collect(),
                owned,
            })
            .collect();
        assign(&topics, &members)
    }

    #[test]
    fn a_second_member_takes_half_and_the_rest_stays() {
        let none = BTreeSet::new();
        let alone = run(&[("a", 5)], &[(1, &["a"], &none)]);
        assert_eq!(alone[&1].len(), 5);
        let both = run(&[("a", 5)], &[(1, &["a"], &alone[&1]), (2, &["a"], &none)]);
        assert_eq!((both[&1].len(), both[&2].len()), (3, 2));
        assert!(both[&1].is_subset(&alone[&1]) && both[&1].is_disjoint(&both[&2]));
    }

    #[test]
    fn members_get_only_what_they_subscribe_to() {
        let none = BTreeSet::new();
        let got = run(
            &[("a", 4), ("b", 2)],
            &[
                (1, &["a"], &none),
                (2, &["a", "b"], &none),
                (3, &["c"], &none),
            ],
        );
        assert_eq!((got[&1].len(), got[&2].len(), got[&3].len()), (3, 3, 0));
        assert!(got[&1].iter().all(|p| &*p.topic == "a"));
    }
}
