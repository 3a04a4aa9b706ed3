use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::codec::StoredBatch;

/// The newest batches of all partitions, so that readers that keep up need no SQLite. Bounded in bytes; the oldest batch of all goes first.
#[derive(Debug)]
pub(crate) struct Tail {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Per partition without holes up to its end.
    batches: HashMap<i64, VecDeque<StoredBatch>>,
    /// Partition of each batch in the order of appending.
    order: VecDeque<i64>,
    bytes: usize,
}

impl Tail {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn append(&self, partition: i64, batches: Vec<StoredBatch>) {
        let mut state = self.lock();
        let state = &mut *state;
        for batch in batches {
            state.bytes += batch.data.len();
            state.order.push_back(partition);
            state.batches.entry(partition).or_default().push_back(batch);
        }
        while state.bytes > self.capacity {
            let Some(oldest) = state.order.pop_front() else {
                break;
            };
            if let Some(batch) = state.batches.get_mut(&oldest).and_then(VecDeque::pop_front) {
                state.bytes -= batch.data.len();
            }
        }
    }

    /// Forgets a partition: it was deleted, or something was appended that is not here.
    pub(crate) fn forget(&self, partition: i64) {
        let mut state = self.lock();
        if let Some(batches) = state.batches.remove(&partition) {
            state.bytes -= batches.iter().map(|b| b.data.len()).sum::<usize>();
            state.order.retain(|p| *p != partition);
        }
    }

    /// Batches from the one with offset `from` on, at least one and within `bytes` and `records`; `None` when `from` is older than what is kept.
    pub(crate) fn get(
        &self,
        partition: i64,
        from: i64,
        bytes: usize,
        records: usize,
    ) -> Option<Vec<StoredBatch>> {
        let state = self.lock();
        let batches = state.batches.get(&partition)?;
        if batches.front()?.base > from {
            return None;
        }
        let first = batches.partition_point(|b| b.last < from);
        let (mut size, mut last) = (0, 0);
        let mut found = Vec::new();
        for batch in batches.range(first..) {
            if !found.is_empty() && (size >= bytes || last - from >= records as i64) {
                break;
            }
            size += batch.data.len();
            last = batch.last;
            found.push(batch.clone());
        }
        (!found.is_empty()).then_some(found)
    }
}
