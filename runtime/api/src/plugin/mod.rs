//! The contracts between the worker and its plugins.
//!
//! All traits are object-safe and work on batches: one dynamic call and at most one allocation per batch, none per record. A plugin gets time, offsets, metrics and
//! cancellation from its context and spawns nothing on its own account that outlives `stop`.
//!
//! # Who calls what, when
//!
//! The worker drives each task from one future: `start`, then `poll` (source) or `put` (sink) over and over, then `stop`. Calls to one task never overlap. Tasks of
//! one connector run at the same time, possibly on different workers. A call is never interrupted except by dropping its future when the worker gives up on a task
//! after `task.shutdown.graceful.timeout.ms`; methods that say "cancel-safe" may be dropped at any await and called again.

mod connector;
mod context;
mod converter;
mod error;
mod sink;
mod source;
mod transform;

pub use connector::{
    AlterOffsets, ConnectorContext, ExactlyOnceSupport, PluginInfo, SinkConnector,
    SinkConnectorPlugin, SourceConnector, SourceConnectorPlugin,
};
pub use context::{Clock, Gauge, OffsetReader, TaskId, TaskMetrics};
pub use converter::{
    Converter, ConverterPlugin, Decoded, Encoded, HeaderConverter, HeaderConverterPlugin,
    NeedsSchema,
};
pub use error::{DataError, ErrorKind, Stage, TaskError};
pub use sink::{ErrantRecordReporter, Offsets, SinkBatch, SinkTask, SinkTaskContext};
pub use source::{Poll, SourceBatch, SourceTask, SourceTaskContext, Watermark};
pub use transform::{Predicate, PredicatePlugin, Transform, TransformPlugin, Verdict};
