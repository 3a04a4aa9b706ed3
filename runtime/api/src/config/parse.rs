//! Texts to typed values by Java's rules, and back.

use std::fmt;

use super::class_names::ClassNames;
use super::key::ConfigType;
use super::secret::{HIDDEN, Secret};
use crate::data::java_f64;

/// A value of one of Connect's configuration types.
#[derive(Clone, Debug, PartialEq)]
pub enum ParsedValue {
    /// BOOLEAN
    Boolean(bool),
    /// STRING
    String(String),
    /// SHORT
    Short(i16),
    /// INT
    Int(i32),
    /// LONG
    Long(i64),
    /// DOUBLE
    Double(f64),
    /// LIST
    List(Vec<String>),
    /// CLASS: the full class name.
    Class(String),
    /// PASSWORD
    Password(Secret<String>),
}

impl ParsedValue {
    /// The text that `/validate` shows: lists joined without spaces, passwords hidden.
    pub fn shown(&self) -> String {
        match self {
            Self::List(items) => items.join(","),
            Self::Double(number) => double_text(*number),
            other => other.to_string(),
        }
    }

    /// The text, for STRING and CLASS.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::Class(text) => Some(text),
            _ => None,
        }
    }

    /// The items, for LIST.
    pub fn as_list(&self) -> Option<&[String]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The integer, for SHORT, INT and LONG.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Short(number) => Some((*number).into()),
            Self::Int(number) => Some((*number).into()),
            Self::Long(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, for SHORT, INT, LONG and DOUBLE.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Double(number) => Some(*number),
            other => other.as_i64().map(|number| number as f64),
        }
    }
}

/// The text in messages: as Java prints the object, so a list has brackets and a class the word before its name.
impl fmt::Display for ParsedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::String(text) | Self::Class(text) => f.write_str(text),
            Self::Short(number) => write!(f, "{number}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Long(number) => write!(f, "{number}"),
            Self::Double(number) => f.write_str(&double_text(*number)),
            Self::List(items) => write!(f, "[{}]", items.join(", ")),
            Self::Password(_) => f.write_str(HIDDEN),
        }
    }
}

/// Parses a text as `kind`. The error is the problem alone, without key and value.
pub(super) fn parse(
    text: &str,
    kind: ConfigType,
    classes: &dyn ClassNames,
) -> Result<ParsedValue, String> {
    let trimmed = java_trim(text);
    let not_a_number = || format!("Not a number of type {}", kind.name());
    match kind {
        ConfigType::Boolean if trimmed.eq_ignore_ascii_case("true") => {
            Ok(ParsedValue::Boolean(true))
        }
        ConfigType::Boolean if trimmed.eq_ignore_ascii_case("false") => {
            Ok(ParsedValue::Boolean(false))
        }
        ConfigType::Boolean => Err("Expected value to be either true or false".to_owned()),
        ConfigType::String => Ok(ParsedValue::String(trimmed.to_owned())),
        ConfigType::Short => trimmed
            .parse()
            .map(ParsedValue::Short)
            .map_err(|_| not_a_number()),
        ConfigType::Int => trimmed
            .parse()
            .map(ParsedValue::Int)
            .map_err(|_| not_a_number()),
        ConfigType::Long => trimmed
            .parse()
            .map(ParsedValue::Long)
            .map_err(|_| not_a_number()),
        ConfigType::Double => parse_double(trimmed)
            .map(ParsedValue::Double)
            .ok_or_else(not_a_number),
        ConfigType::List => Ok(ParsedValue::List(split_list(trimmed))),
        ConfigType::Class => match classes.resolve(trimmed) {
            Some(class) => Ok(ParsedValue::Class(class)),
            None => Err(format!("Class {trimmed} could not be found.")),
        },
        ConfigType::Password => Ok(ParsedValue::Password(Secret::new(trimmed.to_owned()))),
    }
}

/// Java's `String.trim`: everything up to the blank counts as white space, nothing beyond ASCII does.
pub(super) fn java_trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// Splits at commas with the white space around them; empty items stay, an empty text has none.
pub(super) fn split_list(trimmed: &str) -> Vec<String> {
    if trimmed.is_empty() {
        return Vec::new();
    }
    let white = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0B' | '\x0C' | '\r');
    let last = trimmed.matches(',').count();
    // White space before the first item and after the last belongs to the item: only the separators take theirs with them.
    trimmed
        .split(',')
        .enumerate()
        .map(|(index, item)| {
            let item = if index > 0 {
                item.trim_start_matches(white)
            } else {
                item
            };
            if index < last {
                item.trim_end_matches(white)
            } else {
                item
            }
            .to_owned()
        })
        .collect()
}

/// Java's `Double.parseDouble` for decimal notation: a type suffix is allowed, `inf` and `nan` are not.
fn parse_double(text: &str) -> Option<f64> {
    match text.trim_start_matches(['+', '-']) {
        "NaN" => return Some(f64::NAN),
        "Infinity" => {
            return Some(if text.starts_with('-') {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            });
        }
        digits if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => return None,
        _ => {}
    }
    text.strip_suffix(['d', 'D', 'f', 'F'])
        .unwrap_or(text)
        .parse()
        .ok()
}

fn double_text(number: f64) -> String {
    let mut text = Vec::with_capacity(24);
    java_f64(number, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::class_names::AnyClass;
    use super::*;

    fn shown(text: &str, kind: ConfigType) -> Result<String, String> {
        parse(text, kind, &AnyClass).map(|value| value.shown())
    }

    #[test]
    fn texts_parse_as_in_java() {
        use ConfigType::{Boolean, Double, Int, List, Long, Short, String};
        let table: &[(ConfigType, &str, Result<&str, &str>)] = &[
            (Boolean, " TRUE ", Ok("true")),
            (Boolean, "False", Ok("false")),
            (
                Boolean,
                "yes",
                Err("Expected value to be either true or false"),
            ),
            (
                Boolean,
                "",
                Err("Expected value to be either true or false"),
            ),
            (Int, " 7\t", Ok("7")),
            (Int, "+5", Ok("5")),
            (Int, "-2147483648", Ok("-2147483648")),
            (Int, "2147483648", Err("Not a number of type INT")),
            (Int, "0x10", Err("Not a number of type INT")),
            (Int, "1.5", Err("Not a number of type INT")),
            (Int, "", Err("Not a number of type INT")),
            (Short, "32768", Err("Not a number of type SHORT")),
            (Long, "3000000000", Ok("3000000000")),
            (Long, "1_000", Err("Not a number of type LONG")),
            (Double, "1", Ok("1.0")),
            (Double, "1e10", Ok("1.0E10")),
            (Double, "2.5d", Ok("2.5")),
            (Double, "-Infinity", Ok("-Infinity")),
            (Double, "inf", Err("Not a number of type DOUBLE")),
            (Double, "nan", Err("Not a number of type DOUBLE")),
            (String, "  a b ", Ok("a b")),
            (String, "\u{a0}x", Ok("\u{a0}x")),
            (List, "", Ok("")),
            (List, " a , b,,c ", Ok("a,b,,c")),
            (List, ",,", Ok(",,")),
        ];
        for (kind, text, expected) in table {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(shown(text, *kind), expected, "{text:?} as {}", kind.name());
        }
    }

    #[test]
    fn lists_keep_empty_items() {
        assert_eq!(split_list(",,"), ["", "", ""]);
        assert_eq!(split_list("a"), ["a"]);
        assert_eq!(split_list("a ,\tb"), ["a", "b"]);
        assert!(split_list("").is_empty());
    }

    #[test]
    fn passwords_are_never_shown() {
        let value = parse("s3cret", ConfigType::Password, &AnyClass).expect("parses");
        assert_eq!(
            (value.shown().as_str(), value.to_string().as_str()),
            (HIDDEN, HIDDEN)
        );
        assert!(!format!("{value:?}").contains("s3cret"));
    }
}
