//! Turns fetched records into a batch for `put`.

use std::sync::Arc;
use std::time::Duration;

use millrace_api::data::{
    Blob, Data, Frame, Header, Headers, Record, SinkRecord, TimestampType, Value,
};
use millrace_api::plugin::{DataError, Decoded, NeedsSchema, SinkBatch, Stage, TaskError, Verdict};
use millrace_log::{FetchBatch, FetchedRecord};
use tokio_util::sync::CancellationToken;

use crate::errors::{Attempts, DeadLetters, ErrorHandler, OriginalRecord, Outcome, Place};
use crate::pipeline::{Converters, TransformChain};

/// Converts and transforms the records of one task.
#[derive(Debug)]
pub(super) struct Decoder {
    chain: TransformChain,
    converters: Converters,
    handler: ErrorHandler,
}

#[derive(Debug, Clone, Copy)]
enum Role {
    Key,
    Value,
}

enum Step {
    Done,
    Prepare(Role, NeedsSchema),
    Failed(Failure),
}

struct Failure {
    error: DataError,
    stage: Stage,
    class: &'static str,
}

impl Decoder {
    pub(super) fn new(
        chain: TransformChain,
        converters: Converters,
        handler: ErrorHandler,
    ) -> Self {
        Self {
            chain,
            converters,
            handler,
        }
    }

    pub(super) fn handler(&self) -> &ErrorHandler {
        &self.handler
    }

    /// Appends the records of `fetch` to `out`. Records that fail go to `dead` and are left out, or fail the task, as `errors.*` says. `false`: told to stop.
    pub(super) async fn decode(
        &mut self,
        fetch: &FetchBatch,
        out: &mut SinkBatch,
        dead: &mut Option<DeadLetters>,
        cancel: &CancellationToken,
    ) -> Result<bool, TaskError> {
        let frame = Frame::new(fetch.data.clone());
        let mut at = 0;
        let mut attempts = Attempts::default();
        loop {
            let failure = match self.advance(fetch, &frame, &mut at, &mut attempts, out) {
                Step::Done => return Ok(true),
                Step::Prepare(role, need) => {
                    let (converter, stage, class) = match role {
                        Role::Key => (
                            &mut self.converters.key,
                            Stage::KeyConverter,
                            self.converters.key_class,
                        ),
                        Role::Value => (
                            &mut self.converters.value,
                            Stage::ValueConverter,
                            self.converters.value_class,
                        ),
                    };
                    let prepared = tokio::select! {
                        biased;
                        () = cancel.cancelled() => return Ok(false),
                        prepared = converter.prepare(need) => prepared,
                    };
                    match prepared {
                        Ok(()) => continue,
                        Err(error) => Failure {
                            error,
                            stage,
                            class,
                        },
                    }
                }
                Step::Failed(failure) => failure,
            };
            let record = &fetch.records[at];
            let outcome = self.handler.failed(&failure.error, &mut attempts);
            if let Outcome::Retry(pause) = outcome {
                if !sleep(pause, cancel).await {
                    return Ok(false);
                }
                continue;
            }
            let place = Place {
                stage: failure.stage,
                class: failure.class,
            };
            self.handler
                .log(&failure.error, place, || describe(fetch, record));
            if let Some(dead) = dead {
                dead.add(&original(fetch, record), &failure.error, place, false);
            }
            if matches!(outcome, Outcome::Fail) {
                return Err(ErrorHandler::tolerance_exceeded(failure.error));
            }
            at += 1;
            attempts = Attempts::default();
        }
    }

    /// The record loop: no await, no lock, no clock.
    fn advance(
        &mut self,
        fetch: &FetchBatch,
        frame: &Frame,
        at: &mut usize,
        attempts: &mut Attempts,
        out: &mut SinkBatch,
    ) -> Step {
        while let Some(fetched) = fetch.records.get(*at) {
            match self.convert(fetch, frame, fetched) {
                Ok(Converted::Record(mut record)) => {
                    // Another try decodes anew, so a transform never sees what a failed one has left.
                    match self.chain.apply(&mut record.record, &mut 0) {
                        Ok(Verdict::Keep) => out.records.push(record),
                        Ok(Verdict::Drop) => {}
                        Err(failure) => {
                            return Step::Failed(Failure {
                                error: failure.error,
                                stage: Stage::Transformation,
                                class: failure.class,
                            });
                        }
                    }
                    *at += 1;
                    *attempts = Attempts::default();
                }
                Ok(Converted::NeedsSchema(role, need)) => return Step::Prepare(role, need),
                Err(failure) => return Step::Failed(failure),
            }
        }
        Step::Done
    }

    fn convert(
        &mut self,
        fetch: &FetchBatch,
        frame: &Frame,
        fetched: &FetchedRecord,
    ) -> Result<Converted, Failure> {
        let converters = &mut self.converters;
        let partition = fetch.topic_partition(fetched);
        let blob = |range: Option<&std::ops::Range<u32>>| {
            range.and_then(|r| frame.slice(r.start, r.end - r.start))
        };
        let raw: Headers = fetch
            .headers(fetched)
            .map(|(name, value)| Header {
                name: Arc::clone(name),
                data: raw_header(blob(value)),
            })
            .collect();
        let fail = |stage, class| {
            move |error| Failure {
                error,
                stage,
                class,
            }
        };
        let key = blob(fetched.key.as_ref());
        let key = match converters
            .key
            .decode(&partition.topic, &raw, key.as_ref())
            .map_err(fail(Stage::KeyConverter, converters.key_class))?
        {
            Decoded::Data(data) => data,
            Decoded::NeedsSchema(need) => return Ok(Converted::NeedsSchema(Role::Key, need)),
        };
        let value = blob(fetched.value.as_ref());
        let value = match converters
            .value
            .decode(&partition.topic, &raw, value.as_ref())
            .map_err(fail(Stage::ValueConverter, converters.value_class))?
        {
            Decoded::Data(data) => data,
            Decoded::NeedsSchema(need) => return Ok(Converted::NeedsSchema(Role::Value, need)),
        };
        let headers = if raw.is_empty() {
            raw
        } else {
            let converted: Result<Headers, DataError> = raw
                .iter()
                .map(|header| {
                    let bytes = match &header.data.value {
                        Value::Bytes(bytes) => Some(bytes),
                        _ => None,
                    };
                    let data = converters
                        .header
                        .decode(&partition.topic, &header.name, bytes)?;
                    Ok(Header {
                        name: Arc::clone(&header.name),
                        data,
                    })
                })
                .collect();
            converted.map_err(fail(Stage::HeaderConverter, converters.header_class))?
        };
        Ok(Converted::Record(SinkRecord {
            record: Record {
                topic: Arc::clone(&partition.topic),
                partition: Some(partition.partition),
                timestamp: (fetched.timestamp != -1).then_some(fetched.timestamp),
                key,
                value,
                headers,
            },
            original_topic: Arc::clone(&partition.topic),
            original_partition: partition.partition,
            offset: fetched.offset,
            timestamp_type: match fetched.timestamp_type {
                millrace_log::TimestampType::None => TimestampType::None,
                millrace_log::TimestampType::CreateTime => TimestampType::CreateTime,
                millrace_log::TimestampType::LogAppendTime => TimestampType::LogAppendTime,
            },
        }))
    }
}

#[allow(clippy::large_enum_variant)] // made and taken apart at once, per record: a box would cost an allocation
enum Converted {
    Record(SinkRecord),
    NeedsSchema(Role, NeedsSchema),
}

fn raw_header(bytes: Option<Blob>) -> Data {
    bytes.map_or(Data::NONE, Data::schemaless)
}

/// Sleeps; `false`: told to stop meanwhile.
async fn sleep(pause: Duration, cancel: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = cancel.cancelled() => false,
        () = tokio::time::sleep(pause) => true,
    }
}

/// A fetched record as the dead letter queue takes it.
pub(super) fn original<'a>(fetch: &'a FetchBatch, record: &'a FetchedRecord) -> OriginalRecord<'a> {
    let partition = fetch.topic_partition(record);
    OriginalRecord {
        topic: &partition.topic,
        partition: partition.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key: fetch.key(record),
        value: fetch.value(record),
        headers: fetch
            .headers(record)
            .map(|(name, value)| (Arc::clone(name), value.map(|range| fetch.slice(range))))
            .collect(),
    }
}

/// What the log says about a record: its place, never its content.
pub(super) fn describe(fetch: &FetchBatch, record: &FetchedRecord) -> String {
    let partition = fetch.topic_partition(record);
    let time = match record.timestamp_type {
        millrace_log::TimestampType::None => String::new(),
        millrace_log::TimestampType::CreateTime => {
            format!(", timestamp={}, timestampType=CreateTime", record.timestamp)
        }
        millrace_log::TimestampType::LogAppendTime => format!(
            ", timestamp={}, timestampType=LogAppendTime",
            record.timestamp
        ),
    };
    format!(
        "consumed record is {{topic='{}', partition={}, offset={}{time}}}",
        partition.topic, partition.partition, record.offset
    )
}
