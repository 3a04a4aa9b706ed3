//! Tags inside schema texts: `confluent:tags` of records, objects and their fields. Those of Protobuf are options, which its own crate reads and changes.

use std::collections::HashSet;

use java_idioms::json::{Json, Object, ReadOptions};

use crate::ParsedSchema;

const TAGS: &str = "confluent:tags";
/// Deepest nesting of a text whose tags are read.
const MAX_DEPTH: usize = 300;

/// Tags of a record or of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedEntity {
    /// Avro: `namespace.Record` or `namespace.Record.field`. JSON Schema: `object.field`, through the types on the way. Protobuf: `Message.field`, without the package.
    pub path: String,
    /// A field, otherwise a record.
    pub is_field: bool,
    /// In their order.
    pub tags: Vec<String>,
}

impl ParsedSchema {
    /// Every record and field with tags, in the order of the text; in Protobuf the fields of oneofs come before the others of their message.
    pub fn tags(&self) -> Vec<TaggedEntity> {
        if let Self::Protobuf(schema) = self {
            return schema.tags().into_iter().map(from_protobuf).collect();
        }
        let mut found = Vec::new();
        if let Some(tree) = self.tree() {
            let mut visit = |node: &Object, path: &str, is_field: bool| {
                let tags = tags_of(node);
                if !tags.is_empty() {
                    found.push(TaggedEntity {
                        path: path.to_owned(),
                        is_field,
                        tags,
                    });
                }
            };
            match self {
                Self::Avro(_) => avro_entities(&tree, "", &mut HashSet::new(), &mut visit),
                Self::Json(_) => json_entities(&tree, "", false, &mut visit),
                Self::Protobuf(_) => {}
            }
        }
        found
    }

    /// The text with tags added, then others removed.
    ///
    /// # Errors
    /// The text of the refusal: an entity that the schema does not have.
    pub fn with_tags(
        &self,
        add: &[TaggedEntity],
        remove: &[TaggedEntity],
    ) -> Result<String, String> {
        if let Self::Protobuf(schema) = self {
            let all = |entities: &[TaggedEntity]| -> Vec<_> {
                entities.iter().cloned().map(to_protobuf).collect()
            };
            return schema.with_tags(&all(add), &all(remove));
        }
        let Some(mut tree) = self.tree() else {
            return Err("The schema is nested too deeply to change its tags".to_owned());
        };
        for (changes, adding) in [(add, true), (remove, false)] {
            for change in changes {
                let node = match self {
                    Self::Avro(_) => find_avro(&mut tree, "", &change.path, change.is_field),
                    _ => find_json(&mut tree, "", &change.path, change.is_field),
                };
                let Some(node) = node else {
                    return Err(format!(
                        "No matching path '{}' found in the schema",
                        change.path
                    ));
                };
                let mut tags = tags_of(node);
                for tag in &change.tags {
                    match tags.iter().position(|held| held == tag) {
                        Some(at) if !adding => {
                            tags.remove(at);
                        }
                        None if adding => tags.push(tag.clone()),
                        _ => {}
                    }
                }
                if tags.is_empty() {
                    node.shift_remove(TAGS);
                } else {
                    let values = tags.into_iter().map(Json::from).collect::<Vec<_>>();
                    node.insert(TAGS.into(), Json::Array(values));
                }
            }
        }
        Ok(tree.to_text())
    }

    fn tree(&self) -> Option<Json> {
        if matches!(self, Self::Protobuf(_)) {
            return None;
        }
        let options = ReadOptions {
            max_depth: MAX_DEPTH,
            ..ReadOptions::default()
        };
        Json::read(&self.canonical(), options).ok()
    }
}

fn from_protobuf(entity: registry_protobuf::TaggedEntity) -> TaggedEntity {
    TaggedEntity {
        path: entity.path,
        is_field: entity.is_field,
        tags: entity.tags,
    }
}

fn to_protobuf(entity: TaggedEntity) -> registry_protobuf::TaggedEntity {
    registry_protobuf::TaggedEntity {
        path: entity.path,
        is_field: entity.is_field,
        tags: entity.tags,
    }
}

fn tags_of(node: &Object) -> Vec<String> {
    node.get(TAGS)
        .and_then(Json::as_array)
        .unwrap_or_default()
        .iter()
        .filter_map(|tag| tag.as_str().map(str::to_owned))
        .collect()
}

/// Full name of a named type, and the namespace of what is in it.
fn avro_name(node: &Object, namespace: &str) -> (String, String) {
    let name = node.get("name").and_then(Json::as_str).unwrap_or_default();
    if let Some((namespace, _)) = name.rsplit_once('.') {
        return (name.to_owned(), namespace.to_owned());
    }
    let namespace = node
        .get("namespace")
        .and_then(Json::as_str)
        .unwrap_or(namespace);
    if namespace.is_empty() {
        (name.to_owned(), String::new())
    } else {
        (format!("{namespace}.{name}"), namespace.to_owned())
    }
}

fn is_record(node: &Object) -> bool {
    matches!(
        node.get("type").and_then(Json::as_str),
        Some("record" | "error")
    )
}

fn avro_entities(
    node: &Json,
    namespace: &str,
    seen: &mut HashSet<String>,
    visit: &mut impl FnMut(&Object, &str, bool),
) {
    match node {
        Json::Array(branches) => {
            for branch in branches {
                avro_entities(branch, namespace, seen, visit);
            }
        }
        Json::Object(members) if is_record(members) => {
            let (name, namespace) = avro_name(members, namespace);
            if !seen.insert(name.clone()) {
                return;
            }
            visit(members, &name, false);
            for field in members
                .get("fields")
                .and_then(Json::as_array)
                .unwrap_or_default()
            {
                let Some(field) = field.as_object() else {
                    continue;
                };
                let path = format!(
                    "{name}.{}",
                    field.get("name").and_then(Json::as_str).unwrap_or_default()
                );
                visit(field, &path, true);
                if let Some(inner) = field.get("type") {
                    avro_entities(inner, &namespace, seen, visit);
                }
            }
        }
        Json::Object(members) => {
            for inner in ["items", "values", "type"] {
                if let Some(inner) = members.get(inner).filter(|i| !matches!(i, Json::String(_))) {
                    avro_entities(inner, namespace, seen, visit);
                }
            }
        }
        _ => {}
    }
}

fn find_avro<'j>(
    node: &'j mut Json,
    namespace: &str,
    path: &str,
    is_field: bool,
) -> Option<&'j mut Object> {
    match node {
        Json::Array(branches) => branches
            .iter_mut()
            .find_map(|branch| find_avro(branch, namespace, path, is_field)),
        Json::Object(members) => {
            if is_record(members) {
                return find_in_record(members, namespace, path, is_field);
            }
            members
                .iter_mut()
                .filter(|(name, value)| {
                    matches!(&***name, "items" | "values" | "type")
                        && !matches!(value, Json::String(_))
                })
                .find_map(|(_, inner)| find_avro(inner, namespace, path, is_field))
        }
        _ => None,
    }
}

fn find_in_record<'j>(
    members: &'j mut Object,
    namespace: &str,
    path: &str,
    is_field: bool,
) -> Option<&'j mut Object> {
    let (name, namespace) = avro_name(members, namespace);
    let (record, wanted) = match path.rsplit_once('.') {
        Some((record, field)) if is_field => (record, Some(field)),
        _ => (path, None),
    };
    // A path without a namespace means a record of that name in any.
    let same = record == name || Some(record) == name.rsplit('.').next();
    if !is_field && same {
        return Some(members);
    }
    let Some(Json::Array(fields)) = members.get_mut("fields") else {
        return None;
    };
    let own = wanted.filter(|_| same).and_then(|wanted| {
        fields
            .iter()
            .position(|f| f.get("name").and_then(Json::as_str) == Some(wanted))
    });
    match own {
        Some(at) => match fields.get_mut(at) {
            Some(Json::Object(field)) => Some(field),
            _ => None,
        },
        None => fields.iter_mut().find_map(|field| match field {
            Json::Object(field) => find_avro(field.get_mut("type")?, &namespace, path, is_field),
            _ => None,
        }),
    }
}

fn joined(path: &str, part: &str) -> String {
    if path.is_empty() {
        part.to_owned()
    } else {
        format!("{path}.{part}")
    }
}

/// The word that stands for a schema on a path, and the parts below it: (member, index within it, part of the path).
fn json_kind(node: &Object) -> Option<&'static str> {
    if node.contains_key("oneOf") {
        Some("oneof")
    } else if node.contains_key("anyOf") {
        Some("anyof")
    } else if node.contains_key("allOf") {
        Some("allof")
    } else {
        match node.get("type").and_then(Json::as_str) {
            Some("object") => Some("object"),
            Some("array") => Some("array"),
            _ if node.contains_key("properties") => Some("object"),
            _ if node.contains_key("items") => Some("array"),
            _ => None,
        }
    }
}

/// `in_field`: the tags of this object were given as those of the field that holds it.
fn json_entities(
    node: &Json,
    path: &str,
    in_field: bool,
    visit: &mut impl FnMut(&Object, &str, bool),
) {
    let Some(members) = node.as_object() else {
        return;
    };
    let Some(kind) = json_kind(members) else {
        return;
    };
    let path = joined(path, kind);
    match kind {
        "object" => {
            if !in_field {
                visit(members, &path, false);
            }
            let Some(properties) = members.get("properties").and_then(Json::as_object) else {
                return;
            };
            for (name, property) in properties {
                let path = joined(&path, name);
                if let Some(property) = property.as_object() {
                    visit(property, &path, true);
                }
                json_entities(property, &path, true, visit);
            }
        }
        "array" => {
            if let Some(items) = members.get("items") {
                json_entities(items, &path, false, visit);
            }
        }
        _ => {
            for member in ["oneOf", "anyOf", "allOf"] {
                for (i, branch) in members
                    .get(member)
                    .and_then(Json::as_array)
                    .unwrap_or_default()
                    .iter()
                    .enumerate()
                {
                    json_entities(branch, &joined(&path, &i.to_string()), false, visit);
                }
            }
        }
    }
}

fn find_json<'j>(
    node: &'j mut Json,
    path: &str,
    wanted: &str,
    is_field: bool,
) -> Option<&'j mut Object> {
    let Json::Object(members) = node else {
        return None;
    };
    let kind = json_kind(members)?;
    let path = joined(path, kind);
    match kind {
        "object" => {
            if !is_field && path == wanted {
                return Some(members);
            }
            let Some(Json::Object(properties)) = members.get_mut("properties") else {
                return None;
            };
            for (name, property) in properties.iter_mut() {
                let path = joined(&path, name);
                if is_field && path == wanted {
                    return match property {
                        Json::Object(property) => Some(property),
                        _ => None,
                    };
                }
                if let Some(found) = find_json(property, &path, wanted, is_field) {
                    return Some(found);
                }
            }
            None
        }
        "array" => find_json(members.get_mut("items")?, &path, wanted, is_field),
        _ => members
            .iter_mut()
            .filter(|(name, _)| matches!(&***name, "oneOf" | "anyOf" | "allOf"))
            .find_map(|(_, branches)| match branches {
                Json::Array(branches) => branches.iter_mut().enumerate().find_map(|(i, branch)| {
                    find_json(branch, &joined(&path, &i.to_string()), wanted, is_field)
                }),
                _ => None,
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SchemaType, Strictness};

    fn parse(schema_type: SchemaType, text: &str) -> ParsedSchema {
        ParsedSchema::parse(schema_type, text, &[], Strictness::New).expect("a schema")
    }

    fn entity(path: &str, is_field: bool, tags: &[&str]) -> TaggedEntity {
        TaggedEntity {
            path: path.to_owned(),
            is_field,
            tags: tags.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn avro_tags_are_found_added_and_removed() {
        let text = r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":["null",{"type":"record","name":"I","fields":[{"name":"b","type":"int","confluent:tags":["X"]}]}]}],"confluent:tags":["T"]}"#;
        let schema = parse(SchemaType::Avro, text);
        assert_eq!(
            schema.tags(),
            [entity("n.R", false, &["T"]), entity("n.I.b", true, &["X"])]
        );
        let changed = schema
            .with_tags(
                &[entity("n.R.a", true, &["P"])],
                &[entity("I.b", true, &["X"])],
            )
            .expect("changed");
        let tags = parse(SchemaType::Avro, &changed).tags();
        assert_eq!(
            tags,
            [entity("n.R", false, &["T"]), entity("n.R.a", true, &["P"])]
        );
        let error = schema
            .with_tags(&[entity("n.R.z", true, &["P"])], &[])
            .expect_err("no such field");
        assert_eq!(error, "No matching path 'n.R.z' found in the schema");
    }

    #[test]
    fn json_tags_are_on_the_paths_of_their_objects() {
        let text = r#"{"type":"object","confluent:tags":["T"],"properties":{"a":{"type":"object","confluent:tags":["A"],"properties":{"b":{"type":"string"}}}}}"#;
        let schema = parse(SchemaType::Json, text);
        assert_eq!(
            schema.tags(),
            [
                entity("object", false, &["T"]),
                entity("object.a", true, &["A"])
            ]
        );
        let changed = schema
            .with_tags(&[entity("object.a.object.b", true, &["B"])], &[])
            .expect("changed");
        assert!(
            changed.contains(r#""b":{"type":"string","confluent:tags":["B"]}"#),
            "{changed}"
        );
    }

    #[test]
    fn protobuf_tags_are_options() {
        let text =
            "syntax = \"proto3\"; message M { int32 a = 1 [(confluent.field_meta).tags = \"A\"]; }";
        let schema = parse(SchemaType::Protobuf, text);
        assert_eq!(schema.tags(), [entity("M.a", true, &["A"])]);
        let changed = schema
            .with_tags(
                &[entity("M", false, &["T"])],
                &[entity("M.a", true, &["A"])],
            )
            .expect("changed");
        let tags = parse(SchemaType::Protobuf, &changed).tags();
        assert_eq!(tags, [entity("M", false, &["T"])]);
    }
}
