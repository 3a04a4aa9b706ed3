//! `millrace schema list`

use anyhow::Result;
use clap::Args;

use super::remote::Remote;

/// What is listed.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only subjects that begin so; `:.ctx:` is a context.
    prefix: Option<String>,
    /// Deleted versions too.
    #[arg(long)]
    deleted: bool,
    /// Every version, not only the latest.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(remote: &Remote, args: &ListArgs) -> Result<()> {
    let subjects = remote
        .subjects(args.prefix.as_deref(), args.deleted)
        .await?;
    println!(
        "{:<48} {:>7} {:>7} {:<9}",
        "SUBJECT", "VERSION", "ID", "TYPE"
    );
    for subject in subjects {
        let versions = remote.versions(&subject, args.deleted).await?;
        let shown = if args.all {
            &versions[..]
        } else {
            &versions[versions.len().saturating_sub(1)..]
        };
        for version in shown {
            let stored = remote.version(&subject, &version.to_string(), true).await?;
            println!(
                "{:<48} {:>7} {:>7} {:<9}{}",
                stored.subject,
                stored.version,
                stored.id,
                stored.schema_type.name(),
                if stored.deleted { " deleted" } else { "" }
            );
        }
    }
    Ok(())
}
