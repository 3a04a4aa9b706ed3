//! Answers of the original that follow from how it looks things up, and that clients may see.

use registry_core::{Command, Flags, Page, Query};

use crate::played::{Played, text};

fn register(played: &mut Played, subject: &str, body: &str) -> (u16, String) {
    played.change(&Command::Register {
        subject: subject.to_owned(),
        body: Some(body.as_bytes().to_vec()),
        flags: Flags::default(),
    })
}

fn import(played: &mut Played, subject: &str) {
    let (status, text) = played.change(&Command::PutMode {
        subject: Some(subject.to_owned()),
        body: Some(br#"{"mode":"IMPORT"}"#.to_vec()),
        flags: Flags::default(),
    });
    assert_eq!(status, 200, "{text}");
}

fn versions_of_id(played: &Played, id: i32) -> (u16, String) {
    text(played.registry.query(&Query::VersionsOfId {
        id,
        subject: None,
        deleted: true,
        page: Page::default(),
    }))
}

#[test]
fn a_content_that_was_imported_with_two_ids_has_the_uses_of_the_later() {
    let mut played = Played::new();
    import(&mut played, "s");
    for (id, version) in [(7, 1), (9, 2)] {
        let body = format!(r#"{{"schema":"\"int\"","id":{id},"version":{version}}}"#);
        assert_eq!(register(&mut played, "s", &body).0, 200);
    }
    let later = r#"[{"subject":"s","version":2}]"#;
    assert_eq!(versions_of_id(&played, 7), (200, later.to_owned()));
    assert_eq!(versions_of_id(&played, 9), (200, later.to_owned()));
    // By id alone each shows its own version.
    let (_, by_id) = text(played.registry.query(&Query::SchemaById {
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
    let mut played = Played::new();
    assert_eq!(register(&mut played, "s", r#"{"schema":"\"int\""}"#).0, 200);
    let page = |subject: &str| {
        let page = Page {
            offset: Some(-1),
            limit: None,
        };
        text(played.registry.query(&Query::Versions {
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
    let mut played = Played::new();
    let (status, text) = register(&mut played, "s", "\u{feff}{\"schema\":\"\\\"int\\\"\"}");
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
        let played = Played::new();
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
            let applied = played
                .registry
                .apply(Some(key.as_bytes()), Some(value.as_bytes()), 0, 0);
            assert_eq!(applied.skipped, None);
        }
        played.registry.apply(
            Some(br#"{"keytype":"CONFIG","subject":"s","magic":0}"#),
            Some(br#"{"subject":"s","compatibilityLevel":"FULL_TRANSITIVE"}"#),
            0,
            0,
        );
        played
    };
    let new = schema(&[field("a", int, ""), field("new", int, one)]);
    let body = format!(r#"{{"schema":"{new}"}}"#);
    // All alike: nothing of the stored versions has to be parsed.
    let mut played = start(&field("own_300", int, one));
    let (status, answer) = register(&mut played, "s", &body);
    assert_eq!(status, 200, "{answer}");
    assert!(played.registry.statistics().parsed_bytes < 100_000);
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
        let (status, answer) = register(&mut start(&odd), "s", &body);
        assert_ne!(status, 200, "{odd}");
        assert!(answer.contains(expected), "{odd}: {answer}");
    }
}
