use std::borrow::Cow;

use millrace_api::plugin::DataError;

/// A refusal as Java would put it: an exception's class and its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) class: &'static str,
    pub(crate) message: Cow<'static, str>,
}

pub(crate) const DATA: &str = "org.apache.kafka.connect.errors.DataException";
pub(crate) const SERIALIZATION: &str = "org.apache.kafka.common.errors.SerializationException";
pub(crate) const ILLEGAL_ARGUMENT: &str = "java.lang.IllegalArgumentException";
pub(crate) const SCHEMA_BUILDER: &str = "org.apache.kafka.connect.errors.SchemaBuilderException";
pub(crate) const STACK_OVERFLOW: &str = "java.lang.StackOverflowError";
pub(crate) const VALIDATION: &str = "org.everit.json.schema.ValidationException";

/// How deep schemas may nest.
pub(crate) const MAX_SCHEMA_DEPTH: usize = 200;
/// How deep values may nest: those of a recursive schema have no bound of their own.
pub(crate) const MAX_VALUE_DEPTH: usize = 250;
/// How many parts a schema may come to when every use of a part counts: a few kilobytes of text can stand for billions.
pub(crate) const MAX_SCHEMA_PARTS: usize = 200_000;

impl Fault {
    pub(crate) fn new(class: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class,
            message: message.into(),
        }
    }

    pub(crate) fn data(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(DATA, message)
    }

    pub(crate) fn schema_too_deep() -> Self {
        Self::new(
            STACK_OVERFLOW,
            format!("the schema nests more than {MAX_SCHEMA_DEPTH} levels deep"),
        )
    }

    pub(crate) fn schema_too_large() -> Self {
        Self::data(format!(
            "the schema comes to more than {MAX_SCHEMA_PARTS} parts when all uses of a part are counted"
        ))
    }

    pub(crate) fn value_too_deep() -> Self {
        Self::new(
            STACK_OVERFLOW,
            format!("the value nests more than {MAX_VALUE_DEPTH} levels deep"),
        )
    }
}

impl From<Fault> for DataError {
    fn from(fault: Fault) -> Self {
        Self::new(fault.message).with_java_class(fault.class)
    }
}
