//! Replays recorded requests of a directory named by an environment variable; without it nothing is replayed.
//!
//! `REGISTRY_CASES=<dir> cargo test -p registry-protobuf --test recorded` reads `<dir>/<group>-<n>.cases.jsonl` with `<group>-<n>.answers.json` and plays the Protobuf requests of them
//! against nothing but this crate: what a registration stores, what a check against the newest version says.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use java_idioms::json::{Json, ReadOptions};
use registry_protobuf::{Direction, ProtobufError, ProtobufSchema, Strictness};

type Subjects = BTreeMap<String, Vec<(Arc<str>, Vec<(Arc<str>, Arc<str>)>)>>;

fn json(text: &str) -> Json {
    Json::read(text, ReadOptions::default()).expect("a recorded line is JSON")
}

fn text<'j>(json: &'j Json, member: &str) -> Option<&'j str> {
    json.get(member).and_then(Json::as_str)
}

#[derive(Default)]
struct Score {
    right: usize,
    wrong: usize,
}

impl Score {
    fn compare(&mut self, name: &str, ours: &str, theirs: &str) {
        if ours == theirs {
            self.right += 1;
        } else {
            self.wrong += 1;
            eprintln!("{name}\n  ours   {ours}\n  theirs {theirs}");
        }
    }
}

#[test]
fn recorded_requests_get_the_recorded_answers() {
    let Ok(directory) = std::env::var("REGISTRY_CASES") else {
        return;
    };
    let mut score = Score::default();
    let mut files: Vec<_> = std::fs::read_dir(&directory)
        .expect("the directory can be read")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().ends_with(".cases.jsonl"))
        .collect();
    files.sort();
    for path in files {
        replay(&path, &mut score);
    }
    eprintln!("{} right, {} wrong", score.right, score.wrong);
    assert_eq!(score.wrong, 0);
}

fn replay(path: &Path, score: &mut Score) {
    let cases = std::fs::read_to_string(path).expect("cases");
    let answers = path
        .to_string_lossy()
        .replace(".cases.jsonl", ".answers.json");
    let answers = json(&std::fs::read_to_string(answers).expect("answers"));
    let answers = answers.as_array().expect("a list of answers");
    let mut subjects = Subjects::new();
    let mut level = "BACKWARD".to_owned();
    for (line, answer) in cases.lines().zip(answers) {
        let case = json(line);
        let Some(body) = case.get("body") else {
            continue;
        };
        if text(&case, "path") == Some("/config") {
            level = text(body, "compatibility").unwrap_or(&level).to_owned();
        }
        if text(body, "schemaType") != Some("PROTOBUF") {
            continue;
        }
        let name = text(&case, "name").unwrap_or_default();
        let path = text(&case, "path").unwrap_or_default();
        let status = answer.get("status").and_then(Json::as_i64).unwrap_or(0);
        let Some(reply) = answer.get("body") else {
            continue;
        };
        let normalize = path.contains("normalize=true");
        let mut references = Vec::new();
        for reference in body
            .get("references")
            .and_then(Json::as_array)
            .unwrap_or(&[])
        {
            let found = text(reference, "subject")
                .and_then(|subject| subjects.get(subject))
                .and_then(|versions| versions.last());
            if let (Some(path), Some((schema, deeper))) = (text(reference, "name"), found) {
                references.extend(deeper.iter().cloned());
                references.push((Arc::from(path), Arc::clone(schema)));
            }
        }
        let parsed = ProtobufSchema::parse(
            text(body, "schema").unwrap_or_default(),
            &references,
            Strictness::New,
        );
        let message = text(reply, "message").unwrap_or_default();
        let schema = match parsed {
            Ok(schema) => schema,
            Err(error) => {
                let shown = match &error {
                    ProtobufError::Syntax(_) | ProtobufError::Invalid(_) => error.to_string(),
                };
                let end = message.rsplit(", details: ").next().unwrap_or_default();
                score.compare(name, &shown, end);
                continue;
            }
        };
        let parts: Vec<&str> = path.trim_start_matches('/').split(['/', '?']).collect();
        match parts.as_slice() {
            ["subjects", subject, "versions", ..] if status == 200 => {
                let stored = if normalize {
                    schema.normalized()
                } else {
                    schema.canonical()
                };
                score.compare(name, &stored, text(reply, "schema").unwrap_or_default());
                subjects
                    .entry((*subject).to_owned())
                    .or_default()
                    .push((stored.into(), references));
            }
            ["compatibility", "subjects", subject, ..] | ["subjects", subject, "versions", ..] => {
                let theirs: Vec<String> = match reply.get("messages").and_then(Json::as_array) {
                    Some(messages) => messages
                        .iter()
                        .filter_map(Json::as_str)
                        .map(str::to_owned)
                        .collect(),
                    None if status == 409 => {
                        let list = message.split_once("details: [").expect("details").1;
                        list.split("}, {")
                            .enumerate()
                            .map(|(i, part)| {
                                let part = part.trim_end_matches(']').trim_end_matches('}');
                                if i == 0 {
                                    format!("{part}}}")
                                } else {
                                    format!("{{{part}}}")
                                }
                            })
                            .collect()
                    }
                    None => continue,
                };
                let theirs: Vec<String> = theirs
                    .into_iter()
                    .filter(|message| message.starts_with("{errorType"))
                    .collect();
                let Some(versions) = subjects.get(*subject) else {
                    continue;
                };
                let (old, deeper) = versions.last().expect("a version");
                let old = ProtobufSchema::parse(old, deeper, Strictness::Stored).expect("stored");
                let mut ours = Vec::new();
                if level.contains("FULL") || level.contains("FORWARD") {
                    ours.extend(
                        ProtobufSchema::check(&old, &schema, Direction::Forward).expect("compared"),
                    );
                }
                if level.contains("FULL") || level.contains("BACKWARD") {
                    ours.extend(
                        ProtobufSchema::check(&schema, &old, Direction::Backward)
                            .expect("compared"),
                    );
                }
                let ours: Vec<String> = ours.into_iter().map(|found| found.message).collect();
                score.compare(name, &format!("{ours:#?}"), &format!("{theirs:#?}"));
            }
            _ => {}
        }
    }
}
