//! Parsed schemas, as many as fit.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use registry_formats::{Identity, ParsedSchema, SchemaType};

/// What was parsed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ParseKey {
    pub(crate) schema_type: SchemaType,
    /// Of text and references.
    pub(crate) identity: Identity,
    /// Whether it was parsed as a new schema.
    pub(crate) as_new: bool,
    /// Where the references are looked for; `None` without references.
    pub(crate) context: Option<Arc<str>>,
}

/// Whether a schema may push out others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It will be needed again soon.
    Yes,
    /// It is one of a long row: where the row does not fit, a part of it that stays is worth more than a window that moves.
    IfThereIsRoom,
}

#[derive(Debug)]
struct Slot {
    key: ParseKey,
    schema: ParsedSchema,
    size: usize,
    /// Of the state, for schemas with references.
    generation: u64,
    used: bool,
}

#[derive(Debug, Default)]
struct Slots {
    index: HashMap<ParseKey, usize>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    bytes: usize,
    hand: usize,
}

/// The cache. Second chance: the hand passes by what was used since it last came.
#[derive(Debug)]
pub(crate) struct ParsedCache {
    capacity: usize,
    slots: Mutex<Slots>,
}

impl ParsedCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            slots: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, key: &ParseKey, generation: u64) -> Option<ParsedSchema> {
        let mut slots = self.slots.lock();
        let at = *slots.index.get(key)?;
        let slot = slots.slots.get_mut(at)?.as_mut()?;
        if key.context.is_some() && slot.generation != generation {
            slots.drop_slot(at);
            return None;
        }
        slot.used = true;
        Some(slot.schema.clone())
    }

    /// Keeps a schema; `size` is an estimate in bytes.
    pub(crate) fn put(
        &self,
        key: ParseKey,
        schema: ParsedSchema,
        size: usize,
        generation: u64,
        keep: Keep,
    ) {
        if size > self.capacity / 4 {
            return;
        }
        let mut slots = self.slots.lock();
        if let Some(at) = slots.index.get(&key).copied() {
            slots.drop_slot(at);
        }
        if keep == Keep::IfThereIsRoom && slots.bytes + size > self.capacity {
            return;
        }
        while slots.bytes + size > self.capacity && !slots.index.is_empty() {
            slots.evict_one();
        }
        let slot = Slot {
            key: key.clone(),
            schema,
            size,
            generation,
            used: false,
        };
        slots.bytes += size;
        let at = match slots.free.pop() {
            Some(at) => {
                slots.slots[at] = Some(slot);
                at
            }
            None => {
                slots.slots.push(Some(slot));
                slots.slots.len() - 1
            }
        };
        slots.index.insert(key, at);
    }

    /// Whether hardly anything more has room.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes() >= self.capacity - self.capacity / 32
    }

    /// Bytes held, by the estimates given.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.lock().bytes
    }
}

impl Slots {
    fn drop_slot(&mut self, at: usize) {
        if let Some(slot) = self.slots.get_mut(at).and_then(Option::take) {
            self.index.remove(&slot.key);
            self.bytes -= slot.size;
            self.free.push(at);
        }
    }

    fn evict_one(&mut self) {
        // Two rounds find an unused one: the first takes every mark away.
        for _ in 0..self.slots.len() * 2 {
            let at = self.hand % self.slots.len();
            self.hand = at + 1;
            match &mut self.slots[at] {
                Some(slot) if slot.used => slot.used = false,
                Some(_) => return self.drop_slot(at),
                None => {}
            }
        }
    }
}
