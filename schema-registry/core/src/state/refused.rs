use std::collections::VecDeque;

use crate::name::SubjectName;

/// How many are remembered: far more than writes can be under way.
const REMEMBERED: usize = 1024;

/// Schema records that did not take effect, lately. A node that wrote one learns from here that it lost.
#[derive(Debug, Clone, Default)]
pub(crate) struct RefusedWrites {
    recent: VecDeque<(SubjectName, i32, i32)>,
}

impl RefusedWrites {
    pub(super) fn remember(&mut self, subject: SubjectName, version: i32, id: i32) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((subject, version, id));
    }

    pub(crate) fn contains(&self, subject: &SubjectName, version: i32, id: i32) -> bool {
        self.recent
            .iter()
            .any(|(s, v, i)| s == subject && *v == version && *i == id)
    }
}
