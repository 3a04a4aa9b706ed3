//! Many changes at once.

use std::collections::HashSet;
use std::sync::Arc;

use millrace_log::Log;

use super::ground::{call, get, id_of, record, records, register, registry};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_register_at_once_get_ids_without_holes_or_doubles() {
    let (registry, log) = registry(&[]).await;
    let registry = Arc::new(registry);
    let clients: Vec<_> = (0..16)
        .map(|client| {
            let registry = Arc::clone(&registry);
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for number in 0..20 {
                    let (status, text) = register(
                        &registry,
                        &format!("s{client}-{number}"),
                        &format!("f{client}_{number}"),
                    )
                    .await;
                    assert_eq!(status, 200, "{text}");
                    ids.push(id_of(&text));
                }
                ids
            })
        })
        .collect();
    let mut ids = HashSet::new();
    for client in clients {
        for id in client.await.expect("a client") {
            assert!(ids.insert(id), "{id} was given twice");
        }
    }
    assert_eq!(ids, (1..=320).collect());
    let written = records(log.as_ref())
        .await
        .into_iter()
        .filter(|(key, _)| key.contains("SCHEMA"))
        .count();
    assert_eq!(written, 320);
    Arc::into_inner(registry)
        .expect("the only owner")
        .stop()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_register_the_same_at_once_get_one_version() {
    let (registry, log) = registry(&[]).await;
    let registry = Arc::new(registry);
    let clients: Vec<_> = (0..16)
        .map(|client| {
            let registry = Arc::clone(&registry);
            // Half of them in one subject, half of them each in its own: one content, so one id.
            let subject = if client % 2 == 0 {
                "same".to_owned()
            } else {
                format!("own-{client}")
            };
            tokio::spawn(async move { register(&registry, &subject, "a").await })
        })
        .collect();
    for client in clients {
        let (status, text) = client.await.expect("a client");
        assert_eq!((status, id_of(&text)), (200, 1), "{text}");
    }
    assert_eq!(get(&registry, "/subjects/same/versions").await.1, "[1]");
    let written = records(log.as_ref())
        .await
        .into_iter()
        .filter(|(key, _)| key.contains("SCHEMA"))
        .count();
    assert_eq!(written, 9);
    Arc::into_inner(registry)
        .expect("the only owner")
        .stop()
        .await;
}

#[tokio::test]
async fn what_was_answered_can_be_read_at_once() {
    let (registry, _log) = registry(&[]).await;
    for number in 1..=20 {
        let (_, text) = register(&registry, "s", &format!("f{number}")).await;
        assert_eq!(id_of(&text), number, "{text}");
        assert_eq!(
            get(&registry, &format!("/subjects/s/versions/{number}"))
                .await
                .0,
            200
        );
        assert!(
            get(&registry, &format!("/schemas/ids/{number}/schema"))
                .await
                .1
                .contains(&format!("f{number}"))
        );
    }
    let (_, _, deleted) = call(&registry, "DELETE", "/subjects/s/versions/3", None).await;
    assert_eq!(deleted, "3");
    assert_eq!(get(&registry, "/subjects/s/versions/3").await.0, 404);
    let (status, _, text) = call(&registry, "POST", "/subjects/s", Some(&record("f4"))).await;
    assert_eq!((status, id_of(&text)), (200, 4));
    registry.stop().await;
}

#[tokio::test]
async fn a_record_that_is_too_large_fails_alone() {
    let log = millrace_log::memory::MemoryLog::new(3);
    let registry = super::ground::registry_on(
        Arc::clone(&log) as Arc<dyn Log>,
        &[("kafkastore.topic.config.max.message.bytes", "2000")],
    )
    .await;
    let large = record(&"x".repeat(5000));
    let (status, _, text) = call(&registry, "POST", "/subjects/s/versions", Some(&large)).await;
    assert_eq!(
        (status, text.as_str()),
        (
            422,
            r#"{"error_code":42209,"message":"Register operation failed because schema is too large"}"#
        )
    );
    assert_eq!(id_of(&register(&registry, "s", "a").await.1), 1);
    // Beside others it spoils none of them.
    let registry = Arc::new(registry);
    let clients: Vec<_> = (0..12)
        .map(|client| {
            let (registry, large) = (Arc::clone(&registry), large.clone());
            tokio::spawn(async move {
                if client % 4 == 0 {
                    let path = format!("/subjects/large{client}/versions");
                    call(&registry, "POST", &path, Some(&large)).await.0
                } else {
                    register(&registry, &format!("small{client}"), &format!("f{client}"))
                        .await
                        .0
                }
            })
        })
        .collect();
    for (client, status) in clients.into_iter().enumerate() {
        let expected = if client % 4 == 0 { 422 } else { 200 };
        assert_eq!(status.await.expect("a client"), expected, "client {client}");
    }
    Arc::into_inner(registry)
        .expect("the only owner")
        .stop()
        .await;
}
