//! `/connector-plugins`

use millrace_worker::herder::Herder;

use crate::answer::{Answer, ApiError};
use crate::query::Query;
use crate::request_body;

pub(crate) fn list(herder: &dyn Herder, query: &Query) -> Result<Answer, ApiError> {
    Answer::ok(&herder.plugins(query.flag("connectorsOnly", true)))
}

pub(crate) fn config(herder: &dyn Herder, plugin: &str, query: &Query) -> Result<Answer, ApiError> {
    Answer::ok(&herder.plugin_config(plugin, query.first("version"))?)
}

pub(crate) async fn validate(
    herder: &dyn Herder,
    plugin: &str,
    body: &[u8],
) -> Result<Answer, ApiError> {
    let config = request_body::config(body)?
        .ok_or_else(|| request_body::missing("java.util.Map.get(Object)", "connectorConfig"))?;
    Answer::ok(&herder.validate(plugin, config).await?)
}
