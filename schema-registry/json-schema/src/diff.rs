//! Confluent's comparison of two schemas, read off its answers: only what is incompatible is collected.
//!
//! A pair of subschemas may meet again on the way down, through references. Such a pair counts as compatible there, since its own differences are told where it
//! was met first; if that assumption alone made the whole comparison compatible, it is made again without it.

mod change;
mod containers;
mod matching;
mod number;
mod outcome;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

pub(crate) use number::is_multiple;

use change::Change;
use outcome::{Outcome, Step};

use crate::model::{CombinedKind, Criterion, Kind, Model, Node, NodeId, ROOT, StringKind};
use crate::pattern::NamePattern;
use crate::{Direction, Incompatibility, Policy};

/// Steps of an exact comparison; beyond them recursive parts are looked at once and not once per path.
const EXACT_STEPS: u64 = 200_000;
/// Steps of the comparison in total.
const MAX_STEPS: u64 = 3_000_000;
/// Nested subschemas, references followed, that fit on the stack of a worker thread.
const SHALLOW: usize = 150;
/// The same on a stack of its own. A few hundred definitions that refer to each other reach such depths.
const DEEP: usize = 4_000;
/// Only what is used of it takes memory.
const DEEP_STACK: usize = 64 << 20;

/// Everything in which `new` is incompatible with `old`.
///
/// # Errors
/// A comparison that is too large or too deep: a text to show.
pub(crate) fn compare(
    old: &Model,
    new: &Model,
    direction: Direction,
    policy: Policy,
) -> Result<Vec<Incompatibility>, String> {
    let to_depth = |max_depth| {
        let mut comparison = Comparison {
            models: [old, new],
            policy,
            max_depth,
            steps: 0,
            depth: 0,
            structure: 0,
            thorough: true,
            repeats: 0,
            memo: HashMap::new(),
            open: HashMap::new(),
            assumed: HashSet::new(),
            wrong: HashSet::new(),
            refuted: HashSet::new(),
            patterns: HashMap::new(),
        };
        comparison.run().map(|outcome| outcome.messages(direction))
    };
    let found = match to_depth(SHALLOW) {
        Err(Stop::Depth) => std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("schema-comparison".into())
                .stack_size(DEEP_STACK)
                .spawn_scoped(scope, || to_depth(DEEP))
                .map_err(|error| format!("no thread for a deep comparison: {error}"))?
                .join()
                .map_err(|_| "the comparison failed".to_owned())
        })?,
        found => found,
    };
    found.map_err(|stop| match stop {
        Stop::Steps => format!("the schemas have too many combinations to compare: more than {MAX_STEPS} steps"),
        Stop::Depth => {
            format!("the schemas are nested too deeply to compare: more than {DEEP} levels, references followed")
        }
    })
}

/// Why a comparison was given up.
#[derive(Debug)]
enum Stop {
    Steps,
    Depth,
}

/// Two subschemas. `swapped`: the old one is from the new schema, inside a `not`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pair {
    swapped: bool,
    old: NodeId,
    new: NodeId,
}

/// A pair as it is recognised when it is met again; what was reached by a reference is not what stands there itself.
type Key = (Pair, bool, bool);

struct Comparison<'m> {
    models: [&'m Model; 2],
    policy: Policy,
    max_depth: usize,
    steps: u64,
    depth: usize,
    /// How many properties, items and the like were entered on the way.
    structure: usize,
    /// Recursive parts are looked at once per path, as the original does.
    thorough: bool,
    /// How often an open pair was met.
    repeats: u64,
    memo: HashMap<Pair, Rc<Outcome>>,
    /// Pairs that are being compared, with `structure` at their beginning.
    open: HashMap<Key, usize>,
    /// Open pairs that were met again and taken for compatible.
    assumed: HashSet<Pair>,
    /// Those of them that turned out not to be.
    wrong: HashSet<Pair>,
    /// The same from earlier attempts.
    refuted: HashSet<Pair>,
    patterns: HashMap<(bool, NodeId, usize), NamePattern>,
}

impl<'m> Comparison<'m> {
    fn run(&mut self) -> Result<Rc<Outcome>, Stop> {
        loop {
            self.memo.clear();
            self.open.clear();
            self.assumed.clear();
            self.wrong.clear();
            self.depth = 0;
            self.structure = 0;
            let root = Pair {
                swapped: false,
                old: ROOT,
                new: ROOT,
            };
            match self.pair(root) {
                Ok(outcome) => {
                    let known = self.refuted.len();
                    self.refuted.extend(self.wrong.drain());
                    if !outcome.is_compatible() || self.refuted.len() == known {
                        return Ok(outcome);
                    }
                }
                Err(Stop::Steps) if self.thorough => self.thorough = false,
                Err(stop) => return Err(stop),
            }
        }
    }

    fn step(&mut self, cost: usize) -> Result<(), Stop> {
        self.steps += cost as u64;
        if self.steps
            > if self.thorough {
                EXACT_STEPS
            } else {
                MAX_STEPS
            }
        {
            return Err(Stop::Steps);
        }
        Ok(())
    }

    fn old_side(&self, pair: Pair) -> &'m Node {
        self.models[usize::from(pair.swapped)].node(pair.old)
    }

    fn new_side(&self, pair: Pair) -> &'m Node {
        self.models[usize::from(!pair.swapped)].node(pair.new)
    }

    fn old_node(&self, swapped: bool, id: NodeId) -> &'m Node {
        self.models[usize::from(swapped)].node(id)
    }

    fn new_node(&self, swapped: bool, id: NodeId) -> &'m Node {
        self.models[usize::from(!swapped)].node(id)
    }

    fn record(&self, outcome: &mut Outcome, step: Step, change: Change) {
        if !change.is_compatible(self.policy) {
            outcome.push(step, change);
        }
    }

    /// Compares inside a property, an item or the like.
    fn within(&mut self, pair: Pair) -> Result<Rc<Outcome>, Stop> {
        self.structure += 1;
        let outcome = self.pair(pair);
        self.structure -= 1;
        outcome
    }

    fn pair(&mut self, mut pair: Pair) -> Result<Rc<Outcome>, Stop> {
        self.step(1)?;
        let mut key = (pair, false, false);
        if let Kind::Reference(reference) = &self.old_side(pair).kind {
            pair.old = reference.target;
            key.1 = true;
        }
        if let Kind::Reference(reference) = &self.new_side(pair).kind {
            pair.new = reference.target;
            key.2 = true;
        }
        key.0 = pair;
        let by_reference = key.1 || key.2;
        let (old, new) = (self.old_side(pair), self.new_side(pair));
        if by_reference && let Some(structure) = self.open.get(&key) {
            self.repeats += 1;
            let combined = |node: &Node| matches!(node.kind, Kind::Combined(_));
            // An alternative that is only the whole thing again proves nothing.
            let circular = *structure == self.structure && combined(old) != combined(new);
            return Ok(Rc::new(if circular || self.refuted.contains(&pair) {
                Outcome::silent()
            } else {
                self.assumed.insert(pair);
                Outcome::default()
            }));
        }
        let remembered = by_reference || is_container(&old.kind) || is_container(&new.kind);
        if remembered && let Some(outcome) = self.memo.get(&pair) {
            return Ok(Rc::clone(outcome));
        }
        if self.depth >= self.max_depth {
            return Err(Stop::Depth);
        }
        self.depth += 1;
        if by_reference {
            self.open.insert(key, self.structure);
        }
        let repeats = self.repeats;
        let outcome = self.differences(pair, old, new);
        if by_reference {
            self.open.remove(&key);
        }
        self.depth -= 1;
        let outcome = Rc::new(outcome?);
        // What depends on an open pair holds only below it. It is kept all the same where looking again would take too long.
        if remembered && (repeats == self.repeats || !self.thorough) {
            self.memo.insert(pair, Rc::clone(&outcome));
        }
        if !outcome.is_compatible() && self.assumed.contains(&pair) {
            self.wrong.insert(pair);
        }
        Ok(outcome)
    }

    fn differences(&mut self, pair: Pair, old: &'m Node, new: &'m Node) -> Result<Outcome, Stop> {
        let mut outcome = Outcome::default();
        match (&old.kind, &new.kind) {
            (Kind::Combined(_), Kind::Combined(_)) => {}
            (_, Kind::Combined(kind))
                if kind.subschemas.len() == 1 || kind.criterion != Criterion::All =>
            {
                for id in &kind.subschemas {
                    if self.pair(Pair { new: *id, ..pair })?.is_compatible() {
                        return Ok(outcome);
                    }
                }
            }
            (Kind::Combined(kind), _)
                if kind.subschemas.len() == 1 || kind.criterion == Criterion::All =>
            {
                for id in &kind.subschemas {
                    if self.pair(Pair { old: *id, ..pair })?.is_compatible() {
                        return Ok(outcome);
                    }
                }
            }
            _ => {}
        }
        match (&old.kind, &new.kind) {
            (Kind::String(old), Kind::String(new)) => self.strings(&mut outcome, old, new),
            (Kind::Number(old), Kind::Number(new)) => self.numbers(&mut outcome, old, new),
            (Kind::Const(old), Kind::Const(new)) => {
                if old.values != new.values {
                    outcome.push(Step::Keyword("const"), Change::EnumArrayChanged);
                }
            }
            (Kind::Enum(old), Kind::Enum(new)) => {
                let (old, new) = (&old.values, &new.values);
                self.step(old.len() + new.len())?;
                if !new.is_superset(old) {
                    let change = if old.is_superset(new) {
                        Change::EnumArrayNarrowed
                    } else {
                        Change::EnumArrayChanged
                    };
                    outcome.push(Step::Keyword("enum"), change);
                }
            }
            (Kind::Combined(old), Kind::Combined(new)) => {
                self.combined(&mut outcome, pair, old, new)?;
            }
            (Kind::Not(old), Kind::Not(new)) => {
                // What may not be must not grow: the roles are swapped.
                let inner = Pair {
                    swapped: !pair.swapped,
                    old: *new,
                    new: *old,
                };
                if !self.within(inner)?.is_compatible() {
                    outcome.push(Step::Keyword("not"), Change::NotTypeExtended);
                }
            }
            (Kind::Object(old), Kind::Object(new)) => self.objects(&mut outcome, pair, old, new)?,
            (Kind::Array(old), Kind::Array(new)) => self.arrays(&mut outcome, pair, old, new)?,
            (a, b) if std::mem::discriminant(a) == std::mem::discriminant(b) => {}
            (Kind::False, _) | (_, Kind::Empty | Kind::True) => {}
            _ if old.connect_bytes && new.connect_bytes => {}
            _ => outcome.push(Step::Here, Change::TypeChanged),
        }
        Ok(outcome)
    }

    fn strings(&self, outcome: &mut Outcome, old: &StringKind, new: &StringKind) {
        limit(
            outcome,
            "maxLength",
            [old.max_length, new.max_length],
            [
                Some(Change::MaxLengthAdded),
                None,
                Some(Change::MaxLengthDecreased),
            ],
        );
        limit(
            outcome,
            "minLength",
            [old.min_length, new.min_length],
            [
                Some(Change::MinLengthAdded),
                Some(Change::MinLengthIncreased),
                None,
            ],
        );
        match (&old.pattern, &new.pattern) {
            (None, Some(_)) => outcome.push(Step::Keyword("pattern"), Change::PatternAdded),
            (Some(old), Some(new)) if old != new => {
                outcome.push(Step::Keyword("pattern"), Change::PatternChanged);
            }
            _ => {}
        }
    }

    fn combined(
        &mut self,
        outcome: &mut Outcome,
        pair: Pair,
        old: &CombinedKind,
        new: &CombinedKind,
    ) -> Result<(), Stop> {
        let single = |kind: &CombinedKind| kind.subschemas.len() == 1;
        let extended = old.criterion == new.criterion
            || new.criterion == Criterion::Any
            || (single(old) && single(new))
            || (single(old) && new.criterion == Criterion::One)
            || (single(new) && old.criterion == Criterion::All);
        if !extended {
            outcome.push(Step::Here, Change::CombinedTypeChanged);
            return Ok(());
        }
        let olds = distinct(self.models[usize::from(pair.swapped)], &old.subschemas);
        let news = distinct(self.models[usize::from(!pair.swapped)], &new.subschemas);
        if olds.len() < news.len() && new.criterion == Criterion::All {
            outcome.push(Step::Here, Change::ProductTypeExtended);
        } else if olds.len() > news.len() && old.criterion != Criterion::All {
            outcome.push(Step::Here, Change::SumTypeNarrowed);
        }
        let smaller = olds.len().min(news.len());
        let (olds, news) = self.without_equal_leaves(pair.swapped, olds, news);
        let equal = smaller - olds.len().min(news.len());
        let mut edges = Vec::with_capacity(olds.len());
        for old in &olds {
            let mut row = Vec::new();
            for (index, new) in news.iter().enumerate() {
                let inner = Pair {
                    swapped: pair.swapped,
                    old: *old,
                    new: *new,
                };
                if self.pair(inner)?.is_compatible() {
                    row.push(index);
                }
            }
            edges.push(row);
        }
        self.step(edges.iter().map(Vec::len).sum())?;
        // What matched pairs differ in is compatible and needs no message.
        if equal + matching::maximum_matching(&edges, news.len()) < smaller {
            outcome.push(Step::Here, Change::CombinedTypeSubschemasChanged);
        }
        Ok(())
    }
}

impl Comparison<'_> {
    /// Leaves out alternatives without parts that are the same on both sides. Some largest matching pairs them with each other: whoever else fits one of them fits what
    /// the other one fits. Long lists of constants would take a quadratic number of comparisons otherwise.
    fn without_equal_leaves(
        &self,
        swapped: bool,
        olds: Vec<NodeId>,
        news: Vec<NodeId>,
    ) -> (Vec<NodeId>, Vec<NodeId>) {
        let is_leaf = |node: &Node| {
            matches!(
                node.kind,
                Kind::String(_)
                    | Kind::Number(_)
                    | Kind::Const(_)
                    | Kind::Enum(_)
                    | Kind::Null
                    | Kind::Boolean
            )
        };
        let prints: HashSet<u64> = news
            .iter()
            .map(|id| self.new_node(swapped, *id))
            .filter(|node| is_leaf(node))
            .map(|node| node.print)
            .collect();
        let mut equal = HashSet::new();
        let olds = olds
            .into_iter()
            .filter(|id| {
                let node = self.old_node(swapped, *id);
                let same = is_leaf(node) && prints.contains(&node.print);
                if same {
                    equal.insert(node.print);
                }
                !same
            })
            .collect();
        let news = news
            .into_iter()
            .filter(|id| !equal.contains(&self.new_node(swapped, *id).print))
            .collect();
        (olds, news)
    }
}

/// Alternatives that print alike count once.
fn distinct(model: &Model, ids: &[NodeId]) -> Vec<NodeId> {
    let mut seen = HashSet::new();
    ids.iter()
        .copied()
        .filter(|id| seen.insert(model.node(*id).print))
        .collect()
}

fn is_container(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Combined(_) | Kind::Not(_) | Kind::Object(_) | Kind::Array(_)
    )
}

/// Compares an optional limit. `changes`: for added, increased and decreased, where they are incompatible.
fn limit(
    outcome: &mut Outcome,
    keyword: &'static str,
    [old, new]: [Option<i64>; 2],
    [added, increased, decreased]: [Option<Change>; 3],
) {
    let change = match (old, new) {
        (None, Some(_)) => added,
        (Some(old), Some(new)) if old < new => increased,
        (Some(old), Some(new)) if old > new => decreased,
        _ => None,
    };
    if let Some(change) = change {
        outcome.push(Step::Keyword(keyword), change);
    }
}
