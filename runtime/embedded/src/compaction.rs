//! Compaction of one partition, as Kafka's cleaner does it: first the last offset of every key in the part that is not clean yet, then everything from the start on
//! is read and what is superseded is left out. Offsets stay.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use millrace_log::local::{Partition, TopicPolicy, now_ms};
use millrace_log::{LogError, TimestampType};

use crate::cleaner::{Cleaner, rows_of};
use crate::codec::{Decoder, Encoded, Encoder, Record, StoredBatch};
use crate::error::damaged;
use crate::read_pool::{Range, read_range};

/// Bytes read, rewritten and committed at once.
const CHUNK: usize = 4 << 20;
/// Keys that one pass remembers (24 bytes each and the table's slack); a larger dirty part takes several passes.
const MAX_KEYS: usize = 1_000_000;

/// A batch that takes the place of others.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) base: i64,
    pub(crate) encoded: Encoded,
}

/// 128 bits of a key under two random hashes: a collision would lose a record, and nobody outside can aim for one.
#[derive(Debug, Default)]
struct KeyHash(RandomState, RandomState);

impl KeyHash {
    fn of(&self, key: &[u8]) -> u128 {
        (u128::from(self.0.hash_one(key)) << 64) | u128::from(self.1.hash_one(key))
    }
}

/// What one pass knows.
#[derive(Debug)]
struct Pass<'a> {
    hash: KeyHash,
    last: HashMap<u128, i64>,
    /// Offsets below were compacted before.
    cleaned_to: i64,
    policy: &'a TopicPolicy,
    now: i64,
}

impl Pass<'_> {
    fn keeps(&self, record: &Record<'_>) -> bool {
        let Some(key) = record.key else { return false };
        if self
            .last
            .get(&self.hash.of(key))
            .is_some_and(|last| *last > record.offset)
        {
            return false;
        }
        // A tombstone goes with the second compaction at the earliest, so that it outlives every older value of its key, and whoever reads along sees it.
        let old = record.value.is_none() && record.offset < self.cleaned_to;
        !(old && record.timestamp < self.now - self.policy.delete_retention_ms)
    }
}

/// Compacts everything that is old enough, whatever the dirty ratio.
pub(crate) fn compact(
    cleaner: &Cleaner,
    partition: &Arc<Partition>,
    policy: &TopicPolicy,
) -> Result<(), LogError> {
    loop {
        let sql = "SELECT cleaned_to FROM part WHERE id = ?1";
        let cleaned_to = cleaner
            .conn
            .query_row(sql, [partition.id], |r| r.get::<_, i64>(0))
            .map_err(|e| cleaner.read_error(e))?;
        let cleaned_to = cleaned_to.max(partition.start());
        let end = partition.end();
        let mut pass = Pass {
            hash: KeyHash::default(),
            last: HashMap::new(),
            cleaned_to,
            policy,
            now: now_ms(),
        };
        let clean_to = pass.collect(cleaner, partition, end)?;
        pass.rewrite(cleaner, partition, clean_to)?;
        let id = partition.id;
        cleaner
            .writer
            .alone_blocking(move |writer| writer.set_cleaned_to(id, clean_to))?;
        if clean_to == cleaned_to || clean_to >= end {
            return Ok(());
        }
    }
}

fn read(
    cleaner: &Cleaner,
    partition: &Arc<Partition>,
    from: i64,
    end: i64,
) -> Result<Vec<StoredBatch>, LogError> {
    let range = Range {
        partition: Arc::clone(partition),
        from,
        end,
        bytes: CHUNK,
    };
    read_range(&cleaner.conn, &range, &cleaner.shared.options.dir)
}

impl Pass<'_> {
    /// Notes the last offset of every key from `cleaned_to` on; returns up to where, which is the end of a batch.
    fn collect(
        &mut self,
        cleaner: &Cleaner,
        partition: &Arc<Partition>,
        end: i64,
    ) -> Result<i64, LogError> {
        let youngest = self.now - self.policy.min_compaction_lag_ms;
        let mut at = self.cleaned_to;
        while at < end && self.last.len() < MAX_KEYS {
            let batches = read(cleaner, partition, at, end)?;
            if batches.is_empty() {
                return Ok(end);
            }
            for batch in &batches {
                let bad = |what| damaged(&partition.name, batch.base, what);
                let mut decoder = Decoder::new(batch).map_err(bad)?;
                let mut found = Vec::new();
                while let Some(record) = decoder.next().map_err(bad)? {
                    if self.policy.min_compaction_lag_ms > 0 && record.timestamp > youngest {
                        return Ok(at);
                    }
                    found.extend(record.key.map(|key| (self.hash.of(key), record.offset)));
                }
                self.last.extend(found);
                at = batch.last + 1;
            }
        }
        Ok(at)
    }

    /// Leaves out what is superseded before `clean_to`.
    fn rewrite(
        &self,
        cleaner: &Cleaner,
        partition: &Arc<Partition>,
        clean_to: i64,
    ) -> Result<(), LogError> {
        let mut at = partition.start();
        while at < clean_to {
            let batches = read(cleaner, partition, at, clean_to)?;
            let Some(last) = batches.last().map(|b| b.last) else {
                return Ok(());
            };
            let (new, dropped) = self.filter(partition, &batches)?;
            // Merging neighbours alone is worth it only when there are many of them.
            if dropped || new.len() * 2 <= batches.len() {
                let before: usize = batches.iter().map(|b| b.data.len()).sum();
                let after: usize = new.iter().map(|b| b.encoded.data.len()).sum();
                let (old, target) = (rows_of(partition, &batches), Arc::clone(partition));
                cleaner.writer.alone_blocking(move |writer| {
                    writer.replace(&target, &old, &new, before as i64 - after as i64)
                })?;
            }
            at = last + 1;
        }
        Ok(())
    }

    /// The batches without superseded records, neighbours merged, and whether any record was left out.
    fn filter(
        &self,
        partition: &Partition,
        batches: &[StoredBatch],
    ) -> Result<(Vec<Rewritten>, bool), LogError> {
        let mut new = Vec::new();
        let mut dropped = false;
        let mut open: Option<(i64, TimestampType, Encoder)> = None;
        for batch in batches {
            let bad = |what| damaged(&partition.name, batch.base, what);
            let mut decoder = Decoder::new(batch).map_err(bad)?;
            while let Some(record) = decoder.next().map_err(bad)? {
                if !self.keeps(&record) {
                    dropped = true;
                    continue;
                }
                let fits = |(base, kind, encoder): &(i64, TimestampType, Encoder)| {
                    *kind == record.timestamp_type
                        && !encoder.is_full()
                        && record.offset - base <= i64::from(u32::MAX)
                };
                if !open.as_ref().is_some_and(fits) {
                    new.extend(open.take().map(|(base, _, encoder)| Rewritten {
                        base,
                        encoded: encoder.finish(),
                    }));
                }
                let (base, _, encoder) = open.get_or_insert_with(|| {
                    (
                        record.offset,
                        record.timestamp_type,
                        Encoder::new(record.timestamp_type == TimestampType::LogAppendTime),
                    )
                });
                encoder.push(
                    (record.offset - *base) as u32,
                    record.timestamp,
                    record.key,
                    record.value,
                    record.headers(),
                );
            }
        }
        new.extend(open.map(|(base, _, encoder)| Rewritten {
            base,
            encoded: encoder.finish(),
        }));
        Ok((new, dropped))
    }
}
