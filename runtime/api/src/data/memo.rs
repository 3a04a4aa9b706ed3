use std::collections::HashMap;

use super::{Schema, SchemaId};

/// What was compiled for each schema, with the last one at hand: neighbouring records mostly share a schema.
///
/// Holds the schemas themselves, so that a [`SchemaId`] in it cannot be reused. Bounded: at `capacity` entries it starts afresh, which costs a recompilation, so
/// that a source that changes its schema for ever does not fill the memory.
#[derive(Debug)]
pub struct SchemaMemo<T> {
    last: Option<(SchemaId, usize)>,
    by_id: HashMap<SchemaId, usize>,
    entries: Vec<(Schema, T)>,
    capacity: usize,
}

impl<T> SchemaMemo<T> {
    /// A memo for at most `capacity` schemas.
    pub fn new(capacity: usize) -> Self {
        Self {
            last: None,
            by_id: HashMap::new(),
            entries: Vec::new(),
            capacity: capacity.max(1),
        }
    }

    /// What was compiled for `schema`, compiling it now when it is the first time.
    pub fn get_or_try_insert<E>(
        &mut self,
        schema: &Schema,
        compile: impl FnOnce(&Schema) -> Result<T, E>,
    ) -> Result<&mut T, E> {
        let id = schema.id();
        let at = match self.last {
            Some((last, at)) if last == id => at,
            _ => match self.by_id.get(&id) {
                Some(&at) => at,
                None => {
                    let compiled = compile(schema)?;
                    if self.entries.len() >= self.capacity {
                        self.entries.clear();
                        self.by_id.clear();
                    }
                    self.entries.push((schema.clone(), compiled));
                    self.by_id.insert(id, self.entries.len() - 1);
                    self.entries.len() - 1
                }
            },
        };
        self.last = Some((id, at));
        Ok(&mut self.entries[at].1)
    }

    /// Number of schemas held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was compiled yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn compiles_once_per_schema_and_stays_bounded() {
        let mut memo = SchemaMemo::new(2);
        let mut compiled = 0;
        for schema in [
            Schema::int8(),
            Schema::int8(),
            Schema::int16(),
            Schema::int8(),
            Schema::int32(),
        ] {
            let kind = *memo
                .get_or_try_insert(&schema, |s| {
                    compiled += 1;
                    Ok::<_, Infallible>(s.kind())
                })
                .expect("infallible");
            assert_eq!(kind, schema.kind());
        }
        assert_eq!(compiled, 3);
        assert_eq!(memo.len(), 1);
    }
}
