//! Maximum matching in a bipartite graph (Hopcroft and Karp), without recursion.

use std::collections::VecDeque;

/// How many vertices of the left side can each have a partner of their own on the right side.
pub(crate) fn maximum_matching(edges: &[Vec<usize>], right: usize) -> usize {
    const FREE: usize = usize::MAX;
    let mut partner_of_left = vec![FREE; edges.len()];
    let mut partner_of_right = vec![FREE; right];
    let mut size = 0;
    let mut level = vec![0_usize; edges.len()];
    let mut next_edge = vec![0_usize; edges.len()];
    loop {
        // Levels of alternating paths from free vertices.
        let mut queue = VecDeque::new();
        for (left, partner) in partner_of_left.iter().enumerate() {
            if *partner == FREE {
                level[left] = 0;
                queue.push_back(left);
            } else {
                level[left] = usize::MAX;
            }
        }
        let mut reaches_free = false;
        while let Some(left) = queue.pop_front() {
            for vertex in &edges[left] {
                match partner_of_right[*vertex] {
                    FREE => reaches_free = true,
                    partner if level[partner] == usize::MAX => {
                        level[partner] = level[left] + 1;
                        queue.push_back(partner);
                    }
                    _ => {}
                }
            }
        }
        if !reaches_free {
            return size;
        }
        next_edge.fill(0);
        for start in 0..edges.len() {
            if partner_of_left[start] != FREE {
                continue;
            }
            let mut path = vec![start];
            while let Some(left) = path.last().copied() {
                let Some(vertex) = edges[left].get(next_edge[left]).copied() else {
                    path.pop();
                    if let Some(before) = path.last() {
                        next_edge[*before] += 1;
                    }
                    continue;
                };
                match partner_of_right[vertex] {
                    FREE => {
                        for left in path.drain(..) {
                            let vertex = edges[left][next_edge[left]];
                            next_edge[left] += 1;
                            partner_of_left[left] = vertex;
                            partner_of_right[vertex] = left;
                        }
                        size += 1;
                    }
                    partner if level[partner] == level[left] + 1 => path.push(partner),
                    _ => next_edge[left] += 1,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same by trying everything.
    fn exhaustive(edges: &[Vec<usize>], used: &mut Vec<bool>) -> usize {
        let Some((first, rest)) = edges.split_first() else {
            return 0;
        };
        let mut best = exhaustive(rest, used);
        for vertex in first {
            if !used[*vertex] {
                used[*vertex] = true;
                best = best.max(1 + exhaustive(rest, used));
                used[*vertex] = false;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn it_is_the_maximum(rows in proptest::collection::vec(0_u8..64, 0..7)) {
            let edges: Vec<Vec<usize>> = rows
                .iter()
                .map(|row| (0..6).filter(|bit| row >> bit & 1 == 1).collect())
                .collect();
            prop_assert_eq!(maximum_matching(&edges, 6), exhaustive(&edges, &mut vec![false; 6]));
        }
    }
}
