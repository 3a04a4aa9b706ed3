use std::sync::Arc;

use tokio::sync::Semaphore;

use super::server::{Server, answer};
use super::{BY_ID, client, text_schema};

#[tokio::test]
async fn what_cannot_change_is_asked_once() {
    let server = Server::start(|_, asked| match asked.line.starts_with("POST") {
        true => answer(200, r#"{"id":7,"version":1,"schema":"\"string\""}"#),
        false => answer(200, BY_ID.replace('{', r#"{"id":7,"#)),
    })
    .await;
    let registry = client(&server.url(), &[]);
    let found = registry.by_id(7, None).await.expect("found");
    for _ in 0..3 {
        registry
            .register("s", &text_schema(), false)
            .await
            .expect("registered");
        registry
            .register("s", &text_schema(), true)
            .await
            .expect("registered");
        registry
            .lookup("s", &text_schema(), false)
            .await
            .expect("found");
        registry.version_of("s", &found, true).await.expect("found");
        registry
            .version_of("s", &found, false)
            .await
            .expect("found");
        registry.by_id(7, None).await.expect("found");
        registry.by_id(7, Some("s")).await.expect("found");
        registry.by_guid([7; 16]).await.expect("found");
        registry.version("s", Some(1)).await.expect("found");
    }
    assert_eq!(
        server.lines(),
        [
            "GET /schemas/ids/7?fetchMaxId=false",
            "POST /subjects/s/versions?normalize=false",
            "POST /subjects/s/versions?normalize=true",
            "POST /subjects/s?normalize=false&deleted=false",
            "POST /subjects/s?deleted=true",
            "POST /subjects/s?deleted=false",
            "GET /schemas/ids/7?fetchMaxId=false&subject=s",
            "GET /schemas/guids/07070707-0707-0707-0707-070707070707",
            "GET /subjects/s/versions/1?deleted=true",
        ]
    );
}

#[tokio::test]
async fn errors_are_not_remembered() {
    let server = Server::start(|index, _| match index {
        0 => answer(
            404,
            r#"{"error_code":40403,"message":"Schema 1 not found"}"#,
        ),
        _ => answer(200, BY_ID),
    })
    .await;
    let registry = client(&server.url(), &[]);
    assert!(registry.by_id(1, None).await.is_err());
    assert!(registry.by_id(1, None).await.is_ok());
}

#[tokio::test]
async fn the_latest_version_is_remembered_as_long_as_the_settings_say() {
    let server = Server::start(|_, _| answer(200, BY_ID.replace('{', r#"{"id":7,"#))).await;
    let ask = async |settings: &[(&str, &str)]| {
        let before = server.count();
        let registry = client(&server.url(), settings);
        for _ in 0..3 {
            registry.version("s", None).await.expect("found");
            registry
                .latest_with_metadata("s", &[("a".to_owned(), "b&c".to_owned())])
                .await
                .expect("found");
        }
        server.count() - before
    };
    assert_eq!(ask(&[]).await, 2);
    assert_eq!(ask(&[("latest.cache.ttl.sec", "3600")]).await, 2);
    assert_eq!(ask(&[("latest.cache.ttl.sec", "0")]).await, 6);
    assert_eq!(ask(&[("latest.cache.size", "0")]).await, 6);
    assert_eq!(
        server.lines()[..2],
        [
            "GET /subjects/s/versions/latest",
            "GET /subjects/s/metadata?deleted=true&key=a&value=b%26c"
        ]
    );
}

#[tokio::test]
async fn a_registration_makes_the_latest_version_unknown() {
    let server = Server::start(|_, _| answer(200, BY_ID.replace('{', r#"{"id":7,"#))).await;
    let registry = client(&server.url(), &[]);
    registry.version("s", None).await.expect("found");
    registry
        .register("s", &text_schema(), false)
        .await
        .expect("registered");
    registry.version("s", None).await.expect("found");
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn room_is_bounded_and_what_is_used_stays() {
    let server = Server::start(|_, _| answer(200, BY_ID)).await;
    let registry = client(&server.url(), &[("max.schemas.per.subject", "10")]);
    for id in 1..=100 {
        registry.by_id(id, None).await.expect("found");
        registry.by_id(1, None).await.expect("found");
    }
    assert_eq!(server.count(), 100, "id 1 is asked for all the time");
    registry.by_id(50, None).await.expect("found");
    assert_eq!(server.count(), 101, "id 50 is forgotten");
}

#[tokio::test]
async fn the_same_question_at_the_same_time_is_asked_once() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let server = Server::start_async(move |_, _| {
        let gate = Arc::clone(&held);
        Box::pin(async move {
            gate.acquire().await.expect("open").forget();
            answer(
                404,
                r#"{"error_code":40403,"message":"Schema 1 not found"}"#,
            )
        })
    })
    .await;
    let registry = client(&server.url(), &[]);
    // All wait before the answer comes: errors are not remembered, so that only waiting together can spare requests.
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let registry = Arc::clone(&registry);
            tokio::spawn(async move { registry.by_id(1, None).await })
        })
        .collect();
    while server.count() == 0 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(100);
    for asked in asking {
        assert_eq!(
            asked.await.expect("no panic").expect_err("not found").code,
            40403
        );
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_question_that_was_abandoned_can_be_asked_again() {
    let server = Server::start_async(|index, _| {
        Box::pin(async move {
            if index == 0 {
                std::future::pending::<()>().await;
            }
            answer(200, BY_ID)
        })
    })
    .await;
    let registry = client(&server.url(), &[]);
    let abandoned = tokio::spawn({
        let registry = Arc::clone(&registry);
        async move { registry.by_id(1, None).await }
    });
    while server.count() == 0 {
        tokio::task::yield_now().await;
    }
    abandoned.abort();
    assert!(abandoned.await.expect_err("aborted").is_cancelled());
    registry.by_id(1, None).await.expect("found");
}
