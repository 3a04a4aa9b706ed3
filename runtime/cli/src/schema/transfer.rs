//! `millrace schema export` and `import`: a registry as a file of JSON lines, ids included.
//!
//! One object a line: `{"kind":"schema",…}` in the order in which they can be registered (what is referred to first), with the members of `GET /schemas`; then
//! `{"kind":"config","subject":…,"value":…}` and `{"kind":"mode",…}` with what `GET /config` and `GET /mode` answer for that subject or context, or without one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use java_idioms::{Json, Object};
use registry_client::percent::escaped;

use super::remote::{ALL_CONTEXTS, Refused, Remote, Stored, read, reference_list, request, stored};

/// What is exported.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file; standard output without it.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Only subjects that begin so, with their settings; `:.ctx:` is a context. By default all contexts, with the settings of contexts and of the registry.
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
    /// Import though the registry has schemas already, which stay. A schema that is there with the same id and version is left as it is; another schema under a taken
    /// id is refused. Without this, what is deleted there but not for good makes room.
    #[arg(long)]
    force: bool,
}

type Key = (String, i64);

/// The context above all contexts, which has configuration and a mode but no subjects.
const GLOBAL_SCOPE: &str = ":.__GLOBAL:";

pub(super) async fn export(remote: &Remote, args: &ExportArgs) -> Result<()> {
    let prefix = args.prefix.as_deref().unwrap_or(ALL_CONTEXTS);
    let schemas: BTreeMap<Key, Stored> = remote
        .schemas(prefix, !args.live_only, false)
        .await?
        .into_iter()
        .map(|stored| ((stored.subject.clone(), stored.version), stored))
        .collect();
    let order = in_order(&schemas)?;
    let subjects: BTreeSet<&str> = schemas.keys().map(|key| key.0.as_str()).collect();
    let mut lines: Vec<Json> = order.iter().map(|key| line(&schemas[key])).collect();
    let mut scopes: Vec<Option<String>> = Vec::new();
    if prefix == ALL_CONTEXTS {
        scopes.extend([Some(GLOBAL_SCOPE.to_owned()), None]);
    }
    let contexts = remote.contexts().await?.into_iter();
    scopes.extend(
        contexts
            .map(|context| format!(":{context}:"))
            .filter(|scope| prefix == ALL_CONTEXTS || scope == prefix)
            .map(Some),
    );
    scopes.extend(subjects.iter().map(|subject| Some((*subject).to_owned())));
    let settings = lines.len();
    for kind in ["config", "mode"] {
        for scope in &scopes {
            let path = scope_path(kind, scope.as_deref());
            if let Some(own) = remote.try_call("GET", &path, None).await? {
                lines.push(setting(kind, scope.as_deref(), own));
            }
        }
    }
    let settings = lines.len() - settings;
    // Only now, so that a registry that fails leaves an older export alone.
    let mut out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(BufWriter::new(
            std::fs::File::create(path).with_context(|| format!("creating {}", path.display()))?,
        )),
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    for line in &lines {
        writeln!(out, "{}", line.to_text())?;
    }
    out.flush()?;
    eprintln!(
        "exported {} versions of {} subjects and {settings} settings",
        schemas.len(),
        subjects.len(),
    );
    Ok(())
}

/// `/config`, `/mode/{scope}`; no scope is the default context.
fn scope_path(kind: &str, scope: Option<&str>) -> String {
    match scope {
        Some(scope) => format!("/{kind}/{}", escaped(scope)),
        None => format!("/{kind}"),
    }
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

/// A line of an exported file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Schema(Box<Stored>),
    Config(Option<String>, Object),
    Mode(Option<String>, Object),
}

impl Line {
    fn read(text: &str) -> Result<Self> {
        let json = read(text).context("not JSON")?;
        let kind = json.get("kind").and_then(Json::as_str).unwrap_or_default();
        let scope = json.get("subject").and_then(Json::as_str);
        let value = || {
            json.get("value")
                .and_then(Json::as_object)
                .cloned()
                .with_context(|| format!("a line of kind '{kind}' needs an object as its 'value'"))
        };
        match kind {
            "schema" => {
                let stored = stored(&json)?;
                if stored.id < 0 {
                    bail!("'id' is missing");
                }
                Ok(Self::Schema(Box::new(stored)))
            }
            "config" => Ok(Self::Config(scope.map(str::to_owned), value()?)),
            "mode" => Ok(Self::Mode(scope.map(str::to_owned), value()?)),
            other => bail!(
                "'kind' is '{other}': must be schema, config or mode, as `millrace schema export` writes it"
            ),
        }
    }
}

pub(super) async fn import(remote: &Remote, args: &ImportArgs) -> Result<()> {
    let text = if args.file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("reading standard input")?
    } else {
        std::fs::read_to_string(&args.file)
            .with_context(|| format!("reading {}", args.file.display()))?
    };
    // All of it first: a file that is no export changes nothing.
    let (mut schemas, mut settings) = (Vec::new(), Vec::new());
    for (i, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let place = || format!("line {} of {}", i + 1, args.file.display());
        match Line::read(line).with_context(place)? {
            Line::Schema(stored) => schemas.push(*stored),
            Line::Config(scope, value) => settings.push(("config", scope, value)),
            Line::Mode(scope, value) => settings.push(("mode", scope, value)),
        }
    }
    // A mode may forbid changes of the configuration.
    settings.sort_by_key(|(kind, _, _)| *kind);
    let contexts: BTreeSet<String> = schemas.iter().map(|s| context_of(&s.subject)).collect();
    // Ids can be given in mode IMPORT only. The modes that are there come back at the end, or after a failure.
    let mut before = Vec::new();
    let imported = tokio::select! {
        done = async {
            for context in &contexts {
                before.push(begin_import(remote, context, args.force).await?);
            }
            put_schemas(remote, &schemas).await
        } => done,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted: a part of the schemas is imported, and no setting")),
    };
    let restored = restore(remote, &before).await;
    imported?;
    restored?;
    for (kind, scope, value) in &settings {
        put_setting(remote, kind, scope.as_deref(), value).await?;
    }
    eprintln!(
        "imported {} versions and {} settings",
        schemas.len(),
        settings.len()
    );
    Ok(())
}

/// Sets what is not so already: where a mode forbids changes, what is equal goes through.
async fn put_setting(
    remote: &Remote,
    kind: &str,
    scope: Option<&str>,
    value: &Object,
) -> Result<()> {
    let mut path = scope_path(kind, scope);
    let there = remote.try_call("GET", &path, None).await?;
    if there.as_ref().and_then(Json::as_object) == Some(value) {
        return Ok(());
    }
    let mut body = value.clone();
    // GET and PUT call the level by two names.
    if let Some(level) = body.shift_remove("compatibilityLevel") {
        body.insert("compatibility".into(), level);
    }
    if kind == "mode" {
        path.push_str("?force=true");
    }
    remote
        .call("PUT", &path, Some(&Json::Object(body)), "the setting")
        .await
        .with_context(|| {
            let scope = scope.unwrap_or("the default context");
            format!("the schemas are imported, but not all settings; {kind} of {scope}")
        })?;
    Ok(())
}

/// A context's mode as it was: its scope, and no mode where it had none of its own.
type ModeBefore = (Option<String>, Option<String>);

/// Puts a context in mode IMPORT.
async fn begin_import(remote: &Remote, context: &str, force: bool) -> Result<ModeBefore> {
    let scope = (!context.is_empty()).then(|| format!(":{context}:"));
    let path = scope_path("mode", scope.as_deref());
    let found = remote.try_call("GET", &path, None).await?;
    let mode = found.and_then(|m| m.get("mode").and_then(Json::as_str).map(str::to_owned));
    let query = if force { "?force=true" } else { "" };
    let body = mode_body("IMPORT");
    let answer = remote
        .call("PUT", &format!("{path}{query}"), Some(&body), "the mode")
        .await;
    let name = if context.is_empty() {
        "the default context"
    } else {
        context
    };
    match answer {
        Ok(_) => Ok((scope, mode)),
        Err(error) => {
            let refused = error.downcast_ref::<Refused>();
            let has_schemas =
                refused.is_some_and(|r| r.message.contains("found existing subjects"));
            Err(if has_schemas && !force {
                anyhow::anyhow!(
                    "{name} has schemas already, and nothing was changed: delete them, or add what is missing to them with --force"
                )
            } else {
                error.context(format!(
                    "{name} cannot be put in mode IMPORT, without which no ids can be given"
                ))
            })
        }
    }
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
        let path = format!("/subjects/{}/versions", escaped(&schema.subject));
        let what = format!(
            "version {} of subject '{}' (id {})",
            schema.version, schema.subject, schema.id
        );
        let answer = remote
            .call("POST", &path, Some(&Json::Object(body)), &what)
            .await
            .with_context(|| {
                format!("importing {what}; what comes before it in the file is imported")
            })?;
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
            escaped(&schema.subject),
            schema.version
        );
        remote.try_call("DELETE", &path, None).await?;
    }
    Ok(())
}

async fn restore(remote: &Remote, before: &[ModeBefore]) -> Result<()> {
    let mut result = Ok(());
    for (scope, mode) in before {
        let path = scope_path("mode", scope.as_deref());
        let put_back = match mode {
            Some(mode) => {
                let path = format!("{path}?force=true");
                let body = mode_body(mode);
                remote
                    .try_call("PUT", &path, Some(&body))
                    .await
                    .with_context(|| {
                        format!("putting mode {mode} back with PUT {path}; do it by hand")
                    })
            }
            None => remote
                .try_call("DELETE", &path, None)
                .await
                .with_context(|| {
                    format!("taking mode IMPORT away with DELETE {path}; do it by hand")
                }),
        };
        // The other contexts get theirs back all the same.
        result = result.and(put_back.map(|_| ()));
    }
    result
}

fn mode_body(mode: &str) -> Json {
    let mut body = Object::new();
    body.insert("mode".into(), mode.into());
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
    fn lines_that_no_export_writes_are_refused() {
        for (text, expected) in [
            ("{", "not JSON"),
            ("[]", "'kind' is ''"),
            (r#"{"kind":"subject"}"#, "'kind' is 'subject'"),
            (r#"{"kind":"mode","value":"IMPORT"}"#, "'value'"),
            (
                r#"{"kind":"schema","subject":"a","version":1,"schema":"{}"}"#,
                "'id'",
            ),
        ] {
            let error = format!("{:#}", Line::read(text).expect_err(text));
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn contexts_are_found() {
        assert_eq!(context_of(":.ctx:a"), ".ctx");
        assert_eq!(context_of(":.:a"), "");
        assert_eq!(context_of(":x"), "");
    }
}
