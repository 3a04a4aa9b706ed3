//! Applying a definition to a configuration.

use indexmap::IndexMap;

use super::check::{Candidate, Problem};
use super::class_names::ClassNames;
use super::definition::ConfigDef;
use super::dialect::Dialect;
use super::field::FieldText;
use super::key::{ConfigKey, ConfigType, DefaultValue};
use super::parse::{ParsedValue, parse};
use super::props::RawProps;

/// A key's value as a validation found it. Plugins may add errors of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigValue {
    /// The key.
    pub name: String,
    /// The value to show; `None` is null.
    pub value: Option<ParsedValue>,
    /// Values to offer.
    pub recommended: Vec<String>,
    /// What is wrong, in full sentences for the user.
    pub errors: Vec<String>,
    /// Whether a form should show the key.
    pub visible: bool,
}

impl ConfigValue {
    /// A value without errors.
    pub fn new(name: impl Into<String>, value: Option<ParsedValue>) -> Self {
        Self {
            name: name.into(),
            value,
            recommended: Vec::new(),
            errors: Vec::new(),
            visible: true,
        }
    }

    /// Adds an error.
    pub fn add_error(&mut self, message: impl Into<String>) {
        self.errors.push(message.into());
    }
}

/// One key, evaluated.
#[derive(Clone, Debug)]
struct Evaluated {
    value: Option<ParsedValue>,
    text: Option<String>,
    recommended: Vec<String>,
    errors: Vec<String>,
    visible: bool,
    published: bool,
}

/// All keys of a definition with what a configuration gives them.
#[derive(Clone, Debug)]
pub struct Evaluation {
    keys: IndexMap<String, Evaluated>,
    dialect: Dialect,
}

impl Evaluation {
    /// Errors of all keys, hidden ones too: key and message.
    pub fn errors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.keys.iter().flat_map(|(name, key)| {
            key.errors
                .iter()
                .map(move |error| (name.as_str(), error.as_str()))
        })
    }

    /// The value of a key for a field.
    pub fn field(&self, name: &str) -> FieldText<'_> {
        let key = self.keys.get(name);
        FieldText {
            value: key.and_then(|key| key.value.as_ref()),
            text: key.and_then(|key| key.text.as_deref()),
        }
    }

    /// The dialect's message for a problem with a key that showed only when its value was read into a field.
    pub fn problem(&self, name: &str, problem: &str) -> String {
        let shown = self
            .keys
            .get(name)
            .and_then(|key| key.value.as_ref())
            .map_or_else(|| "null".to_owned(), ToString::to_string);
        self.dialect.message(name, &shown, problem)
    }

    /// What `/validate` shows: published keys, and keys that the definition refers to without having them.
    pub fn into_values(self) -> Vec<ConfigValue> {
        let dialect = self.dialect;
        let shown = |value: Option<ParsedValue>| value.filter(|_| dialect == Dialect::Connect);
        self.keys
            .into_iter()
            .filter(|(_, key)| key.published)
            .map(|(name, key)| ConfigValue {
                name,
                value: shown(key.value),
                recommended: key.recommended,
                errors: key.errors,
                visible: key.visible,
            })
            .collect()
    }
}

/// Parses and checks all keys of `definition`.
pub(super) fn evaluate(
    definition: &ConfigDef,
    raw: &RawProps,
    classes: &dyn ClassNames,
) -> Evaluation {
    let mut keys: IndexMap<String, Evaluated> = definition
        .keys()
        .map(|key| {
            (
                key.name.clone(),
                evaluate_key(key, definition.dialect(), raw, classes),
            )
        })
        .collect();
    for dependent in definition.keys().flat_map(|key| &key.dependents) {
        keys.entry(dependent.clone()).or_insert_with(|| Evaluated {
            value: None,
            text: None,
            recommended: Vec::new(),
            errors: vec![format!(
                "{dependent} is referred in the dependents, but not defined."
            )],
            visible: false,
            published: true,
        });
    }
    Evaluation {
        keys,
        dialect: definition.dialect(),
    }
}

fn evaluate_key(
    key: &ConfigKey,
    dialect: Dialect,
    raw: &RawProps,
    classes: &dyn ClassNames,
) -> Evaluated {
    let mut errors = Vec::new();
    let submitted = std::iter::once(&key.name)
        .chain(&key.aliases)
        .find_map(|name| raw.get(name));
    let text = match (submitted, &key.default, dialect) {
        (Some(Some(text)), _, _) => Some(text.as_str()),
        // To Connect, null is a value; to Debezium it is none.
        (Some(None), _, Dialect::Connect) => None,
        (_, DefaultValue::Text(text), _) => Some(text.as_str()),
        (_, DefaultValue::Null, _) => None,
        (_, DefaultValue::Required, _) => {
            errors.push(dialect.missing(&key.name));
            None
        }
    };
    if dialect == Dialect::Debezium
        && key.default == DefaultValue::Required
        && text.is_some_and(|text| text.trim().is_empty())
    {
        errors.push(dialect.missing(&key.name));
    }

    let mut value = None;
    if let Some(text) = text {
        match parse(text, key.kind, classes) {
            Ok(parsed) => value = Some(parsed),
            Err(problem) if dialect == Dialect::Connect => {
                let shown = if key.kind == ConfigType::Password {
                    super::HIDDEN
                } else {
                    text
                };
                errors.push(dialect.message(&key.name, shown, &problem));
            }
            Err(_) => {}
        }
        if dialect == Dialect::Debezium {
            errors.extend(
                debezium_type_problem(text, key.kind)
                    .map(|problem| dialect.message(&key.name, text, problem)),
            );
        }
    }

    let candidate = Candidate {
        name: key.own_name(),
        value: value.as_ref(),
        text,
        props: raw,
        dialect,
    };
    for validator in &key.validators {
        let problems = validator.check(&candidate);
        let done = dialect == Dialect::Connect && !problems.is_empty();
        errors.extend(
            problems
                .into_iter()
                .map(|problem| render(problem, &candidate)),
        );
        // A chain of Connect's validators ends with the first that objects.
        if done {
            break;
        }
    }

    let (recommended, visible) = match &key.recommender {
        Some(recommender) => {
            let recommendation = recommender.recommend(raw);
            (recommendation.values, recommendation.visible)
        }
        None => (Vec::new(), true),
    };
    let text = text.map(str::to_owned);
    Evaluated {
        value,
        text,
        recommended,
        errors,
        visible,
        published: !key.hidden,
    }
}

fn render(problem: Problem, candidate: &Candidate<'_>) -> String {
    match problem {
        Problem::Message(message) => message,
        Problem::Item { item, problem } => {
            candidate.dialect.message(candidate.name, &item, &problem)
        }
        Problem::Value(problem) => {
            let shown = candidate
                .value
                .map_or_else(|| "null".to_owned(), ToString::to_string);
            candidate.dialect.message(candidate.name, &shown, &problem)
        }
    }
}

/// Debezium checks the text of a typed key before the key's own validators, untrimmed.
fn debezium_type_problem(text: &str, kind: ConfigType) -> Option<&'static str> {
    let fits = match kind {
        ConfigType::Boolean => {
            text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
        }
        ConfigType::Short => text.parse::<i16>().is_ok(),
        ConfigType::Int => text.parse::<i32>().is_ok(),
        ConfigType::Long => text.parse::<i64>().is_ok(),
        ConfigType::Double => text.parse::<f64>().is_ok(),
        ConfigType::String | ConfigType::List | ConfigType::Class | ConfigType::Password => true,
    };
    (!fits).then_some(match kind {
        ConfigType::Boolean => "Either 'true' or 'false' is expected",
        ConfigType::Short => "A short value is expected",
        ConfigType::Long => "A long value is expected",
        ConfigType::Double => "A double value is expected",
        _ => "An integer is expected",
    })
}
