/// A path of message indexes from the file down to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageIndexes {
    length: u8,
    path: [i32; 16],
}

impl MessageIndexes {
    /// The path's elements.
    pub fn path(&self) -> &[i32] {
        &self.path[..usize::from(self.length)]
    }

    /// A path; `None` when it is longer than 16.
    pub fn new(path: &[i32]) -> Option<Self> {
        let mut all = [0; 16];
        all.get_mut(..path.len())?.copy_from_slice(path);
        Some(Self {
            length: u8::try_from(path.len()).ok()?,
            path: all,
        })
    }

    /// Reads a path: its length, then its elements, all as zig-zag varints; length 0 is the path `[0]`. Returns the number of bytes as well.
    pub(super) fn read(bytes: &[u8]) -> Result<(Self, usize), &'static str> {
        let (length, mut at) = read_varint(bytes)?;
        if length == 0 {
            return Ok((
                Self {
                    length: 1,
                    path: [0; 16],
                },
                at,
            ));
        }
        let mut indexes = Self {
            length: 0,
            path: [0; 16],
        };
        let levels =
            usize::try_from(length).map_err(|_| "the number of message indexes is negative")?;
        let path = indexes
            .path
            .get_mut(..levels)
            .ok_or("there are more than 16 message indexes")?;
        for index in path {
            let (value, size) = read_varint(bytes.get(at..).unwrap_or_default())?;
            if value < 0 {
                return Err("a message index is negative");
            }
            *index = value;
            at += size;
        }
        indexes.length = u8::try_from(levels).unwrap_or_default();
        Ok((indexes, at))
    }

    /// Appends a path as [`read`](Self::read) takes it.
    pub(super) fn write(path: &[i32], out: &mut Vec<u8>) {
        if matches!(path, [] | [0]) {
            out.push(0);
            return;
        }
        write_varint(i32::try_from(path.len()).unwrap_or(i32::MAX), out);
        for index in path {
            write_varint(*index, out);
        }
    }
}

fn read_varint(bytes: &[u8]) -> Result<(i32, usize), &'static str> {
    let mut value: u32 = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let zigzag = (value >> 1).cast_signed() ^ -((value & 1).cast_signed());
            return Ok((zigzag, index + 1));
        }
    }
    Err(if bytes.len() < 5 {
        "the payload ends inside the message indexes"
    } else {
        "a message index is longer than 5 bytes"
    })
}

fn write_varint(value: i32, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 31)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_paths() {
        for (path, bytes) in [
            (&[0][..], &[0][..]),
            (&[1, 2], &[4, 2, 4]),
            (&[7], &[2, 14]),
            (&[200], &[2, 0x90, 3]),
        ] {
            let mut out = Vec::new();
            MessageIndexes::write(path, &mut out);
            assert_eq!(out, bytes);
            let (indexes, size) = MessageIndexes::read(&out).expect("valid");
            assert_eq!((indexes.path(), size), (path, out.len()));
        }
        assert_eq!(MessageIndexes::read(&[2, 0]).expect("valid").0.path(), [0]);
    }

    #[test]
    fn wrong_paths_are_refused() {
        for bytes in [
            &[][..],
            &[2],
            &[0x80],
            &[4, 0],
            &[1],
            &[0x22],
            &[2, 1],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0],
            &[2, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(MessageIndexes::read(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_path_comes_back(path in prop::collection::vec(0..i32::MAX, 1..=16)) {
            let mut out = Vec::new();
            MessageIndexes::write(&path, &mut out);
            let (indexes, size) = MessageIndexes::read(&out).expect("valid");
            prop_assert_eq!(indexes.path(), &path[..]);
            prop_assert_eq!(size, out.len());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = MessageIndexes::read(&bytes);
        }
    }
}
