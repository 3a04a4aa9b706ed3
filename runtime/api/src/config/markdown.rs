//! Definitions as a page of documentation.

use std::fmt::Write;

use super::definition::ConfigDef;
use super::info::default_text;
use super::key::{ConfigKey, DefaultValue};

/// A Markdown table of the keys that users should know, one table for each group, without internal and hidden keys.
pub fn markdown(definition: &ConfigDef) -> String {
    let keys: Vec<&ConfigKey> = definition
        .published()
        .filter(|key| !key.internal && key.alias_of.is_none())
        .collect();
    let mut groups: Vec<Option<&str>> = Vec::new();
    for key in &keys {
        if !groups.contains(&key.group.as_deref()) {
            groups.push(key.group.as_deref());
        }
    }
    let mut page = String::new();
    for group in groups {
        if let Some(group) = group {
            let _ = writeln!(
                page,
                "{}### {group}\n",
                if page.is_empty() { "" } else { "\n" }
            );
        }
        page.push_str("| Key | Type | Default | Importance | Description |\n| --- | --- | --- | --- | --- |\n");
        for key in keys.iter().filter(|key| key.group.as_deref() == group) {
            row(&mut page, key);
        }
    }
    page
}

fn row(page: &mut String, key: &ConfigKey) {
    let default = match (&key.default, default_text(key)) {
        (DefaultValue::Required, _) => "required".to_owned(),
        (_, None) => "null".to_owned(),
        (_, Some(text)) if text.is_empty() => "empty".to_owned(),
        (_, Some(text)) => format!("`{}`", cell(&text)),
    };
    let mut description = cell(&key.documentation);
    if !key.aliases.is_empty() {
        let names: Vec<_> = key
            .aliases
            .iter()
            .map(|alias| format!("`{alias}`"))
            .collect();
        let _ = write!(description, " (older name: {})", names.join(", "));
    }
    let kind = key.kind.name().to_ascii_lowercase();
    let importance = key.importance.name().to_ascii_lowercase();
    let _ = writeln!(
        page,
        "| `{}` | {kind} | {default} | {importance} | {} |",
        cell(&key.name),
        description.trim()
    );
}

/// A text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\r', '\n'], " ")
}
