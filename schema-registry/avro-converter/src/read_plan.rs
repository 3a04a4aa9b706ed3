//! What to do with the bytes of a value, worked out once per writer's schema, reader's schema and Connect schema.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_api::data::{Blob, Kind as ConnectKind, Schema, SchemaId, Text, Value, logical};
use registry_avro::datum::{self, FieldStep, RecordStep, SkipId, StepId};
use registry_avro::{AvroSchema, Kind, TypeId};

use crate::anything;
use crate::avro_types::{is_always_null, nullable_member};
use crate::config::Options;
use crate::fault::{AVRO_TYPE, Fault, MAX_SCHEMA_DEPTH, MAX_SCHEMA_TYPES};
use crate::logical_types::{decimal_scale, refused_logical};
use crate::read::Reader;
use crate::terms;

/// How to read a value.
#[derive(Debug)]
pub(crate) enum Op {
    Null,
    Boolean,
    Int8,
    Int16,
    Int32,
    /// Milliseconds of the day, checked.
    Time,
    Int64,
    Float32,
    Float64,
    IntegerAsFloat32,
    IntegerAsFloat64,
    Float32AsFloat64,
    String,
    Bytes,
    Fixed(u32),
    Decimal(i32),
    FixedDecimal {
        size: u32,
        scale: i32,
    },
    /// The text of each symbol; none where the reader lacks it.
    Enum(Box<[Option<Text>]>),
    Array(Box<Op>),
    Map(Box<Op>),
    /// Blocks of records of key and value.
    Entries(u32),
    Record(u32),
    /// A union of null and another type.
    Optional {
        null_first: bool,
        of: Box<Op>,
    },
    /// The writer's union, by index.
    Switch(Box<[Op]>),
    /// A value of a union's member, to be put in the field for it.
    Member {
        union: Schema,
        field: u32,
        of: Box<Op>,
    },
    /// Schemaless data.
    Anything,
    /// What the writer wrote cannot be had as what the reader wants.
    Fail(Arc<Fault>),
}

/// How to read a record.
#[derive(Debug)]
pub(crate) struct RecordPlan {
    /// Absent for the entry of a map.
    pub(crate) schema: Option<Schema>,
    pub(crate) shape: Shape,
}

/// How the writer's fields come to be the reader's.
#[derive(Debug)]
pub(crate) enum Shape {
    /// One for one.
    Same(Box<[Op]>),
    /// Some are dropped, moved or made up.
    Other {
        steps: Box<[Step]>,
        /// One value per field, to begin with.
        values: Box<[Value]>,
    },
}

/// What to do with one of the writer's fields.
#[derive(Debug)]
pub(crate) enum Step {
    Keep { field: u32, op: Op },
    Drop(SkipId),
}

/// How to read a payload.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    pub(crate) schema: Option<Schema>,
    pub(crate) root: Op,
    pub(crate) records: Vec<RecordPlan>,
    /// How the writer's bytes become the reader's types; here for what is passed over.
    pub(crate) datum: datum::ReadPlan,
    /// The payload is the value's bytes, without a length.
    pub(crate) bare_bytes: bool,
}

impl ReadPlan {
    /// Compiles. `schema` is the Connect schema of `reader`; `None` for schemaless data. Without a `reader` the writer's schema reads.
    pub(crate) fn new(
        writer: &AvroSchema,
        reader: Option<&AvroSchema>,
        schema: Option<Schema>,
        options: Options,
    ) -> Result<Self, Fault> {
        let datum = match reader {
            Some(reader) => datum::ReadPlan::resolve(writer, reader),
            None => datum::ReadPlan::new(writer),
        };
        let datum = datum.map_err(|error| Fault::new(AVRO_TYPE, error.message))?;
        let mut compiler = Compiler {
            reader: reader.unwrap_or(writer),
            datum: &datum,
            options,
            records: Vec::new(),
            path: Vec::new(),
            lowest_reference: usize::MAX,
            known: HashMap::new(),
            types: 0,
        };
        let root = match &schema {
            Some(schema) => compiler.op(datum.root(), schema, 0)?,
            None if anything::fits(writer, writer.root()) => Op::Anything,
            // Any schema will do: no value of it is read.
            None if is_always_null(compiler.reader) => {
                compiler.op(datum.root(), &Schema::string(), 0)?
            }
            None => fail(Fault::new(
                AVRO_TYPE,
                "schemaless data that was written with another schema than theirs",
            )),
        };
        Ok(Self {
            schema,
            root,
            records: compiler.records,
            bare_bytes: matches!(writer.get(writer.root()).kind, Kind::Bytes),
            datum,
        })
    }
}

/// A record that is being compiled.
struct Enclosing {
    step: StepId,
    number: u32,
}

struct Compiler<'a> {
    reader: &'a AvroSchema,
    datum: &'a datum::ReadPlan,
    options: Options,
    records: Vec<RecordPlan>,
    path: Vec<Enclosing>,
    /// The outermost record of the path that was mentioned since this was last reset.
    lowest_reference: usize,
    /// Records that mention none around them.
    known: HashMap<(StepId, SchemaId), u32>,
    types: usize,
}

impl Compiler<'_> {
    fn op(&mut self, id: StepId, schema: &Schema, depth: usize) -> Result<Op, Fault> {
        use datum::Step as From;
        self.types += 1;
        if self.types > MAX_SCHEMA_TYPES {
            return Err(Fault::schema_too_large());
        }
        // A union takes two steps.
        if depth > 2 * MAX_SCHEMA_DEPTH {
            return Err(Fault::schema_too_deep());
        }
        let datum = self.datum;
        let step = datum.step(id);
        match step {
            From::WriterUnion { branches } => return self.switch(branches, schema, depth),
            From::ReaderUnion { branch, step } => {
                return self.member(id, *branch as usize, *step, schema, depth);
            }
            From::Unreadable(text) => {
                return Ok(fail(Fault::new(AVRO_TYPE, text.to_string())));
            }
            _ => {}
        }
        if let Some(refused) = refused_logical(schema) {
            return Ok(fail(refused));
        }
        let logical = schema.name();
        Ok(match step {
            From::Null => Op::Null,
            From::Boolean => Op::Boolean,
            From::Int => match schema.kind() {
                ConnectKind::Int8 => Op::Int8,
                ConnectKind::Int16 => Op::Int16,
                _ if logical == Some(logical::TIME) => Op::Time,
                _ => Op::Int32,
            },
            From::Long | From::IntToLong => Op::Int64,
            From::Float => Op::Float32,
            From::Double => Op::Float64,
            From::IntToFloat | From::LongToFloat => Op::IntegerAsFloat32,
            From::IntToDouble | From::LongToDouble => Op::IntegerAsFloat64,
            From::FloatToDouble => Op::Float32AsFloat64,
            From::String | From::BytesToString => Op::String,
            From::Bytes | From::StringToBytes => match logical {
                Some(logical::DECIMAL) => match decimal_scale(schema) {
                    Ok(scale) => Op::Decimal(scale),
                    Err(fault) => fail(fault),
                },
                _ => Op::Bytes,
            },
            From::Fixed { size } => {
                let size = u32::try_from(*size).unwrap_or(u32::MAX);
                match logical {
                    Some(logical::DECIMAL) => match decimal_scale(schema) {
                        Ok(scale) => Op::FixedDecimal { size, scale },
                        Err(fault) => fail(fault),
                    },
                    _ => Op::Fixed(size),
                }
            }
            From::Enum { symbols } => {
                let Kind::Enum(of) = &self.reader.get(datum.reader_type(id)).kind else {
                    return Ok(unexpected(schema));
                };
                let texts = symbols.iter().map(|symbol| {
                    let symbol = of.symbols.get((*symbol)? as usize)?;
                    Some(Text::from(&**symbol))
                });
                Op::Enum(texts.collect())
            }
            From::Array { item } => self.array(*item, schema, depth)?,
            From::Map { value } => match schema.value_schema() {
                Some(of) => Op::Map(Box::new(self.op(*value, of, depth + 1)?)),
                None => unexpected(schema),
            },
            From::Record(step) => self.record(id, step, schema, depth)?,
            From::WriterUnion { .. } | From::ReaderUnion { .. } | From::Unreadable(_) => {
                unexpected(schema)
            }
        })
    }

    fn switch(&mut self, branches: &[StepId], schema: &Schema, depth: usize) -> Result<Op, Fault> {
        let mut ops = Vec::with_capacity(branches.len());
        for branch in branches {
            ops.push(self.op(*branch, schema, depth + 1)?);
        }
        if let [a, b] = ops.as_slice() {
            let null_first = match (a, b) {
                (Op::Null, _) => Some(true),
                (_, Op::Null) => Some(false),
                _ => None,
            };
            if let Some(null_first) = null_first {
                let of = ops.swap_remove(usize::from(null_first));
                return Ok(Op::Optional {
                    null_first,
                    of: Box::new(of),
                });
            }
        }
        Ok(Op::Switch(ops.into()))
    }

    /// A value that is member `at` of the reader's union.
    fn member(
        &mut self,
        union: StepId,
        at: usize,
        step: StepId,
        schema: &Schema,
        depth: usize,
    ) -> Result<Op, Fault> {
        let reader = self.reader;
        let kind_of = |id: &TypeId| &reader.get(*id).kind;
        let Kind::Union(branches) = kind_of(&self.datum.reader_type(union)) else {
            return Ok(unexpected(schema));
        };
        let flat = branches.len() == 1 && self.options.flatten_singletons;
        let kind = branches.get(at).map(kind_of);
        if flat || matches!(kind, Some(Kind::Null)) || nullable_member(reader, branches).is_some() {
            return self.op(step, schema, depth + 1);
        }
        let is_member = |id: &&TypeId| !matches!(kind_of(id), Kind::Null);
        let mut field = branches.iter().take(at).filter(is_member).count();
        if matches!(kind, Some(Kind::Fixed(_)))
            && let Some(bytes) = schema
                .fields()
                .iter()
                .position(|f| f.schema.kind() == ConnectKind::Bytes && !terms::is_fixed(&f.schema))
        {
            // The original takes the first field that can hold bytes.
            field = field.min(bytes);
        }
        let Some(target) = schema.fields().get(field) else {
            return Ok(unexpected(schema));
        };
        let of = self.op(step, &target.schema, depth + 1)?;
        Ok(Op::Member {
            union: schema.clone(),
            field: field as u32,
            of: Box::new(of),
        })
    }

    fn array(&mut self, item: StepId, schema: &Schema, depth: usize) -> Result<Op, Fault> {
        let Some(of) = schema.value_schema() else {
            return Ok(unexpected(schema));
        };
        let Some(key) = schema.key_schema() else {
            return Ok(Op::Array(Box::new(self.op(item, of, depth + 1)?)));
        };
        if key.kind() == ConnectKind::String && !key.optional() {
            return Ok(fail(Fault::data(
                "Invalid type for MAP: class org.apache.avro.generic.GenericData$Array",
            )));
        }
        let datum::Step::Record(step) = self.datum.step(item) else {
            return Ok(match self.datum.step(item) {
                datum::Step::Unreadable(text) => fail(Fault::new(AVRO_TYPE, text.to_string())),
                _ => unexpected(schema),
            });
        };
        let Kind::Record(entry) = &self.reader.get(self.datum.reader_type(item)).kind else {
            return Ok(unexpected(schema));
        };
        // Wherever they stand in the record, the key comes first here.
        let key_at = entry.fields.iter().position(|f| *f.name == *"key");
        let fields = |at: usize| {
            if Some(at) == key_at {
                (0, key.clone())
            } else {
                (1, of.clone())
            }
        };
        let number = self.fields(item, step, None, &fields, depth)?;
        Ok(Op::Entries(number))
    }

    fn record(
        &mut self,
        id: StepId,
        step: &RecordStep,
        schema: &Schema,
        depth: usize,
    ) -> Result<Op, Fault> {
        if schema.is_back_reference() {
            return Ok(match self.path.iter().rposition(|e| e.step == id) {
                Some(at) => {
                    self.lowest_reference = self.lowest_reference.min(at);
                    Op::Record(self.path[at].number)
                }
                None => unexpected(schema),
            });
        }
        let key = (id, schema.id());
        if let Some(&number) = self.known.get(&key) {
            return Ok(Op::Record(number));
        }
        if schema.fields().len() != step.reader_fields {
            return Ok(unexpected(schema));
        }
        let at = self.path.len();
        let lowest_outside = std::mem::replace(&mut self.lowest_reference, usize::MAX);
        let fields = |at: usize| (at, schema.fields()[at].schema.clone());
        let number = self.fields(id, step, Some(schema), &fields, depth)?;
        let closed = self.lowest_reference >= at;
        self.lowest_reference = if closed {
            self.known.insert(key, number);
            lowest_outside
        } else {
            lowest_outside.min(self.lowest_reference)
        };
        Ok(Op::Record(number))
    }

    /// The plan of a record, by number. `fields` gives the place and the schema of each of the reader's fields.
    fn fields(
        &mut self,
        id: StepId,
        step: &RecordStep,
        schema: Option<&Schema>,
        fields: &dyn Fn(usize) -> (usize, Schema),
        depth: usize,
    ) -> Result<u32, Fault> {
        let number = self.records.len() as u32;
        self.records.push(RecordPlan {
            schema: schema.cloned(),
            shape: Shape::Same(Box::new([])),
        });
        self.path.push(Enclosing { step: id, number });
        let mut values = vec![Value::Null; step.reader_fields];
        let mut steps = Vec::with_capacity(step.fields.len());
        for field in &step.fields {
            steps.push(match field {
                FieldStep::Read { field, step } => {
                    let (place, of) = fields(*field as usize);
                    Step::Keep {
                        field: place as u32,
                        op: self.op(*step, &of, depth + 1)?,
                    }
                }
                FieldStep::Skip(skip) => Step::Drop(*skip),
            });
        }
        for default in &step.defaults {
            let (place, of) = fields(default.field as usize);
            let op = self.op(default.step, &of, depth + 1)?;
            let bytes = Blob::from(&*default.bytes);
            let mut reader = Reader::new(&self.records, self.datum, &bytes, 0);
            values[place] = reader.value(&op, 0).map_err(|fault| *fault)?;
        }
        self.path.pop();
        let in_order = steps.len() == values.len()
            && steps.iter().enumerate().all(
                |(at, step)| matches!(step, Step::Keep { field, .. } if *field as usize == at),
            );
        self.records[number as usize].shape = if in_order {
            let ops = steps.into_iter().filter_map(|step| match step {
                Step::Keep { op, .. } => Some(op),
                Step::Drop(_) => None,
            });
            Shape::Same(ops.collect())
        } else {
            Shape::Other {
                steps: steps.into(),
                values: values.into(),
            }
        };
        Ok(number)
    }
}

fn fail(fault: Fault) -> Op {
    Op::Fail(Arc::new(fault))
}

fn unexpected(schema: &Schema) -> Op {
    fail(Fault::data(format!(
        "Invalid type for {}: the Avro schema has another type there",
        schema.kind().name()
    )))
}
