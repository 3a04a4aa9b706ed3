//! Moments and days as the wall-clock values that a column without a zone gets.
//!
//! Everything is in PostgreSQL's terms: days and microseconds since 2000-01-01, proleptic Gregorian.

use super::config::CalendarSystem;
use super::zone::Zone;

/// Days from 1970-01-01 to 2000-01-01.
const PG_EPOCH_DAYS: i64 = 10_957;
const MICROS_PER_DAY: i64 = 86_400_000_000;
/// 1582-10-15, where Java's calendar changes from Julian to Gregorian, in days since the epoch.
const CUTOVER: i64 = -141_427;

/// A value that the server refuses as out of range: what does not fit must become the server's error for this row, not another value. (The extremes themselves
/// mean infinity.)
pub(crate) const DATE_OUT_OF_RANGE: i32 = i32::MAX - 1;
/// The same for timestamps.
pub(crate) const TIMESTAMP_OUT_OF_RANGE: i64 = i64::MAX - 1;

/// How times become wall-clock times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    /// Zone of times and timestamps.
    pub(crate) zone: Zone,
    /// Zone of dates.
    pub(crate) date_zone: Zone,
    /// What a day before 1582-10-15 is called.
    pub(crate) calendar: CalendarSystem,
}

impl WallClock {
    /// Days since 2000-01-01 for a `Date`: midnight UTC of that day, seen in the date zone. West of Greenwich that is the day before.
    pub(crate) fn date(&self, epoch_days: i64) -> i32 {
        let seconds = epoch_days * 86_400;
        let local = (seconds + i64::from(self.date_zone.offset_at(seconds))).div_euclid(86_400);
        self.named_day(local)
            .and_then(|day| i32::try_from(day - PG_EPOCH_DAYS).ok())
            .unwrap_or(DATE_OUT_OF_RANGE)
    }

    /// Microseconds since midnight for a `Time`, which Java sees as a moment of 1970-01-01 UTC.
    pub(crate) fn time(&self, millis_of_day: i64) -> i64 {
        let offset = i64::from(self.zone.offset_at(millis_of_day.div_euclid(1000)));
        (millis_of_day.wrapping_mul(1000))
            .wrapping_add(offset * 1_000_000)
            .rem_euclid(MICROS_PER_DAY)
    }

    /// Microseconds since 2000-01-01 for a moment in microseconds since 1970-01-01 UTC.
    pub(crate) fn timestamp(&self, epoch_micros: Option<i64>) -> i64 {
        epoch_micros
            .and_then(|micros| self.local_micros(micros))
            .unwrap_or(TIMESTAMP_OUT_OF_RANGE)
    }

    fn local_micros(&self, epoch_micros: i64) -> Option<i64> {
        let offset = self.zone.offset_at(epoch_micros.div_euclid(1_000_000));
        let local = epoch_micros.checked_add(i64::from(offset) * 1_000_000)?;
        let day = local.div_euclid(MICROS_PER_DAY);
        let named = if day < CUTOVER {
            self.named_day(day)?
        } else {
            day
        };
        (named - PG_EPOCH_DAYS)
            .checked_mul(MICROS_PER_DAY)?
            .checked_add(local.rem_euclid(MICROS_PER_DAY))
    }

    /// The proleptic Gregorian day that has the name which the calendar gives to `day`; `None` when there is no such day (29 February 1500).
    fn named_day(&self, day: i64) -> Option<i64> {
        if day >= CUTOVER || self.calendar == CalendarSystem::ProlepticGregorian {
            return Some(day);
        }
        let (year, month, day) = julian(day);
        (day <= days_of_month(year, month)).then(|| days_from_civil(year, month, day))
    }
}

/// Year, month and day that the Julian calendar gives to a day.
fn julian(epoch_day: i64) -> (i64, i64, i64) {
    let c = epoch_day + 2_440_588 + 32_082;
    let d = (4 * c + 3).div_euclid(1461);
    let e = c - (1461 * d).div_euclid(4);
    let m = (5 * e + 2) / 153;
    (
        d - 4800 + m / 10,
        m + 3 - 12 * (m / 10),
        e - (153 * m + 2) / 5 + 1,
    )
}

/// Days since the epoch of a proleptic Gregorian date.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a proleptic Gregorian day.
pub(crate) fn civil_from_days(epoch_day: i64) -> (i64, i64, i64) {
    let shifted = epoch_day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * day_of_year + 2) / 153;
    let month = if m < 10 { m + 3 } else { m - 9 };
    (
        year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day_of_year - (153 * m + 2) / 5 + 1,
    )
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `2024-01-02`, with the era as PostgreSQL writes it. `pg_days`: days since 2000-01-01.
pub(crate) fn date_text(pg_days: i32) -> String {
    let (year, month, day) = civil_from_days(i64::from(pg_days) + PG_EPOCH_DAYS);
    if year > 0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{:04}-{month:02}-{day:02} BC", 1 - year)
    }
}

/// `03:04:05.678`, milliseconds with three digits, microseconds only when there are some.
pub(crate) fn time_text(micros_of_day: i64) -> String {
    let (seconds, micros) = (micros_of_day / 1_000_000, micros_of_day % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if micros % 1000 == 0 {
        format!("{hour:02}:{minute:02}:{second:02}.{:03}", micros / 1000)
    } else {
        format!("{hour:02}:{minute:02}:{second:02}.{micros:06}")
    }
}

/// `2024-01-02 03:04:05.678`. `pg_micros`: microseconds since 2000-01-01.
pub(crate) fn timestamp_text(pg_micros: i64) -> String {
    let days = i32::try_from(pg_micros.div_euclid(MICROS_PER_DAY)).unwrap_or(DATE_OUT_OF_RANGE);
    let date = date_text(days);
    let time = time_text(pg_micros.rem_euclid(MICROS_PER_DAY));
    match date.strip_suffix(" BC") {
        Some(date) => format!("{date} {time} BC"),
        None => format!("{date} {time}"),
    }
}

/// `+00`, `-05`, `+05:30`: an offset as pgjdbc appends it.
pub(crate) fn offset_text(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (minute, second) {
        (0, 0) => format!("{sign}{hour:02}"),
        (_, 0) => format!("{sign}{hour:02}:{minute:02}"),
        _ => format!("{sign}{hour:02}:{minute:02}:{second:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(zone: &str, date_zone: &str, calendar: CalendarSystem) -> WallClock {
        WallClock {
            zone: Zone::parse(zone).expect("zone"),
            date_zone: Zone::parse(date_zone).expect("zone"),
            calendar,
        }
    }

    fn shown(clock: &WallClock, epoch_millis: i64) -> String {
        timestamp_text(clock.timestamp(epoch_millis.checked_mul(1000)))
    }

    #[test]
    fn wall_clock_times_of_a_zone() {
        let ny = clock(
            "America/New_York",
            "America/New_York",
            CalendarSystem::Legacy,
        );
        assert_eq!(date_text(ny.date(19_675)), "2023-11-13");
        assert_eq!(date_text(ny.date(0)), "1969-12-31");
        assert_eq!(time_text(ny.time(3_600_000)), "20:00:00.000");
        assert_eq!(time_text(ny.time(82_800_000)), "18:00:00.000");
        assert_eq!(shown(&ny, 1_700_000_000_123), "2023-11-14 17:13:20.123");
        assert_eq!(shown(&ny, 1_686_787_200_000), "2023-06-14 20:00:00.000");
        let utc_dates = clock("America/New_York", "UTC", CalendarSystem::Legacy);
        assert_eq!(date_text(utc_dates.date(19_675)), "2023-11-14");
    }

    #[test]
    fn old_days_keep_their_julian_name_in_the_legacy_calendar() {
        let legacy = clock("UTC", "UTC", CalendarSystem::Legacy);
        let proleptic = clock("UTC", "UTC", CalendarSystem::ProlepticGregorian);
        let first_day = days_from_civil(1, 1, 1);
        assert_eq!(date_text(legacy.date(first_day)), "0001-01-03");
        assert_eq!(date_text(proleptic.date(first_day)), "0001-01-01");
        assert_eq!(date_text(legacy.date(CUTOVER)), "1582-10-15");
        assert_eq!(date_text(legacy.date(CUTOVER - 1)), "1582-10-04");
        assert_eq!(date_text(proleptic.date(CUTOVER - 1)), "1582-10-14");
        assert_eq!(
            shown(&legacy, (CUTOVER - 1) * 86_400_000),
            "1582-10-04 00:00:00.000"
        );
        // 29 February 1500 exists only in the Julian calendar.
        assert_eq!(legacy.date(days_from_civil(1500, 3, 10)), DATE_OUT_OF_RANGE);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_the_server() {
        let utc = clock("UTC", "UTC", CalendarSystem::ProlepticGregorian);
        assert_eq!(utc.timestamp(None), TIMESTAMP_OUT_OF_RANGE);
        assert_eq!(utc.timestamp(Some(i64::MIN)), TIMESTAMP_OUT_OF_RANGE);
        assert_eq!(
            date_text(utc.date(days_from_civil(0, 12, 31))),
            "0001-12-31 BC"
        );
    }

    #[test]
    fn texts() {
        assert_eq!(time_text(123), "00:00:00.000123");
        assert_eq!(offset_text(0), "+00");
        assert_eq!(offset_text(-16_200), "-04:30");
        assert_eq!(timestamp_text(0), "2000-01-01 00:00:00.000");
        for day in [-800_000, -719_468, -1, 0, 59, 60, 11_016, 20_000] {
            let (year, month, d) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, d), day);
        }
    }
}
