//! Which field a member of an object is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use java_idioms::json::write_string;

use crate::read_plan::PartId;

/// Structs of fewer fields are searched one by one.
const SEARCHED: usize = 64;

/// The fields of a struct: names and how their values are read.
#[derive(Debug)]
pub(crate) struct Fields {
    fields: Box<[(Arc<str>, PartId)]>,
    /// The names as they mostly stand in an object, with quotes and colon.
    written: Box<[Box<str>]>,
    /// Length, first and last byte of each name: tells nearly all names apart.
    marks: Box<[u32]>,
    /// Which field came behind each one last time, and at 0 which one came first: writers keep to their order, whatever it is.
    followers: Box<[AtomicU32]>,
    /// By name, for structs of many fields only.
    places: HashMap<Arc<str>, usize>,
}

fn mark(name: &str) -> u32 {
    let byte = |byte: Option<&u8>| u32::from(byte.copied().unwrap_or(0));
    let bytes = name.as_bytes();
    ((bytes.len() as u32) << 16) | byte(bytes.first()) << 8 | byte(bytes.last())
}

fn written(name: &str) -> Box<str> {
    let mut out = String::with_capacity(name.len() + 3);
    write_string(name, &mut out);
    out.push(':');
    out.into()
}

impl Fields {
    pub(crate) fn new(fields: Vec<(Arc<str>, PartId)>) -> Self {
        let places = if fields.len() > SEARCHED {
            let named = fields.iter().enumerate();
            named
                .map(|(place, (name, _))| (Arc::clone(name), place))
                .collect()
        } else {
            HashMap::new()
        };
        Self {
            // Until something else is seen, the order of the fields.
            followers: (0..=fields.len() as u32).map(AtomicU32::new).collect(),
            written: fields.iter().map(|(name, _)| written(name)).collect(),
            marks: fields.iter().map(|(name, _)| mark(name)).collect(),
            fields: fields.into(),
            places,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, PartId)> {
        self.fields.iter().map(|(name, part)| (name, *part))
    }

    /// How the value of a field is read.
    #[inline]
    pub(crate) fn part(&self, place: usize) -> PartId {
        self.fields[place].1
    }

    /// The field that most likely comes behind another one, or first: its place, and its name with quotes and colon.
    #[inline]
    pub(crate) fn likely(&self, behind: Option<usize>) -> Option<(usize, &str)> {
        let follower = self.followers.get(behind.map_or(0, |place| place + 1))?;
        let place = follower.load(Ordering::Relaxed) as usize;
        Some((place, self.written.get(place)?))
    }

    /// Notes which field came there.
    pub(crate) fn came(&self, place: usize, behind: Option<usize>) {
        if let Some(follower) = self.followers.get(behind.map_or(0, |place| place + 1)) {
            follower.store(place as u32, Ordering::Relaxed);
        }
    }

    /// The place of a field.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        if self.fields.len() > SEARCHED {
            return self.places.get(name).copied();
        }
        let mark = mark(name);
        let marked = self.marks.iter().enumerate().filter(|(_, m)| **m == mark);
        marked
            .map(|(place, _)| place)
            .find(|place| *self.fields[*place].0 == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found() {
        for count in [0, 1, 20, SEARCHED, SEARCHED + 1, 300] {
            let name = |at: usize| Arc::<str>::from(format!("n{at}x"));
            let fields = Fields::new((0..count).map(|at| (name(at), at + 7)).collect());
            assert_eq!(fields.len(), count);
            for at in 0..count {
                assert_eq!(fields.find(&name(at)), Some(at));
                let written = format!("\"n{at}x\":");
                let behind = at.checked_sub(1);
                assert_eq!(fields.likely(behind), Some((at, &*written)));
                assert_eq!(fields.part(at), at + 7);
            }
            // The last one has no follower until one is seen.
            let last = count.checked_sub(1);
            assert_eq!(fields.likely(last), None);
            if count > 1 {
                fields.came(0, last);
                assert_eq!(fields.likely(last), Some((0, "\"n0x\":")));
            }
            for unknown in ["", "n", "nx", "n999x", "n1y"] {
                assert_eq!(fields.find(unknown), None, "{unknown}");
            }
        }
    }
}
