//! Configuration: what keys a plugin has, how their texts are read, and what is wrong with them.
//!
//! A plugin describes its keys once, as a plain struct with `#[derive(ConnectConfig)]`: the doc comment of a field is the key's documentation, its type the
//! Connect type. From that come parsing, defaults, validation of all keys at once, the JSON of `/config` and `/config/validate`, and the documentation page.
//!
//! ```
//! use millrace_api::config::{ConnectConfig, Props, Secret, Validator};
//!
//! #[derive(Debug, ConnectConfig)]
//! struct ShopConfig {
//!     /// Address of the shop.
//!     #[config(name = "shop.url", required, importance = "high")]
//!     url: String,
//!     /// Token sent with every request.
//!     #[config(name = "shop.token", importance = "high")]
//!     token: Option<Secret<String>>,
//!     /// Rows in one request.
//!     #[config(name = "batch.size", default = 500, importance = "low", validate = Validator::at_least(1))]
//!     batch_size: i32,
//! }
//!
//! let config = ShopConfig::parse(&Props::from_iter([("shop.url", "http://localhost")])).unwrap();
//! assert_eq!(config.batch_size, 500);
//! let errors = ShopConfig::parse(&Props::from_iter([("batch.size", "0")])).unwrap_err();
//! assert_eq!(errors.len(), 2);
//! ```
//!
//! [`ConfigDef`] is the table behind it, [`connector`] holds the keys that every connector has, and [`validate_connector`] is the whole validation of a
//! connector's configuration as a pure function.

mod check;
mod class_names;
pub mod connector;
mod definition;
mod dialect;
mod enrich;
mod evaluate;
mod field;
mod info;
mod java_regex;
mod key;
mod markdown;
mod overrides;
mod parse;
mod plugins;
mod props;
mod recommend;
mod secret;
mod typed;
mod unknown;
mod validate_connector;
mod version_range;

pub use millrace_api_derive::{ConfigEnum, ConnectConfig};

pub use check::{Candidate, IntoValidator, Problem, Validator};
pub use class_names::{AnyClass, ClassNames};
pub use definition::ConfigDef;
pub use dialect::Dialect;
pub use evaluate::{ConfigValue, Evaluation};
pub use field::{ConfigEnum, ConfigField, FieldText, LetterCase};
pub use info::{ConfigInfo, ConfigInfos, ConfigKeyInfo, ConfigValueInfo, plugin_key_infos};
pub use java_regex::{JavaRegex, JavaRegexError, split_regex_list};
pub use key::{ConfigKey, ConfigType, DefaultValue, Importance, Width};
pub use markdown::markdown;
pub use overrides::{ClientKind, OverridePolicy};
pub use parse::ParsedValue;
pub use plugins::{ConfigPlugin, PluginKind, PluginLookup};
pub use props::{Props, RawProps};
pub use recommend::{Recommendation, Recommender};
pub use secret::{HIDDEN, Secret};
pub use typed::{ConfigErrors, ConnectConfig, duration_from_millis};
pub use unknown::{UnknownKey, unknown_keys};
pub use validate_connector::{
    ConnectorAnswers, ExactlyOnceAnswer, TransactionBoundaryAnswer, ValidationFailure,
    validate_connector,
};
pub use version_range::VersionRange;
