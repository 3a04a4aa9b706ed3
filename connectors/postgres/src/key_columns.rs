//! `message.key.columns`: keys that the configuration chooses.

use millrace_cdc::{RegexList, RegexListError, TableId};

use crate::table::WireColumn;

/// Rules of the form `table-regex:column,column;…`.
#[derive(Debug, Default)]
pub(crate) struct KeyColumns {
    /// One expression over `schema.table.column` per listed column, in order.
    rules: Vec<RegexList>,
}

/// A rule that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyColumnsError {
    #[error(r"{0} has an invalid format (expecting '^\s*([^:]+):([^:,]+(,[^:,]+)*)\s*$')")]
    Format(String),
    #[error(transparent)]
    Pattern(#[from] RegexListError),
}

impl KeyColumns {
    pub(crate) fn parse(text: &str) -> Result<Self, KeyColumnsError> {
        let mut rules = Vec::new();
        for entry in text.split(';').map(str::trim).filter(|e| !e.is_empty()) {
            let refuse = || KeyColumnsError::Format(entry.to_owned());
            let (table, columns) = entry.split_once(':').ok_or_else(refuse)?;
            if table.trim().is_empty() || columns.contains(':') {
                return Err(refuse());
            }
            for column in columns.split(',').map(str::trim) {
                if column.is_empty() {
                    return Err(refuse());
                }
                rules.push(RegexList::parse(&format!("{}.{column}", table.trim()))?);
            }
        }
        Ok(Self { rules })
    }

    /// The key columns of a table in configured order; `None` when no rule matches.
    pub(crate) fn of(&self, table: &TableId, columns: &[WireColumn]) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for rule in &self.rules {
            names.extend(
                columns
                    .iter()
                    .filter(|c| rule.matches(&format!("{table}.{}", c.name)))
                    .map(|c| c.name.clone()),
            );
        }
        (!names.is_empty()).then_some(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_in_configured_order() {
        let column = |name: &str| WireColumn {
            name: name.to_owned(),
            type_oid: 23,
            type_modifier: -1,
        };
        let columns = [column("a"), column("b"), column("c")];
        let rules = KeyColumns::parse(r"public\.t:c,a; other:b").expect("valid");
        assert_eq!(
            rules.of(&TableId::new("public", "t"), &columns),
            Some(vec!["c".to_owned(), "a".to_owned()])
        );
        assert_eq!(rules.of(&TableId::new("public", "u"), &columns), None);
        assert!(KeyColumns::parse("public.t").is_err());
        assert!(KeyColumns::parse("t:a,").is_err());
    }
}
