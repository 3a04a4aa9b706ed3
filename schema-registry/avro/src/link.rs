//! The parser's second pass: stand-ins give way to the types that they stand for.
//!
//! Java copies all types with a visitor that goes forward when it meets a stand-in, and checks defaults and unions again on the way. Which error a schema with several gets, and that a
//! default of a record within itself is refused, follows from the order of that walk; so the walk is done here as well, without the copies, and only for texts that have stand-ins.

use std::collections::HashSet;

use java_idioms::Json;

use crate::parse::Parser;
use crate::schema::{Kind, Name, TypeId};
use crate::{AvroError, Strictness};

/// Steps of the walk. It goes over the same types again and again where many names are used before they are defined; such a text is then checked in a plain order.
const MOST_STEPS: usize = 2_000_000;

type Linked<T> = Result<T, AvroError>;

enum Item {
    Visit(TypeId),
    After(TypeId),
}

/// A walk of Java's `Schemas.visit`. One begins inside of another where a stand-in is met.
struct Walk {
    visited: HashSet<TypeId>,
    open: Vec<Item>,
    /// The stand-in for which this walk was begun.
    resume: Option<TypeId>,
}

impl Walk {
    fn new(start: TypeId, resume: Option<TypeId>) -> Self {
        Self {
            visited: HashSet::new(),
            open: vec![Item::Visit(start)],
            resume,
        }
    }
}

/// What the walk has done with the types of the text.
struct Progress {
    /// Records and stand-ins whose copy exists.
    replaced: Vec<bool>,
    /// Records whose copy has its fields.
    has_fields: Vec<bool>,
    /// Types below a start whose walk is over.
    done: Vec<bool>,
    steps: usize,
}

impl Parser {
    /// Finishes the text whose root was parsed as `parsed`; returns the root.
    pub(crate) fn link(&mut self, parsed: TypeId) -> Linked<TypeId> {
        // Java walks over the types of the texts before this one again, and finds defaults of records that refer to one another unset that were set the first time.
        let again = self.from > 0
            && self.strictness == Strictness::New
            && self.record_defaults.get()
            && self.walked < MOST_STEPS;
        if self.unresolved.is_empty() && !again {
            for id in self.from..self.types.len() {
                self.check_properties(id)?;
            }
        } else {
            self.walked += self.walk_all(parsed, again)?;
            self.patch();
        }
        match self.types[parsed.0 as usize].kind.named().map(Name::full) {
            None => Ok(parsed),
            Some(full) => match self.names.get(full.as_str()) {
                Some(id) => Ok(*id),
                None => Err(AvroError::plain(format!("Unknown schema: {full}"))),
            },
        }
    }

    /// Returns how many steps it took. `again`: types of earlier texts are walked over as well.
    fn walk_all(&self, parsed: TypeId, again: bool) -> Linked<usize> {
        let count = self.types.len();
        let old = |id: usize| id < self.from && !again;
        let mut progress = Progress {
            replaced: (0..count).map(old).collect(),
            has_fields: (0..count).map(old).collect(),
            done: (0..count).map(old).collect(),
            steps: 0,
        };
        let named = self
            .defines
            .then(|| self.names.values())
            .into_iter()
            .flatten();
        let unnamed = self.types[parsed.0 as usize].kind.named().is_none();
        for id in named.chain(unnamed.then_some(&parsed)) {
            if !self.walk(*id, &mut progress)? {
                self.check_plainly()?;
                break;
            }
        }
        Ok(progress.steps)
    }

    /// False when it takes too long.
    fn walk(&self, start: TypeId, progress: &mut Progress) -> Linked<bool> {
        let mut walks = vec![Walk::new(start, None)];
        let mut all: Vec<TypeId> = Vec::new();
        while let Some(walk) = walks.last_mut() {
            progress.steps += 1;
            if progress.steps > MOST_STEPS {
                return Ok(false);
            }
            match walk.open.pop() {
                None => {
                    let resume = walk.resume;
                    walks.pop();
                    if let (Some(stand_in), Some(walk)) = (resume, walks.last_mut()) {
                        progress.replaced[stand_in.0 as usize] = true;
                        walk.visited.insert(stand_in);
                        walk.open.push(Item::After(stand_in));
                    }
                }
                Some(Item::After(id)) => self.after(id, progress)?,
                Some(Item::Visit(id)) => {
                    let at = id.0 as usize;
                    if progress.done[at] || walk.visited.contains(&id) {
                        continue;
                    }
                    all.push(id);
                    match &self.types[at].kind {
                        Kind::Record(_) if self.unresolved.contains_key(&id) => {
                            if !progress.replaced[at] {
                                let target = self.target(id)?;
                                if !progress.replaced[target.0 as usize] {
                                    walks.push(Walk::new(target, Some(id)));
                                    continue;
                                }
                                progress.replaced[at] = true;
                            }
                            walk.visited.insert(id);
                        }
                        Kind::Record(record) => {
                            progress.replaced[at] = true;
                            walk.visited.insert(id);
                            walk.open.push(Item::After(id));
                            walk.open.extend(
                                record
                                    .fields
                                    .iter()
                                    .rev()
                                    .map(|field| Item::Visit(field.schema)),
                            );
                        }
                        Kind::Array(inner) | Kind::Map(inner) => {
                            walk.visited.insert(id);
                            walk.open.push(Item::After(id));
                            walk.open.push(Item::Visit(*inner));
                        }
                        // From the last branch to the first.
                        Kind::Union(branches) => {
                            walk.visited.insert(id);
                            walk.open.push(Item::After(id));
                            walk.open.extend(branches.iter().map(|id| Item::Visit(*id)));
                        }
                        _ => {}
                    }
                }
            }
        }
        for id in all {
            progress.done[id.0 as usize] = true;
        }
        Ok(true)
    }

    fn target(&self, stand_in: TypeId) -> Linked<TypeId> {
        let name = &self.unresolved[&stand_in];
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| AvroError::plain(format!("Undefined schema: {name}")))
    }

    fn after(&self, id: TypeId, progress: &mut Progress) -> Linked<()> {
        let at = id.0 as usize;
        match &self.types[at].kind {
            Kind::Record(_) if self.unresolved.contains_key(&id) => return Ok(()),
            Kind::Record(_) => {
                if progress.has_fields[at] {
                    return Ok(());
                }
                self.check_defaults_again(id, &progress.has_fields)?;
                progress.has_fields[at] = true;
            }
            Kind::Union(_) => self.check_linked_union(id)?,
            _ => {}
        }
        self.check_properties(at)
    }

    fn check_defaults_again(&self, id: TypeId, has_fields: &[bool]) -> Linked<()> {
        let Kind::Record(record) = &self.types[id.0 as usize].kind else {
            return Ok(());
        };
        if self.strictness == Strictness::Stored {
            return Ok(());
        }
        for field in &record.fields {
            let is_text = matches!(field.default, Some(Json::String(_)));
            let floating = matches!(
                self.types[field.schema.0 as usize].kind,
                Kind::Float | Kind::Double
            );
            // A floating default was a number before it became a text.
            if let Some(default) = field.default.as_ref().filter(|_| !(floating && is_text)) {
                self.check_linked_default(&field.name, field.schema, default, has_fields)?;
            }
        }
        Ok(())
    }

    /// The same checks in a plain order.
    fn check_plainly(&self) -> Linked<()> {
        let all = vec![true; self.types.len()];
        for at in self.from..self.types.len() {
            let id = TypeId(u32::try_from(at).unwrap_or(u32::MAX));
            if self.unresolved.contains_key(&id) {
                self.target(id)?;
            }
        }
        for at in self.from..self.types.len() {
            let id = TypeId(u32::try_from(at).unwrap_or(u32::MAX));
            match &self.types[at].kind {
                Kind::Union(_) => self.check_linked_union(id)?,
                Kind::Record(_) => self.check_defaults_again(id, &all)?,
                _ => {}
            }
            self.check_properties(at)?;
        }
        Ok(())
    }

    fn check_linked_union(&self, id: TypeId) -> Linked<()> {
        let Kind::Union(branches) = &self.types[id.0 as usize].kind else {
            return Ok(());
        };
        let mut seen = HashSet::with_capacity(branches.len());
        for branch in branches {
            // An undefined name is reported where it is met.
            let branch = self.linked(*branch).unwrap_or(*branch);
            let kind = &self.types[branch.0 as usize].kind;
            let name = kind.named().map_or(kind.name().to_owned(), Name::full);
            if let Some(name) = seen.replace(name) {
                return Err(AvroError::plain(format!("Duplicate in union:{name}")));
            }
        }
        Ok(())
    }

    /// A type, or the one that it stands for.
    pub(crate) fn linked(&self, id: TypeId) -> Option<TypeId> {
        match self.unresolved.get(&id) {
            None => Some(id),
            Some(name) => self.names.get(name).copied(),
        }
    }

    /// Java carries the properties of records, arrays and maps over as plain objects, which has no place for integers beyond 64 bits.
    fn check_properties(&self, at: usize) -> Linked<()> {
        fn is_big(json: &Json) -> bool {
            matches!(json, Json::Number(number) if number.is_integer() && number.as_i64().is_none())
        }
        fn has_big(json: &Json) -> bool {
            match json {
                Json::Array(values) => values.iter().any(|v| is_big(v) || has_big(v)),
                Json::Object(members) => members.values().any(|v| is_big(v) || has_big(v)),
                _ => false,
            }
        }
        let of = &self.types[at];
        if !matches!(of.kind, Kind::Record(_) | Kind::Array(_) | Kind::Map(_)) {
            return Ok(());
        }
        for (name, value) in &of.properties {
            if is_big(value) {
                return Err(AvroError::plain(format!(
                    "Can't set a property to null: {name}"
                )));
            }
            if has_big(value) {
                return Err(AvroError::plain(
                    "Cannot invoke \"Object.getClass()\" because \"datum\" is null",
                ));
            }
        }
        Ok(())
    }

    fn patch(&mut self) {
        let unresolved = std::mem::take(&mut self.unresolved);
        let names = &self.names;
        for of in &mut self.types[self.from..] {
            of.kind.for_each_part(|id| {
                if let Some(target) = unresolved.get(id).and_then(|name| names.get(name)) {
                    *id = *target;
                }
            });
        }
    }
}
