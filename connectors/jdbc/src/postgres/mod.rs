//! PostgreSQL: connecting, what tables look like, and the SQL.

mod array;
mod catalog;
mod ddl;
mod dml;
mod identifier;
mod options;
mod server_error;
mod session;

pub(crate) use array::{ArrayBuffer, Element};
#[cfg(test)]
pub(crate) use catalog::ColumnDefinition;
pub(crate) use catalog::{TableDefinition, TableId, TableKind};
pub(crate) use ddl::{DdlError, DdlStyle, alter_table, create_table};
pub(crate) use dml::{Expression, delete, insert, update, upsert};
pub(crate) use identifier::{Quoting, UnquotableName};
pub(crate) use options::Target;
pub(crate) use server_error::{ErrorClass, ServerError};
pub(crate) use session::{Relation, Session};
