//! Whether a JSON value fits a schema. Limits, patterns, formats, combinations; what was evaluated is kept track of for `unevaluatedProperties` and `unevaluatedItems`.

mod format;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use java_idioms::{Json, Number};

use crate::model::{
    ArrayKind, CombinedKind, Criterion, Kind, Model, NodeId, NumberKind, ObjectKind, ROOT,
    StringKind, value_key,
};
use crate::pattern::NamePattern;
use crate::tree::SchemaTree;

/// Nested values and references that are followed.
const MAX_DEPTH: usize = 400;
/// Pairs of a subschema and a value that are looked at.
const MAX_STEPS: usize = 1_000_000;

/// How a value does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where in the value: `#/orders/0/price`
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl SchemaTree {
    /// Checks a value against the schema.
    ///
    /// # Errors
    /// The first thing that does not fit, or a check that exceeds its limits.
    pub fn validate(&self, value: &Json) -> Result<(), Violation> {
        let mut validator = Validator {
            model: self.model(),
            path: String::from("#"),
            depth: 0,
            steps: 0,
            patterns: self.patterns(),
        };
        validator.node(ROOT, value, &mut Evaluated::default())
    }
}

/// Which properties and items some schema has looked at.
#[derive(Debug, Default)]
struct Evaluated<'v> {
    properties: HashSet<&'v str>,
    all_properties: bool,
    items: usize,
    all_items: bool,
}

impl<'v> Evaluated<'v> {
    fn merge(&mut self, other: Evaluated<'v>) {
        self.properties.extend(other.properties);
        self.all_properties |= other.all_properties;
        self.items = self.items.max(other.items);
        self.all_items |= other.all_items;
    }
}

struct Validator<'m> {
    model: &'m Model,
    path: String,
    depth: usize,
    steps: usize,
    patterns: &'m HashMap<Arc<str>, NamePattern>,
}

fn is_integral(number: &Number) -> bool {
    number.is_integer() || number.as_f64().fract() == 0.0
}

impl<'m> Validator<'m> {
    fn violation(&self, message: impl Into<String>) -> Violation {
        Violation {
            path: self.path.clone(),
            message: message.into(),
        }
    }

    fn wrong_type<T>(&self, expected: &str, value: &Json) -> Result<T, Violation> {
        let found = match value {
            Json::Null => "null",
            Json::Bool(_) => "Boolean",
            Json::Number(_) => "Number",
            Json::String(_) => "String",
            Json::Array(_) => "JSONArray",
            Json::Object(_) => "JSONObject",
        };
        Err(self.violation(format!("expected type: {expected}, found: {found}")))
    }

    /// Below a property or an item.
    fn below(
        &mut self,
        step: fmt::Arguments<'_>,
        id: NodeId,
        value: &Json,
    ) -> Result<(), Violation> {
        let length = self.path.len();
        self.path.push_str(&step.to_string());
        let result = self.node(id, value, &mut Evaluated::default());
        self.path.truncate(length);
        result
    }

    fn matches(&self, pattern: &str, text: &str) -> bool {
        self.patterns
            .get(pattern)
            .is_some_and(|pattern| pattern.finds(text))
    }

    fn node<'v>(
        &mut self,
        id: NodeId,
        value: &'v Json,
        evaluated: &mut Evaluated<'v>,
    ) -> Result<(), Violation> {
        self.steps += 1;
        if self.depth >= MAX_DEPTH || self.steps > MAX_STEPS {
            return Err(self
                .violation("the value is too deep or too large to be checked against its schema"));
        }
        self.depth += 1;
        let result = self.kind(id, value, evaluated);
        self.depth -= 1;
        result
    }

    fn kind<'v>(
        &mut self,
        id: NodeId,
        value: &'v Json,
        evaluated: &mut Evaluated<'v>,
    ) -> Result<(), Violation> {
        let model = self.model;
        match &model.node(id).kind {
            Kind::Empty | Kind::True => Ok(()),
            Kind::False => Err(self.violation("false schema always fails")),
            Kind::Null if value.is_null() => Ok(()),
            Kind::Null => self.wrong_type("null", value),
            Kind::Boolean if matches!(value, Json::Bool(_)) => Ok(()),
            Kind::Boolean => self.wrong_type("Boolean", value),
            Kind::String(kind) => self.string(kind, value),
            Kind::Number(kind) => self.number(kind, value),
            Kind::Const(kind) | Kind::Enum(kind) => {
                if kind.values.contains(&value_key(value))
                    || kind.list.iter().any(|known| equal(known, value))
                {
                    Ok(())
                } else {
                    Err(self.violation("the value is not a valid enum value"))
                }
            }
            Kind::Combined(kind) => self.combined(kind, value, evaluated),
            Kind::Not(id) => match self.attempt(*id, value) {
                Some(_) => {
                    Err(self.violation("subject must not be valid against the schema of `not`"))
                }
                None => Ok(()),
            },
            Kind::Conditional(parts) => {
                let [condition, then, otherwise] = **parts;
                let met = match condition.map(|id| self.attempt(id, value)) {
                    None => return Ok(()),
                    Some(None) => false,
                    Some(Some(seen)) => {
                        evaluated.merge(seen);
                        true
                    }
                };
                match if met { then } else { otherwise } {
                    Some(id) => self.node(id, value, evaluated),
                    None => Ok(()),
                }
            }
            Kind::Object(kind) => self.object(kind, value, evaluated),
            Kind::Array(kind) => self.array(kind, value, evaluated),
            Kind::Reference(reference) => self.node(reference.end, value, evaluated),
        }
    }

    /// What a subschema evaluated, if the value fits it.
    fn attempt<'v>(&mut self, id: NodeId, value: &'v Json) -> Option<Evaluated<'v>> {
        let mut seen = Evaluated::default();
        let length = self.path.len();
        let result = self.node(id, value, &mut seen);
        self.path.truncate(length);
        result.ok().map(|()| seen)
    }

    fn string(&self, kind: &'m StringKind, value: &Json) -> Result<(), Violation> {
        let Json::String(text) = value else {
            return if kind.required {
                self.wrong_type("String", value)
            } else {
                Ok(())
            };
        };
        if kind.min_length.is_some() || kind.max_length.is_some() {
            let length = text.chars().count() as i64;
            if kind.min_length.is_some_and(|least| length < least) {
                return Err(self.violation(format!(
                    "expected minLength: {}, actual: {length}",
                    kind.min_length.unwrap_or(0)
                )));
            }
            if kind.max_length.is_some_and(|most| length > most) {
                return Err(self.violation(format!(
                    "expected maxLength: {}, actual: {length}",
                    kind.max_length.unwrap_or(0)
                )));
            }
        }
        if let Some(pattern) = &kind.pattern
            && !self.matches(pattern, text)
        {
            return Err(self.violation(format!("string does not match pattern {pattern}")));
        }
        match &kind.format {
            Some(name) if !format::fits(name, text) => {
                Err(self.violation(format!("string is not a valid {name}")))
            }
            _ => Ok(()),
        }
    }

    fn number(&self, kind: &NumberKind, value: &Json) -> Result<(), Violation> {
        let Json::Number(number) = value else {
            return if kind.required || kind.integer {
                self.wrong_type("Number", value)
            } else {
                Ok(())
            };
        };
        if kind.integer && !is_integral(number) {
            return self.wrong_type("Integer", value);
        }
        let shown = number.literal();
        let value = number.as_f64();
        let limit = |limit: &Option<Number>| limit.as_ref().map(Number::as_f64);
        let below = |least| value < least || (kind.minimum_is_exclusive && value == least);
        if limit(&kind.minimum).is_some_and(below) {
            return Err(self.violation(format!("{shown} is not greater or equal to its minimum")));
        }
        let above = |most| value > most || (kind.maximum_is_exclusive && value == most);
        if limit(&kind.maximum).is_some_and(above) {
            return Err(self.violation(format!("{shown} is not less or equal to its maximum")));
        }
        if limit(&kind.exclusive_minimum).is_some_and(|least| value <= least) {
            return Err(
                self.violation(format!("{shown} is not greater than its exclusive minimum"))
            );
        }
        if limit(&kind.exclusive_maximum).is_some_and(|most| value >= most) {
            return Err(self.violation(format!("{shown} is not less than its exclusive maximum")));
        }
        if let Some(of) = &kind.multiple_of
            && !crate::diff::is_multiple(number, of)
        {
            return Err(self.violation(format!("{shown} is not a multiple of {}", of.literal())));
        }
        Ok(())
    }

    fn combined<'v>(
        &mut self,
        kind: &CombinedKind,
        value: &'v Json,
        evaluated: &mut Evaluated<'v>,
    ) -> Result<(), Violation> {
        if kind.criterion == Criterion::All {
            // Keywords that look at what others left over come last.
            let (last, first): (Vec<NodeId>, Vec<NodeId>) = kind
                .subschemas
                .iter()
                .partition(|id| kind.generated && self.looks_at_the_rest(**id));
            for id in first.into_iter().chain(last) {
                self.node(id, value, evaluated)?;
            }
            return Ok(());
        }
        let mut matching = 0;
        for id in &kind.subschemas {
            if let Some(seen) = self.attempt(*id, value) {
                evaluated.merge(seen);
                matching += 1;
            }
        }
        match (kind.criterion, matching) {
            (Criterion::Any, 0) => Err(self.violation(format!(
                "no subschema matched out of the total {} subschemas",
                kind.subschemas.len()
            ))),
            (Criterion::One, n) if n != 1 => {
                Err(self.violation(format!("{n} subschemas matched instead of one")))
            }
            _ => Ok(()),
        }
    }

    fn looks_at_the_rest(&self, id: NodeId) -> bool {
        match &self.model.node(id).kind {
            Kind::Object(kind) => kind.unevaluated.is_some(),
            Kind::Array(kind) => kind.unevaluated.is_some(),
            _ => false,
        }
    }

    fn object<'v>(
        &mut self,
        kind: &'m ObjectKind,
        value: &'v Json,
        evaluated: &mut Evaluated<'v>,
    ) -> Result<(), Violation> {
        let Json::Object(members) = value else {
            return if kind.required_object {
                self.wrong_type("JSONObject", value)
            } else {
                Ok(())
            };
        };
        let count = members.len() as i64;
        if kind.min_properties.is_some_and(|least| count < least) {
            return Err(self.violation(format!(
                "minimum size: [{}], found: [{count}]",
                kind.min_properties.unwrap_or(0)
            )));
        }
        if kind.max_properties.is_some_and(|most| count > most) {
            return Err(self.violation(format!(
                "maximum size: [{}], found: [{count}]",
                kind.max_properties.unwrap_or(0)
            )));
        }
        if let Some(name) = kind
            .required
            .iter()
            .find(|name| !members.contains_key(&***name))
        {
            return Err(self.violation(format!("required key [{name}] not found")));
        }
        for (name, required) in &kind.property_dependencies {
            if members.contains_key(name)
                && let Some(missing) = required.iter().find(|name| !members.contains_key(&***name))
            {
                return Err(self.violation(format!("property [{missing}] is required")));
            }
        }
        for (name, id) in &kind.schema_dependencies {
            if members.contains_key(name) {
                self.node(*id, value, evaluated)?;
            }
        }
        for (name, member) in members {
            if let Some(id) = kind.property_names {
                self.node(id, &Json::String(name.clone()), &mut Evaluated::default())?;
            }
            let mut known = false;
            if let Some(id) = kind.properties.get(name) {
                known = true;
                self.below(format_args!("/{name}"), *id, member)?;
            }
            for (pattern, id) in &kind.pattern_properties {
                if self.matches(pattern, name) {
                    known = true;
                    self.below(format_args!("/{name}"), *id, member)?;
                }
            }
            if !known {
                match kind.additional {
                    Some(id) => {
                        known = true;
                        self.below(format_args!("/{name}"), id, member)?;
                    }
                    None if !kind.permits_additional => {
                        return Err(
                            self.violation(format!("extraneous key [{name}] is not permitted"))
                        );
                    }
                    None => {}
                }
            }
            if known {
                evaluated.properties.insert(name);
            }
        }
        if let Some(id) = kind.unevaluated
            && !evaluated.all_properties
        {
            for (name, member) in members {
                if !evaluated.properties.contains(&**name) {
                    self.below(format_args!("/{name}"), id, member)?;
                }
            }
            evaluated.all_properties = true;
        }
        Ok(())
    }

    fn array<'v>(
        &mut self,
        kind: &ArrayKind,
        value: &'v Json,
        evaluated: &mut Evaluated<'v>,
    ) -> Result<(), Violation> {
        let Json::Array(values) = value else {
            return if kind.required {
                self.wrong_type("JSONArray", value)
            } else {
                Ok(())
            };
        };
        let count = values.len() as i64;
        if kind.min_items.is_some_and(|least| count < least) {
            return Err(self.violation(format!(
                "expected minimum item count: {}, found: {count}",
                kind.min_items.unwrap_or(0)
            )));
        }
        if kind.max_items.is_some_and(|most| count > most) {
            return Err(self.violation(format!(
                "expected maximum item count: {}, found: {count}",
                kind.max_items.unwrap_or(0)
            )));
        }
        if kind.unique {
            let mut seen = HashSet::new();
            if !values.iter().all(|value| seen.insert(value_key(value))) {
                return Err(self.violation("array items are not unique"));
            }
        }
        for (index, value) in values.iter().enumerate() {
            let id = match (kind.items, kind.tuple.get(index)) {
                (Some(id), _) => Some(id),
                (None, Some(id)) => Some(*id),
                (None, None) if !kind.permits_additional => {
                    return Err(self.violation(format!(
                        "expected: [{}] array items, found: [{count}]",
                        kind.tuple.len()
                    )));
                }
                (None, None) => kind.additional,
            };
            if let Some(id) = id {
                self.below(format_args!("/{index}"), id, value)?;
                evaluated.items = evaluated.items.max(index + 1);
            }
        }
        if let Some(id) = kind.contains {
            let mut matching = 0;
            for value in values {
                matching += i64::from(self.attempt(id, value).is_some());
            }
            let least = kind.min_contains.unwrap_or(1);
            if matching < least || kind.max_contains.is_some_and(|most| matching > most) {
                return Err(
                    self.violation(format!("{matching} array items are as `contains` says"))
                );
            }
        }
        if let Some(id) = kind.unevaluated
            && !evaluated.all_items
        {
            for (index, value) in values.iter().enumerate().skip(evaluated.items) {
                self.below(format_args!("/{index}"), id, value)?;
            }
            evaluated.all_items = true;
        }
        Ok(())
    }
}

/// Equal values: numbers by value, whatever their digits.
fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}
