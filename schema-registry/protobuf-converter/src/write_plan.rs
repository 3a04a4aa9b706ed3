//! What a Connect schema means for writing, worked out once.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_api::data::{Kind, Schema, SchemaId, Value};
use registry_protobuf::{Descriptors, FieldDescriptor, FieldKind, Scalar};

use crate::config::Options;
use crate::fault::{Fault, MAX_DEPTH, NULL_POINTER};
use crate::logical::Logical;
use crate::names::scrub;
use crate::terms::{DATE, DECIMAL, ENUM, GENERAL_ENUM, TIME, TIMESTAMP, TYPE};
use crate::to_protobuf::is_union;

/// Writes values of one schema.
#[derive(Debug)]
pub(crate) struct WritePlan {
    pub(crate) root: Root,
    pub(crate) messages: Vec<MessagePlan>,
    pub(crate) ignore_default: bool,
}

#[derive(Debug)]
pub(crate) enum Root {
    /// A scalar in the field 1 of its wrapper.
    Wrapper(ScalarPlan),
    /// The message of this number.
    Message(usize),
}

/// A struct.
#[derive(Debug)]
pub(crate) struct MessagePlan {
    pub(crate) schema: Schema,
    /// In the order in which fields are written: by number.
    pub(crate) fields: Vec<FieldPlan>,
    /// Fields that stand for oneofs.
    pub(crate) unions: Vec<UnionPlan>,
}

#[derive(Debug)]
pub(crate) struct UnionPlan {
    pub(crate) field: usize,
    pub(crate) schema: Schema,
    pub(crate) default: Option<Value>,
}

/// Where the value of a field is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// In this field of the struct.
    Field(usize),
    /// In this member of the union that is this field of the struct.
    Member(usize, usize),
}

#[derive(Debug)]
pub(crate) struct FieldPlan {
    pub(crate) source: Source,
    /// What a null stands for.
    pub(crate) default: Option<Value>,
    pub(crate) number: i32,
    pub(crate) encoder: Encoder,
    /// Whether a zero is written too.
    pub(crate) presence: bool,
    pub(crate) packed: bool,
}

/// What a scalar's value is taken as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// Java's `int`, of any number.
    Int,
    /// Java's `int`, of a `long` cut off.
    CutLong,
    Long,
    Float,
    Double,
    Boolean,
    Text,
    Bytes,
    /// The unscaled integer of a decimal.
    Unscaled,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ScalarPlan {
    pub(crate) take: Take,
    pub(crate) scalar: Scalar,
    pub(crate) kind: Kind,
}

/// Writes one value, or one element of a list.
#[derive(Debug)]
pub(crate) enum Encoder {
    Scalar(ScalarPlan),
    /// In the field 1 of a message.
    Wrapper(ScalarPlan),
    /// A number, if the enum has it. The first is the default.
    EnumNumber(Vec<i32>),
    /// A symbol with its number. The first of the enum is the default.
    EnumSymbol {
        symbols: Vec<(Arc<str>, i32)>,
        default: i32,
    },
    Logical(Logical),
    Message(usize),
    Map(Box<EntryPlan>),
    Array(Box<Encoder>),
    /// Nothing that is not null can be written.
    Fail(Fault),
}

#[derive(Debug)]
pub(crate) struct EntryPlan {
    pub(crate) key: Encoder,
    pub(crate) key_presence: bool,
    pub(crate) value: Encoder,
    pub(crate) value_presence: bool,
    pub(crate) value_packed: bool,
}

/// The message of another schema under whose id is written: its numbers count where it has a field of the same name and kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreign<'d> {
    pub(crate) types: &'d Descriptors,
    pub(crate) message: usize,
}

impl WritePlan {
    /// For a struct that is the message `place` of `types`.
    pub(crate) fn structure(
        schema: &Schema,
        types: &Descriptors,
        place: usize,
        foreign: Option<Foreign<'_>>,
        options: Options,
    ) -> Result<Self, Fault> {
        let mut compiler = Compiler {
            types,
            options,
            messages: Vec::new(),
            known: HashMap::new(),
            enclosing: Vec::new(),
        };
        let root = compiler.message(schema, place, foreign)?;
        let messages = compiler.messages.into_iter().flatten().collect();
        Ok(Self {
            root: Root::Message(root),
            messages,
            ignore_default: options.ignore_default,
        })
    }

    /// For a scalar at the root.
    pub(crate) fn scalar(schema: &Schema, options: Options) -> Self {
        let kind = schema.kind();
        let take = match kind {
            Kind::Bytes if schema.name() == Some(DECIMAL) => Take::Unscaled,
            _ => taken(schema),
        };
        Self {
            root: Root::Wrapper(ScalarPlan {
                take,
                scalar: wrapped_scalar(take),
                kind,
            }),
            messages: Vec::new(),
            ignore_default: options.ignore_default,
        }
    }

    /// The wrapper that a scalar at the root is written as.
    pub(crate) fn wrapper(&self) -> Option<&'static str> {
        let Root::Wrapper(plan) = &self.root else {
            return None;
        };
        Some(match plan.scalar {
            Scalar::Int32 => "google.protobuf.Int32Value",
            Scalar::Int64 => "google.protobuf.Int64Value",
            Scalar::Float => "google.protobuf.FloatValue",
            Scalar::Double => "google.protobuf.DoubleValue",
            Scalar::Bool => "google.protobuf.BoolValue",
            Scalar::String => "google.protobuf.StringValue",
            _ => "google.protobuf.BytesValue",
        })
    }
}

fn taken(schema: &Schema) -> Take {
    match schema.kind() {
        Kind::Int8 | Kind::Int16 | Kind::Int32 => Take::Int,
        Kind::Int64 => match schema.parameter(TYPE) {
            Some("uint32" | "fixed32") => Take::CutLong,
            _ => Take::Long,
        },
        Kind::Float32 => Take::Float,
        Kind::Float64 => Take::Double,
        Kind::Boolean => Take::Boolean,
        Kind::String => Take::Text,
        _ => Take::Bytes,
    }
}

/// The scalar in the wrapper that the original makes of such a value.
fn wrapped_scalar(take: Take) -> Scalar {
    match take {
        Take::Int | Take::CutLong => Scalar::Int32,
        Take::Long => Scalar::Int64,
        Take::Float => Scalar::Float,
        Take::Double => Scalar::Double,
        Take::Boolean => Scalar::Bool,
        Take::Text => Scalar::String,
        Take::Bytes | Take::Unscaled => Scalar::Bytes,
    }
}

/// Whether Java stores the value in a field of this scalar.
fn fits(take: Take, scalar: Scalar) -> bool {
    match take {
        Take::Int | Take::CutLong => matches!(
            scalar,
            Scalar::Int32 | Scalar::Uint32 | Scalar::Sint32 | Scalar::Fixed32 | Scalar::Sfixed32
        ),
        Take::Long => matches!(
            scalar,
            Scalar::Int64 | Scalar::Uint64 | Scalar::Sint64 | Scalar::Fixed64 | Scalar::Sfixed64
        ),
        Take::Float => scalar == Scalar::Float,
        Take::Double => scalar == Scalar::Double,
        Take::Boolean => scalar == Scalar::Bool,
        Take::Text => scalar == Scalar::String,
        Take::Bytes | Take::Unscaled => scalar == Scalar::Bytes,
    }
}

fn mismatch(field: &FieldDescriptor) -> Encoder {
    let message = if matches!(field.kind, FieldKind::Enum(_)) {
        "DynamicMessage should use EnumValueDescriptor to set Enum Value.".to_owned()
    } else {
        format!(
            "Wrong object type used with protocol message reflection: field {} ({}) cannot hold a value of its Connect schema",
            field.name, field.number
        )
    };
    Encoder::Fail(Fault::illegal(message))
}

/// Whether values are encoded alike.
fn same_form(a: FieldKind, b: FieldKind) -> bool {
    match (a, b) {
        (FieldKind::Scalar(a), FieldKind::Scalar(b)) => a == b,
        (FieldKind::Message(_), FieldKind::Message(_))
        | (FieldKind::Enum(_), FieldKind::Enum(_)) => true,
        _ => false,
    }
}

struct Compiler<'d> {
    types: &'d Descriptors,
    options: Options,
    /// `None` while it is being compiled.
    messages: Vec<Option<MessagePlan>>,
    /// By schema, message, and message whose numbers count.
    known: HashMap<(SchemaId, usize, Option<usize>), usize>,
    /// The structs around: their names, and which messages they are.
    enclosing: Vec<(Option<String>, usize)>,
}

impl Compiler<'_> {
    fn message(
        &mut self,
        schema: &Schema,
        place: usize,
        foreign: Option<Foreign<'_>>,
    ) -> Result<usize, Fault> {
        let key = (schema.id(), place, foreign.map(|foreign| foreign.message));
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        if self.enclosing.len() >= MAX_DEPTH {
            return Err(Fault::too_deep("schema"));
        }
        let number = self.messages.len();
        self.messages.push(None);
        self.known.insert(key, number);
        self.enclosing
            .push((schema.name().map(str::to_owned), number));
        let mut fields = Vec::new();
        let mut unions = Vec::new();
        for (i, field) in schema.fields().iter().enumerate() {
            if field.schema.kind() == Kind::Struct && is_union(&field.schema) {
                unions.push(UnionPlan {
                    field: i,
                    schema: field.schema.clone(),
                    default: field.schema.default().cloned(),
                });
                for (j, member) in field.schema.fields().iter().enumerate() {
                    let source = Source::Member(i, j);
                    fields.push(self.field(
                        &member.name,
                        &member.schema,
                        source,
                        place,
                        foreign,
                    )?);
                }
            } else {
                fields.push(self.field(
                    &field.name,
                    &field.schema,
                    Source::Field(i),
                    place,
                    foreign,
                )?);
            }
        }
        self.enclosing.pop();
        fields.sort_by_key(|field| field.number);
        self.messages[number] = Some(MessagePlan {
            schema: schema.clone(),
            fields,
            unions,
        });
        Ok(number)
    }

    fn field(
        &mut self,
        name: &str,
        schema: &Schema,
        source: Source,
        place: usize,
        foreign: Option<Foreign<'_>>,
    ) -> Result<FieldPlan, Fault> {
        let types = self.types;
        let message = types.message(place);
        let name = scrub(name, self.options.scrub);
        let default = schema.default().cloned();
        let Some(field) = message.fields.iter().find(|field| *field.name == *name) else {
            return Ok(FieldPlan {
                source,
                default,
                number: i32::MAX,
                encoder: Encoder::Fail(Fault::data(format!("Cannot find field with name {name}"))),
                presence: true,
                packed: false,
            });
        };
        let theirs = foreign.and_then(|foreign| {
            let field = foreign
                .types
                .message(foreign.message)
                .fields
                .iter()
                .find(|theirs| {
                    theirs.name == field.name
                        && theirs.is_repeated() == field.is_repeated()
                        && same_form(theirs.kind, field.kind)
                })?;
            Some((foreign, field))
        });
        let inner = theirs.and_then(|(foreign, theirs)| match theirs.kind {
            FieldKind::Message(message) => Some(Foreign {
                types: foreign.types,
                message,
            }),
            _ => None,
        });
        let encoder = self.encoder(schema, field, &message.full_name, inner)?;
        let counted = theirs.map_or(field, |(_, theirs)| theirs);
        Ok(FieldPlan {
            source,
            default,
            number: counted.number,
            encoder,
            presence: counted.has_presence,
            packed: counted.packed,
        })
    }

    /// Writes values of `schema` into `field`, which may be a list where the schema is one. `scope` is the full name of the message that the field is in.
    fn encoder(
        &mut self,
        schema: &Schema,
        field: &FieldDescriptor,
        scope: &str,
        foreign: Option<Foreign<'_>>,
    ) -> Result<Encoder, Fault> {
        match schema.kind() {
            Kind::Array => {
                let Some(element) = schema.value_schema() else {
                    return Ok(mismatch(field));
                };
                if !field.is_repeated() {
                    return Ok(mismatch(field));
                }
                if matches!(element.kind(), Kind::Array | Kind::Map) {
                    // Nothing is wrong with a list that holds none of them.
                    return Ok(Encoder::Array(Box::new(mismatch(field))));
                }
                Ok(Encoder::Array(Box::new(
                    self.single(element, field, scope, foreign)?,
                )))
            }
            Kind::Map => self.map(schema, field, foreign),
            _ if field.is_repeated() => Ok(mismatch(field)),
            _ => self.single(schema, field, scope, foreign),
        }
    }

    fn single(
        &mut self,
        schema: &Schema,
        field: &FieldDescriptor,
        scope: &str,
        foreign: Option<Foreign<'_>>,
    ) -> Result<Encoder, Fault> {
        let is_message = matches!(field.kind, FieldKind::Message(_));
        let logical = match schema.name() {
            Some(DECIMAL) => Some(Logical::Decimal),
            Some(DATE) => Some(Logical::Date),
            Some(TIME) => Some(Logical::Time),
            Some(TIMESTAMP) => Some(Logical::Timestamp),
            _ => None,
        };
        if let Some(logical) = logical {
            return Ok(if is_message {
                Encoder::Logical(logical)
            } else {
                mismatch(field)
            });
        }
        match (schema.kind(), field.kind) {
            (Kind::Struct, _) if is_union(schema) => Ok(Encoder::Fail(Fault::data(format!(
                "Cannot find field with name {}",
                field.name
            )))),
            (Kind::Struct, FieldKind::Message(_)) if schema.is_back_reference() => {
                let found = self
                    .enclosing
                    .iter()
                    .rev()
                    .find(|(name, _)| name.as_deref() == schema.name());
                found
                    .map(|(_, number)| Encoder::Message(*number))
                    .ok_or_else(|| {
                        Fault::new(
                            NULL_POINTER,
                            "a schema refers to a struct around it, and there is none",
                        )
                    })
            }
            (Kind::Struct, FieldKind::Message(place)) => {
                Ok(Encoder::Message(self.message(schema, place, foreign)?))
            }
            (Kind::Struct | Kind::Array | Kind::Map, _) => Ok(mismatch(field)),
            _ => Ok(self.scalar(schema, field, scope)),
        }
    }

    fn scalar(&self, schema: &Schema, field: &FieldDescriptor, scope: &str) -> Encoder {
        let kind = schema.kind();
        let numbers = |name: &str| self.enum_numbers(scope, name);
        if matches!(kind, Kind::Int8 | Kind::Int16 | Kind::Int32)
            && let Some(name) = schema.parameter(ENUM)
        {
            return match field.kind {
                FieldKind::Enum(_) => Encoder::EnumNumber(numbers(name)),
                _ => mismatch(field),
            };
        }
        if kind == Kind::String
            && (schema.parameter(ENUM).is_some() || schema.parameter(GENERAL_ENUM).is_some())
        {
            let parameter = self.options.enum_parameter();
            let numbers = numbers(schema.parameter(parameter).unwrap_or_default());
            let FieldKind::Enum(place) = field.kind else {
                return mismatch(field);
            };
            let symbols = schema
                .parameters()
                .iter()
                .filter_map(|(key, number)| {
                    let symbol = key.strip_prefix(parameter)?.strip_prefix('.')?;
                    let number = number.parse().ok().filter(|n| numbers.contains(n))?;
                    Some((Arc::from(symbol), number))
                })
                .collect();
            let default = self
                .types
                .declared_enum(place)
                .constants
                .first()
                .map_or(0, |constant| constant.1);
            return Encoder::EnumSymbol { symbols, default };
        }
        let take = taken(schema);
        if self.options.wrapper_for_nullables && schema.optional() {
            return match field.kind {
                FieldKind::Message(_) => Encoder::Wrapper(ScalarPlan {
                    take,
                    scalar: wrapped_scalar(take),
                    kind,
                }),
                _ => mismatch(field),
            };
        }
        match field.kind {
            FieldKind::Scalar(scalar) if fits(take, scalar) => {
                Encoder::Scalar(ScalarPlan { take, scalar, kind })
            }
            _ => mismatch(field),
        }
    }

    /// The numbers of the enum of this name in the message of this name; none for one that is not there.
    fn enum_numbers(&self, scope: &str, name: &str) -> Vec<i32> {
        self.types
            .find_enum(&format!("{scope}.{name}"))
            .or_else(|| self.types.find_enum(name))
            .map(|place| {
                let constants = &self.types.declared_enum(place).constants;
                constants.iter().map(|constant| constant.1).collect()
            })
            .unwrap_or_default()
    }

    fn map(
        &mut self,
        schema: &Schema,
        field: &FieldDescriptor,
        foreign: Option<Foreign<'_>>,
    ) -> Result<Encoder, Fault> {
        let (FieldKind::Message(place), true) = (field.kind, field.is_repeated()) else {
            return Ok(mismatch(field));
        };
        let types = self.types;
        let entry = types.message(place);
        let ([key, value], Some(key_schema), Some(value_schema)) = (
            entry.fields.as_slice(),
            schema.key_schema(),
            schema.value_schema(),
        ) else {
            return Ok(mismatch(field));
        };
        if self.enclosing.len() >= MAX_DEPTH {
            return Err(Fault::too_deep("schema"));
        }
        let value_foreign = foreign.and_then(|foreign| {
            let theirs = foreign.types.message(foreign.message);
            match theirs.fields.get(1)?.kind {
                FieldKind::Message(message) => Some(Foreign { message, ..foreign }),
                _ => None,
            }
        });
        self.enclosing.push((None, usize::MAX));
        let entry_plan = EntryPlan {
            key: self.encoder(key_schema, key, &entry.full_name, None)?,
            key_presence: key.has_presence,
            value: self.encoder(value_schema, value, &entry.full_name, value_foreign)?,
            value_presence: value.has_presence,
            value_packed: value.packed,
        };
        self.enclosing.pop();
        Ok(Encoder::Map(Box::new(entry_plan)))
    }
}
