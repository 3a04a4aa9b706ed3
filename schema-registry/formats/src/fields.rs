//! What configurations ask about the fields at the top of a schema.

use registry_avro::Kind;

use crate::ParsedSchema;

impl ParsedSchema {
    /// Whether there is a field of this name at the top: of the record, of the object, of any top-level message.
    pub fn has_top_level_field(&self, field: &str) -> bool {
        match self {
            Self::Avro(schema) => match &schema.get(schema.root()).kind {
                Kind::Record(record) => record.fields.iter().any(|f| &*f.name == field),
                _ => false,
            },
            Self::Json(schema) => schema
                .json()
                .get("properties")
                .and_then(|properties| properties.as_object())
                .is_some_and(|properties| properties.contains_key(field)),
            Self::Protobuf(schema) => proto_fields(&schema.canonical())
                .iter()
                .any(|name| name == field),
        }
    }

    /// Refuses names that begin with `$$` at the top of a JSON schema.
    ///
    /// # Errors
    /// The text of the refusal.
    pub fn check_field_names(&self) -> Result<(), String> {
        if let Self::Json(schema) = self
            && let Some(properties) = schema.json().get("properties").and_then(|p| p.as_object())
            && properties.keys().any(|name| name.starts_with("$$"))
        {
            return Err("#: Field names cannot start with $$ prefix".to_owned());
        }
        Ok(())
    }
}

/// Names of the fields of top-level messages, read off the canonical print: two spaces deep, or four within a oneof.
fn proto_fields(canonical: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut in_message = false;
    let mut in_oneof = false;
    for line in canonical.lines() {
        let depth = line.len() - line.trim_start_matches(' ').len();
        let text = line.trim_start_matches(' ');
        if text.is_empty() {
            continue;
        }
        match depth {
            0 => in_message = text.starts_with("message "),
            2 => {
                in_oneof = text.starts_with("oneof ");
                if in_message {
                    names.extend(field_name(text));
                }
            }
            4 if in_message && in_oneof => names.extend(field_name(text)),
            _ => {}
        }
    }
    names
}

fn field_name(line: &str) -> Option<String> {
    let (head, _) = line.split_once(" = ")?;
    let mut words = head.split(' ').rev();
    let name = words.next()?;
    // At least a type stands before the name; options and constants have none.
    let before = words.next()?;
    (!head.starts_with("option ") && !before.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_off_the_print() {
        let text = "syntax = \"proto3\";\n\nmessage M {\n  option deprecated = true;\n\n  repeated int32 a = 1;\n  map<string, int32> m = 3;\n\n  oneof o {\n    string b = 2;\n  }\n  \n  message N {\n    int32 c = 1;\n  }\n}\nenum E {\n  X = 0;\n}\n";
        assert_eq!(proto_fields(text), ["a", "m", "b"]);
    }
}
