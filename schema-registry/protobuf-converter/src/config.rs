//! Configuration of [`ProtobufConverter`](super::ProtobufConverter).

use millrace_api::config::ConnectConfig;

/// Keys of the Protobuf converter beside those of every serializer ([`registry_client::serde::serde_config`]).
#[derive(Clone, Debug, ConnectConfig)]
pub struct ProtobufConverterConfig {
    /// How many schemas are kept ready for use, for writing and for reading each.
    #[config(
        name = "schemas.cache.config",
        aliases = ["schemas.cache.size"],
        default = 1000,
        importance = "low"
    )]
    pub schemas_cache_config: i32,
    /// Whether unions and enums are written and read as Connect's general sum types, the same for all formats.
    #[config(name = "generalized.sum.type.support", default = false)]
    pub generalized_sum_type_support: bool,
    /// Whether a null in a field that has a default is written as null instead of as the default.
    #[config(name = "ignore.default.for.nullables", default = false)]
    pub ignore_default_for_nullables: bool,
    /// Whether what is read is named by full names instead of simple ones.
    #[config(name = "enhanced.protobuf.schema.support", default = false)]
    pub enhanced_protobuf_schema_support: bool,
    /// Whether names with characters that Protobuf does not allow are made legal instead of refused.
    #[config(name = "scrub.invalid.names", default = false)]
    pub scrub_invalid_names: bool,
    /// Whether enums are read as integers.
    #[config(name = "int.for.enums", default = false)]
    pub int_for_enums: bool,
    /// Whether fields that may be null are declared `optional`.
    #[config(name = "optional.for.nullables", default = false)]
    pub optional_for_nullables: bool,
    /// Whether unset optional fields of proto2 are read as null instead of as their defaults.
    #[config(name = "optional.for.proto2", default = true)]
    pub optional_for_proto2: bool,
    /// Whether fields that may be null are declared as wrapper messages.
    #[config(name = "wrapper.for.nullables", default = false)]
    pub wrapper_for_nullables: bool,
    /// Whether wrapper messages are read as the scalars that they hold.
    #[config(name = "wrapper.for.raw.primitives", default = true)]
    pub wrapper_for_raw_primitives: bool,
    /// Whether an unset message is read as a struct of defaults instead of as null.
    #[config(name = "generate.struct.for.nulls", default = false)]
    pub generate_struct_for_nulls: bool,
    /// Whether the field that stands for a oneof is named with the oneof's index.
    #[config(name = "generate.index.for.unions", default = true)]
    pub generate_index_for_unions: bool,
    /// Whether members of a oneof are read as plain fields.
    #[config(name = "flatten.unions", default = false)]
    pub flatten_unions: bool,
    /// Whether files that schemas refer to are only looked up, never registered.
    #[config(name = "reference.lookup.only", default = false)]
    pub reference_lookup_only: bool,
    /// Whether the built-in files (`google/protobuf/…`, `google/type/…`, `confluent/…`) are left out of the references: every registry knows them.
    #[config(name = "skip.known.types", default = true, importance = "low")]
    pub skip_known_types: bool,
    /// Under which subject a file that is referred to is registered: `io.confluent.kafka.serializers.subject.DefaultReferenceSubjectNameStrategy` (its import path) or
    /// `…QualifiedReferenceSubjectNameStrategy` (its import path with dots, without `.proto`).
    #[config(
        name = "reference.subject.name.strategy",
        default = "io.confluent.kafka.serializers.subject.DefaultReferenceSubjectNameStrategy",
        importance = "low"
    )]
    pub reference_subject_name_strategy: String,
}

/// The settings that decide how schemas and values are translated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) generalized: bool,
    pub(crate) ignore_default: bool,
    pub(crate) enhanced: bool,
    pub(crate) scrub: bool,
    pub(crate) int_for_enums: bool,
    pub(crate) optional_for_nullables: bool,
    pub(crate) optional_for_proto2: bool,
    pub(crate) wrapper_for_nullables: bool,
    pub(crate) wrapper_for_raw: bool,
    pub(crate) struct_for_nulls: bool,
    pub(crate) index_for_unions: bool,
    pub(crate) flatten_unions: bool,
}

impl From<&ProtobufConverterConfig> for Options {
    fn from(config: &ProtobufConverterConfig) -> Self {
        Self {
            generalized: config.generalized_sum_type_support,
            ignore_default: config.ignore_default_for_nullables,
            enhanced: config.enhanced_protobuf_schema_support,
            scrub: config.scrub_invalid_names,
            int_for_enums: config.int_for_enums,
            optional_for_nullables: config.optional_for_nullables,
            optional_for_proto2: config.optional_for_proto2,
            wrapper_for_nullables: config.wrapper_for_nullables,
            wrapper_for_raw: config.wrapper_for_raw_primitives,
            struct_for_nulls: config.generate_struct_for_nulls,
            index_for_unions: config.generate_index_for_unions,
            flatten_unions: config.flatten_unions,
        }
    }
}

impl Options {
    /// The parameter that names an enum and, with a symbol behind it, the symbol's number.
    pub(crate) fn enum_parameter(self) -> &'static str {
        if self.generalized {
            crate::terms::GENERAL_ENUM
        } else {
            crate::terms::ENUM
        }
    }
}
