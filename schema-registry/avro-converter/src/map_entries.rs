//! Entries of maps as Java's hash maps have them.

use std::collections::{HashMap, HashSet};

use millrace_api::data::Value;

/// The entries as a Java map keeps them: of a key given twice the last value, in the first one's place.
pub(crate) fn last_of_each_key(entries: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    let unique = match entries.len() {
        0 | 1 => true,
        n if n <= 16 => (1..n).all(|i| entries[..i].iter().all(|(key, _)| *key != entries[i].0)),
        n => {
            let keys: HashSet<&Value> = entries.iter().map(|(k, _)| k).collect();
            keys.len() == n
        }
    };
    if unique {
        return entries;
    }
    let mut places: HashMap<Value, usize> = HashMap::with_capacity(entries.len());
    let mut out: Vec<(Value, Value)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        match places.get(&key) {
            Some(&at) => out[at].1 = value,
            None => {
                places.insert(key.clone(), out.len());
                out.push((key, value));
            }
        }
    }
    out
}

/// Appends bucket and place of each entry to `order`, sorted as a Java hash map gives the entries that were put into it in this order; `false`: a key is no text.
pub(crate) fn java_order(entries: &[(Value, Value)], order: &mut Vec<(u32, u32)>) -> bool {
    let mut buckets = 16u64;
    while entries.len() as u64 * 4 > buckets * 3 {
        buckets *= 2;
    }
    let mask = (buckets - 1) as u32;
    let base = order.len();
    for (at, (key, _)) in entries.iter().enumerate() {
        let hash = match key {
            Value::String(key) => java_hash(key),
            Value::Null => 0,
            _ => return false,
        };
        order.push(((hash ^ (hash >> 16)) & mask, at as u32));
    }
    // Keys of one bucket stay in the order in which they were put.
    order[base..].sort_unstable();
    true
}

/// `String.hashCode`.
fn java_hash(text: &str) -> u32 {
    if text.is_ascii() {
        return text
            .bytes()
            .fold(0u32, |hash, b| hash.wrapping_mul(31).wrapping_add(b.into()));
    }
    java_idioms::java_hash(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_the_order_of_a_java_hash_map() {
        let keys: Vec<String> = (0..100).map(|n| format!("key é {}", n * 7919)).collect();
        for count in [1, 12, 13, 100] {
            let entries: Vec<(Value, Value)> = keys[..count]
                .iter()
                .map(|key| (key.as_str().into(), Value::Null))
                .collect();
            let mut order = vec![(u32::MAX, 0)];
            assert!(java_order(&entries, &mut order));
            let ours: Vec<&str> = order[1..]
                .iter()
                .map(|(_, at)| keys[*at as usize].as_str())
                .collect();
            assert_eq!(
                ours,
                java_idioms::hash_order(keys[..count].iter().map(|k| &**k), |k| k)
            );
        }
    }
}
