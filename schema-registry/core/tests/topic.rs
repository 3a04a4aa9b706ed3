//! What the topic may hold, and what two leaders may do to each other.

use registry_core::{
    Answer, Body, Command, Flags, Page, Pending, Plan, Query, Registry, RegistryError, Settings,
    TopicWrite,
};

fn registry() -> Registry {
    Registry::new(Settings::default())
}

fn apply(registry: &Registry, key: &str, value: Option<&str>) -> registry_core::Applied {
    registry.apply(Some(key.as_bytes()), value.map(str::as_bytes), 7, 1000)
}

fn schema_record(
    subject: &str,
    version: i32,
    id: i32,
    text: &str,
    deleted: bool,
) -> (String, String) {
    let mut schema = String::new();
    java_idioms::json::write_string(text, &mut schema);
    (
        format!(
            "{{\"keytype\":\"SCHEMA\",\"subject\":\"{subject}\",\"version\":{version},\"magic\":1}}"
        ),
        format!(
            "{{\"subject\":\"{subject}\",\"version\":{version},\"id\":{id},\"schema\":{schema},\"deleted\":{deleted}}}"
        ),
    )
}

fn put(
    registry: &Registry,
    subject: &str,
    version: i32,
    id: i32,
    text: &str,
) -> registry_core::Applied {
    let (key, value) = schema_record(subject, version, id, text, false);
    apply(registry, &key, Some(&value))
}

fn register(subject: &str, text: &str) -> Command {
    let mut body = String::from("{\"schema\":");
    java_idioms::json::write_string(text, &mut body);
    body.push('}');
    Command::Register {
        subject: subject.to_owned(),
        body: Some(body.into_bytes()),
        flags: Flags::default(),
    }
}

fn record(name: &str) -> String {
    format!("{{\"type\":\"record\",\"name\":\"{name}\",\"fields\":[]}}")
}

fn write(registry: &Registry, command: &Command) -> (Vec<TopicWrite>, Pending) {
    match registry.plan(command).expect("a plan") {
        Plan::Write(writes, pending) => (writes, pending),
        Plan::Answer(answer) => panic!("nothing to write: {answer:?}"),
    }
}

fn apply_all(registry: &Registry, writes: &[TopicWrite]) {
    for record in writes {
        assert_eq!(
            apply(registry, &record.key, record.value.as_deref()).skipped,
            None
        );
    }
}

fn text(answer: Result<Answer, RegistryError>) -> String {
    match answer {
        Ok(Answer {
            body: Body::Text(text),
            ..
        }) => text,
        Ok(other) => format!("{other:?}"),
        Err(error) => error.body(),
    }
}

fn versions(registry: &Registry, subject: &str) -> String {
    text(registry.query(&Query::Versions {
        subject: subject.to_owned(),
        deleted: true,
        deleted_only: false,
        deleted_as_negative: true,
        page: Page::default(),
    }))
}

#[test]
fn a_topic_of_garbage_is_survived_and_named() {
    let registry = registry();
    let (key, value) = schema_record("s", 1, 1, "\"int\"", false);
    for (key, value) in [
        (None, None),
        (None, Some("x")),
        (Some("garbage"), Some("x")),
        (Some("{\"keytype\":\"OTHER\",\"magic\":0}"), Some("{}")),
        (Some("{\"magic\":0}"), None),
        (Some("{\"keytype\":\"CONFIG\",\"magic\":3}"), None),
        (Some(key.as_str()), Some("{")),
        (Some(key.as_str()), Some("{\"id\":\"x\"}")),
        (
            Some("{\"keytype\":\"MODE\",\"magic\":0}"),
            Some("{\"mode\":\"SIDEWAYS\"}"),
        ),
        (
            Some("{\"keytype\":\"CONFIG\",\"magic\":0}"),
            Some("{\"compatibilityLevel\":\"SIDEWAYS\"}"),
        ),
    ] {
        let applied = registry.apply(key.map(str::as_bytes), value.map(str::as_bytes), 42, 0);
        let why = applied.skipped.expect("skipped");
        assert!(why.starts_with("record at offset 42: "), "{why}");
        assert!(applied.corrections.is_empty());
    }
    assert!(
        registry
            .apply(Some(b"\xff\xfe"), Some(b"\xff"), 0, 0)
            .skipped
            .is_some()
    );
    // Deletions of what is not there are fine.
    for (key, value) in [
        (key.as_str(), None),
        ("{\"keytype\":\"NOOP\",\"magic\":0}", None),
        (
            "{\"keytype\":\"DELETE_SUBJECT\",\"subject\":\"gone\",\"magic\":0}",
            Some("{\"subject\":\"gone\",\"version\":3}"),
        ),
        ("{\"keytype\":\"CLEAR_SUBJECT\",\"magic\":0}", Some("{}")),
        (
            "{\"keytype\":\"CONTEXT\",\"tenant\":\"default\",\"context\":\".c\",\"magic\":0}",
            None,
        ),
    ] {
        assert_eq!(apply(&registry, key, value).skipped, None, "{key}");
    }
    assert_eq!(apply(&registry, &key, Some(&value)).skipped, None);
    assert_eq!(versions(&registry, "s"), "[1]");
}

#[test]
fn versions_come_in_any_order_with_gaps_and_deleted_first() {
    let registry = registry();
    let (key, value) = schema_record("s", 9, 5, "\"long\"", true);
    apply(&registry, &key, Some(&value));
    put(&registry, "s", 4, 2, "\"int\"");
    put(&registry, "s", 4, 2, "\"int\"");
    put(&registry, "s", 7, 3, "\"string\"");
    assert_eq!(versions(&registry, "s"), "[4,7,-9]");
    let latest = text(registry.query(&Query::Version {
        subject: "s".to_owned(),
        version: "latest".to_owned(),
        format: None,
        reference_format: None,
        deleted: true,
        find_tags: Vec::new(),
    }));
    assert!(latest.contains("\"version\":7"), "{latest}");
    // A soft-deleted version counts for numbers and ids.
    let (writes, _) = write(&registry, &register("s", "[\"string\",\"double\"]"));
    assert!(
        writes[0]
            .value
            .as_deref()
            .expect("a value")
            .contains("\"version\":10,\"id\":6,"),
        "{writes:?}"
    );
}

#[test]
fn records_of_other_products_keep_their_key_bytes() {
    let registry = registry();
    let foreign = "{\"subject\":\"k\",\"version\":1,\"magic\":1,\"keytype\":\"SCHEMA\"}";
    apply(
        &registry,
        foreign,
        Some(
            "{\"subject\":\"k\",\"version\":1,\"id\":1,\"schema\":\"\\\"int\\\"\",\"deleted\":false}",
        ),
    );
    let config = "{\"keytype\":\"CONFIG\",\"subject\":null,\"magic\":0}";
    apply(&registry, config, Some("{\"compatibilityLevel\":\"FULL\"}"));
    let delete = Command::DeleteVersion {
        subject: "k".to_owned(),
        version: "1".to_owned(),
        flags: Flags::default(),
    };
    let (writes, pending) = write(&registry, &delete);
    assert_eq!(writes[0].key, foreign);
    apply_all(&registry, &writes);
    assert_eq!(text(pending.answer(&registry)), "1");
    let (writes, _) = write(
        &registry,
        &Command::DeleteSubject {
            subject: "k".to_owned(),
            flags: Flags {
                permanent: true,
                ..Flags::default()
            },
        },
    );
    assert_eq!(
        writes,
        [TopicWrite {
            key: foreign.to_owned(),
            value: None
        }]
    );
    let (writes, _) = write(
        &registry,
        &Command::PutConfig {
            subject: None,
            body: Some(b"{\"compatibility\":\"none\"}".to_vec()),
        },
    );
    assert_eq!(
        writes,
        [TopicWrite {
            key: config.to_owned(),
            value: Some("{\"compatibilityLevel\":\"NONE\"}".to_owned())
        }]
    );
}

#[test]
fn an_id_keeps_its_first_schema() {
    let registry = registry();
    put(&registry, "a", 1, 1, "\"int\"");
    put(&registry, "b", 1, 2, "\"long\"");
    let applied = put(&registry, "b", 1, 1, "\"string\"");
    assert!(applied.skipped.expect("a conflict").contains("id 1"));
    // What was there before is written again.
    let (key, _) = schema_record("b", 1, 2, "\"long\"", false);
    assert_eq!(applied.corrections, [TopicWrite {
        key,
        value: Some(
            "{\"subject\":\"b\",\"version\":1,\"id\":2,\"schemaType\":\"AVRO\",\"schema\":\"\\\"long\\\"\",\"deleted\":false}"
                .to_owned()
        )
    }]);
    let applied = put(&registry, "c", 1, 1, "\"string\"");
    assert_eq!(applied.corrections.len(), 1);
    assert_eq!(applied.corrections[0].value, None);
}

#[test]
fn a_leader_that_lost_says_so() {
    let registry = registry();
    let (writes, pending) = write(&registry, &register("s", &record("A")));
    // Another leader's record with the same id came first.
    put(&registry, "other", 1, 1, &record("B"));
    let applied = apply(&registry, &writes[0].key, writes[0].value.as_deref());
    assert!(applied.skipped.is_some());
    assert_eq!(pending.answer(&registry).expect_err("lost").code, 50001);

    // Another leader's record overwrote this one's version.
    let (writes, pending) = write(&registry, &register("t", &record("C")));
    apply_all(&registry, &writes);
    put(&registry, "t", 1, 99, &record("D"));
    assert_eq!(pending.answer(&registry).expect_err("lost").code, 50001);

    // Deleted by somebody after it took effect: it did take effect.
    let (writes, pending) = write(&registry, &register("u", &record("E")));
    apply_all(&registry, &writes);
    apply(&registry, &writes[0].key, None);
    assert!(pending.answer(&registry).is_ok());
}

#[test]
fn plans_written_together_have_their_own_ids() {
    let registry = registry();
    let (first, a) = write(&registry, &register("a", &record("A")));
    let (second, b) = write(&registry, &register("b", &record("B")));
    assert!(a.is_independent_of(&b) && b.is_independent_of(&a));
    apply_all(&registry, &first);
    apply_all(&registry, &second);
    assert!(text(a.answer(&registry)).starts_with("{\"id\":1,\"version\":1,"));
    assert!(text(b.answer(&registry)).starts_with("{\"id\":2,\"version\":1,"));
    // A plan that is dropped gives its id back.
    drop(write(&registry, &register("c", &record("C"))));
    let (writes, pending) = write(&registry, &register("c", &record("D")));
    assert!(
        writes[0]
            .value
            .as_deref()
            .expect("a value")
            .contains("\"id\":3,")
    );
    // One whose write may have happened does not.
    assert_eq!(pending.timed_out().code, 50002);
    let (writes, _) = write(&registry, &register("c", &record("E")));
    assert!(
        writes[0]
            .value
            .as_deref()
            .expect("a value")
            .contains("\"id\":4,")
    );
    registry.end_of_leadership_reset();
    let (writes, _) = write(&registry, &register("c", &record("F")));
    assert!(
        writes[0]
            .value
            .as_deref()
            .expect("a value")
            .contains("\"id\":3,")
    );
}

#[test]
fn plans_that_see_each_other_are_not_independent() {
    let registry = registry();
    put(&registry, "base", 1, 1, &record("Base"));
    let plan = |command: &Command| write(&registry, command).1;
    let a = plan(&register("a", &record("A")));
    // The same subject, the same content, a record of the same context, a reference, a configuration.
    assert!(!a.is_independent_of(&plan(&register("a", &record("B")))));
    assert!(!a.is_independent_of(&plan(&register("b", &record("A")))));
    assert!(
        !plan(&register(":.c:a", &record("A")))
            .is_independent_of(&plan(&register(":.c:b", &record("B"))))
    );
    let referring = plan(&Command::Register {
        subject: "r".to_owned(),
        body: Some(
            b"{\"schema\":\"{\\\"type\\\":\\\"array\\\",\\\"items\\\":\\\"Base\\\"}\",\"references\":[{\"name\":\"Base\",\"subject\":\"base\",\"version\":-1}]}"
                .to_vec(),
        ),
        flags: Flags::default(),
    });
    let base = plan(&Command::DeleteVersion {
        subject: "base".to_owned(),
        version: "1".to_owned(),
        flags: Flags::default(),
    });
    assert!(!referring.is_independent_of(&base) && !base.is_independent_of(&referring));
    let config = plan(&Command::PutConfig {
        subject: Some("a".to_owned()),
        body: Some(b"{}".to_vec()),
    });
    assert!(!a.is_independent_of(&config));
    assert!(config.is_independent_of(&plan(&register("b", &record("B")))));
    let global = plan(&Command::PutConfig {
        subject: None,
        body: Some(b"{}".to_vec()),
    });
    assert!(!global.is_independent_of(&config));
}

#[test]
fn reference_loops_and_chains_end() {
    let registry = registry();
    // a refers to b, b to a: only a damaged topic holds that.
    for (subject, other, id) in [("a", "b", 1), ("b", "a", 2)] {
        let (key, _) = schema_record(subject, 1, id, "", false);
        let value = format!(
            "{{\"subject\":\"{subject}\",\"version\":1,\"id\":{id},\"references\":[{{\"name\":\"{other}\",\"subject\":\"{other}\",\"version\":1}}],\"schema\":\"{{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"{subject}\\\",\\\"fields\\\":[]}}\",\"deleted\":false}}"
        );
        assert_eq!(apply(&registry, &key, Some(&value)).skipped, None);
    }
    // A chain longer than the limit.
    for i in 0..1500 {
        let (key, _) = schema_record(&format!("n{i}"), 1, 100 + i, "", false);
        let value = format!(
            "{{\"subject\":\"n{i}\",\"version\":1,\"id\":{},\"references\":[{{\"name\":\"N{}\",\"subject\":\"n{}\",\"version\":1}}],\"schema\":\"{{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"N{i}\\\",\\\"fields\\\":[]}}\",\"deleted\":false}}",
            100 + i,
            i + 1,
            i + 1
        );
        apply(&registry, &key, Some(&value));
    }
    for reference in ["a", "n0"] {
        let started = std::time::Instant::now();
        let command = Command::Register {
            subject: "c".to_owned(),
            body: Some(
                format!("{{\"schema\":\"\\\"int\\\"\",\"references\":[{{\"name\":\"x\",\"subject\":\"{reference}\",\"version\":1}}]}}")
                    .into_bytes(),
            ),
            flags: Flags::default(),
        };
        let _ = registry.plan(&command);
        assert!(started.elapsed().as_secs() < 5, "{reference}");
    }
}

#[test]
fn encrypted_metadata_keep_their_hash() {
    let registry = registry();
    let (key, _) = schema_record("s", 1, 1, "", false);
    let value = "{\"subject\":\"s\",\"version\":1,\"id\":1,\"md5\":\"CV1xzxJVa51eMwrVdbPfXQ==\",\"schemaType\":\"AVRO\",\"metadata\":{\"properties\":{\"secret\":\"AbCd\"},\"sensitive\":[\"secret\"]},\"schema\":\"\\\"string\\\"\",\"deleted\":false}";
    assert_eq!(apply(&registry, &key, Some(value)).skipped, None);
    let shown = text(registry.query(&Query::SchemaByGuid {
        guid: "095d71cf-1255-6b9d-5e33-0ad575b3df5d".to_owned(),
        format: None,
    }));
    assert!(
        shown.contains(
            "\"metadata\":{\"properties\":{\"secret\":\"AbCd\"},\"sensitive\":[\"secret\"]}"
        ),
        "{shown}"
    );
    let (writes, _) = write(
        &registry,
        &Command::DeleteVersion {
            subject: "s".to_owned(),
            version: "1".to_owned(),
            flags: Flags::default(),
        },
    );
    assert_eq!(
        writes[0].value.as_deref(),
        Some(
            value
                .replace("\"deleted\":false", "\"deleted\":true")
                .as_str()
        )
    );
}

#[test]
fn what_is_sent_and_written_escapes_surrogates_and_bare_texts_do_not() {
    let registry = registry();
    let command = register("s😀", r#"{"type":"string","a":"é😀"}"#);
    let (writes, pending) = write(&registry, &command);
    assert_eq!(
        writes[0].key,
        r#"{"keytype":"SCHEMA","subject":"s\uD83D\uDE00","version":1,"magic":1}"#
    );
    let escaped = r#""schema":"{\"type\":\"string\",\"a\":\"é\uD83D\uDE00\"}""#;
    let value = writes[0].value.as_deref().expect("a value");
    assert!(value.contains(escaped), "{value}");
    apply_all(&registry, &writes);
    let answer = text(pending.answer(&registry));
    assert!(answer.contains(escaped), "{answer}");
    let by_id = || Query::SchemaById {
        id: 1,
        subject: None,
        format: None,
        reference_format: None,
        fetch_max_id: false,
        find_tags: Vec::new(),
    };
    // The second time it is ready-made.
    for _ in 0..2 {
        let shown = text(registry.query(&by_id()));
        assert!(shown.contains(escaped), "{shown}");
        assert!(shown.contains(r#""subject":"s\uD83D\uDE00""#), "{shown}");
    }
    let bare = text(registry.query(&Query::SchemaTextById {
        id: 1,
        subject: None,
        format: None,
    }));
    assert_eq!(bare, r#"{"type":"string","a":"é😀"}"#);
    let error = registry
        .query(&Query::Versions {
            subject: "x😀".to_owned(),
            deleted: false,
            deleted_only: false,
            deleted_as_negative: false,
            page: Page::default(),
        })
        .expect_err("unknown");
    assert_eq!(
        error.body(),
        r#"{"error_code":40401,"message":"Subject 'x\uD83D\uDE00' not found."}"#
    );
}

#[test]
fn what_was_imported_unchecked_cannot_always_be_normalized() {
    let registry = registry();
    apply(
        &registry,
        r#"{"keytype":"MODE","magic":0}"#,
        Some(r#"{"mode":"IMPORT"}"#),
    );
    let import = |id: i32, normalize: bool| {
        Command::Register {
        subject: "p".to_owned(),
        body: Some(
            format!(
                r#"{{"schemaType":"PROTOBUF","id":{id},"version":{id},"schema":"syntax = \"proto3\"; message M {{ no.Such f{id} = 1; }}"}}"#
            )
            .into_bytes(),
        ),
        flags: Flags {
            normalize,
            ..Flags::default()
        },
    }
    };
    let (writes, _) = write(&registry, &import(1, false));
    assert_eq!(writes.len(), 1);
    let error = registry.plan(&import(2, true)).expect_err("no such type");
    assert_eq!(error.code, 42201, "{}", error.message);
    assert!(
        error.message.contains("Could not resolve type: no.Such"),
        "{}",
        error.message
    );
}
