//! `millrace schema peek`: records of an Avro container file.

use std::fs::File;
use std::io::BufReader;
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
    let reader = open(&args.file).with_context(|| format!("reading {}", args.file.display()))?;
    eprintln!("{}", serde_json::to_string(reader.writer_schema())?);
    for (i, record) in reader.take(args.number).enumerate() {
        let record = record.with_context(|| format!("record {i} of {}", args.file.display()))?;
        let json: serde_json::Value = record
            .try_into()
            .with_context(|| format!("record {i} has a value that JSON lacks"))?;
        println!("{json}");
    }
    Ok(())
}
