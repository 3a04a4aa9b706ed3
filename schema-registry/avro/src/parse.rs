//! Text to types, with the verdicts of Java's `Schema.Parser` in their order.
//!
//! Java parses in two passes: the first leaves a stand-in where a name is not known yet, the second puts the types in their place. What is wrong is found in that order, so it is done
//! in that order here too; the second pass is in `link.rs`.

mod members;
mod named;

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use java_idioms::json::{NumberStyle, ReadOptions};
use java_idioms::{Json, JsonError, Object};

use crate::names::Validator;
use crate::schema::{AvroSchema, Kind, Name, Record, Type, TypeId};
use crate::{AvroError, Strictness};
use members::{SCHEMA_RESERVED, logical_type_first, primitive, properties, required};

/// How deeply Jackson's writer nests: a text that is deeper could be written by nobody and read by nobody.
const MOST_DEPTH: usize = 1000;

impl AvroSchema {
    /// Parses `text`. `references` are texts of other schemas whose named types it may use, in the order in which they must be parsed.
    ///
    /// # Errors
    /// Java's verdict.
    pub fn parse(
        text: &str,
        references: &[Arc<str>],
        strictness: Strictness,
    ) -> Result<Self, AvroError> {
        let mut parser = Parser::new(strictness);
        let mut known = Vec::with_capacity(references.len());
        for reference in references {
            let root = parser.document(reference)?;
            known.push(root);
        }
        let root = parser.document(text)?;
        let mut whole = AvroSchema::without_lookups(parser.types, root);
        let known: Vec<Arc<str>> = known
            .into_iter()
            .map(|id| whole.full_name_of(id).into())
            .collect();
        whole.compact();
        let mut schema = AvroSchema::new(whole.types, whole.root);
        schema.known = known;
        schema.references = references.to_vec();
        schema.strictness = strictness;
        if strictness == Strictness::Stored {
            schema.check_names()?;
        }
        if (parser.may_nest || !references.is_empty()) && schema.nests_beyond(MOST_DEPTH) {
            return Err(AvroError {
                class: Some("com.fasterxml.jackson.core.exc.StreamConstraintsException"),
                message: format!(
                    "Document nesting depth ({}) exceeds the maximum allowed ({MOST_DEPTH}, from `StreamWriteConstraints.getMaxNestingDepth()`)",
                    MOST_DEPTH + 1
                ),
            });
        }
        Ok(schema)
    }

    /// Keeps what the root reaches.
    fn compact(&mut self) {
        let order = self.reachable();
        if order.len() == self.types.len() {
            return;
        }
        let mut moved = vec![TypeId(0); self.types.len()];
        for (to, from) in (0u32..).zip(&order) {
            moved[from.0 as usize] = TypeId(to);
        }
        let mut types: Vec<Option<Type>> = std::mem::take(&mut self.types)
            .into_iter()
            .map(Some)
            .collect();
        self.types = order
            .iter()
            .filter_map(|id| types[id.0 as usize].take())
            .map(|mut of| {
                of.kind.for_each_part(|id| *id = moved[id.0 as usize]);
                of
            })
            .collect();
        self.root = TypeId(0);
    }
}

impl AvroError {
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self {
            class: None,
            message: message.into(),
        }
    }
}

impl From<JsonError> for AvroError {
    fn from(error: JsonError) -> Self {
        let class = if error.limit {
            "com.fasterxml.jackson.core.exc.StreamConstraintsException"
        } else if error.message.starts_with("Unexpected end-of-input") {
            "com.fasterxml.jackson.core.io.JsonEOFException"
        } else {
            "com.fasterxml.jackson.core.JsonParseException"
        };
        Self {
            class: Some(class),
            message: error.to_string(),
        }
    }
}

type Parsed<T> = Result<T, AvroError>;

fn fail<T>(message: String) -> Parsed<T> {
    Err(AvroError::plain(message))
}

/// As Jackson prints a tree inside of a message.
pub(crate) fn shown(json: &Json) -> String {
    json.to_text_styled(NumberStyle::Double)
}

/// The state of one or several texts that see each other's names.
pub(crate) struct Parser {
    pub(crate) types: Vec<Type>,
    pub(crate) strictness: Strictness,
    /// Named types by full name, in the order in which they were defined.
    pub(crate) names: IndexMap<Arc<str>, TypeId>,
    /// Stand-ins and the names that they stand for.
    pub(crate) unresolved: HashMap<TypeId, Arc<str>>,
    /// The types of this text begin here.
    pub(crate) from: usize,
    /// Whether names were used before they were defined, so that the output may nest more deeply than the input.
    may_nest: bool,
    /// Whether this text defines a name that no text before it did.
    pub(crate) defines: bool,
    /// Whether a default was compared with a record.
    pub(crate) record_defaults: std::cell::Cell<bool>,
    /// Steps of the second passes over all texts.
    pub(crate) walked: usize,
    counter: usize,
    /// Types that are only a word, which all their uses share.
    words: [Option<TypeId>; 8],
}

impl Parser {
    fn new(strictness: Strictness) -> Self {
        Self {
            types: Vec::with_capacity(16),
            strictness,
            names: IndexMap::new(),
            unresolved: HashMap::new(),
            from: 0,
            may_nest: false,
            defines: false,
            record_defaults: std::cell::Cell::new(false),
            walked: 0,
            counter: 0,
            words: [None; 8],
        }
    }

    fn document(&mut self, text: &str) -> Parsed<TypeId> {
        self.from = self.types.len();
        self.defines = false;
        let options = ReadOptions {
            comments: true,
            ..ReadOptions::default()
        };
        let (json, length) = match Json::read_first(text, options) {
            Ok(read) => read,
            Err(error) if error.message == "No content to map due to end-of-input" => {
                return fail("Cannot parse <null> schema".to_owned());
            }
            Err(error) => return Err(error.into()),
        };
        let parsed = self.schema(&json, None)?;
        self.may_nest |= !self.unresolved.is_empty();
        let root = self.link(parsed)?;
        let dangling = text[length..].trim_matches(|c: char| c <= ' ');
        if !dangling.is_empty() {
            return fail(format!("dangling content after end of schema: {dangling}"));
        }
        Ok(root)
    }

    pub(crate) fn add(&mut self, kind: Kind, properties: Object) -> TypeId {
        let id = TypeId(u32::try_from(self.types.len()).unwrap_or(u32::MAX));
        self.types.push(Type { kind, properties });
        id
    }

    fn validator(&self) -> Validator {
        match self.strictness {
            Strictness::New => Validator::Strict,
            Strictness::Stored => Validator::None,
        }
    }

    fn check_name(&self, name: &str) -> Parsed<()> {
        self.validator().check(name).map_err(AvroError::plain)
    }

    fn schema(&mut self, json: &Json, namespace: Option<&Arc<str>>) -> Parsed<TypeId> {
        match json {
            Json::String(name) => Ok(self.find(name, namespace)),
            Json::Object(members) => self.object(json, members, namespace),
            Json::Array(branches) => self.union(branches, namespace),
            _ => fail(format!("Schema not yet supported: {}", shown(json))),
        }
    }

    fn find(&mut self, name: &str, namespace: Option<&Arc<str>>) -> TypeId {
        if let Some(kind) = primitive(name) {
            let at = word_index(&kind);
            if let Some(id) = self.words[at] {
                return id;
            }
            let id = self.add(kind, Object::new());
            self.words[at] = Some(id);
            return id;
        }
        let full: Arc<str> = match namespace {
            Some(namespace) if !name.contains('.') => format!("{namespace}.{name}").into(),
            _ => name.into(),
        };
        if let Some(id) = self.names.get(&full).or_else(|| self.names.get(name)) {
            return *id;
        }
        let stand_in = Record {
            name: Name {
                simple: format!("UnresolvedSchema_{}", self.counter).into(),
                namespace: Some("org.apache.avro.compiler".into()),
            },
            doc: Some("unresolved schema".into()),
            fields: Vec::new(),
            aliases: Vec::new(),
            is_error: false,
        };
        self.counter += 1;
        let mut properties = Object::new();
        properties.insert(
            "org.apache.avro.idl.unresolved.name".into(),
            Json::String(Arc::clone(&full)),
        );
        let id = self.add(Kind::Record(stand_in), properties);
        self.unresolved.insert(id, full);
        id
    }

    fn object(
        &mut self,
        json: &Json,
        members: &Object,
        namespace: Option<&Arc<str>>,
    ) -> Parsed<TypeId> {
        let word = required(json, "type", "No type")?;
        match &**word {
            "record" | "error" => self.record(json, members, namespace, &**word == "error"),
            "enum" => self.enumeration(json, members, namespace),
            "array" => self.container(json, members, namespace, "items"),
            "map" => self.container(json, members, namespace, "values"),
            "fixed" => self.fixed(json, members, namespace),
            name => match primitive(name) {
                Some(kind) => Ok(self.add(kind, properties(members, &SCHEMA_RESERVED))),
                None => Ok(self.find(name, namespace)),
            },
        }
    }

    fn container(
        &mut self,
        json: &Json,
        members: &Object,
        namespace: Option<&Arc<str>>,
        of: &str,
    ) -> Parsed<TypeId> {
        let Some(inner) = members.get(of) else {
            return self.no_container(json, of);
        };
        let inner = self.schema(inner, namespace)?;
        Ok(self.contain(members, of, inner))
    }

    fn no_container(&self, json: &Json, of: &str) -> Parsed<TypeId> {
        let kind = if of == "items" { "Array" } else { "Map" };
        fail(format!("{kind} has no {of} type: {}", shown(json)))
    }

    fn contain(&mut self, members: &Object, of: &str, inner: TypeId) -> TypeId {
        let mut properties = properties(members, &SCHEMA_RESERVED);
        if of == "items" {
            if self.is_logical_map(inner, &properties) {
                logical_type_first(&mut properties);
            }
            self.add(Kind::Array(inner), properties)
        } else {
            self.add(Kind::Map(inner), properties)
        }
    }

    fn union(&mut self, branches: &[Json], namespace: Option<&Arc<str>>) -> Parsed<TypeId> {
        let mut ids = Vec::with_capacity(branches.len());
        for branch in branches {
            ids.push(self.schema(branch, namespace)?);
        }
        let id = self.add(Kind::Union(ids), Object::new());
        self.check_union(id)?;
        Ok(id)
    }

    /// No branch is a union, no two have one name.
    pub(crate) fn check_union(&self, id: TypeId) -> Parsed<()> {
        let Kind::Union(branches) = &self.types[id.0 as usize].kind else {
            return Ok(());
        };
        let kind = |id: &TypeId| &self.types[id.0 as usize].kind;
        // Most unions are of two different words.
        if let [one, other] = branches.as_slice()
            && is_word(kind(one))
            && is_word(kind(other))
            && std::mem::discriminant(kind(one)) != std::mem::discriminant(kind(other))
        {
            return Ok(());
        }
        let mut seen = std::collections::HashSet::with_capacity(branches.len());
        for branch in branches {
            let kind = kind(branch);
            let name = match kind.named() {
                Some(name) => name.full(),
                None if matches!(kind, Kind::Union(_)) => {
                    let whole = AvroSchema::new(self.types.clone(), id);
                    return fail(format!("Nested union: {}", whole.text_of(id)));
                }
                None => kind.name().to_owned(),
            };
            if let Some(name) = seen.replace(name) {
                return fail(format!("Duplicate in union:{name}"));
            }
        }
        Ok(())
    }
}

/// Whether a type has neither a name nor parts.
fn is_word(kind: &Kind) -> bool {
    kind.named().is_none() && !matches!(kind, Kind::Union(_) | Kind::Array(_) | Kind::Map(_))
}

fn word_index(kind: &Kind) -> usize {
    match kind {
        Kind::Boolean => 1,
        Kind::Int => 2,
        Kind::Long => 3,
        Kind::Float => 4,
        Kind::Double => 5,
        Kind::Bytes => 6,
        Kind::String => 7,
        _ => 0,
    }
}

/// The constant of Java's `Schema.Type`.
pub(crate) fn type_word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Null => "NULL",
        Kind::Boolean => "BOOLEAN",
        Kind::Int => "INT",
        Kind::Long => "LONG",
        Kind::Float => "FLOAT",
        Kind::Double => "DOUBLE",
        Kind::Bytes => "BYTES",
        Kind::String => "STRING",
        Kind::Record(_) => "RECORD",
        Kind::Enum(_) => "ENUM",
        Kind::Fixed(_) => "FIXED",
        Kind::Array(_) => "ARRAY",
        Kind::Map(_) => "MAP",
        Kind::Union(_) => "UNION",
    }
}
