use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::plugin::TaskError;
use millrace_log::SourceDiscipline;
use millrace_log::memory::{Fault, Faults, MemoryLog};

use super::SourceRunner;
use crate::fakes::{Dice, Row, ScriptedSource, TOPIC, Upstream, World, contents, plugins};
use crate::herder::{ConnectorType, TargetState};
use crate::stores::status::RunState;

fn paused_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("runtime")
}

fn changes(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:04}")).collect()
}

/// Runs the task once: until upstream has confirmed everything, the task fails, or `crash_after` has passed.
async fn run_once(
    log: &Arc<MemoryLog>,
    upstream: &Arc<Mutex<Upstream>>,
    seed: u64,
    props: &Props,
    crash_after: Option<Duration>,
) -> Result<(), TaskError> {
    let world = World::open(log, 0, ConnectorType::Source, &[]).await;
    let task = Box::new(ScriptedSource::new(log, upstream, seed, 5));
    let runner = SourceRunner::new(world.env.clone(), task, &plugins(), props, props.clone())
        .expect("configured");
    let cancel = world.env.cancel.clone();
    let mut job = tokio::spawn(runner.run());
    let all = upstream.lock().expect("lock").changes.len() as u64;
    let done = async {
        while upstream.lock().expect("lock").confirmed < all {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let crash = async {
        match crash_after {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        ended = &mut job => ended.expect("no panic"),
        () = crash => {
            job.abort();
            let _ = job.await;
            Ok(())
        }
        () = done => {
            cancel.cancel();
            job.await.expect("no panic")
        }
    };
    world.close();
    result
}

/// Restarts the task until everything is confirmed, as an operator would.
async fn run_to_the_end(
    log: &mut Arc<MemoryLog>,
    upstream: &Arc<Mutex<Upstream>>,
    seed: u64,
    props: &Props,
) -> Vec<Row> {
    let all = upstream.lock().expect("lock").changes.len() as u64;
    let mut dice = Dice::new(seed ^ 77);
    let mut runs = 0;
    while upstream.lock().expect("lock").confirmed < all {
        runs += 1;
        if runs > 30 {
            log.faults().clear();
        }
        assert!(runs < 60, "seed {seed}: no progress without faults");
        let crash =
            (runs <= 30 && dice.percent(50)).then(|| Duration::from_millis(dice.below(600)));
        let run = tokio::time::timeout(
            Duration::from_secs(600),
            run_once(log, upstream, seed.wrapping_add(runs), props, crash),
        )
        .await;
        if run.is_err() {
            let rows = contents(log, TOPIC).await;
            panic!(
                "seed {seed}: run {runs} hangs with {:?} and these rows: {rows:?}",
                upstream.lock().expect("lock").confirmed
            );
        }
        if dice.percent(30) {
            // The process died.
            *log = log.reopen();
        }
    }
    contents(log, TOPIC).await
}

fn faulty(faults: &Faults, kinds: &[(Fault, f64)]) {
    for (fault, p) in kinds {
        faults.probability(*fault, *p);
    }
}

/// I2, I3: nothing is lost, and what a reader of the latest values sees is in order per key.
#[test]
fn i2_i3_acked_prefix_loses_nothing_and_keeps_the_order_of_keys() {
    for seed in 0..500 {
        paused_runtime().block_on(async {
            let mut log = MemoryLog::with_discipline(seed, SourceDiscipline::AckedPrefix);
            faulty(
                &log.faults(),
                &[
                    (Fault::LostAck, 0.01),
                    (Fault::SendRetriable, 0.01),
                    (Fault::SendFatal, 0.005),
                    (Fault::QueueFull, 0.2),
                    (Fault::TableWriteFails, 0.1),
                    (Fault::TableWriteLostAck, 0.1),
                ],
            );
            let upstream = Arc::new(Mutex::new(Upstream {
                changes: changes(60),
                ..Upstream::default()
            }));
            let rows = run_to_the_end(&mut log, &upstream, seed, &Props::new()).await;
            let mut last: BTreeMap<String, usize> = BTreeMap::new();
            for (at, (_, value, _)) in rows.iter().enumerate() {
                last.insert(value.clone(), at);
            }
            assert_eq!(
                last.keys().cloned().collect::<Vec<_>>(),
                changes(60),
                "seed {seed}: all are there"
            );
            for key in 0..5 {
                let order: Vec<usize> = (key..60)
                    .step_by(5)
                    .map(|n| last[&format!("{n:04}")])
                    .collect();
                assert!(
                    order.is_sorted(),
                    "seed {seed}: key {key} out of order: {order:?}"
                );
            }
        });
    }
}

/// I4, I5: records and offsets are one: every change once, in order, whatever happens.
#[test]
fn i4_i5_atomic_writes_every_change_exactly_once() {
    for seed in 0..500 {
        paused_runtime().block_on(async {
            let mut log = MemoryLog::with_discipline(seed, SourceDiscipline::Atomic);
            faulty(
                &log.faults(),
                &[
                    (Fault::TransactionFails, 0.1),
                    (Fault::TransactionLostAck, 0.1),
                    (Fault::ProducerFenced, 0.03),
                    (Fault::TableWriteFails, 0.1),
                ],
            );
            let upstream = Arc::new(Mutex::new(Upstream {
                changes: changes(60),
                ..Upstream::default()
            }));
            let rows = run_to_the_end(&mut log, &upstream, seed, &Props::new()).await;
            let values: Vec<_> = rows.into_iter().map(|row| row.1).collect();
            assert_eq!(values, changes(60), "seed {seed}");
        });
    }
}

fn both(test: impl AsyncFn(Arc<MemoryLog>)) {
    for discipline in [SourceDiscipline::AckedPrefix, SourceDiscipline::Atomic] {
        paused_runtime().block_on(test(MemoryLog::with_discipline(1, discipline)));
    }
}

fn upstream(changes: &[&str]) -> Arc<Mutex<Upstream>> {
    Arc::new(Mutex::new(Upstream {
        changes: changes.iter().map(|c| (*c).to_owned()).collect(),
        ..Upstream::default()
    }))
}

#[test]
fn dropped_and_skipped_records_move_the_offset() {
    both(async |log| {
        let upstream = upstream(&["drop1", "a", "bad", "b", "flaky", "drop2"]);
        let props = Props::from_iter([
            ("transforms", "d"),
            ("transforms.d.type", "test.DropMarked"),
            ("errors.tolerance", "all"),
            ("errors.retry.timeout", "-1"),
        ]);
        run_once(&log, &upstream, 3, &props, None)
            .await
            .expect("runs");
        let values: Vec<_> = contents(&log, TOPIC)
            .await
            .into_iter()
            .map(|row| row.1)
            .collect();
        assert_eq!(values, ["a", "b", "flaky"]);
        assert_eq!(
            upstream.lock().expect("lock").confirmed,
            6,
            "also the last one, which made no record"
        );
    });
}

#[test]
fn an_intolerable_record_fails_the_task_behind_what_came_before_it() {
    both(async |log| {
        let upstream = upstream(&["a", "b", "bad", "c"]);
        let error = run_once(&log, &upstream, 3, &Props::new(), None)
            .await
            .expect_err("fails");
        assert_eq!(
            error.trace(),
            "org.apache.kafka.connect.errors.ConnectException: Tolerance exceeded in error handler\n\
             Caused by: org.apache.kafka.connect.errors.DataException: not convertible\nCaused by: bad text"
        );
        let values: Vec<_> = contents(&log, TOPIC)
            .await
            .into_iter()
            .map(|row| row.1)
            .collect();
        assert_eq!(values, ["a", "b"], "what came before is written");
        assert_eq!(
            upstream.lock().expect("lock").confirmed,
            2,
            "and its offset stored"
        );
        assert_eq!(upstream.lock().expect("lock").stops, 1);
    });
}

#[test]
fn a_paused_task_is_not_started_and_stops_polling() {
    both(async |log| {
        let world = World::open(&log, 0, ConnectorType::Source, &[]).await;
        world.target.send_replace(TargetState::Paused);
        let upstream = upstream(&["a", "b", "c"]);
        let task = Box::new(ScriptedSource::new(&log, &upstream, 1, 0));
        let runner = SourceRunner::new(
            world.env.clone(),
            task,
            &plugins(),
            &Props::new(),
            Props::new(),
        )
        .expect("configured");
        let job = tokio::spawn(runner.run());
        let state = || world.statuses.state().task("c", 0).map(|s| s.state);
        until(|| state() == Some(RunState::Paused)).await;
        assert_eq!(upstream.lock().expect("lock").starts, 0);
        world.target.send_replace(TargetState::Started);
        until(|| upstream.lock().expect("lock").confirmed == 3).await;
        assert_eq!(state(), Some(RunState::Running));
        world.target.send_replace(TargetState::Paused);
        until(|| state() == Some(RunState::Paused)).await;
        upstream.lock().expect("lock").changes.push("d".to_owned());
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(contents(&log, TOPIC).await.len(), 3);
        world.target.send_replace(TargetState::Started);
        until(|| upstream.lock().expect("lock").confirmed == 4).await;
        world.env.cancel.cancel();
        job.await.expect("no panic").expect("stops cleanly");
        let topics: Vec<_> = world
            .statuses
            .state()
            .topics("c")
            .map(str::to_owned)
            .collect();
        assert_eq!(topics, [TOPIC]);
        world.close();
    });
}

#[test]
fn topics_are_created_as_their_group_says() {
    both(async |log| {
        let upstream = upstream(&["a"]);
        let props = Props::from_iter([
            ("topic.creation.default.partitions", "3"),
            ("topic.creation.default.replication.factor", "1"),
        ]);
        run_once(&log, &upstream, 1, &props, None)
            .await
            .expect("runs");
        let made = millrace_log::Log::admin(&*log)
            .describe_topic(TOPIC)
            .await
            .expect("described")
            .expect("exists");
        assert_eq!(made.partitions, 3);
    });
}

/// Waits on the paused clock until `condition` holds.
async fn until(condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the condition never came"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// I4: while a task goes on trying, another one with its id takes over and writes; the first one gives up and has written nothing in between.
#[test]
fn i4_a_task_that_was_taken_over_from_writes_no_more() {
    paused_runtime().block_on(async {
        let log = MemoryLog::new(5);
        let first = upstream(&["a", "b"]);
        log.faults().script(Fault::TransactionFails, 1);
        let world = World::open(&log, 0, ConnectorType::Source, &[]).await;
        let task = Box::new(ScriptedSource::new(&log, &first, 1, 0));
        let runner = SourceRunner::new(
            world.env.clone(),
            task,
            &plugins(),
            &Props::new(),
            Props::new(),
        )
        .expect("configured");
        let zombie = tokio::spawn(runner.run());
        until(|| log.faults().injected(Fault::TransactionFails) == 1).await;
        // The zombie waits to try again; meanwhile its successor does the work.
        let second = upstream(&["a", "b", "c", "d", "e"]);
        run_once(&log, &second, 2, &Props::new(), None)
            .await
            .expect("runs");
        let ended = tokio::time::timeout(Duration::from_secs(60), zombie)
            .await
            .expect("gives up");
        let error = ended.expect("no panic").expect_err("fenced");
        assert_eq!(error.code, "source.fenced");
        let values: Vec<_> = contents(&log, TOPIC)
            .await
            .into_iter()
            .map(|row| row.1)
            .collect();
        assert_eq!(values, ["a", "b", "c", "d", "e"]);
        world.close();
    });
}
