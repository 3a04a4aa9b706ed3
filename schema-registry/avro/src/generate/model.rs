//! Schemas as they are before they are text.

use super::Generator;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Primitive(&'static str),
    /// A logical type with its text.
    Logical(&'static str),
    /// An index of `Model::definitions`.
    Named(usize),
    Array(Box<Node>),
    Map(Box<Node>),
    Union(Vec<Node>),
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) of: Node,
    pub(super) has_default: bool,
    pub(super) aliases: Vec<String>,
    pub(super) doc: bool,
    pub(super) order: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub(super) enum Shape {
    Record(Vec<Field>),
    Enum {
        symbols: Vec<String>,
        default: Option<String>,
    },
    Fixed(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) aliases: Vec<String>,
    pub(super) doc: bool,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) definitions: Vec<Definition>,
    pub(super) root: Node,
}

pub(super) const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];
pub(super) const LOGICAL: [&str; 5] = [
    r#"{"type":"int","logicalType":"date"}"#,
    r#"{"type":"bytes","scale":2,"precision":9,"logicalType":"decimal"}"#,
    r#"{"type":"string","avro.java.string":"String"}"#,
    r#"{"type":"long","logicalType":"timestamp-millis","x":{"b":1,"a":[true,null,1.5]}}"#,
    r#"{"type":"float","b":1e10,"a":"é"}"#,
];
pub(super) const NAMES: [&str; 6] = ["Node", "Leaf", "Item", "Kind", "Hash", "Extra"];
pub(super) const NAMESPACES: [&str; 3] = ["a", "a.b", "c"];
pub(super) const FIELDS: [&str; 8] = ["id", "name", "next", "kind", "b", "value", "list", "x"];
pub(super) const SYMBOLS: [&str; 6] = ["A", "B", "C", "a", "Z_1", "_"];

impl Model {
    pub(super) fn random(random: &mut Generator) -> Self {
        let count = random.below(5);
        let mut names = NAMES.to_vec();
        let mut definitions = Vec::new();
        for at in 0..count {
            let name = names.remove(random.below(names.len())).to_owned();
            definitions.push(definition(random, name, at, count));
        }
        let root = match random.below(8) {
            0 => node(random, 0, count, 3),
            1 => union(random, 0, count, 2),
            _ if count > 0 => Node::Named(0),
            _ => node(random, 0, count, 3),
        };
        Self { definitions, root }
    }
}

fn definition(random: &mut Generator, name: String, at: usize, count: usize) -> Definition {
    let shape = match random.below(6) {
        0 => {
            let mut symbols: Vec<String> = SYMBOLS.iter().map(|s| (*s).to_owned()).collect();
            symbols.truncate(1 + random.below(SYMBOLS.len()));
            let default = random.one_in(3).then(|| random.pick(&symbols));
            Shape::Enum { symbols, default }
        }
        1 => Shape::Fixed(random.below(20)),
        _ => {
            let mut names = FIELDS.to_vec();
            let fields = (0..random.below(6))
                .map(|_| {
                    let name = names.remove(random.below(names.len())).to_owned();
                    field(random, name, at + 1, count)
                })
                .collect();
            Shape::Record(fields)
        }
    };
    Definition {
        name,
        namespace: random
            .one_in(2)
            .then(|| random.pick(&NAMESPACES).to_owned()),
        aliases: Vec::new(),
        doc: random.one_in(5),
        shape,
    }
}

pub(super) fn field(random: &mut Generator, name: String, from: usize, count: usize) -> Field {
    Field {
        name,
        of: node(random, from, count, 3),
        has_default: random.one_in(3),
        aliases: if random.one_in(10) {
            vec![format!("old_{}", random.below(3))]
        } else {
            Vec::new()
        },
        doc: random.one_in(8),
        order: random
            .one_in(8)
            .then(|| random.pick(&["descending", "ignore"])),
    }
}

/// A type that may use the definitions from `from` on directly, and all of them where a value can be empty.
pub(super) fn node(random: &mut Generator, from: usize, count: usize, depth: usize) -> Node {
    match random.below(if depth == 0 { 5 } else { 10 }) {
        0 if from < count => Node::Named(from + random.below(count - from)),
        1 => Node::Logical(random.pick(&LOGICAL)),
        5 => Node::Array(Box::new(node(random, 0, count, depth - 1))),
        6 => Node::Map(Box::new(node(random, 0, count, depth - 1))),
        7 | 8 => union(random, from, count, depth - 1),
        9 if count > 0 => Node::Union(vec![
            Node::Primitive("null"),
            Node::Named(random.below(count)),
        ]),
        _ => Node::Primitive(random.pick(&PRIMITIVES)),
    }
}

fn union(random: &mut Generator, from: usize, count: usize, depth: usize) -> Node {
    let mut branches: Vec<Node> = Vec::new();
    if random.one_in(2) {
        branches.push(Node::Primitive("null"));
    }
    for _ in 0..=random.below(3) {
        let branch = node(random, from, count, depth.min(1));
        if !matches!(branch, Node::Union(_)) && !branches.iter().any(|b| same_name(b, &branch)) {
            branches.push(branch);
        }
    }
    Node::Union(branches)
}

/// Whether two types cannot stand in one union.
pub(super) fn same_name(a: &Node, b: &Node) -> bool {
    match (a, b) {
        (Node::Named(a), Node::Named(b)) => a == b,
        (Node::Array(_), Node::Array(_)) | (Node::Map(_), Node::Map(_)) => true,
        (a, b) => match (word(a), word(b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        },
    }
}

fn word(node: &Node) -> Option<&'static str> {
    match node {
        Node::Primitive(word) => Some(word),
        Node::Logical(text) => text
            .split('"')
            .nth(3)
            .and_then(|word| PRIMITIVES.into_iter().find(|p| *p == word)),
        _ => None,
    }
}
