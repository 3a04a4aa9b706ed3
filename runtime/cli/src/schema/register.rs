//! `millrace schema register`

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;
use java_idioms::Json;
use registry_client::percent::escaped;

use super::remote::{Refused, Remote, request};
use super::source::{SourceArgs, plain};

/// What is registered.
#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// The subject.
    subject: String,
    #[command(flatten)]
    source: SourceArgs,
    /// Let the registry normalize the schema.
    #[arg(long)]
    normalize: bool,
    /// The id to take; the subject must be in mode IMPORT.
    #[arg(long)]
    id: Option<i32>,
    /// The version to take.
    #[arg(long)]
    version: Option<i32>,
}

pub(super) async fn run(remote: &Remote, args: &RegisterArgs) -> Result<()> {
    let source = args.source.read()?;
    let mut body = request(source.schema_type, &source.text, &source.references);
    if let Some(id) = args.id {
        body.insert("id".into(), id.into());
    }
    if let Some(version) = args.version {
        body.insert("version".into(), version.into());
    }
    let subject = escaped(&args.subject);
    let path = format!("/subjects/{subject}/versions?normalize={}", args.normalize);
    let answer = remote
        .call(
            "POST",
            &path,
            Some(&Json::Object(body.clone())),
            "the subject",
        )
        .await
        .map_err(|error| explain(error, args))?;
    let id = answer
        .get("id")
        .and_then(Json::as_i64)
        .context("the answer has no 'id'")?;
    let version = match answer.get("version").and_then(Json::as_i64) {
        Some(version) => version,
        // Registries before release 8.0 answer the id alone.
        None => {
            let path = format!("/subjects/{subject}?normalize={}", args.normalize);
            let found = remote
                .call("POST", &path, Some(&Json::Object(body)), "the schema")
                .await?;
            found
                .get("version")
                .and_then(Json::as_i64)
                .context("the answer has no 'version'")?
        }
    };
    writeln!(
        std::io::stdout(),
        "subject {} version {version} id {id}",
        args.subject
    )?;
    Ok(())
}

/// An incompatible schema is answered with everything about it on one line; `check` says it in a form that can be read.
fn explain(error: anyhow::Error, args: &RegisterArgs) -> anyhow::Error {
    match error.downcast_ref::<Refused>() {
        Some(refused) if refused.status == 409 => {
            let what = refused.message.split(", details:").next();
            anyhow::anyhow!(
                "{} ({}); what is incompatible, and what to do, says: millrace schema check {} --subject {}",
                what.unwrap_or_default(),
                refused.code.unwrap_or(409),
                args.source.file.display(),
                args.subject
            )
        }
        // The whole request stands in the message, and what is wrong with it behind that.
        Some(refused) if refused.code == Some(42201) => {
            let what = refused.message.rsplit(", details: ").next();
            anyhow::anyhow!(
                "the registry refuses {} as a schema (42201): {}",
                args.source.file.display(),
                plain(what.unwrap_or_default())
            )
        }
        _ => error,
    }
}
