//! Any text as a `.properties` file: read or refused with a line number that exists.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = millrace_worker::properties::parse(text) {
        assert!(
            error.line >= 1 && error.line <= text.split(['\n', '\r']).count(),
            "line {} of {text:?}",
            error.line
        );
    }
});
