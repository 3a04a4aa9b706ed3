//! Dates of Java's calendar: Gregorian from 1582-10-15 on, Julian before.

/// First Gregorian day, in days since 1970-01-01.
const CUTOVER: i64 = -141_427;

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 86_400_000;

/// A date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    /// Astronomical: 0 is 1 BC.
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: i64,
    /// From 1.
    pub(crate) day: i64,
}

/// Days since 1970-01-01 of a date whose month and day may be beyond their range, which then counts on.
pub(crate) fn days_of(date: Date) -> i64 {
    let year = date.year + (date.month - 1).div_euclid(12);
    let month = (date.month - 1).rem_euclid(12) + 1;
    let gregorian = days(year, month, true) + date.day - 1;
    if gregorian >= CUTOVER {
        gregorian
    } else {
        days(year, month, false) + date.day - 1
    }
}

/// Days since 1970-01-01 of the first of a month. The year starts in March, so that the leap day is its last.
fn days(year: i64, month: i64, gregorian: bool) -> i64 {
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let leap_days = year.div_euclid(4)
        + if gregorian {
            year.div_euclid(400) - year.div_euclid(100)
        } else {
            -2
        };
    year * 365 + leap_days + (month * 153 + 2) / 5 - 719_468
}

/// The date of a day.
pub(crate) fn date_of(day: i64) -> Date {
    let gregorian = day >= CUTOVER;
    // An estimate by the mean length of a year, put right by a year or two.
    let mut year = 1970 + (day * 400).div_euclid(146_097);
    while days(year, 1, gregorian) > day {
        year -= 1;
    }
    while days(year + 1, 1, gregorian) <= day {
        year += 1;
    }
    let month = (1..=12)
        .rev()
        .find(|m| days(year, *m, gregorian) <= day)
        .unwrap_or(1);
    Date {
        year,
        month,
        day: day - days(year, month, gregorian) + 1,
    }
}

/// Hours, minutes, seconds and milliseconds of a time since midnight or since the epoch.
pub(crate) fn time_of(millis: i64) -> (i64, i64, i64, i64) {
    let millis = millis.rem_euclid(DAY);
    (
        millis / 3_600_000,
        millis / 60_000 % 60,
        millis / 1000 % 60,
        millis % 1000,
    )
}

/// The year as it is printed: within its era.
pub(crate) fn year_of_era(year: i64) -> i64 {
    if year <= 0 { 1 - year } else { year }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(year: i64, month: i64, day: i64) -> Date {
        Date { year, month, day }
    }

    #[test]
    fn days_and_dates_agree() {
        for (day, expected) in [
            (0, date(1970, 1, 1)),
            (-1, date(1969, 12, 31)),
            (11_016, date(2000, 2, 29)),
            (CUTOVER, date(1582, 10, 15)),
            (CUTOVER - 1, date(1582, 10, 4)),
            (-719_164, date(1, 1, 1)),
            (-719_165, date(0, 12, 31)),
            (2_932_896, date(9999, 12, 31)),
        ] {
            assert_eq!(date_of(day), expected, "{day}");
            assert_eq!(days_of(expected), day, "{expected:?}");
        }
        for day in (-800_000..800_000).step_by(97) {
            assert_eq!(days_of(date_of(day)), day);
        }
        assert_eq!(days_of(date(2020, 13, 45)), days_of(date(2021, 2, 14)));
    }
}
