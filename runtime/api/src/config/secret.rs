//! Values that must never be printed.

use std::fmt;

/// What stands in place of a secret wherever one would be printed; Connect's text.
pub const HIDDEN: &str = "[hidden]";

/// A value that cannot be formatted: there is no `Display`, and `Debug` prints [`HIDDEN`].
///
/// Whoever needs the value says so with [`Secret::expose`], which is easy to find in a review.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Do not log or format the result.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// Unwraps the value. Do not log or format the result.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_value_at_any_depth() {
        let secrets = vec![Secret::new("s3cret".to_owned())];
        assert_eq!(format!("{:?}", Some(&secrets)), "Some([[hidden]])");
        assert_eq!(secrets[0].expose(), "s3cret");
    }
}
