//! The plugins that are built in.

use millrace_postgres::PostgresPlugin;
use millrace_worker::plugins::PluginRegistry;

/// All of them, under their Java class names.
pub(crate) fn registry() -> PluginRegistry {
    let mut plugins = PluginRegistry::new();
    plugins.source(PostgresPlugin);
    plugins.sink(millrace_jdbc::JdbcSinkPlugin);
    for transform in millrace_transforms::transforms()
        .into_iter()
        .chain(millrace_cdc::transforms::transforms())
    {
        plugins.transform(transform);
    }
    for predicate in millrace_transforms::predicates() {
        plugins.predicate(predicate);
    }
    for converter in millrace_converters::converters() {
        plugins.converter(converter);
    }
    for converter in millrace_converters::header_converters() {
        plugins.header_converter(converter);
    }
    plugins
}
