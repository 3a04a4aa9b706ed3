//! The records of the topic: exact bytes to write, tolerant reading.

mod key;
mod value;

pub(crate) use key::{AssociationKey, Key, read_key, write_key};
pub(crate) use value::{
    AssociationValue, SchemaValue, read_association, read_config, read_delete_subject, read_mode,
    read_schema, write_association, write_clear_subject, write_config, write_context,
    write_delete_subject, write_mode, write_schema,
};
