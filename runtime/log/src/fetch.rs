use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::TopicPartition;

/// Whose clock a record's timestamp is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// None is known; the timestamp is -1.
    None,
    /// Set by the producer.
    CreateTime,
    /// Set by the log at append.
    LogAppendTime,
}

/// One fetched record: numbers that point into the batch it came in.
#[derive(Debug, Clone)]
pub struct FetchedRecord {
    /// Index into [`FetchBatch::partitions`].
    pub partition: u32,
    /// Offset in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch, or -1.
    pub timestamp: i64,
    /// Whose clock `timestamp` is from.
    pub timestamp_type: TimestampType,
    /// Key bytes in [`FetchBatch::data`]; `None` is null.
    pub key: Option<Range<u32>>,
    /// Value bytes in [`FetchBatch::data`]; `None` is a tombstone.
    pub value: Option<Range<u32>>,
    headers: Range<u32>,
}

#[derive(Debug, Clone)]
struct FetchedHeader {
    name: Arc<str>,
    value: Option<Range<u32>>,
}

/// Records of one fetch: one shared buffer and fixed-size records that point into it.
///
/// `data` is reference-counted: a decoder may keep slices of it beyond the batch without copying.
#[derive(Debug, Clone, Default)]
pub struct FetchBatch {
    /// All keys, values and header values.
    pub data: Bytes,
    /// Partitions that occur in this batch.
    pub partitions: Vec<TopicPartition>,
    /// Records, in offset order within a partition.
    pub records: Vec<FetchedRecord>,
    headers: Vec<FetchedHeader>,
}

impl FetchBatch {
    /// Key bytes of a record of this batch.
    pub fn key(&self, record: &FetchedRecord) -> Option<&[u8]> {
        record.key.as_ref().map(|r| self.slice(r))
    }

    /// Value bytes of a record of this batch.
    pub fn value(&self, record: &FetchedRecord) -> Option<&[u8]> {
        record.value.as_ref().map(|r| self.slice(r))
    }

    /// Topic and partition of a record of this batch.
    pub fn topic_partition(&self, record: &FetchedRecord) -> &TopicPartition {
        &self.partitions[record.partition as usize]
    }

    /// Headers of a record in order: name, and the value's place in [`data`](Self::data) when it is not null.
    pub fn headers(
        &self,
        record: &FetchedRecord,
    ) -> impl ExactSizeIterator<Item = (&Arc<str>, Option<&Range<u32>>)> {
        self.headers[record.headers.start as usize..record.headers.end as usize]
            .iter()
            .map(|h| (&h.name, h.value.as_ref()))
    }

    /// Bytes behind a range of this batch.
    pub fn slice(&self, range: &Range<u32>) -> &[u8] {
        &self.data[range.start as usize..range.end as usize]
    }
}

/// Collects fetched records into a [`FetchBatch`].
#[derive(Debug, Default)]
pub struct FetchBatchBuilder {
    data: BytesMut,
    partitions: Vec<TopicPartition>,
    records: Vec<FetchedRecord>,
    headers: Vec<FetchedHeader>,
    names: Vec<Arc<str>>,
}

impl FetchBatchBuilder {
    /// Copies one record in. `topic` is compared with the partitions seen so far, so neighbouring records of one partition cost one comparison.
    #[allow(clippy::too_many_arguments)]
    pub fn push<'h>(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        timestamp: (i64, TimestampType),
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) {
        let last = self.records.last().map(|r| r.partition);
        let same = |tp: &TopicPartition| tp.partition == partition && *tp.topic == *topic;
        let index = match last.filter(|&i| same(&self.partitions[i as usize])) {
            Some(index) => index,
            None => self.partitions.iter().position(same).unwrap_or_else(|| {
                self.partitions.push(TopicPartition::new(topic, partition));
                self.partitions.len() - 1
            }) as u32,
        };
        let key = key.map(|k| self.copy(k));
        let value = value.map(|v| self.copy(v));
        let first_header = self.headers.len() as u32;
        for (name, value) in headers {
            let name = self
                .names
                .iter()
                .find(|n| ***n == *name)
                .cloned()
                .unwrap_or_else(|| {
                    let name: Arc<str> = Arc::from(name);
                    self.names.push(Arc::clone(&name));
                    name
                });
            let value = value.map(|v| self.copy(v));
            self.headers.push(FetchedHeader { name, value });
        }
        self.records.push(FetchedRecord {
            partition: index,
            offset,
            timestamp: timestamp.0,
            timestamp_type: timestamp.1,
            key,
            value,
            headers: first_header..self.headers.len() as u32,
        });
    }

    /// Records so far.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes so far.
    pub fn byte_size(&self) -> usize {
        self.data.len()
    }

    /// The batch; the builder is empty afterwards and can be used again.
    pub fn finish(&mut self) -> FetchBatch {
        FetchBatch {
            data: self.data.split().freeze(),
            partitions: std::mem::take(&mut self.partitions),
            records: std::mem::take(&mut self.records),
            headers: std::mem::take(&mut self.headers),
        }
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<u32> {
        let start = self.data.len() as u32;
        self.data.extend_from_slice(bytes);
        start..self.data.len() as u32
    }
}
