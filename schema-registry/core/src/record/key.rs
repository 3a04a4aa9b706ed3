use std::sync::Arc;

use java_idioms::json::{Json, ReadOptions, write_string_to_bytes};

use crate::name::SubjectName;

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Schema {
        subject: SubjectName,
        version: i32,
    },
    /// `None`: global.
    Config(Option<SubjectName>),
    /// `None`: global.
    Mode(Option<SubjectName>),
    DeleteSubject(SubjectName),
    /// `None`: all subjects.
    ClearSubject(Option<SubjectName>),
    Context(Arc<str>),
    Association(AssociationKey),
    Noop,
}

/// Key of an association.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AssociationKey {
    pub(crate) resource_name: Arc<str>,
    pub(crate) resource_namespace: Arc<str>,
    pub(crate) resource_type: Arc<str>,
    pub(crate) association_type: Arc<str>,
    /// Full name.
    pub(crate) subject: Arc<str>,
}

/// The bytes of a key.
pub(crate) fn write_key(key: &Key) -> String {
    let mut out = String::with_capacity(64);
    let head = |kind: &str, out: &mut String| {
        out.push_str("{\"keytype\":\"");
        out.push_str(kind);
        out.push('"');
    };
    let subject = |subject: &SubjectName, out: &mut String| {
        out.push_str(",\"subject\":");
        write_string_to_bytes(&subject.to_string(), out);
    };
    let text = |member: &str, value: &str, out: &mut String| {
        out.push_str(",\"");
        out.push_str(member);
        out.push_str("\":");
        write_string_to_bytes(value, out);
    };
    let mut magic = 0;
    match key {
        Key::Schema {
            subject: name,
            version,
        } => {
            head("SCHEMA", &mut out);
            subject(name, &mut out);
            out.push_str(",\"version\":");
            out.push_str(&version.to_string());
            magic = 1;
        }
        Key::Config(name) => {
            head("CONFIG", &mut out);
            if let Some(name) = name {
                subject(name, &mut out);
            }
        }
        Key::Mode(name) => {
            head("MODE", &mut out);
            if let Some(name) = name {
                subject(name, &mut out);
            }
        }
        Key::DeleteSubject(name) => {
            head("DELETE_SUBJECT", &mut out);
            subject(name, &mut out);
        }
        Key::ClearSubject(name) => {
            head("CLEAR_SUBJECT", &mut out);
            if let Some(name) = name {
                subject(name, &mut out);
            }
        }
        Key::Context(context) => {
            head("CONTEXT", &mut out);
            text("tenant", "default", &mut out);
            text("context", context, &mut out);
        }
        Key::Association(key) => {
            head("ASSOC", &mut out);
            text("tenant", "default", &mut out);
            text("resourceName", &key.resource_name, &mut out);
            text("resourceNamespace", &key.resource_namespace, &mut out);
            text("resourceType", &key.resource_type, &mut out);
            text("associationType", &key.association_type, &mut out);
            text("subject", &key.subject, &mut out);
        }
        Key::Noop => head("NOOP", &mut out),
    }
    out.push_str(",\"magic\":");
    out.push_str(if magic == 1 { "1}" } else { "0}" });
    out
}

/// Reads a key by its content, whatever the order of its members.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_key(text: &str) -> Result<Key, String> {
    let options = ReadOptions {
        max_depth: 20,
        ..ReadOptions::default()
    };
    let json =
        Json::read(text, options).map_err(|e| format!("the key is not JSON: {}", e.message))?;
    let kind = json
        .get("keytype")
        .and_then(Json::as_str)
        .ok_or_else(|| "the key has no keytype".to_owned())?;
    let magic = match json.get("magic") {
        None => 0,
        Some(value) => value
            .as_i64()
            .ok_or_else(|| "the key's magic is no number".to_owned())?,
    };
    if !(magic == 0 || magic == 1 && kind == "SCHEMA") {
        return Err(format!("unknown magic {magic} for keytype {kind}"));
    }
    let optional = |member: &str| -> Result<Option<&str>, String> {
        match json.get(member) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("the key's {member} is no text")),
        }
    };
    let required = |member: &str| -> Result<&str, String> {
        optional(member)?.ok_or_else(|| format!("the key of type {kind} has no {member}"))
    };
    let optional_subject = || -> Result<Option<SubjectName>, String> {
        Ok(optional("subject")?.map(SubjectName::parse))
    };
    Ok(match kind {
        "SCHEMA" => Key::Schema {
            subject: SubjectName::parse(required("subject")?),
            version: json
                .get("version")
                .and_then(Json::as_i64)
                .and_then(|v| i32::try_from(v).ok())
                .ok_or_else(|| "the key has no version".to_owned())?,
        },
        "CONFIG" => Key::Config(optional_subject()?),
        "MODE" => Key::Mode(optional_subject()?),
        "DELETE_SUBJECT" => Key::DeleteSubject(SubjectName::parse(required("subject")?)),
        "CLEAR_SUBJECT" => Key::ClearSubject(optional_subject()?),
        "CONTEXT" => Key::Context(required("context")?.into()),
        "ASSOC" => Key::Association(AssociationKey {
            resource_name: required("resourceName")?.into(),
            resource_namespace: required("resourceNamespace")?.into(),
            resource_type: required("resourceType")?.into(),
            association_type: required("associationType")?.into(),
            subject: required("subject")?.into(),
        }),
        "NOOP" => Key::Noop,
        other => return Err(format!("unknown keytype {other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_original_bytes_and_come_back() {
        let subject = SubjectName::parse(":.c:s");
        for (key, bytes) in [
            (
                Key::Schema {
                    subject: subject.clone(),
                    version: 3,
                },
                r#"{"keytype":"SCHEMA","subject":":.c:s","version":3,"magic":1}"#,
            ),
            (Key::Config(None), r#"{"keytype":"CONFIG","magic":0}"#),
            (
                Key::Config(Some(subject.clone())),
                r#"{"keytype":"CONFIG","subject":":.c:s","magic":0}"#,
            ),
            (Key::Mode(None), r#"{"keytype":"MODE","magic":0}"#),
            (
                Key::DeleteSubject(subject.clone()),
                r#"{"keytype":"DELETE_SUBJECT","subject":":.c:s","magic":0}"#,
            ),
            (
                Key::ClearSubject(Some(subject)),
                r#"{"keytype":"CLEAR_SUBJECT","subject":":.c:s","magic":0}"#,
            ),
            (
                Key::Context(".c".into()),
                r#"{"keytype":"CONTEXT","tenant":"default","context":".c","magic":0}"#,
            ),
            (Key::Noop, r#"{"keytype":"NOOP","magic":0}"#),
        ] {
            assert_eq!(write_key(&key), bytes);
            assert_eq!(read_key(bytes).expect("a key"), key);
        }
    }

    #[test]
    fn foreign_orders_are_read_and_garbage_is_named() {
        assert_eq!(
            read_key(r#"{"subject":"s","version":1,"magic":1,"keytype":"SCHEMA"}"#).expect("a key"),
            Key::Schema {
                subject: SubjectName::parse("s"),
                version: 1
            }
        );
        assert_eq!(
            read_key(r#"{"keytype":"CONFIG","subject":null,"magic":0}"#).expect("a key"),
            Key::Config(None)
        );
        for garbage in [
            "x",
            "{}",
            "[]",
            r#"{"keytype":"OTHER","magic":0}"#,
            r#"{"keytype":"CONFIG","magic":1}"#,
            r#"{"keytype":"SCHEMA","subject":"s","magic":1}"#,
            r#"{"keytype":"SCHEMA","version":1,"magic":2}"#,
        ] {
            assert!(read_key(garbage).is_err(), "{garbage}");
        }
    }
}
