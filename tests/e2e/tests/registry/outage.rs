//! A broker that is away: reads go on, writes say so, and nothing is acknowledged that is not there afterwards.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use millrace_e2e::PATIENCE;
use millrace_testkit::{Kafka, KafkaOptions, Signal, Worker, unique, wait_until};
use serde_json::json;

use super::{node, record, register, wait_writable};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_and_writes_time_out_while_the_broker_is_away() -> Result<()> {
    let kafka = Kafka::start(KafkaOptions::default()).await?;
    let id = unique("outage");
    let options = node(&kafka.bootstrap(), &id).set("kafkastore.timeout.ms", "1000");
    let mut worker = Worker::start(options).await?;
    wait_writable(&worker, "before").await?;
    let before = register(worker.rest(), "before", &record("Before", "x")).await;
    ensure!(before.is_err(), "another name is no compatible schema");
    kafka.stop(Signal::Kill).await?;

    let read = worker
        .rest()
        .get("/subjects/before/versions/latest")
        .await?
        .success()?;
    ensure!(read["version"] == 1, "{read}");
    let mut told = Vec::new();
    for i in 0..3 {
        let begun = Instant::now();
        let reply = worker
            .rest()
            .post(
                &format!("/subjects/during-{i}/versions"),
                &json!({"schema": record("During", &format!("f{i}"))}),
            )
            .await?;
        let took = begun.elapsed();
        let code = reply.body["error_code"].as_i64().unwrap_or(0);
        ensure!(
            reply.status.as_u16() == 500 && [50001, 50002, 50003, 50004].contains(&code),
            "a write without a broker was answered {reply:?}"
        );
        ensure!(took < Duration::from_secs(10), "the answer took {took:?}");
        told.push(code);
    }
    ensure!(told.contains(&50002) || told.contains(&50004), "{told:?}");
    // Registered already: no write is needed.
    let again = register(worker.rest(), "before", &record("Ready", "x")).await?;
    ensure!(again["id"] == 1, "{again}");

    kafka.start_again().await?;
    let after = wait_until(PATIENCE, "a registration goes through", async || {
        Ok(register(worker.rest(), "after", &record("After", "x"))
            .await
            .ok())
    })
    .await?;
    let after = after["id"].as_i64().context("an id")?;
    // What timed out may be there or not; it is the same for a node that reads the topic from its start, and no id is two schemas.
    let list = |worker: &Worker| {
        let client = worker.rest().clone();
        async move { client.get("/schemas").await?.success() }
    };
    let told = list(&worker).await?;
    worker.restart().await?;
    wait_until(PATIENCE, "the last schema is read", async || {
        let reply = worker.rest().get(&format!("/schemas/ids/{after}")).await?;
        Ok(reply.status.is_success().then_some(()))
    })
    .await?;
    let read = list(&worker).await?;
    ensure!(told == read, "before the restart {told}\nafter it {read}");
    Ok(())
}
