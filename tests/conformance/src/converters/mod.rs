//! What Confluent's converters write and read, in `converters/cases` and `converters/answers`, and the runner that puts the same cases to ours.
//!
//! A case is one line of JSON: a converter with its settings, what is in the registry beforehand, then writes (each read back at once) and reads, in order, on one
//! converter and an empty registry. Its answer is one line too: payloads, headers, schemas and values read, and everything that is registered at the end.

mod case;
mod compare;
pub mod e2e;
mod registry;
mod run;
mod schema;
mod value;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use java_idioms::Json;
use java_idioms::json::ReadOptions;

pub use compare::{Tolerance, differences};
pub use run::answer;

/// Where cases and answers lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("converters")
}

/// The lines of a file of cases or answers.
///
/// # Errors
/// The file cannot be read, or a line is no JSON.
pub fn lines(path: &Path) -> Result<Vec<Json>> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            Json::read(line, ReadOptions::default())
                .with_context(|| format!("a line of {}", path.display()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use java_idioms::json::Object;

    use super::*;

    /// Schemas and values of all answers, as they would be read and written by the runner.
    #[test]
    fn every_recorded_schema_and_value_comes_back() {
        let mut count = 0;
        for entry in fs::read_dir(folder().join("answers")).expect("the answers") {
            for answer in lines(&entry.expect("a file").path()).expect("lines") {
                let list = |member: &str| {
                    answer
                        .get(member)
                        .and_then(Json::as_array)
                        .unwrap_or_default()
                        .to_vec()
                };
                let written = list("writes")
                    .into_iter()
                    .filter_map(|write| write.get("read").cloned());
                for read in written
                    .chain(list("reads"))
                    .filter(|read| read.get("error").is_none())
                {
                    let part = |member: &str| read.get(member).cloned().unwrap_or(Json::Null);
                    let named = Object::new();
                    let schema = schema::read(&part("schema"), &named).expect("a schema");
                    let value =
                        value::read(&part("value"), schema.as_ref(), &named).expect("a value");
                    let mut back = Object::new();
                    back.insert("schema".into(), schema::write(schema.as_ref()));
                    back.insert("value".into(), value::write(&value, schema.as_ref()));
                    let whole = |read: Json| {
                        let mut answer = Object::new();
                        answer.insert("reads".into(), vec![read].into());
                        Json::from(answer)
                    };
                    assert_eq!(
                        differences(&whole(read), &whole(back.into()), Tolerance::default()),
                        Vec::<String>::new()
                    );
                    count += 1;
                }
            }
        }
        assert!(count > 500, "{count}");
    }

    #[test]
    fn differences_are_found_where_they_are() {
        let answer = |text: &str| Json::read(text, ReadOptions::default()).expect("JSON");
        let want = r#"{"writes":[{"payload":"00","read":{"schema":{"type":"map","keys":{"type":"string"},"values":{"type":"float32"}},"value":[["a",0.1],["b",2]]}}],
            "registered":[{"subject":"s","version":1,"id":1,"schemaType":"AVRO","schema":"{\"a\":1}"}]}"#;
        let found = |got: &str| differences(&answer(want), &answer(got), Tolerance::default());
        assert_eq!(
            found(&want.replace(
                r#"["a",0.1],["b",2]"#,
                r#"["b",2.0],["a",0.10000000149011612]"#
            )),
            Vec::<String>::new()
        );
        for (from, to, place) in [
            ("\"00\"", "\"01\"", "write 0, payload"),
            ("0.1", "0.2", "write 0, read back, value"),
            (
                "float32",
                "float64",
                "write 0, read back, schema.values.type",
            ),
            (
                "\"keys\":{\"type\"",
                "\"keys\":{\"optional\":true,\"type\"",
                "write 0, read back, schema.keys.optional",
            ),
            (r#"{\"a\":1}"#, r#"{\"a\":2}"#, "text of \"s\""),
            (
                r#"{\"a\":1}"#,
                r#"{\"a\": 1}"#,
                "order in the text of \"s\"",
            ),
            ("\"id\":1", "\"id\":2", "registered"),
            (
                "\"value\":[",
                "\"error\":[],\"x\":[",
                "write 0, read back, error or not",
            ),
        ] {
            let found = found(&want.replace(from, to));
            assert!(
                found.len() == 1 && found[0].starts_with(place),
                "{place}: {found:?}"
            );
        }
    }
}
