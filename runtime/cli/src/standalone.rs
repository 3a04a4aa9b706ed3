//! `millrace standalone`: one worker with its REST API, until SIGTERM or Ctrl-C.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use millrace_api::config::{Props, RawProps};
use millrace_rest::{BoundServer, RestOptions};
use millrace_worker::herder::{Herder, TargetState};
use millrace_worker::properties;
use millrace_worker::standalone::{Worker, WorkerOptions};
use millrace_worker::worker_config::WorkerConfig;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use registry_client::Registries;

use crate::logging::{Levels, Loggers};
use crate::{builtin, log, registry};

/// Runs the worker; returns after an orderly stop.
pub(crate) async fn run(
    worker: &Path,
    connectors: &[std::path::PathBuf],
    levels: Levels,
) -> Result<()> {
    // First, so that a signal during a slow start is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let props = read_properties(worker)?;
    let connectors = connectors
        .iter()
        .map(|path| read_connector(path))
        .collect::<Result<Vec<_>>>()?;
    let config = WorkerConfig::parse(props.clone())
        .map_err(|e| anyhow::anyhow!("{}:\n{e}", worker.display()))?;
    let server = BoundServer::bind(RestOptions::from_properties(&props)?).await?;
    let log = log::open(&props)
        .await
        .with_context(|| format!("opening the log of {}", worker.display()))?;
    let registries = Registries::new();
    // Before the worker: connectors that it finds in its log convert from the start.
    let schemas = tokio::select! {
        started = registry::inside(&props, &log, &registries) => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let options = WorkerOptions {
        config,
        log: Arc::clone(&log),
        plugins: builtin::plugins(&registries),
        worker_id: server.worker_id().to_owned(),
        commit: option_env!("MILLRACE_COMMIT")
            .unwrap_or("unknown")
            .to_owned(),
        loggers: Some(Arc::new(Loggers::new(levels))),
    };
    let started = tokio::select! {
        started = Worker::start(options) => started.context("starting the worker")?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let herder = started.herder();
    let server = server.serve(Arc::clone(&herder));
    tracing::info!(
        url = server.advertised_url(),
        log = log.kind(),
        "the worker answers"
    );
    for (name, config) in connectors {
        submit(&*herder, &name, config).await?;
    }
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("interrupted: stopping"),
    }
    started.shutdown().await;
    server.stop().await;
    if let Some(schemas) = schemas {
        schemas.stop().await;
    }
    log.close().await.context("closing the log")?;
    tracing::info!("stopped");
    Ok(())
}

pub(crate) fn read_properties(path: &Path) -> Result<Props> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    properties::parse(&text).with_context(|| format!("{} is not a properties file", path.display()))
}

/// A connector file: JSON in the form of POST /connectors, a flat JSON object, or properties.
fn read_connector(path: &Path) -> Result<(String, RawProps)> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let config: RawProps = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(mut object)) => {
            let inner = match object.remove("config") {
                Some(Value::Object(config)) => config,
                Some(_) => bail!("{}: 'config' must be an object", path.display()),
                None => object.clone(),
            };
            let mut config = RawProps::new();
            if let Some(name) = object.get("name").and_then(Value::as_str) {
                config.insert("name".to_owned(), Some(name.to_owned()));
            }
            for (key, value) in inner {
                let text = match value {
                    Value::Null => None,
                    Value::String(text) => Some(text),
                    Value::Object(_) | Value::Array(_) => {
                        bail!("{}: the value of '{key}' must be a string", path.display())
                    }
                    other => Some(other.to_string()),
                };
                config.insert(key, text);
            }
            config
        }
        _ => properties::parse(&text)
            .with_context(|| format!("{} is neither JSON nor a properties file", path.display()))?
            .to_raw(),
    };
    match config.get("name").cloned().flatten() {
        Some(name) => Ok((name, config)),
        None => bail!("{}: 'name' is missing", path.display()),
    }
}

/// Creates the connector, or changes it when it exists already.
async fn submit(herder: &dyn Herder, name: &str, config: RawProps) -> Result<()> {
    let result = if herder.connectors().iter().any(|c| c == name) {
        herder.put_config(name, config).await.map(|_| ())
    } else {
        herder
            .create_connector(name, config, TargetState::Started)
            .await
            .map(|_| ())
    };
    result.map_err(|e| anyhow::anyhow!("connector '{name}': {}", e.message))
}
