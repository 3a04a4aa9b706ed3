//! `/admin/loggers`

use axum::http::StatusCode;
use millrace_worker::herder::{Herder, LOGGER_LEVELS, LoggerScope};

use crate::answer::{Answer, ApiError};
use crate::query::Query;
use crate::request_body;

pub(crate) fn list(herder: &dyn Herder) -> Result<Answer, ApiError> {
    Answer::ok(&herder.loggers())
}

pub(crate) fn get(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    Answer::ok(&herder.logger(name)?)
}

/// The level is checked before the scope is looked at.
pub(crate) async fn set(
    herder: &dyn Herder,
    name: &str,
    query: &Query,
    body: &[u8],
) -> Result<Answer, ApiError> {
    let body = request_body::config(body)?
        .ok_or_else(|| request_body::missing("java.util.Map.get(Object)", "levelMap"))?;
    let Some(given) = body.get("level").and_then(Option::as_deref) else {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "Desired 'level' parameter was not specified in request.",
        ));
    };
    if given.is_empty() {
        return Err(ApiError::internal("Illegal null or empty Level name."));
    }
    let level = given.trim().to_ascii_uppercase();
    if !LOGGER_LEVELS.contains(&level.as_str()) {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            format!("invalid log level '{given}'."),
        ));
    }
    let scope = match query.first("scope").unwrap_or_default() {
        "" => LoggerScope::Worker,
        word if word.eq_ignore_ascii_case("worker") => LoggerScope::Worker,
        word if word.eq_ignore_ascii_case("cluster") => LoggerScope::Cluster,
        word => {
            tracing::warn!(
                scope = word,
                "unknown scope of a logger's level: 'worker' or 'cluster' is needed; 'worker' is taken"
            );
            LoggerScope::Worker
        }
    };
    match herder.set_logger(name, &level, scope).await? {
        Some(changed) => Answer::ok(&changed),
        None => Ok(Answer::empty(StatusCode::NO_CONTENT)),
    }
}
