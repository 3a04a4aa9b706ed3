//! Schemas made by hand.

use crate::schema::{AvroSchema, Kind, Type, TypeId};

/// Fills an arena, then becomes a schema.
#[derive(Debug, Default)]
pub struct AvroBuilder {
    types: Vec<Type>,
}

impl AvroBuilder {
    /// An empty arena.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a type.
    pub fn add(&mut self, of: Type) -> TypeId {
        let id = TypeId(u32::try_from(self.types.len()).unwrap_or(u32::MAX));
        self.types.push(of);
        id
    }

    /// A place for a type that is made later with [`set`](Self::set): for recursion.
    pub fn reserve(&mut self) -> TypeId {
        self.add(Type {
            kind: Kind::Null,
            properties: java_idioms::Object::new(),
        })
    }

    /// Fills a reserved place.
    pub fn set(&mut self, id: TypeId, of: Type) {
        self.types[id.0 as usize] = of;
    }

    /// A type that was added.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    /// The schema whose type is `root`. Nothing is checked: parse the canonical text to have it checked.
    pub fn finish(self, root: TypeId) -> AvroSchema {
        AvroSchema::new(self.types, root)
    }
}
