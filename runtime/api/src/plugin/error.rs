use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// What the worker does about a [`TaskError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Call again: the same batch is put again, the source is polled again after a pause.
    Retriable,
    /// A record cannot be processed. From `put` it fails the task; a task that can name the record reports it instead.
    Data,
    /// The configuration is wrong: FAILED until it is changed.
    Config,
    /// Anything else: FAILED.
    Fatal,
}

/// Why a connector or task cannot go on. The worker acts on `kind` alone.
#[derive(Debug)]
pub struct TaskError {
    /// What the worker does about it.
    pub kind: ErrorKind,
    /// Stable, dotted name of the failure, for alerts and tests: `postgres.slot.in-use`.
    pub code: &'static str,
    /// What failed, where, and what to do. Never contains a secret.
    pub message: String,
    /// The exception class that a Java worker would show first in the trace.
    pub java_class: &'static str,
    /// Cause.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl TaskError {
    /// An error of `kind` with the Java class that fits it.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        let java_class = match kind {
            ErrorKind::Retriable => "org.apache.kafka.connect.errors.RetriableException",
            ErrorKind::Data => "org.apache.kafka.connect.errors.DataException",
            ErrorKind::Config => "org.apache.kafka.common.config.ConfigException",
            ErrorKind::Fatal => "org.apache.kafka.connect.errors.ConnectException",
        };
        Self {
            kind,
            code,
            message: message.into(),
            java_class,
            source: None,
        }
    }

    /// [`ErrorKind::Retriable`]
    pub fn retriable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Retriable, code, message)
    }

    /// [`ErrorKind::Config`]
    pub fn config(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, code, message)
    }

    /// [`ErrorKind::Fatal`]
    pub fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Fatal, code, message)
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets the Java class shown in the trace.
    #[must_use]
    pub fn with_java_class(mut self, class: &'static str) -> Self {
        self.java_class = class;
        self
    }

    /// The trace as status and REST show it: Java's form, class and message first, one `Caused by:` line per cause.
    pub fn trace(&self) -> String {
        let mut text = format!("{}: {}", self.java_class, self.message);
        let mut cause: Option<&(dyn Error + 'static)> = self.source.as_deref().map(|e| e as _);
        while let Some(error) = cause {
            match error.downcast_ref::<TaskError>() {
                Some(inner) => text.push_str(&format!(
                    "\nCaused by: {}: {}",
                    inner.java_class, inner.message
                )),
                None => match error.downcast_ref::<DataError>() {
                    Some(inner) => text.push_str(&format!(
                        "\nCaused by: {}: {}",
                        inner.java_class, inner.message
                    )),
                    None => text.push_str(&format!("\nCaused by: {error}")),
                },
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

/// Where in a record's way an error happened: names as DLQ headers and logs show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// in a source's `poll`
    TaskPoll,
    /// in a sink's `put`
    TaskPut,
    /// in a transform
    Transformation,
    /// in the key converter
    KeyConverter,
    /// in the value converter
    ValueConverter,
    /// in the header converter
    HeaderConverter,
    /// when the record was written to the log
    KafkaProduce,
    /// when the record was read from the log
    KafkaConsume,
}

impl Stage {
    /// `VALUE_CONVERTER` and the like.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskPoll => "TASK_POLL",
            Self::TaskPut => "TASK_PUT",
            Self::Transformation => "TRANSFORMATION",
            Self::KeyConverter => "KEY_CONVERTER",
            Self::ValueConverter => "VALUE_CONVERTER",
            Self::HeaderConverter => "HEADER_CONVERTER",
            Self::KafkaProduce => "KAFKA_PRODUCE",
            Self::KafkaConsume => "KAFKA_CONSUME",
        }
    }
}

/// Why one record cannot be converted, transformed or written. Feeds `errors.tolerance`, the DLQ's headers and the log.
#[derive(Debug)]
pub struct DataError {
    /// Whether trying the same record again may help.
    pub retriable: bool,
    /// What is wrong, naming the field and what is allowed.
    pub message: Cow<'static, str>,
    /// The exception class that a Java worker would report.
    pub java_class: &'static str,
    /// Cause.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl DataError {
    /// An error that stays, reported as Connect's `DataException`.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            retriable: false,
            message: message.into(),
            java_class: "org.apache.kafka.connect.errors.DataException",
            source: None,
        }
    }

    /// Marks the error as worth trying again.
    #[must_use]
    pub fn retriable(mut self) -> Self {
        self.retriable = true;
        self
    }

    /// Sets the Java class that DLQ headers and traces name.
    #[must_use]
    pub fn with_java_class(mut self, class: &'static str) -> Self {
        self.java_class = class;
        self
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for DataError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_names_every_cause() {
        let cause = DataError::new("bad digit").with_source(std::io::Error::other("inner"));
        let error = TaskError::fatal("x", "Tolerance exceeded in error handler").with_source(cause);
        assert_eq!(
            error.trace(),
            "org.apache.kafka.connect.errors.ConnectException: Tolerance exceeded in error handler\n\
             Caused by: org.apache.kafka.connect.errors.DataException: bad digit\nCaused by: inner"
        );
    }
}
