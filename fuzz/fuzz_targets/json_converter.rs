//! Any bytes as JSON, with and without envelopes: read or refused; what was read can be written, and what was written can be read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace_api::config::Props;
use millrace_api::data::{Blob, Headers};
use millrace_api::plugin::{ConverterPlugin, Decoded, Encoded};
use millrace_converters::JsonConverterPlugin;

fuzz_target!(|data: &[u8]| {
    for schemas in ["true", "false"] {
        let props = Props::from_iter([("schemas.enable", schemas), ("schemas.cache.size", "2")]);
        let mut converter = ConverterPlugin::create(&JsonConverterPlugin, &props, false)
            .expect("a valid configuration");
        let Ok(Decoded::Data(read)) =
            converter.decode("t", &Headers::new(), Some(&Blob::from(data)))
        else {
            continue;
        };
        let mut written = Vec::new();
        match converter.encode("t", &mut Headers::new(), &read, &mut written) {
            Ok(Encoded::Written) => {
                let again = converter.decode("t", &Headers::new(), Some(&Blob::new(written)));
                assert!(
                    again.is_ok() || schemas == "true",
                    "own output is refused: {again:?}"
                );
            }
            Ok(_) => {}
            // With a schema the value may be one that Java cannot write either: a number whose scale is not the schema's.
            Err(error) => assert_eq!(schemas, "true", "{error}"),
        }
    }
});
