//! What goes on in the database meanwhile: two sessions whose transactions overlap, and a record of everything that was committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use millrace_testkit::Database;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use super::plan::Random;

/// `counter` is updated by both sessions; each session has rows of its own in `entry`.
pub(super) const SCHEMA: &str = "CREATE TABLE counter (id int PRIMARY KEY, n bigint NOT NULL);\
    INSERT INTO counter SELECT id, 0 FROM generate_series(1, 12) AS id;\
    CREATE TABLE entry (id bigint PRIMARY KEY, token text NOT NULL);";
pub(super) const TABLES: [&str; 2] = ["counter", "entry"];
const PAUSE: Duration = Duration::from_millis(16);

/// What must have become of each row of `entry`, by key: operations as in `op`.
pub(super) type Expected = BTreeMap<String, Vec<&'static str>>;

pub(super) struct Writers {
    committed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    sessions: Vec<JoinHandle<Result<Expected>>>,
}

impl Writers {
    pub(super) async fn start(database: &Database, seed: u64) -> Result<Self> {
        let (committed, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let mut sessions = Vec::new();
        for number in 1..=2 {
            let session = Session {
                client: database.connect().await?,
                random: Random::new(seed ^ (number << 40)),
                next_id: number as i64 * 1_000_000_000,
                alive: Vec::new(),
                expected: Expected::new(),
            };
            sessions.push(tokio::spawn(
                session.run(Arc::clone(&committed), Arc::clone(&stop)),
            ));
        }
        Ok(Writers {
            committed,
            stop,
            sessions,
        })
    }

    /// Transactions committed so far.
    pub(super) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Ends after the transactions at hand.
    pub(super) async fn stop(self) -> Result<Expected> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Expected::new();
        for session in self.sessions {
            all.extend(session.await??);
        }
        Ok(all)
    }
}

struct Session {
    client: Client,
    random: Random,
    next_id: i64,
    alive: Vec<i64>,
    expected: Expected,
}

impl Session {
    async fn run(mut self, committed: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Result<Expected> {
        let mut beat = tokio::time::interval(PAUSE);
        while !stop.load(Ordering::Relaxed) {
            beat.tick().await;
            if self.transaction().await? {
                committed.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(self.expected)
    }

    /// `false`: it was rolled back, and nothing of it may ever be seen.
    async fn transaction(&mut self) -> Result<bool> {
        let (mut alive, mut next_id) = (self.alive.clone(), self.next_id);
        let mut changes: Vec<(i64, &'static str)> = Vec::new();
        // In the order of the keys, so that the sessions never wait for each other in a circle.
        let first = 1 + self.random.below(10);
        let mut sql = format!("BEGIN; UPDATE counter SET n = n + 1 WHERE id = {first};");
        for _ in 0..=self.random.below(3) {
            next_id += 1;
            sql += &format!("INSERT INTO entry VALUES ({next_id}, md5('{next_id}'));");
            changes.push((next_id, "c"));
            alive.push(next_id);
        }
        if self.random.below(3) == 0 {
            sql += &format!(
                "UPDATE counter SET n = n + 1 WHERE id = {};",
                first + 1 + self.random.below(2)
            );
        }
        match self.random.below(4) {
            0 => {
                let id = alive.swap_remove(self.random.below(alive.len() as u64) as usize);
                sql += &format!("DELETE FROM entry WHERE id = {id};");
                changes.push((id, "d"));
            }
            1 => {
                // A change of the key: a delete, a tombstone and a create.
                let at = self.random.below(alive.len() as u64) as usize;
                next_id += 1;
                sql += &format!("UPDATE entry SET id = {next_id} WHERE id = {};", alive[at]);
                changes.extend([(alive[at], "d"), (next_id, "c")]);
                alive[at] = next_id;
            }
            2 => {
                let id = alive[self.random.below(alive.len() as u64) as usize];
                sql += &format!("UPDATE entry SET token = md5(token) WHERE id = {id};");
                changes.push((id, "u"));
            }
            _ => {}
        }
        self.next_id = next_id;
        let keep = self.random.below(10) > 0;
        self.client
            .batch_execute(&(sql + if keep { "COMMIT" } else { "ROLLBACK" }))
            .await?;
        if keep {
            self.alive = alive;
            for (id, operation) in changes {
                self.expected
                    .entry(format!("id={id}"))
                    .or_default()
                    .push(operation);
            }
        }
        Ok(keep)
    }
}
