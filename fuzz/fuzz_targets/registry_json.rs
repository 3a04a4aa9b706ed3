//! Any text as JSON the way the registry reads it: refused, or what it prints is read again as the same.

#![no_main]

use java_idioms::Json;
use java_idioms::json::{NumberStyle, ReadOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let comments = ReadOptions {
        comments: true,
        ..ReadOptions::default()
    };
    let Ok(value) = Json::read(text, comments) else {
        return;
    };
    let printed = value.to_text();
    let again = Json::read(&printed, ReadOptions::default())
        .unwrap_or_else(|e| panic!("own text is refused: {e}: {printed}"));
    assert_eq!(again, value);
    for style in [NumberStyle::Double, NumberStyle::Decimal] {
        let printed = value.to_text_styled(style);
        Json::read(&printed, ReadOptions::default())
            .unwrap_or_else(|e| panic!("own text is refused: {e}: {printed}"));
    }
});
