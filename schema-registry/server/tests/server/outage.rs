//! A log that fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_log::Log;
use millrace_log::memory::Fault;

use super::ground::{call, get, id_of, records, register, registry};

fn timed_out() -> (u16, String) {
    (
        500,
        r#"{"error_code":50002,"message":"Register operation timed out"}"#.to_owned(),
    )
}

#[tokio::test]
async fn a_write_whose_outcome_is_unknown_is_not_repeated() {
    let (registry, log) = registry(&[]).await;
    log.faults().script(Fault::TableWriteLostAck, 1);
    assert_eq!(register(&registry, "s", "a").await, timed_out());
    // The record is there: the retry finds it, after a NOOP has shown where the topic ends.
    let (status, text) = register(&registry, "s", "a").await;
    assert_eq!((status, id_of(&text)), (200, 1), "{text}");
    let (_, text) = register(&registry, "t", "b").await;
    assert_eq!(id_of(&text), 2, "{text}");
    let keys: Vec<String> = records(log.as_ref())
        .await
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(
        keys.iter().filter(|key| key.contains("\"SCHEMA\"")).count(),
        2,
        "{keys:?}"
    );
    assert_eq!(
        keys.iter().filter(|key| key.contains("NOOP")).count(),
        3,
        "{keys:?}"
    );
    registry.stop().await;
}

#[tokio::test]
async fn a_write_that_failed_leaves_no_hole() {
    let (registry, log) = registry(&[]).await;
    log.faults().script(Fault::TableWriteFails, 1);
    assert_eq!(
        register(&registry, "s", "a").await,
        (
            500,
            r#"{"error_code":50001,"message":"Register schema operation failed while writing to the Kafka store"}"#.to_owned()
        )
    );
    assert_eq!(get(&registry, "/subjects").await.1, "[]");
    let (status, text) = register(&registry, "s", "b").await;
    assert_eq!((status, id_of(&text)), (200, 1), "{text}");
    registry.stop().await;
}

#[tokio::test]
async fn reads_go_on_while_the_log_is_away() {
    let (registry, log) = registry(&[("kafkastore.timeout.ms", "200")]).await;
    assert_eq!(register(&registry, "s", "a").await.0, 200);
    log.faults().probability(Fault::TableWriteLostAck, 1.0);
    for number in 0..3 {
        let began = Instant::now();
        assert_eq!(
            register(&registry, "s", &format!("b{number}")).await,
            timed_out()
        );
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(get(&registry, "/schemas/ids/1/schema").await.0, 200);
    }
    assert_eq!(
        call(&registry, "DELETE", "/subjects/s", None).await.2,
        r#"{"error_code":50002,"message":"Delete subject operation timed out"}"#
    );
    log.faults().clear();
    // The first of them was written; before the others the end of the topic had to be found, which failed.
    let (status, text) = register(&registry, "t", "c").await;
    assert_eq!((status, id_of(&text)), (200, 3), "{text}");
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_and_nothing_is_there_twice_under_faults() {
    let (registry, log) = registry(&[("kafkastore.timeout.ms", "300")]).await;
    log.faults().probability(Fault::TableWriteLostAck, 0.1);
    log.faults().probability(Fault::TableWriteFails, 0.1);
    let registry = Arc::new(registry);
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let registry = Arc::clone(&registry);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0..25 {
                    let subject = format!("s{}", number % 5);
                    let (status, text) =
                        register(&registry, &subject, &format!("f{client}_{number}")).await;
                    if status == 200 {
                        acknowledged.push((subject, id_of(&text), format!("f{client}_{number}")));
                    } else {
                        assert!(text.contains("5000"), "{text}");
                    }
                }
                acknowledged
            })
        })
        .collect();
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.expect("a client"));
    }
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());
    log.faults().clear();
    for (_, id, field) in &acknowledged {
        let (status, text) = get(&registry, &format!("/schemas/ids/{id}/schema")).await;
        assert!(
            status == 200 && text.contains(field),
            "{id} {field}: {text}"
        );
    }
    let mut ids: Vec<i64> = acknowledged.iter().map(|(_, id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), acknowledged.len(), "an id was given twice");
    // The topic holds every version once.
    let mut keys: Vec<String> = records(log.as_ref() as &dyn Log)
        .await
        .into_iter()
        .map(|(key, _)| key)
        .filter(|key| key.contains("\"SCHEMA\""))
        .collect();
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count, "a version was written twice");
    Arc::into_inner(registry)
        .expect("the only owner")
        .stop()
        .await;
}
