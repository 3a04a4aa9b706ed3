//! Finds the records that the server refuses in a batch that it refused as a whole, and writes all others.
//!
//! Ever larger or smaller parts of the batch are tried under a savepoint, so that one bad record in 3000 costs some two dozen statements and not 3000. Records
//! before a bad one are committed before it is reported, as in Java: a task that dies there leaves neither a gap nor a record that was reported in vain.

use millrace_api::data::SinkRecord;

use super::writer::{DdlCommit, Failure, Writer};
use crate::postgres::{ErrorClass, Session};

/// The search through one batch.
#[derive(Debug)]
pub(crate) struct Search {
    /// Numbers of the records that are neither written nor refused yet, in order.
    pub(crate) pending: Vec<u32>,
    /// How many of them are tried next.
    step: usize,
    /// The batch failed at COMMIT: constraints are checked part by part instead.
    deferred: bool,
    /// Whether records before a bad one are committed; if not, a bad one takes everything back.
    commits: bool,
}

/// A record that is refused.
#[derive(Debug)]
pub(crate) struct Bad {
    /// Number of the record; it is no longer pending.
    pub(crate) record: u32,
    /// Why.
    pub(crate) failure: Failure,
}

impl Search {
    /// A search through `pending`, which were refused as a whole: at COMMIT when `deferred`.
    pub(crate) fn new(pending: Vec<u32>, deferred: bool, commits: bool) -> Self {
        Self {
            step: pending.len().div_ceil(2),
            pending,
            deferred,
            commits,
        }
    }

    /// Writes up to the first bad record, which it names; `None` when everything is written. Records that were committed are moved to `durable`.
    ///
    /// # Errors
    /// When the connection is lost, the server cannot go on for now, or the task must fail anyway. The transaction may be open then.
    pub(crate) async fn next_bad(
        &mut self,
        session: &mut Session,
        writer: &mut Writer,
        records: &[SinkRecord],
        durable: &mut Vec<u32>,
    ) -> Result<Option<Bad>, Failure> {
        loop {
            session.control("BEGIN").await?;
            let (written, bad) = self.try_parts(session, writer, records).await?;
            if bad.is_some() && !self.commits {
                session.control("ROLLBACK").await?;
                writer.rolled_back();
                return Ok(bad.map(|failure| Bad {
                    record: self.pending.remove(written),
                    failure,
                }));
            }
            match session.commit().await {
                Ok(()) => writer.committed(),
                // The constraint of one of these is deferred: look again, checking part by part.
                Err(error)
                    if !self.deferred
                        && matches!(error.class(), ErrorClass::Refused | ErrorClass::Stale) =>
                {
                    writer.rolled_back();
                    self.deferred = true;
                    self.step = self.pending.len();
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            durable.extend(self.pending.drain(..written));
            // Bad records often come in a row.
            self.step = 1;
            return Ok(bad.map(|failure| Bad {
                record: self.pending.remove(0),
                failure,
            }));
        }
    }

    /// Writes part after part in the open transaction: how many records are written, and why the next one is not.
    async fn try_parts(
        &mut self,
        session: &mut Session,
        writer: &mut Writer,
        records: &[SinkRecord],
    ) -> Result<(usize, Option<Failure>), Failure> {
        let mut written = 0;
        while written < self.pending.len() {
            let length = self.step.clamp(1, self.pending.len() - written);
            session.control("SAVEPOINT millrace_part").await?;
            let mut outcome = writer
                .write(
                    session,
                    records,
                    &self.pending[written..written + length],
                    DdlCommit::Later,
                )
                .await;
            if outcome.is_ok() && self.deferred {
                outcome = session
                    .control("SET CONSTRAINTS ALL IMMEDIATE")
                    .await
                    .map_err(Failure::from);
            }
            match outcome {
                Ok(()) => {
                    session.control("RELEASE SAVEPOINT millrace_part").await?;
                    written += length;
                    self.step = length.saturating_mul(2);
                }
                Err(failure) if is_refusal(&failure) => {
                    session
                        .control(
                            "ROLLBACK TO SAVEPOINT millrace_part; RELEASE SAVEPOINT millrace_part",
                        )
                        .await?;
                    writer.part_rolled_back();
                    if length == 1 {
                        return Ok((written, Some(failure)));
                    }
                    self.step = length / 2;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok((written, None))
    }
}

/// Whether a failure is about some record, so that the others may be written.
pub(crate) fn is_refusal(failure: &Failure) -> bool {
    match failure {
        Failure::Table(_) => true,
        Failure::Server(error) => matches!(error.class(), ErrorClass::Refused | ErrorClass::Stale),
        Failure::Fatal(_) => false,
    }
}
