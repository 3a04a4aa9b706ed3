//! How JSON is read as values of one Connect schema, worked out once.

use std::sync::Arc;

use millrace_api::data::{Kind, Schema, Value, logical};

use crate::fault::{Fault, MAX_SCHEMA_DEPTH, MAX_SCHEMA_PARTS};
use crate::field_names::Fields;
use crate::terms::{is_object_map, is_union, is_variant};

/// A part's number in its plan.
pub(crate) type PartId = usize;

/// Reads values of one schema.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    pub(crate) schema: Schema,
    pub(crate) parts: Vec<Part>,
}

/// Reads values of one part of the schema.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) op: Op,
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    pub(crate) default: Option<Value>,
}

/// What is read.
#[derive(Debug)]
pub(crate) enum Op {
    /// A number, a boolean, text, bytes.
    Simple,
    /// A decimal, with its scale when the schema has one.
    Decimal(Option<i32>),
    Date,
    Time,
    Timestamp,
    Variant(Schema),
    Array(PartId),
    Object(PartId),
    Entries(PartId, PartId),
    Struct(Schema, Fields),
    Union(Schema, Box<[PartId]>),
    /// An enclosing struct once more.
    Enclosing(PartId),
}

impl Part {
    /// Whether a struct may be put into another one when this part of it is null.
    pub(crate) fn takes_null(&self) -> bool {
        self.optional || self.default.is_some()
    }
}

impl ReadPlan {
    pub(crate) fn new(schema: Schema) -> Result<Self, Fault> {
        let mut compiler = Compiler {
            parts: Vec::new(),
            enclosing: Vec::new(),
        };
        compiler.part(&schema)?;
        Ok(Self {
            schema,
            parts: compiler.parts,
        })
    }
}

struct Compiler {
    parts: Vec<Part>,
    /// The parts around, outermost first.
    enclosing: Vec<(Schema, PartId)>,
}

impl Compiler {
    fn part(&mut self, schema: &Schema) -> Result<PartId, Fault> {
        if self.enclosing.len() >= MAX_SCHEMA_DEPTH {
            return Err(Fault::schema_too_deep());
        }
        if self.parts.len() >= MAX_SCHEMA_PARTS {
            return Err(Fault::schema_too_large());
        }
        let id = self.parts.len();
        self.parts.push(Part {
            op: Op::Simple,
            kind: schema.kind(),
            optional: schema.optional(),
            default: schema.default().cloned(),
        });
        self.enclosing.push((schema.clone(), id));
        let op = self.op(schema);
        self.enclosing.pop();
        self.parts[id].op = op?;
        Ok(id)
    }

    fn op(&mut self, schema: &Schema) -> Result<Op, Fault> {
        match schema.name() {
            Some(logical::DECIMAL) => {
                let scale = schema
                    .parameter(logical::SCALE)
                    .and_then(|s| s.parse().ok());
                return Ok(Op::Decimal(scale));
            }
            Some(logical::DATE) => return Ok(Op::Date),
            Some(logical::TIME) => return Ok(Op::Time),
            Some(logical::TIMESTAMP) => return Ok(Op::Timestamp),
            _ if is_variant(schema) => return Ok(Op::Variant(schema.clone())),
            _ => {}
        }
        let missing = || Fault::data("the schema of the elements is missing");
        Ok(match schema.kind() {
            Kind::Array => Op::Array(self.part(schema.value_schema().ok_or_else(missing)?)?),
            Kind::Map => {
                let value = schema.value_schema().ok_or_else(missing)?;
                if is_object_map(schema) {
                    Op::Object(self.part(value)?)
                } else {
                    let key = self.part(schema.key_schema().ok_or_else(missing)?)?;
                    Op::Entries(key, self.part(value)?)
                }
            }
            Kind::Struct if schema.is_back_reference() => {
                let around = self.enclosing.iter().rev().skip(1);
                let found = around
                    .filter(|(of, _)| of.kind() == Kind::Struct && !of.is_back_reference())
                    .find(|(of, _)| of.name() == schema.name());
                Op::Enclosing(found.map(|(_, part)| *part).ok_or_else(missing)?)
            }
            Kind::Struct if is_union(schema) => {
                let fields = schema
                    .fields()
                    .iter()
                    .map(|field| self.part(&field.schema))
                    .collect::<Result<_, _>>()?;
                Op::Union(schema.clone(), fields)
            }
            Kind::Struct => {
                let fields = schema
                    .fields()
                    .iter()
                    .map(|field| Ok((Arc::clone(&field.name), self.part(&field.schema)?)))
                    .collect::<Result<_, Fault>>()?;
                Op::Struct(schema.clone(), Fields::new(fields))
            }
            _ => Op::Simple,
        })
    }
}
