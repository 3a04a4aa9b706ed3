//! Any bytes as a replication stream: decoded or refused, and everything decoded can be walked.
//!
//! The first byte chooses the protocol version; then come messages, each after its length in one byte, so that a run can hold the state of a streamed transaction.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_replication::pgoutput::{Decoder, Message, OldTuple, ProtoVersion, TupleView};

fuzz_target!(|data: &[u8]| {
    let Some((version, mut rest)) = data.split_first() else {
        return;
    };
    let mut decoder = Decoder::new(ProtoVersion::try_from(version % 4 + 1).expect("1 to 4"));
    while let Some((length, tail)) = rest.split_first() {
        let (message, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        if let Ok(message) = decoder.decode(message) {
            walk(&message);
        }
    }
});

fn walk(message: &Message<'_>) {
    match message {
        Message::Relation(relation) => {
            assert_eq!(relation.columns.iter().count(), relation.columns.len())
        }
        Message::Insert(insert) => walk_tuple(insert.new),
        Message::Update(update) => {
            update.old.map(OldTuple::tuple).map(walk_tuple);
            walk_tuple(update.new);
        }
        Message::Delete(delete) => walk_tuple(delete.old.tuple()),
        Message::Truncate(truncate) => {
            assert_eq!(truncate.relations.iter().count(), truncate.relations.len())
        }
        _ => {}
    }
    let _ = format!("{message:?}");
}

fn walk_tuple(tuple: TupleView<'_>) {
    let mut cells = 0;
    for cell in tuple.cells() {
        cells += 1;
        if let Some(range) = cell.range() {
            let _ = tuple.bytes(range);
        }
    }
    assert_eq!(cells, tuple.len());
}
