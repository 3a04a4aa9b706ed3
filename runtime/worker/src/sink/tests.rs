use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::plugin::{DataError, Offsets, SinkBatch, SinkTask, SinkTaskContext, TaskError};
use millrace_log::memory::{Fault, MemoryLog};
use millrace_log::{Log, NewTopic, ProducerOptions, RecordBatch};
use tokio::task::JoinHandle;

use super::SinkRunner;
use crate::fakes::{Dice, World, contents, plugins, text};
use crate::herder::{ConnectorType, TargetState};
use crate::stores::status::RunState;

const TOPIC: &str = "in";
const PARTITIONS: i32 = 4;

/// The other side: what was written, by original place, and what the tasks were told.
#[derive(Debug, Default)]
struct Target {
    /// Values by (partition, offset).
    written: BTreeMap<(i32, i64), String>,
    /// Values in the order in which they were accepted, by partition.
    order: BTreeMap<i32, Vec<i64>>,
    /// Which task has which partition open.
    open: BTreeMap<i32, u32>,
    batches: usize,
}

struct ScriptedSink {
    target: Arc<Mutex<Target>>,
    dice: Dice,
    failing: u64,
    context: Option<SinkTaskContext>,
    own: BTreeSet<i32>,
    /// Places of the batch that has to come again.
    expected: Option<Vec<(i32, i64)>>,
}

impl ScriptedSink {
    fn new(target: &Arc<Mutex<Target>>, seed: u64, failing: u64) -> Box<Self> {
        Box::new(Self {
            target: Arc::clone(target),
            dice: Dice::new(seed),
            failing,
            context: None,
            own: BTreeSet::new(),
            expected: None,
        })
    }
}

#[async_trait::async_trait]
impl SinkTask for ScriptedSink {
    async fn start(&mut self, context: SinkTaskContext, _props: &Props) -> Result<(), TaskError> {
        self.context = Some(context);
        Ok(())
    }

    async fn open(&mut self, partitions: &[(Arc<str>, i32)]) -> Result<(), TaskError> {
        let task = self.context.as_ref().expect("started").id.task;
        for (_, partition) in partitions {
            assert!(self.own.insert(*partition), "opened twice");
            self.target
                .lock()
                .expect("lock")
                .open
                .insert(*partition, task);
        }
        Ok(())
    }

    async fn put(&mut self, batch: &SinkBatch) -> Result<(), TaskError> {
        assert!(!batch.records.is_empty(), "never empty");
        let places: Vec<_> = batch
            .records
            .iter()
            .map(|r| (r.original_partition, r.offset))
            .collect();
        if let Some(expected) = self.expected.take() {
            let kept: Vec<_> = expected
                .into_iter()
                .filter(|(partition, _)| self.own.contains(partition))
                .collect();
            assert_eq!(
                places, kept,
                "the same batch comes again, without what was given back"
            );
        }
        for record in &batch.records {
            assert!(
                self.own.contains(&record.original_partition),
                "a record of a partition that is not open"
            );
            if text(&record.record.value.value).starts_with("poison") {
                let context = self.context.as_ref().expect("started");
                match &context.reporter {
                    Some(reporter) => {
                        reporter.report(record, DataError::new("cannot be written"))?
                    }
                    None => return Err(TaskError::fatal("test.poison", "poison")),
                }
            }
        }
        if self.dice.percent(10) {
            tokio::time::sleep(Duration::from_millis(self.dice.below(30))).await;
        }
        if self.dice.percent(self.failing) {
            self.expected = Some(places);
            return Err(TaskError::retriable("test.away", "the other side is away"));
        }
        let mut target = self.target.lock().expect("lock");
        target.batches += 1;
        for record in &batch.records {
            target.written.insert(
                (record.original_partition, record.offset),
                text(&record.record.value.value),
            );
            target
                .order
                .entry(record.original_partition)
                .or_default()
                .push(record.offset);
        }
        Ok(())
    }

    async fn pre_commit(&mut self, put_up_to: &Offsets) -> Result<Offsets, TaskError> {
        if self.dice.percent(self.failing / 4) {
            // The runner goes back, so whatever was pending is no more.
            self.expected = None;
            return Err(TaskError::retriable(
                "test.unsure",
                "cannot say what is durable",
            ));
        }
        Ok(put_up_to.clone())
    }

    async fn close(&mut self, partitions: &[(Arc<str>, i32)]) -> Result<(), TaskError> {
        let task = self.context.as_ref().expect("started").id.task;
        for (_, partition) in partitions {
            assert!(self.own.remove(partition), "closed what was not open");
            let mut target = self.target.lock().expect("lock");
            if target.open.get(partition) == Some(&task) {
                target.open.remove(partition);
            }
        }
        if self
            .expected
            .as_ref()
            .is_some_and(|e| e.iter().all(|(partition, _)| !self.own.contains(partition)))
        {
            self.expected = None;
        }
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), TaskError> {
        Ok(())
    }
}

fn paused_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("runtime")
}

async fn fill(log: &MemoryLog, values: &[String]) {
    let new = NewTopic {
        name: TOPIC.into(),
        partitions: PARTITIONS,
        replication_factor: 1,
        settings: Vec::new(),
    };
    log.admin().create_topic(&new).await.expect("created");
    append(log, values).await;
}

/// Appends values, number `n` to partition `n % 4`, each with a header.
async fn append(log: &MemoryLog, values: &[String]) {
    let mut batch = RecordBatch::new();
    let topic = batch.topic(TOPIC);
    let name: Arc<str> = "h".into();
    for (n, value) in values.iter().enumerate() {
        batch.begin().extend_from_slice(format!("k{n}").as_bytes());
        batch.end_key(true);
        batch.arena().extend_from_slice(value.as_bytes());
        batch.end_value(true);
        batch.header(&name, Some(b"own"));
        batch.push(topic, n as i32 % PARTITIONS, 1000 + n as i64);
    }
    let mut producer = log
        .producer(ProducerOptions::default())
        .await
        .expect("producer");
    let mut from = 0;
    while from < batch.len() {
        from += producer.send(&batch, from).expect("sent");
        producer.wait(Duration::from_millis(10)).await;
    }
    producer
        .flush(Duration::from_secs(10))
        .await
        .expect("flushed");
}

fn props(more: &[(&str, &str)]) -> Props {
    let mut props = Props::from_iter([
        ("topics", TOPIC),
        ("consumer.override.max.poll.records", "7"),
    ]);
    props.extend(more.iter().copied());
    props
}

struct Started {
    world: World,
    job: JoinHandle<Result<(), TaskError>>,
}

async fn start(
    log: &Arc<MemoryLog>,
    target: &Arc<Mutex<Target>>,
    task: u32,
    seed: u64,
    failing: u64,
    props: &Props,
) -> Started {
    let world = World::open(log, task, ConnectorType::Sink, &[]).await;
    let runner = SinkRunner::new(
        world.env.clone(),
        ScriptedSink::new(target, seed, failing),
        &plugins(),
        props,
        props.clone(),
    )
    .expect("configured");
    let job = tokio::spawn(runner.run());
    Started { world, job }
}

impl Started {
    async fn stop(self) -> Result<(), TaskError> {
        self.world.env.cancel.cancel();
        let result = self.job.await.expect("no panic");
        self.world.close();
        result
    }

    async fn crash(self) {
        self.job.abort();
        let _ = self.job.await;
        self.world.close();
    }
}

async fn committed(log: &MemoryLog) -> BTreeMap<i32, i64> {
    let offsets = log
        .admin()
        .group_offsets("connect-c")
        .await
        .expect("offsets");
    offsets
        .into_iter()
        .map(|o| (o.partition.partition, o.offset))
        .collect()
}

/// I1, I2, I3: with two tasks, rebalances, lost partitions, failing puts and commits, and crashes, every record is written, first in the order of its partition, and
/// nothing is committed that was not accepted.
#[test]
fn i1_i2_i3_a_sink_group_loses_nothing() {
    for seed in 0..500 {
        paused_runtime().block_on(async {
            let mut log = MemoryLog::new(seed);
            let values: Vec<String> = (0..80).map(|n| format!("v{n}")).collect();
            fill(&log, &values).await;
            for (fault, p) in [
                (Fault::Rebalance, 0.02),
                (Fault::LostPartitions, 0.01),
                (Fault::GroupCommitFails, 0.1),
                (Fault::GroupCommitLostAck, 0.1),
                (Fault::SlowRead, 0.1),
            ] {
                log.faults().probability(fault, p);
            }
            let target = Arc::new(Mutex::new(Target::default()));
            let mut dice = Dice::new(seed);
            let mut tasks = Vec::new();
            for round in 0.. {
                if round == 20 {
                    log.faults().clear();
                }
                assert!(round < 60, "seed {seed}: not everything arrived");
                let mut id = 0;
                tasks.retain(|task: &Started| !task.job.is_finished());
                while tasks.len() < 2 {
                    id += 1;
                    tasks.push(
                        start(
                            &log,
                            &target,
                            id,
                            seed.wrapping_mul(31) + round,
                            if round < 20 { 20 } else { 0 },
                            &props(&[]),
                        )
                        .await,
                    );
                }
                tokio::time::sleep(Duration::from_millis(100 + dice.below(900))).await;
                check_commits(&log, &target, seed).await;
                if target.lock().expect("lock").written.len() == values.len() && round > 3 {
                    break;
                }
                match dice.below(6) {
                    0 => tasks.swap_remove(0).crash().await,
                    1 => tasks.swap_remove(0).stop().await.expect("stops cleanly"),
                    2 => {
                        for task in tasks.drain(..) {
                            task.crash().await;
                        }
                        target.lock().expect("lock").open.clear();
                        log = log.reopen();
                    }
                    _ => {}
                }
            }
            log.faults().clear();
            for task in tasks {
                task.stop().await.expect("stops cleanly");
            }
            check_commits(&log, &target, seed).await;
            let target = std::mem::take(&mut *target.lock().expect("lock"));
            let written: BTreeSet<String> = target.written.values().cloned().collect();
            assert_eq!(written, values.iter().cloned().collect(), "seed {seed}");
            let mut places: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
            for (partition, offset) in places_of(&log).await {
                places.entry(partition).or_default().push(offset);
            }
            for (partition, offsets) in &target.order {
                let mut seen = BTreeSet::new();
                let firsts: Vec<i64> = offsets
                    .iter()
                    .copied()
                    .filter(|offset| seen.insert(*offset))
                    .collect();
                assert_eq!(
                    &firsts, &places[partition],
                    "seed {seed}: partition {partition} was skipped in or out of order: {offsets:?}"
                );
            }
        });
    }
}

/// No committed position is beyond the first record that was never accepted.
async fn check_commits(log: &MemoryLog, target: &Arc<Mutex<Target>>, seed: u64) {
    let commits = committed(log).await;
    let rows = places_of(log).await;
    let target = target.lock().expect("lock");
    for (partition, offset) in rows {
        if commits
            .get(&partition)
            .is_some_and(|committed| *committed > offset)
        {
            assert!(
                target.written.contains_key(&(partition, offset)),
                "seed {seed}: {partition}@{offset} is committed and was never accepted"
            );
        }
    }
}

/// Places of all records of the topic.
async fn places_of(log: &MemoryLog) -> Vec<(i32, i64)> {
    let partitions: Vec<_> = (0..PARTITIONS)
        .map(|n| millrace_log::TopicPartition::new(TOPIC, n))
        .collect();
    let ends = log.admin().offsets(&partitions).await.expect("offsets");
    let from = partitions.iter().map(|p| (p.clone(), -2)).collect();
    let mut reader = log
        .reader(millrace_log::ReaderOptions {
            client_id: "test".into(),
            from,
            settings: Vec::new(),
        })
        .await
        .expect("reader");
    let mut places = Vec::new();
    while reader
        .positions()
        .iter()
        .any(|(p, at)| ends[p.partition as usize].1 > *at)
    {
        let batch = reader
            .next(Duration::from_millis(10))
            .await
            .expect("records");
        places.extend(
            batch
                .records
                .iter()
                .map(|r| (batch.topic_partition(r).partition, r.offset)),
        );
    }
    places
}

/// Waits on the paused clock until `condition` holds.
async fn until(condition: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    while !condition().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the condition never came"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn values(values: &[&str]) -> Vec<String> {
    values.iter().map(|v| (*v).to_owned()).collect()
}

#[test]
fn a_record_that_cannot_be_read_goes_to_the_dead_letter_queue() {
    paused_runtime().block_on(async {
        let log = MemoryLog::new(1);
        fill(&log, &values(&["a", "bad", "drop", "d"])).await;
        let target = Arc::new(Mutex::new(Target::default()));
        let props = props(&[
            ("errors.tolerance", "all"),
            ("errors.deadletterqueue.topic.name", "dlq"),
            ("errors.deadletterqueue.topic.replication.factor", "1"),
            ("errors.deadletterqueue.context.headers.enable", "true"),
            ("transforms", "d"),
            ("transforms.d.type", "test.DropMarked"),
        ]);
        let started = start(&log, &target, 0, 1, 0, &props).await;
        until(async || committed(&log).await.len() == 4).await;
        started.stop().await.expect("stops cleanly");
        let written: Vec<_> = target.lock().expect("lock").written.values().cloned().collect();
        assert_eq!(written, ["a", "d"]);
        let rows = contents(&log, "dlq").await;
        assert_eq!(rows.len(), 1);
        let (key, value, headers) = &rows[0];
        assert_eq!((key.as_str(), value.as_str()), ("k1", "bad"));
        let offset = places_of(&log).await.into_iter().find(|(partition, _)| *partition == 1).expect("there").1.to_string();
        let expected = [
            ("h", "own"),
            ("__connect.errors.topic", TOPIC),
            ("__connect.errors.partition", "1"),
            ("__connect.errors.offset", offset.as_str()),
            ("__connect.errors.connector.name", "c"),
            ("__connect.errors.task.id", "0"),
            ("__connect.errors.stage", "VALUE_CONVERTER"),
            ("__connect.errors.class.name", "org.apache.kafka.connect.storage.StringConverter"),
            ("__connect.errors.exception.class.name", "org.apache.kafka.connect.errors.DataException"),
            ("__connect.errors.exception.message", "not convertible"),
            (
                "__connect.errors.exception.stacktrace",
                "org.apache.kafka.connect.errors.DataException: not convertible\nCaused by: bad text",
            ),
        ];
        assert_eq!(headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
    });
}

#[test]
fn without_tolerance_the_poison_record_is_reported_and_fails_the_task() {
    paused_runtime().block_on(async {
        let log = MemoryLog::new(1);
        fill(&log, &values(&["bad"])).await;
        let target = Arc::new(Mutex::new(Target::default()));
        let props = props(&[
            ("errors.deadletterqueue.topic.name", "dlq"),
            ("errors.deadletterqueue.topic.replication.factor", "1"),
        ]);
        let started = start(&log, &target, 0, 1, 0, &props).await;
        let error = started.job.await.expect("no panic").expect_err("fails");
        assert_eq!(error.message, "Tolerance exceeded in error handler");
        assert_eq!(contents(&log, "dlq").await.len(), 1);
        assert!(
            committed(&log).await.is_empty(),
            "its offset is not committed"
        );
    });
}

#[test]
fn i1_reported_records_are_in_the_queue_before_their_offsets_are_committed() {
    paused_runtime().block_on(async {
        let log = MemoryLog::new(1);
        fill(&log, &values(&["a", "poison", "c", "d"])).await;
        let target = Arc::new(Mutex::new(Target::default()));
        let base = [
            ("errors.deadletterqueue.topic.name", "dlq"),
            ("errors.deadletterqueue.topic.replication.factor", "1"),
        ];
        let tolerant = props(&[base[0], base[1], ("errors.tolerance", "all")]);
        let started = start(&log, &target, 0, 1, 0, &tolerant).await;
        until(async || committed(&log).await.contains_key(&1)).await;
        assert_eq!(contents(&log, "dlq").await.len(), 1);
        started.stop().await.expect("stops cleanly");

        append(&log, &values(&["poison"])).await;
        let started = start(&log, &target, 0, 1, 0, &props(&base)).await;
        let error = started.job.await.expect("no panic").expect_err("fails");
        assert!(
            error
                .trace()
                .contains("Tolerance exceeded in error handler"),
            "{}",
            error.trace()
        );
        assert_eq!(
            contents(&log, "dlq").await.len(),
            2,
            "reported all the same"
        );
    });
}

#[test]
fn a_paused_sink_keeps_its_partitions_and_gets_nothing() {
    paused_runtime().block_on(async {
        let log = MemoryLog::new(1);
        fill(&log, &values(&["a", "b", "c", "d"])).await;
        let target = Arc::new(Mutex::new(Target::default()));
        let started = start(&log, &target, 0, 1, 0, &props(&[])).await;
        let written = || target.lock().expect("lock").written.len();
        until(async || written() == 4).await;
        started.world.target.send_replace(TargetState::Paused);
        let state = || started.world.statuses.state().task("c", 0).map(|s| s.state);
        until(async || state() == Some(RunState::Paused)).await;
        assert_eq!(committed(&log).await.len(), 4, "a pause commits");
        append(&log, &values(&["e", "f", "g", "h"])).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(
            (
                written(),
                log.admin()
                    .group_members("connect-c")
                    .await
                    .expect("members")
            ),
            (4, 1)
        );
        started.world.target.send_replace(TargetState::Started);
        until(async || written() == 8).await;
        let topics: Vec<_> = started
            .world
            .statuses
            .state()
            .topics("c")
            .map(str::to_owned)
            .collect();
        assert_eq!(topics, [TOPIC]);
        started.stop().await.expect("stops cleanly");
    });
}
