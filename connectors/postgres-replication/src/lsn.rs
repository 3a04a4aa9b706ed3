//! Positions in the write-ahead log.

use std::fmt;
use std::str::FromStr;

/// A byte position in PostgreSQL's write-ahead log.
///
/// Displayed as the server prints it (`%X/%X`: both halves in upper-case hexadecimal without leading zeros),
/// and ordered by position. [`Lsn::INVALID`] (`0/0`) never is a real position; in a status update it means
/// "nothing to report".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// `0/0`, the server's `InvalidXLogRecPtr`.
    pub const INVALID: Lsn = Lsn(0);

    /// Whether this is a real position, that is not `0/0`.
    pub fn is_valid(self) -> bool {
        self.0 != 0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl From<u64> for Lsn {
    fn from(position: u64) -> Self {
        Lsn(position)
    }
}

impl From<Lsn> for u64 {
    fn from(lsn: Lsn) -> Self {
        lsn.0
    }
}

/// The text is not a log position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a WAL position: expected two hexadecimal numbers of at most 8 digits as in `16/B374D848`"
)]
pub struct ParseLsnError {
    text: String,
}

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let half = |digits: &str| -> Option<u64> {
            // `from_str_radix` alone would take a sign.
            let well_formed =
                (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
            well_formed
                .then(|| u64::from_str_radix(digits, 16).ok())
                .flatten()
        };
        text.split_once('/')
            .and_then(|(high, low)| Some(Lsn(half(high)? << 32 | half(low)?)))
            .ok_or_else(|| ParseLsnError {
                text: text.chars().take(64).collect(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_the_server_does() {
        assert_eq!(Lsn(0).to_string(), "0/0");
        assert_eq!(Lsn(0x16_B374_D848).to_string(), "16/B374D848");
        assert_eq!(Lsn(0x1_0000_000A).to_string(), "1/A");
        assert_eq!(Lsn(u64::MAX).to_string(), "FFFFFFFF/FFFFFFFF");
    }

    #[test]
    fn parses_what_it_prints() {
        for position in [0, 1, 0xFFFF_FFFF, 0x1_0000_0000, 0x16_B374_D848, u64::MAX] {
            assert_eq!(Lsn(position).to_string().parse(), Ok(Lsn(position)));
        }
        assert_eq!("00000016/b374d848".parse(), Ok(Lsn(0x16_B374_D848)));
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "/",
            "1",
            "1/",
            "/1",
            "+1/2",
            "1/ 2",
            "g/1",
            "1/2/3",
            "123456789/0",
        ] {
            let error = text.parse::<Lsn>().expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
            assert!(error.to_string().contains("16/B374D848"), "{error}");
        }
    }

    #[test]
    fn orders_by_position() {
        assert!(Lsn(0xFFFF_FFFF) < Lsn(0x1_0000_0000));
    }
}
