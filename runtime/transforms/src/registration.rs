use std::fmt;
use std::sync::Arc;

use millrace_api::config::{ConfigDef, ConnectConfig, Props};
use millrace_api::plugin::{PluginInfo, TaskError, Transform, TransformPlugin};

use crate::side::Side;

/// The Kafka release whose transforms these are: what `/connector-plugins` shows.
pub(crate) const KAFKA_VERSION: &str = "4.3.1";

/// Schemas kept ready by a transform. A Java worker keeps 16; a topic per table wants more.
pub(crate) const SCHEMAS: usize = 1024;

/// A transform that can be made from a configuration.
pub(crate) trait Configured: Transform + Sized + 'static {
    type Config: ConnectConfig;

    /// An instance for one half of records; transforms without halves do not look at `side`.
    fn new(config: Self::Config, side: Side) -> Result<Self, TaskError>;
}

type Create = fn(&Props, Side) -> Result<Box<dyn Transform>, TaskError>;

/// A transform under one class name.
struct Registration {
    info: PluginInfo,
    side: Side,
    definition: fn() -> &'static ConfigDef,
    create: Create,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info.class)
    }
}

impl TransformPlugin for Registration {
    fn info(&self) -> &PluginInfo {
        &self.info
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new((self.definition)().clone())
    }

    fn create(&self, props: &Props) -> Result<Box<dyn Transform>, TaskError> {
        (self.create)(props, self.side)
    }
}

fn register<T: Configured>(class: &'static str, side: Side) -> Arc<dyn TransformPlugin> {
    Arc::new(Registration {
        info: PluginInfo {
            class,
            version: KAFKA_VERSION,
        },
        side,
        definition: T::Config::definition,
        create: |props, side| Ok(Box::new(T::new(configured(props)?, side)?)),
    })
}

/// A transform of whole records.
pub(crate) fn one<T: Configured>(class: &'static str) -> Arc<dyn TransformPlugin> {
    register::<T>(class, Side::Value)
}

/// A transform of keys and one of values.
pub(crate) fn both_sides<T: Configured>(
    key: &'static str,
    value: &'static str,
) -> [Arc<dyn TransformPlugin>; 2] {
    [
        register::<T>(key, Side::Key),
        register::<T>(value, Side::Value),
    ]
}

/// Reads a configuration; the error lists all that is wrong.
pub(crate) fn configured<C: ConnectConfig>(props: &Props) -> Result<C, TaskError> {
    C::parse(props).map_err(|errors| TaskError::config("transform.config", errors.to_string()))
}
