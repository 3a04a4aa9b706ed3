//! Schemas as `FileDescriptorProto`: read as input, written for `format=serialized`.

mod read;
mod write;

pub(crate) use read::read_file;
pub(crate) use write::write_file;

/// A field or option that is a number of an enum: its names with their numbers.
type Names = &'static [(&'static str, i32)];

const OPTIMIZE_MODE: Names = &[("SPEED", 1), ("CODE_SIZE", 2), ("LITE_RUNTIME", 3)];
const CTYPE: Names = &[("STRING", 0), ("CORD", 1), ("STRING_PIECE", 2)];
const JSTYPE: Names = &[("JS_NORMAL", 0), ("JS_STRING", 1), ("JS_NUMBER", 2)];
const RETENTION: Names = &[
    ("RETENTION_UNKNOWN", 0),
    ("RETENTION_RUNTIME", 1),
    ("RETENTION_SOURCE", 2),
];
const TARGET: Names = &[
    ("TARGET_TYPE_UNKNOWN", 0),
    ("TARGET_TYPE_FILE", 1),
    ("TARGET_TYPE_EXTENSION_RANGE", 2),
    ("TARGET_TYPE_MESSAGE", 3),
    ("TARGET_TYPE_FIELD", 4),
    ("TARGET_TYPE_ONEOF", 5),
    ("TARGET_TYPE_ENUM", 6),
    ("TARGET_TYPE_ENUM_ENTRY", 7),
    ("TARGET_TYPE_SERVICE", 8),
    ("TARGET_TYPE_METHOD", 9),
];
const IDEMPOTENCY: Names = &[
    ("IDEMPOTENCY_UNKNOWN", 0),
    ("NO_SIDE_EFFECTS", 1),
    ("IDEMPOTENT", 2),
];
const VERIFICATION: Names = &[("DECLARATION", 0), ("UNVERIFIED", 1)];
const EDITION: Names = &[
    ("EDITION_UNKNOWN", 0),
    ("EDITION_1_TEST_ONLY", 1),
    ("EDITION_2_TEST_ONLY", 2),
    ("EDITION_LEGACY", 900),
    ("EDITION_PROTO2", 998),
    ("EDITION_PROTO3", 999),
    ("EDITION_2023", 1000),
    ("EDITION_2024", 1001),
    ("EDITION_UNSTABLE", 9999),
    ("EDITION_99997_TEST_ONLY", 99_997),
    ("EDITION_99998_TEST_ONLY", 99_998),
    ("EDITION_99999_TEST_ONLY", 99_999),
    ("EDITION_MAX", i32::MAX),
];

/// Members of `FeatureSet` with their numbers.
const FEATURES: &[(&str, i32, Names)] = &[
    (
        "field_presence",
        1,
        &[
            ("FIELD_PRESENCE_UNKNOWN", 0),
            ("EXPLICIT", 1),
            ("IMPLICIT", 2),
            ("LEGACY_REQUIRED", 3),
        ],
    ),
    (
        "enum_type",
        2,
        &[("ENUM_TYPE_UNKNOWN", 0), ("OPEN", 1), ("CLOSED", 2)],
    ),
    (
        "repeated_field_encoding",
        3,
        &[
            ("REPEATED_FIELD_ENCODING_UNKNOWN", 0),
            ("PACKED", 1),
            ("EXPANDED", 2),
        ],
    ),
    (
        "utf8_validation",
        4,
        &[("UTF8_VALIDATION_UNKNOWN", 0), ("VERIFY", 2), ("NONE", 3)],
    ),
    (
        "message_encoding",
        5,
        &[
            ("MESSAGE_ENCODING_UNKNOWN", 0),
            ("LENGTH_PREFIXED", 1),
            ("DELIMITED", 2),
        ],
    ),
    (
        "json_format",
        6,
        &[
            ("JSON_FORMAT_UNKNOWN", 0),
            ("ALLOW", 1),
            ("LEGACY_BEST_EFFORT", 2),
        ],
    ),
];

/// What an option of a file holds.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    Flag,
    Word(Names),
}

/// Options of a file in the order in which they are printed from a descriptor, with their numbers.
const FILE_OPTIONS: &[(&str, i32, Holds)] = &[
    ("java_package", 1, Holds::Text),
    ("java_outer_classname", 8, Holds::Text),
    ("java_multiple_files", 10, Holds::Flag),
    ("java_generate_equals_and_hash", 20, Holds::Flag),
    ("java_string_check_utf8", 27, Holds::Flag),
    ("optimize_for", 9, Holds::Word(OPTIMIZE_MODE)),
    ("go_package", 11, Holds::Text),
    ("cc_generic_services", 16, Holds::Flag),
    ("java_generic_services", 17, Holds::Flag),
    ("py_generic_services", 18, Holds::Flag),
    ("deprecated", 23, Holds::Flag),
    ("cc_enable_arenas", 31, Holds::Flag),
    ("objc_class_prefix", 36, Holds::Text),
    ("csharp_namespace", 37, Holds::Text),
    ("swift_prefix", 39, Holds::Text),
    ("php_class_prefix", 40, Holds::Text),
    ("php_namespace", 41, Holds::Text),
    ("php_metadata_namespace", 44, Holds::Text),
    ("ruby_package", 45, Holds::Text),
];

const MESSAGE_OPTIONS: &[(&str, i32, Holds)] = &[
    ("no_standard_descriptor_accessor", 2, Holds::Flag),
    ("deprecated", 3, Holds::Flag),
    ("map_entry", 7, Holds::Flag),
];

const FIELD_OPTIONS: &[(&str, i32, Holds)] = &[
    ("ctype", 1, Holds::Word(CTYPE)),
    ("packed", 2, Holds::Flag),
    ("jstype", 6, Holds::Word(JSTYPE)),
    ("deprecated", 3, Holds::Flag),
    ("debug_redact", 16, Holds::Flag),
    ("retention", 17, Holds::Word(RETENTION)),
];

const ENUM_OPTIONS: &[(&str, i32, Holds)] = &[
    ("allow_alias", 2, Holds::Flag),
    ("deprecated", 3, Holds::Flag),
];

const CONSTANT_OPTIONS: &[(&str, i32, Holds)] = &[
    ("deprecated", 1, Holds::Flag),
    ("debug_redact", 3, Holds::Flag),
];

const SERVICE_OPTIONS: &[(&str, i32, Holds)] = &[("deprecated", 33, Holds::Flag)];

const METHOD_OPTIONS: &[(&str, i32, Holds)] = &[
    ("deprecated", 33, Holds::Flag),
    ("idempotency_level", 34, Holds::Word(IDEMPOTENCY)),
];

/// The number of Confluent's meta data in every kind of options.
const META: i32 = 1088;
