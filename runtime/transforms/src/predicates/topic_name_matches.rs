use std::sync::Arc;

use millrace_api::config::{ConfigDef, ConnectConfig, JavaRegex, Props, Validator};
use millrace_api::data::Record;
use millrace_api::plugin::{DataError, PluginInfo, Predicate, PredicatePlugin, TaskError};

use crate::registration::{KAFKA_VERSION, configured};

const INFO: PluginInfo = PluginInfo {
    class: "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
    version: KAFKA_VERSION,
};

#[derive(Debug, ConnectConfig)]
struct TopicNameMatchesConfig {
    /// Pattern that the topic's whole name must match, in Java's syntax.
    #[config(name = "pattern", required, importance = "medium", validate = [Validator::non_empty(), Validator::regex()])]
    pattern: String,
}

/// Holds for records whose topic, after the transforms before, matches.
struct TopicNameMatches {
    pattern: JavaRegex,
    /// Neighbours mostly share a topic.
    last: Option<(Arc<str>, bool)>,
}

impl Predicate for TopicNameMatches {
    fn test(&mut self, record: &Record) -> Result<bool, DataError> {
        match &self.last {
            Some((topic, matches)) if *topic == record.topic => Ok(*matches),
            _ => {
                let matches = self.pattern.is_full_match(&record.topic);
                self.last = Some((Arc::clone(&record.topic), matches));
                Ok(matches)
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct TopicNameMatchesPlugin;

impl PredicatePlugin for TopicNameMatchesPlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(TopicNameMatchesConfig::definition().clone())
    }

    fn create(&self, props: &Props) -> Result<Box<dyn Predicate>, TaskError> {
        let config: TopicNameMatchesConfig = configured(props)?;
        let pattern = JavaRegex::new(&config.pattern).map_err(|e| {
            TaskError::config(
                "predicate.config",
                format!(
                    "Invalid value {} for configuration pattern: Invalid regex: {e}",
                    config.pattern
                ),
            )
        })?;
        Ok(Box::new(TopicNameMatches {
            pattern,
            last: None,
        }))
    }
}
