//! The order in which Java walks over the keys of both sides: a hash set made from the keys of one hash map, with those of another added.

use std::collections::HashSet;
use std::hash::Hash;

use java_idioms::java_hash;

/// Names of both sides, each once.
pub(super) fn names<'a>(
    original: impl IntoIterator<Item = &'a str>,
    update: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    union(original, update, |name| java_hash(name))
}

/// Numbers of both sides, each once.
pub(super) fn tags(
    original: impl IntoIterator<Item = i32>,
    update: impl IntoIterator<Item = i32>,
) -> Vec<i32> {
    union(original, update, |tag| *tag as u32)
}

fn union<T: Copy + Eq + Hash>(
    original: impl IntoIterator<Item = T>,
    update: impl IntoIterator<Item = T>,
    hash: impl Fn(&T) -> u32,
) -> Vec<T> {
    let mut seen = HashSet::new();
    let mut keys: Vec<T> = original
        .into_iter()
        .filter(|key| seen.insert(*key))
        .collect();
    let mut buckets = (keys.len() * 4 / 3 + 1).max(16).next_power_of_two();
    keys.extend(update.into_iter().filter(|key| seen.insert(*key)));
    while keys.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    // Stable: keys of one bucket stay in the order in which they came.
    keys.sort_by_key(|key| {
        let hash = hash(key);
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
    keys
}
