//! Recorded requests to Confluent's schema registry, put to ours over HTTP, each group to a registry of its own that is empty at first; what it writes to its topic; and
//! whether it serves a topic that the real one wrote.
//!
//! ```text
//! cargo test -p millrace-conformance --test registry -- --nocapture
//! MILLRACE_CASES='config-0,mode-0'   only these groups
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};
use java_idioms::Json;
use millrace_conformance::registry::{
    Node, answers, cases, difference, folder, groups, reads, replay, topic,
};

/// Differences shown of one group.
const SHOWN: usize = 12;

fn selected() -> Result<Vec<String>> {
    let only = env::var("MILLRACE_CASES").ok();
    Ok(groups()?
        .into_iter()
        .filter(|group| {
            only.as_ref()
                .is_none_or(|only| only.split(',').any(|name| name == group))
        })
        .collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_equal_confluents() -> Result<()> {
    let deviations = deviations()?;
    let mut unseen: BTreeSet<&str> = deviations.keys().map(String::as_str).collect();
    let (mut equal, mut different) = (0, 0);
    for group in selected()? {
        let (cases, want) = (cases(&group)?, answers(&group)?);
        ensure!(
            cases.len() == want.len(),
            "{group} has {} requests and {} answers",
            cases.len(),
            want.len()
        );
        let node = Node::start(&[]).await?;
        let got = replay(node.port(), &cases).await?;
        let mut shown = 0;
        for (want, got) in want.iter().zip(&got) {
            let name = format!(
                "{group} {}",
                want.get("name").and_then(Json::as_str).unwrap_or_default()
            );
            match (difference(want, got), deviations.contains_key(&name)) {
                (None, false) => equal += 1,
                (Some(_), true) => drop(unseen.remove(name.as_str())),
                (None, true) => bail!("{name} is equal, but listed in registry/deviations.txt"),
                (Some(difference), false) => {
                    different += 1;
                    shown += 1;
                    if shown <= SHOWN {
                        println!("{name}: {difference}");
                    }
                }
            }
        }
    }
    println!(
        "{equal} answers equal, {different} different, {} deliberately so",
        deviations.len()
    );
    ensure!(different == 0, "{different} answers differ");
    if env::var_os("MILLRACE_CASES").is_none() {
        ensure!(
            unseen.is_empty(),
            "listed in registry/deviations.txt, but not among the cases: {unseen:?}"
        );
        ensure!(equal > 1400, "only {equal} answers were compared");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topic_is_written_as_confluents_registry_writes_it_and_read_back() -> Result<()> {
    let mut compared = 0;
    let mut problems = Vec::new();
    for group in selected()? {
        let Some(recorded) = topic(&group)? else {
            continue;
        };
        let cases = cases(&group)?;
        let ours = Node::start(&[]).await?;
        replay(ours.port(), &cases).await?;
        let written = ours.topic().await?;
        if written != recorded {
            let at = written
                .iter()
                .zip(&recorded)
                .position(|(ours, theirs)| ours != theirs)
                .unwrap_or(written.len().min(recorded.len()));
            problems.push(format!(
                "{group}: record {at} of {}\n  want {:?}\n  got  {:?} of {}",
                recorded.len(),
                recorded.get(at),
                written.get(at),
                written.len()
            ));
        }
        // A registry that begins with the recorded topic knows what the one knows that was asked everything.
        let theirs = Node::start(&recorded).await?;
        let reads = reads(&cases);
        let (want, got) = (
            replay(ours.port(), &reads).await?,
            replay(theirs.port(), &reads).await?,
        );
        for ((case, want), got) in reads.iter().zip(&want).zip(&got) {
            compared += 1;
            let recorded = recorded_form(want);
            if let Some(difference) = difference(&recorded, got) {
                let name = case.get("name").and_then(Json::as_str).unwrap_or_default();
                problems.push(format!(
                    "{group} {name}, from the recorded topic: {difference}"
                ));
            }
        }
    }
    println!("{compared} answers from recorded topics compared");
    for problem in &problems {
        println!("{problem}");
    }
    ensure!(problems.is_empty(), "{} problems", problems.len());
    ensure!(
        compared > 0 || env::var_os("MILLRACE_CASES").is_some(),
        "no topic was compared"
    );
    Ok(())
}

/// An answer in the form of a recorded one.
fn recorded_form(answer: &millrace_conformance::registry::Answered) -> Json {
    let mut members = java_idioms::Object::new();
    members.insert("status".into(), i64::from(answer.status).into());
    members.insert(
        "content_type".into(),
        answer.content_type.clone().map_or(Json::Null, Json::from),
    );
    match &answer.body {
        Some(body) => members.insert("body".into(), body.clone()),
        None => members.insert(
            "text".into(),
            answer.text.clone().map_or(Json::Null, Json::from),
        ),
    };
    members.into()
}

/// `registry/deviations.txt`: group, case and after ` # ` the reason.
fn deviations() -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(folder().join("deviations.txt"))?;
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            line.rsplit_once(" # ")
                .map(|(name, reason)| (name.to_owned(), reason.to_owned()))
                .with_context(|| format!("{line}: a reason is missing"))
        })
        .collect()
}
