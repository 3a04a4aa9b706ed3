//! `millrace schema get`

use std::io::Write;

use anyhow::{Context, Result, bail};
use clap::Args;
use java_idioms::Json;
use registry_client::percent::escaped;

use super::remote::{Remote, references};

/// Which schema.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The subject.
    #[arg(required_unless_present = "id")]
    subject: Option<String>,
    /// Its version: a number or `latest`.
    #[arg(default_value = "latest")]
    version: String,
    /// The schema's id instead of subject and version.
    #[arg(long)]
    id: Option<i32>,
    /// Print the registry's whole answer and not only the schema.
    #[arg(long)]
    full: bool,
    /// Find it though it is deleted.
    #[arg(long)]
    deleted: bool,
}

pub(super) async fn run(remote: &Remote, args: &GetArgs) -> Result<()> {
    let (path, what) = match (args.id, &args.subject) {
        (Some(id), subject) => {
            let subject = subject
                .as_deref()
                .map(|s| format!("?subject={}", escaped(s)))
                .unwrap_or_default();
            (
                format!("/schemas/ids/{id}{subject}"),
                format!("schema {id}"),
            )
        }
        (None, Some(subject)) => (
            format!(
                "/subjects/{}/versions/{}?deleted={}",
                escaped(subject),
                escaped(&args.version),
                args.deleted
            ),
            format!("version {} of subject '{subject}'", args.version),
        ),
        (None, None) => bail!("give a subject, or --id"),
    };
    let answer = remote
        .try_call("GET", &path, None)
        .await?
        .with_context(|| match args.id {
            Some(_) => format!("{what} is not in the registry"),
            None if args.deleted => format!("{what} is not in the registry, not even deleted"),
            None => format!("{what} is not in the registry (--deleted finds deleted ones too)"),
        })?;
    let mut out = std::io::stdout();
    if args.full {
        writeln!(out, "{}", answer.to_text())?;
    } else {
        let text = answer
            .get("schema")
            .and_then(Json::as_str)
            .context("the answer has no 'schema'")?;
        writeln!(out, "{}", text.trim_end_matches('\n'))?;
        // The text alone does not say where its references are; whoever registers it again has to.
        for reference in references(answer.get("references"))? {
            eprintln!(
                "refers to: --reference={}={}:{}",
                reference.name, reference.subject, reference.version
            );
        }
    }
    Ok(())
}
