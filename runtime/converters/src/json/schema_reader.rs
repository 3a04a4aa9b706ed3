//! Schemas out of JSON, each text parsed once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use millrace_api::data::{Blob, Kind, Schema, SchemaBuilder};
use millrace_api::plugin::DataError;

use super::plan::ReadPlan;
use super::read::ValueReader;
use super::reader::{Fault, Reader, Token};
use super::schema_text::type_of;

type Outcome<T> = Result<T, Box<Fault>>;

const BUILDER_EXCEPTION: &str = "org.apache.kafka.connect.errors.SchemaBuilderException";

/// Schemas by the bytes that describe them, so that an envelope costs a comparison of bytes instead of a parse.
///
/// Bounded: when full it starts afresh.
#[derive(Debug)]
pub(crate) struct SchemaCache {
    entries: Vec<(Box<[u8]>, Arc<ReadPlan>)>,
    by_hash: HashMap<u64, Vec<usize>>,
    last: usize,
    capacity: usize,
}

impl SchemaCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: Vec::new(),
            by_hash: HashMap::new(),
            last: 0,
            capacity,
        }
    }

    /// Reads the schema that is next in the document; `None` is null.
    pub(crate) fn read(
        &mut self,
        document: &Blob,
        reader: &mut Reader<'_>,
    ) -> Outcome<Option<Arc<ReadPlan>>> {
        let token = reader.peek()?;
        let start = reader.position();
        if token == Token::Null {
            reader.literal()?;
            return Ok(None);
        }
        let rest = &reader.bytes()[start..];
        // A whole object that the rest begins with is the next value: neighbours mostly share it, so its end need not be looked for.
        if let Some((raw, plan)) = self.entries.get(self.last)
            && rest.starts_with(raw)
        {
            reader.seek(start + raw.len());
            return Ok(Some(Arc::clone(plan)));
        }
        reader.skip()?;
        let raw = &reader.bytes()[start..reader.position()];
        let mut hasher = DefaultHasher::new();
        raw.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(&at) = self
            .by_hash
            .get(&hash)
            .and_then(|found| found.iter().find(|at| *self.entries[**at].0 == *raw))
        {
            self.last = at;
            return Ok(Some(Arc::clone(&self.entries[at].1)));
        }
        let schema = read_schema(document, start)?;
        let plan = Arc::new(ReadPlan::new(&schema));
        if self.capacity > 0 && raw.first() == Some(&b'{') {
            if self.entries.len() >= self.capacity {
                self.entries.clear();
                self.by_hash.clear();
            }
            self.last = self.entries.len();
            self.by_hash.entry(hash).or_default().push(self.last);
            self.entries.push((raw.into(), Arc::clone(&plan)));
        }
        Ok(Some(plan))
    }
}

/// Reads the schema at `at`.
pub(crate) fn read_schema(document: &Blob, at: usize) -> Outcome<Schema> {
    let tree = Node::read(&mut Reader::new(document, at))?;
    to_schema(document, &tree)
}

/// A description as a tree: small, and parsed once.
struct Node {
    /// Where it starts.
    at: usize,
    content: Content,
}

enum Content {
    Null,
    Boolean(bool),
    /// An integer, wrapped to 32 bits; `None`: a number with a fraction.
    Number(Option<i32>),
    Text(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    fn read(reader: &mut Reader<'_>) -> Outcome<Self> {
        let token = reader.peek()?;
        let at = reader.position();
        let mut first = true;
        let content = match token {
            Token::Null | Token::Boolean => {
                reader.literal()?.map_or(Content::Null, Content::Boolean)
            }
            Token::Number => {
                let number = reader.number()?;
                let wrapped = || {
                    number
                        .text
                        .bytes()
                        .filter(u8::is_ascii_digit)
                        .fold(0i32, |v, d| {
                            v.wrapping_mul(10).wrapping_add(i32::from(d & 15))
                        })
                };
                Content::Number(number.integral.then(|| {
                    if number.text.starts_with('-') {
                        wrapped().wrapping_neg()
                    } else {
                        wrapped()
                    }
                }))
            }
            Token::String => {
                let raw = reader.string()?;
                Content::Text(reader.text(raw)?)
            }
            Token::Array => {
                reader.enter()?;
                let mut nodes = Vec::new();
                while reader.next_element(first)? {
                    first = false;
                    nodes.push(Self::read(reader)?);
                }
                Content::Array(nodes)
            }
            Token::Object => {
                reader.enter()?;
                let mut members: Vec<(String, Self)> = Vec::new();
                while let Some(name) = reader.next_member(first)? {
                    first = false;
                    let name = reader.text(name)?;
                    let node = Self::read(reader)?;
                    match members.iter_mut().find(|(n, _)| *n == name) {
                        Some(member) => member.1 = node,
                        None => members.push((name, node)),
                    }
                }
                Content::Object(members)
            }
        };
        Ok(Self { at, content })
    }

    fn get(&self, name: &str) -> Option<&Self> {
        match &self.content {
            Content::Object(members) => members
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    fn get_text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.content, Content::Null)
    }
}

fn to_schema(document: &Blob, node: &Node) -> Outcome<Schema> {
    let type_name = node
        .get_text("type")
        .ok_or_else(|| DataError::new("Schema must contain 'type' field"))?;
    let kind = type_of(type_name)
        .ok_or_else(|| DataError::new(format!("Unknown schema type: {type_name}")))?;
    let mut builder = match kind {
        Kind::Array => match node.get("items").filter(|items| !items.is_null()) {
            None => {
                return Err(DataError::new("Array schema did not specify the element type").into());
            }
            Some(items) => SchemaBuilder::array(to_schema(document, items)?),
        },
        Kind::Map => {
            let keys = node
                .get("keys")
                .ok_or_else(|| DataError::new("Map schema did not specify the key type"))?;
            let values = node
                .get("values")
                .ok_or_else(|| DataError::new("Map schema did not specify the value type"))?;
            let part = |part: &Node, which: &str| {
                if part.is_null() {
                    return Err(DataError::new(format!("{which} cannot be null."))
                        .with_java_class(BUILDER_EXCEPTION)
                        .into());
                }
                to_schema(document, part)
            };
            SchemaBuilder::map(part(keys, "keySchema")?, part(values, "valueSchema")?)
        }
        Kind::Struct => {
            let Some(Content::Array(fields)) = node.get("fields").map(|fields| &fields.content)
            else {
                return Err(
                    DataError::new("Struct schema's \"fields\" argument is not an array.").into(),
                );
            };
            let mut builder = SchemaBuilder::structure();
            for field in fields {
                let name = field.get_text("field").ok_or_else(|| {
                    DataError::new("Struct schema's field name not specified properly")
                })?;
                if name.is_empty() {
                    return Err(DataError::new("fieldName cannot be null.")
                        .with_java_class(BUILDER_EXCEPTION)
                        .into());
                }
                builder = builder.field(name, to_schema(document, field)?);
            }
            builder
        }
        other => SchemaBuilder::new(other),
    };
    builder = builder.optional(matches!(
        node.get("optional").map(|o| &o.content),
        Some(Content::Boolean(true))
    ));
    if let Some(name) = node.get_text("name") {
        builder = builder.name(name);
    }
    if let Some(Content::Number(Some(version))) = node.get("version").map(|v| &v.content) {
        builder = builder.version(*version);
    }
    if let Some(doc) = node.get_text("doc") {
        builder = builder.doc(doc);
    }
    if let Some(Content::Object(parameters)) = node.get("parameters").map(|p| &p.content) {
        for (name, value) in parameters {
            let Content::Text(value) = &value.content else {
                return Err(DataError::new("Schema parameters must have string values.").into());
            };
            builder = builder.parameter(name.as_str(), value.as_str());
        }
    }
    let schema = builder
        .build()
        .map_err(|e| DataError::new(e.to_string()).with_java_class(BUILDER_EXCEPTION))?;
    let Some(default) = node.get("default") else {
        return Ok(schema);
    };
    let default = ValueReader::new(document, default.at, true).value(&ReadPlan::new(&schema))?;
    if default.is_null() {
        if schema.optional() {
            return Ok(schema);
        }
        return Err(DataError::new("Invalid default value")
            .with_java_class(BUILDER_EXCEPTION)
            .into());
    }
    Ok(schema.to_builder().default(Some(default)).build_valid())
}
