//! Starting registries and calling them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use millrace_api::config::Props;
use millrace_log::memory::MemoryLog;
use millrace_log::{Log, Reader, ReaderOptions, TopicPartition};
use reqwest::{Client, Method, Response};
use schema_registry::{RegistryOptions, RegistryServer};

/// How long a test waits for what must happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Options from properties, on a free port of the loopback interface.
pub(crate) fn options(entries: &[(&str, &str)]) -> RegistryOptions {
    let mut props = Props::new();
    props.insert("listeners", "http://127.0.0.1:0");
    for (key, value) in entries {
        props.insert(*key, *value);
    }
    RegistryOptions::from_properties(&props).expect("options")
}

/// A registry on its own log.
pub(crate) async fn registry(entries: &[(&str, &str)]) -> (RegistryServer, Arc<MemoryLog>) {
    let log = MemoryLog::new(7);
    (
        registry_on(Arc::clone(&log) as Arc<dyn Log>, entries).await,
        log,
    )
}

pub(crate) async fn registry_on(log: Arc<dyn Log>, entries: &[(&str, &str)]) -> RegistryServer {
    RegistryServer::start(log, options(entries))
        .await
        .expect("a registry")
}

/// A call: status, `Content-Type`, body.
pub(crate) async fn call(
    registry: &RegistryServer,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> (u16, Option<String>, String) {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = Client::new().request(method, format!("{}{path}", registry.url()));
    if let Some(body) = body {
        request = request
            .header("Content-Type", "application/vnd.schemaregistry.v1+json")
            .body(body.to_owned());
    }
    seen(request.send().await.expect("an answer")).await
}

pub(crate) async fn seen(response: Response) -> (u16, Option<String>, String) {
    let status = response.status().as_u16();
    let content_type = response
        .headers()
        .get("content-type")
        .map(|value| value.to_str().expect("ASCII").to_owned());
    (status, content_type, response.text().await.expect("text"))
}

pub(crate) async fn get(registry: &RegistryServer, path: &str) -> (u16, String) {
    let (status, _, text) = call(registry, "GET", path, None).await;
    (status, text)
}

/// An Avro record with one field, as the body of a registration.
pub(crate) fn record(field: &str) -> String {
    format!(
        r#"{{"schema":"{{\"type\":\"record\",\"name\":\"R\",\"fields\":[{{\"name\":\"{field}\",\"type\":\"int\",\"default\":0}}]}}"}}"#
    )
}

pub(crate) async fn register(
    registry: &RegistryServer,
    subject: &str,
    field: &str,
) -> (u16, String) {
    let path = format!("/subjects/{subject}/versions");
    let (status, _, text) = call(registry, "POST", &path, Some(&record(field))).await;
    (status, text)
}

/// The number that follows `"id":`.
pub(crate) fn id_of(text: &str) -> i64 {
    let rest = text.split_once("\"id\":").expect("an id").1;
    let end = rest.find(|c: char| !c.is_ascii_digit()).expect("an end");
    rest[..end].parse().expect("a number")
}

/// All records of the topic: keys and values.
pub(crate) async fn records(log: &dyn Log) -> Vec<(String, Option<String>)> {
    let partition = TopicPartition::new("_schemas", 0);
    let (_, end) = log
        .admin()
        .offsets(std::slice::from_ref(&partition))
        .await
        .expect("offsets")[0];
    let mut reader: Box<dyn Reader> = log
        .reader(ReaderOptions {
            client_id: "test".to_owned(),
            from: vec![(partition, -2)],
            settings: Vec::new(),
        })
        .await
        .expect("a reader");
    let mut all = Vec::new();
    loop {
        let batch = reader
            .next(Duration::from_millis(100))
            .await
            .expect("records");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let mut last = -1;
        for record in &batch.records {
            last = record.offset;
            all.push((
                text(batch.key(record).unwrap_or_default()),
                batch.value(record).map(text),
            ));
        }
        if batch.records.is_empty() || last + 1 >= end {
            return all;
        }
    }
}

/// Waits until `condition` answers with something.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    condition: impl Fn() -> F,
) -> T {
    let look = async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, look)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen in time"))
}
