use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Schema, Value};

/// A struct value: a schema and one value per field, by the field's index. Copy on write.
#[derive(Clone)]
pub struct Struct(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    schema: Schema,
    values: Box<[Value]>,
}

impl Struct {
    /// A struct of `schema` with these values, one per field in order. Panics when the number differs: that is a bug in the caller, not in data.
    pub fn new(schema: Schema, values: impl Into<Box<[Value]>>) -> Self {
        let values = values.into();
        assert_eq!(
            schema.fields().len(),
            values.len(),
            "struct '{}' takes as many values as it has fields",
            schema.name().unwrap_or("")
        );
        Self(Arc::new(Inner { schema, values }))
    }

    /// A struct with every field null.
    pub fn empty(schema: Schema) -> Self {
        let values = vec![Value::Null; schema.fields().len()];
        Self::new(schema, values)
    }

    /// Its schema.
    pub fn schema(&self) -> &Schema {
        &self.0.schema
    }

    /// The values as stored, in field order; a null is not replaced by the field's default.
    pub fn values(&self) -> &[Value] {
        &self.0.values
    }

    /// The values, to change. Copies them first when the struct is shared.
    pub fn values_mut(&mut self) -> &mut [Value] {
        &mut Arc::make_mut(&mut self.0).values
    }

    /// The stored value of a field by name, without defaults (Java's `getWithoutDefault`); `None` when there is no such field.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.schema.field(field).map(|(i, _)| &self.0.values[i])
    }

    /// The value of a field by name, its default when it is null (Java's `get`).
    pub fn get_or_default(&self, field: &str) -> Option<&Value> {
        let (i, f) = self.0.schema.field(field)?;
        let value = &self.0.values[i];
        Some(if value.is_null() {
            f.schema.default().unwrap_or(value)
        } else {
            value
        })
    }
}

impl PartialEq for Struct {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.schema == other.0.schema && self.0.values == other.0.values)
    }
}

impl Eq for Struct {}

impl Hash for Struct {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.schema.hash(state);
        self.0.values.hash(state);
    }
}

impl fmt::Debug for Struct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_struct(self.0.schema.name().unwrap_or("Struct"));
        for (field, value) in self.0.schema.fields().iter().zip(&*self.0.values) {
            map.field(&field.name, value);
        }
        map.finish()
    }
}
