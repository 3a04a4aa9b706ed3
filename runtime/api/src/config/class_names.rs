//! Resolution of class names.

/// Knows which classes exist. A key of type CLASS accepts only what this resolves.
pub trait ClassNames {
    /// The full class name for a name or an alias, or `None` when there is no such class.
    fn resolve(&self, name: &str) -> Option<String>;
}

/// Takes every name as it is: for definitions whose classes are checked by a validator, or not at all.
#[derive(Clone, Copy, Debug)]
pub struct AnyClass;

impl ClassNames for AnyClass {
    fn resolve(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }
}
