//! What makes two registered schemas the same: an MD5 over text, references, metadata and rules. Printed as a UUID it is the schema's guid.

use std::fmt;

use md5::{Digest as _, Md5};

use crate::Reference;

/// The digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(pub [u8; 16]);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As a UUID: `095d71cf-1255-6b9d-5e33-0ad575b3df5d`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl Identity {
    /// Reads a UUID in any letter case; `None` for another text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        let mut digits = 0;
        for (i, c) in text.chars().enumerate() {
            if matches!(i, 8 | 13 | 18 | 23) {
                if c != '-' {
                    return None;
                }
                continue;
            }
            let digit = c.to_digit(16)? as u8;
            let byte = bytes.get_mut(digits / 2)?;
            *byte = *byte << 4 | digit;
            digits += 1;
        }
        (digits == 32).then_some(Self(bytes))
    }
}

/// Collects what is hashed. Metadata and rule sets are given by their owner, in their sorted order, through [`mark`](Self::mark) and [`text`](Self::text).
#[derive(Clone, Debug)]
pub struct IdentityParts(Md5);

impl IdentityParts {
    /// Starts with the canonical text and the references in their order.
    pub fn new(text: &str, references: &[Reference]) -> Self {
        let mut hash = Md5::new();
        hash.update(text.as_bytes());
        for reference in references {
            hash.update(reference.name.as_bytes());
            hash.update(reference.subject.as_bytes());
            hash.update(reference.version.to_be_bytes());
        }
        Self(hash)
    }

    /// The byte 1 before metadata, before rules, and behind a disabled rule.
    pub fn mark(&mut self) -> &mut Self {
        self.0.update([1]);
        self
    }

    /// Text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.0.update(text.as_bytes());
        self
    }

    /// The digest.
    pub fn finish(self) -> Identity {
        Identity(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_guid() {
        let identity = IdentityParts::new("\"string\"", &[]).finish();
        assert_eq!(identity.to_string(), "095d71cf-1255-6b9d-5e33-0ad575b3df5d");
        assert_eq!(Identity::parse(&identity.to_string()), Some(identity));
        assert_eq!(Identity::parse("095d71cf"), None);
    }
}
