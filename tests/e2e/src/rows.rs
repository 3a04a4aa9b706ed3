use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::Value;
use tokio_postgres::Client;

use crate::capture::Event;

/// Rows of a table by key, both as text of JSON: the key as an object, the row as a list of texts in the order of the columns asked for.
pub type Rows = BTreeMap<String, Vec<Option<String>>>;

/// What is left when events are applied in the order of the log. `columns` of `after` are kept, as text.
///
/// # Errors
/// When a tombstone follows anything but the end of its row, or an event has no row.
pub fn replay<'a>(events: impl Iterator<Item = &'a Event>, columns: &[&str]) -> Result<Rows> {
    let mut rows = Rows::new();
    for event in events {
        let key = key_text(&event.key);
        match event.op() {
            "" => ensure!(
                !rows.contains_key(&key),
                "a tombstone for {key} at {}, but the row lives",
                event.offset
            ),
            "d" => drop(rows.remove(&key)),
            "t" => rows.clear(),
            _ => {
                let after = event.after();
                ensure!(after.is_object(), "no row in {event:?}");
                drop(rows.insert(
                    key,
                    columns.iter().map(|column| cell(&after[*column])).collect(),
                ));
            }
        }
    }
    Ok(rows)
}

/// Rows of a table as PostgreSQL has them now; none when it does not exist. `key` columns first is not needed: they are named apart.
///
/// # Errors
/// When the server refuses.
pub async fn table_rows(sql: &Client, table: &str, key: &[&str], columns: &[&str]) -> Result<Rows> {
    let exists: bool = sql
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&table])
        .await?
        .get(0);
    if !exists {
        return Ok(Rows::new());
    }
    let list: Vec<String> = key
        .iter()
        .chain(columns)
        .map(|column| format!("\"{column}\"::text"))
        .collect();
    let found = sql
        .query(&format!("SELECT {} FROM {table}", list.join(", ")), &[])
        .await?;
    let rows = found.iter().map(|row| {
        let text = |at: usize| row.get::<_, Option<String>>(at);
        let name: Vec<String> = key
            .iter()
            .enumerate()
            .map(|(at, column)| format!("{column}={}", text(at).unwrap_or_default()))
            .collect();
        (name.join(","), (key.len()..list.len()).map(text).collect())
    });
    Ok(rows.collect())
}

/// `id=1,line=2`
pub(crate) fn key_text(key: &Value) -> String {
    let parts = key
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", cell(value).unwrap_or_default()));
    parts.collect::<Vec<_>>().join(",")
}

/// A value as PostgreSQL prints it, for the types that the tests use.
fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
