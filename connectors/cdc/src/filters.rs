use std::fmt;

use crate::regex_list::{RegexList, RegexListError};

/// A table by schema and name; prints as `schema.table`, the text that filters are matched against.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId {
    /// Schema.
    pub schema: String,
    /// Table.
    pub table: String,
}

impl TableId {
    /// Names a table.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            table: table.into(),
        }
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// Filters that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// An include and an exclude list of the same thing.
    #[error("\"{include}\" is already specified: remove it or '{exclude}'")]
    Both {
        /// Key of the include list.
        include: &'static str,
        /// Key of the exclude list.
        exclude: &'static str,
    },
    /// A list with a bad entry.
    #[error("The '{key}' value is invalid: {source}")]
    Pattern {
        /// Key of the list.
        key: &'static str,
        /// What is wrong.
        source: RegexListError,
    },
}

/// One include or exclude list, or neither.
#[derive(Debug, Clone)]
enum Rule {
    All,
    Include(RegexList),
    Exclude(RegexList),
}

impl Rule {
    fn new(
        include: (&'static str, Option<&str>),
        exclude: (&'static str, Option<&str>),
    ) -> Result<Self, FilterError> {
        let parse = |key, list: &str| {
            RegexList::parse(list).map_err(|source| FilterError::Pattern { key, source })
        };
        match (include.1, exclude.1) {
            (Some(_), Some(_)) => Err(FilterError::Both {
                include: include.0,
                exclude: exclude.0,
            }),
            (Some(list), None) if !list.trim().is_empty() => {
                Ok(Self::Include(parse(include.0, list)?))
            }
            (None, Some(list)) if !list.trim().is_empty() => {
                Ok(Self::Exclude(parse(exclude.0, list)?))
            }
            _ => Ok(Self::All),
        }
    }

    fn accepts(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Include(list) => list.matches(name),
            Self::Exclude(list) => !list.matches(name),
        }
    }
}

/// Which tables are captured: `schema.include.list` and its kin, and the built-in tables that never are.
#[derive(Debug, Clone)]
pub struct TableFilter {
    schemas: Rule,
    tables: Rule,
    ignore_builtin: bool,
}

impl TableFilter {
    /// From the values of `schema.include.list`, `schema.exclude.list`, `table.include.list`, `table.exclude.list` and `table.ignore.builtin`.
    pub fn new(
        schema_include: Option<&str>,
        schema_exclude: Option<&str>,
        table_include: Option<&str>,
        table_exclude: Option<&str>,
        ignore_builtin: bool,
    ) -> Result<Self, FilterError> {
        Ok(Self {
            schemas: Rule::new(
                ("schema.include.list", schema_include),
                ("schema.exclude.list", schema_exclude),
            )?,
            tables: Rule::new(
                ("table.include.list", table_include),
                ("table.exclude.list", table_exclude),
            )?,
            ignore_builtin,
        })
    }

    /// Whether changes of this table are captured.
    pub fn accepts(&self, table: &TableId) -> bool {
        !(self.ignore_builtin && is_builtin(table))
            && self.schemas.accepts(&table.schema)
            && self.tables.accepts(&table.to_string())
    }

    /// Where this table stands in a snapshot: the index of the first entry of `table.include.list` that matches it, 0 without such a list.
    pub fn rank(&self, table: &TableId) -> usize {
        match &self.tables {
            Rule::Include(list) => list.first_match(&table.to_string()).unwrap_or(list.len()),
            _ => 0,
        }
    }
}

fn is_builtin(table: &TableId) -> bool {
    table.schema.eq_ignore_ascii_case("pg_catalog")
        || table.schema.eq_ignore_ascii_case("information_schema")
        || table.schema.starts_with("pg_temp")
        || table.table == "spatial_ref_sys"
}

/// Which columns appear in `before` and `after`. Keys are not filtered.
#[derive(Debug, Clone)]
pub struct ColumnFilter(Rule);

impl ColumnFilter {
    /// From the values of `column.include.list` and `column.exclude.list`.
    pub fn new(include: Option<&str>, exclude: Option<&str>) -> Result<Self, FilterError> {
        Ok(Self(Rule::new(
            ("column.include.list", include),
            ("column.exclude.list", exclude),
        )?))
    }

    /// Whether a column of `table` is in the value.
    pub fn accepts(&self, table: &TableId, column: &str) -> bool {
        match &self.0 {
            Rule::All => true,
            rule => rule.accepts(&format!("{table}.{column}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> TableId {
        let (schema, table) = text.split_once('.').expect("schema.table");
        TableId::new(schema, table)
    }

    #[test]
    fn both_filters_must_accept_and_builtin_tables_never_pass() {
        let f = TableFilter::new(
            Some("public,s2"),
            None,
            None,
            Some(r"public\.audit.*"),
            true,
        )
        .expect("valid");
        assert!(f.accepts(&id("public.orders")));
        assert!(f.accepts(&id("s2.audit")));
        assert!(!f.accepts(&id("public.audit_log")));
        assert!(!f.accepts(&id("other.orders")));
        assert!(!f.accepts(&id("public.spatial_ref_sys")));
    }

    #[test]
    fn two_lists_of_one_kind_are_refused_by_name() {
        let error = TableFilter::new(None, None, Some("a"), Some(""), true).expect_err("both");
        assert_eq!(
            error.to_string(),
            "\"table.include.list\" is already specified: remove it or 'table.exclude.list'"
        );
    }

    #[test]
    fn the_order_of_the_include_list_ranks_tables() {
        let f =
            TableFilter::new(None, None, Some(r"public\.b,public\.a"), None, true).expect("valid");
        assert!(f.rank(&id("public.b")) < f.rank(&id("public.a")));
    }
}
