//! The formats that drafts 4 to 7 name.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{pattern, uri};

/// Whether a text has the format. Unknown formats fit everything.
pub(crate) fn fits(name: &str, text: &str) -> bool {
    match name {
        "date-time" => match text.split_once(['T', 't']) {
            Some((date, time)) => is_date(date) && is_time(time),
            None => false,
        },
        "date" => is_date(text),
        "time" => is_time(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "email" => match text.rsplit_once('@') {
            Some((local, domain)) => {
                !local.is_empty() && !text.contains(char::is_whitespace) && is_hostname(domain)
            }
            None => false,
        },
        "hostname" => is_hostname(text),
        "uri" => uri::is_absolute(text) && uri::resolve("", text).is_ok(),
        "uri-reference" => uri::resolve("", text).is_ok(),
        "uri-template" => braces_are_paired(text),
        "regex" => pattern::check(text).is_ok(),
        "json-pointer" => is_pointer(text),
        "relative-json-pointer" => {
            let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
            rest.len() < text.len() && (rest == "#" || is_pointer(rest))
        }
        _ => true,
    }
}

fn digits(text: &str, length: usize) -> Option<u32> {
    (text.len() == length && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) = (
        parts.next().and_then(|t| digits(t, 4)),
        parts.next().and_then(|t| digits(t, 2)),
        parts.next().and_then(|t| digits(t, 2)),
        parts.next(),
    ) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

fn is_time(text: &str) -> bool {
    let Some((clock, rest)) = text.split_at_checked(8) else {
        return false;
    };
    let mut parts = clock.split(':').map(|t| digits(t, 2));
    let fits = matches!(
        (parts.next(), parts.next(), parts.next(), parts.next()),
        (
            Some(Some(0..=23)),
            Some(Some(0..=59)),
            Some(Some(0..=60)),
            None
        )
    );
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let after = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if after.len() == fraction.len() {
                return false;
            }
            after
        }
        None => rest,
    };
    let zone = match rest.split_at_checked(1) {
        Some(("Z" | "z", "")) => true,
        Some(("+" | "-", zone)) => matches!(
            zone.split_once(':')
                .map(|(h, m)| (digits(h, 2), digits(m, 2))),
            Some((Some(0..=23), Some(0..=59)))
        ),
        _ => false,
    };
    fits && zone
}

fn is_hostname(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/'))
        && text
            .split('~')
            .skip(1)
            .all(|after| after.starts_with(['0', '1']))
}

fn braces_are_paired(text: &str) -> bool {
    let mut open = false;
    for c in text.chars() {
        match c {
            '{' if open => return false,
            '}' if !open => return false,
            '{' | '}' => open = !open,
            _ => {}
        }
    }
    !open
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn formats() {
        for (name, good, bad) in [
            (
                "date-time",
                "2024-02-29T23:59:60.5+01:00",
                "2024-02-30T00:00:00Z",
            ),
            ("date", "2000-02-29", "1900-02-29"),
            ("time", "01:02:03Z", "1:02:03Z"),
            ("ipv4", "127.0.0.1", "127.0.0.256"),
            ("ipv6", "::1", "::g"),
            ("email", "a.b@x.test", "a@"),
            ("hostname", "a-b.test", "-a.test"),
            ("uri", "http://x.test/a", "a/b"),
            ("uri-reference", "a/b", "a b"),
            ("regex", "^a$", "("),
            ("json-pointer", "/a~0b", "/a~2"),
            ("relative-json-pointer", "1/a", "/a"),
            ("uri-template", "/{a}", "/{a"),
        ] {
            assert!(fits(name, good), "{name} {good}");
            assert!(!fits(name, bad), "{name} {bad}");
        }
        assert!(fits("unknown", ""));
    }
}
