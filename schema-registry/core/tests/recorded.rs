//! Replays recorded request files against the registry without a server. Set `REGISTRY_CASES` to a folder with `*.cases.jsonl` and `*.answers.json`;
//! without it the test has nothing to do. Requests that only a web server answers (unknown paths, methods, media types) are counted and left out.

use std::collections::BTreeMap;
use std::path::Path;

use java_idioms::Json;
use java_idioms::json::ReadOptions;
use registry_core::{
    AssociationFilter, Body, Command, Flags, Page, Plan, Query, Registry, RegistryError, Settings,
    TopicWrite,
};

fn read(text: &str) -> Json {
    Json::read(
        text,
        ReadOptions {
            max_string: usize::MAX,
            ..ReadOptions::default()
        },
    )
    .expect("JSON")
}

enum Call {
    Read(Query),
    Change(Command),
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            out.push(u8::from_str_radix(&text[at + 1..at + 3], 16).expect("hex digits"));
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).expect("UTF-8")
}

fn with_dot(context: &str) -> String {
    let context = context.trim_matches(':');
    match context {
        "." => String::new(),
        c if c.starts_with('.') => format!(":{c}:"),
        c => format!(":.{c}:"),
    }
}

fn qualified(context: &str, name: &str) -> String {
    if name.starts_with(":.") || name.starts_with(":*:") {
        name.to_owned()
    } else {
        format!("{context}{name}")
    }
}

/// Maps a request; `None` where only the web layer answers.
fn route(method: &str, path: &str, body: Option<Vec<u8>>) -> Option<Call> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut query: Vec<(String, String)> = query
        .split('&')
        .filter(|p| !p.is_empty())
        .map(|p| {
            let (k, v) = p.split_once('=').unwrap_or((p, ""));
            (decode(k), decode(v))
        })
        .collect();
    let mut parts: Vec<String> = path
        .split('/')
        .filter(|p| !p.is_empty())
        .map(decode)
        .collect();
    if path.contains("//") || parts.iter().any(|p| p.chars().any(char::is_control)) {
        return None;
    }
    if parts.first().map(String::as_str) == Some("contexts") && parts.len() > 2 {
        let raw = path
            .split('/')
            .filter(|p| !p.is_empty())
            .nth(1)
            .unwrap_or_default();
        if raw.trim_matches(':').contains(':') {
            return None;
        }
        let context = with_dot(&parts[1]);
        parts.drain(..2);
        match parts[0].as_str() {
            "subjects" | "config" | "mode" | "compatibility" => {
                let at = if parts[0] == "compatibility" { 2 } else { 1 };
                if parts.len() > at {
                    parts[at] = qualified(&context, &parts[at]);
                } else if parts[0] != "subjects" && !context.is_empty() {
                    parts.push(context.clone());
                }
            }
            _ => {}
        }
        if parts[0] == "schemas" && parts.get(1).map(String::as_str) == Some("ids") {
            let subject = query
                .iter()
                .find(|(k, _)| k == "subject")
                .map(|(_, v)| v.clone())
                .unwrap_or_default();
            query.retain(|(k, _)| k != "subject");
            query.push(("subject".to_owned(), qualified(&context, &subject)));
        } else if parts == ["schemas"] || parts == ["subjects"] {
            let prefix = query
                .iter()
                .find(|(k, _)| k == "subjectPrefix")
                .map(|(_, v)| v.clone())
                .unwrap_or_default();
            query.retain(|(k, _)| k != "subjectPrefix");
            query.push(("subjectPrefix".to_owned(), qualified(&context, &prefix)));
        }
    }
    let get = |name: &str| {
        query
            .iter()
            .find(|(k, _)| k == name)
            .map(|(_, v)| v.clone())
    };
    let all = |name: &str| -> Vec<String> {
        query
            .iter()
            .filter(|(k, _)| k == name)
            .map(|(_, v)| v.clone())
            .collect()
    };
    let flag = |name: &str| get(name).is_some_and(|v| v.eq_ignore_ascii_case("true"));
    for number in ["offset", "limit"] {
        if get(number).is_some_and(|v| v.parse::<i32>().is_err()) {
            return None;
        }
    }
    let page = Page {
        offset: get("offset").map(|v| v.parse().expect("checked")),
        limit: get("limit").map(|v| v.parse().expect("checked")),
    };
    let flags = Flags {
        normalize: flag("normalize"),
        format: get("format"),
        force: flag("force"),
        permanent: flag("permanent"),
        recursive: flag("recursive"),
    };
    let filter = || AssociationFilter {
        resource_type: get("resourceType"),
        association_types: all("associationType"),
        lifecycles: all("lifecycle"),
        page,
    };
    let p: Vec<&str> = parts.iter().map(String::as_str).collect();
    let subject = || p[1].to_owned();
    Some(match (method, p.as_slice()) {
        ("GET", ["schemas"]) => Call::Read(Query::Schemas {
            prefix: get("subjectPrefix"),
            aliases: flag("aliases"),
            deleted: flag("deleted"),
            latest_only: flag("latestOnly"),
            rule_type: get("ruleType"),
            associations: None,
            page,
        }),
        ("GET", ["schemas", "types"]) => Call::Read(Query::SchemaTypes),
        ("GET", ["schemas", "ids", id, rest @ ..]) => {
            let id = id.parse().ok()?;
            match rest {
                [] => Call::Read(Query::SchemaById {
                    id,
                    subject: get("subject"),
                    format: get("format"),
                    reference_format: get("referenceFormat"),
                    fetch_max_id: flag("fetchMaxId"),
                    find_tags: all("findTags"),
                }),
                ["schema"] => Call::Read(Query::SchemaTextById {
                    id,
                    subject: get("subject"),
                    format: get("format"),
                }),
                ["subjects"] => Call::Read(Query::SubjectsOfId {
                    id,
                    subject: get("subject"),
                    deleted: flag("deleted"),
                    page,
                }),
                ["versions"] => Call::Read(Query::VersionsOfId {
                    id,
                    subject: get("subject"),
                    deleted: flag("deleted"),
                    page,
                }),
                _ => return None,
            }
        }
        ("GET", ["schemas", "guids", guid]) => Call::Read(Query::SchemaByGuid {
            guid: (*guid).to_owned(),
            format: get("format"),
        }),
        ("GET", ["schemas", "guids", guid, "ids"]) => Call::Read(Query::IdsOfGuid {
            guid: (*guid).to_owned(),
        }),
        ("GET", ["contexts"]) => Call::Read(Query::Contexts {
            prefix: get("contextPrefix"),
            page,
        }),
        ("DELETE", ["contexts", context]) if *context != "." => {
            Call::Change(Command::DeleteContext {
                context: (*context).to_owned(),
            })
        }
        ("GET", ["subjects"]) => Call::Read(Query::Subjects {
            prefix: get("subjectPrefix"),
            deleted: flag("deleted"),
            deleted_only: flag("deletedOnly"),
            page,
        }),
        ("POST", ["subjects", _]) => Call::Read(Query::Lookup {
            subject: subject(),
            body,
            normalize: flags.normalize,
            format: get("format"),
            deleted: flag("deleted"),
        }),
        ("DELETE", ["subjects", _]) => Call::Change(Command::DeleteSubject {
            subject: subject(),
            flags,
        }),
        ("GET", ["subjects", _, "metadata"]) => Call::Read(Query::LatestWithMetadata {
            subject: subject(),
            keys: all("key"),
            values: all("value"),
            format: get("format"),
            deleted: flag("deleted"),
        }),
        ("GET", ["subjects", _, "versions"]) => Call::Read(Query::Versions {
            subject: subject(),
            deleted: flag("deleted"),
            deleted_only: flag("deletedOnly"),
            deleted_as_negative: flag("deletedAsNegative"),
            page,
        }),
        ("POST", ["subjects", _, "versions"]) => Call::Change(Command::Register {
            subject: subject(),
            body,
            flags,
        }),
        ("GET", ["subjects", _, "versions", version]) => Call::Read(Query::Version {
            subject: subject(),
            version: (*version).to_owned(),
            format: get("format"),
            reference_format: get("referenceFormat"),
            deleted: flag("deleted"),
            find_tags: all("findTags"),
        }),
        ("DELETE", ["subjects", _, "versions", version]) => Call::Change(Command::DeleteVersion {
            subject: subject(),
            version: (*version).to_owned(),
            flags,
        }),
        ("GET", ["subjects", _, "versions", version, "schema"]) => Call::Read(Query::VersionText {
            subject: subject(),
            version: (*version).to_owned(),
            format: get("format"),
            deleted: flag("deleted"),
        }),
        ("GET", ["subjects", _, "versions", version, "referencedby"]) => {
            Call::Read(Query::ReferencedBy {
                subject: subject(),
                version: (*version).to_owned(),
                deleted: flag("deleted"),
                page,
            })
        }
        ("POST", ["subjects", _, "versions", version, "tags"]) => {
            Call::Change(Command::ModifyTags {
                subject: subject(),
                version: (*version).to_owned(),
                body,
            })
        }
        ("POST", ["compatibility", "subjects", name, "versions", rest @ ..]) => {
            Call::Read(Query::Compatibility {
                subject: (*name).to_owned(),
                version: rest.first().map(|v| (*v).to_owned()),
                body,
                normalize: flags.normalize,
                verbose: flag("verbose"),
            })
        }
        (_, ["config", rest @ ..]) if rest.len() < 2 => {
            let subject = rest.first().map(|s| (*s).to_owned());
            match method {
                "GET" => Call::Read(Query::Config {
                    subject,
                    default_to_global: flag("defaultToGlobal"),
                }),
                "PUT" => Call::Change(Command::PutConfig { subject, body }),
                "DELETE" => Call::Change(Command::DeleteConfig { subject }),
                _ => return None,
            }
        }
        (_, ["mode", rest @ ..]) if rest.len() < 2 => {
            let subject = rest.first().map(|s| (*s).to_owned());
            match method {
                "GET" => Call::Read(Query::Mode {
                    subject,
                    default_to_global: flag("defaultToGlobal"),
                }),
                "PUT" => Call::Change(Command::PutMode {
                    subject,
                    body,
                    flags,
                }),
                "DELETE" => Call::Change(Command::DeleteMode { subject, flags }),
                _ => return None,
            }
        }
        ("GET", ["v1", "metadata", "id"]) => Call::Read(Query::ClusterMetadata),
        ("GET", ["associations", "subjects", name]) => Call::Read(Query::AssociationsOfSubject {
            subject: (*name).to_owned(),
            filter: filter(),
        }),
        ("GET", ["associations", "resources", id]) => Call::Read(Query::AssociationsOfResource {
            id: (*id).to_owned(),
            filter: filter(),
        }),
        ("GET", ["associations", "resources", namespace, name]) => {
            Call::Read(Query::AssociationsOfResourceName {
                namespace: (*namespace).to_owned(),
                name: (*name).to_owned(),
                filter: filter(),
            })
        }
        ("DELETE", ["associations", "resources", id]) => {
            Call::Change(Command::DeleteAssociations {
                id: (*id).to_owned(),
                query,
            })
        }
        ("POST", ["associations"]) => Call::Change(Command::PostAssociations { body }),
        ("PUT", ["associations", "resources", id]) => Call::Change(Command::PutAssociations {
            id: (*id).to_owned(),
            body,
        }),
        ("POST", ["associations:batchGet"]) => Call::Read(Query::AssociationsBatchGet { body }),
        ("POST", ["associations:batchMutate"]) => {
            Call::Change(Command::MutateAssociations { body })
        }
        _ => return None,
    })
}

struct Replay {
    registry: Registry,
    log: Vec<TopicWrite>,
}

impl Replay {
    fn new() -> Self {
        let replay = Self {
            registry: Registry::new(Settings::default()),
            log: Vec::new(),
        };
        replay.registry.set_cluster_id("cluster");
        replay
    }

    fn call(&mut self, call: Call) -> (u16, String) {
        let outcome = match call {
            Call::Read(query) => self.registry.query(&query),
            Call::Change(command) => self.change(&command),
        };
        match outcome {
            Ok(answer) => (
                answer.status,
                match answer.body {
                    Body::Text(text) => text,
                    Body::Empty => String::new(),
                },
            ),
            Err(error) => (error.status(), error.body()),
        }
    }

    fn change(&mut self, command: &Command) -> Result<registry_core::Answer, RegistryError> {
        if let Some(local) = self.registry.answer_locally(command) {
            return local;
        }
        match self.registry.plan(command)? {
            Plan::Answer(answer) => Ok(answer),
            Plan::Write(writes, pending) => {
                for write in &writes {
                    let offset = i64::try_from(self.log.len()).expect("small") + 2;
                    self.log.push(write.clone());
                    let applied = self.registry.apply(
                        Some(write.key.as_bytes()),
                        write.value.as_deref().map(str::as_bytes),
                        offset,
                        1_700_000_000_000 + offset,
                    );
                    assert_eq!(applied.skipped, None, "own record {write:?}");
                }
                pending.answer(&self.registry)
            }
        }
    }
}

fn mask(value: &mut Json) {
    match value {
        Json::Object(members) => {
            for (name, value) in members.iter_mut() {
                if matches!(&**name, "ts" | "kafka-cluster") {
                    *value = Json::from("*");
                } else {
                    mask(value);
                }
            }
        }
        Json::Array(values) => values.iter_mut().for_each(mask),
        _ => {}
    }
}

fn substitute(text: &str, saved: &BTreeMap<String, String>) -> String {
    let mut out = text.to_owned();
    for (name, value) in saved {
        out = out.replace(&format!("${{{name}}}"), value);
    }
    out
}

fn replay_file(cases: &Path, tally: &mut BTreeMap<&'static str, usize>, wrong: &mut Vec<String>) {
    let name = cases
        .file_name()
        .and_then(|n| n.to_str())
        .expect("a name")
        .to_owned();
    let stem = name.trim_end_matches(".cases.jsonl");
    let answers = std::fs::read_to_string(cases.with_file_name(format!("{stem}.answers.json")))
        .expect("answers");
    let answers = read(&answers);
    let mut saved = BTreeMap::new();
    let mut replay = Replay::new();
    let mut reads = Vec::new();
    for (line, answer) in std::fs::read_to_string(cases)
        .expect("cases")
        .lines()
        .zip(answers.as_array().expect("a list"))
    {
        let case = read(line);
        let text = |member: &str| case.get(member).and_then(Json::as_str).map(str::to_owned);
        let body = match (text("raw"), case.get("body")) {
            (Some(raw), _) => Some(substitute(&raw, &saved).into_bytes()),
            (None, Some(body)) => Some(substitute(&body.to_text(), &saved).into_bytes()),
            (None, None) => None,
        };
        let path = substitute(&text("path").expect("a path"), &saved);
        if text("method").as_deref() == Some("GET") {
            reads.push(path.clone());
        }
        let Some(call) = route(&text("method").expect("a method"), &path, body) else {
            *tally.entry("left out").or_default() += 1;
            continue;
        };
        let Ok((status, got)) =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| replay.call(call)))
        else {
            *tally.entry("panicked").or_default() += 1;
            wrong.push(format!(
                "{stem} | {} | panicked",
                text("name").unwrap_or_default()
            ));
            continue;
        };
        let want_status = u16::try_from(
            answer
                .get("status")
                .and_then(Json::as_i64)
                .expect("a status"),
        )
        .expect("small");
        let loose = case
            .get("loose")
            .and_then(Json::as_array)
            .is_some_and(|l| l.iter().any(|w| w.as_str() == Some("text")));
        let want = match (
            answer.get("text").and_then(Json::as_str),
            answer.get("body"),
        ) {
            (Some(text), _) => text.to_owned(),
            (None, Some(body)) => {
                let mut body = body.clone();
                mask(&mut body);
                body.to_text()
            }
            (None, None) => String::new(),
        };
        let mut shown = got.clone();
        if answer.get("body").is_some()
            && let Ok(mut body) = Json::read(&got, ReadOptions::default())
        {
            if let (Some(members), Json::Object(saves)) = (
                body.as_object(),
                case.get("save")
                    .cloned()
                    .unwrap_or(Json::Object(Default::default())),
            ) {
                for (variable, member) in &saves {
                    if let Some(value) = members.get(member.as_str().expect("a member")) {
                        saved.insert(variable.to_string(), value.to_text());
                    }
                }
            }
            mask(&mut body);
            shown = body.to_text();
        }
        let code = |text: &str| {
            Json::read(text, ReadOptions::default())
                .ok()
                .and_then(|j| j.get("error_code").cloned())
        };
        let is_error = code(&want).is_some();
        let verbose = want.starts_with("{\"is_compatible\":false");
        let equal = status == want_status
            && (shown == want
                || loose && is_error && code(&want) == code(&shown)
                || loose && verbose && shown.starts_with("{\"is_compatible\":false"));
        // Failures of the original that nothing is gained by copying.
        let better = want_status == 500 && want.contains("Internal Server Error") && status < 500;
        *tally
            .entry(if equal {
                "equal"
            } else if better {
                "answered instead of 500"
            } else {
                "different"
            })
            .or_default() += 1;
        if !equal && !better {
            wrong.push(format!(
                "{stem} | {} | {}\n  want {want_status} {}\n  have {status} {}",
                text("name").unwrap_or_default(),
                path,
                cut(&want),
                cut(&shown)
            ));
        }
    }
    let topic = cases.with_file_name(format!("{stem}.schemas-topic.jsonl"));
    if let Ok(topic) = std::fs::read_to_string(topic) {
        compare_topic(stem, &topic, &replay.log, tally, wrong);
        compare_loaded(stem, &topic, &mut replay, &reads, tally, wrong);
    }
}

/// A registry that only read the topic answers like the one that wrote it.
fn compare_loaded(
    stem: &str,
    topic: &str,
    written: &mut Replay,
    reads: &[String],
    tally: &mut BTreeMap<&'static str, usize>,
    wrong: &mut Vec<String>,
) {
    let mut loaded = Replay::new();
    for (offset, record) in topic.lines().map(read).enumerate() {
        let text = |member: &str| record.get(member).and_then(Json::as_str).map(str::to_owned);
        let (key, value) = (text("key"), text("value"));
        let offset = i64::try_from(offset).expect("small");
        let applied = loaded.registry.apply(
            key.as_deref().map(str::as_bytes),
            value.as_deref().map(str::as_bytes),
            offset,
            1_700_000_000_000 + offset,
        );
        assert_eq!(applied.skipped, None, "{stem}: {record:?}");
    }
    for path in reads {
        let (Some(call), Some(again)) = (route("GET", path, None), route("GET", path, None)) else {
            continue;
        };
        let (want, have) = (written.call(call), loaded.call(again));
        let equal = want == have;
        *tally
            .entry(if equal {
                "loaded equal"
            } else {
                "loaded different"
            })
            .or_default() += 1;
        if !equal {
            wrong.push(format!(
                "{stem} | loaded | {path}\n  want {want:?}\n  have {have:?}"
            ));
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(900).collect()
}

fn compare_topic(
    stem: &str,
    topic: &str,
    log: &[TopicWrite],
    tally: &mut BTreeMap<&'static str, usize>,
    wrong: &mut Vec<String>,
) {
    let recorded: Vec<TopicWrite> = topic
        .lines()
        .map(read)
        .map(|record| TopicWrite {
            key: record
                .get("key")
                .and_then(Json::as_str)
                .expect("a key")
                .to_owned(),
            value: record
                .get("value")
                .and_then(Json::as_str)
                .map(str::to_owned),
        })
        .filter(|record| !record.key.contains("\"NOOP\""))
        .collect();
    for (at, (want, have)) in recorded.iter().zip(log).enumerate() {
        if want != have {
            *tally.entry("records different").or_default() += 1;
            wrong.push(format!(
                "{stem} | record {at}\n  want {want:?}\n  have {have:?}"
            ));
            return;
        }
        *tally.entry("records equal").or_default() += 1;
    }
    if recorded.len() != log.len() {
        wrong.push(format!(
            "{stem} | {} records instead of {}",
            log.len(),
            recorded.len()
        ));
    }
}

#[test]
fn recorded_requests_get_the_recorded_answers() {
    let Ok(folder) = std::env::var("REGISTRY_CASES") else {
        return;
    };
    let only = std::env::var("REGISTRY_GROUP").unwrap_or_default();
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.to_string_lossy().ends_with(".cases.jsonl")
                && path.to_string_lossy().contains(&only)
        })
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    let mut total: BTreeMap<&str, usize> = BTreeMap::new();
    for file in &files {
        let mut tally = BTreeMap::new();
        replay_file(file, &mut tally, &mut wrong);
        eprintln!(
            "{:30} {tally:?}",
            file.file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default()
        );
        for (kind, count) in tally {
            *total.entry(kind).or_default() += count;
        }
    }
    eprintln!("{total:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
