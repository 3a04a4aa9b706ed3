//! `millrace`: a Kafka Connect worker with Debezium's PostgreSQL source, Confluent's JDBC sink and a schema registry in one binary.

mod builtin;
mod demo;
mod log;
mod logging;
mod registry;
mod schema;
mod standalone;

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

// librdkafka and SQLite allocate by themselves; what is left are values and batches of many sizes, where this halves the cost of the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(
    name = "millrace",
    version,
    about = "Kafka Connect, Debezium and a schema registry in one binary",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one worker, on Kafka (`bootstrap.servers`) or on the embedded log (`log.dir`).
    Standalone {
        /// The worker's properties.
        worker: PathBuf,
        /// Connectors to create or update: JSON as for POST /connectors, or properties.
        connectors: Vec<PathBuf>,
    },
    /// Runs a schema registry, on Kafka (`kafkastore.bootstrap.servers`) or on the embedded log (`log.dir`).
    Registry {
        /// The registry's properties.
        properties: PathBuf,
    },
    /// Looks at a schema registry and changes it: ours or Confluent's.
    Schema(schema::SchemaArgs),
    /// Shows a change in PostgreSQL on its way into a log and a table.
    Demo(demo::DemoArgs),
}

/// Settings that the allocator reads before `main`. Huge pages make a heap of 30 MB take 100 MB, and save nothing measurable here.
const ALLOCATOR_SETTINGS: [(&str, &str); 1] = [("MIMALLOC_ALLOW_THP", "0")];

/// Starts this program over, in the same process, with the allocator's settings in the environment; comes back only when they are there, or cannot be put there.
fn settle_allocator() {
    if ALLOCATOR_SETTINGS
        .iter()
        .all(|(name, _)| std::env::var_os(name).is_some())
    {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        let mut arguments = std::env::args_os();
        let mut command = std::process::Command::new(program);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        let missing = ALLOCATOR_SETTINGS
            .into_iter()
            .filter(|(name, _)| std::env::var_os(name).is_none());
        let error = command.args(arguments).envs(missing).exec();
        eprintln!("millrace: goes on with the allocator's defaults: {error}");
    }
}

/// A program that answers yes or no says it with its exit code.
fn verdict(yes: bool) -> ExitCode {
    if yes {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn main() -> ExitCode {
    settle_allocator();
    let cli = Cli::parse();
    // Two providers are in the tree's reach only by mistake; this one is meant.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("millrace: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Standalone { worker, connectors } => {
                let loggers = logging::start("info");
                standalone::run(&worker, &connectors, loggers)
                    .await
                    .map(|()| ExitCode::SUCCESS)
            }
            Command::Registry { properties } => {
                let _loggers = logging::start("info");
                registry::run(&properties).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Schema(args) => {
                let _loggers = logging::start("warn");
                // 1 is an answer here, so errors are told apart from it.
                match schema::run(args).await {
                    Ok(yes) => Ok(verdict(yes)),
                    Err(error) => Ok(schema::failure(&error)),
                }
            }
            Command::Demo(args) => {
                let _loggers = logging::start("warn");
                demo::run(args).await.map(verdict)
            }
        }
    });
    // Blocking calls of clients that are gone must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    result.unwrap_or_else(|error| {
        eprintln!("millrace: {error:#}");
        ExitCode::FAILURE
    })
}
