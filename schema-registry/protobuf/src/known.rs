//! The files that every schema may import without a reference.

use std::sync::LazyLock;

use crate::ast::ProtoFile;
use crate::syntax;

macro_rules! known {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../data/", $path)))),*]
    };
}

const TEXTS: &[(&str, &str)] = known![
    "confluent/meta.proto",
    "confluent/type/decimal.proto",
    "confluent/type/variant.proto",
    "google/protobuf/any.proto",
    "google/protobuf/api.proto",
    "google/protobuf/descriptor.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/source_context.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/type.proto",
    "google/protobuf/wrappers.proto",
    "google/type/calendar_period.proto",
    "google/type/color.proto",
    "google/type/date.proto",
    "google/type/datetime.proto",
    "google/type/dayofweek.proto",
    "google/type/decimal.proto",
    "google/type/expr.proto",
    "google/type/fraction.proto",
    "google/type/interval.proto",
    "google/type/latlng.proto",
    "google/type/money.proto",
    "google/type/month.proto",
    "google/type/phone_number.proto",
    "google/type/postal_address.proto",
    "google/type/quaternion.proto",
    "google/type/timeofday.proto",
];

static FILES: LazyLock<Vec<(&'static str, ProtoFile)>> = LazyLock::new(|| {
    TEXTS
        .iter()
        // A test parses each of them; none is left out here.
        .filter_map(|(path, text)| Some((*path, syntax::parse(text).ok()?)))
        .collect()
});

/// All built-in files with their import paths, sorted by path.
pub(crate) fn files() -> &'static [(&'static str, ProtoFile)] {
    &FILES
}

/// The number of the file of this import path.
pub(crate) fn position(path: &str) -> Option<usize> {
    files()
        .binary_search_by(|(known, _)| (*known).cmp(path))
        .ok()
}

/// The built-in file of this import path, such as `google/protobuf/wrappers.proto`.
pub fn known_file(path: &str) -> Option<&'static ProtoFile> {
    files().get(position(path)?).map(|(_, file)| file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_file_parses() {
        for (path, text) in TEXTS {
            assert!(syntax::parse(text).is_ok(), "{path}");
        }
        assert_eq!(files().len(), TEXTS.len());
        assert!(TEXTS.is_sorted());
        assert!(known_file("google/type/date.proto").is_some());
        assert!(known_file("google/type/nothing.proto").is_none());
    }
}
