//! A record's way between plugin and log: transforms and converters, with every failure handled as `errors.*` says.

use std::fmt;

use millrace_api::config::Props;
use millrace_api::data::Record;
use millrace_api::plugin::{
    Converter, DataError, HeaderConverter, Predicate, TaskError, Transform, Verdict,
};

use crate::connector_config::ConnectorKeys;
use crate::plugins::PluginRegistry;
use crate::worker_config::WorkerConfig;

/// A transform with the condition under which it is applied.
pub(crate) struct TransformStep {
    /// Java class, for reports.
    class: &'static str,
    transform: Box<dyn Transform>,
    predicate: Option<PredicateStep>,
}

struct PredicateStep {
    class: &'static str,
    predicate: Box<dyn Predicate>,
    negate: bool,
}

/// The transforms of a connector in order.
pub(crate) struct TransformChain(Vec<TransformStep>);

/// A transform that failed: which class, and why.
#[derive(Debug)]
pub(crate) struct StepError {
    pub(crate) class: &'static str,
    pub(crate) error: DataError,
}

impl TransformChain {
    /// Makes the transforms that `transforms` names.
    pub(crate) fn create(
        plugins: &PluginRegistry,
        props: &Props,
        keys: &ConnectorKeys,
    ) -> Result<Self, TaskError> {
        keys.transforms
            .iter()
            .map(|alias| step(plugins, props, keys, alias))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies the transforms from number `from` on. After an error, `from` says which one failed: the ones before it are not applied again.
    #[inline]
    pub(crate) fn apply(
        &mut self,
        record: &mut Record,
        from: &mut usize,
    ) -> Result<Verdict, StepError> {
        while let Some(step) = self.0.get_mut(*from) {
            if let Some(condition) = &mut step.predicate {
                let holds = condition
                    .predicate
                    .test(record)
                    .map_err(|error| StepError {
                        class: condition.class,
                        error,
                    })?;
                if holds == condition.negate {
                    *from += 1;
                    continue;
                }
            }
            match step.transform.apply(record) {
                Ok(Verdict::Keep) => *from += 1,
                Ok(Verdict::Drop) => return Ok(Verdict::Drop),
                Err(error) => {
                    return Err(StepError {
                        class: step.class,
                        error,
                    });
                }
            }
        }
        Ok(Verdict::Keep)
    }
}

impl fmt::Debug for TransformChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|step| step.class))
            .finish()
    }
}

fn step(
    plugins: &PluginRegistry,
    props: &Props,
    keys: &ConnectorKeys,
    alias: &str,
) -> Result<TransformStep, TaskError> {
    let mut own = props.with_prefix(&format!("transforms.{alias}."));
    let class = take_class(&mut own, &format!("transforms.{alias}.type"))?;
    own.remove("plugin.version");
    let negate = own
        .remove("negate")
        .is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
    let predicate = own
        .remove("predicate")
        .filter(|name| !name.trim().is_empty());
    let plugin = plugins
        .find_transform(&class)
        .ok_or_else(|| unknown(&format!("transforms.{alias}.type"), &class))?;
    let predicate = match predicate {
        None => None,
        Some(name) => Some(condition(plugins, props, keys, alias, name.trim(), negate)?),
    };
    Ok(TransformStep {
        class: plugin.info().class,
        transform: plugin.create(&own)?,
        predicate,
    })
}

fn condition(
    plugins: &PluginRegistry,
    props: &Props,
    keys: &ConnectorKeys,
    transform: &str,
    name: &str,
    negate: bool,
) -> Result<PredicateStep, TaskError> {
    if !keys.predicates.iter().any(|alias| alias == name) {
        return Err(TaskError::config(
            "transforms.predicate",
            format!(
                "transforms.{transform}.predicate names '{name}', which is not in 'predicates': add it there or name one of [{}]",
                keys.predicates.join(", ")
            ),
        ));
    }
    let mut own = props.with_prefix(&format!("predicates.{name}."));
    let class = take_class(&mut own, &format!("predicates.{name}.type"))?;
    own.remove("plugin.version");
    let plugin = plugins
        .find_predicate(&class)
        .ok_or_else(|| unknown(&format!("predicates.{name}.type"), &class))?;
    Ok(PredicateStep {
        class: plugin.info().class,
        predicate: plugin.create(&own)?,
        negate,
    })
}

fn take_class(own: &mut Props, key: &str) -> Result<String, TaskError> {
    let class = own
        .remove("type")
        .map(|class| class.trim().to_owned())
        .filter(|class| !class.is_empty());
    class.ok_or_else(|| {
        TaskError::config(
            "connector.config",
            format!("Missing required configuration \"{key}\" which has no default value."),
        )
    })
}

fn unknown(key: &str, class: &str) -> TaskError {
    TaskError::config(
        "connector.config",
        format!("Invalid value {class} for configuration {key}: Class {class} could not be found."),
    )
}

/// The three converters of a task with their Java classes.
pub(crate) struct Converters {
    pub(crate) key: Box<dyn Converter>,
    pub(crate) value: Box<dyn Converter>,
    pub(crate) header: Box<dyn HeaderConverter>,
    pub(crate) key_class: &'static str,
    pub(crate) value_class: &'static str,
    pub(crate) header_class: &'static str,
}

impl Converters {
    /// Makes them. A converter that the connector names takes the connector's settings only; one that the worker names takes the worker's.
    pub(crate) fn create(
        plugins: &PluginRegistry,
        worker: &WorkerConfig,
        props: &Props,
    ) -> Result<Self, TaskError> {
        let (class, own) = choice(worker, props, "key.converter", &worker.key_converter);
        let key_plugin = plugins
            .find_converter(&class)
            .ok_or_else(|| unknown("key.converter", &class))?;
        let key = key_plugin.create(&own, true)?;
        let (class, own) = choice(worker, props, "value.converter", &worker.value_converter);
        let value_plugin = plugins
            .find_converter(&class)
            .ok_or_else(|| unknown("value.converter", &class))?;
        let value = value_plugin.create(&own, false)?;
        let (class, own) = choice(worker, props, "header.converter", &worker.header_converter);
        let header_plugin = plugins
            .find_header_converter(&class)
            .ok_or_else(|| unknown("header.converter", &class))?;
        let header = header_plugin.create(&own)?;
        Ok(Self {
            key,
            value,
            header,
            key_class: key_plugin.info().class,
            value_class: value_plugin.info().class,
            header_class: header_plugin.info().class,
        })
    }
}

impl fmt::Debug for Converters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Converters({}, {}, {})",
            self.key_class, self.value_class, self.header_class
        )
    }
}

fn choice(worker: &WorkerConfig, props: &Props, key: &str, default: &str) -> (String, Props) {
    let prefix = format!("{key}.");
    let (class, mut own) = match props.get(key) {
        Some(class) => (class.trim().to_owned(), props.with_prefix(&prefix)),
        None => (default.to_owned(), worker.props().with_prefix(&prefix)),
    };
    own.remove("plugin.version");
    (class, own)
}
