//! Rules of data contracts. They are not run, so data that they would change or refuse is refused.

use std::cmp::Ordering;

use java_idioms::Json;
use java_idioms::json::ReadOptions;
use millrace_api::config::Props;
use millrace_api::plugin::DataError;

use crate::RegisteredSchema;

const PREFIX: &str = "rule.executors.";

/// Where rules run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Environment {
    All,
    Client,
    Gateway,
    Server,
    None,
}

impl Environment {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ALL" => Self::All,
            "CLIENT" => Self::Client,
            "GATEWAY" => Self::Gateway,
            "SERVER" => Self::Server,
            "NONE" => Self::None,
            _ => return None,
        })
    }
}

/// What is done with data when a rule runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Write,
    Read,
    Upgrade,
    Downgrade,
}

impl Mode {
    fn is_of(self, rule: &str) -> bool {
        match self {
            Self::Write => matches!(rule, "WRITE" | "WRITEREAD"),
            Self::Read => matches!(rule, "READ" | "WRITEREAD"),
            Self::Upgrade => matches!(rule, "UPGRADE" | "UPDOWN"),
            Self::Downgrade => matches!(rule, "DOWNGRADE" | "UPDOWN"),
        }
    }

    /// Which of two actions, separated by a comma, is meant.
    fn is_first(self) -> bool {
        matches!(self, Self::Write | Self::Upgrade)
    }
}

/// What the settings say about rules.
#[derive(Debug, Default)]
pub(super) struct Contract {
    environment: Option<Environment>,
    /// The settings under `rule.executors.`, without that.
    overrides: Vec<(String, String)>,
}

impl Contract {
    pub(super) fn new(props: &Props, environment: Option<Environment>) -> Self {
        let overrides = props.iter().filter_map(|(key, value)| {
            let key = key.strip_prefix(PREFIX)?;
            Some((key.to_owned(), value.to_owned()))
        });
        Self {
            environment,
            overrides: overrides.collect(),
        }
    }

    pub(super) fn permits_writing(
        &self,
        schema: &RegisteredSchema,
        subject: &str,
    ) -> Result<(), DataError> {
        self.permits(
            schema,
            subject,
            &["domainRules", "encodingRules"],
            Mode::Write,
        )
    }

    /// Whether payloads of `schema` may be read. Where data is read with another schema (`as_another`), that one's domain rules count instead.
    pub(super) fn permits_reading(
        &self,
        schema: &RegisteredSchema,
        subject: &str,
        as_another: bool,
    ) -> Result<(), DataError> {
        let lists = ["encodingRules", "domainRules"];
        let lists = if as_another { &lists[..1] } else { &lists };
        self.permits(schema, subject, lists, Mode::Read)
    }

    /// Whether data of `written` may be read as `reader`, with `between` the versions between the two: rules that migrate it belong to the later version of each step.
    pub(super) fn permits_migrating(
        &self,
        written: &RegisteredSchema,
        between: &[RegisteredSchema],
        reader: &RegisteredSchema,
        subject: &str,
    ) -> Result<(), DataError> {
        let (last, mode) = match written.version.cmp(&reader.version) {
            Ordering::Less => (Some(reader), Mode::Upgrade),
            Ordering::Greater => (Some(written), Mode::Downgrade),
            Ordering::Equal => (None, Mode::Upgrade),
        };
        for later in between.iter().chain(last) {
            self.permits(later, subject, &["migrationRules"], mode)?;
        }
        self.permits(reader, subject, &["domainRules"], Mode::Read)
    }

    fn permits(
        &self,
        schema: &RegisteredSchema,
        subject: &str,
        lists: &[&str],
        mode: Mode,
    ) -> Result<(), DataError> {
        let Some(text) = schema.rule_set.as_deref() else {
            return Ok(());
        };
        // What the registry sent has been read as JSON before.
        let Ok(rules) = Json::read(text, ReadOptions::default()) else {
            return Ok(());
        };
        let enabled_at = rules.get("enableAt").and_then(Json::as_str);
        let all = lists
            .iter()
            .flat_map(|list| rules.get(list).and_then(Json::as_array).unwrap_or_default());
        for rule in all {
            let member = |name: &str| rule.get(name).and_then(Json::as_str).unwrap_or_default();
            let (name, rule_type) = (member("name"), member("type"));
            if self.is_disabled(name, rule_type, enabled_at, rule) || !mode.is_of(member("mode")) {
                continue;
            }
            let action = self
                .setting(name, rule_type, "onFailure")
                .unwrap_or_else(|| member("onFailure"));
            let action = match action.split_once(',') {
                Some((first, _)) if mode.is_first() => first,
                Some((_, second)) => second.split(',').next().unwrap_or_default(),
                None => action,
            };
            // A rule without an executor has failed; what it does then can be nothing.
            if action == "NONE" {
                continue;
            }
            let why = format!(
                "schema {} of subject {subject} has the rule {name} of type {rule_type}, and rules of data contracts are not run; to do without it, set {PREFIX}{name}.disabled=true",
                schema.id
            );
            return Err(DataError::new(format!("Rule failed: {name}"))
                .with_java_class("org.apache.kafka.common.errors.SerializationException")
                .with_source(
                    DataError::new(why)
                        .with_java_class("io.confluent.kafka.schemaregistry.rules.RuleException"),
                ));
        }
        Ok(())
    }

    /// A setting of the rule, else of its type, else of all.
    fn setting(&self, name: &str, rule_type: &str, what: &str) -> Option<&str> {
        [name, &format!("_{rule_type}_"), "_default_"]
            .iter()
            .find_map(|of| {
                let key = format!("{of}.{what}");
                let found = self.overrides.iter().find(|(known, _)| *known == key)?;
                Some(found.1.as_str())
            })
    }

    fn is_disabled(
        &self,
        name: &str,
        rule_type: &str,
        enabled_at: Option<&str>,
        rule: &Json,
    ) -> bool {
        if let Some(disabled) = self.setting(name, rule_type, "disabled") {
            return disabled.eq_ignore_ascii_case("true");
        }
        match enabled_at.and_then(Environment::from_name) {
            None | Some(Environment::All) => {}
            Some(Environment::None) => return true,
            meant if meant == self.environment => {}
            Some(_) => return true,
        }
        rule.get("disabled").and_then(Json::as_bool) == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SchemaType;

    fn with_rules(version: i32, rules: &str) -> RegisteredSchema {
        RegisteredSchema {
            subject: None,
            version,
            id: 7,
            guid: None,
            schema_type: SchemaType::Avro,
            text: "\"int\"".into(),
            references: Vec::new(),
            metadata: None,
            rule_set: Some(rules.into()),
        }
    }

    fn domain(rule: &str) -> String {
        format!(r#"{{"domainRules":[{{"name":"r","type":"CEL",{rule}}}]}}"#)
    }

    /// Whether writing and reading are permitted.
    fn permitted(rules: &str, settings: &[(&str, &str)], environment: &str) -> (bool, bool) {
        let props = settings.iter().copied().collect();
        let contract = Contract::new(&props, Environment::from_name(environment));
        let schema = with_rules(1, rules);
        (
            contract.permits_writing(&schema, "s").is_ok(),
            contract.permits_reading(&schema, "s", false).is_ok(),
        )
    }

    #[test]
    fn rules_that_would_run_are_refused() {
        let cases = [
            (r#""mode":"WRITE""#, (false, true)),
            (r#""mode":"READ""#, (true, false)),
            (r#""mode":"WRITEREAD""#, (false, false)),
            (r#""mode":"UPGRADE""#, (true, true)),
            (r#""mode":"WRITEREAD","disabled":true"#, (true, true)),
            (r#""mode":"WRITEREAD","onFailure":"NONE""#, (true, true)),
            (
                r#""mode":"WRITEREAD","onFailure":"NONE,ERROR""#,
                (true, false),
            ),
            (
                r#""mode":"WRITEREAD","onFailure":"ERROR,NONE""#,
                (false, true),
            ),
        ];
        for (rule, expected) in cases {
            assert_eq!(permitted(&domain(rule), &[], ""), expected, "{rule}");
        }
        let encoding = domain(r#""mode":"WRITEREAD""#).replace("domain", "encoding");
        assert_eq!(permitted(&encoding, &[], ""), (false, false));
        assert_eq!(permitted("{}", &[], ""), (true, true));
    }

    #[test]
    fn settings_and_environments_switch_rules_off() {
        let rules = domain(r#""mode":"WRITEREAD""#);
        for key in ["r", "_CEL_", "_default_"] {
            let disabled = format!("rule.executors.{key}.disabled");
            assert_eq!(permitted(&rules, &[(&disabled, "true")], ""), (true, true));
            let on_failure = format!("rule.executors.{key}.onFailure");
            assert_eq!(
                permitted(&rules, &[(&on_failure, "NONE")], ""),
                (true, true)
            );
        }
        // The rule's own setting comes before that of all.
        let both = [
            ("rule.executors._default_.disabled", "true"),
            ("rule.executors.r.disabled", "false"),
        ];
        assert_eq!(permitted(&rules, &both, ""), (false, false));
        for (meant, here, runs) in [
            ("ALL", "CLIENT", true),
            ("CLIENT", "CLIENT", true),
            ("CLIENT", "SERVER", false),
            ("CLIENT", "", false),
            ("NONE", "CLIENT", false),
        ] {
            let rules = rules.replacen('{', &format!(r#"{{"enableAt":"{meant}","#), 1);
            assert_eq!(
                permitted(&rules, &[], here),
                (!runs, !runs),
                "{meant} {here}"
            );
        }
    }

    #[test]
    fn rules_that_migrate_belong_to_the_later_version() {
        let rules = r#"{"migrationRules":[{"name":"m","type":"JSONATA","mode":"UPGRADE"}]}"#;
        let (plain, migrating) = (with_rules(1, "{}"), with_rules(2, rules));
        let contract = Contract::default();
        let error = contract
            .permits_migrating(&plain, &[], &migrating, "s")
            .expect_err("refused");
        assert_eq!(error.message, "Rule failed: m");
        // One between the two is passed through.
        let newest = with_rules(3, "{}");
        let between = [migrating.clone()];
        assert!(
            contract
                .permits_migrating(&plain, &between, &newest, "s")
                .is_err()
        );
        assert!(
            contract
                .permits_migrating(&newest, &between, &plain, "s")
                .is_ok()
        );
        let masked = with_rules(1, &domain(r#""mode":"READ""#));
        assert!(contract.permits_reading(&masked, "s", true).is_ok());
        assert!(
            contract
                .permits_migrating(&plain, &[], &masked, "s")
                .is_err()
        );
        assert!(
            contract
                .permits_migrating(&migrating, &[], &plain, "s")
                .is_ok()
        );
        assert!(
            contract
                .permits_migrating(&migrating, &[], &migrating, "s")
                .is_ok()
        );
    }
}
