//! The Connect schema of a JSON schema.
//!
//! A struct that is referred to several times is one object in the original: what later mentions add to it shows in all of them. So the parts are collected first, and
//! schemas are built of them at the end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;
use java_idioms::{Json, hash_order};
use millrace_api::data::{Kind, Schema, Value, logical};
use registry_json_schema::{Criterion, NodeKind, NodeRef, SchemaTree};

use crate::config::Options;
use crate::connect_parts::{Part, PartId, connect_schema};
use crate::fault::{Fault, ILLEGAL_ARGUMENT, MAX_SCHEMA_DEPTH, MAX_SCHEMA_PARTS, SCHEMA_BUILDER};
use crate::read::read_default;
use crate::terms::{
    CONNECT_INDEX, CONNECT_PARAMETERS, CONNECT_TYPE, CONNECT_VERSION, GENERAL_ENUM, GENERAL_UNION,
    GENERAL_UNION_FIELD, GENERAL_UNION_NAME, ID, JSON_ENUM, JSON_ONE_OF, KEY, NULL_SYMBOL, VALUE,
    VARIANT, VARIANT_METADATA,
};

/// The schema of data under `tree`. `version`: the registry's, where the schema has none of its own.
pub(crate) fn to_connect(
    tree: &SchemaTree,
    version: Option<i32>,
    options: Options,
) -> Result<Schema, Fault> {
    let mut translator = Translator {
        options,
        parts: Vec::new(),
        referred: HashMap::new(),
        ids: 0,
        unions: 0,
        depth: 0,
    };
    let root = translator.schema(tree.root(), false, version, false)?;
    connect_schema(&translator.parts, root)
}

struct Translator {
    options: Options,
    parts: Vec<Part>,
    /// Structs by the subschema that a reference led to.
    referred: HashMap<u32, PartId>,
    ids: u32,
    unions: u32,
    depth: usize,
}

fn unsupported(class: &str) -> Fault {
    Fault::data(format!(
        "Unsupported schema type org.everit.json.schema.{class}"
    ))
}

fn not_a(member: &str, expected: &str) -> Fault {
    Fault::new(
        "java.lang.ClassCastException",
        format!("`{member}` must be {expected}"),
    )
}

fn text<'t>(node: NodeRef<'t>, member: &str) -> Result<Option<&'t str>, Fault> {
    match node.member(member) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(not_a(member, "a string")),
    }
}

fn number(node: NodeRef<'_>, member: &str) -> Result<Option<i32>, Fault> {
    match node.member(member) {
        None => Ok(None),
        Some(value) => match value.as_i64().and_then(|n| i32::try_from(n).ok()) {
            Some(value) => Ok(Some(value)),
            None => Err(not_a(member, "an integer")),
        },
    }
}

impl Translator {
    fn push(&mut self, part: Part) -> Result<PartId, Fault> {
        if self.parts.len() >= MAX_SCHEMA_PARTS {
            return Err(Fault::schema_too_large());
        }
        self.parts.push(part);
        Ok(self.parts.len() - 1)
    }

    /// `referred`: whether a reference led here.
    fn schema(
        &mut self,
        node: NodeRef<'_>,
        referred: bool,
        version: Option<i32>,
        optional: bool,
    ) -> Result<PartId, Fault> {
        if self.depth >= MAX_SCHEMA_DEPTH {
            return Err(Fault::schema_too_deep());
        }
        self.depth += 1;
        let part = self.translated(node, referred, version, optional);
        self.depth -= 1;
        part
    }

    fn child(&mut self, node: Option<NodeRef<'_>>, missing: &'static str) -> Result<PartId, Fault> {
        match node {
            Some(node) => self.schema(node, false, None, false),
            None => Err(Fault::new(SCHEMA_BUILDER, missing)),
        }
    }

    fn translated(
        &mut self,
        node: NodeRef<'_>,
        referred: bool,
        version: Option<i32>,
        optional: bool,
    ) -> Result<PartId, Fault> {
        let part = match node.kind() {
            NodeKind::Boolean => self.push(Part::new(Kind::Boolean))?,
            NodeKind::Number { integer } => {
                let kind = match text(node, CONNECT_TYPE)? {
                    None if integer => Kind::Int64,
                    None | Some("float64") => Kind::Float64,
                    Some("int8") => Kind::Int8,
                    Some("int16") => Kind::Int16,
                    Some("int32") => Kind::Int32,
                    Some("int64") => Kind::Int64,
                    Some("float32") => Kind::Float32,
                    Some("bytes") => Kind::Bytes,
                    Some(other) => {
                        return Err(Fault::new(
                            ILLEGAL_ARGUMENT,
                            format!("Unsupported type {other}"),
                        ));
                    }
                };
                self.push(Part::new(kind))?
            }
            NodeKind::String => {
                let bytes = text(node, CONNECT_TYPE)? == Some("bytes");
                self.push(Part::new(if bytes { Kind::Bytes } else { Kind::String }))?
            }
            NodeKind::Const(value) => self.enumeration(std::slice::from_ref(value))?,
            NodeKind::Enum(values) => self.enumeration(values)?,
            NodeKind::Combined(criterion, members) => {
                if let [only] = members[..]
                    && self.options.flatten_singletons
                {
                    return self.schema(only, false, None, false);
                }
                if criterion == Criterion::All {
                    return self.all_of(node, &members, referred, version, optional);
                }
                let name = if self.options.generalized {
                    self.unions += 1;
                    format!("{GENERAL_UNION_NAME}{}", self.unions - 1)
                } else {
                    JSON_ONE_OF.to_owned()
                };
                let is_null = |member: &NodeRef<'_>| matches!(member.kind(), NodeKind::Null);
                if members.len() == 2 && members.iter().any(is_null) {
                    let other = members.iter().rfind(|member| !is_null(member));
                    let Some(other) = other else {
                        return Err(unsupported("NullSchema"));
                    };
                    return self.schema(*other, false, version, true);
                }
                self.union(&name, &members)?
            }
            NodeKind::Array { items } => {
                let Some(items) = items else {
                    return Err(Fault::data("Array schema did not specify the items type"));
                };
                let entry = match items.kind() {
                    NodeKind::Object { properties, .. }
                        if text(node, CONNECT_TYPE)? == Some("map") =>
                    {
                        Some(properties)
                    }
                    _ => None,
                };
                match entry {
                    Some(properties) => {
                        let find = |name: &str| {
                            properties.iter().find(|(n, _)| *n == name).map(|(_, p)| *p)
                        };
                        let key = self.child(find(KEY), "keySchema cannot be null.")?;
                        let value = self.child(find(VALUE), "valueSchema cannot be null.")?;
                        self.map(key, value)?
                    }
                    None => {
                        let value = self.schema(items, false, None, false)?;
                        let mut part = Part::new(Kind::Array);
                        part.value = Some(value);
                        self.push(part)?
                    }
                }
            }
            NodeKind::Any => self.variant()?,
            NodeKind::Object { additional, .. } if text(node, CONNECT_TYPE)? == Some("map") => {
                let value = self.child(additional, "valueSchema cannot be null.")?;
                let key = self.push(Part::new(Kind::String))?;
                self.map(key, value)?
            }
            NodeKind::Object { properties, .. } => self.object(node, properties, referred)?,
            NodeKind::Reference(target) => return self.reference(target, version, optional),
            NodeKind::Null => return Err(unsupported("NullSchema")),
            NodeKind::Never => return Err(unsupported("FalseSchema")),
            NodeKind::Not => return Err(unsupported("NotSchema")),
            NodeKind::Conditional => return Err(unsupported("ConditionalSchema")),
        };
        self.attributes(part, node, version, optional)?;
        Ok(part)
    }

    fn attributes(
        &mut self,
        id: PartId,
        node: NodeRef<'_>,
        version: Option<i32>,
        optional: bool,
    ) -> Result<(), Fault> {
        let title = text(node, "title")?;
        let connect_version = number(node, CONNECT_VERSION)?;
        let doc = text(node, "description")?;
        let part = &mut self.parts[id];
        if part.name.is_none() {
            part.name = title.map(Into::into);
        }
        part.version = connect_version.or(version);
        part.doc = doc.map(Into::into);
        match node.member(CONNECT_PARAMETERS) {
            None => {}
            Some(Json::Object(parameters)) => {
                // A map of Java's by the time it gets there.
                for (name, value) in hash_order(parameters, |(name, _)| name) {
                    match value {
                        Json::String(value) => part.set_parameter(name, value),
                        other => part.set_parameter(name, &other.to_text()),
                    }
                }
            }
            Some(_) => return Err(not_a(CONNECT_PARAMETERS, "an object of strings")),
        }
        if let Some(default) = node.member("default") {
            let none = default.is_null() && part.optional;
            if part.kind == Kind::Struct && !none {
                return Err(Fault::data("a default that is an object cannot be read"));
            }
            let schema = connect_schema(&self.parts, id)?;
            let default = read_default(&schema, default)?;
            check_default(&schema, &default)?;
            self.parts[id].default = (!default.is_null()).then_some(default);
        }
        let part = &mut self.parts[id];
        part.optional |= optional;
        part.finished = Some(part.parameters.len());
        Ok(())
    }

    fn map(&mut self, key: PartId, value: PartId) -> Result<PartId, Fault> {
        let mut part = Part::new(Kind::Map);
        part.key = Some(key);
        part.value = Some(value);
        self.push(part)
    }

    fn variant(&mut self) -> Result<PartId, Fault> {
        let mut part = Part::new(Kind::Struct);
        part.name = Some(VARIANT.into());
        for field in [VARIANT_METADATA, VALUE] {
            let bytes = self.push(Part::new(Kind::Bytes))?;
            part.fields.push((field.into(), bytes));
        }
        self.push(part)
    }

    fn enumeration(&mut self, values: &[Json]) -> Result<PartId, Fault> {
        let mut part = Part::new(Kind::String);
        let name = if self.options.generalized {
            GENERAL_ENUM
        } else {
            JSON_ENUM
        };
        part.set_parameter(name, "");
        for (index, value) in values.iter().enumerate() {
            let symbol = match value {
                Json::Null => NULL_SYMBOL.to_owned(),
                other => java_text(other),
            };
            let named = format!("{name}.{symbol}");
            if self.options.generalized {
                part.set_parameter(&named, &index.to_string());
            } else {
                part.set_parameter(&named, &symbol);
            }
        }
        self.push(part)
    }

    fn union(&mut self, name: &str, members: &[NodeRef<'_>]) -> Result<PartId, Fault> {
        let mut part = Part::new(Kind::Struct);
        part.name = Some(name.into());
        if self.options.generalized {
            part.set_parameter(GENERAL_UNION, name);
        }
        let prefix = if self.options.generalized {
            GENERAL_UNION_FIELD.to_owned()
        } else {
            format!("{name}.field.")
        };
        for member in members {
            if matches!(member.kind(), NodeKind::Null) {
                part.optional = true;
                continue;
            }
            let field: Arc<str> = format!("{prefix}{}", part.fields.len()).into();
            part.fields
                .push((field, self.schema(*member, false, None, true)?));
        }
        self.push(part)
    }

    fn object(
        &mut self,
        node: NodeRef<'_>,
        properties: Vec<(&str, NodeRef<'_>)>,
        referred: bool,
    ) -> Result<PartId, Fault> {
        let mut part = Part::new(Kind::Struct);
        part.source = Some(node.id());
        let id = self.push(part)?;
        if referred {
            self.referred.insert(node.id(), id);
        }
        // By index; of two with the same the later one stays.
        let mut ordered = BTreeMap::new();
        for (name, property) in properties {
            let index = match number(property, CONNECT_INDEX)? {
                Some(index) => index,
                None => ordered.len() as i32,
            };
            ordered.insert(index, (name, property));
        }
        for (name, property) in ordered.into_values() {
            let optional = self.options.optional_for_nonrequired && !node.requires(name);
            let field = self.schema(property, false, None, optional)?;
            self.parts[id].fields.push((name.into(), field));
        }
        Ok(id)
    }

    fn reference(
        &mut self,
        target: NodeRef<'_>,
        version: Option<i32>,
        optional: bool,
    ) -> Result<PartId, Fault> {
        let Some(known) = self.referred.get(&target.id()).copied() else {
            return self.schema(target, true, version, optional);
        };
        self.ids += 1;
        let value = format!("#id{}", self.ids);
        self.parts[known].set_parameter(ID, &value);
        let mut mention = Part::new(Kind::Struct);
        mention.mention = Some(known);
        mention.optional = optional;
        self.push(mention)
    }

    /// The properties of all of them together, or the one that says most.
    fn all_of(
        &mut self,
        node: NodeRef<'_>,
        members: &[NodeRef<'_>],
        referred: bool,
        version: Option<i32>,
        optional: bool,
    ) -> Result<PartId, Fault> {
        let mut properties = IndexMap::new();
        let (mut constant, mut enumeration, mut number, mut string, mut combined, mut reference) =
            (None, None, None, None, None, None);
        for member in members {
            match member.kind() {
                NodeKind::Const(_) => constant = Some(*member),
                NodeKind::Enum(_) => enumeration = Some(*member),
                NodeKind::Number { .. } => number = Some(*member),
                NodeKind::String => string = Some(*member),
                NodeKind::Combined(..) => combined = Some(*member),
                NodeKind::Reference(target) => reference = Some(target),
                _ => {}
            }
            collect(*member, &mut properties);
        }
        if !properties.is_empty() {
            let mut part = Part::new(Kind::Struct);
            part.source = Some(node.id());
            let id = self.push(part)?;
            if referred {
                self.referred.insert(node.id(), id);
            }
            for (name, (property, required)) in properties {
                let optional = self.options.optional_for_nonrequired && !required;
                let field = self.schema(property, false, None, optional)?;
                self.parts[id].fields.push((name.into(), field));
            }
            let part = &mut self.parts[id];
            part.optional = optional;
            part.finished = Some(part.parameters.len());
            return Ok(id);
        }
        let chosen = if combined.is_some() {
            combined
        } else if constant.is_some() {
            string.or(number)
        } else if enumeration.is_some() {
            match (string, number) {
                (Some(_), _) => enumeration,
                (None, number) => number,
            }
        } else if string.is_some() {
            number.or(string)
        } else if let Some(target) = reference {
            return self.reference(target, version, optional);
        } else {
            None
        };
        match chosen {
            Some(chosen) => self.schema(chosen, false, version, optional),
            None => Err(Fault::new(
                ILLEGAL_ARGUMENT,
                "Unsupported criterion allOf: none of its schemas is an object, a string or a union",
            )),
        }
    }
}

/// Properties by name, with whether they are required; later ones replace earlier ones.
fn collect<'t>(node: NodeRef<'t>, properties: &mut IndexMap<&'t str, (NodeRef<'t>, bool)>) {
    let mut seen = HashSet::new();
    let mut stack = vec![node];
    while let Some(node) = stack.pop() {
        if !seen.insert(node.id()) {
            continue;
        }
        match node.kind() {
            NodeKind::Combined(Criterion::All, members) => stack.extend(members.into_iter().rev()),
            NodeKind::Object {
                properties: own, ..
            } => {
                for (name, property) in own {
                    properties.insert(name, (property, node.requires(name)));
                }
            }
            NodeKind::Reference(target) => stack.push(target),
            _ => {}
        }
    }
}

/// Refuses a default that Connect's schema builder refuses: what was read, or a part of it, is nothing, or a number where bytes are expected.
fn check_default(schema: &Schema, default: &Value) -> Result<(), Fault> {
    let part = |of: Option<&Schema>, value: &Value| match of {
        Some(of) => check_default(of, value),
        None => Ok(()),
    };
    let why = match default {
        Value::Null if !schema.optional() => format!(
            "Invalid value: null used for required value, schema type: {}",
            schema.kind().name()
        ),
        Value::Decimal(_) if schema.name() != Some(logical::DECIMAL) => {
            "Invalid Java object for schema with type BYTES: class java.math.BigDecimal for value"
                .to_owned()
        }
        Value::Array(values) => {
            return values
                .iter()
                .try_for_each(|value| part(schema.value_schema(), value));
        }
        Value::Map(entries) => {
            return entries.iter().try_for_each(|(key, value)| {
                part(schema.key_schema(), key)?;
                part(schema.value_schema(), value)
            });
        }
        _ => return Ok(()),
    };
    Err(Fault::new(
        SCHEMA_BUILDER,
        format!("Invalid default value: {why}"),
    ))
}

/// A value as Java's `toString` prints it.
fn java_text(json: &Json) -> String {
    match json {
        Json::String(text) => text.to_string(),
        Json::Array(values) => {
            let values: Vec<String> = values.iter().map(java_text).collect();
            format!("[{}]", values.join(", "))
        }
        Json::Object(members) => {
            let members = hash_order(members, |(name, _)| name);
            let members: Vec<String> = members
                .into_iter()
                .map(|(name, value)| format!("{name}={}", java_text(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_text_styled(java_idioms::json::NumberStyle::Decimal),
    }
}
