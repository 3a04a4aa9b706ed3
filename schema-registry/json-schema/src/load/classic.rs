//! Drafts 4, 6 and 7: each kind of keyword makes a schema of its own, and several kinds beside each other make an `allOf`.

use indexmap::IndexMap;
use java_idioms::{Json, Object, hash_order};

use super::{Draft, Loader, ScopeId, Target, keyword};
use crate::model::{
    ArrayKind, CombinedKind, Criterion, Kind, Node, NodeId, NumberKind, ObjectKind, ReferenceKind,
    StringKind, member_hash,
};
use crate::pattern;

const ARRAY: [&str; 5] = [
    "items",
    "additionalItems",
    "minItems",
    "maxItems",
    "uniqueItems",
];
const OBJECT: [&str; 7] = [
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "dependencies",
    "patternProperties",
    "additionalProperties",
];
const NUMBER: [&str; 5] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];
const STRING: [&str; 4] = ["minLength", "maxLength", "pattern", "format"];
const COMBINED: [(&str, Criterion); 3] = [
    ("allOf", Criterion::All),
    ("anyOf", Criterion::Any),
    ("oneOf", Criterion::One),
];

/// Which kinds of keywords an explicit `type` has taken.
#[derive(Default)]
struct Taken {
    array: bool,
    object: bool,
    number: bool,
    string: bool,
}

fn is_array_keyword(name: &str, draft: Draft) -> bool {
    ARRAY.contains(&name) || (draft >= Draft::Draft6 && name == "contains")
}

fn is_object_keyword(name: &str, draft: Draft) -> bool {
    OBJECT.contains(&name) || (draft >= Draft::Draft6 && name == "propertyNames")
}

fn is_keyword(name: &str, draft: Draft) -> bool {
    is_array_keyword(name, draft)
        || is_object_keyword(name, draft)
        || NUMBER.contains(&name)
        || STRING.contains(&name)
        || matches!(
            name,
            "$ref" | "type" | "enum" | "not" | "allOf" | "anyOf" | "oneOf"
        )
        || (draft >= Draft::Draft6 && name == "const")
        || (draft >= Draft::Draft7 && matches!(name, "if" | "then" | "else"))
}

impl<'a> Loader<'a> {
    pub(super) fn classic(&mut self, id: NodeId, target: Target<'a>) -> Result<(), String> {
        let Json::Object(object) = target.json else {
            return Ok(());
        };
        let draft = self.draft(target.scope);
        let scope = self.inside(target.scope, target.json)?;
        let mut node = if object.contains_key("$ref") {
            let reference = keyword::string(object, "$ref")?.unwrap_or_default();
            let (target, uri) = self.classic_reference(&reference, scope)?;
            Node::new(Kind::Reference(Box::new(ReferenceKind {
                target,
                end: target,
                uri: uri.into(),
            })))
        } else {
            let mut kinds = self.classic_kinds(object, scope, draft)?;
            match kinds.len() {
                0 => Node::new(Kind::Empty),
                1 => {
                    let mut kind = kinds.swap_remove(0);
                    if let Kind::Array(array) = &mut kind {
                        array.min_contains = keyword::count(object, "minContains");
                        array.max_contains = keyword::count(object, "maxContains");
                    }
                    Node::new(kind)
                }
                _ => {
                    let subschemas = kinds
                        .into_iter()
                        .map(|kind| self.push(Node::new(kind)))
                        .collect::<Result<_, _>>()?;
                    Node::new(Kind::Combined(Box::new(CombinedKind {
                        criterion: Criterion::All,
                        subschemas,
                        generated: true,
                    })))
                }
            }
        };
        keyword::string(object, draft.id_keyword())?;
        keyword::string(object, "title")?;
        keyword::string(object, "description")?;
        if draft == Draft::Draft7 {
            keyword::boolean(object, "readOnly")?;
            keyword::boolean(object, "writeOnly")?;
        }
        node.has_default = object.contains_key("default");
        node.connect_bytes = object.get("connect.type").and_then(Json::as_str) == Some("bytes");
        // Beside a reference no keyword counts, so all of them are only members.
        let makes_kind = |name: &str| match node.kind {
            Kind::Reference(_) => name == "$ref",
            _ => is_keyword(name, draft),
        };
        node.extra = object
            .iter()
            .filter(|(name, _)| !makes_kind(name))
            .fold(0, |sum: u64, (name, value)| {
                sum.wrapping_add(member_hash(name, value))
            });
        node.members = self.kept(object, |name| !is_keyword(name, draft));
        self.nodes[id as usize] = node;
        Ok(())
    }

    fn classic_kinds(
        &mut self,
        object: &'a Object,
        scope: ScopeId,
        draft: Draft,
    ) -> Result<Vec<Kind>, String> {
        let mut kinds = Vec::new();
        if let Some(values) = keyword::array(object, "enum")? {
            kinds.push(Kind::Enum(self.values(values)));
        }
        for (name, criterion) in COMBINED {
            if let Some(values) = keyword::array(object, name)? {
                let subschemas = self.children(values, scope)?;
                kinds.push(combined(criterion, subschemas));
            }
        }
        if let Some(json) = object.get("not") {
            kinds.push(Kind::Not(self.child(json, scope)?));
        }
        if let Some(value) = object.get("const").filter(|_| draft >= Draft::Draft6) {
            kinds.push(Kind::Const(self.values(std::slice::from_ref(value))));
        }
        let mut taken = Taken::default();
        match object.get("type") {
            None => {}
            Some(Json::String(name)) => {
                kinds.push(self.classic_type(name, object, scope, draft, &mut taken)?);
            }
            Some(Json::Array(names)) => {
                let mut subschemas = Vec::with_capacity(names.len());
                for name in names {
                    let Json::String(name) = name else {
                        return Err("`type` must list strings".into());
                    };
                    let kind = self.classic_type(name, object, scope, draft, &mut taken)?;
                    subschemas.push(self.push(Node::new(kind))?);
                }
                kinds.push(combined(Criterion::Any, subschemas));
            }
            Some(_) => return Err("`type` must be a string or an array of strings".into()),
        }
        let has = |names: &[&str]| names.iter().any(|name| object.contains_key(*name));
        if !taken.array && object.keys().any(|name| is_array_keyword(name, draft)) {
            kinds.push(self.classic_array(object, scope, draft, false)?);
        }
        if !taken.object && object.keys().any(|name| is_object_keyword(name, draft)) {
            kinds.push(self.classic_object(object, scope, draft, false)?);
        }
        if !taken.number && has(&NUMBER) {
            kinds.push(number(object, draft, false, false)?);
        }
        if !taken.string && has(&STRING) {
            kinds.push(string(object, draft, false)?);
        }
        if draft >= Draft::Draft7 && has(&["if", "then", "else"]) {
            let mut parts = [None; 3];
            for (part, name) in parts.iter_mut().zip(["if", "then", "else"]) {
                if let Some(json) = object.get(name) {
                    *part = Some(self.child(json, scope)?);
                }
            }
            kinds.push(Kind::Conditional(Box::new(parts)));
        }
        Ok(kinds)
    }

    fn classic_type(
        &mut self,
        name: &str,
        object: &'a Object,
        scope: ScopeId,
        draft: Draft,
        taken: &mut Taken,
    ) -> Result<Kind, String> {
        Ok(match name {
            "string" => {
                taken.string = true;
                string(object, draft, true)?
            }
            "integer" | "number" => {
                taken.number = true;
                number(object, draft, true, name == "integer")?
            }
            "boolean" => Kind::Boolean,
            "null" => Kind::Null,
            "array" => {
                taken.array = true;
                self.classic_array(object, scope, draft, true)?
            }
            "object" => {
                taken.object = true;
                self.classic_object(object, scope, draft, true)?
            }
            _ => return Err(keyword::unknown_type(name)),
        })
    }

    /// A subschema where draft 4 wants an object.
    fn schema(
        &mut self,
        name: &str,
        json: &'a Json,
        scope: ScopeId,
        draft: Draft,
    ) -> Result<NodeId, String> {
        if draft == Draft::Draft4 && matches!(json, Json::Bool(_)) {
            return Err(format!(
                "`{name}` must be an object in draft 4, not a boolean"
            ));
        }
        self.child(json, scope)
    }

    fn classic_array(
        &mut self,
        object: &'a Object,
        scope: ScopeId,
        draft: Draft,
        required: bool,
    ) -> Result<Kind, String> {
        let mut kind = ArrayKind {
            required,
            min_items: keyword::integer(object, "minItems")?,
            max_items: keyword::integer(object, "maxItems")?,
            unique: keyword::boolean(object, "uniqueItems")?.unwrap_or(false),
            ..ArrayKind::default()
        };
        match object.get("additionalItems") {
            Some(Json::Bool(permits)) => kind.permits_additional = *permits,
            Some(json) => kind.additional = Some(self.child(json, scope)?),
            None => {}
        }
        match object.get("items") {
            Some(Json::Array(values)) => kind.tuple = self.children(values, scope)?,
            Some(json) => {
                kind.items = Some(self.schema("items", json, scope, draft)?);
                // Beside one schema for all items there are no additional ones to forbid.
                kind.permits_additional = true;
            }
            None => {}
        }
        if draft >= Draft::Draft6
            && let Some(json) = object.get("contains")
        {
            kind.contains = Some(self.child(json, scope)?);
        }
        Ok(Kind::Array(Box::new(kind)))
    }

    fn classic_object(
        &mut self,
        object: &'a Object,
        scope: ScopeId,
        draft: Draft,
        required: bool,
    ) -> Result<Kind, String> {
        let mut kind = ObjectKind {
            required_object: required,
            min_properties: keyword::integer(object, "minProperties")?,
            max_properties: keyword::integer(object, "maxProperties")?,
            ..ObjectKind::default()
        };
        if let Some(members) = keyword::object(object, "properties")? {
            let mut properties = Vec::with_capacity(members.len());
            for (name, json) in members {
                // Such a member is the id of the whole map, not a property.
                if **name == *draft.id_keyword() && !matches!(json, Json::Object(_)) {
                    continue;
                }
                properties.push((name.clone(), self.child(json, scope)?));
            }
            kind.properties = in_hash_order(properties);
        }
        match object.get("additionalProperties") {
            Some(Json::Bool(permits)) => kind.permits_additional = *permits,
            Some(json) => kind.additional = Some(self.child(json, scope)?),
            None => {}
        }
        if let Some(values) = keyword::array(object, "required")? {
            kind.required = keyword::names("required", values)?;
        }
        if let Some(members) = keyword::object(object, "patternProperties")? {
            for name in members.keys() {
                pattern::check(name)?;
            }
            kind.pattern_properties = self.named_children(members, scope)?;
        }
        if let Some(members) = keyword::object(object, "dependencies")? {
            let (mut arrays, mut schemas) = (Vec::new(), Vec::new());
            for (name, json) in members {
                match json {
                    Json::Array(values) if values.is_empty() => {}
                    Json::Array(values) => {
                        arrays.push((name.clone(), keyword::names("dependencies", values)?));
                    }
                    _ => schemas.push((
                        name.clone(),
                        self.schema("dependencies", json, scope, draft)?,
                    )),
                }
            }
            kind.property_dependencies = in_hash_order(arrays);
            kind.schema_dependencies = in_hash_order(schemas);
        }
        if draft >= Draft::Draft6
            && let Some(json) = object.get("propertyNames")
        {
            kind.property_names = Some(self.child(json, scope)?);
        }
        Ok(Kind::Object(Box::new(kind)))
    }
}

fn combined(criterion: Criterion, subschemas: Vec<NodeId>) -> Kind {
    Kind::Combined(Box::new(CombinedKind {
        criterion,
        subschemas,
        generated: false,
    }))
}

/// A map in the order in which Java iterates over it.
pub(super) fn in_hash_order<V>(
    entries: Vec<(std::sync::Arc<str>, V)>,
) -> IndexMap<std::sync::Arc<str>, V> {
    hash_order(entries, |(name, _)| name).into_iter().collect()
}

fn string(object: &Object, draft: Draft, required: bool) -> Result<Kind, String> {
    Ok(Kind::String(Box::new(StringKind {
        required,
        min_length: keyword::integer(object, "minLength")?,
        max_length: keyword::integer(object, "maxLength")?,
        pattern: keyword::regex(object, "pattern")?,
        format: keyword::string(object, "format")?.filter(|name| {
            matches!(
                &**name,
                "date-time" | "uri" | "email" | "ipv4" | "ipv6" | "hostname"
            ) || (draft >= Draft::Draft6
                && matches!(&**name, "json-pointer" | "uri-reference" | "uri-template"))
                || (draft >= Draft::Draft7
                    && matches!(&**name, "date" | "time" | "regex" | "relative-json-pointer"))
        }),
    })))
}

fn number(object: &Object, draft: Draft, required: bool, integer: bool) -> Result<Kind, String> {
    let mut kind = NumberKind {
        required,
        integer,
        minimum: keyword::number(object, "minimum")?,
        maximum: keyword::number(object, "maximum")?,
        multiple_of: keyword::number(object, "multipleOf")?,
        ..NumberKind::default()
    };
    if kind.multiple_of.as_ref().is_some_and(|n| n.as_f64() == 0.0) {
        return Err("`multipleOf` must not be 0".into());
    }
    if draft == Draft::Draft4 {
        kind.minimum_is_exclusive = keyword::boolean(object, "exclusiveMinimum")?.unwrap_or(false);
        kind.maximum_is_exclusive = keyword::boolean(object, "exclusiveMaximum")?.unwrap_or(false);
    } else {
        kind.exclusive_minimum = keyword::number(object, "exclusiveMinimum")?;
        kind.exclusive_maximum = keyword::number(object, "exclusiveMaximum")?;
    }
    Ok(Kind::Number(Box::new(kind)))
}
