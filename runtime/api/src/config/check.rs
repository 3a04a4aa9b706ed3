//! Validators: what is allowed beyond what parses.

use std::fmt;
use std::sync::Arc;

use super::dialect::Dialect;
use super::field::{ConfigEnum, LetterCase};
use super::java_regex::{JavaRegex, split_regex_list};
use super::parse::ParsedValue;
use super::props::RawProps;

/// What a validator looks at.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The key, without the prefix under which a plugin's definition may be embedded.
    pub name: &'a str,
    /// The parsed value; `None` when it is null or did not parse.
    pub value: Option<&'a ParsedValue>,
    /// The text as given, or the default's; not trimmed.
    pub text: Option<&'a str>,
    /// All that was submitted.
    pub props: &'a RawProps,
    /// Whose rules apply.
    pub dialect: Dialect,
}

impl Candidate<'_> {
    /// The text of another key, when it was submitted with one.
    pub fn other(&self, key: &str) -> Option<&str> {
        self.props.get(key)?.as_deref()
    }

    fn list(&self) -> &[String] {
        self.value
            .and_then(ParsedValue::as_list)
            .unwrap_or_default()
    }
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A problem that the message names together with key and value, as the dialect has it.
    Value(String),
    /// The whole message.
    Message(String),
    /// Like `Value`, naming this text instead of the value: one item of a list.
    Item {
        /// The item.
        item: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Value(problem)
    }
}

impl From<&str> for Problem {
    fn from(problem: &str) -> Self {
        Self::Value(problem.to_owned())
    }
}

type Check = dyn Fn(&Candidate<'_>) -> Vec<Problem> + Send + Sync;

/// A check on a value. A validator that accepts null says so; the others are those of Kafka, which do not always.
#[derive(Clone)]
pub struct Validator(Arc<Check>);

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validator")
    }
}

/// Anything that can stand where a validator is wanted: a [`Validator`], or a function from a [`Candidate`] to its problem.
pub trait IntoValidator {
    /// The validator.
    fn into_validator(self) -> Validator;
}

impl IntoValidator for Validator {
    fn into_validator(self) -> Validator {
        self
    }
}

impl<F, P> IntoValidator for F
where
    F: Fn(&Candidate<'_>) -> Result<(), P> + Send + Sync + 'static,
    P: Into<Problem>,
{
    fn into_validator(self) -> Validator {
        Validator::new(move |candidate| self(candidate).err().map(Into::into).into_iter().collect())
    }
}

impl Validator {
    /// A validator from a function that lists all problems.
    pub fn new(check: impl Fn(&Candidate<'_>) -> Vec<Problem> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// A validator from a function that finds at most one problem.
    fn first(check: impl Fn(&Candidate<'_>) -> Option<Problem> + Send + Sync + 'static) -> Self {
        Self::new(move |candidate| check(candidate).into_iter().collect())
    }

    /// All problems with `candidate`.
    pub fn check(&self, candidate: &Candidate<'_>) -> Vec<Problem> {
        (self.0)(candidate)
    }

    /// The same, content with null.
    #[must_use]
    pub fn or_null(self) -> Self {
        Self::new(move |candidate| {
            if candidate.value.is_none() {
                Vec::new()
            } else {
                self.check(candidate)
            }
        })
    }

    /// A number of at least `min`; null is a problem.
    pub fn at_least(min: i64) -> Self {
        Self::range(Some(min), None)
    }

    /// A number from `min` to `max`; null is a problem.
    pub fn between(min: i64, max: i64) -> Self {
        Self::range(Some(min), Some(max))
    }

    fn range(min: Option<i64>, max: Option<i64>) -> Self {
        Self::first(move |candidate| {
            let Some(number) = candidate.value.and_then(ParsedValue::as_f64) else {
                return Some("Value must be non-null".into());
            };
            if let Some(min) = min.filter(|min| number < *min as f64) {
                return Some(format!("Value must be at least {min}").into());
            }
            max.filter(|max| number > *max as f64)
                .map(|max| format!("Value must be no more than {max}").into())
        })
    }

    /// A text with at least one character; null passes.
    pub fn non_empty() -> Self {
        Self::first(|candidate| {
            candidate
                .value
                .and_then(ParsedValue::as_str)
                .filter(|text| text.is_empty())
                .map(|_| "String must be non-empty".into())
        })
    }

    /// A text with at least one character and no control characters; null passes. Used for names.
    pub fn non_empty_without_control_characters() -> Self {
        Self::first(|candidate| {
            let text = candidate.value.and_then(ParsedValue::as_str)?;
            if text.is_empty() {
                return Some("String may not be empty".into());
            }
            let found: Vec<_> = text
                .chars()
                .filter(|c| c.is_control())
                .map(|c| u32::from(c).to_string())
                .collect();
            let found = (!found.is_empty()).then(|| found.join(", "))?;
            Some(format!("String may not contain control sequences but had the following ASCII chars: {found}").into())
        })
    }

    /// Anything but null.
    pub fn non_null() -> Self {
        Self::first(|candidate| {
            candidate
                .value
                .is_none()
                .then(|| "entry must be non null".into())
        })
    }

    /// One of `allowed`, or null only with [`Validator::or_null`].
    pub fn one_of<I: IntoIterator<Item = S>, S: Into<String>>(
        allowed: I,
        case: LetterCase,
    ) -> Self {
        let allowed: Vec<String> = allowed.into_iter().map(Into::into).collect();
        Self::first(move |candidate| {
            let text = candidate.value.and_then(ParsedValue::as_str);
            if text.is_some_and(|text| allowed.iter().any(|literal| case.accepts(literal, text))) {
                return None;
            }
            let case = if case == LetterCase::Exact {
                ""
            } else {
                " (case insensitive)"
            };
            Some(format!("String must be one of{case}: {}", allowed.join(", ")).into())
        })
    }

    /// One of `allowed`, each item of a list for itself, with the terse problem text of Confluent's connectors.
    pub fn enumerator<I: IntoIterator<Item = S>, S: Into<String>>(
        allowed: I,
        case: LetterCase,
    ) -> Self {
        let allowed: Vec<String> = allowed.into_iter().map(Into::into).collect();
        Self::first(move |candidate| {
            let known = |text: &str| allowed.iter().any(|literal| case.accepts(literal, text));
            match candidate.value {
                Some(ParsedValue::List(items)) => {
                    let item = items.iter().find(|item| !known(item))?.clone();
                    Some(Problem::Item {
                        item,
                        problem: "Invalid enumerator".to_owned(),
                    })
                }
                value => (!value.and_then(ParsedValue::as_str).is_some_and(known))
                    .then(|| "Invalid enumerator".into()),
            }
        })
    }

    /// A literal of `T`, as the dialect and the enum want it.
    pub fn literal_of<T: ConfigEnum>() -> Self {
        Self::first(|candidate| {
            let case = if candidate.dialect == Dialect::Debezium {
                LetterCase::Insensitive
            } else {
                T::CASE
            };
            let accepted = |text: &str| T::names().any(|literal| case.accepts(literal, text));
            // Debezium looks at the text, null of an optional key is no problem there.
            let text = match candidate.dialect {
                Dialect::Connect => candidate.value.and_then(ParsedValue::as_str),
                Dialect::Debezium => Some(candidate.text?.trim()),
            };
            if text.is_some_and(accepted) {
                return None;
            }
            let literals = T::literals().collect::<Vec<_>>().join(", ");
            Some(match (T::PROBLEM, candidate.dialect, case) {
                (Some(problem), ..) => problem.into(),
                (None, Dialect::Debezium, _) => format!("Value must be one of {literals}").into(),
                (None, Dialect::Connect, LetterCase::Exact) => {
                    format!("String must be one of: {literals}").into()
                }
                (None, Dialect::Connect, _) => {
                    format!("String must be one of (case insensitive): {literals}").into()
                }
            })
        })
    }

    /// A list that names nothing twice, by the rule for aliases; null is a problem.
    pub fn unique_aliases() -> Self {
        Self::first(|candidate| {
            let Some(value) = candidate.value else {
                return Some("entry must be non null".into());
            };
            has_duplicates(value.as_list()?).then(|| "Duplicate alias provided.".into())
        })
    }

    /// A list without duplicates and without empty items; null is a problem, an empty list only when `allow_empty` is false.
    pub fn distinct_items(allow_empty: bool) -> Self {
        Self::first(move |candidate| {
            let name = candidate.name;
            let text = if candidate.value.is_none() {
                format!("Configuration '{name}' values must not be null.")
            } else if candidate.list().is_empty() && !allow_empty {
                format!(
                    "Configuration '{name}' must not be empty. Valid values include: any non-empty value"
                )
            } else if has_duplicates(candidate.list()) {
                format!("Configuration '{name}' values must not be duplicated.")
            } else if candidate.list().iter().any(String::is_empty) {
                format!("Configuration '{name}' values must not be empty.")
            } else {
                return None;
            };
            Some(Problem::Message(text))
        })
    }

    /// A list with at least one item.
    pub fn non_empty_list() -> Self {
        Self::first(|candidate| candidate.list().is_empty().then(|| "Empty list".into()))
    }

    /// A regular expression in Java's syntax; null is a problem.
    pub fn regex() -> Self {
        Self::first(|candidate| {
            let problem = match candidate.value.and_then(ParsedValue::as_str) {
                Some(text) => JavaRegex::new(text).err()?.to_string(),
                None => {
                    "Cannot invoke \"String.isEmpty()\" because \"this.pattern\" is null".to_owned()
                }
            };
            Some(format!("Invalid regex: {problem}").into())
        })
    }

    /// A list of regular expressions in which `\,` is a comma of the expression; null passes.
    pub fn regex_list() -> Self {
        Self::first(|candidate| {
            let error = split_regex_list(candidate.text?)
                .iter()
                .find_map(|item| JavaRegex::new(item).err())?;
            Some(
                format!(
                    "A comma-separated list of valid regular expressions is expected, but {error}"
                )
                .into(),
            )
        })
    }

    /// A text that the whole of `pattern` matches, else `problem`; null passes. The problem is built from the text.
    ///
    /// # Panics
    /// When `pattern` is not a regular expression: a mistake of whoever writes the definition.
    pub fn matches(
        pattern: &str,
        problem: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let regex = match JavaRegex::new(pattern) {
            Ok(regex) => regex,
            Err(error) => panic!("validator pattern: {error}"),
        };
        Self::first(move |candidate| {
            let text = candidate.text?;
            (!regex.is_full_match(text)).then(|| problem(text).into())
        })
    }

    /// Not set together with `other`.
    pub fn not_with(other: &'static str) -> Self {
        Self::first(move |candidate| {
            let set = candidate.text.is_some() && candidate.other(other).is_some();
            set.then(|| format!("\"{other}\" is already specified").into())
        })
    }

    /// Debezium's integer of at least one.
    pub fn positive_integer() -> Self {
        Self::integer_text(
            1,
            i32::MAX.into(),
            "A positive, non-zero integer value is expected",
        )
    }

    /// Debezium's integer of at least zero.
    pub fn non_negative_integer() -> Self {
        Self::integer_text(0, i32::MAX.into(), "An non-negative integer is expected")
    }

    /// Debezium's integer.
    pub fn integer() -> Self {
        Self::integer_text(i32::MIN.into(), i32::MAX.into(), "An integer is expected")
    }

    /// Debezium's long of at least one.
    pub fn positive_long() -> Self {
        Self::integer_text(1, i64::MAX, "A positive, non-zero long value is expected")
    }

    /// Debezium's long of at least zero.
    pub fn non_negative_long() -> Self {
        Self::integer_text(0, i64::MAX, "A non-negative long value is expected")
    }

    /// An integer from `min` to `max` in the text, else `problem`; null passes.
    pub fn integer_text(min: i64, max: i64, problem: &'static str) -> Self {
        Self::first(move |candidate| {
            let number: Option<i64> = candidate.text?.parse().ok();
            (!number.is_some_and(|number| (min..=max).contains(&number))).then(|| problem.into())
        })
    }
}

fn has_duplicates(items: &[String]) -> bool {
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    !items.iter().all(|item| seen.insert(item))
}
