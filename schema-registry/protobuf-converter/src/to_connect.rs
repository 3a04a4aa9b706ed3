//! Message types as Connect schemas, with the plans that read them.

mod initial;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use millrace_api::data::{Kind, Schema, SchemaBuilder, Value};
use registry_protobuf::ast::{Label, Syntax};
use registry_protobuf::{
    Descriptors, FieldDescriptor, FieldKind, MessageDescriptor, map_field_name,
};

use self::initial::Initial;
use crate::circles::Circles;
use crate::config::Options;
use crate::connect_types::{
    in_order, is_map, logical_of, logical_schema, scalar_kind, scalar_schema,
};
use crate::fault::{Fault, MAX_DEPTH, MAX_LAYOUTS};
use crate::read_plan::{
    Becomes, Child, EntryDefault, EntryReader, EnumReader, FieldReader, Layout, Place, ReadPlan,
    ReadRoot, ScalarReader, ValueReader,
};
use crate::terms::{GENERAL_UNION, TAG, UNION_PREFIX, VARIANT, VARIANT_TYPE, wrapped};

/// Plans the reading of the message `root`.
///
/// # Errors
/// Two fields of one name, schemas that nest too deeply, and the like.
pub(crate) fn to_connect(
    types: &Descriptors,
    root: usize,
    version: Option<i32>,
    options: Options,
) -> Result<ReadPlan, Fault> {
    let message = types.message(root);
    if options.wrapper_for_raw
        && let Some(scalar) = wrapped(&message.full_name)
    {
        let mut builder = SchemaBuilder::new(scalar_kind(scalar));
        if let Some(version) = version {
            builder = builder.version(version);
        }
        return Ok(ReadPlan {
            schema: builder.build_valid(),
            root: ReadRoot::Wrapped(ScalarReader {
                scalar,
                becomes: Becomes::Same,
                check_utf8: true,
            }),
        });
    }
    let mut planner = Planner {
        types,
        options,
        root,
        version,
        first_tags: HashMap::new(),
        root_recurs: false,
        stack: Vec::new(),
        circles: Circles::default(),
        known: HashMap::new(),
        layouts: 0,
        default_sizes: HashMap::new(),
    };
    planner.find_first_uses(root, None, 0)?;
    let (fields, layout, _) = planner.layout(root)?;
    let mut builder = planner.named_struct(message).optional(planner.root_recurs);
    if let Some(version) = version {
        builder = builder.version(version);
    }
    Ok(ReadPlan {
        schema: with_fields(builder, &fields)?,
        root: ReadRoot::Message(layout),
    })
}

type Fields = Arc<Vec<(Arc<str>, Schema)>>;

/// A message's fields in Connect, its layout, and how many levels outwards it refers (0: not beyond itself).
type Planned = (Fields, Arc<Layout>, usize);

struct Planner<'d> {
    types: &'d Descriptors,
    options: Options,
    root: usize,
    version: Option<i32>,
    /// For each message the number of the field by which it was first met, unless that was repeated. The original writes that number into the schema that all uses share.
    first_tags: HashMap<usize, Option<i32>>,
    /// Whether the root refers to itself, which makes it optional.
    root_recurs: bool,
    /// The messages around, from the outermost.
    stack: Vec<usize>,
    circles: Circles,
    /// Messages that stand in none of their circle.
    known: HashMap<usize, (Fields, Arc<Layout>)>,
    layouts: usize,
    /// See [`default_size`](Self::default_size).
    default_sizes: HashMap<usize, Option<usize>>,
}

/// A field in Connect.
struct PlannedField {
    schema: Schema,
    reader: ValueReader,
}

impl<'d> Planner<'d> {
    fn named_struct(&self, message: &MessageDescriptor) -> SchemaBuilder {
        let name = if self.options.enhanced {
            &message.full_name
        } else {
            &message.name
        };
        SchemaBuilder::structure().name(Arc::clone(name))
    }

    /// Walks over all messages in the order in which the original first meets them, and finds out which ones refer to each other in a circle (Tarjan's components).
    fn find_first_uses(
        &mut self,
        place: usize,
        tag: Option<i32>,
        depth: usize,
    ) -> Result<(), Fault> {
        if depth >= MAX_DEPTH {
            return Err(Fault::too_deep("schema"));
        }
        let order = self.circles.enter(place);
        self.first_tags.insert(place, tag);
        let types = self.types;
        for field in in_order(types.message(place)) {
            self.visit(place, field, depth)?;
        }
        self.circles.leave(place, order);
        Ok(())
    }

    fn visit(&mut self, from: usize, field: &FieldDescriptor, depth: usize) -> Result<(), Fault> {
        let FieldKind::Message(inner) = field.kind else {
            return Ok(());
        };
        let types = self.types;
        let message = types.message(inner);
        if logical_of(&message.full_name).is_some()
            || *message.full_name == *VARIANT_TYPE
            || self.unwraps(&message.full_name)
        {
            return Ok(());
        }
        if is_map(field, message) {
            if depth >= MAX_DEPTH {
                return Err(Fault::too_deep("schema"));
            }
            for field in &message.fields {
                self.visit(from, field, depth + 1)?;
            }
            return Ok(());
        }
        if !self.first_tags.contains_key(&inner) {
            let tag = (!field.is_repeated()).then_some(field.number);
            self.find_first_uses(inner, tag, depth + 1)?;
        }
        self.circles.refer(from, inner);
        Ok(())
    }

    fn unwraps(&self, full_name: &str) -> bool {
        (self.options.wrapper_for_raw || self.options.wrapper_for_nullables)
            && wrapped(full_name).is_some()
    }

    fn layout(&mut self, place: usize) -> Result<Planned, Fault> {
        // Inside of one of its own circle a message looks different: it ends at what is around it.
        let circle = self.circles.of(place);
        let alone = !self
            .stack
            .iter()
            .any(|around| circle.is_some() && self.circles.of(*around) == circle);
        if alone && let Some((fields, layout)) = self.known.get(&place) {
            return Ok((Arc::clone(fields), Arc::clone(layout), 0));
        }
        self.layouts += 1;
        if self.layouts > MAX_LAYOUTS {
            return Err(Fault::data(format!(
                "the messages refer to each other in more than {MAX_LAYOUTS} ways"
            )));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(Fault::too_deep("schema"));
        }
        self.stack.push(place);
        let planned = self.fill(place);
        self.stack.pop();
        let (fields, layout, reach) = planned?;
        if alone && reach == 0 {
            self.known
                .insert(place, (Arc::clone(&fields), Arc::clone(&layout)));
        }
        Ok((fields, layout, reach))
    }

    fn fill(&mut self, place: usize) -> Result<Planned, Fault> {
        let types = self.types;
        let message = types.message(place);
        let mut fields: Vec<(Arc<str>, Schema)> = Vec::new();
        let mut layout = Layout {
            fields: Vec::new(),
            initial: Vec::new(),
            maps: Vec::new(),
            required: Vec::new(),
            impossible: Vec::new(),
            generated: Vec::new(),
            endless: false,
        };
        // How many levels outwards of this message its parts refer.
        let mut reach = 0;
        for (i, oneof) in message.oneofs.iter().enumerate() {
            if self.options.flatten_unions {
                let first = fields.len();
                let places: Vec<usize> = (first..first + oneof.fields.len()).collect();
                for (at, member) in oneof.fields.iter().enumerate() {
                    let field = &message.fields[*member];
                    let planned = self.field(field, message, &mut reach)?;
                    let others = places
                        .iter()
                        .copied()
                        .filter(|p| *p != first + at)
                        .collect();
                    let target = Place::Field(first + at);
                    self.add(&mut layout, field, planned.reader, target, None, others);
                    layout.initial.push(Value::Null);
                    fields.push((Arc::clone(&field.name), planned.schema));
                }
                continue;
            }
            let mut builder = SchemaBuilder::structure().optional(true);
            if self.options.generalized {
                builder = builder
                    .name(Arc::clone(&oneof.name))
                    .parameter(GENERAL_UNION, Arc::clone(&oneof.name));
            } else {
                let name = if self.options.enhanced {
                    &oneof.full_name
                } else {
                    &oneof.name
                };
                builder = builder.name(format!("{UNION_PREFIX}{name}"));
            }
            let mut members = Vec::new();
            for member in &oneof.fields {
                let field = &message.fields[*member];
                let planned = self.field(field, message, &mut reach)?;
                builder = builder.field(Arc::clone(&field.name), planned.schema);
                members.push((field, planned.reader));
            }
            let union = builder
                .build()
                .map_err(|error| Fault::data(error.to_string()))?;
            for (j, (field, reader)) in members.into_iter().enumerate() {
                let target = Place::Member(fields.len(), j);
                self.add(
                    &mut layout,
                    field,
                    reader,
                    target,
                    Some(union.clone()),
                    Vec::new(),
                );
            }
            let name: Arc<str> = if self.options.index_for_unions {
                format!("{}_{i}", oneof.name).into()
            } else {
                Arc::clone(&oneof.name)
            };
            layout.initial.push(Value::Null);
            fields.push((name, union));
        }
        for field in message.fields.iter().filter(|field| field.oneof.is_none()) {
            let planned = self.field(field, message, &mut reach)?;
            let at = fields.len();
            let initial = match self.initial(field, message, &planned)? {
                Initial::Value(value) => value,
                Initial::Generated(child) => {
                    layout.generated.push((at, child));
                    Value::Null
                }
                Initial::Impossible(fault) => {
                    layout.endless |= fault.class == crate::fault::STACK_OVERFLOW;
                    layout.impossible.push((at, fault));
                    Value::Null
                }
            };
            layout.initial.push(initial);
            if field.label == Label::Required {
                layout.required.push(field.number);
            }
            self.add(
                &mut layout,
                field,
                planned.reader,
                Place::Field(at),
                None,
                Vec::new(),
            );
            fields.push((Arc::clone(&field.name), planned.schema));
        }
        layout.fields.sort_by_key(|field| field.number);
        Ok((Arc::new(fields), Arc::new(layout), reach))
    }

    fn add(
        &self,
        layout: &mut Layout,
        field: &FieldDescriptor,
        reader: ValueReader,
        place: Place,
        union: Option<Schema>,
        others: Vec<usize>,
    ) {
        let is_map = matches!(reader, ValueReader::Map(_));
        if let (true, Place::Field(at)) = (is_map, place) {
            layout.maps.push(at);
        }
        layout.fields.push(FieldReader {
            number: field.number,
            place,
            repeated: field.is_repeated() && !is_map,
            reader,
            union,
            others,
        });
    }

    fn field(
        &mut self,
        field: &FieldDescriptor,
        message: &MessageDescriptor,
        reach: &mut usize,
    ) -> Result<PlannedField, Fault> {
        let (mut builder, reader) = self.single(field, message, reach)?;
        let is_map = matches!(reader, ValueReader::Map(_));
        if field.is_repeated() && !is_map {
            builder = match builder {
                // What is met again carries the number of its first use.
                Building::Message(builder, first_tag) => {
                    let element = match first_tag {
                        Some(tag) => builder.parameter(TAG, tag.to_string()),
                        None => builder,
                    };
                    Building::Plain(SchemaBuilder::array(build(element)?).optional(true))
                }
                Building::Plain(builder) => {
                    let element = build(builder.optional(true))?;
                    Building::Plain(SchemaBuilder::array(element).optional(true))
                }
            };
        }
        let mut builder = match builder {
            Building::Plain(builder) | Building::Message(builder, _) => builder,
        };
        if self.options.optional_for_nullables {
            let keyword = field.proto3_optional
                || (message.syntax == Syntax::Proto2
                    && field.label == Label::Optional
                    && field.oneof.is_none());
            if keyword {
                builder = builder.optional(true);
            }
        } else if !self.options.wrapper_for_nullables {
            builder = builder.optional(true);
        }
        let schema = build(builder.parameter(TAG, field.number.to_string()))?;
        let reader = match reader {
            ValueReader::Message(Child::Inner(_, layout)) if !field.is_repeated() => {
                ValueReader::Message(Child::Inner(schema.clone(), layout))
            }
            ValueReader::Message(Child::Inner(_, layout)) => {
                let element = schema.value_schema().unwrap_or(&schema).clone();
                ValueReader::Message(Child::Inner(element, layout))
            }
            reader => reader,
        };
        Ok(PlannedField { schema, reader })
    }

    fn single(
        &mut self,
        field: &FieldDescriptor,
        message: &MessageDescriptor,
        reach: &mut usize,
    ) -> Result<(Building, ValueReader), Fault> {
        match field.kind {
            FieldKind::Scalar(scalar) => {
                let (builder, becomes) = scalar_schema(scalar, field);
                let reader = ValueReader::Scalar(ScalarReader {
                    scalar,
                    becomes,
                    // In maps always, in any syntax.
                    check_utf8: message.syntax == Syntax::Proto3 || message.map_entry,
                });
                Ok((Building::Plain(builder), reader))
            }
            FieldKind::Enum(place) => Ok(self.enumeration(place)),
            FieldKind::Message(place) => self.message(field, place, reach),
        }
    }

    fn enumeration(&self, place: usize) -> (Building, ValueReader) {
        let declared = self.types.declared_enum(place);
        let kind = if self.options.int_for_enums {
            Kind::Int32
        } else {
            Kind::String
        };
        let name = if self.options.enhanced {
            &declared.full_name
        } else {
            &declared.name
        };
        let parameter = self.options.enum_parameter();
        let mut builder = SchemaBuilder::new(kind)
            .name(Arc::clone(name))
            .parameter(parameter, Arc::clone(&declared.name))
            .optional(true);
        let mut values: Vec<(i32, Value)> = Vec::new();
        let mut seen = HashSet::new();
        for (symbol, number) in &declared.constants {
            builder = builder.parameter(format!("{parameter}.{symbol}"), number.to_string());
            if seen.insert(*number) {
                let value = if self.options.int_for_enums {
                    Value::Int32(*number)
                } else {
                    Value::string(&**symbol)
                };
                values.push((*number, value));
            }
        }
        values.sort_by_key(|(number, _)| *number);
        let reader = ValueReader::Enum(Arc::new(EnumReader {
            name: Arc::clone(&declared.name),
            values,
            as_number: self.options.int_for_enums,
            closed: declared.syntax == Syntax::Proto2,
        }));
        (Building::Plain(builder), reader)
    }

    fn message(
        &mut self,
        field: &FieldDescriptor,
        place: usize,
        reach: &mut usize,
    ) -> Result<(Building, ValueReader), Fault> {
        let types = self.types;
        let message = types.message(place);
        if let Some(logical) = logical_of(&message.full_name) {
            let builder = logical_schema(logical, field).optional(true);
            return Ok((Building::Plain(builder), ValueReader::Logical(logical)));
        }
        if self.unwraps(&message.full_name)
            && let Some(scalar) = wrapped(&message.full_name)
        {
            let builder = SchemaBuilder::new(scalar_kind(scalar)).optional(true);
            let reader = ValueReader::Wrapped(ScalarReader {
                scalar,
                becomes: Becomes::Same,
                check_utf8: true,
            });
            return Ok((Building::Plain(builder), reader));
        }
        if *message.full_name == *VARIANT_TYPE {
            let builder = SchemaBuilder::structure()
                .name(VARIANT)
                .field("metadata", Schema::bytes())
                .field("value", Schema::bytes())
                .optional(true);
            let (_, layout, _) = self.layout(place)?;
            let schema = build(builder.clone())?;
            let reader = ValueReader::Message(Child::Inner(schema, layout));
            return Ok((Building::Plain(builder), reader));
        }
        if is_map(field, message) {
            return self.map(message, reach);
        }
        let first_tag = self.first_tags.get(&place).copied().flatten();
        // From the innermost message, which the field is in, outwards.
        if let Some(levels) = self.stack.iter().rev().position(|around| *around == place) {
            *reach = (*reach).max(levels);
            let name = if self.options.enhanced {
                &message.full_name
            } else {
                &message.name
            };
            let mut builder = SchemaBuilder::back_reference(Arc::clone(name)).optional(true);
            if place == self.root {
                self.root_recurs = true;
                if let Some(version) = self.version {
                    builder = builder.version(version);
                }
            }
            let reader = ValueReader::Message(Child::Enclosing(levels));
            return Ok((Building::Message(builder, first_tag), reader));
        }
        let (fields, layout, inner_reach) = self.layout(place)?;
        *reach = (*reach).max(inner_reach.saturating_sub(1));
        let mut builder = self.named_struct(message).optional(true);
        for (name, schema) in fields.iter() {
            builder = builder.field(Arc::clone(name), schema.clone());
        }
        let schema = build(builder.clone())?;
        let reader = ValueReader::Message(Child::Inner(schema, layout));
        Ok((Building::Message(builder, first_tag), reader))
    }

    fn map(
        &mut self,
        message: &MessageDescriptor,
        reach: &mut usize,
    ) -> Result<(Building, ValueReader), Fault> {
        let [key_field, value_field] = message.fields.as_slice() else {
            return Err(Fault::data("a map entry needs a key and a value"));
        };
        if self.stack.len() >= MAX_DEPTH {
            return Err(Fault::too_deep("schema"));
        }
        let key = self.field(key_field, message, reach)?;
        let value = self.field(value_field, message, reach)?;
        let name = map_field_name(if self.options.enhanced {
            &message.full_name
        } else {
            &message.name
        });
        let builder = SchemaBuilder::map(key.schema, value.schema)
            .name(name)
            .optional(true);
        let default_key = match self.default_of(&key.reader, key_field)? {
            Ok(EntryDefault::Value(value)) => Ok(value),
            Ok(EntryDefault::Message(_)) => Ok(Value::Null),
            Err(fault) => Err(fault),
        };
        let default_value = self.default_of(&value.reader, value_field)?;
        let reader = ValueReader::Map(Arc::new(EntryReader {
            key: key.reader,
            value: value.reader,
            default_key,
            default_value,
        }));
        Ok((Building::Plain(builder), reader))
    }
}

/// A schema in the making.
enum Building {
    Plain(SchemaBuilder),
    /// Of a message, with the number of its first use.
    Message(SchemaBuilder, Option<i32>),
}

fn build(builder: SchemaBuilder) -> Result<Schema, Fault> {
    builder
        .build()
        .map_err(|error| Fault::data(error.to_string()))
}

fn with_fields(builder: SchemaBuilder, fields: &[(Arc<str>, Schema)]) -> Result<Schema, Fault> {
    let builder = fields.iter().fold(builder, |builder, (name, schema)| {
        builder.field(Arc::clone(name), schema.clone())
    });
    build(builder)
}
