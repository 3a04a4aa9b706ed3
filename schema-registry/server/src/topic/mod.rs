//! The schemas topic: what it must be like, reading it, writing to it.

pub(crate) mod follower;
pub(crate) mod records;
pub(crate) mod validation;
pub(crate) mod writer;
