//! A client for the calls that librdkafka's Rust API lacks: groups, offsets, settings, topics, the cluster's id.
//!
//! One connection per broker, opened when first needed and kept; one request at a time on each. A request on a kept connection that turns out to be dead is sent once
//! more on a new one. All calls here may be repeated without harm.

mod connection;
mod scram;
mod tls;

pub(crate) use connection::Connection;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    FindCoordinatorRequest, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};
use millrace_log::LogError;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::errors::from_response;
use crate::properties::Settings;
use crate::security::KafkaSecurity;
use connection::Dialer;

pub(crate) type Address = (String, u16);
type Slot = Arc<Mutex<Option<Connection>>>;

/// Which broker a request must go to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    /// Any.
    Any,
    /// The controller, or a broker that forwards to it.
    Controller,
    /// The coordinator of this group.
    Coordinator(&'a str),
    /// The broker with this id.
    Broker(i32),
}

/// See the module.
pub(crate) struct RawClient {
    bootstrap: Vec<Address>,
    bootstrap_text: String,
    dialer: Dialer,
    /// How long a call is repeated while brokers are away or moving.
    api_timeout: Duration,
    slots: std::sync::Mutex<HashMap<Address, Slot>>,
    /// Brokers that the cluster has named, for when those of `bootstrap.servers` are away.
    learned: std::sync::Mutex<Vec<Address>>,
    /// Number of the broker that is asked first when any will do: the last one that answered.
    first: AtomicUsize,
}

impl fmt::Debug for RawClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawClient")
            .field("bootstrap", &self.bootstrap_text)
            .finish_non_exhaustive()
    }
}

/// The least that is waited between two attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

impl RawClient {
    /// Reads addresses, security and timeouts from Java-named settings. Does not connect.
    pub(crate) fn new(entries: &[(String, String)], client_id: &str) -> Result<Self, LogError> {
        let settings = Settings::new(entries);
        let bootstrap_text = settings
            .get("bootstrap.servers")
            .unwrap_or("localhost:9092")
            .to_owned();
        let security = KafkaSecurity::from_settings(&settings)?;
        let tls = match &security.tls {
            Some(tls) => Some(tls::client_config(tls).map_err(|e| {
                LogError::Config(format!(
                    "TLS cannot be set up from the 'ssl.*' settings: {e}"
                ))
            })?),
            None => None,
        };
        let millis = |key, default| {
            settings
                .number::<u64>(key, 1, i32::MAX as u64)
                .map(|n| Duration::from_millis(n.unwrap_or(default)))
        };
        Ok(Self {
            bootstrap: addresses(&settings, &bootstrap_text)?,
            bootstrap_text,
            dialer: Dialer {
                client_id: StrBytes::from_string(client_id.to_owned()),
                tls,
                sasl: security.sasl,
                connect_timeout: millis("socket.connection.setup.timeout.ms", 10_000)?,
                request_timeout: millis("request.timeout.ms", 30_000)?,
            },
            api_timeout: millis("default.api.timeout.ms", 60_000)?,
            slots: std::sync::Mutex::default(),
            learned: std::sync::Mutex::default(),
            first: AtomicUsize::new(0),
        })
    }

    /// How long one call may take with its repetitions.
    pub(crate) fn api_timeout(&self) -> Duration {
        self.api_timeout
    }

    /// `bootstrap.servers` as it was given.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap_text
    }

    /// The id of the cluster, asking until `limit` has passed.
    pub(crate) async fn cluster_id(&self, limit: Duration) -> Result<String, LogError> {
        let response = self.metadata_within(Some(Vec::new()), limit).await?;
        response.cluster_id.map(|id| id.to_string()).ok_or_else(|| {
            LogError::fatal(format!(
                "the brokers of 'bootstrap.servers' ({}) do not tell a cluster id",
                self.bootstrap_text
            ))
        })
    }

    /// Metadata of these topics, or of all. Never creates a topic.
    pub(crate) async fn metadata(
        &self,
        topics: Option<Vec<String>>,
    ) -> Result<MetadataResponse, LogError> {
        self.metadata_within(topics, self.api_timeout).await
    }

    async fn metadata_within(
        &self,
        topics: Option<Vec<String>>,
        limit: Duration,
    ) -> Result<MetadataResponse, LogError> {
        let topics = topics.map(|names| {
            names
                .into_iter()
                .map(|n| MetadataRequestTopic::default().with_name(Some(topic_name(n))))
                .collect()
        });
        let request = MetadataRequest::default()
            .with_topics(topics)
            .with_allow_auto_topic_creation(false);
        // Version 4 is the first that can forbid creation.
        let metadata = self
            .send_within(limit, Target::Any, 12, &request, Ok)
            .await?;
        self.learn(&metadata);
        Ok(metadata)
    }

    fn learn(&self, metadata: &MetadataResponse) {
        let brokers = metadata.brokers.iter();
        let addresses: Vec<Address> = brokers
            .filter_map(|b| address(&b.host, b.port).ok())
            .collect();
        if !addresses.is_empty() {
            *self.learned.lock().unwrap_or_else(|e| e.into_inner()) = addresses;
        }
    }

    /// Where the coordinator of `group` is now. Asked once, of any broker.
    pub(crate) async fn find_coordinator(&self, group: &str) -> Result<Address, LogError> {
        let find =
            FindCoordinatorRequest::default().with_key(StrBytes::from_string(group.to_owned()));
        let found = self.on_any(3, &find).await?;
        if found.error_code != 0 {
            let text = found.error_message.as_ref().map(|t| t.as_str());
            return Err(from_response(
                &format!("cannot find the coordinator of group '{group}'"),
                found.error_code,
                text,
            ));
        }
        address(&found.host, found.port)
    }

    /// Asks for the addresses of all brokers, so that they can be reached when those of `bootstrap.servers` cannot.
    pub(crate) async fn learn_brokers(&self) -> Result<(), LogError> {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        self.learn(&self.on_any(12, &request).await?);
        Ok(())
    }

    /// A connection of the caller's own.
    pub(crate) async fn connect(&self, to: &Address) -> Result<Connection, LogError> {
        Connection::open(&self.dialer, &to.0, to.1).await
    }

    /// How long one request may take.
    pub(crate) fn request_timeout(&self) -> Duration {
        self.dialer.request_timeout
    }

    /// Sends `request` to `target`; repeats while the failure is one that passes. `cap` is the highest version that the caller fills in.
    ///
    /// `check` turns the answer into an error when it carries one, so that a moved coordinator or leader is looked up again.
    pub(crate) async fn send<R, T>(
        &self,
        target: Target<'_>,
        cap: i16,
        request: &R,
        check: impl Fn(R::Response) -> Result<T, LogError>,
    ) -> Result<T, LogError>
    where
        R: Request + Sync,
        R::Response: Send,
    {
        self.send_within(self.api_timeout, target, cap, request, check)
            .await
    }

    async fn send_within<R, T>(
        &self,
        limit: Duration,
        target: Target<'_>,
        cap: i16,
        request: &R,
        check: impl Fn(R::Response) -> Result<T, LogError>,
    ) -> Result<T, LogError>
    where
        R: Request + Sync,
        R::Response: Send,
    {
        let deadline = Instant::now() + limit;
        let mut pause = RETRY_PAUSE;
        loop {
            let Ok(answer) =
                tokio::time::timeout_at(deadline, self.once(target, cap, request)).await
            else {
                return Err(LogError::Timeout(format!(
                    "no answer from 'bootstrap.servers' ({}) within {} ms",
                    self.bootstrap_text,
                    limit.as_millis()
                )));
            };
            match answer.and_then(&check) {
                Err(error) if error.is_retriable() && Instant::now() + pause < deadline => {
                    tracing::debug!(%error, "trying again");
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                other => return other,
            }
        }
    }

    /// The same, once and without repetition.
    pub(crate) async fn once<R: Request + Sync>(
        &self,
        target: Target<'_>,
        cap: i16,
        request: &R,
    ) -> Result<R::Response, LogError> {
        match target {
            Target::Any => self.on_any(cap, request).await,
            Target::Controller => {
                let metadata = self
                    .on_any(
                        12,
                        &MetadataRequest::default().with_topics(Some(Vec::new())),
                    )
                    .await?;
                self.on_broker(&metadata, *metadata.controller_id, cap, request)
                    .await
            }
            Target::Broker(id) => {
                let metadata = self
                    .on_any(
                        12,
                        &MetadataRequest::default().with_topics(Some(Vec::new())),
                    )
                    .await?;
                self.on_broker(&metadata, id, cap, request).await
            }
            Target::Coordinator(group) => {
                let coordinator = self.find_coordinator(group).await?;
                self.at(&coordinator, cap, request).await
            }
        }
    }

    async fn on_broker<R: Request>(
        &self,
        metadata: &MetadataResponse,
        id: i32,
        cap: i16,
        request: &R,
    ) -> Result<R::Response, LogError> {
        let broker = metadata.brokers.iter().find(|b| *b.node_id == id);
        let broker = broker.ok_or_else(|| {
            LogError::retriable(format!("broker {id} is not in the cluster at the moment"))
        })?;
        self.at(&address(&broker.host, broker.port)?, cap, request)
            .await
    }

    async fn on_any<R: Request>(&self, cap: i16, request: &R) -> Result<R::Response, LogError> {
        let mut failures = Vec::new();
        let learned = self
            .learned
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .clone();
        let others = learned.iter().filter(|a| !self.bootstrap.contains(a));
        let all: Vec<&Address> = self.bootstrap.iter().chain(others).collect();
        let first = self.first.load(Ordering::Relaxed);
        for number in (0..all.len()).map(|n| (first + n) % all.len()) {
            // A caller that does not wait for this one's answer begins with the next one when it asks again.
            self.first.store(number + 1, Ordering::Relaxed);
            match self.at(all[number], cap, request).await {
                Err(error) if error.is_retriable() => failures.push(error.to_string()),
                other => {
                    self.first.store(number, Ordering::Relaxed);
                    return other;
                }
            }
        }
        Err(LogError::retriable(format!(
            "no broker of 'bootstrap.servers' ({}) can be reached: {}; check that Kafka runs and that address, port and 'security.protocol' are right",
            self.bootstrap_text,
            failures.join("; ")
        )))
    }

    /// One call on the connection to `address`. Cancelling it closes the connection.
    async fn at<R: Request>(
        &self,
        address: &Address,
        cap: i16,
        request: &R,
    ) -> Result<R::Response, LogError> {
        let slot = Arc::clone(
            self.slots
                .lock()
                .unwrap_or_else(|e| e.into_inner())
                .entry(address.clone())
                .or_default(),
        );
        let mut slot = slot.lock().await;
        if let Some(mut kept) = slot.take() {
            let version = kept.version::<R>(cap)?;
            match kept.call(version, request).await {
                Ok(response) => {
                    *slot = Some(kept);
                    return Ok(response);
                }
                // Brokers close idle connections; only a new one tells whether the broker is there.
                Err(error) if matches!(error, LogError::Retriable { .. }) => {
                    tracing::debug!(%error, "reconnecting")
                }
                Err(error) => return Err(error),
            }
        }
        let mut fresh = Connection::open(&self.dialer, &address.0, address.1).await?;
        let version = fresh.version::<R>(cap)?;
        let response = fresh.call(version, request).await?;
        *slot = Some(fresh);
        Ok(response)
    }
}

/// A topic's name as the protocol crate wants it.
pub(crate) fn topic_name(name: impl Into<String>) -> TopicName {
    TopicName(StrBytes::from_string(name.into()))
}

fn address(host: &StrBytes, port: i32) -> Result<Address, LogError> {
    let number = u16::try_from(port).map_err(|_| {
        LogError::fatal(format!(
            "the cluster names a broker at {host}:{port}, which is no port"
        ))
    })?;
    Ok((host.to_string(), number))
}

/// `host:port,…`; Java also takes `PROTOCOL://host:port`.
fn addresses(settings: &Settings<'_>, list: &str) -> Result<Vec<Address>, LogError> {
    let key = "bootstrap.servers";
    let mut out = Vec::new();
    for entry in list.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let plain = entry.split_once("://").map_or(entry, |(_, rest)| rest);
        let parsed = plain.rsplit_once(':').and_then(|(host, port)| {
            let host = host
                .strip_prefix('[')
                .and_then(|h| h.strip_suffix(']'))
                .unwrap_or(host);
            port.parse::<u16>()
                .ok()
                .filter(|p| *p > 0 && !host.is_empty())
                .map(|p| (host.to_owned(), p))
        });
        out.push(parsed.ok_or_else(|| {
            settings.refuse(key, entry, "every entry must have the form host:port")
        })?);
    }
    if out.is_empty() {
        return Err(settings.refuse(key, list, "it must name at least one host:port"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_hosts_with_ports() {
        let settings = Settings::new(&[]);
        let parsed = addresses(&settings, "a:1, PLAINTEXT://b.c:9092,[::1]:3").unwrap();
        assert_eq!(
            parsed,
            vec![("a".into(), 1), ("b.c".into(), 9092), ("::1".into(), 3)]
        );
        for bad in ["", "a", "a:x", ":1", "a:0", "a:99999"] {
            let error = addresses(&settings, bad).unwrap_err().to_string();
            assert!(error.contains("bootstrap.servers"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_broker_that_is_not_there_is_reported_with_its_address() {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let client = RawClient::new(
            &[("bootstrap.servers".into(), format!("127.0.0.1:{port}"))],
            "t",
        )
        .unwrap();
        let error = client
            .cluster_id(Duration::from_millis(300))
            .await
            .unwrap_err();
        assert!(error.is_retriable());
        let text = error.to_string();
        assert!(
            text.contains("bootstrap.servers")
                && text.contains(&port.to_string())
                && text.contains("refused"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn an_answer_that_is_not_kafka_is_refused() {
        use tokio::io::AsyncWriteExt as _;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        let client = RawClient::new(
            &[("bootstrap.servers".into(), format!("127.0.0.1:{port}"))],
            "t",
        )
        .unwrap();
        let text = client
            .cluster_id(Duration::from_millis(300))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("does not answer in Kafka's protocol"),
            "{text}"
        );
    }
}
