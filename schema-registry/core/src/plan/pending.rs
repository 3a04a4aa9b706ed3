use std::collections::BTreeSet;
use std::sync::Arc;

use registry_formats::Identity;

use super::reservation::Reservation;
use super::store_errors::StoreErrors;
use crate::name::SubjectName;
use crate::registry::Registry;
use crate::{Answer, RegistryError, TopicWrite};

/// What a change comes to.
#[derive(Debug)]
pub enum Plan {
    /// Nothing is to be written: also what followers answer by themselves (a schema that is registered already).
    Answer(Answer),
    /// Only the leader may do this: write the records in order, apply what is read back, then take the answer.
    Write(Vec<TopicWrite>, Pending),
}

/// A change whose records are being written.
#[derive(Debug)]
pub struct Pending(Box<Written>);

#[derive(Debug)]
struct Written {
    answer: Answer,
    draft: Draft,
    errors: StoreErrors,
}

/// What a plan looked at and changes.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Subjects whose versions, configuration or mode it changes.
    pub(super) changed: BTreeSet<SubjectName>,
    /// Subjects it looked at besides.
    pub(super) read: BTreeSet<SubjectName>,
    /// The context and hash of what is registered: another plan with the same must see this one's id.
    pub(super) content: Option<(Arc<str>, Identity)>,
    /// A context that gets its record.
    pub(super) new_context: Option<Arc<str>>,
    /// Whether nothing else may be written with it.
    pub(super) alone: bool,
    /// The id given to it.
    pub(super) reservation: Option<Reservation>,
    /// The version that must be there afterwards: subject, version, id, hash.
    pub(super) expected: Vec<(SubjectName, i32, i32, Identity)>,
}

impl Draft {
    /// A change that goes with no other.
    pub(super) fn alone() -> Self {
        Self {
            alone: true,
            ..Self::default()
        }
    }

    pub(super) fn into_plan(
        self,
        writes: Vec<TopicWrite>,
        answer: Answer,
        errors: StoreErrors,
    ) -> Plan {
        Plan::Write(
            writes,
            Pending(Box::new(Written {
                answer,
                draft: self,
                errors,
            })),
        )
    }
}

impl Pending {
    /// Whether two changes may be written together: they concern different subjects and different contents, so that neither would have been planned otherwise had
    /// the other been applied first.
    pub fn is_independent_of(&self, other: &Self) -> bool {
        let (a, b) = (&self.0.draft, &other.0.draft);
        let touches = |x: &Draft, y: &Draft| {
            x.changed
                .iter()
                .any(|s| y.changed.contains(s) || y.read.contains(s))
        };
        !(a.alone
            || b.alone
            || touches(a, b)
            || touches(b, a)
            || a.content.is_some() && a.content == b.content
            || a.new_context.is_some() && a.new_context == b.new_context)
    }

    /// The answer, after the records were read back and applied.
    ///
    /// # Errors
    /// When a record did not take effect, because another leader's came first (50001 with what to do).
    pub fn answer(self, registry: &Registry) -> Result<Answer, RegistryError> {
        if let Some(reservation) = &self.0.draft.reservation {
            reservation.keep();
        }
        let state = registry.state();
        for (subject, version, id, identity) in &self.0.draft.expected {
            let took_effect = match state.version(subject, *version) {
                Some(entry) => entry.id == *id && entry.content.identity == *identity,
                // Gone again by a later delete, unless it never came.
                None => !state.refused.contains(subject, *version, *id),
            };
            if !took_effect {
                return Err(RegistryError::new(
                    50001,
                    format!(
                        "{}: another leader wrote version {version} of subject '{subject}' or id {id} at the same time. Send the request again",
                        self.0.errors.failed.message
                    ),
                ));
            }
        }
        drop(state);
        Ok(self.0.answer)
    }

    /// The error when the records were written, or may have been, and were not read back in time (50002 for most calls). The plan's id is not given again after this.
    pub fn timed_out(&self) -> RegistryError {
        if let Some(reservation) = &self.0.draft.reservation {
            reservation.keep();
        }
        self.0.errors.timed_out.clone()
    }

    /// The errors of this call when something goes wrong with the log.
    pub fn store_errors(&self) -> &StoreErrors {
        &self.0.errors
    }
}
