//! Configuration of [`JsonConverter`](super::JsonConverter).

use millrace_api::config::{ConfigEnum, ConnectConfig, LetterCase, Validator};

/// How decimals are written. In the order in which Java's message lists the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ConfigEnum)]
#[config(case = "insensitive")]
pub enum DecimalFormat {
    /// A JSON number.
    #[config(value = "NUMERIC")]
    Numeric,
    /// The unscaled integer's bytes in base64.
    #[config(value = "BASE64")]
    Base64,
}

/// Keys of the JSON converter.
#[derive(Clone, Debug, ConnectConfig)]
pub struct JsonConverterConfig {
    /// What the converter is used for: `key`, `value` or `header`. Set by the worker.
    #[config(name = "converter.type", required, importance = "low", validate = Validator::one_of(["key", "value", "header"], LetterCase::Exact))]
    pub converter_type: String,
    /// Whether every key and value carries its schema: `{"schema":…,"payload":…}`. Without it only the payload is written, and what is read has no schema.
    #[config(
        name = "schemas.enable",
        default = true,
        importance = "high",
        group = "Schemas",
        order = 0,
        width = "medium",
        display = "Enable Schemas"
    )]
    pub schemas_enable: bool,
    /// How many schemas are kept ready for use, for writing and for reading each.
    #[config(
        name = "schemas.cache.size",
        default = 1000,
        importance = "high",
        group = "Schemas",
        order = 1,
        width = "medium",
        display = "Schema Cache Size"
    )]
    pub schemas_cache_size: i32,
    /// A schema in this converter's JSON form for everything that is read: messages are then read as bare payloads. Counts only with `schemas.enable`, and has no
    /// effect on writing.
    #[config(
        name = "schema.content",
        importance = "high",
        group = "Schemas",
        order = 2,
        width = "medium",
        display = "Schema Content"
    )]
    pub schema_content: Option<String>,
    /// How decimals are written: `BASE64`, the bytes of the unscaled integer in base64, or `NUMERIC`, a JSON number. Both forms are read whatever is set here.
    #[config(
        name = "decimal.format",
        default = "BASE64",
        importance = "low",
        group = "Serialization",
        order = 0,
        width = "medium",
        display = "Decimal Format"
    )]
    pub decimal_format: DecimalFormat,
    /// Whether a null in a field that has a default is written and read as that default.
    #[config(
        name = "replace.null.with.default",
        default = true,
        importance = "low",
        group = "Serialization",
        order = 1,
        width = "medium",
        display = "Replace null with default"
    )]
    pub replace_null_with_default: bool,
}
