use java_idioms::json::write_string_to_bytes;

use crate::registry::Registry;
use crate::{Answer, Personality};

/// `GET /v1/metadata/id`
pub(super) fn cluster(registry: &Registry) -> Answer {
    let mut out = String::from("{\"scope\":{\"path\":[],\"clusters\":{\"kafka-cluster\":");
    write_string_to_bytes(&registry.cluster_id(), &mut out);
    out.push_str(",\"schema-registry-cluster\":");
    write_string_to_bytes(&registry.settings().group_id, &mut out);
    out.push_str("}}}");
    Answer::ok(out)
}

/// `GET /v1/metadata/version`: the release whose answers are given, for clients that ask before they use something newer.
pub(super) fn version(registry: &Registry) -> Answer {
    let release = match registry.settings().personality {
        Personality::V7_9 => "7.9.0",
        Personality::V8_1 => "8.1.0",
        Personality::V8_3 => "8.3.1",
    };
    Answer::ok(format!(
        "{{\"version\":\"{release}\",\"commitId\":\"millrace-{}\"}}",
        env!("CARGO_PKG_VERSION")
    ))
}
