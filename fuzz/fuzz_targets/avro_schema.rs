//! Any text as an Avro schema: refused, or its canonical text is read again as the same schema, and it can read itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_avro::{AvroSchema, Direction, Strictness};

fuzz_target!(|text: &str| {
    for strictness in [Strictness::New, Strictness::Stored] {
        let Ok(schema) = AvroSchema::parse(text, &[], strictness) else {
            continue;
        };
        let canonical = schema.canonical();
        let again = AvroSchema::parse(&canonical, &[], Strictness::Stored)
            .unwrap_or_else(|e| panic!("own text is refused: {e}: {canonical}"));
        assert_eq!(again.canonical(), canonical);
        assert!(schema.is_equivalent(&again), "{canonical}");
        let _ = schema.normalized();
        let _ = schema.resolved();
        if let Ok(found) = AvroSchema::check(&schema, &again, Direction::Backward) {
            assert!(found.is_empty(), "not compatible with itself: {found:?}");
        }
    }
});
