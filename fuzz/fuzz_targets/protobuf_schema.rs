//! Any text as a Protobuf schema: refused, or its canonical text is read again, and it can read itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_protobuf::{Direction, ProtobufSchema, Strictness};

fuzz_target!(|text: &str| {
    for strictness in [Strictness::New, Strictness::Stored] {
        let Ok(schema) = ProtobufSchema::parse(text, &[], strictness) else {
            continue;
        };
        let canonical = schema.canonical();
        let _ = schema.normalized();
        let _ = schema.formatted("serialized");
        // A default with an escaped quote, or with an option inside, is printed as the original prints it, which it then refuses to read.
        let Ok(again) = ProtobufSchema::parse(&canonical, &[], strictness) else {
            assert!(
                canonical.contains('\\') || canonical.contains("OptionElement("),
                "own text is refused: {canonical}"
            );
            continue;
        };
        assert_eq!(again.canonical(), canonical);
        let _ = ProtobufSchema::check(&schema, &again, Direction::Backward);
    }
});
