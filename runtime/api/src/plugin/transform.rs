use std::sync::Arc;

use super::{DataError, PluginInfo, TaskError};
use crate::config::{ConfigDef, Props};
use crate::data::Record;

/// What becomes of a record after a transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Keep,
    /// It is dropped; its offset still counts as done.
    Drop,
}

/// Changes records one at a time. One instance per task: it may keep what it compiled per schema, and must not depend on records it saw before.
pub trait Transform: Send {
    /// Changes `record` in place. After an error the record's content is undefined: the worker reports the original bytes (sink) or fails (source).
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, DataError>;
}

/// Decides whether a transform is applied to a record.
pub trait Predicate: Send {
    /// Whether it holds.
    fn test(&mut self, record: &Record) -> Result<bool, DataError>;
}

/// A kind of transform, as registered under its Java class name.
pub trait TransformPlugin: Send + Sync {
    /// Class, aliases, version.
    fn info(&self) -> &PluginInfo;
    /// Its configuration keys, without prefix.
    fn config(&self) -> Arc<ConfigDef>;
    /// A configured instance; `props` without the `transforms.<alias>.` prefix.
    fn create(&self, props: &Props) -> Result<Box<dyn Transform>, TaskError>;
}

/// A kind of predicate.
pub trait PredicatePlugin: Send + Sync {
    /// Class, aliases, version.
    fn info(&self) -> &PluginInfo;
    /// Its configuration keys, without prefix.
    fn config(&self) -> Arc<ConfigDef>;
    /// A configured instance; `props` without the `predicates.<alias>.` prefix.
    fn create(&self, props: &Props) -> Result<Box<dyn Predicate>, TaskError>;
}
