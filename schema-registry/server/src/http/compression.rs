//! gzip for large answers.

use bytes::Bytes;
use http::header::{self, HeaderMap};

/// Shorter answers are not worth the time.
const SMALLEST: usize = 4096;

/// Speed before size: most of what compresses at all does so at the first level.
const LEVEL: u8 = 1;

/// `body` as gzip, if the request accepts it and it becomes smaller.
pub(crate) fn gzip_if_asked(request: &HeaderMap, body: &Bytes) -> Option<Bytes> {
    if body.len() < SMALLEST || !accepted(request) {
        return None;
    }
    let packed = gzip(body);
    (packed.len() < body.len()).then(|| Bytes::from(packed))
}

fn accepted(request: &HeaderMap) -> bool {
    request
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .any(|value| {
            value.to_str().is_ok_and(|value| {
                value.split(',').any(|item| {
                    let mut parts = item.split(';').map(str::trim);
                    let name = parts.next().unwrap_or_default();
                    let refused = parts.any(|parameter| {
                        matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
                    });
                    (name.eq_ignore_ascii_case("gzip") || name == "*") && !refused
                })
            })
        })
}

/// A gzip member (RFC 1952).
fn gzip(data: &[u8]) -> Vec<u8> {
    // Deflate, no flags, no time, fastest, unknown system.
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
    out.extend_from_slice(&miniz_oxide::deflate::compress_to_vec(data, LEVEL));
    out.extend_from_slice(&crc32(data).to_le_bytes());
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out
}

fn crc32(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !data.iter().fold(!0, |crc, byte| {
        TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8)
    })
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut value = at as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                0xedb8_8320 ^ (value >> 1)
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_answers_that_were_asked_for() {
        let mut request = HeaderMap::new();
        let large = Bytes::from(vec![b'a'; 10_000]);
        assert_eq!(gzip_if_asked(&request, &large), None);
        request.insert(
            header::ACCEPT_ENCODING,
            "deflate, GZIP;q=0.5".parse().expect("a value"),
        );
        let packed = gzip_if_asked(&request, &large).expect("compressed");
        let deflated = &packed[10..packed.len() - 8];
        assert_eq!(
            miniz_oxide::inflate::decompress_to_vec(deflated).expect("deflate"),
            large
        );
        assert_eq!(packed[packed.len() - 4..], 10_000u32.to_le_bytes());
        assert_eq!(gzip_if_asked(&request, &Bytes::from_static(b"short")), None);
        request.insert(
            header::ACCEPT_ENCODING,
            "gzip;q=0".parse().expect("a value"),
        );
        assert_eq!(gzip_if_asked(&request, &large), None);
    }

    #[test]
    fn checksums() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
