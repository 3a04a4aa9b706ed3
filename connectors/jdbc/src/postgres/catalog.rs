//! What tables look like, read from pg_catalog by exact names.

use std::fmt;
use std::sync::Arc;

/// A table by its full name, as the server stores it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TableId {
    /// Database.
    pub(crate) catalog: String,
    /// Schema.
    pub(crate) schema: String,
    /// Table.
    pub(crate) table: String,
    /// How it is written in SQL and in messages: `"db"."public"."t"`.
    pub(crate) sql: Arc<str>,
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql)
    }
}

/// Kinds of relation by JDBC's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableKind {
    Table,
    PartitionedTable,
    View,
}

impl TableKind {
    /// By `pg_class.relkind`.
    pub(crate) fn of(relkind: &str) -> Option<Self> {
        match relkind {
            "r" => Some(Self::Table),
            "p" => Some(Self::PartitionedTable),
            "v" => Some(Self::View),
            _ => None,
        }
    }

    /// As in `table.types`.
    pub(crate) fn jdbc_name(self) -> &'static str {
        match self {
            Self::Table => "TABLE",
            Self::PartitionedTable => "PARTITIONED TABLE",
            Self::View => "VIEW",
        }
    }

    /// At the beginning of a message.
    pub(crate) fn capitalized(self) -> &'static str {
        match self {
            Self::Table => "Table",
            Self::PartitionedTable => "Partitioned Table",
            Self::View => "View",
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnDefinition {
    /// Name.
    pub(crate) name: String,
    /// Type without length or precision, as it stands in a cast: a domain's base type, since an explicit cast to the domain would cut what is too long.
    pub(crate) base_type: String,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableDefinition {
    /// What it is.
    pub(crate) kind: TableKind,
    /// Its columns in order.
    pub(crate) columns: Vec<ColumnDefinition>,
}

impl TableDefinition {
    /// The column of this name; when there is none, the only one that differs by case.
    pub(crate) fn column(&self, name: &str) -> Option<&ColumnDefinition> {
        if let Some(exact) = self.columns.iter().find(|column| column.name == name) {
            return Some(exact);
        }
        let lower = name.to_lowercase();
        let mut alike = self
            .columns
            .iter()
            .filter(|column| column.name.to_lowercase() == lower);
        let first = alike.next()?;
        match alike.next() {
            // With several the record's own spelling is used, which the server will not find.
            Some(_) => None,
            None => Some(first),
        }
    }
}

/// Kind of a relation: schema, name.
pub(super) const RELATION: &str = "SELECT c.oid::int8, c.relkind::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I', 'c')";

/// Columns of a relation: object identifier. `format_type` with -1 writes `bpchar` instead of `character`, which would mean `character(1)`.
pub(super) const COLUMNS: &str = "SELECT a.attname::text, pg_catalog.format_type(base.oid, -1) FROM pg_catalog.pg_attribute a CROSS JOIN LATERAL ( \
       WITH RECURSIVE chain(oid, depth) AS ( \
         SELECT a.atttypid, 0 \
         UNION ALL \
         SELECT t.typbasetype, chain.depth + 1 FROM chain JOIN pg_catalog.pg_type t ON t.oid = chain.oid WHERE t.typtype = 'd') \
       SELECT chain.oid FROM chain ORDER BY chain.depth DESC LIMIT 1) base \
     WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_by_case_only_when_that_is_unique() {
        let column = |name: &str| ColumnDefinition {
            name: name.to_owned(),
            base_type: "text".to_owned(),
        };
        let table = TableDefinition {
            kind: TableKind::Table,
            columns: ["id", "Name", "NAME", "City"].map(column).to_vec(),
        };
        let found = |name: &str| table.column(name).map(|column| column.name.as_str());
        assert_eq!(
            (
                found("id"),
                found("CITY"),
                found("Name"),
                found("name"),
                found("x")
            ),
            (Some("id"), Some("City"), Some("Name"), None, None)
        );
    }
}
