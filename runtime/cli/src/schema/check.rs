//! `millrace schema check`: all that stands between a schema and its registration, not only the first thing.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use registry_formats::{Difference, Direction, ParsedSchema, Policy, SchemaType, Strictness};

use super::advice::advice;
use super::remote::Remote;
use super::source::{Source, SourceArgs, plain, text_of, type_of};

/// What is checked against what.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// The subject whose versions count, as its compatibility level says.
    #[arg(long)]
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
struct Level {
    name: &'static str,
    forward: bool,
    backward: bool,
    transitive: bool,
}

impl Level {
    fn parse(name: &str) -> Result<Self> {
        let (name, backward, forward, transitive) = match &*name.trim().to_ascii_uppercase() {
            "NONE" => ("NONE", false, false, false),
            "BACKWARD" => ("BACKWARD", true, false, false),
            "BACKWARD_TRANSITIVE" => ("BACKWARD_TRANSITIVE", true, false, true),
            "FORWARD" => ("FORWARD", false, true, false),
            "FORWARD_TRANSITIVE" => ("FORWARD_TRANSITIVE", false, true, true),
            "FULL" => ("FULL", true, true, false),
            "FULL_TRANSITIVE" => ("FULL_TRANSITIVE", true, true, true),
            _ => bail!(
                "compatibility level '{name}': must be NONE, BACKWARD, FORWARD or FULL, the last three also with _TRANSITIVE"
            ),
        };
        Ok(Self {
            name,
            forward,
            backward,
            transitive,
        })
    }
}

/// How schemas are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    level: Level,
    policy: Policy,
}

/// An old schema with what to call it.
struct Old {
    label: String,
    schema: ParsedSchema,
}

pub(super) async fn run(remote: impl FnOnce() -> Result<Remote>, args: &CheckArgs) -> Result<bool> {
    let mut out = std::io::stdout();
    let source = args.source.read()?;
    let given = args.level.as_deref().map(Level::parse).transpose()?;
    let (rule, new, olds) = match (&args.subject, &args.old) {
        (Some(subject), _) => {
            let remote = remote()?;
            let config = remote.compatibility(subject).await?;
            let level = match given {
                Some(level) => level,
                None => Level::parse(&config.level)?,
            };
            writeln!(out, "subject '{subject}', level {}", level.name)?;
            if let Some(group) = &config.group {
                writeln!(
                    out,
                    "compatibilityGroup '{group}': only versions without this property count, as the schema has none"
                )?;
            }
            let resolved = remote.resolve(&source.references).await?;
            let new = parse_new(&source, &resolved)?;
            let olds = old_versions(
                &remote,
                subject,
                args.version.as_deref(),
                level,
                config.group.as_deref(),
            )
            .await?;
            let policy = config.policy;
            (Rule { level, policy }, new, olds)
        }
        (None, Some(old)) => {
            let level = given.map_or_else(|| Level::parse("BACKWARD"), Ok)?;
            if !source.references.is_empty() {
                bail!(
                    "--reference needs a registry to find the schemas in: give --subject instead of --old"
                );
            }
            writeln!(out, "level {}", level.name)?;
            let new = parse_new(&source, &[])?;
            let schema_type = type_of(old).unwrap_or(source.schema_type);
            let schema = parse_file(old, schema_type)?;
            let label = old.display().to_string();
            let policy = Policy::Strict;
            (Rule { level, policy }, new, vec![Old { label, schema }])
        }
        (None, None) => bail!(
            "what is the schema compared with? Give --subject with a subject of the registry, or --old with a file"
        ),
    };
    if olds.is_empty() {
        writeln!(
            out,
            "there is nothing to be compatible with: the schema may be registered"
        )?;
        return Ok(true);
    }
    if !rule.level.backward && !rule.level.forward {
        writeln!(
            out,
            "nothing is compared at this level: the schema may be registered"
        )?;
        return Ok(true);
    }
    let mut compatible = true;
    for old in &olds {
        compatible &= compare(&new, old, rule, &mut out)?;
    }
    writeln!(out)?;
    if compatible {
        writeln!(out, "compatible: the schema may be registered")?;
    } else {
        writeln!(
            out,
            "NOT compatible: a registry refuses the schema with error 409"
        )?;
    }
    Ok(compatible)
}

fn parse_new(
    source: &Source,
    resolved: &[registry_formats::ResolvedReference],
) -> Result<ParsedSchema> {
    ParsedSchema::parse(source.schema_type, &source.text, resolved, Strictness::New).map_err(|e| {
        let problem = plain(&e.to_string());
        anyhow::anyhow!(
            "the new schema is not valid {}: {problem}",
            source.schema_type
        )
    })
}

/// Parses a schema in a file, without references.
pub(super) fn parse_file(file: &std::path::Path, schema_type: SchemaType) -> Result<ParsedSchema> {
    ParsedSchema::parse(schema_type, &text_of(file)?, &[], Strictness::Stored).map_err(|e| {
        let problem = plain(&e.to_string());
        anyhow::anyhow!("{} is not valid {schema_type}: {problem}", file.display())
    })
}

/// The versions that count, newest first, as a registry compares.
async fn old_versions(
    remote: &Remote,
    subject: &str,
    version: Option<&str>,
    level: Level,
    group: Option<&str>,
) -> Result<Vec<Old>> {
    let names: Vec<String> = match version {
        Some(version) => vec![version.to_owned()],
        None => {
            let mut all = remote.versions(subject, false).await?;
            all.reverse();
            all.iter().map(i64::to_string).collect()
        }
    };
    let mut olds = Vec::with_capacity(names.len());
    for name in names {
        let stored = remote.version(subject, &name, false).await?;
        if group.is_some_and(|group| stored.property(group).is_some()) {
            continue;
        }
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
        if !level.transitive {
            break;
        }
    }
    Ok(olds)
}

/// Compares with one old schema and prints what it finds.
fn compare(new: &ParsedSchema, old: &Old, rule: Rule, out: &mut impl Write) -> Result<bool> {
    let mut found: Vec<(Direction, Difference)> = Vec::new();
    // The order of the registry's messages.
    if rule.level.forward {
        found.extend(differences(
            &old.schema,
            new,
            Direction::Forward,
            rule.policy,
        )?);
    }
    // Another format says so in one direction already.
    if rule.level.backward && (found.is_empty() || new.schema_type() == old.schema.schema_type()) {
        found.extend(differences(
            new,
            &old.schema,
            Direction::Backward,
            rule.policy,
        )?);
    }
    writeln!(out)?;
    if found.is_empty() {
        writeln!(out, "{}: compatible", old.label)?;
        return Ok(true);
    }
    writeln!(
        out,
        "{}: {} incompatib{}",
        old.label,
        found.len(),
        if found.len() == 1 { "ility" } else { "ilities" }
    )?;
    for (direction, difference) in &found {
        let who = match direction {
            Direction::Backward => "the new schema cannot read old records",
            Direction::Forward => "the old schema cannot read new records",
        };
        writeln!(out, "  {} at {}: {who}", difference.kind, difference.path)?;
        writeln!(out, "      {}", description(&difference.message))?;
        writeln!(out, "      → {}", advice(difference.kind, *direction))?;
    }
    Ok(false)
}

/// What a registry's message says, without the kind and path that frame it; all of it when it has another form.
fn description(message: &str) -> String {
    const BEGIN: &str = ", description:";
    let Some((_, rest)) = message.split_once(BEGIN) else {
        return message.to_owned();
    };
    // A quotation mark, which the formats choose differently, around the text; the closing one is not always its like.
    let text = rest.trim_start_matches(['\'', '"']);
    let (text, more) = match text.rsplit_once("', additionalInfo:'") {
        Some((text, more)) => (text, more.trim_end_matches("'}")),
        None => (text.strip_suffix('}').unwrap_or(text), ""),
    };
    let text = match more {
        // The description of these quotes the path last.
        "" => text.strip_suffix(['\'', '"']).unwrap_or(text),
        _ => text,
    };
    if more.is_empty() || text.contains(more) {
        text.to_owned()
    } else {
        format!("{text}: {more}")
    }
}

pub(super) fn differences(
    reader: &ParsedSchema,
    writer: &ParsedSchema,
    direction: Direction,
    policy: Policy,
) -> Result<Vec<(Direction, Difference)>> {
    let found = ParsedSchema::differences(reader, writer, direction, policy)
        .map_err(|text| anyhow::anyhow!("the comparison stopped: {text}"))?;
    Ok(found.into_iter().map(|d| (direction, d)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_without_their_frame() {
        for (message, expected) in [
            (
                "{errorType:'TYPE_MISMATCH', description:'The type (path '/a') differs', additionalInfo:'reader type: INT'}",
                "The type (path '/a') differs: reader type: INT",
            ),
            (
                "{errorType:'MISSING', description:'The field 'x' is missing', additionalInfo:'x'}",
                "The field 'x' is missing",
            ),
            (
                "{errorType:\"A\", description:\"at path '#/M/1' in the old schema\"}",
                "at path '#/M/1' in the old schema",
            ),
            (
                "{errorType:\"A\", description:\"is missing at '#/n' in the old schema'}",
                "is missing at '#/n' in the old schema",
            ),
            ("Incompatible", "Incompatible"),
        ] {
            assert_eq!(description(message), expected);
        }
    }

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
