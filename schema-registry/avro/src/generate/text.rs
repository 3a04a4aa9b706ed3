//! Models as text, in more than one way of writing the same.

use std::fmt::Write as _;

use super::Generator;
use super::model::{Definition, Model, Node, Shape};

impl Model {
    pub(super) fn text(&self, random: &mut Generator) -> String {
        let mut writer = Writer {
            model: self,
            written: vec![false; self.definitions.len()],
            out: String::new(),
        };
        writer.node(random, &self.root, None);
        writer.out
    }
}

struct Writer<'a> {
    model: &'a Model,
    written: Vec<bool>,
    out: String,
}

impl<'a> Writer<'a> {
    fn node(&mut self, random: &mut Generator, node: &'a Node, namespace: Option<&'a str>) {
        match node {
            Node::Primitive(word) if random.one_in(12) => {
                let _ = write!(self.out, "{{\"type\":\"{word}\"}}");
            }
            Node::Primitive(word) => {
                let _ = write!(self.out, "\"{word}\"");
            }
            Node::Logical(text) => self.out.push_str(text),
            Node::Array(inner) => {
                self.out.push_str("{\"type\":\"array\",\"items\":");
                self.node(random, inner, namespace);
                self.out.push('}');
            }
            Node::Map(inner) => {
                self.out.push_str("{\"type\":\"map\",\"values\":");
                self.node(random, inner, namespace);
                self.out.push('}');
            }
            Node::Union(branches) => {
                self.out.push('[');
                for (at, branch) in branches.iter().enumerate() {
                    if at > 0 {
                        self.out.push(',');
                    }
                    self.node(random, branch, namespace);
                }
                self.out.push(']');
            }
            Node::Named(at) => self.named(random, *at, namespace),
        }
    }

    fn named(&mut self, random: &mut Generator, at: usize, namespace: Option<&'a str>) {
        let of = &self.model.definitions[at];
        let own = of.namespace.as_deref();
        if std::mem::replace(&mut self.written[at], true) {
            let full = match own {
                Some(own) if own != namespace.unwrap_or("") || random.one_in(2) => {
                    format!("{own}.{}", of.name)
                }
                _ => of.name.clone(),
            };
            let _ = write!(self.out, "\"{full}\"");
            return;
        }
        let word = match of.shape {
            Shape::Record(_) => "record",
            Shape::Enum { .. } => "enum",
            Shape::Fixed(_) => "fixed",
        };
        let _ = write!(self.out, "{{\"type\":\"{word}\"");
        self.name(random, of, namespace);
        match &of.shape {
            Shape::Record(fields) => {
                self.out.push_str(",\"fields\":[");
                for (i, field) in fields.iter().enumerate() {
                    if i > 0 {
                        self.out.push(',');
                    }
                    let _ = write!(self.out, "{{\"name\":\"{}\",\"type\":", field.name);
                    self.node(random, &field.of, own);
                    if field.has_default
                        && let Some(default) = self.default(&field.of, 3)
                    {
                        let _ = write!(self.out, ",\"default\":{default}");
                    }
                    if field.doc {
                        self.out.push_str(",\"doc\":\"a \\\"field\\\" \\u00e9\"");
                    }
                    if let Some(order) = field.order {
                        let _ = write!(self.out, ",\"order\":\"{order}\"");
                    }
                    if !field.aliases.is_empty() {
                        let _ = write!(self.out, ",\"aliases\":{:?}", field.aliases);
                    }
                    self.out.push('}');
                }
                self.out.push(']');
            }
            Shape::Enum { symbols, default } => {
                let _ = write!(self.out, ",\"symbols\":{symbols:?}");
                if let Some(default) = default {
                    let _ = write!(self.out, ",\"default\":\"{default}\"");
                }
            }
            Shape::Fixed(size) => {
                let _ = write!(self.out, ",\"size\":{size}");
            }
        }
        if !of.aliases.is_empty() {
            let _ = write!(self.out, ",\"aliases\":{:?}", of.aliases);
        }
        self.out.push('}');
    }

    fn name(&mut self, random: &mut Generator, of: &Definition, namespace: Option<&str>) {
        let own = of.namespace.as_deref();
        match own {
            Some(own) if random.one_in(3) => {
                let _ = write!(self.out, ",\"name\":\"{own}.{}\"", of.name);
            }
            Some(own) if namespace == Some(own) && random.one_in(2) => {
                let _ = write!(self.out, ",\"name\":\"{}\"", of.name);
            }
            own if own.is_none() && namespace.is_none() => {
                let _ = write!(self.out, ",\"name\":\"{}\"", of.name);
            }
            own => {
                let _ = write!(
                    self.out,
                    ",\"name\":\"{}\",\"namespace\":\"{}\"",
                    of.name,
                    own.unwrap_or("")
                );
            }
        }
        if of.doc {
            self.out.push_str(",\"doc\":\"a type\"");
        }
    }

    /// A default that fits; `None` where there is none that is short.
    fn default(&self, node: &Node, depth: usize) -> Option<String> {
        if depth == 0 {
            return None;
        }
        Some(match node {
            Node::Primitive("null") => "null".to_owned(),
            Node::Primitive("boolean") => "true".to_owned(),
            Node::Primitive("int") => "-7".to_owned(),
            Node::Primitive("long") => "5000000000".to_owned(),
            Node::Primitive("float") => "1".to_owned(),
            Node::Primitive("double") => "1.50".to_owned(),
            Node::Primitive(_) => "\"d\\u00e9\"".to_owned(),
            Node::Logical(text) if text.contains("\"int\"") || text.contains("\"long\"") => {
                "3".to_owned()
            }
            Node::Logical(text) if text.contains("\"float\"") => "1e3".to_owned(),
            Node::Logical(_) => "\"\\u0001\"".to_owned(),
            Node::Array(inner) => {
                let inner = self.default(inner, depth - 1).unwrap_or_default();
                format!("[{inner}]")
            }
            Node::Map(inner) => match self.default(inner, depth - 1) {
                Some(inner) => format!("{{\"k\":{inner}}}"),
                None => "{}".to_owned(),
            },
            Node::Union(branches) => self.default(branches.first()?, depth)?,
            Node::Named(at) => match &self.model.definitions[*at].shape {
                Shape::Record(fields) => {
                    let mut members = Vec::new();
                    for field in fields {
                        let value = self.default(&field.of, depth - 1)?;
                        members.push(format!("\"{}\":{value}", field.name));
                    }
                    format!("{{{}}}", members.join(","))
                }
                Shape::Enum { symbols, .. } => format!("\"{}\"", symbols.first()?),
                Shape::Fixed(size) => format!("\"{}\"", "f".repeat(*size)),
            },
        })
    }
}
