use std::collections::HashMap;
use std::sync::Arc;

/// What was compiled per topic and schema, with the last one at hand.
#[derive(Debug)]
pub(crate) struct Memo<K, T> {
    last: Option<(Arc<str>, K, usize)>,
    by_topic: HashMap<Arc<str>, HashMap<K, usize>>,
    entries: Vec<T>,
}

impl<K: Copy + Eq + std::hash::Hash, T> Memo<K, T> {
    pub(crate) fn new() -> Self {
        Self {
            last: None,
            by_topic: HashMap::new(),
            entries: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn find(&mut self, topic: &str, key: K) -> Option<&T> {
        let at = match &self.last {
            Some((of, last, at)) if *last == key && **of == *topic => *at,
            _ => {
                let (of, keys) = self.by_topic.get_key_value(topic)?;
                let at = *keys.get(&key)?;
                self.last = Some((Arc::clone(of), key, at));
                at
            }
        };
        self.entries.get(at)
    }

    /// Adds or replaces; at `capacity` entries it starts afresh, so that a source that changes its schema for ever does not fill the memory.
    pub(crate) fn insert(&mut self, topic: &Arc<str>, key: K, entry: T, capacity: usize) {
        if let Some(at) = self.by_topic.get(topic).and_then(|keys| keys.get(&key)) {
            self.entries[*at] = entry;
            return;
        }
        if self.entries.len() >= capacity.max(1) {
            *self = Self::new();
        }
        let keys = self.by_topic.entry(Arc::clone(topic)).or_default();
        keys.insert(key, self.entries.len());
        self.entries.push(entry);
    }
}
