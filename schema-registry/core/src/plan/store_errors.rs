use crate::{Command, RegistryError};

/// The errors of a call when its write goes wrong, each call in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreErrors {
    /// Not acknowledged, or not read back, in time: it may have been written.
    pub timed_out: RegistryError,
    /// The log refused the write, or is gone.
    pub failed: RegistryError,
    /// A record over the log's limit.
    pub too_large: RegistryError,
    /// The leader cannot be reached.
    pub forwarding_failed: RegistryError,
    /// No leader is elected.
    pub leader_unknown: RegistryError,
}

impl Command {
    /// The errors of this call when its write times out (50002 for most), fails (50001) or is too large (42209), when forwarding it fails (50003) or there is no leader (50004).
    pub fn store_errors(&self) -> StoreErrors {
        let forwarding = |what: &str| {
            RegistryError::new(
                50003,
                format!("Error while forwarding {what} request to the leader"),
            )
        };
        let leader = || RegistryError::new(50004, "Leader not known.");
        let all = |error: RegistryError| StoreErrors {
            timed_out: error.clone(),
            failed: error.clone(),
            too_large: error.clone(),
            forwarding_failed: error.clone(),
            leader_unknown: error,
        };
        match self {
            Self::DeleteSubject { subject, .. } => StoreErrors {
                timed_out: RegistryError::new(50002, "Delete subject operation timed out"),
                ..all(RegistryError::new(
                    500,
                    format!("Error while deleting the subject {subject}"),
                ))
            },
            Self::DeleteVersion { .. } => StoreErrors {
                timed_out: RegistryError::new(50002, "Delete Schema Version operation timed out"),
                forwarding_failed: forwarding("delete schema version"),
                leader_unknown: leader(),
                ..all(RegistryError::new(
                    50001,
                    "Delete Schema Version operation failed while writing to the Kafka store",
                ))
            },
            Self::DeleteContext { .. } => {
                all(RegistryError::new(500, "Error while deleting context"))
            }
            Self::PutConfig { .. } => StoreErrors {
                forwarding_failed: forwarding("update config"),
                leader_unknown: RegistryError::new(50004, "Failed to update compatibility level"),
                ..all(RegistryError::new(
                    50001,
                    "Failed to update compatibility level",
                ))
            },
            Self::DeleteConfig { .. } => StoreErrors {
                forwarding_failed: forwarding("delete config"),
                leader_unknown: RegistryError::new(50004, "Failed to delete compatibility level"),
                ..all(RegistryError::new(
                    50001,
                    "Failed to delete compatibility level",
                ))
            },
            Self::PutMode { .. } => StoreErrors {
                timed_out: RegistryError::new(50002, "Update mode operation timed out"),
                forwarding_failed: forwarding("update mode"),
                leader_unknown: RegistryError::new(50004, "Failed to update mode"),
                ..all(RegistryError::new(50001, "Failed to update mode"))
            },
            Self::DeleteMode { .. } => StoreErrors {
                forwarding_failed: forwarding("delete mode"),
                leader_unknown: RegistryError::new(50004, "Failed to delete mode"),
                ..all(RegistryError::new(50001, "Failed to delete mode"))
            },
            Self::InContext { command, .. } => command.store_errors(),
            Self::Register { .. }
            | Self::ModifyTags { .. }
            | Self::PostAssociations { .. }
            | Self::PutAssociations { .. }
            | Self::DeleteAssociations { .. }
            | Self::MutateAssociations { .. } => registering(),
        }
    }
}

/// The errors of everything that registers.
fn registering() -> StoreErrors {
    StoreErrors {
        timed_out: RegistryError::new(50002, "Register operation timed out"),
        failed: RegistryError::new(
            50001,
            "Register schema operation failed while writing to the Kafka store",
        ),
        too_large: RegistryError::too_large(),
        forwarding_failed: RegistryError::new(
            50003,
            "Error while forwarding register schema request to the leader",
        ),
        leader_unknown: RegistryError::new(50004, "Leader not known."),
    }
}

impl StoreErrors {
    pub(super) fn registering() -> Self {
        registering()
    }
}
