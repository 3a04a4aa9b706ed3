//! `millrace schema`: what one does with a schema registry by hand, against ours or Confluent's.

mod advice;
mod check;
mod delete;
mod diff;
mod get;
mod list;
mod peek;
mod register;
mod remote;
mod source;
mod transfer;

use std::io::ErrorKind;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use self::remote::{Remote, RemoteArgs};

/// The registry, and what to do with it.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    command: SchemaCommand,
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    /// Lists subjects with their versions, ids and formats.
    List(list::ListArgs),
    /// Prints a schema by subject and version, or by id.
    Get(get::GetArgs),
    /// Registers a schema and prints its id and version.
    Register(register::RegisterArgs),
    /// Says whether a schema may be registered: every incompatibility with every version that counts, where it is and what to do. Exit code 0: yes, 1: no, 2: an error.
    Check(check::CheckArgs),
    /// Compares two versions of a subject, or two files. Exit code 0: each reads what the other wrote, 1: not so, 2: an error.
    Diff(diff::DiffArgs),
    /// Deletes a subject or one of its versions.
    Delete(delete::DeleteArgs),
    /// Writes everything in a registry into a file: schemas with their ids, versions and references, configuration and modes. Settings of a subject without versions are
    /// left out, because no registry lists them.
    Export(transfer::ExportArgs),
    /// Puts an exported file into a registry, ids included.
    Import(transfer::ImportArgs),
    /// Prints the records of an Avro container file.
    Peek(peek::PeekArgs),
}

/// Says what went wrong and ends with 2, since 1 means no. A reader that has seen enough (`| head`) is no failure to speak of: then the code is a closed pipe's.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    let closed = error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == ErrorKind::BrokenPipe);
    if closed {
        // As a program that SIGPIPE has ended.
        return ExitCode::from(141);
    }
    eprintln!("millrace: {error:#}");
    ExitCode::from(2)
}

/// Runs the command; `false`: it did what it should and the answer is no (an incompatible schema).
pub(crate) async fn run(args: SchemaArgs) -> Result<bool> {
    let remote = || Remote::open(&args.remote);
    match args.command {
        SchemaCommand::List(list) => list::run(&remote()?, &list).await.map(|()| true),
        SchemaCommand::Get(get) => get::run(&remote()?, &get).await.map(|()| true),
        SchemaCommand::Register(register) => {
            register::run(&remote()?, &register).await.map(|()| true)
        }
        // Two files are compared without a registry.
        SchemaCommand::Check(check) => check::run(remote, &check).await,
        SchemaCommand::Diff(diff) => diff::run(remote, &diff).await,
        SchemaCommand::Delete(delete) => delete::run(&remote()?, &delete).await.map(|()| true),
        SchemaCommand::Export(export) => transfer::export(&remote()?, &export).await.map(|()| true),
        SchemaCommand::Import(import) => transfer::import(&remote()?, &import).await.map(|()| true),
        SchemaCommand::Peek(peek) => peek::run(&peek).map(|()| true),
    }
}
