use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A name that no other call returns, in this process or another: `orders` gives `orders_5f3a9c12_7`.
///
/// Lower case and underscores, so it is a PostgreSQL identifier (also a slot's name) and a Kafka topic without quoting.
pub fn unique(prefix: &str) -> String {
    static PROCESS: LazyLock<u32> = LazyLock::new(|| random() as u32);
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!(
        "{prefix}_{:08x}_{}",
        *PROCESS,
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A port on 127.0.0.1 that nobody listens on now.
///
/// Taken below the range from which the system serves outgoing connections, so that none of those takes it before the server does
/// or while it restarts.
///
/// # Panics
/// When 1,000 random ports are all in use.
pub fn free_port() -> u16 {
    (0..1000)
        .map(|_| 20_000 + (random() % 12_000) as u16)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of 1,000 ports is free")
}

/// std seeds its hash maps from the system's random source, a new key for each.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_suit_postgresql() {
        let (a, b) = (unique("orders"), unique("orders"));
        assert_ne!(a, b);
        assert!(
            a.starts_with("orders_")
                && a.bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_')),
            "{a}"
        );
    }
}
