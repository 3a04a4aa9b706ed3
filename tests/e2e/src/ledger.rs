//! What the partitions of a source may look like after any number of crashes.
//!
//! Each start of a task (a *run*) goes on from a stored offset. So in every partition a run is one block; it may begin with records that are there already, back to
//! that offset and no further; from there on it goes through everything in the order of the commits, without a gap and without a repetition.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use crate::capture::Event;
use crate::rows::key_text;

/// One record of a partition, as the ledger sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub run: String,
    /// Same for the same change, whichever run wrote it.
    pub change: String,
    /// Transaction and place in the WAL; `None` for records that have none.
    pub place: Option<Place>,
}

/// Where a change was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub transaction: i64,
    pub lsn: i64,
}

/// A stored offset: everything of the transaction up to `lsn`, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub place: Place,
    pub whole: bool,
}

impl Stored {
    /// Reads what a PostgreSQL source has stored; `None` during and right after a snapshot.
    pub fn from_offset(offset: &serde_json::Value) -> Option<Self> {
        let place = Place {
            transaction: offset["txId"].as_i64()?,
            lsn: offset["lsn_proc"].as_i64()?,
        };
        let message = offset["messageType"].as_str()?;
        Some(Stored {
            place,
            whole: message == "COMMIT",
        })
    }

    fn covers(&self, place: Place) -> bool {
        place.transaction == self.place.transaction && (self.whole || place.lsn <= self.place.lsn)
    }
}

/// What happened in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Findings {
    /// Runs that began with records that were there already.
    pub replays: usize,
    /// Those records.
    pub duplicates: usize,
    /// Changes, each counted once.
    pub changes: usize,
}

/// Entries of streamed events of one partition, in its order. A tombstone belongs to the delete before it.
///
/// # Errors
/// When a tombstone has no delete.
pub fn entries<'a>(events: impl Iterator<Item = &'a Event>) -> Result<Vec<Entry>, String> {
    let mut deletes: HashMap<String, (String, Option<Place>)> = HashMap::new();
    let mut all = Vec::new();
    for event in events {
        let key = key_text(&event.key);
        let run = event.run().to_owned();
        if event.op().is_empty() {
            let name = format!("{run} {key}");
            let (change, place) = deletes.remove(&name).ok_or(format!(
                "a tombstone of {key} at offset {} without a delete before it",
                event.offset
            ))?;
            all.push(Entry {
                run,
                change: change + " tombstone",
                place,
            });
            continue;
        }
        let place = event
            .source("txId")
            .zip(event.source("lsn"))
            .map(|(transaction, lsn)| Place { transaction, lsn });
        let change = format!("{place:?} {} {key}", event.op());
        if event.op() == "d" {
            deletes.insert(format!("{run} {key}"), (change.clone(), place));
        }
        all.push(Entry { run, change, place });
    }
    if deletes.is_empty() {
        Ok(all)
    } else {
        unfinished(&deletes, all)
    }
}

/// A run that was killed between a delete and its tombstone is made good by the next run.
fn unfinished(
    deletes: &HashMap<String, (String, Option<Place>)>,
    all: Vec<Entry>,
) -> Result<Vec<Entry>, String> {
    let there: HashSet<&str> = all.iter().map(|entry| entry.change.as_str()).collect();
    match deletes
        .values()
        .find(|(change, _)| !there.contains(format!("{change} tombstone").as_str()))
    {
        None => Ok(all),
        Some((change, _)) => Err(format!("no tombstone follows {change}")),
    }
}

/// Checks one partition. `stored`: what each run went on from, where that is known.
///
/// # Errors
/// Says which record is out of place.
pub fn check(entries: &[Entry], stored: &HashMap<String, Stored>) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut order: Vec<&Entry> = Vec::new();
    let mut runs: HashSet<&str> = HashSet::new();
    let mut run = "";
    let mut previous: Option<usize> = None;
    for (at, entry) in entries.iter().enumerate() {
        let place = || context(entries, at);
        if entry.run != run || at == 0 {
            if !runs.insert(&entry.run) {
                return Err(format!(
                    "run {} writes after its successor has begun:\n{}",
                    entry.run,
                    place()
                ));
            }
            run = &entry.run;
            previous = None;
        }
        let known = first.get(entry.change.as_str()).copied();
        let index = known.unwrap_or(order.len());
        match previous {
            Some(previous) if index <= previous => {
                return Err(format!(
                    "a run writes the same change twice, or goes back:\n{}",
                    place()
                ));
            }
            Some(previous) if index > previous + 1 => {
                return Err(format!(
                    "a run leaves out what another has written:\n{}",
                    place()
                ));
            }
            Some(_) => {}
            None if known.is_some() => {
                findings.replays += 1;
                // Everything from here to the end is about to come again.
                if let Some(stored) = stored.get(run)
                    && let Some(again) = order[index..]
                        .iter()
                        .find(|other| other.place.is_some_and(|place| stored.covers(place)))
                {
                    return Err(format!(
                        "a run goes back behind its stored offset {stored:?}, to before {again:?}:\n{}",
                        place()
                    ));
                }
            }
            None => {}
        }
        if known.is_some() {
            findings.duplicates += 1;
        } else {
            first.insert(&entry.change, index);
            order.push(entry);
        }
        previous = Some(index);
    }
    findings.changes = order.len();
    Ok(findings)
}

/// A few records around the one at fault.
fn context(entries: &[Entry], at: usize) -> String {
    let mut text = String::new();
    for (n, entry) in entries
        .iter()
        .enumerate()
        .take(at + 3)
        .skip(at.saturating_sub(4))
    {
        let mark = if n == at { '>' } else { ' ' };
        let _ = writeln!(text, "{mark} {n}: run {} {}", entry.run, entry.change);
    }
    text
}

/// Events of which each change is there once, at the place where it came first.
pub fn without_duplicates<'a>(
    events: impl Iterator<Item = &'a Event>,
    entries: &[Entry],
) -> Vec<&'a Event> {
    let mut seen = HashSet::new();
    events
        .zip(entries)
        .filter(|(_, entry)| seen.insert(entry.change.as_str()))
        .map(|(event, _)| event)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `"a1 a2 b2 b3"`: run a writes changes 1 and 2, run b 2 and 3.
    fn partition(text: &str) -> Vec<Entry> {
        let entry = |word: &str| {
            let (run, n) = word.split_at(1);
            let n: i64 = n.parse().unwrap();
            Entry {
                run: run.to_owned(),
                change: n.to_string(),
                place: Some(Place {
                    transaction: n / 10,
                    lsn: n,
                }),
            }
        };
        text.split_whitespace().map(entry).collect()
    }

    fn judge(text: &str) -> Result<Findings, String> {
        check(&partition(text), &HashMap::new())
    }

    #[test]
    fn replays_to_the_end_are_counted() {
        assert_eq!(
            judge("a1 a2 a3 b4").unwrap(),
            Findings {
                replays: 0,
                duplicates: 0,
                changes: 4
            }
        );
        assert_eq!(
            judge("a1 a2 a3 b2 b3 b4 c4").unwrap(),
            Findings {
                replays: 2,
                duplicates: 3,
                changes: 4
            }
        );
        assert_eq!(
            judge("a1 a2 a3 b2 c2 c3 c4").unwrap(),
            Findings {
                replays: 2,
                duplicates: 3,
                changes: 4
            }
        );
    }

    #[test]
    fn what_breaks_the_order_is_found() {
        assert!(judge("a1 a2 a2").unwrap_err().contains("twice"));
        assert!(judge("a1 a2 a1").unwrap_err().contains("goes back"));
        assert!(
            judge("a1 a2 b2 a3")
                .unwrap_err()
                .contains("after its successor")
        );
        assert!(
            judge("a1 a2 a3 b1 b3 b4")
                .unwrap_err()
                .contains("leaves out")
        );
    }

    #[test]
    fn a_replay_begins_behind_the_stored_offset() {
        let stored = |lsn: i64, whole| {
            HashMap::from([(
                "b".to_owned(),
                Stored {
                    place: Place {
                        transaction: lsn / 10,
                        lsn,
                    },
                    whole,
                },
            )])
        };
        let log = partition("a11 a12 a13 b12 b13 b14");
        assert!(check(&log, &stored(11, false)).is_ok());
        assert!(
            check(&log, &stored(12, false))
                .unwrap_err()
                .contains("behind its stored offset")
        );
        assert!(
            check(&log, &stored(11, true))
                .unwrap_err()
                .contains("behind its stored offset")
        );
    }
}
