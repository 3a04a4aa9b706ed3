//! Requests of a group, put to a registry one after the other.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use java_idioms::Json;
use java_idioms::json::{Object, ReadOptions};

use super::http::Connection;

const MEDIA: &str = "application/vnd.schemaregistry.v1+json";

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The body as JSON. Not of bare schema texts, which count byte for byte.
    pub body: Option<Json>,
    /// The body where it is no JSON; `None` when it is empty.
    pub text: Option<String>,
}

/// Sends `cases` in order to the registry on `port`. Members that a case saves stand in for `${NAME}` in the ones after it.
///
/// # Errors
/// A request is not answered at all.
pub async fn replay(port: u16, cases: &[Json]) -> Result<Vec<Answered>> {
    let mut connection = Connection::new(port);
    let mut saved = HashMap::new();
    let mut answers = Vec::with_capacity(cases.len());
    for case in cases {
        let name = case.get("name").and_then(Json::as_str).unwrap_or_default();
        answers.push(
            send(&mut connection, case, &mut saved)
                .await
                .with_context(|| name.to_owned())?,
        );
    }
    Ok(answers)
}

/// The requests among `cases` that only read: they can be put again, in any order.
pub fn reads(cases: &[Json]) -> Vec<Json> {
    let text = |case: &Json, member: &str| {
        case.get(member)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let is_read = |case: &&Json| {
        let path = text(case, "path");
        let path = path.split('?').next().unwrap_or_default();
        match text(case, "method").as_str() {
            "GET" => true,
            "POST" => {
                path.starts_with("/compatibility/")
                    || path.starts_with("/subjects/") && path.matches('/').count() == 2
            }
            _ => false,
        }
    };
    // What is saved from an answer is not known when a request is put again.
    cases
        .iter()
        .filter(is_read)
        .filter(|case| !case.to_text().contains("${"))
        .cloned()
        .collect()
}

async fn send(
    connection: &mut Connection,
    case: &Json,
    saved: &mut HashMap<String, String>,
) -> Result<Answered> {
    let text = |member: &str| {
        case.get(member)
            .and_then(Json::as_str)
            .with_context(|| format!("a case has a `{member}`"))
    };
    let (method, path) = (text("method")?, text("path")?);
    let body = match (case.get("raw"), case.get("body")) {
        (Some(raw), _) => Some(substitute(raw.as_str().context("`raw` is a text")?, saved)),
        (None, Some(body)) => Some(substituted(body, saved).to_text()),
        (None, None) => None,
    };
    let mut headers: Vec<(String, String)> = Vec::new();
    if body.is_some() {
        headers.push(("Content-Type".to_owned(), MEDIA.to_owned()));
    }
    for (name, value) in case
        .get("headers")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        headers.retain(|(other, _)| **other != **name);
        headers.extend(
            value
                .as_str()
                .map(|value| (name.to_string(), value.to_owned())),
        );
    }
    let response = connection
        .send(
            method,
            &substitute(path, saved),
            &headers,
            body.as_deref().map(str::as_bytes),
        )
        .await?;
    let body = String::from_utf8_lossy(&response.body).into_owned();
    let is_schema = response.status == 200
        && path
            .split('?')
            .next()
            .is_some_and(|path| path.ends_with("/schema"));
    let json = if is_schema {
        None
    } else {
        Json::read(&body, ReadOptions::default()).ok()
    };
    for (name, member) in case
        .get("save")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        let value = member
            .as_str()
            .and_then(|member| json.as_ref()?.get(member));
        if let Some(value) = value {
            saved.insert(
                name.to_string(),
                value
                    .as_str()
                    .map_or_else(|| value.to_text(), str::to_owned),
            );
        }
    }
    Ok(Answered {
        status: response.status,
        content_type: response.content_type,
        text: (json.is_none() && !body.is_empty()).then_some(body),
        body: json,
    })
}

fn substitute(text: &str, saved: &HashMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        match after
            .split_once('}')
            .and_then(|(name, after)| Some((saved.get(name)?, after)))
        {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push_str("${");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn substituted(json: &Json, saved: &HashMap<String, String>) -> Json {
    match json {
        Json::String(text) => substitute(text, saved).into(),
        Json::Array(all) => all
            .iter()
            .map(|value| substituted(value, saved))
            .collect::<Vec<_>>()
            .into(),
        Json::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), substituted(value, saved)))
            .collect::<Object>()
            .into(),
        other => other.clone(),
    }
}
