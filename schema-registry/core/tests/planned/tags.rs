//! Tags that are put into a schema's text by a request of their own.

use registry_core::{Command, Flags};

use crate::played::Played;

fn register(body: &str) -> Command {
    Command::Register {
        subject: "s".to_owned(),
        body: Some(body.as_bytes().to_vec()),
        flags: Flags::default(),
    }
}

fn tag(kind: &str, path: &str) -> Command {
    let body = format!(
        r#"{{"tagsToAdd":[{{"schemaEntity":{{"entityPath":"{path}","entityType":"{kind}"}},"tags":["PII"]}}]}}"#
    );
    Command::ModifyTags {
        subject: "s".to_owned(),
        version: "latest".to_owned(),
        body: Some(body.into_bytes()),
    }
}

#[test]
fn every_format_takes_tags() {
    for (schema, path) in [
        (
            r#"{"schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}"}"#,
            "R.a",
        ),
        (
            r#"{"schemaType":"JSON","schema":"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}"}"#,
            "object.a",
        ),
        (
            r#"{"schemaType":"PROTOBUF","schema":"syntax = \"proto3\"; message M { string a = 1; }"}"#,
            "M.a",
        ),
    ] {
        let mut played = Played::new();
        assert_eq!(played.change(&register(schema)).0, 200, "{schema}");
        let (status, answer) = played.change(&tag("sr_field", path));
        assert_eq!(status, 200, "{answer}");
        assert!(
            answer.contains(r#""version":2"#) && answer.contains("PII"),
            "{answer}"
        );
        // What is there already changes nothing.
        let (_, again) = played.change(&tag("sr_field", path));
        assert!(again.contains("PII"), "{again}");
        let (status, answer) = played.change(&tag("sr_record", "Nobody"));
        assert_eq!(status, 422, "{answer}");
        assert!(
            answer.starts_with(
                r#"{"error_code":42201,"message":"java.lang.IllegalArgumentException: No matching"#
            ),
            "{answer}"
        );
    }
}
