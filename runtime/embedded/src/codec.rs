//! The bytes of a batch.
//!
//! ```text
//! crc32c u32 | magic u8 | flags u8 | count u32 | base timestamp i64 | records
//! record: offset delta, timestamp delta (zigzag), key, value, number of headers, then per header: name, value
//! key, value, header value: length + 1 and the bytes, or 0 for null; numbers in records are LEB128 varints, fixed ones little endian
//! ```
//!
//! The checksum covers everything behind it. Offsets are relative to the batch's row id, so a batch is encoded before its offsets are known, and compaction can
//! leave records out.

use bytes::Bytes;
use millrace_log::TimestampType;

const MAGIC: u8 = 1;
const LOG_APPEND_TIME: u8 = 1;
const HEADER: usize = 18;
const CRC_END: usize = 4;

/// A batch is cut at so many records …
pub(crate) const MAX_RECORDS: u32 = 1_000;
/// … or bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// An encoded batch that has no offsets yet.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) data: Vec<u8>,
    pub(crate) count: u32,
    /// Offset of the last record, relative to the first one's.
    pub(crate) last_delta: u32,
    pub(crate) max_timestamp: i64,
}

/// Encodes one batch.
#[derive(Debug)]
pub(crate) struct Encoder {
    data: Vec<u8>,
    count: u32,
    last_delta: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl Encoder {
    pub(crate) fn new(log_append_time: bool) -> Self {
        let mut data = Vec::with_capacity(16 << 10);
        data.resize(HEADER, 0);
        data[4] = MAGIC;
        data[5] = if log_append_time { LOG_APPEND_TIME } else { 0 };
        Self {
            data,
            count: 0,
            last_delta: 0,
            base_timestamp: 0,
            max_timestamp: i64::MIN,
        }
    }

    /// Adds a record whose offset is `delta` behind the batch's first one; deltas rise.
    pub(crate) fn push<'h>(
        &mut self,
        delta: u32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        self.count += 1;
        self.last_delta = delta;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let stamp = timestamp.wrapping_sub(self.base_timestamp);
        put_varint(&mut self.data, u64::from(delta));
        put_varint(&mut self.data, ((stamp << 1) ^ (stamp >> 63)) as u64);
        put_bytes(&mut self.data, key);
        put_bytes(&mut self.data, value);
        put_varint(&mut self.data, headers.len() as u64);
        for (name, value) in headers {
            put_bytes(&mut self.data, Some(name.as_bytes()));
            put_bytes(&mut self.data, value);
        }
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count >= MAX_RECORDS || self.data.len() >= MAX_BYTES
    }

    pub(crate) fn finish(mut self) -> Encoded {
        self.data[6..10].copy_from_slice(&self.count.to_le_bytes());
        self.data[10..18].copy_from_slice(&self.base_timestamp.to_le_bytes());
        let crc = crc32c::crc32c(&self.data[CRC_END..]);
        self.data[..CRC_END].copy_from_slice(&crc.to_le_bytes());
        Encoded {
            data: self.data,
            count: self.count,
            last_delta: self.last_delta,
            max_timestamp: self.max_timestamp,
        }
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => out.push(0),
        Some(bytes) => {
            put_varint(out, bytes.len() as u64 + 1);
            out.extend_from_slice(bytes);
        }
    }
}

/// A batch in its place.
#[derive(Debug, Clone)]
pub(crate) struct StoredBatch {
    /// Offset of the first record.
    pub(crate) base: i64,
    /// Offset of the last record.
    pub(crate) last: i64,
    pub(crate) data: Bytes,
}

/// One record of a batch.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    headers: &'a [u8],
    header_count: usize,
}

impl<'a> Record<'a> {
    /// Headers in order; the decoder has checked them.
    pub(crate) fn headers(&self) -> Headers<'a> {
        Headers {
            rest: self.headers,
            left: self.header_count,
        }
    }
}

/// Headers of a record that was decoded.
#[derive(Debug)]
pub(crate) struct Headers<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = take_bytes(&mut self.rest).ok().flatten()?;
        let value = take_bytes(&mut self.rest).ok()?;
        Some((std::str::from_utf8(name).ok()?, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// Reads the records of a batch in order.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
    left: u32,
    base_offset: i64,
    base_timestamp: i64,
    timestamp_type: TimestampType,
}

impl<'a> Decoder<'a> {
    /// Fails with what is wrong when the bytes do not begin like a batch.
    pub(crate) fn new(batch: &'a StoredBatch) -> Result<Self, &'static str> {
        let (header, rest) = batch.data.split_at_checked(HEADER).ok_or("too short")?;
        if header[4] != MAGIC {
            return Err("unknown magic byte");
        }
        let timestamp_type = if header[5] & LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        };
        let base_timestamp = header[10..18]
            .iter()
            .rev()
            .fold(0u64, |n, b| (n << 8) | u64::from(*b)) as i64;
        Ok(Self {
            rest,
            left: read_u32(&header[6..10]),
            base_offset: batch.base,
            base_timestamp,
            timestamp_type,
        })
    }

    /// The next record; `None` after the last one.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'a>>, &'static str> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let delta = take_varint(&mut self.rest)?;
        let stamp = take_varint(&mut self.rest)?;
        let stamp = (stamp >> 1) as i64 ^ -((stamp & 1) as i64);
        let key = take_bytes(&mut self.rest)?;
        let value = take_bytes(&mut self.rest)?;
        let header_count = take_varint(&mut self.rest)? as usize;
        let headers = self.rest;
        for _ in 0..header_count {
            let name = take_bytes(&mut self.rest)?.ok_or("header without a name")?;
            std::str::from_utf8(name).map_err(|_| "header name that is not UTF-8")?;
            take_bytes(&mut self.rest)?;
        }
        Ok(Some(Record {
            offset: self.base_offset.wrapping_add(delta as i64),
            timestamp: self.base_timestamp.wrapping_add(stamp),
            timestamp_type: self.timestamp_type,
            key,
            value,
            headers: &headers[..headers.len() - self.rest.len()],
            header_count,
        }))
    }
}

/// Compares the checksum.
pub(crate) fn verify(data: &[u8]) -> Result<(), &'static str> {
    if data.len() < HEADER {
        return Err("too short");
    }
    match crc32c::crc32c(&data[CRC_END..]) == read_u32(&data[..CRC_END]) {
        true => Ok(()),
        false => Err("checksum differs"),
    }
}

fn read_u32(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |n, b| (n << 8) | u32::from(*b))
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or("ends inside a number")?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("number of more than 64 bits")
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, &'static str> {
    let Some(len) = take_varint(rest)?.checked_sub(1) else {
        return Ok(None);
    };
    let (bytes, tail) = usize::try_from(len)
        .ok()
        .and_then(|len| rest.split_at_checked(len))
        .ok_or("ends inside a field")?;
    *rest = tail;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    type Field = Option<Vec<u8>>;
    type Row = (u32, i64, Field, Field, Vec<(String, Field)>);

    fn field() -> impl Strategy<Value = Field> {
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200))
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let headers = proptest::collection::vec(("[a-zü]{0,8}", field()), 0..4);
        proptest::collection::vec(
            (1u32..100_000, any::<i64>(), field(), field(), headers),
            1..20,
        )
    }

    fn encode(rows: &[Row]) -> StoredBatch {
        let mut encoder = Encoder::new(false);
        let mut delta = 0;
        for (at, (gap, timestamp, key, value, headers)) in rows.iter().enumerate() {
            delta += if at == 0 { 0 } else { *gap };
            let headers = headers.iter().map(|(n, v)| (n.as_str(), v.as_deref()));
            encoder.push(delta, *timestamp, key.as_deref(), value.as_deref(), headers);
        }
        let encoded = encoder.finish();
        StoredBatch {
            base: 7,
            last: 7 + i64::from(encoded.last_delta),
            data: encoded.data.into(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_encoded_is_decoded(rows in rows()) {
            let batch = encode(&rows);
            verify(&batch.data).unwrap();
            let mut decoder = Decoder::new(&batch).unwrap();
            let mut offset = 7;
            for (at, (gap, timestamp, key, value, headers)) in rows.iter().enumerate() {
                offset += if at == 0 { 0 } else { i64::from(*gap) };
                let record = decoder.next().unwrap().unwrap();
                prop_assert_eq!((record.offset, record.timestamp), (offset, *timestamp));
                prop_assert_eq!((record.key, record.value), (key.as_deref(), value.as_deref()));
                let expected: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_deref())).collect();
                prop_assert_eq!(record.headers().collect::<Vec<_>>(), expected);
            }
            prop_assert!(decoder.next().unwrap().is_none());
            prop_assert_eq!(offset, batch.last);
        }

        #[test]
        fn one_changed_byte_is_noticed_and_does_no_harm(rows in rows(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut batch = encode(&rows);
            let mut data = batch.data.to_vec();
            let at = at.index(data.len());
            data[at] ^= flip;
            prop_assert!(verify(&data).is_err());
            batch.data = data.into();
            // Whoever decodes unchecked gets an error or nonsense, never a panic.
            if let Ok(mut decoder) = Decoder::new(&batch) {
                while let Ok(Some(record)) = decoder.next() {
                    record.headers().for_each(drop);
                }
            }
        }

        #[test]
        fn any_bytes_do_no_harm(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let batch = StoredBatch { base: 0, last: 0, data: data.into() };
            let _ = verify(&batch.data);
            if let Ok(mut decoder) = Decoder::new(&batch) {
                while let Ok(Some(record)) = decoder.next() {
                    record.headers().for_each(drop);
                }
            }
        }
    }
}
