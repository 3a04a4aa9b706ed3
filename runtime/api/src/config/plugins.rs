//! What validation must know about installed plugins.

use std::sync::Arc;

use super::class_names::ClassNames;
use super::definition::ConfigDef;
use super::overrides::ClientKind;
use super::version_range::VersionRange;

/// Kinds of plugins that a connector's configuration can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PluginKind {
    /// Source connector.
    Source,
    /// Sink connector.
    Sink,
    /// Single-message transformation.
    Transformation,
    /// Predicate of a transformation.
    Predicate,
    /// Converter of keys or values.
    Converter,
    /// Converter of headers.
    HeaderConverter,
}

impl PluginKind {
    /// The simple name of Java's interface, as messages have it.
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Source | Self::Sink => "Connector",
            Self::Transformation => "Transformation",
            Self::Predicate => "Predicate",
            Self::Converter => "Converter",
            Self::HeaderConverter => "HeaderConverter",
        }
    }
}

/// A plugin, as far as configuration goes.
#[derive(Clone, Debug)]
pub struct ConfigPlugin {
    /// Its class.
    pub class: String,
    /// Its version.
    pub version: String,
    /// Its keys.
    pub definition: Arc<ConfigDef>,
}

/// Knows the installed plugins.
pub trait PluginLookup {
    /// The plugin of this kind that `name`, a class or an alias, denotes.
    fn find(&self, kind: PluginKind, name: &str) -> Option<ConfigPlugin>;

    /// All classes of this kind, sorted.
    fn classes(&self, kind: PluginKind) -> Vec<String>;

    /// The class that `name` denotes, of whatever kind of plugin. `None`: there is no such class.
    fn resolve(&self, name: &str) -> Option<String>;

    /// The keys of a Kafka client. `None` when they are not known: then its overrides are taken as they are.
    fn client_definition(&self, client: ClientKind) -> Option<Arc<ConfigDef>>;

    /// The text that lists the available connectors after "available connectors are: ".
    fn available_connectors(&self) -> String;
}

/// The outer class of nested plugins, such as `Cast` of `Cast$Key` and `Cast$Value`: it exists but is abstract. Gives the nested ones.
pub(super) fn nested_classes(
    lookup: &dyn PluginLookup,
    kind: PluginKind,
    class: &str,
) -> Vec<String> {
    let outer = format!("{class}$");
    lookup
        .classes(kind)
        .into_iter()
        .filter(|nested| nested.starts_with(&outer))
        .collect()
}

/// All classes there are, abstract ones too.
pub(super) struct InstalledClasses<'a>(pub(super) &'a dyn PluginLookup);

impl ClassNames for InstalledClasses<'_> {
    fn resolve(&self, name: &str) -> Option<String> {
        self.0.resolve(name).or_else(|| {
            let kinds = [
                PluginKind::Transformation,
                PluginKind::Predicate,
                PluginKind::Converter,
                PluginKind::HeaderConverter,
            ];
            let nests = kinds
                .iter()
                .any(|kind| !nested_classes(self.0, *kind, name).is_empty());
            nests.then(|| name.to_owned())
        })
    }
}

/// Why a version that was asked for is not there, if it is not.
///
/// # Errors
/// When the range cannot be read.
pub(super) fn version_mismatch(
    plugin: &ConfigPlugin,
    wanted: Option<&str>,
) -> Result<Option<String>, String> {
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let Some(range) = VersionRange::parse(wanted)? else {
        return Ok(None);
    };
    let ConfigPlugin { class, version, .. } = plugin;
    Ok((!range.contains(version)).then(|| format!("Plugin {class} not found that matches the version range {range}, available versions: [{version}]")))
}
