//! What a record must be before anything else is looked at. A record that is not fails the task, as in Java; it is not a matter for the dead letter queue.

use millrace_api::data::{Data, Kind, SinkRecord};

use super::config::{JdbcSinkConfig, PrimaryKeyMode};

/// Checks a record.
///
/// # Errors
/// Java's message, which names connector, settings, position and what was found.
#[inline]
pub(crate) fn check(
    connector: &str,
    config: &JdbcSinkConfig,
    record: &SinkRecord,
) -> Result<(), String> {
    let data = &record.record;
    if config.pk_mode == PrimaryKeyMode::RecordKey && !usable_key(&data.key) {
        return Err(message(
            connector,
            config,
            record,
            &data.key,
            "key",
            "Struct or primitive key",
        ));
    }
    let deletes = config.delete_enabled && data.value.value.is_null();
    if !deletes && !usable_value(&data.value) {
        return Err(message(
            connector,
            config,
            record,
            &data.value,
            "value",
            "Struct or String",
        ));
    }
    Ok(())
}

fn usable_key(key: &Data) -> bool {
    let primitive_or_struct = |kind: Kind| !matches!(kind, Kind::Array | Kind::Map);
    !key.value.is_null()
        && key
            .schema
            .as_ref()
            .is_some_and(|schema| primitive_or_struct(schema.kind()))
}

fn usable_value(value: &Data) -> bool {
    !value.value.is_null()
        && value
            .schema
            .as_ref()
            .is_some_and(|schema| matches!(schema.kind(), Kind::Struct | Kind::String))
}

#[cold]
fn message(
    connector: &str,
    config: &JdbcSinkConfig,
    record: &SinkRecord,
    found: &Data,
    part: &str,
    wanted: &str,
) -> String {
    let value = found
        .value
        .java_class()
        .rsplit('.')
        .next()
        .unwrap_or("null");
    let value = if value == "class [B" { "byte[]" } else { value };
    let schema = found.schema.as_ref().map_or_else(
        || "null".to_owned(),
        |schema| schema.kind().name().to_ascii_lowercase(),
    );
    let timestamp = record
        .record
        .timestamp
        .map_or_else(|| "null".to_owned(), |millis| millis.to_string());
    let mode = config.pk_mode.java_name().to_ascii_lowercase();
    let value_wanted = if part == "value" { " value" } else { "" };
    let schema_wanted = wanted;
    let wanted = match part {
        "key" => format!("records with a non-null key and non-null {schema_wanted} schema"),
        _ => format!(
            "records with a non-null {schema_wanted}{value_wanted} and non-null {schema_wanted} schema"
        ),
    };
    format!(
        "Sink connector '{connector}' is configured with 'delete.enabled={}' and 'pk.mode={mode}' and therefore requires {wanted}, but found record at \
         (topic='{}',partition={},offset={},timestamp={timestamp}) with a {value} {part} and {schema} {part} schema.",
        config.delete_enabled, record.record.topic, record.original_partition, record.offset
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::testing::{config, record, row_schema};
    use millrace_api::data::{Schema, Struct, Value};
    use std::sync::Arc;

    fn refusal(settings: &[(&str, &str)], key: Data, value: Data) -> String {
        check("c", &config(settings), &record("w", 1, key, value)).expect_err("refused")
    }

    #[test]
    fn texts_of_java() {
        let by_key: &[(&str, &str)] = &[("pk.mode", "record_key")];
        let value = Data::new(row_schema(), Struct::empty(row_schema()));
        assert_eq!(
            refusal(by_key, Data::NONE, value.clone()),
            "Sink connector 'c' is configured with 'delete.enabled=false' and 'pk.mode=record_key' and therefore requires records with a non-null key and non-null \
             Struct or primitive key schema, but found record at (topic='w',partition=0,offset=1,timestamp=1700000000001) with a null key and null key schema."
        );
        let array = Data::new(
            Schema::array(Schema::int32()),
            Value::Array(Arc::new(vec![Value::Int32(1)])),
        );
        assert!(
            refusal(by_key, array, value.clone())
                .ends_with("with a ArrayList key and array key schema.")
        );
        assert!(
            refusal(by_key, Data::schemaless("x"), value)
                .ends_with("with a String key and null key schema.")
        );
        assert_eq!(
            refusal(&[("pk.mode", "record_value")], Data::NONE, Data::NONE),
            "Sink connector 'c' is configured with 'delete.enabled=false' and 'pk.mode=record_value' and therefore requires records with a non-null Struct or String \
             value and non-null Struct or String schema, but found record at (topic='w',partition=0,offset=1,timestamp=1700000000001) with a null value and null value \
             schema."
        );
        let map = Data::schemaless(Value::Map(Arc::new(Vec::new())));
        assert!(
            refusal(&[], Data::NONE, map.clone())
                .ends_with("with a HashMap value and null value schema.")
        );
        let with_deletes: &[(&str, &str)] =
            &[("pk.mode", "record_key"), ("delete.enabled", "true")];
        assert!(
            refusal(with_deletes, Data::new(Schema::int32(), 1), map)
                .contains("'delete.enabled=true'")
        );
        assert!(
            refusal(with_deletes, Data::NONE, Data::NONE)
                .ends_with("with a null key and null key schema.")
        );
    }

    #[test]
    fn a_tombstone_is_fine_only_with_deletes() {
        let tombstone = record("w", 1, Data::new(Schema::int32(), 1), Data::NONE);
        assert!(
            check(
                "c",
                &config(&[("pk.mode", "record_key"), ("delete.enabled", "true")]),
                &tombstone
            )
            .is_ok()
        );
        for mode in ["none", "kafka", "record_key", "record_value"] {
            assert!(
                check("c", &config(&[("pk.mode", mode)]), &tombstone).is_err(),
                "{mode}"
            );
        }
    }
}
