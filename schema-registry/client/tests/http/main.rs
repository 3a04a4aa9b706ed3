//! The client against a real HTTP server.
#![allow(missing_debug_implementations, unreachable_pub)]

mod authentication;
mod caching;
mod reaching;
mod server;
mod tls;

use std::sync::Arc;

use millrace_api::config::Props;
use registry_client::{NewSchema, Registries, SchemaRegistry, SchemaType};

/// Settings without pauses; pairs in `more` win.
fn props(url: &str, more: &[(&str, &str)]) -> Props {
    let mut props = Props::from_iter([("schema.registry.url", url), ("retries.wait.ms", "0")]);
    props.extend(more.iter().copied());
    props
}

fn client(url: &str, more: &[(&str, &str)]) -> Arc<dyn SchemaRegistry> {
    Registries::new()
        .client(&props(url, more))
        .expect("valid settings")
}

fn text_schema() -> NewSchema {
    NewSchema {
        schema_type: SchemaType::Avro,
        text: "\"string\"".into(),
        references: Vec::new(),
    }
}

const BY_ID: &str = r#"{"subject":"s","version":2,"schemaType":"AVRO","schema":"\"string\""}"#;
