//! Connect's date, time and timestamp as Java's `Date` objects and as text.

use millrace_api::data::{Schema, Value, logical};

use crate::calendar::{DAY, Date, date_of, days_of, time_of, year_of_era};
use crate::java_text::put;

/// Milliseconds since the epoch of the `Date` that Java holds for `value`, when `schema` is one of Connect's three temporal types.
pub(crate) fn millis_of(schema: &Schema, value: &Value) -> Option<i64> {
    match (schema.name()?, value) {
        (logical::DATE, Value::Int32(days)) => Some(i64::from(*days) * DAY),
        (logical::TIME, Value::Int32(millis)) => Some(i64::from(*millis)),
        (logical::TIMESTAMP, Value::Int64(millis)) => Some(*millis),
        _ => None,
    }
}

/// Appends the text of an instant. Its form depends on the instant alone: a time on and before the first day, a date at midnight, else both.
pub(crate) fn write_temporal(millis: i64, out: &mut Vec<u8>) {
    let date = date_of(millis.div_euclid(DAY));
    let (hour, minute, second, milli) = time_of(millis);
    let year = year_of_era(date.year);
    if millis < DAY {
        put(
            out,
            format_args!("{hour:02}:{minute:02}:{second:02}.{milli:03}Z"),
        );
    } else if millis % DAY == 0 {
        put(
            out,
            format_args!("{year:04}-{:02}-{:02}", date.month, date.day),
        );
    } else {
        put(
            out,
            format_args!(
                "{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z",
                date.month, date.day
            ),
        );
    }
}

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temporal {
    /// Days since the epoch.
    Date(i32),
    /// Milliseconds since midnight.
    Time(i32),
    /// Milliseconds since the epoch.
    Timestamp(i64),
}

/// Reads a text of exactly the right length. Numbers beyond their range count on (month 13 is January), as Java's lenient parser has it.
pub(crate) fn parse_temporal(text: &str) -> Option<Temporal> {
    let mut fields = Fields(text);
    match text.chars().count() {
        13 => Some(Temporal::Time(i32::try_from(fields.time()?).ok()?)),
        24 => {
            let days = fields.date()?;
            fields.literal('T')?;
            Some(Temporal::Timestamp(days * DAY + fields.time()?))
        }
        10 => Some(Temporal::Date(i32::try_from(fields.date()?).ok()?)),
        _ => None,
    }
}

struct Fields<'a>(&'a str);

impl Fields<'_> {
    fn number(&mut self) -> Option<i64> {
        let rest = self.0.trim_start_matches([' ', '\t']);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let value = rest.get(..digits)?.parse().ok()?;
        self.0 = &rest[digits..];
        Some(value)
    }

    fn literal(&mut self, literal: char) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }

    fn date(&mut self) -> Option<i64> {
        let year = self.number()?;
        self.literal('-')?;
        let month = self.number()?;
        self.literal('-')?;
        let day = self.number()?;
        Some(days_of(Date { year, month, day }))
    }

    fn time(&mut self) -> Option<i64> {
        let hour = self.number()?;
        self.literal(':')?;
        let minute = self.number()?;
        self.literal(':')?;
        let second = self.number()?;
        self.literal('.')?;
        let milli = self.number()?;
        self.literal('Z')?;
        Some(hour * 3_600_000 + minute * 60_000 + second * 1000 + milli)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_instant_agree() {
        for (text, value) in [
            ("12:34:56.789Z", Some(Temporal::Time(45_296_789))),
            ("25:00:00.000Z", Some(Temporal::Time(90_000_000))),
            ("2020-02-29", Some(Temporal::Date(18_321))),
            ("2020-13-01", Some(Temporal::Date(18_628))),
            (
                "2020-02-29T00:00:00.001Z",
                Some(Temporal::Timestamp(18_321 * DAY + 1)),
            ),
            ("2020-02-9", None),
            ("12:34:56.789X", None),
            ("2020x02-29", None),
        ] {
            assert_eq!(parse_temporal(text), value, "{text}");
        }
        for (millis, text) in [
            (0, "00:00:00.000Z"),
            (-1, "23:59:59.999Z"),
            (DAY, "1970-01-02"),
            (DAY + 1, "1970-01-02T00:00:00.001Z"),
        ] {
            let mut out = Vec::new();
            write_temporal(millis, &mut out);
            assert_eq!(String::from_utf8(out).expect("ASCII"), text);
        }
    }
}
