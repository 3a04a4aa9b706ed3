//! What the tests of the runners share: a small world around one task, and plugins that do what a seed says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_api::config::{ConfigDef, Props};
use millrace_api::data::{
    Blob, Data, Headers, OffsetMap, OffsetValue, Record, SourceOffset, SourceRecord, Value,
};
use millrace_api::plugin::{
    Converter, ConverterPlugin, DataError, Decoded, Encoded, HeaderConverter,
    HeaderConverterPlugin, PluginInfo, Poll, SourceBatch, SourceTask, SourceTaskContext, TaskError,
    TaskId, Transform, TransformPlugin, Verdict, Watermark,
};
use millrace_log::memory::MemoryLog;
use millrace_log::{Log, ReaderOptions, TopicPartition};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::herder::{ConnectorType, TargetState};
use crate::metrics::TaskMeter;
use crate::plugins::PluginRegistry;
use crate::stores::TableStore;
use crate::stores::offset::OffsetStore;
use crate::stores::status::StatusStore;
use crate::task::{TaskEnv, TaskStatus};
use crate::worker_config::WorkerConfig;

/// A small generator of reproducible numbers.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn percent(&mut self, p: u64) -> bool {
        self.below(100) < p
    }
}

/// Text as its bytes. A value that begins with `bad` cannot be converted; one that begins with `flaky` only at the third try.
#[derive(Debug, Default)]
struct TextConverter {
    tries: u32,
}

impl TextConverter {
    fn check(&mut self, text: &[u8]) -> Result<(), DataError> {
        if text.starts_with(b"bad") {
            return Err(
                DataError::new("not convertible").with_source(std::io::Error::other("bad text"))
            );
        }
        if text.starts_with(b"flaky") {
            self.tries += 1;
            if !self.tries.is_multiple_of(3) {
                return Err(DataError::new("not yet").retriable());
            }
        }
        Ok(())
    }
}

impl Converter for TextConverter {
    fn encode(
        &mut self,
        _topic: &str,
        _headers: &mut Headers,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, DataError> {
        let Some(text) = data.value.as_str() else {
            return Ok(Encoded::Null);
        };
        out.extend_from_slice(text.as_bytes());
        self.check(text.as_bytes())?;
        Ok(Encoded::Written)
    }

    fn decode(
        &mut self,
        _topic: &str,
        _headers: &Headers,
        bytes: Option<&Blob>,
    ) -> Result<Decoded, DataError> {
        let Some(bytes) = bytes else {
            return Ok(Decoded::Data(Data::NONE));
        };
        self.check(bytes)?;
        let text = bytes
            .clone()
            .into_text()
            .ok_or_else(|| DataError::new("not UTF-8"))?;
        Ok(Decoded::Data(Data::schemaless(text)))
    }
}

impl HeaderConverter for TextConverter {
    fn encode(
        &mut self,
        _topic: &str,
        _name: &str,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<bool, DataError> {
        out.extend_from_slice(data.value.as_str().unwrap_or_default().as_bytes());
        Ok(!data.value.is_null())
    }

    fn decode(
        &mut self,
        _topic: &str,
        _name: &str,
        bytes: Option<&Blob>,
    ) -> Result<Data, DataError> {
        Ok(bytes
            .cloned()
            .and_then(Blob::into_text)
            .map_or(Data::NONE, Data::schemaless))
    }
}

#[derive(Debug)]
struct TextPlugin(PluginInfo);

impl ConverterPlugin for TextPlugin {
    fn info(&self) -> &PluginInfo {
        &self.0
    }
    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(ConfigDef::new())
    }
    fn create(&self, _props: &Props, _is_key: bool) -> Result<Box<dyn Converter>, TaskError> {
        Ok(Box::new(TextConverter::default()))
    }
}

impl HeaderConverterPlugin for TextPlugin {
    fn info(&self) -> &PluginInfo {
        &self.0
    }
    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(ConfigDef::new())
    }
    fn create(&self, _props: &Props) -> Result<Box<dyn HeaderConverter>, TaskError> {
        Ok(Box::new(TextConverter::default()))
    }
}

/// Drops records whose value begins with `drop`.
#[derive(Debug)]
struct DropPlugin(PluginInfo);

impl TransformPlugin for DropPlugin {
    fn info(&self) -> &PluginInfo {
        &self.0
    }
    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(ConfigDef::new())
    }
    fn create(&self, _props: &Props) -> Result<Box<dyn Transform>, TaskError> {
        struct Drop;
        impl Transform for Drop {
            fn apply(&mut self, record: &mut Record) -> Result<Verdict, DataError> {
                let drop = record
                    .value
                    .value
                    .as_str()
                    .is_some_and(|text| text.starts_with("drop"));
                Ok(if drop { Verdict::Drop } else { Verdict::Keep })
            }
        }
        Ok(Box::new(Drop))
    }
}

/// Text converters under the names of Java's string converters, and a transform `test.DropMarked`.
pub(crate) fn plugins() -> PluginRegistry {
    let mut plugins = PluginRegistry::new();
    let info = || PluginInfo {
        class: "org.apache.kafka.connect.storage.StringConverter",
        version: "1",
    };
    plugins.converter(Arc::new(TextPlugin(info())));
    let header = PluginInfo {
        class: "org.apache.kafka.connect.storage.SimpleHeaderConverter",
        version: "1",
    };
    plugins.header_converter(Arc::new(TextPlugin(header)));
    plugins.transform(Arc::new(DropPlugin(PluginInfo {
        class: "test.DropMarked",
        version: "1",
    })));
    plugins
}

/// Worker properties with short intervals.
pub(crate) fn worker_config(more: &[(&str, &str)]) -> WorkerConfig {
    let mut props = Props::from_iter([
        ("key.converter", "String"),
        ("value.converter", "String"),
        ("offset.flush.interval.ms", "200"),
        ("offset.flush.timeout.ms", "2000"),
        ("millrace.source.max.in.flight.records", "16"),
        ("offset.storage.partitions", "1"),
        ("status.storage.partitions", "1"),
    ]);
    props.extend(more.iter().copied());
    WorkerConfig::parse(props).expect("a worker's configuration")
}

/// The surroundings of one task on a log, as a worker makes them.
pub(crate) struct World {
    pub(crate) env: TaskEnv,
    pub(crate) statuses: Arc<StatusStore>,
    pub(crate) target: watch::Sender<TargetState>,
    root: CancellationToken,
}

impl World {
    pub(crate) async fn open(
        log: &Arc<MemoryLog>,
        task: u32,
        kind: ConnectorType,
        config: &[(&str, &str)],
    ) -> Self {
        let worker = Arc::new(worker_config(config));
        let root = CancellationToken::new();
        let offsets = TableStore::open(&**log, worker.offset_table(), root.clone())
            .await
            .expect("offset topic");
        let statuses = TableStore::open(&**log, worker.status_table(), root.clone())
            .await
            .expect("status topic");
        let statuses = StatusStore::start(statuses, root.clone());
        let (target, receiver) = watch::channel(TargetState::Started);
        let id = TaskId {
            connector: "c".into(),
            task,
        };
        let meter = TaskMeter::detached(kind);
        let clock = Arc::new(SystemClock);
        let status = TaskStatus::new(
            Arc::clone(&statuses),
            id.clone(),
            "w:1".into(),
            "1",
            Arc::clone(&meter),
            clock.clone(),
            true,
        );
        let env = TaskEnv {
            id,
            log: Arc::clone(log) as _,
            offsets: Arc::new(OffsetStore::new(offsets)),
            status,
            meter,
            clock,
            cancel: root.child_token(),
            target: receiver,
            worker,
        };
        Self {
            env,
            statuses,
            target,
            root,
        }
    }

    /// Ends everything in the background.
    pub(crate) fn close(self) {
        self.root.cancel();
    }
}

/// All (key, value, header names and values) of a topic, in order per partition.
pub(crate) type Row = (String, String, Vec<(String, String)>);

/// Reads a topic to its end.
pub(crate) async fn contents(log: &MemoryLog, topic: &str) -> Vec<Row> {
    let Some(description) = log.admin().describe_topic(topic).await.expect("described") else {
        return Vec::new();
    };
    let partitions: Vec<_> = (0..description.partitions)
        .map(|n| TopicPartition::new(topic, n))
        .collect();
    let ends = log.admin().offsets(&partitions).await.expect("offsets");
    let from = partitions.iter().map(|p| (p.clone(), -2)).collect();
    let mut reader = log
        .reader(ReaderOptions {
            client_id: "test".into(),
            from,
            settings: Vec::new(),
        })
        .await
        .expect("reader");
    let mut rows = Vec::new();
    loop {
        let behind = reader.positions().iter().any(|(p, at)| {
            ends[p.partition as usize].1 > *at
                && ends[p.partition as usize].1 > ends[p.partition as usize].0
        });
        if !behind {
            return rows;
        }
        let batch = reader
            .next(Duration::from_millis(10))
            .await
            .expect("records");
        for record in &batch.records {
            let text = |bytes: Option<&[u8]>| {
                bytes.map_or("null".to_owned(), |b| {
                    String::from_utf8_lossy(b).into_owned()
                })
            };
            let headers = batch
                .headers(record)
                .map(|(n, v)| (n.to_string(), text(v.map(|r| batch.slice(r)))))
                .collect();
            rows.push((text(batch.key(record)), text(batch.value(record)), headers));
        }
    }
}

/// What stands behind [`ScriptedSource`]: a sequence of numbered changes that outlives the task, and what the task was told.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    /// Values of the changes, by number.
    pub(crate) changes: Vec<String>,
    /// The change up to which upstream was told that it may forget.
    pub(crate) confirmed: u64,
    /// Times a task was started.
    pub(crate) starts: u32,
    /// Times it was stopped.
    pub(crate) stops: u32,
}

/// Sends changes from where the stored offset says, in batches, errors and pauses that dice decide. Change `n` goes to partition `n % 2` of the source, under key
/// `n % 5`.
pub(crate) struct ScriptedSource {
    pub(crate) upstream: Arc<Mutex<Upstream>>,
    pub(crate) dice: Dice,
    /// Percent of polls that fail.
    pub(crate) failing: u64,
    pub(crate) log: Arc<MemoryLog>,
    next: u64,
    context: Option<SourceTaskContext>,
}

pub(crate) const TOPIC: &str = "changes";

impl ScriptedSource {
    pub(crate) fn new(
        log: &Arc<MemoryLog>,
        upstream: &Arc<Mutex<Upstream>>,
        seed: u64,
        failing: u64,
    ) -> Self {
        Self {
            upstream: Arc::clone(upstream),
            dice: Dice::new(seed),
            failing,
            log: Arc::clone(log),
            next: 0,
            context: None,
        }
    }

    pub(crate) fn partition() -> OffsetMap {
        OffsetMap::from_iter([("server".to_owned(), OffsetValue::from("s"))])
    }
}

#[async_trait::async_trait]
impl SourceTask for ScriptedSource {
    async fn start(&mut self, context: SourceTaskContext, _props: &Props) -> Result<(), TaskError> {
        let stored = context.offsets.offset(&Self::partition()).await?;
        self.next = stored
            .and_then(|offset| offset["n"].as_i64())
            .map_or(0, |n| n as u64);
        let confirmed = self.upstream.lock().expect("lock").confirmed;
        assert!(
            confirmed <= self.next,
            "I1: upstream may have forgotten change {} that must be sent again from {}",
            confirmed,
            self.next
        );
        let mut upstream = self.upstream.lock().expect("lock");
        upstream.starts += 1;
        // What is stored when a task starts needs no confirmation.
        upstream.confirmed = self.next;
        drop(upstream);
        self.context = Some(context);
        Ok(())
    }

    async fn poll(&mut self, out: &mut SourceBatch) -> Result<Poll, TaskError> {
        if self.dice.percent(10) {
            tokio::time::sleep(Duration::from_millis(self.dice.below(50))).await;
        }
        if self.dice.percent(self.failing) {
            return Err(TaskError::retriable("test.away", "upstream is away"));
        }
        let partition = out.partition(&Self::partition());
        let count = 1 + self.dice.below(7);
        for _ in 0..count {
            let Some(change) = self
                .upstream
                .lock()
                .expect("lock")
                .changes
                .get(self.next as usize)
                .cloned()
            else {
                break;
            };
            let record = Record {
                topic: TOPIC.into(),
                partition: None,
                timestamp: None,
                key: Data::schemaless(format!("k{}", self.next % 5).as_str()),
                value: Data::schemaless(change.as_str()),
                headers: Headers::new(),
            };
            self.next += 1;
            let source_offset = SourceOffset::Packed([self.next, 0, 0, 0, 0]);
            out.push(
                SourceRecord {
                    record,
                    source_partition: partition,
                    source_offset,
                },
                10,
            );
        }
        if out.is_empty() {
            tokio::time::sleep(
                self.context
                    .as_ref()
                    .map_or(Duration::from_millis(100), |c| c.poll_timeout),
            )
            .await;
            return Ok(Poll::Idle);
        }
        Ok(Poll::Ready)
    }

    async fn committed(&mut self, watermark: &Watermark) -> Result<(), TaskError> {
        let offset = watermark.offsets[0].1["n"].as_i64().expect("number") as u64;
        // I1: what is confirmed is in the log, and so is its offset.
        let written: BTreeMap<String, ()> = contents(&self.log, TOPIC)
            .await
            .into_iter()
            .map(|row| (row.1, ()))
            .collect();
        for n in 0..offset {
            let change = self.upstream.lock().expect("lock").changes[n as usize].clone();
            let left_out = change.starts_with("drop") || change.starts_with("bad");
            assert!(
                left_out || written.contains_key(&change),
                "I1: {change} was confirmed and is not in the log"
            );
        }
        let context = self.context.clone().expect("started");
        let stored = context
            .offsets
            .offset(&Self::partition())
            .await?
            .and_then(|o| o["n"].as_i64())
            .unwrap_or(0) as u64;
        assert!(
            stored >= offset,
            "I1: {offset} was confirmed and {stored} is stored"
        );
        let mut upstream = self.upstream.lock().expect("lock");
        assert!(offset >= upstream.confirmed, "a watermark went back");
        upstream.confirmed = offset;
        Ok(())
    }

    fn render_offset(&self, packed: &[u64; 5]) -> OffsetMap {
        OffsetMap::from_iter([("n".to_owned(), OffsetValue::Int(packed[0] as i64))])
    }

    async fn stop(&mut self) -> Result<(), TaskError> {
        self.upstream.lock().expect("lock").stops += 1;
        Ok(())
    }
}

/// `Value` of a header or a record as text.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or("null").to_owned()
}
