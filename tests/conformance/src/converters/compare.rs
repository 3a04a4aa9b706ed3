//! Whether an answer is the recorded one.

use std::collections::HashMap;

use java_idioms::Json;
use java_idioms::json::{Object, ReadOptions};

/// What may differ.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tolerance {
    /// The class and message of an error: then it only has to be one.
    pub error_texts: bool,
}

/// Where an answer differs from the recorded one, most general first. Parameters and maps have no order; a `float32` counts to its own precision.
pub fn differences(want: &Json, got: &Json, tolerance: Tolerance) -> Vec<String> {
    if want.get("configure").is_some() || got.get("configure").is_some() {
        let same = want.get("configure").is_some() == got.get("configure").is_some();
        return if same {
            Vec::new()
        } else {
            vec![differing(
                "configure",
                want.get("configure"),
                got.get("configure"),
            )]
        };
    }
    let mut found = Vec::new();
    let list = |json: &Json, member: &str| {
        json.get(member)
            .and_then(Json::as_array)
            .unwrap_or_default()
            .to_vec()
    };
    for (kind, member) in [("write", "writes"), ("read", "reads")] {
        let (want, got) = (list(want, member), list(got, member));
        if want.len() != got.len() {
            found.push(format!("{} {member}, want {}", got.len(), want.len()));
            return found;
        }
        for (index, (want, got)) in want.iter().zip(&got).enumerate() {
            let place = format!("{kind} {index}");
            if kind == "write" {
                write(&place, want, got, tolerance, &mut found);
            } else {
                read(&place, want, got, tolerance, &mut found);
            }
        }
    }
    registered(
        &list(want, "registered"),
        &list(got, "registered"),
        &mut found,
    );
    found
}

fn differing(place: &str, want: Option<&Json>, got: Option<&Json>) -> String {
    let short = |json: Option<&Json>| -> String {
        json.map_or("nothing".to_owned(), Json::to_text)
            .chars()
            .take(700)
            .collect()
    };
    format!("{place}:\n  want {}\n  got  {}", short(want), short(got))
}

fn write(place: &str, want: &Json, got: &Json, tolerance: Tolerance, found: &mut Vec<String>) {
    if error(place, want, got, tolerance, found) {
        return;
    }
    for member in ["payload", "headers"] {
        if want.get(member) != got.get(member) {
            found.push(differing(
                &format!("{place}, {member}"),
                want.get(member),
                got.get(member),
            ));
        }
    }
    let read_back = |json: &Json| json.get("read").cloned().unwrap_or(Json::Null);
    read(
        &format!("{place}, read back"),
        &read_back(want),
        &read_back(got),
        tolerance,
        found,
    );
}

fn read(place: &str, want: &Json, got: &Json, tolerance: Tolerance, found: &mut Vec<String>) {
    if error(place, want, got, tolerance, found) {
        return;
    }
    let schema = want.get("schema").unwrap_or(&Json::Null);
    if let Some(at) = schemas_differ(schema, got.get("schema").unwrap_or(&Json::Null)) {
        found.push(differing(
            &format!("{place}, schema{at}"),
            Some(schema),
            got.get("schema"),
        ));
    }
    let null = Json::Null;
    let (value, other) = (
        want.get("value").unwrap_or(&null),
        got.get("value").unwrap_or(&null),
    );
    if !values_equal(schema, value, other, &HashMap::new()) {
        found.push(differing(
            &format!("{place}, value"),
            Some(value),
            Some(other),
        ));
    }
}

/// Whether one of the two is an error, which then has been compared.
fn error(
    place: &str,
    want: &Json,
    got: &Json,
    tolerance: Tolerance,
    found: &mut Vec<String>,
) -> bool {
    let (want_error, got_error) = (want.get("error"), got.get("error"));
    match (want_error, got_error) {
        (None, None) => return false,
        (Some(want_error), Some(got_error)) => {
            let first = |error: &Json| {
                let link = error.as_array().and_then(<[Json]>::first);
                let text = |member: &str| {
                    link.and_then(|link| link.get(member))
                        .and_then(Json::as_str)
                        .unwrap_or_default()
                        .to_owned()
                };
                (
                    text("class")
                        .rsplit('.')
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                    text("message"),
                )
            };
            if !tolerance.error_texts && first(want_error) != first(got_error) {
                found.push(differing(
                    &format!("{place}, error"),
                    want.get("error"),
                    got.get("error"),
                ));
            }
        }
        _ => found.push(differing(
            &format!("{place}, error or not"),
            Some(want),
            Some(got),
        )),
    }
    true
}

/// Where two schemas differ.
fn schemas_differ(want: &Json, got: &Json) -> Option<String> {
    let (Some(a), Some(b)) = (want.as_object(), got.as_object()) else {
        return (want != got).then(String::new);
    };
    let member = |object: &Object, name: &str| object.get(name).cloned().unwrap_or(Json::Null);
    for name in ["type", "name", "version", "doc", "cycle"] {
        if member(a, name) != member(b, name) {
            return Some(format!(".{name}"));
        }
    }
    let optional = |object: &Object| {
        object
            .get("optional")
            .and_then(Json::as_bool)
            .unwrap_or(false)
    };
    if optional(a) != optional(b) {
        return Some(".optional".to_owned());
    }
    let parameters = |object: &Object| {
        object
            .get("parameters")
            .and_then(Json::as_object)
            .cloned()
            .unwrap_or_default()
    };
    if parameters(a) != parameters(b) {
        return Some(".parameters".to_owned());
    }
    let default = |object: &Object| object.get("default").cloned().unwrap_or(Json::Null);
    if !values_equal(want, &default(a), &default(b), &HashMap::new()) {
        return Some(".default".to_owned());
    }
    for name in ["keys", "values"] {
        if let Some(at) = schemas_differ(&member(a, name), &member(b, name)) {
            return Some(format!(".{name}{at}"));
        }
    }
    let fields = |object: &Object| {
        object
            .get("fields")
            .and_then(Json::as_array)
            .unwrap_or_default()
            .to_vec()
    };
    let (a, b) = (fields(a), fields(b));
    let names = |fields: &[Json]| {
        fields
            .iter()
            .map(|field| field.get("name").cloned())
            .collect::<Vec<_>>()
    };
    if names(&a) != names(&b) {
        return Some(".fields".to_owned());
    }
    a.iter().zip(&b).find_map(|(a, b)| {
        let schema = |field: &Json| field.get("schema").cloned().unwrap_or(Json::Null);
        let name = a.get("name").and_then(Json::as_str).unwrap_or_default();
        schemas_differ(&schema(a), &schema(b)).map(|at| format!(".{name}{at}"))
    })
}

/// Whether two values of `schema` are equal; `outside` are the structs around them, for those inside themselves.
fn values_equal(schema: &Json, a: &Json, b: &Json, outside: &HashMap<String, Json>) -> bool {
    if a.is_null() || b.is_null() {
        return a.is_null() && b.is_null();
    }
    let kind = schema
        .get("type")
        .and_then(Json::as_str)
        .unwrap_or_default();
    if kind.is_empty() || (kind != "struct" && a.get("t").is_some()) {
        return typed_equal(a, b);
    }
    let part = |name: &str| schema.get(name).cloned().unwrap_or(Json::Null);
    match kind {
        "struct" => {
            let name = schema
                .get("name")
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned();
            let schema = outside
                .get(&name)
                .filter(|_| schema.get("cycle").is_some())
                .unwrap_or(schema)
                .clone();
            let mut outside = outside.clone();
            outside.insert(name, schema.clone());
            let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else {
                return false;
            };
            let fields = schema
                .get("fields")
                .and_then(Json::as_array)
                .unwrap_or_default();
            a.len() == b.len()
                && a.iter().all(|(name, a)| {
                    let field = fields
                        .iter()
                        .find(|field| field.get("name").and_then(Json::as_str) == Some(name))
                        .and_then(|field| field.get("schema"));
                    b.get(name)
                        .is_some_and(|b| values_equal(field.unwrap_or(&Json::Null), a, b, &outside))
                })
        }
        "array" => {
            let (Some(a), Some(b)) = (a.as_array(), b.as_array()) else {
                return false;
            };
            let element = part("values");
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| values_equal(&element, a, b, outside))
        }
        "map" => {
            let (key, value) = (part("keys"), part("values"));
            maps_equal(a, b, |a, b| {
                values_equal(&key, &a[0], &b[0], outside)
                    && values_equal(&value, &a[1], &b[1], outside)
            })
        }
        kind => scalars_equal(kind, a, b),
    }
}

/// Values that say their type.
fn typed_equal(a: &Json, b: &Json) -> bool {
    if a.is_null() || b.is_null() {
        return a.is_null() && b.is_null();
    }
    let kind = a.get("t").and_then(Json::as_str).unwrap_or_default();
    if a.get("t") != b.get("t") {
        return false;
    }
    let (Some(a), Some(b)) = (a.get("v"), b.get("v")) else {
        return false;
    };
    match kind {
        "array" => {
            let (Some(a), Some(b)) = (a.as_array(), b.as_array()) else {
                return false;
            };
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| typed_equal(a, b))
        }
        "map" => maps_equal(a, b, |a, b| {
            typed_equal(&a[0], &b[0]) && typed_equal(&a[1], &b[1])
        }),
        kind => scalars_equal(kind, a, b),
    }
}

/// Whether every pair of one map has its equal in the other; maps of cases are small.
fn maps_equal(a: &Json, b: &Json, equal: impl Fn(&[Json], &[Json]) -> bool) -> bool {
    let (Some(a), Some(b)) = (a.as_array(), b.as_array()) else {
        return false;
    };
    let mut rest: Vec<&[Json]> = b
        .iter()
        .filter_map(Json::as_array)
        .filter(|pair| pair.len() == 2)
        .collect();
    if a.len() != rest.len() {
        return false;
    }
    a.iter()
        .filter_map(Json::as_array)
        .filter(|pair| pair.len() == 2)
        .all(|pair| {
            let found = rest.iter().position(|other| equal(pair, other));
            found.map(|at| rest.swap_remove(at)).is_some()
        })
}

fn scalars_equal(kind: &str, a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            _ if kind == "float32" => a.as_f64() as f32 == b.as_f64() as f32,
            _ => a.as_f64() == b.as_f64(),
        },
        _ => a == b,
    }
}

fn registered(want: &[Json], got: &[Json], found: &mut Vec<String>) {
    let key = |schema: &Json| {
        ["subject", "version", "id"]
            .map(|member| schema.get(member).map_or(String::new(), Json::to_text))
    };
    let keys = |all: &[Json]| {
        let mut keys: Vec<_> = all.iter().map(key).collect();
        keys.sort();
        keys
    };
    if keys(want) != keys(got) {
        found.push(format!(
            "registered:\n  want {:?}\n  got  {:?}",
            keys(want),
            keys(got)
        ));
        return;
    }
    for want in want {
        let Some(got) = got.iter().find(|got| key(got) == key(want)) else {
            continue;
        };
        let subject = key(want)[0].clone();
        for member in ["schemaType", "references"] {
            if want.get(member) != got.get(member) {
                found.push(differing(
                    &format!("{member} of {subject}"),
                    want.get(member),
                    got.get(member),
                ));
            }
        }
        let text = |schema: &Json| {
            schema
                .get("schema")
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (want, got) = (text(want), text(got));
        if want != got {
            let parsed = |text: &str| Json::read(text, ReadOptions::default()).ok();
            let order = parsed(&want).is_some() && parsed(&want) == parsed(&got);
            let what = if order { "order in the text" } else { "text" };
            found.push(format!("{what} of {subject}:\n  want {want}\n  got  {got}"));
        }
    }
}
