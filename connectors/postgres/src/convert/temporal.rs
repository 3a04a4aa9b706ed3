//! Dates and times in PostgreSQL's ISO output.

use std::fmt::Write;

use millrace_api::data::{Text, Value};

use super::ConvertError;

/// How a `date` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateForm {
    /// Days since the epoch.
    Days,
    /// `2017-09-15Z`
    Iso,
}

/// How a `time` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeForm {
    /// Milliseconds of the day, INT32.
    Millis,
    /// Microseconds of the day.
    Micros,
    /// Nanoseconds of the day.
    Nanos,
    /// `09:01:02.5Z`
    Iso,
}

/// How a `timestamp` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimestampForm {
    /// Milliseconds since the epoch.
    Millis,
    /// Microseconds since the epoch.
    Micros,
    /// Nanoseconds since the epoch.
    Nanos,
    /// `2017-09-15T09:01:02.123456Z`
    Iso,
}

const DAY_MICROS: i64 = 86_400_000_000;

/// `date 'infinity'` as Debezium streams it: a day that a Java date cannot name.
const INFINITE_DAYS: i32 = 2_146_033_979;
const MINUS_INFINITE_DAYS: i32 = -2_147_472_691;

pub(super) fn date(text: &[u8], form: DateForm) -> Result<Value, ConvertError> {
    let days = match text {
        b"infinity" => INFINITE_DAYS,
        b"-infinity" => MINUS_INFINITE_DAYS,
        _ => {
            let (year, month, day, rest) =
                ymd(text).ok_or(ConvertError::Malformed { expected: "date" })?;
            let year = era(year, rest).ok_or(ConvertError::Malformed { expected: "date" })?;
            i32::try_from(days_from_civil(year, month, day))
                .map_err(|_| ConvertError::Unrepresentable("the date is too far away"))?
        }
    };
    Ok(match form {
        DateForm::Days => Value::Int32(days),
        DateForm::Iso => {
            let mut out = String::with_capacity(12);
            let (year, month, day) = civil_from_days(i64::from(days));
            write_date(&mut out, year, month, day);
            out.push('Z');
            Value::String(Text::new(out))
        }
    })
}

pub(super) fn time(text: &[u8], form: TimeForm) -> Result<Value, ConvertError> {
    let malformed = ConvertError::Malformed { expected: "time" };
    let (micros, rest) = clock(text).ok_or_else(|| malformed.clone())?;
    if !rest.is_empty() {
        return Err(malformed);
    }
    Ok(match form {
        TimeForm::Millis => Value::Int32((micros / 1_000) as i32),
        TimeForm::Micros => Value::Int64(micros),
        TimeForm::Nanos => Value::Int64(micros * 1_000),
        TimeForm::Iso => {
            let mut out = String::with_capacity(18);
            write_clock(&mut out, micros % DAY_MICROS, None);
            out.push('Z');
            Value::String(Text::new(out))
        }
    })
}

pub(super) fn timestamp(text: &[u8], form: TimestampForm) -> Result<Value, ConvertError> {
    let micros = match text {
        b"infinity" => {
            return Ok(match form {
                TimestampForm::Millis => Value::Int64(9_223_372_036_825_200_000),
                TimestampForm::Micros | TimestampForm::Nanos => Value::Int64(i64::MAX),
                TimestampForm::Iso => Value::from("+292278994-08-16T23:00:00Z"),
            });
        }
        b"-infinity" => {
            return Ok(match form {
                TimestampForm::Millis => Value::Int64(-9_223_372_036_832_400_000),
                TimestampForm::Micros | TimestampForm::Nanos => Value::Int64(i64::MIN),
                TimestampForm::Iso => Value::from("-292275055-05-16T23:00:00Z"),
            });
        }
        _ => {
            let (micros, zone) = instant(text).ok_or(ConvertError::Malformed {
                expected: "timestamp",
            })?;
            if zone.is_some() {
                return Err(ConvertError::Malformed {
                    expected: "timestamp without a time zone",
                });
            }
            micros
        }
    };
    Ok(match form {
        TimestampForm::Millis => Value::Int64(micros.div_euclid(1_000)),
        TimestampForm::Micros => Value::Int64(micros),
        TimestampForm::Nanos => Value::Int64(micros.checked_mul(1_000).ok_or(
            ConvertError::Unrepresentable("nanoseconds reach from 1677 to 2262 only"),
        )?),
        TimestampForm::Iso => Value::String(Text::new(iso_instant(micros, None))),
    })
}

/// Text in UTC with exactly `digits` digits of fraction; none declared (0): as few as needed.
pub(super) fn timestamp_tz(text: &[u8], digits: u32) -> Result<Value, ConvertError> {
    match text {
        b"infinity" => return Ok(Value::from("infinity")),
        b"-infinity" => return Ok(Value::from("-infinity")),
        _ => {}
    }
    let malformed = ConvertError::Malformed {
        expected: "timestamp with time zone",
    };
    let (micros, zone) = instant(text).ok_or_else(|| malformed.clone())?;
    let zone = zone.ok_or(malformed)?;
    let utc = micros - zone * 1_000_000;
    Ok(Value::String(Text::new(iso_instant(
        utc,
        (digits > 0).then_some(digits),
    ))))
}

pub(super) fn time_tz(text: &[u8]) -> Result<Value, ConvertError> {
    let malformed = ConvertError::Malformed {
        expected: "time with time zone",
    };
    let (micros, rest) = clock(text).ok_or_else(|| malformed.clone())?;
    let (zone, rest) = zone(rest).ok_or_else(|| malformed.clone())?;
    if !rest.is_empty() {
        return Err(malformed);
    }
    // 24:00:00 is kept only where no shift has to be made.
    if micros == DAY_MICROS && zone == 0 {
        return Ok(Value::from("24:00:00Z"));
    }
    let mut out = String::with_capacity(18);
    write_clock(
        &mut out,
        (micros - zone * 1_000_000).rem_euclid(DAY_MICROS),
        None,
    );
    out.push('Z');
    Ok(Value::String(Text::new(out)))
}

/// Date and clock as microseconds since the epoch, and the zone's offset in seconds when there is one. `BC` comes last.
fn instant(text: &[u8]) -> Option<(i64, Option<i64>)> {
    let (year, month, day, rest) = ymd(text)?;
    let (micros, rest) = clock(rest.strip_prefix(b" ")?)?;
    let (offset, rest) = match rest.first() {
        Some(b'+' | b'-') => zone(rest).map(|(z, r)| (Some(z), r))?,
        _ => (None, rest),
    };
    let days = days_from_civil(era(year, rest)?, month, day);
    Some((days.checked_mul(DAY_MICROS)?.checked_add(micros)?, offset))
}

/// The year in proleptic ISO counting, from what follows a date: nothing, or ` BC`.
fn era(year: i64, rest: &[u8]) -> Option<i64> {
    match rest {
        b"" => Some(year),
        b" BC" => Some(1 - year),
        _ => None,
    }
}

fn ymd(text: &[u8]) -> Option<(i64, u32, u32, &[u8])> {
    let (year, rest) = digits(text)?;
    let (month, rest) = digits(rest.strip_prefix(b"-")?)?;
    let (day, rest) = digits(rest.strip_prefix(b"-")?)?;
    ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some((
        year,
        month as u32,
        day as u32,
        rest,
    ))
}

/// `hh:mm:ss[.ffffff]` as microseconds.
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hours, rest) = digits(text)?;
    let (minutes, rest) = digits(rest.strip_prefix(b":")?)?;
    let (seconds, mut rest) = digits(rest.strip_prefix(b":")?)?;
    if hours > 24 || minutes > 59 || seconds > 60 {
        return None;
    }
    let mut micros = (hours * 3_600 + minutes * 60 + seconds) * 1_000_000;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let mut unit = 100_000;
        rest = fraction;
        while let [digit @ b'0'..=b'9', more @ ..] = rest {
            micros += i64::from(digit - b'0') * unit;
            unit /= 10;
            rest = more;
        }
    }
    Some((micros, rest))
}

/// `+hh[:mm[:ss]]` in seconds east of UTC.
fn zone(text: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, rest) = match text {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, mut rest) = digits(rest)?;
    let mut seconds = hours * 3_600;
    for unit in [60, 1] {
        if let Some(more) = rest.strip_prefix(b":") {
            let (value, more) = digits(more)?;
            seconds += value * unit;
            rest = more;
        }
    }
    Some((sign * seconds, rest))
}

fn digits(text: &[u8]) -> Option<(i64, &[u8])> {
    let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 || count > 9 {
        return None;
    }
    let value = text[..count]
        .iter()
        .fold(0i64, |v, b| v * 10 + i64::from(b - b'0'));
    Some((value, &text[count..]))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * mp + 2) / 5 + 1) as u32;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn iso_instant(micros: i64, fraction_digits: Option<u32>) -> String {
    let mut out = String::with_capacity(32);
    let (year, month, day) = civil_from_days(micros.div_euclid(DAY_MICROS));
    write_date(&mut out, year, month, day);
    out.push('T');
    write_clock(&mut out, micros.rem_euclid(DAY_MICROS), fraction_digits);
    out.push('Z');
    out
}

/// Years as Java writes them: at least four digits, a sign outside 0–9999.
fn write_date(out: &mut String, year: i64, month: u32, day: u32) {
    let _ = match year {
        0..=9999 => write!(out, "{year:04}"),
        10_000.. => write!(out, "+{year}"),
        _ => write!(out, "-{:04}", -year),
    };
    let _ = write!(out, "-{month:02}-{day:02}");
}

fn write_clock(out: &mut String, micros: i64, fraction_digits: Option<u32>) {
    let seconds = micros / 1_000_000;
    let _ = write!(
        out,
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    );
    let fraction = format!("{:06}", micros % 1_000_000);
    let shown = match fraction_digits {
        Some(digits) => &fraction[..(digits.min(6)) as usize],
        None => fraction.trim_end_matches('0'),
    };
    if !shown.is_empty() {
        out.push('.');
        out.push_str(shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Value {
        timestamp(text.as_bytes(), TimestampForm::Micros).expect("a timestamp")
    }

    #[test]
    fn timestamps_count_from_the_epoch() {
        assert_eq!(
            micros("2016-11-04 13:51:30.123456"),
            Value::Int64(1_478_267_490_123_456)
        );
        assert_eq!(
            micros("4713-12-31 23:59:59.999999 BC"),
            Value::Int64(-210_831_897_600_000_001)
        );
        assert_eq!(
            micros("294247-01-01 23:59:59.999999"),
            Value::Int64(9_223_371_331_199_999_999)
        );
        assert_eq!(micros("infinity"), Value::Int64(i64::MAX));
        assert_eq!(
            timestamp(b"2016-11-04 13:51:30.123", TimestampForm::Millis),
            Ok(Value::Int64(1_478_267_490_123))
        );
        assert_eq!(
            timestamp(b"2017-09-15 09:00:00", TimestampForm::Iso),
            Ok(Value::from("2017-09-15T09:00:00Z"))
        );
    }

    #[test]
    fn zoned_timestamps_are_shifted_to_utc() {
        for (text, digits, shown) in [
            (
                "2016-11-04 13:51:30.123456+02",
                6,
                "2016-11-04T11:51:30.123456Z",
            ),
            (
                "21016-11-04 13:51:30+07",
                6,
                "+21016-11-04T06:51:30.000000Z",
            ),
            (
                "4714-12-31 23:59:59.999999+00 BC",
                6,
                "-4713-12-31T23:59:59.999999Z",
            ),
            ("2019-03-18 12:34:56+00", 0, "2019-03-18T12:34:56Z"),
            (
                "2019-03-18 12:34:56.12+05:30",
                3,
                "2019-03-18T07:04:56.120Z",
            ),
        ] {
            assert_eq!(
                timestamp_tz(text.as_bytes(), digits),
                Ok(Value::from(shown)),
                "{text}"
            );
        }
    }

    #[test]
    fn times_and_dates() {
        assert_eq!(
            time(b"24:00:00", TimeForm::Micros),
            Ok(Value::Int64(DAY_MICROS))
        );
        assert_eq!(
            time(b"13:51:30.123", TimeForm::Millis),
            Ok(Value::Int32(49_890_123))
        );
        assert_eq!(
            time(b"24:00:00", TimeForm::Iso),
            Ok(Value::from("00:00:00Z"))
        );
        assert_eq!(
            time_tz(b"13:51:30.123789+02"),
            Ok(Value::from("11:51:30.123789Z"))
        );
        assert_eq!(time_tz(b"24:00:00+00"), Ok(Value::from("24:00:00Z")));
        assert_eq!(time_tz(b"01:00:00+02"), Ok(Value::from("23:00:00Z")));
        assert_eq!(
            date(b"2017-09-15", DateForm::Days),
            Ok(Value::Int32(17_424))
        );
        assert_eq!(
            date(b"0044-03-15 BC", DateForm::Days),
            Ok(Value::Int32(-735_160))
        );
        assert_eq!(
            date(b"0044-03-15 BC", DateForm::Iso),
            Ok(Value::from("-0043-03-15Z"))
        );
        assert_eq!(
            date(b"infinity", DateForm::Iso),
            Ok(Value::from("+5877611-06-21Z"))
        );
        assert_eq!(
            date(b"-infinity", DateForm::Iso),
            Ok(Value::from("-5877611-06-22Z"))
        );
    }

    #[test]
    fn civil_days_are_inverse() {
        for days in [
            -1_000_000_000,
            -719_468,
            -1,
            0,
            1,
            59,
            60,
            10_957,
            2_000_000,
        ] {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        for text in [
            "",
            "2016",
            "2016-13-01 00:00:00",
            "2016-01-01",
            "2016-01-01 25:00:00",
            "x",
            "2016-01-01 00:00:00+02",
        ] {
            assert!(
                timestamp(text.as_bytes(), TimestampForm::Micros).is_err(),
                "{text}"
            );
        }
    }
}
