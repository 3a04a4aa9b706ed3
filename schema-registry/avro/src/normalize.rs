//! The text under `normalize=true`: written in one fixed shape, then parsed and printed again, as the registry does, so that what gets lost on the way gets lost here too.

use std::collections::HashSet;

use java_idioms::json::NumberStyle;
use java_idioms::{Json, Object, java_f32, java_f64};

use crate::logical::Logical;
use crate::schema::{AvroSchema, Field, Kind, Name, TypeId};

impl AvroSchema {
    /// The normalized text (`normalize=true`).
    pub fn normalized(&self) -> String {
        // Where Java's own text could not be read back its registry would fail; the canonical text is as good as any then.
        self.normal_form()
            .and_then(|text| AvroSchema::parse(&text, &self.references, self.strictness).ok())
            .map_or_else(|| self.canonical(), |schema| schema.canonical())
    }

    fn normal_form(&self) -> Option<String> {
        let mut normalizer = Normalizer {
            schema: self,
            seen: self.known.iter().map(|name| name.to_string()).collect(),
            out: String::new(),
            open: vec![Task::Type(self.root)],
        };
        while let Some(task) = normalizer.open.pop() {
            normalizer.step(task)?;
        }
        Some(normalizer.out)
    }
}

enum Task<'a> {
    Type(TypeId),
    Field(&'a [Field], usize),
    FieldEnd(&'a Field),
    /// What follows the parts of a type.
    End(TypeId),
    Text(&'static str),
}

struct Normalizer<'a> {
    schema: &'a AvroSchema,
    seen: HashSet<String>,
    out: String,
    open: Vec<Task<'a>>,
}

impl<'a> Normalizer<'a> {
    fn step(&mut self, task: Task<'a>) -> Option<()> {
        match task {
            Task::Text(text) => self.out.push_str(text),
            Task::Type(id) => self.of(id)?,
            Task::Field(fields, at) => {
                if at > 0 {
                    self.out.push(',');
                }
                self.out.push_str("{\"name\":\"");
                self.out.push_str(&fields[at].name);
                self.out.push_str("\",\"type\":");
                if at + 1 < fields.len() {
                    self.open.push(Task::Field(fields, at + 1));
                }
                self.open.push(Task::FieldEnd(&fields[at]));
                self.open.push(Task::Type(fields[at].schema));
            }
            Task::FieldEnd(field) => self.field_end(field)?,
            Task::End(id) => {
                self.logical(id);
                self.named(id);
                self.properties(&self.schema.get(id).properties)?;
                self.out.push('}');
            }
        }
        Some(())
    }

    fn of(&mut self, id: TypeId) -> Option<()> {
        let of = self.schema.get(id);
        let kind = &of.kind;
        if let Some(name) = kind.named() {
            let name = name.full();
            let quoted = format!("\"{name}\"");
            if !self.seen.insert(name) {
                self.out.push_str(&quoted);
                return Some(());
            }
            self.out.push_str("{\"name\":");
            self.out.push_str(&quoted);
            self.out.push_str(",\"type\":\"");
            self.out.push_str(kind.name());
            self.out.push('"');
        }
        match kind {
            Kind::Union(branches) => {
                self.out.push('[');
                self.open.push(Task::Text("]"));
                for (at, branch) in branches.iter().enumerate().rev() {
                    self.open.push(Task::Type(*branch));
                    if at > 0 {
                        self.open.push(Task::Text(","));
                    }
                }
            }
            Kind::Array(inner) => {
                self.out.push_str("{\"type\":\"array\",\"items\":");
                self.open.push(Task::End(id));
                self.open.push(Task::Type(*inner));
            }
            Kind::Map(inner) => {
                self.out.push_str("{\"type\":\"map\",\"values\":");
                self.open.push(Task::End(id));
                self.open.push(Task::Type(*inner));
            }
            Kind::Record(record) => {
                self.out.push_str(",\"fields\":[");
                self.open.push(Task::End(id));
                self.open.push(Task::Text("]"));
                if !record.fields.is_empty() {
                    self.open.push(Task::Field(&record.fields, 0));
                }
            }
            Kind::Enum(of) => {
                self.out.push_str(",\"symbols\":[");
                for (at, symbol) in of.symbols.iter().enumerate() {
                    self.out.push_str(if at > 0 { ",\"" } else { "\"" });
                    self.out.push_str(symbol);
                    self.out.push('"');
                }
                self.out.push(']');
                self.open.push(Task::End(id));
            }
            Kind::Fixed(of) => {
                self.out.push_str(&format!(",\"size\":{}", of.size));
                self.open.push(Task::End(id));
            }
            kind if of.properties.is_empty() => {
                self.out.push('"');
                self.out.push_str(kind.name());
                self.out.push('"');
            }
            kind => {
                self.out.push_str("{\"type\":\"");
                self.out.push_str(kind.name());
                self.out.push('"');
                self.open.push(Task::End(id));
            }
        }
        Some(())
    }

    fn logical(&mut self, id: TypeId) {
        match self.schema.logical(id) {
            None => {}
            Some(Logical::Other(name)) => {
                self.out.push_str(",\"logicalType\":\"");
                self.out.push_str(name);
                self.out.push('"');
            }
            Some(Logical::Decimal { precision, scale }) => {
                self.out.push_str(&format!(
                    ",\"logicalType\":\"decimal\",\"precision\":{precision}"
                ));
                if scale != 0 {
                    self.out.push_str(&format!(",\"scale\":{scale}"));
                }
            }
        }
    }

    fn named(&mut self, id: TypeId) {
        let (doc, default) = match &self.schema.get(id).kind {
            Kind::Record(of) => (&of.doc, None),
            Kind::Enum(of) => (&of.doc, of.default.as_ref()),
            Kind::Fixed(of) => (&of.doc, None),
            _ => return,
        };
        let kind = &self.schema.get(id).kind;
        if let Some(doc) = doc.as_ref().filter(|doc| !doc.is_empty()) {
            self.member("doc", &Json::String(std::sync::Arc::clone(doc)));
        }
        let namespaced = kind.named().is_some_and(|name| name.namespace.is_some());
        self.aliases(kind.aliases().iter().map(|alias| match alias {
            Name {
                namespace: None,
                simple,
            } if namespaced => format!(".{simple}"),
            alias => alias.full(),
        }));
        if let Some(default) = default {
            self.member("default", &Json::String(std::sync::Arc::clone(default)));
        }
    }

    fn aliases(&mut self, aliases: impl Iterator<Item = String>) {
        let mut aliases: Vec<String> = aliases.collect();
        if aliases.is_empty() {
            return;
        }
        aliases.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
        let aliases = aliases.into_iter().map(Json::from).collect();
        self.member("aliases", &Json::Array(aliases));
    }

    fn field_end(&mut self, field: &Field) -> Option<()> {
        self.out.push_str(",\"order\":\"");
        self.out.push_str(&field.order.name().to_uppercase());
        self.out.push('"');
        if let Some(doc) = &field.doc {
            self.member("doc", &Json::String(std::sync::Arc::clone(doc)));
        }
        self.aliases(field.aliases.iter().map(|alias| alias.to_string()));
        if let Some(default) = &field.default
            && let Some(default) = self.default(field.schema, default)?
        {
            self.member("default", &default);
        }
        self.properties(&field.properties)?;
        self.out.push('}');
        Some(())
    }

    fn member(&mut self, name: &str, value: &Json) {
        self.out.push_str(",\"");
        self.out.push_str(name);
        self.out.push_str("\":");
        value.write(NumberStyle::Literal, &mut self.out);
    }

    /// Sorted by name, and so are the objects in them.
    fn properties(&mut self, properties: &Object) -> Option<()> {
        let mut sorted: Vec<_> = properties.iter().collect();
        sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        for (name, value) in sorted {
            let value = plain(value)?;
            self.member(name, &value);
        }
        Some(())
    }

    /// The default as Java's object for the type, and that as JSON. `Some(None)`: there is no such object, and the default is left out. `None`: Java fails.
    fn default(&self, of: TypeId, value: &Json) -> Option<Option<Json>> {
        let kind = &self.schema.get(of).kind;
        Some(match (kind, value) {
            (Kind::Union(branches), value) => match branches.first() {
                Some(first) => self.default(*first, value)?,
                None => return None,
            },
            (_, Json::Null | Json::Bool(_)) => Some(value.clone()),
            (Kind::Int, Json::Number(number)) if number.is_integer() => {
                number.as_i64().map(|_| value.clone())
            }
            (Kind::Long, Json::Number(number)) if number.is_integer() => {
                number.as_i64().map(|_| value.clone())
            }
            (Kind::Float, Json::Number(number)) => {
                if number.is_integer() && number.as_i64().is_none() {
                    None
                } else {
                    let mut text = Vec::new();
                    java_f32(number.as_f64() as f32, &mut text);
                    Some(number_json(text))
                }
            }
            (Kind::Double, Json::Number(number)) => {
                if number.is_integer() && number.as_i64().is_none() {
                    None
                } else {
                    let mut text = Vec::new();
                    java_f64(number.as_f64(), &mut text);
                    Some(number_json(text))
                }
            }
            // What a floating default without digits became.
            (Kind::Float | Kind::Double, Json::String(text))
                if matches!(&**text, "NaN" | "Infinity" | "-Infinity") =>
            {
                Some(value.clone())
            }
            (Kind::String | Kind::Enum(_), Json::String(_)) => Some(value.clone()),
            (Kind::Bytes | Kind::Fixed(_), Json::String(text)) => Some(
                text.chars()
                    .map(|c| if u32::from(c) < 256 { c } else { '?' })
                    .collect::<String>()
                    .into(),
            ),
            (_, Json::Number(_) | Json::String(_)) => None,
            (Kind::Array(item), Json::Array(values)) => {
                let values: Option<Vec<Json>> = values
                    .iter()
                    .map(|value| self.default(*item, value)?)
                    .collect();
                Some(Json::Array(values?))
            }
            (_, Json::Array(_)) => return None,
            (Kind::Map(inner), Json::Object(members)) => {
                Some(sorted(members, |_, value| self.default(*inner, value)?)?)
            }
            (Kind::Record(record), Json::Object(members)) => {
                Some(sorted(members, |name, value| {
                    let at = self.schema.field_near(of, name, 0)?;
                    self.default(record.fields[at].schema, value)?
                })?)
            }
            (_, Json::Object(members)) => Some(sorted(members, |_, value| plain(value))?),
        })
    }
}

fn number_json(text: Vec<u8>) -> Json {
    let text = String::from_utf8(text).unwrap_or_default();
    match java_idioms::Number::parse(&text) {
        Some(number) => Json::Number(number),
        None => Json::from(text),
    }
}

/// Members by their names in Java's order.
fn sorted(members: &Object, mut value: impl FnMut(&str, &Json) -> Option<Json>) -> Option<Json> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    let mut out = Object::new();
    for (name, member) in sorted {
        out.insert(std::sync::Arc::clone(name), value(name, member)?);
    }
    Some(Json::Object(out))
}

/// A value without a type as Java's object and back: `None` where it holds an integer beyond 64 bits, which becomes a null pointer.
fn plain(value: &Json) -> Option<Json> {
    Some(match value {
        Json::Number(number) if number.is_integer() => {
            number.as_i64()?;
            value.clone()
        }
        Json::Array(values) => Json::Array(values.iter().map(plain).collect::<Option<_>>()?),
        Json::Object(members) => sorted(members, |_, value| plain(value))?,
        other => other.clone(),
    })
}
