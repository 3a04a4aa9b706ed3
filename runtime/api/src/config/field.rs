//! Rust types that a key's value can have.

use std::path::PathBuf;

use super::check::Validator;
use super::key::ConfigType;
use super::parse::ParsedValue;
use super::recommend::Recommender;
use super::secret::Secret;

/// A key's value on its way into a field.
#[derive(Clone, Copy, Debug)]
pub struct FieldText<'a> {
    /// The parsed value; `None` is null.
    pub value: Option<&'a ParsedValue>,
    /// The text as given, or the default's.
    pub text: Option<&'a str>,
}

impl FieldText<'_> {
    fn integer<T: TryFrom<i64>>(&self) -> Result<T, String> {
        let number = self
            .value
            .and_then(ParsedValue::as_i64)
            .ok_or_else(missing)?;
        let range = || format!("{number} is outside of what this setting can hold");
        T::try_from(number).map_err(|_| range())
    }
}

fn missing() -> String {
    "A value is required".to_owned()
}

/// A type that a field of a [`ConnectConfig`](super::ConnectConfig) may have.
pub trait ConfigField: Sized {
    /// The Connect type that it has when the field does not say another.
    const KIND: ConfigType;
    /// Whether null is one of its values.
    const OPTIONAL: bool = false;

    /// Reads the value.
    ///
    /// # Errors
    /// What is wrong with it, without key and value.
    fn read(field: &FieldText<'_>) -> Result<Self, String>;

    /// The check that comes with the type.
    fn validator() -> Option<Validator> {
        None
    }

    /// The values that the type knows, to be offered where a dialect offers them by itself.
    fn recommender() -> Option<Recommender> {
        None
    }
}

impl<T: ConfigField> ConfigField for Option<T> {
    const KIND: ConfigType = T::KIND;
    const OPTIONAL: bool = true;

    fn read(field: &FieldText<'_>) -> Result<Self, String> {
        if field.value.is_none() {
            Ok(None)
        } else {
            T::read(field).map(Some)
        }
    }

    fn validator() -> Option<Validator> {
        T::validator().map(Validator::or_null)
    }

    fn recommender() -> Option<Recommender> {
        T::recommender()
    }
}

impl ConfigField for String {
    const KIND: ConfigType = ConfigType::String;

    /// The text of whatever type the key has: the trimmed text for STRING, the resolved class, and of a list or a number the text as given.
    fn read(field: &FieldText<'_>) -> Result<Self, String> {
        match field.value {
            Some(ParsedValue::String(text) | ParsedValue::Class(text)) => Ok(text.clone()),
            Some(_) => field
                .text
                .map(|text| text.trim().to_owned())
                .ok_or_else(missing),
            None => Err(missing()),
        }
    }
}

impl ConfigField for PathBuf {
    const KIND: ConfigType = ConfigType::String;

    fn read(field: &FieldText<'_>) -> Result<Self, String> {
        String::read(field).map(Self::from)
    }
}

impl ConfigField for bool {
    const KIND: ConfigType = ConfigType::Boolean;

    fn read(field: &FieldText<'_>) -> Result<Self, String> {
        match field.value {
            Some(ParsedValue::Boolean(value)) => Ok(*value),
            _ => Err(missing()),
        }
    }
}

impl ConfigField for f64 {
    const KIND: ConfigType = ConfigType::Double;

    fn read(field: &FieldText<'_>) -> Result<Self, String> {
        field
            .value
            .and_then(ParsedValue::as_f64)
            .ok_or_else(missing)
    }
}

macro_rules! integer {
    ($($integer:ty => $kind:ident),*) => {
        $(impl ConfigField for $integer {
            const KIND: ConfigType = ConfigType::$kind;

            fn read(field: &FieldText<'_>) -> Result<Self, String> {
                field.integer()
            }
        })*
    };
}

integer!(i16 => Short, i32 => Int, i64 => Long, u16 => Int, u32 => Int, u64 => Long, usize => Int);

impl ConfigField for Vec<String> {
    const KIND: ConfigType = ConfigType::List;

    fn read(field: &FieldText<'_>) -> Result<Self, String> {
        field
            .value
            .and_then(ParsedValue::as_list)
            .map(<[String]>::to_vec)
            .ok_or_else(missing)
    }
}

impl ConfigField for Secret<String> {
    const KIND: ConfigType = ConfigType::Password;

    fn read(field: &FieldText<'_>) -> Result<Self, String> {
        match field.value {
            Some(ParsedValue::Password(secret)) => Ok(secret.clone()),
            _ => Err(missing()),
        }
    }
}

/// In which letter case literals are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterCase {
    /// As they are.
    Exact,
    /// Any.
    Insensitive,
    /// All lower or all upper, not mixed.
    LowerOrUpper,
}

impl LetterCase {
    /// Whether `text` is `literal`.
    pub fn accepts(self, literal: &str, text: &str) -> bool {
        match self {
            Self::Exact => literal == text,
            Self::Insensitive => literal.eq_ignore_ascii_case(text),
            Self::LowerOrUpper => {
                literal.to_ascii_lowercase() == text || literal.to_ascii_uppercase() == text
            }
        }
    }
}

/// An enumeration whose values have names in configuration. Derive it:
///
/// ```
/// use millrace_api::config::ConfigEnum;
///
/// #[derive(Clone, Copy, Debug, PartialEq, ConfigEnum)]
/// #[config(case = "insensitive")]
/// enum SnapshotMode {
///     #[config(value = "initial")]
///     Initial,
///     #[config(value = "no_data", accept = ["never"])]
///     NoData,
/// }
///
/// assert_eq!(SnapshotMode::from_text("NEVER"), Some(SnapshotMode::NoData));
/// assert_eq!(SnapshotMode::NoData.literal(), "no_data");
/// ```
pub trait ConfigEnum: Sized + 'static {
    /// For every variant its literal and other names that are accepted but not offered, in the order in which messages list them.
    const VARIANTS: &'static [(&'static str, &'static [&'static str])];
    /// In which letter case names are accepted. The Debezium dialect accepts any.
    const CASE: LetterCase;
    /// The problem text in place of the dialect's list of literals.
    const PROBLEM: Option<&'static str> = None;

    /// The variant at `index` of [`ConfigEnum::VARIANTS`].
    fn at(index: usize) -> Option<Self>;

    /// The place in [`ConfigEnum::VARIANTS`].
    fn index(&self) -> usize;

    /// The variant's literal.
    fn literal(&self) -> &'static str {
        Self::VARIANTS[self.index()].0
    }

    /// The variant that has this name, in any letter case and with white space around it: what is too lax is refused by validation before.
    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        let named = |(literal, others): &(&str, &[&str])| {
            literal.eq_ignore_ascii_case(text)
                || others.iter().any(|other| other.eq_ignore_ascii_case(text))
        };
        Self::VARIANTS.iter().position(named).and_then(Self::at)
    }

    /// All literals.
    fn literals() -> impl Iterator<Item = &'static str> {
        Self::VARIANTS.iter().map(|(literal, _)| *literal)
    }

    /// All accepted names.
    fn names() -> impl Iterator<Item = &'static str> {
        Self::VARIANTS
            .iter()
            .flat_map(|(literal, others)| std::iter::once(*literal).chain(others.iter().copied()))
    }
}
