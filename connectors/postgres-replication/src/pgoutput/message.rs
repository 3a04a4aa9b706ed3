//! The messages of the `pgoutput` plugin, borrowed from the bytes they were decoded from.
//!
//! Times are microseconds since 2000-01-01 00:00:00 UTC, as the server sends them.
//! `xid` fields that are `Option` are set only between [`Message::StreamStart`] and [`Message::StreamStop`]:
//! there the server prefixes each message with the (sub)transaction it belongs to.

use super::reader::Reader;
use super::tuple::TupleView;
use crate::Lsn;

/// A decoded pgoutput message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// `B`: a transaction starts.
    Begin(Begin),
    /// `C`: the transaction is complete.
    Commit(Commit),
    /// `O`: the transaction was itself replicated from elsewhere.
    Origin(Origin<'a>),
    /// `R`: the shape of a relation, before its first change and after each change of its shape.
    Relation(Relation<'a>),
    /// `Y`: the name of a type that is not built in.
    Type(Type<'a>),
    /// `I`: a new row.
    Insert(Insert<'a>),
    /// `U`: a changed row.
    Update(Update<'a>),
    /// `D`: a removed row.
    Delete(Delete<'a>),
    /// `T`: relations were truncated.
    Truncate(Truncate<'a>),
    /// `M`: written by `pg_logical_emit_message` (option `messages`).
    LogicalMessage(LogicalMessage<'a>),
    /// `S`: a piece of a transaction that is still in progress follows (version 2, option `streaming`).
    StreamStart(StreamStart),
    /// `E`: the piece ends.
    StreamStop,
    /// `c`: a transaction that was streamed in pieces is committed.
    StreamCommit(StreamCommit),
    /// `A`: a transaction or subtransaction that was streamed in pieces is rolled back.
    StreamAbort(StreamAbort),
    /// `b`: a transaction that will be prepared starts (version 3, option `two_phase`).
    BeginPrepare(BeginPrepare<'a>),
    /// `P`: the transaction is prepared.
    Prepare(Prepare<'a>),
    /// `K`: a prepared transaction is committed.
    CommitPrepared(CommitPrepared<'a>),
    /// `r`: a prepared transaction is rolled back.
    RollbackPrepared(RollbackPrepared<'a>),
    /// `p`: a transaction that was streamed in pieces is prepared.
    StreamPrepare(Prepare<'a>),
}

/// Start of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// Position of the commit record of this transaction ([`Commit::commit_lsn`]).
    pub final_lsn: Lsn,
    /// When it was committed.
    pub commit_time_us: i64,
    /// Transaction id.
    pub xid: u32,
}

/// End of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Unused by servers so far (0).
    pub flags: u8,
    /// Position of the commit record.
    pub commit_lsn: Lsn,
    /// Position behind the commit record: what a consumer confirms when it is done with the transaction.
    pub end_lsn: Lsn,
    /// When it was committed.
    pub commit_time_us: i64,
}

/// Where a transaction was first committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Commit position on the origin server.
    pub commit_lsn: Lsn,
    /// Name of the origin.
    pub name: &'a str,
}

/// What old rows contain: `REPLICA IDENTITY` of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// `d`: the primary key.
    Default,
    /// `n`: nothing.
    Nothing,
    /// `f`: all columns.
    Full,
    /// `i`: the columns of a chosen index.
    Index,
}

/// The shape of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation<'a> {
    /// Streamed transaction, see the module.
    pub xid: Option<u32>,
    /// `pg_class.oid`, which changes refer to.
    pub id: u32,
    /// Schema name; empty means `pg_catalog`.
    pub namespace: &'a str,
    /// Relation name.
    pub name: &'a str,
    /// What old rows contain.
    pub replica_identity: ReplicaIdentity,
    /// The published columns, in order.
    pub columns: RelationColumns<'a>,
}

/// A column of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// Bit 0: part of the replica identity.
    pub flags: u8,
    /// Column name.
    pub name: &'a str,
    /// `pg_type.oid`.
    pub type_oid: u32,
    /// `pg_attribute.atttypmod`, -1 when the type has none.
    pub type_modifier: i32,
}

impl Column<'_> {
    /// Whether the column is part of the replica identity (with `FULL` every column is).
    pub fn is_key(&self) -> bool {
        self.flags & 1 != 0
    }
}

/// The columns of a relation, checked when the message was decoded.
#[derive(Clone, Copy)]
pub struct RelationColumns<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) count: u16,
}

impl<'a> RelationColumns<'a> {
    /// Number of columns.
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The columns in order.
    pub fn iter(&self) -> impl Iterator<Item = Column<'a>> + use<'a> {
        let mut reader = self.reader;
        // Every column was read once when the message was decoded, so none fails here.
        (0..self.count).map_while(move |_| super::decoder::column(&mut reader).ok())
    }
}

impl PartialEq for RelationColumns<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

impl Eq for RelationColumns<'_> {}

impl std::fmt::Debug for RelationColumns<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The name of a user-defined type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type<'a> {
    /// Streamed transaction, see the module.
    pub xid: Option<u32>,
    /// `pg_type.oid`.
    pub id: u32,
    /// Schema name; empty means `pg_catalog`.
    pub namespace: &'a str,
    /// Type name.
    pub name: &'a str,
}

/// A new row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insert<'a> {
    /// Streamed transaction, see the module.
    pub xid: Option<u32>,
    /// [`Relation::id`].
    pub relation: u32,
    /// The row.
    pub new: TupleView<'a>,
}

/// What the server tells about the row before the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldTuple<'a> {
    /// `K`: only the columns of the replica identity are set; for an update only sent when they changed.
    Key(TupleView<'a>),
    /// `O`: the whole old row (`REPLICA IDENTITY FULL`).
    Full(TupleView<'a>),
}

impl<'a> OldTuple<'a> {
    /// The columns, whatever the kind.
    pub fn tuple(self) -> TupleView<'a> {
        match self {
            OldTuple::Key(tuple) | OldTuple::Full(tuple) => tuple,
        }
    }
}

/// A changed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update<'a> {
    /// Streamed transaction, see the module.
    pub xid: Option<u32>,
    /// [`Relation::id`].
    pub relation: u32,
    /// The old row or key, when the server sent one.
    pub old: Option<OldTuple<'a>>,
    /// The row after the change.
    pub new: TupleView<'a>,
}

/// A removed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delete<'a> {
    /// Streamed transaction, see the module.
    pub xid: Option<u32>,
    /// [`Relation::id`].
    pub relation: u32,
    /// The old row or its key.
    pub old: OldTuple<'a>,
}

/// Truncated relations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncate<'a> {
    /// Streamed transaction, see the module.
    pub xid: Option<u32>,
    /// Bit 0 `CASCADE`, bit 1 `RESTART IDENTITY`.
    pub options: u8,
    /// The relations.
    pub relations: RelationIds<'a>,
}

impl Truncate<'_> {
    /// Whether `CASCADE` was given.
    pub fn cascade(&self) -> bool {
        self.options & 1 != 0
    }

    /// Whether `RESTART IDENTITY` was given.
    pub fn restart_identity(&self) -> bool {
        self.options & 2 != 0
    }
}

/// Relation ids of a [`Truncate`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RelationIds<'a>(pub(super) &'a [u8]);

impl<'a> RelationIds<'a> {
    /// Number of relations.
    pub fn len(&self) -> usize {
        self.0.len() / 4
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ids in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.0
            .chunks_exact(4)
            .map(|id| u32::from_be_bytes([id[0], id[1], id[2], id[3]]))
    }
}

impl std::fmt::Debug for RelationIds<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A message written by `pg_logical_emit_message`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogicalMessage<'a> {
    /// Streamed transaction, see the module.
    pub xid: Option<u32>,
    /// Whether it belongs to the surrounding transaction; otherwise it stands alone and was sent at once.
    pub transactional: bool,
    /// Position of the message.
    pub lsn: Lsn,
    /// Its prefix.
    pub prefix: &'a str,
    /// Its content: any bytes.
    pub content: &'a [u8],
    /// Where `content` lies in the message.
    pub content_range: super::CellRange,
}

/// Start of a piece of an uncommitted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamStart {
    /// The top-level transaction.
    pub xid: u32,
    /// Whether this is the transaction's first piece.
    pub first_segment: bool,
}

/// Commit of a transaction that was streamed in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamCommit {
    /// The top-level transaction.
    pub xid: u32,
    /// The commit itself.
    pub commit: Commit,
}

/// Rollback of a streamed transaction or of one of its subtransactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamAbort {
    /// The top-level transaction.
    pub xid: u32,
    /// What is rolled back: `xid` itself or one of its subtransactions.
    pub subxid: u32,
    /// Position and time of the rollback, sent in version 4 with `streaming 'parallel'`.
    pub at: Option<(Lsn, i64)>,
}

/// Start of a transaction that will be prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeginPrepare<'a> {
    /// Position of the prepare record.
    pub prepare_lsn: Lsn,
    /// Position behind it.
    pub end_lsn: Lsn,
    /// When it was prepared.
    pub prepare_time_us: i64,
    /// Transaction id.
    pub xid: u32,
    /// Global transaction id given by the user.
    pub gid: &'a str,
}

/// A prepared transaction, as sent in one piece or streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepare<'a> {
    /// Unused by servers so far (0).
    pub flags: u8,
    /// Position of the prepare record.
    pub prepare_lsn: Lsn,
    /// Position behind it.
    pub end_lsn: Lsn,
    /// When it was prepared.
    pub prepare_time_us: i64,
    /// Transaction id.
    pub xid: u32,
    /// Global transaction id given by the user.
    pub gid: &'a str,
}

/// `COMMIT PREPARED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitPrepared<'a> {
    /// Unused by servers so far (0).
    pub flags: u8,
    /// Position of the commit record.
    pub commit_lsn: Lsn,
    /// Position behind it.
    pub end_lsn: Lsn,
    /// When it was committed.
    pub commit_time_us: i64,
    /// Transaction id.
    pub xid: u32,
    /// Global transaction id given by the user.
    pub gid: &'a str,
}

/// `ROLLBACK PREPARED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollbackPrepared<'a> {
    /// Unused by servers so far (0).
    pub flags: u8,
    /// Position behind the prepare record.
    pub prepare_end_lsn: Lsn,
    /// Position behind the rollback record.
    pub rollback_end_lsn: Lsn,
    /// When it was prepared.
    pub prepare_time_us: i64,
    /// When it was rolled back.
    pub rollback_time_us: i64,
    /// Transaction id.
    pub xid: u32,
    /// Global transaction id given by the user.
    pub gid: &'a str,
}
