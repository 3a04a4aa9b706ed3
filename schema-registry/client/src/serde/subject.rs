//! Under which subject a schema is registered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use java_idioms::Json;
use millrace_api::plugin::DataError;
use parking_lot::Mutex;

use super::SchemaSerde;
use super::rest_failure::rest_failure;
use super::settings::SerdeConfig;
use crate::answer::success;
use crate::generations::Generations;
use crate::percent::{escape, escaped};

/// How a name is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// `<topic>-key`, `<topic>-value`
    Topic,
    /// `<record>`
    Record,
    /// `<topic>-<record>`
    TopicRecord,
}

/// A subject name strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    Plain(Naming),
    /// The subject that the registry associates with the topic; without one, by name, or not at all.
    Associated(Option<Naming>),
}

/// The subject that a topic is associated with, if any, and when that was asked.
type Association = (Option<Arc<str>>, Instant);

/// A strategy and what it has learned.
#[derive(Debug)]
pub(super) struct Subjects {
    pub(super) strategy: Strategy,
    is_key: bool,
    namespace: String,
    lifetime: Option<Duration>,
    /// The associations of topics.
    associated: Mutex<Generations<Arc<str>, Association>>,
}

impl Subjects {
    pub(super) fn new(strategy: Strategy, is_key: bool, config: &SerdeConfig) -> Self {
        Self {
            strategy,
            is_key,
            namespace: config
                .cluster_id
                .clone()
                .filter(|id| !id.is_empty())
                .unwrap_or_else(|| "-".to_owned()),
            lifetime: u64::try_from(config.subject_expiry_sec)
                .ok()
                .map(Duration::from_secs),
            associated: Mutex::new(Generations::new(
                usize::try_from(config.subject_cache_size).unwrap_or_default(),
            )),
        }
    }

    /// How long a name may be kept.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        self.lifetime
            .filter(|_| matches!(self.strategy, Strategy::Associated(_)))
    }

    /// Whether the name can depend on the record's.
    pub(super) fn needs_record(&self) -> bool {
        matches!(
            self.strategy,
            Strategy::Plain(Naming::Record | Naming::TopicRecord)
                | Strategy::Associated(Some(Naming::Record | Naming::TopicRecord))
        )
    }

    fn name(
        &self,
        naming: Naming,
        topic: &str,
        record_name: Option<&str>,
    ) -> Result<Arc<str>, DataError> {
        if naming == Naming::Topic {
            return Ok(Arc::from(format!("{topic}-{}", self.role())));
        }
        let record = record_name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| self.no_record(naming))?;
        Ok(match naming {
            Naming::TopicRecord => Arc::from(format!("{topic}-{record}")),
            _ => Arc::from(record),
        })
    }

    fn role(&self) -> &'static str {
        if self.is_key { "key" } else { "value" }
    }

    fn no_record(&self, naming: Naming) -> DataError {
        let class = if naming == Naming::Record {
            "RecordNameStrategy"
        } else {
            "TopicRecordNameStrategy"
        };
        let role = self.role();
        DataError::new(format!(
            "In configuration {role}.subject.name.strategy = io.confluent.kafka.serializers.subject.{class}, the message {role} must only be a record schema"
        ))
        .with_java_class("org.apache.kafka.common.errors.SerializationException")
    }

    fn remembered(&self, topic: &str) -> Option<Option<Arc<str>>> {
        let mut associated = self.associated.lock();
        let (subject, since) = associated.get(topic)?;
        self.lifetime
            .is_none_or(|lifetime| since.elapsed() < lifetime)
            .then(|| subject.clone())
    }
}

impl SchemaSerde {
    /// The subject under which records of `topic` are registered. `record_name`: full name of the record, `None` when the schema is no record.
    ///
    /// # Errors
    /// A record strategy without a record. Strategies that ask the registry (associations) do so here, and keep the answer.
    pub async fn subject(
        &self,
        topic: &str,
        record_name: Option<&str>,
    ) -> Result<Arc<str>, DataError> {
        let subjects = &self.subjects;
        match subjects.strategy {
            Strategy::Plain(naming) => subjects.name(naming, topic, record_name),
            Strategy::Associated(fallback) => match (self.associated(topic).await?, fallback) {
                (Some(subject), _) => Ok(subject),
                (None, Some(naming)) => subjects.name(naming, topic, record_name),
                (None, None) => Err(failed(format!(
                    "No associated subject found for topic {topic}"
                ))),
            },
        }
    }

    async fn associated(&self, topic: &str) -> Result<Option<Arc<str>>, DataError> {
        let subjects = &self.subjects;
        if let Some(known) = subjects.remembered(topic) {
            return Ok(known);
        }
        let asked_at = Instant::now();
        let mut path = format!("/associations/resources/{}/", escaped(&subjects.namespace));
        escape(topic, &mut path);
        path.push_str(&format!(
            "?resourceType=topic&associationType={}",
            subjects.role()
        ));
        let answer = self
            .registry
            .call("GET", &path, None)
            .await
            .and_then(|(status, body)| {
                // A registry without associations has no such path, or no such method on it.
                if matches!(status, 404 | 405 | 501) {
                    Ok(Json::Null)
                } else {
                    success(status, &body)
                }
            });
        let answer = answer.map_err(|mut error| {
            let role = subjects.role();
            error.message.push_str(&format!(
                " (when asked for the subject associated with topic {topic}; to do without associations, set {role}.subject.name.strategy to io.confluent.kafka.serializers.subject.TopicNameStrategy)"
            ));
            rest_failure(error, || format!("Error retrieving the subject associated with topic {topic}"))
        })?;
        let associations = answer.as_array().unwrap_or_default();
        if associations.len() > 1 {
            return Err(failed(format!(
                "Multiple associated subjects found for topic {topic}"
            )));
        }
        let subject = associations
            .first()
            .and_then(|association| association.get("subject"))
            .and_then(Json::as_str)
            .map(Arc::from);
        subjects
            .associated
            .lock()
            .insert(Arc::from(topic), (subject.clone(), asked_at));
        Ok(subject)
    }
}

fn failed(message: String) -> DataError {
    DataError::new(message).with_java_class("org.apache.kafka.common.errors.SerializationException")
}
