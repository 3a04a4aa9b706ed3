//! How values of one Connect schema are written, worked out once: every name is ready as bytes, every default as text.

use millrace_api::data::{Kind, Schema, logical};

use crate::config::Options;
use crate::fault::{Fault, MAX_SCHEMA_DEPTH, MAX_SCHEMA_PARTS};
use crate::terms::{is_object_map, is_union, is_variant};
use crate::write::{write, write_string};

/// A part's number in its plan.
pub(crate) type PartId = usize;

/// Writes values of one schema.
#[derive(Debug)]
pub(crate) struct WritePlan {
    pub(crate) parts: Vec<Part>,
}

/// Writes values of one part of the schema.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) op: Op,
    pub(crate) null: OnNull,
}

/// What a null becomes.
#[derive(Debug)]
pub(crate) enum OnNull {
    /// The text of the default.
    Default(Box<[u8]>),
    /// `null`
    Null,
    /// Nothing: the member is left out, the whole value is a null payload.
    Nothing,
    /// A default that cannot be written.
    Fault(Fault),
}

/// What is written.
#[derive(Debug)]
pub(crate) enum Op {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
    Bytes,
    /// Base64 of the unscaled integer; only values of this scale.
    Decimal(Option<i32>),
    /// A number.
    NumericDecimal,
    /// A logical type over an integer: Date, Time, Timestamp.
    Moment(&'static str),
    /// Whatever JSON the variant holds.
    Variant,
    Array(PartId),
    /// A map as an object.
    Object(PartId),
    /// A map as an array of entries.
    Entries(PartId, PartId),
    Struct(Schema, Box<[Member]>),
    /// A union: the one field that is set.
    Union(Schema, Box<[PartId]>),
    /// An enclosing struct once more.
    Enclosing(PartId),
}

/// A struct's field.
#[derive(Debug)]
pub(crate) struct Member {
    /// `,"name":`
    pub(crate) prefix: Box<[u8]>,
    pub(crate) part: PartId,
}

impl WritePlan {
    pub(crate) fn new(schema: &Schema, options: Options) -> Result<Self, Fault> {
        let mut compiler = Compiler {
            plan: WritePlan { parts: Vec::new() },
            options,
            enclosing: Vec::new(),
        };
        compiler.part(schema)?;
        Ok(compiler.plan)
    }
}

struct Compiler {
    plan: WritePlan,
    options: Options,
    /// The structs around, outermost first.
    enclosing: Vec<(Schema, PartId)>,
}

impl Compiler {
    fn part(&mut self, schema: &Schema) -> Result<PartId, Fault> {
        if self.enclosing.len() >= MAX_SCHEMA_DEPTH {
            return Err(Fault::schema_too_deep());
        }
        if self.plan.parts.len() >= MAX_SCHEMA_PARTS {
            return Err(Fault::schema_too_large());
        }
        let id = self.plan.parts.len();
        self.plan.parts.push(Part {
            op: Op::String,
            null: OnNull::Nothing,
        });
        self.enclosing.push((schema.clone(), id));
        let op = self.op(schema);
        self.enclosing.pop();
        self.plan.parts[id].op = op?;
        self.plan.parts[id].null = match schema.default() {
            Some(default) if !self.options.ignore_default => {
                let mut text = Vec::new();
                match write(&self.plan, id, default, &mut text) {
                    Ok(true) => OnNull::Default(text.into()),
                    Ok(false) => OnNull::Nothing,
                    Err(fault) => OnNull::Fault(fault),
                }
            }
            _ if schema.optional() => OnNull::Null,
            _ => OnNull::Nothing,
        };
        Ok(id)
    }

    fn op(&mut self, schema: &Schema) -> Result<Op, Fault> {
        match schema.name() {
            Some(logical::DECIMAL) if self.options.numeric_decimals => {
                return Ok(Op::NumericDecimal);
            }
            Some(logical::DECIMAL) => {
                let scale = schema
                    .parameter(logical::SCALE)
                    .and_then(|s| s.parse().ok());
                return Ok(Op::Decimal(scale));
            }
            Some(logical::DATE) => return Ok(Op::Moment("Date")),
            Some(logical::TIME) => return Ok(Op::Moment("Time")),
            Some(logical::TIMESTAMP) => return Ok(Op::Moment("Timestamp")),
            _ if is_variant(schema) => return Ok(Op::Variant),
            _ => {}
        }
        let missing = || Fault::data("the schema of the elements is missing");
        Ok(match schema.kind() {
            Kind::Int8 => Op::Int8,
            Kind::Int16 => Op::Int16,
            Kind::Int32 => Op::Int32,
            Kind::Int64 => Op::Int64,
            Kind::Float32 => Op::Float32,
            Kind::Float64 => Op::Float64,
            Kind::Boolean => Op::Boolean,
            Kind::String => Op::String,
            Kind::Bytes => Op::Bytes,
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
            Kind::Struct if schema.is_back_reference() => Op::Enclosing(self.enclosing(schema)?),
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
                    .map(|field| {
                        let mut prefix = vec![b','];
                        write_string(&field.name, &mut prefix);
                        prefix.push(b':');
                        Ok(Member {
                            prefix: prefix.into(),
                            part: self.part(&field.schema)?,
                        })
                    })
                    .collect::<Result<_, Fault>>()?;
                Op::Struct(schema.clone(), fields)
            }
        })
    }

    fn enclosing(&self, schema: &Schema) -> Result<PartId, Fault> {
        let around = self.enclosing.iter().rev().skip(1);
        around
            .filter(|(of, _)| of.kind() == Kind::Struct && !of.is_back_reference())
            .find(|(of, _)| of.name() == schema.name())
            .map(|(_, part)| *part)
            .ok_or_else(|| {
                Fault::data(format!(
                    "the schema mentions {} inside itself, but there is no such struct around",
                    schema.name().unwrap_or("a struct")
                ))
            })
    }
}
