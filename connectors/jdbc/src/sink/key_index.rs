//! Finds rows of a batch that have the same key.

/// Row numbers by the hash of their key: open addressing over a table that is kept from batch to batch. Keys are not stored; the caller compares.
#[derive(Debug, Default)]
pub(crate) struct KeyIndex {
    /// Row number plus one; 0 is free. The length is a power of two.
    slots: Vec<u32>,
    mask: usize,
}

impl KeyIndex {
    /// Forgets everything and makes room for `rows` keys.
    pub(crate) fn reset(&mut self, rows: usize) {
        let size = (rows * 2).next_power_of_two().max(16);
        self.slots.clear();
        self.slots.resize(size, 0);
        self.mask = size - 1;
    }

    /// The row that was put for this key before, which `same` recognises; `row` takes its place.
    pub(crate) fn put(
        &mut self,
        hash: u64,
        row: u32,
        mut same: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mut at = (hash ^ (hash >> 32)) as usize & self.mask;
        loop {
            match self.slots[at] {
                0 => {
                    self.slots[at] = row + 1;
                    return None;
                }
                taken if same(taken - 1) => {
                    self.slots[at] = row + 1;
                    return Some(taken - 1);
                }
                _ => at = (at + 1) & self.mask,
            }
        }
    }
}

/// Fast hash for keys that are not an attacker's way in: a bad distribution costs time within one batch of bounded size. (FxHash's mixing.)
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct KeyHasher(u64);

impl KeyHasher {
    const SEED: u64 = 0x51_7c_c1_b7_27_22_0a_95;

    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(Self::SEED);
    }
}

impl std::hash::Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.add(u64::from_le_bytes(last));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.add(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.add(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.add(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.add(word as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_of_a_key_is_found_whatever_the_hashes() {
        let keys = [7u32, 1, 7, 2, 1, 7];
        for hash in [|key: u32| u64::from(key), |_| 3] {
            let mut index = KeyIndex::default();
            index.reset(keys.len());
            let before: Vec<_> = (0u32..)
                .zip(keys)
                .map(|(row, key)| index.put(hash(key), row, |other| keys[other as usize] == key))
                .collect();
            assert_eq!(before, [None, None, Some(0), None, Some(1), Some(2)]);
        }
    }
}
