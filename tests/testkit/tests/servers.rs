//! The servers come up, keep their data, and go.
#![allow(clippy::unwrap_used)]

use std::net::{SocketAddr, TcpStream};

use millrace_testkit::{Kafka, KafkaOptions, Postgres, Shutdown, Signal, unique};

fn listening(address: &str) -> bool {
    TcpStream::connect(address.parse::<SocketAddr>().unwrap()).is_ok()
}

#[tokio::test]
async fn postgres_decodes_logically_and_keeps_rows_over_restart_and_crash() {
    let server = Postgres::start().await.unwrap();
    let database = server.create_database("shop").await.unwrap();
    let client = database.connect().await.unwrap();
    let slot = unique("slot");
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY)")
        .await
        .unwrap();
    client
        .execute(
            "SELECT pg_create_logical_replication_slot($1, 'pgoutput')",
            &[&slot],
        )
        .await
        .unwrap();
    client
        .batch_execute("INSERT INTO t VALUES (1)")
        .await
        .unwrap();

    server.restart().await.unwrap();
    assert!(
        client.batch_execute("SELECT 1").await.is_err(),
        "a restart cuts every session"
    );
    database
        .connect()
        .await
        .unwrap()
        .batch_execute("INSERT INTO t VALUES (2)")
        .await
        .unwrap();

    server.stop(Shutdown::Crash).await.unwrap();
    server.start_again().await.unwrap();
    let client = database.connect().await.unwrap();
    let rows = client
        .query_one("SELECT count(*) FROM t", &[])
        .await
        .unwrap();
    assert_eq!(rows.get::<_, i64>(0), 2);
    let slots = client
        .query(
            "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1",
            &[&slot],
        )
        .await
        .unwrap();
    assert_eq!(slots.len(), 1);

    server.set("wal_level", "replica").await.unwrap();
    let client = server.connect().await.unwrap();
    assert_eq!(
        client
            .query_one("SHOW wal_level", &[])
            .await
            .unwrap()
            .get::<_, &str>(0),
        "logical"
    );
    assert!(server.usage().unwrap().cpu_seconds > 0.0);
}

#[tokio::test]
async fn shared_postgres_is_one_server() {
    let (one, two) = tokio::join!(Postgres::shared(), Postgres::shared());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.port(), two.port());
    let (a, b) = (
        one.create_database("same").await.unwrap(),
        two.create_database("same").await.unwrap(),
    );
    assert_ne!(a.name, b.name);
}

#[tokio::test]
async fn kafka_answers_keeps_its_address_over_stop_and_crash_and_goes() {
    let kafka = Kafka::start(KafkaOptions::default()).await.unwrap();
    let address = kafka.bootstrap();
    assert!(listening(&address));
    assert!(kafka.usage().await.unwrap().peak_rss > 0);

    for signal in [Signal::Term, Signal::Kill] {
        kafka.stop(signal).await.unwrap();
        assert!(!listening(&address));
        kafka.start_again().await.unwrap();
        assert!(listening(&address));
    }

    let directory = kafka.log_file().parent().unwrap().to_owned();
    assert!(directory.exists());
    drop(kafka);
    assert!(!listening(&address));
    assert!(!directory.exists());
}

#[tokio::test]
async fn kafka_that_refuses_its_settings_says_why() {
    let options = KafkaOptions::default().set("log.retention.check.interval.ms", "soon");
    let error = format!("{:#}", Kafka::start(options).await.unwrap_err());
    assert!(
        error.contains("Kafka ended while starting")
            && error.contains("log.retention.check.interval.ms"),
        "{error}"
    );
}
