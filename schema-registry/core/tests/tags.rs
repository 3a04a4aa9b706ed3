//! Tags that are put into a schema's text by a request of their own.

use registry_core::{Answer, Body, Command, Flags, Plan, Registry, RegistryError, Settings};

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

fn change(registry: &mut Registry, command: &Command) -> (u16, String) {
    text(match registry.plan(command) {
        Ok(Plan::Answer(answer)) => Ok(answer),
        Ok(Plan::Write(writes, pending)) => {
            for write in &writes {
                let value = write.value.as_deref().map(str::as_bytes);
                let applied = registry.apply(Some(write.key.as_bytes()), value, 0, 5);
                assert_eq!(applied.skipped, None);
            }
            pending.answer(registry)
        }
        Err(error) => Err(error),
    })
}

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
        let mut registry = Registry::new(Settings::default());
        assert_eq!(change(&mut registry, &register(schema)).0, 200, "{schema}");
        let (status, answer) = change(&mut registry, &tag("sr_field", path));
        assert_eq!(status, 200, "{answer}");
        assert!(
            answer.contains(r#""version":2"#) && answer.contains("PII"),
            "{answer}"
        );
        // What is there already changes nothing.
        let (_, again) = change(&mut registry, &tag("sr_field", path));
        assert!(again.contains("PII"), "{again}");
        let (status, answer) = change(&mut registry, &tag("sr_record", "Nobody"));
        assert_eq!(status, 422, "{answer}");
        assert!(
            answer.starts_with(
                r#"{"error_code":42201,"message":"java.lang.IllegalArgumentException: No matching"#
            ),
            "{answer}"
        );
    }
}
