use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use registry_formats::Identity;

use super::uses::Uses;
use crate::content::Entry;

/// Contexts and ids of the schemas that refer to one version, with how many versions carry them.
pub(crate) type Referrers = BTreeMap<(Arc<str>, i32), u32>;

/// Subjects, ids and hashes of one context.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContextState {
    /// By bare name.
    pub(crate) subjects: BTreeMap<Arc<str>, Subject>,
    pub(crate) ids: HashMap<i32, Uses>,
    pub(crate) identities: HashMap<Identity, i32>,
    /// Who refers to a version of a subject of this context: (context, id) with how often. Keyed by bare name.
    pub(crate) referenced_by: HashMap<(Arc<str>, i32), Referrers>,
    /// Highest id seen.
    pub(crate) max_id: i32,
}

/// The versions of a subject, ascending.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subject {
    versions: Vec<Arc<Entry>>,
    live: usize,
    /// Index of the highest live version.
    latest: Option<usize>,
}

impl Subject {
    pub(crate) fn versions(&self) -> &[Arc<Entry>] {
        &self.versions
    }

    pub(crate) fn live(&self) -> usize {
        self.live
    }

    pub(crate) fn get(&self, version: i32) -> Option<&Arc<Entry>> {
        self.position(version).ok().map(|at| &self.versions[at])
    }

    pub(crate) fn latest(&self) -> Option<&Arc<Entry>> {
        self.latest.map(|at| &self.versions[at])
    }

    fn position(&self, version: i32) -> Result<usize, usize> {
        // Versions mostly come in order.
        if self
            .versions
            .last()
            .is_none_or(|last| last.version < version)
        {
            return Err(self.versions.len());
        }
        self.versions
            .binary_search_by_key(&version, |entry| entry.version)
    }

    /// Puts a version; returns what it replaced.
    pub(super) fn put(&mut self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let live = !entry.deleted;
        self.live += usize::from(live);
        match self.position(entry.version) {
            Ok(at) => {
                let old = std::mem::replace(&mut self.versions[at], entry);
                self.live -= usize::from(!old.deleted);
                if live {
                    self.latest = Some(self.latest.map_or(at, |latest| latest.max(at)));
                } else if self.latest == Some(at) {
                    self.find_latest(at);
                }
                Some(old)
            }
            Err(at) => {
                let at_end = at == self.versions.len();
                self.versions.insert(at, entry);
                if at_end {
                    if live {
                        self.latest = Some(at);
                    }
                } else {
                    self.find_latest(self.versions.len());
                }
                None
            }
        }
    }

    pub(super) fn remove(&mut self, version: i32) -> Option<Arc<Entry>> {
        let at = self.position(version).ok()?;
        let old = self.versions.remove(at);
        self.live -= usize::from(!old.deleted);
        self.find_latest(self.versions.len());
        Some(old)
    }

    fn find_latest(&mut self, below: usize) {
        self.latest = self.versions[..below]
            .iter()
            .rposition(|entry| !entry.deleted);
    }
}
