//! Which scenarios there are and what is asked of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::scenario::ScenarioFile;
use super::{Answer, Scenario};

/// A line of `cdc/cases.txt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub name: String,
    pub verdict: Verdict,
}

/// What is asked of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The outcome equals the recorded answer.
    Equal,
    /// The outcome differs on purpose: it equals `cdc/deviations/NAME.json`; this section of the README there says why.
    Deviation(String),
    /// Not run, and why.
    Out(String),
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cdc")
}

/// The list of cases.
///
/// # Errors
/// When it cannot be read or a line is malformed; the error has the line.
pub fn cases() -> Result<Vec<Case>> {
    let path = folder().join("cases.txt");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<Case>> {
    let lines = text.lines().map(str::trim);
    let cases = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    cases
        .map(|line| {
            let (verdict, rest) = line.split_once(' ').unwrap_or((line, ""));
            let (name, reason) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
            let reason = reason.trim().to_owned();
            let verdict = match (verdict, reason.is_empty()) {
                ("equal", true) => Verdict::Equal,
                ("deviation", false) => Verdict::Deviation(reason),
                ("out", false) => Verdict::Out(reason),
                _ => bail!(
                    "cases.txt: neither 'equal NAME', 'deviation NAME SECTION' nor 'out NAME REASON': {line}"
                ),
            };
            if name.is_empty() {
                bail!("cases.txt: no name: {line}");
            }
            Ok(Case {
                name: name.to_owned(),
                verdict,
            })
        })
        .collect()
}

/// All scenarios by name.
///
/// # Errors
/// When a file cannot be read, or two scenarios have one name.
pub fn scenarios() -> Result<BTreeMap<String, Scenario>> {
    let mut all = BTreeMap::new();
    let folder = folder().join("scenarios");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let file: ScenarioFile =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        for scenario in file.scenarios {
            if let Some(other) = all.insert(scenario.name.clone(), scenario) {
                bail!("{}: a second scenario {}", path.display(), other.name);
            }
        }
    }
    Ok(all)
}

impl Case {
    /// What the outcome must equal: what Debezium did, or what this connector does instead.
    ///
    /// # Errors
    /// When there is no such answer, or the case is out.
    pub fn expected(&self) -> Result<Answer> {
        match &self.verdict {
            Verdict::Equal => stored("answers", &self.name),
            Verdict::Deviation(_) => stored("deviations", &self.name),
            Verdict::Out(reason) => bail!("{} is out: {reason}", self.name),
        }
    }
}

fn stored(kind: &str, name: &str) -> Result<Answer> {
    let path = folder().join(kind).join(format!("{name}.json"));
    let read = || Answer::read(&fs::read_to_string(&path)?);
    read().with_context(|| path.display().to_string())
}

/// Whether `name` matches one of the comma-separated `globs`, in which `*` stands for any text.
pub fn matches(globs: &str, name: &str) -> bool {
    globs.split(',').any(|glob| glob_matches(glob.trim(), name))
}

fn glob_matches(glob: &str, name: &str) -> bool {
    match glob.split_once('*') {
        None => glob == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            let ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            ends.map(|at| &tail[at..])
                .any(|tail| glob_matches(rest, tail))
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_name_a_verdict_a_case_and_a_reason() {
        let cases = parse("# c\n\nequal a\nout  b  needs x y\ndeviation c d\n").unwrap();
        let verdicts: Vec<_> = cases.into_iter().map(|c| (c.name, c.verdict)).collect();
        assert_eq!(
            verdicts,
            [
                ("a".into(), Verdict::Equal),
                ("b".into(), Verdict::Out("needs x y".into())),
                ("c".into(), Verdict::Deviation("d".into())),
            ]
        );
        for bad in [
            "equal",
            "equal a because",
            "out a",
            "deviation a",
            "maybe a",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn globs_match_whole_names() {
        assert!(matches("types_*", "types_floats") && matches("a,*_b", "x_b"));
        assert!(matches("*", "") && matches("a*c*e", "abcde"));
        assert!(!matches("types_*", "my_types_x") && !matches("a", "ab") && !matches("a*c", "ab"));
    }

    /// Every scenario is listed once, every listed one exists, and what is compared has an answer to compare with.
    #[test]
    fn the_list_is_complete() {
        let scenarios = scenarios().unwrap();
        let mut listed: Vec<String> = Vec::new();
        let reasons = fs::read_to_string(folder().join("deviations/README.md")).unwrap();
        for case in cases().unwrap() {
            assert!(
                scenarios.contains_key(&case.name),
                "{}: no scenario",
                case.name
            );
            if let Verdict::Deviation(section) = &case.verdict {
                let heading = format!("## {section}");
                assert!(
                    reasons.lines().any(|line| line == heading),
                    "{}: no section {section}",
                    case.name
                );
                if let Ok(theirs) = stored("answers", &case.name) {
                    let ours = case.expected().unwrap();
                    assert_ne!(theirs, ours, "{}: there is no deviation", case.name);
                }
            }
            if !matches!(case.verdict, Verdict::Out(_)) {
                case.expected().unwrap();
            }
            listed.push(case.name);
        }
        listed.sort();
        let all: Vec<String> = scenarios.into_keys().collect();
        assert_eq!(listed, all);
    }
}
