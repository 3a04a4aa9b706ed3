//! What serializers need of a schema registry: a client (over HTTP, or in the same process), the settings of Confluent's serializers, subject names, and the frame around
//! a payload.
//!
//! A converter asks here once per schema, never per record: what it learns it keeps beside its compiled plan.
//!
//! [`Registries`] gives out clients. A client is three layers: [`Calls`] carries a request (over HTTP with failover, retries and authentication, or straight into a
//! registry of this process), [`RestRegistry`] turns questions into requests and answers into schemas, and [`CachedRegistry`] remembers what cannot change and asks
//! once when many ask at the same time.

mod answer;
mod auth;
mod cached;
mod error;
mod generations;
mod http;
#[cfg(feature = "memory")]
pub mod memory;
pub mod percent;
mod registries;
mod registry;
mod rest;
pub mod serde;
mod settings;

pub use cached::{CacheLimits, CachedRegistry};
pub use error::ClientError;
pub use registries::Registries;
pub use registry::{NewSchema, Reference, RegisteredSchema, SchemaRegistry, SchemaType};
pub use rest::{Calls, RestRegistry};
