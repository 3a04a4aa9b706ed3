//! The configuration of the sink: Confluent's names, defaults and rules.

use millrace_api::config::{
    Candidate, ConfigEnum, ConfigErrors, ConnectConfig, LetterCase, Props, RawProps,
    Recommendation, Recommender, Secret, Validator,
};

use super::zone::Zone;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ConfigEnum)]
#[config(case = "lower_or_upper", problem = "Invalid enumerator")]
pub enum InsertMode {
    /// INSERT; a row that is there already is an error.
    #[config(value = "insert")]
    Insert,
    /// INSERT … ON CONFLICT DO UPDATE.
    #[config(value = "upsert")]
    Upsert,
    /// UPDATE; a row that is not there is ignored.
    #[config(value = "update")]
    Update,
}

/// Where the primary key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ConfigEnum)]
#[config(case = "lower_or_upper", problem = "Invalid enumerator")]
pub enum PrimaryKeyMode {
    /// There is none.
    #[config(value = "none")]
    None,
    /// Topic, partition and offset.
    #[config(value = "kafka")]
    Kafka,
    /// The record's key.
    #[config(value = "record_key")]
    RecordKey,
    /// Fields of the record's value.
    #[config(value = "record_value")]
    RecordValue,
}

impl PrimaryKeyMode {
    /// The name in Java's messages: `RECORD_KEY`.
    pub(crate) fn java_name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Kafka => "KAFKA",
            Self::RecordKey => "RECORD_KEY",
            Self::RecordValue => "RECORD_VALUE",
        }
    }
}

/// Zone in which a date is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ConfigEnum)]
#[config(case = "lower_or_upper", problem = "Invalid enumerator")]
pub enum DateTimeZone {
    /// `db.timezone`
    #[config(value = "db_timezone")]
    DbTimezone,
    /// UTC
    #[config(value = "utc")]
    Utc,
}

/// What days before 1582-10-15 are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ConfigEnum)]
pub enum CalendarSystem {
    /// Julian names, as Java's `GregorianCalendar` has them.
    #[config(value = "LEGACY")]
    Legacy,
    /// Gregorian names.
    #[config(value = "PROLEPTIC_GREGORIAN")]
    ProlepticGregorian,
}

/// Unit of the fields in `timestamp.fields.list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ConfigEnum)]
#[config(case = "lower_or_upper", problem = "Invalid enumerator")]
pub enum TimestampPrecision {
    /// 10⁻⁶ s
    #[config(value = "microseconds")]
    Microseconds,
    /// 10⁻⁹ s
    #[config(value = "nanoseconds")]
    Nanoseconds,
}

const DEFAULT_CREDENTIALS_PROVIDER: &str =
    "io.confluent.connect.jdbc.util.DefaultJdbcCredentialsProvider";

/// The dialects that the Java connector registers, in the order in which it offers them.
const DIALECTS: &[&str] = &[
    "",
    "Db2DatabaseDialect",
    "MySqlDatabaseDialect",
    "SybaseDatabaseDialect",
    "GenericDatabaseDialect",
    "OracleDatabaseDialect",
    "SqlServerDatabaseDialect",
    "PostgreSqlDatabaseDialect",
    "SqliteDatabaseDialect",
    "DerbyDatabaseDialect",
    "SapHanaDatabaseDialect",
    "VerticaDatabaseDialect",
];

/// Keys of `io.confluent.connect.jdbc.JdbcSinkConnector`.
#[derive(Debug, Clone, ConnectConfig)]
pub struct JdbcSinkConfig {
    /// JDBC URL of the database: `jdbc:postgresql://host:port/database?parameter=value`. Of pgjdbc's parameters those about the connection are understood
    /// (`user`, `password`, `ssl`, `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `currentSchema`, `ApplicationName`, `options`, `connectTimeout`,
    /// `targetServerType`, `stringtype`).
    #[config(
        name = "connection.url",
        required,
        importance = "high",
        group = "Connection",
        order = 1,
        width = "long",
        display = "JDBC URL"
    )]
    pub connection_url: String,
    /// User to connect as.
    #[config(
        name = "connection.user",
        importance = "high",
        group = "Connection",
        order = 2,
        width = "medium",
        display = "JDBC User"
    )]
    pub connection_user: Option<String>,
    /// Password of that user.
    #[config(
        name = "connection.password",
        importance = "high",
        group = "Connection",
        order = 3,
        width = "medium",
        display = "JDBC Password"
    )]
    pub connection_password: Option<Secret<String>>,
    /// Java class that supplies user and password. Only the default, which takes them from `connection.user` and `connection.password`, exists here.
    #[config(
        name = "jdbc.credentials.provider.class",
        kind = "CLASS",
        default = DEFAULT_CREDENTIALS_PROVIDER,
        importance = "low",
        group = "Connection",
        order = 4,
        width = "long",
        display = "JDBC Credentials Provider Class",
        validate = only_default_provider
    )]
    pub credentials_provider: String,
    /// Dialect to use instead of the one that the URL calls for: empty, `PostgreSqlDatabaseDialect`, or `GenericDatabaseDialect`, which can neither create or alter
    /// tables nor upsert.
    #[config(
        name = "dialect.name",
        default = "",
        importance = "low",
        group = "Connection",
        order = 5,
        width = "long",
        display = "Database Dialect",
        validate = [Validator::enumerator(DIALECTS.iter().copied(), LetterCase::Exact), usable_dialect],
        recommend = Recommender::values(DIALECTS.iter().copied())
    )]
    pub dialect_name: String,
    /// How many times a connection is attempted before the task fails.
    #[config(
        name = "connection.attempts",
        default = 3,
        importance = "low",
        group = "Connection",
        order = 6,
        width = "short",
        display = "JDBC connection attempts",
        validate = Validator::at_least(1)
    )]
    pub connection_attempts: i32,
    /// Milliseconds between two attempts to connect.
    #[config(
        name = "connection.backoff.ms",
        default = 10_000,
        importance = "low",
        group = "Connection",
        order = 7,
        width = "short",
        display = "JDBC connection backoff in milliseconds"
    )]
    pub connection_backoff_ms: i64,
    /// How values are written. `insert`: INSERT, and a row that is already there is an error; a batch whose outcome is unknown after a lost connection may be
    /// inserted twice. `upsert`: inserts or replaces by primary key, which repeats without harm. `update`: changes rows that are there, ignores others.
    #[config(name = "insert.mode", default = "insert", importance = "high", group = "Writes", order = 1, width = "medium", display = "Insert Mode", validate = update_needs_keys)]
    pub insert_mode: InsertMode,
    /// Most records in one statement. There are never more than the consumer returns at once (`max.poll.records`).
    #[config(
        name = "batch.size",
        default = 3000,
        importance = "medium",
        group = "Writes",
        order = 2,
        width = "short",
        display = "Batch Size",
        validate = Validator::at_least(0)
    )]
    pub batch_size: i32,
    /// Whether a record with a null value deletes the row of its key. Needs `pk.mode=record_key`. When false, such a record fails the task.
    #[config(
        name = "delete.enabled",
        default = false,
        importance = "medium",
        group = "Writes",
        order = 3,
        width = "short",
        display = "Enable deletes",
        recommend = Recommender::new(recommend_deletes)
    )]
    pub delete_enabled: bool,
    /// Which kinds of relation count as an existing target: `TABLE`, `PARTITIONED TABLE`, `VIEW`, any of them separated by commas.
    #[config(
        name = "table.types",
        default = "TABLE",
        importance = "low",
        group = "Writes",
        order = 4,
        width = "medium",
        display = "Table Types",
        validate = Validator::enumerator(["TABLE", "PARTITIONED TABLE", "VIEW"], LetterCase::Insensitive)
    )]
    pub table_types: Vec<String>,
    /// Whether a null in a field that has a default is written as the default. Key columns always take it.
    #[config(
        name = "replace.null.with.default",
        default = true,
        importance = "low",
        group = "Writes",
        order = 5,
        width = "medium",
        display = "Replace null value with default value"
    )]
    pub replace_null_with_default: bool,
    /// Name of the table for a topic; `${topic}` stands for the topic. Dots separate catalog, schema and table unless the name is quoted: `"${topic}"`.
    #[config(
        name = "table.name.format",
        default = "${topic}",
        importance = "medium",
        group = "Data Mapping",
        order = 1,
        width = "long",
        display = "Table Name Format",
        validate = Validator::non_empty()
    )]
    pub table_name_format: String,
    /// Where the primary key comes from: `none`, `kafka` (topic, partition, offset), `record_key` (a primitive or the fields of a struct) or `record_value`.
    #[config(
        name = "pk.mode",
        default = "none",
        importance = "high",
        group = "Data Mapping",
        order = 2,
        width = "medium",
        display = "Primary Key Mode",
        recommend = Recommender::new(recommend_key_modes)
    )]
    pub pk_mode: PrimaryKeyMode,
    /// Names of the key columns. `none`: ignored. `kafka`: empty for `__connect_topic`, `__connect_partition`, `__connect_offset`, or three names. `record_key`: empty
    /// for all fields of a struct key, one name for a primitive key. `record_value`: empty for all fields of the value.
    #[config(
        name = "pk.fields",
        default = "",
        importance = "medium",
        group = "Data Mapping",
        order = 3,
        width = "long",
        display = "Primary Key Fields"
    )]
    pub pk_fields: Vec<String>,
    /// Fields of the value to write, separated by commas; empty for all. Key columns are always written.
    #[config(
        name = "fields.whitelist",
        default = "",
        importance = "medium",
        group = "Data Mapping",
        order = 4,
        width = "long",
        display = "Fields Whitelist"
    )]
    pub fields_whitelist: Vec<String>,
    /// Zone in which times and timestamps are written, because the columns have none.
    #[config(
        name = "db.timezone",
        default = "UTC",
        importance = "medium",
        group = "Data Mapping",
        order = 5,
        width = "medium",
        display = "DB Time Zone",
        validate = known_zone
    )]
    pub db_timezone: String,
    /// Zone in which dates are written. With `db_timezone` and a zone west of Greenwich a date is one day early; `utc` keeps it.
    #[config(
        name = "date.timezone",
        default = "DB_TIMEZONE",
        importance = "low",
        group = "Data Mapping",
        order = 6,
        width = "medium",
        display = "Time Zone used for Date",
        recommend = Recommender::literals_of::<DateTimeZone>()
    )]
    pub date_timezone: DateTimeZone,
    /// INT64 or STRING fields that hold a number of micro- or nanoseconds since the epoch and become timestamps.
    #[config(
        name = "timestamp.fields.list",
        default = "",
        importance = "medium",
        group = "Data Mapping",
        order = 7,
        width = "medium",
        display = "Timestamp Fields Whitelist"
    )]
    pub timestamp_fields: Vec<String>,
    /// Unit of the fields of `timestamp.fields.list`.
    #[config(
        name = "timestamp.precision.mode",
        default = "MICROSECONDS",
        importance = "low",
        group = "Data Mapping",
        order = 8,
        width = "medium",
        display = "Sink Timestamp Precision mode",
        recommend = Recommender::literals_of::<TimestampPrecision>()
    )]
    pub timestamp_precision: TimestampPrecision,
    /// What days before 1582-10-15 are called: `LEGACY` for Julian names as Java has them, `PROLEPTIC_GREGORIAN` for Gregorian ones.
    #[config(
        name = "date.calendar.system",
        default = "LEGACY",
        importance = "low",
        group = "Data Mapping",
        order = 9,
        width = "medium",
        display = "Date Calendar System"
    )]
    pub calendar: CalendarSystem,
    /// Column that a value of type STRING is written to.
    #[config(
        name = "string.output.value.column.name",
        default = "record_value",
        importance = "low",
        group = "Data Mapping",
        order = 10,
        width = "medium",
        display = "String Value Column Name"
    )]
    pub string_value_column: String,
    /// Whether to create a table that is missing.
    #[config(
        name = "auto.create",
        default = false,
        importance = "medium",
        group = "DDL Support",
        order = 1,
        width = "short",
        display = "Auto-Create"
    )]
    pub auto_create: bool,
    /// Whether to add columns that are missing.
    #[config(
        name = "auto.evolve",
        default = false,
        importance = "medium",
        group = "DDL Support",
        order = 2,
        width = "short",
        display = "Auto-Evolve"
    )]
    pub auto_evolve: bool,
    /// Whether names are quoted in SQL: `always` keeps their letters, `never` lets the server fold them to lower case.
    #[config(
        name = "quote.sql.identifiers",
        default = "ALWAYS",
        importance = "medium",
        group = "DDL Support",
        order = 3,
        width = "medium",
        display = "Quote Identifiers",
        recommend = Recommender::values(["always", "never"])
    )]
    pub quote_identifiers: String,
    /// Only for SQL Server: has no effect on other databases.
    #[config(
        name = "mssql.use.merge.holdlock",
        default = true,
        importance = "low",
        group = "DML Support",
        order = 1,
        width = "medium",
        display = "SQL Server - Use HOLDLOCK in MERGE"
    )]
    pub mssql_holdlock: bool,
    /// How many times a failed batch is tried again before the task fails. A batch that is written starts the count anew.
    #[config(
        name = "max.retries",
        default = 10,
        importance = "medium",
        group = "Retries",
        order = 1,
        width = "short",
        display = "Maximum Retries",
        validate = Validator::at_least(0)
    )]
    pub max_retries: i32,
    /// Milliseconds before a failed batch is tried again.
    #[config(
        name = "retry.backoff.ms",
        default = 3000,
        importance = "medium",
        group = "Retries",
        order = 2,
        width = "short",
        display = "Retry Backoff (millis)",
        validate = Validator::at_least(0)
    )]
    pub retry_backoff_ms: i32,
    /// Keeps values of records out of error messages: only SQL state, table and position of the record remain.
    #[config(
        name = "trim.sensitive.log",
        default = false,
        importance = "low",
        internal
    )]
    pub trim_sensitive_log: bool,
}

fn only_default_provider(candidate: &Candidate<'_>) -> Result<(), String> {
    match candidate.text.map(str::trim) {
        Some(DEFAULT_CREDENTIALS_PROVIDER) | None => Ok(()),
        Some(_) => Err(format!(
            "a Java class cannot be loaded here; leave it out or set {DEFAULT_CREDENTIALS_PROVIDER}, and give connection.user and connection.password \
             (a config provider can fill them in)"
        )),
    }
}

fn usable_dialect(candidate: &Candidate<'_>) -> Result<(), String> {
    let name = candidate.text.unwrap_or_default().trim();
    if matches!(
        name,
        "" | "PostgreSqlDatabaseDialect" | "GenericDatabaseDialect"
    ) || !DIALECTS.contains(&name)
    {
        return Ok(());
    }
    Err("this dialect is not supported; leave it out or use PostgreSqlDatabaseDialect or GenericDatabaseDialect".to_owned())
}

/// Java would update every row of the table.
fn update_needs_keys(candidate: &Candidate<'_>) -> Result<(), String> {
    let update = candidate
        .text
        .is_some_and(|text| text.trim().eq_ignore_ascii_case("update"));
    let none = candidate
        .other("pk.mode")
        .is_none_or(|mode| mode.trim().eq_ignore_ascii_case("none"));
    if update && none {
        return Err("with pk.mode=none every record would update all rows of the table; set pk.mode to kafka, record_key or record_value".to_owned());
    }
    Ok(())
}

fn known_zone(candidate: &Candidate<'_>) -> Result<(), String> {
    match Zone::parse(candidate.text.unwrap_or_default().trim()) {
        Some(_) => Ok(()),
        None => Err("Invalid time zone. See the list of valid time zones at https://docs.oracle.com/javase/8/docs/api/java/time/ZoneId.html#shortIds".to_owned()),
    }
}

fn given(props: &RawProps, key: &str) -> Option<String> {
    props
        .get(key)
        .cloned()
        .flatten()
        .map(|text| text.trim().to_ascii_lowercase())
}

fn recommend_deletes(props: &RawProps) -> Recommendation {
    let by_key = given(props, "pk.mode").as_deref() == Some("record_key");
    let values: &[&str] = if by_key {
        &["true", "false"]
    } else {
        &["false"]
    };
    Recommendation {
        values: values.iter().map(ToString::to_string).collect(),
        visible: by_key,
    }
}

fn recommend_key_modes(props: &RawProps) -> Recommendation {
    let values = if given(props, "delete.enabled").as_deref() == Some("true") {
        vec!["record_key".to_owned()]
    } else {
        PrimaryKeyMode::literals().map(str::to_owned).collect()
    };
    Recommendation {
        values,
        visible: true,
    }
}

/// The message on both keys when deletes are on without keys.
pub(crate) const DELETES_NEED_RECORD_KEY: &str =
    "Deletes are only supported for pk.mode record_key";

impl JdbcSinkConfig {
    /// Parses and checks what concerns several keys at once.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn checked(props: &Props) -> Result<Self, ConfigErrors> {
        let config = Self::parse(props)?;
        let mut errors = ConfigErrors::default();
        if config.delete_enabled && config.pk_mode != PrimaryKeyMode::RecordKey {
            errors.add("delete.enabled", "Primary key mode must be 'record_key' when delete support is enabled (pk.mode, delete.enabled)");
        }
        if config.quotes().is_none() {
            errors.add(
                "quote.sql.identifiers",
                format!(
                    "No matching QuoteMethod found for '{}'",
                    config.quote_identifiers
                ),
            );
        }
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(errors)
        }
    }

    /// Whether identifiers are quoted; `None` when the setting is neither `always` nor `never`.
    pub(crate) fn quotes(&self) -> Option<bool> {
        match self.quote_identifiers.to_ascii_lowercase().as_str() {
            "always" => Some(true),
            "never" => Some(false),
            _ => None,
        }
    }

    /// Whether tables can be neither made nor upserted into.
    pub(crate) fn generic_dialect(&self) -> bool {
        self.dialect_name == "GenericDatabaseDialect"
    }
}
