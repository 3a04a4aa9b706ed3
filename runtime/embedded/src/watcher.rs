//! For a log that is open for reading only: notices what its owner, another process, commits.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use millrace_log::LogError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::from_sqlite;
use crate::schema::load_topics;
use crate::shared::Shared;

/// No notification crosses processes, so this is how old news may be.
const INTERVAL: Duration = Duration::from_millis(50);

/// Questions that may be queued.
const QUEUE: usize = 64;

type Positions = Vec<(String, i32, i64)>;

enum Command {
    GroupOffsets(String, oneshot::Sender<Result<Positions, LogError>>),
    Refresh(oneshot::Sender<Result<(), LogError>>),
    Stop,
}

#[derive(Debug)]
pub(crate) struct WatcherHandle {
    commands: SyncSender<Command>,
}

impl WatcherHandle {
    pub(crate) fn stop(&self) {
        // A thread that is gone has stopped; one that is too busy for the message sees that the log is closed.
        let _ = self.commands.try_send(Command::Stop);
    }

    /// All positions of a group, sorted by topic and partition.
    pub(crate) async fn group_offsets(&self, group: String) -> Result<Positions, LogError> {
        self.ask(|done| Command::GroupOffsets(group, done)).await
    }

    /// Brings the catalogue up to what is committed now: an answer about ends must not be old news.
    pub(crate) async fn refresh(&self) -> Result<(), LogError> {
        self.ask(Command::Refresh).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, LogError>>) -> Command,
    ) -> Result<T, LogError> {
        let (done, answer) = oneshot::channel();
        self.commands
            .try_send(command(done))
            .map_err(|error| match error {
                TrySendError::Full(_) => {
                    LogError::retriable("too many questions to the embedded log at once")
                }
                TrySendError::Disconnected(_) => LogError::Closed,
            })?;
        answer.await.unwrap_or(Err(LogError::Closed))
    }
}

pub(crate) fn start(
    conn: Connection,
    shared: Arc<Shared>,
) -> std::io::Result<(WatcherHandle, JoinHandle<()>)> {
    let (commands, requests) = sync_channel(QUEUE);
    let run = move || {
        let mut seen = None;
        loop {
            match requests.recv_timeout(INTERVAL) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(_) if shared.is_closed() => return,
                Ok(Command::GroupOffsets(group, done)) => {
                    drop(done.send(group_offsets(&conn, &group, &shared)));
                }
                Ok(Command::Refresh(done)) => drop(done.send(refresh(&conn, &shared, &mut seen))),
                Err(RecvTimeoutError::Timeout) if shared.is_closed() => return,
                Err(RecvTimeoutError::Timeout) => match refresh(&conn, &shared, &mut seen) {
                    Ok(()) => {}
                    Err(error) if error.is_retriable() => tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "the embedded log could not be read"
                    ),
                    Err(error) => return shared.poison(&error),
                },
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("millrace-log-watcher".into())
        .spawn(run)?;
    Ok((WatcherHandle { commands }, thread))
}

fn group_offsets(conn: &Connection, group: &str, shared: &Shared) -> Result<Positions, LogError> {
    let read = || -> rusqlite::Result<Positions> {
        let sql = "SELECT t.name, p.n, g.offset FROM group_offset g JOIN part p ON p.id = g.part JOIN topic t ON t.id = p.topic
                   WHERE g.grp = ?1 ORDER BY t.name, p.n";
        let mut statement = conn.prepare_cached(sql)?;
        statement
            .query_map([group], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
            .collect()
    };
    read().map_err(|e| from_sqlite(e, "reading the positions of a group", &shared.options.dir))
}

/// Brings the catalogue up to date when somebody has committed since the last call.
fn refresh(conn: &Connection, shared: &Shared, seen: &mut Option<i64>) -> Result<(), LogError> {
    let dir = &shared.options.dir;
    let version: i64 = conn
        .query_row("PRAGMA data_version", [], |r| r.get(0))
        .map_err(|e| from_sqlite(e, "looking for news", dir))?;
    if seen.replace(version) == Some(version) {
        return Ok(());
    }
    let catalog = &shared.catalog;
    let mut present = HashSet::new();
    for (topic, rows) in load_topics(conn, &shared.options.topic_defaults, dir)? {
        present.insert(Arc::clone(&topic.name));
        match catalog.topic(&topic.name) {
            Some(known) if known.id == topic.id => {
                for (partition, row) in known.partitions.iter().zip(rows) {
                    partition.set_start(row.start);
                    partition.set_end(row.end);
                }
            }
            _ => {
                catalog.remove(&topic.name);
                catalog.insert(Arc::new(topic));
            }
        }
    }
    for topic in catalog
        .topics()
        .iter()
        .filter(|t| !present.contains(&t.name))
    {
        catalog.remove(&topic.name);
    }
    Ok(())
}
