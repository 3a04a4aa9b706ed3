use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::rng::Rng;
use crate::local::{FetchLimit, TopicPolicy};
use crate::{FetchBatchBuilder, RecordView, TimestampType};

/// Name and value; the value may be null.
type Header = (Arc<str>, Option<Box<[u8]>>);

/// One stored record.
#[derive(Debug)]
struct Stored {
    offset: i64,
    timestamp: (i64, TimestampType),
    bytes: Box<[u8]>,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Vec<Header>,
}

impl Stored {
    fn size(&self) -> usize {
        self.bytes.len()
            + self
                .headers
                .iter()
                .map(|(n, v)| n.len() + v.as_ref().map_or(0, |v| v.len()))
                .sum::<usize>()
    }

    fn key(&self) -> Option<&[u8]> {
        self.key.clone().map(|r| &self.bytes[r])
    }
}

/// The records of one partition in the order of their offsets, which are not dense.
#[derive(Debug, Default)]
pub(super) struct PartitionData {
    records: VecDeque<Stored>,
    end: i64,
    bytes: usize,
}

impl PartitionData {
    /// Appends a record and returns its offset: mostly the next one, now and then one behind a gap.
    pub(super) fn append(
        &mut self,
        record: &RecordView<'_>,
        timestamp: (i64, TimestampType),
        rng: &mut Rng,
    ) -> i64 {
        if rng.below(8) == 0 {
            self.skip(1 + rng.below(3) as i64);
        }
        let (key, value) = (
            record.key.unwrap_or_default(),
            record.value.unwrap_or_default(),
        );
        let offset = self.end;
        let stored = Stored {
            offset,
            timestamp,
            bytes: [key, value].concat().into(),
            key: record.key.map(|k| 0..k.len()),
            value: record.value.map(|v| key.len()..key.len() + v.len()),
            headers: record
                .headers()
                .map(|(n, v)| (Arc::from(n), v.map(Box::from)))
                .collect(),
        };
        self.bytes += stored.size();
        self.records.push_back(stored);
        self.end += 1;
        offset
    }

    /// Leaves a gap at the end, as Kafka's transaction markers do.
    pub(super) fn skip(&mut self, offsets: i64) {
        self.end += offsets;
    }

    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// Copies records from `from` to before `end` out; returns where to go on.
    pub(super) fn fetch(
        &self,
        name: &crate::TopicPartition,
        from: i64,
        end: i64,
        limit: FetchLimit,
        out: &mut FetchBatchBuilder,
    ) -> i64 {
        let first = self.records.partition_point(|r| r.offset < from);
        let (records, bytes) = (out.len(), out.byte_size());
        for record in self.records.range(first..) {
            if record.offset >= end {
                break;
            }
            if out.len() - records >= limit.records || (out.byte_size() - bytes >= limit.bytes) {
                return record.offset;
            }
            let headers = record.headers.iter().map(|(n, v)| (&**n, v.as_deref()));
            let value = record.value.clone().map(|r| &record.bytes[r]);
            out.push(
                &name.topic,
                name.partition,
                record.offset,
                record.timestamp,
                record.key(),
                value,
                headers,
            );
        }
        end
    }

    /// Drops the oldest records that `policy` no longer keeps; returns the new start of the partition.
    pub(super) fn enforce_retention(&mut self, policy: &TopicPolicy, now: i64, start: i64) -> i64 {
        let mut start = start;
        while let Some(oldest) = self.records.front() {
            let expired = policy
                .retention_ms
                .is_some_and(|ms| oldest.timestamp.0 < now - ms);
            // As with Kafka's segments, what remains is at least the limit.
            let excess = policy
                .retention_bytes
                .is_some_and(|b| (self.bytes - oldest.size()) as i64 >= b);
            if !policy.delete || !(expired || excess) {
                break;
            }
            self.bytes -= oldest.size();
            start = oldest.offset + 1;
            self.records.pop_front();
        }
        start
    }

    /// Keeps the last record of every key, and tombstones only as long as `delete.retention.ms` says.
    pub(super) fn compact(&mut self, policy: &TopicPolicy, now: i64) {
        let mut last: HashMap<Box<[u8]>, i64> = HashMap::new();
        for record in &self.records {
            if let Some(key) = record.key() {
                last.insert(key.into(), record.offset);
            }
        }
        self.records.retain(|r| {
            let newest = r.key().is_some_and(|k| last.get(k) == Some(&r.offset));
            newest && (r.value.is_some() || r.timestamp.0 >= now - policy.delete_retention_ms)
        });
        self.bytes = self.records.iter().map(Stored::size).sum();
    }
}
