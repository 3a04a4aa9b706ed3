//! Several registries on one log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use millrace_log::memory::MemoryLog;
use millrace_log::{
    Admin, ClientSettings, GroupConsumer, GroupConsumerOptions, Lease, Log, LogError, Membership,
    MembershipEvent, MembershipOptions, Producer, ProducerOptions, Reader, ReaderOptions,
    SourceDiscipline, Table, TableOptions, TransactionalProducer,
};
use reqwest::Client;
use schema_registry::{RegistryServer, StartError};
use tokio::sync::watch;

use super::ground::{
    call, eventually, get, id_of, options, record, records, register, registry_on, seen,
};

const QUICK: [(&str, &str); 4] = [
    ("kafkagroup.session.timeout.ms", "1000"),
    ("kafkagroup.heartbeat.interval.ms", "100"),
    ("kafkagroup.rebalance.timeout.ms", "2000"),
    ("kafkastore.timeout.ms", "1000"),
];

/// Two registries, the leader first.
async fn two(log: &Arc<MemoryLog>) -> (RegistryServer, RegistryServer) {
    let one = registry_on(Arc::clone(log) as Arc<dyn Log>, &QUICK).await;
    let other = registry_on(Arc::clone(log) as Arc<dyn Log>, &QUICK).await;
    eventually("an election", || async {
        (one.is_leader() != other.is_leader()).then_some(())
    })
    .await;
    if one.is_leader() {
        (one, other)
    } else {
        (other, one)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn followers_answer_reads_and_pass_changes_on() {
    let log = MemoryLog::new(1);
    let (leader, follower) = two(&log).await;
    assert!(leader.url() < follower.url(), "the smaller URL leads");
    let (status, text) = register(&follower, "s", "a").await;
    assert_eq!((status, id_of(&text)), (200, 1), "{text}");
    eventually("the follower catching up", || async {
        (get(&follower, "/subjects/s/versions/1").await.0 == 200).then_some(())
    })
    .await;
    for (method, path, body) in [
        (
            "POST",
            "/subjects/s/versions",
            Some(r#"{"schema":"\"string\""}"#),
        ),
        ("POST", "/subjects/s/versions", Some(r#"{"schema":"{"}"#)),
        ("PUT", "/config/s", Some(r#"{"compatibility":"NONE"}"#)),
        ("PUT", "/mode", Some(r#"{"mode":"nonsense"}"#)),
        ("DELETE", "/subjects/unknown", None),
        ("DELETE", "/subjects/s/versions/7", None),
        ("DELETE", "/config/unknown", None),
        ("DELETE", "/contexts/.x", None),
    ] {
        assert_eq!(
            call(&follower, method, path, body).await,
            call(&leader, method, path, body).await,
            "{method} {path}"
        );
    }
    let (status, _, text) = call(&follower, "DELETE", "/subjects/s", None).await;
    assert_eq!((status, text.as_str()), (200, "[1]"));
    follower.stop().await;
    leader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_that_was_forwarded_is_not_forwarded_again() {
    let log = MemoryLog::new(1);
    let (leader, follower) = two(&log).await;
    let request = Client::new()
        .post(format!("{}/subjects/s/versions", follower.url()))
        .header("X-Forward", "true")
        .body(record("a"));
    let (status, _, text) = seen(request.send().await.expect("an answer")).await;
    assert_eq!(
        (status, text.as_str()),
        (500, r#"{"error_code":50004,"message":"Leader not known."}"#)
    );
    follower.stop().await;
    leader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_registered_already_needs_no_leader() {
    let log = MemoryLog::new(1);
    let not_eligible = [("leader.eligibility", "false")];
    let leader = registry_on(Arc::clone(&log) as Arc<dyn Log>, &QUICK).await;
    assert_eq!(register(&leader, "s", "a").await.0, 200);
    let entries: Vec<_> = QUICK.iter().chain(&not_eligible).copied().collect();
    let follower = registry_on(Arc::clone(&log) as Arc<dyn Log>, &entries).await;
    leader.stop().await;
    eventually("the leader being gone", || async {
        (register(&follower, "t", "b").await.1
            == r#"{"error_code":50004,"message":"Leader not known."}"#)
            .then_some(())
    })
    .await;
    let (status, text) = register(&follower, "s", "a").await;
    assert_eq!((status, id_of(&text)), (200, 1), "{text}");
    assert_eq!(
        call(
            &follower,
            "PUT",
            "/config",
            Some(r#"{"compatibility":"FULL"}"#)
        )
        .await
        .2,
        r#"{"error_code":50004,"message":"Failed to update compatibility level"}"#
    );
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_leads_when_the_leader_goes() {
    let log = MemoryLog::new(1);
    let (leader, follower) = two(&log).await;
    assert_eq!(id_of(&register(&follower, "s", "a").await.1), 1);
    leader.stop().await;
    eventually("a new leader", || async {
        follower.is_leader().then_some(())
    })
    .await;
    let (status, text) = register(&follower, "s", "b").await;
    assert_eq!((status, id_of(&text)), (200, 2), "{text}");
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_survive_a_leader_that_vanishes() {
    let log = MemoryLog::new(1);
    let (leader, follower) = two(&log).await;
    let follower = Arc::new(follower);
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let follower = Arc::clone(&follower);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0..40 {
                    let field = format!("f{client}_{number}");
                    let (status, text) =
                        register(&follower, &format!("s{}", number % 4), &field).await;
                    if status == 200 {
                        acknowledged.push((id_of(&text), field));
                    } else {
                        assert!(text.contains("\"error_code\":5000"), "{text}");
                    }
                }
                acknowledged
            })
        })
        .collect();
    // Gone without a word: its connections break, its session expires.
    drop(leader);
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.expect("a client"));
    }
    eventually("a new leader", || async {
        follower.is_leader().then_some(())
    })
    .await;
    assert_eq!(register(&follower, "last", "z").await.0, 200);
    let mut ids: Vec<i64> = acknowledged.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), acknowledged.len(), "an id was given twice");
    for (id, field) in &acknowledged {
        let (status, text) = get(&follower, &format!("/schemas/ids/{id}/schema")).await;
        assert!(
            status == 200 && text.contains(field),
            "{id} {field}: {text}"
        );
    }
    Arc::into_inner(follower)
        .expect("the only owner")
        .stop()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_members_with_one_url_have_no_leader() {
    let log = MemoryLog::new(1);
    let named = [("host.name", "same"), ("host.port", "8081")];
    let entries: Vec<_> = QUICK.iter().chain(&named).copied().collect();
    let first = registry_on(Arc::clone(&log) as Arc<dyn Log>, &entries).await;
    let error = RegistryServer::start(Arc::clone(&log) as Arc<dyn Log>, options(&entries))
        .await
        .expect_err("a duplicate");
    assert!(
        matches!(&error, StartError::Election(text) if text.contains("'host.name'")),
        "{error}"
    );
    eventually("the first leading again", || async {
        first.is_leader().then_some(())
    })
    .await;
    first.stop().await;
}

/// Whether the registry that came first still leads once another with a smaller URL is in the group.
async fn first_still_leads(sticky: &'static str) -> bool {
    let log = MemoryLog::new(1);
    let start = |host: &'static str| {
        let entries: Vec<_> = QUICK
            .iter()
            .copied()
            .chain([("host.name", host), ("leader.election.sticky", sticky)])
            .collect();
        let log = Arc::clone(&log) as Arc<dyn Log>;
        async move { registry_on(log, &entries).await }
    };
    let first = start("b").await;
    let other = start("a").await;
    eventually("an election", || async {
        (first.is_leader() != other.is_leader()).then_some(())
    })
    .await;
    let leads = first.is_leader();
    other.stop().await;
    first.stop().await;
    leads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_smaller_url_leads_unless_leaders_stick() {
    assert!(!first_still_leads("false").await);
    assert!(first_still_leads("true").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_election_that_is_delayed_comes_after_listening() {
    let log = MemoryLog::new(1);
    let entries: Vec<_> = QUICK
        .iter()
        .copied()
        .chain([("leader.election.delay", "true")])
        .collect();
    let registry = registry_on(Arc::clone(&log) as Arc<dyn Log>, &entries).await;
    assert_eq!(get(&registry, "/subjects").await.0, 200);
    eventually("the election", || async {
        registry.is_leader().then_some(())
    })
    .await;
    assert_eq!(register(&registry, "s", "a").await.0, 200);
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_whose_lease_has_run_out_writes_nothing() {
    let log = MemoryLog::new(1);
    let (deaf, _) = watch::channel(false);
    let deaf = Arc::new(deaf);
    let looked = Arc::new(AtomicBool::new(false));
    let zombie_log = Arc::new(DeafLog {
        log: Arc::clone(&log),
        deaf: Arc::clone(&deaf),
        looked: Arc::clone(&looked),
    });
    let zombie = registry_on(zombie_log as Arc<dyn Log>, &QUICK).await;
    assert!(zombie.is_leader());
    assert_eq!(register(&zombie, "s", "a").await.0, 200);
    // From now on it hears nothing of the group, as if its process stood still, and the group goes on without it.
    deaf.send_replace(true);
    let other = registry_on(Arc::clone(&log) as Arc<dyn Log>, &QUICK).await;
    eventually("the other leading", || async {
        other.is_leader().then_some(())
    })
    .await;
    eventually("the zombie looking at its clock", || async {
        looked.load(Ordering::SeqCst).then_some(())
    })
    .await;
    assert!(zombie.is_leader(), "it does not know better");
    let before = records(log.as_ref()).await.len();
    assert_eq!(
        register(&zombie, "s", "zombie").await,
        (
            500,
            r#"{"error_code":50002,"message":"Register operation timed out"}"#.to_owned()
        )
    );
    assert_eq!(
        records(log.as_ref()).await.len(),
        before,
        "the zombie wrote"
    );
    let (status, text) = register(&other, "s", "b").await;
    assert_eq!((status, id_of(&text)), (200, 2), "{text}");
    assert_eq!(get(&zombie, "/subjects/s/versions/1").await.0, 200);
    other.stop().await;
    drop(zombie);
}

/// A log whose memberships can be cut off from their group.
#[derive(Debug)]
struct DeafLog {
    log: Arc<MemoryLog>,
    deaf: Arc<watch::Sender<bool>>,
    looked: Arc<AtomicBool>,
}

#[derive(Debug)]
struct DeafMembership {
    inner: Option<Box<dyn Membership>>,
    deaf: watch::Receiver<bool>,
    last: Option<Lease>,
    /// Whether the lease was looked at since.
    looked: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl Membership for DeafMembership {
    async fn next(&mut self) -> Result<MembershipEvent, LogError> {
        let Some(inner) = &mut self.inner else {
            return std::future::pending().await;
        };
        let deaf = async { drop(self.deaf.wait_for(|deaf| *deaf).await) };
        tokio::select! {
            event = inner.next() => return event,
            () = deaf => {}
        }
        // The lease ends here and now: time passes also for who does not notice.
        self.last = inner.lease().map(|lease| Lease {
            until: tokio::time::Instant::now(),
            ..lease
        });
        if let Some(inner) = self.inner.take() {
            inner.leave().await;
        }
        std::future::pending().await
    }

    async fn assign(
        &mut self,
        generation: i32,
        assignments: Vec<(String, Bytes)>,
    ) -> Result<(), LogError> {
        match &mut self.inner {
            Some(inner) => inner.assign(generation, assignments).await,
            None => Ok(()),
        }
    }

    fn lease(&self) -> Option<Lease> {
        if let Some(inner) = &self.inner {
            return inner.lease();
        }
        self.looked.store(true, Ordering::SeqCst);
        self.last
    }

    fn set_protocols(&mut self, protocols: Vec<(String, Bytes)>) {
        if let Some(inner) = &mut self.inner {
            inner.set_protocols(protocols);
        }
    }

    fn rejoin(&mut self) {}

    async fn leave(self: Box<Self>) {}
}

#[async_trait::async_trait]
impl Log for DeafLog {
    fn kind(&self) -> &'static str {
        self.log.kind()
    }

    fn source_discipline(&self) -> SourceDiscipline {
        self.log.source_discipline()
    }

    async fn cluster_id(&self) -> Result<String, LogError> {
        self.log.cluster_id().await
    }

    async fn producer(&self, options: ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        self.log.producer(options).await
    }

    async fn transactional_producer(
        &self,
        transactional_id: &str,
        options: ProducerOptions,
    ) -> Result<Box<dyn TransactionalProducer>, LogError> {
        self.log
            .transactional_producer(transactional_id, options)
            .await
    }

    async fn group_consumer(
        &self,
        options: GroupConsumerOptions,
    ) -> Result<Box<dyn GroupConsumer>, LogError> {
        self.log.group_consumer(options).await
    }

    async fn reader(&self, options: ReaderOptions) -> Result<Box<dyn Reader>, LogError> {
        self.log.reader(options).await
    }

    async fn table(&self, options: TableOptions) -> Result<Box<dyn Table>, LogError> {
        self.log.table(options).await
    }

    async fn membership(
        &self,
        mut options: MembershipOptions,
    ) -> Result<Box<dyn Membership>, LogError> {
        // Leaving waits for the session at most; the test need not.
        options.session_timeout = options.session_timeout.min(Duration::from_secs(1));
        options.settings = ClientSettings::new();
        Ok(Box::new(DeafMembership {
            inner: Some(self.log.membership(options).await?),
            deaf: self.deaf.subscribe(),
            last: None,
            looked: Arc::clone(&self.looked),
        }))
    }

    fn admin(&self) -> Arc<dyn Admin> {
        self.log.admin()
    }

    async fn close(&self) -> Result<(), LogError> {
        self.log.close().await
    }
}
