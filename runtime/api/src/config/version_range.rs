//! Version ranges in Maven's notation, as `connector.plugin.version` and its like take them.

use std::cmp::Ordering;
use std::fmt;

/// Versions that a plugin may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRange(Vec<Interval>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Interval {
    lower: Option<String>,
    lower_inclusive: bool,
    upper: Option<String>,
    upper_inclusive: bool,
}

impl VersionRange {
    /// Reads a range: `[1.0,2.0)`, `(,3.0]`, several of them with commas, or one version, which is then the only one. `None` for `latest`, which any matches.
    ///
    /// # Errors
    /// Maven's text for what is wrong.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("latest") {
            return Ok(None);
        }
        if !text.contains(['[', '(']) {
            let version = Some(text.to_owned());
            return Ok(Some(Self(vec![Interval {
                lower: version.clone(),
                lower_inclusive: true,
                upper: version,
                upper_inclusive: true,
            }])));
        }
        let mut intervals = Vec::new();
        let mut rest = text;
        while rest.starts_with(['[', '(']) {
            let Some(end) = rest.find([']', ')']) else {
                return Err(format!("Unbounded range: {text}"));
            };
            intervals.push(Interval::parse(&rest[..=end])?);
            rest = rest[end + 1..].trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        if !rest.is_empty() {
            return Err(format!(
                "Only fully-qualified sets allowed in multiple set scenario: {text}"
            ));
        }
        Ok(Some(Self(intervals)))
    }

    /// Whether `version` is in the range.
    pub fn contains(&self, version: &str) -> bool {
        self.0.iter().any(|interval| interval.contains(version))
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, interval) in self.0.iter().enumerate() {
            let Interval {
                lower,
                lower_inclusive,
                upper,
                upper_inclusive,
            } = interval;
            let (open, close) = (
                if *lower_inclusive { '[' } else { '(' },
                if *upper_inclusive { ']' } else { ')' },
            );
            let comma = if index == 0 { "" } else { "," };
            write!(
                f,
                "{comma}{open}{},{}{close}",
                lower.as_deref().unwrap_or_default(),
                upper.as_deref().unwrap_or_default()
            )?;
        }
        Ok(())
    }
}

impl Interval {
    fn parse(text: &str) -> Result<Self, String> {
        let (lower_inclusive, upper_inclusive) = (text.starts_with('['), text.ends_with(']'));
        let inner = text[1..text.len() - 1].trim();
        let bound =
            |version: &str| Some(version.trim().to_owned()).filter(|version| !version.is_empty());
        let Some((lower, upper)) = inner.split_once(',') else {
            if !lower_inclusive || !upper_inclusive {
                return Err(format!("Single version must be surrounded by []: {text}"));
            }
            return Ok(Self {
                lower: bound(inner),
                lower_inclusive,
                upper: bound(inner),
                upper_inclusive,
            });
        };
        let (lower, upper) = (bound(lower), bound(upper));
        if let (Some(lower), Some(upper)) = (&lower, &upper) {
            match compare(lower, upper) {
                Ordering::Greater => return Err(format!("Range defies version ordering: {text}")),
                Ordering::Equal if lower == upper && !(lower_inclusive && upper_inclusive) => {
                    return Err(format!("Range cannot have identical boundaries: {text}"));
                }
                _ => {}
            }
        }
        Ok(Self {
            lower,
            lower_inclusive,
            upper,
            upper_inclusive,
        })
    }

    fn contains(&self, version: &str) -> bool {
        let above = self
            .lower
            .as_ref()
            .is_none_or(|lower| match compare(version, lower) {
                Ordering::Greater => true,
                Ordering::Equal => self.lower_inclusive,
                Ordering::Less => false,
            });
        let below = self
            .upper
            .as_ref()
            .is_none_or(|upper| match compare(version, upper) {
                Ordering::Less => true,
                Ordering::Equal => self.upper_inclusive,
                Ordering::Greater => false,
            });
        above && below
    }
}

/// Compares two versions as Maven does: numbers by value, words by their known rank, missing parts as zero or as a release.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    for index in 0..a.len().max(b.len()) {
        let order = match (a.get(index), b.get(index)) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(a), None) => a.cmp(&a.absent()),
            (None, Some(b)) => b.absent().cmp(b),
            (None, None) => Ordering::Equal,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// A part of a version. Words come before numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Word(u8, String),
    Number(u128),
}

/// Rank of a release among words.
const RELEASE: u8 = 5;

impl Part {
    /// What a version has in place of this part when it is shorter.
    fn absent(&self) -> Self {
        match self {
            Self::Word(..) => Self::Word(RELEASE, String::new()),
            Self::Number(_) => Self::Number(0),
        }
    }

    fn word(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "alpha" | "a" => Self::Word(0, String::new()),
            "beta" | "b" => Self::Word(1, String::new()),
            "milestone" | "m" => Self::Word(2, String::new()),
            "rc" | "cr" => Self::Word(3, String::new()),
            "snapshot" => Self::Word(4, String::new()),
            "" | "final" | "ga" | "release" => Self::Word(RELEASE, String::new()),
            "sp" => Self::Word(6, String::new()),
            other => Self::Word(7, other.to_owned()),
        }
    }
}

fn parts(version: &str) -> Vec<Part> {
    let mut tokens: Vec<String> = Vec::new();
    let mut previous: Option<bool> = None;
    for c in version.chars() {
        if matches!(c, '.' | '-' | '_') {
            previous = None;
            continue;
        }
        let digit = c.is_ascii_digit();
        match tokens.last_mut() {
            Some(token) if previous == Some(digit) => token.push(c),
            _ => tokens.push(c.to_string()),
        }
        previous = Some(digit);
    }
    tokens
        .iter()
        .map(|token| {
            token
                .parse()
                .map_or_else(|_| Part::word(token), Part::Number)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_in_maven() {
        let ascending = [
            "1.0-alpha1",
            "1.0-beta",
            "1.0-rc1",
            "1.0-SNAPSHOT",
            "1.0",
            "1.0-sp",
            "1.0.1",
            "1.2",
            "1.10",
            "2.0.0.Alpha1",
            "2.0",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
        for (a, b) in [("1", "1.0.0"), ("3.7.0.Final", "3.7"), ("1.0.ga", "1.0")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn ranges_are_read_and_matched() {
        let table = [
            ("9.9", "[9.9,9.9]", "9.9.0", "9.8"),
            ("[1.0,2.0)", "[1.0,2.0)", "1.5", "2.0"),
            ("(,3.0]", "(,3.0]", "3.0", "3.0.1"),
            ("[1.2.3]", "[1.2.3,1.2.3]", "1.2.3", "1.2.4"),
            ("[1,2],[4,)", "[1,2],[4,)", "5", "3"),
        ];
        for (text, shown, inside, outside) in table {
            let range = VersionRange::parse(text)
                .expect("parses")
                .expect("no latest");
            assert_eq!(range.to_string(), shown);
            assert!(range.contains(inside) && !range.contains(outside), "{text}");
        }
        assert_eq!(VersionRange::parse(" LATEST "), Ok(None));
        assert_eq!(
            VersionRange::parse("")
                .map(|range| range.map(|range| (range.to_string(), range.contains("4.3.1")))),
            Ok(Some(("[,]".to_owned(), false)))
        );
        assert_eq!(
            VersionRange::parse("[1.0"),
            Err("Unbounded range: [1.0".to_owned())
        );
        assert!(VersionRange::parse("[2,1]").is_err());
    }
}
