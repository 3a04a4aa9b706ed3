//! What types of Avro schemas are called, and which of them mean something to Connect.

use java_idioms::Object;
use millrace_api::data::{Kind as ConnectKind, Schema};
use registry_avro::{AvroSchema, Field, Kind, Order, Record, Type, TypeId};

use crate::config::Options;
use crate::fault::Fault;
use crate::names;
use crate::terms::{
    self, CONNECT_INTERNAL_TYPE, GENERAL_UNION_FIELD, LOGICAL_TYPE, MAP_ENTRY, NAMESPACE,
};

/// A field with a name and a type only.
pub(crate) fn plain_field(name: &str, schema: TypeId) -> Field {
    Field {
        name: name.into(),
        doc: None,
        schema,
        default: None,
        order: Order::Ascending,
        aliases: Vec::new(),
        properties: Object::new(),
    }
}

/// The type's name in Avro's texts: `record`, `int`.
pub(crate) fn type_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Boolean => "boolean",
        Kind::Int => "int",
        Kind::Long => "long",
        Kind::Float => "float",
        Kind::Double => "double",
        Kind::Bytes => "bytes",
        Kind::String => "string",
        Kind::Record(_) => "record",
        Kind::Enum(_) => "enum",
        Kind::Fixed(_) => "fixed",
        Kind::Array(_) => "array",
        Kind::Map(_) => "map",
        Kind::Union(_) => "union",
    }
}

/// The name by which a type is a member of a union.
pub(crate) fn full_name(kind: &Kind) -> String {
    match kind {
        Kind::Record(of) => of.name.full(),
        Kind::Enum(of) => of.name.full(),
        Kind::Fixed(of) => of.name.full(),
        other => type_name(other).to_owned(),
    }
}

/// The record of an array that stands for a map.
pub(crate) fn map_entry(of: &Type) -> Option<&Record> {
    let Kind::Record(record) = &of.kind else {
        return None;
    };
    let by_name =
        *record.name.simple == *MAP_ENTRY && record.name.namespace.as_deref() == Some(NAMESPACE);
    (by_name || text(of, CONNECT_INTERNAL_TYPE) == Some(MAP_ENTRY)).then_some(record)
}

/// The member of a union of null and one type.
pub(crate) fn nullable_member(avro: &AvroSchema, branches: &[TypeId]) -> Option<TypeId> {
    let [a, b] = branches else {
        return None;
    };
    let is_null = |id: &TypeId| {
        let of = avro.get(*id);
        matches!(of.kind, Kind::Null) && of.properties.is_empty()
    };
    match (is_null(a), is_null(b)) {
        (true, false) => Some(*b),
        (false, true) => Some(*a),
        _ => None,
    }
}

/// Whether the schema has no other value than null, for which Connect has no schema.
pub(crate) fn is_always_null(avro: &AvroSchema) -> bool {
    match &avro.get(avro.root()).kind {
        Kind::Null => true,
        Kind::Union(branches) => branches
            .iter()
            .all(|branch| matches!(avro.get(*branch).kind, Kind::Null)),
        _ => false,
    }
}

/// Whether a record is Connect's variant.
pub(crate) fn is_variant(avro: &AvroSchema, of: &Type, record: &Record) -> bool {
    let bytes = |name: &str| {
        record
            .fields
            .iter()
            .any(|f| *f.name == *name && matches!(avro.get(f.schema).kind, Kind::Bytes))
    };
    text(of, LOGICAL_TYPE) == Some("variant")
        && record.fields.len() == 2
        && bytes("metadata")
        && bytes("value")
}

/// The name of the field that holds a member of a union.
pub(crate) fn member_name(kind: &Kind, at: usize, options: Options) -> String {
    if options.generalized {
        return format!("{GENERAL_UNION_FIELD}{at}");
    }
    let name = match kind {
        Kind::Record(of) => &of.name,
        Kind::Enum(of) => &of.name,
        Kind::Fixed(of) => &of.name,
        other => return type_name(other).to_owned(),
    };
    if options.enhanced {
        name.full()
    } else {
        name.simple.to_string()
    }
}

/// The name under which Connect's schema of a member looks for its field: that of [`member_name`], unless the two are called differently.
pub(crate) fn schema_member_name(
    schema: &Schema,
    at: usize,
    options: Options,
) -> Result<String, Fault> {
    if options.generalized {
        return Ok(format!("{GENERAL_UNION_FIELD}{at}"));
    }
    let is_named =
        schema.kind() == ConnectKind::Struct || terms::is_enum(schema) || terms::is_fixed(schema);
    if is_named {
        let name = schema.name().unwrap_or("");
        return if options.enhanced {
            names::full(name, options.scrub)
        } else {
            names::split(name, options.scrub).map(|(_, simple)| simple)
        };
    }
    let name = match schema.kind() {
        ConnectKind::Int8 | ConnectKind::Int16 | ConnectKind::Int32 => "int",
        ConnectKind::Int64 => "long",
        ConnectKind::Float32 => "float",
        ConnectKind::Float64 => "double",
        ConnectKind::Boolean => "boolean",
        ConnectKind::String => "string",
        ConnectKind::Bytes => "bytes",
        ConnectKind::Array => "array",
        ConnectKind::Map => "map",
        ConnectKind::Struct => "record",
    };
    Ok(name.to_owned())
}

/// A property's text; `None` when it is something else.
pub(crate) fn text<'t>(of: &'t Type, key: &str) -> Option<&'t str> {
    of.properties.get(key)?.as_str()
}
