use millrace_api::config::Props;
use millrace_api::plugin::TaskError;

use crate::SchemaType;
use crate::settings::refuse as refused;

/// Settings of one format's deserializer that read data into objects of Java classes: switched on, nothing could be read.
const SWITCHES: [(SchemaType, &str); 2] = [
    (SchemaType::Avro, "specific.avro.reader"),
    (SchemaType::Protobuf, "derive.type"),
];

/// Refuses what can only be obeyed with Java classes.
pub(super) fn refuse(props: &Props, schema_type: SchemaType) -> Result<(), TaskError> {
    for (format, key) in SWITCHES {
        if format == schema_type
            && let Some(value) = props.get(key)
            && !value.trim().eq_ignore_ascii_case("false")
        {
            return Err(refused(
                key,
                Some(value),
                "data cannot be read into objects of Java classes; set it to false or leave it out",
            ));
        }
    }
    Ok(())
}
