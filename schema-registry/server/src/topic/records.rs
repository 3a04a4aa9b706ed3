//! Records of the topic, as far as the server itself knows them.

use millrace_log::TableWrite;
use registry_core::TopicWrite;

/// Key of the record by which the end of the topic is found; it has no value and means nothing.
pub(crate) const NOOP_KEY: &str = r#"{"keytype":"NOOP","magic":0}"#;

/// The NOOP record.
pub(crate) fn noop() -> TableWrite {
    TableWrite {
        key: NOOP_KEY.as_bytes().to_vec(),
        value: None,
    }
}

/// A planned record as the log takes it.
pub(crate) fn table_write(write: TopicWrite) -> TableWrite {
    TableWrite {
        key: write.key.into_bytes(),
        value: write.value.map(String::into_bytes),
    }
}

/// What a record says of a schema, for the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SchemaRecord {
    /// Of which format.
    pub(crate) format: Format,
    /// Whether the version is there after it.
    pub(crate) live: bool,
}

/// A format that is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Avro,
    Json,
    Protobuf,
}

/// Looks at a record's bytes without parsing them: a schema's record begins with fixed members, and its text comes after `schemaType`.
pub(crate) fn schema_record(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<SchemaRecord> {
    if !contains(key?, br#""keytype":"SCHEMA""#) {
        return None;
    }
    let value = value?;
    // Members before the text: names cannot contain a bare quote, so this is not found inside a string.
    let head = &value[..find(value, br#","schema":""#).unwrap_or(value.len())];
    let format = if contains(head, br#","schemaType":"JSON""#) {
        Format::Json
    } else if contains(head, br#","schemaType":"PROTOBUF""#) {
        Format::Protobuf
    } else {
        Format::Avro
    };
    Some(SchemaRecord {
        format,
        live: !value.ends_with(br#","deleted":true}"#),
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    find(text, part).is_some()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_deletions_are_seen() {
        let key = Some(&br#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#[..]);
        let seen = |value: &str| schema_record(key, Some(value.as_bytes()));
        let record = |format, live| Some(SchemaRecord { format, live });
        assert_eq!(
            seen(r#"{"subject":"s","version":1,"id":1,"schema":"\"string\"","deleted":false}"#),
            record(Format::Avro, true)
        );
        assert_eq!(
            seen(
                r#"{"subject":"s","version":1,"id":1,"schemaType":"JSON","schema":"{}","deleted":true}"#
            ),
            record(Format::Json, false)
        );
        assert_eq!(
            seen(
                r#"{"subject":"s","version":1,"id":1,"schemaType":"AVRO","schema":",\"schemaType\":\"JSON\"","deleted":false}"#
            ),
            record(Format::Avro, true)
        );
        assert_eq!(schema_record(key, None), None);
        assert_eq!(schema_record(Some(NOOP_KEY.as_bytes()), None), None);
        assert_eq!(schema_record(None, Some(b"x")), None);
    }
}
