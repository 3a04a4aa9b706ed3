//! Changes as people make them to schemas.

use super::Generator;
use super::model::{
    Definition, FIELDS, Field, LOGICAL, Model, NAMESPACES, Node, PRIMITIVES, SYMBOLS, Shape, field,
    node, same_name,
};

impl Model {
    /// One change somewhere.
    pub(super) fn mutate(&mut self, random: &mut Generator) {
        let count = self.definitions.len();
        if count == 0 || random.one_in(12) {
            let mut root = std::mem::replace(&mut self.root, Node::Primitive("null"));
            mutate_node(random, &mut root, 0, count);
            self.root = root;
            return;
        }
        let at = random.below(count);
        let of = &mut self.definitions[at];
        if random.one_in(5) {
            rename(random, of);
            return;
        }
        match &mut of.shape {
            Shape::Record(fields) => mutate_record(random, fields, at + 1, count),
            Shape::Enum { symbols, default } => match random.below(4) {
                0 if symbols.len() > 1 => {
                    let gone = symbols.remove(random.below(symbols.len()));
                    if default.as_ref() == Some(&gone) {
                        *default = None;
                    }
                }
                1 => {
                    let symbol = random.pick(&SYMBOLS);
                    if !symbols.iter().any(|s| s.as_str() == symbol) {
                        let at = random.below(symbols.len() + 1);
                        symbols.insert(at, symbol.to_owned());
                    }
                }
                2 => *default = None,
                _ => *default = symbols.first().cloned(),
            },
            Shape::Fixed(size) => *size = random.below(20),
        }
    }
}

fn rename(random: &mut Generator, of: &mut Definition) {
    match random.below(4) {
        0 => {
            of.namespace = random
                .one_in(2)
                .then(|| random.pick(&NAMESPACES).to_owned());
        }
        1 => {
            of.name.push('2');
        }
        2 => {
            let old = match &of.namespace {
                Some(namespace) => format!("{namespace}.{}", of.name),
                None => of.name.clone(),
            };
            of.name.push('3');
            of.aliases.push(old);
        }
        _ => {
            let alias = format!("{}2", of.name);
            of.aliases.push(alias);
        }
    }
    of.aliases.dedup();
}

fn mutate_record(random: &mut Generator, fields: &mut Vec<Field>, from: usize, count: usize) {
    let add = fields.is_empty() || random.one_in(4);
    if add {
        let name = random.pick(&FIELDS);
        if fields.iter().all(|f| f.name != name) {
            let new = field(random, name.to_owned(), from, count);
            let at = random.below(fields.len() + 1);
            fields.insert(at, new);
        }
        return;
    }
    let at = random.below(fields.len());
    match random.below(9) {
        0 => {
            fields.remove(at);
        }
        1 => {
            let other = random.below(fields.len());
            fields.swap(at, other);
        }
        2 => fields[at].has_default = !fields[at].has_default,
        3 => {
            let old = format!("{}_new", fields[at].name);
            let old = std::mem::replace(&mut fields[at].name, old);
            fields[at].aliases.push(old);
        }
        4 => {
            let alias = fields[random.below(fields.len())].name.clone();
            if !fields[at].aliases.contains(&alias) {
                fields[at].aliases.push(alias);
            }
        }
        5 => fields[at].name.push('2'),
        _ => mutate_node(random, &mut fields[at].of, from, count),
    }
}

fn mutate_node(random: &mut Generator, of: &mut Node, from: usize, count: usize) {
    match of {
        Node::Array(inner) | Node::Map(inner) if !random.one_in(4) => {
            mutate_node(random, inner, 0, count);
        }
        Node::Union(branches) if !random.one_in(5) && !branches.is_empty() => {
            let at = random.below(branches.len());
            match random.below(5) {
                0 => {
                    branches.remove(at);
                }
                1 => {
                    let new = node(random, from, count, 1);
                    if !matches!(new, Node::Union(_))
                        && !branches.iter().any(|b| same_name(b, &new))
                    {
                        branches.insert(at, new);
                    }
                }
                2 => {
                    let other = random.below(branches.len());
                    branches.swap(at, other);
                }
                3 => *of = branches.swap_remove(at),
                _ => {
                    let mut branch = branches[at].clone();
                    mutate_node(random, &mut branch, from, count);
                    let fits = !matches!(branch, Node::Union(_))
                        && !branches
                            .iter()
                            .enumerate()
                            .any(|(i, b)| i != at && same_name(b, &branch));
                    if fits {
                        branches[at] = branch;
                    }
                }
            }
        }
        _ => {
            let old = of.clone();
            *of = match random.below(6) {
                0 if !matches!(old, Node::Union(_) | Node::Primitive("null")) => {
                    Node::Union(vec![Node::Primitive("null"), old])
                }
                1 => Node::Logical(random.pick(&LOGICAL)),
                2 => node(random, from, count, 2),
                _ => Node::Primitive(random.pick(&PRIMITIVES)),
            };
        }
    }
}
