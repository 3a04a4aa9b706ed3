//! Every recorded converter case on our converters, each on an empty registry in this process.
//!
//! ```text
//! cargo test -p millrace-conformance --test converters -- --nocapture
//! MILLRACE_CASES='avro-types,json-read-s0'   only the ids that begin so
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};
use java_idioms::Json;
use millrace_conformance::converters::{Tolerance, answer, differences, folder, lines};

/// Differences shown of one case.
const SHOWN: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn converters_write_and_read_what_confluents_do() -> Result<()> {
    let only: Option<Vec<String>> = env::var("MILLRACE_CASES")
        .ok()
        .map(|ids| ids.split(',').map(str::to_owned).collect());
    let deviations = listed("deviations.txt")?;
    let other_texts = listed("error-texts.txt")?;
    let mut unseen: BTreeSet<&str> = deviations
        .keys()
        .chain(other_texts.keys())
        .map(String::as_str)
        .collect();
    let mut areas: Vec<_> = fs::read_dir(folder().join("cases"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    areas.sort();
    let better = by_id(&folder().join("better.json"))?;
    let (mut equal, mut different) = (0, 0);
    for path in areas {
        let name = path.file_name().context("a file has a name")?;
        let answers = by_id(&folder().join("answers").join(name))?;
        for case in lines(&path)? {
            let id = id(&case);
            if only
                .as_ref()
                .is_some_and(|only| !only.iter().any(|prefix| id.starts_with(prefix.as_str())))
            {
                continue;
            }
            // Where the original is plainly wrong, ours is compared with what it should have done.
            let recorded = if case.get("defect").is_some() {
                &better
            } else {
                &answers
            };
            let want = recorded
                .get(&id)
                .with_context(|| format!("no answer to {id}"))?;
            let got = tokio::spawn(async move { answer(&case).await })
                .await
                .with_context(|| id.clone())?
                .with_context(|| id.clone())?;
            let tolerance = Tolerance {
                error_texts: other_texts.contains_key(&id),
            };
            let found = differences(want, &got, tolerance);
            if tolerance.error_texts {
                ensure!(
                    !differences(want, &got, Tolerance::default()).is_empty(),
                    "{id} is equal, but listed in converters/error-texts.txt"
                );
                unseen.remove(id.as_str());
            }
            match (found.is_empty(), deviations.contains_key(&id)) {
                (true, false) => equal += 1,
                (false, true) => drop(unseen.remove(id.as_str())),
                (true, true) => bail!("{id} is equal, but listed in converters/deviations.txt"),
                (false, false) => {
                    different += 1;
                    println!("{id}: {} differences", found.len());
                    for difference in found.iter().take(SHOWN) {
                        println!("  {}", difference.replace('\n', "\n  "));
                    }
                }
            }
        }
    }
    println!(
        "{equal} cases equal, {different} different, {} deliberately so",
        deviations.len()
    );
    ensure!(different == 0, "{different} cases differ");
    if only.is_none() {
        ensure!(
            unseen.is_empty(),
            "listed, but not among the cases: {unseen:?}"
        );
        ensure!(equal > 300, "only {equal} cases were compared");
    }
    Ok(())
}

fn by_id(path: &Path) -> Result<HashMap<String, Json>> {
    let answers = lines(path)?.into_iter();
    Ok(answers.map(|answer| (id(&answer), answer)).collect())
}

fn id(json: &Json) -> String {
    json.get("id")
        .and_then(Json::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// A list of `converters`: id, blank, reason; `#` begins a comment.
fn listed(file: &str) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(folder().join(file))?;
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (id, reason) = line
                .split_once(' ')
                .with_context(|| format!("{line}: a reason is missing"))?;
            Ok((id.to_owned(), reason.to_owned()))
        })
        .collect()
}
