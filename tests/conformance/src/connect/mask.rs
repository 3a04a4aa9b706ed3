//! Puts tokens in the place of what no two workers have in common.

use serde_json::Value;

/// The worker's own names.
#[derive(Debug)]
pub(super) struct Worker {
    /// `http://127.0.0.1:PORT`
    pub(super) base: String,
    pub(super) group: String,
}

impl Worker {
    fn address(&self) -> &str {
        self.base.strip_prefix("http://").unwrap_or(&self.base)
    }

    /// A request's text with this worker's values.
    pub(super) fn fill(&self, text: &str) -> String {
        text.replace("${BASE}", &self.base)
            .replace("${WORKER}", self.address())
            .replace("${WORK}", "/tmp")
            .replace("${GROUP}", &self.group)
    }

    /// An answer's text without them.
    pub(super) fn hide(&self, text: &str) -> String {
        text.replace(&self.base, "${BASE}")
            .replace(self.address(), "${WORKER}")
    }
}

/// Masks a body: a recorded one as well as one of this worker that [`Worker::hide`] was applied to.
pub(super) fn mask(body: Value) -> Value {
    match body {
        Value::String(text) => Value::String(mask_text(&text)),
        Value::Array(items) => items.into_iter().map(mask).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let value = mask_member(&name, value);
                (name, value)
            })
            .collect(),
        other => other,
    }
}

fn mask_member(name: &str, value: Value) -> Value {
    match (name, value) {
        ("version" | "commit" | "kafka_cluster_id", Value::String(_)) => "${WORKER'S}".into(),
        // When the level was set, milliseconds since the epoch.
        ("last_modified", Value::Number(_)) => "${TIME}".into(),
        // The words are each implementation's own; that there are some counts.
        ("documentation", Value::String(text)) if !text.is_empty() => "${DOC}".into(),
        (_, value) => mask(value),
    }
}

/// Beginnings of what Jackson says about JSON that it cannot read.
const JACKSON: [&str; 8] = [
    "at [Source: ",
    "Cannot deserialize value",
    "Cannot construct instance",
    "Unrecognized field",
    "Unrecognized token",
    "Unexpected character",
    "Unexpected end-of-input",
    "No content to map",
];

fn mask_text(text: &str) -> String {
    if JACKSON.iter().any(|words| text.contains(words)) {
        return "${JSON ERROR}".to_owned();
    }
    // Of the server's HTML pages the title counts.
    if text.trim_start().starts_with("<html>") {
        let title = text
            .split_once("<title>")
            .and_then(|(_, rest)| rest.split_once("</title>"));
        return format!("${{HTML {}}}", title.map_or("", |(title, _)| title));
    }
    // Java names this class only from the second time on that it is asked for a plugin.
    let text = &text.replace(
        "org.apache.kafka.connect.errors.ConnectException: Failed to find any class",
        "Failed to find any class",
    );
    for (words, token) in [
        ("available connectors are: ", "${PLUGINS}"),
        ("Cannot invoke \"", "${NULL POINTER}"),
    ] {
        if let Some((before, _)) = text.split_once(words) {
            return format!("{before}{words}{token}");
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_belongs_to_one_worker_is_masked() {
        let ours = json!({
            "version": "1", "documentation": "a", "message": "no X, available connectors are: A",
            "page": "<html><title>Error 400</title>x</html>", "code": 400, "last_modified": 5,
        });
        let theirs = json!({
            "version": "2", "documentation": "${DOC}", "message": "no X, available connectors are: B",
            "page": "<html><title>Error 400</title>y</html>", "code": 400, "last_modified": 6,
        });
        assert_eq!(mask(ours), mask(theirs));
    }

    #[test]
    fn the_rest_counts() {
        for (a, b) in [
            (json!({"documentation": ""}), json!({"documentation": "x"})),
            (json!({"version": null}), json!({"version": "1"})),
            (
                json!("no X, available connectors are: A"),
                json!("no Y, available connectors are: A"),
            ),
            (
                json!("<html><title>a</title>"),
                json!("<html><title>b</title>"),
            ),
            (json!([1, 2]), json!([2, 1])),
        ] {
            assert_ne!(mask(a), mask(b));
        }
    }
}
