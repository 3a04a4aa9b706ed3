//! The registry without I/O: what the records of `_schemas` mean, what every call answers, and which records a change writes.
//!
//! [`Registry`] holds the state. Reads ([`Query`]) are answered from it. A change ([`Command`]) is planned against it ([`Registry::plan`]): either the answer is known, or
//! records must be written first; the server writes them, gives everything it reads back to [`Registry::apply`], and then asks the plan for the answer. No clock, no
//! network, no log: the server owns those.

mod answer;
mod body;
mod command;
mod compat;
mod config;
mod content;
mod draft;
mod error;
mod lookup;
mod loose;
mod metadata;
mod name;
mod outline;
mod parsed_cache;
mod plan;
mod query;
mod read;
mod record;
mod references;
mod registry;
mod render;
mod rules;
mod settings;
mod state;
mod version;

pub use answer::{Answer, Body};
pub use command::{Command, Flags};
pub use error::RegistryError;
pub use plan::{Pending, Plan, StoreErrors};
pub use query::{AssociationFilter, Page, Query};
pub use registry::{Applied, Registry, Statistics, TopicWrite};
pub use settings::{Personality, Settings};
pub use state::Counts;
