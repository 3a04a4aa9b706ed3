//! What a registry does before it answers, and what it refuses to start on.

use std::sync::Arc;

use millrace_log::memory::MemoryLog;
use millrace_log::{Log, NewTopic, TableOptions, TableWrite};
use schema_registry::RegistryServer;

use super::ground::{get, options, records, register, registry_on};

fn topic(partitions: i32, policy: &str) -> NewTopic {
    NewTopic {
        name: "_schemas".to_owned(),
        partitions,
        replication_factor: 1,
        settings: vec![("cleanup.policy".to_owned(), policy.to_owned())],
    }
}

#[tokio::test]
async fn an_empty_topic_gets_two_noops() {
    let log = MemoryLog::new(1);
    let registry = registry_on(Arc::clone(&log) as Arc<dyn Log>, &[]).await;
    let noop = (r#"{"keytype":"NOOP","magic":0}"#.to_owned(), None);
    assert_eq!(records(log.as_ref()).await, [noop.clone(), noop.clone()]);
    assert_eq!(
        log.admin()
            .topic_settings("_schemas")
            .await
            .expect("settings")
            .iter()
            .find(|(k, _)| k == "cleanup.policy")
            .expect("a policy")
            .1,
        "compact"
    );
    assert_eq!(register(&registry, "s", "a").await.0, 200);
    let all = records(log.as_ref()).await;
    assert_eq!(all.len(), 3);
    assert_eq!(
        all[2].0,
        r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#
    );
    registry.stop().await;
}

#[tokio::test]
async fn topics_that_lose_schemas_or_their_order_are_refused_by_name() {
    for (partitions, policy, named) in [
        (2, "compact", "should have only 1 partition but has 2"),
        (
            1,
            "delete",
            "Expected cleanup.policy to be 'compact' but it is delete",
        ),
        (1, "compact,delete", "but it is compact,delete"),
    ] {
        let log = MemoryLog::new(1);
        log.admin()
            .create_topic(&topic(partitions, policy))
            .await
            .expect("a topic");
        let error = RegistryServer::start(Arc::clone(&log) as Arc<dyn Log>, options(&[]))
            .await
            .expect_err(policy)
            .to_string();
        assert!(
            error.contains(named)
                && error.contains("kafkastore.topic")
                && error.contains("_schemas"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn validation_can_be_skipped() {
    let log = MemoryLog::new(1);
    log.admin()
        .create_topic(&topic(1, "delete"))
        .await
        .expect("a topic");
    let skip = [("kafkastore.topic.skip.validation", "true")];
    let registry = registry_on(Arc::clone(&log) as Arc<dyn Log>, &skip).await;
    assert_eq!(register(&registry, "s", "a").await.0, 200);
    registry.stop().await;
}

#[tokio::test]
async fn whatever_stands_in_the_topic_the_registry_comes_up() {
    let log = MemoryLog::new(1);
    let table = log
        .table(TableOptions {
            topic: "_schemas".to_owned(),
            partitions: 1,
            replication_factor: 1,
            clamp_replication: true,
            check_policy: true,
            topic_settings: Vec::new(),
            client_id: "test".to_owned(),
            settings: Vec::new(),
            named_by: "kafkastore.topic",
            purpose: "schemas",
        })
        .await
        .expect("a table");
    let writes: Vec<TableWrite> = [
        (
            r#"{"keytype":"SCHEMA","subject":"gone","version":1,"magic":1}"#,
            None,
        ),
        (r#"{"keytype":"NOOP","magic":0}"#, None),
        (
            r#"{"keytype":"DELETE_SUBJECT","subject":"unknown","magic":0}"#,
            Some(r#"{"subject":"unknown","version":3}"#),
        ),
        (
            r#"{"keytype":"SCHEMA","subject":"old","version":2,"magic":1}"#,
            Some(r#"{"subject":"old","version":2,"id":5,"schema":"\"int\"","deleted":true}"#),
        ),
        ("\u{0}garbage", Some("\u{1}")),
        ("", Some("{}")),
        (r#"{"keytype":"SOMETHING_NEW","magic":0}"#, Some("{}")),
        // Older registries did not repeat the subject in these values.
        (
            r#"{"keytype":"CONFIG","subject":"live","magic":0}"#,
            Some(r#"{"compatibilityLevel":"FULL"}"#),
        ),
        (
            r#"{"keytype":"MODE","subject":"live","magic":0}"#,
            Some(r#"{"mode":"READONLY"}"#),
        ),
        (
            r#"{"keytype":"SCHEMA","subject":"live","version":1,"magic":1}"#,
            Some(r#"{"subject":"live","version":1,"id":6,"schema":"\"string\"","deleted":false}"#),
        ),
    ]
    .into_iter()
    .map(|(key, value)| TableWrite {
        key: key.as_bytes().to_vec(),
        value: value.map(|value| value.as_bytes().to_vec()),
    })
    .collect();
    table.writer().put(&writes).await.expect("records");
    let registry = registry_on(Arc::clone(&log) as Arc<dyn Log>, &[]).await;
    assert_eq!(get(&registry, "/subjects").await.1, r#"["live"]"#);
    assert_eq!(get(&registry, "/schemas/ids/5/schema").await.1, "\"int\"");
    for (path, answer) in [
        ("/config/live", r#"{"compatibilityLevel":"FULL"}"#),
        ("/mode/live", r#"{"mode":"READONLY"}"#),
    ] {
        assert_eq!(get(&registry, path).await.1, answer);
    }
    let (_, answer) = register(&registry, "new", "a").await;
    assert!(answer.starts_with(r#"{"id":7,"version":1,"#), "{answer}");
    registry.stop().await;
}

#[tokio::test]
async fn what_was_registered_is_there_after_a_restart() {
    let log = MemoryLog::new(1);
    let registry = registry_on(Arc::clone(&log) as Arc<dyn Log>, &[]).await;
    let (_, first) = register(&registry, "s", "a").await;
    registry.stop().await;
    let again = log.reopen();
    let registry = registry_on(again as Arc<dyn Log>, &[]).await;
    assert_eq!(register(&registry, "s", "a").await.1, first);
    assert_eq!(get(&registry, "/subjects/s/versions").await.1, "[1]");
    registry.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listener = format!("http://{}", taken.local_addr().expect("an address"));
    let error = RegistryServer::start(MemoryLog::new(1), options(&[("listeners", &listener)]))
        .await
        .expect_err("taken")
        .to_string();
    assert!(
        error.contains(&listener) && error.contains("'listeners'"),
        "{error}"
    );
}
