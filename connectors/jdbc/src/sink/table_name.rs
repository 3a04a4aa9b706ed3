//! From a topic to the name of its table.

/// A table's name as `table.name.format` gives it; what is missing comes from the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    /// Catalog: in PostgreSQL the database.
    pub(crate) catalog: Option<String>,
    /// Schema.
    pub(crate) schema: Option<String>,
    /// Table.
    pub(crate) table: String,
}

/// Why a topic has no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TableNameError {
    /// Nothing remained.
    #[error(
        "Destination table name for topic '{topic}' is empty using the format string '{format}'"
    )]
    Empty {
        /// The topic.
        topic: String,
        /// `table.name.format`
        format: String,
    },
    /// Cannot be read.
    #[error(
        "'{name}', made from topic '{topic}' by table.name.format, is no table name: {problem}. Dots separate catalog, schema and table; quote the format as \"${{topic}}\" to keep dots in the name"
    )]
    Malformed {
        /// What the format gave.
        name: String,
        /// The topic.
        topic: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl TableName {
    /// Puts `topic` into `format` and splits the result at its dots.
    ///
    /// # Errors
    /// See [`TableNameError`].
    pub(crate) fn of(format: &str, topic: &str) -> Result<Self, TableNameError> {
        let name = format.replace("${topic}", topic);
        if name.is_empty() {
            return Err(TableNameError::Empty {
                topic: topic.to_owned(),
                format: format.to_owned(),
            });
        }
        let malformed = |problem| TableNameError::Malformed {
            name: name.clone(),
            topic: topic.to_owned(),
            problem,
        };
        let mut parts = split(&name).map_err(malformed)?;
        if parts.iter().any(String::is_empty) {
            return Err(malformed("a part of it is empty"));
        }
        let table = parts.pop().unwrap_or_default();
        let schema = parts.pop();
        let catalog = parts.pop();
        if !parts.is_empty() {
            return Err(malformed("it has more than three parts"));
        }
        Ok(Self {
            catalog,
            schema,
            table,
        })
    }
}

/// A part that begins with a quote ends at the next quote; there is no way to put a quote into it.
fn split(name: &str) -> Result<Vec<String>, &'static str> {
    let mut parts = Vec::new();
    let mut rest = name;
    loop {
        let after;
        if let Some(quoted) = rest.strip_prefix('"') {
            let (part, tail) = quoted
                .split_once('"')
                .ok_or("its closing quote is missing")?;
            parts.push(part.to_owned());
            after = tail;
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            parts.push(rest[..end].to_owned());
            after = &rest[end..];
        }
        match after.strip_prefix('.') {
            Some("") => return Err("it ends with a dot"),
            Some(tail) => rest = tail,
            None if after.is_empty() => return Ok(parts),
            None => return Err("a dot is missing after its closing quote"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(
        format: &str,
        topic: &str,
    ) -> Result<(Option<String>, Option<String>, String), TableNameError> {
        TableName::of(format, topic).map(|name| (name.catalog, name.schema, name.table))
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn dots_separate_and_quotes_keep_together() {
        assert_eq!(
            parts("${topic}", "orders"),
            Ok((None, None, "orders".into()))
        );
        assert_eq!(
            parts("${topic}", "s.orders"),
            Ok((None, some("s"), "orders".into()))
        );
        assert_eq!(
            parts("${topic}", "c.s.orders"),
            Ok((some("c"), some("s"), "orders".into()))
        );
        assert_eq!(
            parts("\"${topic}\"", "c.s.orders"),
            Ok((None, None, "c.s.orders".into()))
        );
        assert_eq!(
            parts("shop.\"${topic}\"", "a.b"),
            Ok((None, some("shop"), "a.b".into()))
        );
        assert_eq!(
            parts("kafka_${topic}_${topic}_${kind}", "x"),
            Ok((None, None, "kafka_x_x_${kind}".into()))
        );
        assert_eq!(parts("fixed", "x"), Ok((None, None, "fixed".into())));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (format, topic) in [
            ("${topic}", "a.b.c.d"),
            ("${topic}", "a."),
            ("${topic}", ".a"),
            ("\"${topic}", "a"),
            ("\"a\"b", "x"),
            ("${topic}", "a..b"),
        ] {
            let error = parts(format, topic).expect_err("refused").to_string();
            assert!(
                error.contains(topic) && error.contains("table.name.format"),
                "{error}"
            );
        }
        assert!(matches!(
            parts("${topic}", ""),
            Err(TableNameError::Empty { .. })
        ));
    }
}
