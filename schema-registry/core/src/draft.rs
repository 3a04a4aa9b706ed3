//! A schema on its way in: parsed, validated, made canonical.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use java_idioms::Json;
use java_idioms::json::ReadOptions;
use registry_formats::{ParseError, ParsedSchema, Reference, SchemaType, Strictness};

use crate::RegistryError;
use crate::body::{RegisterRequest, RequestReference};
use crate::config::Config;
use crate::content::{Content, Entry, TypeName, identity};
use crate::metadata::Metadata;
use crate::name::SubjectName;
use crate::outline::Outline;
use crate::parsed_cache::{Keep, ParseKey};
use crate::references::{self, Resolution};
use crate::registry::Registry;
use crate::rules::RuleSet;

/// A schema as it was sent, or as it was completed from the previous version.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) subject: SubjectName,
    pub(crate) version: i32,
    pub(crate) id: i32,
    pub(crate) schema_type: Arc<str>,
    pub(crate) references: Vec<RequestReference>,
    pub(crate) metadata: Option<Arc<Metadata>>,
    pub(crate) rule_set: Option<Arc<RuleSet>>,
    pub(crate) text: Option<Arc<str>>,
}

/// A schema ready to be stored.
#[derive(Debug)]
pub(crate) struct Canonical {
    pub(crate) parsed: ParsedSchema,
    pub(crate) content: Content,
    outline: OnceLock<Option<Outline>>,
}

impl Canonical {
    pub(crate) fn new(parsed: ParsedSchema, content: Content) -> Self {
        Self {
            parsed,
            content,
            outline: OnceLock::new(),
        }
    }

    /// Where the fields of an Avro record are; looked for once.
    pub(crate) fn outline(&self) -> Option<&Outline> {
        self.outline
            .get_or_init(|| match self.content.schema_type {
                TypeName::Known(SchemaType::Avro) => Outline::of(&self.content.text),
                _ => None,
            })
            .as_ref()
    }
}

/// How a draft is parsed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Treatment {
    /// With all checks of a new schema.
    pub(crate) as_new: bool,
    pub(crate) normalize: bool,
}

impl Draft {
    pub(crate) fn new(subject: SubjectName, request: &RegisterRequest) -> Self {
        Self {
            subject,
            version: request.version,
            id: request.id,
            schema_type: Arc::clone(&request.schema_type),
            references: request.references.clone(),
            metadata: request.metadata.clone(),
            rule_set: request.rule_set.clone(),
            text: request.schema.clone(),
        }
    }

    /// From a stored version.
    pub(crate) fn of_entry(entry: &Entry) -> Self {
        Self {
            subject: SubjectName::clone(&entry.subject),
            version: entry.version,
            id: entry.id,
            schema_type: entry.content.schema_type.name().into(),
            references: request_references(&entry.content.references),
            metadata: entry.content.metadata.clone(),
            rule_set: entry.content.rule_set.clone(),
            text: Some(Arc::clone(&entry.content.text)),
        }
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.text
            .as_ref()
            .is_none_or(|text| text.chars().all(|c| c <= ' '))
    }

    /// As Java prints it in error texts. `numbers`: with version and id.
    fn describe(&self, references: &[RequestReference], numbers: bool) -> String {
        let text = self.text.as_deref().unwrap_or_default();
        let complete: Vec<Reference> = references
            .iter()
            .filter_map(|r| r.complete().ok())
            .collect();
        let guid = identity(
            text,
            &complete,
            self.metadata.as_deref(),
            self.rule_set.as_deref(),
        );
        let number = |n: i32| {
            if numbers {
                n.to_string()
            } else {
                "null".to_owned()
            }
        };
        format!(
            "{{subject={},version={},id={},guid={guid},schemaType={},references={},metadata={},ruleSet={},schema={text},schemaTags=null,ts=null,deleted=null}}",
            self.subject,
            number(self.version),
            number(self.id),
            self.schema_type,
            list(references),
            self.metadata
                .as_ref()
                .map_or_else(|| "null".to_owned(), ToString::to_string),
            self.rule_set
                .as_ref()
                .map_or_else(|| "null".to_owned(), ToString::to_string),
        )
    }

    /// The error of a text that does not parse.
    fn unparsable(&self, references: &[RequestReference], details: &str) -> RegistryError {
        let schema_type = &self.schema_type;
        let inner = if &**schema_type == "AVRO" {
            format!(
                "Invalid schema {} with refs {} of type AVRO, details: {details}",
                self.describe(references, false),
                list(references)
            )
        } else {
            format!("Invalid schema of type {schema_type}, details: {details}")
        };
        RegistryError::invalid_schema(format!(
            "Invalid schema of type {schema_type}, details: {inner}"
        ))
    }

    /// The error of a text that parses and is no valid schema.
    fn invalid(&self, details: &str) -> RegistryError {
        RegistryError::invalid_schema(format!(
            "Invalid schema {}, details: {details}",
            self.describe(&self.references, true)
        ))
    }
}

fn list(references: &[RequestReference]) -> String {
    let mut out = String::from("[");
    for (i, reference) in references.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        let _ = write!(
            out,
            "{{name='{}', subject='{}', version={}}}",
            reference.name.as_deref().unwrap_or("null"),
            reference.subject.as_deref().unwrap_or("null"),
            reference
                .version
                .map_or_else(|| "null".to_owned(), |v| v.to_string())
        );
    }
    out.push(']');
    out
}

pub(crate) fn request_references(references: &[Reference]) -> Vec<RequestReference> {
    references
        .iter()
        .map(|r| RequestReference {
            name: Some(Arc::clone(&r.name)),
            subject: Some(Arc::clone(&r.subject)),
            version: Some(r.version),
        })
        .collect()
}

/// Deepest nesting of a schema text, far beyond any that people write. The original stops at twice that; parsers and comparisons go down as deep, on small stacks.
const MAX_DEPTH: usize = 500;

/// Refuses texts of brackets within brackets.
fn check_depth(schema_type: SchemaType, text: &str) -> Result<(), String> {
    if schema_type == SchemaType::Protobuf {
        // Its parser counts for itself.
        return Ok(());
    }
    // Few brackets do not nest deeply; counting them is quick.
    let is_open = |byte: &u8| matches!(byte, b'[' | b'{');
    if text.as_bytes().iter().filter(|b| is_open(b)).count() <= MAX_DEPTH {
        return Ok(());
    }
    let mut depth = 0usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(format!(
                        "Document nesting depth ({depth}) exceeds the maximum allowed ({MAX_DEPTH})"
                    ));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

impl Registry {
    /// Parses a draft and makes it canonical; `None` for a blank text.
    ///
    /// # Errors
    /// 42201, 42209 for a text over the limit.
    pub(crate) fn canonicalize(
        &self,
        draft: &Draft,
        config: &Config,
        treatment: Treatment,
    ) -> Result<Option<Canonical>, RegistryError> {
        if draft.is_blank() {
            return Ok(None);
        }
        let text = draft.text.clone().unwrap_or_default();
        let Some(schema_type) = SchemaType::from_name(&draft.schema_type) else {
            return Err(RegistryError::invalid_schema(format!(
                "Invalid schema type {}",
                draft.schema_type
            )));
        };
        let mut references = draft.references.clone();
        check_depth(schema_type, &text).map_err(|text| draft.unparsable(&references, &text))?;
        if text.len() > self.settings().max_schema_bytes {
            // Not parsed, which would take seconds; only told from a text that is no schema at all.
            if schema_type != SchemaType::Protobuf {
                let comments = ReadOptions {
                    comments: schema_type == SchemaType::Avro,
                    ..ReadOptions::default()
                };
                Json::check(&text, comments)
                    .map_err(|error| draft.unparsable(&references, &error.to_string()))?;
            }
            return Err(RegistryError::too_large());
        }
        let (resolved, generation, importing) = {
            let state = self.state();
            let importing = state.mode_in_scope(Some(&draft.subject)).is_import();
            let resolved = references::resolve_request(
                &state,
                &draft.subject,
                &mut references,
                self.resolution(treatment.as_new),
            );
            (resolved, state.generation, importing)
        };
        let resolved = resolved.map_err(|text| draft.unparsable(&references, &text))?;
        let complete = references
            .iter()
            .map(RequestReference::complete)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|text: String| draft.unparsable(&references, &text))?;
        // Only Avro tells new schemas from others; the others are validated unless they are imported.
        let strictness = match schema_type {
            SchemaType::Avro if treatment.as_new => Strictness::New,
            SchemaType::Json | SchemaType::Protobuf if !importing => Strictness::New,
            _ => Strictness::Stored,
        };
        let key = ParseKey {
            schema_type,
            identity: identity(&text, &complete, None, None),
            as_new: strictness == Strictness::New,
            context: (!complete.is_empty()).then(|| Arc::clone(&draft.subject.context)),
        };
        let parsed = match self.parsed().get(&key, generation) {
            Some(parsed) => parsed,
            None => {
                let parsed = ParsedSchema::parse(schema_type, &text, &resolved, strictness)
                    .map_err(|error| match error {
                        ParseError::Json(registry_formats::JsonSchemaError::Invalid(text))
                        | ParseError::Protobuf(registry_formats::ProtobufError::Invalid(text)) => {
                            draft.invalid(&text)
                        }
                        other => draft.unparsable(&references, &other.to_string()),
                    })?;
                self.parsed().put(
                    key,
                    parsed.clone(),
                    parsed.size_hint(),
                    generation,
                    Keep::Yes,
                );
                parsed
            }
        };
        if !importing
            && config
                .validate_fields
                .unwrap_or(self.settings().validate_fields)
        {
            parsed
                .check_field_names()
                .map_err(|text| draft.invalid(&text))?;
        }
        let (parsed, canonical, references) = if treatment.normalize {
            let canonical = parsed
                .normalized()
                .map_err(|error| draft.invalid(&error.to_string()))?;
            let mut sorted = complete;
            sorted.sort_by(|a, b| (&a.subject, a.version).cmp(&(&b.subject, b.version)));
            let mut distinct: Vec<Reference> = Vec::with_capacity(sorted.len());
            for reference in sorted {
                if !distinct.contains(&reference) {
                    distinct.push(reference);
                }
            }
            let parsed =
                ParsedSchema::parse(schema_type, &canonical, &resolved, Strictness::Stored)
                    .map_err(|error| draft.invalid(&error.to_string()))?;
            (parsed, canonical, distinct)
        } else {
            let canonical = parsed.canonical();
            (parsed, canonical, complete)
        };
        Ok(Some(Canonical::new(
            parsed,
            Content::new(
                TypeName::Known(schema_type),
                canonical.into(),
                references,
                draft.metadata.clone(),
                draft.rule_set.clone(),
            ),
        )))
    }

    pub(crate) fn resolution(&self, live_only: bool) -> Resolution {
        Resolution {
            live_only,
            limit: self.settings().max_references,
            strict_versions: self.settings().strict_reference_versions,
        }
    }

    /// Parses a stored version.
    ///
    /// # Errors
    /// 42201, where what is stored is no schema, or its references are gone.
    pub(crate) fn parse_stored(
        &self,
        entry: &Entry,
        keep: Keep,
    ) -> Result<ParsedSchema, RegistryError> {
        self.parse_content(&entry.subject, &entry.content, keep)
            .map_err(|details| {
                Draft::of_entry(entry)
                    .unparsable(&request_references(&entry.content.references), &details)
            })
    }

    fn parse_content(
        &self,
        subject: &SubjectName,
        content: &Content,
        keep: Keep,
    ) -> Result<ParsedSchema, String> {
        let TypeName::Known(schema_type) = content.schema_type else {
            return Err(format!("Invalid schema type {}", content.schema_type));
        };
        let with_references = !content.references.is_empty();
        let key = ParseKey {
            schema_type,
            identity: content.identity,
            as_new: false,
            context: with_references.then(|| Arc::clone(&subject.context)),
        };
        let (resolved, generation) = if with_references {
            let state = self.state();
            if let Some(parsed) = self.parsed().get(&key, state.generation) {
                return Ok(parsed);
            }
            let resolved = references::resolve_stored(
                &state,
                subject,
                &content.references,
                self.resolution(false),
            )?;
            (resolved, state.generation)
        } else {
            if let Some(parsed) = self.parsed().get(&key, 0) {
                return Ok(parsed);
            }
            (Vec::new(), 0)
        };
        check_depth(schema_type, &content.text)?;
        let parsed = ParsedSchema::parse(schema_type, &content.text, &resolved, Strictness::Stored)
            .map_err(|error| error.to_string())?;
        self.parsed()
            .put(key, parsed.clone(), parsed.size_hint(), generation, keep);
        Ok(parsed)
    }
}

impl Registry {
    /// Parses what is shown, stored or not.
    ///
    /// # Errors
    /// 42201, where it is no schema, or its references are gone.
    pub(crate) fn parse_shown(
        &self,
        subject: &SubjectName,
        content: &Content,
        keep: Keep,
    ) -> Result<ParsedSchema, RegistryError> {
        self.parse_content(subject, content, keep)
            .map_err(|details| {
                RegistryError::invalid_schema(format!(
                    "Invalid schema of type {}, details: {details}",
                    content.schema_type
                ))
            })
    }
}
