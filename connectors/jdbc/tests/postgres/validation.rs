//! What is said before a task runs.

use millrace_api::config::{Props, RawProps};
use millrace_api::plugin::{ErrorKind, SinkConnectorPlugin as _};
use millrace_jdbc::JdbcSinkPlugin;

use crate::harness::{Database, Sink};

async fn errors(props: Props) -> Vec<(String, String)> {
    let raw: RawProps = props.to_raw();
    let values = JdbcSinkPlugin.validate(&raw).await;
    values
        .into_iter()
        .flat_map(|value| {
            value
                .errors
                .into_iter()
                .map(move |error| (value.name.clone(), error))
        })
        .collect()
}

fn error(key: &str, message: &str) -> (String, String) {
    (key.to_owned(), message.to_owned())
}

#[tokio::test]
async fn a_right_configuration_has_no_errors_and_a_wrong_one_all_of_them() {
    let db = Database::new().await;
    assert_eq!(errors(db.props(&[])).await, []);
    let accepted = [
        ("insert.mode", "UPDATE"),
        ("pk.mode", "RECORD_VALUE"),
        ("quote.sql.identifiers", "Never"),
        ("table.types", "view,table"),
        ("timestamp.precision.mode", "NANOSECONDS"),
        ("date.timezone", "utc"),
    ];
    assert_eq!(errors(db.props(&accepted)).await, []);
    let wrong = [
        ("insert.mode", "Upsert"),
        ("pk.mode", "key"),
        ("table.types", "TABLE,INDEX"),
        ("date.timezone", "PST"),
        ("date.calendar.system", "legacy"),
        ("timestamp.precision.mode", "seconds"),
        ("db.timezone", "Mars/Phobos"),
        ("dialect.name", "MySqlDatabaseDialect"),
        ("max.retries", "-1"),
        ("jdbc.credentials.provider.class", "com.example.Vault"),
    ];
    let found = errors(db.props(&wrong)).await;
    for (key, _) in wrong {
        assert!(
            found.iter().any(|(name, _)| name == key),
            "{key} in {found:?}"
        );
    }
    for expected in [
        error(
            "insert.mode",
            "Invalid value Upsert for configuration insert.mode: Invalid enumerator",
        ),
        error(
            "pk.mode",
            "Invalid value key for configuration pk.mode: Invalid enumerator",
        ),
        error(
            "table.types",
            "Invalid value INDEX for configuration table.types: Invalid enumerator",
        ),
        error(
            "date.timezone",
            "Invalid value PST for configuration date.timezone: Invalid enumerator",
        ),
        error(
            "date.calendar.system",
            "Invalid value legacy for configuration date.calendar.system: String must be one of: LEGACY, PROLEPTIC_GREGORIAN",
        ),
        error(
            "timestamp.precision.mode",
            "Invalid value seconds for configuration timestamp.precision.mode: Invalid enumerator",
        ),
        error(
            "db.timezone",
            "Invalid value Mars/Phobos for configuration db.timezone: Invalid time zone. See the list of valid time zones at \
             https://docs.oracle.com/javase/8/docs/api/java/time/ZoneId.html#shortIds",
        ),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
}

#[tokio::test]
async fn what_concerns_two_keys_is_said_at_both() {
    let db = Database::new().await;
    let message = "Deletes are only supported for pk.mode record_key";
    let found = errors(db.props(&[("delete.enabled", "true"), ("pk.mode", "kafka")])).await;
    assert_eq!(
        found,
        [error("delete.enabled", message), error("pk.mode", message)]
    );
    let found = errors(db.props(&[("insert.mode", "update")])).await;
    assert!(
        found.len() == 1 && found[0].0 == "insert.mode" && found[0].1.contains("pk.mode"),
        "{found:?}"
    );
    let refused = Sink::try_start(db.props(&[("delete.enabled", "true")]), None)
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Config);
    assert!(
        refused.message.contains("pk.mode") && refused.message.contains("delete.enabled"),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn the_connection_is_tried_and_its_problem_is_one_of_the_url() {
    let db = Database::new().await;
    let of = |url: &str| db.props(&[("connection.url", url)]);
    let here = db.url();
    let nowhere = here.replace(&db.name, "nosuch");
    let cases = [
        (
            "jdbc:postgresql://127.0.0.1:1/x",
            "Could not connect to database. Connection to 127.0.0.1:1 refused. Check that the hostname and port are correct and that the postmaster is accepting TCP/IP connections.",
        ),
        (
            nowhere.as_str(),
            "Could not connect to database. FATAL: database \"nosuch\" does not exist",
        ),
    ];
    for (url, message) in cases {
        assert_eq!(errors(of(url)).await, [error("connection.url", message)]);
    }
    for (url, part) in [
        (
            "jdbc:nosuchdb://h/x",
            "No suitable driver found for jdbc:nosuchdb://h/x",
        ),
        ("jdbc:mysql://h/x", "PostgreSQL"),
        ("jdbc:postgresql://h/x?socketTimeout=1", "socketTimeout"),
    ] {
        let found = errors(of(url)).await;
        assert!(
            found.len() == 1 && found[0].0 == "connection.url" && found[0].1.contains(part),
            "{found:?}"
        );
    }
    let found = errors(db.props(&[("quote.sql.identifiers", "sometimes")])).await;
    assert_eq!(
        found,
        [error(
            "connection.url",
            "Could not connect to database. No matching QuoteMethod found for 'sometimes'"
        )]
    );
    // Several hosts: the first that answers.
    let several = here.replace("127.0.0.1", "127.0.0.1:1,127.0.0.1");
    assert_eq!(errors(of(&several)).await, []);
}

#[test]
fn the_definition_is_that_of_java() {
    let config = JdbcSinkPlugin.config();
    let names: Vec<&str> = config.published().map(|key| key.name.as_str()).collect();
    assert_eq!(names.len(), 29);
    assert_eq!(
        config.groups()[..6],
        [
            "Connection",
            "Writes",
            "Data Mapping",
            "DDL Support",
            "DML Support",
            "Retries"
        ]
    );
    let recommended = |key: &str, settings: &[(&str, &str)]| {
        let recommender = config.get(key).unwrap().recommender.clone().unwrap();
        let recommendation =
            recommender.recommend(&Props::from_iter(settings.iter().copied()).to_raw());
        (recommendation.values.join(","), recommendation.visible)
    };
    assert_eq!(
        recommended("delete.enabled", &[]),
        ("false".to_owned(), false)
    );
    assert!(recommended("delete.enabled", &[("pk.mode", "record_key")]).1);
    assert_eq!(
        recommended("pk.mode", &[]).0,
        "none,kafka,record_key,record_value"
    );
    assert_eq!(
        recommended("pk.mode", &[("delete.enabled", "true")]).0,
        "record_key"
    );
    assert_eq!(recommended("date.timezone", &[]).0, "db_timezone,utc");
    assert_eq!(
        JdbcSinkPlugin.info().class,
        "io.confluent.connect.jdbc.JdbcSinkConnector"
    );
}
