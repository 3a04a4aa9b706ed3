//! `X-Request-ID`.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// Name of the header.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request's own id where it sends exactly one that is not blank, else a new one in the form of a random UUID.
pub(crate) fn of(headers: &HeaderMap) -> HeaderValue {
    let mut sent = headers.get_all(X_REQUEST_ID).iter();
    match (sent.next(), sent.next()) {
        (Some(only), None)
            if only
                .as_bytes()
                .iter()
                .any(|byte| !byte.is_ascii_whitespace()) =>
        {
            only.clone()
        }
        _ => fresh(),
    }
}

fn fresh() -> HeaderValue {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let random = (u128::from(random()) << 64) | u128::from(random());
    let random = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let mut text = [b'-'; 36];
    let mut digit = 32;
    for (at, byte) in text.iter_mut().enumerate() {
        if !matches!(at, 8 | 13 | 18 | 23) {
            digit -= 1;
            *byte = HEX[((random >> (4 * digit)) & 0xf) as usize];
        }
    }
    // Hexadecimal digits and dashes can stand in a header.
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-"))
}

/// Splitmix64, seeded from the system's randomness once per thread: ids need to differ, not to be secret.
fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(std::thread::current().id()));
    }
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_or_made() {
        let mut headers = HeaderMap::new();
        let made = of(&headers);
        let text = made.to_str().expect("ASCII");
        assert_eq!(text.len(), 36, "{text}");
        assert_eq!(
            (&text[14..15], &text[8..9], &text[13..14]),
            ("4", "-", "-"),
            "{text}"
        );
        assert!("89ab".contains(&text[19..20]), "{text}");
        assert_ne!(of(&headers), made);
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("mine"));
        assert_eq!(of(&headers), "mine");
        headers.append(X_REQUEST_ID, HeaderValue::from_static("another"));
        assert_ne!(of(&headers), "mine");
        headers.insert(X_REQUEST_ID, HeaderValue::from_static(" "));
        assert_ne!(of(&headers), " ");
    }
}
