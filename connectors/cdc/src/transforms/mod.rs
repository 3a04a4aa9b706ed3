//! Debezium's transforms.

mod extract_new_record_state;

use std::sync::Arc;

use millrace_api::plugin::TransformPlugin;

pub use extract_new_record_state::ExtractNewRecordStatePlugin;

/// All transforms of this crate.
pub fn transforms() -> Vec<Arc<dyn TransformPlugin>> {
    vec![Arc::new(ExtractNewRecordStatePlugin)]
}
