//! Compiling of [`WritePlan`]s.

use std::collections::HashMap;

use millrace_api::data::{Kind as ConnectKind, Schema, SchemaId, Value, logical};
use registry_avro::datum::write_default;
use registry_avro::{AvroSchema, Kind, Record, TypeId};

use crate::anything;
use crate::avro_types::full_name;
use crate::config::Options;
use crate::fault::{AVRO_TYPE, Fault, MAX_SCHEMA_DEPTH, MAX_SCHEMA_TYPES, NULL_POINTER};
use crate::logical_types::{decimal_scale, fixed_size};
use crate::names;
use crate::terms;
use crate::write_plan::{
    Body, Branch, Entries, FieldPlan, LeftOut, Number, OnNull, Plan, RecordPlan, Shape, Step,
    Symbols, UnionPlan, WritePlan,
};

impl WritePlan {
    /// Compiles. `foreign`: the writer's schema is another one than the data's on purpose, and fields that it lacks are left out.
    pub(crate) fn new(
        schema: Option<&Schema>,
        writer: &AvroSchema,
        foreign: bool,
        options: Options,
    ) -> Result<Self, Fault> {
        let mut compiler = Compiler {
            writer,
            foreign,
            options,
            records: Vec::new(),
            path: Vec::new(),
            lowest_reference: usize::MAX,
            known: HashMap::new(),
            types: 0,
        };
        let root = compiler.plan(schema, writer.root(), 0)?;
        Ok(Self {
            root,
            records: compiler.records,
            bare_bytes: matches!(writer.get(writer.root()).kind, Kind::Bytes),
        })
    }
}

struct Enclosing {
    schema: Schema,
    number: u32,
}

struct Compiler<'a> {
    writer: &'a AvroSchema,
    foreign: bool,
    options: Options,
    records: Vec<RecordPlan>,
    path: Vec<Enclosing>,
    lowest_reference: usize,
    known: HashMap<(SchemaId, TypeId), u32>,
    types: usize,
}

impl Compiler<'_> {
    fn plan(&mut self, schema: Option<&Schema>, id: TypeId, depth: usize) -> Result<Plan, Fault> {
        self.types += 1;
        if self.types > MAX_SCHEMA_TYPES {
            return Err(Fault::schema_too_large());
        }
        if depth > 2 * MAX_SCHEMA_DEPTH {
            return Err(Fault::schema_too_deep());
        }
        let Some(schema) = schema else {
            return Ok(self.schemaless(id));
        };
        let on_null = self.on_null(schema, id);
        if terms::is_union(schema) && !schema.is_back_reference() {
            let mut fields = Vec::with_capacity(schema.fields().len());
            for field in schema.fields() {
                fields.push(self.field(&field.schema, id, depth)?);
            }
            return Ok(Plan {
                on_null: self.on_null(schema, id),
                branch: None,
                body: Body::Union(Box::new(UnionPlan {
                    schema: schema.clone(),
                    fields: fields.into(),
                    on_null,
                })),
            });
        }
        let Kind::Union(branches) = &self.writer.get(id).kind else {
            let body = self.body(schema, id, depth)?;
            return Ok(Plan {
                on_null,
                branch: None,
                body,
            });
        };
        let (branch, body) = match self.find_branch(schema, branches)? {
            Some(at) => (Some(branch(at)), self.body(schema, branches[at], depth)?),
            None => {
                let branches: Vec<String> = branches
                    .iter()
                    .map(|b| full_name(&self.writer.get(*b).kind))
                    .collect();
                let fault = Fault::new(
                    "org.apache.avro.UnresolvedUnionException",
                    format!(
                        "Not in union [{}]: {}",
                        branches.join(", "),
                        schema_text(schema)
                    ),
                );
                (None, Body::Unwritable(Some(schema.kind()), Box::new(fault)))
            }
        };
        Ok(Plan {
            on_null,
            branch,
            body,
        })
    }

    fn schemaless(&self, id: TypeId) -> Plan {
        let (branch, id) = match &self.writer.get(id).kind {
            Kind::Union(branches) => {
                let at = branches
                    .iter()
                    .position(|b| anything::fits(self.writer, *b));
                (at.map(branch), at.map_or(id, |at| branches[at]))
            }
            _ => (None, id),
        };
        let body = if anything::fits(self.writer, id) {
            Body::Anything
        } else {
            let fault = self.mismatch("schemaless data", id);
            Body::Unwritable(None, Box::new(fault))
        };
        Plan {
            on_null: OnNull::Body,
            branch,
            body,
        }
    }

    fn on_null(&self, schema: &Schema, id: TypeId) -> OnNull {
        if !schema.optional() {
            return OnNull::Refuse;
        }
        let kind = &self.writer.get(id).kind;
        let is_null = |id: &TypeId| matches!(self.writer.get(*id).kind, Kind::Null);
        let at = match kind {
            Kind::Null => return OnNull::Nothing,
            Kind::Union(branches) => branches.iter().position(is_null),
            _ => None,
        };
        match at {
            Some(at) => OnNull::Branch(branch(at)),
            None => OnNull::Unwritable(Box::new(Fault::new(
                NULL_POINTER,
                format!("null value for (non-nullable) {}", full_name(kind)),
            ))),
        }
    }

    fn field(&mut self, schema: &Schema, id: TypeId, depth: usize) -> Result<FieldPlan, Fault> {
        Ok(FieldPlan {
            default: self.default(schema),
            plan: self.plan(Some(schema), id, depth + 1)?,
        })
    }

    fn default(&self, schema: &Schema) -> Option<Value> {
        schema
            .default()
            .filter(|_| !self.options.ignore_default)
            .cloned()
    }

    /// The branch for values of a schema.
    fn find_branch(&self, schema: &Schema, branches: &[TypeId]) -> Result<Option<usize>, Fault> {
        if schema.kind() == ConnectKind::Struct && schema.name().is_none() {
            // The number of an unnamed struct depends on what was met before it; its fields say which one it is.
            return Ok(branches
                .iter()
                .position(|b| match &self.writer.get(*b).kind {
                    Kind::Record(of) => {
                        of.name.full().starts_with(terms::CONNECT_DEFAULT_FULL)
                            && of.fields.len() == schema.fields().len()
                            && of
                                .fields
                                .iter()
                                .zip(schema.fields())
                                .all(|(a, b)| *a.name == *names::field(&b.name, self.options.scrub))
                    }
                    _ => false,
                }));
        }
        let name = self.datum_name(schema)?;
        Ok(branches
            .iter()
            .position(|b| full_name(&self.writer.get(*b).kind) == name))
    }

    /// The name under which values of a schema are members of a union.
    fn datum_name(&self, schema: &Schema) -> Result<String, Fault> {
        let full = |name: Option<&str>| match name {
            Some(name) => names::full(name, self.options.scrub),
            None => Ok(String::new()),
        };
        Ok(match schema.kind() {
            ConnectKind::Int8 | ConnectKind::Int16 | ConnectKind::Int32 => "int".to_owned(),
            ConnectKind::Int64 => "long".to_owned(),
            ConnectKind::Float32 => "float".to_owned(),
            ConnectKind::Float64 => "double".to_owned(),
            ConnectKind::Boolean => "boolean".to_owned(),
            ConnectKind::String if self.is_enum(schema) => schema
                .parameter(self.options.enum_parameter())
                .unwrap_or("")
                .to_owned(),
            ConnectKind::String => "string".to_owned(),
            ConnectKind::Bytes if terms::is_fixed(schema) => full(schema.name())?,
            ConnectKind::Bytes => "bytes".to_owned(),
            ConnectKind::Map if self.options.is_string_map(schema) => "map".to_owned(),
            ConnectKind::Array | ConnectKind::Map => "array".to_owned(),
            ConnectKind::Struct if terms::is_variant(schema) => "confluent.type.Variant".to_owned(),
            ConnectKind::Struct => full(schema.name())?,
        })
    }

    fn is_enum(&self, schema: &Schema) -> bool {
        self.options.writes_enums() && terms::is_enum(schema)
    }

    fn body(&mut self, schema: &Schema, id: TypeId, depth: usize) -> Result<Body, Fault> {
        let writer = self.writer;
        let kind = &writer.get(id).kind;
        let number = match kind {
            Kind::Int => Some(Number::Int),
            Kind::Long => Some(Number::Long),
            Kind::Float => Some(Number::Float),
            Kind::Double => Some(Number::Double),
            _ => None,
        };
        Ok(match (schema.kind(), kind) {
            (ConnectKind::Boolean, Kind::Boolean) => Body::Boolean,
            (ConnectKind::Int8, Kind::Int | Kind::Long) => Body::Int8,
            (ConnectKind::Int16, Kind::Int | Kind::Long) => Body::Int16,
            (ConnectKind::Int32, Kind::Int | Kind::Long) => match schema.name() {
                Some(logical::DATE) => Body::Date,
                Some(logical::TIME) => Body::Time,
                _ => Body::Int32,
            },
            (ConnectKind::Int64, Kind::Long) => match schema.name() {
                Some(logical::TIMESTAMP) => Body::Timestamp,
                _ => Body::Int64,
            },
            (ConnectKind::Float32, Kind::Float) => Body::Float32,
            (ConnectKind::Float64, Kind::Double) => Body::Float64,
            (
                kind @ (ConnectKind::Int8
                | ConnectKind::Int16
                | ConnectKind::Int32
                | ConnectKind::Int64
                | ConnectKind::Float32
                | ConnectKind::Float64),
                _,
            ) if let Some(number) = number => Body::Number(kind, number),
            (ConnectKind::String, Kind::String) if !self.is_enum(schema) => Body::String,
            (ConnectKind::String, Kind::Enum(of)) if self.is_enum(schema) => {
                let by_text = of.symbols.iter().zip(0..);
                Body::Enum(Box::new(Symbols {
                    by_text: by_text.map(|(s, at)| (s.to_string().into(), at)).collect(),
                    listed: of.symbols.join(", "),
                }))
            }
            (ConnectKind::Bytes, Kind::Bytes) if !terms::is_fixed(schema) => match schema.name() {
                Some(logical::DECIMAL) => Body::Decimal(decimal_scale(schema)?),
                _ => Body::Bytes,
            },
            (ConnectKind::Bytes, Kind::Fixed(of))
                if terms::is_fixed(schema) && fixed_size(schema)? == of.size =>
            {
                let size = u32::try_from(of.size).unwrap_or(u32::MAX);
                match schema.name() {
                    Some(logical::DECIMAL) => Body::FixedDecimal {
                        size,
                        scale: decimal_scale(schema)?,
                    },
                    _ => Body::Fixed(size),
                }
            }
            (ConnectKind::Array, Kind::Array(item)) => Body::Array(Box::new(self.plan(
                schema.value_schema(),
                *item,
                depth + 1,
            )?)),
            (ConnectKind::Map, Kind::Map(value)) if self.options.is_string_map(schema) => {
                Body::Map(Box::new(self.plan(
                    schema.value_schema(),
                    *value,
                    depth + 1,
                )?))
            }
            (ConnectKind::Map, Kind::Array(item)) if !self.options.is_string_map(schema) => {
                self.entries(schema, *item, depth)?
            }
            (ConnectKind::Struct, Kind::Record(of)) => self.record(schema, id, of, depth)?,
            (kind, _) => Body::Unwritable(
                Some(kind),
                Box::new(self.mismatch(&schema_text(schema), id)),
            ),
        })
    }

    fn entries(&mut self, schema: &Schema, item: TypeId, depth: usize) -> Result<Body, Fault> {
        if let Kind::Record(of) = &self.writer.get(item).kind
            && let [a, b] = of.fields.as_slice()
        {
            let places = match (&*a.name, &*b.name) {
                ("key", "value") => Some((a.schema, b.schema, true)),
                ("value", "key") => Some((b.schema, a.schema, false)),
                _ => None,
            };
            if let Some((key, value, key_first)) = places {
                return Ok(Body::Entries(Box::new(Entries {
                    key: self.plan(schema.key_schema(), key, depth + 1)?,
                    value: self.plan(schema.value_schema(), value, depth + 1)?,
                    key_first,
                })));
            }
        }
        let fault = self.mismatch("a map's entry", item);
        Ok(Body::Unwritable(Some(ConnectKind::Map), Box::new(fault)))
    }

    fn record(
        &mut self,
        schema: &Schema,
        id: TypeId,
        of: &Record,
        depth: usize,
    ) -> Result<Body, Fault> {
        if schema.is_back_reference() {
            let enclosing = self
                .path
                .iter()
                .rposition(|e| e.schema.name() == schema.name());
            let Some(at) = enclosing else {
                return Err(Fault::data(format!(
                    "the schema mentions struct '{}' inside itself, but no struct of that name encloses it",
                    schema.name().unwrap_or("")
                )));
            };
            self.lowest_reference = self.lowest_reference.min(at);
            return Ok(Body::Record(self.path[at].number));
        }
        let key = (schema.id(), id);
        if let Some(&number) = self.known.get(&key) {
            return Ok(Body::Record(number));
        }
        let number = self.records.len() as u32;
        self.records.push(RecordPlan {
            schema: schema.clone(),
            shape: Shape::Same(Box::new([])),
        });
        let at = self.path.len();
        self.path.push(Enclosing {
            schema: schema.clone(),
            number,
        });
        let lowest_outside = std::mem::replace(&mut self.lowest_reference, usize::MAX);
        let shape = self.shape(schema, of, depth)?;
        self.records[number as usize].shape = shape;
        self.path.pop();
        let closed = self.lowest_reference >= at;
        self.lowest_reference = if closed {
            self.known.insert(key, number);
            lowest_outside
        } else {
            lowest_outside.min(self.lowest_reference)
        };
        Ok(Body::Record(number))
    }

    fn shape(&mut self, schema: &Schema, of: &Record, depth: usize) -> Result<Shape, Fault> {
        let fields = schema.fields();
        let names: Vec<_> = fields
            .iter()
            .map(|f| names::field(&f.name, self.options.scrub))
            .collect();
        let in_order = fields.len() == of.fields.len()
            && names
                .iter()
                .zip(&of.fields)
                .all(|(name, f)| **name == *f.name);
        if in_order {
            let mut plans = Vec::with_capacity(fields.len());
            for (field, to) in fields.iter().zip(&of.fields) {
                plans.push(self.field(&field.schema, to.schema, depth)?);
            }
            return Ok(Shape::Same(plans.into()));
        }
        let by_name: HashMap<&str, usize> =
            names.iter().zip(0..).map(|(n, at)| (&**n, at)).collect();
        let mut used = vec![false; fields.len()];
        let mut steps = Vec::with_capacity(of.fields.len());
        for (at, to) in of.fields.iter().enumerate() {
            // The original goes by place alone. By name first: a field is not written as another one of the same type.
            let in_place = names
                .get(at)
                .is_some_and(|name| !of.fields.iter().any(|f| *f.name == **name));
            let from = by_name
                .get(&*to.name)
                .copied()
                .or_else(|| (in_place && to.default.is_none()).then_some(at));
            steps.push(match (from, &to.default) {
                (Some(from), _) => {
                    used[from] = true;
                    Step::From(from as u32, self.field(&fields[from].schema, to.schema, depth)?)
                }
                (None, Some(json)) => {
                    let mut bytes = Vec::new();
                    match write_default(self.writer, to.schema, json, &mut bytes) {
                        Ok(()) => Step::Default(bytes.into()),
                        Err(error) => {
                            let fault = Fault::new(AVRO_TYPE, error.to_string());
                            Step::Unwritable(Box::new(fault))
                        }
                    }
                }
                (None, None) => Step::Unwritable(Box::new(Fault::new(
                    "java.lang.ArrayIndexOutOfBoundsException",
                    format!(
                        "Index {at} out of bounds for length {}: the data has nothing for field '{}' of {}, and the field has no default",
                        fields.len(),
                        to.name,
                        of.name.full()
                    ),
                ))),
            });
        }
        let left_out = (0..fields.len()).filter(|at| !used[*at]).map(|at| LeftOut {
            field: at as u32,
            default: self.default(&fields[at].schema),
            optional: fields[at].schema.optional(),
            fault: (!self.foreign).then(|| {
                Box::new(Fault::data(format!(
                    "field '{}' has no place in the registered record {}, which is another struct of the same name: give one of the two another name",
                    fields[at].name,
                    of.name.full()
                )))
            }),
        });
        let left_out = left_out.collect();
        Ok(Shape::Other {
            steps: steps.into(),
            left_out,
        })
    }

    fn mismatch(&self, what: &str, id: TypeId) -> Fault {
        Fault::new(
            AVRO_TYPE,
            format!(
                "{what} cannot be written as {}",
                full_name(&self.writer.get(id).kind)
            ),
        )
    }
}

fn schema_text(schema: &Schema) -> String {
    match schema.name() {
        Some(name) => format!("{} {name}", schema.kind().name()),
        None => format!("a value of type {}", schema.kind().name()),
    }
}

fn branch(at: usize) -> Branch {
    Branch((at as u32) << 1)
}
