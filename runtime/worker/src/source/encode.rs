//! Turns polled records into one batch for the producer, without an allocation per record.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use millrace_api::data::{Data, Headers, Record, SourceOffset, SourceRecord, Value};
use millrace_api::plugin::{
    DataError, Encoded, NeedsSchema, SourceBatch, Stage, TaskError, Verdict,
};
use millrace_log::{RecordBatch, TopicIndex};
use tokio_util::sync::CancellationToken;

use crate::errors::{Attempts, ErrorHandler, Outcome, Place};
use crate::pipeline::{Converters, TransformChain};

/// A batch that has grown to this size is written before more is encoded.
const FULL: usize = 8 << 20;

/// Where encoded and passed-over positions go, in order.
pub(super) trait Track {
    /// The next record of the batch.
    fn record(&mut self, partition: u32, offset: SourceOffset, bytes: u32);
    /// A position without a record.
    fn mark(&mut self, partition: u32, offset: SourceOffset);
}

/// How far [`Encoder::encode`] came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All of the polled batch is encoded.
    Done,
    /// The output is full: write it, then go on.
    Full,
    /// Told to stop.
    Cancelled,
}

/// Transforms and converts the records of one task.
#[derive(Debug)]
pub(super) struct Encoder {
    chain: TransformChain,
    converters: Converters,
    handler: ErrorHandler,
    known: HashSet<Arc<str>>,
    new_topics: Vec<Arc<str>>,
    headers: HeaderMemo,
    cursor: Cursor,
    progress: Vec<(usize, u32, SourceOffset)>,
    /// Records are kept as they were until their transforms have succeeded: for another try, or for the log.
    keep_original: bool,
    /// A topic that records must not go to.
    forbidden: Option<String>,
}

/// Where in the polled batch the encoder stands.
#[derive(Debug, Default)]
struct Cursor {
    started: bool,
    record: usize,
    progress: usize,
    transform: usize,
    attempts: Attempts,
    original: Option<Record>,
}

#[derive(Debug, Clone, Copy)]
enum Role {
    Key,
    Value,
}

/// Why the synchronous part stopped.
enum Step {
    Done,
    Full,
    Prepare(Role, NeedsSchema),
    Retry(Duration),
    Failed(TaskError),
}

/// Outcome of converting one record.
enum Converted {
    /// So many bytes were appended.
    Appended(u32),
    /// Something has to be done first.
    Stopped(Step),
}

impl Encoder {
    pub(super) fn new(
        chain: TransformChain,
        converters: Converters,
        handler: ErrorHandler,
        forbidden: Option<String>,
    ) -> Self {
        let policy = handler.policy();
        let keep_original = !chain.is_empty()
            && (policy.log_messages || policy.retry_timeout != Some(Duration::ZERO));
        Self {
            chain,
            converters,
            handler,
            known: HashSet::new(),
            new_topics: Vec::new(),
            headers: HeaderMemo::default(),
            cursor: Cursor::default(),
            progress: Vec::new(),
            keep_original,
            forbidden,
        }
    }

    /// Encodes records of `batch` into `out`, from where the last call stopped. After an error everything before the failed record has been encoded.
    pub(super) async fn encode(
        &mut self,
        batch: &mut SourceBatch,
        out: &mut Outbox,
        track: &mut (impl Track + Send),
        cancel: &CancellationToken,
    ) -> Result<Progress, TaskError> {
        if !self.cursor.started {
            self.cursor.started = true;
            self.progress.clear();
            self.progress.extend_from_slice(batch.progress());
        }
        loop {
            match self.advance(batch.records_mut(), out, track) {
                Step::Done => {
                    self.cursor = Cursor::default();
                    return Ok(Progress::Done);
                }
                Step::Full => return Ok(Progress::Full),
                Step::Retry(pause) => {
                    tokio::select! {
                        biased;
                        () = cancel.cancelled() => return Ok(Progress::Cancelled),
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                Step::Prepare(role, need) => {
                    let converter = match role {
                        Role::Key => &mut self.converters.key,
                        Role::Value => &mut self.converters.value,
                    };
                    let prepared = tokio::select! {
                        biased;
                        () = cancel.cancelled() => return Ok(Progress::Cancelled),
                        prepared = converter.prepare(need) => prepared,
                    };
                    if let Err(error) = prepared {
                        let (stage, class) = self.stage(role);
                        let record = &mut batch.records_mut()[self.cursor.record];
                        match self.failed(record, error, stage, class, track) {
                            None => {}
                            Some(Step::Retry(pause)) => {
                                tokio::select! {
                                    biased;
                                    () = cancel.cancelled() => return Ok(Progress::Cancelled),
                                    () = tokio::time::sleep(pause) => {}
                                }
                            }
                            Some(Step::Failed(error)) => return Err(error),
                            Some(_) => {}
                        }
                    }
                }
                Step::Failed(error) => return Err(error),
            }
        }
    }

    /// The errors' policy, for failures behind the encoder.
    pub(super) fn handler(&self) -> &ErrorHandler {
        &self.handler
    }

    /// Topics seen for the first time since the last call.
    pub(super) fn take_new_topics(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.new_topics)
    }

    fn stage(&self, role: Role) -> (Stage, &'static str) {
        match role {
            Role::Key => (Stage::KeyConverter, self.converters.key_class),
            Role::Value => (Stage::ValueConverter, self.converters.value_class),
        }
    }

    /// The record loop: no await, no lock, no clock.
    fn advance(
        &mut self,
        records: &mut [SourceRecord],
        out: &mut Outbox,
        track: &mut impl Track,
    ) -> Step {
        while let Some(record) = records.get_mut(self.cursor.record) {
            if out.batch.byte_size() >= FULL {
                return Step::Full;
            }
            self.pass_marks(self.cursor.record, track);
            if !self.chain.is_empty() {
                if self.keep_original && self.cursor.original.is_none() {
                    self.cursor.original = Some(record.record.clone());
                }
                match self
                    .chain
                    .apply(&mut record.record, &mut self.cursor.transform)
                {
                    Ok(Verdict::Keep) => {}
                    Ok(Verdict::Drop) => {
                        track.mark(record.source_partition, record.source_offset.clone());
                        self.next();
                        continue;
                    }
                    Err(failure) => {
                        // What a failed transform leaves behind is undefined: another try begins with the record as it was.
                        if let Some(original) = &self.cursor.original {
                            record.record = original.clone();
                            self.cursor.transform = 0;
                        }
                        match self.failed(
                            record,
                            failure.error,
                            Stage::Transformation,
                            failure.class,
                            track,
                        ) {
                            None => continue,
                            Some(step) => return step,
                        }
                    }
                }
            }
            match self.convert(&mut record.record, out) {
                Ok(Converted::Appended(bytes)) => {
                    track.record(record.source_partition, record.source_offset.clone(), bytes);
                    self.next();
                }
                Ok(Converted::Stopped(step)) => return step,
                Err((error, stage, class)) => {
                    if let Some(step) = self.failed(record, error, stage, class, track) {
                        return step;
                    }
                }
            }
        }
        self.pass_marks(usize::MAX, track);
        Step::Done
    }

    fn next(&mut self) {
        self.cursor.record += 1;
        self.cursor.transform = 0;
        self.cursor.attempts = Attempts::default();
        self.cursor.original = None;
    }

    fn pass_marks(&mut self, record: usize, track: &mut impl Track) {
        while let Some((_, partition, offset)) = self
            .progress
            .get(self.cursor.progress)
            .filter(|mark| mark.0 <= record)
        {
            track.mark(*partition, offset.clone());
            self.cursor.progress += 1;
        }
    }

    /// Converts one record and appends it. Unless it says so nothing was appended, and the record's headers are as they were.
    fn convert(
        &mut self,
        record: &mut Record,
        outbox: &mut Outbox,
    ) -> Result<Converted, (DataError, Stage, &'static str)> {
        let converters = &mut self.converters;
        let (known, new_topics) = (&mut self.known, &mut self.new_topics);
        let topic = outbox.index(&record.topic, |topic| {
            if known.insert(Arc::clone(topic)) {
                new_topics.push(Arc::clone(topic));
            }
        });
        if !self.new_topics.is_empty() && self.forbidden.as_deref() == Some(&*record.topic) {
            let message = "Source tasks may not produce to their own offsets topics when exactly-once support is enabled";
            return Ok(Converted::Stopped(Step::Failed(TaskError::fatal(
                "source.offsets-topic",
                message,
            ))));
        }
        let out = &mut outbox.batch;
        let timestamp = match record.timestamp {
            None => -1,
            Some(timestamp) if timestamp >= -1 => timestamp,
            Some(timestamp) => {
                let message = format!("Invalid record timestamp {timestamp}");
                return Ok(Converted::Stopped(Step::Failed(TaskError::fatal(
                    "source.timestamp",
                    message,
                ))));
            }
        };
        let given = record.headers.clone();
        if !given.is_empty() && !self.headers.holds(&given) {
            self.headers
                .fill(&record.topic, &given, converters)
                .map_err(|e| (e, Stage::HeaderConverter, converters.header_class))?;
        }
        let arena = out.begin();
        let before = arena.len();
        match converters
            .key
            .encode(&record.topic, &mut record.headers, &record.key, arena)
        {
            Ok(Encoded::Written) => out.end_key(true),
            Ok(Encoded::Null) => out.end_key(false),
            Ok(Encoded::NeedsSchema(need)) => {
                record.headers = given;
                return Ok(Converted::Stopped(Step::Prepare(Role::Key, need)));
            }
            Err(error) => {
                record.headers = given;
                return Err((error, Stage::KeyConverter, converters.key_class));
            }
        }
        match converters.value.encode(
            &record.topic,
            &mut record.headers,
            &record.value,
            out.arena(),
        ) {
            Ok(Encoded::Written) => out.end_value(true),
            Ok(Encoded::Null) => out.end_value(false),
            Ok(Encoded::NeedsSchema(need)) => {
                record.headers = given;
                return Ok(Converted::Stopped(Step::Prepare(Role::Value, need)));
            }
            Err(error) => {
                record.headers = given;
                return Err((error, Stage::ValueConverter, converters.value_class));
            }
        }
        if !given.is_empty() {
            self.headers.write(out);
        }
        if !record.headers.same_list(&given) {
            for header in record.headers.iter().skip(given.len()) {
                write_added(&record.topic, &header.name, &header.data, converters, out)
                    .map_err(|e| (e, Stage::HeaderConverter, converters.header_class))?;
            }
        }
        out.push(topic, record.partition.unwrap_or(-1), timestamp);
        Ok(Converted::Appended((out.byte_size() - before) as u32))
    }

    /// Handles a failure of the current record: `None` when the loop goes on, with the next record or with this one again.
    fn failed(
        &mut self,
        record: &SourceRecord,
        error: DataError,
        stage: Stage,
        class: &'static str,
        track: &mut impl Track,
    ) -> Option<Step> {
        let outcome = self.handler.failed(&error, &mut self.cursor.attempts);
        if let Outcome::Retry(pause) = outcome {
            return Some(Step::Retry(pause));
        }
        let shown = self.cursor.original.as_ref().unwrap_or(&record.record);
        self.handler
            .log(&error, Place { stage, class }, || describe(record, shown));
        if matches!(outcome, Outcome::Fail) {
            return Some(Step::Failed(ErrorHandler::tolerance_exceeded(error)));
        }
        track.mark(record.source_partition, record.source_offset.clone());
        self.next();
        None
    }
}

fn describe(record: &SourceRecord, shown: &Record) -> String {
    format!(
        "source record is = SourceRecord{{sourcePartition={}, sourceOffset={:?}}} ConnectRecord{{topic='{}', kafkaPartition={}, timestamp={}}}",
        record.source_partition,
        record.source_offset,
        shown.topic,
        shown.partition.map_or("null".to_owned(), |p| p.to_string()),
        shown.timestamp.map_or("null".to_owned(), |t| t.to_string()),
    )
}

/// Appends a header that a converter added: bytes as they are, anything else through the header converter.
fn write_added(
    topic: &str,
    name: &Arc<str>,
    data: &Data,
    converters: &mut Converters,
    out: &mut RecordBatch,
) -> Result<(), DataError> {
    if let Value::Bytes(bytes) = &data.value {
        out.header(name, Some(bytes));
        return Ok(());
    }
    let mut bytes = Vec::new();
    let present = converters.header.encode(topic, name, data, &mut bytes)?;
    out.header(name, present.then_some(&bytes[..]));
    Ok(())
}

/// Encoded records, with the indexes of their topics found by the pointer of the name: neighbouring records share it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The records.
    pub(super) batch: RecordBatch,
    last: Option<(Arc<str>, TopicIndex)>,
    by_name: HashMap<Arc<str>, TopicIndex>,
}

impl Outbox {
    /// The index of `topic` in this batch.
    #[inline]
    fn index(&mut self, topic: &Arc<str>, first_use: impl FnOnce(&Arc<str>)) -> TopicIndex {
        match &self.last {
            Some((last, index)) if Arc::ptr_eq(last, topic) => *index,
            _ => self.look_up(topic, first_use),
        }
    }

    fn look_up(&mut self, topic: &Arc<str>, first_use: impl FnOnce(&Arc<str>)) -> TopicIndex {
        let index = match self.by_name.get(topic) {
            Some(index) => *index,
            None => {
                first_use(topic);
                let index = self.batch.topic(topic);
                self.by_name.insert(Arc::clone(topic), index);
                index
            }
        };
        self.last = Some((Arc::clone(topic), index));
        index
    }
}

/// Name, and where the value's bytes lie; `None` is null.
type EncodedHeader = (Arc<str>, Option<(usize, usize)>);

/// The bytes of one list of headers: a snapshot or a heartbeat shares one list among all its records.
#[derive(Debug, Default)]
struct HeaderMemo {
    list: Headers,
    bytes: Vec<u8>,
    entries: Vec<EncodedHeader>,
}

impl HeaderMemo {
    fn holds(&self, headers: &Headers) -> bool {
        !self.list.is_empty() && self.list.same_list(headers)
    }

    fn fill(
        &mut self,
        topic: &str,
        headers: &Headers,
        converters: &mut Converters,
    ) -> Result<(), DataError> {
        self.list = Headers::new();
        self.bytes.clear();
        self.entries.clear();
        for header in headers {
            let start = self.bytes.len();
            let present =
                converters
                    .header
                    .encode(topic, &header.name, &header.data, &mut self.bytes)?;
            self.entries.push((
                Arc::clone(&header.name),
                present.then_some((start, self.bytes.len())),
            ));
        }
        self.list = headers.clone();
        Ok(())
    }

    fn write(&self, out: &mut RecordBatch) {
        for (name, place) in &self.entries {
            out.header(name, place.map(|(start, end)| &self.bytes[start..end]));
        }
    }
}
