//! Java's calendar: Gregorian from 15 October 1582, Julian before.

/// Days since 1970 of the first Gregorian day, 15 October 1582.
const CUTOVER: i64 = -141_427;

/// Year, month and day of days since 1970. Years before 1 are counted as Java's `Calendar.YEAR` does, within their era: 1 BC is 1.
pub(crate) fn from_days(days: i32) -> (i32, i32, i32) {
    let days = i64::from(days);
    let (year, month, day) = if days >= CUTOVER {
        gregorian(days)
    } else {
        julian(days)
    };
    let shown = if year > 0 { year } else { 1 - year };
    (shown as i32, month, day)
}

/// Days since 1970 of a date after Christ; `None` for one that does not exist.
pub(crate) fn to_days(year: i32, month: i32, day: i32) -> Option<i64> {
    if !(1..=292_278_994).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day)
    {
        return None;
    }
    let year = i64::from(year);
    let found = gregorian_days(year, month, day);
    if found >= CUTOVER {
        return (gregorian(found) == (year, month, day)).then_some(found);
    }
    let found = julian_days(year, month, day);
    // Ten days were left out in October 1582.
    (found < CUTOVER && julian(found) == (year, month, day)).then_some(found)
}

/// Days from 1 March of year 0 to 1 January 1970, in either calendar's count of years from March.
const EPOCH_GREGORIAN: i64 = 719_468;
const EPOCH_JULIAN: i64 = 719_470;

fn gregorian_days(year: i64, month: i32, day: i32) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year(month, day)
        - EPOCH_GREGORIAN
}

fn julian_days(year: i64, month: i32, day: i32) -> i64 {
    let year = year - i64::from(month <= 2);
    year * 365 + year.div_euclid(4) + day_of_year(month, day) - EPOCH_JULIAN
}

/// Of a year that begins in March.
fn day_of_year(month: i32, day: i32) -> i64 {
    let from_march = i64::from((month + 9) % 12);
    (153 * from_march + 2) / 5 + i64::from(day) - 1
}

fn gregorian(days: i64) -> (i64, i32, i32) {
    let days = days + EPOCH_GREGORIAN;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    month_and_day(year + era * 400, of_year)
}

fn julian(days: i64) -> (i64, i32, i32) {
    let days = days + EPOCH_JULIAN;
    let (era, of_era) = (days.div_euclid(1_461), days.rem_euclid(1_461));
    let year = (of_era - of_era / 1_460) / 365;
    let of_year = of_era - 365 * year;
    month_and_day(year + era * 4, of_year)
}

fn month_and_day(year: i64, of_year: i64) -> (i64, i32, i32) {
    let from_march = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * from_march + 2) / 5 + 1) as i32;
    let month = if from_march < 10 {
        from_march as i32 + 3
    } else {
        from_march as i32 - 9
    };
    (year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_on_both_sides_of_the_reform() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (19_782, (2024, 2, 29)),
            (-141_427, (1582, 10, 15)),
            (-141_428, (1582, 10, 4)),
            // The first of January of the year 1 in the Julian calendar.
            (-719_164, (1, 1, 1)),
        ] {
            assert_eq!(from_days(days), date, "{days}");
            assert_eq!(to_days(date.0, date.1, date.2), Some(i64::from(days)));
        }
        // 1 BC.
        assert_eq!(from_days(-719_165), (1, 12, 31));
    }

    #[test]
    fn dates_that_do_not_exist() {
        for (year, month, day) in [
            (0, 1, 1),
            (2023, 2, 30),
            (2023, 2, 29),
            (2023, 0, 1),
            (2023, 13, 1),
            (2023, 1, 0),
            (1582, 10, 10),
        ] {
            assert_eq!(to_days(year, month, day), None, "{year}-{month}-{day}");
        }
        assert!(
            to_days(1500, 2, 29).is_some(),
            "a leap year of the Julian calendar"
        );
    }

    #[test]
    fn every_day_comes_back() {
        for days in (-719_164..3_000_000).step_by(97) {
            let (year, month, day) = from_days(days);
            assert_eq!(to_days(year, month, day), Some(i64::from(days)));
        }
    }
}
