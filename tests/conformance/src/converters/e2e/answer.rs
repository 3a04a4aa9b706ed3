//! What a case led to, in the form of the recorded answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use java_idioms::Json;
use java_idioms::json::Object;
use millrace_api::config::Props;
use millrace_api::data::{Blob, Data, Headers, Schema};
use millrace_api::plugin::Converter;
use millrace_log::{FetchBatch, FetchedRecord, TopicPartition};
use registry_client::Registries;

use super::run::{Case, PATIENCE};
use super::servers::Node;
use crate::converters::case::Format;
use crate::converters::run::{decode, plugin};
use crate::converters::{registry, value};
use crate::topic_ends::read_to;

/// Bytes before the body: zero and the id.
const PREFIX: usize = 5;

/// A record as it is in the log.
#[derive(Debug)]
struct Record {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

/// Reads the topics of the case's tables up to `ends`, with converters that have the connector's settings.
pub(super) async fn collect(
    case: &Case<'_>,
    node: &Node,
    ends: Vec<(TopicPartition, i64)>,
) -> Result<Json> {
    let ends: Vec<_> = ends
        .into_iter()
        .filter(|(at, _)| case.topics.iter().any(|topic| **topic == *at.topic))
        .collect();
    let from = ends.iter().map(|(at, _)| (at.clone(), 0)).collect();
    let mut found: BTreeMap<(String, i32), Vec<Record>> = BTreeMap::new();
    read_to(node.log.as_ref(), from, &ends, PATIENCE, |batch, record| {
        let at = batch.topic_partition(record);
        let key = (at.topic.to_string(), at.partition);
        found.entry(key).or_default().push(taken(batch, record));
        Ok(())
    })
    .await?;
    let registries = Registries::new();
    let url = Props::from_iter([("schema.registry.url", node.registry.as_str())]);
    let client = registries
        .client(&url)
        .map_err(|e| anyhow::anyhow!("{e}"))?;
    let registered: Vec<Json> = registry::registered(&*client)
        .await?
        .as_array()
        .unwrap_or_default()
        .iter()
        .filter(|schema| {
            let subject = text(schema, "subject");
            let topic = subject
                .strip_suffix("-key")
                .or_else(|| subject.strip_suffix("-value"));
            case.topics.iter().any(|t| Some(t.as_str()) == topic)
        })
        .cloned()
        .collect();
    let mut converters = [("key", true), ("value", false)]
        .map(|(role, is_key)| converter(case, node, &registries, role, is_key));
    let mut topics = Object::new();
    for ((topic, _), records) in found {
        let mut list = Vec::new();
        for record in records {
            let mut sides = Object::new();
            for (n, (role, payload)) in [("key", record.key), ("value", record.value)]
                .into_iter()
                .enumerate()
            {
                let converter = match &mut converters[n] {
                    Ok(converter) => &mut **converter,
                    Err(error) => bail!("{role} converter: {error:#}"),
                };
                let side = match payload {
                    None => Json::Null,
                    Some(payload) => {
                        let subject = format!("{topic}-{role}");
                        side(
                            converter,
                            &topic,
                            &subject,
                            &payload,
                            &record.headers,
                            &registered,
                        )
                        .await
                        .with_context(|| format!("{topic}, {role} {payload:02x?}"))?
                    }
                };
                sides.insert(Arc::from(role), side);
            }
            list.push(Json::from(sides));
        }
        match topics.get_mut(&*topic) {
            Some(Json::Array(all)) => all.extend(list),
            _ => drop(topics.insert(Arc::from(topic), list.into())),
        }
    }
    let registered: Vec<Json> = registered.iter().map(shown).collect();
    Ok(Object::from_iter([
        (Arc::from("id"), Json::from(case.id)),
        (Arc::from("registered"), registered.into()),
        (Arc::from("topics"), topics.into()),
    ])
    .into())
}

fn taken(batch: &FetchBatch, record: &FetchedRecord) -> Record {
    Record {
        key: batch.key(record).map(<[u8]>::to_vec),
        value: batch.value(record).map(<[u8]>::to_vec),
        headers: batch
            .headers(record)
            .filter_map(|(name, value)| Some((name.to_string(), batch.slice(value?).to_vec())))
            .collect(),
    }
}

/// The connector's converter for keys or values.
fn converter(
    case: &Case<'_>,
    node: &Node,
    registries: &Registries,
    role: &str,
    is_key: bool,
) -> Result<Box<dyn Converter>> {
    let own = format!("{role}.converter");
    let class = case.settings.iter().find(|(key, _)| *key == own);
    let (_, class) = class.with_context(|| format!("the connector has a {own}"))?;
    let format = match class.rsplit('.').next() {
        Some("AvroConverter") => Format::Avro,
        Some("JsonSchemaConverter") => Format::Json,
        Some("ProtobufConverter") => Format::Protobuf,
        _ => bail!("{own}={class} is none of the registry's converters"),
    };
    let own = format!("{own}.");
    let mut props: Props = case
        .settings
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(&own)?, *value)))
        .collect();
    props.insert("schema.registry.url", node.registry.as_str());
    plugin(format, registries.clone())
        .create(&props, is_key)
        .map_err(|error| anyhow::anyhow!("{error}"))
}

/// A key or value: which version it was written with, its bytes and what they mean. The bytes of an envelope are left out: they hold the time of the run.
async fn side(
    converter: &mut dyn Converter,
    topic: &str,
    subject: &str,
    payload: &[u8],
    headers: &[(String, Vec<u8>)],
    registered: &[Json],
) -> Result<Json> {
    ensure!(
        payload.len() >= PREFIX && payload[0] == 0,
        "this begins with no schema id"
    );
    let id = i64::from(i32::from_be_bytes([
        payload[1], payload[2], payload[3], payload[4],
    ]));
    let schema = registered.iter().find(|schema| {
        text(schema, "subject") == subject && schema.get("id").and_then(Json::as_i64) == Some(id)
    });
    let schema = schema.with_context(|| format!("{subject} has no version with id {id}"))?;
    let version = schema.get("version").and_then(Json::as_i64).unwrap_or(0);
    let mut given = Headers::new();
    for (name, value) in headers {
        given.push(
            name.as_str(),
            Data::new(Schema::bytes(), Blob::from(value.clone())),
        );
    }
    let read = decode(
        converter,
        topic,
        &given,
        Some(&Blob::from(payload.to_vec())),
    )
    .await?;
    if let Some(error) = read.get("error") {
        bail!("cannot be read: {}", error.to_text());
    }
    let data = read.get("value").cloned().unwrap_or(Json::Null);
    let is_envelope = ["before", "after", "source", "op"]
        .iter()
        .all(|member| data.get(member).is_some());
    let mut side = Object::new();
    side.insert("schema".into(), format!("{subject}/{version}").into());
    if !is_envelope {
        side.insert("body".into(), value::hex(&payload[PREFIX..]));
    }
    side.insert("data".into(), data);
    Ok(side.into())
}

/// A registered schema without its id, which depends on what else the registry holds.
fn shown(schema: &Json) -> Json {
    ["subject", "version", "schemaType", "schema"]
        .into_iter()
        .filter_map(|member| Some((Arc::from(member), schema.get(member)?.clone())))
        .collect::<Object>()
        .into()
}

fn text<'a>(json: &'a Json, member: &str) -> &'a str {
    json.get(member).and_then(Json::as_str).unwrap_or_default()
}
