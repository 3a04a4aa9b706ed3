//! Jackson's coercions: a number where text is wanted, digits in a string where a number is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use java_idioms::json::{Json, Object, ReadOptions};

use crate::RegistryError;
use crate::metadata::Metadata;
use crate::rules::{Rule, RuleSet};

/// Deepest nesting of a body: nothing that is read from one goes deeper than five levels, and threads have small stacks.
const MAX_DEPTH: usize = 200;

/// Parses a body; `None` where there is none or it is `null`.
///
/// # Errors
/// 400 for bytes that are not JSON, or JSON that is no object; `class` is named then.
pub(crate) fn parse(body: Option<&[u8]>, class: &str) -> Result<Option<Object>, RegistryError> {
    let Some(body) = body else {
        return Ok(None);
    };
    // A mark of the byte order is skipped, as Jackson does.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            let byte = body.get(error.valid_up_to()).copied().unwrap_or(0);
            return Err(bad(format!("Invalid UTF-8 start byte 0x{byte:x}")));
        }
    };
    if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        return Ok(None);
    }
    // What follows the value is not looked at, as Jackson does by default.
    let options = ReadOptions {
        max_depth: MAX_DEPTH,
        ..ReadOptions::default()
    };
    match Json::read_first(text, options) {
        Ok((Json::Object(members), _)) => Ok(Some(members)),
        Ok((Json::Null, _)) => Ok(None),
        Ok((other, _)) => Err(wrong_type(class, &other)),
        Err(error) => Err(bad(error.to_string())),
    }
}

fn bad(message: impl Into<String>) -> RegistryError {
    RegistryError::new(400, message)
}

/// `Cannot deserialize value of type …`
fn wrong_type(class: &str, found: &Json) -> RegistryError {
    let (kind, token) = match found {
        Json::Object(_) => ("Object value", "START_OBJECT"),
        Json::Array(_) => ("Array value", "START_ARRAY"),
        Json::String(_) => ("String value", "VALUE_STRING"),
        Json::Number(n) if n.is_integer() => ("Integer value", "VALUE_NUMBER_INT"),
        Json::Number(_) => ("Floating-point value", "VALUE_NUMBER_FLOAT"),
        Json::Bool(true) => ("Boolean value", "VALUE_TRUE"),
        Json::Bool(false) => ("Boolean value", "VALUE_FALSE"),
        Json::Null => ("Null value", "VALUE_NULL"),
    };
    bad(format!(
        "Cannot deserialize value of type `{class}` from {kind} (token `JsonToken.{token}`)"
    ))
}

/// The members of one object, by type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Members<'a>(pub(crate) &'a Object);

impl<'a> Members<'a> {
    pub(crate) fn of(value: &'a Json, class: &str) -> Result<Self, RegistryError> {
        match value {
            Json::Object(members) => Ok(Self(members)),
            other => Err(wrong_type(class, other)),
        }
    }

    /// A member that is there and not null.
    pub(crate) fn value(&self, member: &str) -> Option<&'a Json> {
        self.0.get(member).filter(|v| !v.is_null())
    }

    /// Whether the member is there, be it null.
    pub(crate) fn has(&self, member: &str) -> bool {
        self.0.contains_key(member)
    }

    pub(crate) fn text(&self, member: &str) -> Result<Option<Arc<str>>, RegistryError> {
        self.value(member).map(text).transpose()
    }

    pub(crate) fn int(&self, member: &str) -> Result<Option<i32>, RegistryError> {
        match self.value(member) {
            None => Ok(None),
            Some(value) => int(value),
        }
    }

    pub(crate) fn boolean(&self, member: &str) -> Result<Option<bool>, RegistryError> {
        match self.value(member) {
            None => Ok(None),
            Some(value) => boolean(value),
        }
    }

    /// A list; `class` is the class of its elements.
    pub(crate) fn list(
        &self,
        member: &str,
        class: &str,
    ) -> Result<Option<&'a [Json]>, RegistryError> {
        match self.value(member) {
            None => Ok(None),
            Some(Json::Array(values)) => Ok(Some(values)),
            // So does the original's web layer cut the class name of a list.
            Some(other) => Err(wrong_type(&format!("{class}>"), other)),
        }
    }

    pub(crate) fn texts(&self, member: &str) -> Result<Option<Vec<Arc<str>>>, RegistryError> {
        match self.list(member, "String")? {
            None => Ok(None),
            Some(values) => values.iter().map(text).collect::<Result<_, _>>().map(Some),
        }
    }
}

fn text(value: &Json) -> Result<Arc<str>, RegistryError> {
    match value {
        Json::String(text) => Ok(Arc::clone(text)),
        Json::Number(number) => Ok(number.literal().into()),
        Json::Bool(value) => Ok(if *value { "true" } else { "false" }.into()),
        other => Err(wrong_type("String", other)),
    }
}

fn int(value: &Json) -> Result<Option<i32>, RegistryError> {
    let out_of_range = |literal: &str| {
        bad(format!(
            "Numeric value ({literal}) out of range of int (-2147483648 - 2147483647)"
        ))
    };
    match value {
        Json::Number(number) if number.is_integer() => number
            .as_i64()
            .and_then(|n| i32::try_from(n).ok())
            .map(Some)
            .ok_or_else(|| out_of_range(number.literal())),
        Json::Number(number) => {
            let truncated = number.as_f64().trunc();
            if truncated < f64::from(i32::MIN) || truncated > f64::from(i32::MAX) {
                return Err(out_of_range(number.literal()));
            }
            #[allow(clippy::cast_possible_truncation)]
            Ok(Some(truncated as i32))
        }
        Json::String(text) => {
            let trimmed = text.trim();
            if trimmed.is_empty() {
                return Ok(None);
            }
            trimmed.parse().map(Some).map_err(|_| {
                bad(format!(
                    "Cannot deserialize value of type `Integer` from String \"{text}\": not a valid `java.lang.Integer` value"
                ))
            })
        }
        other => Err(wrong_type("Integer", other)),
    }
}

fn boolean(value: &Json) -> Result<Option<bool>, RegistryError> {
    match value {
        Json::Bool(value) => Ok(Some(*value)),
        Json::Number(number) if number.is_integer() => {
            Ok(Some(number.literal() != "0" && number.literal() != "-0"))
        }
        Json::String(text) => match text.trim() {
            "" => Ok(None),
            "true" | "True" | "TRUE" => Ok(Some(true)),
            "false" | "False" | "FALSE" => Ok(Some(false)),
            _ => Err(bad(format!(
                "Cannot deserialize value of type `Boolean` from String \"{text}\": only \"true\" or \"false\" recognized"
            ))),
        },
        other => Err(wrong_type("Boolean", other)),
    }
}

fn enumeration(
    value: Option<Arc<str>>,
    class: &str,
    allowed: &[&str],
) -> Result<Option<Arc<str>>, RegistryError> {
    match value {
        Some(name) if !allowed.contains(&&*name) => Err(bad(format!(
            "Cannot deserialize value of type `{class}` from String \"{name}\": not one of the values accepted for Enum class: [{}]",
            allowed.join(", ")
        ))),
        other => Ok(other),
    }
}

/// Metadata.
///
/// # Errors
/// 400 for a member of the wrong type.
pub(crate) fn metadata(value: &Json) -> Result<Metadata, RegistryError> {
    let members = Members::of(value, "Metadata")?;
    let mut metadata = Metadata::default();
    if let Some(tags) = members.value("tags") {
        for (path, _) in Members::of(tags, "Map")?.0 {
            let list = Members::of(tags, "Map")?.texts(path)?.unwrap_or_default();
            metadata
                .tags
                .insert(Arc::clone(path), list.into_iter().collect());
        }
    }
    if let Some(properties) = members.value("properties") {
        metadata.properties = text_map(properties)?;
    }
    if let Some(names) = members.texts("sensitive")? {
        metadata.sensitive = names.into_iter().collect();
    }
    Ok(metadata)
}

fn text_map(value: &Json) -> Result<BTreeMap<Arc<str>, Arc<str>>, RegistryError> {
    let members = Members::of(value, "Map")?;
    let mut map = BTreeMap::new();
    for (name, value) in members.0 {
        if !value.is_null() {
            map.insert(Arc::clone(name), text(value)?);
        }
    }
    Ok(map)
}

/// A rule set.
///
/// # Errors
/// 400 for a member of the wrong type or an unknown name of an enumeration.
pub(crate) fn rule_set(value: &Json) -> Result<RuleSet, RegistryError> {
    let members = Members::of(value, "RuleSet")?;
    let rules = |member: &str| -> Result<Vec<Rule>, RegistryError> {
        members
            .list(member, "Rule")?
            .unwrap_or_default()
            .iter()
            .map(rule)
            .collect()
    };
    Ok(RuleSet {
        migration: rules("migrationRules")?,
        domain: rules("domainRules")?,
        encoding: rules("encodingRules")?,
        enable_at: members.text("enableAt")?,
    })
}

fn rule(value: &Json) -> Result<Rule, RegistryError> {
    let members = Members::of(value, "Rule")?;
    let kind = enumeration(
        members.text("kind")?,
        "RuleKind",
        &["TRANSFORM", "CONDITION"],
    )?;
    let mode = enumeration(
        members.text("mode")?,
        "RuleMode",
        &[
            "UPGRADE",
            "DOWNGRADE",
            "UPDOWN",
            "WRITE",
            "READ",
            "WRITEREAD",
        ],
    )?;
    Ok(Rule {
        name: members.text("name")?,
        doc: members.text("doc")?,
        kind: kind.unwrap_or_else(|| "TRANSFORM".into()),
        mode: mode.unwrap_or_else(|| "WRITEREAD".into()),
        rule_type: members.text("type")?,
        tags: members
            .texts("tags")?
            .unwrap_or_default()
            .into_iter()
            .collect::<BTreeSet<_>>(),
        params: members
            .value("params")
            .map(text_map)
            .transpose()?
            .unwrap_or_default(),
        expr: members.text("expr")?,
        on_success: members.text("onSuccess")?,
        on_failure: members.text("onFailure")?,
        disabled: members.boolean("disabled")?.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Object {
        parse(Some(text.as_bytes()), "T")
            .expect("JSON")
            .expect("an object")
    }

    #[test]
    fn numbers_and_texts_are_taken_for_each_other() {
        let object = members(r#"{"t":12,"i":"7","f":1.9,"b":"True","n":null,"z":0}"#);
        let m = Members(&object);
        assert_eq!(m.text("t").expect("text").as_deref(), Some("12"));
        assert_eq!(m.int("i").expect("int"), Some(7));
        assert_eq!(m.int("f").expect("int"), Some(1));
        assert_eq!(m.boolean("b").expect("bool"), Some(true));
        assert_eq!(m.boolean("z").expect("bool"), Some(false));
        assert_eq!(m.text("n").expect("text"), None);
    }

    #[test]
    fn wrong_types_are_400() {
        let object = members(r#"{"t":{"a":1},"i":"one","l":"x","big":3000000000}"#);
        let m = Members(&object);
        assert_eq!(
            m.text("t").expect_err("object").message,
            "Cannot deserialize value of type `String` from Object value (token `JsonToken.START_OBJECT`)"
        );
        assert_eq!(m.int("i").expect_err("text").code, 400);
        assert_eq!(m.int("big").expect_err("range").code, 400);
        assert_eq!(
            m.list("l", "SchemaReference").expect_err("text").message,
            "Cannot deserialize value of type `SchemaReference>` from String value (token `JsonToken.VALUE_STRING`)"
        );
    }

    #[test]
    fn nothing_and_null_are_no_body() {
        for text in ["", " \n", "null"] {
            assert_eq!(
                parse(Some(text.as_bytes()), "T").expect("no error"),
                None,
                "{text:?}"
            );
        }
        assert_eq!(parse(Some(b"{bad"), "T").expect_err("bad").code, 400);
        assert_eq!(parse(Some(b"[]"), "T").expect_err("array").code, 400);
        assert_eq!(
            parse(Some(b"{\"a\":\xff}"), "T").expect_err("UTF-8").code,
            400
        );
        let deep = "{\"a\":".repeat(10_000);
        assert_eq!(
            parse(Some(deep.as_bytes()), "T").expect_err("deep").code,
            400
        );
    }
}
