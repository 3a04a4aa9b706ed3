use std::sync::Arc;

use java_idioms::json::{Json, Object, ReadOptions, write_string_to_bytes};
use registry_formats::{Reference, SchemaType};

use crate::Personality;
use crate::body::{Members, metadata, rule_set};
use crate::config::{Config, ConfigForm, LenientPolicy, Level, Mode};
use crate::content::{Content, TypeName};
use crate::name::SubjectName;
use crate::render::write_references;

/// The value of a schema record.
#[derive(Debug)]
pub(crate) struct SchemaValue {
    pub(crate) id: i32,
    pub(crate) deleted: bool,
    pub(crate) content: Content,
}

/// The value of an association record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssociationValue {
    pub(crate) guid: Arc<str>,
    pub(crate) resource_id: Arc<str>,
    /// `STRONG`, otherwise `WEAK`.
    pub(crate) strong: bool,
    pub(crate) frozen: bool,
}

fn object(text: &str) -> Result<Object, String> {
    let options = ReadOptions {
        max_depth: 200,
        ..ReadOptions::default()
    };
    match Json::read(text, options) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(_) => Err("the value is no object".to_owned()),
        Err(error) => Err(format!("the value is not JSON: {}", error.message)),
    }
}

/// # Errors
/// What is wrong with it.
pub(crate) fn read_schema(text: &str) -> Result<SchemaValue, String> {
    let object = object(text)?;
    let members = Members(&object);
    let message = |e: crate::RegistryError| e.message;
    let id = members
        .int("id")
        .map_err(message)?
        .ok_or("the value has no id")?;
    let schema = members
        .text("schema")
        .map_err(message)?
        .ok_or("the value has no schema")?;
    let schema_type = members
        .text("schemaType")
        .map_err(message)?
        .map_or(TypeName::Known(SchemaType::Avro), |name| {
            TypeName::from_name(&name)
        });
    let mut references = Vec::new();
    for value in members
        .list("references", "SchemaReference")
        .map_err(message)?
        .unwrap_or_default()
    {
        let reference = Members::of(value, "SchemaReference").map_err(message)?;
        references.push(Reference {
            name: reference
                .text("name")
                .map_err(message)?
                .ok_or("a reference has no name")?,
            subject: reference
                .text("subject")
                .map_err(message)?
                .ok_or("a reference has no subject")?,
            version: reference
                .int("version")
                .map_err(message)?
                .ok_or("a reference has no version")?,
        });
    }
    let metadata = members
        .value("metadata")
        .map(metadata)
        .transpose()
        .map_err(message)?;
    let rules = members
        .value("ruleSet")
        .map(rule_set)
        .transpose()
        .map_err(message)?;
    let md5 = members.text("md5").map_err(message)?;
    let content = Content::new(
        schema_type,
        schema,
        references,
        metadata.map(Arc::new),
        rules.map(Arc::new),
    );
    Ok(SchemaValue {
        id,
        deleted: members
            .boolean("deleted")
            .map_err(message)?
            .unwrap_or(false),
        content: match md5 {
            Some(md5) => content.with_md5(&md5),
            None => content,
        },
    })
}

/// The bytes of a schema record's value.
pub(crate) fn write_schema(
    subject: &SubjectName,
    version: i32,
    id: i32,
    content: &Content,
    deleted: bool,
    personality: Personality,
) -> String {
    let mut out = String::with_capacity(content.text.len() * 9 / 8 + 128);
    out.push_str("{\"subject\":");
    write_string_to_bytes(&subject.to_string(), &mut out);
    out.push_str(",\"version\":");
    out.push_str(&version.to_string());
    out.push_str(",\"id\":");
    out.push_str(&id.to_string());
    if let Some(md5) = &content.md5 {
        out.push_str(",\"md5\":");
        write_string_to_bytes(md5, &mut out);
    }
    if personality > Personality::V7_9 || content.schema_type != TypeName::Known(SchemaType::Avro) {
        out.push_str(",\"schemaType\":");
        write_string_to_bytes(content.schema_type.name(), &mut out);
    }
    if !content.references.is_empty() {
        out.push_str(",\"references\":");
        write_references(&content.references, &mut out);
    }
    if let Some(metadata) = &content.metadata {
        out.push_str(",\"metadata\":");
        metadata.write(&mut out);
    }
    if let Some(rules) = &content.rule_set {
        out.push_str(",\"ruleSet\":");
        rules.write(&mut out);
    }
    out.push_str(",\"schema\":");
    write_string_to_bytes(&content.text, &mut out);
    out.push_str(if deleted {
        ",\"deleted\":true}"
    } else {
        ",\"deleted\":false}"
    });
    out
}

fn subject_member(subject: Option<&SubjectName>) -> String {
    let mut out = String::from("{");
    // The empty name is left out, as all empty texts are.
    if let Some(name) = subject.map(ToString::to_string).filter(|n| !n.is_empty()) {
        out.push_str("\"subject\":");
        write_string_to_bytes(&name, &mut out);
    }
    out
}

/// # Errors
/// What is wrong with it.
pub(crate) fn read_config(text: &str) -> Result<Config, String> {
    let object = object(text)?;
    let members = Members(&object);
    let message = |e: crate::RegistryError| e.message;
    let text = |member: &str| members.text(member).map_err(message);
    let boolean = |member: &str| members.boolean(member).map_err(message);
    let level = match text("compatibilityLevel")? {
        None => None,
        Some(name) => Some(
            Level::from_name(&name).ok_or_else(|| format!("unknown compatibility level {name}"))?,
        ),
    };
    let metadata = |member: &str| -> Result<_, String> {
        Ok(members
            .value(member)
            .map(metadata)
            .transpose()
            .map_err(message)?
            .map(Arc::new))
    };
    let rules = |member: &str| -> Result<_, String> {
        Ok(members
            .value(member)
            .map(rule_set)
            .transpose()
            .map_err(message)?
            .map(Arc::new))
    };
    Ok(Config {
        alias: text("alias")?,
        alias_for_deks: text("aliasForDeks")?,
        normalize: boolean("normalize")?,
        validate_fields: boolean("validateFields")?,
        validate_new_schemas: boolean("validateNewSchemas")?,
        validate_rules: boolean("validateRules")?,
        level,
        policy: text("compatibilityPolicy")?.and_then(|name| LenientPolicy::from_name(&name)),
        group: text("compatibilityGroup")?,
        default_metadata: metadata("defaultMetadata")?,
        override_metadata: metadata("overrideMetadata")?,
        default_rule_set: rules("defaultRuleSet")?,
        override_rule_set: rules("overrideRuleSet")?,
    })
}

pub(crate) fn write_config(subject: Option<&SubjectName>, config: &Config) -> String {
    let mut out = subject_member(subject);
    let separator = if out.len() > 1 { "," } else { "" };
    config.write_members(ConfigForm::Stored, separator, &mut out);
    out.push('}');
    out
}

/// # Errors
/// What is wrong with it.
pub(crate) fn read_mode(text: &str) -> Result<Mode, String> {
    let object = object(text)?;
    let name = Members(&object)
        .text("mode")
        .map_err(|e| e.message)?
        .ok_or("the value has no mode")?;
    Mode::from_name(&name).ok_or_else(|| format!("unknown mode {name}"))
}

pub(crate) fn write_mode(subject: Option<&SubjectName>, mode: Mode) -> String {
    let mut out = subject_member(subject);
    if out.len() > 1 {
        out.push(',');
    }
    out.push_str("\"mode\":\"");
    out.push_str(mode.name());
    out.push_str("\"}");
    out
}

/// The version up to which everything is deleted.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_delete_subject(text: &str) -> Result<i32, String> {
    let object = object(text)?;
    Members(&object)
        .int("version")
        .map_err(|e| e.message)?
        .ok_or_else(|| "the value has no version".to_owned())
}

pub(crate) fn write_delete_subject(subject: &SubjectName, version: i32) -> String {
    let mut out = subject_member(Some(subject));
    if out.len() > 1 {
        out.push(',');
    }
    out.push_str("\"version\":");
    out.push_str(&version.to_string());
    out.push('}');
    out
}

pub(crate) fn write_clear_subject(subject: Option<&SubjectName>) -> String {
    let mut out = subject_member(subject);
    out.push('}');
    out
}

pub(crate) fn write_context(context: &str) -> String {
    let mut out = String::from("{\"tenant\":\"default\",\"context\":");
    write_string_to_bytes(context, &mut out);
    out.push('}');
    out
}

/// # Errors
/// What is wrong with it.
pub(crate) fn read_association(text: &str) -> Result<AssociationValue, String> {
    let object = object(text)?;
    let members = Members(&object);
    let required = |member: &str| -> Result<Arc<str>, String> {
        members
            .text(member)
            .map_err(|e| e.message)?
            .ok_or_else(|| format!("the value has no {member}"))
    };
    Ok(AssociationValue {
        guid: required("guid")?,
        resource_id: required("resourceId")?,
        strong: match &*required("lifecycle")? {
            "STRONG" => true,
            "WEAK" => false,
            other => return Err(format!("unknown lifecycle {other}")),
        },
        frozen: members
            .boolean("frozen")
            .map_err(|e| e.message)?
            .unwrap_or(false),
    })
}

pub(crate) fn write_association(key: &super::AssociationKey, value: &AssociationValue) -> String {
    let mut out = String::from("{");
    for (i, (member, text)) in [
        ("guid", &*value.guid),
        ("tenant", "default"),
        ("resourceName", &*key.resource_name),
        ("resourceNamespace", &*key.resource_namespace),
        ("resourceId", &*value.resource_id),
        ("resourceType", &*key.resource_type),
        ("associationType", &*key.association_type),
        ("subject", &*key.subject),
        ("lifecycle", if value.strong { "STRONG" } else { "WEAK" }),
    ]
    .into_iter()
    .enumerate()
    {
        out.push_str(if i > 0 { ",\"" } else { "\"" });
        out.push_str(member);
        out.push_str("\":");
        write_string_to_bytes(text, &mut out);
    }
    out.push_str(if value.frozen {
        ",\"frozen\":true}"
    } else {
        ",\"frozen\":false}"
    });
    out
}
