//! Kafka's predicates.

mod has_header_key;
mod record_is_tombstone;
mod topic_name_matches;

use std::sync::Arc;

use millrace_api::plugin::PredicatePlugin;

/// All predicates.
pub(crate) fn all() -> Vec<Arc<dyn PredicatePlugin>> {
    vec![
        Arc::new(has_header_key::HasHeaderKeyPlugin),
        Arc::new(record_is_tombstone::RecordIsTombstonePlugin),
        Arc::new(topic_name_matches::TopicNameMatchesPlugin),
    ]
}
