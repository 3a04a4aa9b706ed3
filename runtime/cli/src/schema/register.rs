//! `millrace schema register`

use anyhow::{Context, Result};
use clap::Args;
use java_idioms::Json;

use super::remote::{Remote, encode, request};
use super::source::SourceArgs;

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
    let subject = encode(&args.subject);
    let path = format!("/subjects/{subject}/versions?normalize={}", args.normalize);
    let answer = remote
        .call(
            "POST",
            &path,
            Some(&Json::Object(body.clone())),
            "the subject",
        )
        .await?;
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
    println!("subject {} version {version} id {id}", args.subject);
    Ok(())
}
