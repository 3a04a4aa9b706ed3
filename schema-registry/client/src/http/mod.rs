//! The registry over HTTP.

mod connection;
mod retry;
mod tls;
pub(crate) mod url;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use millrace_api::config::Props;
use millrace_api::plugin::TaskError;

use crate::auth::{Credentials, Identity};
use crate::error::is_retriable;
use crate::settings::{ClientConfig, refuse};
use crate::{Calls, ClientError};
use connection::{Proxy, Received};
use retry::{RetryPolicy, lot};
use url::{BaseUrl, Origin};

pub(crate) use connection::Pool;

const CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("application/vnd.schemaregistry.v1+json");
const ACCEPT: HeaderValue = HeaderValue::from_static(
    "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json",
);
const CLIENT_VERSION: HeaderValue =
    HeaderValue::from_static(concat!("millrace/", env!("CARGO_PKG_VERSION")));
const MAX_REDIRECTS: usize = 5;

/// Requests over HTTP: to the node that answered last, to the next one when it fails, again after a pause when all fail.
#[derive(Debug)]
pub(crate) struct HttpCalls {
    urls: Vec<BaseUrl>,
    /// Index of the node in use.
    current: AtomicUsize,
    pool: Pool,
    identity: Identity,
    retries: RetryPolicy,
}

impl HttpCalls {
    /// A client for the settings; `props` are those of `config`.
    pub(crate) fn new(config: &ClientConfig, props: &Props) -> Result<Self, TaskError> {
        let urls: Vec<BaseUrl> = config
            .urls
            .iter()
            .filter(|url| !url.is_empty())
            .map(|url| {
                BaseUrl::parse(url).map_err(|why| {
                    refuse(
                        "schema.registry.url",
                        None,
                        &format!("one of its URLs is wrong: {why}"),
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        if urls.is_empty() {
            return Err(refuse(
                "schema.registry.url",
                None,
                "it names no URL; set it to the URLs of the schema registry, such as http://localhost:8081",
            ));
        }
        let identity = Identity::from_settings(config, props)?;
        let fetches_over_tls =
            matches!(&identity.credentials, Credentials::Fetched(source) if source.uses_tls());
        let needs_tls = fetches_over_tls || urls.iter().any(|url| url.origin.tls);
        let tls = if needs_tls {
            Some(tls::client_config(&config.tls)?)
        } else {
            None
        };
        Ok(Self {
            current: AtomicUsize::new(if config.randomize_urls {
                lot(urls.len())
            } else {
                0
            }),
            urls,
            pool: Pool::new(
                tls,
                proxy(config)?,
                config.connect_timeout,
                config.read_timeout,
            ),
            identity,
            retries: RetryPolicy {
                max_retries: u32::try_from(config.max_retries).unwrap_or_default(),
                wait: config.retry_wait,
                max_wait: config.retry_max_wait,
            },
        })
    }

    /// One round over all nodes, from the one in use: the first that can be reached answers.
    async fn round(
        &self,
        method: &Method,
        path: &str,
        body: &Bytes,
    ) -> Result<Received, ClientError> {
        let start = self.current.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for index in (0..self.urls.len()).map(|offset| (start + offset) % self.urls.len()) {
            let url = &self.urls[index];
            match self.request(url, method, path, body).await {
                Ok(received) => {
                    // A node that cannot serve now is left for the next try, like one that cannot be reached.
                    let next = if is_retriable(received.status) {
                        (index + 1) % self.urls.len()
                    } else {
                        index
                    };
                    self.current.store(next, Ordering::Relaxed);
                    return Ok(received);
                }
                Err(why) => {
                    tracing::debug!(%url, why, "a node of the schema registry failed");
                    failures.push(format!("{url}: {why}"));
                }
            }
        }
        Err(ClientError::no_answer(format!(
            "the schema registry does not answer ({})",
            failures.join("; ")
        )))
    }

    /// A request to one node, its redirections followed.
    async fn request(
        &self,
        url: &BaseUrl,
        method: &Method,
        path: &str,
        body: &Bytes,
    ) -> Result<Received, String> {
        let mut authorization = self.identity.authorization(url, &self.pool).await?;
        let mut received = self
            .once(
                &url.origin,
                method,
                &format!("{}{path}", url.path),
                body,
                authorization.as_ref(),
            )
            .await?;
        if received.status == 401 && self.identity.refused(authorization.as_ref()).await {
            authorization = self.identity.authorization(url, &self.pool).await?;
            received = self
                .once(
                    &url.origin,
                    method,
                    &format!("{}{path}", url.path),
                    body,
                    authorization.as_ref(),
                )
                .await?;
        }
        let mut origin = url.origin.clone();
        let mut redirections = 0;
        while matches!(received.status, 301 | 302 | 303 | 307 | 308) {
            let keeps_method = matches!(received.status, 307 | 308) || method == Method::GET;
            let Some((next, target)) = received
                .location
                .as_deref()
                .and_then(|location| redirected(&origin, location))
                .filter(|_| keeps_method)
            else {
                break;
            };
            redirections += 1;
            if redirections > MAX_REDIRECTS {
                return Err(format!("more than {MAX_REDIRECTS} redirections"));
            }
            // Credentials are meant for the node that was configured.
            let authorization = authorization.as_ref().filter(|_| next == url.origin);
            received = self
                .once(&next, method, &target, body, authorization)
                .await?;
            origin = next;
        }
        Ok(received)
    }

    async fn once(
        &self,
        origin: &Origin,
        method: &Method,
        target: &str,
        body: &Bytes,
        authorization: Option<&HeaderValue>,
    ) -> Result<Received, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::HOST, origin.authority())
            .header(header::ACCEPT, ACCEPT)
            .header("confluent-client-version", CLIENT_VERSION)
            .header("confluent-accept-unknown-properties", "true")
            .header("x-request-id", request_id());
        if !body.is_empty() || method == Method::POST || method == Method::PUT {
            request = request.header(header::CONTENT_TYPE, CONTENT_TYPE);
        }
        let mut request = request
            .body(Full::new(body.clone()))
            .map_err(|e| e.to_string())?;
        if let Some(value) = authorization {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, value.clone());
        }
        // Those of the user win.
        for (name, value) in &self.identity.headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        self.pool.send(origin, request).await
    }
}

#[async_trait::async_trait]
impl Calls for HttpCalls {
    async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, String), ClientError> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| ClientError {
            retriable: false,
            ..ClientError::no_answer(format!("{method:?} is no HTTP method"))
        })?;
        let body = Bytes::from(body.unwrap_or_default());
        let mut retry = 0;
        loop {
            let outcome = self.round(&method, path, &body).await;
            let may_pass = outcome
                .as_ref()
                .map_or(true, |received| is_retriable(received.status));
            if !may_pass || retry >= self.retries.max_retries {
                return outcome.map(|received| (received.status, received.body));
            }
            let pause = self.retries.pause(retry);
            match &outcome {
                Ok(received) => tracing::info!(
                    status = received.status,
                    ?pause,
                    "the schema registry cannot answer now; trying again"
                ),
                Err(error) => tracing::info!(%error, ?pause, "trying again"),
            }
            tokio::time::sleep(pause).await;
            retry += 1;
        }
    }
}

fn proxy(config: &ClientConfig) -> Result<Option<Proxy>, TaskError> {
    if config.proxy_host.is_empty() {
        return Ok(None);
    }
    match u16::try_from(config.proxy_port) {
        Ok(port) if port > 0 => Ok(Some(Proxy {
            host: config.proxy_host.clone(),
            port,
        })),
        _ => Err(refuse(
            "proxy.port",
            Some(&config.proxy_port.to_string()),
            "it must be a port, because `proxy.host` is set",
        )),
    }
}

/// Where a `Location` leads: origin, and path with query.
fn redirected(from: &Origin, location: &str) -> Option<(Origin, String)> {
    if location.starts_with('/') && !location.starts_with("//") {
        return Some((from.clone(), location.to_owned()));
    }
    let (scheme, rest) = location.split_once("://")?;
    let split = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(split);
    let url = BaseUrl::parse(&format!("{scheme}://{authority}")).ok()?;
    // Never from TLS to plain text.
    let target = if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("/{target}")
    };
    (url.origin.tls || !from.tls).then_some((url.origin, target))
}

/// Identifies a request in the server's log: unique in this process, and among processes as far as their ids and start times differ.
fn request_id() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    format!(
        "millrace-{}-{}",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_are_resolved_and_never_leave_tls() {
        let from = BaseUrl::parse("https://a:1/x").expect("a URL").origin;
        assert_eq!(
            redirected(&from, "/y?z=1"),
            Some((from.clone(), "/y?z=1".to_owned()))
        );
        let (origin, target) = redirected(&from, "https://b?z").expect("a redirection");
        assert_eq!(
            (origin.host.as_str(), origin.port, target.as_str()),
            ("b", 443, "/?z")
        );
        assert_eq!(redirected(&from, "http://b/"), None);
        assert_eq!(redirected(&from, "nowhere"), None);
    }
}
