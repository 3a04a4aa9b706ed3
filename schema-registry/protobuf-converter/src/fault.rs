//! Refusals.

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
pub(crate) const NULL_POINTER: &str = "java.lang.NullPointerException";
pub(crate) const NUMBER_FORMAT: &str = "java.lang.NumberFormatException";
pub(crate) const STACK_OVERFLOW: &str = "java.lang.StackOverflowError";
pub(crate) const INVALID_PROTOCOL_BUFFER: &str =
    "com.google.protobuf.InvalidProtocolBufferException";

/// How deep schemas may nest, and values that are written.
pub(crate) const MAX_DEPTH: usize = 100;
/// How many messages a schema may come to when a message counts again wherever it stands inside another recursion.
pub(crate) const MAX_LAYOUTS: usize = 20_000;

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

    pub(crate) fn illegal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ILLEGAL_ARGUMENT, message)
    }

    pub(crate) fn too_deep(what: &str) -> Self {
        Self::new(
            STACK_OVERFLOW,
            format!("the {what} nests more than {MAX_DEPTH} levels deep"),
        )
    }
}

impl From<Fault> for DataError {
    fn from(fault: Fault) -> Self {
        Self::new(fault.message).with_java_class(fault.class)
    }
}
