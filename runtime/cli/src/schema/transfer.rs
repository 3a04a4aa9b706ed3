//! `millrace schema export` and `import`: a registry as a file of JSON lines, ids included.
//!
//! One object a line: `{"kind":"schema",…}` in the order in which they can be registered (what is referred to first), then `{"kind":"config",…}` and
//! `{"kind":"mode",…}`. Schemas have the members of `GET /schemas`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use java_idioms::{Json, Object};

use super::remote::{Remote, Stored, encode, read, reference_list, request, stored, strings};

/// What is exported.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file; standard output without it.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Only subjects that begin so; `:.ctx:` is a context. By default all contexts.
    #[arg(long)]
    prefix: Option<String>,
    /// Leave out deleted versions. Ids that only they have can then be given again.
    #[arg(long)]
    live_only: bool,
}

/// What is imported.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file; `-` is standard input.
    file: PathBuf,
    /// Import though the registry has schemas already. A schema that is there with the same id and version is left as it is.
    #[arg(long)]
    force: bool,
}

type Key = (String, i64);

pub(super) async fn export(remote: &Remote, args: &ExportArgs) -> Result<()> {
    let deleted = !args.live_only;
    let prefix = args.prefix.as_deref().unwrap_or(":*:");
    let mut schemas: BTreeMap<Key, Stored> = BTreeMap::new();
    let subjects = remote.subjects(Some(prefix), deleted).await?;
    for subject in &subjects {
        for version in remote.versions(subject, deleted).await? {
            let found = remote.version(subject, &version.to_string(), true).await?;
            schemas.insert((subject.clone(), version), found);
        }
    }
    let mut out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(BufWriter::new(
            std::fs::File::create(path).with_context(|| format!("creating {}", path.display()))?,
        )),
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    for key in in_order(&schemas)? {
        writeln!(out, "{}", line(&schemas[&key]).to_text())?;
    }
    let mut scopes: BTreeSet<String> = subjects.into_iter().collect();
    let contexts = remote
        .call("GET", "/contexts", None, "the list of contexts")
        .await?;
    scopes.extend(
        strings(&contexts)
            .iter()
            .filter(|c| *c != ".")
            .map(|c| format!(":{c}:")),
    );
    let mut settings = 0;
    for (kind, path) in [("config", "/config"), ("mode", "/mode")] {
        let global = remote.call("GET", path, None, kind).await?;
        writeln!(out, "{}", setting(kind, None, global).to_text())?;
        for scope in &scopes {
            let path = format!("{path}/{}", encode(scope));
            if let Some(own) = remote.try_call("GET", &path, None).await? {
                settings += 1;
                writeln!(out, "{}", setting(kind, Some(scope), own).to_text())?;
            }
        }
    }
    out.flush()?;
    eprintln!(
        "exported {} versions of {} subjects and {settings} settings of subjects and contexts",
        schemas.len(),
        scopes.len(),
    );
    Ok(())
}

fn line(stored: &Stored) -> Json {
    let mut object = Object::new();
    object.insert("kind".into(), "schema".into());
    object.insert("subject".into(), stored.subject.as_str().into());
    object.insert("version".into(), stored.version.into());
    object.insert("id".into(), stored.id.into());
    object.insert("schemaType".into(), stored.schema_type.name().into());
    if !stored.references.is_empty() {
        object.insert("references".into(), reference_list(&stored.references));
    }
    for (name, value) in [
        ("metadata", &stored.metadata),
        ("ruleSet", &stored.rule_set),
    ] {
        if let Some(value) = value {
            object.insert(name.into(), value.clone());
        }
    }
    object.insert("schema".into(), Json::String(stored.text.clone()));
    object.insert("deleted".into(), stored.deleted.into());
    Json::Object(object)
}

fn setting(kind: &str, scope: Option<&str>, value: Json) -> Json {
    let mut object = Object::new();
    object.insert("kind".into(), kind.into());
    if let Some(scope) = scope {
        object.insert("subject".into(), scope.into());
    }
    object.insert("value".into(), value);
    Json::Object(object)
}

/// Versions in the order in which they can be registered: what they refer to first, otherwise by subject and version.
fn in_order(schemas: &BTreeMap<Key, Stored>) -> Result<Vec<Key>> {
    let mut done: BTreeSet<Key> = BTreeSet::new();
    let mut order = Vec::with_capacity(schemas.len());
    for first in schemas.keys() {
        let mut open = vec![(first.clone(), false)];
        let mut path: BTreeSet<Key> = BTreeSet::new();
        while let Some((key, ready)) = open.pop() {
            if done.contains(&key) {
                continue;
            }
            if ready {
                path.remove(&key);
                done.insert(key.clone());
                order.push(key);
                continue;
            }
            if !path.insert(key.clone()) {
                bail!(
                    "version {} of subject '{}' refers to itself through its references",
                    key.1,
                    key.0
                );
            }
            open.push((key.clone(), true));
            for reference in &schemas[&key].references {
                let target = (
                    qualified(&key.0, &reference.subject),
                    i64::from(reference.version),
                );
                // What lies outside the exported prefix must be in the registry that imports.
                if schemas.contains_key(&target) && !done.contains(&target) {
                    open.push((target, false));
                }
            }
        }
    }
    Ok(order)
}

/// A reference's subject in the context of the subject that refers.
fn qualified(referring: &str, subject: &str) -> String {
    if subject.starts_with(":.") {
        return subject.to_owned();
    }
    match referring
        .strip_prefix(":.")
        .and_then(|rest| rest.split_once(':'))
    {
        Some((context, _)) if !context.is_empty() => format!(":.{context}:{subject}"),
        _ => subject.to_owned(),
    }
}

pub(super) async fn import(remote: &Remote, args: &ImportArgs) -> Result<()> {
    let text = if args.file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(&args.file)
            .with_context(|| format!("reading {}", args.file.display()))?
    };
    let lines: Vec<Json> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| read(line).with_context(|| format!("line {} is not JSON", i + 1)))
        .collect::<Result<_>>()?;
    let kind = |line: &Json| {
        line.get("kind")
            .and_then(Json::as_str)
            .unwrap_or("")
            .to_owned()
    };
    let schemas: Vec<Stored> = lines
        .iter()
        .filter(|line| kind(line) == "schema")
        .map(stored)
        .collect::<Result<_>>()?;
    let contexts: BTreeSet<String> = schemas.iter().map(|s| context_of(&s.subject)).collect();
    // Ids can be given in mode IMPORT only. The modes that are there come back at the end, or after a failure.
    let mut before = Vec::new();
    for context in &contexts {
        let path = mode_path(context);
        let found = remote.try_call("GET", &path, None).await?;
        let mode = found.and_then(|m| m.get("mode").and_then(Json::as_str).map(str::to_owned));
        before.push((path.clone(), mode));
        let force = if args.force { "?force=true" } else { "" };
        let answer = remote
            .call(
                "PUT",
                &format!("{path}{force}"),
                Some(&mode_body(Some("IMPORT"))),
                "the mode",
            )
            .await;
        if let Err(error) = answer {
            restore(remote, &before[..before.len() - 1]).await?;
            return Err(error.context(format!(
                "mode IMPORT was refused for {}; --force imports into a registry that has schemas",
                if context.is_empty() {
                    "the default context"
                } else {
                    context
                }
            )));
        }
    }
    let imported = put_schemas(remote, &schemas).await;
    restore(remote, &before).await?;
    imported?;
    let mut settings = 0;
    for line in &lines {
        let (kind, value) = (kind(line), line.get("value"));
        let (Some(value), "config" | "mode") = (value, kind.as_str()) else {
            continue;
        };
        let mut path = format!("/{kind}");
        if let Some(subject) = line.get("subject").and_then(Json::as_str) {
            path.push('/');
            path.push_str(&encode(subject));
        }
        let mut body = value.as_object().cloned().unwrap_or_default();
        // GET and PUT call the level by two names.
        if let Some(level) = body.shift_remove("compatibilityLevel") {
            body.insert("compatibility".into(), level);
        }
        let query = if kind == "mode" { "?force=true" } else { "" };
        remote
            .call(
                "PUT",
                &format!("{path}{query}"),
                Some(&Json::Object(body)),
                "the setting",
            )
            .await?;
        settings += 1;
    }
    eprintln!(
        "imported {} versions and {settings} settings",
        schemas.len()
    );
    Ok(())
}

/// Registers live and deleted versions alike, then deletes what was deleted.
async fn put_schemas(remote: &Remote, schemas: &[Stored]) -> Result<()> {
    for schema in schemas {
        let mut body = request(schema.schema_type, &schema.text, &schema.references);
        body.insert("version".into(), schema.version.into());
        body.insert("id".into(), schema.id.into());
        for (name, value) in [
            ("metadata", &schema.metadata),
            ("ruleSet", &schema.rule_set),
        ] {
            if let Some(value) = value {
                body.insert(name.into(), value.clone());
            }
        }
        let path = format!("/subjects/{}/versions", encode(&schema.subject));
        let what = format!(
            "version {} of subject '{}' (id {})",
            schema.version, schema.subject, schema.id
        );
        let answer = remote
            .call("POST", &path, Some(&Json::Object(body)), &what)
            .await
            .with_context(|| format!("importing {what}"))?;
        if answer.get("id").and_then(Json::as_i64) != Some(schema.id) {
            bail!(
                "{what} was registered under another id: {}",
                answer.to_text()
            );
        }
    }
    // The other way round, so that no version is still referred to when it goes.
    for schema in schemas.iter().rev().filter(|s| s.deleted) {
        let path = format!(
            "/subjects/{}/versions/{}",
            encode(&schema.subject),
            schema.version
        );
        remote.try_call("DELETE", &path, None).await?;
    }
    Ok(())
}

async fn restore(remote: &Remote, before: &[(String, Option<String>)]) -> Result<()> {
    for (path, mode) in before {
        let path = format!("{path}?force=true");
        let body = mode_body(mode.as_deref());
        remote
            .call("PUT", &path, Some(&body), "the mode")
            .await
            .with_context(|| format!("putting the mode back ({path})"))?;
    }
    Ok(())
}

fn mode_path(context: &str) -> String {
    if context.is_empty() {
        "/mode".to_owned()
    } else {
        format!("/mode/{}", encode(&format!(":{context}:")))
    }
}

fn mode_body(mode: Option<&str>) -> Json {
    let mut body = Object::new();
    body.insert("mode".into(), mode.map_or(Json::Null, Json::from));
    Json::Object(body)
}

/// `.ctx`, or nothing for the default context.
fn context_of(subject: &str) -> String {
    match subject
        .strip_prefix(':')
        .filter(|rest| rest.starts_with('.'))
        .and_then(|rest| rest.split_once(':'))
    {
        Some((".", _)) | None => String::new(),
        Some((context, _)) => context.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(subject: &str, version: i64, refers: &[(&str, i32)]) -> (Key, Stored) {
        let line =
            format!(r#"{{"subject":"{subject}","version":{version},"id":1,"schema":"{{}}"}}"#);
        let mut stored = stored(&read(&line).expect("JSON")).expect("a schema");
        stored.references = refers
            .iter()
            .map(|(subject, version)| registry_formats::Reference {
                name: "n".into(),
                subject: (*subject).into(),
                version: *version,
            })
            .collect();
        ((subject.to_owned(), version), stored)
    }

    #[test]
    fn what_is_referred_to_comes_first() {
        let schemas = BTreeMap::from([
            schema(":.c:a", 1, &[("z", 1)]),
            schema(":.c:z", 1, &[(":.c:m", 2), ("outside", 1)]),
            schema(":.c:m", 2, &[]),
        ]);
        let order = in_order(&schemas).expect("an order");
        let names: Vec<&str> = order.iter().map(|k| k.0.as_str()).collect();
        assert_eq!(names, [":.c:m", ":.c:z", ":.c:a"]);
    }

    #[test]
    fn loops_are_refused() {
        let schemas = BTreeMap::from([schema("a", 1, &[("b", 1)]), schema("b", 1, &[("a", 1)])]);
        assert!(in_order(&schemas).is_err());
    }

    #[test]
    fn contexts_are_found() {
        assert_eq!(context_of(":.ctx:a"), ".ctx");
        assert_eq!(context_of(":.:a"), "");
        assert_eq!(context_of(":x"), "");
    }
}
