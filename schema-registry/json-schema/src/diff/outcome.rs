//! What a comparison of two subschemas found, with paths relative to them, so that it can be used in many places.

use std::rc::Rc;
use std::sync::Arc;

use super::change::Change;
use crate::{Direction, Incompatibility};

/// Messages of one comparison. A shared part of a schema can be reached by exponentially many paths.
const MAX_MESSAGES: usize = 10_000;
/// Bytes of all their texts.
const MAX_BYTES: usize = 8 << 20;

/// A piece of a path.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Here,
    Keyword(&'static str),
    Named(&'static str, Arc<str>),
    Index(&'static str, usize),
}

#[derive(Debug)]
enum Item {
    Change(Step, Change),
    Nested(Step, Rc<Outcome>),
}

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    items: Vec<Item>,
    /// Incompatible without a message of its own: a recursion whose reason is told elsewhere.
    silent: bool,
}

impl Outcome {
    pub(crate) fn silent() -> Self {
        Self {
            items: Vec::new(),
            silent: true,
        }
    }

    pub(crate) fn is_compatible(&self) -> bool {
        self.items.is_empty() && !self.silent
    }

    pub(crate) fn push(&mut self, step: Step, change: Change) {
        self.items.push(Item::Change(step, change));
    }

    pub(crate) fn nest(&mut self, step: Step, outcome: Rc<Outcome>) {
        if !outcome.is_compatible() {
            self.items.push(Item::Nested(step, outcome));
        }
    }

    /// The messages in order.
    pub(crate) fn messages(&self, direction: Direction) -> Vec<Incompatibility> {
        let mut out = Messages {
            list: Vec::new(),
            bytes: 0,
            direction,
        };
        out.collect(self, &mut String::from("#"));
        out.list
    }
}

struct Messages {
    list: Vec<Incompatibility>,
    bytes: usize,
    direction: Direction,
}

impl Messages {
    fn collect(&mut self, outcome: &Outcome, path: &mut String) {
        for item in &outcome.items {
            if self.list.len() >= MAX_MESSAGES || self.bytes >= MAX_BYTES {
                return;
            }
            let length = path.len();
            let (Item::Change(step, _) | Item::Nested(step, _)) = item;
            match step {
                Step::Here => {}
                Step::Keyword(keyword) => {
                    path.push('/');
                    path.push_str(keyword);
                }
                Step::Named(keyword, name) => {
                    path.push('/');
                    path.push_str(keyword);
                    path.push('/');
                    path.push_str(name);
                }
                Step::Index(keyword, index) => {
                    path.push('/');
                    path.push_str(keyword);
                    path.push('/');
                    path.push_str(&index.to_string());
                }
            }
            match item {
                Item::Change(_, change) => {
                    let shown: &str = if path.len() == 1 { "#/" } else { path };
                    let message = change.message(shown, self.direction);
                    self.bytes += message.len() + shown.len();
                    self.list.push(Incompatibility {
                        kind: change.name(),
                        path: shown.to_owned(),
                        message,
                    });
                }
                Item::Nested(_, outcome) => self.collect(outcome, path),
            }
            path.truncate(length);
        }
    }
}
