//! The log itself: one value per process and cluster.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_log::membership::join_group;
use millrace_log::{
    Admin, ClientSettings, GroupConsumer, GroupConsumerOptions, Log, LogError, Membership,
    MembershipOptions, Producer, ProducerOptions, Reader, ReaderOptions, SourceDiscipline, Table,
    TableOptions, TopicPartition, TransactionalProducer,
};

use crate::admin::{EARLIEST, KafkaAdmin, LATEST};
use crate::completions::TopicLimits;
use crate::group::{KafkaGroupConsumer, blocking};
use crate::membership::KafkaGroupCoordinator;
use crate::probe;
use crate::producer::KafkaProducer;
use crate::properties::{Role, Settings, translate};
use crate::raw::RawClient;
use crate::reader::KafkaReader;
use crate::table::KafkaTable;
use crate::threads::Threads;
use crate::transactions::KafkaTransactionalProducer;

/// How often [`KafkaLog::connect`] says what it waits for.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(5);
const ADMIN_CLIENT_ID: &str = "millrace-admin";

/// How to reach the cluster.
#[derive(Clone, Default)]
pub struct KafkaOptions {
    /// The worker's properties, with Java's names: `bootstrap.servers`, `security.protocol`, `ssl.*`, `sasl.*`, time-outs. Others are ignored.
    ///
    /// They govern the admin calls, the tables and the memberships. Producers, group consumers and readers take `bootstrap.servers` from here and everything else, security included,
    /// from the settings in their options, as Connect's connector clients do.
    pub properties: ClientSettings,
}

// Properties may hold passwords.
impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self
            .properties
            .iter()
            .map(|(key, _)| key.as_str())
            .collect();
        f.debug_struct("KafkaOptions")
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

/// Apache Kafka as a [`Log`].
pub struct KafkaLog {
    properties: ClientSettings,
    raw: Arc<RawClient>,
    admin: Arc<KafkaAdmin>,
    threads: Threads,
    cluster_id: String,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog")
            .field("bootstrap", &self.raw.bootstrap())
            .field("cluster_id", &self.cluster_id)
            .finish_non_exhaustive()
    }
}

/// The id of the cluster, which may still be starting.
async fn first_contact(raw: &RawClient) -> Result<String, LogError> {
    let deadline = Instant::now() + raw.api_timeout();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match raw.cluster_id(left.min(COMPLAINT_INTERVAL)).await {
            Err(error @ (LogError::Retriable { .. } | LogError::Timeout(_)))
                if left > COMPLAINT_INTERVAL =>
            {
                tracing::warn!(%error, left = ?(left - COMPLAINT_INTERVAL), "waiting for Kafka");
            }
            other => return other,
        }
    }
}

impl KafkaLog {
    /// Connects and learns the cluster's id. Waits for a broker of `bootstrap.servers` as long as `default.api.timeout.ms` says (60 s, as Java does), and logs what it waits for.
    pub async fn connect(options: KafkaOptions) -> Result<Arc<Self>, LogError> {
        let KafkaOptions { properties } = options;
        let id = Settings::new(&properties)
            .get("client.id")
            .filter(|id| !id.is_empty())
            .unwrap_or(ADMIN_CLIENT_ID);
        let raw = Arc::new(RawClient::new(&properties, id)?);
        let cluster_id = first_contact(&raw).await?;
        let threads = Threads::default();
        let admin = Arc::new(KafkaAdmin::new(Arc::clone(&raw), threads.closed()));
        let log = Self {
            properties,
            raw,
            admin,
            threads,
            cluster_id,
        };
        log.probe().await?;
        Ok(Arc::new(log))
    }

    /// With TLS or SASL, lets librdkafka connect too: two implementations read the same settings, and a difference must show at start-up.
    async fn probe(&self) -> Result<(), LogError> {
        let protocol = Settings::new(&self.properties)
            .get("security.protocol")
            .unwrap_or("PLAINTEXT");
        if protocol.eq_ignore_ascii_case("PLAINTEXT") {
            return Ok(());
        }
        let config = translate(Role::Consumer, ADMIN_CLIENT_ID, &self.properties)?;
        let limit = self.raw.api_timeout();
        let found = blocking(move || probe::cluster_id(&config, limit)).await??;
        match found {
            Ok(id) if id == self.cluster_id => Ok(()),
            Ok(id) => Err(LogError::Config(format!(
                "'bootstrap.servers' ({}) leads to two clusters: {} and {id}",
                self.raw.bootstrap(),
                self.cluster_id
            ))),
            Err(complaint) => Err(LogError::Config(format!(
                "the producers and consumers cannot connect to 'bootstrap.servers' ({}) with security.protocol={protocol}, though the admin client can: {complaint}",
                self.raw.bootstrap()
            ))),
        }
    }

    /// Settings of a connector's client: `bootstrap.servers` of the worker, then `settings`.
    fn client_settings(
        &self,
        prefix: &str,
        settings: &ClientSettings,
    ) -> Result<ClientSettings, LogError> {
        self.threads.check()?;
        let own = Settings::new(settings);
        let worker = Settings::new(&self.properties);
        if let Some(protocol) = worker
            .get("security.protocol")
            .filter(|p| !p.eq_ignore_ascii_case("PLAINTEXT"))
            && own.get("security.protocol").is_none()
            && own.get("bootstrap.servers").is_none()
        {
            return Err(LogError::Config(format!(
                "the worker has security.protocol={protocol}, but this connector's {prefix} has no 'security.protocol' and would connect in plain text to the same 'bootstrap.servers': \
                 set '{prefix}.security.protocol' and the '{prefix}.ssl.*' or '{prefix}.sasl.*' properties of the worker as well"
            )));
        }
        let mut all = vec![(
            "bootstrap.servers".to_owned(),
            self.raw.bootstrap().to_owned(),
        )];
        all.extend(settings.iter().cloned());
        Ok(all)
    }
}

#[async_trait::async_trait]
impl Log for KafkaLog {
    fn kind(&self) -> &'static str {
        "kafka"
    }

    fn source_discipline(&self) -> SourceDiscipline {
        SourceDiscipline::AckedPrefix
    }

    async fn cluster_id(&self) -> Result<String, LogError> {
        self.threads.check()?;
        Ok(self.cluster_id.clone())
    }

    async fn producer(&self, options: ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        let settings = self.client_settings("producer", &options.settings)?;
        let config = translate(Role::Producer, &options.client_id, &settings)?;
        Ok(Box::new(KafkaProducer::start(
            &self.threads,
            &config,
            TopicLimits::new(Arc::clone(&self.admin)),
        )?))
    }

    async fn transactional_producer(
        &self,
        transactional_id: &str,
        options: ProducerOptions,
    ) -> Result<Box<dyn TransactionalProducer>, LogError> {
        let settings = self.client_settings("producer", &options.settings)?;
        let config = translate(Role::Producer, &options.client_id, &settings)?;
        let timeout = Settings::new(&settings).number(
            "transaction.timeout.ms",
            1_000,
            i64::from(i32::MAX),
        )?;
        // Only to name groups: it never connects for long, so the producer's own settings do.
        let group_config = translate(
            Role::Consumer,
            &options.client_id,
            &connection_only(&settings),
        )?;
        Ok(Box::new(
            KafkaTransactionalProducer::start(
                &self.threads,
                &self.admin,
                config,
                transactional_id,
                timeout,
                group_config,
            )
            .await?,
        ))
    }

    async fn group_consumer(
        &self,
        options: GroupConsumerOptions,
    ) -> Result<Box<dyn GroupConsumer>, LogError> {
        let settings = self.client_settings("consumer", &options.settings)?;
        let config = translate(Role::Consumer, &options.client_id, &settings)?;
        Ok(Box::new(
            KafkaGroupConsumer::start(&self.threads, &self.raw, config, &options).await?,
        ))
    }

    async fn reader(&self, options: ReaderOptions) -> Result<Box<dyn Reader>, LogError> {
        let settings = self.client_settings("consumer", &options.settings)?;
        let config = translate(Role::Consumer, &options.client_id, &settings)?;
        let mut from = options.from.clone();
        for named in [EARLIEST, LATEST] {
            let asked: Vec<TopicPartition> = from
                .iter()
                .filter(|(_, offset)| *offset == named)
                .map(|(p, _)| p.clone())
                .collect();
            let found = self.admin.list_offsets(&asked, named, true).await?;
            let mut found = found.into_iter();
            for (_, offset) in from.iter_mut().filter(|(_, offset)| *offset == named) {
                *offset = found.next().unwrap_or(*offset);
            }
        }
        Ok(Box::new(KafkaReader::start(
            &self.threads,
            config,
            &options,
            from,
        )?))
    }

    async fn table(&self, options: TableOptions) -> Result<Box<dyn Table>, LogError> {
        self.threads.check()?;
        let mut settings = self.properties.clone();
        settings.extend(options.settings.iter().cloned());
        Ok(Box::new(
            KafkaTable::open(&self.threads, &self.raw, &self.admin, &options, &settings).await?,
        ))
    }

    async fn membership(
        &self,
        options: MembershipOptions,
    ) -> Result<Box<dyn Membership>, LogError> {
        self.threads.check()?;
        let mut settings = self.properties.clone();
        settings.extend(options.settings.iter().cloned());
        let coordinator = KafkaGroupCoordinator::new(&settings, options.clone())?;
        join_group(&options, Arc::new(coordinator), self.threads.closing())
    }

    fn admin(&self) -> Arc<dyn Admin> {
        Arc::clone(&self.admin) as Arc<dyn Admin>
    }

    async fn close(&self) -> Result<(), LogError> {
        self.threads.close().await
    }
}

/// What it takes to reach the cluster, without the tuning of one role.
fn connection_only(settings: &[(String, String)]) -> ClientSettings {
    let keep = |key: &str| {
        key == "bootstrap.servers"
            || key == "security.protocol"
            || key.starts_with("ssl.")
            || key.starts_with("sasl.")
    };
    settings
        .iter()
        .filter(|(key, _)| keep(key))
        .cloned()
        .collect()
}
