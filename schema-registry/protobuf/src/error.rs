//! Why a text is no schema.

/// Why a text is no Protobuf schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The text does not parse: the parser's message.
    #[error("Could not parse Protobuf - {0}")]
    Syntax(String),
    /// It parses, but a type does not resolve or a rule is broken.
    #[error("{0}")]
    Invalid(String),
}
