//! A Connect schema as a `.proto` file.

use std::collections::HashSet;

use millrace_api::data::{Kind, Schema};
use registry_protobuf::ast::{
    Enum, EnumConstant, Field, Label, Message, Oneof, ProtoFile, Syntax, TypeElement,
};
use registry_protobuf::{Meta, known_file, map_entry_name};

use crate::config::Options;
use crate::fault::{Fault, MAX_DEPTH, NULL_POINTER, NUMBER_FORMAT};
use crate::names::{DefaultNames, scrub, split};
use crate::terms::{
    CONNECT_TYPE, DATE, DATE_TYPE, DECIMAL, DECIMAL_TYPE, ENUM, GENERAL_ENUM, GENERAL_UNION,
    PRECISION, SCALE, TAG, TIME, TIME_TYPE, TIMESTAMP, TIMESTAMP_TYPE, TYPE, UNION, UNION_PREFIX,
    VARIANT, VARIANT_TYPE, WRAPPERS, file_of,
};
use crate::validate::validate;

/// A file and the message in it that the root is.
#[derive(Debug)]
pub(crate) struct Translation {
    pub(crate) file: ProtoFile,
    /// Full name.
    pub(crate) message: String,
    /// Whether the message wraps a scalar.
    pub(crate) is_wrapper: bool,
}

/// Translates.
///
/// # Errors
/// A root that is a list or a map, names that Protobuf does not have, numbers used twice, and the like.
pub(crate) fn to_protobuf(schema: &Schema, options: Options) -> Result<Translation, Fault> {
    let wrapper = match schema.kind() {
        Kind::Int8 | Kind::Int16 | Kind::Int32 => "google.protobuf.Int32Value",
        Kind::Int64 => "google.protobuf.Int64Value",
        Kind::Float32 => "google.protobuf.FloatValue",
        Kind::Float64 => "google.protobuf.DoubleValue",
        Kind::Boolean => "google.protobuf.BoolValue",
        Kind::String => "google.protobuf.StringValue",
        Kind::Bytes => "google.protobuf.BytesValue",
        Kind::Struct => return structure(schema, options),
        Kind::Array | Kind::Map => {
            return Err(Fault::illegal(format!(
                "Unsupported root schema of type {}: Protobuf has messages only, so wrap it in a struct",
                schema.kind().name()
            )));
        }
    };
    Ok(Translation {
        file: known_file(WRAPPERS).cloned().unwrap_or_default(),
        message: wrapper.to_owned(),
        is_wrapper: true,
    })
}

fn structure(schema: &Schema, options: Options) -> Result<Translation, Fault> {
    let mut translator = Translator {
        options,
        names: DefaultNames::default(),
        imports: Vec::new(),
        enclosing: Vec::new(),
    };
    let (package, name) = split(&translator.names.or_default(schema.name()), options.scrub);
    if package.as_deref() == Some("") {
        return Err(Fault::illegal(format!(
            "Invalid message name: {} begins with a dot",
            schema.name().unwrap_or_default()
        )));
    }
    let message = translator.message(&name, schema)?;
    let file = ProtoFile {
        syntax: Some(Syntax::Proto3),
        imports: translator.imports.into_iter().map(str::to_owned).collect(),
        types: vec![TypeElement::Message(message)],
        package,
        ..ProtoFile::default()
    };
    validate(&file)?;
    let message = match &file.package {
        Some(package) => format!("{package}.{name}"),
        None => name,
    };
    Ok(Translation {
        file,
        message,
        is_wrapper: false,
    })
}

struct Translator {
    options: Options,
    names: DefaultNames,
    /// In the order in which they were first needed.
    imports: Vec<&'static str>,
    /// The structs around, from the outermost: their names in Connect and in Protobuf.
    enclosing: Vec<(Option<String>, String)>,
}

/// A message that is being filled.
struct Filling {
    message: Message,
    /// Names of the structs that were declared in it.
    declared: HashSet<String>,
}

impl Filling {
    fn new(name: &str) -> Self {
        Self {
            message: Message::new(name),
            declared: HashSet::new(),
        }
    }
}

impl Translator {
    fn message(&mut self, name: &str, schema: &Schema) -> Result<Message, Fault> {
        if self.enclosing.len() >= MAX_DEPTH {
            return Err(Fault::too_deep("schema"));
        }
        self.enclosing
            .push((schema.name().map(str::to_owned), name.to_owned()));
        let mut filling = Filling::new(name);
        let mut next = 1;
        for field in schema.fields() {
            let tag = match tag_of(&field.schema)? {
                Some(tag) => tag,
                None => {
                    next += 1;
                    next - 1
                }
            };
            let name = scrub(&field.name, self.options.scrub);
            if let Some(field) = self.field(&mut filling, &field.schema, &name, tag)? {
                filling.message.fields.push(field);
            }
        }
        self.enclosing.pop();
        // A oneof without members does not get into a text.
        filling
            .message
            .oneofs
            .retain(|oneof| !oneof.fields.is_empty());
        Ok(filling.message)
    }

    /// The field, after declaring in `message` what it needs; `None` for a oneof, which is declared whole.
    fn field(
        &mut self,
        filling: &mut Filling,
        schema: &Schema,
        name: &str,
        tag: i32,
    ) -> Result<Option<Field>, Fault> {
        let label = match schema.kind() {
            Kind::Array | Kind::Map => Some(Label::Repeated),
            _ if self.options.optional_for_nullables && schema.optional() => Some(Label::Optional),
            _ => None,
        };
        let schema = match schema.kind() {
            Kind::Array => schema
                .value_schema()
                .ok_or_else(|| Fault::new(NULL_POINTER, "an array has no element schema"))?,
            _ => schema,
        };
        let mut params = Vec::new();
        let type_name = self.type_name(schema, name, &mut params)?;
        let is_enum =
            || schema.parameter(GENERAL_ENUM).is_some() || schema.parameter(ENUM).is_some();
        match schema.kind() {
            Kind::Struct if is_union(schema) => {
                self.oneof(filling, schema)?;
                return Ok(None);
            }
            // The original declares a message of that name instead of importing it, and fails.
            Kind::Struct if type_name == VARIANT_TYPE => self.import(&type_name),
            Kind::Struct => {
                if !schema.is_back_reference()
                    && filling.message.name != type_name
                    && filling.declared.insert(type_name.clone())
                {
                    let nested = self.message(&type_name, schema)?;
                    filling.message.types.push(TypeElement::Message(nested));
                }
            }
            Kind::Map => {
                let entry = self.entry(&type_name, schema)?;
                filling.message.types.push(TypeElement::Message(entry));
            }
            _ if is_enum() => {
                let name = self.names.unqualified(schema.name(), self.options.scrub);
                let known = filling.message.types.iter().any(
                    |element| matches!(element, TypeElement::Enum(known) if known.name == name),
                );
                if !known {
                    let declared = self.declared_enum(schema)?;
                    filling.message.types.push(TypeElement::Enum(declared));
                }
            }
            _ => match file_of(&type_name) {
                Some(_) => self.import(&type_name),
                None if schema.default().is_some() && label == Some(Label::Repeated) => {
                    return Err(Fault::illegal(format!(
                        "Invalid protobuf schema definition: {name}: Repeated fields cannot have default values."
                    )));
                }
                None => {}
            },
        }
        let mut field = Field::new(type_name, name, tag);
        field.label = label;
        if !params.is_empty() {
            // Java collects them in a hash map.
            let params = java_idioms::hash_order(params, |(key, _): &(&str, String)| key);
            let meta = Meta {
                params: params
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
                ..Meta::default()
            };
            field.options.extend(meta.to_option("confluent.field_meta"));
        }
        Ok(Some(field))
    }

    fn import(&mut self, type_name: &str) {
        if let Some(path) = file_of(type_name)
            && !self.imports.contains(&path)
        {
            self.imports.push(path);
        }
    }

    fn type_name(
        &mut self,
        schema: &Schema,
        field_name: &str,
        params: &mut Vec<(&'static str, String)>,
    ) -> Result<String, Fault> {
        match schema.name() {
            Some(DECIMAL) => {
                for (parameter, key) in [(PRECISION, "precision"), (SCALE, "scale")] {
                    if let Some(value) = schema.parameter(parameter) {
                        params.push((key, value.to_owned()));
                    }
                }
                return Ok(DECIMAL_TYPE.to_owned());
            }
            Some(DATE) => return Ok(DATE_TYPE.to_owned()),
            Some(TIME) => return Ok(TIME_TYPE.to_owned()),
            Some(TIMESTAMP) => return Ok(TIMESTAMP_TYPE.to_owned()),
            Some(VARIANT) => return Ok(VARIANT_TYPE.to_owned()),
            _ => {}
        }
        let wrap = self.options.wrapper_for_nullables && schema.optional();
        let or_wrapper = |wrapper: &str, plain: &str| {
            if wrap {
                format!("google.protobuf.{wrapper}")
            } else {
                plain.to_owned()
            }
        };
        Ok(match schema.kind() {
            Kind::Int8 => {
                params.push((CONNECT_TYPE, "int8".to_owned()));
                or_wrapper("Int32Value", "int32")
            }
            Kind::Int16 => {
                params.push((CONNECT_TYPE, "int16".to_owned()));
                or_wrapper("Int32Value", "int32")
            }
            Kind::Int32 => match schema.parameter(ENUM) {
                Some(name) => name.to_owned(),
                None => or_wrapper("Int32Value", schema.parameter(TYPE).unwrap_or("int32")),
            },
            Kind::Int64 => {
                let plain = schema.parameter(TYPE).unwrap_or("int64");
                let wrapper = match plain {
                    "uint32" | "fixed32" => "UInt32Value",
                    "uint64" | "fixed64" => "UInt64Value",
                    _ => "Int64Value",
                };
                or_wrapper(wrapper, plain)
            }
            Kind::Float32 => or_wrapper("FloatValue", "float"),
            Kind::Float64 => or_wrapper("DoubleValue", "double"),
            Kind::Boolean => or_wrapper("BoolValue", "bool"),
            Kind::String => match schema
                .parameter(GENERAL_ENUM)
                .or_else(|| schema.parameter(ENUM))
            {
                Some(name) => name.to_owned(),
                None => or_wrapper("StringValue", "string"),
            },
            Kind::Bytes => or_wrapper("BytesValue", "bytes"),
            Kind::Array => return Err(Fault::illegal("Array cannot be nested")),
            Kind::Map => map_entry_name(&self.names.unqualified(schema.name(), self.options.scrub)),
            Kind::Struct if schema.is_back_reference() => self
                .enclosing
                .iter()
                .rev()
                .find(|(name, _)| name.as_deref() == schema.name())
                .map(|(_, message)| message.clone())
                .ok_or_else(|| {
                    Fault::data(format!(
                        "the schema refers to a struct {} around it, and there is none",
                        schema.name().unwrap_or_default()
                    ))
                })?,
            Kind::Struct => {
                let name = self.names.unqualified(schema.name(), self.options.scrub);
                if name == field_name {
                    // A field and a message in one scope cannot share a name.
                    format!("{name}Message")
                } else {
                    name
                }
            }
        })
    }

    fn oneof(&mut self, filling: &mut Filling, schema: &Schema) -> Result<(), Fault> {
        if self.enclosing.len() >= MAX_DEPTH {
            return Err(Fault::too_deep("schema"));
        }
        let name = if self.options.generalized {
            schema.parameter(GENERAL_UNION).map(str::to_owned)
        } else {
            // The name is what stands behind the prefix; a shorter one has nothing there.
            let name = schema
                .name()
                .and_then(|name| name.get(UNION_PREFIX.len()..));
            name.map(|name| self.names.unqualified(Some(name), self.options.scrub))
        };
        let Some(name) = name else {
            return Err(Fault::new(
                NULL_POINTER,
                format!(
                    "a union needs the name {UNION_PREFIX}<oneof>, or the parameter {GENERAL_UNION} with generalized.sum.type.support"
                ),
            ));
        };
        let place = filling.message.oneofs.len();
        filling.message.oneofs.push(Oneof {
            name,
            ..Oneof::default()
        });
        self.enclosing.push((None, String::new()));
        for field in schema.fields() {
            let tag = tag_of(&field.schema)?.unwrap_or(0);
            let name = scrub(&field.name, self.options.scrub);
            if let Some(mut member) = self.field(filling, &field.schema, &name, tag)? {
                if member.label == Some(Label::Repeated) {
                    return Err(Fault::illegal(format!(
                        "Invalid protobuf schema definition: {name}: a member of a oneof cannot be repeated"
                    )));
                }
                member.label = None;
                filling.message.oneofs[place].fields.push(member);
            }
        }
        self.enclosing.pop();
        Ok(())
    }

    fn entry(&mut self, name: &str, schema: &Schema) -> Result<Message, Fault> {
        if self.enclosing.len() >= MAX_DEPTH {
            return Err(Fault::too_deep("schema"));
        }
        self.enclosing.push((None, name.to_owned()));
        let mut filling = Filling::new(name);
        for (name, schema, tag) in [
            ("key", schema.key_schema(), 1),
            ("value", schema.value_schema(), 2),
        ] {
            let missing = || Fault::new(NULL_POINTER, format!("a map has no {name} schema"));
            let schema = schema.ok_or_else(missing)?;
            let mut field = self
                .field(&mut filling, schema, name, tag)?
                .ok_or_else(|| {
                    Fault::new(
                        NULL_POINTER,
                        format!("the {name} of a map cannot be a union"),
                    )
                })?;
            // The original leaves `optional` out of entries.
            if field.label == Some(Label::Optional) {
                field.label = None;
            }
            filling.message.fields.push(field);
        }
        self.enclosing.pop();
        Ok(filling.message)
    }

    fn declared_enum(&mut self, schema: &Schema) -> Result<Enum, Fault> {
        let prefix = format!("{}.", self.options.enum_parameter());
        let mut declared = Enum {
            name: self.names.unqualified(schema.name(), self.options.scrub),
            ..Enum::default()
        };
        for (key, value) in schema.parameters() {
            if let Some(symbol) = key.strip_prefix(prefix.as_str()) {
                declared.constants.push(EnumConstant {
                    name: symbol.to_owned(),
                    tag: parse_int(value)?,
                    options: Vec::new(),
                });
            }
        }
        Ok(declared)
    }
}

/// Whether a struct stands for a oneof.
pub(crate) fn is_union(schema: &Schema) -> bool {
    schema.name().is_some_and(|name| name.starts_with(UNION))
        || schema.parameter(GENERAL_UNION).is_some()
}

fn tag_of(schema: &Schema) -> Result<Option<i32>, Fault> {
    schema.parameter(TAG).map(parse_int).transpose()
}

pub(crate) fn parse_int(text: &str) -> Result<i32, Fault> {
    text.parse()
        .map_err(|_| Fault::new(NUMBER_FORMAT, format!("For input string: \"{text}\"")))
}
