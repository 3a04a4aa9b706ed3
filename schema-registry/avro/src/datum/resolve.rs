//! Java's rules for reading one schema's data with another (`org.apache.avro.Resolver`), as a work list instead of recursion.

use std::collections::HashMap;
use std::sync::Arc;

use super::default::write_default;
use super::plan::{DefaultField, FieldStep, PlanError, ReadPlan, RecordStep, Step, StepId};
use super::skip::SkipPlan;
use crate::equality::are_equal;
use crate::schema::{AvroSchema, Kind, Name, Record, TypeId};

/// Steps of one plan. A plan has one step per pair of types that meet; hostile unions can make many meet.
const MOST_STEPS: usize = 1 << 20;
/// How deeply records in unions are looked into to find out which branch has the writer's shape.
const MATCH_DEPTH: usize = 64;

/// Which side of a pair a type belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    /// The writer's schema, with the reader's aliases applied.
    Other(TypeId),
    /// The reader's own type: for defaults, and when a schema reads its own data.
    Same,
}

type Pair = (Writer, TypeId);

pub(super) struct Resolver<'a> {
    writer: &'a AvroSchema,
    reader: &'a AvroSchema,
    /// Whether there is only one schema.
    identity: bool,
    /// The reader's full name by alias.
    aliases: HashMap<Arc<str>, &'a Name>,
    /// By the record's full name, the reader's or an alias of it: the reader's field name by alias.
    field_aliases: HashMap<Arc<str>, HashMap<&'a str, &'a str>>,
    steps: Vec<Step>,
    types: Vec<TypeId>,
    skips: SkipPlan,
    made: HashMap<Pair, StepId>,
    open: Vec<(StepId, Pair)>,
    equivalent: HashMap<(TypeId, TypeId), bool>,
    /// Record pairs whose shape was compared; one in progress counts as a match.
    shapes: HashMap<(TypeId, TypeId), bool>,
}

impl<'a> Resolver<'a> {
    pub(super) fn identity(schema: &'a AvroSchema) -> Self {
        Self::of(schema, schema, true)
    }

    pub(super) fn new(writer: &'a AvroSchema, reader: &'a AvroSchema) -> Self {
        let mut resolver = Self::of(writer, reader, false);
        // Java does not look at the aliases of a reader that equals the writer, and aliases do not count for that.
        if !are_equal(&writer.types, writer.root(), &reader.types, reader.root()) {
            resolver.collect_aliases();
        }
        resolver
    }

    fn of(writer: &'a AvroSchema, reader: &'a AvroSchema, identity: bool) -> Self {
        Self {
            writer,
            reader,
            identity,
            aliases: HashMap::new(),
            field_aliases: HashMap::new(),
            steps: Vec::new(),
            types: Vec::new(),
            skips: SkipPlan::default(),
            made: HashMap::new(),
            open: Vec::new(),
            equivalent: HashMap::new(),
            shapes: HashMap::new(),
        }
    }

    pub(super) fn plan(mut self) -> Result<ReadPlan, PlanError> {
        let reader = self.reader.root();
        let writer = if self.identity {
            Writer::Same
        } else {
            Writer::Other(self.writer.root())
        };
        let root = self.pair((writer, reader));
        while let Some((at, (writer, reader))) = self.open.pop() {
            if self.steps.len() > MOST_STEPS {
                return Err(PlanError {
                    message: format!(
                        "the schemas are too large to be resolved: more than {MOST_STEPS} pairs of types"
                    ),
                });
            }
            let step = match writer {
                Writer::Same => self.same(reader),
                Writer::Other(writer) => self.resolve(writer, reader)?,
            };
            self.steps[at.index()] = step;
        }
        let mut plan = ReadPlan {
            steps: self.steps,
            types: self.types,
            least: Vec::new(),
            root,
            skips: self.skips,
        };
        plan.measure();
        Ok(plan)
    }

    /// The step of a pair, to be worked out later when it is new.
    fn pair(&mut self, pair: Pair) -> StepId {
        let next = StepId(u32::try_from(self.steps.len()).unwrap_or(u32::MAX));
        let id = *self.made.entry(pair).or_insert(next);
        if id == next {
            self.steps.push(Step::Null);
            self.types.push(pair.1);
            self.open.push((id, pair));
        }
        id
    }

    /// A step that no other pair shares.
    fn add(&mut self, reader: TypeId, step: Step) -> StepId {
        let id = StepId(u32::try_from(self.steps.len()).unwrap_or(u32::MAX));
        self.steps.push(step);
        self.types.push(reader);
        id
    }

    fn same(&mut self, of: TypeId) -> Step {
        let reader = self.reader;
        match &reader.get(of).kind {
            Kind::Array(item) => Step::Array {
                item: self.pair((Writer::Same, *item)),
            },
            Kind::Map(value) => Step::Map {
                value: self.pair((Writer::Same, *value)),
            },
            Kind::Enum(of) => Step::Enum {
                symbols: (0..of.symbols.len())
                    .map(|i| u32::try_from(i).ok())
                    .collect(),
            },
            Kind::Union(branches) => {
                let branches = (0u32..)
                    .zip(branches)
                    .map(|(branch, id)| {
                        let step = self.pair((Writer::Same, *id));
                        self.add(of, Step::ReaderUnion { branch, step })
                    })
                    .collect();
                Step::WriterUnion { branches }
            }
            Kind::Record(record) => {
                let fields = (0u32..)
                    .zip(&record.fields)
                    .map(|(field, of)| FieldStep::Read {
                        field,
                        step: self.pair((Writer::Same, of.schema)),
                    })
                    .collect();
                Step::Record(RecordStep {
                    fields,
                    defaults: Box::default(),
                    reader_fields: record.fields.len(),
                    in_order: true,
                })
            }
            kind => plain(kind),
        }
    }

    fn resolve(&mut self, w: TypeId, r: TypeId) -> Result<Step, PlanError> {
        let (writer, reader) = (self.writer, self.reader);
        Ok(match (&writer.get(w).kind, &reader.get(r).kind) {
            (Kind::Union(branches), of) => {
                let own = match of {
                    Kind::Union(own) if self.unions_are_equivalent(w, r) => Some(own),
                    _ => None,
                };
                let mut steps = Vec::with_capacity(branches.len());
                for (index, branch) in branches.iter().enumerate() {
                    steps.push(match own {
                        Some(own) => {
                            let step = self.pair((Writer::Other(*branch), own[index]));
                            let branch = u32::try_from(index).unwrap_or(u32::MAX);
                            self.add(r, Step::ReaderUnion { branch, step })
                        }
                        None => self.pair((Writer::Other(*branch), r)),
                    });
                }
                Step::WriterUnion {
                    branches: steps.into(),
                }
            }
            (Kind::Fixed(written), Kind::Fixed(wanted)) => {
                if self.name(w).simple != wanted.name.simple || written.size != wanted.size {
                    self.mismatch(w, r)
                } else {
                    Step::Fixed { size: wanted.size }
                }
            }
            (Kind::Enum(written), Kind::Enum(wanted)) => {
                if self.name(w).simple != wanted.name.simple {
                    self.mismatch(w, r)
                } else {
                    let index: HashMap<&str, u32> = wanted
                        .symbols
                        .iter()
                        .map(AsRef::as_ref)
                        .zip(0u32..)
                        .collect();
                    let fallback = wanted
                        .default
                        .as_ref()
                        .and_then(|symbol| index.get(&**symbol).copied());
                    Step::Enum {
                        symbols: written
                            .symbols
                            .iter()
                            .map(|symbol| index.get(&**symbol).copied().or(fallback))
                            .collect(),
                    }
                }
            }
            (Kind::Array(written), Kind::Array(wanted)) => Step::Array {
                item: self.pair((Writer::Other(*written), *wanted)),
            },
            (Kind::Map(written), Kind::Map(wanted)) => Step::Map {
                value: self.pair((Writer::Other(*written), *wanted)),
            },
            (Kind::Record(written), Kind::Record(wanted)) => self.record(w, written, r, wanted)?,
            (_, Kind::Union(branches)) => match self.first_match(w, branches, 0) {
                Some(index) => Step::ReaderUnion {
                    branch: u32::try_from(index).unwrap_or(u32::MAX),
                    step: self.pair((Writer::Other(w), branches[index])),
                },
                None => self.mismatch(w, r),
            },
            (written, wanted) if same_kind(written, wanted) => plain(wanted),
            (written, wanted) => match promotion(written, wanted) {
                Some(step) => step,
                None => self.mismatch(w, r),
            },
        })
    }

    fn record(
        &mut self,
        w: TypeId,
        written: &'a Record,
        r: TypeId,
        wanted: &'a Record,
    ) -> Result<Step, PlanError> {
        let index: HashMap<&str, usize> = wanted
            .fields
            .iter()
            .enumerate()
            .map(|(i, field)| (&*field.name, i))
            .collect();
        let mut seen = vec![false; wanted.fields.len()];
        let mut fields = Vec::with_capacity(written.fields.len());
        for field in &written.fields {
            fields.push(match index.get(self.field_name(w, &field.name)) {
                Some(at) => {
                    if std::mem::replace(&mut seen[*at], true) {
                        return Err(PlanError {
                            message: format!(
                                "Duplicate field {} in record {}: an alias of the reader gives two fields of the writer this name.",
                                wanted.fields[*at].name,
                                wanted.name.full()
                            ),
                        });
                    }
                    FieldStep::Read {
                        field: u32::try_from(*at).unwrap_or(u32::MAX),
                        step: self
                            .pair((Writer::Other(field.schema), wanted.fields[*at].schema)),
                    }
                }
                None => FieldStep::Skip(self.skips.add(self.writer, field.schema)),
            });
        }
        let mut defaults = Vec::new();
        // Java names the last field that is missing.
        let mut missing = None;
        for (at, field) in wanted
            .fields
            .iter()
            .enumerate()
            .filter(|(at, _)| !seen[*at])
        {
            let Some(default) = &field.default else {
                missing = Some(&field.name);
                continue;
            };
            if missing.is_some() {
                continue;
            }
            let mut bytes = Vec::new();
            write_default(self.reader, field.schema, default, &mut bytes).map_err(|error| {
                PlanError {
                    message: format!(
                        "the default of field {} of record {} cannot be used: {error}",
                        field.name,
                        wanted.name.full()
                    ),
                }
            })?;
            defaults.push(DefaultField {
                field: u32::try_from(at).unwrap_or(u32::MAX),
                bytes: bytes.into(),
                step: self.pair((Writer::Same, field.schema)),
            });
        }
        if let Some(field) = missing {
            let (found, expected) = self.full_names(w, r);
            return Ok(Step::Unreadable(
                format!("Found {found}, expecting {expected}, missing required field {field}")
                    .into(),
            ));
        }
        let in_order = defaults.is_empty()
            && fields.len() == wanted.fields.len()
            && (0u32..)
                .zip(&fields)
                .all(|(i, step)| matches!(step, FieldStep::Read { field, .. } if *field == i));
        Ok(Step::Record(RecordStep {
            fields: fields.into(),
            defaults: defaults.into(),
            reader_fields: wanted.fields.len(),
            in_order,
        }))
    }

    fn mismatch(&self, w: TypeId, r: TypeId) -> Step {
        let (found, expected) = self.full_names(w, r);
        Step::Unreadable(format!("Found {found}, expecting {expected}").into())
    }

    fn full_names(&self, w: TypeId, r: TypeId) -> (String, String) {
        let found = match self.writer.get(w).kind.named() {
            Some(_) => self.name(w).full(),
            None => self.writer.full_name_of(w),
        };
        (found, self.reader.full_name_of(r))
    }

    /// The name of a writer's record, enum or fixed after the reader's aliases.
    fn name(&self, w: TypeId) -> &'a Name {
        static NAMELESS: std::sync::LazyLock<Name> = std::sync::LazyLock::new(|| Name::split(""));
        match self.writer.get(w).kind.named() {
            None => &NAMELESS,
            Some(name) if self.aliases.is_empty() => name,
            Some(name) => self
                .aliases
                .get(name.full().as_str())
                .copied()
                .unwrap_or(name),
        }
    }

    fn field_name<'n>(&self, w: TypeId, name: &'n str) -> &'n str
    where
        'a: 'n,
    {
        if self.field_aliases.is_empty() {
            return name;
        }
        self.field_aliases
            .get(self.name(w).full().as_str())
            .and_then(|fields| fields.get(name).copied())
            .unwrap_or(name)
    }

    fn collect_aliases(&mut self) {
        let reader = self.reader;
        for id in reader.reachable() {
            let kind = &reader.get(id).kind;
            if let (Some(name), aliases) = (kind.named(), kind.aliases()) {
                for alias in aliases {
                    self.aliases.insert(alias.full().into(), name);
                }
            }
            let Kind::Record(record) = kind else { continue };
            let fields: HashMap<&str, &str> = record
                .fields
                .iter()
                .flat_map(|field| field.aliases.iter().map(|alias| (&**alias, &*field.name)))
                .collect();
            if fields.is_empty() {
                continue;
            }
            for alias in &record.aliases {
                self.field_aliases
                    .insert(alias.full().into(), fields.clone());
            }
            self.field_aliases.insert(record.name.full().into(), fields);
        }
    }

    /// The reader's branch that a writer's type, which is no union, is read as: the same kind and name, else a record of the same shape, else a promotion.
    fn first_match(&mut self, w: TypeId, branches: &'a [TypeId], depth: usize) -> Option<usize> {
        let (writer, reader) = (self.writer, self.reader);
        let kind = &writer.get(w).kind;
        let mut shape = None;
        for (index, branch) in branches.iter().enumerate() {
            let candidate = &reader.get(*branch).kind;
            if !same_kind(kind, candidate) {
                continue;
            }
            let Some(own) = candidate.named() else {
                return Some(index);
            };
            let name = self.name(w);
            if name == own {
                return Some(index);
            }
            if matches!(kind, Kind::Record(_))
                && (shape.is_none() || name.simple == own.simple)
                && self.has_shape(w, *branch, depth)
            {
                shape = Some(index);
            }
        }
        shape.or_else(|| {
            branches
                .iter()
                .position(|branch| promotion(kind, &reader.get(*branch).kind).is_some())
        })
    }

    /// Whether a record can be read as another, as far as its own fields tell.
    fn has_shape(&mut self, w: TypeId, r: TypeId, depth: usize) -> bool {
        if let Some(known) = self.shapes.get(&(w, r)) {
            return *known;
        }
        let (writer, reader) = (self.writer, self.reader);
        let (Kind::Record(written), Kind::Record(wanted)) =
            (&writer.get(w).kind, &reader.get(r).kind)
        else {
            return false;
        };
        if depth > MATCH_DEPTH {
            return false;
        }
        self.shapes.insert((w, r), true);
        let found: HashMap<&str, TypeId> = written
            .fields
            .iter()
            .map(|field| (self.field_name(w, &field.name), field.schema))
            .collect();
        let mut fits = true;
        for field in &wanted.fields {
            let readable = match found.get(&*field.name) {
                None => field.default.is_some(),
                Some(w) => self.has_no_error(*w, field.schema, depth + 1),
            };
            if !readable {
                fits = false;
                break;
            }
        }
        self.shapes.insert((w, r), fits);
        fits
    }

    /// Whether the step of a pair would be something else than an error. Containers and unions of the writer never are one: theirs show when data comes.
    fn has_no_error(&mut self, w: TypeId, r: TypeId, depth: usize) -> bool {
        let (writer, reader) = (self.writer, self.reader);
        match (&writer.get(w).kind, &reader.get(r).kind) {
            (Kind::Union(_), _) => true,
            (Kind::Fixed(written), Kind::Fixed(wanted)) => {
                self.name(w).simple == wanted.name.simple && written.size == wanted.size
            }
            (Kind::Enum(_), Kind::Enum(wanted)) => self.name(w).simple == wanted.name.simple,
            (Kind::Record(written), Kind::Record(wanted)) => {
                let found: std::collections::HashSet<&str> = written
                    .fields
                    .iter()
                    .map(|field| self.field_name(w, &field.name))
                    .collect();
                wanted
                    .fields
                    .iter()
                    .all(|field| field.default.is_some() || found.contains(&*field.name))
            }
            (_, Kind::Union(branches)) => self.first_match(w, branches, depth).is_some(),
            (written, wanted) => same_kind(written, wanted) || promotion(written, wanted).is_some(),
        }
    }

    /// Whether two unions are the same branch by branch: then a branch keeps its index.
    fn unions_are_equivalent(&mut self, w: TypeId, r: TypeId) -> bool {
        if let Some(known) = self.equivalent.get(&(w, r)) {
            return *known;
        }
        // All pairs that are reached must agree, so their order does not matter.
        let mut seen = std::collections::HashSet::new();
        let mut open = vec![(w, r)];
        let (writer, reader) = (self.writer, self.reader);
        let mut equivalent = true;
        while let Some((w, r)) = open.pop() {
            let (written, wanted) = (&writer.get(w).kind, &reader.get(r).kind);
            equivalent = same_kind(written, wanted)
                && match (written, wanted) {
                    (Kind::Array(a), Kind::Array(b)) | (Kind::Map(a), Kind::Map(b)) => {
                        open.push((*a, *b));
                        true
                    }
                    (Kind::Fixed(a), Kind::Fixed(b)) => {
                        self.name(w).simple == b.name.simple && a.size == b.size
                    }
                    (Kind::Enum(a), Kind::Enum(b)) => {
                        self.name(w).simple == b.name.simple && a.symbols == b.symbols
                    }
                    (Kind::Union(a), Kind::Union(b)) => {
                        open.extend(a.iter().copied().zip(b.iter().copied()));
                        a.len() == b.len()
                    }
                    (Kind::Record(a), Kind::Record(b)) => {
                        !seen.insert((w, r))
                            || self.name(w).simple == b.name.simple
                                && a.fields.len() == b.fields.len()
                                && a.fields.iter().zip(&b.fields).all(|(a, b)| {
                                    open.push((a.schema, b.schema));
                                    self.field_name(w, &a.name) == &*b.name
                                })
                    }
                    _ => true,
                };
            if !equivalent {
                break;
            }
        }
        self.equivalent.insert((w, r), equivalent);
        equivalent
    }
}

fn same_kind(a: &Kind, b: &Kind) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// The step of a type without parts.
fn plain(kind: &Kind) -> Step {
    match kind {
        Kind::Boolean => Step::Boolean,
        Kind::Int => Step::Int,
        Kind::Long => Step::Long,
        Kind::Float => Step::Float,
        Kind::Double => Step::Double,
        Kind::Bytes => Step::Bytes,
        Kind::String => Step::String,
        Kind::Fixed(fixed) => Step::Fixed { size: fixed.size },
        _ => Step::Null,
    }
}

fn promotion(written: &Kind, wanted: &Kind) -> Option<Step> {
    Some(match (written, wanted) {
        (Kind::Int, Kind::Long) => Step::IntToLong,
        (Kind::Int, Kind::Float) => Step::IntToFloat,
        (Kind::Int, Kind::Double) => Step::IntToDouble,
        (Kind::Long, Kind::Float) => Step::LongToFloat,
        (Kind::Long, Kind::Double) => Step::LongToDouble,
        (Kind::Float, Kind::Double) => Step::FloatToDouble,
        (Kind::String, Kind::Bytes) => Step::StringToBytes,
        (Kind::Bytes, Kind::String) => Step::BytesToString,
        _ => return None,
    })
}
