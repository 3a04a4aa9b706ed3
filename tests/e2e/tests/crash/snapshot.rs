use anyhow::{Context as _, Result, ensure};
use millrace_e2e::{
    Capture, Event, Ground, LogKind, PATIENCE, ShownWorker, changed, replay, table_rows,
};
use millrace_testkit::{Worker, wait_until};
use serde_json::json;

use super::plan::{self, Kill, Random};
use super::streaming::wait_level;
use super::writers::{SCHEMA, TABLES, Writers};

const ROWS: u64 = 3000;
const BATCH: u64 = 20;

pub(super) async fn crash_during_the_snapshot(log: LogKind) -> Result<()> {
    let (seed, kills) = (plan::seed()?, plan::budget()?.snapshot);
    eprintln!("crash_during_the_snapshot on {log:?}: {kills} kills, MILLRACE_CRASH_SEED={seed}");
    run(log, seed, kills)
        .await
        .with_context(|| format!("MILLRACE_CRASH_SEED={seed}"))
}

/// A worker that is down, with a source that has never run. It makes many small batches, each written by itself: its snapshot takes long enough to be hit anywhere.
async fn before_the_first_start(ground: &Ground, sink: bool) -> Result<ShownWorker> {
    let options = ground
        .worker()
        .set("millrace.source.commit.linger.ms", "0")
        .set("offset.flush.interval.ms", "20");
    let mut worker = ground.start_with(options).await?;
    if sink {
        ground
            .create(&worker, "sink", &ground.sink(&TABLES))
            .await?;
    }
    let source = changed(
        &ground.source(&TABLES),
        &[("max.batch.size", &BATCH.to_string())],
    );
    let stopped = json!({ "name": "source", "config": source, "initial_state": "STOPPED" });
    worker
        .rest()
        .post("/connectors", &stopped)
        .await?
        .success()?;
    worker.terminate().await?;
    Ok(worker)
}

/// Starts the worker and the source in it, and sees them die.
async fn first_start(worker: &mut Worker, place: &str, hit: u64) -> Result<()> {
    worker.set_env("MILLRACE_FAILPOINTS", Some(&format!("{place}=kill@{hit}")));
    worker.start_again().await?;
    // Its answer may be lost.
    drop(worker.rest().put_empty("/connectors/source/resume").await);
    let status = worker
        .wait_exit(PATIENCE)
        .await
        .with_context(|| format!("{place}=kill@{hit}"))?;
    ensure!(!status.success(), "the worker ended with {status}");
    Ok(())
}

/// A row that an unfinished first run has sent, and that is gone when the next run takes its snapshot: only the stream can tell.
pub(super) async fn crash_before_a_delete_that_no_snapshot_shows(log: LogKind) -> Result<()> {
    let ground = Ground::new(log, "unfinished", SCHEMA).await?;
    ground
        .sql
        .batch_execute("INSERT INTO entry SELECT n, 'x' FROM generate_series(1, 1000) AS n")
        .await?;
    let mut worker = before_the_first_start(&ground, false).await?;
    // On Kafka records are there before their offset is; on the embedded log the offset says that a snapshot is under way.
    let place = match log {
        LogKind::Kafka => "source-before-offset-write",
        LogKind::Embedded => "source-after-offset-write",
    };
    first_start(&mut worker, place, 1).await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&["counter"])).await?;
    capture.catch_up().await?;
    let sent = capture.events.first().context("a record was sent")?;
    let key = sent.key["id"].as_i64().context("its key")?;
    ground
        .sql
        .execute("DELETE FROM counter WHERE id::bigint = $1", &[&key])
        .await?;
    worker.set_env("MILLRACE_FAILPOINTS", None);
    worker.start_again().await?;
    capture
        .read_until("the delete", |events| {
            let deleted = |event: &Event| event.op() == "d" && event.key["id"] == key;
            events.iter().any(deleted)
        })
        .await
}

async fn run(log: LogKind, seed: u64, kills: usize) -> Result<()> {
    let mut random = Random::new(seed ^ (7 + log as u64));
    let ground = Ground::new(log, "snapshot", SCHEMA).await?;
    ground
        .sql
        .batch_execute(&format!(
            "INSERT INTO entry SELECT n, md5(n::text) FROM generate_series(1, {ROWS}) AS n"
        ))
        .await?;
    let mut worker = before_the_first_start(&ground, true).await?;
    let writers = Writers::start(&ground.database, seed).await?;
    for n in 0..kills {
        let place = [
            "source-after-offset-write",
            "source-after-poll",
            "source-after-produce",
            "source-before-offset-write",
        ][n % 4];
        // The snapshot consists of more batches than this anyway; offsets are written less often. The first kill comes when little has been written.
        let hit = match (n, place) {
            (0, _) => 1 + random.below(2),
            (_, "source-after-poll" | "source-after-produce") => 1 + random.below(ROWS / BATCH / 2),
            _ => 1 + random.below(2),
        };
        if n == 0 {
            first_start(&mut worker, place, hit).await?;
        } else {
            let kill = Kill::At { place, hit };
            plan::start_and_die(&mut worker, kill, || writers.committed()).await?;
        }
    }
    worker.set_env("MILLRACE_FAILPOINTS", None);
    worker.start_again().await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&TABLES)).await?;
    let goal = writers.committed() + 100;
    wait_until(PATIENCE, "more transactions are committed", async || {
        Ok((writers.committed() >= goal).then_some(()))
    })
    .await?;
    writers.stop().await?;
    wait_level(&ground, &mut capture).await?;

    // The last snapshot and what follows it must be the whole truth, without what earlier runs have written.
    for (table, columns) in [("counter", ["id", "n"]), ("entry", ["id", "token"])] {
        let topic = ground.topic(table);
        let last = capture
            .of(&topic)
            .filter(|event| event.op() == "r")
            .last()
            .context("a snapshot record")?
            .run()
            .to_owned();
        let from = capture
            .of(&topic)
            .position(|event| event.op() == "r" && event.run() == last)
            .unwrap_or(0);
        let alone = replay(capture.of(&topic).skip(from), &columns)?;
        let source = table_rows(&ground.sql, table, &["id"], &columns).await?;
        ensure!(
            alone == source,
            "{table}: {} rows, {} after the last snapshot",
            source.len(),
            alone.len()
        );
        let runs: std::collections::BTreeSet<&str> = capture
            .of(&topic)
            .filter(|event| event.op() == "r")
            .map(|event| event.run())
            .collect();
        eprintln!(
            "{log:?} {table}: {} snapshots have written records",
            runs.len()
        );
    }
    Ok(())
}
