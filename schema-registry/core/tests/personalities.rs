//! Older releases answer and write less.

use registry_core::{
    Body, Command, Flags, Page, Personality, Plan, Query, Registry, RegistryError, Settings,
    TopicWrite,
};

fn registry(personality: Personality) -> Registry {
    Registry::new(Settings {
        personality,
        ..Settings::default()
    })
}

fn change(
    registry: &Registry,
    command: &Command,
) -> Result<(String, Vec<TopicWrite>), RegistryError> {
    let (answer, writes) = match registry.plan(command)? {
        Plan::Answer(answer) => (answer, Vec::new()),
        Plan::Write(writes, pending) => {
            for write in &writes {
                registry.apply(
                    Some(write.key.as_bytes()),
                    write.value.as_deref().map(str::as_bytes),
                    0,
                    3,
                );
            }
            (pending.answer(registry)?, writes)
        }
    };
    match answer.body {
        Body::Text(text) => Ok((text, writes)),
        Body::Empty => Ok((String::new(), writes)),
    }
}

fn register(subject: &str, schema: &str) -> Command {
    let mut body = String::from("{\"schema\":");
    java_idioms::json::write_string(schema, &mut body);
    body.push('}');
    Command::Register {
        subject: subject.to_owned(),
        body: Some(body.into_bytes()),
        flags: Flags::default(),
    }
}

fn delete(subject: &str, permanent: bool) -> Command {
    Command::DeleteSubject {
        subject: subject.to_owned(),
        flags: Flags {
            permanent,
            ..Flags::default()
        },
    }
}

fn put_config(subject: &str, body: &str) -> Command {
    Command::PutConfig {
        subject: Some(subject.to_owned()),
        body: Some(body.as_bytes().to_vec()),
    }
}

fn by_id(registry: &Registry) -> String {
    let mut out = String::new();
    let query = Query::SchemaById {
        id: 1,
        subject: None,
        format: None,
        reference_format: None,
        fetch_max_id: false,
        find_tags: Vec::new(),
    };
    registry.query_into(&query, &mut out).expect("an answer");
    out
}

#[test]
fn release_7_9_shows_the_id_and_the_text() {
    let registry = registry(Personality::V7_9);
    let (answer, writes) = change(&registry, &register("s", "\"string\"")).expect("registered");
    assert_eq!(answer, "{\"id\":1}");
    assert_eq!(
        writes[0].value.as_deref(),
        Some(
            "{\"subject\":\"s\",\"version\":1,\"id\":1,\"schema\":\"\\\"string\\\"\",\"deleted\":false}"
        )
    );
    assert_eq!(by_id(&registry), "{\"schema\":\"\\\"string\\\"\"}");
    let version = registry
        .query(&Query::Version {
            subject: "s".to_owned(),
            version: "1".to_owned(),
            format: None,
            reference_format: None,
            deleted: false,
            find_tags: Vec::new(),
        })
        .expect("a version");
    assert_eq!(
        version.body,
        Body::Text(
            "{\"subject\":\"s\",\"version\":1,\"id\":1,\"schema\":\"\\\"string\\\"\"}".to_owned()
        )
    );
    let error = change(&registry, &register("s", "\"int\"")).expect_err("incompatible");
    assert_eq!(error.code, 409);
    // The configuration goes with the soft delete.
    change(&registry, &put_config("s", "{\"compatibility\":\"NONE\"}")).expect("set");
    change(&registry, &register("s", "\"int\"")).expect("compatible with NONE");
    let (_, writes) = change(&registry, &delete("s", false)).expect("deleted");
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert_eq!(
        writes[1].key,
        "{\"keytype\":\"CONFIG\",\"subject\":\"s\",\"magic\":0}"
    );
    let (answer, writes) = change(&registry, &delete("s", true)).expect("deleted");
    assert_eq!(answer, "[1,2]");
    assert!(
        writes[0].key.contains("\"version\":1"),
        "the oldest first: {writes:?}"
    );
}

#[test]
fn release_8_1_has_code_409_and_the_global_override() {
    let registry = registry(Personality::V8_1);
    change(&registry, &register("s", "\"string\"")).expect("registered");
    assert_eq!(
        by_id(&registry),
        "{\"subject\":\"s\",\"version\":1,\"guid\":\"095d71cf-1255-6b9d-5e33-0ad575b3df5d\",\"schemaType\":\"AVRO\",\"schema\":\"\\\"string\\\"\",\"ts\":3,\"deleted\":false}"
    );
    assert_eq!(
        change(&registry, &register("s", "\"int\""))
            .expect_err("incompatible")
            .code,
        409
    );
    let mode = |subject: Option<&str>, mode: &str| Command::PutMode {
        subject: subject.map(str::to_owned),
        body: Some(format!("{{\"mode\":\"{mode}\"}}").into_bytes()),
        flags: Flags::default(),
    };
    change(&registry, &mode(Some("s"), "READWRITE")).expect("set");
    change(&registry, &mode(None, "READONLY_OVERRIDE")).expect("set");
    let error = change(&registry, &register("s", "[\"string\",\"int\"]")).expect_err("read-only");
    assert_eq!(error.message, "Subject s in context  is in read-only mode");
    // What came with 8.2 is not there.
    let associations = registry.query(&Query::AssociationsOfResource {
        id: "x".to_owned(),
        filter: registry_core::AssociationFilter::default(),
    });
    assert_eq!(associations.expect_err("not there").code, 404);
}

#[test]
fn release_8_3_lets_subjects_out_of_a_global_override() {
    let registry = registry(Personality::V8_3);
    let mode = |subject: Option<&str>, mode: &str| Command::PutMode {
        subject: subject.map(str::to_owned),
        body: Some(format!("{{\"mode\":\"{mode}\"}}").into_bytes()),
        flags: Flags::default(),
    };
    change(&registry, &mode(Some("s"), "READWRITE")).expect("set");
    change(&registry, &mode(None, "READONLY_OVERRIDE")).expect("set");
    change(&registry, &register("s", "\"string\"")).expect("registered");
    assert_eq!(
        change(&registry, &register("s", "\"int\""))
            .expect_err("incompatible")
            .code,
        40901
    );
    let subjects = registry.query(&Query::Subjects {
        prefix: None,
        deleted: false,
        deleted_only: false,
        page: Page::default(),
    });
    assert_eq!(
        subjects.expect("a list").body,
        Body::Text("[\"s\"]".to_owned())
    );
}
