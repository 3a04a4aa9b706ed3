use std::sync::Arc;

use super::Data;

/// A named value beside a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Name; need not be unique.
    pub name: Arc<str>,
    /// Value with its schema.
    pub data: Data,
}

/// Headers of a record, in order. None cost nothing, and headers that many records share cost one reference count each.
#[derive(Debug, Clone, Default)]
pub struct Headers(Option<Arc<Vec<Header>>>);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self(None)
    }

    /// Appends a header; copies the list first when it is shared.
    pub fn push(&mut self, name: impl Into<Arc<str>>, data: Data) {
        let list = self.0.get_or_insert_with(|| Arc::new(Vec::new()));
        Arc::make_mut(list).push(Header {
            name: name.into(),
            data,
        });
    }

    /// All headers in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.as_deref().map_or(&[][..], Vec::as_slice).iter()
    }

    /// The last header of this name, as Connect's `lastWithName`.
    pub fn last(&self, name: &str) -> Option<&Header> {
        self.iter().rev().find(|h| *h.name == *name)
    }

    /// Keeps the headers for which `keep` holds.
    pub fn retain(&mut self, keep: impl FnMut(&Header) -> bool) {
        if let Some(list) = &mut self.0 {
            Arc::make_mut(list).retain(keep);
            if list.is_empty() {
                self.0 = None;
            }
        }
    }

    /// Number of headers.
    pub fn len(&self) -> usize {
        self.iter().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both are one shared list: then whatever was computed from one holds for the other.
    pub fn same_list(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.same_list(other) || self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        let list: Vec<_> = headers.into_iter().collect();
        Self((!list.is_empty()).then(|| Arc::new(list)))
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
