//! `/`, `/health`, `/metrics`

use axum::http::StatusCode;
use millrace_worker::herder::Herder;

use crate::answer::{Answer, ApiError};

pub(crate) fn server_info(herder: &dyn Herder) -> Result<Answer, ApiError> {
    Answer::ok(&herder.server_info())
}

pub(crate) async fn health(herder: &dyn Herder) -> Result<Answer, ApiError> {
    let health = herder.health().await;
    Answer::json(
        StatusCode::from_u16(health.http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        &health,
    )
}

pub(crate) fn metrics(herder: &dyn Herder) -> Answer {
    Answer::text("text/plain; version=0.0.4; charset=utf-8", herder.metrics())
}
