//! The JSON schema of a Connect schema, as text: byte for byte what Confluent's converter registers, Java's order of members included.

use std::collections::HashSet;
use std::sync::Arc;

use java_idioms::json::{NumberStyle, ReadOptions};
use java_idioms::{Json, Number, Object, hash_order, hash_order_with_capacity};
use millrace_api::data::{Kind, Schema, logical};

use crate::config::Options;
use crate::fault::{DATA, Fault, MAX_SCHEMA_DEPTH, MAX_SCHEMA_PARTS, STACK_OVERFLOW};
use crate::terms::{
    CONNECT_INDEX, CONNECT_PARAMETERS, CONNECT_TYPE, CONNECT_VERSION, GENERAL_ENUM, ID, JSON_ENUM,
    KEY, NAMESPACE, NULL_SYMBOL, VALUE, is_enum, is_object_map, is_union, is_variant,
};
use crate::write::write;
use crate::write_plan::WritePlan;

/// A schema's text, and its title: the name by which record strategies call it.
pub(crate) fn schema_text(
    schema: &Schema,
    options: Options,
) -> Result<(String, Option<Arc<str>>), Fault> {
    let mut writer = Writer {
        options,
        ids: HashSet::new(),
        enclosing: Vec::new(),
        depth: 0,
        parts: 0,
    };
    let json = writer.schema(schema, None, false, schema.optional())?;
    let title = match json.get("title") {
        Some(Json::String(title)) => Some(Arc::clone(title)),
        _ => None,
    };
    Ok((json.to_text_styled(NumberStyle::Decimal), title))
}

struct Writer {
    options: Options,
    /// Ids of the schemas written so far.
    ids: HashSet<Arc<str>>,
    /// The structs around, outermost first.
    enclosing: Vec<Schema>,
    depth: usize,
    parts: usize,
}

/// A schema in the order in which its members are printed.
#[derive(Default)]
struct Printed {
    /// The type, or the values of an enum; and a closed content model.
    head: Object,
    connect_type: Option<&'static str>,
    /// Subschemas, and the type of a boolean.
    tail: Object,
    /// An alternative of several: carries no attributes.
    is_union: bool,
}

fn typed(name: &str) -> Object {
    Object::from_iter([("type".into(), name.into())])
}

impl Writer {
    /// `optional` replaces what the schema says itself.
    fn schema(
        &mut self,
        schema: &Schema,
        index: Option<usize>,
        ignore_optional: bool,
        optional: bool,
    ) -> Result<Json, Fault> {
        if self.depth >= MAX_SCHEMA_DEPTH {
            return Err(Fault::schema_too_deep());
        }
        self.parts += 1;
        if self.parts > MAX_SCHEMA_PARTS {
            return Err(Fault::schema_too_large());
        }
        self.depth += 1;
        let printed = self.printed(schema, index, ignore_optional, optional);
        self.depth -= 1;
        printed
    }

    fn printed(
        &mut self,
        schema: &Schema,
        index: Option<usize>,
        ignore_optional: bool,
        optional: bool,
    ) -> Result<Json, Fault> {
        let id = schema.parameter(ID);
        if let Some(id) = id {
            self.ids.insert(id.into());
        }
        let Printed {
            head,
            connect_type,
            tail,
            is_union,
        } = self.kind(schema, optional)?;
        let wrapped = !is_union && optional && !ignore_optional;
        let mut out = head;
        if !is_union {
            if let Some(name) = schema.name() {
                out.insert("title".into(), name.into());
            }
            if let Some(doc) = schema.doc() {
                out.insert("description".into(), doc.into());
            }
            if let Some(default) = self.default(schema)? {
                out.insert("default".into(), default);
            }
        }
        if !wrapped {
            mark(&mut out, id, index);
        }
        if !is_union && let Some(version) = schema.version() {
            out.insert(CONNECT_VERSION.into(), version.into());
        }
        if let Some(name) = connect_type {
            out.insert(CONNECT_TYPE.into(), name.into());
        }
        if !is_union && let Some(parameters) = parameters(schema) {
            out.insert(CONNECT_PARAMETERS.into(), parameters.into());
        }
        out.extend(tail);
        if !wrapped {
            return Ok(out.into());
        }
        let mut outer = Object::new();
        mark(&mut outer, id, index);
        outer.insert(
            "oneOf".into(),
            vec![typed("null").into(), out.into()].into(),
        );
        Ok(outer.into())
    }

    fn kind(&mut self, schema: &Schema, optional: bool) -> Result<Printed, Fault> {
        let number = |name: &str, connect_type| Printed {
            head: typed(name),
            connect_type: Some(connect_type),
            ..Printed::default()
        };
        let missing = || Fault::data("the schema of the elements is missing");
        Ok(match schema.kind() {
            Kind::Int8 => number("integer", "int8"),
            Kind::Int16 => number("integer", "int16"),
            Kind::Int32 => number("integer", "int32"),
            Kind::Int64 => number("integer", "int64"),
            Kind::Float32 => number("number", "float32"),
            Kind::Float64 => number("number", "float64"),
            Kind::Boolean => Printed {
                tail: typed("boolean"),
                ..Printed::default()
            },
            Kind::String if is_enum(schema) => Printed {
                head: Object::from_iter([("enum".into(), self.symbols(schema))]),
                ..Printed::default()
            },
            Kind::String => Printed {
                head: typed("string"),
                ..Printed::default()
            },
            Kind::Bytes
                if schema.name() == Some(logical::DECIMAL) && self.options.numeric_decimals =>
            {
                number("number", "bytes")
            }
            Kind::Bytes => number("string", "bytes"),
            Kind::Array => {
                let element = schema.value_schema().ok_or_else(missing)?;
                let items = self.or_reference(element, None)?;
                Printed {
                    head: typed("array"),
                    tail: Object::from_iter([("items".into(), items)]),
                    ..Printed::default()
                }
            }
            Kind::Map => {
                let value = schema.value_schema().ok_or_else(missing)?;
                if is_object_map(schema) {
                    let value = self.schema(value, None, false, value.optional())?;
                    Printed {
                        head: typed("object"),
                        connect_type: Some("map"),
                        tail: Object::from_iter([("additionalProperties".into(), value)]),
                        is_union: false,
                    }
                } else {
                    let key = schema.key_schema().ok_or_else(missing)?;
                    let mut entry = typed("object");
                    let properties = [
                        (
                            KEY.into(),
                            self.schema(key, Some(0), false, key.optional())?,
                        ),
                        (
                            VALUE.into(),
                            self.schema(value, Some(1), false, value.optional())?,
                        ),
                    ];
                    entry.insert("properties".into(), in_hash_order(properties).into());
                    Printed {
                        head: typed("array"),
                        connect_type: Some("map"),
                        tail: Object::from_iter([("items".into(), entry.into())]),
                        is_union: false,
                    }
                }
            }
            Kind::Struct if is_variant(schema) => Printed::default(),
            Kind::Struct if is_union(schema) => {
                let mut members: Vec<Json> = Vec::with_capacity(schema.fields().len() + 1);
                if optional {
                    members.push(typed("null").into());
                }
                for (index, field) in schema.fields().iter().enumerate() {
                    members.push(self.schema(&field.schema, Some(index), true, false)?);
                }
                one_of(members)
            }
            Kind::Struct if optional => {
                let inner = self.schema(schema, None, false, false)?;
                one_of(vec![typed("null").into(), inner])
            }
            Kind::Struct => self.object(schema)?,
        })
    }

    fn object(&mut self, schema: &Schema) -> Result<Printed, Fault> {
        let of = match schema.is_back_reference() {
            true => self.enclosing(schema)?,
            false => schema.clone(),
        };
        let mut head = typed("object");
        if !self.options.additional_properties {
            head.insert("additionalProperties".into(), false.into());
        }
        self.enclosing.push(of.clone());
        let properties = of
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let property = self.or_reference(&field.schema, Some(index))?;
                Ok((Arc::clone(&field.name), property))
            })
            .collect::<Result<Vec<_>, Fault>>()?;
        self.enclosing.pop();
        let mut tail = Object::new();
        if !properties.is_empty() {
            tail.insert("properties".into(), in_hash_order(properties).into());
        }
        Ok(Printed {
            head,
            tail,
            ..Printed::default()
        })
    }

    /// The struct that is meant by a mention of it inside itself. It is written out once more, under its id, so that the next mention can refer to that.
    fn enclosing(&self, schema: &Schema) -> Result<Schema, Fault> {
        let found = self
            .enclosing
            .iter()
            .rev()
            .find(|of| of.name() == schema.name());
        match found {
            Some(of) if schema.parameter(ID).is_some() => Ok(of.clone()),
            _ => Err(Fault::new(
                STACK_OVERFLOW,
                format!(
                    "{} contains itself, which JSON schemas of this converter cannot say unless it has the parameter {ID}",
                    schema.name().unwrap_or("a struct")
                ),
            )),
        }
    }

    /// A schema, or a mention of one that has been written under its id.
    fn or_reference(&mut self, schema: &Schema, index: Option<usize>) -> Result<Json, Fault> {
        match schema.parameter(ID) {
            Some(id) if self.ids.contains(id) => {
                Ok(Object::from_iter([("$ref".into(), id.into())]).into())
            }
            _ => self.schema(schema, index, false, schema.optional()),
        }
    }

    /// The symbols of an enum in the order of a Java hash set.
    fn symbols(&self, schema: &Schema) -> Json {
        let of = if self.options.generalized {
            GENERAL_ENUM
        } else {
            JSON_ENUM
        };
        let prefix = format!("{of}.");
        let mut seen = HashSet::new();
        let symbols = schema
            .parameters()
            .iter()
            .filter_map(|(name, _)| name.strip_prefix(&prefix))
            .filter(|symbol| seen.insert(*symbol));
        // Null, whose hash is 0, comes first among equals: so does the empty text.
        let ordered = hash_order(
            symbols,
            |symbol| if *symbol == NULL_SYMBOL { "" } else { symbol },
        );
        let values: Vec<Json> = ordered
            .into_iter()
            .map(|symbol| {
                if symbol == NULL_SYMBOL {
                    Json::Null
                } else {
                    symbol.into()
                }
            })
            .collect();
        values.into()
    }

    fn default(&self, schema: &Schema) -> Result<Option<Json>, Fault> {
        let Some(default) = schema.default() else {
            return Ok(None);
        };
        let plan = WritePlan::new(schema, self.options)?;
        let mut text = Vec::new();
        if !write(&plan, 0, default, &mut text)? {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&text);
        let json = Json::read(&text, ReadOptions::default()).map_err(|error| {
            Fault::new(DATA, format!("Invalid default value: {}", error.message))
        })?;
        Ok(Some(printed_default(json)))
    }
}

fn one_of(members: Vec<Json>) -> Printed {
    Printed {
        tail: Object::from_iter([("oneOf".into(), members.into())]),
        is_union: true,
        ..Printed::default()
    }
}

fn mark(out: &mut Object, id: Option<&str>, index: Option<usize>) {
    if let Some(id) = id {
        out.insert("id".into(), id.into());
    }
    if let Some(index) = index {
        out.insert(CONNECT_INDEX.into(), (index as i64).into());
    }
}

fn in_hash_order(entries: impl IntoIterator<Item = (Arc<str>, Json)>) -> Object {
    hash_order(entries, |(name, _)| name).into_iter().collect()
}

/// The parameters that are not the converter's own, in the order of the map that prints them: one made for their number, filled from a usual one.
fn parameters(schema: &Schema) -> Option<Object> {
    let own = schema
        .parameters()
        .iter()
        .filter(|(name, _)| !name.starts_with(NAMESPACE));
    let entries = hash_order(own, |(name, _)| name);
    if entries.is_empty() {
        return None;
    }
    let buckets = entries.len().next_power_of_two();
    let entries = hash_order_with_capacity(entries, buckets, |(name, _)| name);
    Some(
        entries
            .into_iter()
            .map(|(name, value)| (Arc::clone(name), Json::String(Arc::clone(value))))
            .collect(),
    )
}

/// A default as org.json prints it: trailing zeros of plain decimals dropped, objects in the order of a hash map.
fn printed_default(json: Json) -> Json {
    match json {
        Json::Number(number) => {
            let literal = number.literal();
            if !literal.contains('.') || literal.contains(['e', 'E']) {
                return Json::Number(number);
            }
            let shorter = literal.trim_end_matches('0').trim_end_matches('.');
            Json::Number(Number::parse(shorter).unwrap_or(number))
        }
        Json::Array(values) => Json::Array(values.into_iter().map(printed_default).collect()),
        Json::Object(members) => in_hash_order(
            members
                .into_iter()
                .map(|(name, value)| (name, printed_default(value))),
        )
        .into(),
        other => other,
    }
}
