//! What a changing call answers when it could not be done.

use registry_core::{Command, RegistryError};

/// Why a change came to nothing, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The record was not seen in the topic in time; it may be there.
    TimedOut,
    /// The topic refused the record.
    Store,
    /// The record is larger than the topic takes.
    TooLarge,
    /// The leader could not be reached, or did not answer.
    Forwarding,
    /// There is no leader.
    NoLeader,
    /// More calls wait already than are allowed to.
    Busy,
}

impl Failure {
    /// The answer of `command`, in the original's words where it has any.
    pub(crate) fn of(self, command: &Command) -> RegistryError {
        let errors = command.store_errors();
        match self {
            Self::TimedOut => errors.timed_out,
            Self::Store => errors.failed,
            Self::TooLarge => errors.too_large,
            Self::Forwarding => errors.forwarding_failed,
            Self::NoLeader => errors.leader_unknown,
            Self::Busy => busy(),
        }
    }
}

/// What a call answers that would have to wait too long.
pub(crate) fn busy() -> RegistryError {
    RegistryError::new(
        503,
        "The registry is busy: this call could not be answered in time. Try again later.",
    )
}

/// What a call answers whose handling broke down.
pub(crate) fn broken() -> RegistryError {
    RegistryError::new(500, "Internal Server Error")
}
