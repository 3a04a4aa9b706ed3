//! JSON Schema as the Confluent registry sees it: drafts 4, 6, 7, 2019-09 and 2020-12 read into one model, printed, compared.
//!
//! No I/O: references come from the caller, nothing is fetched.

mod diff;
mod load;
mod metaschema;
mod model;
mod pattern;
mod tree;
mod uri;
mod validate;

use std::sync::{Arc, OnceLock};

use java_idioms::Json;
use java_idioms::json::{NumberStyle, ReadOptions, write_string};

pub use tree::{Criterion, NodeKind, NodeRef, SchemaTree};
pub use validate::Violation;

use model::Model;

/// Why a text is no JSON schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonSchemaError {
    /// Not JSON: the registry says `Invalid JSON schema` and the details are the library's own.
    #[error("{0}")]
    NotASchema(String),
    /// JSON, but not valid as a schema of its draft, or a `$ref` that does not resolve. Starts with `Invalid JSON`, which is all that the original says.
    #[error("{0}")]
    Invalid(String),
}

/// Which differences are compatible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// The default.
    #[default]
    Strict,
    /// Content models may be opened and closed.
    Lenient,
}

/// One incompatible difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// `TYPE_CHANGED` and the like.
    pub kind: &'static str,
    /// `#/properties/a`
    pub path: String,
    /// The whole text as the registry sends it, uneven quotes included.
    pub message: String,
}

/// Which side of a comparison is the new schema; the texts say "new" and "old".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The new schema reads what the old one wrote.
    Backward,
    /// The old schema reads what the new one wrote.
    Forward,
}

/// How strictly a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Checked as a schema of its draft, references resolved.
    New,
    /// Only parsed. What it means is found out at the first comparison.
    Stored,
}

/// A schema. Immutable; share it in an `Arc`.
#[derive(Debug, Clone)]
pub struct JsonSchema {
    json: Json,
    title: Option<Arc<str>>,
    references: Arc<[(Arc<str>, Arc<str>)]>,
    model: OnceLock<Result<Arc<Model>, String>>,
}

impl JsonSchema {
    /// Parses `text`: its first JSON value, what follows is not looked at. `references` are (name as in `$ref`, text), dependencies first.
    ///
    /// # Errors
    /// See [`JsonSchemaError`].
    pub fn parse(
        text: &str,
        references: &[(Arc<str>, Arc<str>)],
        strictness: Strictness,
    ) -> Result<Self, JsonSchemaError> {
        let (json, _) = Json::read_first(text, ReadOptions::default()).map_err(|error| {
            JsonSchemaError::NotASchema(format!("Invalid JSON schema: {}", error.message))
        })?;
        let title = match json.get("title") {
            None | Some(Json::Array(_) | Json::Object(_)) => None,
            Some(Json::String(title)) => Some(Arc::clone(title)),
            Some(other) => Some(other.to_text().into()),
        };
        let schema = Self {
            json,
            title,
            references: references.into(),
            model: OnceLock::new(),
        };
        if strictness == Strictness::New {
            schema.model().map_err(JsonSchemaError::Invalid)?;
        }
        Ok(schema)
    }

    fn model(&self) -> Result<&Model, String> {
        self.model
            .get_or_init(|| {
                load::load(&self.json, &self.references, load::Options::default())
                    .map(Arc::new)
                    .map_err(|reason| format!("Invalid JSON: {reason}"))
            })
            .as_deref()
            .map_err(Clone::clone)
    }

    /// The canonical text, which the registry stores: no blanks, members in their order, decimals as Java's `BigDecimal` prints them.
    pub fn canonical(&self) -> String {
        self.json.to_text_styled(NumberStyle::Decimal)
    }

    /// The normalized text (`normalize=true`): the same with sorted members.
    pub fn normalized(&self) -> String {
        let mut out = String::new();
        write_sorted(&self.json, &mut out);
        out
    }

    /// Whether two schemas are the same parsed schema: whether their canonical texts are equal. References are compared by their owner.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }

    /// `title`: the record name for subject name strategies.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// The schema's JSON tree.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// The schema taken apart, for those who translate it. Drafts after 7 are read as 7 when `classic_only`. Built anew at each call.
    ///
    /// # Errors
    /// A schema that is not valid: a text to show.
    pub fn tree(&self, classic_only: bool) -> Result<SchemaTree, String> {
        let options = load::Options {
            detailed: true,
            classic_only,
        };
        load::load(&self.json, &self.references, options)
            .map(SchemaTree::new)
            .map_err(|reason| format!("Invalid JSON: {reason}"))
    }

    /// Approximate bytes on the heap, what a comparison adds included.
    pub fn size_hint(&self) -> usize {
        let model = match self.model.get() {
            Some(Ok(model)) => model.size_hint(),
            _ => 0,
        };
        let references: usize = self
            .references
            .iter()
            .map(|(name, text)| name.len() + text.len() + 64)
            .sum();
        size_of::<Self>() + json_size(&self.json) + references + model
    }

    /// Every incompatible difference between `reader` and `writer`, in the registry's order.
    ///
    /// # Errors
    /// A comparison that exceeds its limits (exponential combinations, too many levels), or a stored schema that turns out to be invalid: a text to show.
    pub fn check(
        reader: &Self,
        writer: &Self,
        direction: Direction,
        policy: Policy,
    ) -> Result<Vec<Incompatibility>, String> {
        diff::compare(writer.model()?, reader.model()?, direction, policy)
    }
}

fn write_sorted(json: &Json, out: &mut String) {
    match json {
        Json::Array(values) => {
            out.push('[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_sorted(value, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            // As Java compares strings: by UTF-16 units.
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (i, (name, value)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(name, out);
                out.push(':');
                write_sorted(value, out);
            }
            out.push('}');
        }
        _ => json.write(NumberStyle::Decimal, out),
    }
}

fn json_size(json: &Json) -> usize {
    // What an allocation and an index entry cost on top.
    const HEADER: usize = 32;
    let mut size = 0;
    let mut stack = vec![json];
    while let Some(json) = stack.pop() {
        match json {
            Json::Number(number) => size += number.literal().len() + HEADER / 2,
            Json::String(text) => size += text.len() + HEADER,
            Json::Array(values) => {
                size += HEADER + values.len() * size_of::<Json>();
                stack.extend(values);
            }
            Json::Object(members) => {
                for name in members.keys() {
                    size += name.len() + 2 * HEADER + size_of::<Json>();
                }
                stack.extend(members.values());
            }
            Json::Null | Json::Bool(_) => {}
        }
    }
    size
}
