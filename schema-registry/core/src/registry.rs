//! The state and the three things done with it.

use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard};
use registry_formats::SchemaType;

use crate::config::{Config, Level};
use crate::name::SubjectName;
use crate::parsed_cache::ParsedCache;
use crate::plan::Reservations;
use crate::record::{Key, read_key, write_key, write_schema};
use crate::state::{Counts, EscapedTexts, State};
use crate::{Answer, Body, Command, Personality, Plan, Query, RegistryError, Settings};

/// Bytes of ready-made JSON strings held for reads by id.
const ESCAPED_BYTES: usize = 24 << 20;

/// The registry's state. All methods take `&self` and may be called from any thread; none blocks for long under a lock: texts are parsed, compared and rendered on
/// what was taken out of the state.
#[derive(Debug)]
pub struct Registry {
    settings: Settings,
    default_level: Level,
    cluster_id: RwLock<Arc<str>>,
    state: RwLock<State>,
    parsed: ParsedCache,
    escaped: EscapedTexts,
    reservations: Arc<Reservations>,
}

/// One record to be written to partition 0 of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicWrite {
    /// Exact bytes of the key.
    pub key: String,
    /// Exact bytes of the value; `None` deletes.
    pub value: Option<String>,
}

/// What a record did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Records that the leader must write to undo a conflicting one (and a follower ignores).
    pub corrections: Vec<TopicWrite>,
    /// Why the record was skipped, if it was: garbage, an unknown key type, a conflict. For the log.
    pub skipped: Option<String>,
}

impl Registry {
    /// An empty registry. A compatibility level that does not exist counts as `BACKWARD`; the server's properties refuse it before.
    pub fn new(settings: Settings) -> Self {
        Self {
            default_level: Level::from_name(&settings.compatibility).unwrap_or(Level::Backward),
            cluster_id: RwLock::new(settings.cluster_id.as_str().into()),
            state: RwLock::new(State::new(settings.personality <= Personality::V8_1)),
            parsed: ParsedCache::new(settings.parsed_cache_bytes),
            escaped: EscapedTexts::new(ESCAPED_BYTES),
            reservations: Arc::default(),
            settings,
        }
    }

    /// Answers a call that reads.
    ///
    /// # Errors
    /// What the call answers instead.
    pub fn query(&self, query: &Query) -> Result<Answer, RegistryError> {
        crate::read::answer(self, query)
    }

    /// The same, with the body appended to `out`; returns the status. Nothing is appended on an error.
    ///
    /// # Errors
    /// What the call answers instead.
    pub fn query_into(&self, query: &Query, out: &mut String) -> Result<u16, RegistryError> {
        if let Some(done) = crate::read::answer_by_id_into(self, query, out) {
            return done.map(|()| 200);
        }
        let answer = self.query(query)?;
        if let Body::Text(text) = answer.body {
            if out.is_empty() {
                *out = text;
            } else {
                out.push_str(&text);
            }
        }
        Ok(answer.status)
    }

    /// Whether the answer to a change is known without the leader: the schema is registered already, or the request is wrong in itself. `None`: forward or plan it.
    pub fn answer_locally(&self, command: &Command) -> Option<Result<Answer, RegistryError>> {
        crate::plan::answer_locally(self, command)
    }

    /// Plans a change on the leader, which has applied everything in the topic.
    ///
    /// Plans that are written together must be independent ([`Pending::is_independent_of`](crate::Pending::is_independent_of)); ids are reserved until the plan is dropped or answered.
    ///
    /// # Errors
    /// What the call answers instead.
    pub fn plan(&self, command: &Command) -> Result<Plan, RegistryError> {
        crate::plan::plan(self, command)
    }

    /// Applies one record of the topic. Never fails: what cannot be applied is skipped and said. `offset` is for messages, `timestamp` is the record's, in milliseconds.
    pub fn apply(
        &self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        offset: i64,
        timestamp: i64,
    ) -> Applied {
        let skip = |why: String| Applied {
            corrections: Vec::new(),
            skipped: Some(format!("record at offset {offset}: {why}")),
        };
        let Some(key) = key else {
            return skip("it has no key".to_owned());
        };
        let Ok(key_text) = std::str::from_utf8(key) else {
            return skip("the key is not UTF-8".to_owned());
        };
        let value = match value.map(std::str::from_utf8).transpose() {
            Ok(value) => value,
            Err(_) => return skip("the value is not UTF-8".to_owned()),
        };
        let key = match read_key(key_text) {
            Ok(key) => key,
            Err(why) => return skip(why),
        };
        if key == Key::Noop {
            return Applied::default();
        }
        // Keys of other products may have other bytes; what is written under such a key must have them too, or compaction would keep both.
        let own_key = (write_key(&key) != key_text).then(|| key_text.into());
        let effect = self.state.write().apply(key, own_key, value, timestamp);
        let corrections = effect
            .undo
            .map(|old| TopicWrite {
                key: key_text.to_owned(),
                value: old.map(|entry| {
                    write_schema(
                        &entry.subject,
                        entry.version,
                        entry.id,
                        &entry.content,
                        entry.deleted,
                        self.settings.personality,
                    )
                }),
            })
            .into_iter()
            .collect();
        Applied {
            corrections,
            skipped: effect
                .skipped
                .map(|why| format!("record at offset {offset}: {why}")),
        }
    }

    /// Sets the id of the Kafka cluster, once it is known.
    pub fn set_cluster_id(&self, id: &str) {
        *self.cluster_id.write() = id.into();
    }

    /// Forgets the ids reserved by plans: a new leader allocates from what the topic holds. Call it when leadership is lost or won, before the first plan.
    pub fn end_of_leadership_reset(&self) {
        self.reservations.clear();
    }

    /// How many schemas of a format (`None`: of formats this registry cannot parse) were registered and soft-deleted by the records applied since the start.
    pub fn counts(&self, schema_type: Option<SchemaType>) -> Counts {
        self.state.read().counts(schema_type)
    }

    /// Highest id of a context (`.` is the default one); 0 while it has none.
    pub fn max_id(&self, context: &str) -> i32 {
        self.state
            .read()
            .context(context)
            .map_or(0, |context| context.max_id)
    }

    /// Numbers of this node's memory, for metrics.
    pub fn statistics(&self) -> Statistics {
        let parsed_bytes = self.parsed.bytes();
        let state = self.state.read();
        let mut statistics = Statistics {
            parsed_bytes,
            contexts: state.contexts.len(),
            ..Statistics::default()
        };
        for context in state.contexts.values() {
            statistics.subjects += context.subjects.len();
            statistics.ids += context.ids.len();
            for subject in context.subjects.values() {
                statistics.versions += subject.versions().len();
                statistics.live_versions += subject.live();
            }
        }
        statistics
    }

    /// A copy of the state on which a request of several steps can be tried out.
    pub(crate) fn scratch(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            default_level: self.default_level,
            cluster_id: RwLock::new(self.cluster_id()),
            state: RwLock::new(self.state.read().clone()),
            // What is parsed there may refer to what is only there.
            parsed: ParsedCache::new(0),
            escaped: EscapedTexts::new(0),
            reservations: Arc::default(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn default_level(&self) -> Level {
        self.default_level
    }

    pub(crate) fn cluster_id(&self) -> Arc<str> {
        Arc::clone(&self.cluster_id.read())
    }

    /// For short looks: never parse, compare or render under it.
    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }

    pub(crate) fn parsed(&self) -> &ParsedCache {
        &self.parsed
    }

    pub(crate) fn escaped(&self) -> &EscapedTexts {
        &self.escaped
    }

    pub(crate) fn reservations(&self) -> &Arc<Reservations> {
        &self.reservations
    }

    /// A stored configuration with the level it means.
    pub(crate) fn with_level(&self, config: Option<&Arc<Config>>) -> Config {
        let mut config = config.map(|c| Config::clone(c)).unwrap_or_default();
        config.level = config.level.or(Some(self.default_level));
        config
    }

    /// The configuration in force for a subject.
    pub(crate) fn config_in_scope(&self, subject: &SubjectName) -> Config {
        let found = self.state().config_in_scope(Some(subject)).cloned();
        self.with_level(found.as_ref())
    }
}

/// What a node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Contexts with at least one subject now or once.
    pub contexts: usize,
    /// Subjects, soft-deleted ones too.
    pub subjects: usize,
    /// Versions, soft-deleted ones too.
    pub versions: usize,
    /// Live versions.
    pub live_versions: usize,
    /// Distinct ids, over all contexts.
    pub ids: usize,
    /// Estimated bytes of the parsed schemas held.
    pub parsed_bytes: usize,
}
