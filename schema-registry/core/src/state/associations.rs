use std::collections::BTreeMap;
use std::sync::Arc;

use crate::name::SubjectName;
use crate::record::{AssociationKey, AssociationValue};

/// An association of a resource with a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Association {
    pub(crate) key: AssociationKey,
    pub(crate) value: AssociationValue,
    /// Of its first record.
    pub(crate) created: i64,
    /// Of its last record.
    pub(crate) updated: i64,
}

/// All associations, in the order of their keys. There are few; they are filtered, not indexed, but for the subject, which every delete asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Associations {
    by_key: BTreeMap<AssociationKey, Arc<Association>>,
    by_subject: BTreeMap<Arc<str>, usize>,
}

impl Associations {
    pub(super) fn put(&mut self, key: AssociationKey, value: AssociationValue, timestamp: i64) {
        let created = self.by_key.get(&key).map(|old| old.created);
        if created.is_none() {
            *self.by_subject.entry(Arc::clone(&key.subject)).or_default() += 1;
        }
        let association = Association {
            key: key.clone(),
            value,
            created: created.unwrap_or(timestamp),
            updated: timestamp,
        };
        self.by_key.insert(key, Arc::new(association));
    }

    pub(super) fn remove(&mut self, key: &AssociationKey) {
        if self.by_key.remove(key).is_none() {
            return;
        }
        if let Some(count) = self.by_subject.get_mut(&key.subject) {
            *count -= 1;
            if *count == 0 {
                self.by_subject.remove(&key.subject);
            }
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Association>> {
        self.by_key.values()
    }

    pub(crate) fn of_subject(&self, subject: &SubjectName) -> Vec<Arc<Association>> {
        let name = subject.to_string();
        if !self.by_subject.contains_key(name.as_str()) {
            return Vec::new();
        }
        self.all()
            .filter(|a| *a.key.subject == *name)
            .cloned()
            .collect()
    }

    pub(crate) fn of_resource(&self, id: &str) -> Vec<Arc<Association>> {
        self.all()
            .filter(|a| *a.value.resource_id == *id)
            .cloned()
            .collect()
    }
}
