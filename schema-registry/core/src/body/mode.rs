//! `ModeUpdateRequest`

use std::sync::Arc;

use java_idioms::json::Object;

use super::read::Members;
use crate::RegistryError;

/// The body of `PUT /mode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ModeUpdate {
    /// Without the member, which the original fails on.
    Absent,
    /// `null`: the mode is removed.
    Clear,
    /// As it was sent; the answer repeats it.
    Set(Arc<str>),
}

impl ModeUpdate {
    /// From the members of the body.
    ///
    /// # Errors
    /// 400 for a wrong type.
    pub(crate) fn read(members: &Object) -> Result<Self, RegistryError> {
        let members = Members(members);
        Ok(match members.text("mode")? {
            Some(mode) => Self::Set(mode),
            None if members.has("mode") => Self::Clear,
            None => Self::Absent,
        })
    }
}
