//! Names that belong to one run, and what stands for them in its answer.

use anyhow::{Result, bail};
use millrace_testkit::unique;

/// All names of one run carry its id, so that runs side by side find only what is theirs.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) id: String,
    /// Placeholder and its text.
    values: Vec<(&'static str, String)>,
    /// Text and its token, the longest text first: one may hold another.
    tokens: Vec<(String, &'static str)>,
}

impl Names {
    pub(super) fn new(bootstrap: &str, host: &str, port: u16) -> Self {
        // The letter at the end keeps one id from being the beginning of another.
        let id = unique("q").replace('_', "") + "z";
        let own = [
            ("prefix", format!("px{id}"), "PFX"),
            ("db", format!("db_{id}"), "DB"),
            ("slot", format!("sl_{id}"), "SLOT"),
            ("pub", format!("pub_{id}"), "PUB"),
            ("name", format!("cn-{id}"), "NAME"),
            ("name2", format!("cm-{id}"), "NAME2"),
            ("u", id.clone(), "U"),
        ];
        let mut tokens: Vec<_> = own
            .iter()
            .map(|(_, text, token)| (text.clone(), *token))
            .collect();
        tokens.push((format!("{host}:{port}"), "PGHOST:PGPORT"));
        tokens.push((format!("{host}:1"), "PGHOST:1"));
        tokens.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        let mut values: Vec<_> = own.map(|(name, text, _)| (name, text)).into();
        values.push(("bootstrap", bootstrap.to_owned()));
        values.push(("host", host.to_owned()));
        values.push(("port", port.to_string()));
        Names { id, values, tokens }
    }

    /// The text of a placeholder.
    ///
    /// # Panics
    /// For a name that [`new`](Self::new) does not make.
    pub(super) fn get(&self, name: &str) -> &str {
        self.find(name).expect("every run has it")
    }

    fn find(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(n, _)| *n == name);
        found.map(|(_, text)| text.as_str())
    }

    /// Replaces placeholders by their texts.
    pub(super) fn fill(&self, text: &str) -> Result<String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            let Some(length) = rest[start..].find("}}") else {
                break;
            };
            let name = &rest[start + 2..start + length];
            let Some(value) = self.find(name) else {
                bail!("there is no placeholder {{{{{name}}}}}: {text}");
            };
            filled.push_str(&rest[..start]);
            filled.push_str(value);
            rest = &rest[start + length + 2..];
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// Replaces the run's names by their tokens.
    pub(super) fn hide(&self, text: &str) -> String {
        self.tokens
            .iter()
            .fold(text.to_owned(), |text, (name, token)| {
                text.replace(name, token)
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn placeholders_are_filled_and_hidden_again() {
        let names = Names::new("k:9", "h", 5432);
        let text = names
            .fill("{{prefix}}.a {{slot}}_2 {{u}} {\"x\":{}} {{host}}:{{port}}")
            .unwrap();
        assert!(!text.contains("{{"), "{text}");
        assert_eq!(names.hide(&text), "PFX.a SLOT_2 U {\"x\":{}} PGHOST:PGPORT");
        assert!(names.fill("{{nosuch}}").is_err());
    }
}
