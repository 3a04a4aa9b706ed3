#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use millrace_log::local::Groups;
use millrace_log::membership::join_group;
use millrace_log::{LogError, Membership, MembershipEvent, MembershipOptions};
use tokio_util::sync::CancellationToken;

use super::KafkaGroupCoordinator;
use super::played::{Act, Came, NEW, OLD, Played};

const PATIENCE: Duration = Duration::from_secs(20);
const CALLS: [ApiKey; 4] = [
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::SyncGroup,
    ApiKey::Heartbeat,
];

pub(super) fn options() -> MembershipOptions {
    MembershipOptions {
        group_id: "schema-registry".into(),
        protocol_type: "sr",
        protocols: vec![("v0".into(), Bytes::from_static(b"me"))],
        group_instance_id: None,
        session_timeout: Duration::from_secs(5),
        rebalance_timeout: Duration::from_secs(5),
        heartbeat_interval: Duration::from_millis(30),
        client_id: "test".into(),
        settings: Vec::new(),
    }
}

async fn broker() -> Arc<Played> {
    Played::start(NEW, Arc::default()).await
}

fn join_with(played: &Played, options: MembershipOptions) -> Box<dyn Membership> {
    join_at(&format!("127.0.0.1:{}", played.port), options)
}

fn join_at(bootstrap: &str, options: MembershipOptions) -> Box<dyn Membership> {
    let settings = [
        ("bootstrap.servers".to_owned(), bootstrap.to_owned()),
        ("request.timeout.ms".to_owned(), "400".to_owned()),
        (
            "socket.connection.setup.timeout.ms".to_owned(),
            "1000".to_owned(),
        ),
    ];
    let coordinator = KafkaGroupCoordinator::new(&settings, options.clone()).unwrap();
    join_group(&options, Arc::new(coordinator), CancellationToken::new()).unwrap()
}

fn join(played: &Played) -> Box<dyn Membership> {
    join_with(played, options())
}

async fn next(member: &mut dyn Membership) -> Result<MembershipEvent, LogError> {
    tokio::time::timeout(PATIENCE, member.next())
        .await
        .expect("an event")
}

/// Answers as a leader until it is assigned; returns generation and member id.
async fn assigned(member: &mut dyn Membership) -> (i32, String) {
    loop {
        match next(member).await.unwrap() {
            MembershipEvent::Lead {
                generation,
                members,
                ..
            } => {
                let shares = members.into_iter();
                let shares = shares.map(|m| (m.id, Bytes::from_static(b"share")));
                member.assign(generation, shares.collect()).await.unwrap();
            }
            MembershipEvent::Assigned {
                generation,
                member_id,
                assignment,
                protocol,
                ..
            } => {
                assert_eq!((&assignment[..], &*protocol), (&b"share"[..], "v0"));
                return (generation, member_id);
            }
            other => panic!("{other:?} before an assignment"),
        }
    }
}

async fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn error_of(played: &Played, options: MembershipOptions) -> LogError {
    let mut member = join_with(played, options);
    next(&mut *member).await.unwrap_err()
}

#[tokio::test]
async fn it_joins_with_the_id_that_is_required_and_heartbeats_beside_its_calls() {
    let played = broker().await;
    let mut member = join(&played);
    let (_, id) = assigned(&mut *member).await;
    wait_until("three heartbeats", || played.count(ApiKey::Heartbeat) >= 3).await;
    let came = played.came();
    let of = |key| came.iter().filter(move |c| c.key == key);
    let joins: Vec<&Came> = of(ApiKey::JoinGroup).collect();
    assert_eq!(joins.len(), 2, "{joins:?}");
    assert_eq!(joins[0].member_id, "");
    assert!(joins[1].member_id.starts_with("required-"));
    assert!(of(ApiKey::Heartbeat).all(|h| h.member_id == id && h.version == 4));
    assert!(of(ApiKey::Heartbeat).all(|h| h.connection != joins[0].connection));
    assert_eq!(joins[0].version, 9);
    member.leave().await;
    let left = played.came().pop().unwrap();
    assert_eq!((left.key, left.member_id), (ApiKey::LeaveGroup, id));
}

#[tokio::test]
async fn it_heartbeats_while_its_sync_is_held_back() {
    let played = broker().await;
    let mut leader = join(&played);
    assigned(&mut *leader).await;
    let mut follower = join(&played);
    assert_eq!(
        next(&mut *leader).await.unwrap(),
        MembershipEvent::Rebalancing
    );
    let MembershipEvent::Lead { generation, .. } = next(&mut *leader).await.unwrap() else {
        panic!("it leads");
    };
    // Nobody assigns yet, so the follower's sync waits.
    wait_until("the follower's sync", || {
        played.count(ApiKey::SyncGroup) >= 2
    })
    .await;
    let sync = played
        .came()
        .into_iter()
        .rfind(|c| c.key == ApiKey::SyncGroup)
        .unwrap();
    let beats = || {
        let came = played.came();
        let mine = |c: &&Came| c.key == ApiKey::Heartbeat && c.member_id == sync.member_id;
        came.iter().filter(mine).count()
    };
    let before = beats();
    wait_until("heartbeats of the follower", || beats() >= before + 3).await;
    leader
        .assign(
            generation,
            vec![(sync.member_id.clone(), Bytes::from_static(b"share"))],
        )
        .await
        .unwrap();
    assert_eq!(
        assigned(&mut *follower).await,
        (generation, sync.member_id.clone())
    );
}

#[tokio::test]
async fn failures_that_pass_are_waited_for_in_every_call() {
    let passing = [Act::Code(14), Act::Code(15), Act::Code(16), Act::HangUp];
    for key in CALLS {
        let played = broker().await;
        played.act(key, &passing);
        if key == ApiKey::JoinGroup {
            // The group is full.
            played.act(key, &[Act::Code(81)]);
        }
        let mut member = join(&played);
        assigned(&mut *member).await;
        wait_until("calls after the failures", || played.count(key) >= 4).await;
        wait_until("heartbeats after the failures", || {
            played.count(ApiKey::Heartbeat) >= 7
        })
        .await;
        let lease = member.lease().unwrap();
        wait_until("a longer lease", || {
            member.lease().unwrap().until > lease.until
        })
        .await;
        let more = tokio::time::timeout(Duration::from_millis(50), member.next()).await;
        assert!(
            more.is_err(),
            "{key:?}: {more:?} though the group never went on"
        );
    }
}

#[tokio::test]
async fn a_silent_coordinator_is_called_again_on_a_new_connection() {
    for key in [ApiKey::FindCoordinator, ApiKey::Heartbeat] {
        let played = broker().await;
        played.act(key, &[Act::Silence]);
        let mut member = join(&played);
        assigned(&mut *member).await;
        wait_until("another call", || played.count(key) >= 2).await;
        let calls: Vec<usize> = played
            .came()
            .iter()
            .filter(|c| c.key == key)
            .map(|c| c.connection)
            .collect();
        assert_ne!(calls[0], calls[1]);
    }
}

#[tokio::test]
async fn a_lease_is_not_prolonged_without_answers() {
    let played = broker().await;
    let mut member = join(&played);
    assigned(&mut *member).await;
    wait_until("heartbeats", || played.count(ApiKey::Heartbeat) >= 2).await;
    played.act(ApiKey::Heartbeat, &[Act::Silence; 3]);
    let before = played.count(ApiKey::Heartbeat);
    wait_until("a call without an answer", || {
        played.count(ApiKey::Heartbeat) > before + 1
    })
    .await;
    let lease = member.lease().unwrap();
    wait_until("the next one", || {
        played.count(ApiKey::Heartbeat) > before + 2
    })
    .await;
    assert_eq!(member.lease(), Some(lease));
}

#[tokio::test]
async fn a_rebalance_is_joined_with_the_same_id() {
    for key in [ApiKey::Heartbeat, ApiKey::SyncGroup] {
        let played = broker().await;
        let mut member = join(&played);
        if key == ApiKey::SyncGroup {
            played.act(key, &[Act::Code(27)]);
        }
        let (first, id) = match key {
            ApiKey::Heartbeat => assigned(&mut *member).await,
            _ => {
                let event = next(&mut *member).await.unwrap();
                let MembershipEvent::Lead {
                    generation,
                    member_id,
                    ..
                } = event
                else {
                    panic!("{event:?}");
                };
                member.assign(generation, Vec::new()).await.unwrap();
                (generation, member_id)
            }
        };
        if key == ApiKey::Heartbeat {
            played.act(key, &[Act::Code(27)]);
            let event = next(&mut *member).await.unwrap();
            assert_eq!(event, MembershipEvent::Rebalancing);
        }
        // The group itself saw a leader join again, or a join that it had answered.
        let (second, again) = assigned(&mut *member).await;
        assert!(second >= first);
        assert_eq!(again, id);
    }
}

/// The reason of a loss that comes next, perhaps after the end of the generation.
async fn lost(member: &mut dyn Membership) -> String {
    loop {
        match next(member).await.unwrap() {
            MembershipEvent::Rebalancing => {}
            MembershipEvent::Lost { reason } => return reason,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_generation_that_went_on_is_lost_and_joined_with_the_same_id() {
    let played = broker().await;
    let mut member = join(&played);
    let (_, id) = assigned(&mut *member).await;
    played.act(ApiKey::Heartbeat, &[Act::Code(22)]);
    let reason = lost(&mut *member).await;
    assert!(reason.contains("'schema-registry'"), "{reason}");
    assert_eq!(member.lease(), None);
    assert_eq!(assigned(&mut *member).await.1, id);
}

#[tokio::test]
async fn an_id_that_is_not_known_any_more_is_given_up() {
    for key in [ApiKey::Heartbeat, ApiKey::SyncGroup, ApiKey::JoinGroup] {
        let played = broker().await;
        let mut member = join(&played);
        assigned(&mut *member).await;
        played.act(key, &[Act::Code(25)]);
        if key != ApiKey::Heartbeat {
            member.rejoin();
        }
        let before = played.came().len();
        if key == ApiKey::SyncGroup {
            assert_eq!(
                next(&mut *member).await.unwrap(),
                MembershipEvent::Rebalancing
            );
            let MembershipEvent::Lead { generation, .. } = next(&mut *member).await.unwrap() else {
                panic!("it leads");
            };
            member.assign(generation, Vec::new()).await.unwrap();
        }
        lost(&mut *member).await;
        wait_until("a join without an id", || {
            let anew = |c: &Came| c.key == ApiKey::JoinGroup && c.member_id.is_empty();
            played.came()[before..].iter().any(anew)
        })
        .await;
    }
}

#[tokio::test]
async fn what_waiting_cannot_mend_is_an_error_that_says_what_to_do() {
    let says = |error: LogError, parts: &[&str]| {
        let text = error.to_string();
        for part in parts {
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
    };
    let played = broker().await;
    played.act(ApiKey::JoinGroup, &[Act::Code(23)]);
    let error = error_of(&played, options()).await;
    assert!(matches!(error, LogError::Config(_)), "{error:?}");
    says(
        error,
        &[
            "'schema-registry'",
            "'sr'",
            "v0",
            "'consumer'",
            "range",
            "'billing' on /10.0.0.7",
            "group.id",
        ],
    );
    played.act(ApiKey::JoinGroup, &[Act::Code(26)]);
    let error = error_of(&played, options()).await;
    assert!(matches!(error, LogError::Config(_)), "{error:?}");
    says(
        error,
        &["session.timeout.ms=5000", "group.min.session.timeout.ms"],
    );
    for key in CALLS {
        let played = broker().await;
        played.act(key, &[Act::Code(30)]);
        let mut member = join(&played);
        let error = loop {
            match next(&mut *member).await {
                Ok(MembershipEvent::Lead { generation, .. }) => {
                    // Fails when the error has come first.
                    drop(member.assign(generation, Vec::new()).await);
                }
                Ok(MembershipEvent::Assigned { .. }) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error, LogError::Authorization(_)),
            "{key:?}: {error:?}"
        );
        says(error, &["'schema-registry'"]);
        assert_eq!(member.lease(), None);
        member.leave().await;
    }
    let fixed = MembershipOptions {
        group_instance_id: Some("sr-1".into()),
        ..options()
    };
    let mut member = join_with(&played, fixed);
    assigned(&mut *member).await;
    played.act(ApiKey::Heartbeat, &[Act::Code(82)]);
    let error = next(&mut *member).await.unwrap_err();
    assert!(matches!(error, LogError::Fenced(_)), "{error:?}");
    says(error, &["sr-1", "'schema-registry'"]);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_ends_in_an_error() {
    let played = broker().await;
    played.act(ApiKey::JoinGroup, &[Act::Garbage]);
    let error = error_of(&played, options()).await;
    assert!(matches!(error, LogError::Fatal { .. }), "{error:?}");
}

#[tokio::test]
async fn old_brokers_are_spoken_to_in_their_versions() {
    let played = Played::start(OLD, Arc::default()).await;
    let mut member = join(&played);
    let (_, id) = assigned(&mut *member).await;
    wait_until("a heartbeat", || played.count(ApiKey::Heartbeat) >= 1).await;
    member.leave().await;
    for came in played.came() {
        let (_, newest) = OLD.iter().find(|(key, _)| *key == came.key).unwrap();
        assert_eq!(came.version, *newest, "{came:?}");
    }
    assert_eq!(
        played.count(ApiKey::JoinGroup),
        1,
        "no id is required there"
    );
    let left = played.came().pop().unwrap();
    assert_eq!((left.key, left.member_id), (ApiKey::LeaveGroup, id));

    let fixed = MembershipOptions {
        group_instance_id: Some("sr-1".into()),
        ..options()
    };
    let error = error_of(&played, fixed).await;
    assert!(matches!(error, LogError::Config(_)), "{error:?}");
    assert!(error.to_string().contains("group.instance.id=sr-1"));
}

#[tokio::test]
async fn a_coordinator_that_moves_is_followed() {
    let groups: Arc<Groups> = Arc::default();
    let first = Played::start(NEW, Arc::clone(&groups)).await;
    let second = Played::start(NEW, groups).await;
    let mut member = join(&first);
    let (generation, id) = assigned(&mut *member).await;
    first.move_to(second.port);
    wait_until("heartbeats at the new one", || {
        second.count(ApiKey::Heartbeat) >= 3
    })
    .await;
    assert!(
        second
            .came()
            .iter()
            .filter(|c| c.key == ApiKey::Heartbeat)
            .all(|c| c.member_id == id)
    );
    assert_eq!(member.lease().unwrap().generation, generation);
    member.rejoin();
    assert_eq!(
        next(&mut *member).await.unwrap(),
        MembershipEvent::Rebalancing
    );
    assert!(assigned(&mut *member).await.0 > generation);
    assert!(second.count(ApiKey::JoinGroup) >= 1);
}

#[tokio::test]
async fn leaving_does_not_wait_longer_than_the_session() {
    let played = broker().await;
    let short = MembershipOptions {
        session_timeout: Duration::from_millis(700),
        ..options()
    };
    let mut member = join_with(&played, short);
    assigned(&mut *member).await;
    played.act(ApiKey::LeaveGroup, &[Act::Silence; 50]);
    let began = Instant::now();
    member.leave().await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert!(played.count(ApiKey::LeaveGroup) >= 1);
}

#[tokio::test]
async fn brokers_that_hang_or_are_gone_do_not_stand_in_the_way() {
    let played = broker().await;
    // Connections are taken by the kernel, and nobody answers.
    let hung = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = |l: &tokio::net::TcpListener| l.local_addr().unwrap().port();
    let bootstrap = format!(
        "127.0.0.1:{},127.0.0.1:{},127.0.0.1:{}",
        port(&gone),
        port(&hung),
        played.port
    );
    drop(gone);
    let quick = MembershipOptions {
        session_timeout: Duration::from_millis(1500),
        ..options()
    };
    let mut member = join_at(&bootstrap, quick);
    assigned(&mut *member).await;
    wait_until("heartbeats", || played.count(ApiKey::Heartbeat) >= 3).await;
}

#[tokio::test]
async fn brokers_that_the_cluster_names_are_asked_when_the_first_ones_are_gone() {
    let groups: Arc<Groups> = Arc::default();
    let first = Played::start(NEW, Arc::clone(&groups)).await;
    let second = Played::start(NEW, groups).await;
    first.names(&[first.port, second.port]);
    let mut member = join(&first);
    let (_, id) = assigned(&mut *member).await;
    first.shut();
    wait_until("heartbeats at the other one", || {
        second.count(ApiKey::Heartbeat) >= 3
    })
    .await;
    let beat = second
        .came()
        .into_iter()
        .find(|c| c.key == ApiKey::Heartbeat)
        .unwrap();
    assert_eq!(beat.member_id, id);
}
