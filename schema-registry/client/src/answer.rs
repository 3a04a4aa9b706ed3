//! Bodies: what is asked, and what a registry answers.

use std::sync::Arc;

use java_idioms::Json;
use java_idioms::json::{ReadOptions, write_string};

use crate::error::is_retriable;
use crate::{ClientError, NewSchema, Reference, RegisteredSchema, SchemaType};

/// The body of a registration or a lookup. The type is left out for Avro: registries before release 5.5 do not know the member.
pub(crate) fn body(schema: &NewSchema) -> String {
    whole_body(schema, None, None)
}

/// The body that asks for a schema that the registry knows: its metadata and rule set go along, because they are part of what it is.
pub(crate) fn body_of_registered(schema: &RegisteredSchema) -> String {
    whole_body(
        &schema.to_new(),
        schema.metadata.as_deref(),
        schema.rule_set.as_deref(),
    )
}

fn whole_body(schema: &NewSchema, metadata: Option<&str>, rule_set: Option<&str>) -> String {
    let mut out = String::with_capacity(schema.text.len() + schema.text.len() / 8 + 64);
    out.push('{');
    if schema.schema_type != SchemaType::Avro {
        out.push_str("\"schemaType\":");
        write_string(schema.schema_type.name(), &mut out);
        out.push(',');
    }
    if !schema.references.is_empty() {
        out.push_str("\"references\":[");
        for (index, reference) in schema.references.iter().enumerate() {
            out.push_str(if index == 0 {
                "{\"name\":"
            } else {
                ",{\"name\":"
            });
            write_string(&reference.name, &mut out);
            out.push_str(",\"subject\":");
            write_string(&reference.subject, &mut out);
            out.push_str(&format!(",\"version\":{}}}", reference.version));
        }
        out.push_str("],");
    }
    for (member, json) in [("metadata", metadata), ("ruleSet", rule_set)] {
        if let Some(json) = json {
            out.push_str(&format!("\"{member}\":{json},"));
        }
    }
    out.push_str("\"schema\":");
    write_string(&schema.text, &mut out);
    out.push('}');
    out
}

/// The body of an answer: the registry's error when the status is none of 200, 204 and 207.
pub(crate) fn success(status: u16, body: &str) -> Result<Json, ClientError> {
    let json = Json::read(body, ReadOptions::default());
    if matches!(status, 200 | 204 | 207) {
        return match json {
            Ok(json) => Ok(json),
            Err(_) if body.is_empty() => Ok(Json::Null),
            Err(error) => Err(ClientError::not_understood(
                status,
                format!("the answer is not JSON: {}", error.message),
            )),
        };
    }
    Err(failure(status, json.ok().as_ref(), body))
}

fn failure(status: u16, json: Option<&Json>, body: &str) -> ClientError {
    let code = json
        .and_then(|json| json.get("error_code"))
        .and_then(Json::as_i64);
    let message = json
        .and_then(|json| json.get("message"))
        .and_then(Json::as_str);
    match (code.and_then(|code| i32::try_from(code).ok()), message) {
        (Some(code), message) => ClientError {
            status,
            code,
            message: message.unwrap_or_default().to_owned(),
            retriable: is_retriable(status),
        },
        (None, Some(message)) => ClientError {
            status,
            code: i32::from(status),
            message: message.to_owned(),
            retriable: is_retriable(status),
        },
        (None, None) => {
            let start: String = body.chars().take(200).filter(|c| !c.is_control()).collect();
            ClientError::not_understood(
                status,
                format!("HTTP {status} without a registry's error in the body: {start:?}"),
            )
        }
    }
}

/// What is known of a schema before the answer comes; the answer's members win.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known<'a> {
    pub(crate) subject: Option<&'a str>,
    pub(crate) id: Option<i32>,
    pub(crate) schema: Option<&'a NewSchema>,
}

/// The schema in an answer.
pub(crate) fn schema(json: &Json, known: Known<'_>) -> Result<RegisteredSchema, ClientError> {
    let missing = |member: &str| {
        ClientError::not_understood(200, format!("the answer has no usable `{member}`"))
    };
    let integer = |member: &str| {
        json.get(member)
            .and_then(Json::as_i64)
            .and_then(|n| i32::try_from(n).ok())
    };
    let text = |member: &str| json.get(member).and_then(Json::as_str);
    let object = |member: &str| {
        json.get(member)
            .filter(|value| value.as_object().is_some())
            .map(|value| Arc::from(value.to_text()))
    };
    let schema_type = match text("schemaType") {
        Some(name) => SchemaType::from_name(name).ok_or_else(|| {
            ClientError::not_understood(200, format!("the schema is of the unknown type {name:?}"))
        })?,
        None => known
            .schema
            .map_or(SchemaType::Avro, |schema| schema.schema_type),
    };
    let (schema_text, references) = match (text("schema"), known.schema) {
        (Some(text), _) => (Arc::from(text), references(json)?),
        (None, Some(given)) => (Arc::clone(&given.text), given.references.clone()),
        (None, None) => return Err(missing("schema")),
    };
    Ok(RegisteredSchema {
        subject: text("subject")
            .filter(|s| !s.is_empty())
            .or(known.subject)
            .map(Arc::from),
        version: integer("version").unwrap_or(0),
        id: integer("id").or(known.id).ok_or_else(|| missing("id"))?,
        guid: text("guid").and_then(parse_guid),
        schema_type,
        text: schema_text,
        references,
        metadata: object("metadata"),
        rule_set: object("ruleSet"),
    })
}

fn references(json: &Json) -> Result<Vec<Reference>, ClientError> {
    let all = json
        .get("references")
        .and_then(Json::as_array)
        .unwrap_or_default();
    let wrong = || {
        ClientError::not_understood(
            200,
            "a reference in the answer has no name, subject or version",
        )
    };
    all.iter()
        .map(|reference| {
            let text = |member: &str| {
                reference
                    .get(member)
                    .and_then(Json::as_str)
                    .map(Arc::from)
                    .ok_or_else(wrong)
            };
            let version = reference
                .get("version")
                .and_then(Json::as_i64)
                .and_then(|n| i32::try_from(n).ok());
            Ok(Reference {
                name: text("name")?,
                subject: text("subject")?,
                version: version.ok_or_else(wrong)?,
            })
        })
        .collect()
}

/// A guid in its usual form, `095d71cf-1255-6b9d-5e33-0ad575b3df5d`.
pub(crate) fn parse_guid(text: &str) -> Option<[u8; 16]> {
    let mut guid = [0; 16];
    let mut digits = text.chars().filter(|c| *c != '-');
    for byte in &mut guid {
        let (high, low) = (digits.next()?.to_digit(16)?, digits.next()?.to_digit(16)?);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(guid)
}

/// A guid as it is written in paths and texts.
pub(crate) fn guid_text(guid: &[u8; 16]) -> String {
    let mut out = String::with_capacity(36);
    for (index, byte) in guid.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_names_type_and_references() {
        let mut schema = NewSchema {
            schema_type: SchemaType::Avro,
            text: "\"string\"".into(),
            references: Vec::new(),
        };
        assert_eq!(body(&schema), r#"{"schema":"\"string\""}"#);
        schema.schema_type = SchemaType::Protobuf;
        schema.references.push(Reference {
            name: "a.proto".into(),
            subject: "a".into(),
            version: 2,
        });
        assert_eq!(
            body(&schema),
            r#"{"schemaType":"PROTOBUF","references":[{"name":"a.proto","subject":"a","version":2}],"schema":"\"string\""}"#
        );
    }

    #[test]
    fn metadata_and_rules_of_an_answer_go_back_as_they_came() {
        let answer = r#"{"id":7,"schema":"\"int\"","metadata":{"properties":{"confluent:version":"12"}},"ruleSet":{"domainRules":[]}}"#;
        let found = schema(&success(200, answer).expect("json"), Known::default()).expect("schema");
        assert_eq!(found.own_version(), Some(12));
        assert_eq!(
            body_of_registered(&found),
            r#"{"metadata":{"properties":{"confluent:version":"12"}},"ruleSet":{"domainRules":[]},"schema":"\"int\""}"#
        );
        for (metadata, version) in [
            (r#"{"properties":{"confluent:version":"+3"}}"#, Some(3)),
            (r#"{"properties":{"confluent:version":"3.0"}}"#, None),
            (r#"{"properties":{"version":"3"}}"#, None),
            ("{}", None),
        ] {
            let found = RegisteredSchema {
                metadata: Some(metadata.into()),
                ..found.clone()
            };
            assert_eq!(found.own_version(), version, "{metadata}");
        }
    }

    #[test]
    fn old_and_new_answers_are_understood() {
        let given = NewSchema {
            schema_type: SchemaType::Json,
            text: "{}".into(),
            references: Vec::new(),
        };
        let known = Known {
            subject: Some("s"),
            id: None,
            schema: Some(&given),
        };
        let old = schema(&success(200, r#"{"id":7}"#).expect("json"), known).expect("schema");
        assert_eq!(
            (old.id, old.version, old.schema_type, &*old.text),
            (7, 0, SchemaType::Json, "{}")
        );
        let new = r#"{"id":7,"version":3,"guid":"095d71cf-1255-6b9d-5e33-0ad575b3df5d","schemaType":"AVRO","schema":"\"int\"","references":[{"name":"n","subject":"r","version":1}]}"#;
        let new = schema(&success(200, new).expect("json"), known).expect("schema");
        assert_eq!(
            (new.version, &*new.text, new.references.len()),
            (3, "\"int\"", 1)
        );
        assert_eq!(
            guid_text(&new.guid.expect("guid")),
            "095d71cf-1255-6b9d-5e33-0ad575b3df5d"
        );
    }

    #[test]
    fn errors_keep_code_and_message() {
        let error = success(
            404,
            r#"{"error_code":40403,"message":"Schema 9 not found"}"#,
        )
        .expect_err("404");
        assert_eq!(error.to_string(), "Schema 9 not found; error code: 40403");
        assert!(!error.retriable);
        let error = success(503, "<html>").expect_err("503");
        assert_eq!((error.code, error.retriable), (50005, true));
        assert_eq!(success(200, "<html>").expect_err("not JSON").code, 50005);
    }
}
