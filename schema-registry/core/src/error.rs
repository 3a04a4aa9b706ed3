use std::fmt::Display;

use java_idioms::json::write_string_to_bytes;

use crate::Personality;

/// A call that failed: the body is `{"error_code":…,"message":…}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RegistryError {
    /// `error_code`: an HTTP status, or five digits that begin with one.
    pub code: i32,
    /// `message`
    pub message: String,
}

impl RegistryError {
    /// An error with its code.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        let status = if self.code >= 1000 {
            self.code / 100
        } else {
            self.code
        };
        u16::try_from(status).unwrap_or(500)
    }

    /// The body that is sent.
    pub fn body(&self) -> String {
        let mut text = format!("{{\"error_code\":{},\"message\":", self.code);
        write_string_to_bytes(&self.message, &mut text);
        text.push('}');
        text
    }

    /// 500 without details: what the original answers where it fails by accident.
    pub(crate) fn internal() -> Self {
        Self::new(500, "Internal Server Error")
    }

    pub(crate) fn http_not_found() -> Self {
        Self::new(404, "HTTP 404 Not Found")
    }

    pub(crate) fn subject_not_found(subject: impl Display) -> Self {
        Self::new(40401, format!("Subject '{subject}' not found."))
    }

    pub(crate) fn version_not_found(version: i32) -> Self {
        Self::new(40402, format!("Version {version} not found."))
    }

    pub(crate) fn schema_not_found() -> Self {
        Self::new(40403, "Schema not found")
    }

    pub(crate) fn no_such_schema(what: impl Display) -> Self {
        Self::new(40403, format!("Schema {what} not found"))
    }

    pub(crate) fn invalid_version(version: &str) -> Self {
        Self::new(
            42202,
            format!(
                "The specified version '{version}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
            ),
        )
    }

    pub(crate) fn invalid_schema(text: impl Into<String>) -> Self {
        Self::new(42201, text)
    }

    pub(crate) fn not_permitted(text: impl Into<String>) -> Self {
        Self::new(42205, text)
    }

    pub(crate) fn invalid_subject(subject: &str) -> Self {
        Self::new(
            42208,
            format!("The specified subject '{subject}' is not a valid."),
        )
    }

    pub(crate) fn too_large() -> Self {
        Self::new(
            42209,
            "Register operation failed because schema is too large",
        )
    }

    pub(crate) fn reference_exists(subject: impl Display, version: i32) -> Self {
        Self::new(
            42206,
            format!(
                "One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={subject},version={version}}}."
            ),
        )
    }

    pub(crate) fn incompatible(personality: Personality, text: String) -> Self {
        let code = if personality >= Personality::V8_3 {
            40901
        } else {
            409
        };
        Self::new(code, text)
    }

    /// 422 of a call without its body.
    pub(crate) fn missing_body(argument: &str) -> Self {
        Self::new(422, format!("{argument} must not be null (was null)"))
    }
}
