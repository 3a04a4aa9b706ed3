//! What a reader cannot read of what a writer wrote: Java's `SchemaCompatibility`, with its order, its places and its memory of pairs.
//!
//! Three of its habits show in the messages and are kept. A pair of types that comes again repeats what was found the first time, with the places of the first time. A pair that is still
//! being compared counts as compatible. A comparison with a branch of a union starts its places anew.
//!
//! A comparison must cost next to nothing when all is well, since a registration may need thousands: nothing is written and no memory is taken for parts that obviously fit
//! (see [`Checker::obviously_reads`]), and frames on a heap stand for recursion.

mod message;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::schema::{AvroSchema, Enum, Field, Kind, Record, TypeId};
use crate::{Direction, Incompatibility};
use message::{Found, Problem, Segment};

/// Pairs of types and fields that are compared before the comparison is given up: two unions of thousands of records each would keep a machine busy for hours.
const MOST_STEPS: usize = 1_000_000;
/// Incompatibilities that are reported. Records that use one another twice at each level repeat their findings more often than memory has room.
const MOST_FOUND: usize = 10_000;

impl AvroSchema {
    /// Every way in which `reader` cannot read what `writer` wrote, in Java's order; `direction` says which of the two the texts call new. At most 10,000.
    ///
    /// # Errors
    /// The text of the exception that Java's checker throws for some pairs, or that the schemas are too large to be compared.
    pub fn check(
        reader: &Self,
        writer: &Self,
        direction: Direction,
    ) -> Result<Vec<Incompatibility>, String> {
        let mut checker = Checker::new(reader, writer);
        if checker.obviously_reads(reader.root, writer.root) {
            return Ok(Vec::new());
        }
        let words = direction.words();
        match checker.run() {
            Ok(COMPATIBLE) => Ok(Vec::new()),
            Ok(list) => Ok(checker.flatten(list, words)),
            Err(error) => Err(message::filled(&error, words)),
        }
    }
}

/// What was found for a pair: an index into `lists`.
type List = u32;
/// Nothing.
const COMPATIBLE: List = 0;

enum Node {
    Leaf(Found),
    /// One after the other.
    All(Vec<List>),
}

#[derive(Clone, Copy)]
enum Memory {
    InProgress,
    Done(List),
}

/// Pairs of small numbers: one multiplication mixes them well enough.
#[derive(Default)]
struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// How the parts of a pair are gone through.
enum Way<'a> {
    /// The items of two arrays or the values of two maps.
    Inner(TypeId, TypeId, Segment),
    Fields(&'a Record, &'a Record),
    /// Both are unions: each branch of the writer's against the whole reader.
    Unions(&'a [TypeId]),
    /// Only the writer is.
    WriterUnion(&'a [TypeId]),
    /// Only the reader is.
    ReaderUnion(&'a [TypeId]),
}

struct Frame<'a> {
    reader: TypeId,
    writer: TypeId,
    way: Way<'a>,
    next: usize,
    found: Vec<List>,
    remembered: bool,
    /// Where the places began before, if they were begun anew for this pair.
    base: Option<usize>,
    /// How many segments belong to this pair's parent.
    segments: usize,
}

struct Checker<'a> {
    reader: &'a AvroSchema,
    writer: &'a AvroSchema,
    memory: HashMap<u64, Memory, BuildHasherDefault<PairHasher>>,
    lists: Vec<Node>,
    frames: Vec<Frame<'a>>,
    place: Vec<Segment>,
    base: usize,
    steps: usize,
}

impl<'a> Checker<'a> {
    fn new(reader: &'a AvroSchema, writer: &'a AvroSchema) -> Self {
        Self {
            reader,
            writer,
            memory: HashMap::default(),
            lists: Vec::new(),
            frames: Vec::new(),
            place: Vec::new(),
            base: 0,
            steps: 0,
        }
    }

    /// Whether the pair is compatible at first sight: types without parts, enums, fixed types, and unions of these. False says nothing.
    fn obviously_reads(&self, r: TypeId, w: TypeId) -> bool {
        let (r, w) = (&self.reader.get(r).kind, &self.writer.get(w).kind);
        match (r, w) {
            (Kind::Union(wanted), Kind::Union(written)) => {
                wanted.len() <= 4
                    && written.len() <= 4
                    && written.iter().all(|w| {
                        let w = &self.writer.get(*w).kind;
                        wanted
                            .iter()
                            .any(|r| simply_reads(&self.reader.get(*r).kind, w))
                    })
            }
            (Kind::Union(wanted), w) => {
                wanted.len() <= 4
                    && wanted
                        .iter()
                        .any(|r| simply_reads(&self.reader.get(*r).kind, w))
            }
            (r, w) => simply_reads(r, w),
        }
    }

    fn run(&mut self) -> Result<List, String> {
        let mut returned = self.enter(self.reader.root, self.writer.root, Segment::Root, false)?;
        while let Some(frame) = self.frames.pop() {
            returned = self.go_on(frame, returned)?;
        }
        Ok(returned.unwrap_or(COMPATIBLE))
    }

    /// Compares a pair as far as it needs no others. `None`: a frame was pushed for the rest.
    fn enter(
        &mut self,
        r: TypeId,
        w: TypeId,
        segment: Segment,
        anew: bool,
    ) -> Result<Option<List>, String> {
        if self.obviously_reads(r, w) {
            return Ok(Some(COMPATIBLE));
        }
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err("The schemas are too large to be compared.".to_owned());
        }
        let (reader, writer) = (self.reader, self.writer);
        let (wanted, written) = (&reader.get(r).kind, &writer.get(w).kind);
        // Types without names have one place in their schema, so a pair of two comes once.
        let remembered = wanted.named().is_some() || written.named().is_some();
        if remembered {
            match self.memory.get(&pair(r, w)) {
                Some(Memory::InProgress) => return Ok(Some(COMPATIBLE)),
                Some(Memory::Done(list)) => return Ok(Some(*list)),
                None => {}
            }
        }
        let base = anew.then(|| std::mem::replace(&mut self.base, self.place.len()));
        self.place.push(segment);
        let way = match (wanted, written) {
            (Kind::Array(wanted), Kind::Array(written)) => {
                Way::Inner(*wanted, *written, Segment::Items)
            }
            (Kind::Map(wanted), Kind::Map(written)) => {
                Way::Inner(*wanted, *written, Segment::Values)
            }
            (Kind::Record(wanted), Kind::Record(written)) => Way::Fields(wanted, written),
            (Kind::Union(_), Kind::Union(written)) => Way::Unions(written),
            (_, Kind::Union(written)) => Way::WriterUnion(written),
            (Kind::Union(wanted), _) => Way::ReaderUnion(wanted),
            _ => {
                let list = self.compare_simple(r, w);
                if remembered {
                    self.memory.insert(pair(r, w), Memory::Done(list));
                }
                self.place.pop();
                self.base = base.unwrap_or(self.base);
                return Ok(Some(list));
            }
        };
        if remembered {
            self.memory.insert(pair(r, w), Memory::InProgress);
        }
        let mut found = Vec::new();
        if matches!(way, Way::Fields(..)) {
            add(&mut found, self.compare_names(r, w));
            self.place.push(Segment::Fields);
        }
        self.frames.push(Frame {
            reader: r,
            writer: w,
            way,
            next: 0,
            found,
            remembered,
            base,
            segments: 1,
        });
        Ok(None)
    }

    /// Takes what the last part returned and compares further parts. `None`: one of them has a frame now.
    fn go_on(
        &mut self,
        mut frame: Frame<'a>,
        returned: Option<List>,
    ) -> Result<Option<List>, String> {
        let mut returned = returned;
        loop {
            if let Some(list) = returned.take()
                && self.take(&mut frame, list)
            {
                return Ok(Some(self.leave(frame)));
            }
            returned = match frame.way {
                Way::Inner(r, w, segment) if frame.next == 0 => {
                    frame.next = 1;
                    self.enter(r, w, segment, false)?
                }
                Way::Unions(branches) if frame.next < branches.len() => {
                    let at = frame.next;
                    frame.next += 1;
                    self.place.push(Segment::index(at));
                    self.enter(frame.reader, branches[at], Segment::Root, true)?
                }
                Way::WriterUnion(branches) if frame.next < branches.len() => {
                    let at = frame.next;
                    frame.next += 1;
                    let (r, segment) = (frame.reader, Segment::index(at));
                    self.enter(r, branches[at], segment, false)?
                }
                Way::ReaderUnion(branches) if frame.next < branches.len() => {
                    let at = frame.next;
                    frame.next += 1;
                    // A branch without a name is met nowhere else, so only whether it fits counts.
                    if self.cannot_be_read(branches[at], frame.writer) {
                        continue;
                    }
                    let w = frame.writer;
                    self.enter(branches[at], w, Segment::Root, true)?
                }
                Way::Fields(wanted, written) if frame.next < wanted.fields.len() => {
                    let at = frame.next;
                    frame.next += 1;
                    self.steps += 1;
                    let field = &wanted.fields[at];
                    match self.writer_field(&frame, field, at)? {
                        Some(found) => {
                            let (r, w) = (field.schema, written.fields[found].schema);
                            if self.obviously_reads(r, w) {
                                continue;
                            }
                            self.place.push(Segment::index(at));
                            self.enter(r, w, Segment::Type, false)?
                        }
                        None if field.default.is_some() => continue,
                        None => {
                            self.place.push(Segment::index(at));
                            let own_default = matches!(
                                &self.reader.get(field.schema).kind,
                                Kind::Enum(Enum {
                                    default: Some(_),
                                    ..
                                })
                            );
                            if own_default {
                                let w = frame.writer;
                                self.enter(field.schema, w, Segment::Type, false)?
                            } else {
                                let list = self.found(Problem::NoDefault {
                                    record: frame.reader,
                                    field: at,
                                });
                                Some(list)
                            }
                        }
                    }
                }
                _ => {
                    if let Way::ReaderUnion(_) = frame.way {
                        let list = self.found(Problem::NoBranch(frame.writer));
                        frame.found.push(list);
                    }
                    return Ok(Some(self.leave(frame)));
                }
            };
            // With a frame of its own the part returns later, to the frame that is put back below it.
            if returned.is_none() {
                let child = self.frames.pop();
                self.frames.push(frame);
                self.frames.extend(child);
                return Ok(None);
            }
        }
    }

    /// Adds what a part returned. True: the pair is settled.
    fn take(&mut self, frame: &mut Frame<'a>, list: List) -> bool {
        match frame.way {
            Way::Unions(branches) => {
                if list != COMPATIBLE {
                    let branch = branches[frame.next - 1];
                    let list = self.found(Problem::NoBranch(branch));
                    frame.found.push(list);
                }
                self.place.pop();
            }
            Way::ReaderUnion(_) => return list == COMPATIBLE,
            Way::Fields(..) => {
                add(&mut frame.found, list);
                self.place.pop();
            }
            Way::Inner(..) | Way::WriterUnion(_) => add(&mut frame.found, list),
        }
        false
    }

    fn leave(&mut self, frame: Frame<'a>) -> List {
        if let Way::Fields(..) = frame.way {
            self.place.pop();
        }
        self.place.truncate(self.place.len() - frame.segments);
        if let Some(base) = frame.base {
            self.base = base;
        }
        let list = match frame.found.as_slice() {
            [] => COMPATIBLE,
            [one] => *one,
            _ => self.push(Node::All(frame.found)),
        };
        if frame.remembered {
            self.memory
                .insert(pair(frame.reader, frame.writer), Memory::Done(list));
        }
        list
    }

    /// The writer's field for one of the reader's, by its name and its aliases.
    fn writer_field(
        &self,
        frame: &Frame<'a>,
        field: &Field,
        at: usize,
    ) -> Result<Option<usize>, String> {
        let direct = self.writer.field_near(frame.writer, &field.name, at);
        if field.aliases.is_empty() {
            return Ok(direct);
        }
        let mut found = direct;
        for alias in &field.aliases {
            if let Some(other) = self.writer.field_near(frame.writer, alias, at)
                && found.replace(other).is_some()
            {
                return Err(format!(
                    "Reader record field {} type:{} pos:{at} matches multiple fields in writer record schema {}",
                    field.name,
                    crate::parse::type_word(&self.reader.get(field.schema).kind),
                    self.writer.text_of(frame.writer)
                ));
            }
        }
        Ok(found)
    }

    /// A branch of a reader's union that is no named type and differs in kind.
    fn cannot_be_read(&self, r: TypeId, w: TypeId) -> bool {
        let (r, w) = (&self.reader.get(r).kind, &self.writer.get(w).kind);
        r.named().is_none()
            && std::mem::discriminant(r) != std::mem::discriminant(w)
            && !simply_reads(r, w)
    }

    /// Pairs without parts.
    fn compare_simple(&mut self, r: TypeId, w: TypeId) -> List {
        let (reader, writer) = (self.reader, self.writer);
        match (&reader.get(r).kind, &writer.get(w).kind) {
            (Kind::Fixed(wanted), Kind::Fixed(written)) => {
                let mut found = Vec::new();
                add(&mut found, self.compare_names(r, w));
                if wanted.size != written.size {
                    self.place.push(Segment::Size);
                    found.push(self.found(Problem::Size {
                        expected: written.size,
                        found: wanted.size,
                    }));
                    self.place.pop();
                }
                self.gather(found)
            }
            (Kind::Enum(wanted), Kind::Enum(written)) => {
                let mut found = Vec::new();
                add(&mut found, self.compare_names(r, w));
                if wanted.default.is_none() && !has_symbols(wanted, written) {
                    self.place.push(Segment::Symbols);
                    found.push(self.found(Problem::Symbols(r, w)));
                    self.place.pop();
                }
                self.gather(found)
            }
            (wanted, written) if simply_reads(wanted, written) => COMPATIBLE,
            _ => self.found(Problem::Type(r, w)),
        }
    }

    fn gather(&mut self, found: Vec<List>) -> List {
        match found.as_slice() {
            [] => COMPATIBLE,
            [one] => *one,
            _ => self.push(Node::All(found)),
        }
    }

    fn compare_names(&mut self, r: TypeId, w: TypeId) -> List {
        if names_match(&self.reader.get(r).kind, &self.writer.get(w).kind) {
            return COMPATIBLE;
        }
        self.place.push(Segment::Name);
        let list = self.found(Problem::Name(w));
        self.place.pop();
        list
    }

    fn found(&mut self, problem: Problem) -> List {
        let place = self.place[self.base..].into();
        self.push(Node::Leaf(Found { place, problem }))
    }

    fn push(&mut self, node: Node) -> List {
        self.lists.push(node);
        u32::try_from(self.lists.len()).unwrap_or(u32::MAX)
    }

    fn flatten(&self, list: List, words: [&'static str; 2]) -> Vec<Incompatibility> {
        let mut out = Vec::new();
        let mut open = vec![list];
        while let Some(list) = open.pop() {
            match &self.lists[list as usize - 1] {
                Node::Leaf(found) => {
                    out.push(found.report(self.reader, self.writer, words));
                    if out.len() == MOST_FOUND {
                        break;
                    }
                }
                Node::All(lists) => open.extend(lists.iter().rev()),
            }
        }
        out
    }
}

fn pair(r: TypeId, w: TypeId) -> u64 {
    u64::from(r.0) << 32 | u64::from(w.0)
}

fn add(found: &mut Vec<List>, list: List) {
    if list != COMPATIBLE {
        found.push(list);
    }
}

/// Whether a type without parts reads another.
fn simply_reads(r: &Kind, w: &Kind) -> bool {
    match (r, w) {
        (Kind::Null, Kind::Null)
        | (Kind::Boolean, Kind::Boolean)
        | (Kind::Int, Kind::Int)
        | (Kind::Long, Kind::Long | Kind::Int)
        | (Kind::Float, Kind::Float | Kind::Int | Kind::Long)
        | (Kind::Double, Kind::Double | Kind::Int | Kind::Long | Kind::Float)
        | (Kind::Bytes | Kind::String, Kind::Bytes | Kind::String) => true,
        (Kind::Fixed(wanted), Kind::Fixed(written)) => {
            wanted.size == written.size && names_match(r, w)
        }
        (Kind::Enum(wanted), Kind::Enum(written)) => {
            names_match(r, w) && (wanted.default.is_some() || has_symbols(wanted, written))
        }
        _ => false,
    }
}

/// Simple names are equal, or the writer's full name is one of the reader's aliases.
fn names_match(r: &Kind, w: &Kind) -> bool {
    let (Some(reader), Some(writer)) = (r.named(), w.named()) else {
        return false;
    };
    reader.simple == writer.simple
        || r.aliases().iter().any(|alias| {
            // Java shows an alias that leaves its type's namespace with a dot before it, which no name has.
            alias == writer && (alias.namespace.is_some() || reader.namespace.is_none())
        })
}

fn has_symbols(wanted: &Enum, written: &Enum) -> bool {
    if wanted.symbols.len() >= written.symbols.len()
        && wanted.symbols[..written.symbols.len()] == written.symbols[..]
    {
        return true;
    }
    if written.symbols.len() <= 16 {
        return written.symbols.iter().all(|s| wanted.symbols.contains(s));
    }
    let known: std::collections::HashSet<_> = wanted.symbols.iter().collect();
    written.symbols.iter().all(|symbol| known.contains(symbol))
}
