//! Any text as a JSON schema: refused, or its canonical text is read again, and comparing it ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_json_schema::{Direction, JsonSchema, Policy, Strictness};

fuzz_target!(|text: &str| {
    for strictness in [Strictness::New, Strictness::Stored] {
        let Ok(schema) = JsonSchema::parse(text, &[], strictness) else {
            continue;
        };
        let canonical = schema.canonical();
        let again = JsonSchema::parse(&canonical, &[], strictness)
            .unwrap_or_else(|e| panic!("own text is refused: {e}: {canonical}"));
        assert_eq!(again.canonical(), canonical);
        let _ = schema.normalized();
        let _ = JsonSchema::check(&schema, &again, Direction::Backward, Policy::Strict);
        let _ = JsonSchema::check(&schema, &again, Direction::Forward, Policy::Lenient);
    }
});
