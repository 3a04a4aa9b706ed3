//! The way of a request through the stations that the crate's head lists.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequest, Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use millrace_worker::herder::Herder;
use tokio::sync::watch;

use crate::answer::{Answer, ApiError, refusal};
use crate::connection::Peer;
use crate::cross_origin::CrossOrigin;
use crate::media_type::{self, ContentType};
use crate::query::Query;
use crate::request_log::RequestLine;
use crate::request_target::{self, Refused, Segment};
use crate::resource::{Resource, Scope};
use crate::response_headers::ResponseHeaders;
use crate::server::Phase;
use crate::{connectors, loggers, offsets, plugins, worker_info};

/// How long a body may take to come in.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What all requests of a listener share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) herder: Arc<dyn Herder>,
    pub(crate) scope: Scope,
    pub(crate) cross_origin: Option<CrossOrigin>,
    pub(crate) response_headers: ResponseHeaders,
    pub(crate) request_timeout: Duration,
    pub(crate) phase: watch::Receiver<Phase>,
}

/// How a request ends that is not carried out.
enum Failure {
    Api(ApiError),
    Refused(Refused),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

/// Answers one request.
pub(crate) async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let line = RequestLine::of(&request, peer.remote);
    let method = request.method().clone();
    let headers = request.headers().clone();
    let uri = request.uri().clone();
    let base = base(&uri, &headers, peer.local);
    let page = |refused| refusal(refused, &method, &format!("{base}{}", uri.path()));
    let response = match request_target::segments(&uri) {
        Err(refused) => page(refused),
        Ok(segments) => {
            let mut response = match Box::pin(until_closing(
                &shared,
                respond(&shared, &segments, &base, request),
            ))
            .await
            {
                Ok(response) => response,
                Err(Failure::Api(error)) => error.into_response(),
                Err(Failure::Refused(refused)) => page(refused),
            };
            if let Some(cross_origin) = &shared.cross_origin {
                cross_origin.apply(&method, &headers, response.headers_mut());
            }
            shared.response_headers.apply(response.headers_mut());
            response
        }
    };
    if let Some(line) = line {
        line.write(&response);
    }
    response
}

async fn respond(
    shared: &Shared,
    path: &[Segment],
    base: &str,
    request: Request,
) -> Result<Response, Failure> {
    let resource =
        Resource::find(path, shared.scope).ok_or(ApiError::unrouted(StatusCode::NOT_FOUND))?;
    let method = match *request.method() {
        Method::OPTIONS => return Ok(options(&resource, request.headers())),
        ref method if !resource.methods().contains(&method.as_str()) => {
            return Err(ApiError::unrouted(StatusCode::METHOD_NOT_ALLOWED).into());
        }
        Method::HEAD => Method::GET,
        ref method => method.clone(),
    };
    if resource == Resource::Metrics {
        return Ok(worker_info::metrics(&*shared.herder).into_response());
    }
    let content_type = media_type::content_type(request.headers());
    if resource.consumes_json_only() {
        match content_type {
            ContentType::Broken => {
                return Err(Failure::Refused(Refused {
                    status: StatusCode::BAD_REQUEST,
                    reason: "Bad Request",
                }));
            }
            ContentType::Other => {
                return Err(ApiError::unrouted(StatusCode::UNSUPPORTED_MEDIA_TYPE).into());
            }
            ContentType::Absent | ContentType::Json | ContentType::Wildcard => {}
        }
    }
    if !media_type::accepts(request.headers(), "application", "json") {
        return Err(ApiError::unrouted(StatusCode::NOT_ACCEPTABLE).into());
    }
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let body = if resource.takes_body(&method) {
        body(request, content_type).await?
    } else {
        Bytes::new()
    };
    let carried_out = guarded(carry_out(
        &*shared.herder,
        &resource,
        &method,
        &query,
        &body,
        base,
    ));
    match tokio::time::timeout(shared.request_timeout, carried_out).await {
        Ok(answer) => Ok(answer?.into_response()),
        Err(_) => Err(ApiError::internal("Request timed out").into()),
    }
}

async fn carry_out(
    herder: &dyn Herder,
    resource: &Resource,
    method: &Method,
    query: &Query,
    body: &[u8],
    base: &str,
) -> Result<Answer, ApiError> {
    let (put, post, patch, delete) = (
        method == Method::PUT,
        method == Method::POST,
        method == Method::PATCH,
        method == Method::DELETE,
    );
    match resource {
        Resource::Root => worker_info::server_info(herder),
        Resource::Health => worker_info::health(herder).await,
        Resource::Metrics => Ok(worker_info::metrics(herder)),
        Resource::Connectors if post => connectors::create(herder, body, base).await,
        Resource::Connectors => connectors::list(herder, query).await,
        Resource::Connector(name) if delete => connectors::delete(herder, name).await,
        Resource::Connector(name) => connectors::info(herder, name).await,
        Resource::Config(name) if put => connectors::put_config(herder, name, body, base).await,
        Resource::Config(name) if patch => connectors::patch_config(herder, name, body).await,
        Resource::Config(name) => connectors::config(herder, name).await,
        Resource::Status(name) => connectors::status(herder, name),
        Resource::Topics(name) => connectors::topics(herder, name),
        Resource::TopicsReset(name) => connectors::reset_topics(herder, name).await,
        Resource::Restart(name) => connectors::restart(herder, name, query).await,
        Resource::Pause(name) => connectors::pause(herder, name).await,
        Resource::Resume(name) => connectors::resume(herder, name).await,
        Resource::Stop(name) => connectors::stop(herder, name).await,
        Resource::Tasks(name) => connectors::tasks(herder, name).await,
        Resource::TaskStatus(name, task) => connectors::task_status(herder, name, task),
        Resource::TaskRestart(name, task) => connectors::restart_task(herder, name, task).await,
        Resource::Offsets(name) if patch => offsets::alter(herder, name, body).await,
        Resource::Offsets(name) if delete => offsets::reset(herder, name).await,
        Resource::Offsets(name) => offsets::get(herder, name).await,
        Resource::Plugins => plugins::list(herder, query),
        Resource::PluginConfig(plugin) => plugins::config(herder, plugin, query),
        Resource::Validate(plugin) => plugins::validate(herder, plugin, body).await,
        Resource::Loggers => loggers::list(herder),
        Resource::Logger(name) if put => loggers::set(herder, name, query, body).await,
        Resource::Logger(name) => loggers::get(herder, name),
    }
}

/// The methods, as a header and, unless the client does not want text, as text.
fn options(resource: &Resource, headers: &HeaderMap) -> Response {
    let methods = resource.methods();
    let answer = if media_type::accepts(headers, "text", "plain") {
        Answer::text("text/plain", methods.join(", "))
    } else {
        Answer::empty(StatusCode::OK)
    };
    let mut response = answer.into_response();
    if let Ok(allow) = HeaderValue::try_from(methods.join(",")) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// Reads a body. One of no type that is empty counts as none, one that is not JSON by its type is a 415.
async fn body(request: Request, content_type: ContentType) -> Result<Bytes, ApiError> {
    let body = match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "HTTP 413 Request Entity Too Large",
            ));
        }
        Ok(Err(_)) => return Err(ApiError::http(StatusCode::BAD_REQUEST)),
        Err(_) => return Err(ApiError::http(StatusCode::REQUEST_TIMEOUT)),
    };
    let readable = match content_type {
        ContentType::Json => true,
        ContentType::Absent => body.is_empty(),
        ContentType::Wildcard | ContentType::Other | ContentType::Broken => false,
    };
    if readable {
        Ok(body)
    } else {
        Err(ApiError::http(StatusCode::UNSUPPORTED_MEDIA_TYPE))
    }
}

/// A panic while a request is carried out costs that request, not the connection.
async fn guarded(work: impl Future<Output = Result<Answer, ApiError>>) -> Result<Answer, ApiError> {
    let mut work = pin!(work);
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))).unwrap_or_else(|_| {
            tracing::error!("a request made the worker panic; the panic's message is above");
            Poll::Ready(Err(ApiError::internal(
                "The worker failed unexpectedly while it handled this request; its log says more",
            )))
        })
    })
    .await
}

/// Gives up when the server has waited long enough for its last requests.
async fn until_closing(
    shared: &Shared,
    work: impl Future<Output = Result<Response, Failure>>,
) -> Result<Response, Failure> {
    let mut phase = shared.phase.clone();
    let closing = async move {
        if phase
            .wait_for(|phase| *phase == Phase::Closing)
            .await
            .is_err()
        {
            // The server was dropped without being stopped: requests may finish.
            std::future::pending::<Infallible>().await;
        }
    };
    tokio::select! {
        biased;
        response = work => response,
        () = closing => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "The worker is shutting down").into()),
    }
}

/// The beginning of the URL of a request, as its client sees it.
fn base(uri: &Uri, headers: &HeaderMap, local: SocketAddr) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .filter(|host| !host.is_empty());
    match (uri.authority(), host) {
        (Some(authority), _) => format!("http://{authority}"),
        (None, Some(host)) => format!("http://{host}"),
        (None, None) => format!("http://{local}"),
    }
}
