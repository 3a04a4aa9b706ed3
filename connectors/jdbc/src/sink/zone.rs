//! Time zones by their Java names.

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;

/// A zone that wall-clock times are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// UTC, and every other zone that always has this offset, in seconds east.
    Fixed(i32),
    /// A zone with rules.
    Named(Tz),
}

impl Zone {
    pub(crate) const UTC: Self = Self::Fixed(0);

    /// A zone by an id that `java.time.ZoneId.of` accepts: `Europe/Berlin`, `UTC`, `Z`, `+05:30`, `-8`, `UTC+1`, `GMT-03:00`.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        match id {
            "Z" | "UTC" | "GMT" | "UT" => return Some(Self::UTC),
            _ => {}
        }
        for prefix in ["UTC", "GMT", "UT", ""] {
            if let Some(seconds) = id.strip_prefix(prefix).and_then(offset) {
                return Some(Self::Fixed(seconds));
            }
        }
        id.parse().ok().map(Self::Named)
    }

    /// Seconds east of Greenwich at a moment given in seconds since the epoch. Moments beyond the year 262,000 have the zone's offset of the epoch.
    pub(crate) fn offset_at(self, epoch_seconds: i64) -> i32 {
        match self {
            Self::Fixed(seconds) => seconds,
            Self::Named(zone) => {
                let moment = DateTime::from_timestamp(epoch_seconds, 0).unwrap_or_default();
                zone.offset_from_utc_datetime(&moment.naive_utc())
                    .fix()
                    .local_minus_utc()
            }
        }
    }
}

/// `+h`, `+hh`, `+hh:mm`, `+hhmm`, `+hh:mm:ss`, `+hhmmss`, at most 18 hours.
fn offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes() {
        [b'+', ..] => (1, &text[1..]),
        [b'-', ..] => (-1, &text[1..]),
        _ => return None,
    };
    if !digits.bytes().all(|b| b.is_ascii_digit() || b == b':') {
        return None;
    }
    let parts: Vec<&str> = match (digits.len(), digits.contains(':')) {
        (1 | 2, false) => vec![digits],
        (4, false) => vec![&digits[..2], &digits[2..]],
        (6, false) => vec![&digits[..2], &digits[2..4], &digits[4..]],
        (5 | 8, true) => digits.split(':').collect(),
        _ => return None,
    };
    if parts.len() > 1 && parts.iter().any(|part| part.len() != 2) {
        return None;
    }
    let mut seconds = 0;
    for (part, unit) in parts.iter().zip([3600, 60, 1]) {
        let number: i32 = part.parse().ok()?;
        if unit < 3600 && number > 59 {
            return None;
        }
        seconds += number * unit;
    }
    (seconds <= 18 * 3600).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_java() {
        for (id, seconds) in [
            ("Z", 0),
            ("UTC", 0),
            ("+1", 3600),
            ("+05:30", 19_800),
            ("-0330", -12_600),
            ("UTC+1", 3600),
            ("GMT-03:00", -10_800),
            ("+18:00", 64_800),
        ] {
            assert_eq!(Zone::parse(id), Some(Zone::Fixed(seconds)), "{id}");
        }
        for id in [
            "Mars/Phobos",
            "",
            "+19",
            "+1:2",
            "+01:60",
            "utc+1",
            "PST8PDTX",
            "+",
            "+a",
        ] {
            assert_eq!(Zone::parse(id), None, "{id}");
        }
    }

    #[test]
    fn offsets_follow_the_rules_of_the_zone() {
        let new_york = Zone::parse("America/New_York").expect("a zone");
        assert_eq!(new_york.offset_at(1_700_000_000), -5 * 3600);
        assert_eq!(new_york.offset_at(1_686_787_200), -4 * 3600);
        assert_eq!(new_york.offset_at(i64::MAX), -5 * 3600);
    }
}
