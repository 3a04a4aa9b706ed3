//! Names of types and extensions, and how a name in a text finds them: from the innermost scope outwards, over the file itself, the given references and the built-in files.
//! A type is found whether or not its file is imported, as in the original.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use crate::ast::{Extend, Label, ProtoFile, TypeElement};
use crate::known;

/// Steps that all look-ups of one schema may take together. A schema of 10 MB needs a tenth of it.
const LOOKUP_BUDGET: u64 = 200_000_000;

/// Names that the files of one schema may declare together: each takes up to 300 bytes while the schema is worked on.
const MAX_NAMES: usize = 500_000;

/// Where a type was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// In the schema's own file.
    Own,
    /// In the reference of this number.
    Reference(usize),
    /// In a built-in file.
    Known(usize),
}

/// A declared type.
#[derive(Debug)]
pub(crate) struct TypeInfo<'a> {
    /// Package of its file, empty for none.
    pub(crate) package: &'a str,
    pub(crate) origin: Origin,
    pub(crate) element: &'a TypeElement,
    /// For a map entry: the types of its key and value, as written.
    pub(crate) map: Option<(&'a str, &'a str)>,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<String, u32>,
    type_info: Option<u32>,
    /// Whether the extension field of this name is repeated.
    extension: Option<bool>,
}

/// The names of some files as a tree of their parts.
#[derive(Debug)]
struct Names<'a> {
    nodes: Vec<Node>,
    infos: Vec<TypeInfo<'a>>,
    /// More names were declared than are kept.
    full: bool,
}

impl<'a> Names<'a> {
    fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
            infos: Vec::new(),
            full: false,
        }
    }

    fn child(&self, node: u32, part: &str) -> Option<u32> {
        self.nodes.get(node as usize)?.children.get(part).copied()
    }

    fn child_or_new(&mut self, node: u32, name: &str) -> u32 {
        name.split('.').fold(node, |node, part| {
            if let Some(found) = self.child(node, part) {
                return found;
            }
            if self.nodes.len() >= MAX_NAMES {
                self.full = true;
                return node;
            }
            let new = self.nodes.len() as u32;
            self.nodes.push(Node::default());
            self.nodes[node as usize]
                .children
                .insert(part.to_owned(), new);
            new
        })
    }

    fn add_file(&mut self, file: &'a ProtoFile, origin: Origin) {
        let package = file.package.as_deref().unwrap_or_default();
        let root = if package.is_empty() {
            0
        } else {
            self.child_or_new(0, package)
        };
        self.add_extends(root, &file.extends);
        self.add_types(root, &file.types, package, origin);
    }

    fn add_types(
        &mut self,
        parent: u32,
        types: &'a [TypeElement],
        package: &'a str,
        origin: Origin,
    ) {
        for element in types {
            let node = self.child_or_new(parent, element.name());
            let mut map = None;
            if let TypeElement::Message(message) = element {
                self.add_extends(node, &message.extends);
                if message.is_map_entry() {
                    let field = |name: &str| {
                        message
                            .fields
                            .iter()
                            .find(|field| field.name == name)
                            .map(|field| field.type_name.as_str())
                    };
                    map = field("key").zip(field("value"));
                }
            }
            let info = self.infos.len() as u32;
            self.infos.push(TypeInfo {
                package,
                origin,
                element,
                map,
            });
            self.nodes[node as usize].type_info = Some(info);
            if let TypeElement::Message(message) = element {
                self.add_types(node, &message.types, package, origin);
            }
        }
    }

    fn add_extends(&mut self, parent: u32, extends: &[Extend]) {
        for field in extends.iter().flat_map(|extend| &extend.fields) {
            let node = self.child_or_new(parent, &field.name);
            self.nodes[node as usize].extension = Some(field.label == Some(Label::Repeated));
        }
    }
}

static KNOWN_NAMES: LazyLock<Names<'static>> = LazyLock::new(|| {
    let mut names = Names::new();
    for (i, (_, file)) in known::files().iter().enumerate() {
        names.add_file(file, Origin::Known(i));
    }
    names
});

/// All types that the names in a schema can mean.
#[derive(Debug)]
pub(crate) struct TypeIndex<'a> {
    names: Names<'a>,
    /// Built-in files that a reference of the same path replaces.
    replaced: HashSet<usize>,

    steps: Cell<u64>,
}

impl<'a> TypeIndex<'a> {
    pub(crate) fn new(file: &'a ProtoFile, references: &'a [(Arc<str>, Arc<ProtoFile>)]) -> Self {
        let mut names = Names::new();
        let mut replaced = HashSet::new();
        // Of two files that declare the same name the last one counts; the original walks over a hash map.
        let order = java_idioms::hash_order(references.iter().enumerate(), |(_, (path, _))| path);
        for (i, (path, reference)) in order {
            if let Some(known) = known::position(path) {
                replaced.insert(known);
            }
            names.add_file(reference, Origin::Reference(i));
        }
        names.add_file(file, Origin::Own);
        Self {
            names,
            replaced,

            steps: Cell::new(0),
        }
    }

    /// Whether there are more names, or the look-ups took more steps, than allowed; then some were answered with nothing.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.names.full || self.steps.get() > LOOKUP_BUDGET
    }

    fn step(&self, part: &str) -> bool {
        self.steps.set(self.steps.get() + 8 + part.len() as u64);
        !self.is_exhausted()
    }

    fn walk(&self, at: At, name: &str) -> At {
        let mut at = at;
        for part in name.split('.') {
            if !self.step(part) {
                return At::default();
            }
            at = At {
                own: at.own.and_then(|node| self.names.child(node, part)),
                known: at.known.and_then(|node| KNOWN_NAMES.child(node, part)),
            };
            if at.own.is_none() && at.known.is_none() {
                break;
            }
        }
        at
    }

    fn type_at(&self, at: At) -> Option<&TypeInfo<'a>> {
        let info = |names: &'_ Names<'_>, node: Option<u32>| names.nodes[node? as usize].type_info;
        if let Some(found) = info(&self.names, at.own) {
            return self.names.infos.get(found as usize);
        }
        let found = KNOWN_NAMES
            .infos
            .get(info(&KNOWN_NAMES, at.known)? as usize)?;
        match found.origin {
            Origin::Known(file) if self.replaced.contains(&file) => None,
            _ => Some(found),
        }
    }

    fn extension_at(&self, at: At) -> Option<bool> {
        let get = |names: &Names<'_>, node: Option<u32>| names.nodes[node? as usize].extension;
        get(&self.names, at.own).or_else(|| get(&KNOWN_NAMES, at.known))
    }

    /// The type of this full name; a leading dot is ignored.
    pub(crate) fn type_of(&self, full_name: &str) -> Option<&TypeInfo<'a>> {
        self.type_at(self.walk(At::ROOT, strip_dot(full_name)))
    }

    /// Whether the extension field of this full name is repeated; `None` if there is none.
    pub(crate) fn extension_of(&self, full_name: &str) -> Option<bool> {
        self.extension_at(self.walk(At::ROOT, strip_dot(full_name)))
    }
}

fn strip_dot(name: &str) -> &str {
    name.strip_prefix('.').unwrap_or(name)
}

/// A node in both trees.
#[derive(Debug, Clone, Copy, Default)]
struct At {
    own: Option<u32>,
    known: Option<u32>,
}

impl At {
    const ROOT: Self = Self {
        own: Some(0),
        known: Some(0),
    };
}

/// A position in a file: its package and the types around.
#[derive(Debug, Clone)]
pub(crate) struct Scope<'s> {
    /// From the outermost part of the package inwards: name and node.
    parts: Vec<(&'s str, At)>,
    package_parts: usize,
}

impl<'s> Scope<'s> {
    pub(crate) fn of_package(index: &TypeIndex<'_>, package: Option<&'s str>) -> Self {
        let mut scope = Self {
            parts: Vec::new(),
            package_parts: 0,
        };
        if let Some(package) = package.filter(|package| !package.is_empty()) {
            for part in package.split('.') {
                scope.enter(index, part);
            }
        }
        scope.package_parts = scope.parts.len();
        scope
    }

    pub(crate) fn enter(&mut self, index: &TypeIndex<'_>, name: &'s str) {
        let at = self.parts.last().map_or(At::ROOT, |part| part.1);
        self.parts.push((name, index.walk(at, name)));
    }

    pub(crate) fn leave(&mut self) {
        self.parts.pop();
    }

    /// Back to the package, then into these types.
    pub(crate) fn restart(&mut self, index: &TypeIndex<'_>, names: &[&'s str]) {
        self.parts.truncate(self.package_parts);
        for name in names {
            self.enter(index, name);
        }
    }

    /// The full name and the type that `name` means here.
    pub(crate) fn find_type<'i, 'a>(
        &self,
        index: &'i TypeIndex<'a>,
        name: &str,
    ) -> Option<(String, &'i TypeInfo<'a>)> {
        self.find(index, name, |at| index.type_at(at))
    }

    /// The type alone.
    pub(crate) fn type_of<'i, 'a>(
        &self,
        index: &'i TypeIndex<'a>,
        name: &str,
    ) -> Option<&'i TypeInfo<'a>> {
        self.search(index, name, |at| index.type_at(at))
            .map(|found| found.1)
    }

    /// The full name of the extension field that `name` means here.
    pub(crate) fn find_extension(&self, index: &TypeIndex<'_>, name: &str) -> Option<String> {
        self.find(index, name, |at| index.extension_at(at))
            .map(|found| found.0)
    }

    fn find<T>(
        &self,
        index: &TypeIndex<'_>,
        name: &str,
        get: impl Fn(At) -> Option<T>,
    ) -> Option<(String, T)> {
        let (prefix, found) = self.search(index, name, get)?;
        let mut full = String::new();
        for (part, _) in &self.parts[..prefix] {
            full.push_str(part);
            full.push('.');
        }
        full.push_str(strip_dot(name));
        Some((full, found))
    }

    /// How many parts of the scope stand before the name, and what was found.
    fn search<T>(
        &self,
        index: &TypeIndex<'_>,
        name: &str,
        get: impl Fn(At) -> Option<T>,
    ) -> Option<(usize, T)> {
        if let Some(absolute) = name.strip_prefix('.') {
            return Some((0, get(index.walk(At::ROOT, absolute))?));
        }
        (0..=self.parts.len()).rev().find_map(|prefix| {
            let at = match prefix {
                0 => At::ROOT,
                _ => self.parts[prefix - 1].1,
            };
            if !index.step("") || (at.own.is_none() && at.known.is_none()) {
                return None;
            }
            Some((prefix, get(index.walk(at, name))?))
        })
    }
}
