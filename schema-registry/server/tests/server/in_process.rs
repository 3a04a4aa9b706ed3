//! The registry without a listener.

use std::sync::Arc;

use millrace_log::memory::MemoryLog;
use registry_client::{NewSchema, SchemaType};
use schema_registry::{RegistryOptions, RegistryServer};

#[tokio::test]
async fn serializers_reach_it_without_http() {
    let server = RegistryServer::start(MemoryLog::new(1), RegistryOptions::in_process())
        .await
        .expect("a registry");
    assert!(server.addresses().is_empty());
    let registry = server.local();
    let schema = NewSchema {
        schema_type: SchemaType::Avro,
        text: Arc::from(r#"{ "type" : "string" }"#),
        references: Vec::new(),
    };
    let registered = registry
        .register("a/b", &schema, false)
        .await
        .expect("registered");
    assert_eq!(
        (registered.id, registered.version, &*registered.text),
        (1, 1, "\"string\"")
    );
    assert_eq!(
        registry.by_id(1, Some("a/b")).await.expect("by id").text,
        registered.text
    );
    assert_eq!(registry.version("a/b", None).await.expect("latest").id, 1);
    assert_eq!(
        registry
            .lookup("a/b", &schema, false)
            .await
            .expect("a lookup")
            .id,
        1
    );
    let unknown = registry.by_id(9, None).await.expect_err("unknown");
    assert_eq!(
        (unknown.status, unknown.code, unknown.retriable),
        (404, 40403, false)
    );
    let answer = registry
        .call("GET", "/subjects", None)
        .await
        .expect("a call");
    assert_eq!(answer, (200, r#"["a/b"]"#.to_owned()));
    let answer = registry
        .call(
            "PUT",
            "/config/a%2Fb",
            Some(r#"{"compatibility":"FULL"}"#.to_owned()),
        )
        .await
        .expect("a call");
    assert_eq!(answer, (200, r#"{"compatibility":"FULL"}"#.to_owned()));
    assert_eq!(
        registry.call("GET", "//x", None).await.expect("a call").0,
        400
    );
    server.stop().await;
}
