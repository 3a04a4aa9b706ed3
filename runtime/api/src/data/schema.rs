use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use super::Value;

/// A number that is unique to one schema in this process: the key of everything that is compiled per schema. Not stable across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(pub u32);

/// Connect's types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 8-bit signed integer
    Int8,
    /// 16-bit signed integer
    Int16,
    /// 32-bit signed integer
    Int32,
    /// 64-bit signed integer
    Int64,
    /// IEEE 754 single
    Float32,
    /// IEEE 754 double
    Float64,
    /// true or false
    Boolean,
    /// UTF-8 text
    String,
    /// bytes
    Bytes,
    /// list of one element schema
    Array,
    /// map of one key and one value schema
    Map,
    /// ordered named fields
    Struct,
}

impl Kind {
    /// Connect's name in messages: `INT8` … `STRUCT`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Float32 => "FLOAT32",
            Self::Float64 => "FLOAT64",
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Array => "ARRAY",
            Self::Map => "MAP",
            Self::Struct => "STRUCT",
        }
    }
}

/// One field of a struct schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// Name, unique in its struct.
    pub name: Arc<str>,
    /// Schema of its values.
    pub schema: Schema,
}

/// An interned schema: two schemas that say the same are the same pointer, so comparing and hashing cost nothing.
///
/// Made by [`SchemaBuilder`]. All of Connect's attributes count for equality: kind, optional, name, version, doc, parameters, default, fields.
#[derive(Clone)]
pub struct Schema(Arc<Inner>);

struct Inner {
    id: SchemaId,
    content: Content,
    index: HashMap<Arc<str>, usize>,
}

#[derive(PartialEq, Eq, Hash, Clone)]
struct Content {
    kind: Kind,
    optional: bool,
    name: Option<Arc<str>>,
    version: Option<i32>,
    doc: Option<Arc<str>>,
    parameters: Vec<(Arc<str>, Arc<str>)>,
    default: Option<Value>,
    fields: Vec<Field>,
    key: Option<Schema>,
    value: Option<Schema>,
    back_reference: bool,
}

static INTERNED: LazyLock<Mutex<HashMap<u64, Vec<Weak<Inner>>>>> = LazyLock::new(Mutex::default);
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// A schema that cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Two fields of one name.
    #[error("Cannot create field because of field name duplication {0}")]
    DuplicateField(String),
    /// Fields on something that is not a struct.
    #[error("Cannot create fields on type {0}")]
    NotAStruct(&'static str),
}

impl Schema {
    /// Unique number of this schema in this process.
    pub fn id(&self) -> SchemaId {
        self.0.id
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        self.0.content.kind
    }

    /// Whether null is allowed.
    pub fn optional(&self) -> bool {
        self.0.content.optional
    }

    /// Name: of a struct, or of a logical type (`io.debezium.time.Date`).
    pub fn name(&self) -> Option<&str> {
        self.0.content.name.as_deref()
    }

    /// Version.
    pub fn version(&self) -> Option<i32> {
        self.0.content.version
    }

    /// Documentation.
    pub fn doc(&self) -> Option<&str> {
        self.0.content.doc.as_deref()
    }

    /// Parameters in the order in which they were given.
    pub fn parameters(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.0.content.parameters
    }

    /// A parameter by name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.0
            .content
            .parameters
            .iter()
            .find(|(k, _)| **k == *name)
            .map(|(_, v)| &**v)
    }

    /// Default value.
    pub fn default(&self) -> Option<&Value> {
        self.0.content.default.as_ref()
    }

    /// Fields of a struct, in order; empty for other kinds.
    pub fn fields(&self) -> &[Field] {
        &self.0.content.fields
    }

    /// A field of a struct by name, with its index.
    pub fn field(&self, name: &str) -> Option<(usize, &Field)> {
        let &i = self.0.index.get(name)?;
        Some((i, &self.0.content.fields[i]))
    }

    /// Schema of a map's keys.
    pub fn key_schema(&self) -> Option<&Schema> {
        self.0.content.key.as_ref()
    }

    /// Schema of a map's values or an array's elements.
    pub fn value_schema(&self) -> Option<&Schema> {
        self.0.content.value.as_ref()
    }

    /// Whether this stands for an enclosing struct of the same name, as in a recursive type: the nearest one outwards is meant. Values under it are structs of the
    /// enclosing schema.
    pub fn is_back_reference(&self) -> bool {
        self.0.content.back_reference
    }

    /// A builder with this schema's content.
    pub fn to_builder(&self) -> SchemaBuilder {
        SchemaBuilder {
            content: self.0.content.clone(),
        }
    }

    /// The same schema, with null allowed.
    pub fn to_optional(&self) -> Schema {
        if self.optional() {
            self.clone()
        } else {
            self.to_builder().optional(true).build_valid()
        }
    }

    /// A required boolean; the constructors beside it are alike.
    pub fn boolean() -> Schema {
        Self::primitive(Kind::Boolean)
    }
    /// A required INT8.
    pub fn int8() -> Schema {
        Self::primitive(Kind::Int8)
    }
    /// A required INT16.
    pub fn int16() -> Schema {
        Self::primitive(Kind::Int16)
    }
    /// A required INT32.
    pub fn int32() -> Schema {
        Self::primitive(Kind::Int32)
    }
    /// A required INT64.
    pub fn int64() -> Schema {
        Self::primitive(Kind::Int64)
    }
    /// A required FLOAT32.
    pub fn float32() -> Schema {
        Self::primitive(Kind::Float32)
    }
    /// A required FLOAT64.
    pub fn float64() -> Schema {
        Self::primitive(Kind::Float64)
    }
    /// A required STRING.
    pub fn string() -> Schema {
        Self::primitive(Kind::String)
    }
    /// A required BYTES.
    pub fn bytes() -> Schema {
        Self::primitive(Kind::Bytes)
    }
    /// A required array of `element`.
    pub fn array(element: Schema) -> Schema {
        SchemaBuilder::array(element).build_valid()
    }
    /// A required map of `key` to `value`.
    pub fn map(key: Schema, value: Schema) -> Schema {
        SchemaBuilder::map(key, value).build_valid()
    }

    fn primitive(kind: Kind) -> Schema {
        SchemaBuilder::new(kind).build_valid()
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Schema {}

impl Hash for Schema {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.0.content;
        write!(f, "{}{}", c.kind.name(), if c.optional { "?" } else { "" })?;
        if let Some(name) = &c.name {
            write!(f, " {name}")?;
        }
        if !c.fields.is_empty() {
            f.debug_map()
                .entries(c.fields.iter().map(|x| (&x.name, &x.schema)))
                .finish()?;
        }
        Ok(())
    }
}

/// Builds a [`Schema`].
#[derive(Clone)]
#[must_use]
pub struct SchemaBuilder {
    content: Content,
}

impl fmt::Debug for SchemaBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SchemaBuilder({} {:?})",
            self.content.kind.name(),
            self.content.name
        )
    }
}

impl SchemaBuilder {
    /// A required schema of `kind` with nothing else set.
    pub fn new(kind: Kind) -> Self {
        Self {
            content: Content {
                kind,
                optional: false,
                name: None,
                version: None,
                doc: None,
                parameters: Vec::new(),
                default: None,
                fields: Vec::new(),
                key: None,
                value: None,
                back_reference: false,
            },
        }
    }

    /// A struct.
    pub fn structure() -> Self {
        Self::new(Kind::Struct)
    }

    /// A mention of the struct `name` inside itself: no fields of its own, see [`Schema::is_back_reference`].
    pub fn back_reference(name: impl Into<Arc<str>>) -> Self {
        let mut b = Self::new(Kind::Struct).name(name);
        b.content.back_reference = true;
        b
    }

    /// An array of `element`.
    pub fn array(element: Schema) -> Self {
        let mut b = Self::new(Kind::Array);
        b.content.value = Some(element);
        b
    }

    /// A map of `key` to `value`.
    pub fn map(key: Schema, value: Schema) -> Self {
        let mut b = Self::new(Kind::Map);
        b.content.key = Some(key);
        b.content.value = Some(value);
        b
    }

    /// A map of `key` in which every value is null: what is inferred of a text without any value.
    pub fn map_with_null_values(key: Schema) -> Self {
        let mut b = Self::new(Kind::Map);
        b.content.key = Some(key);
        b
    }

    /// Sets whether null is allowed.
    pub fn optional(mut self, optional: bool) -> Self {
        self.content.optional = optional;
        self
    }

    /// Sets the name.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.content.name = Some(name.into());
        self
    }

    /// Sets the version.
    pub fn version(mut self, version: i32) -> Self {
        self.content.version = Some(version);
        self
    }

    /// Sets the documentation.
    pub fn doc(mut self, doc: impl Into<Arc<str>>) -> Self {
        self.content.doc = Some(doc.into());
        self
    }

    /// Sets a parameter; an existing one of this name keeps its place.
    pub fn parameter(mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        let (name, value) = (name.into(), value.into());
        match self.content.parameters.iter_mut().find(|(k, _)| *k == name) {
            Some(entry) => entry.1 = value,
            None => self.content.parameters.push((name, value)),
        }
        self
    }

    /// Sets or removes the default value.
    pub fn default(mut self, default: Option<Value>) -> Self {
        self.content.default = default;
        self
    }

    /// Appends a field.
    pub fn field(mut self, name: impl Into<Arc<str>>, schema: Schema) -> Self {
        self.content.fields.push(Field {
            name: name.into(),
            schema,
        });
        self
    }

    /// The schema, interned.
    pub fn build(self) -> Result<Schema, SchemaError> {
        if !self.content.fields.is_empty() && self.content.kind != Kind::Struct {
            return Err(SchemaError::NotAStruct(self.content.kind.name()));
        }
        let mut index = HashMap::with_capacity(self.content.fields.len());
        for (i, field) in self.content.fields.iter().enumerate() {
            if index.insert(Arc::clone(&field.name), i).is_some() {
                return Err(SchemaError::DuplicateField(field.name.to_string()));
            }
        }
        Ok(intern(self.content, index))
    }

    /// The schema, for builders that cannot fail: no fields, or fields with names known to differ. Panics otherwise.
    pub fn build_valid(self) -> Schema {
        match self.build() {
            Ok(schema) => schema,
            Err(e) => panic!("schema built from fixed parts is invalid: {e}"),
        }
    }
}

/// Builds happen per schema, never per record, so one lock is enough.
fn intern(content: Content, index: HashMap<Arc<str>, usize>) -> Schema {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let hash = hasher.finish();
    let mut table = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
    let bucket = table.entry(hash).or_default();
    bucket.retain(|weak| weak.strong_count() > 0);
    if let Some(found) = bucket
        .iter()
        .filter_map(Weak::upgrade)
        .find(|inner| inner.content == content)
    {
        return Schema(found);
    }
    let inner = Arc::new(Inner {
        id: SchemaId(NEXT_ID.fetch_add(1, Ordering::Relaxed)),
        content,
        index,
    });
    bucket.push(Arc::downgrade(&inner));
    Schema(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(default: Option<Value>) -> Schema {
        SchemaBuilder::structure()
            .name("t.Value")
            .field(
                "id",
                SchemaBuilder::new(Kind::Int32)
                    .default(default)
                    .build_valid(),
            )
            .field("note", Schema::string().to_optional())
            .build_valid()
    }

    #[test]
    fn equal_content_is_one_schema_and_any_difference_is_another() {
        let a = row(None);
        assert_eq!(a, row(None));
        assert_eq!(a.id(), row(None).id());
        assert_ne!(a, row(Some(Value::Int32(0))));
        assert_ne!(a, a.to_optional());
        assert_ne!(
            Schema::int32(),
            SchemaBuilder::new(Kind::Int32).doc("x").build_valid()
        );
    }

    #[test]
    fn fields_are_found_by_name() {
        let s = row(None);
        assert_eq!(s.field("note").map(|(i, _)| i), Some(1));
        assert!(s.field("nope").is_none());
    }

    #[test]
    fn duplicate_fields_are_refused() {
        let b = SchemaBuilder::structure()
            .field("a", Schema::int32())
            .field("a", Schema::int64());
        assert_eq!(b.build(), Err(SchemaError::DuplicateField("a".into())));
    }
}
