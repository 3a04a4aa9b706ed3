//! Rule sets: stored and returned, never run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use java_idioms::json::write_string_to_bytes;
use registry_formats::IdentityParts;

use crate::RegistryError;

/// Longest name of a rule.
const MAX_NAME: usize = 256;

/// Rules of a schema or of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RuleSet {
    pub(crate) migration: Vec<Rule>,
    pub(crate) domain: Vec<Rule>,
    pub(crate) encoding: Vec<Rule>,
    pub(crate) enable_at: Option<Arc<str>>,
}

/// One rule. `kind` and `mode` are the names of the original's enumerations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) doc: Option<Arc<str>>,
    pub(crate) kind: Arc<str>,
    pub(crate) mode: Arc<str>,
    pub(crate) rule_type: Option<Arc<str>>,
    pub(crate) tags: BTreeSet<Arc<str>>,
    pub(crate) params: BTreeMap<Arc<str>, Arc<str>>,
    pub(crate) expr: Option<Arc<str>>,
    pub(crate) on_success: Option<Arc<str>>,
    pub(crate) on_failure: Option<Arc<str>>,
    pub(crate) disabled: bool,
}

impl RuleSet {
    fn lists(&self) -> [(&'static str, &Vec<Rule>); 3] {
        [
            ("migrationRules", &self.migration),
            ("domainRules", &self.domain),
            ("encodingRules", &self.encoding),
        ]
    }

    pub(crate) fn has_type(&self, rule_type: &str) -> bool {
        self.lists().iter().any(|(_, rules)| {
            rules
                .iter()
                .any(|rule| rule.rule_type.as_deref() == Some(rule_type))
        })
    }

    /// The new set over the old one: rules of one name are replaced.
    pub(crate) fn merge(old: Option<&Arc<Self>>, new: Option<&Arc<Self>>) -> Option<Arc<Self>> {
        let (old, new) = match (old, new) {
            (None, other) | (other, None) => return other.cloned(),
            (Some(old), Some(new)) => (old, new),
        };
        let merge = |old: &[Rule], new: &[Rule]| -> Vec<Rule> {
            old.iter()
                .filter(|rule| !new.iter().any(|other| other.name == rule.name))
                .chain(new)
                .cloned()
                .collect()
        };
        Some(Arc::new(Self {
            migration: merge(&old.migration, &new.migration),
            domain: merge(&old.domain, &new.domain),
            encoding: merge(&old.encoding, &new.encoding),
            enable_at: new.enable_at.clone().or_else(|| old.enable_at.clone()),
        }))
    }

    /// Without the rules of these names.
    pub(crate) fn without(&self, names: &[Arc<str>]) -> Self {
        let keep = |rules: &[Rule]| -> Vec<Rule> {
            rules
                .iter()
                .filter(|rule| rule.name.as_ref().is_none_or(|name| !names.contains(name)))
                .cloned()
                .collect()
        };
        Self {
            migration: keep(&self.migration),
            domain: keep(&self.domain),
            encoding: keep(&self.encoding),
            enable_at: self.enable_at.clone(),
        }
    }

    /// Checks names, types and modes.
    ///
    /// # Errors
    /// 42210
    pub(crate) fn validate(&self) -> Result<(), RegistryError> {
        let refuse = |text: String| Err(RegistryError::new(42210, text));
        let mut names = BTreeSet::new();
        for (list, rules) in self.lists() {
            for rule in rules {
                if !names.insert(rule.name.as_deref()) {
                    return refuse(format!(
                        "Found rule with duplicate name '{}'",
                        rule.name.as_deref().unwrap_or("null")
                    ));
                }
                if let Err(text) = rule.validate() {
                    return refuse(text);
                }
                let migration = matches!(&*rule.mode, "UPGRADE" | "DOWNGRADE" | "UPDOWN");
                match list {
                    "migrationRules" if !migration => {
                        return refuse(
                            "Migration rules can only be UPGRADE, DOWNGRADE, UPDOWN".to_owned(),
                        );
                    }
                    "domainRules" if migration => {
                        return refuse(
                            "Domain rules can only be WRITE, READ, WRITEREAD".to_owned(),
                        );
                    }
                    "encodingRules" if migration => {
                        return refuse(
                            "Encoding rules can only be WRITE, READ, WRITEREAD".to_owned(),
                        );
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    pub(crate) fn hash(&self, parts: &mut IdentityParts) {
        parts.mark();
        for (_, rules) in self.lists() {
            for rule in rules {
                rule.hash(parts);
            }
        }
        if let Some(enable_at) = &self.enable_at {
            parts.text(enable_at);
        }
    }

    /// Appends it as JSON.
    pub(crate) fn write(&self, out: &mut String) {
        out.push('{');
        let mut separator = "";
        for (name, rules) in self.lists() {
            if rules.is_empty() {
                continue;
            }
            out.push_str(separator);
            separator = ",";
            out.push('"');
            out.push_str(name);
            out.push_str("\":[");
            for (i, rule) in rules.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                rule.write(out);
            }
            out.push(']');
        }
        if let Some(enable_at) = &self.enable_at {
            out.push_str(separator);
            out.push_str("\"enableAt\":");
            write_string_to_bytes(enable_at, out);
        }
        out.push('}');
    }
}

impl Rule {
    fn validate(&self) -> Result<(), String> {
        let Some(name) = &self.name else {
            return Err("Missing rule name".to_owned());
        };
        let mut chars = name.chars();
        match chars.next() {
            None => return Err("Empty rule name".to_owned()),
            Some(_) if name.encode_utf16().count() > MAX_NAME => {
                return Err("Rule name too long".to_owned());
            }
            Some(first) if !(first.is_alphabetic() || first == '_') => {
                return Err(format!("Illegal initial character in rule name: {name}"));
            }
            Some(_) => {}
        }
        if chars.any(|c| !(c.is_alphanumeric() || c == '_' || c == '-')) {
            return Err(format!("Illegal character in rule name: {name}"));
        }
        if self.rule_type.is_none() {
            return Err("Missing rule type".to_owned());
        }
        let several = |action: &Option<Arc<str>>| action.as_ref().is_some_and(|a| a.contains(','));
        if !matches!(&*self.mode, "WRITEREAD" | "UPDOWN")
            && (several(&self.on_success) || several(&self.on_failure))
        {
            return Err("Multiple actions only valid with WRITEREAD and UPDOWN".to_owned());
        }
        Ok(())
    }

    fn hash(&self, parts: &mut IdentityParts) {
        let mut optional = |text: &Option<Arc<str>>| {
            if let Some(text) = text {
                parts.text(text);
            }
        };
        optional(&self.name);
        optional(&self.doc);
        parts.text(&self.kind).text(&self.mode);
        if let Some(rule_type) = &self.rule_type {
            parts.text(rule_type);
        }
        for tag in &self.tags {
            parts.text(tag);
        }
        for (name, value) in &self.params {
            parts.text(name).text(value);
        }
        for text in [&self.expr, &self.on_success, &self.on_failure]
            .into_iter()
            .flatten()
        {
            parts.text(text);
        }
        if self.disabled {
            parts.mark();
        }
    }

    fn write(&self, out: &mut String) {
        out.push('{');
        let mut separator = "";
        let mut member = |name: &str, value: Option<&str>, out: &mut String| {
            if let Some(value) = value.filter(|v| !v.is_empty()) {
                out.push_str(separator);
                separator = ",";
                write_string_to_bytes(name, out);
                out.push(':');
                write_string_to_bytes(value, out);
            }
        };
        member("name", self.name.as_deref(), out);
        member("doc", self.doc.as_deref(), out);
        member("kind", Some(&self.kind), out);
        member("mode", Some(&self.mode), out);
        member("type", self.rule_type.as_deref(), out);
        if !self.tags.is_empty() {
            out.push_str(",\"tags\":[");
            for (i, tag) in self.tags.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string_to_bytes(tag, out);
            }
            out.push(']');
        }
        if !self.params.is_empty() {
            out.push_str(",\"params\":{");
            for (i, (name, value)) in self.params.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string_to_bytes(name, out);
                out.push(':');
                write_string_to_bytes(value, out);
            }
            out.push('}');
        }
        member("expr", self.expr.as_deref(), out);
        member("onSuccess", self.on_success.as_deref(), out);
        member("onFailure", self.on_failure.as_deref(), out);
        out.push_str(",\"disabled\":");
        out.push_str(if self.disabled { "true" } else { "false" });
        out.push('}');
    }
}

/// As Java prints it inside error texts.
impl fmt::Display for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rules{")?;
        for (name, rules) in self.lists() {
            write!(f, "{name}=[")?;
            for (i, rule) in rules.iter().enumerate() {
                if i > 0 {
                    f.write_str(", ")?;
                }
                write!(f, "{rule}")?;
            }
            f.write_str("], ")?;
        }
        write!(
            f,
            "enableAt={}}}",
            self.enable_at.as_deref().unwrap_or("null")
        )
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_null = |text: &Option<Arc<str>>| text.as_deref().unwrap_or("null").to_owned();
        let tags: Vec<&str> = self.tags.iter().map(|t| &**t).collect();
        let params: Vec<String> = self
            .params
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        write!(
            f,
            "Rule{{name={}, doc={}, kind={}, mode={}, type='{}', tags='[{}]', params='{{{}}}', expr='{}', onSuccess='{}', onFailure='{}', disabled='{}'}}",
            or_null(&self.name),
            or_null(&self.doc),
            self.kind,
            self.mode,
            or_null(&self.rule_type),
            tags.join(", "),
            params.join(", "),
            or_null(&self.expr),
            or_null(&self.on_success),
            or_null(&self.on_failure),
            self.disabled
        )
    }
}
