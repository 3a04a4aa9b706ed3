//! Kafka Connect's REST API over a [`Herder`](millrace_worker::herder::Herder).
//!
//! A request passes these stations, in this order, each of which answers as a Java worker of version 4.3.1 does:
//!
//! 1. `request_target`: targets that Java's HTTP server refuses (encoded slashes, empty segments, more than 8 KiB) get its HTML page with 400 or 414.
//! 2. `resource`: what the path names, compared before it is decoded; 404 when nothing, 405 when not with this method. `HEAD` goes with `GET`, `OPTIONS` everywhere.
//! 3. `media_type`: 415 for a `Content-Type` that is not JSON, 406 for an `Accept` without it.
//! 4. the resource's own file (`connectors`, `offsets`, `plugins`, `loggers`, `worker_info`), which reads the body with `request_body` and asks the herder.
//! 5. `answer`: JSON, or `{"error_code", "message"}`.
//! 6. `cross_origin`, `response_headers`, `request_log`: what the worker's configuration adds to every answer, and one line per request.
//!
//! Routing is a match on path segments instead of axum's router, because the rules above (matrix parameters, no decoding before the comparison, one trailing slash,
//! which of 404, 405, 415 and 406 wins) are not the router's; axum serves the connections.

mod answer;
mod connection;
mod connectors;
mod cross_origin;
mod dispatch;
mod error;
mod listener_uri;
mod loggers;
mod media_type;
mod offsets;
mod options;
mod percent;
mod plugins;
mod query;
mod request_body;
mod request_log;
mod request_target;
mod resource;
mod response_headers;
mod server;
mod wire_json;
mod worker_info;

pub use cross_origin::CrossOrigin;
pub use error::RestError;
pub use listener_uri::ListenerUri;
pub use options::{AdminListeners, RestOptions};
pub use response_headers::ResponseHeaders;
pub use server::{BoundServer, RestServer};
