//! Several registries on one topic: who may write, and how the others reach it.

pub(crate) mod assignment;
pub(crate) mod election;
pub(crate) mod identity;
