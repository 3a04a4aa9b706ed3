//! Schemas as JSON.

use millrace_api::data::{Kind, Schema};
use millrace_api::plugin::DataError;

use super::escape::write_string;
use super::write::{WriteOptions, WritePlan};

/// Appends `schema`, its attributes in the fixed order that all readers of this format are used to; `field` is the name in the struct around it.
pub(crate) fn write_schema(
    schema: &Schema,
    field: Option<&str>,
    options: WriteOptions,
    out: &mut Vec<u8>,
) -> Result<(), DataError> {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(type_name(schema.kind()).as_bytes());
    out.push(b'"');
    match schema.kind() {
        Kind::Array => write_part("items", schema.value_schema(), options, out)?,
        Kind::Map => {
            write_part("keys", schema.key_schema(), options, out)?;
            write_part("values", schema.value_schema(), options, out)?;
        }
        Kind::Struct => {
            out.extend_from_slice(b",\"fields\":[");
            for (i, field) in schema.fields().iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_schema(&field.schema, Some(&field.name), options, out)?;
            }
            out.push(b']');
        }
        _ => {}
    }
    out.extend_from_slice(if schema.optional() {
        b",\"optional\":true"
    } else {
        b",\"optional\":false"
    });
    if let Some(name) = schema.name() {
        out.extend_from_slice(b",\"name\":");
        write_string(name, out);
    }
    if let Some(version) = schema.version() {
        out.extend_from_slice(b",\"version\":");
        out.extend_from_slice(itoa::Buffer::new().format(version).as_bytes());
    }
    if let Some(doc) = schema.doc() {
        out.extend_from_slice(b",\"doc\":");
        write_string(doc, out);
    }
    if !schema.parameters().is_empty() {
        out.extend_from_slice(b",\"parameters\":");
        for (i, (name, value)) in schema.parameters().iter().enumerate() {
            out.push(if i > 0 { b',' } else { b'{' });
            write_string(name, out);
            out.push(b':');
            write_string(value, out);
        }
        out.push(b'}');
    }
    if let Some(default) = schema.default() {
        out.extend_from_slice(b",\"default\":");
        WritePlan::new(schema, options)?.write(default, out, &mut Vec::new())?;
    }
    if let Some(field) = field {
        out.extend_from_slice(b",\"field\":");
        write_string(field, out);
    }
    out.push(b'}');
    Ok(())
}

fn write_part(
    member: &str,
    schema: Option<&Schema>,
    options: WriteOptions,
    out: &mut Vec<u8>,
) -> Result<(), DataError> {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(member.as_bytes());
    out.extend_from_slice(b"\":");
    match schema {
        Some(schema) => write_schema(schema, None, options, out),
        None => {
            out.extend_from_slice(b"null");
            Ok(())
        }
    }
}

/// Name of a type in this format, which differs from Connect's own for floats.
pub(crate) fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Int8 => "int8",
        Kind::Int16 => "int16",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Float32 => "float",
        Kind::Float64 => "double",
        Kind::Boolean => "boolean",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Array => "array",
        Kind::Map => "map",
        Kind::Struct => "struct",
    }
}

/// The type of such a name.
pub(crate) fn type_of(name: &str) -> Option<Kind> {
    use Kind::{
        Array, Boolean, Bytes, Float32, Float64, Int8, Int16, Int32, Int64, Map, String, Struct,
    };
    [
        Int8, Int16, Int32, Int64, Float32, Float64, Boolean, String, Bytes, Array, Map, Struct,
    ]
    .into_iter()
    .find(|kind| type_name(*kind) == name)
}
