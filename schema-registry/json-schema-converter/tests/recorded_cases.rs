//! What Confluent's converter wrote and read, replayed: schemas, payloads, values and refusals. `MILLRACE_JSON_SCHEMA_CASES` names another folder with files of the same form.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use java_idioms::json::ReadOptions;
use java_idioms::{Json, Object};
use millrace_api::data::{Data, Header, Headers, Schema, Value};
use millrace_api::plugin::DataError;
use registry_client::{NewSchema, Reference, SchemaType};

use support::Fixture;
use support::forms::{self, Named, hex, schema_form, unhex, value_form};
use support::registry::MemoryRegistry;

fn lines(path: &Path) -> Vec<Json> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| Json::read(line, ReadOptions::default()).expect("JSON"))
        .collect()
}

fn text<'j>(json: &'j Json, member: &str) -> &'j str {
    json.get(member).and_then(Json::as_str).unwrap_or("")
}

fn list<'j>(json: &'j Json, member: &str) -> &'j [Json] {
    json.get(member).and_then(Json::as_array).unwrap_or(&[])
}

fn object(members: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    let members: Object = members.into_iter().map(|(k, v)| (k.into(), v)).collect();
    members.into()
}

fn prepare(registry: &MemoryRegistry, step: &Json) {
    let subject = text(step, "subject");
    if let Some(level) = step.get("compatibility").and_then(Json::as_str) {
        return registry.set_compatibility(subject, level);
    }
    let references = list(step, "references").iter().map(|r| Reference {
        name: text(r, "name").into(),
        subject: text(r, "subject").into(),
        version: r.get("version").and_then(Json::as_i64).expect("a version") as i32,
    });
    let schema = NewSchema {
        schema_type: match text(step, "schemaType") {
            "JSON" => SchemaType::Json,
            "PROTOBUF" => SchemaType::Protobuf,
            _ => SchemaType::Avro,
        },
        text: text(step, "schema").into(),
        references: references.collect(),
    };
    registry.add(subject, &schema, false).expect("registered");
}

fn refusal(error: &DataError) -> Json {
    let mut chain = vec![object([
        ("class", error.java_class.into()),
        ("message", error.message.as_ref().into()),
    ])];
    let mut source = error.source.as_deref().map(|e| e as &dyn std::error::Error);
    while let Some(cause) = source {
        let class = cause
            .downcast_ref::<DataError>()
            .map_or("", |e| e.java_class);
        chain.push(object([
            ("class", class.into()),
            ("message", cause.to_string().into()),
        ]));
        source = cause.source();
    }
    object([("error", chain.into())])
}

fn read_answer(result: Result<Data, DataError>) -> Json {
    match result {
        Ok(data) => object([
            (
                "schema",
                data.schema.as_ref().map_or(Json::Null, schema_form),
            ),
            ("value", value_form(data.schema.as_ref(), &data.value)),
        ]),
        Err(error) => refusal(&error),
    }
}

fn headers_form(headers: &Headers) -> Vec<Json> {
    headers
        .iter()
        .map(|h| match &h.data.value {
            Value::Bytes(bytes) => {
                Json::Array(vec![Json::String(Arc::clone(&h.name)), hex(bytes).into()])
            }
            other => panic!("header {other:?}"),
        })
        .collect()
}

fn reference_form(reference: &Reference) -> Json {
    object([
        ("name", Json::String(Arc::clone(&reference.name))),
        ("subject", Json::String(Arc::clone(&reference.subject))),
        ("version", reference.version.into()),
    ])
}

fn answer(case: &Json) -> Json {
    let registry = Arc::<MemoryRegistry>::default();
    let settings: Vec<(String, String)> = case
        .get("config")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.to_string(), v.as_str().expect("text").to_owned()))
        .collect();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (&**k, &**v)).collect();
    let is_key = case.get("key").and_then(Json::as_bool) == Some(true);
    let mut out = Object::new();
    out.insert("id".into(), text(case, "id").into());
    let mut fixture = match Fixture::on(Arc::clone(&registry), &settings, is_key) {
        Ok(fixture) => fixture,
        Err(error) => {
            out.insert("configure".into(), object([("error", error.into())]));
            return out.into();
        }
    };
    for step in list(case, "registry") {
        prepare(&registry, step);
    }
    let mut named = Named::new();
    for (name, schema) in case
        .get("schemas")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        let schema = forms::schema(schema, &named);
        named.insert(name.to_string(), schema);
    }
    let topic = text(case, "topic");
    let mut writes = Vec::new();
    for write in list(case, "writes") {
        let schema: Option<Schema> = write
            .get("schema")
            .filter(|s| !s.is_null())
            .map(|s| forms::schema(s, &named));
        let value = forms::value(
            schema.as_ref(),
            write.get("value").unwrap_or(&Json::Null),
            &named,
        );
        let mut headers = Headers::new();
        let data = Data { schema, value };
        writes.push(match fixture.encode(topic, &mut headers, &data) {
            Err(error) => refusal(&error),
            Ok(payload) => {
                let read = fixture.decode(topic, &headers, payload.as_deref());
                let form = payload.map_or(Json::Null, |p| hex(&p).into());
                let mut members = vec![("payload", form)];
                if !headers.is_empty() {
                    members.push(("headers", headers_form(&headers).into()));
                }
                members.push(("read", read_answer(read)));
                object(members)
            }
        });
    }
    let mut reads = Vec::new();
    for read in list(case, "reads") {
        let headers: Headers = list(read, "headers")
            .iter()
            .map(|pair| {
                let pair = pair.as_array().expect("a pair");
                Header {
                    name: pair[0].as_str().expect("a name").into(),
                    data: Data::new(Schema::bytes(), Value::Bytes(unhex(&pair[1]).into())),
                }
            })
            .collect();
        let payload = read.get("payload").filter(|p| !p.is_null()).map(unhex);
        reads.push(read_answer(fixture.decode(
            topic,
            &headers,
            payload.as_deref(),
        )));
    }
    if !writes.is_empty() {
        out.insert("writes".into(), writes.into());
    }
    if !reads.is_empty() {
        out.insert("reads".into(), reads.into());
    }
    let registered: Vec<Json> = registry
        .registered()
        .iter()
        .map(|r| {
            let references: Vec<Json> = r.references.iter().map(reference_form).collect();
            let mut members = vec![
                ("subject", r.subject.as_deref().unwrap_or("").into()),
                ("version", r.version.into()),
                ("id", r.id.into()),
                (
                    "schemaType",
                    format!("{:?}", r.schema_type).to_uppercase().into(),
                ),
                ("schema", Json::String(Arc::clone(&r.text))),
            ];
            if !references.is_empty() {
                members.push(("references", references.into()));
            }
            object(members)
        })
        .collect();
    out.insert("registered".into(), registered.into());
    out.into()
}

/// Where two answers differ; numbers by value, maps (lists of pairs) and members in any order, errors by their being there.
fn difference(want: &Json, got: &Json, path: &str) -> Option<String> {
    let differ = || {
        Some(format!(
            "{path}: want {} got {}",
            want.to_text(),
            got.to_text()
        ))
    };
    match (want, got) {
        (Json::Object(a), Json::Object(b)) => {
            if a.contains_key("error") && b.contains_key("error") {
                return None;
            }
            for key in a.keys().chain(b.keys()) {
                let absent = |json: Option<&Json>| {
                    json.is_none_or(|j| {
                        j.is_null()
                            || j.as_object().is_some_and(Object::is_empty)
                            || j.as_bool() == Some(false)
                    })
                };
                match (a.get(key), b.get(key)) {
                    (Some(x), Some(y)) => {
                        if let Some(found) = difference(x, y, &format!("{path}.{key}")) {
                            return Some(found);
                        }
                    }
                    (x, y) if absent(x) && absent(y) => {}
                    _ => {
                        return Some(format!(
                            "{path}.{key}: want {:?} got {:?}",
                            a.get(key),
                            b.get(key)
                        ));
                    }
                }
            }
            None
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            let in_order = a
                .iter()
                .zip(b)
                .enumerate()
                .find_map(|(i, (x, y))| difference(x, y, &format!("{path}[{i}]")));
            let is_map = a.iter().all(|x| x.as_array().is_some_and(|p| p.len() == 2));
            if in_order.is_none()
                || is_map
                    && a.iter()
                        .all(|x| b.iter().any(|y| difference(x, y, path).is_none()))
            {
                None
            } else {
                in_order
            }
        }
        (Json::Number(a), Json::Number(b)) => {
            let (x, y) = (a.as_f64(), b.as_f64());
            if a.is_integer() && b.is_integer() {
                return if a == b { None } else { differ() };
            }
            if x == y || x as f32 == y as f32 {
                None
            } else {
                differ()
            }
        }
        (a, b) if a == b => None,
        _ => differ(),
    }
}

#[test]
fn recorded_cases_come_out_as_recorded() {
    let folder = std::env::var_os("MILLRACE_JSON_SCHEMA_CASES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded"),
        PathBuf::from,
    );
    let (mut count, mut failures) = (0, Vec::new());
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    for path in files {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        let Some(area) = name.strip_suffix(".cases.jsonl") else {
            continue;
        };
        let answers = lines(&folder.join(format!("{area}.answers.jsonl")));
        for (case, want) in lines(&path).iter().zip(&answers) {
            assert_eq!(text(case, "id"), text(want, "id"));
            let got = answer(case);
            if case.get("defect").is_some() {
                continue;
            }
            count += 1;
            if let Some(found) = difference(want, &got, "") {
                failures.push(format!("{}: {found}", text(case, "id")));
            }
        }
    }
    assert!(count > 80, "{count} cases in {}", folder.display());
    assert!(
        failures.is_empty(),
        "{} of {count} cases differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
