//! `millrace schema get`

use anyhow::{Context, Result, bail};
use clap::Args;
use java_idioms::Json;

use super::remote::{Remote, encode};

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
                .map(|s| format!("?subject={}", encode(s)))
                .unwrap_or_default();
            (
                format!("/schemas/ids/{id}{subject}"),
                format!("schema {id}"),
            )
        }
        (None, Some(subject)) => (
            format!(
                "/subjects/{}/versions/{}?deleted={}",
                encode(subject),
                encode(&args.version),
                args.deleted
            ),
            format!("version {} of subject '{subject}'", args.version),
        ),
        (None, None) => bail!("give a subject, or --id"),
    };
    let answer = remote.call("GET", &path, None, &what).await?;
    if args.full {
        println!("{}", answer.to_text());
    } else {
        let text = answer
            .get("schema")
            .and_then(Json::as_str)
            .context("the answer has no 'schema'")?;
        println!("{}", text.trim_end_matches('\n'));
    }
    Ok(())
}
