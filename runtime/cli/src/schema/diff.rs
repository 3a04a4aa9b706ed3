//! `millrace schema diff`: what changed between two schemas, and for whom.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use java_idioms::Json;
use java_idioms::json::ReadOptions;
use registry_formats::{Direction, ParsedSchema, Policy, SchemaType, Strictness};

use super::check::differences;
use super::remote::Remote;
use super::source::{plain, text_of, type_of};

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Two versions of this subject; without it, two files.
    #[arg(long)]
    subject: Option<String>,
    /// The older: a version, or a file.
    old: String,
    /// The newer: a version (`latest` too), or a file.
    new: String,
}

struct Side {
    label: String,
    schema_type: SchemaType,
    text: String,
    schema: ParsedSchema,
}

/// `true`: the two are the same or each reads what the other wrote.
pub(super) async fn run(remote: impl FnOnce() -> Result<Remote>, args: &DiffArgs) -> Result<bool> {
    let (old, new) = match &args.subject {
        Some(subject) => {
            let remote = remote()?;
            (
                version(&remote, subject, &args.old).await?,
                version(&remote, subject, &args.new).await?,
            )
        }
        None => (file(Path::new(&args.old))?, file(Path::new(&args.new))?),
    };
    let mut out = std::io::stdout();
    writeln!(out, "--- {}", old.label)?;
    writeln!(out, "+++ {}", new.label)?;
    for line in lines(&pretty(&old), &pretty(&new)) {
        writeln!(out, "{line}")?;
    }
    let backward = differences(
        &new.schema,
        &old.schema,
        Direction::Backward,
        Policy::Strict,
    )?;
    let forward = differences(&old.schema, &new.schema, Direction::Forward, Policy::Strict)?;
    writeln!(out)?;
    for (who, found) in [
        (
            "readers with the newer schema, of what the older wrote",
            &backward,
        ),
        (
            "readers with the older schema, of what the newer wrote",
            &forward,
        ),
    ] {
        if found.is_empty() {
            writeln!(out, "{who}: all is readable")?;
        } else {
            writeln!(out, "{who}:")?;
            for (_, difference) in found {
                writeln!(out, "  {} at {}", difference.kind, difference.path)?;
            }
        }
    }
    Ok(backward.is_empty() && forward.is_empty())
}

async fn version(remote: &Remote, subject: &str, version: &str) -> Result<Side> {
    let stored = remote.version(subject, version, true).await?;
    let resolved = remote.resolve(&stored.references).await?;
    let schema = ParsedSchema::parse(
        stored.schema_type,
        &stored.text,
        &resolved,
        Strictness::Stored,
    )
    .map_err(|e| anyhow::anyhow!("version {version} of '{subject}' cannot be read: {e}"))?;
    Ok(Side {
        label: format!("{subject} version {} (id {})", stored.version, stored.id),
        schema_type: stored.schema_type,
        text: stored.text.to_string(),
        schema,
    })
}

fn file(path: &Path) -> Result<Side> {
    let schema_type = type_of(path)?;
    let text = text_of(path)?;
    let schema = ParsedSchema::parse(schema_type, &text, &[], Strictness::Stored)
        .map_err(|e| anyhow::anyhow!("{}", plain(&e.to_string())))
        .with_context(|| format!("{} is not valid {schema_type}", path.display()))?;
    Ok(Side {
        label: path.display().to_string(),
        schema_type,
        text: schema.canonical(),
        schema,
    })
}

/// JSON with a member a line; Protobuf has lines already.
fn pretty(side: &Side) -> String {
    if side.schema_type == SchemaType::Protobuf {
        return side.text.clone();
    }
    match Json::read(&side.text, ReadOptions::default()) {
        Ok(json) => {
            let mut out = String::new();
            indent(&json, 0, &mut out);
            out
        }
        Err(_) => side.text.clone(),
    }
}

fn indent(value: &Json, depth: usize, out: &mut String) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    match value {
        Json::Array(values) if !values.is_empty() => {
            out.push('[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                indent(value, depth + 1, out);
            }
            line(out, depth);
            out.push(']');
        }
        Json::Object(members) if !members.is_empty() => {
            out.push('{');
            for (i, (name, value)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                java_idioms::json::write_string(name, out);
                out.push_str(": ");
                indent(value, depth + 1, out);
            }
            line(out, depth);
            out.push('}');
        }
        other => other.write(java_idioms::json::NumberStyle::Literal, out),
    }
}

/// A line diff with three lines around each change. Equal heads and tails are cut off first; between them the longest common subsequence decides, unless that would take
/// more than a few million steps: then everything between counts as changed.
fn lines(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - head;
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(most)
        .take_while(|(a, b)| a == b)
        .count();
    let (a, b) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut edits: Vec<(char, &str)> = old[..head].iter().map(|l| (' ', *l)).collect();
    if a.len().saturating_mul(b.len()) > 4_000_000 {
        edits.extend(a.iter().map(|l| ('-', *l)));
        edits.extend(b.iter().map(|l| ('+', *l)));
    } else {
        let width = b.len() + 1;
        let mut longest = vec![0u32; (a.len() + 1) * width];
        for i in (0..a.len()).rev() {
            for j in (0..b.len()).rev() {
                longest[i * width + j] = if a[i] == b[j] {
                    longest[(i + 1) * width + j + 1] + 1
                } else {
                    longest[(i + 1) * width + j].max(longest[i * width + j + 1])
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < a.len() || j < b.len() {
            if i < a.len() && j < b.len() && a[i] == b[j] {
                edits.push((' ', a[i]));
                i += 1;
                j += 1;
            } else if j == b.len()
                || (i < a.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1])
            {
                edits.push(('-', a[i]));
                i += 1;
            } else {
                edits.push(('+', b[j]));
                j += 1;
            }
        }
    }
    edits.extend(old[old.len() - tail..].iter().map(|l| (' ', *l)));
    let near: Vec<bool> = (0..edits.len())
        .map(|i| {
            let (from, to) = (i.saturating_sub(3), (i + 4).min(edits.len()));
            edits[from..to].iter().any(|(mark, _)| *mark != ' ')
        })
        .collect();
    let mut out = Vec::new();
    for (i, (mark, line)) in edits.iter().enumerate() {
        if near[i] {
            out.push(format!("{mark} {line}"));
        } else if i > 0 && near[i - 1] {
            out.push("  …".to_owned());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_shown() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni";
        let new = "a\nb\nc\nd\nE\nf\ng\nh\ni";
        assert_eq!(
            lines(old, new),
            [
                "  b", "  c", "  d", "- e", "+ E", "  f", "  g", "  h", "  …"
            ]
        );
        assert!(lines(old, old).is_empty());
        assert_eq!(lines("", "x"), ["+ x"]);
    }
}
