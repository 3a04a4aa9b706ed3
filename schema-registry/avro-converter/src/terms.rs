//! Names of properties and parameters by which Connect's attributes travel in Avro schemas.

use millrace_api::data::{Kind, Schema};

/// Namespace of what has no name of its own.
pub(crate) const NAMESPACE: &str = "io.confluent.connect.avro";
pub(crate) const CONNECT_DEFAULT: &str = "ConnectDefault";
pub(crate) const CONNECT_DEFAULT_FULL: &str = "io.confluent.connect.avro.ConnectDefault";
pub(crate) const MAP_ENTRY: &str = "MapEntry";

pub(crate) const CONNECT_NAME: &str = "connect.name";
pub(crate) const CONNECT_DOC: &str = "connect.doc";
pub(crate) const CONNECT_VERSION: &str = "connect.version";
pub(crate) const CONNECT_DEFAULT_VALUE: &str = "connect.default";
pub(crate) const CONNECT_PARAMETERS: &str = "connect.parameters";
pub(crate) const CONNECT_INTERNAL_TYPE: &str = "connect.internal.type";
pub(crate) const CONNECT_TYPE: &str = "connect.type";
pub(crate) const CONNECT_RECORD_DOC: &str = "connect.record.doc";
pub(crate) const CONNECT_ENUM_DOC: &str = "connect.enum.doc";
pub(crate) const FIXED_SIZE: &str = "connect.fixed.size";
pub(crate) const DECIMAL_PRECISION: &str = "connect.decimal.precision";
/// Precision of a decimal that says none.
pub(crate) const DEFAULT_PRECISION: i32 = 64;

pub(crate) const RECORD_DOC: &str = "io.confluent.connect.avro.record.doc";
pub(crate) const FIELD_DOC: &str = "io.confluent.connect.avro.field.doc.";
pub(crate) const ENUM_DOC: &str = "io.confluent.connect.avro.enum.doc.";
pub(crate) const ENUM_DEFAULT: &str = "io.confluent.connect.avro.enum.default.";
/// Marks a default that stood at the Avro field only.
pub(crate) const FIELD_DEFAULT: &str = "io.confluent.connect.avro.field.default";

pub(crate) const AVRO_UNION: &str = "io.confluent.connect.avro.Union";
pub(crate) const AVRO_ENUM: &str = "io.confluent.connect.avro.Enum";
pub(crate) const GENERAL_UNION: &str = "org.apache.kafka.connect.data.Union";
pub(crate) const GENERAL_ENUM: &str = "org.apache.kafka.connect.data.Enum";
pub(crate) const GENERAL_UNION_NAME: &str = "connect_union_";
pub(crate) const GENERAL_UNION_FIELD: &str = "connect_union_field_";
pub(crate) const VARIANT: &str = "org.apache.kafka.connect.data.Variant";

/// Every property and every parameter that begins so is carried over as it is.
pub(crate) const AVRO_PREFIX: &str = "avro";
pub(crate) const LOGICAL_TYPE: &str = "logicalType";
pub(crate) const SCALE: &str = "scale";
pub(crate) const PRECISION: &str = "precision";

/// Whether a struct stands for a union of its fields.
pub(crate) fn is_union(schema: &Schema) -> bool {
    schema.kind() == Kind::Struct
        && (schema.name() == Some(AVRO_UNION) || schema.parameter(GENERAL_UNION).is_some())
}

/// Whether a text schema carries the symbols of an enum.
pub(crate) fn is_enum(schema: &Schema) -> bool {
    schema.kind() == Kind::String
        && (schema.parameter(GENERAL_ENUM).is_some() || schema.parameter(AVRO_ENUM).is_some())
}

/// Whether bytes are a named fixed.
pub(crate) fn is_fixed(schema: &Schema) -> bool {
    schema.kind() == Kind::Bytes
        && schema.name().is_some()
        && schema.parameter(FIXED_SIZE).is_some()
}

/// Whether a struct is Connect's variant.
pub(crate) fn is_variant(schema: &Schema) -> bool {
    schema.kind() == Kind::Struct && schema.name() == Some(VARIANT)
}
