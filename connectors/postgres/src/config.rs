//! Configuration of the connector: Debezium's keys, as far as they are obeyed; the others are refused by name, never ignored.

use std::path::PathBuf;
use std::time::Duration;

use millrace_api::config::{ConfigEnum, ConfigErrors, ConnectConfig, Props, Secret, Validator};
use millrace_api::plugin::TaskError;
use millrace_cdc::{ColumnFilter, NameAdjustment, TableFilter, TopicNaming};
use pg_replication::{ConnectOptions, Password, SslMode};

use crate::convert::{BinaryMode, DecimalMode, IntervalMode};
use crate::key_columns::KeyColumns;
use crate::table::{ConvertingFailure, PlanContext};
use crate::type_mapping::{MappingModes, TimePrecision};

macro_rules! literals {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal $(| $other:literal)*),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ConfigEnum)]
        #[config(case = "insensitive")]
        pub(crate) enum $name {
            $(#[config(value = $text, accept = [$($other),*])] $variant,)+
        }
    };
}

literals!(
    /// `snapshot.mode`. `never` is the old name of `no_data`.
    SnapshotMode {
        Always = "always",
        Initial = "initial",
        InitialOnly = "initial_only",
        NoData = "no_data" | "never",
        WhenNeeded = "when_needed",
    }
);
literals!(
    /// `snapshot.isolation.mode`
    IsolationMode {
        Serializable = "serializable",
        RepeatableRead = "repeatable_read",
        ReadCommitted = "read_committed",
        ReadUncommitted = "read_uncommitted",
    }
);
literals!(
    /// `snapshot.locking.mode`
    LockingMode { Shared = "shared", None = "none" }
);
literals!(
    /// `publication.autocreate.mode`
    AutocreateMode { AllTables = "all_tables", Disabled = "disabled", Filtered = "filtered", NoTables = "no_tables" }
);
literals!(
    /// `decimal.handling.mode`
    DecimalHandling { String = "string", Double = "double", Precise = "precise" }
);
literals!(
    /// `time.precision.mode`
    TimeHandling {
        Adaptive = "adaptive",
        AdaptiveTimeMicroseconds = "adaptive_time_microseconds",
        Connect = "connect",
        IsoString = "isostring",
        Microseconds = "microseconds",
        Nanoseconds = "nanoseconds",
    }
);
literals!(
    /// `interval.handling.mode`
    IntervalHandling { Numeric = "numeric", String = "string" }
);
literals!(
    /// `binary.handling.mode`
    BinaryHandling { Bytes = "bytes", Base64 = "base64", Base64UrlSafe = "base64-url-safe", Hex = "hex" }
);
literals!(
    /// `schema.name.adjustment.mode` and `field.name.adjustment.mode`
    AdjustmentMode { None = "none", Avro = "avro", AvroUnicode = "avro_unicode" }
);
literals!(
    /// `event.converting.failure.handling.mode`
    FailureMode { Fail = "fail", Warn = "warn", Skip = "skip" }
);
literals!(
    /// `lsn.flush.mode`
    FlushMode { Connector = "connector", Manual = "manual", ConnectorAndDriver = "connector_and_driver" }
);
literals!(
    /// `plugin.name`
    OutputPlugin { PgOutput = "pgoutput" }
);
literals!(
    /// `database.sslmode`
    SslHandling {
        Disable = "disable",
        Allow = "allow",
        Prefer = "prefer",
        Require = "require",
        VerifyCa = "verify-ca",
        VerifyFull = "verify-full",
    }
);

/// Configuration of the PostgreSQL source.
#[derive(Debug, ConnectConfig)]
#[config(dialect = "debezium")]
pub(crate) struct PostgresConfig {
    /// Topic prefix that identifies and provides a namespace for the particular database server/cluster is capturing changes. The topic prefix should be unique across all other connectors.
    #[config(name = "topic.prefix", required, importance = "high", width = "medium", display = "Topic prefix", group = "Postgres",
        validate = Validator::matches(r"^[a-zA-Z0-9_.\-]+$", |text| format!("{text} has invalid format (only the underscore, hyphen, dot and alphanumeric characters are allowed)")))]
    pub(crate) topic_prefix: String,
    /// Resolvable hostname or IP address of the database server.
    #[config(
        name = "database.hostname",
        required,
        importance = "high",
        width = "medium",
        display = "Hostname",
        group = "Postgres"
    )]
    pub(crate) hostname: String,
    /// Port of the database server.
    #[config(name = "database.port", default = 5432, importance = "high", width = "short", display = "Port", group = "Postgres", validate = Validator::integer())]
    pub(crate) port: i32,
    /// Name of the database user to be used when connecting to the database.
    #[config(
        name = "database.user",
        required,
        importance = "high",
        width = "short",
        display = "User",
        group = "Postgres"
    )]
    pub(crate) user: String,
    /// Password of the database user to be used when connecting to the database.
    #[config(
        name = "database.password",
        importance = "high",
        width = "short",
        display = "Password",
        group = "Postgres"
    )]
    pub(crate) password: Option<Secret<String>>,
    /// The name of the database from which the connector should capture changes.
    #[config(
        name = "database.dbname",
        required,
        importance = "high",
        width = "medium",
        display = "Database",
        group = "Postgres"
    )]
    pub(crate) dbname: String,
    /// Whether to encrypt the connection, and whether to check the server's certificate.
    #[config(
        name = "database.sslmode",
        default = "prefer",
        importance = "medium",
        display = "SSL mode",
        group = "Connection"
    )]
    pub(crate) sslmode: SslHandling,
    /// PEM file with the client's certificate.
    #[config(
        name = "database.sslcert",
        display = "SSL Client Certificate",
        group = "Connection"
    )]
    pub(crate) sslcert: Option<PathBuf>,
    /// File with the client's private key, PEM or PKCS#8 DER, not encrypted.
    #[config(
        name = "database.sslkey",
        display = "SSL Client Key",
        group = "Connection"
    )]
    pub(crate) sslkey: Option<PathBuf>,
    /// PEM file with the certificates of trusted authorities.
    #[config(
        name = "database.sslrootcert",
        display = "SSL Root Certificate",
        group = "Connection"
    )]
    pub(crate) sslrootcert: Option<PathBuf>,
    /// Whether the operating system shall probe idle connections.
    #[config(
        name = "database.tcpKeepAlive",
        default = true,
        display = "TCP keep-alive probe",
        group = "Connection"
    )]
    pub(crate) tcp_keep_alive: bool,
    /// Limit for connecting and authenticating.
    #[config(
        name = "database.connection.timeout.ms",
        default = 600_000,
        millis,
        kind = "INT",
        importance = "low",
        display = "Connection timeout",
        group = "Connection"
    )]
    pub(crate) connection_timeout: Duration,
    /// Limit for each statement that is not a snapshot's SELECT; 0 is none.
    #[config(name = "database.query.timeout.ms", default = 600_000, kind = "INT", importance = "low", display = "Query timeout", group = "Connection",
        validate = Validator::non_negative_integer())]
    pub(crate) query_timeout_ms: i32,
    /// Statements, separated by semicolons, to run on each connection that is not the replication stream; two semicolons are one in a statement.
    #[config(
        name = "database.initial.statements",
        importance = "low",
        display = "Initial statements",
        group = "Connection"
    )]
    pub(crate) initial_statements: Option<String>,
    /// Limit for the test connection that is made when a configuration is validated.
    #[config(
        name = "connection.validation.timeout.ms",
        default = 60_000,
        millis,
        importance = "low",
        display = "Connection validation timeout (ms)",
        group = "Connection"
    )]
    pub(crate) validation_timeout: Duration,
    /// Logical decoding plugin: pgoutput, which every server has.
    #[config(
        name = "plugin.name",
        default = "pgoutput",
        display = "Plugin",
        group = "Replication"
    )]
    pub(crate) plugin: OutputPlugin,
    /// Name of the logical replication slot.
    #[config(name = "slot.name", default = "debezium", display = "Slot", group = "Replication",
        validate = Validator::matches("^[a-z0-9_]{1,63}$", |_| "Valid replication slot name must contain only digits, lowercase characters and underscores with length <= 63".to_owned()))]
    pub(crate) slot_name: String,
    /// Whether to drop the slot when the task stops in an orderly way; changes made meanwhile are lost then.
    #[config(
        name = "slot.drop.on.stop",
        default = false,
        display = "Drop slot on stop",
        group = "Replication"
    )]
    pub(crate) slot_drop_on_stop: bool,
    /// Whether to create the slot as a failover slot (PostgreSQL 17 and later, primaries only).
    #[config(
        name = "slot.failover",
        default = false,
        display = "Create failover slot",
        group = "Replication"
    )]
    pub(crate) slot_failover: bool,
    /// Name of the publication.
    #[config(
        name = "publication.name",
        default = "dbz_publication",
        display = "Publication",
        group = "Replication"
    )]
    pub(crate) publication_name: String,
    /// How to make the publication when it is missing.
    #[config(
        name = "publication.autocreate.mode",
        default = "all_tables",
        display = "Publication Auto Create Mode",
        group = "Replication"
    )]
    pub(crate) publication_autocreate: AutocreateMode,
    /// Whether a publication that is created publishes changes of partitions as changes of their root table.
    #[config(
        name = "publish.via.partition.root",
        default = false,
        display = "Publish via partition root",
        group = "Replication"
    )]
    pub(crate) publish_via_partition_root: bool,
    /// How often to retry making the slot or starting the stream.
    #[config(name = "slot.max.retries", default = 6, display = "Retry count", group = "Replication", validate = Validator::integer())]
    pub(crate) slot_max_retries: i32,
    /// Pause between these retries.
    #[config(
        name = "slot.retry.delay.ms",
        default = 10_000,
        millis,
        display = "Retry delay",
        group = "Replication"
    )]
    pub(crate) slot_retry_delay: Duration,
    /// How often the server is told the confirmed position.
    #[config(name = "status.update.interval.ms", default = 10_000, kind = "INT", display = "Status update interval (ms)", group = "Replication",
        validate = Validator::positive_integer())]
    pub(crate) status_update_interval_ms: i32,
    /// Who confirms positions to the server: the connector, nobody, or the connector and, while nothing captured changes, the stream itself.
    #[config(
        name = "lsn.flush.mode",
        display = "LSN flush mode",
        group = "Replication"
    )]
    pub(crate) lsn_flush_mode: Option<FlushMode>,
    /// Older form of lsn.flush.mode: false is manual.
    #[config(
        name = "flush.lsn.source",
        default = true,
        display = "Flush LSN in the source database",
        group = "Replication"
    )]
    pub(crate) flush_lsn_source: bool,
    /// When to take a snapshot.
    #[config(
        name = "snapshot.mode",
        default = "initial",
        display = "Snapshot mode",
        group = "Snapshot"
    )]
    pub(crate) snapshot_mode: SnapshotMode,
    /// Isolation of the snapshot when the slot is not made in the same start.
    #[config(
        name = "snapshot.isolation.mode",
        default = "serializable",
        display = "Snapshot isolation mode",
        group = "Snapshot"
    )]
    pub(crate) snapshot_isolation: IsolationMode,
    /// Whether tables are locked against changes of their shape during the snapshot.
    #[config(
        name = "snapshot.locking.mode",
        default = "none",
        display = "Snapshot locking mode",
        group = "Snapshot"
    )]
    pub(crate) snapshot_locking: LockingMode,
    /// Limit for getting those locks.
    #[config(name = "snapshot.lock.timeout.ms", default = 10_000i64, kind = "LONG", display = "Snapshot lock timeout (ms)", group = "Snapshot",
        validate = Validator::non_negative_long())]
    pub(crate) snapshot_lock_timeout_ms: i64,
    /// Which captured tables are in the snapshot.
    #[config(name = "snapshot.include.collection.list", display = "Snapshot include tables", group = "Snapshot", validate = Validator::regex_list())]
    pub(crate) snapshot_include: Option<String>,
    /// Tables with a SELECT of their own, given in snapshot.select.statement.overrides.<schema>.<table>.
    #[config(
        name = "snapshot.select.statement.overrides",
        display = "Snapshot SELECT overrides",
        group = "Snapshot"
    )]
    pub(crate) snapshot_overrides: Option<String>,
    /// Pause before the snapshot.
    #[config(
        name = "snapshot.delay.ms",
        default = 0,
        millis,
        importance = "low",
        display = "Snapshot Delay (milliseconds)",
        group = "Snapshot"
    )]
    pub(crate) snapshot_delay: Duration,
    /// Pause between the snapshot and the stream.
    #[config(
        name = "streaming.delay.ms",
        default = 0,
        millis,
        importance = "low",
        display = "Streaming Delay (milliseconds)",
        group = "Snapshot"
    )]
    pub(crate) streaming_delay: Duration,
    /// Schemas to capture.
    #[config(name = "schema.include.list", display = "Include Schemas", group = "Filters", validate = Validator::regex_list())]
    pub(crate) schema_include: Option<String>,
    /// Schemas not to capture.
    #[config(name = "schema.exclude.list", display = "Exclude Schemas", group = "Filters", validate = [Validator::regex_list(), Validator::not_with("schema.include.list")])]
    pub(crate) schema_exclude: Option<String>,
    /// Tables to capture.
    #[config(name = "table.include.list", importance = "high", display = "Include Tables", group = "Filters", validate = Validator::regex_list())]
    pub(crate) table_include: Option<String>,
    /// Tables not to capture.
    #[config(name = "table.exclude.list", display = "Exclude Tables", group = "Filters", validate = [Validator::regex_list(), Validator::not_with("table.include.list")])]
    pub(crate) table_exclude: Option<String>,
    /// Columns to send.
    #[config(name = "column.include.list", display = "Include Columns", group = "Filters", validate = Validator::regex_list())]
    pub(crate) column_include: Option<String>,
    /// Columns not to send.
    #[config(name = "column.exclude.list", display = "Exclude Columns", group = "Filters", validate = [Validator::regex_list(), Validator::not_with("column.include.list")])]
    pub(crate) column_exclude: Option<String>,
    /// Whether the system's tables are never captured.
    #[config(
        name = "table.ignore.builtin",
        default = true,
        importance = "low",
        display = "Ignore system databases",
        group = "Filters"
    )]
    pub(crate) ignore_builtin: bool,
    /// Keys other than the primary key: 'table-regex:column,column;…'.
    #[config(
        name = "message.key.columns",
        display = "Columns PK mapping",
        group = "Events"
    )]
    pub(crate) message_key_columns: Option<String>,
    /// How numeric and money are sent.
    #[config(
        name = "decimal.handling.mode",
        default = "precise",
        width = "short",
        display = "Decimal Handling",
        group = "Events"
    )]
    pub(crate) decimal_handling: DecimalHandling,
    /// How dates and times are sent.
    #[config(
        name = "time.precision.mode",
        default = "adaptive",
        display = "Time Precision",
        group = "Events"
    )]
    pub(crate) time_precision: TimeHandling,
    /// How intervals are sent.
    #[config(
        name = "interval.handling.mode",
        default = "numeric",
        width = "medium",
        importance = "low",
        display = "Interval Handling",
        group = "Events"
    )]
    pub(crate) interval_handling: IntervalHandling,
    /// How bytea is sent.
    #[config(
        name = "binary.handling.mode",
        default = "bytes",
        importance = "low",
        display = "Binary Handling",
        group = "Events"
    )]
    pub(crate) binary_handling: BinaryHandling,
    /// Scale of money.
    #[config(
        name = "money.fraction.digits",
        default = 2,
        importance = "low",
        display = "Money fraction digits",
        group = "Events",
        hidden
    )]
    pub(crate) money_fraction_digits: i16,
    /// Whether columns of types without a mapping are sent as bytes.
    #[config(
        name = "include.unknown.datatypes",
        default = false,
        display = "Include unknown datatypes",
        group = "Events"
    )]
    pub(crate) include_unknown: bool,
    /// What stands for TOASTed values that the server does not send; 'hex:' and hex digits for bytes.
    #[config(
        name = "unavailable.value.placeholder",
        default = "__debezium_unavailable_value",
        display = "Unavailable value placeholder",
        group = "Events"
    )]
    pub(crate) placeholder: String,
    /// Whether a delete is followed by a tombstone.
    #[config(
        name = "tombstones.on.delete",
        default = true,
        display = "Change the behaviour of Debezium with regards to delete operations",
        group = "Events"
    )]
    pub(crate) tombstones: bool,
    /// Operations that are not sent: some of c, u, d, t, or none.
    #[config(
        name = "skipped.operations",
        default = "t",
        importance = "low",
        display = "Skipped Operations",
        group = "Events",
        kind = "LIST"
    )]
    pub(crate) skipped_operations: Vec<String>,
    /// Whether updates that change no captured column are left out; needs REPLICA IDENTITY FULL.
    #[config(
        name = "skip.messages.without.change",
        default = false,
        display = "Enable skipping messages without change",
        group = "Events"
    )]
    pub(crate) skip_without_change: bool,
    /// Whether data records carry the context headers.
    #[config(
        name = "extended.headers.enabled",
        default = true,
        display = "Extended headers",
        group = "Events"
    )]
    pub(crate) extended_headers: bool,
    /// Characters in schema names.
    #[config(
        name = "schema.name.adjustment.mode",
        default = "none",
        display = "Schema Name Adjustment",
        group = "Events"
    )]
    pub(crate) schema_adjustment: AdjustmentMode,
    /// Characters in field names.
    #[config(
        name = "field.name.adjustment.mode",
        default = "none",
        display = "Field Name Adjustment",
        group = "Events"
    )]
    pub(crate) field_adjustment: AdjustmentMode,
    /// What to do about a value that cannot be converted.
    #[config(
        name = "event.converting.failure.handling.mode",
        default = "warn",
        display = "Event converting failure handling",
        group = "Events"
    )]
    pub(crate) converting_failure: FailureMode,
    /// Between the parts of topic names.
    #[config(
        name = "topic.delimiter",
        default = ".",
        display = "Topic delimiter",
        group = "Topics"
    )]
    pub(crate) topic_delimiter: String,
    /// First part of the heartbeat topic's name.
    #[config(
        name = "topic.heartbeat.prefix",
        default = "__debezium-heartbeat",
        importance = "low",
        display = "Heartbeat topic prefix",
        group = "Topics"
    )]
    pub(crate) heartbeat_prefix: String,
    /// Whole name of the heartbeat topic.
    #[config(
        name = "topic.heartbeat.name",
        importance = "low",
        display = "Heartbeat topic",
        group = "Topics"
    )]
    pub(crate) heartbeat_name: Option<String>,
    /// Pause between heartbeats; 0 is no heartbeats.
    #[config(name = "heartbeat.interval.ms", default = 0i64, kind = "LONG", display = "Connector heartbeat interval (milli-seconds)", group = "Runtime",
        validate = Validator::non_negative_integer())]
    pub(crate) heartbeat_interval_ms: i64,
    /// Statement to run after each heartbeat.
    #[config(
        name = "heartbeat.action.query",
        importance = "low",
        display = "Heartbeat action query",
        group = "Runtime"
    )]
    pub(crate) heartbeat_query: Option<String>,
    /// Most records in one batch.
    #[config(name = "max.batch.size", default = 2048, width = "short", display = "Change event batch size", group = "Runtime", validate = Validator::positive_integer())]
    pub(crate) max_batch_size: i32,
    /// How many retriable errors in a row are survived; -1 is any number.
    #[config(name = "errors.max.retries", default = -1, display = "Maximum number of retries", group = "Runtime")]
    pub(crate) errors_max_retries: i32,
    /// Longest pause before connecting again after a retriable error.
    #[config(
        name = "retriable.restart.connector.wait.ms",
        default = 10_000,
        millis,
        importance = "low",
        display = "Retriable restart wait (ms)",
        group = "Runtime"
    )]
    pub(crate) restart_wait: Duration,
}

/// Debezium's keys that change what is captured or sent and are not built: refused unless they say what is done anyway.
const REFUSED: &[(&str, &[&str])] = &[
    ("provide.transaction.metadata", &["false"]),
    ("signal.data.collection", &[]),
    ("notification.enabled.channels", &[]),
    ("converters", &[]),
    ("post.processors", &[]),
    ("replica.identity.autoset.values", &[]),
    ("slot.stream.params", &[]),
    ("xmin.fetch.interval.ms", &["0"]),
    ("read.only", &["false"]),
    ("snapshot.query.mode", &["select_all"]),
    ("snapshot.max.threads", &["1"]),
    ("hstore.handling.mode", &["json"]),
    ("include.schema.comments", &["false"]),
    ("column.propagate.source.type", &[]),
    ("datatype.propagate.source.type", &[]),
    ("message.prefix.include.list", &[]),
    ("message.prefix.exclude.list", &[]),
    ("offset.mismatch.strategy", &["no_validation"]),
    ("event.processing.failure.handling.mode", &["fail"]),
    (
        "topic.naming.strategy",
        &["io.debezium.schema.SchemaTopicNamingStrategy"],
    ),
    ("guardrail.collections.max", &["0"]),
    ("database.connection.factory.class", &[]),
    ("internal.log.position.check.enable", &["true"]),
];

/// Keys with a parameter in their name that would hide data: ignoring one would leak it.
const REFUSED_PREFIXES: &[&str] = &["column.mask.", "column.truncate."];

impl PostgresConfig {
    /// Reads and checks everything that can be checked without a server.
    pub(crate) fn read(props: &Props) -> Result<Self, TaskError> {
        let config =
            Self::parse(props).map_err(|e| TaskError::config("postgres.config", e.to_string()))?;
        let errors = problems(props, &config);
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(TaskError::config("postgres.config", errors.to_string()))
        }
    }

    /// How to reach the server.
    pub(crate) fn connect_options(&self, application: &str) -> ConnectOptions {
        let port = u16::try_from(self.port).unwrap_or(5432);
        let mut options = ConnectOptions::new(&*self.hostname, port, &*self.user, &*self.dbname);
        options.password = self
            .password
            .as_ref()
            .map(|p| Password::new(p.expose().clone()));
        application.clone_into(&mut options.application_name);
        options.ssl_mode = match self.sslmode {
            SslHandling::Disable => SslMode::Disable,
            SslHandling::Allow => SslMode::Allow,
            SslHandling::Prefer => SslMode::Prefer,
            SslHandling::Require => SslMode::Require,
            SslHandling::VerifyCa => SslMode::VerifyCa,
            SslHandling::VerifyFull => SslMode::VerifyFull,
        };
        options.ssl_root_cert.clone_from(&self.sslrootcert);
        options.ssl_cert.clone_from(&self.sslcert);
        options.ssl_key.clone_from(&self.sslkey);
        options.tcp_keep_alive = self.tcp_keep_alive;
        options.connect_timeout = self.connection_timeout;
        options
    }

    pub(crate) fn flush_mode(&self) -> FlushMode {
        self.lsn_flush_mode.unwrap_or(if self.flush_lsn_source {
            FlushMode::Connector
        } else {
            FlushMode::Manual
        })
    }

    pub(crate) fn skips(&self, code: &str) -> bool {
        self.skipped_operations.iter().any(|s| s == code)
    }

    pub(crate) fn tables(&self) -> Result<TableFilter, TaskError> {
        TableFilter::new(
            self.schema_include.as_deref(),
            self.schema_exclude.as_deref(),
            self.table_include.as_deref(),
            self.table_exclude.as_deref(),
            self.ignore_builtin,
        )
        .map_err(|e| TaskError::config("postgres.config.filters", e.to_string()))
    }

    pub(crate) fn naming(&self) -> TopicNaming {
        TopicNaming::new(
            &self.topic_prefix,
            &self.topic_delimiter,
            &self.heartbeat_prefix,
            self.heartbeat_name.as_deref(),
        )
    }

    /// What plans of tables are made from. `avro`: a converter of the connector writes Avro, which restricts field names.
    pub(crate) fn plan_context(&self, avro: bool) -> Result<PlanContext, TaskError> {
        let refuse = |e: String| TaskError::config("postgres.config", e);
        let schema_names = adjustment(self.schema_adjustment);
        let field_names = match adjustment(self.field_adjustment) {
            NameAdjustment::None if avro => NameAdjustment::Avro,
            mode => mode,
        };
        Ok(PlanContext {
            naming: self.naming(),
            schema_names,
            field_names,
            columns: ColumnFilter::new(
                self.column_include.as_deref(),
                self.column_exclude.as_deref(),
            )
            .map_err(|e| refuse(e.to_string()))?,
            key_columns: KeyColumns::parse(self.message_key_columns.as_deref().unwrap_or(""))
                .map_err(|e| refuse(format!("The 'message.key.columns' value is invalid: {e}")))?,
            modes: self.modes()?,
            source_schema: crate::source_info::schema(),
            on_failure: match self.converting_failure {
                FailureMode::Fail => ConvertingFailure::Fail,
                FailureMode::Warn => ConvertingFailure::Warn,
                FailureMode::Skip => ConvertingFailure::Skip,
            },
        })
    }

    fn modes(&self) -> Result<MappingModes, TaskError> {
        Ok(MappingModes {
            decimal: match self.decimal_handling {
                DecimalHandling::Precise => DecimalMode::Precise,
                DecimalHandling::Double => DecimalMode::Double,
                DecimalHandling::String => DecimalMode::String,
            },
            time: match self.time_precision {
                TimeHandling::Adaptive => TimePrecision::Adaptive,
                TimeHandling::AdaptiveTimeMicroseconds => TimePrecision::AdaptiveTimeMicroseconds,
                TimeHandling::Connect => TimePrecision::Connect,
                TimeHandling::IsoString => TimePrecision::IsoString,
                TimeHandling::Microseconds => TimePrecision::Microseconds,
                TimeHandling::Nanoseconds => TimePrecision::Nanoseconds,
            },
            interval: match self.interval_handling {
                IntervalHandling::Numeric => IntervalMode::Numeric,
                IntervalHandling::String => IntervalMode::String,
            },
            binary: match self.binary_handling {
                BinaryHandling::Bytes => BinaryMode::Bytes,
                BinaryHandling::Base64 => BinaryMode::Base64,
                BinaryHandling::Base64UrlSafe => BinaryMode::Base64UrlSafe,
                BinaryHandling::Hex => BinaryMode::Hex,
            },
            money_scale: i32::from(self.money_fraction_digits),
            include_unknown: self.include_unknown,
            placeholder: placeholder(&self.placeholder)?,
        })
    }
}

/// What is wrong beyond single values: keys that would have to be obeyed and are not built, rules that do not parse.
pub(crate) fn problems(props: &Props, config: &PostgresConfig) -> ConfigErrors {
    let mut errors = ConfigErrors::default();
    for (key, value) in props.iter() {
        let allowed = REFUSED
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, allowed)| *allowed);
        let refused = match allowed {
            Some(allowed) => {
                !value.trim().is_empty()
                    && !allowed.iter().any(|a| a.eq_ignore_ascii_case(value.trim()))
            }
            None => REFUSED_PREFIXES.iter().any(|p| key.starts_with(p)),
        };
        if refused {
            let instead = match allowed {
                Some([only]) => format!("; the only value possible is '{only}'"),
                _ => String::new(),
            };
            errors.add(key, format!("The '{key}' value is invalid: this connector does not do what the key asks for{instead}. Remove the key"));
        }
    }
    for operation in &config.skipped_operations {
        let problem = match operation.as_str() {
            "c" | "u" | "d" | "t" | "r" => continue,
            "none" if config.skipped_operations.len() == 1 => continue,
            "none" => "'none' cannot be specified with other skipped operation types".to_owned(),
            other => format!("'{other}' is not one of c, u, d, t, r, or none alone"),
        };
        errors.add(
            "skipped.operations",
            format!("The 'skipped.operations' value is invalid: {problem}"),
        );
    }
    if let Err(e) = config.plan_context(false) {
        errors.add("message.key.columns", e.message);
    }
    errors
}

fn adjustment(mode: AdjustmentMode) -> NameAdjustment {
    match mode {
        AdjustmentMode::None => NameAdjustment::None,
        AdjustmentMode::Avro => NameAdjustment::Avro,
        AdjustmentMode::AvroUnicode => NameAdjustment::AvroUnicode,
    }
}

fn placeholder(text: &str) -> Result<Vec<u8>, TaskError> {
    let Some(hex) = text.strip_prefix("hex:") else {
        return Ok(text.as_bytes().to_vec());
    };
    let digits: Option<Vec<u32>> = hex.chars().map(|c| c.to_digit(16)).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => {
            Ok(digits.chunks(2).map(|d| (d[0] << 4 | d[1]) as u8).collect())
        }
        _ => Err(TaskError::config(
            "postgres.config",
            "The 'unavailable.value.placeholder' value is invalid: hex: must be followed by pairs of hex digits",
        )),
    }
}
