//! The empty registry of a case: what is put into it, and what is in it at the end.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use java_idioms::Json;
use java_idioms::json::{Object, ReadOptions};
use registry_client::SchemaRegistry;

/// Does one of a case's steps: registers a schema, or sets a subject's compatibility.
pub(super) async fn step(registry: &dyn SchemaRegistry, step: &Json) -> Result<()> {
    let subject = step
        .get("subject")
        .and_then(Json::as_str)
        .context("a step names a subject")?;
    let subject = escaped(subject);
    let (method, path, members) = match step.get("compatibility") {
        Some(level) => (
            "PUT",
            format!("/config/{subject}"),
            vec![("compatibility", level)],
        ),
        None => {
            let member = |name: &'static str| step.get(name).map(|value| (name, value));
            let members = ["schema", "schemaType", "references"]
                .into_iter()
                .filter_map(member)
                .collect();
            ("POST", format!("/subjects/{subject}/versions"), members)
        }
    };
    let body: Object = members
        .into_iter()
        .map(|(name, value)| (Arc::from(name), value.clone()))
        .collect();
    let (status, answer) = registry
        .call(method, &path, Some(Json::from(body).to_text()))
        .await?;
    ensure!(status == 200, "{method} {path}: {status} {answer}");
    Ok(())
}

/// Everything that is registered, by id, in the form of an answer.
pub(super) async fn registered(registry: &dyn SchemaRegistry) -> Result<Json> {
    let (status, answer) = registry.call("GET", "/schemas", None).await?;
    ensure!(status == 200, "GET /schemas: {status} {answer}");
    let all = Json::read(&answer, ReadOptions::default())?;
    let mut all: Vec<&Json> = all
        .as_array()
        .context("GET /schemas answers a list")?
        .iter()
        .collect();
    all.sort_by_key(|schema| schema.get("id").and_then(Json::as_i64));
    let member = |schema: &Json, name: &str| {
        schema
            .get(name)
            .map(|value| (Arc::from(name), value.clone()))
    };
    let entry = |schema: &Json| {
        let members = [
            "subject",
            "version",
            "id",
            "schemaType",
            "schema",
            "references",
        ];
        Json::from(
            members
                .into_iter()
                .filter_map(|name| member(schema, name))
                .collect::<Object>(),
        )
    };
    Ok(all.into_iter().map(entry).collect::<Vec<_>>().into())
}

fn escaped(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if keep(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
