//! What a registry is told: the settings of its properties file.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use millrace_log::ClientSettings;
use registry_core::Settings;

use crate::http::access::Access;
use crate::http::cross_origin::CrossOrigin;
use crate::http::listener::{ListenerUri, Scheme};
use crate::http::tls::TlsFiles;
use crate::leader_credentials::LeaderCredentials;

/// The schemas topic.
#[derive(Debug, Clone)]
pub struct TopicOptions {
    /// `kafkastore.topic`
    pub name: String,
    /// `kafkastore.topic.replication.factor`; fewer live brokers lower it.
    pub replication_factor: i16,
    /// `kafkastore.topic.skip.validation`: the topic is neither created nor looked at.
    pub skip_validation: bool,
    /// `kafkastore.topic.config.*`: settings to create it with.
    pub settings: ClientSettings,
    /// Further settings of its clients.
    pub client_settings: ClientSettings,
}

/// The group of registries.
#[derive(Debug, Clone)]
pub struct GroupOptions {
    /// `schema.registry.group.id`
    pub group_id: String,
    /// `kafkagroup.session.timeout.ms`
    pub session_timeout: Duration,
    /// `kafkagroup.rebalance.timeout.ms`
    pub rebalance_timeout: Duration,
    /// `kafkagroup.heartbeat.interval.ms`
    pub heartbeat_interval: Duration,
    /// `leader.eligibility`
    pub eligible: bool,
    /// `leader.election.delay`: listen first, elect then.
    pub delay: bool,
    /// `leader.election.sticky`: a leader stays one while it is in the group.
    pub sticky: bool,
    /// Further settings of its client.
    pub client_settings: ClientSettings,
}

/// How HTTP is served.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Largest body of a request in bytes: `size.limit.filter.max.request.body.size` where `size.limit.filter.enabled`, else 32 MiB.
    pub body_limit: usize,
    /// `request.timeout.ms`, for one call altogether.
    pub request_timeout: Duration,
    /// `idle.timeout.ms`: connections that say nothing for so long are closed.
    pub idle_timeout: Duration,
    /// `server.connection.limit`, over all listeners; 0 there is 10,000 here.
    pub connections: usize,
    /// `shutdown.graceful.ms`
    pub stop_timeout: Duration,
    /// `compression.enable`
    pub compression: bool,
    /// `authentication.*`
    pub access: Access,
    /// `access.control.allow.*`
    pub cross_origin: Option<CrossOrigin>,
    /// `access.control.skip.options`
    pub options_skip_access: bool,
    /// `reject.options.request`
    pub reject_options: bool,
    /// `response.http.headers.config`
    pub response_headers: Vec<(HeaderName, HeaderValue)>,
}

/// Everything a registry is told.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// `listeners`; none for a registry that only its own process calls.
    pub listeners: Vec<ListenerUri>,
    /// `millrace.registry.metrics.listeners`: where `GET /metrics` is answered, in Prometheus' text format.
    pub metrics_listeners: Vec<ListenerUri>,
    /// `host.name`; without one the host of the listener by which others call, or this machine's name where that listens everywhere.
    pub host_name: Option<String>,
    /// `host.port`; without one the listener's.
    pub host_port: Option<u16>,
    /// `inter.instance.protocol`
    pub inter_instance_scheme: Option<Scheme>,
    /// `inter.instance.listener.name`
    pub inter_instance_listener: Option<String>,
    /// `inter.instance.headers.whitelist`: request headers that are passed on to the leader, besides those that always are.
    pub forwarded_headers: Vec<HeaderName>,
    /// `millrace.registry.leader.*.auth.*`: who this node is to the leader when it calls for its own process.
    pub leader_credentials: LeaderCredentials,
    /// `leader.connect.timeout.ms`
    pub leader_connect_timeout: Duration,
    /// `leader.read.timeout.ms`
    pub leader_read_timeout: Duration,
    /// The topic.
    pub topic: TopicOptions,
    /// The group.
    pub group: GroupOptions,
    /// `kafkastore.timeout.ms`: for a record to be acknowledged, and again for it to be read back.
    pub timeout: Duration,
    /// `kafkastore.init.timeout.ms`: for each step of the start.
    pub init_timeout: Duration,
    /// `kafkastore.init.wait.for.reader`: whether the start waits until the topic was read to its end.
    pub wait_for_reader: bool,
    /// `kafkastore.write.max.retries`: how often a change is planned again when another leader's record came first.
    pub write_retries: u32,
    /// Changes that may wait at once; more are refused.
    pub waiting_changes: usize,
    /// HTTP.
    pub http: HttpOptions,
    /// `ssl.*`
    pub tls: TlsFiles,
    /// How the registry itself behaves.
    pub settings: Settings,
}

impl Default for RegistryOptions {
    /// The defaults of all properties.
    fn default() -> Self {
        Self {
            listeners: vec![ListenerUri {
                name: None,
                scheme: Scheme::Http,
                host: "0.0.0.0".to_owned(),
                port: 8081,
            }],
            metrics_listeners: Vec::new(),
            host_name: None,
            host_port: None,
            inter_instance_scheme: None,
            inter_instance_listener: None,
            forwarded_headers: Vec::new(),
            leader_credentials: LeaderCredentials::default(),
            leader_connect_timeout: Duration::from_secs(60),
            leader_read_timeout: Duration::from_secs(60),
            topic: TopicOptions {
                name: "_schemas".to_owned(),
                replication_factor: 3,
                skip_validation: false,
                settings: Vec::new(),
                client_settings: Vec::new(),
            },
            group: GroupOptions {
                group_id: "schema-registry".to_owned(),
                session_timeout: Duration::from_secs(10),
                rebalance_timeout: Duration::from_secs(300),
                heartbeat_interval: Duration::from_secs(3),
                eligible: true,
                delay: false,
                sticky: false,
                client_settings: Vec::new(),
            },
            timeout: Duration::from_millis(500),
            init_timeout: Duration::from_secs(60),
            wait_for_reader: true,
            write_retries: 5,
            waiting_changes: 4096,
            http: HttpOptions {
                body_limit: 32 << 20,
                request_timeout: Duration::from_secs(600),
                idle_timeout: Duration::from_secs(30),
                connections: 10_000,
                stop_timeout: Duration::from_secs(1),
                compression: true,
                access: Access::open(),
                cross_origin: None,
                options_skip_access: true,
                reject_options: false,
                response_headers: Vec::new(),
            },
            tls: TlsFiles::default(),
            settings: Settings::default(),
        }
    }
}

impl RegistryOptions {
    /// The defaults, without a listener: a registry that only its own process calls.
    pub fn in_process() -> Self {
        Self {
            listeners: Vec::new(),
            ..Self::default()
        }
    }
}
