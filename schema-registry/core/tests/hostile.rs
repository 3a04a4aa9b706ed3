//! Requests that are made to hurt end soon, with an answer, on a small stack.

use std::time::{Duration, Instant};

use registry_core::{Command, Flags, Query, Registry, RegistryError, Settings};

/// Far more than any of them takes, so that a slow machine does not fail the test.
const DEADLINE: Duration = Duration::from_secs(20);

fn body(schema_type: &str, schema: &str) -> Vec<u8> {
    let mut body = format!("{{\"schemaType\":\"{schema_type}\",\"schema\":");
    java_idioms::json::write_string(schema, &mut body);
    body.push('}');
    body.into_bytes()
}

fn register(registry: &Registry, body: Vec<u8>) -> Result<(), RegistryError> {
    let started = Instant::now();
    let outcome = registry
        .plan(&Command::Register {
            subject: "s".to_owned(),
            body: Some(body),
            flags: Flags::default(),
        })
        .map(|_| ());
    let took = started.elapsed();
    assert!(took < DEADLINE, "{took:?}");
    eprintln!(
        "{took:?} {:?}",
        outcome.as_ref().err().map(|e| (e.code, e.message.len()))
    );
    outcome
}

fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

#[test]
fn ten_thousand_levels() {
    let registry = Registry::new(Settings::default());
    for (schema_type, schema) in [
        (
            "AVRO",
            nested("{\"type\":\"array\",\"items\":", "\"int\"", "}", 10_000),
        ),
        ("AVRO", "[".repeat(10_000)),
        (
            "JSON",
            nested("{\"properties\":{\"a\":", "{}", "}}", 10_000),
        ),
        ("JSON", nested("{\"not\":", "{}", "}", 10_000)),
        ("JSON", nested("{\"not\":", "{}", "}", 501)),
        (
            "PROTOBUF",
            format!(
                "syntax = \"proto3\"; {}",
                nested("message M { ", "", " }", 10_000)
            ),
        ),
    ] {
        let error = register(&registry, body(schema_type, &schema)).expect_err(schema_type);
        assert_eq!(
            error.code,
            42201,
            "{schema_type}: {}",
            error.message.chars().take(200).collect::<String>()
        );
    }
    // As deep as is allowed.
    assert!(
        register(
            &registry,
            body(
                "AVRO",
                &nested("{\"type\":\"array\",\"items\":", "\"int\"", "}", 500)
            )
        )
        .is_ok()
    );
    let deep = format!(
        "{{\"schema\":\"\\\"int\\\"\",\"x\":{}}}",
        nested("[", "", "]", 10_000)
    );
    assert_eq!(
        register(&registry, deep.into_bytes())
            .expect_err("a deep body")
            .code,
        400
    );
}

#[test]
fn ten_megabytes() {
    let registry = Registry::new(Settings::default());
    let size = 10 << 20;
    let doc = format!(
        "{{\"type\":\"record\",\"name\":\"R\",\"doc\":\"{}\",\"fields\":[]}}",
        "x".repeat(size)
    );
    assert_eq!(
        register(&registry, body("AVRO", &doc))
            .expect_err("larger than a record may be")
            .code,
        42209
    );
    let wide = Registry::new(Settings {
        max_schema_bytes: 2 * size,
        ..Settings::default()
    });
    assert!(register(&wide, body("AVRO", &doc)).is_ok());
    assert_eq!(
        register(&registry, body("AVRO", &"x".repeat(size)))
            .expect_err("text")
            .code,
        42201
    );
    assert_eq!(
        register(&registry, body("JSON", &"[".repeat(size)))
            .expect_err("text")
            .code,
        42201
    );
    let over = " ".repeat(Settings::default().max_schema_bytes) + "\"int\"";
    assert_eq!(
        register(&registry, body("AVRO", &over))
            .expect_err("too large")
            .code,
        42209
    );
}

#[test]
fn enormous_versions_and_ids_are_refused() {
    let registry = Registry::new(Settings::default());
    for text in ["99999999999999999999", "-2147483649", "1e9", ""] {
        let query = Query::VersionText {
            subject: "s".to_owned(),
            version: text.to_owned(),
            format: None,
            deleted: false,
        };
        assert_eq!(registry.query(&query).expect_err(text).code, 42202);
    }
    // The highest version there can be leaves no room for another.
    let key = format!(
        "{{\"keytype\":\"SCHEMA\",\"subject\":\"s\",\"version\":{},\"magic\":1}}",
        i32::MAX
    );
    let value = format!(
        "{{\"subject\":\"s\",\"version\":{0},\"id\":{0},\"schema\":\"\\\"int\\\"\"}}",
        i32::MAX
    );
    assert_eq!(
        registry
            .apply(Some(key.as_bytes()), Some(value.as_bytes()), 0, 0)
            .skipped,
        None
    );
    let outcome = register(&registry, body("AVRO", "[\"int\",\"string\"]"));
    assert_eq!(outcome.expect_err("no id left").code, 50001);
}
