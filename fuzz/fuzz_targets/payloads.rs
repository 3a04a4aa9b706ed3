//! Any bytes as a payload under the schemas of a registry in this process: decoded or refused, by all three converters.
//!
//! The first byte chooses the converter and the schema's id.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use millrace_api::config::Props;
use millrace_api::data::{Blob, Headers};
use millrace_api::plugin::{Converter, ConverterPlugin, Decoded};
use millrace_avro_converter::AvroConverterPlugin;
use millrace_json_schema_converter::JsonSchemaConverterPlugin;
use millrace_log::memory::MemoryLog;
use millrace_protobuf_converter::ProtobufConverterPlugin;
use registry_client::{NewSchema, Registries, SchemaType};
use schema_registry::{RegistryOptions, RegistryServer};

const URL: &str = "http://fuzz.invalid:8081";
const SUBJECT: &str = "t-value";

const SCHEMAS: [(SchemaType, &str); 6] = [
    (
        SchemaType::Avro,
        r#"{"type":"record","name":"R","fields":[{"name":"i","type":"int"},{"name":"s","type":["null","string"]},{"name":"a","type":{"type":"array","items":"double"}},{"name":"m","type":{"type":"map","values":"bytes"}},{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},{"name":"r","type":["null","R"]}]}"#,
    ),
    (SchemaType::Avro, r#"["null","boolean","long",{"type":"fixed","name":"F","size":3}]"#),
    (
        SchemaType::Json,
        r#"{"type":"object","properties":{"a":{"type":"integer"},"b":{"oneOf":[{"type":"null"},{"type":"string"}]},"c":{"type":"array","items":{"type":"number"}}}}"#,
    ),
    (
        SchemaType::Json,
        r#"{"type":"object","connect.type":"map","additionalProperties":{"type":"string","connect.type":"bytes"}}"#,
    ),
    (
        SchemaType::Protobuf,
        "syntax = \"proto3\";\npackage p;\n\nmessage M {\n  int32 a = 1;\n  optional string b = 2;\n  repeated sint64 c = 3;\n  map<string, double> d = 4;\n  M e = 5;\n\n  oneof f {\n    bool g = 6;\n    bytes h = 7;\n  }\n}\n",
    ),
    (
        SchemaType::Protobuf,
        "syntax = \"proto2\";\n\nmessage N {\n  required fixed32 a = 1;\n  optional float b = 2 [default = 1.5];\n}\n",
    ),
];

struct Ground {
    runtime: tokio::runtime::Runtime,
    registries: Registries,
    _server: RegistryServer,
}

fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let registries = Registries::new();
        let server = runtime.block_on(async {
            let props = Props::from_iter([("listeners", ""), ("schema.compatibility.level", "none")]);
            let options = RegistryOptions::from_properties(&props).expect("options");
            let server = RegistryServer::start(MemoryLog::new(1), options).await.expect("a registry");
            for (schema_type, text) in SCHEMAS {
                let schema = NewSchema { schema_type, text: text.into(), references: Vec::new() };
                server.local().register(SUBJECT, &schema, false).await.expect("a valid schema");
            }
            server
        });
        registries.add_local(&[URL.to_owned()], server.local());
        Ground { runtime, registries, _server: server }
    })
}

fn converter(schema_type: SchemaType) -> Box<dyn Converter> {
    let registries = ground().registries.clone();
    let props = Props::from_iter([("schema.registry.url", URL)]);
    match schema_type {
        SchemaType::Avro => AvroConverterPlugin::new(registries).create(&props, false),
        SchemaType::Json => JsonSchemaConverterPlugin::new(registries).create(&props, false),
        SchemaType::Protobuf => ProtobufConverterPlugin::new(registries).create(&props, false),
    }
    .expect("a valid configuration")
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else {
        return;
    };
    let at = usize::from(*choice) % (SCHEMAS.len() + 1);
    // The last choice: the bytes are the whole payload, frame included.
    let (schema_type, payload) = match SCHEMAS.get(at) {
        Some((schema_type, _)) => {
            let mut payload = vec![0];
            payload.extend_from_slice(&(at as u32 + 1).to_be_bytes());
            payload.extend_from_slice(body);
            (*schema_type, payload)
        }
        None => (SchemaType::Protobuf, body.to_vec()),
    };
    let mut converter = converter(schema_type);
    let payload = Blob::new(payload);
    for _ in 0..4 {
        match converter.decode("t", &Headers::new(), Some(&payload)) {
            Ok(Decoded::NeedsSchema(need)) => {
                if ground().runtime.block_on(converter.prepare(need)).is_err() {
                    return;
                }
            }
            Ok(Decoded::Data(_)) | Err(_) => return,
        }
    }
    panic!("the schema is asked for again and again");
});
