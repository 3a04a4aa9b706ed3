//! What the tests of this crate share.

use millrace_api::config::Props;
use millrace_api::data::{Data, Headers, Record, Schema, SchemaBuilder, SinkRecord, TimestampType};

use super::config::JdbcSinkConfig;

/// Properties with a URL unless there is one.
pub(crate) fn props(settings: &[(&str, &str)]) -> Props {
    let mut props = Props::from_iter([("connection.url", "jdbc:postgresql://localhost/shop")]);
    props.extend(settings.iter().copied());
    props
}

/// A configuration.
pub(crate) fn config(settings: &[(&str, &str)]) -> JdbcSinkConfig {
    JdbcSinkConfig::checked(&props(settings)).expect("configuration")
}

/// A record of partition 0 whose timestamp is 1700000000000 and its offset.
pub(crate) fn record(topic: &str, offset: i64, key: Data, value: Data) -> SinkRecord {
    SinkRecord {
        record: Record {
            topic: topic.into(),
            partition: Some(0),
            timestamp: Some(1_700_000_000_000 + offset),
            key,
            value,
            headers: Headers::default(),
        },
        original_topic: topic.into(),
        original_partition: 0,
        offset,
        timestamp_type: TimestampType::CreateTime,
    }
}

/// `{id: INT32, note: STRING?}`
pub(crate) fn row_schema() -> Schema {
    SchemaBuilder::structure()
        .field("id", Schema::int32())
        .field("note", Schema::string().to_optional())
        .build_valid()
}
