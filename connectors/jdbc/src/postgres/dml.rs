//! Statements that write rows: one for any number of rows, over `unnest` of one array for each column.

use super::array::Element;

/// A column in a statement: its name in SQL, the type of its array, and the cast from there to what the column takes by assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expression {
    /// Name as it stands in SQL.
    pub(crate) name: String,
    /// Type of the array's elements.
    pub(crate) element: Element,
    /// Type to cast to, when assignment alone would not do.
    pub(crate) cast: Option<String>,
}

impl Expression {
    fn value(&self, index: usize) -> String {
        match &self.cast {
            Some(cast) => format!("u.c{index}::{cast}"),
            None => format!("u.c{index}"),
        }
    }
}

/// `unnest($1::int4[],$2::text[]) AS u(c0,c1)`
fn rows(columns: &[Expression]) -> String {
    let parameters: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| format!("${}::{}[]", index + 1, column.element.sql()))
        .collect();
    let names: Vec<_> = (0..columns.len())
        .map(|index| format!("c{index}"))
        .collect();
    format!("unnest({}) AS u({})", parameters.join(","), names.join(","))
}

fn joined(parts: impl Iterator<Item = String>, separator: &str) -> String {
    parts.collect::<Vec<_>>().join(separator)
}

fn matching(keys: &[Expression], first: usize) -> String {
    joined(
        keys.iter()
            .enumerate()
            .map(|(index, key)| format!("target.{}={}", key.name, key.value(first + index))),
        " AND ",
    )
}

/// Inserts. Columns are bound in their order.
pub(crate) fn insert(table: &str, columns: &[Expression]) -> String {
    let names = joined(columns.iter().map(|column| column.name.clone()), ",");
    let values = joined(
        columns
            .iter()
            .enumerate()
            .map(|(index, column)| column.value(index)),
        ",",
    );
    format!(
        "INSERT INTO {table} ({names}) SELECT {values} FROM {}",
        rows(columns)
    )
}

/// Inserts or changes rows by key. Columns are bound keys first. No row may be there twice.
pub(crate) fn upsert(table: &str, keys: &[Expression], values: &[Expression]) -> String {
    let columns: Vec<Expression> = keys.iter().chain(values).cloned().collect();
    let conflict = joined(keys.iter().map(|key| key.name.clone()), ",");
    let action = if values.is_empty() {
        "DO NOTHING".to_owned()
    } else {
        format!(
            "DO UPDATE SET {}",
            joined(
                values
                    .iter()
                    .map(|column| format!("{0}=EXCLUDED.{0}", column.name)),
                ","
            )
        )
    };
    format!(
        "{} ON CONFLICT ({conflict}) {action}",
        insert(table, &columns)
    )
}

/// Changes rows by key; `None` when there is nothing to change. Columns are bound keys first. No key may be there twice.
pub(crate) fn update(table: &str, keys: &[Expression], values: &[Expression]) -> Option<String> {
    if values.is_empty() {
        return None;
    }
    let columns: Vec<Expression> = keys.iter().chain(values).cloned().collect();
    let assignments = joined(
        values
            .iter()
            .enumerate()
            .map(|(index, column)| format!("{}={}", column.name, column.value(keys.len() + index))),
        ",",
    );
    Some(format!(
        "UPDATE {table} AS target SET {assignments} FROM {} WHERE {}",
        rows(&columns),
        matching(keys, 0)
    ))
}

/// Deletes rows by key.
pub(crate) fn delete(table: &str, keys: &[Expression]) -> String {
    format!(
        "DELETE FROM {table} AS target USING {} WHERE {}",
        rows(keys),
        matching(keys, 0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, element: Element, cast: Option<&str>) -> Expression {
        Expression {
            name: format!("\"{name}\""),
            element,
            cast: cast.map(str::to_owned),
        }
    }

    #[test]
    fn golden() {
        let keys = [
            column("id", Element::Int4, None),
            column("u", Element::Text, Some("uuid")),
        ];
        let values = [
            column("d", Element::Text, Some("numeric")),
            column("t", Element::Text, None),
        ];
        let all: Vec<_> = keys.iter().chain(&values).cloned().collect();
        let from = r#"unnest($1::int4[],$2::text[],$3::text[],$4::text[]) AS u(c0,c1,c2,c3)"#;
        assert_eq!(
            insert("\"t\"", &all),
            format!(
                r#"INSERT INTO "t" ("id","u","d","t") SELECT u.c0,u.c1::uuid,u.c2::numeric,u.c3 FROM {from}"#
            )
        );
        assert_eq!(
            upsert("\"t\"", &keys, &values),
            format!(
                r#"INSERT INTO "t" ("id","u","d","t") SELECT u.c0,u.c1::uuid,u.c2::numeric,u.c3 FROM {from} ON CONFLICT ("id","u") DO UPDATE SET "d"=EXCLUDED."d","t"=EXCLUDED."t""#
            )
        );
        assert!(upsert("\"t\"", &keys, &[]).ends_with(r#" ON CONFLICT ("id","u") DO NOTHING"#));
        assert_eq!(
            update("\"t\"", &keys, &values),
            Some(format!(
                r#"UPDATE "t" AS target SET "d"=u.c2::numeric,"t"=u.c3 FROM {from} WHERE target."id"=u.c0 AND target."u"=u.c1::uuid"#
            ))
        );
        assert_eq!(update("\"t\"", &keys, &[]), None);
        assert_eq!(
            delete("\"t\"", &keys),
            r#"DELETE FROM "t" AS target USING unnest($1::int4[],$2::text[]) AS u(c0,c1) WHERE target."id"=u.c0 AND target."u"=u.c1::uuid"#
        );
    }
}
