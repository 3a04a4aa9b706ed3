//! The order in which a Java hash map gives its keys. Parts of `/validate` come in this order, and so do the literals of some messages.

/// The entries as Java's `HashMap` would iterate over them after they were put in this order into a map made by `new HashMap<>()`.
pub fn hash_order<T>(entries: impl IntoIterator<Item = T>, key: impl Fn(&T) -> &str) -> Vec<T> {
    hash_order_with_capacity(entries, 16, key)
}

/// The same for a map that was made with `capacity` buckets, a power of two.
pub fn hash_order_with_capacity<T>(
    entries: impl IntoIterator<Item = T>,
    capacity: usize,
    key: impl Fn(&T) -> &str,
) -> Vec<T> {
    let mut entries: Vec<T> = entries.into_iter().collect();
    let mut buckets = capacity.max(1);
    while entries.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    // Stable: keys that share a bucket stay in the order of insertion.
    entries.sort_by_key(|entry| {
        let hash = java_hash(key(entry));
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
    entries
}

/// `String.hashCode`, as an unsigned number.
pub fn java_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| {
        hash.wrapping_mul(31).wrapping_add(unit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_as_from_a_hash_map() {
        let keys = [
            "converter.type",
            "schemas.enable",
            "schemas.cache.size",
            "decimal.format",
            "replace.null.with.default",
            "schema.content",
        ];
        let expected = [
            "decimal.format",
            "converter.type",
            "schemas.cache.size",
            "replace.null.with.default",
            "schemas.enable",
            "schema.content",
        ];
        assert_eq!(hash_order(keys, |key| key), expected);
        assert_eq!(
            hash_order(["BASE64", "NUMERIC"], |key| key),
            ["NUMERIC", "BASE64"]
        );
    }
}
