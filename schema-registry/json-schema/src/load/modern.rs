//! Drafts 2019-09 and 2020-12. Each keyword makes a small schema; those of one kind are merged, those of several kinds make an `allOf`.
//!
//! The order of the keywords decides what is merged into what. It is that of a Java hash map, since the registry reads objects into one.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use java_idioms::{Json, Object, hash_order};

use super::{Loader, ScopeId, Target, keyword};
use crate::model::{
    ArrayKind, Criterion, FALSE, Kind, NodeId, NumberKind, ObjectKind, ROOT, ReferenceKind,
    StringKind, TRUE, member_hash,
};
use crate::pattern;

/// An object whose parts are known, but not yet how the alternatives of its combined schemas look.
pub(super) struct Composite {
    pub(super) parts: Vec<Part>,
    pub(super) has_default: bool,
    pub(super) connect_bytes: bool,
    pub(super) extra: u64,
    pub(super) members: Option<Box<Object>>,
    /// Members that no keyword takes replace what the parts had noted in the same place.
    pub(super) drops_notes: bool,
}

pub(super) enum Part {
    Kind(Kind),
    /// `allOf` and the like as written.
    Alternatives(Criterion, Vec<NodeId>),
    /// Several types.
    Types(Vec<Kind>),
    /// A keyword without meaning for comparisons, which counts as an `allOf` of nothing.
    Nothing,
}

const KNOWN: [&str; 53] = [
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$ref",
    "$defs",
    "$schema",
    "$vocabulary",
    "minLength",
    "maxLength",
    "allOf",
    "anyOf",
    "oneOf",
    "additionalProperties",
    "properties",
    "patternProperties",
    "title",
    "description",
    "readOnly",
    "writeOnly",
    "deprecated",
    "default",
    "enum",
    "const",
    "false",
    "true",
    "type",
    "not",
    "required",
    "maximum",
    "minimum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "multipleOf",
    "uniqueItems",
    "items",
    "prefixItems",
    "contains",
    "minContains",
    "maxContains",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependentRequired",
    "unevaluatedItems",
    "unevaluatedProperties",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "pattern",
];

pub(super) fn is_known(name: &str) -> bool {
    name == "format" || KNOWN.contains(&name)
}

/// Members that do not make the kind.
fn is_extra(name: &str) -> bool {
    matches!(name, "title" | "description" | "default") || !is_known(name)
}

fn object(fill: impl FnOnce(&mut ObjectKind)) -> Part {
    let mut kind = ObjectKind::default();
    fill(&mut kind);
    Part::Kind(Kind::Object(Box::new(kind)))
}

fn array(fill: impl FnOnce(&mut ArrayKind)) -> Part {
    let mut kind = ArrayKind::default();
    fill(&mut kind);
    Part::Kind(Kind::Array(Box::new(kind)))
}

fn number(fill: impl FnOnce(&mut NumberKind)) -> Part {
    let mut kind = NumberKind::default();
    fill(&mut kind);
    Part::Kind(Kind::Number(Box::new(kind)))
}

fn string(fill: impl FnOnce(&mut StringKind)) -> Part {
    let mut kind = StringKind::default();
    fill(&mut kind);
    Part::Kind(Kind::String(Box::new(kind)))
}

fn of_type(name: &str) -> Option<Kind> {
    let part = match name {
        "string" => string(|kind| kind.required = true),
        "integer" | "number" => number(|kind| {
            kind.required = true;
            kind.integer = name == "integer";
        }),
        "boolean" => Part::Kind(Kind::Boolean),
        "null" => Part::Kind(Kind::Null),
        "array" => array(|kind| kind.required = true),
        "object" => object(|kind| kind.required_object = true),
        _ => return None,
    };
    match part {
        Part::Kind(kind) => Some(kind),
        _ => None,
    }
}

impl<'a> Loader<'a> {
    pub(super) fn modern(&mut self, id: NodeId, target: Target<'a>) -> Result<(), String> {
        let Json::Object(members) = target.json else {
            return Ok(());
        };
        let scope = self.inside(target.scope, target.json)?;
        // The original reads the metaschema of a subschema, for nothing; that of a document is settled.
        if !std::ptr::eq(target.json, self.documents[self.document(scope)].json)
            && let Some(uri) = keyword::string(members, "$schema")?
            && self.document_of(&uri).is_none()
        {
            return Err(format!("`$schema`: `{uri}` is not known"));
        }
        let mut parts = Vec::new();
        let mut drops_notes = false;
        for (name, value) in hash_order(members.iter(), |(name, _)| name) {
            drops_notes |= !is_known(name);
            if **name == *"type" {
                parts.push(self.types(value, id, target)?);
            } else if let Some(part) = self.modern_keyword(name, value, members, scope)? {
                parts.push(part);
            }
        }
        if parts.is_empty() {
            // No keyword at all counts like one without meaning.
            parts.push(Part::Nothing);
        }
        // These come last, wherever they stand.
        if let Some(members) = keyword::object(members, "properties")? {
            let children = self.named_children(members, scope)?;
            if !children.is_empty() {
                let properties: IndexMap<_, _> = super::classic::in_hash_order(children);
                parts.push(object(|kind| kind.properties = properties));
            }
        }
        if let Some(members) = keyword::object(members, "patternProperties")? {
            for name in members.keys() {
                pattern::check(name)?;
            }
            let children = self.named_children(members, scope)?;
            if !children.is_empty() {
                parts.push(object(|kind| kind.pattern_properties = children));
            }
        }
        if let Some(json) = members.get("unevaluatedItems") {
            let child = self.child(json, scope)?;
            parts.push(array(|kind| kind.unevaluated = Some(child)));
        }
        if let Some(json) = members.get("unevaluatedProperties") {
            let child = self.child(json, scope)?;
            parts.push(object(|kind| kind.unevaluated = Some(child)));
        }
        if let Some(definitions) = keyword::object(members, "$defs")? {
            drops_notes |= !definitions.is_empty();
            for (_, definition) in self.named_children(definitions, scope)? {
                self.definitions.push((id, definition));
            }
        }
        let composite = Composite {
            parts,
            has_default: members.get("default").is_some_and(|value| !value.is_null()),
            connect_bytes: members.get("connect.type").and_then(Json::as_str) == Some("bytes"),
            extra: members
                .iter()
                .filter(|(name, _)| is_extra(name))
                .fold(0, |sum: u64, (name, value)| {
                    sum.wrapping_add(member_hash(name, value))
                }),
            // A default of null is none in these drafts.
            members: self.kept(members, |name| {
                is_extra(name) && (name != "default" || !members["default"].is_null())
            }),
            drops_notes,
        };
        self.composites.push((id, composite));
        Ok(())
    }

    /// What `type` says. A name that is no type matters only if something leads there: a document is read as a whole, but used in parts.
    fn types(&mut self, value: &Json, id: NodeId, target: Target<'a>) -> Result<Part, String> {
        let mut kind = |name: &str| {
            of_type(name).unwrap_or_else(|| {
                let message = keyword::unknown_type(name);
                self.unknown_types.push((id, target, message));
                Kind::Empty
            })
        };
        match value {
            Json::String(name) => Ok(Part::Kind(kind(name))),
            Json::Array(names) => names
                .iter()
                .map(|name| match name {
                    Json::String(name) => Ok(kind(name)),
                    _ => Err("`type` must list strings".into()),
                })
                .collect::<Result<_, _>>()
                .map(Part::Types),
            _ => Err("`type` must be a string or an array of strings".into()),
        }
    }

    /// Refuses the first unknown type to which something leads from the schema.
    pub(super) fn check_types(&self) -> Result<(), String> {
        if self.unknown_types.is_empty() {
            return Ok(());
        }
        let mut definitions: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        for (holder, definition) in &self.definitions {
            definitions.entry(*holder).or_default().push(*definition);
        }
        let mut reached = vec![false; self.nodes.len()];
        let mut stack = vec![ROOT];
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut reached[id as usize], true) {
                continue;
            }
            let node = &self.nodes[id as usize];
            node.children(&mut stack);
            if let Kind::Reference(kind) = &node.kind {
                stack.push(kind.target);
            }
            stack.extend(definitions.get(&id).into_iter().flatten());
        }
        match self
            .unknown_types
            .iter()
            .find(|(id, ..)| reached[*id as usize])
        {
            Some((_, target, message)) => Err(self.located(message.clone(), *target)),
            None => Ok(()),
        }
    }

    /// What one keyword says; `None` for those that are read elsewhere or say nothing.
    fn modern_keyword(
        &mut self,
        name: &str,
        value: &'a Json,
        members: &'a Object,
        scope: ScopeId,
    ) -> Result<Option<Part>, String> {
        let child = |loader: &mut Self| loader.child(value, scope);
        Ok(Some(match name {
            "$ref" | "$dynamicRef" => {
                let reference = keyword::string(members, name)?.unwrap_or_default();
                let (target, uri) = match self.outermost(name, &reference) {
                    Some(target) => (
                        self.child(target.json, target.scope)?,
                        format!("{}{reference}", self.base(target.scope)),
                    ),
                    None => self.modern_reference(&reference, scope)?,
                };
                Part::Kind(Kind::Reference(Box::new(ReferenceKind {
                    target,
                    end: target,
                    uri: uri.into(),
                })))
            }
            "title" | "description" | "$dynamicAnchor" => {
                keyword::string(members, name)?;
                return Ok(None);
            }
            "deprecated" => {
                keyword::boolean(members, name)?;
                return Ok(None);
            }
            "enum" => {
                let values = keyword::array(members, name)?.unwrap_or_default();
                Part::Kind(Kind::Enum(self.values(values)))
            }
            "const" => Part::Kind(Kind::Const(self.values(std::slice::from_ref(value)))),
            "allOf" | "anyOf" | "oneOf" => {
                let criterion = match name {
                    "allOf" => Criterion::All,
                    "anyOf" => Criterion::Any,
                    _ => Criterion::One,
                };
                let values = keyword::array(members, name)?.unwrap_or_default();
                Part::Alternatives(criterion, self.children(values, scope)?)
            }
            "not" => Part::Kind(Kind::Not(child(self)?)),
            "if" => {
                let mut parts = [Some(child(self)?), None, None];
                for (part, name) in parts[1..].iter_mut().zip(["then", "else"]) {
                    if let Some(json) = members.get(name) {
                        *part = Some(self.child(json, scope)?);
                    }
                }
                Part::Kind(Kind::Conditional(Box::new(parts)))
            }
            "minLength" => {
                let n = keyword::truncated(members, name)?;
                string(|kind| kind.min_length = n)
            }
            "maxLength" => {
                let n = keyword::truncated(members, name)?;
                string(|kind| kind.max_length = n)
            }
            "pattern" => {
                let text = keyword::regex(members, name)?;
                string(|kind| kind.pattern = text)
            }
            "format" => {
                keyword::string(members, name)?;
                Part::Nothing
            }
            "readOnly" | "writeOnly" => {
                keyword::boolean(members, name)?;
                Part::Nothing
            }
            "minimum" => {
                let n = keyword::number(members, name)?;
                number(|kind| kind.minimum = n)
            }
            "maximum" => {
                let n = keyword::number(members, name)?;
                number(|kind| kind.maximum = n)
            }
            "exclusiveMinimum" => {
                let n = keyword::number(members, name)?;
                number(|kind| kind.exclusive_minimum = n)
            }
            "exclusiveMaximum" => {
                let n = keyword::number(members, name)?;
                number(|kind| kind.exclusive_maximum = n)
            }
            "multipleOf" => {
                let n = keyword::number(members, name)?;
                number(|kind| kind.multiple_of = n)
            }
            _ => return self.modern_container_keyword(name, value, members, scope),
        }))
    }

    fn modern_container_keyword(
        &mut self,
        name: &str,
        value: &'a Json,
        members: &'a Object,
        scope: ScopeId,
    ) -> Result<Option<Part>, String> {
        Ok(Some(match name {
            "required" => {
                let names =
                    keyword::names(name, keyword::array(members, name)?.unwrap_or_default())?;
                object(|kind| kind.required = names)
            }
            "additionalProperties" => {
                let child = self.child(value, scope)?;
                object(|kind| match child {
                    FALSE => kind.permits_additional = false,
                    TRUE => {}
                    _ => kind.additional = Some(child),
                })
            }
            "propertyNames" => {
                let child = self.child(value, scope)?;
                object(|kind| kind.property_names = Some(child))
            }
            "minProperties" => {
                let n = keyword::truncated(members, name)?;
                object(|kind| kind.min_properties = n)
            }
            "maxProperties" => {
                let n = keyword::truncated(members, name)?;
                object(|kind| kind.max_properties = n)
            }
            "dependentRequired" => {
                let mut arrays = Vec::new();
                for (property, value) in keyword::object(members, name)?.into_iter().flatten() {
                    let Json::Array(values) = value else {
                        return Err(format!("`{name}` must hold arrays of strings"));
                    };
                    let names = keyword::names(name, values)?;
                    if !names.is_empty() {
                        arrays.push((Arc::clone(property), names));
                    }
                }
                object(|kind| kind.property_dependencies = super::classic::in_hash_order(arrays))
            }
            "dependentSchemas" => {
                let schemas = match keyword::object(members, name)? {
                    Some(members) => self.named_children(members, scope)?,
                    None => Vec::new(),
                };
                object(|kind| kind.schema_dependencies = super::classic::in_hash_order(schemas))
            }
            "items" => {
                let child = self.child(value, scope)?;
                let prefixed =
                    matches!(members.get("prefixItems"), Some(Json::Array(v)) if !v.is_empty());
                array(|kind| match child {
                    FALSE => kind.permits_additional = false,
                    TRUE => {}
                    _ if prefixed => kind.additional = Some(child),
                    _ => kind.items = Some(child),
                })
            }
            "prefixItems" => {
                let values = keyword::array(members, name)?.unwrap_or_default();
                let tuple = self.children(values, scope)?;
                array(|kind| kind.tuple = tuple)
            }
            "contains" => {
                let child = self.child(value, scope)?;
                array(|kind| {
                    kind.contains = Some(child);
                    kind.min_contains = Some(keyword::count(members, "minContains").unwrap_or(1));
                    kind.max_contains = keyword::count(members, "maxContains");
                })
            }
            "minItems" => {
                let n = keyword::truncated(members, name)?;
                array(|kind| kind.min_items = n)
            }
            "maxItems" => {
                let n = keyword::truncated(members, name)?;
                array(|kind| kind.max_items = n)
            }
            "uniqueItems" => {
                let unique = keyword::boolean(members, name)?.unwrap_or(false);
                array(|kind| kind.unique = unique)
            }
            _ => return Ok(None),
        }))
    }
}
