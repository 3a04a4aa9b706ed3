use millrace_api::config::{ConfigEnum, ConnectConfig};

/// What becomes of a delete and of the tombstone after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ConfigEnum)]
pub(super) enum DeleteTombstoneHandling {
    /// Both are dropped.
    #[config(value = "drop")]
    Drop,
    /// The delete becomes a null value that keeps the row's schema; the tombstone is dropped.
    #[config(value = "tombstone")]
    Tombstone,
    /// Rows carry `__deleted`; a delete is the row before it. The tombstone is dropped.
    #[config(value = "rewrite")]
    Rewrite,
    /// The same, and the tombstone stays.
    #[config(value = "rewrite-with-tombstone")]
    RewriteWithTombstone,
    /// The delete becomes a tombstone; the one after it is dropped.
    #[config(value = "delete-to-tombstone")]
    DeleteToTombstone,
}

impl DeleteTombstoneHandling {
    pub(super) fn is_rewrite(self) -> bool {
        matches!(self, Self::Rewrite | Self::RewriteWithTombstone)
    }
}

/// Keys of the transform.
#[derive(Clone, Debug, ConnectConfig)]
#[config(dialect = "debezium")]
pub(super) struct ExtractNewRecordStateConfig {
    /// What becomes of a delete and of the tombstone that follows it: `drop` drops both; `tombstone` makes the delete a null value and drops the tombstone;
    /// `rewrite` adds a field `__deleted` to every row, sends the last state of a deleted row and drops the tombstone; `rewrite-with-tombstone` does the same and
    /// keeps the tombstone; `delete-to-tombstone` makes the delete a tombstone, without a schema, and drops the one that follows.
    #[config(
        name = "delete.tombstone.handling.mode",
        default = "tombstone",
        importance = "medium",
        width = "medium",
        display = "Handle delete and tombstone records"
    )]
    pub(super) delete_tombstone_handling_mode: DeleteTombstoneHandling,
    /// A column whose value replaces the topic's name. Rows in which it is null or blank stay on their topic.
    #[config(
        name = "route.by.field",
        default = "",
        importance = "low",
        width = "long",
        display = "Route by field name"
    )]
    pub(super) route_by_field: String,
    /// Put before the name of every field that is added.
    #[config(
        name = "add.fields.prefix",
        default = "__",
        importance = "low",
        width = "short",
        display = "Field prefix to be added to each field."
    )]
    pub(super) add_fields_prefix: String,
    /// Fields of the event to add to the row, separated by commas: `op`, `ts_ms`, `source.lsn`, `transaction.id`. A name after a colon replaces the field's own:
    /// `source.ts_ms:changed_at`. Fields that do not exist are left out.
    #[config(
        name = "add.fields",
        default = "",
        importance = "low",
        width = "long",
        display = "Adds the specified field(s) to the message if they exist."
    )]
    pub(super) add_fields: Vec<String>,
    /// Put before the name of every header that is added.
    #[config(
        name = "add.headers.prefix",
        default = "__",
        importance = "low",
        width = "short",
        display = "Header prefix to be added to each header."
    )]
    pub(super) add_headers_prefix: String,
    /// Fields of the event to add as headers, named as in `add.fields`.
    #[config(
        name = "add.headers",
        default = "",
        importance = "low",
        width = "long",
        display = "Adds the specified fields to the header if they exist."
    )]
    pub(super) add_headers: Vec<String>,
    /// A header whose value is a list of names of fields to drop from the row.
    #[config(
        name = "drop.fields.header.name",
        importance = "low",
        width = "short",
        display = "Specifies a header that contains a list of field names to be removed"
    )]
    pub(super) drop_fields_header_name: Option<String>,
    /// Whether fields are dropped from the key too.
    #[config(
        name = "drop.fields.from.key",
        default = false,
        importance = "low",
        width = "short",
        display = "Specifies whether the fields to be dropped should also be omitted from the key"
    )]
    pub(super) drop_fields_from_key: bool,
    /// Whether only optional fields are dropped, so that readers of the schema with all fields understand the one without.
    #[config(
        name = "drop.fields.keep.schema.compatible",
        default = true,
        importance = "low",
        width = "short",
        display = "Specifies if fields are dropped, will the event's schemas be compatible"
    )]
    pub(super) drop_fields_keep_schema_compatible: bool,
    /// Whether a null in a field that has a default becomes that default when a row is rewritten to carry `__deleted`.
    #[config(
        name = "replace.null.with.default",
        default = true,
        importance = "low",
        width = "short",
        display = "replace null field value with default"
    )]
    pub(super) replace_null_with_default: bool,
}
