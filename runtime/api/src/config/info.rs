//! The JSON of definitions and validations.

use serde::{Deserialize, Serialize};

use super::class_names::AnyClass;
use super::definition::ConfigDef;
use super::dialect::Dialect;
use super::evaluate::ConfigValue;
use super::key::{ConfigKey, ConfigType, DefaultValue};
use super::parse::{ParsedValue, parse};
use super::secret::HIDDEN;

/// The definition of a key: an element of `/connector-plugins/<plugin>/config`, and `definition` in a validation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigKeyInfo {
    /// The key.
    pub name: String,
    /// Name of its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it has no default.
    pub required: bool,
    /// The default as it would be shown as a value.
    pub default_value: Option<String>,
    /// `HIGH`, `MEDIUM` or `LOW`.
    pub importance: String,
    /// What it does.
    pub documentation: String,
    /// Heading.
    pub group: Option<String>,
    /// Place under the heading; -1 without one.
    pub order_in_group: i32,
    /// `NONE`, `SHORT`, `MEDIUM` or `LONG`.
    pub width: String,
    /// Label.
    pub display_name: String,
    /// Keys to look at again when this one changes.
    pub dependents: Vec<String>,
}

/// The value of a key in a validation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigValueInfo {
    /// The key.
    pub name: String,
    /// The value as text; passwords are `[hidden]`.
    pub value: Option<String>,
    /// Values to offer.
    pub recommended_values: Vec<String>,
    /// What is wrong.
    pub errors: Vec<String>,
    /// Whether a form should show the key.
    pub visible: bool,
}

/// A key in a validation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigInfo {
    /// `None` for a key that nothing defines but that has a value or errors.
    pub definition: Option<ConfigKeyInfo>,
    /// Its value.
    pub value: Option<ConfigValueInfo>,
}

/// The answer to a validation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigInfos {
    /// `connector.class` as submitted.
    pub name: String,
    /// How many errors there are; see [`validate_connector`](super::validate_connector()) for how they are counted.
    pub error_count: usize,
    /// Headings in order.
    pub groups: Vec<String>,
    /// The keys.
    pub configs: Vec<ConfigInfo>,
}

impl ConfigInfos {
    /// Every error with its key.
    pub fn errors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.configs
            .iter()
            .filter_map(|config| config.value.as_ref())
            .flat_map(|value| {
                value
                    .errors
                    .iter()
                    .map(|error| (value.name.as_str(), error.as_str()))
            })
    }
}

impl ConfigDef {
    /// The JSON of every published key.
    pub fn key_infos(&self) -> Vec<ConfigKeyInfo> {
        let orders = self.orders();
        self.published()
            .map(|key| {
                key_info(
                    key,
                    orders.get(key.name.as_str()).copied().unwrap_or(-1),
                    self.dialect(),
                )
            })
            .collect()
    }
}

/// The keys that `/connector-plugins/<plugin>/config` lists: the plugin's own, then the framework's that it does not redefine.
pub fn plugin_key_infos(own: &ConfigDef, framework: Option<&ConfigDef>) -> Vec<ConfigKeyInfo> {
    let mut infos = own.key_infos();
    if let Some(framework) = framework {
        infos.extend(
            framework
                .key_infos()
                .into_iter()
                .filter(|info| own.get(&info.name).is_none_or(|key| key.hidden)),
        );
    }
    infos
}

fn key_info(key: &ConfigKey, order_in_group: i32, dialect: Dialect) -> ConfigKeyInfo {
    ConfigKeyInfo {
        name: key.name.clone(),
        kind: key.kind.name().to_owned(),
        required: key.default == DefaultValue::Required && dialect == Dialect::Connect,
        default_value: default_text(key),
        importance: key.importance.name().to_owned(),
        documentation: key.documentation.clone(),
        group: key.group.clone(),
        order_in_group,
        width: key.width.name().to_owned(),
        display_name: key.label().to_owned(),
        dependents: key.dependents.clone(),
    }
}

/// The default as a value would be shown.
pub(super) fn default_text(key: &ConfigKey) -> Option<String> {
    match &key.default {
        DefaultValue::Required | DefaultValue::Null => None,
        DefaultValue::Text(_) if key.kind == ConfigType::Password => Some(HIDDEN.to_owned()),
        DefaultValue::Text(text) => Some(
            parse(text, key.kind, &AnyClass).map_or_else(|_| text.clone(), |value| value.shown()),
        ),
    }
}

impl From<ConfigValue> for ConfigValueInfo {
    fn from(value: ConfigValue) -> Self {
        Self {
            name: value.name,
            value: value.value.as_ref().map(ParsedValue::shown),
            recommended_values: value.recommended,
            errors: value.errors,
            visible: value.visible,
        }
    }
}
