use millrace_api::plugin::DataError;

use crate::ClientError;

/// A failed question as Confluent's serializers report it: `what` they were about to do, and the registry's answer as the cause.
pub(super) fn rest_failure(error: ClientError, what: impl FnOnce() -> String) -> DataError {
    let retriable = error.retriable;
    let failure = if error.code / 100 == 4 {
        // Not the registry's own five digits but a bare 401, 403 and the like: the configuration is at fault.
        DataError::new(error.to_string())
            .with_java_class("org.apache.kafka.common.errors.InvalidConfigurationException")
    } else {
        let class = if error.status == 0 {
            "java.io.IOException"
        } else {
            "io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException"
        };
        DataError::new(what())
            .with_java_class("org.apache.kafka.common.errors.SerializationException")
            .with_source(DataError::new(error.to_string()).with_java_class(class))
    };
    if retriable {
        failure.retriable()
    } else {
        failure
    }
}
