//! `/connectors/X/offsets`

use axum::http::StatusCode;
use millrace_worker::herder::Herder;

use crate::answer::{Answer, ApiError};
use crate::request_body;

pub(crate) async fn get(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    let mut offsets = herder.offsets(name).await?;
    offsets.offsets.get_or_insert_default();
    Answer::ok(&offsets)
}

pub(crate) async fn alter(
    herder: &dyn Herder,
    name: &str,
    body: &[u8],
) -> Result<Answer, ApiError> {
    let offsets = request_body::offsets(body)?.ok_or_else(|| {
        request_body::missing(
            "org.apache.kafka.connect.runtime.rest.entities.ConnectorOffsets.offsets()",
            "offsets",
        )
    })?;
    if offsets.offsets.as_ref().is_none_or(Vec::is_empty) {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "Partitions / offsets need to be provided for an alter offsets request",
        ));
    }
    Answer::ok(&herder.alter_offsets(name, offsets).await?)
}

pub(crate) async fn reset(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    Answer::ok(&herder.reset_offsets(name).await?)
}
