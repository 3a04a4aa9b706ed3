use anyhow::{Context as _, Result};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::mask::{Worker, mask};
use super::{Answer, Area, Step};

/// Headers of answers that are compared, absent ones too.
pub const COMPARED_HEADERS: [&str; 12] = [
    "Content-Type",
    "Location",
    "Allow",
    "WWW-Authenticate",
    "X-Test",
    "Cache-Control",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Max-Age",
    "Vary",
];

/// Makes the calls of `area` at the worker at `base` (`http://127.0.0.1:PORT`) with this `group.id`; returns how many were compared and
/// what is different, a text for each call.
///
/// # Errors
/// When the worker gives no answer at all.
pub async fn replay(area: &Area, base: &str, group: &str) -> Result<(usize, Vec<String>)> {
    let worker = Worker {
        base: base.to_owned(),
        group: group.to_owned(),
    };
    let client = reqwest::Client::new();
    let (mut compared, mut different) = (0, Vec::new());
    for scenario in &area.scenarios {
        for step in &scenario.steps {
            let Some(answer) = &step.answer else { continue };
            compared += 1;
            let place = format!(
                "{} / {}: {} {}",
                scenario.name, step.name, step.method, step.path
            );
            let found = call(&client, &worker, step)
                .await
                .with_context(|| place.clone())?;
            if let Some(difference) = difference(answer, found) {
                different.push(format!("{place}\n  {difference}"));
            }
        }
    }
    Ok((compared, different))
}

async fn call(client: &reqwest::Client, worker: &Worker, step: &Step) -> Result<Answer> {
    let mut headers = HeaderMap::new();
    let body = match (&step.raw, &step.body) {
        (Some(raw), _) => Some(worker.fill(raw)),
        (None, Some(body)) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Some(worker.fill(&body.to_string()))
        }
        (None, None) => None,
    };
    for (name, value) in &step.headers {
        let name: HeaderName = name.parse()?;
        match value {
            Some(value) => drop(headers.insert(name, worker.fill(value).parse()?)),
            None => drop(headers.remove(name)),
        }
    }
    let url = format!("{}{}", worker.base, worker.fill(&step.path));
    let request = client.request(Method::from_bytes(step.method.as_bytes())?, url);
    // Without a body the length is still sent, as it was when the calls were recorded.
    let needs_length = matches!(&*step.method, "POST" | "PUT" | "PATCH");
    let request = match body {
        Some(body) => request.body(body),
        None if needs_length => request.body(""),
        None => request,
    };
    let response = request.headers(headers).send().await?;
    let status = response.status().as_u16();
    let found = COMPARED_HEADERS.iter().filter_map(|name| {
        let value = response.headers().get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), worker.hide(value)))
    });
    let headers = found.collect();
    let text = worker.hide(&response.text().await?);
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    Ok(Answer {
        status,
        headers,
        body: Some(body),
    })
}

fn difference(expected: &Answer, found: Answer) -> Option<String> {
    if expected.status != found.status {
        let body = found.body.unwrap_or_default();
        return Some(format!(
            "status {} instead of {}: {body}",
            found.status, expected.status
        ));
    }
    if expected.headers != found.headers {
        return Some(format!(
            "headers {:?} instead of {:?}",
            found.headers, expected.headers
        ));
    }
    let expected = mask(expected.body.clone()?);
    let found = mask(found.body?);
    (expected != found).then(|| format!("{found} instead of {expected}"))
}
