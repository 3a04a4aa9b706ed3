//! The sink in Confluent's dialect.

mod binder;
mod config;
mod evolve;
mod fields;
mod fold;
mod isolate;
mod key_index;
mod plan;
mod plugin;
mod record_check;
mod settings;
mod table_name;
mod task;
mod temporal;
#[cfg(test)]
pub(crate) mod testing;
mod value_text;
mod writer;
mod zone;

pub use config::JdbcSinkConfig;
pub use plugin::JdbcSinkPlugin;

pub(crate) use fields::Column;
#[cfg(test)]
pub(crate) use fields::Columns;
#[cfg(test)]
pub(crate) use settings::Settings;
pub(crate) use table_name::TableName;
pub(crate) use temporal::{WallClock, date_text, time_text, timestamp_text};
pub(crate) use value_text::epoch_number;
