//! Avro schemas as Connect schemas.

use std::collections::HashMap;
use std::sync::Arc;

use java_idioms::Json;
use millrace_api::data::{Kind as ConnectKind, Schema, SchemaBuilder, SchemaError, logical};
use registry_avro::{AvroSchema, Field, Kind, Record, Type, TypeId};

use crate::avro_types::{is_variant, map_entry, member_name, nullable_member, text, type_name};
use crate::config::Options;
use crate::fault::{Fault, MAX_SCHEMA_DEPTH, MAX_SCHEMA_TYPES, STACK_OVERFLOW};
use crate::java_object::field_default;
use crate::terms::*;
use crate::to_connect_attributes::{FromField, Preset, annotate};
use crate::to_connect_defaults::{from_json, from_object, is_valid};

/// Translates Avro schemas. `unions` counts the unions met under generalized support, which name them.
pub(crate) fn to_connect(
    avro: &AvroSchema,
    version: Option<i32>,
    options: Options,
    unions: &mut u32,
) -> Result<Schema, Fault> {
    let mut conversion = Conversion {
        avro,
        options,
        unions,
        path: Vec::new(),
        context: 0,
        lowest_reference: usize::MAX,
        known: HashMap::new(),
        recursive: HashMap::new(),
        is_inside: false,
        types: 0,
        depth: 0,
    };
    conversion.convert(avro.root(), false, FromField::default(), version)
}

/// A record that is being translated.
struct Enclosing {
    id: TypeId,
    /// What a mention of it inside itself looks like.
    mention: SchemaBuilder,
    is_mentioned: bool,
    /// Whether a list, a map or a union has it, which would mention a record that encloses it.
    is_inside: bool,
}

struct Conversion<'a> {
    avro: &'a AvroSchema,
    options: Options,
    unions: &'a mut u32,
    path: Vec<Enclosing>,
    /// Records of the path before this one cannot be mentioned: the key and the value of a map entry are translated on their own.
    context: usize,
    /// The outermost record of the path that was mentioned since this was last reset.
    lowest_reference: usize,
    /// Records that mention none around them, by whether they are optional.
    known: HashMap<(TypeId, bool), Schema>,
    /// Records that mention themselves and none around them, as they were translated last: a list, a map or a union takes them from here, with the default and the docs of that use.
    recursive: HashMap<TypeId, Schema>,
    /// Whether a list, a map or a union has the type that comes next.
    is_inside: bool,
    types: usize,
    depth: usize,
}

impl Conversion<'_> {
    fn convert(
        &mut self,
        id: TypeId,
        optional: bool,
        from: FromField<'_>,
        version: Option<i32>,
    ) -> Result<Schema, Fault> {
        self.types += 1;
        if self.types > MAX_SCHEMA_TYPES {
            return Err(Fault::schema_too_large());
        }
        self.depth += 1;
        if self.depth > MAX_SCHEMA_DEPTH {
            return Err(Fault::schema_too_deep());
        }
        let schema = self.convert_one(id, optional, from, version);
        self.depth -= 1;
        schema
    }

    fn convert_one(
        &mut self,
        id: TypeId,
        optional: bool,
        from: FromField<'_>,
        version: Option<i32>,
    ) -> Result<Schema, Fault> {
        let avro = self.avro;
        let of = avro.get(id);
        let is_inside = std::mem::take(&mut self.is_inside);
        match &of.kind {
            Kind::Record(record) if !is_variant(avro, of, record) => {
                self.record(id, record, is_inside, optional, from, version)
            }
            Kind::Union(branches) => self.union(id, branches, optional, from, version),
            _ => {
                let (builder, preset) = self.builder(of)?;
                self.finish(id, builder, preset, optional, &from, version)
            }
        }
    }

    /// As [`convert`](Self::convert), but a record inside itself is a mention.
    fn convert_inside(
        &mut self,
        id: TypeId,
        optional: bool,
        doc: Option<&str>,
    ) -> Result<Schema, Fault> {
        let enclosing = self.path[self.context..].iter().rposition(|e| e.id == id);
        if let Some(at) = enclosing {
            let at = at + self.context;
            self.lowest_reference = self.lowest_reference.min(at);
            self.path[at].is_mentioned = true;
            return Ok(self.path[at]
                .mention
                .clone()
                .optional(optional)
                .build_valid());
        }
        if let Some(last) = self.recursive.get(&id) {
            return Ok(last.to_builder().optional(optional).build_valid());
        }
        self.is_inside = true;
        self.convert(id, optional, FromField { default: None, doc }, None)
    }

    /// Builders of everything but records and unions.
    fn builder(&mut self, of: &Type) -> Result<(SchemaBuilder, Preset), Fault> {
        let plain = |kind| Ok((SchemaBuilder::new(kind), Preset::default()));
        let logical_type = text(of, LOGICAL_TYPE);
        let is = |name: &str| logical_type.is_some_and(|t| t.eq_ignore_ascii_case(name));
        let time = |kind, name: &'static str| {
            let preset = Preset {
                name: Some(name),
                version: Some(1),
            };
            Ok((SchemaBuilder::new(kind), preset))
        };
        match &of.kind {
            Kind::Boolean => plain(ConnectKind::Boolean),
            Kind::Float => plain(ConnectKind::Float32),
            Kind::Double => plain(ConnectKind::Float64),
            Kind::String => plain(ConnectKind::String),
            Kind::Int => match (text(of, CONNECT_TYPE), logical_type) {
                (_, Some(_)) if is("date") => time(ConnectKind::Int32, logical::DATE),
                (_, Some(_)) if is("time-millis") => time(ConnectKind::Int32, logical::TIME),
                (None, None) | (_, Some(_)) => plain(ConnectKind::Int32),
                (Some("int8"), None) => plain(ConnectKind::Int8),
                (Some("int16"), None) => plain(ConnectKind::Int16),
                (Some(_), None) => Err(Fault::data(
                    "Connect type annotation for Avro int field is null",
                )),
            },
            Kind::Long if is("timestamp-millis") => time(ConnectKind::Int64, logical::TIMESTAMP),
            Kind::Long => plain(ConnectKind::Int64),
            Kind::Bytes | Kind::Fixed(_) => bytes(of, is("decimal")),
            Kind::Enum(of) => Ok((self.enumeration(of), Preset::default())),
            Kind::Array(item) => Ok((self.array(*item)?, Preset::default())),
            Kind::Map(value) => {
                let value = self.convert_inside(*value, false, None)?;
                Ok((
                    SchemaBuilder::map(Schema::string(), value),
                    Preset::default(),
                ))
            }
            Kind::Record(_) => {
                let builder = SchemaBuilder::structure()
                    .field("metadata", Schema::bytes())
                    .field("value", Schema::bytes());
                let preset = Preset {
                    name: Some(VARIANT),
                    version: None,
                };
                Ok((builder, preset))
            }
            Kind::Null => Err(Fault::data(
                "Standalone null schemas are not supported by this converter",
            )),
            Kind::Union(_) => Err(Fault::data(format!(
                "Couldn't translate unsupported schema type {}.",
                type_name(&of.kind)
            ))),
        }
    }

    fn enumeration(&self, of: &registry_avro::Enum) -> SchemaBuilder {
        let mut builder = SchemaBuilder::new(ConnectKind::String);
        let discard = self.options.discard_type_doc;
        if self.options.meta_data {
            if let Some(doc) = &of.doc {
                let key = if discard {
                    CONNECT_ENUM_DOC.to_owned()
                } else {
                    format!("{ENUM_DOC}{}", of.name.simple)
                };
                builder = builder.parameter(key, Arc::clone(doc));
            }
            if let Some(default) = of.default.as_ref().filter(|_| !discard) {
                builder = builder.parameter(
                    format!("{ENUM_DEFAULT}{}", of.name.simple),
                    Arc::clone(default),
                );
            }
        }
        let parameter = self.options.enum_parameter();
        builder = builder.parameter(parameter, of.name.full());
        for (at, symbol) in of.symbols.iter().enumerate() {
            let value: Arc<str> = if self.options.generalized {
                at.to_string().into()
            } else {
                Arc::clone(symbol)
            };
            builder = builder.parameter(format!("{parameter}.{symbol}"), value);
        }
        builder
    }

    fn array(&mut self, item: TypeId) -> Result<SchemaBuilder, Fault> {
        let avro = self.avro;
        let Some(entry) = map_entry(avro.get(item)) else {
            return Ok(SchemaBuilder::array(
                self.convert_inside(item, false, None)?,
            ));
        };
        let field = |name: &str| entry.fields.iter().find(|f| *f.name == *name);
        let (2, Some(key), Some(value)) = (entry.fields.len(), field("key"), field("value")) else {
            return Err(Fault::data(
                "Found map encoded as array of key-value pairs, but array elements do not match the expected format.",
            ));
        };
        let context = std::mem::replace(&mut self.context, self.path.len());
        let recursive = std::mem::take(&mut self.recursive);
        let key = self.convert(key.schema, false, FromField::default(), None)?;
        let value = self.convert(value.schema, false, FromField::default(), None)?;
        self.context = context;
        self.recursive = recursive;
        Ok(SchemaBuilder::map(key, value))
    }

    fn record(
        &mut self,
        id: TypeId,
        record: &Record,
        is_inside: bool,
        optional: bool,
        from: FromField<'_>,
        version: Option<i32>,
    ) -> Result<Schema, Fault> {
        let reusable = from.default.is_none() && from.doc.is_none() && version.is_none();
        if reusable && let Some(known) = self.known.get(&(id, optional)) {
            return Ok(known.clone());
        }
        if self.never_ends(id, is_inside) {
            return Err(Fault::new(
                STACK_OVERFLOW,
                format!(
                    "record {} contains itself where no value could ever end, or as key or value of a map entry",
                    record.name.full()
                ),
            ));
        }
        let of = self.avro.get(id);
        let docs = |mut builder: SchemaBuilder| {
            if !self.options.discard_type_doc && self.options.meta_data {
                if let Some(doc) = &record.doc {
                    builder = builder.parameter(RECORD_DOC, Arc::clone(doc));
                }
                for field in &record.fields {
                    if let Some(doc) = &field.doc {
                        let key = format!("{FIELD_DOC}{}", field.name);
                        builder = builder.parameter(key, Arc::clone(doc));
                    }
                }
            }
            builder
        };
        let mention = docs(SchemaBuilder::back_reference(record.name.full()));
        let mention = annotate(of, mention, Preset::default(), &from, version, self.options)?;
        let at = self.path.len();
        self.path.push(Enclosing {
            id,
            mention,
            is_mentioned: false,
            is_inside,
        });
        let unions_before = *self.unions;
        let lowest_outside = std::mem::replace(&mut self.lowest_reference, usize::MAX);
        let mut builder = docs(SchemaBuilder::structure());
        for field in &record.fields {
            let schema = self.field(field)?;
            builder = builder.field(Arc::clone(&field.name), schema);
        }
        let is_recursive = self.path.pop().is_some_and(|e| e.is_mentioned);
        let closed = self.lowest_reference >= at;
        self.lowest_reference = if closed {
            lowest_outside
        } else {
            lowest_outside.min(self.lowest_reference)
        };
        let schema = self.finish(id, builder, Preset::default(), optional, &from, version)?;
        if is_recursive && closed {
            self.recursive.insert(id, schema.clone());
        }
        // A number is given to each union anew at each use of its record.
        if reusable && closed && *self.unions == unions_before {
            self.known.insert((id, optional), schema.clone());
        }
        Ok(schema)
    }

    /// Whether the translation of a record would lead to itself for ever: as a plain field a record inside itself is translated once more, until a list, a map or a union
    /// mentions one that encloses it.
    fn never_ends(&self, id: TypeId, is_inside: bool) -> bool {
        let (outside, path) = self.path.split_at(self.context);
        if outside.iter().any(|e| e.id == id) {
            return true;
        }
        let mut inside = is_inside;
        for enclosing in path.iter().rev() {
            if inside {
                return false;
            }
            if enclosing.id == id {
                return true;
            }
            inside = enclosing.is_inside;
        }
        false
    }

    fn field(&mut self, field: &Field) -> Result<Schema, Fault> {
        let from = FromField {
            default: field_default(self.avro, field),
            doc: field
                .doc
                .as_deref()
                .filter(|_| self.options.discard_type_doc),
        };
        self.convert(field.schema, false, from, None)
    }

    fn union(
        &mut self,
        id: TypeId,
        branches: &[TypeId],
        optional: bool,
        from: FromField<'_>,
        version: Option<i32>,
    ) -> Result<Schema, Fault> {
        let avro = self.avro;
        if let [only] = branches
            && self.options.flatten_singletons
        {
            return self.convert_inside(*only, false, from.doc);
        }
        if let Some(member) = nullable_member(avro, branches) {
            return self.convert_inside(member, true, from.doc);
        }
        let mut builder = SchemaBuilder::structure();
        let name: Arc<str> = if self.options.generalized {
            let name = format!("{GENERAL_UNION_NAME}{}", self.unions);
            *self.unions += 1;
            builder = builder.parameter(GENERAL_UNION, &*name);
            name.into()
        } else {
            AVRO_UNION.into()
        };
        builder = builder.name(name);
        let mut names: Vec<String> = Vec::with_capacity(branches.len());
        let mut nullable = optional;
        for (at, branch) in branches.iter().enumerate() {
            let kind = &avro.get(*branch).kind;
            if matches!(kind, Kind::Null) {
                nullable = true;
                continue;
            }
            let name = member_name(kind, at, self.options);
            if names.contains(&name) {
                return Err(Fault::data(
                    "Multiple union schemas map to the Connect union field name",
                ));
            }
            let schema = self.convert_inside(*branch, true, None)?;
            builder = builder.field(&*name, schema);
            names.push(name);
        }
        self.finish(id, builder, Preset::default(), nullable, &from, version)
    }

    /// Everything that is the same for all types: attributes, default, optional.
    fn finish(
        &mut self,
        id: TypeId,
        builder: SchemaBuilder,
        preset: Preset,
        optional: bool,
        from: &FromField<'_>,
        version: Option<i32>,
    ) -> Result<Schema, Fault> {
        let of = self.avro.get(id);
        let builder = annotate(of, builder, preset, from, version, self.options)?;
        let builder = builder.optional(optional);
        let own_default = of.properties.get(CONNECT_DEFAULT_VALUE);
        if from.default.is_none() && own_default.is_none() {
            return builder.build().map_err(build_fault);
        }
        let schema = builder.clone().build().map_err(build_fault)?;
        let value = match (&from.default, own_default) {
            (Some(object), _) => from_object(&schema, Some(object), self.options),
            (None, Some(json)) => from_json(self.avro, id, &schema, json, self.options, 0),
            (None, None) => return Ok(schema),
        };
        match value {
            Ok(value) if value.is_null() => Ok(schema),
            Ok(value) if is_valid(&schema, &value) => {
                builder.default(Some(value)).build().map_err(build_fault)
            }
            refused => {
                let name = crate::avro_types::full_name(&of.kind);
                let reason = refused.err().map(|e| e.message).unwrap_or_default();
                tracing::warn!(schema = name, %reason, "default left out: it does not fit the schema");
                Ok(schema)
            }
        }
    }
}

fn bytes(of: &Type, decimal: bool) -> Result<(SchemaBuilder, Preset), Fault> {
    let mut builder = SchemaBuilder::new(ConnectKind::Bytes);
    let mut preset = Preset::default();
    if decimal {
        let number = |json: &Json| match json {
            Json::Number(number) => {
                Some(number.as_i64().map_or(number.as_f64() as i32, |v| v as i32))
            }
            _ => None,
        };
        let scale = of.properties.get(SCALE).and_then(number).unwrap_or(0);
        builder = builder.parameter(logical::SCALE, scale.to_string());
        preset = Preset {
            name: Some(logical::DECIMAL),
            version: Some(1),
        };
        if let Some(precision) = of.properties.get(PRECISION) {
            let precision = number(precision).ok_or_else(|| {
                Fault::data(
                    "precision property must be a JSON Integer. https://avro.apache.org/docs/1.9.1/spec.html#Decimal",
                )
            })?;
            if precision != DEFAULT_PRECISION {
                builder = builder.parameter(DECIMAL_PRECISION, precision.to_string());
            }
        }
    }
    if let Kind::Fixed(fixed) = &of.kind {
        builder = builder.parameter(FIXED_SIZE, fixed.size.to_string());
    }
    Ok((builder, preset))
}

fn build_fault(error: SchemaError) -> Fault {
    Fault::data(error.to_string())
}
