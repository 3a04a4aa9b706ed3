//! HTTP/1.1: connections, requests, answers. Nothing here knows what a schema is.

pub(crate) mod access;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod compression;
pub(crate) mod connection;
pub(crate) mod context_prefix;
pub(crate) mod cross_origin;
pub(crate) mod endpoint;
pub(crate) mod handler;
pub(crate) mod listener;
pub(crate) mod media_type;
pub(crate) mod parameters;
pub(crate) mod request_id;
pub(crate) mod respond;
pub(crate) mod target;
pub(crate) mod tls;
