//! The text of a schema, as Java's `Schema.toString` prints it. A stack of what is still to be written stands for recursion.

use std::collections::HashSet;

use java_idioms::Json;
use java_idioms::json::{NumberStyle, write_string};

use crate::schema::{AvroSchema, Field, Kind, Name, Order, TypeId};

impl AvroSchema {
    /// The canonical text, which the registry stores. Types that the references define at their top are mentioned by name only.
    pub fn canonical(&self) -> String {
        self.print(self.root, self.known.iter().map(|name| name.to_string()))
    }

    /// The text with every reference's types written out (`format=resolved`).
    pub fn resolved(&self) -> String {
        self.print(self.root, std::iter::empty())
    }

    /// The text of one of the schema's types by itself.
    pub(crate) fn text_of(&self, id: TypeId) -> String {
        self.print(id, std::iter::empty())
    }

    fn print(&self, id: TypeId, known: impl Iterator<Item = String>) -> String {
        let mut printer = Printer::new(self, id, known.collect());
        while let Some(task) = printer.open.pop() {
            printer.step(task);
        }
        printer.out
    }

    /// Whether the canonical text nests more deeply than `most`.
    pub(crate) fn nests_beyond(&self, most: usize) -> bool {
        let known = self.known.iter().map(|name| name.to_string()).collect();
        let mut printer = Printer::new(self, self.root, known);
        while let Some(task) = printer.open.pop() {
            printer.step(task);
            if printer.depth > most {
                return true;
            }
            // Only the depth is wanted.
            printer.out.clear();
        }
        false
    }
}

enum Task<'a> {
    /// A type within a namespace.
    Type(TypeId, Option<&'a str>),
    /// Field `n` of a record: up to its type.
    Field(&'a [Field], usize, Option<&'a str>),
    /// What follows a field's type.
    FieldEnd(&'a Field),
    /// What follows the parts of a type that is written as an object.
    End(TypeId),
    /// The bracket behind the fields or the branches.
    Close,
    Comma,
}

struct Printer<'a> {
    schema: &'a AvroSchema,
    known: HashSet<String>,
    out: String,
    open: Vec<Task<'a>>,
    depth: usize,
}

impl<'a> Printer<'a> {
    fn new(schema: &'a AvroSchema, id: TypeId, known: HashSet<String>) -> Self {
        Self {
            schema,
            known,
            out: String::new(),
            open: vec![Task::Type(id, None)],
            depth: 0,
        }
    }

    fn step(&mut self, task: Task<'a>) {
        match task {
            Task::Type(id, namespace) => self.of(id, namespace),
            Task::Field(fields, at, namespace) => {
                if at > 0 {
                    self.out.push(',');
                }
                self.open('{');
                self.out.push_str("\"name\":");
                write_string(&fields[at].name, &mut self.out);
                self.out.push_str(",\"type\":");
                if at + 1 < fields.len() {
                    self.open.push(Task::Field(fields, at + 1, namespace));
                }
                self.open.push(Task::FieldEnd(&fields[at]));
                self.open.push(Task::Type(fields[at].schema, namespace));
            }
            Task::FieldEnd(field) => self.field_end(field),
            Task::End(id) => self.end(id),
            Task::Close => {
                self.out.push(']');
                self.depth -= 1;
            }
            Task::Comma => self.out.push(','),
        }
    }

    fn open(&mut self, bracket: char) {
        self.out.push(bracket);
        self.depth += 1;
    }

    fn of(&mut self, id: TypeId, namespace: Option<&'a str>) {
        let of = self.schema.get(id);
        match &of.kind {
            Kind::Array(inner) | Kind::Map(inner) => {
                self.open('{');
                self.out.push_str(if matches!(of.kind, Kind::Array(_)) {
                    "\"type\":\"array\",\"items\":"
                } else {
                    "\"type\":\"map\",\"values\":"
                });
                self.open.push(Task::End(id));
                self.open.push(Task::Type(*inner, namespace));
            }
            Kind::Union(branches) => {
                self.open('[');
                self.open.push(Task::Close);
                for (at, branch) in branches.iter().enumerate().rev() {
                    self.open.push(Task::Type(*branch, namespace));
                    if at > 0 {
                        self.open.push(Task::Comma);
                    }
                }
            }
            Kind::Record(record) => {
                let word = if record.is_error { "error" } else { "record" };
                if self.head(word, &record.name, namespace) {
                    self.doc(record.doc.as_deref());
                    self.out.push_str(",\"fields\":");
                    self.open('[');
                    self.open.push(Task::End(id));
                    self.open.push(Task::Close);
                    if !record.fields.is_empty() {
                        self.open.push(Task::Field(
                            &record.fields,
                            0,
                            record.name.namespace.as_deref(),
                        ));
                    }
                }
            }
            Kind::Enum(of) => {
                if self.head("enum", &of.name, namespace) {
                    self.doc(of.doc.as_deref());
                    self.out.push_str(",\"symbols\":");
                    self.strings(of.symbols.iter().map(AsRef::as_ref));
                    if let Some(default) = &of.default {
                        self.out.push_str(",\"default\":");
                        write_string(default, &mut self.out);
                    }
                    self.end(id);
                }
            }
            Kind::Fixed(of) => {
                if self.head("fixed", &of.name, namespace) {
                    self.doc(of.doc.as_deref());
                    self.out.push_str(",\"size\":");
                    self.out.push_str(&of.size.to_string());
                    self.end(id);
                }
            }
            kind if of.properties.is_empty() => write_string(kind.name(), &mut self.out),
            kind => {
                self.open('{');
                self.out.push_str("\"type\":");
                write_string(kind.name(), &mut self.out);
                self.end(id);
            }
        }
    }

    /// Begins a named type, or writes its name if it was written before.
    fn head(&mut self, word: &str, name: &Name, namespace: Option<&str>) -> bool {
        if !self.known.insert(name.full()) {
            write_string(&name.qualified(namespace), &mut self.out);
            return false;
        }
        self.open('{');
        self.out.push_str("\"type\":\"");
        self.out.push_str(word);
        self.out.push_str("\",\"name\":");
        write_string(&name.simple, &mut self.out);
        let own = name.namespace.as_deref();
        if own != namespace {
            self.out.push_str(",\"namespace\":");
            write_string(own.unwrap_or(""), &mut self.out);
        }
        true
    }

    fn doc(&mut self, doc: Option<&str>) {
        if let Some(doc) = doc {
            self.out.push_str(",\"doc\":");
            write_string(doc, &mut self.out);
        }
    }

    fn strings<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        self.out.push('[');
        for (at, text) in texts.enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            write_string(text, &mut self.out);
        }
        self.out.push(']');
    }

    fn properties(&mut self, properties: &java_idioms::Object) {
        for (name, value) in properties {
            self.out.push(',');
            write_string(name, &mut self.out);
            self.out.push(':');
            self.json(value);
        }
    }

    fn json(&mut self, value: &Json) {
        value.write(NumberStyle::Double, &mut self.out);
    }

    fn end(&mut self, id: TypeId) {
        let of = self.schema.get(id);
        self.properties(&of.properties);
        let aliases = of.kind.aliases();
        if let (Some(name), false) = (of.kind.named(), aliases.is_empty()) {
            let namespace = name.namespace.as_deref();
            let texts: Vec<String> = aliases.iter().map(|a| a.qualified(namespace)).collect();
            self.out.push_str(",\"aliases\":");
            self.strings(texts.iter().map(String::as_str));
        }
        self.out.push('}');
        self.depth -= 1;
    }

    fn field_end(&mut self, field: &Field) {
        self.doc(field.doc.as_deref());
        if let Some(default) = &field.default {
            self.out.push_str(",\"default\":");
            self.json(default);
        }
        if field.order != Order::Ascending {
            self.out.push_str(",\"order\":");
            write_string(field.order.name(), &mut self.out);
        }
        if !field.aliases.is_empty() {
            self.out.push_str(",\"aliases\":");
            self.strings(field.aliases.iter().map(AsRef::as_ref));
        }
        self.properties(&field.properties);
        self.out.push('}');
        self.depth -= 1;
    }
}
