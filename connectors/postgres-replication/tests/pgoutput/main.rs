//! The decoder against a test-side encoder, against bytes cut off at every place, and against noise.

mod encoder;

use encoder::{Header, Owned, OwnedCell, OwnedColumn, OwnedTuple, encode, own};
use pg_replication::Lsn;
use pg_replication::pgoutput::{
    Cell, DecodeError, Decoder, Found, Message, OldTuple, ProtoVersion, ReplicaIdentity,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A decoder that is (or is not) inside of a streamed transaction.
fn decoder(version: ProtoVersion, streaming: bool) -> Decoder {
    let mut decoder = Decoder::new(version);
    if streaming {
        decoder
            .decode(&encode(&Owned::StreamStart(9, true)))
            .expect("a stream start");
    }
    decoder
}

fn text() -> impl Strategy<Value = String> {
    "[^\\x00]{0,12}"
}

fn cell() -> impl Strategy<Value = OwnedCell> {
    prop_oneof![
        Just(OwnedCell::Null),
        Just(OwnedCell::Toast),
        vec(any::<u8>(), 0..20).prop_map(OwnedCell::Text),
        vec(any::<u8>(), 0..20).prop_map(OwnedCell::Binary),
    ]
}

fn tuple() -> impl Strategy<Value = OwnedTuple> {
    vec(cell(), 0..8)
}

fn header(flags: bool, xid: bool) -> impl Strategy<Value = Header> {
    (
        any::<u8>(),
        any::<u64>(),
        any::<u64>(),
        any::<i64>(),
        any::<u32>(),
    )
        .prop_map(move |(some_flags, first, second, time, some_xid)| Header {
            flags: if flags { some_flags } else { 0 },
            first,
            second,
            time,
            xid: if xid { some_xid } else { 0 },
        })
}

fn column() -> impl Strategy<Value = OwnedColumn> {
    (any::<u8>(), text(), any::<u32>(), any::<i32>()).prop_map(
        |(flags, name, type_oid, type_modifier)| OwnedColumn {
            flags,
            name,
            type_oid,
            type_modifier,
        },
    )
}

fn identity() -> impl Strategy<Value = u8> {
    prop_oneof![Just(b'd'), Just(b'n'), Just(b'f'), Just(b'i')]
}

fn old_kind() -> impl Strategy<Value = u8> {
    prop_oneof![Just(b'K'), Just(b'O')]
}

/// Messages that may come inside of a streamed piece; `xid` says whether these do.
fn change(streaming: bool) -> BoxedStrategy<Owned> {
    let xid = move || any::<u32>().prop_map(move |xid| streaming.then_some(xid));
    prop_oneof![
        (
            xid(),
            any::<u32>(),
            text(),
            text(),
            identity(),
            vec(column(), 0..6)
        )
            .prop_map(
                |(xid, id, namespace, name, identity, columns)| Owned::Relation {
                    xid,
                    id,
                    namespace,
                    name,
                    identity,
                    columns
                }
            ),
        (xid(), any::<u32>(), text(), text()).prop_map(|(x, i, s, n)| Owned::Type(x, i, s, n)),
        (xid(), any::<u32>(), tuple()).prop_map(|(x, r, t)| Owned::Insert(x, r, t)),
        (
            xid(),
            any::<u32>(),
            option::of((old_kind(), tuple())),
            tuple()
        )
            .prop_map(|(x, r, o, n)| Owned::Update(x, r, o, n)),
        (xid(), any::<u32>(), old_kind(), tuple())
            .prop_map(|(x, r, k, o)| Owned::Delete(x, r, k, o)),
        (xid(), any::<u8>(), vec(any::<u32>(), 0..5))
            .prop_map(|(x, o, r)| Owned::Truncate(x, o, r)),
        (
            xid(),
            any::<bool>(),
            any::<u64>(),
            text(),
            vec(any::<u8>(), 0..30)
        )
            .prop_map(|(x, t, l, p, c)| Owned::Logical(x, t, l, p, c)),
        (any::<u64>(), text()).prop_map(|(l, n)| Owned::Origin(l, n)),
    ]
    .boxed()
}

/// Every message, with whether it comes inside of a streamed piece.
fn message() -> impl Strategy<Value = (bool, Owned)> {
    let outside = prop_oneof![
        (any::<u64>(), any::<i64>(), any::<u32>()).prop_map(|(l, t, x)| Owned::Begin(l, t, x)),
        header(true, false).prop_map(Owned::Commit),
        (any::<u32>(), any::<bool>()).prop_map(|(x, f)| Owned::StreamStart(x, f)),
        (any::<u32>(), header(true, false)).prop_map(|(x, h)| Owned::StreamCommit(x, h)),
        (
            any::<u32>(),
            any::<u32>(),
            option::of((any::<u64>(), any::<i64>()))
        )
            .prop_map(|(x, s, a)| Owned::StreamAbort(x, s, a)),
        (header(false, true), text()).prop_map(|(h, g)| Owned::BeginPrepare(h, g)),
        (header(true, true), text()).prop_map(|(h, g)| Owned::Prepare(h, g)),
        (header(true, true), text()).prop_map(|(h, g)| Owned::StreamPrepare(h, g)),
        (header(true, true), text()).prop_map(|(h, g)| Owned::CommitPrepared(h, g)),
        (header(true, true), any::<i64>(), text())
            .prop_map(|(h, t, g)| Owned::RollbackPrepared(h, t, g)),
        change(false),
    ];
    let inside = prop_oneof![change(true), Just(Owned::StreamStop)];
    prop_oneof![
        outside.prop_map(|message| (false, message)),
        inside.prop_map(|message| (true, message)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_server_writes_is_read_back((streaming, owned) in message()) {
        let bytes = encode(&owned);
        let decoded = decoder(ProtoVersion::V4, streaming).decode(&bytes).map(own);
        prop_assert_eq!(decoded, Ok(owned));
    }

    #[test]
    fn a_message_cut_off_anywhere_is_an_error((streaming, owned) in message()) {
        let bytes = encode(&owned);
        for end in 0..bytes.len() {
            // The end of an abort without its optional part is an abort.
            if matches!(owned, Owned::StreamAbort(_, _, Some(_))) && end == bytes.len() - 16 {
                continue;
            }
            let error = decoder(ProtoVersion::V4, streaming)
                .decode(&bytes[..end])
                .expect_err("cut off");
            prop_assert!(error.offset <= end, "{}", error);
            let early_end = matches!(error.found, Found::EndOfMessage { .. });
            prop_assert!(early_end, "{}", error);
        }
        let mut longer = bytes.clone();
        longer.push(0);
        if !matches!(owned, Owned::StreamAbort(_, _, None)) {
            let error = decoder(ProtoVersion::V4, streaming).decode(&longer).expect_err("too long");
            prop_assert_eq!(error.found, Found::TrailingBytes { count: 1 });
            prop_assert_eq!(error.offset, bytes.len());
        }
    }

    #[test]
    fn noise_never_panics(tag in any::<u8>(), noise in vec(any::<u8>(), 0..200), streaming: bool, version in 1u8..=4) {
        let version = ProtoVersion::try_from(version).expect("1 to 4");
        let streaming = streaming && version >= ProtoVersion::V2;
        let mut known_tag = vec![b"BCORYIUDTMSEcAbPKrp"[usize::from(tag) % 19]];
        known_tag.extend_from_slice(&noise);
        for bytes in [&noise, &known_tag] {
            let mut decoder = decoder(version, streaming);
            match decoder.decode(bytes) {
                Ok(message) => drop(own(message)),
                Err(error) => {
                    prop_assert!(error.offset <= bytes.len());
                    prop_assert_eq!(decoder.open_stream().is_some(), streaming);
                    error.to_string();
                }
            }
        }
    }

    #[test]
    fn damaged_messages_never_panic((streaming, owned) in message(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = encode(&owned);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(message) = decoder(ProtoVersion::V4, streaming).decode(&bytes) {
            own(message);
        }
    }
}

/// `hex` with spaces, as PostgreSQL 15.18's `pg_logical_slot_peek_binary_changes` gave it.
fn recorded(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks_exact(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("hex digits")
        })
        .collect()
}

fn failure(bytes: &[u8], version: ProtoVersion) -> DecodeError {
    Decoder::new(version).decode(bytes).expect_err("refused")
}

#[test]
fn recorded_relation() {
    // CREATE TABLE public.t (id int PRIMARY KEY, name varchar(20), big text)
    let bytes = recorded(
        "52 00004001 7075626c696300 7400 64 0003
         01 696400 00000017 ffffffff
         00 6e616d6500 00000413 00000018
         00 62696700 00000019 ffffffff",
    );
    let mut decoder = Decoder::new(ProtoVersion::V1);
    let Ok(Message::Relation(relation)) = decoder.decode(&bytes) else {
        panic!("a relation");
    };
    assert_eq!(
        (relation.id, relation.namespace, relation.name),
        (0x4001, "public", "t")
    );
    assert_eq!(relation.replica_identity, ReplicaIdentity::Default);
    let columns: Vec<_> = relation
        .columns
        .iter()
        .map(|c| (c.is_key(), c.name, c.type_oid, c.type_modifier))
        .collect();
    assert_eq!(
        columns,
        [
            (true, "id", 23, -1),
            (false, "name", 1043, 24),
            (false, "big", 25, -1)
        ]
    );
}

#[test]
fn recorded_update_with_key_and_unchanged_toast() {
    let bytes = recorded(
        "55 00004001 4b 0003 74 00000001 31 6e 6e
         4e 0003 74 00000001 32 74 00000002 6869 75",
    );
    let mut decoder = Decoder::new(ProtoVersion::V1);
    let Ok(Message::Update(update)) = decoder.decode(&bytes) else {
        panic!("an update");
    };
    let Some(OldTuple::Key(old)) = update.old else {
        panic!("the old key");
    };
    let values = |tuple: pg_replication::pgoutput::TupleView<'_>| -> Vec<String> {
        tuple
            .cells()
            .map(|cell| match cell {
                Cell::Null => "null".to_owned(),
                Cell::UnchangedToast => "toast".to_owned(),
                Cell::Text(range) | Cell::Binary(range) => {
                    // The range is relative to the message: a frame can be sliced by it.
                    assert_eq!(&bytes[range.as_range()], tuple.bytes(range));
                    String::from_utf8_lossy(tuple.bytes(range)).into_owned()
                }
            })
            .collect()
    };
    assert_eq!(values(old), ["1", "null", "null"]);
    assert_eq!(values(update.new), ["2", "hi", "toast"]);
}

#[test]
fn recorded_begin_delete_and_commit() {
    let mut decoder = Decoder::new(ProtoVersion::V1);
    let bytes = recorded("42 0000000001925b70 00030438a08187c6 000002da");
    let Ok(Message::Begin(begin)) = decoder.decode(&bytes) else {
        panic!("a begin");
    };
    assert_eq!((begin.final_lsn, begin.xid), (Lsn(0x0192_5B70), 730));
    // 2026-11-27 03:43 UTC.
    assert_eq!(begin.commit_time_us / 1_000_000, 849_066_187);

    let bytes = recorded("44 00004001 4b 0003 74 00000001 32 6e 6e");
    let Ok(Message::Delete(delete)) = decoder.decode(&bytes) else {
        panic!("a delete");
    };
    assert!(matches!(delete.old, OldTuple::Key(key) if key.len() == 3));

    let bytes = recorded("43 00 0000000001925b70 0000000001925ba0 00030438a08187c6");
    let Ok(Message::Commit(commit)) = decoder.decode(&bytes) else {
        panic!("a commit");
    };
    assert_eq!(commit.commit_lsn, begin.final_lsn);
    assert_eq!(commit.end_lsn.to_string(), "0/1925BA0");
    assert_eq!(commit.commit_time_us, begin.commit_time_us);
}

#[test]
fn changes_inside_a_streamed_piece_carry_their_transaction() {
    let mut decoder = Decoder::new(ProtoVersion::V2);
    let insert = Owned::Insert(Some(7), 1, vec![OwnedCell::Null]);
    let outside = Owned::Insert(None, 1, vec![OwnedCell::Null]);
    for owned in [
        Owned::StreamStart(5, true),
        insert,
        Owned::StreamStop,
        outside,
        Owned::StreamAbort(5, 7, None),
    ] {
        let bytes = encode(&owned);
        assert_eq!(decoder.decode(&bytes).map(own), Ok(owned));
    }
    assert_eq!(decoder.open_stream(), None);
}

#[test]
fn stream_control_out_of_place_is_refused() {
    let stop = encode(&Owned::StreamStop);
    let error = failure(&stop, ProtoVersion::V2);
    assert_eq!(error.found, Found::OutOfPlace);
    let start = encode(&Owned::StreamStart(1, false));
    let mut open = decoder(ProtoVersion::V2, true);
    assert_eq!(
        open.decode(&start).expect_err("already open").found,
        Found::OutOfPlace
    );
    assert_eq!(open.open_stream(), Some(9));
}

#[test]
fn messages_of_later_versions_are_refused() {
    let piece = encode(&Owned::StreamStart(1, true));
    assert_eq!(
        failure(&piece, ProtoVersion::V1).found,
        Found::NotInVersion(1)
    );
    for tag in *b"bPKrp" {
        assert_eq!(
            failure(&[tag], ProtoVersion::V2).found,
            Found::NotInVersion(2)
        );
    }
    // Version 4 added position and time to aborts.
    let abort = encode(&Owned::StreamAbort(1, 1, Some((2, 3))));
    assert_eq!(
        failure(&abort, ProtoVersion::V3).found,
        Found::TrailingBytes { count: 16 }
    );
}

#[test]
fn errors_name_the_message_the_place_and_what_was_expected() {
    let cases: [(&[u8], &str); 7] = [
        (
            b"",
            "empty pgoutput message at byte 0: expected a message tag, found the end of the message",
        ),
        (
            b"Z",
            "pgoutput message 'Z' at byte 0: expected a message tag of pgoutput, found byte 'Z'",
        ),
        (b"\x01", "pgoutput message 0x01 at byte 0"),
        (
            b"I\0\0\0\x01N\0\x01t\0\0\0\x05abc",
            "pgoutput message 'I' at byte 13: expected the bytes of a column value, found the end of the message after 3 more bytes",
        ),
        (
            b"I\0\0\0\x01N\0\x01t\xff\xff\xff\xff",
            "at byte 9: expected the length of a column value (4 bytes), found -1",
        ),
        (
            b"I\0\0\0\x01N\0\x01x",
            "at byte 8: expected the kind of a column value: 'n', 'u', 't' or 'b', found byte 'x'",
        ),
        (
            b"Y\0\0\0\x01\xff\0t\0",
            "at byte 5: expected the type's schema name, found bytes that are not UTF-8",
        ),
    ];
    for (bytes, expected) in cases {
        let error = failure(bytes, ProtoVersion::V1).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn debug_does_not_show_values() {
    let bytes = encode(&Owned::Insert(
        None,
        1,
        vec![OwnedCell::Text(b"secret".to_vec())],
    ));
    let shown = format!("{:?}", Decoder::new(ProtoVersion::V1).decode(&bytes));
    assert!(
        shown.contains("Text") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn logical_message_content_range() {
    let owned = Owned::Logical(None, true, 3, "p".into(), b"content".to_vec());
    let bytes = encode(&owned);
    let Ok(Message::LogicalMessage(m)) = Decoder::new(ProtoVersion::V1).decode(&bytes) else {
        panic!("a logical message");
    };
    assert_eq!(&bytes[m.content_range.as_range()], b"content");
    assert_eq!((m.transactional, m.lsn, m.prefix), (true, Lsn(3), "p"));
}
