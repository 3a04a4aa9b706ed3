//! Many schemas. The numbers are printed; `REGISTRY_SCALE` sets how many.

use std::time::Instant;

use registry_core::{Command, Flags, Plan, Query, Registry, Settings};

fn schemas() -> usize {
    std::env::var("REGISTRY_SCALE")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(2000)
}

fn schema(fields: usize, salt: usize) -> String {
    let fields: Vec<String> = (0..fields)
        .map(|i| {
            format!("{{\"name\":\"f{i}_{salt}\",\"type\":[\"null\",\"string\"],\"default\":null}}")
        })
        .collect();
    format!(
        "{{\"type\":\"record\",\"name\":\"R\",\"fields\":[{}]}}",
        fields.join(",")
    )
}

fn record(subject: &str, version: usize, id: usize, text: &str) -> (String, String) {
    let mut schema = String::new();
    java_idioms::json::write_string(text, &mut schema);
    (
        format!(
            "{{\"keytype\":\"SCHEMA\",\"subject\":\"{subject}\",\"version\":{version},\"magic\":1}}"
        ),
        format!(
            "{{\"subject\":\"{subject}\",\"version\":{version},\"id\":{id},\"schemaType\":\"AVRO\",\"schema\":{schema},\"deleted\":false}}"
        ),
    )
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .and_then(|l| l.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

#[test]
fn many_subjects_load_and_are_read_by_id() {
    let count = schemas();
    let registry = Registry::new(Settings::default());
    let records: Vec<_> = (0..count)
        .map(|i| record(&format!("subject-{i}-value"), 1, i + 1, &schema(15, i)))
        .collect();
    let bytes: usize = records.iter().map(|(_, v)| v.len()).sum();
    let before = resident();
    let started = Instant::now();
    for (offset, (key, value)) in records.iter().enumerate() {
        let applied = registry.apply(
            Some(key.as_bytes()),
            Some(value.as_bytes()),
            offset as i64,
            1,
        );
        assert_eq!(applied.skipped, None);
    }
    let loaded = started.elapsed();
    let memory = resident().saturating_sub(before);
    let mut out = String::new();
    let started = Instant::now();
    let reads = 100_000;
    for i in 0..reads {
        out.clear();
        let query = Query::SchemaById {
            id: i32::try_from(i % count + 1).expect("small"),
            subject: None,
            format: None,
            reference_format: None,
            fetch_max_id: false,
            find_tags: Vec::new(),
        };
        registry.query_into(&query, &mut out).expect("an answer");
    }
    let read = started.elapsed();
    eprintln!(
        "{count} schemas of {} bytes: loaded in {loaded:?}, {memory} kB; a read by id {:?}; {} kB after the reads",
        bytes / count.max(1),
        read / reads as u32,
        resident().saturating_sub(before)
    );
    assert_eq!(registry.statistics().versions, count);
}

#[test]
fn a_subject_of_many_versions_takes_one_more() {
    let count = schemas() / 10;
    let registry = Registry::new(Settings::default());
    registry.apply(
        Some(b"{\"keytype\":\"CONFIG\",\"magic\":0}"),
        Some(b"{\"compatibilityLevel\":\"FULL_TRANSITIVE\"}"),
        0,
        0,
    );
    for i in 0..count {
        let (key, value) = record("s", i + 1, i + 1, &schema(10 + i % 7, i));
        registry.apply(Some(key.as_bytes()), Some(value.as_bytes()), i as i64, 1);
    }
    let before = resident();
    let mut times = Vec::new();
    for round in 0..5 {
        let mut body = String::from("{\"schema\":");
        java_idioms::json::write_string(&schema(12, count + round), &mut body);
        body.push('}');
        let started = Instant::now();
        let plan = registry
            .plan(&Command::Register {
                subject: "s".to_owned(),
                body: Some(body.into_bytes()),
                flags: Flags::default(),
            })
            .expect("compatible");
        times.push(started.elapsed());
        let Plan::Write(writes, pending) = plan else {
            panic!("a new schema");
        };
        for write in &writes {
            registry.apply(
                Some(write.key.as_bytes()),
                write.value.as_deref().map(str::as_bytes),
                0,
                1,
            );
        }
        pending.answer(&registry).expect("took effect");
    }
    eprintln!(
        "one more than {count} versions under FULL_TRANSITIVE: {times:?}; {} kB more; {:?}",
        resident().saturating_sub(before),
        registry.statistics()
    );
}

#[test]
fn warming_up_parses_long_transitive_subjects_only() {
    let load = |level: &str| {
        let registry = Registry::new(Settings::default());
        let level = format!("{{\"compatibilityLevel\":\"{level}\"}}");
        registry.apply(
            Some(b"{\"keytype\":\"CONFIG\",\"magic\":0}"),
            Some(level.as_bytes()),
            0,
            0,
        );
        for i in 0..300 {
            let (key, value) = record("long", i + 1, i + 1, &schema(3, i));
            registry.apply(Some(key.as_bytes()), Some(value.as_bytes()), 1, 1);
        }
        let (key, value) = record("short", 1, 301, &schema(3, 1000));
        registry.apply(Some(key.as_bytes()), Some(value.as_bytes()), 1, 1);
        let parsed = registry.warm_up();
        (parsed, registry.statistics().parsed_bytes > 0)
    };
    assert_eq!(load("FULL_TRANSITIVE"), (300, true));
    assert_eq!(load("FULL"), (0, false));
}

#[test]
fn the_newest_failing_version_is_reported_whatever_the_number_of_threads() {
    let registry = Registry::new(Settings::default());
    registry.apply(
        Some(b"{\"keytype\":\"CONFIG\",\"magic\":0}"),
        Some(b"{\"compatibilityLevel\":\"BACKWARD_TRANSITIVE\"}"),
        0,
        0,
    );
    for i in 0..1000 {
        let text = if matches!(i, 100 | 300 | 700) {
            "\"int\"".to_owned()
        } else {
            schema(3, i)
        };
        let (key, value) = record("s", i + 1, i + 1, &text);
        registry.apply(Some(key.as_bytes()), Some(value.as_bytes()), 1, 1);
    }
    let mut body = String::from("{\"schema\":");
    java_idioms::json::write_string(&schema(3, 5000), &mut body);
    body.push('}');
    let error = registry
        .plan(&Command::Register {
            subject: "s".to_owned(),
            body: Some(body.into_bytes()),
            flags: Flags::default(),
        })
        .expect_err("incompatible");
    assert!(
        error.message.contains("{oldSchemaVersion: 701}"),
        "{}",
        error.message
    );
    assert!(!error.message.contains("{oldSchemaVersion: 301}"));
}
