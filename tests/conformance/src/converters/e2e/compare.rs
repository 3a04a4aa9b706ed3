//! Whether an answer is the recorded one.

use java_idioms::Json;

/// Where an answer differs from the recorded one. `"*"` stands for any value that is not null; a number may differ beyond the precision of 32 bits.
pub fn differences(want: &Json, got: &Json) -> Vec<String> {
    let mut found = Vec::new();
    registered(want, got, &mut found);
    let topics = |json: &Json| json.get("topics").and_then(Json::as_object).cloned();
    let (want, got) = (
        topics(want).unwrap_or_default(),
        topics(got).unwrap_or_default(),
    );
    for topic in got.keys().filter(|topic| !want.contains_key(*topic)) {
        found.push(format!("{topic} is one topic more"));
    }
    for (topic, want) in &want {
        let want = want.as_array().unwrap_or_default();
        let got = got.get(topic).and_then(Json::as_array).unwrap_or_default();
        if want.len() != got.len() {
            found.push(format!(
                "{topic}: {} records, want {}",
                got.len(),
                want.len()
            ));
        }
        for (index, (want, got)) in want.iter().zip(got).enumerate() {
            if let Some(place) = mismatch(want, got) {
                found.push(format!(
                    "{topic}[{index}]{place}\n  want {}\n  got  {}",
                    want.to_text(),
                    got.to_text()
                ));
            }
        }
    }
    found
}

fn registered(want: &Json, got: &Json, found: &mut Vec<String>) {
    let all = |json: &Json| {
        let list = json
            .get("registered")
            .and_then(Json::as_array)
            .unwrap_or_default();
        let mut all: Vec<(String, String)> = list
            .iter()
            .map(|schema| {
                let part = |name: &str| schema.get(name).map_or(String::new(), Json::to_text);
                (
                    ["subject", "version", "schemaType"].map(part).join(" "),
                    part("schema"),
                )
            })
            .collect();
        all.sort();
        all
    };
    let (want, got) = (all(want), all(got));
    let names = |all: &[(String, String)]| -> Vec<String> {
        all.iter().map(|(name, _)| name.clone()).collect()
    };
    if names(&want) != names(&got) {
        found.push(format!(
            "registered:\n  want {:?}\n  got  {:?}",
            names(&want),
            names(&got)
        ));
        return;
    }
    for ((name, want), (_, got)) in want.iter().zip(&got) {
        if want != got {
            found.push(format!("text of {name}:\n  want {want}\n  got  {got}"));
        }
    }
}

/// Where two values differ, as a path.
fn mismatch(want: &Json, got: &Json) -> Option<String> {
    match (want, got) {
        (Json::String(any), got) if &**any == "*" => got.is_null().then(String::new),
        (Json::Object(want), Json::Object(got)) => {
            if let Some(more) = got.keys().find(|name| !want.contains_key(*name)) {
                return Some(format!(".{more}"));
            }
            want.iter().find_map(|(name, want)| {
                let got = got.get(name).unwrap_or(&Json::Null);
                mismatch(want, got).map(|at| format!(".{name}{at}"))
            })
        }
        (Json::Array(want), Json::Array(got)) if want.len() == got.len() => want
            .iter()
            .zip(got)
            .enumerate()
            .find_map(|(n, (want, got))| mismatch(want, got).map(|at| format!("[{n}]{at}"))),
        (Json::Number(a), Json::Number(b)) => {
            let same = match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => a == b,
                _ => a.as_f64() as f32 == b.as_f64() as f32,
            };
            (!same).then(String::new)
        }
        _ => (want != got).then(String::new),
    }
}

#[cfg(test)]
mod tests {
    use java_idioms::json::ReadOptions;

    use super::*;

    #[test]
    fn differences_are_found_where_they_are() {
        let answer = |text: &str| Json::read(text, ReadOptions::default()).expect("JSON");
        let want = r#"{"registered":[{"subject":"t-key","version":1,"schemaType":"AVRO","schema":"x"}],
            "topics":{"t":[{"key":{"body":"02","data":{"a":1,"at":"*"}},"value":null}]}}"#;
        let found = |from: &str, to: &str| {
            let got = want.replace("\"*\"", "7").replace(from, to);
            differences(&answer(want), &answer(&got))
        };
        assert_eq!(found("", ""), Vec::<String>::new());
        for (from, to, place) in [
            ("\"02\"", "\"04\"", "t[0].key.body"),
            ("\"a\":1", "\"a\":2", "t[0].key.data.a"),
            (":7", ":null", "t[0].key.data.at"),
            (",\"at\":7", "", "t[0].key.data.at"),
            ("\"a\":1", "\"a\":1,\"b\":2", "t[0].key.data.b"),
            ("\"value\":null", "\"value\":{}", "t[0].value"),
            ("\"x\"", "\"y\"", "text of \"t-key\" 1"),
            ("AVRO", "JSON", "registered"),
            (",\"value\":null}", ",\"value\":null},{}", "t: 2 records"),
            (
                "\"topics\":{",
                "\"topics\":{\"u\":[],",
                "u is one topic more",
            ),
        ] {
            let found = found(from, to);
            assert!(
                found.len() == 1 && found[0].starts_with(place),
                "{place}: {found:?}"
            );
        }
    }
}
