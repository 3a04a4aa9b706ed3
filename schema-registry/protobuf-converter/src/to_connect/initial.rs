//! What fields are that are not set.

use std::sync::Arc;

use millrace_api::data::{Struct, Value};
use registry_protobuf::ast::{Label, Syntax};
use registry_protobuf::{FieldDescriptor, FieldKind, MessageDescriptor};

use super::{PlannedField, Planner};
use crate::connect_types::logical_of;
use crate::defaults::parse_default;
use crate::fault::{Fault, MAX_DEPTH, MAX_LAYOUTS, STACK_OVERFLOW};
use crate::read_plan::{Child, EntryDefault, ValueReader};
use crate::read_scalar::scalar_default;
use crate::terms::VARIANT_TYPE;

/// What a field is when it is not set.
pub(super) enum Initial {
    Value(Value),
    /// A struct of defaults, made when it is needed.
    Generated(Child),
    /// Nothing: every message that lacks the field is refused.
    Impossible(Fault),
}

impl Planner<'_> {
    /// What the field is when it is not set.
    pub(super) fn initial(
        &mut self,
        field: &FieldDescriptor,
        message: &MessageDescriptor,
        planned: &PlannedField,
    ) -> Result<Initial, Fault> {
        if matches!(planned.reader, ValueReader::Map(_)) {
            return Ok(Initial::Value(Value::Map(Arc::default())));
        }
        if field.is_repeated() {
            return Ok(Initial::Value(Value::Array(Arc::default())));
        }
        let keeps_null = field.proto3_optional
            || (self.options.optional_for_proto2
                && message.syntax == Syntax::Proto2
                && field.label == Label::Optional
                && field.oneof.is_none());
        let is_message = matches!(field.kind, FieldKind::Message(_));
        if (is_message || keeps_null) && !self.options.struct_for_nulls {
            return Ok(Initial::Value(Value::Null));
        }
        let child = match self.default_of(&planned.reader, field)? {
            Ok(EntryDefault::Value(value)) => return Ok(Initial::Value(value)),
            Ok(EntryDefault::Message(child)) => child,
            Err(fault) => return Ok(Initial::Impossible(fault)),
        };
        let leads_outwards = match &child {
            Child::Inner(_, layout) if layout.endless => {
                return Ok(Initial::Impossible(endless()));
            }
            Child::Inner(_, layout) => {
                if let Some((_, fault)) = layout.impossible.first() {
                    return Ok(Initial::Impossible(fault.clone()));
                }
                !layout.generated.is_empty()
            }
            Child::Enclosing(_) => true,
        };
        if leads_outwards {
            let FieldKind::Message(inner) = field.kind else {
                return Ok(Initial::Impossible(endless()));
            };
            return Ok(match self.default_size(inner, 0) {
                None => Initial::Impossible(endless()),
                Some(size) if size > MAX_LAYOUTS => Initial::Impossible(Fault::data(format!(
                    "generate.struct.for.nulls would make more than {MAX_LAYOUTS} structs of one message"
                ))),
                Some(_) => Initial::Generated(child),
            });
        }
        Ok(Initial::Value(match child {
            Child::Inner(schema, layout) => {
                Value::Struct(Struct::new(schema, layout.initial.clone()))
            }
            Child::Enclosing(_) => Value::Null,
        }))
    }

    /// How many structs the default of a message is made of; `None` if there is no end to them.
    fn default_size(&mut self, place: usize, depth: usize) -> Option<usize> {
        match self.default_sizes.get(&place) {
            Some(size) => return *size,
            None if depth >= MAX_DEPTH => return None,
            None => {}
        }
        // What leads back here while it is being counted has no end.
        self.default_sizes.insert(place, None);
        let types = self.types;
        let mut size = Some(1_usize);
        for field in &types.message(place).fields {
            let FieldKind::Message(inner) = field.kind else {
                continue;
            };
            let full_name = &types.message(inner).full_name;
            if field.is_repeated()
                || field.oneof.is_some()
                || logical_of(full_name).is_some()
                || **full_name == *VARIANT_TYPE
                || self.unwraps(full_name)
            {
                continue;
            }
            let inner = self.default_size(inner, depth + 1);
            size = size
                .zip(inner)
                .map(|(size, inner)| size.saturating_add(inner));
        }
        self.default_sizes.insert(place, size);
        size
    }

    /// The default of a field's type, or of the field in proto2.
    pub(super) fn default_of(
        &self,
        reader: &ValueReader,
        field: &FieldDescriptor,
    ) -> Result<Result<EntryDefault, Fault>, Fault> {
        let written = field.default.as_deref();
        Ok(Ok(EntryDefault::Value(match reader {
            ValueReader::Scalar(scalar) => match written {
                Some(text) => parse_default(*scalar, text)?,
                None => scalar_default(*scalar),
            },
            ValueReader::Wrapped(scalar) => scalar_default(*scalar),
            ValueReader::Enum(values) => {
                let number = self.enum_default(field, written);
                values.value(number)
            }
            ValueReader::Logical(logical) => match logical.read(&[]) {
                Ok(value) => value,
                Err(fault) => return Ok(Err(fault)),
            },
            ValueReader::Message(child) => {
                return Ok(Ok(EntryDefault::Message(child.clone())));
            }
            ValueReader::Map(_) => Value::Map(Arc::default()),
        })))
    }

    pub(super) fn enum_default(&self, field: &FieldDescriptor, written: Option<&str>) -> i32 {
        let FieldKind::Enum(place) = field.kind else {
            return 0;
        };
        let constants = &self.types.declared_enum(place).constants;
        let named = written.and_then(|name| constants.iter().find(|c| *c.0 == *name));
        named.or(constants.first()).map_or(0, |constant| constant.1)
    }
}

pub(super) fn endless() -> Fault {
    Fault::new(
        STACK_OVERFLOW,
        "generate.struct.for.nulls has no end in a message that holds itself",
    )
}
