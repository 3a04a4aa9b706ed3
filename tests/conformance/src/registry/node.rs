//! A registry in this process, on a log in memory.

use std::sync::Arc;

use anyhow::Result;
use millrace_log::memory::MemoryLog;
use millrace_log::{Log, TableOptions, TableWrite};
use registry_client::SchemaRegistry;
use schema_registry::{ListenerUri, RegistryOptions, RegistryServer, Scheme};

const TOPIC: &str = "_schemas";

/// A record of the registry's topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRecord {
    /// Key as it is stored.
    pub key: String,
    /// Value as it is stored; `None` is a tombstone.
    pub value: Option<String>,
}

/// A registry and its log.
#[derive(Debug)]
pub struct Node {
    log: Arc<dyn Log>,
    server: RegistryServer,
}

impl Node {
    /// Starts a registry that listens on a free port of this machine, on a log whose topic holds `records`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(records: &[TopicRecord]) -> Result<Self> {
        let listener = ListenerUri {
            name: None,
            scheme: Scheme::Http,
            host: "127.0.0.1".to_owned(),
            port: 0,
        };
        Self::start_with(
            records,
            RegistryOptions {
                listeners: vec![listener],
                ..RegistryOptions::in_process()
            },
        )
        .await
    }

    async fn start_with(records: &[TopicRecord], options: RegistryOptions) -> Result<Self> {
        let log: Arc<dyn Log> = MemoryLog::new(0);
        if !records.is_empty() {
            let writes: Vec<TableWrite> = records
                .iter()
                .map(|record| TableWrite {
                    key: record.key.clone().into_bytes(),
                    value: record.value.clone().map(String::into_bytes),
                })
                .collect();
            log.table(table_options())
                .await?
                .writer()
                .put(&writes)
                .await?;
        }
        let server = RegistryServer::start(Arc::clone(&log), options).await?;
        Ok(Self { log, server })
    }

    /// Port it listens on.
    pub fn port(&self) -> u16 {
        self.server
            .addresses()
            .first()
            .map_or(0, std::net::SocketAddr::port)
    }

    /// The registry for callers of this process.
    pub fn local(&self) -> Arc<dyn SchemaRegistry> {
        self.server.local()
    }

    /// Every record of the topic, in order.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn topic(&self) -> Result<Vec<TopicRecord>> {
        let mut records = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut table = self.log.table(table_options()).await?;
        table
            .read_to_end(&mut |record| {
                records.push(TopicRecord {
                    key: record.key.map_or_else(String::new, text),
                    value: record.value.map(text),
                });
            })
            .await?;
        Ok(records)
    }
}

/// An empty registry without a listener.
///
/// # Errors
/// It does not start.
pub async fn fresh_registry() -> Result<Node> {
    Node::start_with(&[], RegistryOptions::in_process()).await
}

fn table_options() -> TableOptions {
    TableOptions {
        topic: TOPIC.to_owned(),
        partitions: 1,
        replication_factor: 1,
        clamp_replication: true,
        check_policy: true,
        topic_settings: Vec::new(),
        client_id: "conformance".to_owned(),
        settings: Vec::new(),
        named_by: "kafkastore.topic",
        purpose: "schemas",
    }
}
