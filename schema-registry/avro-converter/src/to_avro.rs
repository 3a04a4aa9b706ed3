//! Connect schemas as Avro schemas, property for property as Confluent's converter writes them.

use std::collections::HashMap;
use std::sync::Arc;

use java_idioms::{Json, Object};
use millrace_api::data::{Kind as ConnectKind, Schema, logical};
use registry_avro::{
    AvroBuilder, AvroSchema, Enum, Field, Fixed, Kind, Name, Record, Type, TypeId,
};

use crate::anything;
use crate::avro_types::{full_name, plain_field, type_name};
use crate::config::Options;
use crate::fault::{
    AVRO_RUNTIME, Fault, MAX_SCHEMA_DEPTH, MAX_SCHEMA_TYPES, NULL_POINTER, SCHEMA_PARSE,
};
use crate::logical_types::{fixed_size, logical_type, named, parameter_of_decimal, parse_int};
use crate::names;
use crate::terms::{self, *};
use crate::to_avro_defaults::{default_json, is_valid_default};

/// The Avro schema of data of `schema`; `None` is schemaless data.
pub(crate) fn to_avro(schema: Option<&Schema>, options: Options) -> Result<AvroSchema, Fault> {
    let mut conversion = Conversion {
        options,
        builder: AvroBuilder::new(),
        by_schema: HashMap::new(),
        by_name: HashMap::new(),
        anything: None,
        unnamed: 0,
        depth: 0,
        types: 0,
    };
    let root = conversion.convert(schema, false)?;
    Ok(conversion.builder.finish(root))
}

struct Conversion {
    options: Options,
    builder: AvroBuilder,
    /// Required schemas that were met: an equal one is the same type.
    by_schema: HashMap<Schema, TypeId>,
    /// Named structs that were met, or are being translated.
    by_name: HashMap<String, TypeId>,
    anything: Option<TypeId>,
    unnamed: u32,
    depth: usize,
    types: usize,
}

impl Conversion {
    /// `bare`: the caller adds null itself.
    fn convert(&mut self, schema: Option<&Schema>, bare: bool) -> Result<TypeId, Fault> {
        let Some(schema) = schema else {
            let builder = &mut self.builder;
            return Ok(*self
                .anything
                .get_or_insert_with(|| anything::build(builder)));
        };
        if schema.is_back_reference() {
            let found = schema
                .name()
                .and_then(|name| self.by_name.get(name))
                .copied();
            let base = found.ok_or_else(|| {
                Fault::data(format!(
                    "the schema mentions struct '{}' inside itself, but no struct of that name encloses it",
                    schema.name().unwrap_or("")
                ))
            })?;
            return Ok(if bare {
                base
            } else {
                self.nullable(schema, base)
            });
        }
        if !schema.optional()
            && !terms::is_union(schema)
            && let Some(&known) = self.by_schema.get(schema)
        {
            return Ok(known);
        }
        self.types += 1;
        if self.types > MAX_SCHEMA_TYPES {
            return Err(Fault::schema_too_large());
        }
        self.depth += 1;
        if self.depth > MAX_SCHEMA_DEPTH {
            return Err(Fault::schema_too_deep());
        }
        let base = self.base(schema)?;
        self.depth -= 1;
        let result = if matches!(self.builder.get(base).kind, Kind::Union(_)) {
            base
        } else {
            self.annotate(schema, base)?;
            if bare {
                base
            } else {
                self.nullable(schema, base)
            }
        };
        if !schema.optional() {
            self.by_schema.insert(schema.clone(), result);
        }
        Ok(result)
    }

    /// As [`convert`](Self::convert), but a struct whose name was met is the type of that name, whatever it looks like.
    fn convert_named(&mut self, schema: Option<&Schema>, bare: bool) -> Result<TypeId, Fault> {
        let schema = required(schema)?;
        if schema.kind() == ConnectKind::Struct
            && let Some(&known) = schema.name().and_then(|name| self.by_name.get(name))
        {
            return Ok(if bare {
                known
            } else {
                self.nullable(schema, known)
            });
        }
        self.convert(Some(schema), bare)
    }

    /// The type without Connect's attributes.
    fn base(&mut self, schema: &Schema) -> Result<TypeId, Fault> {
        let kind = match schema.kind() {
            ConnectKind::Int8 | ConnectKind::Int16 | ConnectKind::Int32 => Kind::Int,
            ConnectKind::Int64 => Kind::Long,
            ConnectKind::Float32 => Kind::Float,
            ConnectKind::Float64 => Kind::Double,
            ConnectKind::Boolean => Kind::Boolean,
            ConnectKind::String if self.options.writes_enums() && terms::is_enum(schema) => {
                self.enumeration(schema)?
            }
            ConnectKind::String => Kind::String,
            ConnectKind::Bytes => return self.bytes(schema),
            ConnectKind::Array => Kind::Array(self.convert_named(schema.value_schema(), false)?),
            ConnectKind::Map if self.options.is_string_map(schema) => {
                Kind::Map(self.convert_named(schema.value_schema(), false)?)
            }
            ConnectKind::Map => return self.entries(schema),
            ConnectKind::Struct => return self.structure(schema),
        };
        Ok(self.add(kind))
    }

    fn add(&mut self, kind: Kind) -> TypeId {
        self.builder.add(Type {
            kind,
            properties: Object::new(),
        })
    }

    fn set(&mut self, id: TypeId, key: &str, value: Json) {
        let mut of = self.builder.get(id).clone();
        of.properties.insert(key.into(), value);
        self.builder.set(id, of);
    }

    fn bytes(&mut self, schema: &Schema) -> Result<TypeId, Fault> {
        let kind = if terms::is_fixed(schema) {
            let name = self.name_or_default(schema.name())?;
            Kind::Fixed(Fixed {
                name,
                doc: None,
                size: fixed_size(schema)?,
                aliases: Vec::new(),
            })
        } else {
            Kind::Bytes
        };
        let id = self.add(kind);
        if named(schema, logical::DECIMAL) {
            let scale = parse_int(parameter_of_decimal(schema, logical::SCALE)?)?;
            let precision = match schema.parameter(DECIMAL_PRECISION) {
                Some(text) => parse_int(Some(text))?,
                None => DEFAULT_PRECISION,
            };
            self.set(id, SCALE, scale.into());
            self.set(id, PRECISION, precision.into());
        }
        Ok(id)
    }

    fn enumeration(&mut self, schema: &Schema) -> Result<Kind, Fault> {
        let parameter = self.options.enum_parameter();
        let prefix = format!("{parameter}.");
        let mut symbols: Vec<Arc<str>> = Vec::new();
        for (key, _) in schema.parameters() {
            if let Some(symbol) = key.strip_prefix(&*prefix) {
                names::check(symbol)?;
                if symbols.iter().any(|s| **s == *symbol) {
                    return Err(Fault::new(
                        SCHEMA_PARSE,
                        format!("Duplicate enum symbol: {symbol}"),
                    ));
                }
                symbols.push(symbol.into());
            }
        }
        let (_, simple) = self.split_or_default(schema.name())?;
        let full = schema
            .parameter(parameter)
            .ok_or_else(|| Fault::new(NULL_POINTER, "Type must have a name"))?;
        let (doc, default) = if self.options.discard_type_doc {
            (schema.parameter(CONNECT_ENUM_DOC), None)
        } else {
            (
                schema.parameter(&format!("{ENUM_DOC}{simple}")),
                schema.parameter(&format!("{ENUM_DEFAULT}{simple}")),
            )
        };
        if let Some(default) = default
            && !symbols.iter().any(|s| **s == *default)
        {
            return Err(Fault::new(
                SCHEMA_PARSE,
                format!(
                    "The Enum Default: {default} is not in the enum symbol set: [{}]",
                    symbols.join(", ")
                ),
            ));
        }
        Ok(Kind::Enum(Enum {
            name: names::name(None, full)?,
            doc: doc.map(Into::into),
            symbols,
            default: default.map(Into::into),
            aliases: Vec::new(),
        }))
    }

    /// A map with other keys than text: a list of records of key and value.
    fn entries(&mut self, schema: &Schema) -> Result<TypeId, Fault> {
        let mut properties = Object::new();
        let name = match schema.name() {
            None => names::name(Some(NAMESPACE), MAP_ENTRY)?,
            Some(_) => {
                properties.insert(CONNECT_INTERNAL_TYPE.into(), MAP_ENTRY.into());
                self.name_or_default(schema.name())?
            }
        };
        let mut fields = Vec::with_capacity(2);
        for (name, schema) in [
            ("key", schema.key_schema()),
            ("value", schema.value_schema()),
        ] {
            let field = self.field(name, required(schema)?, None)?;
            fields.push(field);
        }
        let entry = self.builder.add(Type {
            kind: Kind::Record(record(name, None, fields)),
            properties,
        });
        Ok(self.add(Kind::Array(entry)))
    }

    fn structure(&mut self, schema: &Schema) -> Result<TypeId, Fault> {
        if terms::is_variant(schema) {
            return Ok(self.variant());
        }
        if terms::is_union(schema) {
            let mut branches = Vec::with_capacity(schema.fields().len() + 1);
            if schema.optional() {
                branches.push(self.add(Kind::Null));
            }
            for field in schema.fields() {
                let member = not_optional(&field.schema);
                branches.push(self.convert_named(Some(&member), true)?);
            }
            self.check_branches(&branches)?;
            return Ok(self.add(Kind::Union(branches)));
        }
        if schema.optional() {
            let record = self.convert_named(Some(&not_optional(schema)), false)?;
            let null = self.add(Kind::Null);
            return Ok(self.add(Kind::Union(vec![null, record])));
        }
        let name = self.name_or_default(schema.name())?;
        let doc = schema.parameter(if self.options.discard_type_doc {
            CONNECT_RECORD_DOC
        } else {
            RECORD_DOC
        });
        let id = self.builder.reserve();
        if let Some(name) = schema.name() {
            self.by_name.insert(name.to_owned(), id);
        }
        let mut fields: Vec<Field> = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let doc = if self.options.discard_type_doc {
                None
            } else {
                schema.parameter(&format!("{FIELD_DOC}{}", field.name))
            };
            let name = names::field(&field.name, self.options.scrub);
            fields.push(self.field(&name, &field.schema, doc)?);
        }
        self.check_fields(&name, &fields)?;
        self.builder.set(
            id,
            Type {
                kind: Kind::Record(record(name, doc, fields)),
                properties: Object::new(),
            },
        );
        Ok(id)
    }

    fn variant(&mut self) -> TypeId {
        let mut fields = Vec::with_capacity(2);
        for name in ["metadata", "value"] {
            let bytes = self.add(Kind::Bytes);
            fields.push(plain_field(name, bytes));
        }
        let name = Name {
            simple: "Variant".into(),
            namespace: Some("confluent.type".into()),
        };
        let mut properties = Object::new();
        properties.insert(LOGICAL_TYPE.into(), "variant".into());
        self.builder.add(Type {
            kind: Kind::Record(record(name, None, fields)),
            properties,
        })
    }

    fn field(&mut self, name: &str, schema: &Schema, doc: Option<&str>) -> Result<Field, Fault> {
        let default = match schema.default() {
            Some(value) => Some(default_json(schema, value, self.options)?),
            None => schema.optional().then_some(Json::Null),
        };
        let id = self.convert(Some(schema), false)?;
        names::check(name)?;
        let default = default.filter(|json| {
            let valid = is_valid_default(&self.builder, id, json, 0);
            if !valid {
                tracing::warn!(
                    field = name,
                    "default left out: it does not fit the Avro type"
                );
            }
            valid
        });
        Ok(Field {
            doc: if self.options.discard_type_doc {
                schema.doc()
            } else {
                doc
            }
            .map(Into::into),
            default,
            ..plain_field(name, id)
        })
    }

    /// Connect's attributes as properties, in the order in which Confluent's converter adds them.
    fn annotate(&mut self, schema: &Schema, id: TypeId) -> Result<(), Fault> {
        let mut of = self.builder.get(id).clone();
        let properties = &mut of.properties;
        if self.options.meta_data {
            if let Some(doc) = schema.doc() {
                properties.insert(CONNECT_DOC.into(), doc.into());
            }
            if let Some(version) = schema.version() {
                properties.insert(CONNECT_VERSION.into(), version.into());
            }
            let flagged = schema.parameter(FIELD_DEFAULT).is_some();
            let parameters: Object = schema
                .parameters()
                .iter()
                .filter(|(key, _)| self.options.discard_type_doc || **key != *FIELD_DEFAULT)
                .map(|(key, value)| (Arc::clone(key), Json::from(Arc::clone(value))))
                .collect();
            if !parameters.is_empty() {
                properties.insert(CONNECT_PARAMETERS.into(), parameters.into());
            }
            if let Some(default) = schema.default()
                && (self.options.discard_type_doc || !flagged)
            {
                let json = default_json(schema, default, self.options)?;
                properties.insert(CONNECT_DEFAULT_VALUE.into(), json);
            }
            if let Some(name) = schema.name() {
                properties.insert(CONNECT_NAME.into(), name.into());
            }
            match schema.kind() {
                ConnectKind::Int8 => {
                    properties.insert(CONNECT_TYPE.into(), "int8".into());
                }
                ConnectKind::Int16 => {
                    properties.insert(CONNECT_TYPE.into(), "int16".into());
                }
                _ => {}
            }
        }
        if let Some(logical) = logical_type(schema, &of.kind)? {
            of.properties.insert(LOGICAL_TYPE.into(), logical.into());
        }
        for (key, value) in schema.parameters() {
            if key.starts_with(AVRO_PREFIX) {
                of.properties
                    .insert(Arc::clone(key), Json::from(Arc::clone(value)));
            }
        }
        self.builder.set(id, of);
        Ok(())
    }

    /// The union with null, when the schema is optional.
    fn nullable(&mut self, schema: &Schema, base: TypeId) -> TypeId {
        if !schema.optional() {
            return base;
        }
        let null = self.add(Kind::Null);
        self.add(Kind::Union(if schema.default().is_some() {
            vec![base, null]
        } else {
            vec![null, base]
        }))
    }

    fn split_or_default(&mut self, name: Option<&str>) -> Result<(Option<String>, String), Fault> {
        if let Some(name) = name {
            return names::split(name, self.options.scrub);
        }
        self.unnamed += 1;
        let simple = match self.unnamed {
            1 => CONNECT_DEFAULT.to_owned(),
            n => format!("{CONNECT_DEFAULT}{n}"),
        };
        Ok((Some(NAMESPACE.to_owned()), simple))
    }

    fn name_or_default(&mut self, name: Option<&str>) -> Result<Name, Fault> {
        let (namespace, simple) = self.split_or_default(name)?;
        names::name(namespace.as_deref(), &simple)
    }

    fn check_fields(&self, name: &Name, fields: &[Field]) -> Result<(), Fault> {
        let mut seen = HashMap::with_capacity(fields.len());
        for (at, field) in fields.iter().enumerate() {
            if let Some(first) = seen.insert(&field.name, at) {
                let describe = |at: usize| {
                    format!(
                        "{} type:{} pos:{at}",
                        field.name,
                        type_name(&self.builder.get(fields[at].schema).kind).to_uppercase()
                    )
                };
                return Err(Fault::new(
                    AVRO_RUNTIME,
                    format!(
                        "Duplicate field {} in record {}: {} and {}.",
                        field.name,
                        name.full(),
                        describe(at),
                        describe(first)
                    ),
                ));
            }
        }
        Ok(())
    }

    fn check_branches(&self, branches: &[TypeId]) -> Result<(), Fault> {
        let mut seen = std::collections::HashSet::new();
        for branch in branches {
            let kind = &self.builder.get(*branch).kind;
            if matches!(kind, Kind::Union(_)) {
                return Err(Fault::new(
                    AVRO_RUNTIME,
                    "Nested union: a union cannot be a member of another one",
                ));
            }
            let name = full_name(kind);
            if !seen.insert(name.clone()) {
                return Err(Fault::new(
                    AVRO_RUNTIME,
                    format!("Duplicate in union:{name}"),
                ));
            }
        }
        Ok(())
    }
}

fn required(schema: Option<&Schema>) -> Result<&Schema, Fault> {
    schema.ok_or_else(|| {
        Fault::new(
            NULL_POINTER,
            "the elements of a list or map have no schema: Avro needs one for them",
        )
    })
}

fn not_optional(schema: &Schema) -> Schema {
    schema.to_builder().optional(false).build_valid()
}

fn record(name: Name, doc: Option<&str>, fields: Vec<Field>) -> Record {
    Record {
        name,
        doc: doc.map(Into::into),
        fields,
        aliases: Vec::new(),
        is_error: false,
    }
}
