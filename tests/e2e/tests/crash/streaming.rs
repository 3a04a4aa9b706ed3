use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::{Context as _, Result, bail, ensure};
use millrace_e2e::ledger::{self, Stored};
use millrace_e2e::{Capture, Event, Ground, LogKind, PATIENCE, Rows, changed, replay, table_rows};
use millrace_testkit::wait_until;

use super::plan::{self, Random};
use super::writers::{Expected, SCHEMA, TABLES, Writers};

pub(super) async fn crash_while_streaming(log: LogKind) -> Result<()> {
    let (seed, kills) = (plan::seed()?, plan::budget()?.streaming);
    eprintln!("crash_while_streaming on {log:?}: {kills} kills, MILLRACE_CRASH_SEED={seed}");
    run(log, seed, kills)
        .await
        .with_context(|| format!("MILLRACE_CRASH_SEED={seed}"))
}

async fn run(log: LogKind, seed: u64, kills: usize) -> Result<()> {
    let mut random = Random::new(seed ^ log as u64);
    let ground = Ground::new(log, "crash", SCHEMA).await?;
    let mut worker = ground.start().await?;
    // On Kafka a kill finds records that the client still holds: no offset may have passed them.
    let source = changed(
        &ground.source(&TABLES),
        &[("producer.override.linger.ms", "300")],
    );
    ground.create(&worker, "source", &source).await?;
    ground
        .create(&worker, "sink", &ground.sink(&TABLES))
        .await?;
    ground.wait_streaming().await?;
    let writers = Writers::start(&ground.database, seed).await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&TABLES)).await?;
    let mut offsets =
        Capture::open(ground.log().await?, &[format!("{}-offsets", ground.id)]).await?;
    worker.kill().await?;

    // What each run went on from.
    let mut stored: HashMap<String, Stored> = HashMap::new();
    let mut known: HashSet<String> = HashSet::new();
    for kill in plan::streaming(&mut random, kills) {
        capture.catch_up().await?;
        let last: HashSet<String> = capture
            .events
            .iter()
            .map(|event| event.run().to_owned())
            .collect();
        known.extend(last);
        offsets.catch_up().await?;
        let from = offsets
            .events
            .iter()
            .rev()
            .find(|event| event.key[0] == "source")
            .and_then(|event| Stored::from_offset(event.value.as_ref()?));
        plan::start_and_die(&mut worker, kill, || writers.committed()).await?;
        capture.catch_up().await?;
        let new: HashSet<&str> = capture
            .events
            .iter()
            .map(Event::run)
            .filter(|run| !known.contains(*run))
            .collect();
        if let (1, Some(from)) = (new.len(), from) {
            stored.extend(new.iter().map(|run| ((*run).to_owned(), from)));
        }
    }

    worker.set_env("MILLRACE_FAILPOINTS", None);
    worker.start_again().await?;
    let expected = writers.stop().await?;
    wait_level(&ground, &mut capture).await?;
    check(&ground, &capture, &stored, &expected, kills).await
}

/// Waits until topics and copies say what the tables say.
pub(super) async fn wait_level(ground: &Ground, capture: &mut Capture) -> Result<()> {
    for (table, columns) in [("counter", ["id", "n"]), ("entry", ["id", "token"])] {
        let source = table_rows(&ground.sql, table, &["id"], &columns).await?;
        let topic = ground.topic(table);
        let what = format!("topic and copy of {table} are level");
        let level = wait_until(PATIENCE, &what, async || {
            let copy = table_rows(&ground.sql, &ground.copy_of(table), &["id"], &columns).await?;
            if copy != source {
                return Ok(None);
            }
            capture.catch_up().await?;
            Ok((replay(capture.of(&topic), &columns)? == source).then_some(()))
        })
        .await;
        if let Err(error) = level {
            let copy = table_rows(&ground.sql, &ground.copy_of(table), &["id"], &columns).await?;
            capture.catch_up().await?;
            let log = replay(capture.of(&topic), &columns)?;
            let differences = difference(&source, &log, &copy);
            let events = differences
                .first()
                .map(|key| history_of(capture, &topic, key));
            return Err(error.context(format!(
                "{} rows, {} in the topic, {} in the copy; different: {differences:?}; the events of the first:\n{}",
                source.len(),
                log.len(),
                copy.len(),
                events.unwrap_or_default()
            )));
        }
    }
    Ok(())
}

/// Keys of rows that are not the same everywhere.
fn difference(source: &Rows, log: &Rows, copy: &Rows) -> Vec<String> {
    let keys: BTreeSet<&String> = source.keys().chain(log.keys()).chain(copy.keys()).collect();
    let differs =
        |key: &&String| source.get(*key) != log.get(*key) || source.get(*key) != copy.get(*key);
    keys.into_iter().filter(differs).take(5).cloned().collect()
}

/// All events of a key, one a line.
fn history_of(capture: &Capture, topic: &str, key: &str) -> String {
    let events = capture
        .of(topic)
        .filter(|event| format!("id={}", event.key["id"]) == key);
    let lines = events.map(|event| {
        format!(
            "@{} {:?} run {} {:?} {}",
            event.offset,
            event.op(),
            event.run(),
            event.source("lsn"),
            event.after()
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

async fn check(
    ground: &Ground,
    capture: &Capture,
    stored: &HashMap<String, Stored>,
    expected: &Expected,
    kills: usize,
) -> Result<()> {
    for table in TABLES {
        let topic = ground.topic(table);
        let streamed = || capture.of(&topic).filter(|event| event.op() != "r");
        let entries =
            ledger::entries(streamed()).map_err(|problem| anyhow::anyhow!("{topic}: {problem}"))?;
        let findings = ledger::check(&entries, stored)
            .map_err(|problem| anyhow::anyhow!("{topic}: {problem}"))?;
        eprintln!(
            "{:?} {table}: {findings:?}, {} runs with a known start",
            ground.kind(),
            stored.len()
        );
        ensure!(
            findings.changes > kills,
            "{table}: only {} changes were made",
            findings.changes
        );
        // The worker was killed once more, at the beginning.
        ensure!(
            findings.replays <= kills + 1,
            "{table}: {} replays",
            findings.replays
        );
        if ground.kind() == LogKind::Embedded {
            ensure!(
                findings.duplicates == 0,
                "{table}: {} records are there twice",
                findings.duplicates
            );
        }
        let once = ledger::without_duplicates(streamed(), &entries);
        match table {
            "counter" => counters(ground, &once).await?,
            _ => history(&once, expected)?,
        }
    }
    Ok(())
}

/// Each counter counts up by one, to where it stands.
async fn counters(ground: &Ground, events: &[&Event]) -> Result<()> {
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    for event in events {
        let (id, n) = (event.key["id"].as_i64(), event.after()["n"].as_i64());
        let (Some(id), Some(n)) = (id, n) else {
            bail!("no counter: {event:?}")
        };
        let before = last.insert(id, n).unwrap_or(0);
        ensure!(
            n == before + 1,
            "counter {id}: {before} is followed by {n} at offset {}",
            event.offset
        );
    }
    for row in ground
        .sql
        .query("SELECT id::bigint, n FROM counter", &[])
        .await?
    {
        let (id, n): (i64, i64) = (row.get(0), row.get(1));
        ensure!(
            last.get(&id).copied().unwrap_or(0) == n,
            "counter {id} is {n}, the last event says {:?}",
            last.get(&id)
        );
    }
    Ok(())
}

/// Each row had exactly the changes that were committed, in their order, and no other row had any.
fn history(events: &[&Event], expected: &Expected) -> Result<()> {
    let mut seen: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for event in events.iter().filter(|event| !event.op().is_empty()) {
        seen.entry(format!("id={}", event.key["id"]))
            .or_default()
            .push(event.op());
    }
    for (key, operations) in expected {
        ensure!(
            seen.get(key) == Some(operations),
            "{key}: {operations:?} was committed, the topic has {:?}",
            seen.get(key)
        );
    }
    let foreign = seen.keys().find(|key| !expected.contains_key(*key));
    ensure!(
        foreign.is_none(),
        "{foreign:?} was rolled back and is in the topic"
    );
    Ok(())
}
