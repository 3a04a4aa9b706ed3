//! Source offsets: packed while they travel with records, a map when stored.

use millrace_api::data::{OffsetMap, OffsetValue, SourceOffset};

/// Last message that moved the position, as stored in `messageType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageType {
    Begin,
    Commit,
    Insert,
    Update,
    Delete,
    Truncate,
    Message,
}

const TYPES: [(MessageType, &str); 7] = [
    (MessageType::Begin, "BEGIN"),
    (MessageType::Commit, "COMMIT"),
    (MessageType::Insert, "INSERT"),
    (MessageType::Update, "UPDATE"),
    (MessageType::Delete, "DELETE"),
    (MessageType::Truncate, "TRUNCATE"),
    (MessageType::Message, "MESSAGE"),
];

/// How far a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotProgress {
    Running,
    /// This was the last record.
    Done,
}

/// A position in the stream or in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Position {
    /// Of the event.
    pub(crate) lsn: u64,
    /// Last LSN that is completely processed; streaming only.
    pub(crate) lsn_proc: Option<u64>,
    /// End of the last commit; streaming only, once there was one.
    pub(crate) lsn_commit: Option<u64>,
    pub(crate) tx_id: Option<u32>,
    /// Microseconds since the epoch.
    pub(crate) ts_usec: i64,
    pub(crate) message: Option<MessageType>,
    /// Changes in a row with this same LSN; 0 after a commit.
    pub(crate) events: u32,
    pub(crate) snapshot: Option<SnapshotProgress>,
}

impl Position {
    /// Five words: lsn, lsn_proc, lsn_commit, ts_usec, and transaction, count and flags in one.
    pub(crate) fn pack(&self) -> SourceOffset {
        let message = self.message.map_or(0, |m| {
            1 + TYPES.iter().position(|(t, _)| *t == m).unwrap_or(0) as u64
        });
        let snapshot = match self.snapshot {
            None => 0,
            Some(SnapshotProgress::Running) => 1,
            Some(SnapshotProgress::Done) => 2,
        };
        let flags = message
            | snapshot << 4
            | u64::from(self.tx_id.is_some()) << 6
            | u64::from(self.lsn_proc.is_some()) << 7
            | u64::from(self.lsn_commit.is_some()) << 8;
        // More than a million changes of one LSN: they count as a million, and a restart there sends the rest again.
        let events = u64::from(self.events.min(0xf_ffff));
        let last = u64::from(self.tx_id.unwrap_or(0)) << 32 | events << 12 | flags;
        SourceOffset::Packed([
            self.lsn,
            self.lsn_proc.unwrap_or(0),
            self.lsn_commit.unwrap_or(0),
            self.ts_usec as u64,
            last,
        ])
    }

    fn unpack(words: &[u64; 5]) -> Self {
        let last = words[4];
        let message = (last & 0xf) as usize;
        Self {
            lsn: words[0],
            lsn_proc: (last >> 7 & 1 == 1).then_some(words[1]),
            lsn_commit: (last >> 8 & 1 == 1).then_some(words[2]),
            tx_id: (last >> 6 & 1 == 1).then_some((last >> 32) as u32),
            ts_usec: words[3] as i64,
            message: message
                .checked_sub(1)
                .and_then(|i| TYPES.get(i))
                .map(|(t, _)| *t),
            events: (last >> 12 & 0xf_ffff) as u32,
            snapshot: match last >> 4 & 3 {
                1 => Some(SnapshotProgress::Running),
                2 => Some(SnapshotProgress::Done),
                _ => None,
            },
        }
    }

    /// The map to store, members in the order in which Debezium writes them.
    pub(crate) fn to_map(self) -> OffsetMap {
        let mut map = OffsetMap::new();
        let mut put = |key: &str, value: OffsetValue| {
            map.insert(key.to_owned(), value);
        };
        let tx_id = self.tx_id.map(|id| OffsetValue::Int(i64::from(id)));
        if let Some(progress) = self.snapshot {
            let done = progress == SnapshotProgress::Done;
            put("last_snapshot_record", done.into());
            put("lsn", (self.lsn as i64).into());
            if let Some(id) = tx_id {
                put("txId", id);
            }
            put("ts_usec", self.ts_usec.into());
            put("snapshot", "INITIAL".into());
            put("snapshot_completed", done.into());
            return map;
        }
        if let Some(lsn) = self.lsn_proc {
            put("lsn_proc", (lsn as i64).into());
        }
        if self.events > 0 {
            put("lsn_events_processed", i64::from(self.events).into());
        }
        if let Some(message) = self.message {
            let text = TYPES
                .iter()
                .find(|(t, _)| *t == message)
                .map_or("", |(_, text)| text);
            put("messageType", text.into());
        }
        if let Some(lsn) = self.lsn_commit {
            put("lsn_commit", (lsn as i64).into());
        }
        put("lsn", (self.lsn as i64).into());
        if let Some(id) = tx_id {
            put("txId", id);
        }
        put("ts_usec", self.ts_usec.into());
        map
    }

    pub(crate) fn map_of(words: &[u64; 5]) -> OffsetMap {
        Self::unpack(words).to_map()
    }

    /// Reads a stored offset, also one that Debezium wrote. `None`: neither `lsn` nor `lsn_proc` is in it.
    pub(crate) fn from_map(map: &OffsetMap) -> Option<Self> {
        let long = |key: &str| map.get(key).and_then(OffsetValue::as_i64);
        let lsn_proc = long("lsn_proc").map(|v| v as u64);
        let lsn = long("lsn").map(|v| v as u64).or(lsn_proc)?;
        let flag = |key: &str| map.get(key).and_then(OffsetValue::as_bool).unwrap_or(false);
        let snapshot = match map.get("snapshot") {
            None | Some(OffsetValue::Null) => None,
            Some(_) if flag("last_snapshot_record") || flag("snapshot_completed") => {
                Some(SnapshotProgress::Done)
            }
            Some(_) => Some(SnapshotProgress::Running),
        };
        Some(Self {
            lsn,
            lsn_proc,
            lsn_commit: long("lsn_commit").map(|v| v as u64),
            tx_id: long("txId").and_then(|v| u32::try_from(v).ok()),
            ts_usec: long("ts_usec").unwrap_or(0),
            message: map
                .get("messageType")
                .and_then(OffsetValue::as_str)
                .and_then(|text| TYPES.iter().find(|(_, t)| *t == text))
                .map(|(m, _)| *m),
            events: long("lsn_events_processed")
                .and_then(|v| u32::try_from(v).ok())
                .unwrap_or(0),
            snapshot,
        })
    }

    /// What may be confirmed to the server once this position is stored: the last commit, else the last change.
    pub(crate) fn confirmable(&self) -> Option<u64> {
        self.lsn_commit.or(self.lsn_proc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_loses_nothing() {
        let positions = [
            Position {
                lsn: 7,
                ..Position::default()
            },
            Position {
                lsn: u64::MAX,
                lsn_proc: Some(0),
                lsn_commit: None,
                tx_id: Some(u32::MAX),
                ts_usec: -1,
                message: Some(MessageType::Message),
                events: 0xf_ffff,
                snapshot: None,
            },
            Position {
                lsn: 1,
                snapshot: Some(SnapshotProgress::Done),
                tx_id: Some(0),
                ..Position::default()
            },
            Position {
                lsn: 3,
                lsn_proc: Some(3),
                lsn_commit: Some(2),
                message: Some(MessageType::Begin),
                events: 1,
                ..Position::default()
            },
        ];
        for position in positions {
            match position.pack() {
                SourceOffset::Packed(words) => assert_eq!(Position::unpack(&words), position),
                SourceOffset::Map(_) => panic!("packed"),
            }
        }
    }

    #[test]
    fn members_are_stored_in_debeziums_order() {
        let streaming = Position {
            lsn: 5,
            lsn_proc: Some(5),
            lsn_commit: Some(4),
            tx_id: Some(9),
            ts_usec: 1,
            message: Some(MessageType::Insert),
            events: 1,
            snapshot: None,
        };
        let keys: Vec<String> = streaming.to_map().keys().cloned().collect();
        assert_eq!(
            keys,
            [
                "lsn_proc",
                "lsn_events_processed",
                "messageType",
                "lsn_commit",
                "lsn",
                "txId",
                "ts_usec"
            ]
        );
        assert_eq!(Position::from_map(&streaming.to_map()), Some(streaming));
        let snapshot = Position {
            lsn: 5,
            tx_id: Some(9),
            ts_usec: 1,
            snapshot: Some(SnapshotProgress::Running),
            ..Position::default()
        };
        let keys: Vec<String> = snapshot.to_map().keys().cloned().collect();
        assert_eq!(
            keys,
            [
                "last_snapshot_record",
                "lsn",
                "txId",
                "ts_usec",
                "snapshot",
                "snapshot_completed"
            ]
        );
        assert_eq!(Position::from_map(&snapshot.to_map()), Some(snapshot));
    }

    #[test]
    fn offsets_of_older_versions_are_understood() {
        let mut map = OffsetMap::new();
        map.insert("lsn".into(), 10.into());
        map.insert("snapshot".into(), true.into());
        assert_eq!(
            Position::from_map(&map).and_then(|p| p.snapshot),
            Some(SnapshotProgress::Running)
        );
        map.insert("last_snapshot_record".into(), true.into());
        assert_eq!(
            Position::from_map(&map).and_then(|p| p.snapshot),
            Some(SnapshotProgress::Done)
        );
        assert_eq!(Position::from_map(&OffsetMap::new()), None);
    }
}
