use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use millrace_log::{
    Log as _, LogError, ProducerOptions, Table, TableOptions, TableRecord, TableWrite,
};
use millrace_testkit::unique;

use crate::client::{PATIENCE, batch, settings, shared, topic};

fn options(topic: &str) -> TableOptions {
    TableOptions {
        topic: topic.into(),
        partitions: 3,
        replication_factor: 1,
        clamp_replication: false,
        check_policy: true,
        topic_settings: settings(&[("segment.bytes", "1048576"), ("cleanup.policy", "delete")]),
        client_id: "table".into(),
        settings: Vec::new(),
        named_by: "offset.storage.topic",
        purpose: "source connector offsets",
    }
}

fn put(key: &str, value: Option<&str>) -> TableWrite {
    TableWrite {
        key: key.into(),
        value: value.map(Into::into),
    }
}

async fn state(table: &mut dyn Table, into: &mut BTreeMap<String, String>) -> Result<(), LogError> {
    table
        .read_to_end(&mut |r: TableRecord<'_>| apply(into, r))
        .await
}

fn apply(into: &mut BTreeMap<String, String>, record: TableRecord<'_>) {
    let key = String::from_utf8_lossy(record.key.unwrap()).into_owned();
    match record.value {
        Some(value) => drop(into.insert(key, String::from_utf8_lossy(value).into_owned())),
        None => drop(into.remove(&key)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_read_to_its_end_and_followed() -> Result<()> {
    let log = shared().await?;
    let name = unique("table");
    let mut table = log.table(options(&name)).await?;
    assert_eq!(table.partitions(), 3);
    let made = log.admin().topic_settings(&name).await?;
    assert!(
        made.contains(&("cleanup.policy".into(), "compact".into()))
            && made.contains(&("segment.bytes".into(), "1048576".into()))
    );
    let mut seen = BTreeMap::new();
    state(&mut *table, &mut seen).await?;
    assert!(seen.is_empty());

    let writer = table.writer();
    let all: Vec<_> = (0..100).map(|n| put(&format!("k{n}"), Some("v"))).collect();
    writer.put(&all).await?;
    writer.put(&[put("k0", None), put("k1", Some("w"))]).await?;
    state(&mut *table, &mut seen).await?;
    assert_eq!(
        (seen.len(), seen.get("k0"), seen["k1"].as_str()),
        (99, None, "w")
    );

    writer.put(&[put("later", Some("x"))]).await?;
    while !seen.contains_key("later") {
        assert!(
            table
                .follow(PATIENCE, &mut |r: TableRecord<'_>| apply(&mut seen, r))
                .await?
                > 0
        );
    }
    assert_eq!(
        table
            .follow(Duration::from_millis(50), &mut |_: TableRecord<'_>| {})
            .await?,
        0
    );

    let mut again = BTreeMap::new();
    state(&mut *log.table(options(&name)).await?, &mut again).await?;
    assert_eq!(again, seen);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_found_behind_control_records_and_aborted_ones() -> Result<()> {
    let log = shared().await?;
    let name = unique("table");
    let mut table = log.table(options(&name)).await?;
    let mut producer = log
        .transactional_producer(&unique("txn"), ProducerOptions::default())
        .await?;
    let mut seen = BTreeMap::new();
    for round in 0..3 {
        producer
            .append(&batch(&name, 0, std::iter::once(format!("v{round}"))))
            .await?;
        producer.commit().await?;
        producer
            .append(&batch(&name, 0, std::iter::once("aborted".to_owned())))
            .await?;
        producer.abort().await?;
        tokio::time::timeout(PATIENCE, state(&mut *table, &mut seen)).await??;
        assert_eq!(seen["key"], format!("v{round}"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_another_cleanup_policy_is_refused() -> Result<()> {
    let log = shared().await?;
    for policy in ["delete", "compact,delete"] {
        let name = topic(&*log, 1, &[("cleanup.policy", policy)]).await?;
        let error = log.table(options(&name)).await.unwrap_err();
        assert!(matches!(error, LogError::Config(_)));
        assert_eq!(
            error.to_string(),
            format!(
                "Topic '{name}' supplied via the 'offset.storage.topic' property is required to have 'cleanup.policy=compact' to guarantee consistency and durability of source \
                 connector offsets, but found the topic currently has 'cleanup.policy={policy}'. Continuing would likely result in eventually losing source connector offsets and \
                 problems restarting this Connect cluster in the future. Change the 'offset.storage.topic' property in the Connect worker configurations to use a topic with \
                 'cleanup.policy=compact'."
            )
        );
    }
    Ok(())
}
