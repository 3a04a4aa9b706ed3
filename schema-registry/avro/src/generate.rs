//! Random schemas, pairs of schemas that resemble each other, damaged texts and data: deterministic by their seed. For tests here and for comparisons with other implementations.

mod data;
mod model;
mod mutate;
mod text;

use crate::{AvroSchema, Strictness};
use java_idioms::Json;
use java_idioms::json::ReadOptions;
use model::Model;

/// A reader's and a writer's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Text of a valid schema.
    pub reader: String,
    /// Text of a valid schema.
    pub writer: String,
}

/// Makes schemas, data and damage. The same seed makes the same.
#[derive(Debug, Clone)]
pub struct Generator {
    state: u64,
}

impl Generator {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// The next of xorshift64*.
    pub fn next_u64(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next_u64() >> 11) as usize % end.max(1)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Text of a valid schema: named types, recursion, unions, defaults, aliases, docs and custom properties.
    pub fn schema(&mut self) -> String {
        loop {
            let text = Model::random(self).text(self);
            if AvroSchema::parse(&text, &[], Strictness::New).is_ok() {
                return text;
            }
        }
    }

    /// A writer's schema and one that came from it by up to five changes, in either role.
    pub fn pair(&mut self) -> Pair {
        loop {
            let one = Model::random(self);
            let mut other = one.clone();
            for _ in 0..self.below(6) {
                other.mutate(self);
            }
            let mut pair = Pair {
                reader: one.text(self),
                writer: other.text(self),
            };
            if self.one_in(2) {
                std::mem::swap(&mut pair.reader, &mut pair.writer);
            }
            let valid = [&pair.reader, &pair.writer]
                .into_iter()
                .all(|text| AvroSchema::parse(text, &[], Strictness::New).is_ok());
            if valid {
                return pair;
            }
        }
    }

    /// Text of JSON that was a valid schema before up to three members or elements were changed, doubled or taken away: most of them are not valid any more.
    pub fn damaged(&mut self) -> String {
        let text = self.schema();
        let Ok(mut json) = Json::read(&text, ReadOptions::default()) else {
            return text;
        };
        for _ in 0..=self.below(3) {
            self.damage(&mut json);
        }
        json.to_text()
    }

    fn damage(&mut self, json: &mut Json) {
        let stop = self.one_in(4);
        match json {
            Json::Object(members) if !members.is_empty() && !stop => {
                let at = self.below(members.len());
                if self.one_in(6) {
                    members.shift_remove_index(at);
                } else if self.one_in(6) {
                    let value = members[at].clone();
                    let name = self.pick(&[
                        "type",
                        "name",
                        "namespace",
                        "fields",
                        "symbols",
                        "items",
                        "values",
                        "size",
                        "default",
                        "order",
                        "aliases",
                        "doc",
                        "logicalType",
                        "other",
                    ]);
                    members.insert(name.into(), value);
                } else {
                    self.damage(&mut members[at]);
                }
            }
            Json::Array(values) if !values.is_empty() && !stop => {
                let at = self.below(values.len());
                match self.below(6) {
                    0 => {
                        values.remove(at);
                    }
                    1 => {
                        let value = values[at].clone();
                        values.push(value);
                    }
                    _ => self.damage(&mut values[at]),
                }
            }
            other => *other = self.rubbish(),
        }
    }

    fn rubbish(&mut self) -> Json {
        const TEXTS: [&str; 22] = [
            "null",
            "int",
            "string",
            "double",
            "record",
            "enum",
            "fixed",
            "array",
            "a-b",
            "",
            "1a",
            "é",
            "Node",
            "a.b.Node",
            ".Leaf",
            "A",
            "b",
            "descending",
            "ascendinG",
            "NaN",
            "1.5",
            "x..y",
        ];
        match self.below(12) {
            0 => Json::Null,
            1 => Json::Bool(self.one_in(2)),
            2 => Json::from(self.next_u64() as i64),
            3 => Json::from(self.below(300) as i32 - 100),
            4 => {
                let literal = self.pick(&[
                    "1.5",
                    "-0",
                    "1e3",
                    "0.1",
                    "1E-7",
                    "12345678901234567890123",
                    "2147483648",
                    "1.0",
                ]);
                java_idioms::Number::parse(literal).map_or(Json::Null, Json::Number)
            }
            5 => Json::Array(Vec::new()),
            6 => Json::Object(java_idioms::Object::new()),
            7 => Json::Array(vec![Json::from("null"), Json::from(self.pick(&TEXTS))]),
            _ => Json::from(self.pick(&TEXTS)),
        }
    }
}
