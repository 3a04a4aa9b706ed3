//! Names of members and parameters by which Connect's attributes travel in JSON schemas.

use millrace_api::data::{Kind, Schema};

/// Parameters that begin so are this converter's own and are not written.
pub(crate) const NAMESPACE: &str = "io.confluent.connect.json";

pub(crate) const CONNECT_TYPE: &str = "connect.type";
pub(crate) const CONNECT_VERSION: &str = "connect.version";
pub(crate) const CONNECT_PARAMETERS: &str = "connect.parameters";
pub(crate) const CONNECT_INDEX: &str = "connect.index";

pub(crate) const KEY: &str = "key";
pub(crate) const VALUE: &str = "value";

pub(crate) const ID: &str = "io.confluent.connect.json.Id";
pub(crate) const JSON_ENUM: &str = "io.confluent.connect.json.Enum";
pub(crate) const JSON_ONE_OF: &str = "io.confluent.connect.json.OneOf";
pub(crate) const GENERAL_UNION: &str = "org.apache.kafka.connect.data.Union";
pub(crate) const GENERAL_ENUM: &str = "org.apache.kafka.connect.data.Enum";
pub(crate) const GENERAL_UNION_NAME: &str = "connect_union_";
pub(crate) const GENERAL_UNION_FIELD: &str = "connect_union_field_";
pub(crate) const VARIANT: &str = "org.apache.kafka.connect.data.Variant";
pub(crate) const VARIANT_METADATA: &str = "metadata";
/// How a null among the values of an enum is named.
pub(crate) const NULL_SYMBOL: &str = "<NULL>";

/// Whether a struct stands for a union of its fields.
pub(crate) fn is_union(schema: &Schema) -> bool {
    schema.kind() == Kind::Struct
        && (schema.name() == Some(JSON_ONE_OF) || schema.parameter(GENERAL_UNION).is_some())
}

/// Whether a struct is Connect's variant.
pub(crate) fn is_variant(schema: &Schema) -> bool {
    schema.kind() == Kind::Struct && schema.name() == Some(VARIANT)
}

/// Whether a text schema carries the symbols of an enum.
pub(crate) fn is_enum(schema: &Schema) -> bool {
    schema.kind() == Kind::String
        && (schema.parameter(GENERAL_ENUM).is_some() || schema.parameter(JSON_ENUM).is_some())
}

/// Whether a map of this schema is an object: other keys make an array of entries.
pub(crate) fn is_object_map(schema: &Schema) -> bool {
    schema
        .key_schema()
        .is_some_and(|key| key.kind() == Kind::String && !key.optional())
}
