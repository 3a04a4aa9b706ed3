//! `io.confluent.connect.avro.AvroConverter`: keys and values as Avro behind a schema id, with the schemas, bytes and refusals of Confluent's converter.
//!
//! A schema is translated once (`to_avro`, `to_connect`) and compiled into a plan (`write_plan`, `read_plan`); a record then costs one walk over the plan, without
//! look-ups by name and, when writing, without allocations.

mod anything;
mod avro_types;
mod config;
mod converter;
mod fault;
mod java_object;
mod logical_types;
mod map_entries;
mod names;
mod plugin;
mod read;
mod read_plan;
mod scrub;
mod terms;
mod to_avro;
mod to_avro_defaults;
mod to_connect;
mod to_connect_attributes;
mod to_connect_defaults;
mod wire;
mod write;
mod write_compile;
mod write_plan;

pub use config::AvroConverterConfig;
pub use converter::AvroConverter;
pub use plugin::AvroConverterPlugin;
