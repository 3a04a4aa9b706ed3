//! `io.confluent.connect.json.JsonSchemaConverter`: keys and values as JSON behind a schema id, with the schemas, bytes and refusals of Confluent's converter.
//!
//! A schema is translated once ([`schema_text`], [`to_connect`]) and compiled into a plan ([`write_plan`], [`read_plan`]); a record then costs one walk over the plan,
//! without look-ups by name when writing and without a tree of JSON when reading ([`stream`]; [`read`] is for what is rare, and for what is refused).

mod base64;
mod config;
mod connect_parts;
mod converter;
mod decimal_bits;
mod fault;
mod field_names;
mod indent;
mod non_numbers;
mod plugin;
mod read;
mod read_plan;
mod schema_text;
mod stream;
mod terms;
mod to_connect;
mod tokens;
mod variant;
mod variant_json;
mod write;
mod write_plan;

pub use config::JsonSchemaConverterConfig;
pub use converter::JsonSchemaConverter;
pub use plugin::JsonSchemaConverterPlugin;
