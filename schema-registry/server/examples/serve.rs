//! A registry on a log in memory, for trying calls: prints its URL and serves until its standard input ends.
//!
//! Arguments are properties: `cargo run -p schema-registry --example serve -- listeners=http://127.0.0.1:0`.

use std::error::Error;
use std::io::Read as _;

use millrace_log::memory::MemoryLog;
use schema_registry::{RegistryOptions, RegistryServer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut props = millrace_api::config::Props::new();
    props.insert("listeners", "http://127.0.0.1:0");
    for argument in std::env::args().skip(1) {
        let (key, value) = argument
            .split_once('=')
            .ok_or("arguments have the form key=value")?;
        props.insert(key, value);
    }
    let options = RegistryOptions::from_properties(&props)?;
    let server = RegistryServer::start(MemoryLog::new(1), options).await?;
    println!("{}", server.url());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    server.stop().await;
    Ok(())
}
