use anyhow::{Context as _, Result, ensure};
use millrace_e2e::{Capture, Ground, LogKind, PATIENCE, changed, replay, table_rows};
use millrace_testkit::wait_until;

use super::plan::{self, Kill, Random};
use super::streaming::wait_level;
use super::writers::{SCHEMA, TABLES, Writers};

const ROWS: u64 = 3000;

pub(super) async fn crash_during_the_snapshot(log: LogKind) -> Result<()> {
    let (seed, kills) = (plan::seed()?, plan::budget()?.snapshot);
    eprintln!("crash_during_the_snapshot on {log:?}: {kills} kills, MILLRACE_CRASH_SEED={seed}");
    run(log, seed, kills).await.with_context(|| format!("MILLRACE_CRASH_SEED={seed}"))
}

async fn run(log: LogKind, seed: u64, kills: usize) -> Result<()> {
    let mut random = Random::new(seed ^ (7 + log as u64));
    let ground = Ground::new(log, "snapshot", SCHEMA).await?;
    ground.sql.batch_execute(&format!("INSERT INTO entry SELECT n, md5(n::text) FROM generate_series(1, {ROWS}) AS n")).await?;
    let mut worker = ground.start().await?;
    // Small batches: the snapshot takes long enough to be hit.
    let source = changed(&ground.source(&TABLES), &[("max.batch.size", "50")]);
    worker.rest().create_connector("source", &source).await?;
    ground.create(&worker, "sink", &ground.sink(&TABLES)).await?;
    worker.rest().wait_connector_state("source", "RUNNING", 1).await?;
    // Its first snapshot begins in a run that will be killed.
    worker.kill().await?;
    let writers = Writers::start(&ground.database, seed).await?;
    for n in 0..kills {
        let place = ["source-after-produce", "source-before-offset-write", "source-after-poll", "source-after-offset-write"][n % 4];
        let hit = if place.contains("offset") { 1 + random.below(2) } else { 1 + random.below(ROWS / 50) };
        plan::start_and_die(&mut worker, Kill::At { place, hit }, || writers.committed()).await?;
    }
    worker.set_env("MILLRACE_FAILPOINTS", None);
    worker.start_again().await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&TABLES)).await?;
    let goal = writers.committed() + 100;
    wait_until(PATIENCE, "more transactions are committed", async || Ok((writers.committed() >= goal).then_some(()))).await?;
    writers.stop().await?;
    wait_level(&ground, &mut capture).await?;

    // The last snapshot and what follows it must be the whole truth, without what earlier runs have written.
    for (table, columns) in [("counter", ["id", "n"]), ("entry", ["id", "token"])] {
        let topic = ground.topic(table);
        let last = capture.of(&topic).filter(|event| event.op() == "r").last().context("a snapshot record")?.run().to_owned();
        let from = capture.of(&topic).position(|event| event.op() == "r" && event.run() == last).unwrap_or(0);
        let alone = replay(capture.of(&topic).skip(from), &columns)?;
        let source = table_rows(&ground.sql, table, &["id"], &columns).await?;
        ensure!(alone == source, "{table}: {} rows, {} after the last snapshot", source.len(), alone.len());
        let runs: std::collections::BTreeSet<&str> = capture.of(&topic).filter(|event| event.op() == "r").map(|event| event.run()).collect();
        eprintln!("{log:?} {table}: {} snapshots have written records", runs.len());
    }
    Ok(())
}
