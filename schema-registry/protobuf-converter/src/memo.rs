//! What was compiled per topic and key, with the last one at hand: neighbouring records mostly share both.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Memo<K, T> {
    last: Option<(Arc<str>, K, usize)>,
    by_topic: HashMap<Arc<str>, HashMap<K, usize>>,
    entries: Vec<T>,
    capacity: usize,
}

impl<K: Copy + Eq + Hash, T> Memo<K, T> {
    /// A memo for at most `capacity` entries.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            last: None,
            by_topic: HashMap::new(),
            entries: Vec::new(),
            capacity: capacity.max(1),
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

    /// Adds or replaces; at the capacity it starts afresh, so that a source that changes its schema for ever does not fill the memory.
    pub(crate) fn insert(&mut self, topic: &Arc<str>, key: K, entry: T) {
        if let Some(at) = self.by_topic.get(topic).and_then(|keys| keys.get(&key)) {
            self.entries[*at] = entry;
            return;
        }
        if self.entries.len() >= self.capacity {
            *self = Self::new(self.capacity);
        }
        let keys = self.by_topic.entry(Arc::clone(topic)).or_default();
        keys.insert(key, self.entries.len());
        self.entries.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_both_and_bounded() {
        let mut memo = Memo::new(2);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        memo.insert(&a, 1, "a1");
        memo.insert(&b, 1, "b1");
        memo.insert(&a, 1, "a1 again");
        assert_eq!(memo.find("a", 1), Some(&"a1 again"));
        assert_eq!(memo.find("b", 1), Some(&"b1"));
        assert_eq!(memo.find("b", 2), None);
        memo.insert(&b, 2, "b2");
        assert_eq!(memo.find("a", 1), None);
        assert_eq!(memo.find("b", 2), Some(&"b2"));
    }
}
