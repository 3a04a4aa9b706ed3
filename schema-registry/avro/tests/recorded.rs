//! Recorded answers of the real registry, where they are at hand: `AVRO_CASES` names the folder of `<group>.cases.jsonl` and `<group>.answers.json`. Only what this crate decides is compared:
//! verdicts on texts, canonical and normalized texts, and the messages of incompatibilities.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use java_idioms::Json;
use java_idioms::json::ReadOptions;
use registry_avro::{AvroError, AvroSchema, Direction, Strictness};

type Parsed = Result<AvroSchema, AvroError>;

#[derive(Clone)]
struct Version {
    number: i64,
    text: Arc<str>,
    references: Vec<Arc<str>>,
    format: String,
}

#[derive(Default)]
struct Registry {
    subjects: HashMap<String, Vec<Version>>,
    levels: HashMap<String, String>,
    compared: usize,
    differences: Vec<String>,
}

#[test]
fn recorded_answers_are_ours() {
    let Ok(folder) = std::env::var("AVRO_CASES") else {
        return;
    };
    let mut compared = 0;
    let mut differences = Vec::new();
    let mut groups: Vec<String> = std::fs::read_dir(&folder)
        .expect("the folder")
        .filter_map(|entry| {
            let name = entry.expect("an entry").file_name().into_string().ok()?;
            name.strip_suffix(".cases.jsonl").map(str::to_owned)
        })
        .collect();
    groups.sort();
    for group in groups {
        let mut registry = Registry::default();
        registry.replay(Path::new(&folder), &group);
        println!(
            "{group}: {} compared, {} differ",
            registry.compared,
            registry.differences.len()
        );
        compared += registry.compared;
        differences.extend(registry.differences);
    }
    println!("{compared} compared");
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

fn found(reader: &AvroSchema, writer: &AvroSchema, direction: Direction) -> Vec<String> {
    match AvroSchema::check(reader, writer, direction) {
        Ok(found) => found.into_iter().map(|found| found.message).collect(),
        Err(error) => vec![format!(
            "Unexpected exception during compatibility check: {error}"
        )],
    }
}

fn json(text: &str) -> Json {
    Json::read(text, ReadOptions::default()).expect("JSON")
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if let (b'%', [a, b, ..]) = (first, tail) {
            let digits = [*a, *b];
            let digits = std::str::from_utf8(&digits).expect("ASCII");
            bytes.push(u8::from_str_radix(digits, 16).expect("hex"));
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

impl Registry {
    fn replay(&mut self, folder: &Path, group: &str) {
        let read = |end: &str| {
            std::fs::read_to_string(folder.join(format!("{group}{end}"))).expect("a recorded file")
        };
        let answers = json(&read(".answers.json"));
        let answers = answers.as_array().expect("answers");
        for (line, answer) in read(".cases.jsonl").lines().zip(answers) {
            let case = json(line);
            assert_eq!(case.get("name"), answer.get("name"));
            self.case(&case, answer);
        }
    }

    fn case(&mut self, case: &Json, answer: &Json) {
        let method = case.get("method").and_then(Json::as_str).expect("method");
        let path = case.get("path").and_then(Json::as_str).expect("path");
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<String> = path.split('/').skip(1).map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let ok = answer.get("status").and_then(Json::as_i64) == Some(200);
        let name = case.get("name").and_then(Json::as_str).expect("name");
        match (method, parts.as_slice()) {
            ("PUT", ["config", rest @ ..]) if ok => {
                if let Some(level) = case
                    .get("body")
                    .and_then(|b| b.get("compatibility"))
                    .and_then(Json::as_str)
                {
                    self.levels
                        .insert(rest.first().unwrap_or(&"").to_string(), level.to_owned());
                }
            }
            ("DELETE", ["config", rest @ ..]) if ok => {
                self.levels.remove(*rest.first().unwrap_or(&""));
            }
            ("DELETE", ["subjects", subject]) if ok => {
                self.subjects.remove(*subject);
            }
            ("DELETE", ["subjects", subject, "versions", _]) if ok => {
                let gone = answer.get("body").and_then(Json::as_i64);
                if let Some(versions) = self.subjects.get_mut(*subject) {
                    versions.retain(|version| Some(version.number) != gone);
                }
            }
            ("POST", ["subjects", subject, "versions"]) => {
                self.register(name, subject, query, case, answer, ok);
            }
            ("POST", ["compatibility", "subjects", subject, "versions", rest @ ..]) => {
                self.compatibility(name, subject, rest.first().copied(), query, case, answer);
            }
            _ => {}
        }
    }

    fn differ(&mut self, name: &str, what: &str, ours: &str, theirs: &str) {
        self.compared += 1;
        if ours != theirs {
            self.differences.push(format!(
                "{name}: {what}\n  ours   {ours}\n  theirs {theirs}"
            ));
        }
    }

    fn references(&self, body: &Json) -> Option<Vec<Arc<str>>> {
        let mut texts = Vec::new();
        for reference in body
            .get("references")
            .and_then(Json::as_array)
            .unwrap_or(&[])
        {
            let subject = reference.get("subject")?.as_str()?;
            let number = reference.get("version")?.as_i64()?;
            let versions = self.subjects.get(subject)?;
            let version = versions
                .iter()
                .rfind(|v| number == -1 || v.number == number)?;
            for text in version.references.iter().chain([&version.text]) {
                if !texts.contains(text) {
                    texts.push(Arc::clone(text));
                }
            }
        }
        Some(texts)
    }

    fn parsed(&self, body: &Json) -> Option<(Vec<Arc<str>>, Parsed)> {
        if body
            .get("schemaType")
            .and_then(Json::as_str)
            .unwrap_or("AVRO")
            != "AVRO"
        {
            return None;
        }
        let text = body.get("schema")?.as_str()?;
        // What a blank text means is decided before it is parsed.
        if text.trim().is_empty() {
            return None;
        }
        let references = self.references(body)?;
        let parsed = AvroSchema::parse(text, &references, Strictness::New);
        Some((references, parsed))
    }

    fn level(&self, subject: &str) -> String {
        self.levels
            .get(subject)
            .or_else(|| self.levels.get(""))
            .map_or("BACKWARD".to_owned(), |level| level.to_uppercase())
    }

    /// The messages of a schema against versions, newest first.
    fn messages(&self, schema: &AvroSchema, versions: &[Version], level: &str) -> Vec<String> {
        if level == "NONE" {
            return Vec::new();
        }
        for version in versions.iter().rev() {
            let mut out = Vec::new();
            if version.format != "AVRO" {
                return vec!["Incompatible because of different schema type".to_owned()];
            }
            let old = AvroSchema::parse(&version.text, &version.references, Strictness::Stored)
                .expect("what was registered");
            if level.starts_with("FULL") || level.starts_with("FORWARD") {
                out.extend(found(&old, schema, Direction::Forward));
            }
            let mut lines = !out.is_empty();
            if !level.starts_with("FORWARD") {
                let backward = found(schema, &old, Direction::Backward);
                lines = !backward.is_empty();
                out.extend(backward);
            }
            if lines {
                out.push(format!("{{oldSchemaVersion: {}}}", version.number));
                out.push(match version.text.char_indices().nth(10_240) {
                    None => format!("{{oldSchema: '{}'}}", version.text),
                    Some((end, _)) => {
                        format!("{{oldSchema: <truncated> '{}...'}}", &version.text[..end])
                    }
                });
            }
            if !out.is_empty() {
                return out;
            }
            if !level.ends_with("TRANSITIVE") {
                break;
            }
        }
        Vec::new()
    }

    fn register(
        &mut self,
        name: &str,
        subject: &str,
        query: &str,
        case: &Json,
        answer: &Json,
        ok: bool,
    ) {
        let Some(body) = case.get("body") else { return };
        let Some(result) = answer.get("body") else {
            return;
        };
        let loose = answer.get("loose").is_some() || case.get("loose").is_some();
        if let Some((references, parsed)) = self.parsed(body) {
            match (&parsed, ok) {
                (Ok(schema), true) => {
                    let normalize = query.to_lowercase().contains("normalize=true")
                        || body.get("normalize").and_then(Json::as_bool) == Some(true);
                    let ours = if normalize {
                        schema.normalized()
                    } else {
                        schema.canonical()
                    };
                    if let Some(theirs) = result.get("schema").and_then(Json::as_str) {
                        self.differ(name, "text", &ours, theirs);
                        let again = AvroSchema::parse(theirs, &references, Strictness::Stored)
                            .expect("a stored text");
                        self.differ(name, "text again", &again.canonical(), theirs);
                    }
                }
                // Validation of new schemas can be off.
                (Err(_), true)
                    if body
                        .get("schema")
                        .and_then(Json::as_str)
                        .is_some_and(|text| {
                            AvroSchema::parse(text, &references, Strictness::Stored).is_ok()
                        }) => {}
                (Err(error), true) => self.differ(name, "verdict", &error.to_string(), "accepted"),
                (Err(error), false) => {
                    let theirs = result.get("message").and_then(Json::as_str).unwrap_or("");
                    let theirs = theirs
                        .rsplit_once("details: ")
                        .map_or(theirs, |(_, text)| text);
                    if loose || error.class.is_some() {
                        self.differ(name, "refused", "", "");
                    } else {
                        self.differ(name, "message", &error.to_string(), theirs);
                    }
                }
                (Ok(schema), false) => {
                    let code = result.get("error_code").and_then(Json::as_i64);
                    let theirs = result.get("message").and_then(Json::as_str).unwrap_or("");
                    if code == Some(42201) && !theirs.starts_with("Version is not") {
                        self.differ(name, "verdict", "accepted", &result.to_text());
                    } else if code == Some(40901) {
                        let level = self.level(subject);
                        let versions = self.subjects.get(subject).cloned().unwrap_or_default();
                        let mut ours = self.messages(schema, &versions, &level);
                        ours.push(format!(
                            "{{validateFields: 'false', compatibility: '{level}'}}"
                        ));
                        let ours = format!(
                            "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]",
                            ours.join(", ")
                        );
                        let theirs = result.get("message").and_then(Json::as_str).unwrap_or("");
                        self.differ(name, "conflict", &ours, theirs);
                    }
                }
            }
        }
        if ok
            && let (Some(number), Some(text)) = (
                result.get("version").and_then(Json::as_i64),
                result.get("schema").and_then(Json::as_str),
            )
        {
            let references = self.references(body).unwrap_or_default();
            let versions = self.subjects.entry(subject.to_owned()).or_default();
            if versions.iter().all(|v| v.number != number) {
                versions.push(Version {
                    number,
                    text: text.into(),
                    references,
                    format: result
                        .get("schemaType")
                        .and_then(Json::as_str)
                        .unwrap_or("AVRO")
                        .to_owned(),
                });
            }
        }
    }

    fn compatibility(
        &mut self,
        name: &str,
        subject: &str,
        version: Option<&str>,
        query: &str,
        case: &Json,
        answer: &Json,
    ) {
        let Some(body) = case.get("body") else { return };
        let Some(result) = answer.get("body") else {
            return;
        };
        let Some(theirs) = result.get("is_compatible").and_then(Json::as_bool) else {
            return;
        };
        let Some((_, Ok(schema))) = self.parsed(body) else {
            return;
        };
        let level = self.level(subject);
        let mut versions = self.subjects.get(subject).cloned().unwrap_or_default();
        match version {
            Some("latest" | "-1") => {
                versions = versions.split_off(versions.len().saturating_sub(1))
            }
            Some(number) => versions.retain(|v| v.number.to_string() == number),
            None => {}
        }
        let mut ours = self.messages(&schema, &versions, &level);
        self.differ(
            name,
            "verdict",
            &ours.is_empty().to_string(),
            &theirs.to_string(),
        );
        if query.contains("verbose=true") {
            if !ours.is_empty() {
                ours.push(format!(
                    "{{validateFields: 'false', compatibility: '{level}'}}"
                ));
            }
            let texts: Vec<&str> = result
                .get("messages")
                .and_then(Json::as_array)
                .unwrap_or(&[])
                .iter()
                .filter_map(Json::as_str)
                .collect();
            self.differ(name, "messages", &ours.join("\n"), &texts.join("\n"));
        }
    }
}
