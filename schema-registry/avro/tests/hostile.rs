//! Input that was made to do harm: it gets an answer soon, on a small stack, with bounded memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use registry_avro::datum::{Datum, Problem, ReadPlan, write_long};
use registry_avro::{AvroSchema, Direction, Strictness};

/// Generous: tests are not optimised and share the machine. What these inputs provoke is exponential.
const SOON: Duration = Duration::from_secs(20);

/// Threads of the product have 2 MB. Unoptimised frames, those of the JSON reader above all, are several times larger.
const STACK: usize = if cfg!(debug_assertions) {
    16 << 20
} else {
    2 << 20
};

fn soon<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let began = Instant::now();
    let answer = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(f)
        .expect("a thread")
        .join()
        .expect("an answer");
    assert!(began.elapsed() < SOON, "took {:?}", began.elapsed());
    answer
}

fn parse(text: &str) -> AvroSchema {
    AvroSchema::parse(text, &[], Strictness::New).unwrap_or_else(|error| panic!("{error}"))
}

fn arrays(depth: usize) -> String {
    format!(
        "{}\"int\"{}",
        r#"{"type":"array","items":"#.repeat(depth),
        "}".repeat(depth)
    )
}

/// Each record has a field of the next, which comes later in the text.
fn forward(count: usize) -> String {
    let mut records: Vec<String> = (0..count)
        .map(|i| {
            format!(
                r#"{{"type":"record","name":"R{i}","fields":[{{"name":"f","type":"R{}"}}]}}"#,
                i + 1
            )
        })
        .collect();
    records.push(format!(r#"{{"type":"fixed","name":"R{count}","size":1}}"#));
    format!("[{}]", records.join(","))
}

#[test]
fn nesting_is_bounded() {
    soon(|| {
        let error = AvroSchema::parse(&arrays(10_000), &[], Strictness::Stored).expect_err("deep");
        assert!(
            error.message.starts_with("Document nesting depth (1001)"),
            "{error}"
        );
        let deepest = parse(&arrays(1000));
        assert_eq!(deepest.canonical(), arrays(1000));
        assert_eq!(deepest.normalized(), arrays(1000));
        assert!(deepest.is_equivalent(&parse(&arrays(1000))));
        let found = AvroSchema::check(&deepest, &parse(&arrays(999)), Direction::Backward);
        assert_eq!(found.expect("comparable").len(), 1);
        // Flat text, nested output: nobody could read it back.
        let error = AvroSchema::parse(&forward(3000), &[], Strictness::New).expect_err("deep");
        assert!(error.message.contains("StreamWriteConstraints"), "{error}");
        parse(&forward(300));
    });
}

#[test]
fn long_chains_of_names_take_no_stack() {
    soon(|| {
        let mut records = vec![r#"{"type":"fixed","name":"R0","size":1}"#.to_owned()];
        for i in 1..20_000 {
            records.push(format!(
                r#"{{"type":"record","name":"R{i}","fields":[{{"name":"f","type":"R{}"}}]}}"#,
                i - 1
            ));
        }
        records.reverse();
        let references: Vec<Arc<str>> = records.iter().rev().map(|r| r.as_str().into()).collect();
        let schema =
            AvroSchema::parse("\"R9999\"", &references[..10_000], Strictness::New).expect("valid");
        assert_eq!(schema.canonical(), "\"R9999\"");
        assert_eq!(
            AvroSchema::check(&schema, &schema, Direction::Forward),
            Ok(Vec::new())
        );
        assert!(schema.is_equivalent(&schema.clone()));
        assert!(schema.resolved().len() > 500_000);
        assert!(ReadPlan::resolve(&schema, &schema).is_ok());
    });
}

fn doubling(leaf: &str) -> AvroSchema {
    let mut references: Vec<Arc<str>> = vec![
        format!(r#"{{"type":"record","name":"R0","fields":[{{"name":"x","type":"{leaf}"}}]}}"#)
            .into(),
    ];
    for i in 0..60 {
        references.push(format!(r#"{{"type":"record","name":"R{}","fields":[{{"name":"a","type":"R{i}","default":{{"x":0}}}},{{"name":"b","type":"R{i}"}}]}}"#, i + 1).into());
    }
    AvroSchema::parse("\"R60\"", &references, Strictness::Stored).expect("valid")
}

#[test]
fn findings_that_double_at_each_level_are_cut_off() {
    soon(|| {
        let found = AvroSchema::check(&doubling("int"), &doubling("string"), Direction::Backward);
        assert_eq!(found.expect("comparable").len(), 10_000);
    });
}

#[test]
fn defaults_that_double_at_each_level_are_refused() {
    soon(|| {
        let mut records = vec![r#"{"type":"record","name":"R0","fields":[]}"#.to_owned()];
        for i in 0..60 {
            records.push(format!(r#"{{"type":"record","name":"R{}","fields":[{{"name":"a","type":"R{i}","default":{{}}}},{{"name":"b","type":"R{i}","default":{{}}}}]}}"#, i + 1));
        }
        let types = records.join(",");
        let reader = parse(&format!(
            r#"{{"type":"record","name":"W","fields":[{{"name":"u","type":[{types}],"default":{{}}}},{{"name":"d","type":"R60","default":{{}}}}]}}"#
        ));
        let writer = parse(r#"{"type":"record","name":"W","fields":[]}"#);
        let error = ReadPlan::resolve(&writer, &reader).expect_err("2^60 records");
        assert!(error.message.contains("too large"), "{error}");
    });
}

#[test]
fn unions_of_many_records_are_given_up() {
    soon(|| {
        let union = |prefix: &str| {
            let records: Vec<String> = (0..3000)
                .map(|i| format!(r#"{{"type":"record","name":"{prefix}{i}","fields":[]}}"#))
                .collect();
            parse(&format!("[{}]", records.join(",")))
        };
        let error = AvroSchema::check(&union("A"), &union("B"), Direction::Backward);
        assert_eq!(
            error.expect_err("9 million pairs"),
            "The schemas are too large to be compared."
        );
    });
}

#[test]
fn data_cannot_claim_what_they_do_not_bring() {
    soon(|| {
        let list =
            parse(r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#);
        let plan = ReadPlan::new(&list).expect("a plan");
        let error = Datum::read(&plan, &[2; 1_000_000]).expect_err("deep");
        assert_eq!(error.problem(), &Problem::Depth);

        let mut count = Vec::new();
        write_long(&mut count, i64::MAX);
        let nulls = ReadPlan::new(&parse(r#"{"type":"array","items":"null"}"#)).expect("a plan");
        let error = Datum::read(&nulls, &count).expect_err("too many");
        assert_eq!(error.problem(), &Problem::EmptyItems);
        let longs = ReadPlan::new(&parse(r#"{"type":"map","values":"long"}"#)).expect("a plan");
        let error = Datum::read(&longs, &count).expect_err("too many");
        assert_eq!(
            error.problem(),
            &Problem::Length {
                expected: "block",
                length: i64::MAX
            }
        );
        let text = ReadPlan::new(&parse("\"string\"")).expect("a plan");
        assert!(matches!(
            Datum::read(&text, &count).expect_err("too long").problem(),
            Problem::End {
                expected: "string",
                ..
            }
        ));
        assert_eq!(
            Datum::read(&text, &[0xff; 11])
                .expect_err("no end")
                .problem(),
            &Problem::Varint { expected: "long" }
        );
    });
}
