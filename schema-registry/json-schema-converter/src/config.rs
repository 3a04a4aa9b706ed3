//! Configuration of [`JsonSchemaConverter`](super::JsonSchemaConverter).

use millrace_api::config::{ConfigEnum, ConnectConfig};

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

/// Keys of the JSON Schema converter beside those of every serializer ([`registry_client::serde::serde_config`]).
#[derive(Clone, Debug, ConnectConfig)]
pub struct JsonSchemaConverterConfig {
    /// How many schemas are kept ready for use, for writing and for reading each.
    #[config(
        name = "schemas.cache.config",
        aliases = ["schemas.cache.size"],
        default = 1000,
        importance = "low"
    )]
    pub schemas_cache_config: i32,
    /// Whether objects may have properties beyond those of their schema. Without them, schemas are written with `"additionalProperties":false`, and optional fields can be
    /// added compatibly.
    #[config(name = "object.additional.properties", default = true)]
    pub object_additional_properties: bool,
    /// Whether properties that a schema does not list as required are read as optional fields.
    #[config(name = "use.optional.for.nonrequired", default = false)]
    pub use_optional_for_nonrequired: bool,
    /// Whether schemas of drafts after 7 are read as draft 7.
    #[config(name = "ignore.modern.dialects", default = false, importance = "low")]
    pub ignore_modern_dialects: bool,
    /// How decimals are written: `BASE64`, the bytes of the unscaled integer in base64, or `NUMERIC`, a JSON number. Both forms are read whatever is set here.
    #[config(name = "decimal.format", default = "BASE64", importance = "low")]
    pub decimal_format: DecimalFormat,
    /// Whether unions and enums are written and read as Connect's general sum types, the same for all formats.
    #[config(name = "generalized.sum.type.support", default = false)]
    pub generalized_sum_type_support: bool,
    /// Whether a union of a single member is read as that member.
    #[config(name = "flatten.singleton.unions", default = true, importance = "low")]
    pub flatten_singleton_unions: bool,
    /// Whether a null in a field that has a default is written as null instead of as the default.
    #[config(name = "ignore.default.for.nullables", default = false)]
    pub ignore_default_for_nullables: bool,
    /// Whether values that do not fit their JSON schema are refused, when writing and when reading. Unset, hardly anything is checked.
    #[config(name = "json.fail.invalid.schema", default = false)]
    pub json_fail_invalid_schema: bool,
    /// Whether what is written is broken into lines and indented.
    #[config(name = "json.indent.output", default = false)]
    pub json_indent_output: bool,
}

/// The settings that decide how schemas and values are translated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) additional_properties: bool,
    pub(crate) optional_for_nonrequired: bool,
    pub(crate) numeric_decimals: bool,
    pub(crate) generalized: bool,
    pub(crate) flatten_singletons: bool,
    pub(crate) ignore_default: bool,
}

impl From<&JsonSchemaConverterConfig> for Options {
    fn from(config: &JsonSchemaConverterConfig) -> Self {
        Self {
            additional_properties: config.object_additional_properties,
            optional_for_nonrequired: config.use_optional_for_nonrequired,
            numeric_decimals: config.decimal_format == DecimalFormat::Numeric,
            generalized: config.generalized_sum_type_support,
            flatten_singletons: config.flatten_singleton_unions,
            ignore_default: config.ignore_default_for_nullables,
        }
    }
}
