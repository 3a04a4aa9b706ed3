//! `millrace registry`: a schema registry of its own, until SIGTERM or Ctrl-C. A worker has one too when `schema.registry.listeners` is given.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use millrace_api::config::Props;
use millrace_log::Log;
use registry_client::Registries;
use schema_registry::{RegistryOptions, RegistryServer};
use tokio::signal::unix::{SignalKind, signal};

use crate::log;

/// Runs the registry; returns after an orderly stop.
pub(crate) async fn run(path: &Path) -> Result<()> {
    // First, so that a signal during a slow start is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let props = crate::standalone::read_properties(path)?;
    let options = RegistryOptions::from_properties(&own_properties(&props))
        .with_context(|| path.display().to_string())?;
    let log = log::open(&log_properties(&props)?)
        .await
        .with_context(|| format!("opening the log of {}", path.display()))?;
    let started = tokio::select! {
        started = RegistryServer::start(Arc::clone(&log), options) => started.context("starting the registry")?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    tracing::info!(
        url = started.url(),
        log = log.kind(),
        "the registry answers"
    );
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("interrupted: stopping"),
    }
    started.stop().await;
    log.close().await.context("closing the log")?;
    tracing::info!("stopped");
    Ok(())
}

/// The registry's properties without those of the log under it.
fn own_properties(props: &Props) -> Props {
    props
        .iter()
        .filter(|(key, _)| !key.starts_with("log.") && *key != "millrace.log")
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// What the log needs of a registry's properties: the clients' settings behind `kafkastore.`, or `log.dir` and its kin.
fn log_properties(props: &Props) -> Result<Props> {
    if props.get("log.dir").is_some() {
        if props.get("kafkastore.bootstrap.servers").is_some() {
            bail!(
                "kafkastore.bootstrap.servers and log.dir are both given: remove one; the first means Kafka, the second a log in a directory of this machine"
            );
        }
        return Ok(props.clone());
    }
    let mut kafka = props.with_prefix("kafkastore.");
    let Some(servers) = kafka.get("bootstrap.servers").map(str::to_owned) else {
        bail!(
            "neither kafkastore.bootstrap.servers (Kafka) nor log.dir (a log in a directory of this machine) is given"
        );
    };
    // Confluent's registry names the security protocol before each address: PLAINTEXT://host:9092.
    let addresses: Vec<&str> = servers
        .split(',')
        .map(str::trim)
        .map(|server| {
            server
                .split_once("://")
                .map_or(server, |(_, address)| address)
        })
        .collect();
    kafka.insert("bootstrap.servers", addresses.join(","));
    Ok(kafka
        .iter()
        .filter(|(key, _)| !is_registrys(key))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

/// Whether a setting behind `kafkastore.` is the registry's own, and none of the clients'.
fn is_registrys(key: &str) -> bool {
    const OWN: [&str; 11] = [
        "topic",
        "timeout.ms",
        "init.timeout.ms",
        "init.wait.for.reader",
        "write.max.retries",
        "write.retry.backoff.ms",
        "group.id",
        "update.handlers",
        "checkpoint.dir",
        "checkpoint.version",
        "connection.url",
    ];
    OWN.contains(&key) || key.starts_with("topic.")
}

/// The registry inside a worker, when its properties ask for one. Converters of this process then reach it without HTTP.
///
/// Its settings stand in the worker's properties behind `schema.registry.`: `schema.registry.listeners`, `schema.registry.kafkastore.topic`; `schema.registry.group.id` is
/// the registry's own name already.
pub(crate) async fn inside(
    props: &Props,
    log: &Arc<dyn Log>,
    registries: &Registries,
) -> Result<Option<RegistryServer>> {
    if props.get("schema.registry.listeners").is_none() {
        return Ok(None);
    }
    let own = settings_inside(props)?;
    let options = RegistryOptions::from_properties(&own)
        .context("the settings behind 'schema.registry.' in the worker's properties")?;
    let server = RegistryServer::start(Arc::clone(log), options)
        .await
        .context("starting the registry inside the worker")?;
    registries.add_local(&names_of(&server), server.local());
    tracing::info!(url = server.url(), "the registry inside the worker answers");
    Ok(Some(server))
}

/// The settings behind `schema.registry.`, under their own names.
fn settings_inside(props: &Props) -> Result<Props> {
    let mut own = props.with_prefix("schema.registry.");
    if let Some(group) = own.remove("group.id") {
        own.insert("schema.registry.group.id", group);
    }
    own.remove("url");
    if let Some(key) = own
        .keys()
        .filter_map(|key| key.strip_prefix("kafkastore."))
        .find(|key| !is_registrys(key))
    {
        bail!(
            "schema.registry.kafkastore.{key}: the registry inside a worker is on the worker's own log; remove it, or run `millrace registry` for a registry on another Kafka"
        );
    }
    Ok(own)
}

/// The URLs that mean this server to the converters of its own process.
fn names_of(server: &RegistryServer) -> Vec<String> {
    let mut names = vec![server.url().to_owned()];
    for address in server.addresses() {
        for host in ["localhost", "127.0.0.1"] {
            for scheme in ["http", "https"] {
                names.push(format!("{scheme}://{host}:{}", address.port()));
            }
        }
        names.push(format!("http://{address}"));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_gets_the_clients_settings_only() {
        let props = Props::from_iter([
            ("listeners", "http://0.0.0.0:8081"),
            (
                "kafkastore.bootstrap.servers",
                "PLAINTEXT://a:1, SASL_SSL://b:2",
            ),
            ("kafkastore.topic", "_schemas"),
            ("kafkastore.topic.config.min.insync.replicas", "2"),
            ("kafkastore.security.protocol", "SASL_SSL"),
        ]);
        let kafka = log_properties(&props).expect("properties");
        assert_eq!(kafka.get("bootstrap.servers"), Some("a:1,b:2"));
        assert_eq!(kafka.get("security.protocol"), Some("SASL_SSL"));
        let mut keys: Vec<&str> = kafka.keys().collect();
        keys.sort_unstable();
        assert_eq!(keys, ["bootstrap.servers", "security.protocol"]);
        let error = log_properties(&Props::default()).expect_err("no log");
        assert!(error.to_string().contains("kafkastore.bootstrap.servers"));
    }
    #[test]
    fn a_registry_inside_is_on_the_workers_log() {
        let props = |more: (&str, &str)| {
            Props::from_iter([
                ("schema.registry.listeners", "http://127.0.0.1:8081"),
                ("schema.registry.group.id", "registries"),
                ("schema.registry.kafkastore.topic", "_schemas"),
                ("bootstrap.servers", "a:1"),
                more,
            ])
        };
        let own = settings_inside(&props(("schema.registry.debug", "false"))).expect("settings");
        assert_eq!(own.get("schema.registry.group.id"), Some("registries"));
        assert_eq!(own.get("kafkastore.topic"), Some("_schemas"));
        assert_eq!(own.get("bootstrap.servers"), None);
        let another = ("schema.registry.kafkastore.bootstrap.servers", "b:2");
        let error = settings_inside(&props(another)).expect_err("another Kafka");
        assert!(error.to_string().contains(another.0), "{error}");
    }
}
