//! When two schemas are the same: Java's `Schema.equals`, and what the registry asks beyond it.

use std::collections::HashSet;

use crate::schema::{AvroSchema, Kind, Type, TypeId};

impl AvroSchema {
    /// Whether two schemas are the same to the registry: the order of custom properties and of aliases does not matter, docs and aliases do, and `error` is `record`.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        compare(&self.types, self.root, &other.types, other.root, true)
    }
}

/// Java's `Schema.equals`: docs, aliases and enum defaults do not count.
pub(crate) fn are_equal(a: &[Type], of_a: TypeId, b: &[Type], of_b: TypeId) -> bool {
    compare(a, of_a, b, of_b, false)
}

/// All pairs that are reached must agree, so they may be looked at in any order, and one that comes again is done.
fn compare(a: &[Type], of_a: TypeId, b: &[Type], of_b: TypeId, meta: bool) -> bool {
    let mut seen: HashSet<(TypeId, TypeId)> = HashSet::new();
    let mut open = vec![(of_a, of_b)];
    let one = std::ptr::eq(a, b);
    while let Some((of_a, of_b)) = open.pop() {
        if one && of_a == of_b {
            continue;
        }
        let (x, y) = (&a[of_a.0 as usize], &b[of_b.0 as usize]);
        if x.properties != y.properties {
            return false;
        }
        let same = match (&x.kind, &y.kind) {
            (Kind::Record(x), Kind::Record(y)) => {
                if !seen.insert((of_a, of_b)) {
                    continue;
                }
                x.name == y.name
                    && x.fields.len() == y.fields.len()
                    && (!meta || x.doc == y.doc && same_set(&x.aliases, &y.aliases))
                    && x.fields.iter().zip(&y.fields).all(|(x, y)| {
                        open.push((x.schema, y.schema));
                        x.name == y.name
                            && x.default == y.default
                            && x.order == y.order
                            && x.properties == y.properties
                            && (!meta || x.doc == y.doc && same_set(&x.aliases, &y.aliases))
                    })
            }
            (Kind::Enum(x), Kind::Enum(y)) => {
                x.name == y.name
                    && x.symbols == y.symbols
                    && (!meta
                        || x.doc == y.doc
                            && x.default == y.default
                            && same_set(&x.aliases, &y.aliases))
            }
            (Kind::Fixed(x), Kind::Fixed(y)) => {
                x.name == y.name
                    && x.size == y.size
                    && (!meta || x.doc == y.doc && same_set(&x.aliases, &y.aliases))
            }
            (Kind::Array(x), Kind::Array(y)) | (Kind::Map(x), Kind::Map(y)) => {
                open.push((*x, *y));
                true
            }
            (Kind::Union(x), Kind::Union(y)) => {
                open.extend(x.iter().copied().zip(y.iter().copied()));
                x.len() == y.len()
            }
            (x, y) => std::mem::discriminant(x) == std::mem::discriminant(y),
        };
        if !same {
            return false;
        }
    }
    true
}

/// Aliases have no doubles.
fn same_set<T: PartialEq + Ord>(a: &[T], b: &[T]) -> bool {
    if a == b {
        return true;
    }
    if a.len() != b.len() {
        return false;
    }
    let sorted = |of: &[T]| -> Vec<usize> {
        let mut order: Vec<usize> = (0..of.len()).collect();
        order.sort_by(|x, y| of[*x].cmp(&of[*y]));
        order
    };
    sorted(a)
        .into_iter()
        .zip(sorted(b))
        .all(|(x, y)| a[x] == b[y])
}
