//! Protobuf's types as Connect's.

use millrace_api::data::{Kind, SchemaBuilder};
use registry_protobuf::{FieldDescriptor, MessageDescriptor, Scalar};

use crate::logical::Logical;
use crate::read_plan::Becomes;
use crate::terms::{
    CONNECT_TYPE, DATE, DATE_TYPE, DECIMAL, DECIMAL_TYPE, PRECISION, SCALE, TIME, TIME_TYPE,
    TIMESTAMP, TIMESTAMP_TYPE, TYPE,
};

/// Members of oneofs first, then the other fields: the order in which the original looks at them.
pub(crate) fn in_order(message: &MessageDescriptor) -> impl Iterator<Item = &FieldDescriptor> {
    let members = message.oneofs.iter().flat_map(|oneof| &oneof.fields);
    members
        .map(|at| &message.fields[*at])
        .chain(message.fields.iter().filter(|field| field.oneof.is_none()))
}

/// Whether a repeated message is read as a map: by its name and fields, however it was declared.
pub(crate) fn is_map(field: &FieldDescriptor, message: &MessageDescriptor) -> bool {
    field.is_repeated()
        && message.name.ends_with("Entry")
        && matches!(
            message.fields.as_slice(),
            [key, value] if *key.name == *"key"
                && *value.name == *"value"
                && !key.is_repeated()
                && !value.is_repeated()
        )
}

pub(crate) fn logical_of(full_name: &str) -> Option<Logical> {
    Some(match full_name {
        DECIMAL_TYPE => Logical::Decimal,
        DATE_TYPE => Logical::Date,
        TIME_TYPE => Logical::Time,
        TIMESTAMP_TYPE => Logical::Timestamp,
        _ => return None,
    })
}

pub(crate) fn logical_schema(logical: Logical, field: &FieldDescriptor) -> SchemaBuilder {
    let (kind, name) = match logical {
        Logical::Decimal => (Kind::Bytes, DECIMAL),
        Logical::Date => (Kind::Int32, DATE),
        Logical::Time => (Kind::Int32, TIME),
        Logical::Timestamp => (Kind::Int64, TIMESTAMP),
    };
    let mut builder = SchemaBuilder::new(kind).name(name).version(1);
    if logical == Logical::Decimal {
        let number = |key: &str| {
            field
                .params
                .get(key)
                .and_then(|text| text.parse::<i32>().ok())
        };
        builder = builder.parameter(SCALE, number("scale").unwrap_or(0).to_string());
        if let Some(precision) = number("precision") {
            builder = builder.parameter(PRECISION, precision.to_string());
        }
    }
    builder
}

/// The type of a scalar on its own.
pub(crate) fn scalar_kind(scalar: Scalar) -> Kind {
    match scalar {
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => Kind::Int32,
        Scalar::Float => Kind::Float32,
        Scalar::Double => Kind::Float64,
        Scalar::Bool => Kind::Boolean,
        Scalar::String => Kind::String,
        Scalar::Bytes => Kind::Bytes,
        _ => Kind::Int64,
    }
}

pub(crate) fn scalar_schema(scalar: Scalar, field: &FieldDescriptor) -> (SchemaBuilder, Becomes) {
    let kind = scalar_kind(scalar);
    if kind == Kind::Int32 {
        match field.params.get(CONNECT_TYPE).map(String::as_str) {
            Some("int8") => return (SchemaBuilder::new(Kind::Int8), Becomes::Int8),
            Some("int16") => return (SchemaBuilder::new(Kind::Int16), Becomes::Int16),
            _ => {}
        }
    }
    let mut builder = SchemaBuilder::new(kind);
    if matches!(kind, Kind::Int32 | Kind::Int64) && !matches!(scalar, Scalar::Int32 | Scalar::Int64)
    {
        builder = builder.parameter(TYPE, scalar.name());
    }
    (builder, Becomes::Same)
}
