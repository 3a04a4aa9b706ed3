//! The server's side of the protocol, for tests: owned messages and how they are written.

use pg_replication::Lsn;
use pg_replication::pgoutput::{
    Cell, Column, Message, OldTuple, Prepare, Relation, ReplicaIdentity, TupleView,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OwnedCell {
    Null,
    Toast,
    Text(Vec<u8>),
    Binary(Vec<u8>),
}

pub(crate) type OwnedTuple = Vec<OwnedCell>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedColumn {
    pub(crate) flags: u8,
    pub(crate) name: String,
    pub(crate) type_oid: u32,
    pub(crate) type_modifier: i32,
}

/// Numbers that most messages share, in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flags: u8,
    pub(crate) first: u64,
    pub(crate) second: u64,
    pub(crate) time: i64,
    pub(crate) xid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owned {
    Begin(u64, i64, u32),
    Commit(Header),
    Origin(u64, String),
    Relation {
        xid: Option<u32>,
        id: u32,
        namespace: String,
        name: String,
        identity: u8,
        columns: Vec<OwnedColumn>,
    },
    Type(Option<u32>, u32, String, String),
    Insert(Option<u32>, u32, OwnedTuple),
    Update(Option<u32>, u32, Option<(u8, OwnedTuple)>, OwnedTuple),
    Delete(Option<u32>, u32, u8, OwnedTuple),
    Truncate(Option<u32>, u8, Vec<u32>),
    Logical(Option<u32>, bool, u64, String, Vec<u8>),
    StreamStart(u32, bool),
    StreamStop,
    StreamCommit(u32, Header),
    StreamAbort(u32, u32, Option<(u64, i64)>),
    BeginPrepare(Header, String),
    Prepare(Header, String),
    StreamPrepare(Header, String),
    CommitPrepared(Header, String),
    RollbackPrepared(Header, i64, String),
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn tuple(out: &mut Vec<u8>, tuple: &[OwnedCell]) {
    out.extend_from_slice(&(tuple.len() as i16).to_be_bytes());
    for cell in tuple {
        let (kind, value) = match cell {
            OwnedCell::Null => (b'n', None),
            OwnedCell::Toast => (b'u', None),
            OwnedCell::Text(value) => (b't', Some(value)),
            OwnedCell::Binary(value) => (b'b', Some(value)),
        };
        out.push(kind);
        if let Some(value) = value {
            out.extend_from_slice(&(value.len() as i32).to_be_bytes());
            out.extend_from_slice(value);
        }
    }
}

impl Header {
    fn write(&self, out: &mut Vec<u8>, flags: bool, xid: bool) {
        if flags {
            out.push(self.flags);
        }
        out.extend_from_slice(&self.first.to_be_bytes());
        out.extend_from_slice(&self.second.to_be_bytes());
        out.extend_from_slice(&self.time.to_be_bytes());
        if xid {
            out.extend_from_slice(&self.xid.to_be_bytes());
        }
    }
}

pub(crate) fn encode(message: &Owned) -> Vec<u8> {
    let mut out = Vec::new();
    let start = |out: &mut Vec<u8>, tag: u8, xid: &Option<u32>| {
        out.push(tag);
        if let Some(xid) = xid {
            out.extend_from_slice(&xid.to_be_bytes());
        }
    };
    match message {
        Owned::Begin(lsn, time, xid) => {
            out.push(b'B');
            out.extend_from_slice(&lsn.to_be_bytes());
            out.extend_from_slice(&time.to_be_bytes());
            out.extend_from_slice(&xid.to_be_bytes());
        }
        Owned::Commit(header) => {
            out.push(b'C');
            header.write(&mut out, true, false);
        }
        Owned::Origin(lsn, name) => {
            out.push(b'O');
            out.extend_from_slice(&lsn.to_be_bytes());
            text(&mut out, name);
        }
        Owned::Relation {
            xid,
            id,
            namespace,
            name,
            identity,
            columns,
        } => {
            start(&mut out, b'R', xid);
            out.extend_from_slice(&id.to_be_bytes());
            text(&mut out, namespace);
            text(&mut out, name);
            out.push(*identity);
            out.extend_from_slice(&(columns.len() as i16).to_be_bytes());
            for column in columns {
                out.push(column.flags);
                text(&mut out, &column.name);
                out.extend_from_slice(&column.type_oid.to_be_bytes());
                out.extend_from_slice(&column.type_modifier.to_be_bytes());
            }
        }
        Owned::Type(xid, id, namespace, name) => {
            start(&mut out, b'Y', xid);
            out.extend_from_slice(&id.to_be_bytes());
            text(&mut out, namespace);
            text(&mut out, name);
        }
        Owned::Insert(xid, relation, new) => {
            start(&mut out, b'I', xid);
            out.extend_from_slice(&relation.to_be_bytes());
            out.push(b'N');
            tuple(&mut out, new);
        }
        Owned::Update(xid, relation, old, new) => {
            start(&mut out, b'U', xid);
            out.extend_from_slice(&relation.to_be_bytes());
            if let Some((kind, old)) = old {
                out.push(*kind);
                tuple(&mut out, old);
            }
            out.push(b'N');
            tuple(&mut out, new);
        }
        Owned::Delete(xid, relation, kind, old) => {
            start(&mut out, b'D', xid);
            out.extend_from_slice(&relation.to_be_bytes());
            out.push(*kind);
            tuple(&mut out, old);
        }
        Owned::Truncate(xid, options, relations) => {
            start(&mut out, b'T', xid);
            out.extend_from_slice(&(relations.len() as i32).to_be_bytes());
            out.push(*options);
            for relation in relations {
                out.extend_from_slice(&relation.to_be_bytes());
            }
        }
        Owned::Logical(xid, transactional, lsn, prefix, content) => {
            start(&mut out, b'M', xid);
            out.push((*transactional).into());
            out.extend_from_slice(&lsn.to_be_bytes());
            text(&mut out, prefix);
            out.extend_from_slice(&(content.len() as i32).to_be_bytes());
            out.extend_from_slice(content);
        }
        Owned::StreamStart(xid, first) => {
            start(&mut out, b'S', &Some(*xid));
            out.push((*first).into());
        }
        Owned::StreamStop => out.push(b'E'),
        Owned::StreamCommit(xid, header) => {
            start(&mut out, b'c', &Some(*xid));
            header.write(&mut out, true, false);
        }
        Owned::StreamAbort(xid, subxid, at) => {
            start(&mut out, b'A', &Some(*xid));
            out.extend_from_slice(&subxid.to_be_bytes());
            if let Some((lsn, time)) = at {
                out.extend_from_slice(&lsn.to_be_bytes());
                out.extend_from_slice(&time.to_be_bytes());
            }
        }
        Owned::BeginPrepare(header, gid) => {
            out.push(b'b');
            header.write(&mut out, false, true);
            text(&mut out, gid);
        }
        Owned::Prepare(header, gid)
        | Owned::StreamPrepare(header, gid)
        | Owned::CommitPrepared(header, gid) => {
            out.push(match message {
                Owned::Prepare(..) => b'P',
                Owned::StreamPrepare(..) => b'p',
                _ => b'K',
            });
            header.write(&mut out, true, true);
            text(&mut out, gid);
        }
        Owned::RollbackPrepared(header, rollback_time, gid) => {
            out.push(b'r');
            header.write(&mut out, true, false);
            out.extend_from_slice(&rollback_time.to_be_bytes());
            out.extend_from_slice(&header.xid.to_be_bytes());
            text(&mut out, gid);
        }
    }
    out
}

fn own_tuple(view: TupleView<'_>) -> OwnedTuple {
    let cells: OwnedTuple = view
        .cells()
        .map(|cell| match cell {
            Cell::Null => OwnedCell::Null,
            Cell::UnchangedToast => OwnedCell::Toast,
            Cell::Text(range) => OwnedCell::Text(view.bytes(range).to_vec()),
            Cell::Binary(range) => OwnedCell::Binary(view.bytes(range).to_vec()),
        })
        .collect();
    assert_eq!(cells.len(), view.len());
    cells
}

fn own_old(old: OldTuple<'_>) -> (u8, OwnedTuple) {
    match old {
        OldTuple::Key(tuple) => (b'K', own_tuple(tuple)),
        OldTuple::Full(tuple) => (b'O', own_tuple(tuple)),
    }
}

fn own_column(column: Column<'_>) -> OwnedColumn {
    OwnedColumn {
        flags: column.flags,
        name: column.name.to_owned(),
        type_oid: column.type_oid,
        type_modifier: column.type_modifier,
    }
}

fn own_relation(relation: Relation<'_>) -> Owned {
    Owned::Relation {
        xid: relation.xid,
        id: relation.id,
        namespace: relation.namespace.to_owned(),
        name: relation.name.to_owned(),
        identity: match relation.replica_identity {
            ReplicaIdentity::Default => b'd',
            ReplicaIdentity::Nothing => b'n',
            ReplicaIdentity::Full => b'f',
            ReplicaIdentity::Index => b'i',
        },
        columns: relation.columns.iter().map(own_column).collect(),
    }
}

fn header(flags: u8, first: Lsn, second: Lsn, time: i64, xid: u32) -> Header {
    Header {
        flags,
        first: first.0,
        second: second.0,
        time,
        xid,
    }
}

fn own_prepare(p: Prepare<'_>) -> (Header, String) {
    let header = header(p.flags, p.prepare_lsn, p.end_lsn, p.prepare_time_us, p.xid);
    (header, p.gid.to_owned())
}

/// What a decoded message says.
pub(crate) fn own(message: Message<'_>) -> Owned {
    match message {
        Message::Begin(m) => Owned::Begin(m.final_lsn.0, m.commit_time_us, m.xid),
        Message::Commit(m) => Owned::Commit(header(
            m.flags,
            m.commit_lsn,
            m.end_lsn,
            m.commit_time_us,
            0,
        )),
        Message::Origin(m) => Owned::Origin(m.commit_lsn.0, m.name.to_owned()),
        Message::Relation(m) => own_relation(m),
        Message::Type(m) => Owned::Type(m.xid, m.id, m.namespace.to_owned(), m.name.to_owned()),
        Message::Insert(m) => Owned::Insert(m.xid, m.relation, own_tuple(m.new)),
        Message::Update(m) => {
            Owned::Update(m.xid, m.relation, m.old.map(own_old), own_tuple(m.new))
        }
        Message::Delete(m) => {
            let (kind, old) = own_old(m.old);
            Owned::Delete(m.xid, m.relation, kind, old)
        }
        Message::Truncate(m) => Owned::Truncate(m.xid, m.options, m.relations.iter().collect()),
        Message::LogicalMessage(m) => Owned::Logical(
            m.xid,
            m.transactional,
            m.lsn.0,
            m.prefix.to_owned(),
            m.content.to_vec(),
        ),
        Message::StreamStart(m) => Owned::StreamStart(m.xid, m.first_segment),
        Message::StreamStop => Owned::StreamStop,
        Message::StreamCommit(m) => {
            let c = m.commit;
            let header = header(c.flags, c.commit_lsn, c.end_lsn, c.commit_time_us, 0);
            Owned::StreamCommit(m.xid, header)
        }
        Message::StreamAbort(m) => {
            Owned::StreamAbort(m.xid, m.subxid, m.at.map(|(lsn, time)| (lsn.0, time)))
        }
        Message::BeginPrepare(m) => Owned::BeginPrepare(
            header(0, m.prepare_lsn, m.end_lsn, m.prepare_time_us, m.xid),
            m.gid.to_owned(),
        ),
        Message::Prepare(m) => {
            let (header, gid) = own_prepare(m);
            Owned::Prepare(header, gid)
        }
        Message::StreamPrepare(m) => {
            let (header, gid) = own_prepare(m);
            Owned::StreamPrepare(header, gid)
        }
        Message::CommitPrepared(m) => Owned::CommitPrepared(
            header(m.flags, m.commit_lsn, m.end_lsn, m.commit_time_us, m.xid),
            m.gid.to_owned(),
        ),
        Message::RollbackPrepared(m) => Owned::RollbackPrepared(
            header(
                m.flags,
                m.prepare_end_lsn,
                m.rollback_end_lsn,
                m.prepare_time_us,
                m.xid,
            ),
            m.rollback_time_us,
            m.gid.to_owned(),
        ),
    }
}
