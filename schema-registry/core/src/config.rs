//! Configurations and modes as they are stored and shown.

use std::fmt;
use std::sync::Arc;

use java_idioms::json::write_string_to_bytes;

use crate::metadata::Metadata;
use crate::rules::RuleSet;

/// A compatibility level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    None,
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

impl Level {
    const ALL: [(Self, &'static str); 7] = [
        (Self::None, "NONE"),
        (Self::Backward, "BACKWARD"),
        (Self::BackwardTransitive, "BACKWARD_TRANSITIVE"),
        (Self::Forward, "FORWARD"),
        (Self::ForwardTransitive, "FORWARD_TRANSITIVE"),
        (Self::Full, "FULL"),
        (Self::FullTransitive, "FULL_TRANSITIVE"),
    ];

    /// In any letter case.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, text)| text.eq_ignore_ascii_case(name))
            .map(|(level, _)| *level)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(level, _)| *level == self)
            .map_or("BACKWARD", |(_, name)| name)
    }

    pub(crate) fn is_transitive(self) -> bool {
        matches!(
            self,
            Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive
        )
    }

    /// Whether old versions must read what new ones write.
    pub(crate) fn checks_forward(self) -> bool {
        matches!(
            self,
            Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive
        )
    }

    /// Whether new versions must read what old ones wrote.
    pub(crate) fn checks_backward(self) -> bool {
        matches!(
            self,
            Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive
        )
    }
}

/// `compatibilityPolicy`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LenientPolicy {
    Strict,
    Lenient,
}

impl LenientPolicy {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("STRICT") {
            Some(Self::Strict)
        } else if name.eq_ignore_ascii_case("LENIENT") {
            Some(Self::Lenient)
        } else {
            None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Strict => "STRICT",
            Self::Lenient => "LENIENT",
        }
    }
}

/// A configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Config {
    pub(crate) alias: Option<Arc<str>>,
    pub(crate) alias_for_deks: Option<Arc<str>>,
    pub(crate) normalize: Option<bool>,
    pub(crate) validate_fields: Option<bool>,
    pub(crate) validate_new_schemas: Option<bool>,
    pub(crate) validate_rules: Option<bool>,
    pub(crate) level: Option<Level>,
    pub(crate) policy: Option<LenientPolicy>,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) default_metadata: Option<Arc<Metadata>>,
    pub(crate) override_metadata: Option<Arc<Metadata>>,
    pub(crate) default_rule_set: Option<Arc<RuleSet>>,
    pub(crate) override_rule_set: Option<Arc<RuleSet>>,
}

/// Where a configuration is written; the forms differ in the name of the level and in empty texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigForm {
    /// `GET`, `DELETE` and records.
    Stored,
    /// The answer to `PUT`.
    Echo,
}

impl Config {
    /// Whether registrations get metadata or rules from it.
    pub(crate) fn has_defaults_or_overrides(&self) -> bool {
        self.default_metadata.is_some()
            || self.override_metadata.is_some()
            || self.default_rule_set.is_some()
            || self.override_rule_set.is_some()
    }

    /// Appends its members without braces; `separator` before the first.
    pub(crate) fn write_members(
        &self,
        form: ConfigForm,
        mut separator: &'static str,
        out: &mut String,
    ) {
        let mut name = |member: &str, out: &mut String| {
            out.push_str(separator);
            separator = ",";
            out.push('"');
            out.push_str(member);
            out.push_str("\":");
        };
        let shown = |text: &Arc<str>| form == ConfigForm::Echo || !text.is_empty();
        for (member, text) in [
            ("alias", &self.alias),
            ("aliasForDeks", &self.alias_for_deks),
        ] {
            if let Some(text) = text.as_ref().filter(|t| shown(t)) {
                name(member, out);
                write_string_to_bytes(text, out);
            }
        }
        for (member, value) in [
            ("normalize", self.normalize),
            ("validateFields", self.validate_fields),
            ("validateNewSchemas", self.validate_new_schemas),
            ("validateRules", self.validate_rules),
        ] {
            if let Some(value) = value {
                name(member, out);
                out.push_str(if value { "true" } else { "false" });
            }
        }
        if let Some(level) = self.level {
            name(
                match form {
                    ConfigForm::Stored => "compatibilityLevel",
                    ConfigForm::Echo => "compatibility",
                },
                out,
            );
            write_string_to_bytes(level.name(), out);
        }
        if let Some(policy) = self.policy {
            name("compatibilityPolicy", out);
            write_string_to_bytes(policy.name(), out);
        }
        if let Some(group) = self.group.as_ref().filter(|t| shown(t)) {
            name("compatibilityGroup", out);
            write_string_to_bytes(group, out);
        }
        for (member, metadata) in [
            ("defaultMetadata", &self.default_metadata),
            ("overrideMetadata", &self.override_metadata),
        ] {
            if let Some(metadata) = metadata {
                name(member, out);
                metadata.write(out);
            }
        }
        for (member, rules) in [
            ("defaultRuleSet", &self.default_rule_set),
            ("overrideRuleSet", &self.override_rule_set),
        ] {
            if let Some(rules) = rules {
                name(member, out);
                rules.write(out);
            }
        }
    }

    /// As a JSON object.
    pub(crate) fn to_json(&self, form: ConfigForm) -> String {
        let mut out = String::from("{");
        self.write_members(form, "", &mut out);
        out.push('}');
        out
    }
}

/// A mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    ReadWrite,
    ReadOnly,
    ReadOnlyOverride,
    Import,
    Forward,
}

impl Mode {
    const ALL: [(Self, &'static str); 5] = [
        (Self::ReadWrite, "READWRITE"),
        (Self::ReadOnly, "READONLY"),
        (Self::ReadOnlyOverride, "READONLY_OVERRIDE"),
        (Self::Import, "IMPORT"),
        (Self::Forward, "FORWARD"),
    ];

    /// In any letter case.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, text)| text.eq_ignore_ascii_case(name))
            .map(|(mode, _)| *mode)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(mode, _)| *mode == self)
            .map_or("READWRITE", |(_, name)| name)
    }

    pub(crate) fn is_read_only(self) -> bool {
        matches!(self, Self::ReadOnly | Self::ReadOnlyOverride)
    }

    /// Whether schemas come with their ids.
    pub(crate) fn is_import(self) -> bool {
        matches!(self, Self::Import | Self::Forward)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
