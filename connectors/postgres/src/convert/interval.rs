//! `interval` in PostgreSQL's own output style: `1 year 2 mons -3 days 04:05:06.78`.

use millrace_api::data::{Text, Value};

use super::ConvertError;

/// `interval.handling.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntervalMode {
    /// Microseconds.
    Numeric,
    /// ISO 8601 with all components.
    String,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Interval {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    /// Seconds and their fraction.
    micros: i64,
}

pub(super) fn interval(text: &str, mode: IntervalMode) -> Result<Value, ConvertError> {
    let i = parse(text).ok_or(ConvertError::Malformed {
        expected: "interval",
    })?;
    Ok(match mode {
        IntervalMode::Numeric => Value::Int64(micros(&i)),
        IntervalMode::String => Value::String(Text::new(iso(&i))),
    })
}

fn parse(text: &str) -> Option<Interval> {
    let mut i = Interval::default();
    let mut words = text.split_ascii_whitespace();
    while let Some(word) = words.next() {
        if word.contains(':') {
            let negative = word.starts_with('-');
            let sign = if negative { -1 } else { 1 };
            let mut parts = word.trim_start_matches(['-', '+']).splitn(3, ':');
            i.hours = sign * parts.next()?.parse::<i64>().ok()?;
            i.minutes = sign * parts.next()?.parse::<i64>().ok()?;
            if let Some(seconds) = parts.next() {
                let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
                let mut micros = whole.parse::<i64>().ok()?.checked_mul(1_000_000)?;
                if !fraction.is_empty() {
                    micros += format!("{fraction:0<6}").get(..6)?.parse::<i64>().ok()?;
                }
                i.micros = sign * micros;
            }
            continue;
        }
        let number: i64 = word.parse().ok()?;
        match words.next()? {
            "year" | "years" => i.years = number,
            "mon" | "mons" => i.months = number,
            "day" | "days" => i.days = number,
            _ => return None,
        }
    }
    Some(i)
}

/// Months count as 365.25 / 12 days; computed in doubles and cut off, saturating, as Debezium does.
fn micros(i: &Interval) -> i64 {
    const DAY: f64 = 86_400_000_000.0;
    let months = (i.years * 12 + i.months) as f64;
    let seconds = i
        .hours
        .saturating_mul(3_600_000_000)
        .saturating_add(i.minutes * 60_000_000)
        .saturating_add(i.micros);
    ((months * (365.25 / 12.0) + i.days as f64) * DAY + seconds as f64) as i64
}

fn iso(i: &Interval) -> String {
    let sign = if i.micros < 0 { "-" } else { "" };
    let (seconds, fraction) = (
        i.micros.unsigned_abs() / 1_000_000,
        i.micros.unsigned_abs() % 1_000_000,
    );
    let mut text = format!(
        "P{}Y{}M{}DT{}H{}M{sign}{seconds}",
        i.years, i.months, i.days, i.hours, i.minutes
    );
    if fraction != 0 {
        text.push('.');
        text.push_str(format!("{fraction:06}").trim_end_matches('0'));
    }
    text.push('S');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(text: &str) -> Value {
        interval(text, IntervalMode::Numeric).expect("an interval")
    }

    fn string(text: &str) -> String {
        interval(text, IntervalMode::String)
            .expect("an interval")
            .as_str()
            .expect("text")
            .to_owned()
    }

    #[test]
    fn intervals_in_both_modes() {
        assert_eq!(
            numeric("1 year 2 mons 3 days 04:05:06.78"),
            Value::Int64(37_091_106_780_000)
        );
        assert_eq!(numeric("178000000 years"), Value::Int64(i64::MAX));
        assert_eq!(
            string("1 year 2 mons 3 days 04:05:06.78"),
            "P1Y2M3DT4H5M6.78S"
        );
        assert_eq!(string("-1 mons"), "P0Y-1M0DT0H0M0S");
        assert_eq!(string("00:00:00"), "P0Y0M0DT0H0M0S");
        assert_eq!(string("-1 days +02:03:00"), "P0Y0M-1DT2H3M0S");
        assert_eq!(string("-00:00:01.5"), "P0Y0M0DT0H0M-1.5S");
        assert!(interval("soon", IntervalMode::String).is_err());
    }
}
