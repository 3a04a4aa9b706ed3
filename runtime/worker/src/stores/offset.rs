//! The offset topic: where each source stands (Java's `KafkaOffsetBackingStore`).

use std::sync::Arc;

use futures::future::BoxFuture;
use indexmap::IndexMap;
use millrace_api::data::{OffsetMap, OffsetValue};
use millrace_api::plugin::{OffsetReader, TaskError};
use millrace_log::{LogError, TableRecord, TableWrite};
use serde_json::Value;

use super::java_json::{offset_map, read_offset_map, string};
use super::{TableState, TableStore};

/// A source partition: a map, or Connect's null.
pub type SourcePartition = Option<OffsetMap>;

/// What is stored for one source partition. Java writes the members of a partition in the order of its map, so one partition may live under several keys.
#[derive(Debug, Default)]
struct Entry {
    partition: SourcePartition,
    /// Live keys, the last written at the end.
    keys: Vec<(Vec<u8>, OffsetMap)>,
}

/// The latest offset of every source partition.
#[derive(Debug, Default)]
pub struct OffsetState {
    connectors: IndexMap<String, IndexMap<Vec<u8>, Entry>>,
}

impl OffsetState {
    /// The offset stored for a partition.
    pub fn offset(&self, connector: &str, partition: &SourcePartition) -> Option<&OffsetMap> {
        let entry = self.connectors.get(connector)?.get(&canonical(partition))?;
        entry.keys.last().map(|(_, offset)| offset)
    }

    /// Whether exactly this offset is stored for a partition, byte by byte.
    pub fn is_stored(
        &self,
        connector: &str,
        partition: &SourcePartition,
        offset: &OffsetMap,
    ) -> bool {
        let bytes = |map: &OffsetMap| {
            let mut out = Vec::new();
            offset_map(map, &mut out);
            out
        };
        self.offset(connector, partition)
            .is_some_and(|stored| bytes(stored) == bytes(offset))
    }

    /// All partitions of a connector that have an offset, in the order in which they were first seen.
    pub fn partitions(
        &self,
        connector: &str,
    ) -> impl Iterator<Item = (&SourcePartition, &OffsetMap)> {
        self.connectors
            .get(connector)
            .into_iter()
            .flatten()
            .filter_map(|(_, e)| Some((&e.partition, &e.keys.last()?.1)))
    }

    /// Records that store `offset` (`None` forgets it). The key that a partition already has is used again, byte by byte, and keys that spell the same partition in
    /// another way are removed: else compaction would leave two positions, and a restart might take the older one (I5).
    pub fn writes(
        &self,
        connector: &str,
        partition: &SourcePartition,
        offset: Option<&OffsetMap>,
    ) -> Vec<TableWrite> {
        let live = self
            .connectors
            .get(connector)
            .and_then(|c| c.get(&canonical(partition)))
            .map_or(&[][..], |e| &e.keys);
        let value = offset.map(|offset| {
            let mut out = Vec::new();
            offset_map(offset, &mut out);
            out
        });
        let Some(((key, _), others)) = live.split_last() else {
            return vec![TableWrite {
                key: offset_key(connector, partition),
                value,
            }];
        };
        let first = TableWrite {
            key: key.clone(),
            value,
        };
        std::iter::once(first)
            .chain(others.iter().map(|(key, _)| TableWrite {
                key: key.clone(),
                value: None,
            }))
            .collect()
    }

    /// Takes one record in. The error says why it was ignored.
    pub fn apply_record(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        let Ok(Value::Array(parts)) = serde_json::from_slice(key) else {
            return Err("the key is no JSON array".to_owned());
        };
        let [Value::String(connector), partition] = parts.as_slice() else {
            return Err("the key is not [connector, partition]".to_owned());
        };
        let partition = match partition {
            Value::Null => None,
            map => Some(read_offset_map(map)?),
        };
        let offset = match value
            .map(serde_json::from_slice)
            .transpose()
            .map_err(|e| format!("the value is no JSON: {e}"))?
        {
            None | Some(Value::Null) => None,
            Some(map) => Some(read_offset_map(&map)?),
        };
        let entries = self.connectors.entry(connector.clone()).or_default();
        let entry = entries
            .entry(canonical(&partition))
            .or_insert_with(|| Entry {
                partition,
                keys: Vec::new(),
            });
        entry.keys.retain(|(k, _)| k != key);
        if let Some(offset) = offset {
            entry.keys.push((key.to_vec(), offset));
        }
        Ok(())
    }
}

impl TableState for OffsetState {
    fn apply(&mut self, record: TableRecord<'_>) {
        let result = record
            .key
            .ok_or("the key is null".to_owned())
            .and_then(|key| self.apply_record(key, record.value));
        if let Err(problem) = result {
            tracing::error!(
                partition = record.partition,
                offset = record.offset,
                problem,
                "record of the offset topic ignored"
            );
        }
    }
}

/// `["X",{…}]`
fn offset_key(connector: &str, partition: &SourcePartition) -> Vec<u8> {
    let mut key = vec![b'['];
    string(connector, &mut key);
    key.push(b',');
    match partition {
        Some(map) => offset_map(map, &mut key),
        None => key.extend_from_slice(b"null"),
    }
    key.push(b']');
    key
}

/// The same bytes for every order of the members.
fn canonical(partition: &SourcePartition) -> Vec<u8> {
    let Some(map) = partition else {
        return Vec::new();
    };
    let mut members: Vec<(&String, &OffsetValue)> = map.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    let sorted: OffsetMap = members
        .into_iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut out = Vec::new();
    offset_map(&sorted, &mut out);
    out
}

/// The offset topic, shared by all sources of the worker.
#[derive(Debug)]
pub struct OffsetStore {
    table: TableStore<OffsetState>,
}

impl OffsetStore {
    /// Over a topic that has been read.
    pub fn new(table: TableStore<OffsetState>) -> Self {
        Self { table }
    }

    /// The state as far as it has been read.
    pub fn state(&self) -> std::sync::RwLockReadGuard<'_, OffsetState> {
        self.table.state()
    }

    /// Name of the topic: where an atomic commit writes offsets itself.
    pub fn topic(&self) -> &str {
        self.table.topic()
    }

    /// Waits until everything written so far has been read.
    pub async fn read_to_end(&self) -> Result<(), LogError> {
        self.table.read_to_end().await
    }

    /// Stores offsets; durable when this returns.
    pub async fn put(&self, writes: Vec<TableWrite>) -> Result<(), LogError> {
        self.table.put(&writes).await
    }
}

/// Offsets of one connector, for its tasks.
#[derive(Debug)]
pub struct ConnectorOffsetReader {
    store: Arc<OffsetStore>,
    connector: Arc<str>,
}

impl ConnectorOffsetReader {
    /// A reader for `connector`.
    pub fn new(store: Arc<OffsetStore>, connector: Arc<str>) -> Self {
        Self { store, connector }
    }
}

impl OffsetReader for ConnectorOffsetReader {
    fn offset<'a>(
        &'a self,
        partition: &'a OffsetMap,
    ) -> BoxFuture<'a, Result<Option<OffsetMap>, TaskError>> {
        Box::pin(async move {
            self.store.read_to_end().await.map_err(|error| {
                let message = format!(
                    "Failed to fetch offsets from topic '{}': {error}",
                    self.store.topic()
                );
                if error.is_retriable() {
                    TaskError::retriable("offsets.read", message)
                } else {
                    TaskError::fatal("offsets.read", message)
                }
                .with_source(error)
            })?;
            Ok(self
                .store
                .state()
                .offset(&self.connector, &Some(partition.clone()))
                .cloned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, i64)]) -> OffsetMap {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), OffsetValue::Int(*v)))
            .collect()
    }

    fn apply(state: &mut OffsetState, writes: &[TableWrite]) {
        for write in writes {
            state
                .apply_record(&write.key, write.value.as_deref())
                .expect("applied");
        }
    }

    #[test]
    fn keys_and_values_have_java_s_bytes() {
        let state = OffsetState::default();
        let partition = Some(OffsetMap::from_iter([(
            "filename".to_owned(),
            OffsetValue::from("data/a.txt"),
        )]));
        let writes = state.writes(
            "local-file-source",
            &partition,
            Some(&map(&[("position", 30)])),
        );
        assert_eq!(
            writes[0].key,
            br#"["local-file-source",{"filename":"data/a.txt"}]"#
        );
        assert_eq!(writes[0].value.as_deref(), Some(&br#"{"position":30}"#[..]));
        assert_eq!(
            state.writes("X", &None, None)[0],
            TableWrite {
                key: br#"["X",null]"#.to_vec(),
                value: None
            }
        );
    }

    #[test]
    fn a_partition_is_found_whatever_the_order_of_its_members() {
        let mut state = OffsetState::default();
        state
            .apply_record(br#"["X",{"b":1,"a":2}]"#, Some(br#"{"p":7}"#))
            .expect("applied");
        let partition = Some(map(&[("a", 2), ("b", 1)]));
        assert_eq!(state.offset("X", &partition), Some(&map(&[("p", 7)])));
        let writes = state.writes("X", &partition, Some(&map(&[("p", 8)])));
        assert_eq!(writes.len(), 1);
        assert_eq!(
            writes[0].key, br#"["X",{"b":1,"a":2}]"#,
            "the bytes that are there are used again"
        );
    }

    #[test]
    fn two_spellings_become_one() {
        let mut state = OffsetState::default();
        state
            .apply_record(br#"["X",{"b":1,"a":2}]"#, Some(br#"{"p":7}"#))
            .expect("applied");
        state
            .apply_record(br#"["X",{"a":2,"b":1}]"#, Some(br#"{"p":9}"#))
            .expect("applied");
        let partition = Some(map(&[("a", 2), ("b", 1)]));
        assert_eq!(state.offset("X", &partition), Some(&map(&[("p", 9)])));
        let writes = state.writes("X", &partition, Some(&map(&[("p", 10)])));
        assert_eq!(
            writes
                .iter()
                .map(|w| (w.key.as_slice(), w.value.is_some()))
                .collect::<Vec<_>>(),
            [
                (&br#"["X",{"a":2,"b":1}]"#[..], true),
                (&br#"["X",{"b":1,"a":2}]"#[..], false)
            ]
        );
        apply(&mut state, &writes);
        assert_eq!(state.offset("X", &partition), Some(&map(&[("p", 10)])));
        let reset = state.writes("X", &partition, None);
        apply(&mut state, &reset);
        assert_eq!(
            (state.offset("X", &partition), state.partitions("X").count()),
            (None, 0)
        );
    }

    #[test]
    fn foreign_records_are_ignored() {
        let mut state = OffsetState::default();
        for (key, value) in [
            ("x", "{}"),
            ("[1,2]", "{}"),
            (r#"["X"]"#, "{}"),
            (r#"["X",{"a":[]}]"#, "{}"),
            (r#"["X",{}]"#, "{"),
            (r#"["X",{}]"#, "[]"),
        ] {
            assert!(
                state
                    .apply_record(key.as_bytes(), Some(value.as_bytes()))
                    .is_err(),
                "{key} {value}"
            );
        }
        assert_eq!(state.partitions("X").count(), 0);
        state
            .apply_record(br#"["X",null]"#, Some(br#"{"p":1}"#))
            .expect("a null partition is legal");
        assert!(state.offset("X", &None).is_some());
    }
}
