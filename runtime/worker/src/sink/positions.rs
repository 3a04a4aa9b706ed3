//! How far a sink has come in each of its partitions.

use std::collections::BTreeMap;

use millrace_api::plugin::Offsets;
use millrace_log::TopicPartition;

/// Positions are offsets of the next record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    /// Behind the last record of the last batch that the task has accepted.
    current: i64,
    /// As committed.
    committed: i64,
}

/// Partitions of one task.
#[derive(Debug, Default)]
pub(super) struct Positions(BTreeMap<TopicPartition, Position>);

impl Positions {
    /// A partition was assigned, to be read from `position`.
    pub(super) fn assigned(&mut self, partition: TopicPartition, position: i64) {
        self.0.insert(
            partition,
            Position {
                current: position,
                committed: position,
            },
        );
    }

    /// These partitions are gone.
    pub(super) fn forget(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.0.remove(partition);
        }
    }

    /// All assigned partitions.
    pub(super) fn partitions(&self) -> Vec<TopicPartition> {
        self.0.keys().cloned().collect()
    }

    /// Number of assigned partitions.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The task has accepted everything before these positions (I2: never moved otherwise).
    pub(super) fn accepted(&mut self, positions: &[(TopicPartition, i64)]) {
        for (partition, position) in positions {
            if let Some(known) = self.0.get_mut(partition) {
                known.current = *position;
            }
        }
    }

    /// Positions to offer to the task, of these partitions or of all.
    pub(super) fn offered(&self, only: Option<&[TopicPartition]>) -> Offsets {
        let wanted = |partition: &TopicPartition| only.is_none_or(|only| only.contains(partition));
        let of = |(p, position): (&TopicPartition, &Position)| {
            ((p.topic.clone(), p.partition), position.current)
        };
        self.0
            .iter()
            .filter(|(partition, _)| wanted(partition))
            .map(of)
            .collect()
    }

    /// What of a task's answer is to be committed: partitions that were offered, not beyond what was accepted, and not what is committed already.
    pub(super) fn to_commit(
        &self,
        answer: &Offsets,
        offered: &Offsets,
    ) -> Vec<(TopicPartition, i64)> {
        let mut commits = Vec::new();
        for ((topic, number), offset) in answer {
            let partition = TopicPartition::new(topic.clone(), *number);
            let Some(position) = self.0.get(&partition) else {
                tracing::warn!(%partition, offset, "the task returned an offset of a partition that is not assigned; ignored");
                continue;
            };
            if !offered.iter().any(|((t, n), _)| t == topic && n == number) {
                tracing::warn!(%partition, offset, "the task returned an offset of a partition that was not asked for; ignored");
            } else if *offset > position.current {
                tracing::warn!(%partition, offset, position = position.current, "the task returned an offset that was not yet consumed; ignored");
            } else if *offset != position.committed {
                commits.push((partition, *offset));
            }
        }
        commits
    }

    /// These positions are committed.
    pub(super) fn committed(&mut self, commits: &[(TopicPartition, i64)]) {
        for (partition, offset) in commits {
            if let Some(known) = self.0.get_mut(partition) {
                known.committed = *offset;
            }
        }
    }

    /// Goes back to what is committed; the positions to seek to.
    pub(super) fn rewind(&mut self) -> Vec<(TopicPartition, i64)> {
        self.0
            .iter_mut()
            .map(|(partition, position)| {
                position.current = position.committed;
                (partition.clone(), position.committed)
            })
            .collect()
    }

    /// Offsets between what is accepted and what is committed; about the records that a crash would deliver again.
    pub(super) fn uncommitted(&self) -> i64 {
        self.0
            .values()
            .map(|p| (p.current - p.committed).max(0))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tp(n: i32) -> TopicPartition {
        TopicPartition::new("t", n)
    }

    #[test]
    fn i2_a_task_cannot_commit_what_it_has_not_accepted() {
        let mut positions = Positions::default();
        positions.assigned(tp(0), 5);
        positions.assigned(tp(1), 0);
        positions.accepted(&[(tp(0), 9), (tp(7), 3)]);
        let offered = positions.offered(None);
        assert_eq!(offered, [(("t".into(), 0), 9), (("t".into(), 1), 0)]);
        let answer: Offsets = vec![
            (("t".into(), 0), 10),
            (("t".into(), 1), 0),
            (("t".into(), 7), 1),
        ];
        assert_eq!(positions.to_commit(&answer, &offered), []);
        let answer: Offsets = vec![(("t".into(), 0), 8)];
        let commits = positions.to_commit(&answer, &offered);
        assert_eq!(commits, [(tp(0), 8)]);
        assert_eq!(
            positions.to_commit(&answer, &positions.offered(Some(&[tp(1)]))),
            [],
            "not asked for"
        );
        positions.committed(&commits);
        assert_eq!(positions.uncommitted(), 1);
        assert_eq!(positions.rewind(), [(tp(0), 8), (tp(1), 0)]);
        assert_eq!(positions.offered(None)[0].1, 8);
    }
}
