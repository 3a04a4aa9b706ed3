//! What `#[derive(ConnectConfig)]` makes of a struct.

use std::time::Duration;

use millrace_api::config::{
    Candidate, ConfigEnum, ConfigErrors, ConnectConfig, Props, RawProps, Recommender, Secret,
    Validator, markdown, split_regex_list, unknown_keys,
};

#[derive(Clone, Copy, Debug, PartialEq, ConfigEnum)]
#[config(case = "lower_or_upper", problem = "Invalid enumerator")]
enum InsertMode {
    #[config(value = "insert")]
    Insert,
    #[config(value = "upsert")]
    Upsert,
}

#[derive(Clone, Copy, Debug, PartialEq, ConfigEnum)]
enum Tolerance {
    #[config(value = "none")]
    None,
    #[config(value = "all")]
    All,
}

fn even(candidate: &Candidate<'_>) -> Result<(), String> {
    match candidate.value.and_then(|value| value.as_i64()) {
        Some(number) if number % 2 != 0 => Err("Value must be even".to_owned()),
        _ => Ok(()),
    }
}

const DEFAULT_RETRIES: i32 = 10;

#[derive(Debug, PartialEq, ConnectConfig)]
struct SinkConfig {
    /// Where the database is,
    /// as a URL.
    #[config(name = "connection.url", required, importance = "high", group = "Connection", width = "long", display = "JDBC URL", dependents = ["table.types"])]
    url: String,
    /// Password of the user.
    #[config(
        name = "connection.password",
        importance = "high",
        group = "Connection"
    )]
    password: Option<Secret<String>>,
    /// How rows are written.
    #[config(name = "insert.mode", default = "insert", group = "Writes", recommend = Recommender::literals_of::<InsertMode>())]
    insert_mode: InsertMode,
    /// What happens with bad records.
    #[config(default = "none")]
    tolerance: Tolerance,
    /// Rows in a statement.
    #[config(default = 3000, importance = "low", group = "Writes", order = 7, validate = [Validator::at_least(0), even])]
    batch_size: i32,
    /// Attempts.
    #[config(default = DEFAULT_RETRIES, importance = "low", group = "Writes")]
    max_retries: u32,
    /// Pause between attempts.
    #[config(name = "retry.backoff.ms", kind = "INT", millis, default = 3000)]
    backoff: Duration,
    /// Give up after this time.
    #[config(name = "give.up.ms", millis)]
    give_up: Option<Duration>,
    /// Kinds of tables.
    #[config(default = "TABLE, VIEW")]
    table_types: Vec<String>,
    /// Tables to take.
    #[config(name = "tables", kind = "LIST", parse = tables, aliases = ["table.whitelist"])]
    tables: Vec<String>,
    /// Share of something.
    #[config(default = 0.5)]
    ratio: f64,
    /// Not for users.
    #[config(default = false, internal)]
    trim_sensitive_log: bool,
    #[config(hidden, default = -1)]
    secret_switch: i16,
}

fn tables(text: Option<&str>) -> Result<Vec<String>, String> {
    Ok(split_regex_list(text.unwrap_or_default()))
}

fn minimal() -> Props {
    Props::from_iter([("connection.url", "jdbc:x")])
}

#[test]
fn defaults_fill_what_is_not_given() {
    let config = SinkConfig::parse(&minimal()).expect("valid");
    assert_eq!(
        config,
        SinkConfig {
            url: "jdbc:x".to_owned(),
            password: None,
            insert_mode: InsertMode::Insert,
            tolerance: Tolerance::None,
            batch_size: 3000,
            max_retries: 10,
            backoff: Duration::from_secs(3),
            give_up: None,
            table_types: vec!["TABLE".to_owned(), "VIEW".to_owned()],
            tables: Vec::new(),
            ratio: 0.5,
            trim_sensitive_log: false,
            secret_switch: -1,
        }
    );
}

#[test]
fn given_values_are_read_by_type() {
    let mut props = minimal();
    props.extend([
        ("connection.password", " p w "),
        ("insert.mode", "UPSERT"),
        ("tolerance", "all"),
        ("batch.size", " 20 "),
        ("give.up.ms", "1500"),
        ("table.types", ""),
        ("table.whitelist", "a\\,b, c"),
        ("ratio", "1"),
        ("trim.sensitive.log", "TRUE"),
        ("secret.switch", "4"),
    ]);
    let config = SinkConfig::parse(&props).expect("valid");
    assert_eq!(
        config
            .password
            .as_ref()
            .map(|secret| secret.expose().as_str()),
        Some("p w")
    );
    assert_eq!(
        (config.insert_mode, config.tolerance),
        (InsertMode::Upsert, Tolerance::All)
    );
    assert_eq!(
        (config.batch_size, config.secret_switch, config.ratio),
        (20, 4, 1.0)
    );
    assert_eq!(config.give_up, Some(Duration::from_millis(1500)));
    assert!(config.table_types.is_empty());
    assert_eq!(config.tables, ["a,b", "c"]);
    assert!(config.trim_sensitive_log);
    assert!(!format!("{config:?}").contains("p w"));
    props.insert("tables", "z");
    assert_eq!(
        SinkConfig::parse(&props).expect("valid").tables,
        ["z"],
        "the key itself wins over its older name"
    );
}

fn errors(props: &[(&str, &str)]) -> Vec<(String, String)> {
    let errors: ConfigErrors =
        SinkConfig::parse(&props.iter().copied().collect()).expect_err("invalid");
    errors
        .iter()
        .map(|(key, message)| (key.to_owned(), message.to_owned()))
        .collect()
}

#[test]
fn all_errors_come_at_once() {
    let found = errors(&[
        ("insert.mode", "Upsert"),
        ("tolerance", "ALL"),
        ("batch.size", "7"),
        ("max.retries", "-1"),
        ("retry.backoff.ms", "x"),
        ("trim.sensitive.log", "yes"),
        ("secret.switch", "40000"),
    ]);
    let expected = [
        (
            "connection.url",
            "Missing required configuration \"connection.url\" which has no default value.",
        ),
        (
            "insert.mode",
            "Invalid value Upsert for configuration insert.mode: Invalid enumerator",
        ),
        (
            "tolerance",
            "Invalid value ALL for configuration tolerance: String must be one of: none, all",
        ),
        (
            "batch.size",
            "Invalid value 7 for configuration batch.size: Value must be even",
        ),
        (
            "retry.backoff.ms",
            "Invalid value x for configuration retry.backoff.ms: Not a number of type INT",
        ),
        (
            "trim.sensitive.log",
            "Invalid value yes for configuration trim.sensitive.log: Expected value to be either true or false",
        ),
        (
            "secret.switch",
            "Invalid value 40000 for configuration secret.switch: Not a number of type SHORT",
        ),
    ];
    assert_eq!(
        found
            .iter()
            .map(|(key, message)| (key.as_str(), message.as_str()))
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn a_value_that_does_not_fit_its_field_is_an_error() {
    let found = errors(&[
        ("connection.url", "u"),
        ("max.retries", "-1"),
        ("retry.backoff.ms", "-5"),
    ]);
    let expected = [
        (
            "max.retries",
            "Invalid value -1 for configuration max.retries: -1 is outside of what this setting can hold",
        ),
        (
            "retry.backoff.ms",
            "Invalid value -5 for configuration retry.backoff.ms: a time of less than 0 ms is not possible",
        ),
    ];
    assert_eq!(
        found
            .iter()
            .map(|(key, message)| (key.as_str(), message.as_str()))
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn errors_print_one_a_line() {
    let errors = SinkConfig::parse(&Props::from_iter([("batch.size", "x")])).expect_err("invalid");
    assert_eq!(
        errors.to_string(),
        "Missing required configuration \"connection.url\" which has no default value.\n\
         Invalid value x for configuration batch.size: Not a number of type INT\n\
         Invalid value null for configuration batch.size: Value must be non-null"
    );
}

#[test]
fn the_definition_has_javas_json() {
    let infos = SinkConfig::definition().key_infos();
    let json = serde_json::to_string(&infos[0]).expect("json");
    assert_eq!(
        json,
        r#"{"name":"connection.url","type":"STRING","required":true,"default_value":null,"importance":"HIGH","documentation":"Where the database is, as a URL.","group":"Connection","order_in_group":1,"width":"LONG","display_name":"JDBC URL","dependents":["table.types"]}"#
    );
    let orders: Vec<_> = infos
        .iter()
        .map(|info| {
            (
                info.name.as_str(),
                info.kind.as_str(),
                info.default_value.as_deref(),
                info.order_in_group,
            )
        })
        .collect();
    assert_eq!(
        orders,
        [
            ("connection.url", "STRING", None, 1),
            ("connection.password", "PASSWORD", None, 2),
            ("insert.mode", "STRING", Some("insert"), 1),
            ("tolerance", "STRING", Some("none"), -1),
            ("batch.size", "INT", Some("3000"), 7),
            ("max.retries", "INT", Some("10"), 8),
            ("retry.backoff.ms", "INT", Some("3000"), -1),
            ("give.up.ms", "LONG", None, -1),
            ("table.types", "LIST", Some("TABLE,VIEW"), -1),
            ("tables", "LIST", None, -1),
            ("ratio", "DOUBLE", Some("0.5"), -1),
            ("trim.sensitive.log", "BOOLEAN", Some("false"), -1),
        ]
    );
}

#[test]
fn passwords_are_hidden_in_values_and_recommendations_are_there() {
    let raw = RawProps::from_iter([
        ("connection.url".to_owned(), None),
        ("connection.password".to_owned(), Some("x".to_owned())),
    ]);
    let values = SinkConfig::definition().validate(&raw);
    assert_eq!(values.len(), 12, "hidden keys are not shown");
    let shown: Vec<_> = values
        .iter()
        .take(3)
        .map(|value| {
            (
                value.value.as_ref().map(|value| value.shown()),
                value.recommended.clone(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (None, vec![]),
            (Some("[hidden]".to_owned()), vec![]),
            (
                Some("insert".to_owned()),
                vec!["insert".to_owned(), "upsert".to_owned()]
            )
        ]
    );
}

#[test]
fn the_page_has_no_internal_keys() {
    let page = markdown(SinkConfig::definition());
    assert!(
        page.starts_with("### Connection\n\n| Key | Type |"),
        "{page}"
    );
    assert!(
        page.contains(
            "| `connection.url` | string | required | high | Where the database is, as a URL. |"
        ),
        "{page}"
    );
    assert!(
        page.contains(
            "| `tables` | list | null | medium | Tables to take. (older name: `table.whitelist`) |"
        ),
        "{page}"
    );
    assert!(
        !page.contains("trim.sensitive") && !page.contains("secret.switch"),
        "{page}"
    );
}

#[test]
fn unknown_keys_find_what_was_meant() {
    let props = Props::from_iter([
        ("connection.ulr", "x"),
        ("table.whitelist", ""),
        ("secret.switch", "1"),
    ]);
    let unknown = unknown_keys(&[SinkConfig::definition()], &[], &props);
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].nearest.as_deref(), Some("connection.url"));
}

// Debezium's rules.

#[derive(Clone, Copy, Debug, PartialEq, ConfigEnum)]
enum SnapshotMode {
    #[config(value = "always")]
    Always,
    #[config(value = "initial")]
    Initial,
    #[config(value = "no_data", accept = ["never"])]
    NoData,
}

/// Shared by connectors.
#[derive(Debug, ConnectConfig)]
#[config(dialect = "debezium")]
struct SharedConfig {
    /// Prefix of topics.
    #[config(
        name = "topic.prefix",
        required,
        group = "CONNECTOR",
        validate = Validator::matches("^[a-zA-Z0-9_.\\-]+$", |text| format!("{text} has invalid format (only the underscore, hyphen, dot and alphanumeric characters are allowed)"))
    )]
    topic_prefix: String,
    /// Records in a batch.
    #[config(name = "max.batch.size", default = 2048, group = "ADVANCED", validate = Validator::positive_integer())]
    max_batch_size: usize,
    /// Records in the queue.
    #[config(name = "max.queue.size", default = 8192, group = "ADVANCED", validate = queue_size)]
    max_queue_size: usize,
}

fn queue_size(candidate: &Candidate<'_>) -> Result<(), String> {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i32>().ok());
    let batch = number(candidate.other("max.batch.size")).unwrap_or(2048);
    match number(candidate.text) {
        Some(queue) if queue <= batch => {
            Err("Must be larger than the maximum batch size".to_owned())
        }
        _ => Ok(()),
    }
}

#[derive(Debug, ConnectConfig)]
#[config(dialect = "debezium", order = PUBLISHED)]
struct CaptureConfig {
    #[config(nested)]
    shared: SharedConfig,
    /// Port of the server.
    #[config(name = "database.port", default = 5432, group = "CONNECTION", validate = Validator::integer())]
    port: u16,
    /// Whether the slot survives.
    #[config(name = "slot.failover", default = false, group = "CONNECTOR")]
    failover: bool,
    /// What is read first.
    #[config(name = "snapshot.mode", default = "initial", group = "CONNECTOR", listed_aliases = ["internal.snapshot.mode"])]
    snapshot_mode: SnapshotMode,
    /// What is flushed.
    #[config(name = "lsn.flush.mode", group = "CONNECTOR")]
    flush_mode: Option<SnapshotMode>,
    /// Tables to take.
    #[config(name = "table.include.list", kind = "LIST", group = "FILTERS", validate = Validator::regex_list())]
    include: Option<String>,
    /// Tables to leave.
    #[config(name = "table.exclude.list", kind = "LIST", group = "FILTERS", validate = [Validator::regex_list(), Validator::not_with("table.include.list")])]
    exclude: Option<String>,
}

const PUBLISHED: &[&str] = &["database.port", "topic.prefix"];

fn capture_errors(props: &[(&str, &str)]) -> Vec<String> {
    let mut raw: RawProps = [("topic.prefix".to_owned(), Some("p".to_owned()))]
        .into_iter()
        .collect();
    raw.extend(
        props
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))),
    );
    CaptureConfig::definition()
        .validate(&raw)
        .into_iter()
        .flat_map(|value| value.errors)
        .collect()
}

#[test]
fn debezium_messages_are_debeziums() {
    type Submitted<'a> = &'a [(&'a str, &'a str)];
    let table: &[(Submitted<'_>, &[&str])] = &[
        (&[], &[]),
        (
            &[("topic.prefix", "has space")],
            &[
                "The 'topic.prefix' value is invalid: has space has invalid format (only the underscore, hyphen, dot and alphanumeric characters are allowed)",
            ],
        ),
        (&[("snapshot.mode", " NO_DATA ")], &[]),
        (&[("snapshot.mode", "never")], &[]),
        (
            &[("snapshot.mode", "exported")],
            &[
                "The 'snapshot.mode' value is invalid: Value must be one of always, initial, no_data",
            ],
        ),
        (
            &[("lsn.flush.mode", "x")],
            &[
                "The 'lsn.flush.mode' value is invalid: Value must be one of always, initial, no_data",
            ],
        ),
        (
            &[("database.port", "x1")],
            &[
                "The 'database.port' value is invalid: An integer is expected",
                "The 'database.port' value is invalid: An integer is expected",
            ],
        ),
        (
            &[("max.batch.size", "abc")],
            &[
                "The 'max.batch.size' value is invalid: An integer is expected",
                "The 'max.batch.size' value is invalid: A positive, non-zero integer value is expected",
            ],
        ),
        (
            &[("max.queue.size", "10"), ("max.batch.size", "20")],
            &["The 'max.queue.size' value is invalid: Must be larger than the maximum batch size"],
        ),
        (
            &[("slot.failover", "yes")],
            &["The 'slot.failover' value is invalid: Either 'true' or 'false' is expected"],
        ),
        (
            &[("table.include.list", "x"), ("table.exclude.list", "y")],
            &[
                "The 'table.exclude.list' value is invalid: \"table.include.list\" is already specified",
            ],
        ),
        (
            &[("table.include.list", "(["), ("table.exclude.list", "")],
            &[
                "The 'table.include.list' value is invalid: A comma-separated list of valid regular expressions is expected, but Unclosed character class near index 1\n([\n ^",
                "The 'table.exclude.list' value is invalid: \"table.include.list\" is already specified",
            ],
        ),
    ];
    for (props, expected) in table {
        assert_eq!(capture_errors(props), *expected, "{props:?}");
    }
}

#[test]
fn debezium_publishes_required_keys_as_optional_and_no_values() {
    let values = CaptureConfig::definition().validate(&RawProps::new());
    let prefix = values
        .iter()
        .find(|value| value.name == "topic.prefix")
        .expect("there");
    assert_eq!(
        prefix.errors,
        ["The 'topic.prefix' value is invalid: A value is required"]
    );
    assert!(values.iter().all(|value| value.value.is_none()));
    let mode = values
        .iter()
        .find(|value| value.name == "snapshot.mode")
        .expect("there");
    assert_eq!(mode.recommended, ["always", "initial", "no_data"]);
    let infos = CaptureConfig::definition().key_infos();
    assert!(infos.iter().all(|info| !info.required));
    let order: Vec<_> = infos
        .iter()
        .map(|info| (info.name.as_str(), info.order_in_group))
        .collect();
    assert_eq!(
        order,
        [
            ("database.port", 1),
            ("topic.prefix", 1),
            ("max.batch.size", 1),
            ("max.queue.size", 2),
            ("slot.failover", 2),
            ("snapshot.mode", 3),
            ("internal.snapshot.mode", 3),
            ("lsn.flush.mode", 4),
            ("table.include.list", 1),
            ("table.exclude.list", 2),
        ]
    );
    assert_eq!(
        CaptureConfig::definition().groups(),
        ["CONNECTION", "CONNECTOR", "ADVANCED", "FILTERS"]
    );
}

#[test]
fn nested_structs_and_older_names_are_read() {
    let props = Props::from_iter([
        ("topic.prefix", "p"),
        ("internal.snapshot.mode", "always"),
        ("database.port", "6432"),
        ("table.include.list", "a,b"),
    ]);
    let config = CaptureConfig::parse(&props).expect("valid");
    assert_eq!(
        (
            config.shared.topic_prefix.as_str(),
            config.shared.max_batch_size,
            config.shared.max_queue_size
        ),
        ("p", 2048, 8192)
    );
    assert_eq!(
        (
            config.port,
            config.snapshot_mode,
            config.failover,
            config.flush_mode
        ),
        (6432, SnapshotMode::Always, false, None)
    );
    assert_eq!(
        (config.include.as_deref(), config.exclude),
        (Some("a,b"), None)
    );
}
