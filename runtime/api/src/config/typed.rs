//! Configuration as a Rust struct.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::definition::ConfigDef;
use super::evaluate::Evaluation;
use super::field::FieldText;
use super::parse::ParsedValue;
use super::props::{Props, RawProps};

/// A struct that a configuration can be read into; derived with `#[derive(ConnectConfig)]`.
///
/// # Attributes of the struct, `#[config(..)]`
///
/// * `dialect = "connect"` (default) or `"debezium"`: see [`Dialect`](super::Dialect).
/// * `order = PATH`: a `&[&str]` with the keys in the order in which they are published, when that is not the order of the fields.
///
/// # Attributes of a field, `#[config(..)]`
///
/// * `name = "max.batch.size"`; by default the field's name with dots for underscores.
/// * one of `required`, `default = <literal>`; an `Option` has neither and is null. A `Vec<String>` without either is required too.
/// * `importance = "high"`, `"medium"` (default), `"low"`; `group = "..."`, `order = 3` (by default after the key of the group before it); `width = "short"`,
///   `"medium"`, `"long"`, `"none"` (default); `display = "..."` (by default the key); `dependents = ["..."]`.
/// * `kind = "LIST"` (or another Connect type) when it is not the type that the field's type implies.
/// * `validate = <expression>` or `validate = [<expression>, ..]`: [`Validator`](super::Validator)s or functions `fn(&Candidate) -> Result<(), String>`.
/// * `recommend = <expression>`: a [`Recommender`](super::Recommender).
/// * `aliases = [".."]`: older names; `listed_aliases = [".."]`: older names that are published as keys of their own.
/// * `internal`: not in documentation; `hidden`: not published at all.
/// * `millis`: a `Duration` (or an `Option` of one) in milliseconds, LONG unless `kind = "INT"`.
/// * `parse = <function>`: `fn(Option<&str>) -> Result<T, String>` for a field of any other type; STRING unless `kind` says otherwise.
/// * `unchecked`: leaves out the check that comes with the field's type, an enum's, because `validate` has its own.
/// * `nested`: the field is itself a `ConnectConfig`, whose keys stand here, without a prefix and by the rules of the outer dialect.
pub trait ConnectConfig: Sized {
    /// Adds the keys to a definition.
    fn define(definition: &mut ConfigDef);

    /// Reads the fields from an evaluation.
    ///
    /// # Errors
    /// For values that passed validation but do not fit the field, and for required fields without a value.
    fn extract(evaluation: &Evaluation) -> Result<Self, ConfigErrors>;

    /// The definition, built once.
    fn shared_definition() -> &'static Arc<ConfigDef>;

    /// The definition, built once.
    fn definition() -> &'static ConfigDef {
        Self::shared_definition()
    }

    /// Reads a configuration. Keys that are not defined are ignored; see [`unknown_keys`](super::unknown_keys).
    ///
    /// # Errors
    /// All that is wrong, not only the first.
    fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        Self::parse_raw(&props.to_raw())
    }

    /// Reads a submitted configuration.
    ///
    /// # Errors
    /// As [`ConnectConfig::parse`].
    fn parse_raw(raw: &RawProps) -> Result<Self, ConfigErrors> {
        let evaluation = Self::definition().evaluate(raw);
        let errors: ConfigErrors = evaluation.errors().collect();
        if errors.is_empty() {
            Self::extract(&evaluation)
        } else {
            Err(errors)
        }
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(Vec<(String, String)>);

impl ConfigErrors {
    /// Adds a message about a key. An equal one is not added twice.
    pub fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let error = (key.into(), message.into());
        if !self.0.contains(&error) {
            self.0.push(error);
        }
    }

    /// Takes the value, or keeps the errors and gives `None`: lets derived code read all fields before it gives up.
    #[doc(hidden)]
    pub fn take<T>(&mut self, result: Result<T, Self>) -> Option<T> {
        result.map_err(|errors| self.0.extend(errors.0)).ok()
    }

    /// Key and message of every error.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, message)| (key.as_str(), message.as_str()))
    }

    /// Number of errors.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, M: Into<String>> FromIterator<(K, M)> for ConfigErrors {
    fn from_iter<I: IntoIterator<Item = (K, M)>>(errors: I) -> Self {
        let mut all = Self::default();
        for (key, message) in errors {
            all.add(key, message);
        }
        all
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (_, message)) in self.0.iter().enumerate() {
            write!(f, "{}{message}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads a number of milliseconds; null is `None`.
///
/// # Errors
/// For a negative number.
pub fn duration_from_millis(field: &FieldText<'_>) -> Result<Option<Duration>, String> {
    let Some(millis) = field.value.and_then(ParsedValue::as_i64) else {
        return Ok(None);
    };
    u64::try_from(millis)
        .map(|millis| Some(Duration::from_millis(millis)))
        .map_err(|_| "a time of less than 0 ms is not possible".to_owned())
}
