//! Puts the parts of a schema of the newer drafts together: what is of one kind is merged, several kinds are an `allOf`.

use std::collections::HashMap;

use super::Loader;
use super::modern::{Composite, Part};
use crate::model::{CombinedKind, Criterion, Kind, Node, NodeId};

/// What has been joined so far.
enum Joined {
    Kind(Kind),
    Alternatives(Criterion, Vec<NodeId>),
    Types(Vec<Kind>),
    /// An `allOf` made here.
    All(Vec<Joined>),
}

impl Loader<'_> {
    /// Puts the composites together, those first that are alternatives of others.
    pub(super) fn assemble(&mut self) -> Result<(), String> {
        let order: Vec<NodeId> = self.composites.iter().map(|(id, _)| *id).collect();
        let mut waiting: HashMap<NodeId, Composite> = self.composites.drain(..).collect();
        let mut stack = Vec::new();
        for start in order {
            stack.push(start);
            while let Some(id) = stack.last().copied() {
                let Some(composite) = waiting.get(&id) else {
                    stack.pop();
                    continue;
                };
                let before = stack.len();
                for part in &composite.parts {
                    if let Part::Alternatives(_, ids) = part {
                        stack.extend(ids.iter().filter(|id| waiting.contains_key(id)));
                    }
                }
                if stack.len() == before {
                    stack.pop();
                    if let Some(composite) = waiting.remove(&id) {
                        self.compose(id, composite)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn compose(&mut self, id: NodeId, composite: Composite) -> Result<(), String> {
        let mut joined: Option<Joined> = None;
        for part in composite.parts {
            let part = match part {
                Part::Kind(kind) => Joined::Kind(kind),
                Part::Types(kinds) => Joined::Types(kinds),
                Part::Nothing => Joined::All(Vec::new()),
                Part::Alternatives(criterion, ids) => {
                    Joined::Alternatives(criterion, self.flattened(&ids))
                }
            };
            joined = Some(match joined {
                None => part,
                Some(joined) => join(joined, part),
            });
        }
        let joined = match joined {
            Some(Joined::All(mut parts)) if parts.len() == 1 => parts.swap_remove(0),
            Some(joined) => joined,
            None => Joined::All(Vec::new()),
        };
        let mut kind = self.settled(joined)?;
        // A comparison must forget them as the original does; a check of values needs them.
        if composite.drops_notes && !self.options.detailed {
            match &mut kind {
                Kind::Object(kind) => kind.unevaluated = None,
                Kind::Array(kind) => {
                    kind.unevaluated = None;
                    kind.min_contains = None;
                    kind.max_contains = None;
                }
                _ => {}
            }
        }
        self.nodes[id as usize] = Node {
            kind,
            has_default: composite.has_default,
            connect_bytes: composite.connect_bytes,
            extra: composite.extra,
            print: 0,
            members: composite.members,
        };
        Ok(())
    }

    /// Alternatives that are an `allOf` made of keywords give their parts instead of themselves.
    fn flattened(&self, ids: &[NodeId]) -> Vec<NodeId> {
        let mut out = Vec::with_capacity(ids.len());
        for id in ids {
            match &self.nodes[*id as usize].kind {
                Kind::Combined(kind) if kind.generated && kind.criterion == Criterion::All => {
                    out.extend(&kind.subschemas);
                }
                _ => out.push(*id),
            }
        }
        out
    }

    fn settled(&mut self, joined: Joined) -> Result<Kind, String> {
        let (criterion, subschemas, generated) = match joined {
            Joined::Kind(kind) => return Ok(kind),
            Joined::All(parts) if parts.is_empty() => return Ok(Kind::Empty),
            Joined::Alternatives(criterion, ids) => (criterion, ids, false),
            Joined::Types(kinds) => {
                let ids = kinds
                    .into_iter()
                    .map(|kind| self.push(Node::new(kind)))
                    .collect::<Result<_, _>>()?;
                (Criterion::Any, ids, true)
            }
            Joined::All(parts) => {
                let mut ids = Vec::with_capacity(parts.len());
                for part in parts {
                    let kind = self.settled(part)?;
                    ids.push(self.push(Node::new(kind))?);
                }
                (Criterion::All, ids, true)
            }
        };
        Ok(Kind::Combined(Box::new(CombinedKind {
            criterion,
            subschemas,
            generated,
        })))
    }
}

fn join(before: Joined, next: Joined) -> Joined {
    let (before, next) = match (before, next) {
        (Joined::Kind(mut kind), Joined::Kind(other)) => match merge(&mut kind, other) {
            None => return Joined::Kind(kind),
            Some(other) => (Joined::Kind(kind), Joined::Kind(other)),
        },
        (Joined::Types(kinds), Joined::Kind(kind)) | (Joined::Kind(kind), Joined::Types(kinds))
            if kinds.iter().any(|k| same_kind(k, &kind)) =>
        {
            return Joined::Types(accumulate(kinds, kind));
        }
        pair => pair,
    };
    let flat = |joined| match joined {
        Joined::All(parts) => parts,
        other => vec![other],
    };
    let mut parts: Vec<Joined> = Vec::new();
    for part in flat(before).into_iter().chain(flat(next)) {
        let part = match part {
            Joined::Kind(kind) => {
                let mut left = Some(kind);
                for known in &mut parts {
                    if let Joined::Kind(known) = known
                        && let Some(kind) = left.take()
                    {
                        left = merge(known, kind);
                    }
                }
                left.map(Joined::Kind)
            }
            other => Some(other),
        };
        parts.extend(part);
    }
    Joined::All(parts)
}

fn same_kind(a: &Kind, b: &Kind) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// Merges into the first of the same kind, where that kind can be merged at all.
fn accumulate(mut kinds: Vec<Kind>, kind: Kind) -> Vec<Kind> {
    let mut kind = Some(kind);
    for known in &mut kinds {
        if let Some(other) = kind.take() {
            kind = merge(known, other);
        }
    }
    kinds.extend(kind);
    kinds
}

/// Adds what `other` says to a schema of the same kind; gives it back if that cannot be.
fn merge(kind: &mut Kind, other: Kind) -> Option<Kind> {
    match (kind, other) {
        (Kind::String(kind), Kind::String(other)) => {
            kind.required |= other.required;
            set(&mut kind.min_length, other.min_length);
            set(&mut kind.max_length, other.max_length);
            set(&mut kind.pattern, other.pattern);
        }
        (Kind::Number(kind), Kind::Number(other)) => {
            kind.required |= other.required;
            kind.integer |= other.integer;
            set(&mut kind.minimum, other.minimum);
            set(&mut kind.maximum, other.maximum);
            set(&mut kind.exclusive_minimum, other.exclusive_minimum);
            set(&mut kind.exclusive_maximum, other.exclusive_maximum);
            set(&mut kind.multiple_of, other.multiple_of);
        }
        (Kind::Object(kind), Kind::Object(other)) => {
            kind.required_object |= other.required_object;
            kind.permits_additional &= other.permits_additional;
            kind.properties.extend(other.properties);
            kind.required.extend(other.required);
            kind.pattern_properties.extend(other.pattern_properties);
            kind.property_dependencies
                .extend(other.property_dependencies);
            kind.schema_dependencies.extend(other.schema_dependencies);
            set(&mut kind.additional, other.additional);
            set(&mut kind.unevaluated, other.unevaluated);
            set(&mut kind.property_names, other.property_names);
            set(&mut kind.min_properties, other.min_properties);
            set(&mut kind.max_properties, other.max_properties);
        }
        (Kind::Array(kind), Kind::Array(other)) => {
            kind.required |= other.required;
            kind.permits_additional &= other.permits_additional;
            kind.unique |= other.unique;
            kind.tuple.extend(other.tuple);
            set(&mut kind.items, other.items);
            set(&mut kind.additional, other.additional);
            set(&mut kind.unevaluated, other.unevaluated);
            set(&mut kind.contains, other.contains);
            set(&mut kind.min_contains, other.min_contains);
            set(&mut kind.max_contains, other.max_contains);
            set(&mut kind.min_items, other.min_items);
            set(&mut kind.max_items, other.max_items);
        }
        (_, other) => return Some(other),
    }
    None
}

fn set<T>(slot: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *slot = value;
    }
}
