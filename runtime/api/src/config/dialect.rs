//! Which family's rules a definition follows.

/// The rules by which a definition's keys are read and complained about. A definition has one, whatever crate its keys come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Kafka's: texts are trimmed and parsed by type, a text that does not parse becomes null and the validators still see that null. Values are shown.
    #[default]
    Connect,
    /// Debezium's: a required key is published as optional, its validators see the text and may report several problems, a number is checked as a text before
    /// them, and `/validate` never shows a value.
    Debezium,
}

impl Dialect {
    /// The message for a problem with `value` at `key`.
    pub(super) fn message(self, key: &str, value: &str, problem: &str) -> String {
        match self {
            Self::Connect => format!("Invalid value {value} for configuration {key}: {problem}"),
            Self::Debezium => format!("The '{key}' value is invalid: {problem}"),
        }
    }

    /// The message for a required key that is not there.
    pub(super) fn missing(self, key: &str) -> String {
        match self {
            Self::Connect => {
                format!("Missing required configuration \"{key}\" which has no default value.")
            }
            Self::Debezium => format!("The '{key}' value is invalid: A value is required"),
        }
    }
}
