//! `millrace schema delete`

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;
use java_idioms::Json;
use registry_client::percent::escaped;

use super::remote::Remote;

/// What is deleted.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The subject.
    subject: String,
    /// One version; without it the whole subject.
    version: Option<String>,
    /// For good, ids included; what is not deleted yet is deleted first.
    #[arg(long)]
    permanent: bool,
}

pub(super) async fn run(remote: &Remote, args: &DeleteArgs) -> Result<()> {
    let subject = escaped(&args.subject);
    let (path, what) = match args.version.as_deref() {
        // By number from here on: after the plain delete, another version is the latest.
        Some("latest" | "-1") => {
            let latest = remote
                .version(&args.subject, "latest", false)
                .await?
                .version;
            (
                format!("/subjects/{subject}/versions/{latest}"),
                format!("version {latest} of subject '{}'", args.subject),
            )
        }
        Some(version) => (
            format!("/subjects/{subject}/versions/{}", escaped(version)),
            format!("version {version} of subject '{}'", args.subject),
        ),
        None => (
            format!("/subjects/{subject}"),
            format!("subject '{}'", args.subject),
        ),
    };
    // A permanent delete needs a plain one before it, which may have been made earlier: then this one is answered 404.
    let plain = remote.try_call("DELETE", &path, None).await?;
    if !args.permanent {
        let answer = plain
            .with_context(|| {
                format!(
                    "{what} is not in the registry, or is deleted already (--permanent deletes it for good)"
                )
            })?;
        return say(&what, "", &answer);
    }
    let answer = remote
        .call("DELETE", &format!("{path}?permanent=true"), None, &what)
        .await?;
    say(&what, " for good", &answer)
}

/// The answer is a version, or a list of versions.
fn say(what: &str, how: &str, answer: &Json) -> Result<()> {
    let mut out = std::io::stdout();
    match answer.as_array() {
        Some(versions) => {
            let versions: Vec<String> = versions.iter().map(Json::to_text).collect();
            let versions = versions.join(", ");
            writeln!(out, "deleted {what}{how}: versions {versions}")?;
        }
        None => writeln!(out, "deleted {what}{how}")?,
    }
    Ok(())
}
