//! A schema in a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use registry_formats::{Reference, SchemaType};

/// A file with a schema and what goes with it.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// The schema: .avsc, .json, .proto, or an Avro container file (.avro); `-` is standard input.
    pub(crate) file: PathBuf,
    /// AVRO, JSON or PROTOBUF; by default from the file's extension (.avsc and .avro, .json, .proto).
    #[arg(long = "type", value_name = "TYPE")]
    schema_type: Option<String>,
    /// A schema that this one refers to; may be given several times.
    #[arg(long = "reference", value_name = "NAME=SUBJECT:VERSION")]
    references: Vec<String>,
}

/// A schema that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) schema_type: SchemaType,
    pub(crate) text: String,
    pub(crate) references: Vec<Reference>,
}

impl SourceArgs {
    /// Reads the file.
    pub(crate) fn read(&self) -> Result<Source> {
        let schema_type = match &self.schema_type {
            Some(name) => SchemaType::from_name(&name.to_ascii_uppercase())
                .with_context(|| format!("--type '{name}': must be AVRO, JSON or PROTOBUF"))?,
            None => type_of(&self.file)?,
        };
        let references = self
            .references
            .iter()
            .map(|text| reference(text))
            .collect::<Result<_>>()?;
        Ok(Source {
            schema_type,
            text: text_of(&self.file)?,
            references,
        })
    }
}

/// The format that a file's extension stands for.
pub(crate) fn type_of(file: &Path) -> Result<SchemaType> {
    match file.extension().and_then(|e| e.to_str()) {
        Some("avsc" | "avro") => Ok(SchemaType::Avro),
        Some("json") => Ok(SchemaType::Json),
        Some("proto") => Ok(SchemaType::Protobuf),
        _ => bail!(
            "{}: the extension is none of .avsc, .avro, .json, .proto: give --type AVRO, JSON or PROTOBUF",
            file.display()
        ),
    }
}

/// The schema's text: of a container file the schema it was written with.
pub(crate) fn text_of(file: &Path) -> Result<String> {
    if file.as_os_str() == "-" {
        return std::io::read_to_string(std::io::stdin()).context("reading standard input");
    }
    let reading = || format!("reading {}", file.display());
    if file.extension().is_some_and(|e| e == "avro") {
        return super::peek::schema_of(file).with_context(reading);
    }
    std::fs::read_to_string(file).with_context(reading)
}

/// What a parser says, without the Java names that a registry's message has: `…JsonEOFException: Unexpected end` with ` at [Source: …; line: 2, column: 1]` on the next line.
pub(crate) fn plain(message: &str) -> String {
    let (message, place) = match message.split_once("\n at [Source:") {
        Some((message, place)) => (
            message,
            place
                .rsplit_once("line: ")
                .map(|(_, place)| place.trim_end_matches(']')),
        ),
        None => (message, None),
    };
    let message = match message.split_once(": ") {
        Some((class, rest)) if class.starts_with("com.") || class.starts_with("org.") => rest,
        _ => message,
    };
    match place {
        Some(place) => format!("{message} (line {})", place.replace("column: ", "column ")),
        None => message.to_owned(),
    }
}

/// `NAME=SUBJECT:VERSION`; the subject may hold colons, the name may hold equals signs only if the subject holds none.
fn reference(text: &str) -> Result<Reference> {
    let wrong = || {
        format!(
            "--reference '{text}': the form is NAME=SUBJECT:VERSION, for example customer.proto=customer:1"
        )
    };
    let (name, rest) = text.rsplit_once('=').with_context(wrong)?;
    let (subject, version) = rest.rsplit_once(':').with_context(wrong)?;
    Ok(Reference {
        name: name.into(),
        subject: subject.into(),
        version: match version {
            "latest" => -1,
            number => number.parse().ok().with_context(wrong)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsers_are_quoted_without_java() {
        let message = "com.fasterxml.jackson.core.io.JsonEOFException: Unexpected end-of-input: expected\n at [Source: REDACTED (`X` disabled); line: 2, column: 1]";
        assert_eq!(
            plain(message),
            "Unexpected end-of-input: expected (line 2, column 1)"
        );
        assert_eq!(
            plain("Illegal character in: a-b"),
            "Illegal character in: a-b"
        );
    }

    #[test]
    fn references_are_read() {
        let read = reference("http://x/?a=b=:.ctx:s:3").expect("a reference");
        assert_eq!(
            (&*read.name, &*read.subject, read.version),
            ("http://x/?a=b", ":.ctx:s", 3)
        );
        assert_eq!(reference("a.proto=a:latest").expect("latest").version, -1);
        for text in ["a", "a=b", "a=b:x"] {
            let error = reference(text).expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
