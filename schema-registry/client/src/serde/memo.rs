use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a converter compiled per topic and key, with the last one at hand: neighbouring records mostly share both.
#[derive(Debug)]
pub struct Memo<K, T> {
    last: Option<(Arc<str>, K, usize)>,
    by_topic: HashMap<Arc<str>, HashMap<K, usize>>,
    entries: Vec<(Instant, T)>,
    capacity: usize,
    lifetime: Option<Duration>,
}

impl<K: Copy + Eq + Hash, T> Memo<K, T> {
    /// A memo for at most `capacity` entries, each found for `lifetime` ([`SchemaSerde::lifetime`](super::SchemaSerde::lifetime)); for ever without one.
    pub fn new(capacity: usize, lifetime: Option<Duration>) -> Self {
        Self {
            last: None,
            by_topic: HashMap::new(),
            entries: Vec::new(),
            capacity: capacity.max(1),
            lifetime,
        }
    }

    /// The entry, unless it is too old. Cheap where topic and key are those of the last call; called for every record.
    #[inline]
    pub fn find(&mut self, topic: &str, key: K) -> Option<&T> {
        let at = match &self.last {
            Some((of, last, at)) if *last == key && **of == *topic => *at,
            _ => {
                let (of, keys) = self.by_topic.get_key_value(topic)?;
                let at = *keys.get(&key)?;
                self.last = Some((Arc::clone(of), key, at));
                at
            }
        };
        let (learned, entry) = self.entries.get(at)?;
        match self.lifetime {
            // Without a lifetime, the default, nobody looks at the clock.
            Some(lifetime) if learned.elapsed() >= lifetime => None,
            _ => Some(entry),
        }
    }

    /// Adds or replaces; at the capacity it starts afresh, so that a source that changes its schema for ever does not fill the memory.
    pub fn insert(&mut self, topic: &Arc<str>, key: K, entry: T) {
        let entry = (Instant::now(), entry);
        if let Some(at) = self.by_topic.get(topic).and_then(|keys| keys.get(&key)) {
            self.entries[*at] = entry;
            return;
        }
        if self.entries.len() >= self.capacity {
            *self = Self::new(self.capacity, self.lifetime);
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
        let mut memo = Memo::new(2, None);
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

    #[test]
    fn what_is_too_old_is_not_found() {
        let a: Arc<str> = "a".into();
        let mut memo = Memo::new(2, Some(Duration::ZERO));
        memo.insert(&a, 1, ());
        assert_eq!(memo.find("a", 1), None);
        let mut memo = Memo::new(2, Some(Duration::from_secs(3600)));
        memo.insert(&a, 1, ());
        assert_eq!(memo.find("a", 1), Some(&()));
    }
}
