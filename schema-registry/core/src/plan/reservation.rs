//! Ids given to plans whose records are not read back yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// The highest id given out in each context.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    highest: Mutex<HashMap<Arc<str>, i32>>,
}

/// An id given to one plan. Dropped without [`keep`](Self::keep) it can be given again.
#[derive(Debug)]
pub(super) struct Reservation {
    reservations: Arc<Reservations>,
    context: Arc<str>,
    id: i32,
    kept: AtomicBool,
}

impl Reservations {
    /// The id after the highest known and given out; `None` when there is none left.
    pub(super) fn reserve(
        self: &Arc<Self>,
        context: &Arc<str>,
        max_id: i32,
    ) -> Option<Reservation> {
        let mut highest = self.highest.lock();
        let given = highest.get(context).copied().unwrap_or(0);
        let id = given.max(max_id).checked_add(1)?;
        highest.insert(Arc::clone(context), id);
        Some(Reservation {
            reservations: Arc::clone(self),
            context: Arc::clone(context),
            id,
            kept: AtomicBool::new(false),
        })
    }

    pub(crate) fn clear(&self) {
        self.highest.lock().clear();
    }
}

impl Reservation {
    pub(super) fn id(&self) -> i32 {
        self.id
    }

    /// The record was written, or may have been.
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if *self.kept.get_mut() {
            return;
        }
        let mut highest = self.reservations.highest.lock();
        // Only the last one given can be taken back without a hole.
        if highest.get(&self.context) == Some(&self.id) {
            highest.insert(Arc::clone(&self.context), self.id - 1);
        }
    }
}
