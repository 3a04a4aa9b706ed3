//! From a request to its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{HeaderName, Method, Request, StatusCode};
use hyper::body::Incoming;
use registry_core::{Answer, Body, RegistryError};

use super::access::{Access, Verdict};
use super::body::{BodyError, RequestBody};
use super::compression::gzip_if_asked;
use super::connection::Service;
use super::context_prefix;
use super::cross_origin::CrossOrigin;
use super::endpoint::{Call, Verb, resolve};
use super::media_type::{ContentType, MediaType, content_type, negotiate};
use super::parameters::Parameters;
use super::request_id::{self, X_REQUEST_ID};
use super::respond::{Outcome, Reply};
use super::target;
use crate::leader_credentials::LeaderCredentials;
use crate::metrics::Metrics;
use crate::node::{ChangeAnswer, Node, Origin};

/// How long a client may take for the next piece of a body.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// The registry's API over one node.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) node: Arc<Node>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access: Access,
    pub(crate) cross_origin: Option<CrossOrigin>,
    /// `access.control.skip.options`
    pub(crate) options_skip_access: bool,
    /// `reject.options.request`
    pub(crate) reject_options: bool,
    pub(crate) response_headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) leader_credentials: LeaderCredentials,
    pub(crate) associations: bool,
    pub(crate) body_limit: usize,
    pub(crate) compression: bool,
}

impl Service for Api {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let began = Instant::now();
        let (mut head, body) = request.into_parts();
        let id = request_id::of(&head.headers);
        if head.method != Method::GET {
            // Goes on to the leader, so that both logs name it.
            head.headers.insert(X_REQUEST_ID, id.clone());
        }
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let (outcome, name) = self
            .guarded(
                &head.method,
                target,
                &head.headers,
                RequestBody::Stream(body),
            )
            .await;
        let mut reply = outcome.into_reply();
        self.metrics
            .call(name, reply.status().as_u16(), began.elapsed());
        tracing::debug!(
            method = %head.method,
            target,
            status = reply.status().as_u16(),
            took = ?began.elapsed(),
            request_id = ?id,
            "answered"
        );
        self.finish(&head.headers, &mut reply);
        reply.headers_mut().insert(X_REQUEST_ID, id);
        reply
    }
}

impl Api {
    /// Answers a call of this process: no connection, no access rules.
    pub(crate) async fn local_call(
        &self,
        method: &Method,
        target: &str,
        body: Bytes,
    ) -> (StatusCode, Bytes) {
        let began = Instant::now();
        let headers = self.leader_credentials.headers();
        let (outcome, name) = self
            .routed(method, target, &headers, RequestBody::Here(body))
            .await;
        let (status, body) = match outcome {
            Outcome::Answer(answer, _) => (
                StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                match answer.body {
                    Body::Text(text) => Bytes::from(text),
                    Body::Empty => Bytes::new(),
                },
            ),
            Outcome::Relayed { status, body, .. } => {
                match self.leader_credentials.refused(status) {
                    Some(refused) => (status, Bytes::from(refused.body())),
                    None => (status, body),
                }
            }
            Outcome::Error(error, _) | Outcome::Unrouted(error) | Outcome::Refused(error, _) => (
                StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                Bytes::from(error.body()),
            ),
            other => {
                let status = other.into_reply().status();
                (status, Bytes::from(Outcome::framework(status).body()))
            }
        };
        self.metrics.call(name, status.as_u16(), began.elapsed());
        (status, body)
    }

    fn finish(&self, request: &HeaderMap, reply: &mut Reply) {
        if self.compression && request.contains_key(header::ACCEPT_ENCODING) {
            let whole = reply.body().clone();
            if let Some(packed) = whole_bytes(whole).and_then(|body| gzip_if_asked(request, &body))
            {
                *reply.body_mut() = packed.into();
                let headers = reply.headers_mut();
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
            }
        }
        if let Some(rules) = &self.cross_origin {
            rules.apply(request, reply.headers_mut());
        }
        for (name, value) in &self.response_headers {
            reply.headers_mut().insert(name.clone(), value.clone());
        }
    }

    /// What comes before a resource is looked for.
    async fn guarded(
        &self,
        method: &Method,
        target: &str,
        headers: &HeaderMap,
        body: RequestBody,
    ) -> (Outcome, &'static str) {
        let is_options = method == Method::OPTIONS;
        if is_options
            && let Some(preflight) = self
                .cross_origin
                .as_ref()
                .and_then(|rules| rules.preflight(headers))
        {
            return (Outcome::Preflight(preflight), "options");
        }
        if is_options && self.reject_options {
            return (
                Outcome::Refused(RegistryError::new(403, "Forbidden"), None),
                "options",
            );
        }
        let open = self.access.is_open()
            || (is_options && self.options_skip_access && self.cross_origin.is_some());
        if !open {
            let path = target.split('?').next().unwrap_or_default();
            match self.access.judge(path, headers) {
                Verdict::Allowed => {}
                Verdict::Unknown(challenge) => {
                    let error = RegistryError::new(401, "Unauthorized");
                    return (Outcome::Refused(error, Some(challenge)), "unauthorized");
                }
                Verdict::Forbidden => {
                    return (
                        Outcome::Refused(RegistryError::new(403, "Forbidden"), None),
                        "forbidden",
                    );
                }
            }
        }
        self.routed(method, target, headers, body).await
    }

    async fn routed(
        &self,
        method: &Method,
        target: &str,
        headers: &HeaderMap,
        body: RequestBody,
    ) -> (Outcome, &'static str) {
        const UNROUTED: &str = "unknown";
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let segments = match target::segments(path) {
            Ok(segments) => segments,
            Err(refused) => return (Outcome::Page(refused.0), UNROUTED),
        };
        let mut parameters = Parameters::parse(query);
        let segments = match context_prefix::rewrite(segments, &mut parameters, method) {
            Ok(segments) => segments,
            Err(colon) => {
                let text = format!("Context name '{}' cannot contain a colon", colon.0);
                return (Outcome::Unrouted(RegistryError::new(400, text)), UNROUTED);
            }
        };
        let names: Vec<&str> = segments
            .iter()
            .map(|segment| target::name(segment))
            .collect();
        let Some(resource) = resolve(&names, self.associations) else {
            let error = Outcome::framework(StatusCode::NOT_FOUND);
            return (Outcome::Unrouted(error), UNROUTED);
        };
        if method == Method::OPTIONS {
            return (Outcome::Options(resource.allowed()), "options");
        }
        let Some(verb) = Verb::of(method).filter(|verb| resource.verbs().contains(verb)) else {
            return (Outcome::MethodNotAllowed(resource.allowed()), UNROUTED);
        };
        let name = resource.metric(verb);
        let media = negotiate(headers);
        match content_type(headers) {
            ContentType::Readable => {}
            ContentType::Other => {
                let error = Outcome::framework(StatusCode::UNSUPPORTED_MEDIA_TYPE);
                return (
                    Outcome::Error(error, media.unwrap_or(MediaType::DEFAULT)),
                    name,
                );
            }
            ContentType::Broken => {
                return (
                    Outcome::Refused(RegistryError::new(400, "Bad Request"), None),
                    name,
                );
            }
        }
        let Some(media) = media else {
            return (
                Outcome::Unrouted(Outcome::framework(StatusCode::NOT_ACCEPTABLE)),
                name,
            );
        };
        let body = if resource.takes_body(verb) {
            match body.read(self.body_limit, BODY_PATIENCE).await {
                Ok(body) => body,
                Err(BodyError::TooLarge) => {
                    let text = format!(
                        "The request body is larger than the {} bytes that are allowed ('size.limit.filter.max.request.body.size')",
                        self.body_limit
                    );
                    return (Outcome::Refused(RegistryError::new(413, text), None), name);
                }
                Err(BodyError::Broken) => {
                    let error =
                        RegistryError::new(400, "The request body ended before it was complete");
                    return (Outcome::Refused(error, None), name);
                }
            }
        } else {
            Bytes::new()
        };
        let read = (!body.is_empty()).then(|| body.to_vec());
        let outcome = match resource.call(verb, &parameters, read) {
            Err(_) => Outcome::Error(Outcome::framework(StatusCode::NOT_FOUND), media),
            Ok(Call::Alive) => Outcome::Answer(Answer::ok("{}".to_owned()), media),
            Ok(Call::Query(query)) => answered(self.node.query(query).await, media),
            Ok(Call::Command(command)) => {
                let origin = Origin {
                    method,
                    target,
                    headers,
                    body,
                };
                // Changes are rare and their futures large.
                match Box::pin(self.node.change(command, origin)).await {
                    ChangeAnswer::Here(answer) => answered(answer, media),
                    ChangeAnswer::Leader(answer) => Outcome::Relayed {
                        status: answer.status,
                        content_type: answer.content_type,
                        body: answer.body,
                    },
                }
            }
        };
        (outcome, name)
    }
}

fn answered(answer: Result<Answer, RegistryError>, media: MediaType) -> Outcome {
    match answer {
        Ok(answer) => Outcome::Answer(answer, media),
        Err(error) => Outcome::Error(error, media),
    }
}

/// The bytes of a body that is whole.
fn whole_bytes(mut body: http_body_util::Full<Bytes>) -> Option<Bytes> {
    use http_body_util::BodyExt as _;
    let frame = futures::FutureExt::now_or_never(body.frame())??.ok()?;
    frame.into_data().ok()
}
