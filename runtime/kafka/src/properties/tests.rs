#![allow(clippy::unwrap_used)]
use super::*;

fn entries(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn made(role: Role, pairs: &[(&str, &str)]) -> ClientConfig {
    translate(role, "me", &entries(pairs)).unwrap()
}

fn refused(role: Role, pairs: &[(&str, &str)]) -> String {
    translate(role, "me", &entries(pairs))
        .unwrap_err()
        .to_string()
}

#[test]
fn librdkafka_takes_the_defaults_and_every_translated_setting() {
    for role in [Producer, Consumer] {
        made(role, &[]).create_native_config().unwrap();
    }
    let producer = made(
        Producer,
        &[
            ("bootstrap.servers", "a:1,b:2"),
            ("linger.ms", "0"),
            ("batch.size", "0"),
            ("compression.type", "ZSTD"),
            ("compression.zstd.level", "3"),
            ("buffer.memory", "1048576"),
            ("max.request.size", "2000000"),
            ("delivery.timeout.ms", "2147483647"),
            ("request.timeout.ms", "30000"),
            ("retry.backoff.ms", "0"),
            ("metadata.max.age.ms", "300000"),
            ("send.buffer.bytes", "-1"),
            ("plugin.path", "/x"),
        ],
    );
    producer.create_native_config().unwrap();
    assert_eq!(producer.get("compression.type"), Some("zstd"));
    assert_eq!(producer.get("compression.level"), Some("3"));
    assert_eq!(producer.get("queue.buffering.max.kbytes"), Some("1024"));
    assert_eq!(producer.get("message.max.bytes"), Some("2000000"));
    assert_eq!(producer.get("batch.size"), Some("1"));
    assert_eq!(producer.get("metadata.max.age.ms"), Some("900000"));
    assert_eq!(producer.get("plugin.path"), None);
    let consumer = made(
        Consumer,
        &[
            ("fetch.max.wait.ms", "500"),
            ("fetch.min.bytes", "0"),
            ("fetch.max.bytes", "200000000"),
            ("max.partition.fetch.bytes", "5000000"),
            ("max.poll.interval.ms", "10000"),
            ("isolation.level", "READ_COMMITTED"),
        ],
    );
    consumer.create_native_config().unwrap();
    assert_eq!(consumer.get("fetch.wait.max.ms"), Some("500"));
    assert_eq!(consumer.get("receive.message.max.bytes"), Some("200000512"));
    assert_eq!(consumer.get("isolation.level"), Some("read_committed"));
    assert_eq!(consumer.get("session.timeout.ms"), Some("10000"));
}

#[test]
fn order_is_kept_with_and_without_idempotence() {
    let default = made(Producer, &[]);
    assert_eq!(
        (
            default.get("enable.idempotence"),
            default.get("max.in.flight.requests.per.connection")
        ),
        (Some("false"), Some("1"))
    );
    assert_eq!(
        (default.get("acks"), default.get("partitioner")),
        (Some("all"), Some("murmur2_random"))
    );
    let on = made(
        Producer,
        &[
            ("enable.idempotence", "true"),
            ("acks", "-1"),
            ("retries", "3"),
        ],
    );
    assert_eq!(
        (
            on.get("enable.idempotence"),
            on.get("max.in.flight.requests.per.connection")
        ),
        (Some("true"), Some("5"))
    );
    on.create_native_config().unwrap();
    made(Producer, &[("acks", "1"), ("retries", "0")])
        .create_native_config()
        .unwrap();
    assert!(refused(Producer, &[("acks", "1"), ("enable.idempotence", "true")]).contains("'acks'"));
    assert!(
        refused(
            Producer,
            &[
                ("max.in.flight.requests.per.connection", "6"),
                ("enable.idempotence", "true")
            ]
        )
        .contains("at most 5")
    );
}

#[test]
fn assignors_are_named_as_in_java() {
    let strategy = |list| {
        made(Consumer, &[("partition.assignment.strategy", list)])
            .get("partition.assignment.strategy")
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        strategy(
            "org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
        ),
        "range"
    );
    assert_eq!(
        strategy("org.apache.kafka.clients.consumer.CooperativeStickyAssignor"),
        "cooperative-sticky"
    );
    assert!(
        refused(
            Consumer,
            &[(
                "partition.assignment.strategy",
                "org.apache.kafka.clients.consumer.StickyAssignor"
            )]
        )
        .contains("StickyAssignor")
    );
}

#[test]
fn refusals_name_key_value_and_remedy_but_no_secret() {
    let text = refused(Producer, &[("partitioner.class", "com.example.Mine")]);
    assert!(
        text.contains("partitioner.class")
            && text.contains("com.example.Mine")
            && text.contains("remove it"),
        "{text}"
    );
    assert!(refused(Consumer, &[("enable.auto.commit", "true")]).contains("remove it"));
    assert!(refused(Producer, &[("linger.ms", "soon")]).contains("whole number"));
    let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"hunter2\"";
    let text = refused(
        Producer,
        &[
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.jaas.config", jaas),
        ],
    );
    assert!(
        text.contains("sasl.jaas.config")
            && text.contains("must end with ';'")
            && !text.contains("hunter2"),
        "{text}"
    );
    let text = refused(
        Producer,
        &[
            ("security.protocol", "SSL"),
            ("ssl.truststore.location", "/no/ts.jks"),
            ("ssl.truststore.type", "JKS"),
        ],
    );
    assert!(
        text.contains("'/no/ts.jks' for Kafka client setting 'ssl.truststore.location'"),
        "{text}"
    );
    let this_file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/properties/tests.rs");
    let text = refused(
        Producer,
        &[
            ("security.protocol", "SSL"),
            ("ssl.keystore.location", this_file),
            ("ssl.keystore.type", "BCFKS"),
            ("ssl.keystore.password", "hunter2"),
        ],
    );
    assert!(
        text.contains("'ssl.keystore.type'")
            && text.contains("allowed are PEM, JKS and PKCS12")
            && !text.contains("hunter2"),
        "{text}"
    );
    for names in ["TLSv1.3", "TLSv1.2,TLSv1.1"] {
        let pairs = [
            ("security.protocol", "SSL"),
            ("ssl.enabled.protocols", names),
        ];
        assert!(refused(Producer, &pairs).contains("'ssl.enabled.protocols'"));
    }
    assert!(refused(Producer, &[("security.protocol", "SASL_SSL")]).contains("Kerberos"));
}

#[test]
fn sasl_and_pem_reach_librdkafka() {
    let jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"u\" password=\"p;w\";";
    let config = made(
        Consumer,
        &[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.jaas.config", jaas),
            ("ssl.truststore.type", "PEM"),
            (
                "ssl.truststore.certificates",
                "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
            ),
            ("ssl.endpoint.identification.algorithm", ""),
        ],
    );
    assert_eq!(config.get("security.protocol"), Some("sasl_ssl"));
    assert_eq!(
        (config.get("sasl.username"), config.get("sasl.password")),
        (Some("u"), Some("p;w"))
    );
    assert_eq!(
        config.get("ssl.endpoint.identification.algorithm"),
        Some("none")
    );
    assert!(
        config
            .get("ssl.ca.pem")
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
}
