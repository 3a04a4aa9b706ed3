//! `millrace schema check`: all that stands between a schema and its registration, not only the first thing.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use registry_formats::{Difference, Direction, ParsedSchema, Policy, SchemaType, Strictness};

use super::advice::advice;
use super::remote::Remote;
use super::source::{Source, SourceArgs, text_of, type_of};

/// What is checked against what.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// The subject whose versions count, as its compatibility level says.
    #[arg(long, required_unless_present = "old")]
    subject: Option<String>,
    /// One version of the subject instead.
    #[arg(long, value_name = "VERSION", requires = "subject")]
    version: Option<String>,
    /// A file with the old schema instead of a subject: no registry is asked.
    #[arg(long, value_name = "FILE", conflicts_with = "subject")]
    old: Option<PathBuf>,
    /// The level instead of the subject's: BACKWARD, FORWARD, FULL, each also with _TRANSITIVE.
    #[arg(long)]
    level: Option<String>,
}

/// A compatibility level, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    forward: bool,
    backward: bool,
    transitive: bool,
}

impl Level {
    fn parse(name: &str) -> Result<Self> {
        let upper = name.trim().to_ascii_uppercase();
        let (base, transitive) = match upper.strip_suffix("_TRANSITIVE") {
            Some(base) => (base, true),
            None => (&*upper, false),
        };
        let (backward, forward) = match base {
            "BACKWARD" => (true, false),
            "FORWARD" => (false, true),
            "FULL" => (true, true),
            "NONE" if !transitive => (false, false),
            _ => bail!(
                "compatibility level '{name}': must be NONE, BACKWARD, FORWARD or FULL, the last three also with _TRANSITIVE"
            ),
        };
        Ok(Self {
            forward,
            backward,
            transitive,
        })
    }
}

/// An old schema with what to call it.
struct Old {
    label: String,
    schema: ParsedSchema,
}

pub(super) async fn run(remote: impl FnOnce() -> Result<Remote>, args: &CheckArgs) -> Result<bool> {
    let source = args.source.read()?;
    let (level, new, olds) = match (&args.subject, &args.old) {
        (Some(subject), _) => {
            let remote = remote()?;
            let name = match &args.level {
                Some(level) => level.clone(),
                None => remote.level(subject).await?,
            };
            let level = Level::parse(&name)?;
            println!("subject '{subject}', level {}", name.to_ascii_uppercase());
            let resolved = remote.resolve(&source.references).await?;
            let new = parse_new(&source, &resolved)?;
            let olds = old_versions(&remote, subject, args.version.as_deref(), level).await?;
            (level, new, olds)
        }
        (None, Some(old)) => {
            let level = Level::parse(args.level.as_deref().unwrap_or("BACKWARD"))?;
            if !source.references.is_empty() {
                bail!(
                    "--reference needs a registry to find the schemas in: give --subject instead of --old"
                );
            }
            let new = parse_new(&source, &[])?;
            let schema_type = type_of(old).unwrap_or(source.schema_type);
            let schema = parse_file(old, schema_type)?;
            let label = old.display().to_string();
            (level, new, vec![Old { label, schema }])
        }
        (None, None) => bail!("give --subject, or --old with a file"),
    };
    if olds.is_empty() {
        println!("there is nothing to be compatible with: the schema may be registered");
        return Ok(true);
    }
    let mut compatible = true;
    for old in &olds {
        compatible &= compare(&new, old, level)?;
    }
    println!();
    if compatible {
        println!("compatible: the schema may be registered");
    } else {
        println!("NOT compatible: a registry refuses the schema with error 409");
    }
    Ok(compatible)
}

fn parse_new(
    source: &Source,
    resolved: &[registry_formats::ResolvedReference],
) -> Result<ParsedSchema> {
    ParsedSchema::parse(source.schema_type, &source.text, resolved, Strictness::New)
        .map_err(|e| anyhow::anyhow!("the new schema is not valid {}: {e}", source.schema_type))
}

/// Parses a schema in a file, without references.
pub(super) fn parse_file(file: &std::path::Path, schema_type: SchemaType) -> Result<ParsedSchema> {
    ParsedSchema::parse(schema_type, &text_of(file)?, &[], Strictness::Stored)
        .map_err(|e| anyhow::anyhow!("{} is not valid {schema_type}: {e}", file.display()))
}

/// The versions that count, newest first, as a registry compares.
async fn old_versions(
    remote: &Remote,
    subject: &str,
    version: Option<&str>,
    level: Level,
) -> Result<Vec<Old>> {
    let names: Vec<String> = match version {
        Some(version) => vec![version.to_owned()],
        None => {
            let mut all = remote.versions(subject, false).await?;
            all.reverse();
            if !level.transitive {
                all.truncate(1);
            }
            all.iter().map(i64::to_string).collect()
        }
    };
    let mut olds = Vec::with_capacity(names.len());
    for name in names {
        let stored = remote.version(subject, &name, false).await?;
        let resolved = remote.resolve(&stored.references).await?;
        let schema = ParsedSchema::parse(
            stored.schema_type,
            &stored.text,
            &resolved,
            Strictness::Stored,
        )
        .map_err(|e| {
            anyhow::anyhow!(
                "version {} of '{subject}' cannot be read: {e}",
                stored.version
            )
        })
        .with_context(|| "the registry holds a schema that this program does not understand")?;
        olds.push(Old {
            label: format!("version {} (id {})", stored.version, stored.id),
            schema,
        });
    }
    Ok(olds)
}

/// Compares with one old schema and prints what it finds.
fn compare(new: &ParsedSchema, old: &Old, level: Level) -> Result<bool> {
    let mut found: Vec<(Direction, Difference)> = Vec::new();
    // The order of the registry's messages.
    if level.forward {
        found.extend(differences(&old.schema, new, Direction::Forward)?);
    }
    if level.backward {
        found.extend(differences(new, &old.schema, Direction::Backward)?);
    }
    println!();
    if found.is_empty() {
        println!("{}: compatible", old.label);
        return Ok(true);
    }
    println!(
        "{}: {} incompatib{}",
        old.label,
        found.len(),
        if found.len() == 1 { "ility" } else { "ilities" }
    );
    for (direction, difference) in &found {
        println!("  {} at {}", difference.kind, difference.path);
        println!("      {}", difference.message);
        println!("      → {}", advice(difference.kind, *direction));
    }
    Ok(false)
}

pub(super) fn differences(
    reader: &ParsedSchema,
    writer: &ParsedSchema,
    direction: Direction,
) -> Result<Vec<(Direction, Difference)>> {
    let found = ParsedSchema::differences(reader, writer, direction, Policy::Strict)
        .map_err(|text| anyhow::anyhow!("the comparison stopped: {text}"))?;
    Ok(found.into_iter().map(|d| (direction, d)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_taken_apart() {
        let level = Level::parse("full_transitive").expect("a level");
        assert!(level.forward && level.backward && level.transitive);
        let level = Level::parse("BACKWARD").expect("a level");
        assert!(!level.forward && level.backward && !level.transitive);
        let error = Level::parse("NONE_TRANSITIVE")
            .expect_err("no level")
            .to_string();
        assert!(error.contains("NONE_TRANSITIVE"), "{error}");
    }
}
