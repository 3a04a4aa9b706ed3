//! What a schema means, whatever its draft: one kind of schema per node, references resolved to node numbers.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;

use indexmap::IndexMap;
use java_idioms::{Json, Number, Object, json::NumberStyle};

/// A node's number within its [`Model`].
pub(crate) type NodeId = u32;

/// `true`
pub(crate) const TRUE: NodeId = 0;
/// `false`
pub(crate) const FALSE: NodeId = 1;
/// `{}`
pub(crate) const EMPTY: NodeId = 2;
/// The schema itself.
pub(crate) const ROOT: NodeId = 3;

/// The nodes of one schema. Not a tree: references make cycles.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) nodes: Vec<Node>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Whether `default` is given.
    pub(crate) has_default: bool,
    /// `connect.type` is `bytes`: two such schemas are the same whatever their kinds.
    pub(crate) connect_bytes: bool,
    /// Hash over what does not make the kind: title, unknown members.
    pub(crate) extra: u64,
    /// Hash over everything that a printed schema shows; equal alternatives of a combined schema count once.
    pub(crate) print: u64,
    /// The members behind `extra`, for those who want to see them ([`crate::SchemaTree`]).
    pub(crate) members: Option<Box<Object>>,
}

/// How the alternatives of a combined schema count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Criterion {
    /// `allOf`
    All,
    /// `anyOf`, and a list of types.
    Any,
    /// `oneOf`
    One,
}

#[derive(Debug, Clone, Default)]
pub(crate) enum Kind {
    /// No keyword that constrains.
    #[default]
    Empty,
    True,
    False,
    Null,
    Boolean,
    /// `if`, `then`, `else`: never compared, kept for what is printed.
    Conditional(Box<[Option<NodeId>; 3]>),
    String(Box<StringKind>),
    Number(Box<NumberKind>),
    /// One value.
    Const(Box<EnumKind>),
    Enum(Box<EnumKind>),
    Combined(Box<CombinedKind>),
    Not(NodeId),
    Object(Box<ObjectKind>),
    Array(Box<ArrayKind>),
    Reference(Box<ReferenceKind>),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct EnumKind {
    /// The values' keys, see [`value_key`].
    pub(crate) values: HashSet<Box<str>>,
    /// The values themselves, for those who want to see them.
    pub(crate) list: Vec<Json>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StringKind {
    pub(crate) required: bool,
    pub(crate) min_length: Option<i64>,
    pub(crate) max_length: Option<i64>,
    pub(crate) pattern: Option<Arc<str>>,
    /// A format that the draft knows. Not compared.
    pub(crate) format: Option<Arc<str>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct NumberKind {
    pub(crate) required: bool,
    pub(crate) integer: bool,
    pub(crate) minimum: Option<Number>,
    pub(crate) maximum: Option<Number>,
    pub(crate) exclusive_minimum: Option<Number>,
    pub(crate) exclusive_maximum: Option<Number>,
    pub(crate) multiple_of: Option<Number>,
    /// Draft 4's flags beside the limits. Not compared.
    pub(crate) minimum_is_exclusive: bool,
    pub(crate) maximum_is_exclusive: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct CombinedKind {
    pub(crate) criterion: Criterion,
    pub(crate) subschemas: Vec<NodeId>,
    /// Made from keywords that stand beside each other, not from `allOf` or `anyOf`.
    pub(crate) generated: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ObjectKind {
    pub(crate) required_object: bool,
    /// In the order of Java's hash map.
    pub(crate) properties: IndexMap<Arc<str>, NodeId>,
    pub(crate) required: HashSet<Arc<str>>,
    pub(crate) pattern_properties: Vec<(Arc<str>, NodeId)>,
    pub(crate) permits_additional: bool,
    pub(crate) additional: Option<NodeId>,
    pub(crate) unevaluated: Option<NodeId>,
    pub(crate) property_dependencies: IndexMap<Arc<str>, HashSet<Arc<str>>>,
    pub(crate) schema_dependencies: IndexMap<Arc<str>, NodeId>,
    pub(crate) property_names: Option<NodeId>,
    pub(crate) min_properties: Option<i64>,
    pub(crate) max_properties: Option<i64>,
}

impl Default for ObjectKind {
    fn default() -> Self {
        Self {
            required_object: false,
            properties: IndexMap::new(),
            required: HashSet::new(),
            pattern_properties: Vec::new(),
            permits_additional: true,
            additional: None,
            unevaluated: None,
            property_dependencies: IndexMap::new(),
            schema_dependencies: IndexMap::new(),
            property_names: None,
            min_properties: None,
            max_properties: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ArrayKind {
    pub(crate) required: bool,
    /// One schema for all items.
    pub(crate) items: Option<NodeId>,
    /// A schema per place.
    pub(crate) tuple: Vec<NodeId>,
    pub(crate) permits_additional: bool,
    pub(crate) additional: Option<NodeId>,
    pub(crate) unevaluated: Option<NodeId>,
    pub(crate) contains: Option<NodeId>,
    pub(crate) min_contains: Option<i64>,
    pub(crate) max_contains: Option<i64>,
    pub(crate) min_items: Option<i64>,
    pub(crate) max_items: Option<i64>,
    pub(crate) unique: bool,
}

impl Default for ArrayKind {
    fn default() -> Self {
        Self {
            required: false,
            items: None,
            tuple: Vec::new(),
            permits_additional: true,
            additional: None,
            unevaluated: None,
            contains: None,
            min_contains: None,
            max_contains: None,
            min_items: None,
            max_items: None,
            unique: false,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ReferenceKind {
    /// What it names. That may be a reference again: the original follows one only, and takes two references for the same wherever they lead.
    pub(crate) target: NodeId,
    /// What its chain of references ends with: no reference any more, except where references only lead to each other.
    pub(crate) end: NodeId,
    pub(crate) uri: Arc<str>,
}

impl Node {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// The children that are part of the schema's own text; references are not followed.
    pub(crate) fn children(&self, out: &mut Vec<NodeId>) {
        match &self.kind {
            Kind::Conditional(parts) => out.extend(parts.iter().flatten()),
            Kind::Combined(kind) => out.extend(&kind.subschemas),
            Kind::Not(id) => out.push(*id),
            Kind::Object(kind) => {
                out.extend(kind.properties.values());
                out.extend(kind.pattern_properties.iter().map(|(_, id)| id));
                out.extend(kind.schema_dependencies.values());
                out.extend(
                    kind.additional
                        .iter()
                        .chain(&kind.unevaluated)
                        .chain(&kind.property_names),
                );
            }
            Kind::Array(kind) => {
                out.extend(&kind.tuple);
                out.extend(
                    kind.items
                        .iter()
                        .chain(&kind.additional)
                        .chain(&kind.unevaluated)
                        .chain(&kind.contains),
                );
            }
            _ => {}
        }
    }
}

impl Model {
    /// Completes loaded nodes: references know where they end, and every node has its printed hash.
    pub(crate) fn new(mut nodes: Vec<Node>) -> Self {
        follow_references(&mut nodes);
        hash_prints(&mut nodes);
        nodes.shrink_to_fit();
        Self { nodes }
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// Approximate bytes on the heap.
    pub(crate) fn size_hint(&self) -> usize {
        const ENTRY: usize = 48;
        self.nodes
            .iter()
            .map(|node| {
                size_of::<Node>()
                    + match &node.kind {
                        Kind::String(_) => size_of::<StringKind>(),
                        Kind::Number(_) => size_of::<NumberKind>() + 32,
                        Kind::Const(kind) | Kind::Enum(kind) => {
                            size_of::<EnumKind>()
                                + kind
                                    .values
                                    .iter()
                                    .map(|key| key.len() + ENTRY)
                                    .sum::<usize>()
                        }
                        Kind::Combined(kind) => {
                            size_of::<CombinedKind>() + kind.subschemas.len() * 4
                        }
                        Kind::Object(kind) => {
                            size_of::<ObjectKind>()
                                + (kind.properties.len()
                                    + kind.required.len()
                                    + kind.pattern_properties.len()
                                    + kind.schema_dependencies.len()
                                    + kind
                                        .property_dependencies
                                        .values()
                                        .map(|names| names.len() + 2)
                                        .sum::<usize>())
                                    * ENTRY
                        }
                        Kind::Array(kind) => size_of::<ArrayKind>() + kind.tuple.len() * 4,
                        Kind::Reference(kind) => size_of::<ReferenceKind>() + kind.uri.len(),
                        Kind::Conditional(_) => 24,
                        _ => 0,
                    }
            })
            .sum()
    }
}

/// Finds the schema at the end of each chain of references.
fn follow_references(nodes: &mut [Node]) {
    let target = |nodes: &[Node], id: NodeId| match &nodes[id as usize].kind {
        Kind::Reference(kind) => Some(kind.end),
        _ => None,
    };
    let mut chain = Vec::new();
    let mut done = vec![false; nodes.len()];
    for start in 0..nodes.len() as NodeId {
        chain.clear();
        let mut at = start;
        let mut in_chain: HashSet<NodeId> = HashSet::new();
        while let Some(next) = target(nodes, at) {
            if done[at as usize] {
                at = next;
                break;
            }
            if !in_chain.insert(at) {
                break;
            }
            chain.push(at);
            at = next;
        }
        for id in &chain {
            done[*id as usize] = true;
            if let Kind::Reference(kind) = &mut nodes[*id as usize].kind {
                kind.end = at;
            }
        }
    }
}

/// Fills [`Node::print`], children first and without recursion.
fn hash_prints(nodes: &mut [Node]) {
    let mut done = vec![false; nodes.len()];
    let mut stack = Vec::new();
    let mut children = Vec::new();
    for start in 0..nodes.len() as NodeId {
        stack.push((start, false));
        while let Some((id, ready)) = stack.pop() {
            if done[id as usize] {
                continue;
            }
            children.clear();
            nodes[id as usize].children(&mut children);
            if ready || children.is_empty() {
                done[id as usize] = true;
                nodes[id as usize].print = print_hash(nodes, id);
            } else {
                stack.push((id, true));
                stack.extend(children.iter().map(|child| (*child, false)));
            }
        }
    }
}

fn hash_of(parts: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

fn print_hash(nodes: &[Node], id: NodeId) -> u64 {
    let node = &nodes[id as usize];
    let print = |id: &NodeId| nodes[*id as usize].print;
    let optional = |id: &Option<NodeId>| id.as_ref().map(print);
    // For what has no order: maps and sets.
    let sum = |hashes: &mut dyn Iterator<Item = u64>| hashes.fold(0_u64, u64::wrapping_add);
    let literal = |number: &Option<Number>| number.as_ref().map(|n| n.literal().to_owned());
    let kind = match &node.kind {
        Kind::Conditional(parts) => hash_of(parts.each_ref().map(optional)),
        Kind::String(kind) => hash_of((
            kind.required,
            kind.min_length,
            kind.max_length,
            &kind.pattern,
            &kind.format,
        )),
        Kind::Number(kind) => hash_of((
            kind.required,
            kind.integer,
            literal(&kind.minimum),
            literal(&kind.maximum),
            literal(&kind.exclusive_minimum),
            literal(&kind.exclusive_maximum),
            literal(&kind.multiple_of),
            (kind.minimum_is_exclusive, kind.maximum_is_exclusive),
        )),
        Kind::Const(kind) | Kind::Enum(kind) => sum(&mut kind.values.iter().map(hash_of)),
        Kind::Combined(kind) if kind.generated => sum(&mut kind.subschemas.iter().map(print)),
        Kind::Combined(kind) => hash_of((
            kind.criterion,
            kind.subschemas.iter().map(print).collect::<Vec<_>>(),
        )),
        Kind::Not(id) => print(id),
        Kind::Object(kind) => hash_of((
            sum(&mut kind
                .properties
                .iter()
                .map(|(name, id)| hash_of((name, print(id))))),
            sum(&mut kind.required.iter().map(hash_of)),
            sum(&mut kind
                .pattern_properties
                .iter()
                .map(|(name, id)| hash_of((name, print(id))))),
            sum(&mut kind
                .property_dependencies
                .iter()
                .map(|(name, names)| hash_of((name, sum(&mut names.iter().map(hash_of)))))),
            sum(&mut kind
                .schema_dependencies
                .iter()
                .map(|(name, id)| hash_of((name, print(id))))),
            (kind.required_object, kind.permits_additional),
            [&kind.additional, &kind.unevaluated, &kind.property_names].map(optional),
            [kind.min_properties, kind.max_properties],
        )),
        Kind::Array(kind) => hash_of((
            kind.tuple.iter().map(print).collect::<Vec<_>>(),
            [
                &kind.items,
                &kind.additional,
                &kind.unevaluated,
                &kind.contains,
            ]
            .map(optional),
            (kind.required, kind.permits_additional, kind.unique),
            [
                kind.min_contains,
                kind.max_contains,
                kind.min_items,
                kind.max_items,
            ],
        )),
        Kind::Reference(kind) => hash_of(&kind.uri),
        Kind::Empty | Kind::True | Kind::False | Kind::Null | Kind::Boolean => 0,
    };
    if kind_prints_nothing(&node.kind) {
        return hash_of((std::mem::discriminant(&Kind::Empty), 0_u64, node.extra));
    }
    hash_of((std::mem::discriminant(&node.kind), kind, node.extra))
}

/// Whether a kind comes from keywords that a printed schema leaves out, such as `uniqueItems` when it is false: then it prints as `{}` does.
fn kind_prints_nothing(kind: &Kind) -> bool {
    match kind {
        Kind::String(kind) => **kind == StringKind::default(),
        Kind::Number(kind) => **kind == NumberKind::default(),
        Kind::Object(kind) => **kind == ObjectKind::default(),
        Kind::Array(kind) => **kind == ArrayKind::default(),
        _ => false,
    }
}

/// A text that is equal for equal values: members sorted, numbers as `BigDecimal` prints them, so that `1` and `1.0` differ as they do in Java.
pub(crate) fn value_key(value: &Json) -> Box<str> {
    let mut out = String::new();
    write_key(value, &mut out);
    out.into()
}

fn write_key(value: &Json, out: &mut String) {
    match value {
        Json::Array(values) => {
            out.push('[');
            for value in values {
                write_key(value, out);
                out.push(',');
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in members {
                java_idioms::json::write_string(name, out);
                out.push(':');
                write_key(value, out);
                out.push(',');
            }
            out.push('}');
        }
        _ => value.write(NumberStyle::Decimal, out),
    }
}

/// Hash of a member that does not make the kind.
pub(crate) fn member_hash(name: &str, value: &Json) -> u64 {
    hash_of((name, value_key(value)))
}
