//! Messages in a message while it is being read: two of one field count as one, so that none is a value before all is read.

use millrace_api::data::{Blob, Value};

use crate::read_plan::FieldReader;

/// The bytes of a message in a message.
pub(crate) enum Part<'p> {
    Whole(&'p [u8]),
    /// Put together from several.
    Joined(Blob),
}

/// A key or a value of a map as far as it was read.
#[derive(Default)]
pub(crate) struct Element<'p> {
    pub(crate) value: Option<Value>,
    pub(crate) message: Option<Part<'p>>,
}

/// The messages in a message, each with its field.
#[derive(Default)]
pub(crate) struct Raw<'l, 'p> {
    pub(crate) parts: Vec<(&'l FieldReader, Part<'p>)>,
    highest: i32,
}

impl<'l, 'p> Raw<'l, 'p> {
    pub(crate) fn add(&mut self, field: &'l FieldReader, bytes: &'p [u8]) {
        // Numbers rise as a rule; then nothing needs to be searched for.
        if field.number > self.highest {
            self.highest = field.number;
        } else if let Some((_, before)) = self
            .parts
            .iter_mut()
            .find(|(before, _)| before.number == field.number)
        {
            before.append(bytes);
            return;
        }
        self.parts.push((field, Part::Whole(bytes)));
    }
}

impl Part<'_> {
    #[cold]
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        let before = match self {
            Self::Whole(before) => *before,
            Self::Joined(before) => before,
        };
        *self = Self::Joined(Blob::new([before, bytes].concat()));
    }
}
