//! Configuration of [`AvroConverter`](super::AvroConverter).

use millrace_api::config::{ConnectConfig, Validator};

/// Keys of the Avro converter beside those of every serializer ([`registry_client::serde::serde_config`]).
#[derive(Clone, Debug, ConnectConfig)]
pub struct AvroConverterConfig {
    /// How many schemas are kept ready for use, for writing and for reading each.
    #[config(
        name = "schemas.cache.config",
        aliases = ["schemas.cache.size"],
        default = 1000,
        importance = "low",
        validate = Validator::at_least(0)
    )]
    pub schemas_cache_config: i32,
    /// Whether text with the parameters of an enum is written as an enum, and union members are named by their full names.
    #[config(name = "enhanced.avro.schema.support", default = false)]
    pub enhanced_avro_schema_support: bool,
    /// Whether names with characters that Avro does not allow are made legal instead of refused.
    #[config(name = "scrub.invalid.names", default = false)]
    pub scrub_invalid_names: bool,
    /// Whether Connect's own attributes (name, version, doc, parameters, default) are kept in properties of the Avro schema, and taken from there.
    #[config(name = "connect.meta.data", default = true, importance = "low")]
    pub connect_meta_data: bool,
    /// Whether unions and enums are written and read as Connect's general sum types, the same for all formats.
    #[config(name = "generalized.sum.type.support", default = false)]
    pub generalized_sum_type_support: bool,
    /// Whether a null in a field that has a default is written as null instead of as the default.
    #[config(name = "ignore.default.for.nullables", default = false)]
    pub ignore_default_for_nullables: bool,
    /// Whether a map whose text keys may be null is written as a map instead of as a list of entries. A null key cannot be written then.
    #[config(name = "allow.optional.map.keys", default = false, importance = "low")]
    pub allow_optional_map_keys: bool,
    /// Whether a union of a single member is read as that member.
    #[config(name = "flatten.singleton.unions", default = true, importance = "low")]
    pub flatten_singleton_unions: bool,
    /// Whether docs travel between a field's schema and the Avro field instead of in parameters, and docs and defaults of types are dropped.
    #[config(name = "discard.type.doc.default", default = false, importance = "low")]
    pub discard_type_doc_default: bool,
    /// Whether objects of the classes that Avro's library has for logical types are written and read. The values of Connect's logical types are none of them: a record is
    /// written the same either way. The original then cannot read what has a logical type; here it is read as without this setting.
    #[config(
        name = "avro.use.logical.type.converters",
        default = false,
        importance = "low"
    )]
    pub avro_use_logical_type_converters: bool,
    /// For schemas that are read off Java classes. A converter's schemas come from Connect, so this changes nothing, here as in the original.
    #[config(
        name = "avro.reflection.allow.null",
        default = false,
        importance = "low"
    )]
    pub avro_reflection_allow_null: bool,
    /// Whether `avro.java.string` is left out of schemas that are taken from objects of Avro's library. A converter's schemas come from Connect and keep their
    /// parameters, so this changes nothing, here as in the original.
    #[config(
        name = "avro.remove.java.properties",
        default = false,
        importance = "low"
    )]
    pub avro_remove_java_properties: bool,
    /// Whether bytes behind a value are refused.
    #[config(
        name = "avro.fail.on.trailing.data",
        default = false,
        importance = "low"
    )]
    pub avro_fail_on_trailing_data: bool,
}

/// The settings that decide how schemas and values are translated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) enhanced: bool,
    pub(crate) scrub: bool,
    pub(crate) meta_data: bool,
    pub(crate) generalized: bool,
    pub(crate) ignore_default: bool,
    pub(crate) optional_map_keys: bool,
    pub(crate) flatten_singletons: bool,
    pub(crate) discard_type_doc: bool,
}

impl From<&AvroConverterConfig> for Options {
    fn from(config: &AvroConverterConfig) -> Self {
        Self {
            enhanced: config.enhanced_avro_schema_support,
            scrub: config.scrub_invalid_names,
            meta_data: config.connect_meta_data,
            generalized: config.generalized_sum_type_support,
            ignore_default: config.ignore_default_for_nullables,
            optional_map_keys: config.allow_optional_map_keys,
            flatten_singletons: config.flatten_singleton_unions,
            discard_type_doc: config.discard_type_doc_default,
        }
    }
}

impl Options {
    /// The parameter that makes text an enum.
    pub(crate) fn enum_parameter(self) -> &'static str {
        if self.generalized {
            crate::terms::GENERAL_ENUM
        } else {
            crate::terms::AVRO_ENUM
        }
    }

    /// Whether enums are written as such.
    pub(crate) fn writes_enums(self) -> bool {
        self.generalized || self.enhanced
    }

    /// Whether a map of this schema is an Avro map.
    pub(crate) fn is_string_map(self, schema: &millrace_api::data::Schema) -> bool {
        schema.key_schema().is_some_and(|key| {
            key.kind() == millrace_api::data::Kind::String
                && (!key.optional() || self.optional_map_keys)
        })
    }
}
