use std::hash::{BuildHasher, RandomState};

/// A time-ordered UUID (version 7) for one run of a task: `now_millis` and 74 bits from the process's hash seeds, which the operating system draws.
pub fn run_id(now_millis: i64) -> String {
    let random = |salt: u8| RandomState::new().hash_one(salt);
    let (a, b) = (random(0), random(1));
    let millis = (now_millis as u64) & 0xffff_ffff_ffff;
    format!(
        "{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}",
        millis >> 16,
        millis & 0xffff,
        a & 0xfff,
        0x8000 | ((a >> 12) & 0x3fff),
        b & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_of_version_7_and_differ() {
        let (a, b) = (run_id(1_700_000_000_123), run_id(1_700_000_000_123));
        assert_eq!(a.len(), 36);
        assert!(a.starts_with("018bcfe5-687b-7"), "{a}");
        assert!(matches!(a.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        assert_ne!(a, b);
    }
}
