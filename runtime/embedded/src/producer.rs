use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millrace_log::local::Topic;
use millrace_log::{Delivery, LogError, Producer, ProducerOptions, RecordBatch};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::drafts::{Draft, Drafts};
use crate::engine::Engine;
use crate::writer::Append;

/// What a producer has in flight and what became of the rest.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: Vec<Delivery>,
    in_flight: usize,
    in_flight_bytes: usize,
    /// Topics that are being made, or why they could not be.
    topics: HashMap<String, Option<LogError>>,
}

/// Bytes of a record in flight beside its own.
const OVERHEAD: usize = 24;

impl Deliveries {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what became of `drafts`; `result` has the offset of each one's first record.
    pub(crate) fn settle(&self, drafts: &[Draft], result: Result<Vec<i64>, LogError>) {
        self.with(|state| {
            for (at, draft) in drafts.iter().enumerate() {
                let number = draft.partition.name.partition;
                for (i, &sequence) in draft.sequences.iter().enumerate() {
                    let result = match &result {
                        Ok(bases) => Ok((number, bases[at] + i as i64)),
                        Err(error) => Err(error.clone()),
                    };
                    state.ready.push(Delivery { sequence, result });
                }
                state.in_flight -= draft.sequences.len();
            }
            if state.in_flight == 0 {
                state.in_flight_bytes = 0;
            }
        });
        self.changed.notify_one();
    }

    fn free(&self, bytes: usize) {
        self.with(|state| state.in_flight_bytes = state.in_flight_bytes.saturating_sub(bytes));
    }
}
