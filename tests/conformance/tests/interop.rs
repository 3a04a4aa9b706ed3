//! Confluent's Python serializers and our converters on one registry: each reads what the other wrote.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use millrace_api::config::Props;
use millrace_api::data::{
    Blob, Data, Decimal, Header, Headers, Schema, SchemaBuilder, Struct, Value,
};
use millrace_api::plugin::{Converter, ConverterPlugin, Decoded, Encoded};
use millrace_avro_converter::AvroConverterPlugin;
use millrace_json_schema_converter::JsonSchemaConverterPlugin;
use millrace_log::memory::MemoryLog;
use millrace_protobuf_converter::ProtobufConverterPlugin;
use millrace_testkit::{RestClient, cache, free_port};
use registry_client::Registries;
use schema_registry::{RegistryOptions, RegistryServer};
use serde_json::{Value as Json, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/serializers.py");

/// A registry over HTTP, and Python beside it.
struct Ground {
    url: String,
    rest: RestClient,
    python: Python,
    server: RegistryServer,
}

struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serializers() -> Result<PathBuf> {
    let python = cache()?.join("python-serializers/bin/python");
    ensure!(
        python.exists(),
        "{} is missing: run tests/servers/install",
        python.display()
    );
    Ok(python)
}

impl Ground {
    async fn new() -> Result<Self> {
        let url = format!("http://127.0.0.1:{}", free_port());
        let props = Props::from_iter([("listeners", &*url)]);
        let options = RegistryOptions::from_properties(&props)?;
        let server = RegistryServer::start(MemoryLog::new(1), options).await?;
        let mut child = Command::new(serializers()?)
            .args([SCRIPT, &url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = child.stdin.take().context("piped")?;
        let output = BufReader::new(child.stdout.take().context("piped")?);
        Ok(Self {
            rest: RestClient::new(url.clone()),
            url,
            python: Python {
                child,
                input,
                output,
            },
            server,
        })
    }

    /// An answer of Python; a failure of it is an error here.
    async fn ask(&mut self, question: Json) -> Result<Json> {
        let answer = tokio::task::block_in_place(|| -> Result<Json> {
            writeln!(self.python.input, "{question}")?;
            let mut line = String::new();
            self.python.output.read_line(&mut line)?;
            serde_json::from_str(&line).with_context(|| format!("Python said {line:?}"))
        })?;
        if let Some(error) = answer["error"].as_str() {
            bail!("Python failed: {error}\n{question}");
        }
        Ok(answer)
    }

    /// A converter that reaches the registry over HTTP, as in another process.
    fn converter(
        &self,
        plugin: &dyn ConverterPlugin,
        more: &[(&str, &str)],
    ) -> Result<Box<dyn Converter>> {
        let mut props = Props::from_iter([("schema.registry.url", &*self.url)]);
        for (key, value) in more {
            props.insert(*key, *value);
        }
        plugin
            .create(&props, false)
            .map_err(|e| anyhow::anyhow!("{e}"))
    }
}

async fn encode(
    converter: &mut dyn Converter,
    topic: &str,
    data: &Data,
) -> Result<(Vec<u8>, Headers)> {
    let mut headers = Headers::new();
    for _ in 0..4 {
        let mut out = Vec::new();
        match converter.encode(topic, &mut headers, data, &mut out) {
            Ok(Encoded::Written) => return Ok((out, headers)),
            Ok(Encoded::NeedsSchema(need)) => converter
                .prepare(need)
                .await
                .map_err(|e| anyhow::anyhow!("{e}"))?,
            Ok(Encoded::Null) => bail!("null"),
            Err(error) => bail!("{error}"),
        }
    }
    bail!("the schema is asked for again and again")
}

async fn decode(
    converter: &mut dyn Converter,
    topic: &str,
    headers: &Headers,
    payload: &[u8],
) -> Result<Data> {
    let payload = Blob::from(payload.to_vec());
    for _ in 0..4 {
        match converter.decode(topic, headers, Some(&payload)) {
            Ok(Decoded::Data(data)) => return Ok(data),
            Ok(Decoded::NeedsSchema(need)) => converter
                .prepare(need)
                .await
                .map_err(|e| anyhow::anyhow!("{e}"))?,
            Err(error) => bail!("{error}"),
        }
    }
    bail!("the schema is asked for again and again")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex"))
        .collect()
}

/// Headers of Python's answer, as a worker gives them to a converter.
fn headers_of(answer: &Json) -> Headers {
    let members = answer["headers"].as_object().into_iter().flatten();
    members
        .map(|(name, value)| Header {
            name: name.as_str().into(),
            data: Data::schemaless(Blob::from(unhex(value.as_str().unwrap_or("")))),
        })
        .collect()
}

fn field<'a>(data: &'a Data, name: &str) -> &'a Value {
    data.value
        .as_struct()
        .and_then(|s| s.get(name))
        .unwrap_or(&Value::Null)
}

/// A row with what the three formats share.
fn row() -> Data {
    let schema = SchemaBuilder::structure()
        .name("shop.Order")
        .field("id", Schema::int64())
        .field("note", Schema::string().to_optional())
        .field("paid", Schema::boolean())
        .field("price", Schema::float64())
        .field("tags", Schema::array(Schema::string()))
        .build_valid();
    let values = vec![
        Value::Int64(1 << 40),
        Value::from("größe"),
        Value::Boolean(true),
        Value::Float64(2.5),
        Value::Array(vec![Value::from("a"), Value::from("b")].into()),
    ];
    Data::new(schema.clone(), Struct::new(schema, values))
}

fn check_row(data: &Data) -> Result<()> {
    let expected = row();
    let want = expected.value.as_struct().context("a struct")?;
    for name in ["id", "note", "paid", "price", "tags"] {
        ensure!(
            Some(field(data, name)) == want.get(name),
            "{name} is {:?}",
            field(data, name)
        );
    }
    Ok(())
}

fn row_json() -> Json {
    json!({"id": 1i64 << 40, "note": "größe", "paid": true, "price": 2.5, "tags": ["a", "b"]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn avro() -> Result<()> {
    let mut ground = Ground::new().await?;
    let plugin = AvroConverterPlugin::new(Registries::new());
    let schema = r#"{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"},{"name":"note","type":["null","string"]},{"name":"paid","type":"boolean"},{"name":"price","type":"double"},{"name":"tags","type":{"type":"array","items":"string"}}]}"#;
    for format in ["avro", "avro-old"] {
        let topic = format!("from-{format}");
        let answer = ground
            .ask(json!({"op": "write", "format": format, "topic": topic, "schema": schema, "value": row_json()}))
            .await?;
        let payload = unhex(answer["payload"].as_str().context("a payload")?);
        let mut converter = ground.converter(&plugin, &[])?;
        check_row(&decode(&mut *converter, &topic, &Headers::new(), &payload).await?)?;

        let topic = format!("to-{format}");
        let (payload, _) = encode(&mut *converter, &topic, &row()).await?;
        let answer = ground
            .ask(json!({"op": "read", "format": format, "topic": topic, "payload": hex(&payload)}))
            .await?;
        ensure!(answer["value"] == row_json(), "{answer}");
    }
    // A decimal and bytes, whose Avro is more than its JSON.
    let precise = SchemaBuilder::new(millrace_api::data::Kind::Bytes)
        .name("org.apache.kafka.connect.data.Decimal")
        .version(1)
        .parameter("scale", "2")
        .build_valid();
    let both = SchemaBuilder::structure()
        .name("Both")
        .field("raw", Schema::bytes())
        .field("price", precise)
        .build_valid();
    let values = vec![
        Value::Bytes(Blob::from(vec![0u8, 255])),
        Decimal::new((-12345).into(), 2).into(),
    ];
    let data = Data::new(both.clone(), Struct::new(both, values));
    let mut converter = ground.converter(&plugin, &[])?;
    let (payload, _) = encode(&mut *converter, "both", &data).await?;
    let question =
        json!({"op": "read", "format": "avro-old", "topic": "both", "payload": hex(&payload)});
    let answer = ground.ask(question).await?;
    ensure!(
        answer["value"] == json!({"raw": {"hex": "00ff"}, "price": "-123.45"}),
        "{answer}"
    );
    // Guids in headers, both ways.
    let answer = ground
        .ask(json!({"op": "write", "format": "avro", "topic": "guid", "schema": schema, "value": row_json(), "guid": true}))
        .await?;
    ensure!(
        answer["headers"]["__value_schema_id"].is_string(),
        "{answer}"
    );
    let payload = unhex(answer["payload"].as_str().context("a payload")?);
    let mut converter = ground.converter(
        &plugin,
        &[(
            "value.schema.id.serializer",
            "io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer",
        )],
    )?;
    check_row(&decode(&mut *converter, "guid", &headers_of(&answer), &payload).await?)?;
    let (payload, headers) = encode(&mut *converter, "guid-back", &row()).await?;
    let guid = headers.last("__value_schema_id").context("a header")?;
    let Value::Bytes(guid) = &guid.data.value else {
        bail!("the header is {guid:?}");
    };
    let answer = ground
        .ask(json!({"op": "read", "format": "avro", "topic": "guid-back", "payload": hex(&payload), "headers": {"__value_schema_id": hex(guid)}}))
        .await?;
    ensure!(answer["value"] == row_json(), "{answer}");
    ground.server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_schema() -> Result<()> {
    let mut ground = Ground::new().await?;
    let plugin = JsonSchemaConverterPlugin::new(Registries::new());
    let schema = r#"{"$schema":"http://json-schema.org/draft-07/schema#","title":"Order","type":"object","properties":{"id":{"type":"integer"},"note":{"oneOf":[{"type":"null"},{"type":"string"}]},"paid":{"type":"boolean"},"price":{"type":"number"},"tags":{"type":"array","items":{"type":"string"}}}}"#;
    let answer = ground
        .ask(json!({"op": "write", "format": "json", "topic": "from", "schema": schema, "value": row_json()}))
        .await?;
    let payload = unhex(answer["payload"].as_str().context("a payload")?);
    let mut converter = ground.converter(&plugin, &[])?;
    check_row(&decode(&mut *converter, "from", &Headers::new(), &payload).await?)?;
    let (payload, _) = encode(&mut *converter, "to", &row()).await?;
    let answer = ground
        .ask(json!({"op": "read", "format": "json", "topic": "to", "payload": hex(&payload)}))
        .await?;
    ensure!(answer["value"] == row_json(), "{answer}");
    ground.server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protobuf() -> Result<()> {
    let mut ground = Ground::new().await?;
    let plugin = ProtobufConverterPlugin::new(Registries::new());
    // Python's classes come from the registry's own serialized form of a text.
    let text = "syntax = \"proto3\";\npackage shop;\n\nmessage Other {\n  int32 a = 1;\n}\nmessage Order {\n  int64 id = 1;\n  optional string note = 2;\n  bool paid = 3;\n  double price = 4;\n  repeated string tags = 5;\n}\n";
    ground
        .rest
        .post(
            "/subjects/source/versions",
            &json!({"schemaType": "PROTOBUF", "schema": text}),
        )
        .await?
        .success()?;
    let serialized = ground
        .rest
        .get("/subjects/source/versions/1?format=serialized")
        .await?
        .success()?;
    let descriptor = serialized["schema"]
        .as_str()
        .context("a schema")?
        .to_owned();
    // In Protobuf's JSON an int64 is a string.
    let mut value = row_json();
    value["id"] = json!((1i64 << 40).to_string());
    let answer = ground
        .ask(json!({"op": "write", "format": "protobuf", "topic": "from", "schema": descriptor, "message": "shop.Order", "value": value}))
        .await?;
    let payload = unhex(answer["payload"].as_str().context("a payload")?);
    // The second message of the file: its index is in the payload.
    ensure!(payload[5..7] == [2, 2], "{answer}");
    let registered = ground
        .rest
        .get("/subjects/from-value/versions/1")
        .await?
        .success()?;
    ensure!(
        registered["schema"] == text,
        "what Python sends in base64 is stored as text: {registered}"
    );
    let mut converter = ground.converter(&plugin, &[])?;
    check_row(&decode(&mut *converter, "from", &Headers::new(), &payload).await?)?;

    let (payload, _) = encode(&mut *converter, "to", &row()).await?;
    let ours = ground
        .rest
        .get("/subjects/to-value/versions/1?format=serialized")
        .await?
        .success()?;
    let answer = ground
        .ask(json!({"op": "read", "format": "protobuf", "topic": "to", "payload": hex(&payload), "schema": ours["schema"], "message": "shop.Order"}))
        .await?;
    ensure!(answer["value"] == value, "{answer}");
    ground.server.stop().await;
    Ok(())
}
