//! Decoder for the messages of PostgreSQL's `pgoutput` plugin, protocol versions 1 to 4.
//!
//! No I/O and no clock: bytes in, borrowed messages out, nothing allocated. Every column range is an
//! offset and a length relative to the message, so a caller that holds the frame in a shared buffer can
//! slice the buffer instead of copying the value:
//!
//! ```
//! use pg_replication::pgoutput::{Cell, Decoder, Message, ProtoVersion};
//!
//! let mut decoder = Decoder::new(ProtoVersion::V1);
//! let frame = b"I\0\0\x40\0N\0\x02t\0\0\0\x0242n";
//! let Message::Insert(insert) = decoder.decode(frame)? else { panic!("an insert") };
//! let mut cells = insert.new.cells();
//! let Some(Cell::Text(range)) = cells.next() else { panic!("a value") };
//! assert_eq!(&frame[range.as_range()], b"42");
//! assert_eq!(cells.next(), Some(Cell::Null));
//! # Ok::<(), pg_replication::pgoutput::DecodeError>(())
//! ```

mod decoder;
mod error;
mod message;
mod reader;
mod tuple;

pub use decoder::{Decoder, ProtoVersion};
pub use error::{DecodeError, Found};
pub use message::{
    Begin, BeginPrepare, Column, Commit, CommitPrepared, Delete, Insert, LogicalMessage, Message,
    OldTuple, Origin, Prepare, Relation, RelationColumns, RelationIds, ReplicaIdentity,
    RollbackPrepared, StreamAbort, StreamCommit, StreamStart, Truncate, Type, Update,
};
pub use tuple::{Cell, CellRange, Cells, TupleView};
