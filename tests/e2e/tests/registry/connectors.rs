//! Connectors whose records have their schemas in the registry inside their worker: from PostgreSQL into a topic and into a copy of the table.

use anyhow::{Context as _, Result, ensure};
use millrace_e2e::{Ground, LogKind, PATIENCE, changed, table_rows};
use millrace_testkit::{RestClient, free_port, wait_until};
use serde_json::Value;

crate::on_both_logs!(
    avro_carries_a_table,
    json_schema_carries_a_table,
    protobuf_carries_a_table,
    a_new_column_is_a_new_version
);

const SCHEMA: &str = "CREATE TABLE item (id int PRIMARY KEY, note text, price numeric(10,2), n bigint NOT NULL DEFAULT 7, made timestamp(3), flag boolean)";
const COLUMNS: [&str; 5] = ["note", "price", "n", "made", "flag"];

/// The settings that choose a converter for keys and values.
fn converters(class: &str, url: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for role in ["key", "value"] {
        settings.push((format!("{role}.converter"), class.to_owned()));
        settings.push((
            format!("{role}.converter.schema.registry.url"),
            url.to_owned(),
        ));
        for (key, value) in more {
            settings.push((format!("{role}.converter.{key}"), (*value).to_owned()));
        }
    }
    settings
}

fn with(config: &Value, settings: &[(String, String)]) -> Value {
    let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (&**k, &**v)).collect();
    changed(config, &settings)
}

async fn carries_a_table(
    log: LogKind,
    name: &str,
    class: &str,
    more: &[(&str, &str)],
    schema_type: &str,
) -> Result<()> {
    let ground = Ground::new(log, name, SCHEMA).await?;
    ground
        .sql
        .batch_execute(
            "INSERT INTO item SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE 'note ' || i END, i / 4.0, i, timestamp '2026-01-01' + i * interval '1 minute', i % 2 = 0 \
             FROM generate_series(1, 50) AS i",
        )
        .await?;
    let registry = format!("http://127.0.0.1:{}", free_port());
    let options = ground
        .worker()
        .set("schema.registry.listeners", &registry)
        .set(
            "schema.registry.kafkastore.topic",
            &format!("{}-schemas", ground.id),
        )
        .set(
            "schema.registry.group.id",
            &format!("{}-schemas", ground.id),
        );
    let worker = ground.start_with(options).await?;
    let settings = converters(class, &registry, more);
    let source = with(&ground.source(&["item"]), &settings);
    let source = changed(&source, &[("time.precision.mode", "connect")]);
    ground.create(&worker, "source", &source).await?;
    let sink = with(&ground.sink(&["item"]), &settings);
    ground.create(&worker, "sink", &sink).await?;
    ground.wait_streaming().await?;
    ground
        .sql
        .batch_execute(
            "UPDATE item SET note = NULL, price = NULL, flag = NULL WHERE id % 5 = 0; DELETE FROM item WHERE id % 7 = 0; INSERT INTO item (id) VALUES (1000); \
             UPDATE item SET note = '', price = 0, n = 0, flag = false WHERE id = 1",
        )
        .await?;
    let mut last = String::new();
    let level = wait_until(PATIENCE, "the copy is level", async || {
        let source = table_rows(&ground.sql, "item", &["id"], &COLUMNS).await?;
        let copy = table_rows(&ground.sql, &ground.copy_of("item"), &["id"], &COLUMNS).await;
        let copy = copy.unwrap_or_default();
        last = format!("source {source:?}\ncopy {copy:?}");
        Ok((source == copy).then_some(()))
    })
    .await;
    level.with_context(|| last)?;
    // Over HTTP, as any other client of the registry sees it.
    let client = RestClient::new(registry);
    let subjects = client.get("/subjects").await?.success()?;
    let topic = ground.topic("item");
    for role in ["key", "value"] {
        let subject = format!("{topic}-{role}");
        ensure!(
            subjects
                .as_array()
                .context("a list")?
                .iter()
                .any(|s| *s == *subject),
            "{subject} is not among {subjects}"
        );
        let latest = client
            .get(&format!("/subjects/{subject}/versions/latest"))
            .await?
            .success()?;
        ensure!(latest["schemaType"] == schema_type, "{latest}");
    }
    Ok(())
}

async fn avro_carries_a_table(log: LogKind) -> Result<()> {
    let class = "io.confluent.connect.avro.AvroConverter";
    let more = [("ignore.default.for.nullables", "true")];
    carries_a_table(log, "avro", class, &more, "AVRO").await
}

async fn json_schema_carries_a_table(log: LogKind) -> Result<()> {
    let class = "io.confluent.connect.json.JsonSchemaConverter";
    let more = [("ignore.default.for.nullables", "true")];
    carries_a_table(log, "jsonschema", class, &more, "JSON").await
}

async fn protobuf_carries_a_table(log: LogKind) -> Result<()> {
    let class = "io.confluent.connect.protobuf.ProtobufConverter";
    // Without the first, a null comes back as zero; without the second, a message has no full name, by which an envelope is known.
    let more = [
        ("optional.for.nullables", "true"),
        ("enhanced.protobuf.schema.support", "true"),
        ("ignore.default.for.nullables", "true"),
    ];
    carries_a_table(log, "protobuf", class, &more, "PROTOBUF").await
}

async fn a_new_column_is_a_new_version(log: LogKind) -> Result<()> {
    let ground = Ground::new(
        log,
        "evolve",
        "CREATE TABLE item (id int PRIMARY KEY, note text); INSERT INTO item VALUES (1, 'one')",
    )
    .await?;
    let registry = format!("http://127.0.0.1:{}", free_port());
    let options = ground
        .worker()
        .set("schema.registry.listeners", &registry)
        .set(
            "schema.registry.kafkastore.topic",
            &format!("{}-schemas", ground.id),
        )
        .set(
            "schema.registry.group.id",
            &format!("{}-schemas", ground.id),
        );
    let mut worker = ground.start_with(options).await?;
    let settings = converters("io.confluent.connect.avro.AvroConverter", &registry, &[]);
    ground
        .create(
            &worker,
            "source",
            &with(&ground.source(&["item"]), &settings),
        )
        .await?;
    ground
        .create(&worker, "sink", &with(&ground.sink(&["item"]), &settings))
        .await?;
    ground.wait_streaming().await?;
    ground
        .sql
        .batch_execute(
            "ALTER TABLE item ADD COLUMN extra text; INSERT INTO item VALUES (2, 'two', 'more')",
        )
        .await?;
    let wait_level = async |rows: usize| {
        wait_until(PATIENCE, "the copy is level", async || {
            let source = table_rows(&ground.sql, "item", &["id"], &["note", "extra"]).await?;
            let copy = table_rows(
                &ground.sql,
                &ground.copy_of("item"),
                &["id"],
                &["note", "extra"],
            )
            .await
            .unwrap_or_default();
            Ok((source.len() == rows && source == copy).then_some(()))
        })
        .await
    };
    wait_level(2).await?;
    let client = RestClient::new(registry);
    let subject = format!("{}-value", ground.topic("item"));
    let versions = client
        .get(&format!("/subjects/{subject}/versions"))
        .await?
        .success()?;
    ensure!(versions == serde_json::json!([1, 2]), "{versions}");
    // After a restart the same schemas have the same versions, and the pipeline goes on.
    worker.restart().await?;
    ground
        .sql
        .batch_execute("INSERT INTO item VALUES (3, 'three', NULL)")
        .await?;
    wait_level(3).await?;
    let again = client
        .get(&format!("/subjects/{subject}/versions"))
        .await?
        .success()?;
    ensure!(again == versions, "{again}");
    Ok(())
}
