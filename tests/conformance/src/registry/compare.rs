//! Whether an answer is the recorded one.

use java_idioms::Json;
use java_idioms::json::Object;

use super::Answered;

/// Members that are never equal: a time, and the id of a Kafka cluster.
const MASKED: [&str; 2] = ["ts", "kafka-cluster"];

/// Where an answer differs from the recorded one, members' order included; `None` when it is equal. Cases that are `loose` compare less: `text` not the wording of an
/// error, which is a library's own, `set` not the order of a list.
pub fn difference(want: &Json, got: &Answered) -> Option<String> {
    let loose = |kind: &str| {
        want.get("loose")
            .and_then(Json::as_array)
            .unwrap_or_default()
            .iter()
            .any(|loose| loose.as_str() == Some(kind))
    };
    let status = want
        .get("status")
        .and_then(Json::as_i64)
        .unwrap_or_default();
    if status != i64::from(got.status) {
        let body = got
            .body
            .as_ref()
            .map_or_else(|| got.text.clone().unwrap_or_default(), Json::to_text);
        return Some(format!(
            "status:\n  want {status} {}\n  got  {} {body}",
            want.get("body").map_or_else(String::new, Json::to_text),
            got.status
        ));
    }
    let content_type = want.get("content_type").and_then(Json::as_str);
    // The web server's own pages count by their status.
    if content_type.is_some_and(|kind| kind.starts_with("text/html"))
        || (status == 400 && want.get("body").is_none())
    {
        return None;
    }
    if content_type != got.content_type.as_deref() {
        return Some(format!(
            "content type:\n  want {content_type:?}\n  got  {:?}",
            got.content_type
        ));
    }
    let (want, got) = match (want.get("body"), &got.body) {
        (Some(want), Some(got)) => (mask(want), mask(got)),
        (None, None) => {
            let text = want.get("text").and_then(Json::as_str);
            return (text != got.text.as_deref())
                .then(|| format!("text:\n  want {text:?}\n  got  {:?}", got.text));
        }
        (want, _) => return Some(format!("JSON or not:\n  want {want:?}\n  got  {got:?}")),
    };
    let (want, got) = if loose("text") {
        (without_texts(want), without_texts(got))
    } else {
        (want, got)
    };
    let (want, got) = if loose("set") {
        (sorted(want), sorted(got))
    } else {
        (want, got)
    };
    let (want, got) = (want.to_text(), got.to_text());
    (want != got).then(|| format!("body:\n  want {want}\n  got  {got}"))
}

fn mask(json: &Json) -> Json {
    match json {
        Json::Array(all) => all.iter().map(mask).collect::<Vec<_>>().into(),
        Json::Object(members) => members
            .iter()
            .map(|(name, value)| {
                (
                    name.clone(),
                    if MASKED.contains(&&**name) {
                        Json::from("*")
                    } else {
                        mask(value)
                    },
                )
            })
            .collect::<Object>()
            .into(),
        other => other.clone(),
    }
}

/// An error's message and a check's messages are replaced.
fn without_texts(json: Json) -> Json {
    let is_error = json.get("error_code").is_some();
    match json {
        Json::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let is_text = if is_error {
                    &*name == "message"
                } else {
                    &*name == "messages"
                };
                (name, if is_text { Json::from("*") } else { value })
            })
            .collect::<Object>()
            .into(),
        other => other,
    }
}

fn sorted(json: Json) -> Json {
    match json {
        Json::Array(mut all) => {
            all.sort_by_key(Json::to_text);
            all.into()
        }
        other => other,
    }
}
