//! `io.confluent.connect.protobuf.ProtobufConverter`: keys and values as Protobuf behind a schema id and message indexes, with the schemas, bytes and refusals of Confluent's
//! converter.
//!
//! A schema is translated once ([`to_protobuf`], [`to_connect`]) and compiled into a plan ([`write_plan`], [`read_plan`]); a record then costs one walk over the plan, without
//! look-ups by name and, when writing, without allocations.
//!
//! Where the original loses or garbles data, this does not follow it:
//!
//! * a decimal, date, time or timestamp at the root is written as its base type in a wrapper; the original writes it under a message index that leads elsewhere, so that
//!   nothing can read it. An enum at the root is written as its text or number; the original writes null;
//! * under `use.latest.version` without auto-registration, fields are written with the numbers of the latest version, found by name; the original keeps the numbers of the
//!   data's own schema under the id of the other;
//! * with `optional.for.nullables`, a oneof of several members is read; the original refuses it, because the members that are not set are required;
//! * a struct that is a variant, and a struct that refers to one around its parent, are written; the original fails on both;
//! * messages without end (`generate.struct.for.nulls` on a message that holds itself, values nested more than 100 deep) are refused; the original overflows its stack.

mod calendar;
mod circles;
mod config;
mod connect_types;
mod converter;
mod defaults;
mod fault;
mod logical;
mod names;
mod parts;
mod plugin;
mod read;
mod read_plan;
mod read_scalar;
mod references;
mod terms;
mod to_connect;
mod to_protobuf;
mod validate;
mod write;
mod write_plan;

pub use config::ProtobufConverterConfig;
pub use converter::ProtobufConverter;
pub use plugin::ProtobufConverterPlugin;
