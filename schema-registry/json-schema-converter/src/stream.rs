//! Values straight from JSON text, without a tree of it: what nearly every record goes through.
//!
//! Only what is plainly right is read here: `None` for everything else, which is then read as a tree ([`crate::read`]), by the reader that knows each rule and each
//! refusal. So the two cannot disagree on a verdict, and what is rare need not be fast. Members of unions and variants are read as small trees, since their kind shows
//! only when they are known whole.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use java_idioms::Json;
use java_idioms::json::ReadOptions;
use millrace_api::data::{Blob, Decimal, Kind, Schema, Struct, Text, Value};

use crate::base64;
use crate::fault::MAX_VALUE_DEPTH;
use crate::field_names::Fields;
use crate::read::{DAY, Place, moment, read_part};
use crate::read_plan::{Op, Part, PartId, ReadPlan};
use crate::terms::{KEY, VALUE};
use crate::tokens::{Tokens, unescape};

/// Objects with fewer members are searched for names given twice one by one.
const FEW: usize = 16;

/// Reads the value at the start of `text`, which is `payload` from `body` on.
pub(crate) fn read(plan: &ReadPlan, payload: &Blob, body: usize, text: &str) -> Option<Value> {
    let mut value = Value::Null;
    let mut reader = Reader {
        plan,
        payload,
        body,
        tokens: Tokens::new(text),
        depth: 0,
        in_struct: false,
        scratch: String::new(),
    };
    reader.value(0, &mut value)?;
    Some(value)
}

struct Reader<'p> {
    plan: &'p ReadPlan,
    payload: &'p Blob,
    body: usize,
    tokens: Tokens<'p>,
    depth: usize,
    /// Whether the value ends up in a struct, which checks what is put into it.
    in_struct: bool,
    /// Reused for names and texts with escapes.
    scratch: String,
}

impl<'p> Reader<'p> {
    /// Reads a value into its place, where it is not moved any more.
    #[inline]
    fn value(&mut self, id: PartId, out: &mut Value) -> Option<()> {
        let plan = self.plan;
        let part = &plan.parts[id];
        let first = self.tokens.peek()?;
        if first == b'n' {
            self.tokens.word("null")?;
            return match &part.default {
                Some(default) => {
                    *out = default.clone();
                    Some(())
                }
                None => part.optional.then_some(()),
            };
        }
        match &part.op {
            Op::Simple => return self.simple(part.kind, first, out),
            Op::Decimal(scale) => *out = self.decimal(*scale, first)?,
            Op::Date => {
                let days = self.tokens.integer()?;
                i32::try_from(days).ok()?;
                *out = moment(part.kind, days);
            }
            Op::Time => {
                let millis = self.tokens.integer()?;
                if !(0..=DAY).contains(&millis) {
                    return None;
                }
                *out = moment(part.kind, millis);
            }
            Op::Timestamp => *out = moment(part.kind, self.tokens.integer()?),
            Op::Variant(_) | Op::Union(..) => *out = self.tree(id)?,
            _ => {
                if self.depth >= MAX_VALUE_DEPTH {
                    return None;
                }
                self.depth += 1;
                *out = self.container(part, first)?;
                self.depth -= 1;
            }
        }
        Some(())
    }

    #[inline]
    fn simple(&mut self, kind: Kind, first: u8, out: &mut Value) -> Option<()> {
        *out = match kind {
            Kind::Boolean => match first {
                b't' => {
                    self.tokens.word("true")?;
                    Value::Boolean(true)
                }
                b'f' => {
                    self.tokens.word("false")?;
                    Value::Boolean(false)
                }
                _ => return None,
            },
            // What does not fit is cut as in Java.
            Kind::Int8 => Value::Int8(self.tokens.integer()? as i8),
            Kind::Int16 => Value::Int16(self.tokens.integer()? as i16),
            Kind::Int32 => Value::Int32(self.tokens.integer()? as i32),
            Kind::Int64 => Value::Int64(self.tokens.integer()?),
            Kind::Float32 => Value::Float32(self.tokens.number()?.parse().ok()?),
            Kind::Float64 => Value::Float64(self.tokens.number()?.parse().ok()?),
            Kind::String => {
                self.tokens.string()?;
                Value::String(self.owned()?)
            }
            _ => {
                self.tokens.string()?;
                Value::Bytes(Blob::from(base64::decode(self.unescaped())?))
            }
        };
        Some(())
    }

    fn decimal(&mut self, scale: Option<i32>, first: u8) -> Option<Value> {
        if first != b'"' {
            let decimal: Decimal = self.tokens.number()?.parse().ok()?;
            return Some(Value::from(decimal));
        }
        self.tokens.string()?;
        let bytes = base64::decode(self.unescaped()).filter(|bytes| !bytes.is_empty())?;
        Some(Value::from(Decimal::from_be_bytes(&bytes, scale?)))
    }

    /// The last string or name as text: a piece of the payload where it has no escapes.
    #[inline]
    fn owned(&mut self) -> Option<Text> {
        if self.tokens.escaped() {
            return Some(Text::from(self.unescaped()));
        }
        let start = u32::try_from(self.body + self.tokens.start()).ok()?;
        let len = u32::try_from(self.tokens.content().len()).ok()?;
        self.payload.slice(start, len)?.into_text()
    }

    /// The last string or name, for a look at it.
    #[inline]
    fn unescaped(&mut self) -> &str {
        let content = self.tokens.content();
        if !self.tokens.escaped() {
            return content;
        }
        self.scratch.clear();
        unescape(content, &mut self.scratch);
        &self.scratch
    }

    /// What can only be told when the value is known whole.
    fn tree(&mut self, id: PartId) -> Option<Value> {
        let options = ReadOptions {
            max_depth: self.tokens.levels_left(),
            ..ReadOptions::default()
        };
        let (json, length) = Json::read_first(self.tokens.rest(), options).ok()?;
        let place = Place {
            depth: self.depth,
            in_struct: self.in_struct,
        };
        let value = read_part(self.plan, id, &json, place).ok()?;
        self.tokens.advance(length);
        Some(value)
    }

    fn container(&mut self, part: &'p Part, first: u8) -> Option<Value> {
        match (&part.op, first) {
            (Op::Struct(schema, fields), b'{') => self.structure(schema, fields),
            (Op::Array(element), b'[') => {
                self.tokens.enter()?;
                let mut values = Vec::new();
                while self.tokens.element(values.is_empty())? {
                    values.push(Value::Null);
                    self.element(*element, values.last_mut()?)?;
                }
                Some(Value::Array(Arc::new(values)))
            }
            (Op::Object(value), b'{') => self.object(*value),
            (Op::Entries(key, value), b'[') => self.entries(*key, *value),
            (Op::Enclosing(of), _) => self.container(&self.plan.parts[*of], first),
            _ => None,
        }
    }

    fn structure(&mut self, schema: &Schema, fields: &Fields) -> Option<Value> {
        self.tokens.enter()?;
        let outer = std::mem::replace(&mut self.in_struct, true);
        let mut values = vec![Value::Null; fields.len()];
        let mut seen = Seen::new(fields.len());
        let (mut last, mut first) = (None, true);
        while self.tokens.member(first)? {
            first = false;
            let found = match fields.likely(last) {
                Some((place, written)) if self.tokens.takes(written) => Some(place),
                _ => {
                    self.tokens.name()?;
                    let found = fields.find(self.unescaped());
                    if let Some(place) = found {
                        fields.came(place, last);
                    }
                    found
                }
            };
            match found {
                Some(place) => {
                    // Of a member given twice the last value counts, and the others are not even looked at.
                    if !seen.add(place) {
                        return None;
                    }
                    self.value(fields.part(place), &mut values[place])?;
                    last = Some(place);
                }
                None => self.tokens.skip()?,
            }
        }
        self.in_struct = outer;
        if !seen.all() {
            for (place, value) in values.iter_mut().enumerate() {
                let default = &self.plan.parts[fields.part(place)].default;
                if !seen.has(place)
                    && let Some(default) = default
                {
                    *value = default.clone();
                }
            }
        }
        // A struct that is put into another one is checked.
        if outer {
            for (place, value) in values.iter().enumerate() {
                if value.is_null() && !self.plan.parts[fields.part(place)].takes_null() {
                    return None;
                }
            }
        }
        Some(Value::Struct(Struct::new(schema.clone(), values)))
    }

    /// An element of an array or a map.
    #[inline]
    fn element(&mut self, id: PartId, out: &mut Value) -> Option<()> {
        self.value(id, out)?;
        let refused = out.is_null() && self.in_struct && !self.plan.parts[id].optional;
        (!refused).then_some(())
    }

    fn object(&mut self, of: PartId) -> Option<Value> {
        self.tokens.enter()?;
        let mut entries: Vec<(Value, Value)> = Vec::new();
        // Names, when there are so many that they are not compared one by one.
        let mut names: HashSet<Value> = HashSet::new();
        while self.tokens.member(entries.is_empty())? {
            self.tokens.name()?;
            let key = Value::from(self.owned()?);
            let twice = if entries.len() < FEW {
                entries.iter().any(|(known, _)| *known == key)
            } else {
                if names.is_empty() {
                    names.extend(entries.iter().map(|(known, _)| known.clone()));
                }
                !names.insert(key.clone())
            };
            if twice {
                return None;
            }
            entries.push((key, Value::Null));
            self.element(of, &mut entries.last_mut()?.1)?;
        }
        Some(Value::Map(Arc::new(entries)))
    }

    fn entries(&mut self, keys: PartId, values: PartId) -> Option<Value> {
        self.tokens.enter()?;
        let mut entries: Vec<(Value, Value)> = Vec::new();
        let mut places: HashMap<Value, usize> = HashMap::new();
        let mut first = true;
        while self.tokens.element(first)? {
            first = false;
            let (key, value) = self.entry(keys, values)?;
            // An equal key takes the place of the first.
            match places.get(&key) {
                Some(place) => entries[*place].1 = value,
                None => {
                    places.insert(key.clone(), entries.len());
                    entries.push((key, value));
                }
            }
        }
        Some(Value::Map(Arc::new(entries)))
    }

    /// An object of exactly a key and a value.
    fn entry(&mut self, keys: PartId, values: PartId) -> Option<(Value, Value)> {
        if self.tokens.peek()? != b'{' {
            return None;
        }
        self.tokens.enter()?;
        let (mut key, mut value) = (Value::Null, Value::Null);
        let (mut has_key, mut has_value) = (false, false);
        let mut first = true;
        while self.tokens.member(first)? {
            first = false;
            self.tokens.name()?;
            let (part, place, known) = match self.unescaped() {
                KEY => (keys, &mut key, &mut has_key),
                VALUE => (values, &mut value, &mut has_value),
                _ => return None,
            };
            if std::mem::replace(known, true) {
                return None;
            }
            self.element(part, place)?;
        }
        (has_key && has_value).then_some((key, value))
    }
}

/// Which fields had a member.
struct Seen {
    few: u64,
    /// For structs of more than 64 fields.
    many: Vec<bool>,
    missing: usize,
}

impl Seen {
    fn new(fields: usize) -> Self {
        Self {
            few: 0,
            many: if fields > 64 {
                vec![false; fields]
            } else {
                Vec::new()
            },
            missing: fields,
        }
    }

    /// False if it was there before.
    #[inline]
    fn add(&mut self, place: usize) -> bool {
        if self.has(place) {
            return false;
        }
        match self.many.get_mut(place) {
            Some(seen) => *seen = true,
            None => self.few |= 1 << place,
        }
        self.missing -= 1;
        true
    }

    #[inline]
    fn has(&self, place: usize) -> bool {
        match self.many.get(place) {
            Some(seen) => *seen,
            None => self.few >> place & 1 == 1,
        }
    }

    #[inline]
    fn all(&self) -> bool {
        self.missing == 0
    }
}
