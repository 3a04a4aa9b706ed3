//! The keys that come with the aliases in `transforms` and `predicates`.

use super::check::{Candidate, Problem, Validator};
use super::definition::ConfigDef;
use super::key::{ConfigKey, ConfigType, Importance, Width};
use super::parse::{ParsedValue, java_trim, split_list};
use super::plugins::{PluginKind, PluginLookup, nested_classes, version_mismatch};
use super::props::RawProps;
use super::recommend::Recommender;

/// Adds, for every alias in `list` (`transforms` or `predicates`), its `type`, its `plugin.version`, and the keys of its plugin.
///
/// # Errors
/// When a version range cannot be read.
pub(super) fn enrich(
    mut definition: ConfigDef,
    list: &str,
    kind: PluginKind,
    raw: &RawProps,
    lookup: &dyn PluginLookup,
) -> Result<ConfigDef, String> {
    let Some(Some(aliases)) = raw.get(list) else {
        return Ok(definition);
    };
    let mut seen: Vec<String> = Vec::new();
    for alias in split_list(java_trim(aliases)) {
        if seen.contains(&alias) {
            continue;
        }
        definition = enrich_alias(definition, list, &alias, kind, raw, lookup)?;
        seen.push(alias);
    }
    Ok(definition)
}

fn enrich_alias(
    mut definition: ConfigDef,
    list: &str,
    alias: &str,
    kind: PluginKind,
    raw: &RawProps,
    lookup: &dyn PluginLookup,
) -> Result<ConfigDef, String> {
    let prefix = format!("{list}.{alias}.");
    let interface = kind.interface();
    let group = format!("{interface}s: {alias}").replacen("Transformations", "Transforms", 1);
    let given = |key: &str| {
        raw.get(&format!("{prefix}{key}"))
            .and_then(Option::as_deref)
    };

    let plugin = given("type").and_then(|name| lookup.find(kind, java_trim(name)));
    let mismatch = match &plugin {
        Some(plugin) => version_mismatch(plugin, given("plugin.version").map(java_trim))?,
        None => None,
    };

    let mut class = ConfigKey::new(format!("{prefix}type"), ConfigType::Class, Importance::High)
        .doc(format!(
            "Class of the {} '{alias}'.",
            interface.to_lowercase()
        ))
        .group(&group, 0)
        .width(Width::Long)
        .display(format!("{interface} type for {alias}"))
        .recommend(Recommender::values(lookup.classes(kind)));
    if kind == PluginKind::Transformation {
        class.validators.push(negated_predicate(prefix.clone()));
    }
    class.validators.push(implements(kind, lookup));
    let mut version = ConfigKey::new(
        format!("{prefix}plugin.version"),
        ConfigType::String,
        Importance::High,
    )
    .doc(format!(
        "Version of the {} '{alias}'.",
        interface.to_lowercase()
    ))
    .group(&group, 1)
    .width(Width::Long)
    .display(format!("{interface} version for {alias}"))
    .default_null();
    if let Some(plugin) = &plugin {
        version = version
            .default_value(&plugin.version)
            .recommend(Recommender::values([&plugin.version]));
    }
    if let Some(message) = &mismatch {
        class.validators.push(always(message.clone()));
        version.validators.push(always(message.clone()));
    }
    definition.push(class);
    definition.push(version);

    if let (Some(plugin), None) = (plugin, mismatch) {
        let own = if kind == PluginKind::Transformation {
            transformation_keys()
        } else {
            ConfigDef::new()
        };
        definition = definition.embed(&prefix, &group, 2, &own.merge_missing(&plugin.definition));
    }
    Ok(definition)
}

/// The keys that every transformation has.
fn transformation_keys() -> ConfigDef {
    ConfigDef::new()
        .define(
            ConfigKey::new("predicate", ConfigType::String, Importance::Medium)
                .doc("Alias of the predicate that decides whether a record is transformed. Without one, every record is.")
                .default_null(),
        )
        .define(
            ConfigKey::new("negate", ConfigType::Boolean, Importance::Medium)
                .doc("Whether to transform the records for which the predicate does not hold, in place of those for which it does.")
                .default_value("false"),
        )
}

/// Refuses `negate` where there is no `predicate`.
fn negated_predicate(prefix: String) -> Validator {
    Validator::new(move |candidate| {
        let (negate, predicate) = (format!("{prefix}negate"), format!("{prefix}predicate"));
        if candidate.value.is_none()
            || !candidate.props.contains_key(&negate)
            || candidate.props.contains_key(&predicate)
        {
            return Vec::new();
        }
        vec![Problem::Message(format!(
            "Config '{negate}' was provided but there is no config '{predicate}' defining a predicate to be negated."
        ))]
    })
}

/// Refuses a class that is there but is no plugin of `kind`, or an abstract one. Null passes.
pub(super) fn implements(kind: PluginKind, lookup: &dyn PluginLookup) -> Validator {
    let classes = lookup.classes(kind);
    let abstract_classes: Vec<String> = classes
        .iter()
        .filter_map(|class| class.split_once('$').map(|(outer, _)| outer.to_owned()))
        .collect();
    let nested: Vec<(String, Vec<String>)> = abstract_classes
        .into_iter()
        .map(|outer| (outer.clone(), nested_classes(lookup, kind, &outer)))
        .collect();
    Validator::new(move |candidate: &Candidate<'_>| {
        let Some(class) = candidate.value.and_then(ParsedValue::as_str) else {
            return Vec::new();
        };
        if classes.iter().any(|known| known == class) {
            return Vec::new();
        }
        vec![Problem::Message(
            match nested.iter().find(|(outer, _)| outer == class) {
                Some((_, nested)) => format!(
                    "This class is abstract and cannot be created. Did you mean {}?",
                    nested.join(", ")
                ),
                None => format!(
                    "Class class {class} does not implement the {} interface",
                    kind.interface()
                ),
            },
        )]
    })
}

/// Always complains.
pub(super) fn always(message: String) -> Validator {
    Validator::new(move |_| vec![Problem::Message(message.clone())])
}
