//! A schema as its kinds of subschemas, with everything that is written in them: for converters.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use java_idioms::Json;

use crate::model::{Kind, Model, NodeId, ROOT};
use crate::pattern::NamePattern;

pub use crate::model::Criterion;

/// A schema taken apart. Subschemas that are referred to are in it as often as they are written, not as often as they are used.
#[derive(Debug)]
pub struct SchemaTree {
    model: Model,
    /// All patterns, compiled when a value is first checked.
    patterns: OnceLock<HashMap<Arc<str>, NamePattern>>,
}

/// A subschema.
#[derive(Debug, Clone, Copy)]
pub struct NodeRef<'t> {
    tree: &'t SchemaTree,
    id: NodeId,
}

/// What a subschema is. Keywords of several kinds beside each other are a [`Combined`](NodeKind::Combined) of [`Criterion::All`].
#[derive(Debug)]
pub enum NodeKind<'t> {
    /// `{}`, `true`, or nothing that constrains.
    Any,
    /// `false`
    Never,
    /// Type null.
    Null,
    /// Type boolean.
    Boolean,
    /// Type number, or its keywords.
    Number {
        /// Type integer.
        integer: bool,
    },
    /// Type string, or its keywords.
    String,
    /// `const`
    Const(&'t Json),
    /// `enum`
    Enum(&'t [Json]),
    /// Several schemas.
    Combined(Criterion, Vec<NodeRef<'t>>),
    /// `not`
    Not,
    /// `if`
    Conditional,
    /// Type object, or its keywords.
    Object {
        /// In the order of Java's hash map.
        properties: Vec<(&'t str, NodeRef<'t>)>,
        /// The schema of `additionalProperties`.
        additional: Option<NodeRef<'t>>,
    },
    /// Type array, or its keywords.
    Array {
        /// The one schema for all items.
        items: Option<NodeRef<'t>>,
    },
    /// `$ref`: what it leads to, references on the way left out.
    Reference(NodeRef<'t>),
}

impl SchemaTree {
    pub(crate) fn new(model: Model) -> Self {
        Self {
            model,
            patterns: OnceLock::new(),
        }
    }

    /// The schema itself.
    pub fn root(&self) -> NodeRef<'_> {
        NodeRef {
            tree: self,
            id: ROOT,
        }
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    pub(crate) fn patterns(&self) -> &HashMap<Arc<str>, NamePattern> {
        self.patterns.get_or_init(|| {
            let mut patterns = HashMap::new();
            for node in &self.model.nodes {
                let names: Vec<&Arc<str>> = match &node.kind {
                    Kind::String(kind) => kind.pattern.iter().collect(),
                    Kind::Object(kind) => kind.pattern_properties.iter().map(|(p, _)| p).collect(),
                    _ => Vec::new(),
                };
                for name in names {
                    patterns
                        .entry(Arc::clone(name))
                        .or_insert_with(|| NamePattern::new(name));
                }
            }
            patterns
        })
    }
}

impl<'t> NodeRef<'t> {
    /// The same for the same subschema, however it was reached.
    pub fn id(self) -> u32 {
        self.id
    }

    fn at(self, id: NodeId) -> NodeRef<'t> {
        NodeRef {
            tree: self.tree,
            id,
        }
    }

    /// A member that is no keyword, such as `title`, `default` or one of `connect.…`.
    pub fn member(self, name: &str) -> Option<&'t Json> {
        self.tree.model.node(self.id).members.as_ref()?.get(name)
    }

    /// Whether an object lists the property as required.
    pub fn requires(self, property: &str) -> bool {
        match &self.tree.model.node(self.id).kind {
            Kind::Object(kind) => kind.required.contains(property),
            _ => false,
        }
    }

    /// What it is.
    pub fn kind(self) -> NodeKind<'t> {
        match &self.tree.model.node(self.id).kind {
            Kind::Empty | Kind::True => NodeKind::Any,
            Kind::False => NodeKind::Never,
            Kind::Null => NodeKind::Null,
            Kind::Boolean => NodeKind::Boolean,
            Kind::Conditional(_) => NodeKind::Conditional,
            Kind::String(_) => NodeKind::String,
            Kind::Number(kind) => NodeKind::Number {
                integer: kind.integer,
            },
            Kind::Const(kind) => NodeKind::Const(kind.list.first().unwrap_or(&Json::Null)),
            Kind::Enum(kind) => NodeKind::Enum(&kind.list),
            Kind::Combined(kind) => NodeKind::Combined(
                kind.criterion,
                kind.subschemas.iter().map(|id| self.at(*id)).collect(),
            ),
            Kind::Not(_) => NodeKind::Not,
            Kind::Object(kind) => NodeKind::Object {
                properties: kind
                    .properties
                    .iter()
                    .map(|(name, id)| (&**name, self.at(*id)))
                    .collect(),
                additional: kind.additional.map(|id| self.at(id)),
            },
            Kind::Array(kind) => NodeKind::Array {
                items: kind.items.map(|id| self.at(id)),
            },
            Kind::Reference(kind) => NodeKind::Reference(self.at(kind.end)),
        }
    }
}
