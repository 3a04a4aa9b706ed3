use std::sync::Arc;

/// A topic's place in a batch's table of topics; see [`RecordBatch::topic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicIndex(pub u32);

/// Where a record's bytes lie in the arena. Twelve fixed numbers; nothing is owned.
#[derive(Debug, Clone, Copy)]
pub struct BatchRecord {
    /// Topic, as an index into the batch's table.
    pub topic: TopicIndex,
    /// Partition, or -1: chosen by the producer from the key (murmur2, as Java does), round robin without a key.
    pub partition: i32,
    /// Milliseconds since the epoch, or -1: now.
    pub timestamp: i64,
    key_start: u32,
    value_start: u32,
    end: u32,
    headers_start: u32,
    headers_end: u32,
    has_key: bool,
    has_value: bool,
}

#[derive(Debug, Clone)]
struct Header {
    name: Arc<str>,
    start: u32,
    end: u32,
    null: bool,
}

/// Records to append: one arena, no allocation per record once the buffers have grown.
///
/// Filled by the caller, read by a producer, then [`clear`](Self::clear)ed and filled again: the table of topics and the capacity stay. A batch holds less than
/// 4 GiB; keep it near 1 MiB.
///
/// ```
/// # use millrace_log::RecordBatch;
/// let mut batch = RecordBatch::new();
/// let topic = batch.topic("shop.public.orders");
/// let arena = batch.begin();
/// arena.extend_from_slice(b"key");
/// batch.end_key(true);
/// batch.arena().extend_from_slice(b"value");
/// batch.end_value(true);
/// batch.push(topic, -1, 1_700_000_000_000);
/// assert_eq!(batch.get(0).value, Some(&b"value"[..]));
/// ```
#[derive(Debug, Default, Clone)]
pub struct RecordBatch {
    arena: Vec<u8>,
    records: Vec<BatchRecord>,
    headers: Vec<Header>,
    topics: Vec<Arc<str>>,
    open: Open,
}

/// The record that is being written: set by `begin`, completed by `push`.
#[derive(Debug, Default, Clone, Copy)]
struct Open {
    key_start: u32,
    value_start: u32,
    end: u32,
    headers_start: u32,
    has_key: bool,
    has_value: bool,
}

/// One record of a batch, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    /// Topic name.
    pub topic: &'a Arc<str>,
    /// Partition, or -1 for the partitioner's choice.
    pub partition: i32,
    /// Milliseconds since the epoch, or -1.
    pub timestamp: i64,
    /// Key bytes.
    pub key: Option<&'a [u8]>,
    /// Value bytes; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    batch: &'a RecordBatch,
    headers: (u32, u32),
}

impl<'a> RecordView<'a> {
    /// Headers in order; a header's value may be null.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        let batch = self.batch;
        batch.headers[self.headers.0 as usize..self.headers.1 as usize]
            .iter()
            .map(move |h| {
                (
                    &*h.name,
                    (!h.null).then(|| &batch.arena[h.start as usize..h.end as usize]),
                )
            })
    }

    /// Bytes of key, value and headers together.
    pub fn size(&self) -> usize {
        self.key.map_or(0, <[u8]>::len)
            + self.value.map_or(0, <[u8]>::len)
            + self
                .headers()
                .map(|(n, v)| n.len() + v.map_or(0, <[u8]>::len))
                .sum::<usize>()
    }
}

impl RecordBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// The index of `name` in this batch's table, entering it when new. Look it up per schema or per topic, not per record.
    pub fn topic(&mut self, name: &str) -> TopicIndex {
        let at = self
            .topics
            .iter()
            .position(|t| **t == *name)
            .unwrap_or_else(|| {
                self.topics.push(Arc::from(name));
                self.topics.len() - 1
            });
        TopicIndex(at as u32)
    }

    /// Name behind an index of this batch.
    pub fn topic_name(&self, index: TopicIndex) -> &Arc<str> {
        &self.topics[index.0 as usize]
    }

    /// All topics that this batch has named so far.
    pub fn topics(&self) -> &[Arc<str>] {
        &self.topics
    }

    /// Starts a record, dropping a half-written one. Append its key to the returned arena, then call [`end_key`](Self::end_key).
    pub fn begin(&mut self) -> &mut Vec<u8> {
        let (at, headers) = match self.records.last() {
            Some(last) => (self.headers_arena_end(last), last.headers_end),
            None => (0, 0),
        };
        self.arena.truncate(at as usize);
        self.headers.truncate(headers as usize);
        self.open = Open {
            key_start: at,
            value_start: at,
            end: at,
            headers_start: headers,
            has_key: false,
            has_value: false,
        };
        &mut self.arena
    }

    /// The arena, to append to between `begin` and `push`. Only append.
    pub fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    /// Ends the key. `present = false` makes it null (and drops what was written since `begin`).
    pub fn end_key(&mut self, present: bool) {
        if !present {
            self.arena.truncate(self.open.key_start as usize);
        }
        self.open.has_key = present;
        self.open.value_start = self.arena.len() as u32;
        self.open.end = self.open.value_start;
    }

    /// Ends the value. `present = false` makes the record a tombstone.
    pub fn end_value(&mut self, present: bool) {
        if !present {
            self.arena.truncate(self.open.value_start as usize);
        }
        self.open.has_value = present;
        self.open.end = self.arena.len() as u32;
    }

    /// Adds a header to the record that is being written; after [`end_value`](Self::end_value).
    pub fn header(&mut self, name: &Arc<str>, value: Option<&[u8]>) {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(value.unwrap_or_default());
        self.headers.push(Header {
            name: Arc::clone(name),
            start,
            end: self.arena.len() as u32,
            null: value.is_none(),
        });
    }

    /// Completes the record. `partition` -1: the partitioner's choice; `timestamp` in milliseconds, -1: now.
    pub fn push(&mut self, topic: TopicIndex, partition: i32, timestamp: i64) {
        let o = self.open;
        self.records.push(BatchRecord {
            topic,
            partition,
            timestamp,
            key_start: o.key_start,
            value_start: o.value_start,
            end: o.end,
            headers_start: o.headers_start,
            headers_end: self.headers.len() as u32,
            has_key: o.has_key,
            has_value: o.has_value,
        });
    }

    /// Appends a whole record from slices: for internal topics and tests.
    pub fn append(
        &mut self,
        topic: TopicIndex,
        partition: i32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) {
        self.begin().extend_from_slice(key.unwrap_or_default());
        self.end_key(key.is_some());
        self.arena.extend_from_slice(value.unwrap_or_default());
        self.end_value(value.is_some());
        self.push(topic, partition, timestamp);
    }

    /// Number of complete records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no complete record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all keys, values and headers.
    pub fn byte_size(&self) -> usize {
        self.arena.len()
    }

    /// Record `index`, counted from 0. Panics when out of range, as slices do.
    pub fn get(&self, index: usize) -> RecordView<'_> {
        let r = &self.records[index];
        RecordView {
            topic: &self.topics[r.topic.0 as usize],
            partition: r.partition,
            timestamp: r.timestamp,
            key: r
                .has_key
                .then(|| &self.arena[r.key_start as usize..r.value_start as usize]),
            value: r
                .has_value
                .then(|| &self.arena[r.value_start as usize..r.end as usize]),
            batch: self,
            headers: (r.headers_start, r.headers_end),
        }
    }

    /// All complete records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RecordView<'_>> {
        (0..self.records.len()).map(|i| self.get(i))
    }

    /// The fixed part of record `index`.
    pub fn record(&self, index: usize) -> &BatchRecord {
        &self.records[index]
    }

    /// Drops the records, keeps topics and capacity.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.records.clear();
        self.headers.clear();
        self.open = Open::default();
    }

    fn headers_arena_end(&self, last: &BatchRecord) -> u32 {
        self.headers[last.headers_start as usize..last.headers_end as usize]
            .last()
            .map_or(last.end, |h| h.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_null_and_empty_apart_and_headers_in_order() {
        let mut batch = RecordBatch::new();
        let t = batch.topic("t");
        let name: Arc<str> = Arc::from("h");
        batch.begin();
        batch.end_key(false);
        batch.arena().extend_from_slice(b"v");
        batch.end_value(true);
        batch.header(&name, Some(b"1"));
        batch.header(&name, None);
        batch.push(t, 3, 7);
        batch.append(t, -1, -1, Some(b""), None);

        let first = batch.get(0);
        assert_eq!(
            (first.key, first.value, first.partition, first.timestamp),
            (None, Some(&b"v"[..]), 3, 7)
        );
        assert_eq!(
            first.headers().collect::<Vec<_>>(),
            vec![("h", Some(&b"1"[..])), ("h", None)]
        );
        let second = batch.get(1);
        assert_eq!((second.key, second.value), (Some(&b""[..]), None));
        assert_eq!(second.headers().len(), 0);
    }

    #[test]
    fn a_record_that_is_not_pushed_leaves_no_trace() {
        let mut batch = RecordBatch::new();
        let t = batch.topic("t");
        batch.append(t, 0, 0, Some(b"a"), Some(b"b"));
        batch.begin().extend_from_slice(b"half");
        batch.end_key(true);
        batch.append(t, 0, 0, Some(b"c"), Some(b"d"));
        assert_eq!(batch.len(), 2);
        assert_eq!(batch.get(1).key, Some(&b"c"[..]));
        assert_eq!(batch.byte_size(), 4);
    }

    #[test]
    fn clear_keeps_topics() {
        let mut batch = RecordBatch::new();
        let t = batch.topic("t");
        batch.append(t, 0, 0, None, None);
        batch.clear();
        assert_eq!(batch.topic("t"), t);
        assert!(batch.is_empty());
    }
}
