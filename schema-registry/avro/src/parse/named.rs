//! Records with their fields, enums and fixed types.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexSet;
use java_idioms::{Json, Number, Object};

use super::members::{
    SCHEMA_RESERVED, alias_texts, floating_text, java_number, logical_type_first, no_field_type,
    printed, properties, record_fields, required, text,
};
use super::{Parsed, Parser, fail, shown, type_word};
use crate::Strictness;
use crate::names::{Validator, is_primitive};
use crate::schema::{Enum, Field, Fixed, Kind, Name, Order, Record, TypeId};

/// Names of fields that were seen; a few are compared one by one.
enum Seen<'a> {
    Few,
    Many(HashMap<&'a str, usize>),
}

impl<'a> Seen<'a> {
    fn new(fields: usize) -> Self {
        if fields <= 32 {
            Self::Few
        } else {
            Self::Many(HashMap::with_capacity(fields))
        }
    }

    /// The last field before the one at `at` that has its name.
    fn before(&mut self, fields: &'a [Field], at: usize) -> Option<usize> {
        let name = &*fields[at].name;
        match self {
            Self::Few => fields[..at].iter().rposition(|field| *field.name == *name),
            Self::Many(seen) => seen.insert(name, at),
        }
    }
}

/// Largest fixed type: what a Java array can hold.
const MOST_BYTES: i64 = i32::MAX as i64 - 8;

impl Parser {
    fn name(&self, json: &Json, namespace: Option<&Arc<str>>) -> Parsed<Name> {
        let own = match json.get("namespace") {
            Some(Json::String(own)) => Some(own),
            _ => namespace,
        };
        let text = required(json, "name", "No name in schema")?;
        let name = Name::within(text, own);
        self.check_name(&name.simple)?;
        Ok(name)
    }

    fn check_definition(&self, name: &Name) -> Parsed<()> {
        if name.namespace.is_none() && is_primitive(&name.simple) {
            return fail(format!(
                "Schemas may not be named after primitives: {}",
                name.simple
            ));
        }
        Ok(())
    }

    pub(super) fn record(
        &mut self,
        json: &Json,
        members: &Object,
        namespace: Option<&Arc<str>>,
        is_error: bool,
    ) -> Parsed<TypeId> {
        let name = self.record_name(json, namespace)?;
        let listed = record_fields(json, members)?;
        let mut fields: Vec<Field> = Vec::with_capacity(listed.len());
        for field in listed {
            fields.push(self.field(field, name.namespace.as_ref())?);
        }
        self.record_of(json, members, name, fields, is_error)
    }

    fn record_name(&self, json: &Json, namespace: Option<&Arc<str>>) -> Parsed<Name> {
        let name = self.name(json, namespace)?;
        self.check_definition(&name)?;
        Ok(name)
    }

    fn record_of(
        &mut self,
        json: &Json,
        members: &Object,
        name: Name,
        fields: Vec<Field>,
        is_error: bool,
    ) -> Parsed<TypeId> {
        let mut seen = Seen::new(fields.len());
        for (at, field) in fields.iter().enumerate() {
            if let Some(first) = seen.before(&fields, at) {
                let text = |at: usize| {
                    let of = &self.types[fields[at].schema.0 as usize].kind;
                    format!("{} type:{} pos:{at}", fields[at].name, type_word(of))
                };
                return fail(format!(
                    "Duplicate field {} in record {}: {} and {}.",
                    field.name,
                    name.full(),
                    text(at),
                    text(first)
                ));
            }
        }
        let mut properties = properties(members, &SCHEMA_RESERVED);
        if self.is_variant(&fields, &properties) {
            logical_type_first(&mut properties);
        }
        let aliases = self.type_aliases(json, &name)?;
        let doc = text(json, "doc");
        self.define(
            Kind::Record(Record {
                name,
                doc,
                fields,
                aliases,
                is_error,
            }),
            properties,
        )
    }

    fn field(&mut self, json: &Json, namespace: Option<&Arc<str>>) -> Parsed<Field> {
        let name = Arc::clone(required(json, "name", "No field name")?);
        let Some(of) = json.get("type") else {
            return no_field_type(json);
        };
        let schema = self.schema(of, namespace)?;
        self.field_of(json, name, schema)
    }

    fn field_of(&mut self, json: &Json, name: Arc<str>, schema: TypeId) -> Parsed<Field> {
        let order = match json.get("order") {
            None => Order::Ascending,
            Some(Json::String(order)) => match order.to_uppercase().as_str() {
                "ASCENDING" => Order::Ascending,
                "DESCENDING" => Order::Descending,
                "IGNORE" => Order::Ignore,
                order => {
                    return fail(format!(
                        "No enum constant org.apache.avro.Schema.Field.Order.{order}"
                    ));
                }
            },
            Some(_) => {
                return fail("Cannot invoke \"String.toUpperCase(java.util.Locale)\" because the return value of \"com.fasterxml.jackson.databind.JsonNode.textValue()\" is null".to_owned());
            }
        };
        let floating = matches!(
            self.types[schema.0 as usize].kind,
            Kind::Float | Kind::Double
        );
        let mut checked = self.strictness == Strictness::New;
        let default = match json.get("default") {
            Some(Json::String(text)) if floating => {
                let value = floating_text(text)?;
                // A number that JSON lacks stays a text, which is what it is printed as.
                checked = false;
                Some(match Number::from_f64(value) {
                    Some(number) => Json::Number(number),
                    None => java_number(value).into(),
                })
            }
            other => other.map(printed),
        };
        self.check_name(&name)?;
        if let Some(default) = default.as_ref().filter(|_| checked) {
            self.check_default(&name, schema, default)?;
        }
        let properties = properties(
            json.as_object().unwrap_or(&Object::new()),
            &["default", "doc", "name", "order", "type", "aliases"],
        );
        let mut aliases = alias_texts(json)?;
        if aliases.len() > 1 {
            let distinct: IndexSet<Arc<str>> = aliases.into_iter().collect();
            aliases = distinct.into_iter().collect();
        }
        Ok(Field {
            name,
            doc: text(json, "doc"),
            schema,
            default,
            order,
            aliases,
            properties,
        })
    }

    pub(super) fn enumeration(
        &mut self,
        json: &Json,
        members: &Object,
        namespace: Option<&Arc<str>>,
    ) -> Parsed<TypeId> {
        let name = self.name(json, namespace)?;
        let Some(Json::Array(listed)) = members.get("symbols") else {
            return fail(format!("Enum has no symbols: {}", shown(json)));
        };
        self.check_definition(&name)?;
        let mut symbols: Vec<Arc<str>> = Vec::with_capacity(listed.len());
        let mut seen = HashSet::with_capacity(listed.len());
        // Without validation what is no text is found only after doubles and the default.
        let mut null = false;
        for symbol in listed {
            let symbol = match symbol {
                Json::String(symbol) => {
                    self.check_name(symbol)?;
                    Arc::clone(symbol)
                }
                _ if self.strictness == Strictness::New => return fail("Null name".to_owned()),
                _ if null => return fail("Duplicate enum symbol: null".to_owned()),
                _ => {
                    null = true;
                    symbols.push("null".into());
                    continue;
                }
            };
            if !seen.insert(Arc::clone(&symbol)) {
                return fail(format!("Duplicate enum symbol: {symbol}"));
            }
            symbols.push(symbol);
        }
        let default = text(json, "default");
        if let Some(default) = default.as_ref().filter(|default| !seen.contains(*default)) {
            return fail(format!(
                "The Enum Default: {default} is not in the enum symbol set: [{}]",
                symbols.join(", ")
            ));
        }
        if null {
            return fail("Null name".to_owned());
        }
        let properties = properties(
            members,
            &[
                "doc",
                "fields",
                "items",
                "name",
                "namespace",
                "size",
                "symbols",
                "values",
                "type",
                "aliases",
                "default",
            ],
        );
        let aliases = self.type_aliases(json, &name)?;
        let doc = text(json, "doc");
        self.define(
            Kind::Enum(Enum {
                name,
                doc,
                symbols,
                default,
                aliases,
            }),
            properties,
        )
    }

    pub(super) fn fixed(
        &mut self,
        json: &Json,
        members: &Object,
        namespace: Option<&Arc<str>>,
    ) -> Parsed<TypeId> {
        let name = self.name(json, namespace)?;
        let size = members.get("size").and_then(Json::as_i64);
        let Some(size) = size.filter(|size| i32::try_from(*size).is_ok()) else {
            return fail(format!("Invalid or no size: {}", shown(json)));
        };
        self.check_definition(&name)?;
        if size < 0 {
            return fail(format!("Malformed data. Length is negative: {size}"));
        }
        if size > MOST_BYTES {
            return fail(format!(
                "Cannot read arrays longer than {MOST_BYTES} bytes in Java library"
            ));
        }
        let properties = properties(members, &SCHEMA_RESERVED);
        let aliases = self.type_aliases(json, &name)?;
        let doc = text(json, "doc");
        self.define(
            Kind::Fixed(Fixed {
                name,
                doc,
                size: usize::try_from(size).unwrap_or(0),
                aliases,
            }),
            properties,
        )
    }

    fn type_aliases(&self, json: &Json, name: &Name) -> Parsed<Vec<Name>> {
        let texts = alias_texts(json)?;
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let mut aliases: IndexSet<Name> = IndexSet::new();
        for alias in texts {
            let alias = Name::within(&alias, name.namespace.as_ref());
            self.check_name(&alias.simple)?;
            aliases.insert(alias);
        }
        Ok(aliases.into_iter().collect())
    }

    /// Makes a named type known. The same definition may come twice.
    fn define(&mut self, kind: Kind, properties: Object) -> Parsed<TypeId> {
        let full: Arc<str> = kind.named().map(Name::full).unwrap_or_default().into();
        self.check_full_name(&full)?;
        let id = self.add(kind, properties);
        match self.names.get(&full) {
            None => {
                self.names.insert(full, id);
                self.defines = true;
            }
            Some(known) => {
                if !crate::equality::are_equal(&self.types, *known, &self.types, id) {
                    return fail(format!("Can't redefine: {full}"));
                }
            }
        }
        Ok(id)
    }

    fn check_full_name(&self, full: &str) -> Parsed<()> {
        let validator = self.validator();
        if validator == Validator::None {
            return Ok(());
        }
        // Java's split drops what is empty at the end.
        let trimmed = full.trim_end_matches('.');
        let mut parts = trimmed.split('.').peekable();
        while let Some(part) = parts.next() {
            let what = if parts.peek().is_some() {
                "Namespace part"
            } else {
                "Name"
            };
            if let Err(error) = validator.check(part) {
                return fail(format!("{what} \"{part}\" is invalid: {error}"));
            }
        }
        Ok(())
    }

    /// Confluent's logical type `variant`: a record of the byte fields `metadata` and `value`. Java gives a record's logical type the first place among its properties.
    fn is_variant(&self, fields: &[Field], properties: &Object) -> bool {
        let is_bytes = |name: &str| {
            fields.iter().any(|field| {
                &*field.name == name
                    && matches!(self.types[field.schema.0 as usize].kind, Kind::Bytes)
            })
        };
        crate::logical::name(properties) == Some("variant")
            && fields.len() == 2
            && is_bytes("metadata")
            && is_bytes("value")
    }

    /// Confluent's logical type `map`: an array of records of `key` and `value`.
    pub(super) fn is_logical_map(&self, items: TypeId, properties: &Object) -> bool {
        crate::logical::name(properties) == Some("map")
            && matches!(&self.types[items.0 as usize].kind, Kind::Record(record)
                if matches!(record.fields.as_slice(), [key, value] if &*key.name == "key" && &*value.name == "value"))
    }
}
