//! Which partition a record goes to when its sender names none: what Java's default partitioner does, so that keys stay where Java producers put them.

/// Java's `Utils.murmur2`, on which Kafka's default partitioner rests.
pub fn murmur2(data: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut h = SEED ^ (data.len() as u32);
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (i, &byte) in rest.iter().enumerate() {
            h ^= u32::from(byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^= h >> 15;
    h as i32
}

/// Partition of `key` in a topic of `partitions` partitions (at least 1).
pub fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// Chooses partitions for one producer: by key, and in turn for records without a key.
#[derive(Debug, Default)]
pub struct Partitioner {
    next: u32,
}

impl Partitioner {
    /// The partition for a record with `key` in a topic of `partitions` partitions.
    pub fn choose(&mut self, key: Option<&[u8]>, partitions: i32) -> i32 {
        match key {
            _ if partitions <= 1 => 0,
            Some(key) => partition_for_key(key, partitions),
            None => {
                self.next = self.next.wrapping_add(1);
                (self.next % partitions as u32) as i32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_equal_those_of_the_java_client() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn records_without_a_key_take_turns() {
        let mut partitioner = Partitioner::default();
        let mut hits = [0; 3];
        for _ in 0..9 {
            hits[partitioner.choose(None, 3) as usize] += 1;
        }
        assert_eq!(hits, [3, 3, 3]);
    }
}
