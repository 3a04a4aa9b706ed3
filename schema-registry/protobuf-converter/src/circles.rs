//! Which messages refer to each other in a circle: Tarjan's strongly connected components, fed by a walk that somebody else makes.

use std::collections::HashMap;

#[derive(Debug, Default)]
pub(crate) struct Circles {
    /// For each message the earliest one that it leads back to, by the order in which they were entered.
    low: HashMap<usize, usize>,
    /// Messages that may still turn out to be in one circle, in the order in which they were entered.
    open: Vec<usize>,
    circle: HashMap<usize, usize>,
    entered: usize,
}

impl Circles {
    /// The walk comes to a message for the first time. What is returned goes to [`leave`](Self::leave).
    pub(crate) fn enter(&mut self, message: usize) -> usize {
        let order = self.entered;
        self.entered += 1;
        self.low.insert(message, order);
        self.open.push(message);
        order
    }

    /// `from` refers to a message that was entered before, or has been left just now.
    pub(crate) fn refer(&mut self, from: usize, to: usize) {
        if self.circle.contains_key(&to) {
            return;
        }
        let reached = self.low.get(&to).copied();
        if let (Some(low), Some(reached)) = (self.low.get_mut(&from), reached) {
            *low = (*low).min(reached);
        }
    }

    /// All references of a message are known.
    pub(crate) fn leave(&mut self, message: usize, order: usize) {
        if self.low.get(&message) != Some(&order) {
            return;
        }
        while let Some(member) = self.open.pop() {
            self.circle.insert(member, order);
            if member == message {
                break;
            }
        }
    }

    /// The circle that a message is in, if only alone; the same number for messages of one circle.
    pub(crate) fn of(&self, message: usize) -> Option<usize> {
        self.circle.get(&message).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(circles: &mut Circles, edges: &[&[usize]], seen: &mut Vec<usize>, at: usize) {
        let order = circles.enter(at);
        seen.push(at);
        for &to in edges[at] {
            if !seen.contains(&to) {
                walk(circles, edges, seen, to);
            }
            circles.refer(at, to);
        }
        circles.leave(at, order);
    }

    #[test]
    fn circles_are_told_apart() {
        // 0 -> 1 <-> 2 -> 3 -> 4 -> 3, and 2 -> 5.
        let edges: &[&[usize]] = &[&[1, 5], &[2], &[1, 3, 5], &[4], &[3], &[]];
        let mut circles = Circles::default();
        walk(&mut circles, edges, &mut Vec::new(), 0);
        let of: Vec<_> = (0..6).map(|at| circles.of(at)).collect();
        assert!(of.iter().all(Option::is_some));
        assert_eq!(of[1], of[2]);
        assert_eq!(of[3], of[4]);
        let distinct: std::collections::HashSet<_> = of.iter().collect();
        assert_eq!(distinct.len(), 4);
    }
}
