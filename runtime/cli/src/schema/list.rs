//! `millrace schema list`

use std::io::{BufWriter, Write};

use anyhow::Result;
use clap::Args;

use super::remote::{ALL_CONTEXTS, Remote};

/// What is listed.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only subjects that begin so; `:.ctx:` is a context. By default those of all contexts.
    prefix: Option<String>,
    /// Deleted versions too.
    #[arg(long)]
    deleted: bool,
    /// Every version, not only the latest.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(remote: &Remote, args: &ListArgs) -> Result<()> {
    let prefix = args.prefix.as_deref().unwrap_or(ALL_CONTEXTS);
    let listed = remote.schemas(prefix, args.deleted, !args.all).await?;
    let width = listed
        .iter()
        .map(|stored| stored.subject.chars().count())
        .fold("SUBJECT".len(), usize::max);
    let mut out = BufWriter::new(std::io::stdout());
    writeln!(
        out,
        "{:<width$}  {:>7}  {:>7}  TYPE",
        "SUBJECT", "VERSION", "ID"
    )?;
    for stored in &listed {
        writeln!(
            out,
            "{:<width$}  {:>7}  {:>7}  {}{}",
            stored.subject,
            stored.version,
            stored.id,
            stored.schema_type.name(),
            if stored.deleted { " (deleted)" } else { "" }
        )?;
    }
    out.flush()?;
    Ok(())
}
