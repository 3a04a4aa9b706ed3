//! The REST interface of a real worker beside a Java worker's recorded answers.

use anyhow::Result;
use millrace_conformance::connect::{area, replay};
use millrace_testkit::{Worker, WorkerOptions};

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";

/// Each area has a worker of its own: some change it.
async fn equals_the_recorded_one(name: &str) -> Result<()> {
    let area = area(name)?;
    let log = tempfile::tempdir()?;
    let worker = Worker::start(
        WorkerOptions::on_embedded_log(log.path())
            .set("key.converter", JSON)
            .set("value.converter", JSON)
            .set("group.id", "connect"),
    )
    .await?;
    let (compared, different) = replay(&area, worker.rest_url(), "connect").await?;
    // Not while panicking: the worker would show its log.
    drop(worker);
    assert!(compared > 0, "{name}: nothing is compared");
    assert!(
        different.is_empty(),
        "{name}: {} of {compared} differ:\n{}",
        different.len(),
        different.join("\n")
    );
    Ok(())
}

#[tokio::test]
async fn root() -> Result<()> {
    equals_the_recorded_one("root").await
}

#[tokio::test]
async fn crud() -> Result<()> {
    equals_the_recorded_one("crud").await
}

#[tokio::test]
async fn plugins() -> Result<()> {
    equals_the_recorded_one("plugins").await
}

#[tokio::test]
async fn validate() -> Result<()> {
    equals_the_recorded_one("validate").await
}

#[tokio::test]
async fn topics() -> Result<()> {
    equals_the_recorded_one("topics").await
}

#[tokio::test]
async fn loggers() -> Result<()> {
    equals_the_recorded_one("loggers").await
}
