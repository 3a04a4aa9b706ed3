//! What the converters of all formats say alike when something fails.

use millrace_api::plugin::DataError;

use super::{MessageIndexes, PayloadSchema, SchemaSerde};
use crate::SchemaType;
use crate::answer::guid_text;

impl PayloadSchema {
    /// As Java's messages name a payload's schema: `SchemaId{schemaType='AVRO', id=1, guid='null', messageIndexes=null}`.
    pub fn java_text(&self, schema_type: SchemaType, indexes: Option<&MessageIndexes>) -> String {
        let (id, guid) = match self {
            Self::Id(id) => (id.to_string(), "null".to_owned()),
            Self::Guid(guid) => ("null".to_owned(), guid_text(guid)),
        };
        let indexes = match indexes {
            Some(indexes) => format!("{:?}", indexes.path()),
            None => "null".to_owned(),
        };
        format!(
            "SchemaId{{schemaType='{}', id={id}, guid='{guid}', messageIndexes={indexes}}}",
            schema_type.name()
        )
    }
}

/// `cause` inside of a converter's own error; what may pass by itself stays that.
#[cold]
pub fn failure(message: String, cause: DataError) -> DataError {
    let retriable = cause.retriable;
    let error = DataError::new(message).with_source(cause);
    if retriable { error.retriable() } else { error }
}

impl SchemaSerde {
    /// The registered schema cannot read what is written with the data's own, which `setting` asks for.
    pub fn incompatible(&self, setting: &str) -> DataError {
        // Only the check against the latest version is logged by the original, and says so.
        let where_to_look = if setting == "latest.compatibility.strict" {
            ". See log file for more details."
        } else {
            ""
        };
        DataError::new(format!(
            "Incompatible schema of type '{}'. Set {setting}=false to disable this check{where_to_look}",
            self.schema_type.name()
        ))
        .with_java_class("java.io.IOException")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_named_as_java_names_them() {
        let indexes = MessageIndexes::new(&[1, 0]).expect("short");
        assert_eq!(
            PayloadSchema::Id(7).java_text(SchemaType::Protobuf, Some(&indexes)),
            "SchemaId{schemaType='PROTOBUF', id=7, guid='null', messageIndexes=[1, 0]}"
        );
        assert_eq!(
            PayloadSchema::Guid([0xab; 16]).java_text(SchemaType::Avro, None),
            "SchemaId{schemaType='AVRO', id=null, guid='abababab-abab-abab-abab-abababababab', messageIndexes=null}"
        );
    }
}
