//! Which plugins there are, and by which names they go.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use millrace_api::config::{ClientKind, ConfigDef, ConfigPlugin, PluginKind, PluginLookup};
use millrace_api::plugin::{
    ConverterPlugin, HeaderConverterPlugin, PluginInfo, PredicatePlugin, SinkConnectorPlugin,
    SourceConnectorPlugin, TransformPlugin,
};

use crate::herder::{ConnectorType, HerderError, PluginEntry};

/// A connector of either kind.
#[derive(Clone)]
pub enum ConnectorPlugin {
    /// A source.
    Source(Arc<dyn SourceConnectorPlugin>),
    /// A sink.
    Sink(Arc<dyn SinkConnectorPlugin>),
}

impl ConnectorPlugin {
    /// Class and version.
    pub fn info(&self) -> &PluginInfo {
        match self {
            Self::Source(plugin) => plugin.info(),
            Self::Sink(plugin) => plugin.info(),
        }
    }

    /// Source or sink.
    pub fn kind(&self) -> ConnectorType {
        match self {
            Self::Source(_) => ConnectorType::Source,
            Self::Sink(_) => ConnectorType::Sink,
        }
    }

    /// Java class of its task.
    pub fn task_class(&self) -> &'static str {
        match self {
            Self::Source(plugin) => plugin.task_class(),
            Self::Sink(plugin) => plugin.task_class(),
        }
    }
}

impl fmt::Debug for ConnectorPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectorPlugin({})", self.info().class)
    }
}

/// All plugins of a worker. Each is registered explicitly, under its Java class name: existing connector JSON then runs as it is.
///
/// A third party builds a worker of its own by registering its plugins beside the built-in ones.
#[derive(Default, Clone)]
pub struct PluginRegistry {
    sources: BTreeMap<&'static str, Arc<dyn SourceConnectorPlugin>>,
    sinks: BTreeMap<&'static str, Arc<dyn SinkConnectorPlugin>>,
    transforms: BTreeMap<&'static str, Arc<dyn TransformPlugin>>,
    predicates: BTreeMap<&'static str, Arc<dyn PredicatePlugin>>,
    converters: BTreeMap<&'static str, Arc<dyn ConverterPlugin>>,
    header_converters: BTreeMap<&'static str, Arc<dyn HeaderConverterPlugin>>,
}

impl fmt::Debug for PluginRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.all().map(|(_, info)| info.class))
            .finish()
    }
}

impl PluginRegistry {
    /// Without any plugin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a source connector.
    pub fn source(&mut self, plugin: impl SourceConnectorPlugin + 'static) -> &mut Self {
        self.sources.insert(plugin.info().class, Arc::new(plugin));
        self
    }

    /// Registers a sink connector.
    pub fn sink(&mut self, plugin: impl SinkConnectorPlugin + 'static) -> &mut Self {
        self.sinks.insert(plugin.info().class, Arc::new(plugin));
        self
    }

    /// Registers a transform.
    pub fn transform(&mut self, plugin: Arc<dyn TransformPlugin>) -> &mut Self {
        self.transforms
            .insert(plugin.info().class, Arc::clone(&plugin));
        self
    }

    /// Registers a predicate.
    pub fn predicate(&mut self, plugin: Arc<dyn PredicatePlugin>) -> &mut Self {
        self.predicates
            .insert(plugin.info().class, Arc::clone(&plugin));
        self
    }

    /// Registers a converter of keys and values.
    pub fn converter(&mut self, plugin: Arc<dyn ConverterPlugin>) -> &mut Self {
        self.converters
            .insert(plugin.info().class, Arc::clone(&plugin));
        self
    }

    /// Registers a header converter.
    pub fn header_converter(&mut self, plugin: Arc<dyn HeaderConverterPlugin>) -> &mut Self {
        self.header_converters
            .insert(plugin.info().class, Arc::clone(&plugin));
        self
    }

    /// The connector that `name` denotes: its class, simple name, or that without `Connector`. 400 when there is none, 500 when there are several.
    pub fn connector(&self, name: &str) -> Result<ConnectorPlugin, HerderError> {
        let mut found: Vec<ConnectorPlugin> = Vec::new();
        for plugin in self.connectors() {
            if plugin.info().class == name {
                return Ok(plugin);
            }
            if is_named(plugin.info().class, "Connector", name) {
                found.push(plugin);
            }
        }
        match found.len() {
            1 => Ok(found.swap_remove(0)),
            0 => Err(HerderError::bad_request(format!(
                "Failed to find any class that implements Connector and which name matches {name}, available connectors are: {}",
                self.available_connectors()
            ))),
            _ => {
                let classes: Vec<_> = found
                    .iter()
                    .map(|p| description(p.info(), p.kind()))
                    .collect();
                Err(HerderError::internal(format!(
                    "More than one connector matches alias {name}. Please use full package and class name instead. Classes found: {}",
                    classes.join(", ")
                )))
            }
        }
    }

    /// The transform that `name` denotes.
    pub fn find_transform(&self, name: &str) -> Option<&Arc<dyn TransformPlugin>> {
        self.transforms
            .get(self.class_of(PluginKind::Transformation, name)?)
    }

    /// The predicate that `name` denotes.
    pub fn find_predicate(&self, name: &str) -> Option<&Arc<dyn PredicatePlugin>> {
        self.predicates
            .get(self.class_of(PluginKind::Predicate, name)?)
    }

    /// The converter that `name` denotes.
    pub fn find_converter(&self, name: &str) -> Option<&Arc<dyn ConverterPlugin>> {
        self.converters
            .get(self.class_of(PluginKind::Converter, name)?)
    }

    /// The header converter that `name` denotes.
    pub fn find_header_converter(&self, name: &str) -> Option<&Arc<dyn HeaderConverterPlugin>> {
        self.header_converters
            .get(self.class_of(PluginKind::HeaderConverter, name)?)
    }

    /// All plugins as REST lists them: sinks, sources, transformations, predicates, converters, header converters, each by class name.
    pub fn entries(&self, connectors_only: bool) -> Vec<PluginEntry> {
        self.all()
            .filter(|(kind, _)| {
                !connectors_only || matches!(kind, PluginKind::Sink | PluginKind::Source)
            })
            .map(|(kind, info)| PluginEntry {
                class: info.class.to_owned(),
                kind: kind_name(kind),
                version: Some(info.version.to_owned()),
            })
            .collect()
    }

    /// The plugin that `name` denotes and its keys.
    pub fn definition(&self, name: &str) -> Option<(PluginKind, ConfigPlugin)> {
        let kinds = [
            PluginKind::Sink,
            PluginKind::Source,
            PluginKind::Transformation,
            PluginKind::Predicate,
            PluginKind::Converter,
            PluginKind::HeaderConverter,
        ];
        kinds
            .into_iter()
            .find_map(|kind| Some((kind, self.find(kind, name)?)))
    }

    fn connectors(&self) -> impl Iterator<Item = ConnectorPlugin> {
        let sources = self.sources.values().cloned().map(ConnectorPlugin::Source);
        sources.chain(self.sinks.values().cloned().map(ConnectorPlugin::Sink))
    }

    fn all(&self) -> impl Iterator<Item = (PluginKind, &PluginInfo)> {
        let sinks = self.sinks.values().map(|p| (PluginKind::Sink, p.info()));
        sinks
            .chain(
                self.sources
                    .values()
                    .map(|p| (PluginKind::Source, p.info())),
            )
            .chain(
                self.transforms
                    .values()
                    .map(|p| (PluginKind::Transformation, p.info())),
            )
            .chain(
                self.predicates
                    .values()
                    .map(|p| (PluginKind::Predicate, p.info())),
            )
            .chain(
                self.converters
                    .values()
                    .map(|p| (PluginKind::Converter, p.info())),
            )
            .chain(
                self.header_converters
                    .values()
                    .map(|p| (PluginKind::HeaderConverter, p.info())),
            )
    }

    /// The class of `kind` that `name` denotes: the class itself, or an alias that denotes no other class of any kind.
    fn class_of(&self, kind: PluginKind, name: &str) -> Option<&'static str> {
        let class = self.resolve_class(name)?;
        self.all()
            .any(|(k, info)| k == kind && info.class == class)
            .then_some(class)
    }

    fn resolve_class(&self, name: &str) -> Option<&'static str> {
        if let Some((_, info)) = self.all().find(|(_, info)| info.class == name) {
            return Some(info.class);
        }
        let mut classes = self
            .all()
            .filter(|(kind, info)| is_named(info.class, suffix(*kind), name))
            .map(|(_, info)| info.class);
        let first = classes.next()?;
        classes.all(|other| other == first).then_some(first)
    }
}

impl PluginLookup for PluginRegistry {
    fn find(&self, kind: PluginKind, name: &str) -> Option<ConfigPlugin> {
        let plugin = |info: &PluginInfo, definition: Arc<ConfigDef>| ConfigPlugin {
            class: info.class.to_owned(),
            version: info.version.to_owned(),
            definition,
        };
        match kind {
            PluginKind::Source | PluginKind::Sink => match (kind, self.connector(name).ok()?) {
                (PluginKind::Source, ConnectorPlugin::Source(p)) => {
                    Some(plugin(p.info(), p.config()))
                }
                (PluginKind::Sink, ConnectorPlugin::Sink(p)) => Some(plugin(p.info(), p.config())),
                _ => None,
            },
            PluginKind::Transformation => self
                .find_transform(name)
                .map(|p| plugin(p.info(), p.config())),
            PluginKind::Predicate => self
                .find_predicate(name)
                .map(|p| plugin(p.info(), p.config())),
            PluginKind::Converter => self
                .find_converter(name)
                .map(|p| plugin(p.info(), p.config())),
            PluginKind::HeaderConverter => self
                .find_header_converter(name)
                .map(|p| plugin(p.info(), p.config())),
        }
    }

    fn classes(&self, kind: PluginKind) -> Vec<String> {
        self.all()
            .filter(|(k, _)| *k == kind)
            .map(|(_, info)| info.class.to_owned())
            .collect()
    }

    fn resolve(&self, name: &str) -> Option<String> {
        self.resolve_class(name).map(str::to_owned)
    }

    fn client_definition(&self, _client: ClientKind) -> Option<Arc<ConfigDef>> {
        // What a client takes is the log's business, which refuses what it cannot obey when the client is made.
        None
    }

    fn available_connectors(&self) -> String {
        let all: Vec<_> = self
            .connectors()
            .map(|p| description(p.info(), p.kind()))
            .collect();
        all.join(", ")
    }
}

/// Java's description of a plugin in messages.
fn description(info: &PluginInfo, kind: ConnectorType) -> String {
    let PluginInfo { class, version } = info;
    let kind = kind.name();
    format!(
        "PluginDesc{{klass=class {class}, name='{class}', version='{version}', encodedVersion={version}, type={kind}, typeName='{kind}', location='classpath'}}"
    )
}

fn kind_name(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Sink => "sink",
        PluginKind::Source => "source",
        PluginKind::Transformation => "transformation",
        PluginKind::Predicate => "predicate",
        PluginKind::Converter => "converter",
        PluginKind::HeaderConverter => "header_converter",
    }
}

/// What is cut off the simple name for the short alias.
fn suffix(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Sink | PluginKind::Source => "Connector",
        PluginKind::Transformation => "Transformation",
        PluginKind::Predicate => "Predicate",
        PluginKind::Converter => "Converter",
        PluginKind::HeaderConverter => "HeaderConverter",
    }
}

/// Whether `name` is the simple name of `class`, or that cut at the last `suffix` behind its first letter. Of a nested class the simple name is what follows `$`.
fn is_named(class: &str, suffix: &str, name: &str) -> bool {
    let simple = class.rsplit(['.', '$']).next().unwrap_or(class);
    simple == name
        || simple
            .rfind(suffix)
            .filter(|&at| at > 0)
            .is_some_and(|at| &simple[..at] == name)
}

#[cfg(test)]
mod tests {
    use millrace_api::config::Props;
    use millrace_api::plugin::{TaskError, Transform};

    use super::*;

    struct Named(PluginInfo);

    impl TransformPlugin for Named {
        fn info(&self) -> &PluginInfo {
            &self.0
        }
        fn config(&self) -> Arc<ConfigDef> {
            Arc::new(ConfigDef::new())
        }
        fn create(&self, _props: &Props) -> Result<Box<dyn Transform>, TaskError> {
            Err(TaskError::config("test", "never made"))
        }
    }

    fn registry(classes: &[&'static str]) -> PluginRegistry {
        let mut registry = PluginRegistry::new();
        for class in classes {
            registry.transform(Arc::new(Named(PluginInfo {
                class,
                version: "1",
            })));
        }
        registry
    }

    #[test]
    fn aliases_that_two_classes_share_denote_neither() {
        let registry = registry(&[
            "a.Cast$Key",
            "a.Cast$Value",
            "a.Flatten$Key",
            "a.RegexRouter",
            "b.SpecialTransformation",
        ]);
        let find = |name| registry.find_transform(name).map(|p| p.info().class);
        assert_eq!(find("a.Cast$Key"), Some("a.Cast$Key"));
        assert_eq!(find("Key"), None);
        assert_eq!(find("Value"), Some("a.Cast$Value"), "only one class has it");
        assert_eq!(find("RegexRouter"), Some("a.RegexRouter"));
        assert_eq!(find("Special"), Some("b.SpecialTransformation"));
        assert_eq!(find("Cast"), None);
        assert_eq!(find(" RegexRouter"), None);
        assert!(
            registry.find_predicate("RegexRouter").is_none(),
            "of another kind"
        );
        assert_eq!(
            registry.connector("Nothing").expect_err("unknown").status,
            400
        );
    }

    #[test]
    fn short_names_are_cut_at_the_last_suffix() {
        assert!(is_named(
            "o.a.FileStreamSourceConnector",
            "Connector",
            "FileStreamSource"
        ));
        assert!(is_named(
            "o.a.FileStreamSourceConnector",
            "Connector",
            "FileStreamSourceConnector"
        ));
        assert!(!is_named("o.a.Connector", "Connector", ""));
        assert!(is_named("o.a.JsonConverter", "Converter", "Json"));
    }
}
