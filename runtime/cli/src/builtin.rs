//! The plugins that are built in.

use std::sync::Arc;

use millrace_avro_converter::AvroConverterPlugin;
use millrace_json_schema_converter::JsonSchemaConverterPlugin;
use millrace_postgres::PostgresPlugin;
use millrace_protobuf_converter::ProtobufConverterPlugin;
use millrace_worker::plugins::PluginRegistry;
use registry_client::Registries;

/// All of them, under their Java class names. Converters that need a schema registry find it through `registries`.
pub(crate) fn plugins(registries: &Registries) -> PluginRegistry {
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
    plugins.converter(Arc::new(AvroConverterPlugin::new(registries.clone())));
    plugins.converter(Arc::new(JsonSchemaConverterPlugin::new(registries.clone())));
    plugins.converter(Arc::new(ProtobufConverterPlugin::new(registries.clone())));
    for converter in millrace_converters::header_converters() {
        plugins.header_converter(converter);
    }
    plugins
}
