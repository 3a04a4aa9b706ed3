//! The schema registry on a real Kafka: several nodes and a killed leader, a broker that is away, topics in which there is more than schemas, connectors whose
//! records have their schemas in it, and the commands.

mod commands;
mod connectors;
mod election;
mod outage;
mod topics;

use anyhow::Result;
use millrace_e2e::PATIENCE;
use millrace_testkit::{RestClient, Worker, WorkerOptions, wait_until};
use serde_json::{Value, json};

/// A registry whose topic and group are `id`, with short sessions.
fn node(bootstrap: &str, id: &str) -> WorkerOptions {
    WorkerOptions::registry_on_kafka(bootstrap)
        .set("kafkastore.topic", &format!("{id}-schemas"))
        .set("kafkastore.topic.replication.factor", "1")
        .set("schema.registry.group.id", id)
        .set("host.name", "127.0.0.1")
        .set("kafkagroup.session.timeout.ms", "2000")
        .set("kafkagroup.heartbeat.interval.ms", "400")
        .set("kafkastore.timeout.ms", "5000")
}

/// An Avro record with one field of this name.
fn record(name: &str, field: &str) -> String {
    format!(
        r#"{{"type":"record","name":"{name}","fields":[{{"name":"{field}","type":["null","int"],"default":null}}]}}"#
    )
}

async fn register(client: &RestClient, subject: &str, schema: &str) -> Result<Value> {
    client
        .post(
            &format!("/subjects/{subject}/versions"),
            &json!({ "schema": schema }),
        )
        .await?
        .success()
}

/// Waits until a node knows its leader: a registration goes through.
async fn wait_writable(worker: &Worker, subject: &str) -> Result<Value> {
    wait_until(PATIENCE, "a registration goes through", async || {
        Ok(register(worker.rest(), subject, &record("Ready", "x"))
            .await
            .ok())
    })
    .await
}
