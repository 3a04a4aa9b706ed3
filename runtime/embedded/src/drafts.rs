use std::collections::HashMap;
use std::sync::Arc;

use millrace_log::local::{Partition, Topic, now_ms};
use millrace_log::partitioner::Partitioner;
use millrace_log::{LogError, RecordView};

use crate::codec::{Encoded, Encoder};

/// An encoded batch on its way to a partition.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) partition: Arc<Partition>,
    pub(crate) batch: Encoded,
    /// Bytes of the batch, also once they have moved on.
    pub(crate) size: usize,
    /// Numbers of its records in their producer's count; empty when nobody asks.
    pub(crate) sequences: Vec<u64>,
}

/// Encodes records into batches, per partition in the order in which they come.
#[derive(Debug, Default)]
pub(crate) struct Drafts {
    open: Vec<Open>,
    /// Place in `open` by partition id.
    places: HashMap<i64, usize>,
    last: usize,
    done: Vec<Draft>,
    /// Bytes encoded since the last `take`.
    bytes: usize,
    partitioner: Partitioner,
}

#[derive(Debug)]
struct Open {
    partition: Arc<Partition>,
    log_append_time: bool,
    encoder: Encoder,
    sequences: Vec<u64>,
}

impl Open {
    fn new(partition: Arc<Partition>, log_append_time: bool) -> Self {
        Self {
            partition,
            log_append_time,
            encoder: Encoder::new(log_append_time),
            sequences: Vec::new(),
        }
    }
}

impl Drafts {
    /// Encodes one record; on an error nothing is added.
    pub(crate) fn push(
        &mut self,
        topic: &Topic,
        record: &RecordView<'_>,
        sequence: Option<u64>,
    ) -> Result<(), LogError> {
        topic
            .policy
            .check_record(&topic.name, record.size(), record.key.is_some())?;
        let number = match record.partition {
            -1 => self
                .partitioner
                .choose(record.key, topic.partitions.len() as i32),
            number => number,
        };
        let partition = usize::try_from(number)
            .ok()
            .and_then(|n| topic.partitions.get(n));
        let partition =
            partition.ok_or_else(|| LogError::UnknownTopic(format!("{}-{number}", topic.name)))?;
        let place = match self.open.get(self.last) {
            Some(open) if open.partition.id == partition.id => self.last,
            _ => match self.places.get(&partition.id) {
                Some(&place) => place,
                None => {
                    self.open.push(Open::new(
                        Arc::clone(partition),
                        topic.policy.log_append_time,
                    ));
                    self.places.insert(partition.id, self.open.len() - 1);
                    self.open.len() - 1
                }
            },
        };
        self.last = place;
        let open = &mut self.open[place];
        let timestamp = if open.log_append_time || record.timestamp == -1 {
            now_ms()
        } else {
            record.timestamp
        };
        let before = open.encoder.len();
        open.encoder.push(
            open.encoder.count(),
            timestamp,
            record.key,
            record.value,
            record.headers(),
        );
        open.sequences.extend(sequence);
        self.bytes += open.encoder.len() - before;
        if open.encoder.is_full() {
            let full = std::mem::replace(
                open,
                Open::new(Arc::clone(partition), topic.policy.log_append_time),
            );
            self.close(full);
        }
        Ok(())
    }

    fn close(&mut self, open: Open) {
        if open.encoder.count() > 0 {
            let size = open.encoder.len();
            self.done.push(Draft {
                partition: open.partition,
                batch: open.encoder.finish(),
                size,
                sequences: open.sequences,
            });
        }
    }

    /// Bytes encoded so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Everything that was pushed since the last call.
    pub(crate) fn take(&mut self) -> Vec<Draft> {
        self.places.clear();
        for open in std::mem::take(&mut self.open) {
            self.close(open);
        }
        self.bytes = 0;
        std::mem::take(&mut self.done)
    }

    /// Drops everything that was pushed since the last [`take`](Self::take).
    pub(crate) fn clear(&mut self) {
        self.take();
    }
}
