//! Transforms of change events.
