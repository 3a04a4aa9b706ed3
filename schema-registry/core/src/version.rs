//! Version numbers as they come in paths and bodies.

use crate::RegistryError;

/// What `latest` and `-1` mean.
pub(crate) const LATEST: i32 = -1;

/// Reads a version: a positive number, or `latest` in any letter case (also written `-1`).
///
/// # Errors
/// 42202 for anything else.
pub(crate) fn parse(text: &str) -> Result<i32, RegistryError> {
    let trimmed = text.trim_matches(|c: char| c <= ' ');
    if trimmed.eq_ignore_ascii_case("latest") {
        return Ok(LATEST);
    }
    let version = trimmed
        .parse::<i32>()
        .map_err(|_| RegistryError::invalid_version(text))?;
    if version <= 0 && version != LATEST {
        return Err(RegistryError::invalid_version(&version.to_string()));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_and_signs() {
        for (text, version) in [
            ("1", 1),
            ("+1", 1),
            ("01", 1),
            (" Latest ", -1),
            ("-1", -1),
            ("2147483647", i32::MAX),
        ] {
            assert_eq!(parse(text).expect("a version"), version, "{text}");
        }
        for text in ["0", "-2", "1.0", "abc", "2147483648", ""] {
            assert_eq!(parse(text).expect_err("no version").code, 42202, "{text}");
        }
    }
}
