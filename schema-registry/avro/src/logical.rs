//! Logical types as far as the texts depend on them: a known one whose type it fits is printed first when a schema is normalized.

use java_idioms::{Json, Object};

use crate::schema::{AvroSchema, Kind, TypeId};

/// Properties with which Java ignores a logical type.
const INCOMPATIBLE: [&str; 4] = [
    "avro.java.string",
    "java-class",
    "java-key-class",
    "java-element-class",
];

/// The name of the logical type, whether or not it fits.
pub(crate) fn name(properties: &Object) -> Option<&str> {
    if INCOMPATIBLE
        .iter()
        .any(|name| properties.get(name).is_some_and(|v| v.as_str().is_some()))
    {
        return None;
    }
    properties.get("logicalType").and_then(Json::as_str)
}

/// A logical type that Java recognises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Logical<'a> {
    /// `decimal`
    Decimal {
        /// Digits.
        precision: i32,
        /// Digits behind the point.
        scale: i32,
    },
    /// One without parameters.
    Other(&'a str),
}

impl AvroSchema {
    /// The logical type of a type, if it is known and fits.
    pub(crate) fn logical(&self, id: TypeId) -> Option<Logical<'_>> {
        let of = self.get(id);
        let name = name(&of.properties)?;
        let fits = match (name, &of.kind) {
            ("decimal", _) => return self.decimal(id),
            ("big-decimal", Kind::Bytes)
            | ("uuid", Kind::String)
            | ("date" | "time-millis", Kind::Int)
            | (
                "time-micros"
                | "timestamp-millis"
                | "timestamp-micros"
                | "timestamp-nanos"
                | "local-timestamp-millis"
                | "local-timestamp-micros"
                | "local-timestamp-nanos",
                Kind::Long,
            ) => true,
            ("uuid", Kind::Fixed(fixed)) => fixed.size == 16,
            ("duration", Kind::Fixed(fixed)) => fixed.size == 12,
            ("variant", Kind::Record(record)) => {
                let is_bytes = |name: &str| {
                    record.fields.iter().any(|field| {
                        &*field.name == name && matches!(self.get(field.schema).kind, Kind::Bytes)
                    })
                };
                record.fields.len() == 2 && is_bytes("metadata") && is_bytes("value")
            }
            ("map", Kind::Array(items)) => {
                matches!(&self.get(*items).kind, Kind::Record(record)
                    if matches!(record.fields.as_slice(), [key, value] if &*key.name == "key" && &*value.name == "value"))
            }
            _ => false,
        };
        fits.then_some(Logical::Other(name))
    }

    fn decimal(&self, id: TypeId) -> Option<Logical<'_>> {
        let of = self.get(id);
        let integer = |json: &Json| json.as_i64().and_then(|value| i32::try_from(value).ok());
        let precision = integer(of.properties.get("precision")?)?;
        let scale = match of.properties.get("scale") {
            None => 0,
            Some(scale) => integer(scale)?,
        };
        let most = match &of.kind {
            Kind::Bytes => i64::from(i32::MAX),
            // Java multiplies as int; a size that large is no practical type.
            Kind::Fixed(fixed) => {
                (std::f64::consts::LOG10_2 * (8.0 * fixed.size as f64 - 1.0)).floor() as i64
            }
            _ => return None,
        };
        (precision > 0 && i64::from(precision) <= most && scale >= 0 && scale <= precision)
            .then_some(Logical::Decimal { precision, scale })
    }
}
