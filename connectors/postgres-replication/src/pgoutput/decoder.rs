//! From bytes to [`Message`].

use super::error::{DecodeError, Found};
use super::message::*;
use super::reader::Reader;
use super::tuple::{CellRange, TupleView};

/// The version asked for with `proto_version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProtoVersion {
    /// Whole transactions after their commit (PostgreSQL 10).
    V1 = 1,
    /// Pieces of transactions in progress (14).
    V2 = 2,
    /// Prepared transactions (15).
    V3 = 3,
    /// Pieces that can be applied in parallel (16).
    V4 = 4,
}

impl ProtoVersion {
    /// The value of the `proto_version` option.
    pub fn as_str(self) -> &'static str {
        match self {
            ProtoVersion::V1 => "1",
            ProtoVersion::V2 => "2",
            ProtoVersion::V3 => "3",
            ProtoVersion::V4 => "4",
        }
    }
}

impl TryFrom<u8> for ProtoVersion {
    type Error = u8;

    /// Gives the number back when there is no such version.
    fn try_from(number: u8) -> Result<Self, u8> {
        match number {
            1 => Ok(ProtoVersion::V1),
            2 => Ok(ProtoVersion::V2),
            3 => Ok(ProtoVersion::V3),
            4 => Ok(ProtoVersion::V4),
            other => Err(other),
        }
    }
}

/// Decodes one replication stream: feed it the payload of each XLogData message in order.
///
/// Its only state is whether a piece of a streamed transaction is open, since messages inside of one carry
/// a transaction id more. Any input gives a message or an error, never a panic; after an error the state is as
/// before the message. Decoding allocates nothing.
#[derive(Debug, Clone)]
pub struct Decoder {
    version: ProtoVersion,
    open_stream: Option<u32>,
}

impl Decoder {
    /// A decoder for a stream started with this `proto_version`.
    pub fn new(version: ProtoVersion) -> Self {
        Decoder {
            version,
            open_stream: None,
        }
    }

    /// The top-level transaction of the open piece, between `StreamStart` and `StreamStop`.
    pub fn open_stream(&self) -> Option<u32> {
        self.open_stream
    }

    /// Decodes one message, tag byte first.
    ///
    /// # Errors
    /// When `message` is not exactly one message of the protocol version.
    pub fn decode<'a>(&mut self, message: &'a [u8]) -> Result<Message<'a>, DecodeError> {
        let mut reader = Reader::after_tag(message);
        let Some(tag) = message.first().copied() else {
            return Err(reader.error_at(0, "a message tag", Found::EndOfMessage { remaining: 0 }));
        };
        let r = &mut reader;
        let decoded = match tag {
            b'I' => self.insert(r)?,
            b'U' => self.update(r)?,
            b'D' => self.delete(r)?,
            b'B' => begin(r)?,
            b'C' => Message::Commit(commit(r)?),
            b'R' => self.relation(r)?,
            b'O' => origin(r)?,
            b'Y' => self.type_name(r)?,
            b'T' => self.truncate(r)?,
            b'M' => self.logical_message(r)?,
            b'S' | b'E' | b'c' | b'A' => {
                self.needs(ProtoVersion::V2, r)?;
                self.stream_control(tag, r)?
            }
            b'b' | b'P' | b'K' | b'r' | b'p' => {
                self.needs(ProtoVersion::V3, r)?;
                two_phase(tag, r)?
            }
            other => {
                return Err(r.error_at(0, "a message tag of pgoutput", Found::Byte(other)));
            }
        };
        reader.finish()?;
        match decoded {
            Message::StreamStart(start) => self.open_stream = Some(start.xid),
            Message::StreamStop => self.open_stream = None,
            _ => {}
        }
        Ok(decoded)
    }

    fn needs(&self, version: ProtoVersion, r: &Reader<'_>) -> Result<(), DecodeError> {
        if self.version >= version {
            Ok(())
        } else {
            let found = Found::NotInVersion(self.version as u8);
            Err(r.error_at(0, "a message of the negotiated version", found))
        }
    }

    /// The transaction id in front of messages inside a streamed piece.
    #[inline]
    fn streamed_xid(&self, r: &mut Reader<'_>) -> Result<Option<u32>, DecodeError> {
        match self.open_stream {
            None => Ok(None),
            Some(_) => r.u32("the streamed transaction id (4 bytes)").map(Some),
        }
    }

    #[inline]
    fn insert<'a>(&self, r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
        let xid = self.streamed_xid(r)?;
        let relation = relation_id(r)?;
        let at = r.position();
        match r.u8("the new row's marker")? {
            b'N' => {}
            other => return Err(r.error_at(at, "the new row's marker 'N'", Found::Byte(other))),
        }
        let new = TupleView::read(r)?;
        Ok(Message::Insert(Insert { xid, relation, new }))
    }

    fn update<'a>(&self, r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
        let xid = self.streamed_xid(r)?;
        let relation = relation_id(r)?;
        let mut at = r.position();
        let mut marker = r.u8("a row's marker")?;
        let mut old = None;
        if let b'K' | b'O' = marker {
            old = Some(old_tuple(marker, r)?);
            at = r.position();
            marker = r.u8("the new row's marker")?;
        }
        if marker != b'N' {
            let expected = match old {
                Some(_) => "the new row's marker 'N'",
                None => "a row's marker 'K', 'O' or 'N'",
            };
            return Err(r.error_at(at, expected, Found::Byte(marker)));
        }
        let new = TupleView::read(r)?;
        Ok(Message::Update(Update {
            xid,
            relation,
            old,
            new,
        }))
    }

    fn delete<'a>(&self, r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
        let xid = self.streamed_xid(r)?;
        let relation = relation_id(r)?;
        let at = r.position();
        let old = match r.u8("the old row's marker")? {
            marker @ (b'K' | b'O') => old_tuple(marker, r)?,
            other => {
                let expected = "the old row's marker 'K' or 'O'";
                return Err(r.error_at(at, expected, Found::Byte(other)));
            }
        };
        Ok(Message::Delete(Delete { xid, relation, old }))
    }

    fn relation<'a>(&self, r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
        let xid = self.streamed_xid(r)?;
        let id = relation_id(r)?;
        let namespace = r.text("the relation's schema name")?;
        let name = r.text("the relation's name")?;
        let at = r.position();
        let replica_identity = match r.u8("the replica identity")? {
            b'd' => ReplicaIdentity::Default,
            b'n' => ReplicaIdentity::Nothing,
            b'f' => ReplicaIdentity::Full,
            b'i' => ReplicaIdentity::Index,
            other => {
                let expected = "the replica identity: 'd', 'n', 'f' or 'i'";
                return Err(r.error_at(at, expected, Found::Byte(other)));
            }
        };
        let count = r.count16("the number of columns (2 bytes)")?;
        let columns = RelationColumns { reader: *r, count };
        for _ in 0..count {
            column(r)?;
        }
        Ok(Message::Relation(Relation {
            xid,
            id,
            namespace,
            name,
            replica_identity,
            columns,
        }))
    }

    fn type_name<'a>(&self, r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
        Ok(Message::Type(Type {
            xid: self.streamed_xid(r)?,
            id: r.u32("the type id (4 bytes)")?,
            namespace: r.text("the type's schema name")?,
            name: r.text("the type's name")?,
        }))
    }

    fn truncate<'a>(&self, r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
        let xid = self.streamed_xid(r)?;
        let count = r.count32("the number of relations (4 bytes)")? as usize;
        let options = r.u8("the truncate options")?;
        // Saturating: a count that overflows cannot fit in the message either.
        let ids = r.bytes(count.saturating_mul(4), "the relation ids (4 bytes each)")?;
        Ok(Message::Truncate(Truncate {
            xid,
            options,
            relations: RelationIds(ids),
        }))
    }

    fn logical_message<'a>(&self, r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
        let xid = self.streamed_xid(r)?;
        let flags = r.u8("the message flags")?;
        let lsn = r.lsn("the message's position (8 bytes)")?;
        let prefix = r.text("the message's prefix")?;
        let len = r.count32("the length of the content (4 bytes)")?;
        let at = r.position();
        let content = r.bytes(len as usize, "the content")?;
        let offset = u32::try_from(at)
            .map_err(|_| r.error_at(at, "a message below 4 GiB", Found::OutOfPlace))?;
        Ok(Message::LogicalMessage(LogicalMessage {
            xid,
            transactional: flags & 1 != 0,
            lsn,
            prefix,
            content,
            content_range: CellRange { offset, len },
        }))
    }

    fn stream_control<'a>(&self, tag: u8, r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
        let in_place = (tag == b'E') == self.open_stream.is_some();
        if !in_place {
            let expected = match self.open_stream {
                Some(_) => "changes of, or the end of, the open streamed transaction",
                None => "the start of a streamed transaction before its end",
            };
            return Err(r.error_at(0, expected, Found::OutOfPlace));
        }
        match tag {
            b'S' => Ok(Message::StreamStart(StreamStart {
                xid: r.u32("the transaction id (4 bytes)")?,
                first_segment: r.u8("the first-segment flag")? != 0,
            })),
            b'E' => Ok(Message::StreamStop),
            b'c' => Ok(Message::StreamCommit(StreamCommit {
                xid: r.u32("the transaction id (4 bytes)")?,
                commit: commit(r)?,
            })),
            _ => {
                let xid = r.u32("the transaction id (4 bytes)")?;
                let subxid = r.u32("the subtransaction id (4 bytes)")?;
                // Sent only with `streaming 'parallel'`, which the version alone does not tell.
                let at = if self.version >= ProtoVersion::V4 && r.remaining() > 0 {
                    Some((
                        r.lsn("the rollback's position (8 bytes)")?,
                        r.i64("the rollback's time (8 bytes)")?,
                    ))
                } else {
                    None
                };
                Ok(Message::StreamAbort(StreamAbort { xid, subxid, at }))
            }
        }
    }
}

#[inline]
fn relation_id(r: &mut Reader<'_>) -> Result<u32, DecodeError> {
    r.u32("the relation id (4 bytes)")
}

#[inline]
fn old_tuple<'a>(marker: u8, r: &mut Reader<'a>) -> Result<OldTuple<'a>, DecodeError> {
    let tuple = TupleView::read(r)?;
    Ok(match marker {
        b'K' => OldTuple::Key(tuple),
        _ => OldTuple::Full(tuple),
    })
}

pub(super) fn column<'a>(r: &mut Reader<'a>) -> Result<Column<'a>, DecodeError> {
    Ok(Column {
        flags: r.u8("a column's flags")?,
        name: r.text("a column's name")?,
        type_oid: r.u32("a column's type id (4 bytes)")?,
        type_modifier: r.i32("a column's type modifier (4 bytes)")?,
    })
}

fn begin<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(Message::Begin(Begin {
        final_lsn: r.lsn("the commit position (8 bytes)")?,
        commit_time_us: r.i64("the commit time (8 bytes)")?,
        xid: r.u32("the transaction id (4 bytes)")?,
    }))
}

fn commit(r: &mut Reader<'_>) -> Result<Commit, DecodeError> {
    Ok(Commit {
        flags: r.u8("the commit flags")?,
        commit_lsn: r.lsn("the commit position (8 bytes)")?,
        end_lsn: r.lsn("the end of the transaction (8 bytes)")?,
        commit_time_us: r.i64("the commit time (8 bytes)")?,
    })
}

fn origin<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(Message::Origin(Origin {
        commit_lsn: r.lsn("the commit position on the origin (8 bytes)")?,
        name: r.text("the origin's name")?,
    }))
}

fn prepare<'a>(r: &mut Reader<'a>) -> Result<Prepare<'a>, DecodeError> {
    Ok(Prepare {
        flags: r.u8("the prepare flags")?,
        prepare_lsn: r.lsn("the prepare position (8 bytes)")?,
        end_lsn: r.lsn("the end of the transaction (8 bytes)")?,
        prepare_time_us: r.i64("the prepare time (8 bytes)")?,
        xid: r.u32("the transaction id (4 bytes)")?,
        gid: r.text("the global transaction id")?,
    })
}

fn two_phase<'a>(tag: u8, r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(match tag {
        b'b' => Message::BeginPrepare(BeginPrepare {
            prepare_lsn: r.lsn("the prepare position (8 bytes)")?,
            end_lsn: r.lsn("the end of the transaction (8 bytes)")?,
            prepare_time_us: r.i64("the prepare time (8 bytes)")?,
            xid: r.u32("the transaction id (4 bytes)")?,
            gid: r.text("the global transaction id")?,
        }),
        b'P' => Message::Prepare(prepare(r)?),
        b'p' => Message::StreamPrepare(prepare(r)?),
        b'K' => Message::CommitPrepared(CommitPrepared {
            flags: r.u8("the commit flags")?,
            commit_lsn: r.lsn("the commit position (8 bytes)")?,
            end_lsn: r.lsn("the end of the transaction (8 bytes)")?,
            commit_time_us: r.i64("the commit time (8 bytes)")?,
            xid: r.u32("the transaction id (4 bytes)")?,
            gid: r.text("the global transaction id")?,
        }),
        _ => Message::RollbackPrepared(RollbackPrepared {
            flags: r.u8("the rollback flags")?,
            prepare_end_lsn: r.lsn("the end of the prepared transaction (8 bytes)")?,
            rollback_end_lsn: r.lsn("the end of the rollback (8 bytes)")?,
            prepare_time_us: r.i64("the prepare time (8 bytes)")?,
            rollback_time_us: r.i64("the rollback time (8 bytes)")?,
            xid: r.u32("the transaction id (4 bytes)")?,
            gid: r.text("the global transaction id")?,
        }),
    })
}
