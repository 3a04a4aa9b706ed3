//! Remembers answers, and asks once when many ask the same.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;

use crate::generations::Generations;
use crate::{ClientError, NewSchema, RegisteredSchema, SchemaRegistry};

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// Answers about one subject, and answers about ids and guids without one (`max.schemas.per.subject`).
    pub per_subject: usize,
    /// Subjects of which the latest version is remembered (`latest.cache.size`).
    pub latest: usize,
    /// For how long the latest version is; `None` is without end (`latest.cache.ttl.sec` = -1).
    pub latest_ttl: Option<Duration>,
}

/// Subjects about which something is remembered.
const SUBJECTS: usize = 10_000;
/// From this many on, questions that nobody waits for any more are swept out.
const SWEEP_FROM: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Question {
    Register(Arc<str>, NewSchema, bool),
    Lookup(Arc<str>, NewSchema, bool),
    VersionOf(Arc<str>, Arc<RegisteredSchema>, bool),
    Id(i32, Option<Arc<str>>),
    Guid([u8; 16]),
    Version(Arc<str>, i32),
    Latest(Arc<str>),
    Metadata(Arc<str>, Vec<(String, String)>),
}

// One text of a schema is long: its hash and that of the subject are enough to spread questions.
impl Hash for Question {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Register(subject, schema, _) | Self::Lookup(subject, schema, _) => {
                subject.hash(state);
                schema.text.hash(state);
            }
            Self::VersionOf(subject, schema, _) => {
                subject.hash(state);
                schema.text.hash(state);
            }
            Self::Id(id, subject) => (id, subject).hash(state),
            Self::Guid(guid) => guid.hash(state),
            Self::Version(subject, version) => (subject, version).hash(state),
            Self::Latest(subject) => subject.hash(state),
            Self::Metadata(subject, metadata) => (subject, metadata).hash(state),
        }
    }
}

impl Question {
    fn subject(&self) -> &str {
        match self {
            Self::Register(subject, ..)
            | Self::Lookup(subject, ..)
            | Self::VersionOf(subject, ..)
            | Self::Version(subject, _)
            | Self::Latest(subject)
            | Self::Metadata(subject, _)
            | Self::Id(_, Some(subject)) => subject,
            Self::Id(_, None) | Self::Guid(_) => "",
        }
    }

    /// Whether the answer can change.
    fn is_latest(&self) -> bool {
        matches!(self, Self::Latest(_) | Self::Metadata(..))
    }
}

type Answer = Result<Arc<RegisteredSchema>, ClientError>;
type Flight = Shared<BoxFuture<'static, Answer>>;
type SubjectAnswers = Generations<Question, Arc<RegisteredSchema>>;

#[derive(Debug)]
struct Memory {
    settled: Generations<Arc<str>, SubjectAnswers>,
    latest: Generations<Question, (Arc<RegisteredSchema>, Instant)>,
    asked: HashMap<Question, WeakShared<BoxFuture<'static, Answer>>>,
}

/// A registry that remembers. What cannot change (a schema by its id, a registration) is kept as long as there is room, the latest version for the time that is set, and
/// errors not at all. The same question from several tasks at a time is asked once.
#[derive(Debug)]
pub struct CachedRegistry {
    registry: Arc<dyn SchemaRegistry>,
    limits: CacheLimits,
    memory: Arc<Mutex<Memory>>,
}

impl CachedRegistry {
    /// `registry` with a memory.
    pub fn new(registry: Arc<dyn SchemaRegistry>, limits: CacheLimits) -> Self {
        Self {
            registry,
            limits,
            memory: Arc::new(Mutex::new(Memory {
                settled: Generations::new(SUBJECTS),
                latest: Generations::new(limits.latest),
                asked: HashMap::new(),
            })),
        }
    }

    async fn answer(&self, question: Question) -> Result<RegisteredSchema, ClientError> {
        let flight = {
            let mut memory = self.memory.lock();
            if let Some(known) = memory.known(&question, self.limits) {
                return Ok((*known).clone());
            }
            match memory.asked.get(&question).and_then(WeakShared::upgrade) {
                Some(flight) => flight,
                None => {
                    let flight = self.flight(question.clone());
                    if memory.asked.len() >= SWEEP_FROM {
                        memory.asked.retain(|_, flight| flight.upgrade().is_some());
                    }
                    if let Some(weak) = flight.downgrade() {
                        memory.asked.insert(question, weak);
                    }
                    flight
                }
            }
        };
        flight.await.map(|schema| (*schema).clone())
    }

    fn flight(&self, question: Question) -> Flight {
        let (registry, memory, limits) = (
            Arc::clone(&self.registry),
            Arc::clone(&self.memory),
            self.limits,
        );
        async move {
            let asked_at = Instant::now();
            let answer = ask(&*registry, &question).await.map(Arc::new);
            let mut memory = memory.lock();
            memory.asked.remove(&question);
            if let Ok(schema) = &answer {
                memory.keep(question, schema, asked_at, limits);
            }
            answer
        }
        .boxed()
        .shared()
    }
}

impl Memory {
    fn known(&mut self, question: &Question, limits: CacheLimits) -> Option<Arc<RegisteredSchema>> {
        if question.is_latest() {
            let (schema, asked_at) = self.latest.get(question)?;
            if limits.latest_ttl.is_none_or(|ttl| asked_at.elapsed() < ttl) {
                return Some(Arc::clone(schema));
            }
            self.latest.remove(question);
            return None;
        }
        self.settled
            .get(question.subject())?
            .get(question)
            .map(|schema| Arc::clone(schema))
    }

    fn keep(
        &mut self,
        question: Question,
        schema: &Arc<RegisteredSchema>,
        asked_at: Instant,
        limits: CacheLimits,
    ) {
        // A registration makes a new latest version.
        if let Question::Register(subject, ..) = &question {
            self.latest.remove(&Question::Latest(Arc::clone(subject)));
        }
        if question.is_latest() {
            self.latest.insert(question, (Arc::clone(schema), asked_at));
            return;
        }
        let subject = question.subject();
        if self.settled.get(subject).is_none() {
            self.settled
                .insert(Arc::from(subject), Generations::new(limits.per_subject));
        }
        if let Some(answers) = self.settled.get(question.subject()) {
            answers.insert(question, Arc::clone(schema));
        }
    }
}

async fn ask(
    registry: &dyn SchemaRegistry,
    question: &Question,
) -> Result<RegisteredSchema, ClientError> {
    match question {
        Question::Register(subject, schema, normalize) => {
            registry.register(subject, schema, *normalize).await
        }
        Question::Lookup(subject, schema, normalize) => {
            registry.lookup(subject, schema, *normalize).await
        }
        Question::VersionOf(subject, schema, deleted) => {
            registry.version_of(subject, schema, *deleted).await
        }
        Question::Id(id, subject) => registry.by_id(*id, subject.as_deref()).await,
        Question::Guid(guid) => registry.by_guid(*guid).await,
        Question::Version(subject, version) => registry.version(subject, Some(*version)).await,
        Question::Latest(subject) => registry.version(subject, None).await,
        Question::Metadata(subject, metadata) => {
            registry.latest_with_metadata(subject, metadata).await
        }
    }
}

#[async_trait::async_trait]
impl SchemaRegistry for CachedRegistry {
    async fn register(
        &self,
        subject: &str,
        schema: &NewSchema,
        normalize: bool,
    ) -> Result<RegisteredSchema, ClientError> {
        self.answer(Question::Register(
            subject.into(),
            schema.clone(),
            normalize,
        ))
        .await
    }

    async fn lookup(
        &self,
        subject: &str,
        schema: &NewSchema,
        normalize: bool,
    ) -> Result<RegisteredSchema, ClientError> {
        self.answer(Question::Lookup(subject.into(), schema.clone(), normalize))
            .await
    }

    async fn by_id(&self, id: i32, subject: Option<&str>) -> Result<RegisteredSchema, ClientError> {
        self.answer(Question::Id(id, subject.map(Arc::from))).await
    }

    async fn by_guid(&self, guid: [u8; 16]) -> Result<RegisteredSchema, ClientError> {
        self.answer(Question::Guid(guid)).await
    }

    async fn version(
        &self,
        subject: &str,
        version: Option<i32>,
    ) -> Result<RegisteredSchema, ClientError> {
        match version {
            Some(version) => {
                self.answer(Question::Version(subject.into(), version))
                    .await
            }
            None => self.answer(Question::Latest(subject.into())).await,
        }
    }

    async fn latest_with_metadata(
        &self,
        subject: &str,
        metadata: &[(String, String)],
    ) -> Result<RegisteredSchema, ClientError> {
        self.answer(Question::Metadata(subject.into(), metadata.to_vec()))
            .await
    }

    async fn version_of(
        &self,
        subject: &str,
        schema: &RegisteredSchema,
        deleted: bool,
    ) -> Result<RegisteredSchema, ClientError> {
        self.answer(Question::VersionOf(
            subject.into(),
            Arc::new(schema.clone()),
            deleted,
        ))
        .await
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, String), ClientError> {
        self.registry.call(method, path, body).await
    }
}
