//! What happens inside `poll` when the group moves partitions.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use millrace_log::{Assigned, LogError, StartAt, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use super::{CALL, Context, Event, retain};
use crate::errors::from_client;

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.assigned(consumer, partitions)
            }
            _ => self.revoked(consumer, partitions),
        }
    }
}

impl Context {
    /// Where a new member starts: at the committed offset, else where the options say.
    fn positions(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Result<Vec<Assigned>, LogError> {
        let committed = self.patiently(|| {
            let mut asked = TopicPartitionList::with_capacity(partitions.count());
            for p in partitions.elements() {
                asked.add_partition(p.topic(), p.partition());
            }
            consumer
                .committed_offsets(asked, CALL)
                .map_err(|e| from_client("cannot read the committed offsets of the group", e))
        })?;
        let mut out = Vec::with_capacity(committed.count());
        for p in committed.elements() {
            let partition = TopicPartition::new(p.topic(), p.partition());
            let position = match p.offset() {
                Offset::Offset(offset) => offset,
                _ => self.watermark(consumer, &partition, self.start_at == StartAt::Latest)?,
            };
            out.push(Assigned {
                partition,
                position,
            });
        }
        Ok(out)
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, partitions: &mut TopicPartitionList) {
        match self.positions(consumer, partitions) {
            Ok(assigned) => {
                for a in &assigned {
                    if let Some(mut p) =
                        partitions.find_partition(&a.partition.topic, a.partition.partition)
                        && let Err(error) = p.set_offset(Offset::Offset(a.position))
                    {
                        self.shared
                            .push(Event::Failed(from_client("cannot set a position", error)));
                    }
                }
                let mut state = self.shared.lock();
                for a in &assigned {
                    state.owned.insert(a.partition.clone());
                    state.idle_positions.insert(a.partition.clone(), a.position);
                }
                drop(state);
                self.shared.push(Event::Assigned(assigned));
            }
            // Assigned all the same, or the group would wait for us; without an `Assigned` event nothing is delivered, see `failed`.
            Err(LogError::Closed) => {}
            Err(error) => self.shared.push(Event::Failed(error)),
        }
        let result = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions),
            _ => consumer.assign(partitions),
        };
        if let Err(error) = result {
            self.shared.push(Event::Failed(from_client(
                "cannot take assigned partitions",
                error,
            )));
        }
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let partitions: Vec<TopicPartition> = list
            .elements()
            .iter()
            .map(|p| TopicPartition::new(p.topic(), p.partition()))
            .collect();
        let lost = consumer.assignment_lost();
        self.hand_over();
        self.forget_records(&partitions);
        if !partitions.is_empty() {
            if lost || !self.released(consumer, &partitions) {
                self.shared.push(Event::Lost(partitions.clone()));
            }
            let mut state = self.shared.lock();
            for p in &partitions {
                state.owned.remove(p);
                state.idle_positions.remove(p);
                state.ends.remove(p);
            }
        }
        let result = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            _ => consumer.unassign(),
        };
        if let Err(error) = result {
            self.shared.push(Event::Failed(from_client(
                "cannot give partitions back",
                error,
            )));
        }
    }

    /// Waits until the task has released `partitions`; `false` when they were lost meanwhile.
    fn released(&self, consumer: &BaseConsumer<Self>, partitions: &[TopicPartition]) -> bool {
        {
            let mut state = self.shared.lock();
            if state.stopped {
                return true;
            }
            state.revoking = true;
            state.released = false;
        }
        self.shared.push(Event::Revoking(partitions.to_vec()));
        let deadline = Instant::now() + self.limits.rebalance;
        let mut kept = true;
        let mut state = self.shared.lock();
        while !state.released && !state.stopped {
            if Instant::now() >= deadline || consumer.assignment_lost() {
                kept = false;
                break;
            }
            if let Some(command) = state.commands.pop_front() {
                drop(state);
                self.serve(consumer, command);
                state = self.shared.lock();
                continue;
            }
            state = self
                .shared
                .thread
                .wait_timeout(state, Duration::from_millis(500))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.revoking = false;
        kept
    }

    /// Drops records of `partitions` that the task has not seen: the next owner reads them.
    fn forget_records(&self, partitions: &[TopicPartition]) {
        let mut state = self.shared.lock();
        let events = std::mem::take(&mut state.events);
        for mut event in events {
            if let Event::Records(_, batch) = &mut event {
                retain(batch, |p| !partitions.contains(p));
                if batch.records.is_empty() {
                    state.queued_batches -= 1;
                    continue;
                }
            }
            state.events.push_back(event);
        }
    }
}
