//! `millrace schema peek`: records of an Avro container file.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use apache_avro::Reader;
use clap::Args;

/// What is printed.
#[derive(Debug, Args)]
pub(crate) struct PeekArgs {
    /// An Avro object container file.
    file: PathBuf,
    /// At most so many records; 0 prints the schema only.
    #[arg(long, short, default_value_t = 10)]
    number: usize,
}

fn open(file: &Path) -> Result<Reader<'static, BufReader<File>>> {
    let input = File::open(file)?;
    Reader::new(BufReader::new(input)).context("not an Avro container file")
}

/// The schema that the file was written with.
pub(super) fn schema_of(file: &Path) -> Result<String> {
    Ok(serde_json::to_string(open(file)?.writer_schema())?)
}

pub(super) fn run(args: &PeekArgs) -> Result<()> {
    write_records(args, &mut std::io::stdout())
}

/// The schema goes to standard error, so that what is left can be piped on as JSON.
fn write_records(args: &PeekArgs, out: &mut impl Write) -> Result<()> {
    let reader = open(&args.file).with_context(|| format!("reading {}", args.file.display()))?;
    eprintln!("{}", serde_json::to_string(reader.writer_schema())?);
    for (i, record) in reader.take(args.number).enumerate() {
        let record = record.with_context(|| format!("record {i} of {}", args.file.display()))?;
        let json: serde_json::Value = record
            .try_into()
            .with_context(|| format!("record {i} has a value that JSON lacks"))?;
        writeln!(out, "{json}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use apache_avro::types::Record;
    use apache_avro::{Codec, Schema, Writer};

    use super::*;

    const SCHEMA: &str = r#"{"type":"record","name":"Item","fields":[{"name":"id","type":"long"},{"name":"note","type":["null","string"]}]}"#;

    fn container(codec: Codec) -> tempfile::NamedTempFile {
        let schema = Schema::parse_str(SCHEMA).expect("a schema");
        let mut writer = Writer::with_codec(&schema, Vec::new(), codec).expect("a writer");
        for id in 0..3_i64 {
            let mut record = Record::new(writer.schema()).expect("a record");
            record.put("id", id);
            record.put("note", (id > 0).then(|| format!("note {id}")));
            writer.append_value(record).expect("appended");
        }
        let file = tempfile::Builder::new()
            .suffix(".avro")
            .tempfile()
            .expect("a file");
        std::fs::write(file.path(), writer.into_inner().expect("bytes")).expect("written");
        file
    }

    #[test]
    fn records_are_lines_of_json() {
        for codec in [Codec::Null, Codec::Deflate(Default::default())] {
            let file = container(codec);
            for (number, expected) in [
                (
                    10,
                    "{\"id\":0,\"note\":null}\n{\"id\":1,\"note\":\"note 1\"}\n{\"id\":2,\"note\":\"note 2\"}\n",
                ),
                (1, "{\"id\":0,\"note\":null}\n"),
                (0, ""),
            ] {
                let args = PeekArgs {
                    file: file.path().to_owned(),
                    number,
                };
                let mut out = Vec::new();
                write_records(&args, &mut out).expect("records");
                assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
            }
            let schema = schema_of(file.path()).expect("a schema");
            let read = Schema::parse_str(&schema).expect("a schema");
            assert_eq!(read, Schema::parse_str(SCHEMA).expect("a schema"));
        }
    }

    #[test]
    fn other_files_and_cut_ones_are_refused_by_name() {
        let file = container(Codec::Null);
        let bytes = std::fs::read(file.path()).expect("bytes");
        for (bytes, what) in [
            (&b"{}"[..], "not an Avro container file"),
            (&bytes[..bytes.len() - 20], "record"),
        ] {
            std::fs::write(file.path(), bytes).expect("written");
            let args = PeekArgs {
                file: file.path().to_owned(),
                number: 10,
            };
            let error = write_records(&args, &mut Vec::new()).expect_err(what);
            let error = format!("{error:#}");
            assert!(error.contains(what), "{error}");
            assert!(
                error.contains(&file.path().display().to_string()),
                "{error}"
            );
        }
    }
}
