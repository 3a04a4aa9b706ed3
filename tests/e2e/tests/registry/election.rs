//! Three nodes; the leader is killed while clients register.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use millrace_e2e::PATIENCE;
use millrace_testkit::{Kafka, RestClient, Worker, free_port, unique, wait_until};
use serde_json::Value;

use super::{node, record, register, wait_writable};

/// What a client was told: subject, version, id, schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    subject: String,
    version: i64,
    id: i64,
    schema: String,
}

async fn three_nodes(bootstrap: &str, id: &str, settings: &[(&str, &str)]) -> Result<Vec<Worker>> {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let listeners = format!("http://127.0.0.1:{}", free_port());
        let options = settings
            .iter()
            .fold(node(bootstrap, id), |options, (key, value)| {
                options.set(key, value)
            });
        nodes.push(Worker::start(options.set("listeners", &listeners)).await?);
    }
    Ok(nodes)
}

/// Of eligible nodes the one with the smallest URL leads.
fn leader_of(nodes: &[Worker]) -> usize {
    let urls = nodes.iter().map(Worker::rest_url);
    let first = urls.enumerate().min_by_key(|(_, url)| (*url).to_owned());
    first.map_or(0, |(i, _)| i)
}

/// Registers one schema, asking the nodes in turn until one answers. Only what a client was told counts.
async fn register_anywhere(
    clients: &[RestClient],
    first: usize,
    subject: &str,
    schema: &str,
) -> Result<Told> {
    let end = Instant::now() + PATIENCE;
    let mut next = first;
    let answer = loop {
        match register(&clients[next % clients.len()], subject, schema).await {
            Ok(answer) => break answer,
            Err(error) if Instant::now() > end => {
                return Err(error.context(format!("{subject} is not registered")));
            }
            // As `wait_until` does, which cannot be called from a task of its own.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        next += 1;
    };
    Ok(Told {
        subject: subject.to_owned(),
        version: answer["version"].as_i64().context("a version")?,
        id: answer["id"].as_i64().context("an id")?,
        schema: schema.to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_schema_is_lost_when_the_leader_is_killed() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let id = unique("election");
    let mut nodes = three_nodes(&kafka.bootstrap(), &id, &[]).await?;
    for worker in &nodes {
        wait_writable(worker, "ready").await?;
    }
    let clients: Arc<Vec<RestClient>> = Arc::new(nodes.iter().map(|n| n.rest().clone()).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (clients, stop) = (Arc::clone(&clients), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut told = Vec::new();
                let mut round = 0;
                // At least so many rounds, however fast the leader comes back.
                while round < 30 || !stop.load(Ordering::SeqCst) {
                    // One subject of its own, and one that all of them write the same schemas to at the same time.
                    for (subject, name) in [
                        (format!("own-{task}"), format!("Own{task}")),
                        ("shared".to_owned(), "Shared".to_owned()),
                    ] {
                        let schema = record(&name, &format!("f{round}"));
                        told.push(
                            register_anywhere(&clients, task + round, &subject, &schema).await?,
                        );
                    }
                    round += 1;
                }
                anyhow::Ok(told)
            })
        })
        .collect();
    // In the middle of it: some registrations are done, and more are on their way.
    wait_until(PATIENCE, "ten versions of the shared subject", async || {
        let versions = clients[0].get("/subjects/shared/versions").await?.body;
        Ok((versions.as_array().map_or(0, Vec::len) >= 10).then_some(()))
    })
    .await?;
    let leader = leader_of(&nodes);
    nodes[leader].kill().await?;
    let survivors: Vec<&RestClient> = (0..3)
        .filter(|i| *i != leader)
        .map(|i| &clients[i])
        .collect();
    let after = wait_until(PATIENCE, "a survivor writes", async || {
        Ok(register(survivors[0], "after", &record("After", "x"))
            .await
            .ok())
    })
    .await?;
    stop.store(true, Ordering::SeqCst);
    let mut told = Vec::new();
    for task in tasks {
        told.extend(task.await??);
    }

    // The killed node comes back and reads the topic from its start; then all three agree.
    nodes[leader].start_again().await?;
    let mut seen: Vec<BTreeMap<(String, i64), Value>> = Vec::new();
    for client in clients.iter() {
        let last = after["id"].as_i64().context("an id")?;
        wait_until(
            PATIENCE,
            "the node has read what was written last",
            async || {
                let reply = client.get(&format!("/schemas/ids/{last}")).await?;
                Ok(reply.status.is_success().then_some(()))
            },
        )
        .await?;
        let all = client.get("/schemas?deleted=true").await?.success()?;
        let versions = all.as_array().context("a list")?.iter().map(|schema| {
            let key = (
                schema["subject"].as_str().unwrap_or("").to_owned(),
                schema["version"].as_i64().unwrap_or(0),
            );
            (key, schema.clone())
        });
        seen.push(versions.collect());
    }
    ensure!(
        seen[0].len() < 1000,
        "the list of schemas is cut off at its limit"
    );
    for told in &told {
        for (node, versions) in seen.iter().enumerate() {
            let found = versions
                .get(&(told.subject.clone(), told.version))
                .with_context(|| format!("node {node} has lost {told:?}"))?;
            ensure!(
                found["id"].as_i64() == Some(told.id)
                    && found["schema"].as_str() == Some(&*told.schema),
                "node {node} has another schema than the client was told: {told:?}, {found}"
            );
        }
    }
    // An id is one schema, and within a subject a schema is one version.
    let mut by_id: BTreeMap<i64, &str> = BTreeMap::new();
    let mut in_subject: BTreeSet<(&str, &str)> = BTreeSet::new();
    for ((subject, version), found) in &seen[0] {
        let text = found["schema"].as_str().context("a text")?;
        let id = found["id"].as_i64().context("an id")?;
        ensure!(
            *by_id.entry(id).or_insert(text) == text,
            "id {id} is two schemas"
        );
        ensure!(
            in_subject.insert((subject, text)),
            "version {version} of {subject} was registered before"
        );
    }
    let distinct: BTreeSet<&str> = by_id.values().copied().collect();
    ensure!(distinct.len() == by_id.len(), "a schema has two ids");
    ensure!(
        seen[0] == seen[1] && seen[1] == seen[2],
        "the nodes disagree"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_hands_on_the_leaders_errors_byte_for_byte() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let id = unique("forward");
    let nodes = three_nodes(&kafka.bootstrap(), &id, &[]).await?;
    for worker in &nodes {
        wait_writable(worker, "ready").await?;
    }
    let leader = leader_of(&nodes);
    let bad = serde_json::json!({"schema": r#"{"type":"record","name":"Ready","fields":[{"name":"x","type":"string"}]}"#});
    let mut answers = Vec::new();
    for (i, worker) in nodes.iter().enumerate() {
        let reply = worker
            .rest()
            .send(
                reqwest::Method::POST,
                "/subjects/ready/versions",
                Some(bad.to_string()),
            )
            .await?;
        ensure!(reply.status.as_u16() == 409, "node {i}: {reply:?}");
        answers.push(reply);
    }
    ensure!(answers.iter().all(|a| *a == answers[leader]), "{answers:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_stop_of_the_leader_hands_over_at_once() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let id = unique("handover");
    // Longer than any machine takes to hand over: a node that was only missed would take all of it.
    let long = [("kafkagroup.session.timeout.ms", "40000")];
    let mut nodes = three_nodes(&kafka.bootstrap(), &id, &long).await?;
    for worker in &nodes {
        wait_writable(worker, "ready").await?;
    }
    let leader = leader_of(&nodes);
    nodes[leader].terminate().await?;
    let survivor = &nodes[(leader + 1) % 3];
    // Well below the session timeout, after which a killed leader would be missed.
    let begun = Instant::now();
    wait_until(PATIENCE, "a survivor writes", async || {
        Ok(register(survivor.rest(), "handed", &record("Handed", "x"))
            .await
            .ok())
    })
    .await?;
    let took = begun.elapsed();
    ensure!(
        took < Duration::from_secs(20),
        "the hand-over took {took:?}"
    );
    Ok(())
}
