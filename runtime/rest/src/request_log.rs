//! One line per request, in the extended format of NCSA with the milliseconds it took.

use std::net::SocketAddr;
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::response::Response;
use chrono::Utc;

macro_rules! target {
    () => {
        "org.apache.kafka.connect.runtime.rest.RestServer"
    };
}

/// What has to be remembered of a request until it is answered. Of its headers only `Referer` and `User-Agent` are logged, of its body nothing.
pub(crate) struct RequestLine {
    began: Instant,
    text: String,
    referer: String,
    agent: String,
}

impl RequestLine {
    /// `None` when nobody listens to this logger.
    pub(crate) fn of(request: &Request, peer: SocketAddr) -> Option<Self> {
        if !tracing::enabled!(target: target!(), tracing::Level::INFO) {
            return None;
        }
        let time = Utc::now().format("%d/%b/%Y:%H:%M:%S +0000");
        let what = quotable(&request.uri().to_string());
        Some(Self {
            began: Instant::now(),
            text: format!(
                "{} - - [{time}] \"{} {what} {:?}\"",
                peer.ip(),
                request.method(),
                request.version()
            ),
            referer: value(request.headers(), header::REFERER),
            agent: value(request.headers(), header::USER_AGENT),
        })
    }

    pub(crate) fn write(self, response: &Response) {
        let bytes = response.body().size_hint().exact().unwrap_or_default();
        let Self {
            began,
            text,
            referer,
            agent,
        } = self;
        tracing::info!(
            target: target!(),
            "{text} {} {bytes} \"{referer}\" \"{agent}\" {}",
            response.status().as_u16(),
            began.elapsed().as_millis()
        );
    }
}

fn value(headers: &HeaderMap, name: HeaderName) -> String {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map_or_else(|| "-".to_owned(), quotable)
}

fn quotable(text: &str) -> String {
    text.replace('"', "\\\"")
}
