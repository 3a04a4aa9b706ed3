//! The validation of connectors against what Kafka Connect 4.3.1 answered.
//!
//! The framework's keys, messages, orders and counts are ours; the keys of plugins that are not built here (transformations, client settings) are taken from the
//! recorded answer, so that what the framework makes of them can be compared.

use std::sync::Arc;

use millrace_api::config::connector::{
    PluginDefaults, WorkerDefaults, sink_connector_def, source_connector_def,
};
use millrace_api::config::{
    ClientKind, ConfigDef, ConfigInfos, ConfigKey, ConfigKeyInfo, ConfigPlugin, ConfigType,
    ConnectorAnswers, ExactlyOnceAnswer, Importance, LetterCase, OverridePolicy, PluginKind,
    PluginLookup, RawProps, TransactionBoundaryAnswer, ValidationFailure, Validator, Width,
    plugin_key_infos, validate_connector,
};
use serde_json::Value;

const SOURCE: &str = "org.apache.kafka.connect.file.FileStreamSourceConnector";
const SINK: &str = "org.apache.kafka.connect.file.FileStreamSinkConnector";
const VERSION: &str = "4.3.1";

fn source_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            ConfigKey::new("file", ConfigType::String, Importance::High)
                .default_null()
                .doc("File"),
        )
        .define(
            ConfigKey::new("topic", ConfigType::String, Importance::High)
                .validate(Validator::non_empty())
                .doc("Topic"),
        )
        .define(
            ConfigKey::new("batch.size", ConfigType::Int, Importance::Low)
                .default_value("2000")
                .doc("Batch"),
        )
}

fn sink_def() -> ConfigDef {
    ConfigDef::new().define(
        ConfigKey::new("file", ConfigType::String, Importance::High)
            .default_null()
            .doc("File"),
    )
}

fn json_converter_def() -> ConfigDef {
    let key = |name, kind, importance, group, order, label: &str| {
        ConfigKey::new(name, kind, importance)
            .group(group, order)
            .width(Width::Medium)
            .display(label)
            .doc("Documentation")
    };
    ConfigDef::new()
        .define(ConfigKey::new("converter.type", ConfigType::String, Importance::Low).doc("Type"))
        .define(
            key(
                "schemas.enable",
                ConfigType::Boolean,
                Importance::High,
                "Schemas",
                0,
                "Enable Schemas",
            )
            .default_value("true"),
        )
        .define(
            key(
                "schemas.cache.size",
                ConfigType::Int,
                Importance::High,
                "Schemas",
                1,
                "Schema Cache Size",
            )
            .default_value("1000"),
        )
        .define(
            key(
                "schema.content",
                ConfigType::String,
                Importance::High,
                "Schemas",
                2,
                "Schema Content",
            )
            .default_null(),
        )
        .define(
            key(
                "decimal.format",
                ConfigType::String,
                Importance::Low,
                "Serialization",
                0,
                "Decimal Format",
            )
            .default_value("BASE64")
            .validate(Validator::one_of(
                ["NUMERIC", "BASE64"],
                LetterCase::Insensitive,
            )),
        )
        .define(
            key(
                "replace.null.with.default",
                ConfigType::Boolean,
                Importance::Low,
                "Serialization",
                1,
                "Replace null with default",
            )
            .default_value("true"),
        )
}

fn string_converter_def() -> ConfigDef {
    ConfigDef::new()
        .define(ConfigKey::new("converter.type", ConfigType::String, Importance::Low).doc("Type"))
        .define(
            ConfigKey::new("converter.encoding", ConfigType::String, Importance::High)
                .default_value("UTF-8")
                .width(Width::Medium)
                .display("Encoding")
                .doc("Encoding"),
        )
}

/// Kafka's own plugins; transformations and client settings as the recorded answer has them.
struct Installed {
    recorded: Vec<ConfigKeyInfo>,
}

const TRANSFORMATIONS: &[&str] = &[
    "Cast$Key",
    "Cast$Value",
    "DropHeaders",
    "ExtractField$Key",
    "ExtractField$Value",
    "Filter",
    "Flatten$Key",
    "Flatten$Value",
    "HeaderFrom$Key",
    "HeaderFrom$Value",
    "HoistField$Key",
    "HoistField$Value",
    "InsertField$Key",
    "InsertField$Value",
    "InsertHeader",
    "MaskField$Key",
    "MaskField$Value",
    "RegexRouter",
    "ReplaceField$Key",
    "ReplaceField$Value",
    "SetSchemaMetadata$Key",
    "SetSchemaMetadata$Value",
    "TimestampConverter$Key",
    "TimestampConverter$Value",
    "TimestampRouter",
    "ValueToKey",
];

impl Installed {
    /// The recorded keys under `prefix`, in the order of their names.
    fn recorded_def(&self, prefix: &str, without: &[&str]) -> ConfigDef {
        let mut keys: Vec<_> = self
            .recorded
            .iter()
            .filter_map(|info| Some((info.name.strip_prefix(prefix)?, info)))
            .collect();
        keys.retain(|(name, _)| !without.contains(name));
        keys.sort_by_key(|(name, _)| *name);
        keys.into_iter()
            .fold(ConfigDef::new(), |definition, (name, info)| {
                definition.define(recorded_key(name, info))
            })
    }
}

fn recorded_key(name: &str, info: &ConfigKeyInfo) -> ConfigKey {
    let kinds = [
        ConfigType::Boolean,
        ConfigType::String,
        ConfigType::Int,
        ConfigType::Short,
        ConfigType::Long,
        ConfigType::Double,
        ConfigType::List,
        ConfigType::Class,
        ConfigType::Password,
    ];
    let kind = kinds
        .into_iter()
        .find(|kind| kind.name() == info.kind)
        .expect("a known type");
    let importances = [Importance::High, Importance::Medium, Importance::Low];
    let importance = importances
        .into_iter()
        .find(|importance| importance.name() == info.importance)
        .expect("a known importance");
    let key = ConfigKey::new(name, kind, importance).doc("Documentation");
    match &info.default_value {
        Some(default) => key.default_value(default),
        None if info.required => key,
        None => key.default_null(),
    }
}

fn simple_name(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

impl PluginLookup for Installed {
    fn find(&self, kind: PluginKind, name: &str) -> Option<ConfigPlugin> {
        let named = |class: &&String| {
            let simple = simple_name(class);
            class.as_str() == name
                || simple == name
                || simple.strip_suffix(kind.interface()) == Some(name)
        };
        let class = self.classes(kind).iter().find(named)?.clone();
        let definition = match kind {
            PluginKind::Source => source_def(),
            PluginKind::Sink => sink_def(),
            PluginKind::Transformation => self.recorded_def(
                "transforms.x.",
                &["type", "plugin.version", "predicate", "negate"],
            ),
            PluginKind::Predicate => {
                self.recorded_def("predicates.p.", &["type", "plugin.version"])
            }
            PluginKind::Converter | PluginKind::HeaderConverter
                if class.ends_with("JsonConverter") =>
            {
                json_converter_def()
            }
            PluginKind::Converter | PluginKind::HeaderConverter => string_converter_def(),
        };
        Some(ConfigPlugin {
            class,
            version: VERSION.to_owned(),
            definition: Arc::new(definition),
        })
    }

    fn classes(&self, kind: PluginKind) -> Vec<String> {
        let under = |package: &str, names: &[&str]| {
            names
                .iter()
                .map(|name| format!("org.apache.kafka.connect.{package}{name}"))
                .collect::<Vec<_>>()
        };
        let mut converters = under(
            "converters.",
            &[
                "Boolean",
                "ByteArray",
                "Double",
                "Float",
                "Integer",
                "Long",
                "Short",
            ],
        );
        converters
            .iter_mut()
            .for_each(|class| class.push_str("Converter"));
        converters.extend(under(
            "",
            &["json.JsonConverter", "storage.StringConverter"],
        ));
        match kind {
            PluginKind::Source => vec![SOURCE.to_owned()],
            PluginKind::Sink => vec![SINK.to_owned()],
            PluginKind::Transformation => under("transforms.", TRANSFORMATIONS),
            PluginKind::Predicate => under(
                "transforms.predicates.",
                &["HasHeaderKey", "RecordIsTombstone", "TopicNameMatches"],
            ),
            PluginKind::Converter => converters,
            PluginKind::HeaderConverter => {
                converters.insert(
                    8,
                    "org.apache.kafka.connect.storage.SimpleHeaderConverter".to_owned(),
                );
                converters
            }
        }
    }

    fn resolve(&self, name: &str) -> Option<String> {
        let kinds = [
            PluginKind::Source,
            PluginKind::Sink,
            PluginKind::Transformation,
            PluginKind::Predicate,
            PluginKind::Converter,
            PluginKind::HeaderConverter,
        ];
        kinds
            .into_iter()
            .find_map(|kind| self.find(kind, name))
            .map(|plugin| plugin.class)
    }

    fn client_definition(&self, client: ClientKind) -> Option<Arc<ConfigDef>> {
        Some(Arc::new(self.recorded_def(client.prefix(), &[])))
    }

    fn available_connectors(&self) -> String {
        "PluginDesc{...}".to_owned()
    }
}

fn nothing_recorded() -> Installed {
    Installed {
        recorded: Vec::new(),
    }
}

fn worker(kind: &str) -> WorkerDefaults {
    let json = Some("org.apache.kafka.connect.json.JsonConverter".to_owned());
    WorkerDefaults {
        key_converter: json.clone(),
        value_converter: json,
        header_converter: Some("org.apache.kafka.connect.storage.SimpleHeaderConverter".to_owned()),
        group_id: (kind != "standalone").then(|| "${GROUP}".to_owned()),
        exactly_once_enabled: kind == "exactly-once",
        override_policy: OverridePolicy::All,
    }
}

fn validate(
    kind: &str,
    raw: &RawProps,
    installed: &Installed,
) -> Result<ConfigInfos, ValidationFailure> {
    let is_sink = raw
        .get("connector.class")
        .cloned()
        .flatten()
        .is_some_and(|class| class.contains("Sink"));
    let definition = if is_sink { sink_def() } else { source_def() };
    let file = raw.get("file").cloned().flatten().is_some();
    let answers = ConnectorAnswers {
        values: definition.validate(raw),
        exactly_once: if file {
            ExactlyOnceAnswer::Supported
        } else {
            ExactlyOnceAnswer::Unsupported
        },
        transaction_boundaries: TransactionBoundaryAnswer::Unsupported,
    };
    validate_connector(raw, installed, &worker(kind), answers)
}

fn raw(submitted: &Value) -> RawProps {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    submitted
        .as_object()
        .expect("an object")
        .iter()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

/// The answer as the recording has it: documentation masked, and only the keys that it keeps.
fn comparable(infos: &ConfigInfos, picked: &Value, kept: &[&str]) -> Value {
    let mut answer = serde_json::to_value(infos).expect("json");
    let configs = answer["configs"].as_array_mut().expect("an array");
    if !picked.is_null() {
        configs.retain(|config| kept.contains(&config["value"]["name"].as_str().expect("a name")));
    }
    for config in configs {
        let name = config["value"]["name"].to_string();
        if let Some(documentation) = config["definition"].get_mut("documentation") {
            assert_ne!(documentation, "", "{name} is not documented");
            *documentation = "${DOC}".into();
        }
    }
    answer
}

#[test]
fn answers_are_those_of_kafka_connect() {
    let mut compared = 0;
    for line in include_str!("data/connect-validate.jsonl").lines() {
        // A plugin of two kinds counts twice there.
        let case: Value =
            serde_json::from_str(&line.replace("versions: [4.3.1, 4.3.1]", "versions: [4.3.1]"))
                .expect("json");
        let name = format!("{}: {}", case["scenario"], case["step"]);
        let expected = &case["answer"];
        let recorded: Vec<ConfigKeyInfo> = expected["configs"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|config| !config["definition"].is_null())
            .map(|config| {
                serde_json::from_value(config["definition"].clone()).expect("a definition")
            })
            .collect();
        match validate(
            case["worker"].as_str().expect("a worker"),
            &raw(&case["submitted"]),
            &Installed { recorded },
        ) {
            Ok(infos) => {
                assert_eq!(case["status"], 200, "{name}");
                let kept: Vec<&str> = expected["configs"]
                    .as_array()
                    .expect("configs")
                    .iter()
                    .filter_map(|config| config["value"]["name"].as_str())
                    .collect();
                let found = comparable(&infos, &case["pick"], &kept);
                for (found, expected) in found["configs"]
                    .as_array()
                    .expect("configs")
                    .iter()
                    .zip(expected["configs"].as_array().expect("configs"))
                {
                    assert_eq!(found, expected, "{name}");
                }
                // Text: the order of members counts too.
                assert_eq!(found.to_string(), expected.to_string(), "{name}");
            }
            Err(failure) => {
                assert_eq!(case["status"], 500, "{name}");
                assert_eq!(
                    format!("{}: {failure}", failure.exception()),
                    expected["message"].as_str().expect("a message"),
                    "{name}"
                );
            }
        }
        compared += 1;
    }
    assert_eq!(compared, 89);
}

#[test]
fn plugin_definitions_are_those_of_kafka_connect() {
    let defaults = PluginDefaults::of_worker(&WorkerDefaults::default(), Some(VERSION));
    let mut compared = 0;
    for line in include_str!("data/connect-plugin-config.jsonl").lines() {
        let case: Value = serde_json::from_str(line).expect("json");
        let infos = match case["step"].as_str().expect("a name") {
            "config of FileStreamSource" => {
                plugin_key_infos(&source_def(), Some(&source_connector_def(&defaults)))
            }
            "config of FileStreamSinkConnector" => {
                plugin_key_infos(&sink_def(), Some(&sink_connector_def(&defaults)))
            }
            other => panic!("unexpected step {other}"),
        };
        let infos: Vec<_> = infos
            .into_iter()
            .map(|info| ConfigKeyInfo {
                documentation: "${DOC}".to_owned(),
                ..info
            })
            .collect();
        assert_eq!(
            serde_json::to_string(&infos).expect("json"),
            case["answer"].to_string(),
            "{}",
            case["step"]
        );
        compared += 1;
    }
    assert_eq!(compared, 2);
}

fn errors(kind: &str, props: &[(&str, Option<&str>)]) -> (usize, Vec<(String, String)>) {
    let raw: RawProps = props
        .iter()
        .map(|(key, text)| ((*key).to_owned(), text.map(str::to_owned)))
        .collect();
    let infos = validate(kind, &raw, &nothing_recorded()).expect("validated");
    (
        infos.error_count,
        infos
            .errors()
            .map(|(key, message)| (key.to_owned(), message.to_owned()))
            .collect(),
    )
}

/// A valid source with more keys; all errors must be these.
fn assert_source_errors(more: &[(&str, Option<&str>)], count: usize, expected: &[(&str, &str)]) {
    let mut props = vec![
        ("name", Some("v")),
        ("connector.class", Some("FileStreamSource")),
        ("topic", Some("t")),
    ];
    props.extend_from_slice(more);
    let (found_count, found) = errors("distributed", &props);
    assert_eq!(
        found
            .iter()
            .map(|(key, message)| (key.as_str(), message.as_str()))
            .collect::<Vec<_>>(),
        expected,
        "{more:?}"
    );
    assert_eq!(found_count, count, "{more:?}");
}

#[test]
fn a_number_that_does_not_parse_is_also_checked_as_null() {
    assert_source_errors(
        &[("tasks.max", Some("abc"))],
        2,
        &[
            (
                "tasks.max",
                "Invalid value abc for configuration tasks.max: Not a number of type INT",
            ),
            (
                "tasks.max",
                "Invalid value null for configuration tasks.max: Value must be non-null",
            ),
        ],
    );
    assert_source_errors(
        &[("tasks.max", Some("0"))],
        1,
        &[(
            "tasks.max",
            "Invalid value 0 for configuration tasks.max: Value must be at least 1",
        )],
    );
    assert_source_errors(
        &[("tasks.max", None)],
        2,
        &[
            (
                "tasks.max",
                "Invalid value null for configuration tasks.max: Value must be non-null",
            ),
            (
                "tasks.max",
                "Null value can not be supplied as the configuration value.",
            ),
        ],
    );
}

#[test]
fn names_and_enumerations_are_checked() {
    let enumeration = "Invalid value sometimes for configuration exactly.once.support: String must be one of (case insensitive): ";
    let (_, found) = errors(
        "distributed",
        &[
            ("name", Some("a\u{1}b")),
            ("connector.class", Some("FileStreamSource")),
            ("topic", Some("t")),
            ("exactly.once.support", Some("sometimes")),
            ("config.action.reload", Some("RESTART")),
        ],
    );
    assert_eq!(
        found[0].1,
        "Invalid value a\u{1}b for configuration name: String may not contain control sequences but had the following ASCII chars: 1"
    );
    assert_eq!(
        found[1].1,
        "Invalid value RESTART for configuration config.action.reload: String must be one of: none, restart"
    );
    assert!(found[2].1.starts_with(enumeration), "{}", found[2].1);
    let (_, found) = errors(
        "distributed",
        &[
            ("name", Some(" ")),
            ("connector.class", Some("FileStreamSource")),
            ("topic", Some("t")),
        ],
    );
    assert_eq!(
        found[0].1,
        "Invalid value  for configuration name: String may not be empty"
    );
}

#[test]
fn transforms_are_checked() {
    let router = Some("org.apache.kafka.connect.transforms.RegexRouter");
    assert_source_errors(
        &[("transforms", Some("a,a")), ("transforms.a.type", router)],
        1,
        &[(
            "transforms",
            "Invalid value [a, a] for configuration transforms: Duplicate alias provided.",
        )],
    );
    assert_source_errors(
        &[("transforms", Some("a"))],
        1,
        &[(
            "transforms.a.type",
            "Missing required configuration \"transforms.a.type\" which has no default value.",
        )],
    );
    assert_source_errors(
        &[
            ("transforms", Some("a")),
            ("transforms.a.type", Some("Nope")),
        ],
        1,
        &[(
            "transforms.a.type",
            "Invalid value Nope for configuration transforms.a.type: Class Nope could not be found.",
        )],
    );
    assert_source_errors(
        &[
            ("transforms", Some("a")),
            ("transforms.a.type", Some("JsonConverter")),
        ],
        1,
        &[(
            "transforms.a.type",
            "Class class org.apache.kafka.connect.json.JsonConverter does not implement the Transformation interface",
        )],
    );
    assert_source_errors(
        &[
            ("transforms", Some("a")),
            (
                "transforms.a.type",
                Some("org.apache.kafka.connect.transforms.Cast"),
            ),
        ],
        1,
        &[(
            "transforms.a.type",
            "This class is abstract and cannot be created. Did you mean org.apache.kafka.connect.transforms.Cast$Key, org.apache.kafka.connect.transforms.Cast$Value?",
        )],
    );
    assert_source_errors(
        &[
            ("transforms", Some("a")),
            ("transforms.a.type", router),
            ("transforms.a.negate", Some("false")),
        ],
        1,
        &[(
            "transforms.a.type",
            "Config 'transforms.a.negate' was provided but there is no config 'transforms.a.predicate' defining a predicate to be negated.",
        )],
    );
    assert_source_errors(
        &[("predicates", Some("p")), ("predicates.p.type", router)],
        1,
        &[(
            "predicates.p.type",
            "Class class org.apache.kafka.connect.transforms.RegexRouter does not implement the Predicate interface",
        )],
    );
}

#[test]
fn aliases_group_their_keys() {
    let raw = raw(&serde_json::json!({
        "name": "v", "connector.class": "FileStreamSource", "topic": "t", "transforms": "one, two", "transforms.one.type": "RegexRouter",
        "transforms.two.type": "Filter", "transforms.two.predicate": "p", "predicates": "p", "predicates.p.type": "RecordIsTombstone",
    }));
    let infos = validate("distributed", &raw, &nothing_recorded()).expect("validated");
    assert_eq!(infos.error_count, 0);
    assert_eq!(
        infos.groups[7..],
        ["Transforms: one", "Transforms: two", "Predicates: p"]
    );
    let class = infos
        .configs
        .iter()
        .find_map(|config| {
            config
                .value
                .clone()
                .filter(|value| value.name == "transforms.one.type")
        })
        .expect("there");
    assert_eq!(
        class.value.as_deref(),
        Some("org.apache.kafka.connect.transforms.RegexRouter"),
        "the full name, though an alias was given"
    );
}

#[test]
fn versions_are_matched() {
    let mismatch = "Plugin org.apache.kafka.connect.file.FileStreamSourceConnector not found that matches the version range [1.0,2.0), available versions: [4.3.1]";
    assert_source_errors(
        &[("connector.plugin.version", Some("[1.0,2.0)"))],
        2,
        &[
            ("connector.class", mismatch),
            ("connector.plugin.version", mismatch),
        ],
    );
    assert_source_errors(&[("connector.plugin.version", Some("[4.0,)"))], 0, &[]);
    let raw = raw(
        &serde_json::json!({"name": "v", "connector.class": "FileStreamSource", "topic": "t", "connector.plugin.version": "[1.0"}),
    );
    let failure = validate("distributed", &raw, &nothing_recorded()).expect_err("unreadable");
    assert_eq!(
        format!("{}: {failure}", failure.exception()),
        "org.apache.kafka.connect.runtime.rest.errors.BadRequestException: Unbounded range: [1.0"
    );
}

#[test]
fn client_overrides_are_parsed_and_follow_the_policy() {
    let info = |name: &str, kind: &str| ConfigKeyInfo {
        name: name.to_owned(),
        kind: kind.to_owned(),
        required: false,
        default_value: Some("0".to_owned()),
        importance: "MEDIUM".to_owned(),
        documentation: "Documentation".to_owned(),
        group: None,
        order_in_group: -1,
        width: "NONE".to_owned(),
        display_name: name.to_owned(),
        dependents: Vec::new(),
    };
    let installed = Installed {
        recorded: vec![info("producer.override.linger.ms", "LONG")],
    };
    let mut raw = raw(&serde_json::json!({
        "name": "v", "connector.class": "FileStreamSource", "topic": "t", "producer.override.linger.ms": "x", "consumer.override.fetch.min.bytes": "y",
    }));
    let failure = validate("distributed", &raw, &installed).expect_err("does not parse");
    assert_eq!(
        format!("{}: {failure}", failure.exception()),
        "org.apache.kafka.common.config.ConfigException: Invalid value x for configuration linger.ms: Not a number of type LONG"
    );
    raw.insert(
        "producer.override.linger.ms".to_owned(),
        Some("5".to_owned()),
    );
    raw.insert("producer.override.acks".to_owned(), None);
    let worker = WorkerDefaults {
        override_policy: OverridePolicy::None,
        ..worker("distributed")
    };
    let answers = ConnectorAnswers {
        values: source_def().validate(&raw),
        ..ConnectorAnswers::default()
    };
    let infos = validate_connector(&raw, &installed, &worker, answers).expect("validated");
    let errors: Vec<_> = infos.errors().collect();
    let refused = |key: &str| {
        format!(
            "The 'None' policy does not allow '{key}' to be overridden in the connector configuration."
        )
    };
    let expected = [
        (
            "producer.override.acks",
            "Null value can not be supplied as the configuration value.".to_owned(),
        ),
        ("producer.override.linger.ms", refused("linger.ms")),
        ("producer.override.acks", refused("acks")),
    ];
    let mut sorted: Vec<_> = expected
        .iter()
        .map(|(key, message)| (*key, message.as_str()))
        .collect();
    sorted[1..].sort_unstable();
    let mut found = errors.clone();
    found[1..].sort_unstable();
    assert_eq!(found, sorted, "the consumer's are not looked at");
    assert_eq!(infos.error_count, 3);
}

#[test]
fn exactly_once_needs_worker_and_connector() {
    assert_source_errors(
        &[("exactly.once.support", Some("required"))],
        1,
        &[(
            "exactly.once.support",
            "This worker does not have exactly-once source support enabled.",
        )],
    );
}
