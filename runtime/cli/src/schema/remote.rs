//! The registry that a command talks to.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use java_idioms::json::ReadOptions;
use java_idioms::{Json, Object};
use millrace_api::config::Props;
use millrace_worker::properties;
use registry_client::percent::escaped;
use registry_client::{Registries, SchemaRegistry};
use registry_formats::{Policy, Reference, ResolvedReference, SchemaType};

/// Where the registry is and how to get in.
#[derive(Debug, Args)]
pub(crate) struct RemoteArgs {
    /// The registry; several, separated by commas, are tried in turn. By default what the client settings name, else http://localhost:8081.
    // Not shown by --help: a URL may hold a password.
    #[arg(
        long,
        global = true,
        env = "SCHEMA_REGISTRY_URL",
        hide_env_values = true
    )]
    url: Option<String>,
    /// Client settings as a serializer has them (schema.registry.url, basic.auth.*, bearer.auth.*, schema.registry.ssl.*).
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

impl Stored {
    /// A property of its metadata.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.metadata
            .as_ref()?
            .get("properties")?
            .get(name)?
            .as_str()
    }
}

/// The prefix of the subjects of all contexts.
pub(crate) const ALL_CONTEXTS: &str = ":*:";

/// Schemas that are asked for at once.
const PAGE: usize = 500;

/// A call that the registry answered with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Method and path.
    pub(crate) call: String,
    /// HTTP status.
    pub(crate) status: u16,
    /// `error_code`; none when the answer is not a registry's.
    pub(crate) code: Option<i64>,
    /// `message`, or the beginning of the answer.
    pub(crate) message: String,
}

impl Refused {
    fn new(call: String, status: u16, text: &str) -> Self {
        let said = read(text).ok();
        let member = |name: &str| said.as_ref().and_then(|said| said.get(name));
        let code = member("error_code").and_then(Json::as_i64);
        let message = match member("message").and_then(Json::as_str) {
            Some(message) => message.to_owned(),
            None => text.chars().take(300).collect(),
        };
        Self {
            call,
            status,
            code,
            message,
        }
    }

    /// Whether what was asked for is not there. A path that the server does not know is another thing: its code is 404 itself, or there is none.
    fn is_not_found(&self) -> bool {
        self.status == 404 && self.code.is_some_and(|code| code > 404)
    }

    fn remedy(&self) -> &'static str {
        match (self.status, self.code.unwrap_or(0)) {
            (401, _) => {
                "; give credentials with --client-config (basic.auth.credentials.source, basic.auth.user.info, bearer.auth.*)"
            }
            (403, _) => "; these credentials may not do it",
            (404, _) => "; is --url the address of a schema registry?",
            (_, 42206) => "; delete what refers to it first",
            (_, 50003 | 50004) => "; does the registry's leader run?",
            _ => "",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call,
            status,
            message,
            ..
        } = self;
        match self.code {
            Some(code) => write!(f, "{call} was refused ({code}): {message}")?,
            None => write!(f, "{call} was answered {status}: {message}")?,
        }
        f.write_str(self.remedy())
    }
}

impl std::error::Error for Refused {}

/// What a subject's configuration says about compatibility, from whatever level of configuration it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compatibility {
    /// `compatibilityLevel`
    pub(crate) level: String,
    /// `compatibilityPolicy`
    pub(crate) policy: Policy,
    /// `compatibilityGroup`: versions count that have the same value of this property.
    pub(crate) group: Option<String>,
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
        if let Some(url) = &args.url {
            props.insert("schema.registry.url", url.clone());
        } else if !props.contains_key("schema.registry.url") {
            props.insert("schema.registry.url", "http://localhost:8081");
        }
        let registry = Registries::new()
            .client(&props)
            .map_err(|e| anyhow::anyhow!("{e}"))?;
        Ok(Self { registry })
    }

    /// A call; `None` when the registry has not got what it is about. Any other error answer is a [`Refused`].
    pub(crate) async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Option<Json>> {
        let body = body.map(Json::to_text);
        let (status, text) = self.registry.call(method, path, body).await?;
        if !(200..300).contains(&status) {
            let refused = Refused::new(format!("{method} {path}"), status, &text);
            return if refused.is_not_found() {
                Ok(None)
            } else {
                Err(refused.into())
            };
        }
        if text.trim().is_empty() {
            return Ok(Some(Json::Null));
        }
        Ok(Some(read(&text).with_context(|| {
            format!(
                "the answer to {method} {path} is not JSON; is --url the address of a schema registry?"
            )
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

    /// Versions of the subjects that begin with `prefix`, in the order of subjects and versions: deleted ones too when wanted, or only the latest of each subject.
    pub(crate) async fn schemas(
        &self,
        prefix: &str,
        deleted: bool,
        latest_only: bool,
    ) -> Result<Vec<Stored>> {
        let (mut found, told) = self.pages(prefix, deleted, latest_only).await?;
        // Registries before release 7.4 do not say which versions are deleted.
        if deleted && !told {
            let (live, _) = self.pages(prefix, false, false).await?;
            let live: HashSet<(String, i64)> =
                live.into_iter().map(|s| (s.subject, s.version)).collect();
            for stored in &mut found {
                stored.deleted = !live.contains(&(stored.subject.clone(), stored.version));
            }
        }
        Ok(found)
    }

    /// As [`schemas`](Self::schemas), and whether every one of them says if it is deleted.
    async fn pages(
        &self,
        prefix: &str,
        deleted: bool,
        latest_only: bool,
    ) -> Result<(Vec<Stored>, bool)> {
        let mut found = Vec::new();
        let mut told = true;
        let mut offset = 0;
        loop {
            let path = format!(
                "/schemas?subjectPrefix={}&deleted={deleted}&latestOnly={latest_only}&offset={offset}&limit={PAGE}",
                escaped(prefix)
            );
            let answer = self.call("GET", &path, None, "the list of schemas").await?;
            let page = answer
                .as_array()
                .context("the list of schemas is not an array")?;
            if page.is_empty() {
                return Ok((found, told));
            }
            // A server's own limit may be less than was asked for.
            offset += page.len();
            for schema in page {
                told &= schema.get("deleted").is_some();
                found.push(stored(schema).context("reading the list of schemas")?);
            }
        }
    }

    /// Contexts other than the default one; none in registries before release 7.0, which have no such thing.
    pub(crate) async fn contexts(&self) -> Result<Vec<String>> {
        let answer = match self.try_call("GET", "/contexts", None).await {
            Ok(answer) => answer.unwrap_or(Json::Null),
            Err(error) => match error.downcast_ref::<Refused>() {
                Some(refused) if refused.status == 404 => Json::Null,
                _ => return Err(error),
            },
        };
        let mut contexts = strings(&answer);
        contexts.retain(|context| context != ".");
        Ok(contexts)
    }

    /// Versions of a subject in ascending order.
    pub(crate) async fn versions(&self, subject: &str, deleted: bool) -> Result<Vec<i64>> {
        let path = format!("/subjects/{}/versions?deleted={deleted}", escaped(subject));
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
            escaped(subject),
            escaped(version)
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

    /// What counts for a subject when compatibility is looked at.
    pub(crate) async fn compatibility(&self, subject: &str) -> Result<Compatibility> {
        let path = format!("/config/{}?defaultToGlobal=true", escaped(subject));
        let answer = self.call("GET", &path, None, "the configuration").await?;
        let text = |name: &str| answer.get(name).and_then(Json::as_str);
        Ok(Compatibility {
            level: text("compatibilityLevel").unwrap_or("BACKWARD").to_owned(),
            policy: match text("compatibilityPolicy") {
                Some(policy) if policy.eq_ignore_ascii_case("LENIENT") => Policy::Lenient,
                _ => Policy::Strict,
            },
            group: text("compatibilityGroup").map(str::to_owned),
        })
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

/// The `references` of an answer.
pub(crate) fn references(answer: Option<&Json>) -> Result<Vec<Reference>> {
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
    fn what_is_missing_is_not_a_path_that_is_missing() {
        let refused = |status, text| Refused::new("GET /x".to_owned(), status, text);
        let missing = r#"{"error_code":40401,"message":"Subject 'x' not found."}"#;
        assert!(refused(404, missing).is_not_found());
        for (status, text, remedy) in [
            (
                404,
                r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#,
                "--url",
            ),
            (404, "<html>", "--url"),
            (
                401,
                r#"{"error_code":401,"message":"Unauthorized"}"#,
                "--client-config",
            ),
        ] {
            let refused = refused(status, text);
            assert!(!refused.is_not_found(), "{refused}");
            assert!(refused.to_string().contains(remedy), "{refused}");
        }
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
