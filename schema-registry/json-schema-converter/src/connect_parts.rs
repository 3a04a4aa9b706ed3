//! Connect schemas in the making, and the schemas that they become.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_api::data::{Kind, Schema, SchemaBuilder, Value};

use crate::fault::{Fault, MAX_SCHEMA_DEPTH, MAX_SCHEMA_PARTS, SCHEMA_BUILDER};

/// Number of a part.
pub(crate) type PartId = usize;

/// A schema in the making.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) version: Option<i32>,
    pub(crate) doc: Option<Arc<str>>,
    pub(crate) parameters: Vec<(Arc<str>, Arc<str>)>,
    pub(crate) default: Option<Value>,
    pub(crate) fields: Vec<(Arc<str>, PartId)>,
    pub(crate) key: Option<PartId>,
    pub(crate) value: Option<PartId>,
    /// Which subschema a struct comes from.
    pub(crate) source: Option<u32>,
    /// How many of the parameters there were when it was finished; later ones show in mentions only.
    pub(crate) finished: Option<usize>,
    /// This is a further mention of that struct.
    pub(crate) mention: Option<PartId>,
}

impl Part {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            optional: false,
            name: None,
            version: None,
            doc: None,
            parameters: Vec::new(),
            default: None,
            fields: Vec::new(),
            key: None,
            value: None,
            source: None,
            finished: None,
            mention: None,
        }
    }

    pub(crate) fn set_parameter(&mut self, name: &str, value: &str) {
        match self
            .parameters
            .iter_mut()
            .find(|(known, _)| **known == *name)
        {
            Some(entry) => entry.1 = value.into(),
            None => self.parameters.push((name.into(), value.into())),
        }
    }
}

/// The schema of a part.
pub(crate) fn connect_schema(parts: &[Part], id: PartId) -> Result<Schema, Fault> {
    Builder {
        parts,
        around: Vec::new(),
        memo: HashMap::new(),
        mentions: 0,
        built: 0,
    }
    .schema(id)
}

struct Builder<'p> {
    parts: &'p [Part],
    /// Sources of the structs around.
    around: Vec<u32>,
    memo: HashMap<PartId, Schema>,
    /// How many mentions of enclosing structs were made.
    mentions: usize,
    built: usize,
}

impl Builder<'_> {
    fn schema(&mut self, id: PartId) -> Result<Schema, Fault> {
        if let Some(schema) = self.memo.get(&id) {
            return Ok(schema.clone());
        }
        self.built += 1;
        if self.built > MAX_SCHEMA_PARTS {
            return Err(Fault::schema_too_large());
        }
        let before = self.mentions;
        let schema = self.build(id)?;
        // What mentions an enclosing struct is valid only there.
        if before == self.mentions {
            self.memo.insert(id, schema.clone());
        }
        Ok(schema)
    }

    fn build(&mut self, id: PartId) -> Result<Schema, Fault> {
        let own = &self.parts[id];
        let (part, parameters) = match own.mention {
            Some(of) => (&self.parts[of], &self.parts[of].parameters[..]),
            None => {
                let finished = own.finished.unwrap_or(own.parameters.len());
                (own, &own.parameters[..finished])
            }
        };
        let missing = || Fault::data("a map or an array without a schema for its elements");
        let mut builder = match part.kind {
            Kind::Array => SchemaBuilder::array(self.schema(part.value.ok_or_else(missing)?)?),
            Kind::Map => {
                let key = self.schema(part.key.ok_or_else(missing)?)?;
                SchemaBuilder::map(key, self.schema(part.value.ok_or_else(missing)?)?)
            }
            Kind::Struct
                if part
                    .source
                    .is_some_and(|source| self.around.contains(&source)) =>
            {
                let Some(name) = &part.name else {
                    return Err(Fault::data(
                        "an object that contains itself cannot be read without a `title`",
                    ));
                };
                self.mentions += 1;
                SchemaBuilder::back_reference(Arc::clone(name))
            }
            Kind::Struct => {
                if self.around.len() >= MAX_SCHEMA_DEPTH {
                    return Err(Fault::schema_too_deep());
                }
                self.around.extend(part.source);
                let mut builder = SchemaBuilder::structure();
                for (name, field) in &part.fields {
                    builder = builder.field(Arc::clone(name), self.schema(*field)?);
                }
                if part.source.is_some() {
                    self.around.pop();
                }
                builder
            }
            kind => SchemaBuilder::new(kind),
        };
        if let Some(name) = &part.name {
            builder = builder.name(Arc::clone(name));
        }
        if let Some(version) = part.version {
            builder = builder.version(version);
        }
        if let Some(doc) = &part.doc {
            builder = builder.doc(Arc::clone(doc));
        }
        for (name, value) in parameters {
            builder = builder.parameter(Arc::clone(name), Arc::clone(value));
        }
        builder
            .default(part.default.clone())
            .optional(own.optional)
            .build()
            .map_err(|error| Fault::new(SCHEMA_BUILDER, error.to_string()))
    }
}
