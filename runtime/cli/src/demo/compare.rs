//! Every row of every table against its copy.

use std::collections::BTreeMap;

use anyhow::Result;

use super::TABLES;
use super::database::Database;

/// Result for one table.
#[derive(Debug)]
pub(crate) struct TableVerdict {
    pub(crate) name: &'static str,
    pub(crate) source_rows: usize,
    pub(crate) copy_rows: usize,
    pub(crate) differences: Vec<String>,
}

/// Result for the shop.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) tables: Vec<TableVerdict>,
}

impl Verdict {
    pub(crate) fn is_equal(&self) -> bool {
        self.tables.iter().all(|t| t.differences.is_empty())
    }

    /// Rows without a difference, to see whether anything moves.
    pub(crate) fn rows_equal(&self) -> usize {
        self.tables
            .iter()
            .map(|t| t.copy_rows - t.differences.len().min(t.copy_rows))
            .sum()
    }
}

/// Columns of a table, those of the key first; each is compared as text.
fn columns(table: &str) -> (&'static str, &'static [&'static str]) {
    match table {
        "customers" => ("id", &["id", "email", "full_name", "created_at"]),
        "products" => ("sku", &["sku", "title", "description", "price", "stock"]),
        "orders" => ("id", &["id", "customer_id", "status", "gift", "placed_at"]),
        _ => (
            "order_id, line",
            &["order_id", "line", "sku", "quantity", "unit_price"],
        ),
    }
}

pub(crate) async fn compare(database: &Database) -> Result<Verdict> {
    let mut tables = Vec::new();
    for name in TABLES {
        let source = rows(database, name, &format!("public.{name}")).await?;
        let copy = rows(database, name, &format!("public.\"shop.public.{name}\"")).await?;
        let mut differences = Vec::new();
        for (key, row) in &source {
            match copy.get(key) {
                None => differences.push(format!("{key} is missing in the copy")),
                Some(other) if other != row => differences.push(format!(
                    "{key}: {} in the copy: {}",
                    short(row),
                    short(other)
                )),
                Some(_) => {}
            }
        }
        differences.extend(
            copy.keys()
                .filter(|k| !source.contains_key(*k))
                .map(|k| format!("{k} is only in the copy")),
        );
        tables.push(TableVerdict {
            name,
            source_rows: source.len(),
            copy_rows: copy.len(),
            differences,
        });
    }
    Ok(Verdict { tables })
}

fn short(row: &[Option<String>]) -> String {
    let cells: Vec<String> = row
        .iter()
        .map(|c| {
            c.as_deref()
                .map_or("NULL".to_owned(), |t| t.chars().take(24).collect())
        })
        .collect();
    cells.join(" | ")
}

/// Rows by key; none when the table does not exist yet.
async fn rows(
    database: &Database,
    table: &str,
    relation: &str,
) -> Result<BTreeMap<String, Vec<Option<String>>>> {
    let (key, names) = columns(table);
    let list: Vec<String> = names.iter().map(|c| format!("\"{c}\"::text")).collect();
    let client = database.client();
    let exists: bool = client
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&relation])
        .await?
        .get(0);
    if !exists {
        return Ok(BTreeMap::new());
    }
    let found = client
        .query(
            &format!(
                "SELECT concat_ws('/', {key}), {} FROM {relation}",
                list.join(", ")
            ),
            &[],
        )
        .await?;
    Ok(found
        .iter()
        .map(|row| {
            (
                format!("{table} {}", row.get::<_, String>(0)),
                (1..=names.len()).map(|i| row.get(i)).collect(),
            )
        })
        .collect())
}
