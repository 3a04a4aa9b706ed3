//! The broker goes away and comes back while records flow.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use millrace_kafka::KafkaLog;
use millrace_log::{
    GroupConsumerOptions, GroupEvent, Log as _, LogError, Producer, StartAt, Subscription,
    TableOptions, TableWrite,
};
use millrace_testkit::{Kafka, KafkaOptions, Signal, unique};

use crate::client::{PATIENCE, batch, connect, connect_with, producer, settings, topic, values};

const TOTAL: u64 = 60_000;

/// A producer that writes 0, 1, 2, … below `TOTAL`.
#[derive(Debug)]
struct Flow {
    topic: String,
    producer: Box<dyn Producer>,
    sent: u64,
    acked: BTreeSet<u64>,
}

impl Flow {
    async fn new(log: &KafkaLog, topic: String, pairs: &[(&str, &str)]) -> Result<Self> {
        Ok(Self {
            topic,
            producer: producer(log, pairs).await?,
            sent: 0,
            acked: BTreeSet::new(),
        })
    }

    fn done(&self) -> bool {
        self.acked.len() as u64 == TOTAL
    }

    async fn step(&mut self) -> Result<()> {
        if self.sent < TOTAL {
            let batch = batch(
                &self.topic,
                0,
                (self.sent..(self.sent + 500).min(TOTAL)).map(|n| n.to_string()),
            );
            self.sent += self.producer.send(&batch, 0)? as u64;
        }
        self.producer.wait(Duration::from_millis(2)).await;
        let mut out = Vec::new();
        self.producer.deliveries(&mut out);
        for delivery in out {
            delivery.result?;
            assert!(
                self.acked.insert(delivery.sequence),
                "record {} was acknowledged twice",
                delivery.sequence
            );
        }
        Ok(())
    }

    async fn written(&self, log: &KafkaLog) -> Result<Vec<u64>> {
        Ok(values(log, &self.topic, 0)
            .await?
            .iter()
            .map(|v| v.parse().unwrap())
            .collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_and_consumers_survive_a_broker_restart() -> Result<()> {
    let kafka = Kafka::start(KafkaOptions::default()).await?;
    let log = connect(&kafka.bootstrap()).await?;
    let topic = topic(&*log, 1, &[]).await?;
    let mut table = log
        .table(TableOptions {
            topic: unique("table"),
            partitions: 1,
            replication_factor: 1,
            clamp_replication: false,
            check_policy: true,
            topic_settings: Vec::new(),
            client_id: "t".into(),
            settings: Vec::new(),
            named_by: "config.storage.topic",
            purpose: "connector configurations",
        })
        .await?;
    let mut consumer = log
        .group_consumer(GroupConsumerOptions {
            group: unique("group"),
            client_id: "c".into(),
            subscription: Subscription::Topics(vec![topic.clone()]),
            start_at: StartAt::Earliest,
            settings: settings(&[
                ("session.timeout.ms", "6000"),
                ("heartbeat.interval.ms", "300"),
            ]),
        })
        .await?;
    let mut once = Flow::new(&log, topic.clone(), &[("enable.idempotence", "true")]).await?;
    let mut at_least_once =
        Flow::new(&log, crate::client::topic(&*log, 1, &[]).await?, &[]).await?;

    const RESTARTS: [(u64, Signal); 2] = [(15_000, Signal::Term), (35_000, Signal::Kill)];
    let (mut read, mut restarts) = (BTreeSet::new(), 0);
    let deadline = Instant::now() + 3 * PATIENCE;
    let mut down: Option<Instant> = None;
    while !once.done() || !at_least_once.done() || (read.len() as u64) < TOTAL {
        assert!(
            Instant::now() < deadline,
            "{once:?}, {at_least_once:?}, {} read",
            read.len()
        );
        once.step().await?;
        at_least_once.step().await?;
        match consumer.next(Duration::from_millis(1)).await? {
            GroupEvent::Records(batch) => read.extend(batch.records.iter().map(|r| {
                String::from_utf8_lossy(batch.value(r).unwrap())
                    .parse::<u64>()
                    .unwrap()
            })),
            GroupEvent::Revoking(_) => consumer.release().await?,
            _ => {}
        }
        if down.is_none()
            && let Some((at, signal)) = RESTARTS.get(restarts)
            && once.acked.len() as u64 >= *at
        {
            kafka.stop(*signal).await?;
            down = Some(Instant::now());
        }
        // Down for a while, so that requests in flight fail and reconnects are refused.
        if down.is_some_and(|since| since.elapsed() > Duration::from_millis(1_500)) {
            kafka.start_again().await?;
            down = None;
            restarts += 1;
        }
    }
    assert_eq!(restarts, RESTARTS.len());
    let written = once.written(&log).await?;
    assert!(
        written.iter().copied().eq(0..TOTAL),
        "{} written: lost, doubled or out of order",
        written.len()
    );
    let mut seen = BTreeSet::new();
    let first: Vec<u64> = at_least_once
        .written(&log)
        .await?
        .into_iter()
        .filter(|n| seen.insert(*n))
        .collect();
    assert!(
        first.iter().copied().eq(0..TOTAL),
        "{} written: lost or out of order",
        first.len()
    );
    assert!(
        read.iter().copied().eq(0..TOTAL),
        "a consumer that does not commit reads everything at least once"
    );

    table
        .writer()
        .put(&[TableWrite {
            key: b"k".to_vec(),
            value: Some(b"v".to_vec()),
        }])
        .await?;
    let mut count = 0;
    table.read_to_end(&mut |_| count += 1).await?;
    assert_eq!(count, 1);

    kafka.stop(Signal::Kill).await?;
    let bootstrap = kafka.bootstrap();
    let limited = [
        ("bootstrap.servers", bootstrap.as_str()),
        ("default.api.timeout.ms", "5000"),
    ];
    let short = connect_with(&limited);
    let error = tokio::time::timeout(Duration::from_secs(20), short)
        .await?
        .unwrap_err();
    assert!(
        error
            .downcast_ref::<LogError>()
            .is_some_and(LogError::is_retriable),
        "{error}"
    );
    Ok(())
}
