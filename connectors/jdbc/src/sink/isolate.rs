//! Finds the records that the server refuses in a batch that it refused as a whole, and writes all others.
//!
//! Ever larger or smaller parts of the batch are tried under a savepoint, so that one bad record in 3000 costs some two dozen statements and not 3000. Records
//! before a bad one are committed before it is reported, as in Java: a task that dies there leaves neither a gap nor a record that was reported in vain.

use millrace_api::data::SinkRecord;

use super::writer::{DdlCommit, Failure, Writer};
use crate::postgres::{ErrorClass, Session};

/// What became of a batch.
pub(crate) enum Isolated {
    /// All records after the last bad one that was reported were written and committed.
    Done,
    /// The record with this number is refused; those before it are committed when `commit_good` was asked for, else nothing is.
    Bad {
        /// Number of the record.
        record: u32,
        /// Why.
        failure: Failure,
    },
}

/// Writes `pending` up to the first bad record, which it names. Written and committed records are moved to `durable`.
///
/// `deferred`: the batch failed at COMMIT, so constraints are checked part by part.
///
/// # Errors
/// When the connection is lost, the server cannot go on for now, or the task must fail anyway.
pub(crate) async fn write_to_first_bad(
    session: &mut Session,
    writer: &mut Writer,
    records: &[SinkRecord],
    pending: &mut Vec<u32>,
    durable: &mut Vec<u32>,
    step: &mut usize,
    deferred: &mut bool,
    commit_good: bool,
) -> Result<Isolated, Failure> {
    loop {
        session.control("BEGIN").await?;
        let mut at = 0;
        let mut bad = None;
        while at < pending.len() && bad.is_none() {
            let length = (*step).clamp(1, pending.len() - at);
            session.control("SAVEPOINT millrace_part").await?;
            let mut outcome = writer.write(session, records, &pending[at..at + length], DdlCommit::Later).await;
            if outcome.is_ok() && *deferred {
                outcome = session.control("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(Failure::from);
            }
            match outcome {
                Ok(()) => {
                    session.control("RELEASE SAVEPOINT millrace_part").await?;
                    at += length;
                    *step = length.saturating_mul(2);
                }
                Err(failure) if is_refusal(&failure) => {
                    session.control("ROLLBACK TO SAVEPOINT millrace_part; RELEASE SAVEPOINT millrace_part").await?;
                    writer.rolled_back();
                    if length == 1 {
                        bad = Some(failure);
                    } else {
                        *step = length / 2;
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        if bad.is_some() && !commit_good {
            session.control("ROLLBACK").await?;
            writer.rolled_back();
        } else {
            match session.commit().await {
                Ok(()) => writer.committed(),
                // The constraint of one of these is deferred: look again, checking part by part.
                Err(error) if !*deferred && matches!(error.class(), ErrorClass::Refused | ErrorClass::Stale) => {
                    writer.rolled_back();
                    *deferred = true;
                    *step = pending.len();
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            durable.extend(pending.drain(..at));
            at = 0;
        }
        return Ok(match bad {
            None => Isolated::Done,
            Some(failure) => Isolated::Bad { record: pending[at], failure },
        });
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
