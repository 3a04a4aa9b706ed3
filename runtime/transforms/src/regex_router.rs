use std::collections::HashMap;
use std::sync::Arc;

use fancy_regex::Regex;
use millrace_api::config::{ConnectConfig, JavaRegex, Validator};
use millrace_api::data::Record;
use millrace_api::plugin::{DataError, TaskError, Transform, Verdict};

use crate::registration::Configured;
use crate::replacement::Replacement;
use crate::side::Side;

/// Topics whose new name is kept.
const TOPICS: usize = 1024;

#[derive(Debug, ConnectConfig)]
pub(crate) struct RegexRouterConfig {
    /// Pattern that a topic's whole name must match, in Java's syntax.
    #[config(name = "regex", required, importance = "high", validate = Validator::regex())]
    regex: String,
    /// The new name: `$1` or `${name}` stand for what a group matched.
    #[config(name = "replacement", required, importance = "high")]
    replacement: String,
}

/// Renames topics by a regular expression. A topic that does not match as a whole stays.
#[derive(Debug)]
pub(crate) struct RegexRouter {
    whole: JavaRegex,
    search: Regex,
    replacement: Replacement,
    /// The expression is run once per topic, not per record.
    known: HashMap<Arc<str>, Arc<str>>,
}

impl Configured for RegexRouter {
    type Config = RegexRouterConfig;

    fn new(config: RegexRouterConfig, _side: Side) -> Result<Self, TaskError> {
        let wrong = |key: &str, value: &str, problem: String| {
            TaskError::config(
                "transform.config",
                format!("Invalid value {value} for configuration {key}: {problem}"),
            )
        };
        let whole = JavaRegex::new(&config.regex)
            .map_err(|e| wrong("regex", &config.regex, format!("Invalid regex: {e}")))?;
        let search = Regex::new(whole.engine_pattern())
            .map_err(|e| wrong("regex", &config.regex, format!("Invalid regex: {e}")))?;
        let names: Vec<&str> = search.capture_names().flatten().collect();
        let replacement = Replacement::parse(&config.replacement, search.captures_len(), &names)
            .map_err(|e| wrong("replacement", &config.replacement, e))?;
        Ok(Self {
            whole,
            search,
            replacement,
            known: HashMap::new(),
        })
    }
}

impl RegexRouter {
    fn renamed(&self, topic: &Arc<str>) -> Arc<str> {
        if !self.whole.is_full_match(topic) {
            return Arc::clone(topic);
        }
        // The first match that is found need not be the whole name, which only had to match.
        let Ok(Some(captures)) = self.search.captures(&**topic) else {
            return Arc::clone(topic);
        };
        let Some(found) = captures.get(0) else {
            return Arc::clone(topic);
        };
        let mut name = topic[..found.start()].to_owned();
        self.replacement.expand(&captures, &mut name);
        name.push_str(&topic[found.end()..]);
        name.into()
    }
}

impl Transform for RegexRouter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, DataError> {
        if let Some(name) = self.known.get(&record.topic) {
            record.topic = Arc::clone(name);
            return Ok(Verdict::Keep);
        }
        let name = self.renamed(&record.topic);
        if self.known.len() >= TOPICS {
            self.known.clear();
        }
        self.known.insert(
            std::mem::replace(&mut record.topic, Arc::clone(&name)),
            name,
        );
        Ok(Verdict::Keep)
    }
}
