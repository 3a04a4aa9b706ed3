//! Rows inside change messages: validated once, then walked without allocation.

use std::ops::Range;

use super::error::{DecodeError, Found};
use super::reader::Reader;

/// Where a column value lies, relative to the first byte (the tag) of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellRange {
    /// Bytes from the start of the message.
    pub offset: u32,
    /// Bytes of the value.
    pub len: u32,
}

impl CellRange {
    /// The range inside the message.
    pub fn as_range(self) -> Range<usize> {
        self.within(0)
    }

    /// The range inside a buffer in which the message starts at `message_offset`
    /// (for example [`XLogData::payload`](crate::XLogData::payload)'s offset).
    pub fn within(self, message_offset: u32) -> Range<usize> {
        let start = message_offset as usize + self.offset as usize;
        start..start + self.len as usize
    }
}

/// One column of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// SQL NULL. In a key tuple also every column that is no part of the replica identity.
    Null,
    /// An out-of-line value that the update did not touch; the server does not send it.
    UnchangedToast,
    /// The type's text output in the client encoding (UTF-8), not yet checked to be UTF-8.
    Text(CellRange),
    /// The type's binary output (only with the `binary` option).
    Binary(CellRange),
}

impl Cell {
    /// The value's range, whatever its format; `None` for NULL and unchanged TOAST.
    pub fn range(self) -> Option<CellRange> {
        match self {
            Cell::Text(range) | Cell::Binary(range) => Some(range),
            Cell::Null | Cell::UnchangedToast => None,
        }
    }
}

/// A row of a change message. All columns were checked when the message was decoded, so walking it cannot
/// fail; it borrows the message and allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TupleView<'a> {
    message: &'a [u8],
    /// Offset of the first column's kind byte.
    start: u32,
    columns: u16,
}

impl<'a> TupleView<'a> {
    /// Reads (checks and skips) a tuple.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let columns = reader.count16("the number of columns (2 bytes)")?;
        let start = u32::try_from(reader.position()).map_err(|_| {
            reader.error_at(
                reader.position(),
                "a message below 4 GiB",
                Found::OutOfPlace,
            )
        })?;
        for _ in 0..columns {
            let at = reader.position();
            match reader.u8("the kind of a column value")? {
                b'n' | b'u' => {}
                b't' | b'b' => {
                    let len = reader.count32("the length of a column value (4 bytes)")?;
                    reader.bytes(len as usize, "the bytes of a column value")?;
                }
                other => {
                    return Err(reader.error_at(
                        at,
                        "the kind of a column value: 'n', 'u', 't' or 'b'",
                        Found::Byte(other),
                    ));
                }
            }
        }
        if u32::try_from(reader.position()).is_err() {
            return Err(reader.error_at(
                reader.position(),
                "a message below 4 GiB",
                Found::OutOfPlace,
            ));
        }
        Ok(TupleView {
            message: reader.message(),
            start,
            columns,
        })
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.columns.into()
    }

    /// Whether the row has no column at all (a table without columns).
    pub fn is_empty(&self) -> bool {
        self.columns == 0
    }

    /// The columns in the order of the relation's columns.
    pub fn cells(&self) -> Cells<'a> {
        Cells {
            message: self.message,
            position: self.start as usize,
            left: self.columns,
        }
    }

    /// The bytes of a cell of this tuple; empty if the range is not inside the message.
    pub fn bytes(&self, range: CellRange) -> &'a [u8] {
        self.message.get(range.as_range()).unwrap_or_default()
    }
}

impl std::fmt::Debug for TupleView<'_> {
    /// Lists the kinds and ranges, never the values: rows hold personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.cells()).finish()
    }
}

impl<'a> IntoIterator for TupleView<'a> {
    type Item = Cell;
    type IntoIter = Cells<'a>;

    fn into_iter(self) -> Cells<'a> {
        self.cells()
    }
}

/// Iterator over the columns of a [`TupleView`].
#[derive(Debug, Clone)]
pub struct Cells<'a> {
    message: &'a [u8],
    position: usize,
    left: u16,
}

impl Cells<'_> {
    #[inline]
    fn value(&mut self) -> Option<CellRange> {
        let length = self.message.get(self.position..self.position + 4)?;
        let len = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        // Checked by `TupleView::read`: the whole tuple lies below 4 GiB.
        let offset = (self.position + 4) as u32;
        self.position += 4 + len as usize;
        Some(CellRange { offset, len })
    }
}

impl Iterator for Cells<'_> {
    type Item = Cell;

    #[inline]
    fn next(&mut self) -> Option<Cell> {
        self.left = self.left.checked_sub(1)?;
        let kind = *self.message.get(self.position)?;
        self.position += 1;
        match kind {
            b't' => Some(Cell::Text(self.value()?)),
            b'b' => Some(Cell::Binary(self.value()?)),
            b'u' => Some(Cell::UnchangedToast),
            _ => Some(Cell::Null),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.into(), Some(self.left.into()))
    }
}

impl ExactSizeIterator for Cells<'_> {}
