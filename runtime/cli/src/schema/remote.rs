//! The registry that a command talks to.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use java_idioms::json::ReadOptions;
use java_idioms::{Json, Object};
use millrace_api::config::Props;
use millrace_worker::properties;
use registry_client::{Registries, SchemaRegistry};
use registry_formats::{Reference, ResolvedReference, SchemaType};

/// Where the registry is and how to get in.
#[derive(Debug, Args)]
pub(crate) struct RemoteArgs {
    /// The registry; several, separated by commas, are tried in turn.
    #[arg(
        long,
        global = true,
        env = "SCHEMA_REGISTRY_URL",
        default_value = "http://localhost:8081"
    )]
    url: String,
    /// Client settings as a serializer has them (basic.auth.*, bearer.auth.*, schema.registry.ssl.*).
    #[arg(long, global = true, value_name = "FILE")]
    client_config: Option<PathBuf>,
}

/// A version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) subject: String,
    pub(crate) version: i64,
    pub(crate) id: i64,
    pub(crate) schema_type: SchemaType,
    pub(crate) text: Arc<str>,
    pub(crate) references: Vec<Reference>,
    pub(crate) deleted: bool,
    /// `metadata` and `ruleSet` as they are.
    pub(crate) metadata: Option<Json>,
    pub(crate) rule_set: Option<Json>,
}

/// A registry.
#[derive(Debug)]
pub(crate) struct Remote {
    registry: Arc<dyn SchemaRegistry>,
}

impl Remote {
    pub(crate) fn open(args: &RemoteArgs) -> Result<Self> {
        let mut props = match &args.client_config {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("reading {}", path.display()))?;
                properties::parse(&text)
                    .with_context(|| format!("{} is not a properties file", path.display()))?
            }
            None => Props::default(),
        };
        if props.get("schema.registry.url").is_none() {
            props.insert("schema.registry.url", args.url.clone());
        }
        let registry = Registries::new()
            .client(&props)
            .map_err(|e| anyhow::anyhow!("{e}"))?;
        Ok(Self { registry })
    }

    /// A call; `None` when the answer is 404.
    pub(crate) async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Option<Json>> {
        let body = body.map(Json::to_text);
        let (status, text) = self.registry.call(method, path, body).await?;
        if status == 404 {
            return Ok(None);
        }
        if !(200..300).contains(&status) {
            let said = read(&text).ok();
            let message = said
                .as_ref()
                .and_then(|said| said.get("message")?.as_str())
                .unwrap_or(&text);
            let code = said
                .as_ref()
                .and_then(|said| said.get("error_code")?.as_i64());
            match code {
                Some(code) => bail!("{method} {path} was refused ({code}): {message}"),
                None => bail!("{method} {path} was answered {status}: {message}"),
            }
        }
        if text.trim().is_empty() {
            return Ok(Some(Json::Null));
        }
        Ok(Some(read(&text).with_context(|| {
            format!("the answer to {method} {path} is not JSON")
        })?))
    }

    /// A call whose answer must not be 404; `what` names what is missing then.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Json>,
        what: &str,
    ) -> Result<Json> {
        self.try_call(method, path, body)
            .await?
            .with_context(|| format!("{what} is not in the registry"))
    }

    /// Subjects, those of `prefix` only when given, deleted ones too when wanted.
    pub(crate) async fn subjects(
        &self,
        prefix: Option<&str>,
        deleted: bool,
    ) -> Result<Vec<String>> {
        let mut path = format!("/subjects?deleted={deleted}");
        if let Some(prefix) = prefix {
            path.push_str("&subjectPrefix=");
            path.push_str(&encode(prefix));
        }
        let answer = self
            .call("GET", &path, None, "the list of subjects")
            .await?;
        Ok(strings(&answer))
    }

    /// Versions of a subject in ascending order.
    pub(crate) async fn versions(&self, subject: &str, deleted: bool) -> Result<Vec<i64>> {
        let path = format!("/subjects/{}/versions?deleted={deleted}", encode(subject));
        let answer = self.try_call("GET", &path, None).await?;
        let answer = answer.unwrap_or_else(|| Json::Array(Vec::new()));
        Ok(answer
            .as_array()
            .unwrap_or_default()
            .iter()
            .filter_map(Json::as_i64)
            .collect())
    }

    /// One version; `version` as in the path (`latest`, a number).
    pub(crate) async fn version(
        &self,
        subject: &str,
        version: &str,
        deleted: bool,
    ) -> Result<Stored> {
        let path = format!(
            "/subjects/{}/versions/{}?deleted={deleted}",
            encode(subject),
            encode(version)
        );
        let what = format!("version {version} of subject '{subject}'");
        stored(&self.call("GET", &path, None, &what).await?)
    }

    /// The texts of everything that `references` name, dependencies first, each name once.
    pub(crate) async fn resolve(&self, references: &[Reference]) -> Result<Vec<ResolvedReference>> {
        let mut resolved: Vec<ResolvedReference> = Vec::new();
        // What is still open; a mark says that everything a reference itself needs is there.
        let mut open: Vec<(Reference, Option<Arc<str>>)> =
            references.iter().rev().map(|r| (r.clone(), None)).collect();
        let mut fetched = 0;
        while let Some((reference, text)) = open.pop() {
            if resolved.iter().any(|r| r.name == reference.name) {
                continue;
            }
            if let Some(text) = text {
                resolved.push(ResolvedReference {
                    name: reference.name,
                    text,
                });
                continue;
            }
            fetched += 1;
            if fetched > 1000 {
                bail!(
                    "more than 1000 references are needed to resolve '{}': they may form a loop",
                    reference.name
                );
            }
            let version = match reference.version {
                -1 => "latest".to_owned(),
                version => version.to_string(),
            };
            let found = self.version(&reference.subject, &version, true).await?;
            open.push((reference, Some(found.text)));
            open.extend(found.references.into_iter().rev().map(|r| (r, None)));
        }
        Ok(resolved)
    }

    /// The compatibility level that counts for a subject.
    pub(crate) async fn level(&self, subject: &str) -> Result<String> {
        let path = format!("/config/{}?defaultToGlobal=true", encode(subject));
        let answer = self.call("GET", &path, None, "the configuration").await?;
        Ok(answer
            .get("compatibilityLevel")
            .and_then(Json::as_str)
            .unwrap_or("BACKWARD")
            .to_owned())
    }
}

/// Reads an answer.
pub(crate) fn read(text: &str) -> Result<Json> {
    Ok(Json::read(text, ReadOptions::default())?)
}

/// The strings of an array.
pub(crate) fn strings(answer: &Json) -> Vec<String> {
    answer
        .as_array()
        .unwrap_or_default()
        .iter()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect()
}

/// A path segment or a query value.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A version as the registry, or an exported line, describes it.
pub(crate) fn stored(answer: &Json) -> Result<Stored> {
    let number = |name: &str| answer.get(name).and_then(Json::as_i64);
    let name = answer
        .get("schemaType")
        .and_then(Json::as_str)
        .unwrap_or("AVRO");
    Ok(Stored {
        subject: answer
            .get("subject")
            .and_then(Json::as_str)
            .context("'subject' is missing")?
            .to_owned(),
        version: number("version").context("'version' is missing")?,
        id: number("id").unwrap_or(-1),
        schema_type: SchemaType::from_name(name)
            .with_context(|| format!("schemaType '{name}' is none of AVRO, JSON, PROTOBUF"))?,
        text: answer
            .get("schema")
            .and_then(Json::as_str)
            .context("'schema' is missing")?
            .into(),
        references: references(answer.get("references"))?,
        deleted: answer.get("deleted").and_then(Json::as_bool) == Some(true),
        metadata: answer.get("metadata").cloned(),
        rule_set: answer.get("ruleSet").cloned(),
    })
}

fn references(answer: Option<&Json>) -> Result<Vec<Reference>> {
    answer
        .and_then(Json::as_array)
        .unwrap_or_default()
        .iter()
        .map(|reference| {
            let text = |name: &str| -> Result<Arc<str>> {
                Ok(reference
                    .get(name)
                    .and_then(Json::as_str)
                    .with_context(|| format!("a reference has no '{name}'"))?
                    .into())
            };
            Ok(Reference {
                name: text("name")?,
                subject: text("subject")?,
                version: reference
                    .get("version")
                    .and_then(Json::as_i64)
                    .and_then(|v| i32::try_from(v).ok())
                    .context("a reference has no 'version'")?,
            })
        })
        .collect()
}

/// A schema as a request body has it.
pub(crate) fn request(schema_type: SchemaType, text: &str, references: &[Reference]) -> Object {
    let mut body = Object::new();
    if schema_type != SchemaType::Avro {
        body.insert("schemaType".into(), schema_type.name().into());
    }
    if !references.is_empty() {
        body.insert("references".into(), reference_list(references));
    }
    body.insert("schema".into(), text.into());
    body
}

/// References as requests and exported lines have them.
pub(crate) fn reference_list(references: &[Reference]) -> Json {
    let list = references.iter().map(|reference| {
        let mut object = Object::new();
        object.insert("name".into(), Json::String(Arc::clone(&reference.name)));
        object.insert(
            "subject".into(),
            Json::String(Arc::clone(&reference.subject)),
        );
        object.insert("version".into(), reference.version.into());
        Json::Object(object)
    });
    Json::Array(list.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_travel_as_one_segment() {
        assert_eq!(encode(":.ctx:a/b c"), "%3A.ctx%3Aa%2Fb%20c");
    }

    #[test]
    fn a_version_is_read_with_its_references() {
        let answer = read(r#"{"subject":"s","version":2,"id":7,"schemaType":"JSON","references":[{"name":"n","subject":"t","version":1}],"schema":"{}","deleted":true}"#)
            .expect("JSON");
        let stored = stored(&answer).expect("a version");
        assert_eq!(
            (
                stored.version,
                stored.id,
                stored.schema_type,
                stored.deleted
            ),
            (2, 7, SchemaType::Json, true)
        );
        assert_eq!(stored.references.len(), 1);
        let body = Json::Object(request(
            stored.schema_type,
            &stored.text,
            &stored.references,
        ));
        assert_eq!(
            body.to_text(),
            r#"{"schemaType":"JSON","references":[{"name":"n","subject":"t","version":1}],"schema":"{}"}"#
        );
    }
}
