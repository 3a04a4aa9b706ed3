//! Which source offsets may be stored: the end of the longest acknowledged prefix, per source partition (I2).

use std::collections::VecDeque;

use millrace_api::data::SourceOffset;

/// Records in flight in the order in which they were sent, and per source partition what has been passed.
///
/// Records are numbered from 0 as the producer numbers them. A *progress mark* is a position without a record (a dropped record, a source that saw only filtered
/// changes): it becomes the watermark once everything before it in its partition is acknowledged.
#[derive(Debug, Default)]
pub struct CompletionRing {
    /// Number of the first record in `records`.
    base: u64,
    records: VecDeque<RecordSlot>,
    partitions: Vec<Partition>,
    in_flight: usize,
    in_flight_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct RecordSlot {
    partition: u32,
    bytes: u32,
    acked: bool,
    /// Place in the partition's queue, counted over its whole life.
    at: u64,
}

#[derive(Debug, Default)]
struct Partition {
    /// Place of the first entry of `queue`.
    base: u64,
    queue: VecDeque<Passed>,
    watermark: Option<SourceOffset>,
    moved: bool,
}

#[derive(Debug)]
struct Passed {
    done: bool,
    /// Not a record: may be replaced by a later mark.
    mark: bool,
    offset: SourceOffset,
}

/// A record number that the ring does not know, or twice: the producer broke its promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the producer delivered record {0}, which was not in flight")]
pub struct UnknownSequence(pub u64);

impl CompletionRing {
    /// An empty ring; the next record is number 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next record sent belongs to `partition`; once it and everything before it is acknowledged, `offset` may be stored. Returns its number.
    pub fn record(&mut self, partition: u32, offset: SourceOffset, bytes: u32) -> u64 {
        let queue = self.partition(partition);
        let at = queue.base + queue.queue.len() as u64;
        queue.queue.push_back(Passed {
            done: false,
            mark: false,
            offset,
        });
        self.records.push_back(RecordSlot {
            partition,
            bytes,
            acked: false,
            at,
        });
        self.in_flight += 1;
        self.in_flight_bytes += bytes as usize;
        self.next_sequence() - 1
    }

    /// `partition` was passed up to `offset` without a record. Marks behind marks cost nothing.
    pub fn mark(&mut self, partition: u32, offset: SourceOffset) {
        let partition = self.partition(partition);
        match partition.queue.back_mut() {
            Some(last) if last.mark => last.offset = offset,
            _ => partition.queue.push_back(Passed {
                done: true,
                mark: true,
                offset,
            }),
        }
        partition.advance();
    }

    /// The record with this number is durable.
    pub fn acked(&mut self, sequence: u64) -> Result<(), UnknownSequence> {
        let index = sequence
            .checked_sub(self.base)
            .and_then(|i| usize::try_from(i).ok());
        let slot = index
            .and_then(|i| self.records.get_mut(i))
            .filter(|slot| !slot.acked)
            .ok_or(UnknownSequence(sequence))?;
        slot.acked = true;
        let RecordSlot {
            partition,
            bytes,
            at,
            ..
        } = *slot;
        self.in_flight -= 1;
        self.in_flight_bytes -= bytes as usize;
        while self.records.front().is_some_and(|slot| slot.acked) {
            self.records.pop_front();
            self.base += 1;
        }
        let partition = &mut self.partitions[partition as usize];
        partition.queue[(at - partition.base) as usize].done = true;
        partition.advance(); // I2: only over entries that are done
        Ok(())
    }

    /// Number that the next record will have.
    pub fn next_sequence(&self) -> u64 {
        self.base + self.records.len() as u64
    }

    /// Number of the first record that is not acknowledged; [`next_sequence`](Self::next_sequence) when all are.
    pub fn first_in_flight(&self) -> u64 {
        self.base
    }

    /// Records sent and not acknowledged.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Their bytes.
    pub fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    /// Whether any watermark has moved since it was last taken.
    pub fn has_moved(&self) -> bool {
        self.partitions.iter().any(|p| p.moved)
    }

    /// The watermarks that have moved since the last call: (source partition, offset).
    pub fn take_watermarks(&mut self) -> Vec<(u32, SourceOffset)> {
        let moved = self
            .partitions
            .iter_mut()
            .enumerate()
            .filter(|(_, p)| p.moved);
        moved
            .filter_map(|(index, p)| {
                p.moved = false;
                Some((index as u32, p.watermark.take()?))
            })
            .collect()
    }

    fn partition(&mut self, index: u32) -> &mut Partition {
        let index = index as usize;
        if index >= self.partitions.len() {
            self.partitions.resize_with(index + 1, Partition::default);
        }
        &mut self.partitions[index]
    }
}

impl Partition {
    fn advance(&mut self) {
        while self.queue.front().is_some_and(|first| first.done) {
            if let Some(first) = self.queue.pop_front() {
                self.base += 1;
                self.watermark = Some(first.offset);
                self.moved = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offset(n: u64) -> SourceOffset {
        SourceOffset::Packed([n, 0, 0, 0, 0])
    }

    fn number(offset: &SourceOffset) -> u64 {
        match offset {
            SourceOffset::Packed(numbers) => numbers[0],
            SourceOffset::Map(_) => u64::MAX,
        }
    }

    /// What the ring must do, without any cleverness: a list of everything, looked at from the front.
    #[derive(Default)]
    struct Naive {
        entries: Vec<(u32, u64, Option<u64>, bool)>,
        records: u64,
        taken: std::collections::BTreeMap<u32, u64>,
    }

    impl Naive {
        fn watermarks(&mut self) -> Vec<(u32, u64)> {
            let mut moved = Vec::new();
            for partition in 0..4 {
                let prefix = self
                    .entries
                    .iter()
                    .filter(|e| e.0 == partition)
                    .take_while(|e| e.3);
                if let Some(last) = prefix.map(|e| e.1).last()
                    && self.taken.insert(partition, last) != Some(last)
                {
                    moved.push((partition, last));
                }
            }
            moved
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Record(u32),
        Mark(u32),
        Ack(prop::sample::Index),
        Take,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..4_u32).prop_map(Step::Record),
            1 => (0..4_u32).prop_map(Step::Mark),
            4 => any::<prop::sample::Index>().prop_map(Step::Ack),
            1 => Just(Step::Take),
        ]
    }

    proptest! {
        #[test]
        fn the_ring_is_the_naive_model(steps in prop::collection::vec(step(), 0..200)) {
            let mut ring = CompletionRing::new();
            let mut naive = Naive::default();
            let mut open: Vec<u64> = Vec::new();
            for (n, step) in steps.into_iter().enumerate() {
                let n = n as u64;
                match step {
                    Step::Record(partition) => {
                        let sequence = ring.record(partition, offset(n), 3);
                        prop_assert_eq!(sequence, naive.records);
                        naive.entries.push((partition, n, Some(sequence), false));
                        naive.records += 1;
                        open.push(sequence);
                    }
                    Step::Mark(partition) => {
                        ring.mark(partition, offset(n));
                        naive.entries.push((partition, n, None, true));
                    }
                    Step::Ack(which) if !open.is_empty() => {
                        let sequence = open.swap_remove(which.index(open.len()));
                        ring.acked(sequence).expect("in flight");
                        prop_assert_eq!(ring.acked(sequence), Err(UnknownSequence(sequence)));
                        naive.entries.iter_mut().find(|e| e.2 == Some(sequence)).expect("known").3 = true;
                    }
                    Step::Ack(_) => prop_assert!(ring.acked(naive.records).is_err()),
                    Step::Take => {
                        let taken: Vec<_> = ring.take_watermarks().iter().map(|(p, o)| (*p, number(o))).collect();
                        prop_assert_eq!(taken, naive.watermarks());
                        prop_assert!(!ring.has_moved());
                    }
                }
                prop_assert_eq!(ring.in_flight(), open.len());
                prop_assert_eq!(ring.in_flight_bytes(), open.len() * 3);
            }
        }
    }

    #[test]
    fn i2_an_unacked_record_holds_back_its_own_partition_only() {
        let mut ring = CompletionRing::new();
        let first = ring.record(0, offset(1), 1);
        let second = ring.record(0, offset(2), 1);
        let other = ring.record(1, offset(7), 1);
        ring.mark(0, offset(3));
        ring.acked(second).expect("in flight");
        assert!(ring.take_watermarks().is_empty());
        ring.acked(other).expect("in flight");
        assert_eq!(
            ring.take_watermarks()
                .iter()
                .map(|(p, o)| (*p, number(o)))
                .collect::<Vec<_>>(),
            [(1, 7)]
        );
        ring.acked(first).expect("in flight");
        assert_eq!(
            ring.take_watermarks()
                .iter()
                .map(|(p, o)| (*p, number(o)))
                .collect::<Vec<_>>(),
            [(0, 3)]
        );
    }

    #[test]
    fn marks_do_not_pile_up() {
        let mut ring = CompletionRing::new();
        ring.record(0, offset(0), 1);
        for n in 1..1000 {
            ring.mark(0, offset(n));
        }
        assert_eq!(ring.partitions[0].queue.len(), 2);
    }
}
