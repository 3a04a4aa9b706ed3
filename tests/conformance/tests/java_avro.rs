//! Our Avro beside Java's: verdicts on generated pairs of schemas, texts, fingerprints, and data. Java runs once.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use millrace_testkit::{cache, java};
use registry_avro::generate::{Generator, Pair};
use registry_avro::{AvroSchema, Direction, Strictness};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/java/AvroVerdicts.java");
const SEED: u64 = 20_261_127;
const PAIRS: usize = 12_000;
const SCHEMAS: usize = 2_000;
const DAMAGED: usize = 4_000;

/// What Java answers to these questions, a line each.
fn ask_java(questions: &[String]) -> Result<Vec<String>> {
    let jars = cache()?.join("avro-1.12.1/jars");
    ensure!(
        jars.is_dir(),
        "{} is missing: run tests/servers/install",
        jars.display()
    );
    let mut child = Command::new(java())
        .args([
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
        ])
        .arg(jars.join("*"))
        .arg(PROGRAM)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting java")?;
    let mut input = child.stdin.take().context("piped")?;
    let text = questions.join("\n") + "\n";
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output()?;
    writer.join().expect("the writer does not panic")?;
    ensure!(output.status.success(), "java ended with {}", output.status);
    let answers: Vec<String> = String::from_utf8(output.stdout)?
        .lines()
        .map(str::to_owned)
        .collect();
    ensure!(
        answers.len() == questions.len(),
        "{} answers to {} questions",
        answers.len(),
        questions.len()
    );
    Ok(answers)
}

fn parse(text: &str) -> Result<AvroSchema> {
    AvroSchema::parse(text, &[], Strictness::New).with_context(|| text.to_owned())
}

/// Our verdict in Java's words: `ok`, or each incompatibility's kind and place.
fn verdict(pair: &Pair) -> Result<String> {
    let (reader, writer) = (parse(&pair.reader)?, parse(&pair.writer)?);
    Ok(
        match AvroSchema::check(&reader, &writer, Direction::Backward) {
            Ok(found) if found.is_empty() => "ok".to_owned(),
            Ok(found) => {
                let all: Vec<String> = found
                    .iter()
                    .map(|found| format!("{} {}", found.kind, found.path))
                    .collect();
                all.join(" ; ")
            }
            Err(_) => "error".to_owned(),
        },
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn java_agrees() -> Result<()> {
    let mut generator = Generator::new(SEED);
    let mut questions = Vec::new();
    let mut ours = Vec::new();
    let mut compatible = 0;
    for _ in 0..PAIRS {
        let pair = generator.pair();
        let verdict = verdict(&pair)?;
        compatible += usize::from(verdict == "ok");
        questions.push(format!("verdict\t{}\t{}", pair.reader, pair.writer));
        ours.push(verdict);
    }
    // A generator whose pairs are all alike would show nothing.
    ensure!(
        (PAIRS / 10..PAIRS * 9 / 10).contains(&compatible),
        "{compatible} of {PAIRS} pairs are compatible"
    );
    for _ in 0..SCHEMAS {
        let text = generator.schema();
        let schema = parse(&text)?;
        questions.push(format!("print\t{text}"));
        ours.push(format!(
            "{}\t{}\t{:x}",
            schema.canonical(),
            schema.parsing_form(),
            schema.fingerprint_rabin()
        ));
        let Some(value) = generator.datum(&schema, schema.root()) else {
            continue;
        };
        let mut bytes = Vec::new();
        value
            .write(&schema, schema.root(), &mut bytes)
            .with_context(|| text.clone())?;
        questions.push(format!("read\t{text}\t{}", hex(&bytes)));
        ours.push(hex(&bytes));
    }
    let mut refused = 0;
    for _ in 0..DAMAGED {
        let text = generator.damaged();
        let schema = AvroSchema::parse(&text, &[], Strictness::New);
        questions.push(format!("print\t{text}"));
        ours.push(match schema {
            Ok(schema) => format!(
                "{}\t{}\t{:x}",
                schema.canonical(),
                schema.parsing_form(),
                schema.fingerprint_rabin()
            ),
            Err(_) => {
                refused += 1;
                "error".to_owned()
            }
        });
    }
    ensure!(refused > DAMAGED / 10, "{refused} of {DAMAGED} are refused");
    let theirs = ask_java(&questions)?;
    let mut different = Vec::new();
    for ((question, ours), theirs) in questions.iter().zip(&ours).zip(&theirs) {
        let same = ours == theirs || (ours == "error" && theirs.starts_with("error "));
        if !same {
            different.push(format!("{question}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    println!(
        "{PAIRS} pairs ({compatible} compatible), {SCHEMAS} schemas, {DAMAGED} damaged ones ({refused} refused): {} differences",
        different.len()
    );
    ensure!(
        different.is_empty(),
        "{} differences, the first:\n{}",
        different.len(),
        different[..different.len().min(10)].join("\n")
    );
    Ok(())
}
