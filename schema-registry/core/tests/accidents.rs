//! Answers of the original that follow from how it looks things up, and that clients may see.

use registry_core::{
    Answer, Body, Command, Flags, Page, Plan, Query, Registry, RegistryError, Settings,
};

fn text(answer: Result<Answer, RegistryError>) -> (u16, String) {
    match answer {
        Ok(Answer {
            status,
            body: Body::Text(text),
        }) => (status, text),
        Ok(Answer { status, .. }) => (status, String::new()),
        Err(error) => (error.status(), error.body()),
    }
}

fn change(registry: &Registry, command: &Command) -> (u16, String) {
    text(match registry.plan(command) {
        Ok(Plan::Answer(answer)) => Ok(answer),
        Ok(Plan::Write(writes, pending)) => {
            for write in &writes {
                let value = write.value.as_deref().map(str::as_bytes);
                registry.apply(Some(write.key.as_bytes()), value, 0, 5);
            }
            pending.answer(registry)
        }
        Err(error) => Err(error),
    })
}

fn register(registry: &Registry, subject: &str, body: &str) -> (u16, String) {
    change(
        registry,
        &Command::Register {
            subject: subject.to_owned(),
            body: Some(body.as_bytes().to_vec()),
            flags: Flags::default(),
        },
    )
}

fn import(registry: &Registry, subject: &str) {
    let (status, text) = change(
        registry,
        &Command::PutMode {
            subject: Some(subject.to_owned()),
            body: Some(br#"{"mode":"IMPORT"}"#.to_vec()),
            flags: Flags::default(),
        },
    );
    assert_eq!(status, 200, "{text}");
}

fn versions_of_id(registry: &Registry, id: i32) -> (u16, String) {
    text(registry.query(&Query::VersionsOfId {
        id,
        subject: None,
        deleted: true,
        page: Page::default(),
    }))
}

#[test]
fn a_content_that_was_imported_with_two_ids_has_the_uses_of_the_later() {
    let registry = Registry::new(Settings::default());
    import(&registry, "s");
    for (id, version) in [(7, 1), (9, 2)] {
        let body = format!(r#"{{"schema":"\"int\"","id":{id},"version":{version}}}"#);
        assert_eq!(register(&registry, "s", &body).0, 200);
    }
    let later = r#"[{"subject":"s","version":2}]"#;
    assert_eq!(versions_of_id(&registry, 7), (200, later.to_owned()));
    assert_eq!(versions_of_id(&registry, 9), (200, later.to_owned()));
    // By id alone each shows its own version.
    let (_, by_id) = text(registry.query(&Query::SchemaById {
        id: 7,
        subject: None,
        format: None,
        reference_format: None,
        fetch_max_id: false,
        find_tags: Vec::new(),
    }));
    assert!(by_id.contains("\"version\":1"), "{by_id}");
}

#[test]
fn a_subject_is_looked_for_before_its_page() {
    let registry = Registry::new(Settings::default());
    assert_eq!(register(&registry, "s", r#"{"schema":"\"int\""}"#).0, 200);
    let page = |subject: &str| {
        let page = Page {
            offset: Some(-1),
            limit: None,
        };
        text(registry.query(&Query::Versions {
            subject: subject.to_owned(),
            deleted: false,
            deleted_only: false,
            deleted_as_negative: false,
            page,
        }))
        .0
    };
    assert_eq!((page("s"), page("unknown")), (500, 404));
}

#[test]
fn a_mark_of_the_byte_order_is_skipped() {
    let registry = Registry::new(Settings::default());
    let (status, text) = register(&registry, "s", "\u{feff}{\"schema\":\"\\\"int\\\"\"}");
    assert_eq!(status, 200, "{text}");
}

#[test]
fn long_rows_of_versions_that_were_never_parsed_are_compared_as_whole_ones_are() {
    let field = |name: &str, of: &str, default: &str| {
        format!(r#"{{\"name\":\"{name}\",\"type\":{of}{default}}}"#)
    };
    let schema = |fields: &[String]| {
        format!(
            r#"{{\"type\":\"record\",\"name\":\"R\",\"fields\":[{}]}}"#,
            fields.join(",")
        )
    };
    let int = r#"\"int\""#;
    let one = r#",\"default\":1"#;
    let start = |odd: &str| {
        let registry = Registry::new(Settings::default());
        for version in 1..=600 {
            let own = match version {
                300 => odd.to_owned(),
                _ => field(&format!("own_{version}"), int, one),
            };
            let text = schema(&[field("a", int, ""), own]);
            let key =
                format!(r#"{{"keytype":"SCHEMA","subject":"s","version":{version},"magic":1}}"#);
            let value = format!(
                r#"{{"subject":"s","version":{version},"id":{version},"schema":"{text}","deleted":false}}"#
            );
            let applied = registry.apply(Some(key.as_bytes()), Some(value.as_bytes()), 0, 0);
            assert_eq!(applied.skipped, None);
        }
        registry.apply(
            Some(br#"{"keytype":"CONFIG","subject":"s","magic":0}"#),
            Some(br#"{"subject":"s","compatibilityLevel":"FULL_TRANSITIVE"}"#),
            0,
            0,
        );
        registry
    };
    let new = schema(&[field("a", int, ""), field("new", int, one)]);
    let body = format!(r#"{{"schema":"{new}"}}"#);
    // All alike: nothing of the stored versions has to be parsed.
    let registry = start(&field("own_300", int, one));
    let (status, answer) = register(&registry, "s", &body);
    assert_eq!(status, 200, "{answer}");
    assert!(registry.statistics().parsed_bytes < 100_000);
    // One that the new schema's readers cannot do without, one whose type changed, one that is no schema.
    for (odd, expected) in [
        (field("b", int, ""), "READER_FIELD_MISSING_DEFAULT_VALUE"),
        (field("new", r#"\"string\""#, ""), "TYPE_MISMATCH"),
        (
            field("b", r#"\"Nothing\""#, one),
            "Undefined schema: Nothing",
        ),
        (field("a", int, one), "Duplicate field a in record R"),
    ] {
        let (status, answer) = register(&start(&odd), "s", &body);
        assert_ne!(status, 200, "{odd}");
        assert!(answer.contains(expected), "{odd}: {answer}");
    }
}
