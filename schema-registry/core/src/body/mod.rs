//! Request bodies, read as leniently as Jackson reads them into the original's classes.

mod association;
mod config;
mod mode;
mod read;
mod register;
mod tags;

pub(crate) use association::{
    BatchGet, BatchMutation, Lifecycle, Mutation, Operation, Resource, Wanted, illegal,
};
pub(crate) use config::ConfigUpdate;
pub(crate) use mode::ModeUpdate;
pub(crate) use read::{Members, metadata, parse, rule_set};
pub(crate) use register::{RegisterRequest, RequestReference};
pub(crate) use tags::{TagChange, TagRequest};
