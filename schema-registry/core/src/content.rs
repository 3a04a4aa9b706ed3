//! What is registered: a text with its type, references, metadata and rules, shared by all versions that carry it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use registry_formats::{Identity, IdentityParts, Reference, SchemaType};

use crate::metadata::Metadata;
use crate::name::SubjectName;
use crate::rules::RuleSet;

/// A type as it was registered; one that this registry cannot parse is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TypeName {
    Known(SchemaType),
    Other(Arc<str>),
}

impl TypeName {
    pub(crate) fn from_name(name: &str) -> Self {
        SchemaType::from_name(name).map_or_else(|| Self::Other(name.into()), Self::Known)
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Known(known) => known.name(),
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One content. Immutable but for what is computed once when it is first needed.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) schema_type: TypeName,
    pub(crate) text: Arc<str>,
    pub(crate) references: Box<[Reference]>,
    pub(crate) metadata: Option<Arc<Metadata>>,
    pub(crate) rule_set: Option<Arc<RuleSet>>,
    pub(crate) identity: Identity,
    /// The `md5` of the record, in base64: the hash from before sensitive metadata were encrypted. This registry never encrypts, it only keeps it.
    pub(crate) md5: Option<Box<str>>,
    /// The text as a JSON string; see [`crate::state::EscapedTexts`].
    pub(crate) escaped: OnceLock<Box<str>>,
    /// See [`crate::loose`].
    pub(crate) loose: OnceLock<u64>,
}

impl Content {
    pub(crate) fn new(
        schema_type: TypeName,
        text: Arc<str>,
        references: Vec<Reference>,
        metadata: Option<Arc<Metadata>>,
        rule_set: Option<Arc<RuleSet>>,
    ) -> Self {
        let identity = identity(&text, &references, metadata.as_deref(), rule_set.as_deref());
        Self {
            schema_type,
            text,
            references: references.into(),
            metadata,
            rule_set,
            identity,
            md5: None,
            escaped: OnceLock::new(),
            loose: OnceLock::new(),
        }
    }

    /// With the hash that its record gives.
    pub(crate) fn with_md5(mut self, md5: &str) -> Self {
        let bytes = base64::engine::general_purpose::STANDARD.decode(md5);
        if let Some(bytes) = bytes
            .ok()
            .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
        {
            self.identity = Identity(bytes);
            self.md5 = Some(md5.into());
        }
        self
    }

    /// Equality of everything that was registered.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.identity == other.identity
            && self.schema_type == other.schema_type
            && self.text == other.text
            && self.references == other.references
            && self.metadata == other.metadata
            && self.rule_set == other.rule_set
    }
}

/// The hash that makes two contents the same.
pub(crate) fn identity(
    text: &str,
    references: &[Reference],
    metadata: Option<&Metadata>,
    rule_set: Option<&RuleSet>,
) -> Identity {
    let mut parts = IdentityParts::new(text, references);
    if let Some(metadata) = metadata {
        metadata.hash(&mut parts);
    }
    if let Some(rule_set) = rule_set {
        rule_set.hash(&mut parts);
    }
    parts.finish()
}

/// A version of a subject.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) subject: Arc<SubjectName>,
    pub(crate) version: i32,
    pub(crate) id: i32,
    pub(crate) content: Arc<Content>,
    pub(crate) deleted: bool,
    /// Of the record, in milliseconds.
    pub(crate) timestamp: i64,
    /// The key bytes under which the record was found, where they are not ours.
    pub(crate) key: Option<Box<str>>,
}
