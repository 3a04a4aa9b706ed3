//! What clients of a Java system see of Java itself: how numbers print, in which order a hash map gives its keys, how Jackson reads and writes JSON.
//!
//! Registered schema texts, identity hashes and message texts depend on these byte for byte. No I/O, no dependency on the rest of the tree.

mod floating;
mod hash_map;
pub mod json;

pub use floating::{java_f32, java_f64};
pub use hash_map::{hash_order, hash_order_with_capacity, java_hash};
pub use json::{Json, JsonError, Number, Object};
