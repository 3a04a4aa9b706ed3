//! Avro's primitives, written.

/// `boolean`: one byte.
#[inline]
pub fn write_boolean(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// `int`: zig-zag, 1 to 5 bytes.
#[inline]
pub fn write_int(out: &mut Vec<u8>, value: i32) {
    write_varint(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

/// `long`, and every length, count and index: zig-zag, 1 to 10 bytes.
#[inline]
pub fn write_long(out: &mut Vec<u8>, value: i64) {
    write_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// A length or an index in memory, as `long`.
#[inline]
pub fn write_length(out: &mut Vec<u8>, length: usize) {
    write_varint(out, (length as u64) << 1);
}

#[inline]
fn write_varint(out: &mut Vec<u8>, mut rest: u64) {
    if rest < 0x80 {
        out.push(rest as u8);
        return;
    }
    let mut bytes = [0u8; 10];
    let mut n = 0;
    while rest >= 0x80 {
        bytes[n] = rest as u8 | 0x80;
        rest >>= 7;
        n += 1;
    }
    bytes[n] = rest as u8;
    out.extend_from_slice(&bytes[..=n]);
}

/// `float`: 4 bytes, little-endian.
#[inline]
pub fn write_float(out: &mut Vec<u8>, value: f32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// `double`: 8 bytes, little-endian.
#[inline]
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// `bytes`: length, then the bytes.
#[inline]
pub fn write_bytes(out: &mut Vec<u8>, value: &[u8]) {
    write_length(out, value.len());
    out.extend_from_slice(value);
}

/// `string`: length in bytes, then UTF-8.
#[inline]
pub fn write_string(out: &mut Vec<u8>, value: &str) {
    write_bytes(out, value.as_bytes());
}

/// `fixed`: the bytes.
#[inline]
pub fn write_fixed(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(value);
}

/// Head of an array's or a map's only block, as Java writes it: nothing for an empty one. After the items follows [`write_block_end`].
#[inline]
pub fn write_block_start(out: &mut Vec<u8>, items: usize) {
    if items > 0 {
        write_length(out, items);
    }
}

/// End of an array or a map.
#[inline]
pub fn write_block_end(out: &mut Vec<u8>) {
    out.push(0);
}
