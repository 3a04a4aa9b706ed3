//! Schemaless data: one record with a nullable field per type, of which at most one is set.

use java_idioms::{Json, Object};
use millrace_api::data::Value;
use registry_avro::{AvroBuilder, AvroSchema, Field, Kind, Name, Record, Type, TypeId};

use crate::avro_types::plain_field;
use crate::fault::Fault;
use crate::terms::{MAP_ENTRY, NAMESPACE};
use crate::wire::{put_bytes, put_long};
use crate::write::deeper;

/// The record's fields in order.
pub(crate) const FIELDS: [&str; 9] = [
    "boolean", "bytes", "double", "float", "int", "long", "string", "array", "map",
];

/// Adds the record.
pub(crate) fn build(builder: &mut AvroBuilder) -> TypeId {
    let id = builder.reserve();
    let entry_fields = vec![plain_field("key", id), plain_field("value", id)];
    let entry = add(builder, record(MAP_ENTRY, entry_fields));
    let fields = FIELDS
        .iter()
        .map(|name| {
            let kind = match *name {
                "boolean" => Kind::Boolean,
                "bytes" => Kind::Bytes,
                "double" => Kind::Double,
                "float" => Kind::Float,
                "int" => Kind::Int,
                "long" => Kind::Long,
                "string" => Kind::String,
                "array" => Kind::Array(id),
                _ => Kind::Array(entry),
            };
            let null = add(builder, Kind::Null);
            let of = add(builder, kind);
            let union = add(builder, Kind::Union(vec![null, of]));
            Field {
                default: Some(Json::Null),
                ..plain_field(name, union)
            }
        })
        .collect();
    builder.set(
        id,
        Type {
            kind: record("Anything", fields),
            properties: Object::new(),
        },
    );
    id
}

fn add(builder: &mut AvroBuilder, kind: Kind) -> TypeId {
    builder.add(Type {
        kind,
        properties: Object::new(),
    })
}

fn record(simple: &str, fields: Vec<Field>) -> Kind {
    Kind::Record(Record {
        name: Name {
            simple: simple.into(),
            namespace: Some(NAMESPACE.into()),
        },
        doc: None,
        fields,
        aliases: Vec::new(),
        is_error: false,
    })
}

/// Whether a type can hold schemaless data: the record above, whatever further attributes it has.
pub(crate) fn fits(avro: &AvroSchema, id: TypeId) -> bool {
    let Kind::Record(of) = &avro.get(id).kind else {
        return false;
    };
    if *of.name.simple != *"Anything"
        || of.name.namespace.as_deref() != Some(NAMESPACE)
        || of.fields.len() != FIELDS.len()
    {
        return false;
    }
    of.fields.iter().zip(FIELDS).all(|(field, name)| {
        let Kind::Union(branches) = &avro.get(field.schema).kind else {
            return false;
        };
        let [null, of_field] = branches.as_slice() else {
            return false;
        };
        let expected = match (&avro.get(*of_field).kind, name) {
            (Kind::Boolean, "boolean")
            | (Kind::Bytes, "bytes")
            | (Kind::Double, "double")
            | (Kind::Float, "float")
            | (Kind::Int, "int")
            | (Kind::Long, "long")
            | (Kind::String, "string") => true,
            (Kind::Array(item), "array") => *item == id,
            (Kind::Array(item), "map") => match &avro.get(*item).kind {
                Kind::Record(entry) => {
                    entry.fields.len() == 2
                        && *entry.fields[0].name == *"key"
                        && *entry.fields[1].name == *"value"
                        && entry.fields.iter().all(|f| f.schema == id)
                }
                _ => false,
            },
            _ => false,
        };
        *field.name == *name && matches!(avro.get(*null).kind, Kind::Null) && expected
    })
}

/// Appends a value: nine nullable fields, of which the one for the value's type is set.
///
/// # Errors
/// Bytes, decimals and structs, which need a schema.
pub(crate) fn write(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<(), Box<Fault>> {
    let depth = deeper(depth)?;
    let field = match value {
        Value::Null => 9,
        Value::Boolean(_) => 0,
        Value::Float64(_) => 2,
        Value::Float32(_) => 3,
        Value::Int8(_) | Value::Int16(_) | Value::Int32(_) => 4,
        Value::Int64(_) => 5,
        Value::String(_) => 6,
        Value::Array(_) => 7,
        Value::Map(_) => 8,
        Value::Bytes(_) | Value::Decimal(_) | Value::Struct(_) => {
            return Err(Box::new(Fault::data(format!(
                "Unknown Java type for schemaless data: {}",
                value.java_class()
            ))));
        }
    };
    const NULLS: [u8; 9] = [0; 9];
    out.extend_from_slice(&NULLS[..field]);
    if field == 9 {
        return Ok(());
    }
    out.push(2);
    match value {
        Value::Boolean(v) => out.push((*v).into()),
        Value::Float64(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Float32(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::String(v) => put_bytes(v.as_bytes(), out),
        Value::Array(values) => {
            if !values.is_empty() {
                put_long(values.len() as i64, out);
                for value in values.iter() {
                    write(value, out, depth)?;
                }
            }
            out.push(0);
        }
        Value::Map(entries) => {
            if !entries.is_empty() {
                put_long(entries.len() as i64, out);
                for (key, value) in entries.iter() {
                    write(key, out, depth)?;
                    write(value, out, depth)?;
                }
            }
            out.push(0);
        }
        other => put_long(other.as_i64().unwrap_or(0), out),
    }
    out.extend_from_slice(&NULLS[..8 - field]);
    Ok(())
}
