use std::fmt;

/// Which setting is at fault, so that the caller can name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// What the store holds, or does not: `*.location`, or the setting that holds the PEM text.
    Store,
    /// `*.type`
    Format,
    /// `*.password` of the store.
    Password,
    /// `ssl.key.password`
    KeyPassword,
}

/// Why a store cannot be used, and what to do; never with a password or a key in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    /// The setting at fault.
    pub concern: Concern,
    /// Why it cannot be used.
    pub message: String,
}

impl StoreError {
    pub(crate) fn new(concern: Concern, message: impl Into<String>) -> Self {
        Self {
            concern,
            message: message.into(),
        }
    }

    pub(crate) fn store(message: impl Into<String>) -> Self {
        Self::new(Concern::Store, message)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {}
