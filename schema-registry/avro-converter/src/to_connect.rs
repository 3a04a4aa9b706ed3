//! Avro schemas as Connect schemas.

use std::collections::HashMap;
use std::sync::Arc;

use java_idioms::Json;
use millrace_api::data::{Kind as ConnectKind, Schema, SchemaBuilder, SchemaError, logical};
use registry_avro::{AvroSchema, Field, Kind, Record, Type, TypeId};

use crate::avro_types::{is_variant, map_entry, member_name, nullable_member, text, type_name};
use crate::config::Options;
use crate::fault::{Fault, MAX_SCHEMA_DEPTH, MAX_SCHEMA_TYPES, STACK_OVERFLOW};
use crate::java_object::{JavaObject, field_default};
use crate::terms::*;
use crate::to_connect_defaults::{from_json, from_object, is_valid};

/// What a field says about the schema of its values.
#[derive(Debug, Default)]
struct FromField<'f> {
    default: Option<JavaObject>,
    doc: Option<&'f str>,
}

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
    types: usize,
    depth: usize,
}

/// Name and version that a builder came with.
#[derive(Default, Clone, Copy)]
struct Preset {
    name: Option<&'static str>,
    version: Option<i32>,
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
        match &of.kind {
            Kind::Record(record) if !is_variant(avro, of, record) => {
                self.record(id, record, optional, from, version)
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
            return Ok(self.path[at]
                .mention
                .clone()
                .optional(optional)
                .build_valid());
        }
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
        let key = self.convert(key.schema, false, FromField::default(), None)?;
        let value = self.convert(value.schema, false, FromField::default(), None)?;
        self.context = context;
        Ok(SchemaBuilder::map(key, value))
    }

    fn record(
        &mut self,
        id: TypeId,
        record: &Record,
        optional: bool,
        from: FromField<'_>,
        version: Option<i32>,
    ) -> Result<Schema, Fault> {
        let reusable = from.default.is_none() && from.doc.is_none() && version.is_none();
        if reusable && let Some(known) = self.known.get(&(id, optional)) {
            return Ok(known.clone());
        }
        if self.path.iter().any(|e| e.id == id) {
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
        let mention = self.annotate(of, mention, Preset::default(), &from, version)?;
        let at = self.path.len();
        self.path.push(Enclosing { id, mention });
        let lowest_outside = std::mem::replace(&mut self.lowest_reference, usize::MAX);
        let mut builder = docs(SchemaBuilder::structure());
        for field in &record.fields {
            let schema = self.field(field)?;
            builder = builder.field(Arc::clone(&field.name), schema);
        }
        self.path.pop();
        let closed = self.lowest_reference >= at;
        self.lowest_reference = if closed {
            lowest_outside
        } else {
            lowest_outside.min(self.lowest_reference)
        };
        let schema = self.finish(id, builder, Preset::default(), optional, &from, version)?;
        if reusable && closed {
            self.known.insert((id, optional), schema.clone());
        }
        Ok(schema)
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
        let builder = self.annotate(of, builder, preset, from, version)?;
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

    /// Doc, version, parameters and name.
    fn annotate(
        &self,
        of: &Type,
        mut builder: SchemaBuilder,
        preset: Preset,
        from: &FromField<'_>,
        version: Option<i32>,
    ) -> Result<SchemaBuilder, Fault> {
        let options = self.options;
        let own_doc = match &of.kind {
            Kind::Record(of) => of.doc.as_ref(),
            Kind::Enum(of) => of.doc.as_ref(),
            Kind::Fixed(of) => of.doc.as_ref(),
            _ => None,
        };
        let connect_doc = text(of, CONNECT_DOC);
        if options.discard_type_doc {
            if let Some(doc) = from.doc.or(own_doc.map(|d| &**d)).or(connect_doc) {
                builder = builder.doc(doc);
            }
            if let Some(doc) = own_doc.filter(|_| options.meta_data) {
                builder = builder.parameter(CONNECT_RECORD_DOC, Arc::clone(doc));
            }
        } else if let Some(doc) = connect_doc.filter(|_| options.meta_data) {
            builder = builder.doc(doc);
        }
        if let Some(name) = preset.name {
            builder = builder.name(name);
        }
        builder = annotate_version(of, builder, preset, version)?;
        builder = self.annotate_parameters(of, builder)?;
        if from.default.is_some()
            && !options.discard_type_doc
            && options.meta_data
            && of.properties.get(CONNECT_DEFAULT_VALUE).is_none()
        {
            builder = builder.parameter(FIELD_DEFAULT, "true");
        }
        let name = match of.properties.get(CONNECT_NAME) {
            Some(Json::String(name)) => Some(name.to_string()),
            Some(other) => {
                return Err(Fault::data(format!(
                    "Invalid schema name: {}",
                    other.to_text()
                )));
            }
            None => match &of.kind {
                Kind::Record(of) => preset.name.is_none().then(|| of.name.full()),
                Kind::Enum(of) => Some(of.name.full()),
                Kind::Fixed(of) => preset.name.is_none().then(|| of.name.full()),
                _ => None,
            },
        };
        match (name, preset.name) {
            (Some(name), _) if name.starts_with(CONNECT_DEFAULT_FULL) => Ok(builder),
            (Some(name), Some(preset)) if name != preset => Err(Fault::data(format!(
                "Mismatched names: name already added to SchemaBuilder ({preset}) differs from name in source schema ({name})"
            ))),
            (Some(name), None) if matches!(of.kind, Kind::Union(_)) => {
                // A union has no properties, so this does not happen; its name stays.
                Ok(builder.name(name))
            }
            (Some(name), None) => Ok(builder.name(name)),
            _ => Ok(builder),
        }
    }

    fn annotate_parameters(
        &self,
        of: &Type,
        mut builder: SchemaBuilder,
    ) -> Result<SchemaBuilder, Fault> {
        if let Some(parameters) = of.properties.get(CONNECT_PARAMETERS)
            && self.options.meta_data
        {
            let Json::Object(members) = parameters else {
                return Err(Fault::data(format!(
                    "Expected JSON object for schema parameters but found: {}",
                    parameters.to_text()
                )));
            };
            for (key, value) in members {
                let Json::String(value) = value else {
                    return Err(Fault::data(format!(
                        "Expected schema parameter values to be strings but found: {}",
                        value.to_text()
                    )));
                };
                builder = builder.parameter(Arc::clone(key), Arc::clone(value));
            }
        }
        for (key, value) in &of.properties {
            if key.starts_with(AVRO_PREFIX) {
                let value = match value {
                    Json::String(text) => Arc::clone(text),
                    other => java_text(other).into(),
                };
                builder = builder.parameter(Arc::clone(key), value);
            }
        }
        Ok(builder)
    }
}

fn annotate_version(
    of: &Type,
    builder: SchemaBuilder,
    preset: Preset,
    version: Option<i32>,
) -> Result<SchemaBuilder, Fault> {
    let version = match of.properties.get(CONNECT_VERSION) {
        Some(Json::Number(number)) => Some(match number.as_i64() {
            Some(value) => value as i32,
            None => number.as_f64() as i32,
        }),
        Some(other) => {
            return Err(Fault::data(format!(
                "Invalid Connect version found: {}",
                java_text(other)
            )));
        }
        None => version,
    };
    match (version.filter(|v| *v >= 0), preset.version) {
        (Some(found), Some(own)) if found != own => Err(Fault::data(format!(
            "Mismatched versions: version already added to SchemaBuilder ({own}) differs from version in source schema ({found})"
        ))),
        (Some(version), _) | (None, Some(version)) => Ok(builder.version(version)),
        (None, None) => Ok(builder),
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

/// How Java prints the object that a property is.
fn java_text(json: &Json) -> String {
    match json {
        Json::String(text) => text.to_string(),
        Json::Array(values) => {
            let values: Vec<String> = values.iter().map(java_text).collect();
            format!("[{}]", values.join(", "))
        }
        Json::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{key}={}", java_text(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_text_styled(java_idioms::json::NumberStyle::Double),
    }
}

fn build_fault(error: SchemaError) -> Fault {
    Fault::data(error.to_string())
}
