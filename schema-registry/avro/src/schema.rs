//! The model: an arena of types, every property and its order kept.

use std::sync::Arc;

use java_idioms::{Json, Object};

use crate::Strictness;
use crate::names::is_type_word;

/// A type in its schema's arena. Two ids may be types of one name; only the first is printed in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub(crate) u32);

/// A name with its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Without dots.
    pub simple: Arc<str>,
    /// `None`: no namespace.
    pub namespace: Option<Arc<str>>,
}

/// A type. `properties` are the members that Avro does not reserve, `logicalType` among them, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    /// What it is.
    pub kind: Kind,
    /// Further members.
    pub properties: Object,
}

/// What a type is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `boolean`
    Boolean,
    /// `int`
    Int,
    /// `long`
    Long,
    /// `float`
    Float,
    /// `double`
    Double,
    /// `bytes`
    Bytes,
    /// `string`
    String,
    /// `record` or `error`
    Record(Record),
    /// `enum`
    Enum(Enum),
    /// `fixed`
    Fixed(Fixed),
    /// `array` of items
    Array(TypeId),
    /// `map` of values
    Map(TypeId),
    /// A union of branches.
    Union(Vec<TypeId>),
}

impl Kind {
    /// The type's name in JSON: `int`, `record`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Record(_) => "record",
            Self::Enum(_) => "enum",
            Self::Fixed(_) => "fixed",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
        }
    }

    /// What the type is made of.
    pub(crate) fn for_each_part(&mut self, mut f: impl FnMut(&mut TypeId)) {
        match self {
            Self::Array(inner) | Self::Map(inner) => f(inner),
            Self::Union(branches) => branches.iter_mut().for_each(f),
            Self::Record(record) => record
                .fields
                .iter_mut()
                .for_each(|field| f(&mut field.schema)),
            _ => {}
        }
    }

    /// The name of a record, enum or fixed.
    pub fn named(&self) -> Option<&Name> {
        match self {
            Self::Record(of) => Some(&of.name),
            Self::Enum(of) => Some(&of.name),
            Self::Fixed(of) => Some(&of.name),
            _ => None,
        }
    }

    /// The aliases of a record, enum or fixed.
    pub fn aliases(&self) -> &[Name] {
        match self {
            Self::Record(of) => &of.aliases,
            Self::Enum(of) => &of.aliases,
            Self::Fixed(of) => &of.aliases,
            _ => &[],
        }
    }
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: Name,
    /// `doc`
    pub doc: Option<Arc<str>>,
    /// Its fields in order.
    pub fields: Vec<Field>,
    /// Full names.
    pub aliases: Vec<Name>,
    /// Declared as `error`.
    pub is_error: bool,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// `doc`
    pub doc: Option<Arc<str>>,
    /// Its type.
    pub schema: TypeId,
    /// `default`
    pub default: Option<Json>,
    /// `order`
    pub order: Order,
    /// Other names.
    pub aliases: Vec<Arc<str>>,
    /// Further members in their order.
    pub properties: Object,
}

/// How a field counts when records are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// `ascending`
    #[default]
    Ascending,
    /// `descending`
    Descending,
    /// `ignore`
    Ignore,
}

impl Order {
    /// As it is written in a schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ascending => "ascending",
            Self::Descending => "descending",
            Self::Ignore => "ignore",
        }
    }
}

/// An enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enum {
    /// Its name.
    pub name: Name,
    /// `doc`
    pub doc: Option<Arc<str>>,
    /// In order.
    pub symbols: Vec<Arc<str>>,
    /// `default`
    pub default: Option<Arc<str>>,
    /// Full names.
    pub aliases: Vec<Name>,
}

/// A fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Its name.
    pub name: Name,
    /// `doc`
    pub doc: Option<Arc<str>>,
    /// Bytes.
    pub size: usize,
    /// Full names.
    pub aliases: Vec<Name>,
}

/// A schema. Made by parsing, or by hand with [`AvroBuilder`](crate::AvroBuilder). Immutable; share it in an `Arc`.
#[derive(Debug, Clone)]
pub struct AvroSchema {
    pub(crate) types: Vec<Type>,
    pub(crate) root: TypeId,
    /// Full names of the references themselves: the canonical text mentions them and nothing more.
    pub(crate) known: Vec<Arc<str>>,
    /// What the schema was parsed with.
    pub(crate) references: Vec<Arc<str>>,
    pub(crate) strictness: Strictness,
    /// By type: a record's fields in the order of their names, where there are enough of them to make a search pay.
    lookups: Vec<Box<[u32]>>,
}

/// Records of fewer fields are searched one by one.
const SEARCHED: usize = 12;

impl AvroSchema {
    pub(crate) fn new(mut types: Vec<Type>, root: TypeId) -> Self {
        types.shrink_to_fit();
        let lookups = types
            .iter()
            .map(|of| match &of.kind {
                Kind::Record(record) if record.fields.len() >= SEARCHED => {
                    let mut order: Box<[u32]> = (0u32..).take(record.fields.len()).collect();
                    order.sort_by(|a, b| {
                        record.fields[*a as usize]
                            .name
                            .cmp(&record.fields[*b as usize].name)
                    });
                    order
                }
                _ => Box::default(),
            })
            .collect();
        Self {
            lookups,
            ..Self::without_lookups(types, root)
        }
    }

    /// For what is not yet compared: fields of large records are found by going through them.
    pub(crate) fn without_lookups(types: Vec<Type>, root: TypeId) -> Self {
        Self {
            types,
            root,
            known: Vec::new(),
            references: Vec::new(),
            strictness: Strictness::Stored,
            lookups: Vec::new(),
        }
    }

    /// The type that the schema is.
    pub fn root(&self) -> TypeId {
        self.root
    }

    /// A type of this schema.
    #[inline]
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    /// How many types there are, those of references included: ids are below it.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Never true for a schema that was parsed.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// The index of a record's field by its name; `None` too when `of` is no record.
    pub fn field(&self, of: TypeId, name: &str) -> Option<usize> {
        self.field_near(of, name, 0)
    }

    /// The same, with a guess where it is.
    #[inline]
    pub(crate) fn field_near(&self, of: TypeId, name: &str, guess: usize) -> Option<usize> {
        let Kind::Record(record) = &self.get(of).kind else {
            return None;
        };
        let fields = &record.fields;
        if fields.get(guess).is_some_and(|field| &*field.name == name) {
            return Some(guess);
        }
        let Some(order) = self
            .lookups
            .get(of.0 as usize)
            .filter(|order| !order.is_empty())
        else {
            return fields.iter().position(|field| &*field.name == name);
        };
        order
            .binary_search_by(|at| (*fields[*at as usize].name).cmp(name))
            .ok()
            .map(|at| order[at] as usize)
    }

    /// Every type from the root on, each once, a type before what it is made of.
    pub(crate) fn reachable(&self) -> Vec<TypeId> {
        let mut seen = vec![false; self.types.len()];
        let mut found = Vec::new();
        let mut open = vec![self.root];
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut seen[id.0 as usize], true) {
                continue;
            }
            found.push(id);
            match &self.get(id).kind {
                Kind::Array(inner) | Kind::Map(inner) => open.push(*inner),
                Kind::Union(branches) => open.extend(branches.iter().rev()),
                Kind::Record(record) => {
                    open.extend(record.fields.iter().rev().map(|field| field.schema));
                }
                _ => {}
            }
        }
        found
    }

    /// Full name of a record, enum or fixed; the type's name otherwise (`string`, `array`): Java's `Schema.getFullName`.
    pub fn full_name(&self) -> String {
        self.full_name_of(self.root)
    }

    /// The same of any type of the schema.
    pub fn full_name_of(&self, id: TypeId) -> String {
        let kind = &self.get(id).kind;
        match (kind.named(), kind) {
            (Some(name), _) => name.full(),
            (None, Kind::Union(branches)) => {
                let names: Vec<&str> = branches
                    .iter()
                    .map(|branch| {
                        let kind = &self.get(*branch).kind;
                        kind.named().map_or(kind.name(), |name| &*name.simple)
                    })
                    .collect();
                format!("union[{}]", names.join(", "))
            }
            (None, kind) => kind.name().to_owned(),
        }
    }

    /// About how many bytes of memory the schema takes. For caches that are bounded by memory.
    pub fn size_hint(&self) -> usize {
        let json = |properties: &Object| -> usize {
            properties
                .iter()
                .map(|(key, value)| 32 + key.len() + size_of_json(value))
                .sum()
        };
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| 16 + text.len());
        let name = |name: &Name| 48 + name.simple.len() + text(&name.namespace);
        let aliases = |aliases: &[Name]| -> usize { aliases.iter().map(name).sum() };
        let types: usize = self
            .types
            .iter()
            .map(|of| {
                let kind = match &of.kind {
                    Kind::Record(record) => {
                        let fields: usize = record
                            .fields
                            .iter()
                            .map(|field| {
                                size_of::<Field>()
                                    + 24
                                    + field.name.len()
                                    + text(&field.doc)
                                    + field.default.as_ref().map_or(0, size_of_json)
                                    + field.aliases.iter().map(|a| 32 + a.len()).sum::<usize>()
                                    + json(&field.properties)
                            })
                            .sum();
                        name(&record.name) + text(&record.doc) + aliases(&record.aliases) + fields
                    }
                    Kind::Enum(of) => {
                        name(&of.name)
                            + text(&of.doc)
                            + aliases(&of.aliases)
                            + of.symbols.iter().map(|s| 32 + s.len()).sum::<usize>()
                    }
                    Kind::Fixed(of) => name(&of.name) + text(&of.doc) + aliases(&of.aliases),
                    Kind::Union(branches) => 16 + branches.len() * 4,
                    _ => 0,
                };
                size_of::<Type>() + size_of::<Box<[u32]>>() + kind + json(&of.properties)
            })
            .sum();
        let lookups: usize = self.lookups.iter().map(|order| order.len() * 4).sum();
        size_of::<Self>() + types + lookups + self.known.iter().map(|n| 32 + n.len()).sum::<usize>()
    }
}

fn size_of_json(value: &Json) -> usize {
    size_of::<Json>()
        + match value {
            Json::String(text) => 16 + text.len(),
            Json::Number(number) => number.literal().len(),
            Json::Array(values) => values.iter().map(size_of_json).sum(),
            Json::Object(members) => members
                .iter()
                .map(|(key, value)| 32 + key.len() + size_of_json(value))
                .sum(),
            _ => 0,
        }
}

impl Name {
    /// Splits at the last dot. A text without dots, or with an empty part before its only dot, has no namespace.
    pub fn split(full: &str) -> Self {
        Self::within(full, None)
    }

    /// A name as it is written within a namespace: with dots it brings its own.
    pub fn within(name: &str, namespace: Option<&Arc<str>>) -> Self {
        match name.rsplit_once('.') {
            Some((own, simple)) => Self {
                simple: simple.into(),
                namespace: (!own.is_empty()).then(|| own.into()),
            },
            None => Self {
                simple: name.into(),
                namespace: namespace.filter(|n| !n.is_empty()).map(Arc::clone),
            },
        }
    }

    /// `namespace.simple`
    pub fn full(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}.{}", self.simple),
            None => self.simple.to_string(),
        }
    }

    /// Whether [`full`](Self::full) is this text.
    pub fn is(&self, full: &str) -> bool {
        match &self.namespace {
            None => *self.simple == *full,
            Some(namespace) => full
                .strip_suffix(&*self.simple)
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| *rest == **namespace),
        }
    }

    /// As it is written where `namespace` is the one around it.
    pub(crate) fn qualified(&self, namespace: Option<&str>) -> String {
        if self.namespace.is_some()
            && self.namespace.as_deref() == namespace
            && !is_type_word(&self.simple)
        {
            self.simple.to_string()
        } else {
            self.full()
        }
    }
}
