//! Avro's varints.

/// Appends an integer in zig-zag form.
#[inline]
pub(crate) fn put_long(value: i64, out: &mut Vec<u8>) {
    put_varint(((value << 1) ^ (value >> 63)) as u64, out);
}

/// Appends an unsigned number, seven bits a byte.
#[inline]
pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    if value < 0x80 {
        out.push(value as u8);
        return;
    }
    let mut buffer = [0u8; 10];
    let mut used = 0;
    while value >= 0x80 {
        buffer[used] = value as u8 | 0x80;
        used += 1;
        value >>= 7;
    }
    buffer[used] = value as u8;
    out.extend_from_slice(&buffer[..=used]);
}

/// Appends bytes behind their length.
#[inline]
pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint((bytes.len() as u64) << 1, out);
    out.extend_from_slice(bytes);
}
