//! `/connectors` and what lies below it, but for offsets.

use axum::http::StatusCode;
use indexmap::IndexMap;
use millrace_worker::herder::{Herder, HerderError, RestartFlags};
use serde::Serialize;

use crate::answer::{Answer, ApiError};
use crate::percent::encode_path;
use crate::query::Query;
use crate::request_body;

/// How Java calls looking into a configuration that is not there.
const LOOK_INTO_MAP: &str = "java.util.Map.get(Object)";

/// Names, or with `expand` an object of what was asked for. A connector of which that does not exist (yet, or any more) is left out.
pub(crate) async fn list(herder: &dyn Herder, query: &Query) -> Result<Answer, ApiError> {
    let names = herder.connectors();
    if query.first("expand").is_none() {
        return Answer::ok(&names);
    }
    let mut all = IndexMap::with_capacity(names.len());
    for name in names {
        match expand(herder, query, &name).await {
            Ok(expanded) => {
                all.insert(name, expanded);
            }
            Err(error) if error.status == StatusCode::NOT_FOUND => {}
            Err(error) => return Err(error),
        }
    }
    Answer::ok(&all)
}

async fn expand(
    herder: &dyn Herder,
    query: &Query,
    name: &str,
) -> Result<serde_json::Map<String, serde_json::Value>, ApiError> {
    let json = |value: Result<serde_json::Value, serde_json::Error>| {
        value.map_err(|e| ApiError::internal(e.to_string()))
    };
    let mut expanded = serde_json::Map::new();
    for expansion in query.all("expand") {
        let value = match expansion {
            "status" => json(serde_json::to_value(herder.connector_status(name)?))?,
            "info" => json(serde_json::to_value(herder.connector_info(name).await?))?,
            // What is not known is ignored.
            _ => continue,
        };
        expanded.insert(expansion.to_owned(), value);
    }
    Ok(expanded)
}

/// `base` is the beginning of the URL under which the request came in.
pub(crate) async fn create(
    herder: &dyn Herder,
    body: &[u8],
    base: &str,
) -> Result<Answer, ApiError> {
    let request = request_body::create(body)?.ok_or_else(|| {
        request_body::missing(
            "org.apache.kafka.connect.runtime.rest.entities.CreateConnectorRequest.name()",
            "createRequest",
        )
    })?;
    let config = request
        .config
        .ok_or_else(|| request_body::missing(LOOK_INTO_MAP, "connectorConfig"))?;
    let info = herder
        .create_connector(
            &request.name.unwrap_or_default(),
            config,
            request.initial_state.unwrap_or_default(),
        )
        .await?;
    Ok(Answer::json(StatusCode::CREATED, &info)?.at(location(base, &info.name)))
}

pub(crate) async fn put_config(
    herder: &dyn Herder,
    name: &str,
    body: &[u8],
    base: &str,
) -> Result<Answer, ApiError> {
    let config = request_body::config(body)?
        .ok_or_else(|| request_body::missing(LOOK_INTO_MAP, "connectorConfig"))?;
    let put = herder.put_config(name, config).await?;
    if put.created {
        Ok(Answer::json(StatusCode::CREATED, &put.info)?.at(location(base, name)))
    } else {
        Answer::ok(&put.info)
    }
}

pub(crate) async fn patch_config(
    herder: &dyn Herder,
    name: &str,
    body: &[u8],
) -> Result<Answer, ApiError> {
    let patch = request_body::config(body)?
        .ok_or_else(|| request_body::missing("java.util.Map.entrySet()", "configPatch"))?;
    Answer::ok(&herder.patch_config(name, patch).await?)
}

pub(crate) async fn info(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    Answer::ok(&herder.connector_info(name).await?)
}

pub(crate) async fn config(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    Answer::ok(&herder.connector_config(name).await?)
}

pub(crate) async fn delete(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    herder.delete_connector(name).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn status(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    Answer::ok(&herder.connector_status(name)?)
}

pub(crate) fn topics(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    #[derive(Serialize)]
    struct Topics {
        topics: Vec<String>,
    }
    let topics = Topics {
        topics: herder.active_topics(name)?,
    };
    Answer::ok(&IndexMap::<&str, _>::from_iter([(name, topics)]))
}

pub(crate) async fn reset_topics(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    herder.reset_active_topics(name).await?;
    Ok(Answer::empty(StatusCode::ACCEPTED))
}

pub(crate) async fn pause(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    herder.pause(name).await?;
    Ok(Answer::empty(StatusCode::ACCEPTED))
}

pub(crate) async fn resume(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    herder.resume(name).await?;
    Ok(Answer::empty(StatusCode::ACCEPTED))
}

pub(crate) async fn stop(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    herder.stop(name).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn restart(
    herder: &dyn Herder,
    name: &str,
    query: &Query,
) -> Result<Answer, ApiError> {
    let flags = RestartFlags {
        include_tasks: query.flag("includeTasks", false),
        only_failed: query.flag("onlyFailed", false),
    };
    match herder.restart_connector(name, flags).await? {
        Some(status) => Answer::json(StatusCode::ACCEPTED, &status),
        None => Ok(Answer::empty(StatusCode::NO_CONTENT)),
    }
}

pub(crate) async fn tasks(herder: &dyn Herder, name: &str) -> Result<Answer, ApiError> {
    Answer::ok(&herder.task_configs(name).await?)
}

pub(crate) fn task_status(herder: &dyn Herder, name: &str, task: &str) -> Result<Answer, ApiError> {
    let number = task_number(task)?;
    match u32::try_from(number) {
        Ok(task) => Answer::ok(&herder.task_status(name, task)?),
        Err(_) => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            format!("No status found for task {name}-{number}"),
        )),
    }
}

pub(crate) async fn restart_task(
    herder: &dyn Herder,
    name: &str,
    task: &str,
) -> Result<Answer, ApiError> {
    let number = task_number(task)?;
    match u32::try_from(number) {
        Ok(task) => herder.restart_task(name, task).await?,
        Err(_) if herder.connectors().iter().any(|known| known == name) => {
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                format!("Unknown task: {name}-{number}"),
            ));
        }
        Err(_) => return Err(HerderError::unknown_connector_to_restart(name).into()),
    }
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// A path's task: any 32-bit integer, also `00`, `+0` and `-1`. Anything else is a path that does not exist.
fn task_number(text: &str) -> Result<i32, ApiError> {
    text.parse()
        .map_err(|_| ApiError::http(StatusCode::NOT_FOUND))
}

fn location(base: &str, name: &str) -> String {
    format!("{base}/connectors/{}", encode_path(name))
}
