//! Going on after a stored position: which of the changes that the server sends again have been sent already.
//!
//! LSNs of changes do not grow from one transaction to the next (transactions are sent in the order of their commits), so "skip what is not beyond the stored
//! LSN" would lose changes. What does hold: commits grow, and within a transaction the LSNs of its changes do not fall. A stored position names the last commit
//! that was passed (C), the last change that was sent (E) and how many changes with that LSN were (N). So everything up to commit C is done; the next
//! transaction is the one that E belongs to, unless C is E; in it the changes before E, and the first N at E, are done; everything later is new.

use crate::offset::{MessageType, Position};

/// Decides about each transaction and change after a restart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resume {
    commit: Option<u64>,
    partial: Option<Partial>,
    /// The transaction at hand ends at or before the stored commit.
    passing: bool,
}

#[derive(Debug, Clone, Copy)]
struct Partial {
    lsn: u64,
    count: u32,
    seen: u32,
}

impl Resume {
    /// From where to stream, and what to leave out, for a stored position.
    pub(crate) fn after(position: &Position) -> (u64, Self) {
        let Some(processed) = position.lsn_proc else {
            // Right after a snapshot: everything that commits from here on is new.
            return (position.lsn, Self::default());
        };
        let whole = matches!(
            position.message,
            Some(MessageType::Commit | MessageType::Message) | None
        ) && position.lsn_commit == Some(processed);
        let partial =
            (!whole && !matches!(position.message, Some(MessageType::Begin))).then_some(Partial {
                lsn: processed,
                count: position.events.max(1),
                seen: 0,
            });
        (
            position.lsn_commit.unwrap_or(processed),
            Self {
                commit: position.lsn_commit,
                partial,
                passing: false,
            },
        )
    }

    /// Whether nothing is left to be left out.
    pub(crate) fn is_done(&self) -> bool {
        self.commit.is_none() && self.partial.is_none() && !self.passing
    }

    /// A transaction begins whose commit record is at `final_lsn`.
    pub(crate) fn begin(&mut self, final_lsn: u64) {
        // The stored commit is the end of its record, the server tells where the record starts.
        self.passing = self.commit.is_some_and(|commit| final_lsn < commit);
    }

    /// Whether the change at `lsn` was sent before.
    pub(crate) fn skips(&mut self, lsn: u64) -> bool {
        if self.passing {
            return true;
        }
        let Some(partial) = &mut self.partial else {
            return false;
        };
        if lsn < partial.lsn {
            return true;
        }
        if lsn == partial.lsn && partial.seen < partial.count {
            partial.seen += 1;
            return true;
        }
        self.partial = None;
        false
    }

    /// The transaction at hand has ended.
    pub(crate) fn commit(&mut self) {
        if !self.passing {
            // The first transaction after the stored commit: if it was the partial one, all of it has passed now.
            self.partial = None;
            self.commit = None;
        }
        self.passing = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A transaction: LSNs of its changes, start and end of its commit record.
    #[derive(Debug, Clone)]
    struct Tx {
        changes: Vec<u64>,
        commit: u64,
        end: u64,
    }

    /// Runs a stream and gives each change sent with the position stored after it.
    fn run(transactions: &[Tx], from: Option<&Position>) -> Vec<(u64, usize, Position)> {
        let (start, mut resume) = from.map_or((0, Resume::default()), Resume::after);
        let mut position = from.copied().unwrap_or_default();
        let mut out = Vec::new();
        for tx in transactions.iter().filter(|tx| tx.commit >= start) {
            resume.begin(tx.commit);
            for (i, &lsn) in tx.changes.iter().enumerate() {
                if resume.skips(lsn) {
                    continue;
                }
                position.events = if position.lsn_proc == Some(lsn) && position.events > 0 {
                    position.events + 1
                } else {
                    1
                };
                position.lsn = lsn;
                position.lsn_proc = Some(lsn);
                position.message = Some(MessageType::Insert);
                out.push((tx.commit, i, position));
            }
            resume.commit();
            position = Position {
                lsn: tx.end,
                lsn_proc: Some(tx.end),
                lsn_commit: Some(tx.end),
                message: Some(MessageType::Commit),
                events: 0,
                ..position
            };
        }
        out
    }

    /// Interleaved transactions: changes of several in one WAL, commits in between.
    fn transactions() -> impl Strategy<Value = Vec<Tx>> {
        prop::collection::vec((0usize..4, 0u8..6), 1..60).prop_map(|steps| {
            let mut open: Vec<Vec<u64>> = vec![Vec::new(); 4];
            let mut done = Vec::new();
            let mut lsn = 100;
            for (who, what) in steps {
                match what {
                    0 if !open[who].is_empty() => {
                        done.push(Tx {
                            changes: std::mem::take(&mut open[who]),
                            commit: lsn,
                            end: lsn + 1,
                        });
                        lsn += 1;
                    }
                    // Several rows of one record share its LSN.
                    1 => open[who].extend([lsn, lsn, lsn]),
                    _ => open[who].push(lsn),
                }
                lsn += 1;
            }
            done
        })
    }

    proptest! {
        #[test]
        fn a_restart_after_any_event_goes_on_with_the_next(transactions in transactions()) {
            let all = run(&transactions, None);
            for (i, (_, _, stored)) in all.iter().enumerate() {
                let rest: Vec<_> = run(&transactions, Some(stored)).into_iter().map(|(tx, n, _)| (tx, n)).collect();
                let expected: Vec<_> = all[i + 1..].iter().map(|(tx, n, _)| (*tx, *n)).collect();
                prop_assert_eq!(rest, expected, "after event {}", i);
            }
        }
    }
}
