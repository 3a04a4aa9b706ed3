//! Names of Connect's own logical types and schemas of them.

use super::{Kind, Schema, SchemaBuilder};

/// Unscaled integer as bytes; the scale is a parameter.
pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
/// Days since the epoch, INT32.
pub const DATE: &str = "org.apache.kafka.connect.data.Date";
/// Milliseconds since midnight, INT32.
pub const TIME: &str = "org.apache.kafka.connect.data.Time";
/// Milliseconds since the epoch, INT64.
pub const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

/// Name of the parameter that holds a decimal's scale.
pub const SCALE: &str = "scale";

/// Builder of a decimal's schema.
pub fn decimal(scale: i32) -> SchemaBuilder {
    SchemaBuilder::new(Kind::Bytes)
        .name(DECIMAL)
        .version(1)
        .parameter(SCALE, scale.to_string())
}

/// Scale of a decimal's schema; `None` when it is no decimal or the parameter is missing.
pub fn decimal_scale(schema: &Schema) -> Option<i32> {
    (schema.name() == Some(DECIMAL))
        .then(|| schema.parameter(SCALE)?.parse().ok())
        .flatten()
}
