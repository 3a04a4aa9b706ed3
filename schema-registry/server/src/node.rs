//! One registry: answers what reads from memory, brings changes to the leader, wherever that is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, header};
use parking_lot::Mutex;
use registry_core::{Answer, Command, Query, Registry, RegistryError};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::changes::{ChangeQueue, Changed};
use crate::cluster::election::Leadership;
use crate::cluster::identity::Identity;
use crate::failures::{Failure, broken, busy};
use crate::http::client::{Answered, HttpClient, Outgoing};
use crate::http::request_id::X_REQUEST_ID;

/// Marks a call that a follower made for its client.
pub(crate) const X_FORWARD: HeaderName = HeaderName::from_static("x-forward");

const ACCEPT_UNKNOWN: HeaderName = HeaderName::from_static("confluent-accept-unknown-properties");

/// A leader that is away is logged this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(5);

/// A call as it came, so that it can be made again at the leader.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) method: &'a Method,
    /// Path and query.
    pub(crate) target: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Bytes,
}

/// What a change answers.
#[derive(Debug)]
pub(crate) enum ChangeAnswer {
    Here(Result<Answer, RegistryError>),
    /// The leader's, as it came.
    Leader(Answered),
}

/// Times of a node.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    /// For a leader to become known: `kafkastore.timeout.ms`.
    pub(crate) leader: Duration,
    /// For a call altogether: `request.timeout.ms`.
    pub(crate) call: Duration,
}

/// One registry.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) registry: Arc<Registry>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) changes: ChangeQueue,
    pub(crate) leader_client: HttpClient,
    /// `inter.instance.headers.whitelist`
    pub(crate) forwarded_headers: Vec<HeaderName>,
    pub(crate) patience: Patience,
    /// How many dear answers may be worked on at once, each on a thread of its own.
    pub(crate) workers: Arc<Semaphore>,
    /// When the log was last told that there is trouble with the leader.
    pub(crate) complained: Mutex<Option<Instant>>,
}

impl Node {
    /// Answers a call that reads. Cheap ones are answered here and now.
    pub(crate) async fn query(&self, query: Query) -> Result<Answer, RegistryError> {
        if is_cheap(&query) {
            return catch_unwind(AssertUnwindSafe(|| self.registry.query(&query)))
                .unwrap_or_else(|_| Err(broken()));
        }
        match self.aside(move |registry| registry.query(&query)).await {
            Some(answer) => answer,
            None => Err(busy()),
        }
    }

    /// Makes a change, here or at the leader.
    pub(crate) async fn change(&self, command: Command, origin: Origin<'_>) -> ChangeAnswer {
        let command = Arc::new(command);
        let deadline = Instant::now() + self.patience.call;
        let asked = Arc::clone(&command);
        match self
            .aside(move |registry| Ok(registry.answer_locally(&asked)))
            .await
        {
            None => return failed(Failure::Busy, &command),
            Some(Err(error)) => return ChangeAnswer::Here(Err(error)),
            Some(Ok(Some(answer))) => return ChangeAnswer::Here(answer),
            Some(Ok(None)) => {}
        }
        let mut leadership = self.leadership.clone();
        let known = Instant::now() + self.patience.leader;
        loop {
            let seen = leadership.borrow_and_update().clone();
            match seen {
                Leadership::Me { .. } => {
                    let answer = match self.changes.put(Arc::clone(&command)) {
                        Ok(answer) => answer,
                        Err(failure) => return failed(failure, &command),
                    };
                    match timeout_at(deadline, answer).await {
                        Ok(Ok(Changed::Done(answer))) => return ChangeAnswer::Here(answer),
                        // The lead passed on meanwhile; the next look tells to whom.
                        Ok(Ok(Changed::NotLeader)) => {}
                        Ok(Err(_)) => return ChangeAnswer::Here(Err(broken())),
                        Err(_) => return failed(Failure::TimedOut, &command),
                    }
                    if matches!(*leadership.borrow(), Leadership::Me { .. })
                        && Instant::now() >= known
                    {
                        return failed(Failure::NoLeader, &command);
                    }
                }
                Leadership::Other(leader) => {
                    if origin.headers.contains_key(X_FORWARD) {
                        // Whoever sent it takes this registry for the leader: passing it on could go round for ever.
                        return failed(Failure::NoLeader, &command);
                    }
                    return match self.forward(&leader, &origin).await {
                        Ok(answer) => ChangeAnswer::Leader(answer),
                        Err(error) => {
                            self.complain(&format!(
                                "a change could not be forwarded to the leader {}: {error}",
                                leader.url()
                            ));
                            failed(Failure::Forwarding, &command)
                        }
                    };
                }
                Leadership::Unknown(why) => {
                    let changed = timeout_at(known, leadership.changed()).await;
                    if !matches!(changed, Ok(Ok(()))) {
                        self.complain(&format!(
                            "a change cannot be made, there is no leader: {why}"
                        ));
                        return failed(Failure::NoLeader, &command);
                    }
                }
            }
        }
    }

    async fn forward(&self, leader: &Identity, origin: &Origin<'_>) -> std::io::Result<Answered> {
        let own = [
            header::CONTENT_TYPE,
            header::ACCEPT,
            ACCEPT_UNKNOWN,
            header::AUTHORIZATION,
            X_REQUEST_ID,
        ];
        let mut headers = HeaderMap::new();
        for name in own.iter().chain(&self.forwarded_headers) {
            if let Some(value) = origin.headers.get(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        headers.insert(X_FORWARD, HeaderValue::from_static("true"));
        let call = Outgoing {
            method: origin.method.clone(),
            target: origin.target.to_owned(),
            headers,
            body: origin.body.clone(),
        };
        self.leader_client.call(&leader.destination(), &call).await
    }

    /// Logs what every change meets while the leader is away, but not for every one of them.
    fn complain(&self, text: &str) {
        let mut complained = self.complained.lock();
        let now = Instant::now();
        if complained.is_none_or(|last| now - last >= COMPLAIN_EVERY) {
            *complained = Some(now);
            tracing::warn!("{text}");
        } else {
            tracing::debug!("{text}");
        }
    }

    /// Runs `work` on a thread where it holds up nobody; `None` when it has no turn, or does not end, in time.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Registry) -> Result<T, RegistryError> + Send + 'static,
    ) -> Option<Result<T, RegistryError>> {
        let whole = async {
            let permit = Arc::clone(&self.workers).acquire_owned().await.ok()?;
            let registry = Arc::clone(&self.registry);
            let done = tokio::task::spawn_blocking(move || {
                // Kept until the work ends, also when nobody waits for it any more.
                let _permit = permit;
                work(&registry)
            });
            Some(done.await.unwrap_or_else(|panicked| {
                tracing::error!(%panicked, "answering a call broke down");
                Err(broken())
            }))
        };
        timeout(self.patience.call, whole).await.ok().flatten()
    }
}

fn failed(failure: Failure, command: &Command) -> ChangeAnswer {
    ChangeAnswer::Here(Err(failure.of(command)))
}

/// Whether a call is answered by looking something up: no schema is parsed, no long list is made.
fn is_cheap(query: &Query) -> bool {
    let plain = |format: &Option<String>| format.as_deref().is_none_or(str::is_empty);
    match query {
        Query::Schemas { .. }
        | Query::Subjects { .. }
        | Query::Lookup { .. }
        | Query::Compatibility { .. }
        | Query::AssociationsBatchGet { .. }
        | Query::AssociationsBatchGetWithSchemas { .. } => false,
        Query::SchemaById {
            format,
            reference_format,
            find_tags,
            ..
        }
        | Query::Version {
            format,
            reference_format,
            find_tags,
            ..
        } => plain(format) && plain(reference_format) && find_tags.is_empty(),
        Query::SchemaTextById { format, .. }
        | Query::SchemaByGuid { format, .. }
        | Query::LatestWithMetadata { format, .. }
        | Query::VersionText { format, .. } => plain(format),
        _ => true,
    }
}
