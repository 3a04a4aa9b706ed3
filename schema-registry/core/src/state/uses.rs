//! Which versions carry an id.

use std::sync::Arc;

use indexmap::IndexMap;
use java_idioms::java_hash;

use crate::content::Entry;

/// Versions of one id. Of a subject only the version put last is shown, as in the original.
#[derive(Debug, Clone)]
pub(crate) enum Uses {
    /// The usual case.
    One(Use),
    /// By full name of the subject, in the order in which they came.
    Many(Box<Many>),
}

/// The versions of one subject that carry the id.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    /// Put last.
    entry: Arc<Entry>,
    /// Further versions, in their order.
    older: Vec<i32>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Many {
    subjects: IndexMap<Box<str>, Use>,
    /// Index of the first in the original's order, once it was needed.
    first: Option<usize>,
}

impl Use {
    fn new(entry: Arc<Entry>) -> Self {
        Self {
            entry,
            older: Vec::new(),
        }
    }

    fn put(&mut self, entry: Arc<Entry>) {
        if self.entry.version != entry.version {
            self.older.retain(|version| *version != entry.version);
            self.older.push(self.entry.version);
        }
        self.entry = entry;
    }
}

/// How many buckets the original's concurrent map has with so many keys.
fn buckets(keys: usize) -> usize {
    let mut buckets = 16;
    while keys >= buckets * 3 / 4 {
        buckets *= 2;
    }
    buckets
}

fn bucket(subject: &str, buckets: usize) -> usize {
    let hash = java_hash(subject);
    ((hash ^ (hash >> 16)) & 0x7fff_ffff) as usize & (buckets - 1)
}

impl Uses {
    pub(super) fn new(entry: Arc<Entry>) -> Self {
        Self::One(Use::new(entry))
    }

    /// Adds a version, or replaces it.
    pub(super) fn put(&mut self, entry: Arc<Entry>) {
        match self {
            Self::One(one) if one.entry.subject == entry.subject => one.put(entry),
            Self::One(one) => {
                let mut many = Many::default();
                let one = std::mem::replace(one, Use::new(Arc::clone(&entry)));
                many.subjects
                    .insert(one.entry.subject.to_string().into(), one);
                many.subjects
                    .insert(entry.subject.to_string().into(), Use::new(entry));
                *self = Self::Many(Box::new(many));
            }
            Self::Many(many) => {
                let name = entry.subject.to_string();
                if let Some(found) = many.subjects.get_mut(name.as_str()) {
                    found.put(entry);
                    return;
                }
                let before = many.subjects.len();
                let at = bucket(&name, buckets(before + 1));
                // A later key comes first only from a lower bucket; with more buckets all are placed anew.
                many.first = match many.first {
                    Some(first) if buckets(before) == buckets(before + 1) => {
                        let first_at = many
                            .subjects
                            .get_index(first)
                            .map_or(0, |(k, _)| bucket(k, buckets(before)));
                        Some(if at < first_at { before } else { first })
                    }
                    _ => None,
                };
                many.subjects.insert(name.into(), Use::new(entry));
            }
        }
    }

    /// Takes a version out; `find` gives another version of the same subject. Returns whether none is left.
    pub(super) fn remove(
        &mut self,
        entry: &Entry,
        find: impl Fn(i32) -> Option<Arc<Entry>>,
    ) -> bool {
        fn remove(
            found: &mut Use,
            entry: &Entry,
            find: impl Fn(i32) -> Option<Arc<Entry>>,
        ) -> bool {
            if found.entry.version != entry.version {
                found.older.retain(|version| *version != entry.version);
                return false;
            }
            while let Some(version) = found.older.pop() {
                if let Some(older) = find(version) {
                    found.entry = older;
                    return false;
                }
            }
            true
        }
        match self {
            Self::One(one) => one.entry.subject == entry.subject && remove(one, entry, find),
            Self::Many(many) => {
                let name = entry.subject.to_string();
                if many
                    .subjects
                    .get_mut(name.as_str())
                    .is_some_and(|found| remove(found, entry, find))
                {
                    many.subjects.swap_remove(name.as_str());
                    many.first = None;
                }
                many.subjects.is_empty()
            }
        }
    }

    /// The version shown for the id where no subject is asked for. `&mut` because it is found once and kept.
    pub(super) fn settle(&mut self) {
        if let Self::Many(many) = self
            && many.first.is_none()
        {
            let buckets = buckets(many.subjects.len());
            many.first = (0..many.subjects.len()).min_by_key(|at| {
                many.subjects
                    .get_index(*at)
                    .map_or(usize::MAX, |(k, _)| bucket(k, buckets))
            });
        }
    }

    /// The version shown for the id where no subject is asked for.
    pub(crate) fn first(&self) -> Option<&Arc<Entry>> {
        match self {
            Self::One(one) => Some(&one.entry),
            Self::Many(many) => match many.first {
                Some(first) => many
                    .subjects
                    .get_index(first)
                    .map(|(_, found)| &found.entry),
                None => self.in_order().first().copied(),
            },
        }
    }

    /// The version of one subject, by full name.
    pub(crate) fn of_subject(&self, subject: &str) -> Option<&Arc<Entry>> {
        match self {
            Self::One(one) => (one.entry.subject.to_string() == subject).then_some(&one.entry),
            Self::Many(many) => many.subjects.get(subject).map(|found| &found.entry),
        }
    }

    /// One version a subject, in the original's order.
    pub(crate) fn in_order(&self) -> Vec<&Arc<Entry>> {
        match self {
            Self::One(one) => vec![&one.entry],
            Self::Many(many) => {
                let buckets = buckets(many.subjects.len());
                let mut all: Vec<(usize, &Arc<Entry>)> = many
                    .subjects
                    .iter()
                    .map(|(name, found)| (bucket(name, buckets), &found.entry))
                    .collect();
                all.sort_by_key(|(bucket, _)| *bucket);
                all.into_iter().map(|(_, entry)| entry).collect()
            }
        }
    }

    /// Whether any shown version is live.
    pub(crate) fn any_live(&self) -> bool {
        match self {
            Self::One(one) => !one.entry.deleted,
            Self::Many(many) => many.subjects.values().any(|found| !found.entry.deleted),
        }
    }
}
