//! A case, taken apart.

use anyhow::{Context as _, Result, bail};
use java_idioms::Json;
use java_idioms::json::Object;
use millrace_api::config::Props;

/// Which converter a case is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Avro,
    Json,
    Protobuf,
}

/// A case.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) id: &'a str,
    pub(super) format: Format,
    pub(super) topic: &'a str,
    pub(super) is_key: bool,
    pub(super) config: Props,
    /// Done first, in order.
    pub(super) registry: &'a [Json],
    /// Schemas that are mentioned by name.
    pub(super) schemas: Object,
    pub(super) writes: Option<&'a [Json]>,
    pub(super) reads: Option<&'a [Json]>,
}

impl<'a> Case<'a> {
    pub(super) fn parse(json: &'a Json) -> Result<Self> {
        let text = |member: &str| {
            json.get(member)
                .and_then(Json::as_str)
                .with_context(|| format!("a case has a `{member}`"))
        };
        let format = match text("converter")? {
            "avro" => Format::Avro,
            "json" => Format::Json,
            "protobuf" => Format::Protobuf,
            other => bail!("there is no converter `{other}`"),
        };
        let mut config = Props::new();
        for (key, value) in json
            .get("config")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            config.insert(
                &**key,
                value
                    .as_str()
                    .with_context(|| format!("the setting `{key}` is a string"))?,
            );
        }
        Ok(Self {
            id: text("id")?,
            format,
            topic: text("topic")?,
            is_key: json.get("key").and_then(Json::as_bool).unwrap_or(false),
            config,
            registry: json
                .get("registry")
                .and_then(Json::as_array)
                .unwrap_or_default(),
            schemas: json
                .get("schemas")
                .and_then(Json::as_object)
                .cloned()
                .unwrap_or_default(),
            writes: json.get("writes").and_then(Json::as_array),
            reads: json.get("reads").and_then(Json::as_array),
        })
    }
}
