//! Serializers' settings, subjects, questions and frames, over a scripted registry.
#![allow(missing_debug_implementations)]

use std::sync::Arc;

use millrace_api::config::Props;
use millrace_api::data::{Blob, Data, Headers, Schema, Value};
use millrace_api::plugin::DataError;
use parking_lot::Mutex;
use registry_client::serde::{MessageIndexes, PayloadSchema, SchemaSerde, serde_config};
use registry_client::{
    Calls, ClientError, NewSchema, RegisteredSchema, RestRegistry, SchemaRegistry, SchemaType,
};

type Answers = dyn Fn(&str) -> (u16, String) + Send + Sync;

/// Answers by the request line and remembers what it was asked.
#[derive(Clone)]
struct Script {
    answers: Arc<Answers>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

#[async_trait::async_trait]
impl Calls for Script {
    async fn call(
        &self,
        method: &str,
        path: &str,
        _: Option<String>,
    ) -> Result<(u16, String), ClientError> {
        let line = format!("{method} {path}");
        let answer = (self.answers)(&line);
        self.asked.lock().push(line);
        Ok(answer)
    }
}

impl Script {
    fn new(answers: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self {
            answers: Arc::new(answers),
            asked: Arc::default(),
        }
    }

    fn serde(&self, schema_type: SchemaType, settings: &[(&str, &str)]) -> SchemaSerde {
        let registry: Arc<dyn SchemaRegistry> = Arc::new(RestRegistry::new(self.clone()));
        SchemaSerde::new(
            registry,
            &Props::from_iter(settings.iter().copied()),
            false,
            schema_type,
        )
        .expect("valid settings")
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }
}

const GUID: &str = "095d71cf-1255-6b9d-5e33-0ad575b3df5d";

fn stored(version: i32, text: &str) -> (u16, String) {
    let text = text.replace('"', "\\\"");
    (
        200,
        format!(
            r#"{{"subject":"t-value","version":{version},"id":7,"guid":"{GUID}","schemaType":"AVRO","schema":"{text}"}}"#
        ),
    )
}

fn missing(code: i32, message: &str) -> (u16, String) {
    (
        404,
        format!(r#"{{"error_code":{code},"message":"{message}"}}"#),
    )
}

fn data(text: &str) -> NewSchema {
    NewSchema {
        schema_type: SchemaType::Avro,
        text: text.into(),
        references: Vec::new(),
    }
}

fn chain(error: &DataError) -> Vec<(&'static str, String)> {
    let mut all = vec![(error.java_class, error.message.to_string())];
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let error = error.downcast_ref::<DataError>().expect("a data error");
        all.push((error.java_class, error.message.to_string()));
        source = std::error::Error::source(error);
    }
    all
}

const SUBJECTS: &str = "io.confluent.kafka.serializers.subject.";

#[tokio::test]
async fn subjects_by_every_strategy() {
    let script = Script::new(|line| {
        if line.contains("/ours?") {
            (200, r#"[{"subject":":.c:s"}]"#.to_owned())
        } else {
            (200, "[]".to_owned())
        }
    });
    let name = async |strategy: &str, topic: &str, record: Option<&str>, more: &[(&str, &str)]| {
        let class = format!("{SUBJECTS}{strategy}");
        let mut settings = vec![("value.subject.name.strategy", class.as_str())];
        settings.extend_from_slice(more);
        script
            .serde(SchemaType::Avro, &settings)
            .subject(topic, record)
            .await
            .map(|subject| subject.to_string())
    };
    assert_eq!(
        name("TopicNameStrategy", "t", None, &[])
            .await
            .expect("a name"),
        "t-value"
    );
    assert_eq!(
        name("RecordNameStrategy", "t", Some("a.B"), &[])
            .await
            .expect("a name"),
        "a.B"
    );
    assert_eq!(
        name("TopicRecordNameStrategy", "t", Some("a.B"), &[])
            .await
            .expect("a name"),
        "t-a.B"
    );
    assert_eq!(script.asked(), Vec::<String>::new());
    assert_eq!(
        name("AssociatedNameStrategy", "t", None, &[])
            .await
            .expect("a name"),
        "t-value"
    );
    assert_eq!(
        name(
            "AssociatedNameStrategy",
            "ours",
            None,
            &[("subject.name.strategy.kafka.cluster.id", "k/1")]
        )
        .await
        .expect("a name"),
        ":.c:s"
    );
    assert_eq!(
        script.asked(),
        [
            "GET /associations/resources/-/t?resourceType=topic&associationType=value",
            "GET /associations/resources/k%2F1/ours?resourceType=topic&associationType=value"
        ]
    );
    let fallback = [("subject.name.strategy.fallback.type", "record")];
    assert_eq!(
        name("AssociatedNameStrategy", "t", Some("a.B"), &fallback)
            .await
            .expect("a name"),
        "a.B"
    );
    let error = name(
        "AssociatedNameStrategy",
        "t",
        None,
        &[("subject.name.strategy.fallback.type", "NONE")],
    )
    .await
    .expect_err("no name");
    assert_eq!(error.message, "No associated subject found for topic t");
    let error = name("TopicRecordNameStrategy", "t", None, &[])
        .await
        .expect_err("no record");
    assert_eq!(
        chain(&error),
        [(
            "org.apache.kafka.common.errors.SerializationException",
            format!(
                "In configuration value.subject.name.strategy = {SUBJECTS}TopicRecordNameStrategy, the message value must only be a record schema"
            )
        )]
    );
}

#[tokio::test]
async fn associations_are_asked_once_per_topic_and_404_means_none() {
    let script = Script::new(|_| missing(404, "HTTP 404 Not Found"));
    let serde = script.serde(SchemaType::Avro, &[]);
    for _ in 0..3 {
        assert_eq!(&*serde.subject("t", None).await.expect("a name"), "t-value");
    }
    assert_eq!(script.asked().len(), 1);
    assert_eq!(serde.lifetime(), None);

    let forbidden = r#"{"error_code":403,"message":"Forbidden"}"#;
    let script = Script::new(|_| (403, forbidden.to_owned()));
    let error = script
        .serde(SchemaType::Avro, &[])
        .subject("t", None)
        .await
        .expect_err("forbidden");
    assert_eq!(
        error.java_class,
        "org.apache.kafka.common.errors.InvalidConfigurationException"
    );
    for part in ["Forbidden", "topic t;", "TopicNameStrategy", "403"] {
        assert!(error.message.contains(part), "{}", error.message);
    }
}

#[tokio::test]
async fn the_writers_schema_is_what_the_settings_say() {
    let script = Script::new(|_| stored(3, "\"long\""));
    let ask = async |settings: &[(&str, &str)]| {
        let written = script
            .serde(SchemaType::Avro, settings)
            .writer_schema("t-value", &data("\"int\""))
            .await
            .expect("a schema");
        (script.asked().join(" "), written.foreign, written.strict)
    };
    let off = ("auto.register.schemas", "false");
    let latest = ("use.latest.version", "true");
    let register = "POST /subjects/t-value/versions?normalize=false".to_owned();
    assert_eq!(ask(&[]).await, (register.clone(), false, None));
    assert_eq!(
        ask(&[latest]).await,
        (register, false, None),
        "without effect when schemas are registered"
    );
    assert_eq!(
        ask(&[("normalize.schemas", "true")]).await.0,
        "POST /subjects/t-value/versions?normalize=true"
    );
    assert_eq!(
        ask(&[off]).await,
        (
            "POST /subjects/t-value?normalize=false&deleted=false".to_owned(),
            false,
            None
        )
    );
    let newest = "GET /subjects/t-value/versions/latest".to_owned();
    assert_eq!(
        ask(&[off, latest]).await,
        (newest.clone(), true, Some("latest.compatibility.strict"))
    );
    assert_eq!(
        ask(&[off, latest, ("latest.compatibility.strict", "false")]).await,
        (newest, true, None)
    );
    let by_id = "GET /schemas/ids/9?fetchMaxId=false&subject=t-value".to_owned();
    assert_eq!(
        ask(&[off, latest, ("use.schema.id", "9")]).await,
        (by_id.clone(), true, Some("id.compatibility.strict"))
    );
    assert_eq!(
        ask(&[
            off,
            ("use.schema.id", "9"),
            ("id.compatibility.strict", "false")
        ])
        .await,
        (by_id, true, None)
    );
    let with_metadata = "GET /subjects/t-value/metadata?deleted=true&key=a&value=b".to_owned();
    assert_eq!(
        ask(&[off, latest, ("use.latest.with.metadata", "a=b")]).await,
        (with_metadata, true, None)
    );
    // The same text is the data's own schema.
    let same = script
        .serde(SchemaType::Avro, &[off, latest])
        .writer_schema("t-value", &data("\"long\""))
        .await
        .expect("a schema");
    assert_eq!((same.foreign, same.strict), (false, None));
}

#[tokio::test]
async fn failures_read_like_confluents() {
    let script = Script::new(|_| missing(40401, "Subject 't-value' not found."));
    let fail = async |settings: &[(&str, &str)]| {
        let error = script
            .serde(SchemaType::Avro, settings)
            .writer_schema("t-value", &data("\"int\""))
            .await
            .expect_err("not found");
        chain(&error)
    };
    let rest = (
        "io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException",
        "Subject 't-value' not found.; error code: 40401".to_owned(),
    );
    let what = |text: &str| {
        vec![
            (
                "org.apache.kafka.common.errors.SerializationException",
                text.to_owned(),
            ),
            rest.clone(),
        ]
    };
    let off = ("auto.register.schemas", "false");
    assert_eq!(
        fail(&[]).await,
        what("Error registering Avro schema\"int\"")
    );
    assert_eq!(
        fail(&[off]).await,
        what("Error retrieving Avro schema\"int\"")
    );
    assert_eq!(
        fail(&[off, ("use.schema.id", "9")]).await,
        what("Error retrieving schema ID\"int\"")
    );
    assert_eq!(
        fail(&[off, ("use.latest.version", "true")]).await,
        what("Error retrieving latest version of Avro schema\"int\"")
    );
    let script = Script::new(|_| (503, "{}".to_owned()));
    assert!(
        script
            .serde(SchemaType::Avro, &[])
            .writer_schema("s", &data("1"))
            .await
            .expect_err("503")
            .retriable
    );
}

#[tokio::test]
async fn a_guid_names_the_content_and_the_subject_its_id() {
    let script = Script::new(|line| {
        if line.starts_with("GET") {
            let found = format!(
                r#"{{"guid":"{GUID}","schemaType":"AVRO","schema":"\"long\"","metadata":{{"properties":{{"a":"b"}}}}}}"#
            );
            (200, found)
        } else if line.contains("gone") {
            missing(40403, "Schema not found")
        } else {
            stored(3, "\"long\"")
        }
    });
    let off = ("auto.register.schemas", "false");
    let guid = ("use.schema.guid", GUID);
    let by_guid = format!("GET /schemas/guids/{GUID}");
    let write = async |settings: &[(&str, &str)]| {
        let serde = script.serde(SchemaType::Avro, settings);
        let written = serde
            .writer_schema("t-value", &data("\"int\""))
            .await
            .expect("a schema");
        (script.asked().join(" "), written)
    };
    let (asked, written) = write(&[off, guid, ("use.latest.version", "true")]).await;
    assert_eq!(
        asked,
        format!("{by_guid} POST /subjects/t-value?deleted=false")
    );
    assert_eq!(
        (written.registered.id, &*written.registered.text),
        (7, "\"long\"")
    );
    assert_eq!(
        (written.foreign, written.strict),
        (true, Some("id.compatibility.strict"))
    );
    let (_, written) = write(&[off, guid, ("id.compatibility.strict", "false")]).await;
    assert_eq!((written.foreign, written.strict), (true, None));
    let why = |setting| script.serde(SchemaType::Avro, &[]).incompatible(setting);
    assert_eq!(
        why("id.compatibility.strict").message,
        "Incompatible schema of type 'AVRO'. Set id.compatibility.strict=false to disable this check"
    );
    assert!(
        why("latest.compatibility.strict")
            .message
            .ends_with("this check. See log file for more details.")
    );
    // An id comes first, and registering before both.
    let (asked, _) = write(&[off, guid, ("use.schema.id", "9")]).await;
    assert_eq!(asked, "GET /schemas/ids/9?fetchMaxId=false&subject=t-value");
    let (asked, _) = write(&[guid]).await;
    assert_eq!(asked, "POST /subjects/t-value/versions?normalize=false");
    let error = script
        .serde(SchemaType::Avro, &[off, guid])
        .writer_schema("gone", &data("\"int\""))
        .await
        .expect_err("not under the subject");
    assert_eq!(
        chain(&error)[0].1,
        "Error retrieving schema GUID\"long\"",
        "the text is that of the guid"
    );
}

#[tokio::test]
async fn payloads_may_be_what_the_settings_say() {
    let script = Script::new(|_| stored(1, ""));
    let reader = (
        "value.schema.id.deserializer",
        "io.confluent.kafka.serializers.schema.id.ConfigSchemaIdDeserializer",
    );
    let frame = |schema_type, settings: &[(&str, &str)]| {
        let settings: Vec<_> = [reader].iter().chain(settings).copied().collect();
        let serde = script.serde(schema_type, &settings);
        let payload = Blob::from(&b"\0\0\0\0\x09body"[..]);
        let (frame, indexes) = if schema_type == SchemaType::Protobuf {
            let (frame, indexes) = serde.read_message_frame(&Headers::new(), &payload)?;
            (frame, indexes.path().to_vec())
        } else {
            (serde.read_frame(&Headers::new(), &payload)?, Vec::new())
        };
        Ok::<_, DataError>((frame.schema, frame.body, indexes))
    };
    let id = ("use.schema.id", "7");
    let guid = ("use.schema.guid", GUID);
    let avro = frame(SchemaType::Avro, &[id, guid]).expect("a frame");
    assert_eq!(avro, (PayloadSchema::Id(7), 0, Vec::new()));
    let (schema, body, indexes) = frame(
        SchemaType::Protobuf,
        &[guid, ("use.message.indexes", "1, 0")],
    )
    .expect("a frame");
    assert!(matches!(schema, PayloadSchema::Guid([0x09, .., 0x5d])));
    assert_eq!((body, indexes), (0, vec![1, 0]));
    let (.., indexes) = frame(SchemaType::Protobuf, &[id]).expect("a frame");
    assert_eq!(indexes, [0]);
    let error = frame(SchemaType::Avro, &[]).expect_err("nothing is set");
    assert!(chain(&error)[1].1.contains("use.schema.id"));
}

#[tokio::test]
async fn a_schemas_own_version_comes_before_the_registrys() {
    let script = Script::new(|_| {
        let found = format!(
            r#"{{"subject":"t-value","version":3,"guid":"{GUID}","schemaType":"AVRO","schema":"\"long\"","metadata":{{"properties":{{"confluent:version":"12"}}}}}}"#
        );
        (200, found)
    });
    for topic in ["t", "u"] {
        let found = script
            .serde(
                SchemaType::Avro,
                &[(
                    "value.subject.name.strategy",
                    "io.confluent.kafka.serializers.subject.TopicNameStrategy",
                )],
            )
            .payload_schema(topic, PayloadSchema::Id(7), &record_name)
            .await
            .expect("a schema");
        assert_eq!((found.version, found.id), (12, 7));
        assert_eq!(script.asked().len(), 1, "the subject's is not asked for");
    }
}

#[tokio::test]
async fn schemas_with_rules_are_neither_written_nor_read() {
    let script = Script::new(|_| {
        let found = r#"{"id":7,"version":3,"subject":"t-value","schemaType":"AVRO","schema":"\"long\"","ruleSet":{"domainRules":[{"name":"mask","kind":"TRANSFORM","mode":"WRITEREAD","type":"CEL_FIELD"}]}}"#;
        (200, found.to_owned())
    });
    let plain = (
        "value.subject.name.strategy",
        "io.confluent.kafka.serializers.subject.TopicNameStrategy",
    );
    let outcome = async |settings: &[(&str, &str)]| {
        let serde = script.serde(SchemaType::Avro, settings);
        let written = serde.writer_schema("t-value", &data("1")).await;
        let read = serde
            .payload_schema("t", PayloadSchema::Id(7), &record_name)
            .await;
        (
            written.map_err(|error| error.message.to_string()).err(),
            read.map_err(|error| error.message.to_string()).err(),
        )
    };
    let refused = Some("Rule failed: mask".to_owned());
    assert_eq!(outcome(&[plain]).await, (refused.clone(), refused));
    let off = ("rule.executors.mask.disabled", "true");
    assert_eq!(outcome(&[plain, off]).await, (None, None));
}

fn record_name(_: &RegisteredSchema) -> Option<String> {
    Some("a.B".to_owned())
}

#[tokio::test]
async fn a_payloads_schema_has_the_version_of_the_topics_subject() {
    let topic = (
        "value.subject.name.strategy",
        "io.confluent.kafka.serializers.subject.TopicNameStrategy",
    );
    let record = (
        "value.subject.name.strategy",
        "io.confluent.kafka.serializers.subject.RecordNameStrategy",
    );
    let script = Script::new(|line| {
        if line.starts_with("GET") {
            stored(3, "\"long\"")
        } else {
            stored(5, "\"long\"")
        }
    });
    let read = async |strategy, topic: &str, schema| {
        let found = script
            .serde(SchemaType::Avro, &[strategy])
            .payload_schema(topic, schema, &record_name)
            .await
            .expect("a schema");
        (
            script.asked().join(" "),
            found.version,
            found.subject.as_deref().map(str::to_owned),
            found.id,
        )
    };
    let by_id = "GET /schemas/ids/7?fetchMaxId=false";
    assert_eq!(
        read(topic, "t", PayloadSchema::Id(7)).await,
        (
            format!("{by_id}&subject=t-value"),
            3,
            Some("t-value".to_owned()),
            7
        )
    );
    let other = format!("{by_id}&subject=u-value POST /subjects/u-value?deleted=true");
    assert_eq!(
        read(topic, "u", PayloadSchema::Id(7)).await,
        (other, 5, Some("u-value".to_owned()), 7)
    );
    assert_eq!(
        read(record, "t", PayloadSchema::Id(7)).await,
        (
            format!("{by_id} POST /subjects/a.B?deleted=true"),
            5,
            Some("a.B".to_owned()),
            7
        )
    );
    let guid = format!("GET /schemas/guids/{GUID}");
    let bytes = [
        0x09, 0x5d, 0x71, 0xcf, 0x12, 0x55, 0x6b, 0x9d, 0x5e, 0x33, 0x0a, 0xd5, 0x75, 0xb3, 0xdf,
        0x5d,
    ];
    assert_eq!(
        read(topic, "t", PayloadSchema::Guid(bytes)).await,
        (guid, 3, Some("t-value".to_owned()), 7)
    );

    let script = Script::new(|line| {
        if line.starts_with("GET") {
            stored(3, "\"long\"")
        } else {
            missing(40403, "Schema not found")
        }
    });
    let error = script
        .serde(SchemaType::Avro, &[topic])
        .payload_schema("u", PayloadSchema::Id(7), &record_name)
        .await
        .expect_err("another subject's");
    assert_eq!(
        chain(&error),
        [
            (
                "org.apache.kafka.common.errors.SerializationException",
                "Error retrieving Avro value schema for id SchemaId{schemaType='AVRO', id=7, guid='null', messageIndexes=null}".to_owned()
            ),
            ("io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException", "Schema not found; error code: 40403".to_owned()),
        ]
    );
    let error = script
        .serde(SchemaType::Json, &[topic])
        .payload_schema("t", PayloadSchema::Id(7), &record_name)
        .await
        .expect_err("another type");
    assert!(
        error.message.contains("AVRO, not JSON"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn data_is_read_with_the_latest_version_only_when_asked_for() {
    let script = Script::new(|_| stored(9, "\"long\""));
    let written = script
        .serde(SchemaType::Avro, &[])
        .writer_schema("s", &data("1"))
        .await
        .expect("a schema")
        .registered;
    let read = async |settings: &[(&str, &str)]| {
        let serde = script.serde(SchemaType::Avro, settings);
        let reader = serde.reader_schema(&written, "s").await.expect("an answer");
        assert_eq!(serde.has_reader_schema(), reader.is_some());
        (
            reader.map(|reader| reader.version),
            serde.lifetime().map(|lifetime| lifetime.as_secs()),
        )
    };
    assert_eq!(read(&[("latest.cache.ttl.sec", "5")]).await, (None, None));
    assert_eq!(
        read(&[
            ("use.latest.version", "true"),
            ("latest.cache.ttl.sec", "5")
        ])
        .await,
        (Some(9), Some(5))
    );
    assert_eq!(
        read(&[("use.latest.with.metadata", "a=b")]).await,
        (Some(9), None)
    );
}

#[tokio::test]
async fn references_come_dependencies_first_each_name_once_and_loops_end() {
    let script = Script::new(|line| {
        let refers = |names: &[&str]| {
            let all: Vec<String> = names
                .iter()
                .map(|name| format!(r#"{{"name":"{name}","subject":"{name}","version":1}}"#))
                .collect();
            (
                200,
                format!(
                    r#"{{"subject":"x","version":1,"id":1,"schemaType":"AVRO","schema":"{line}","references":[{}]}}"#,
                    all.join(",")
                ),
            )
        };
        match line {
            "GET /subjects/%3A.c%3Aa/versions/1?deleted=true" => refers(&["b", "c"]),
            "GET /subjects/%3A.c%3Ab/versions/1?deleted=true" => refers(&["c", "a"]),
            _ => refers(&[]),
        }
    });
    let root = RegisteredSchema {
        subject: Some(":.c:root".into()),
        version: 1,
        id: 5,
        guid: None,
        schema_type: SchemaType::Avro,
        text: "".into(),
        references: ["a", "c"]
            .map(|name| registry_client::Reference {
                name: name.into(),
                subject: name.into(),
                version: 1,
            })
            .to_vec(),
        metadata: None,
        rule_set: None,
    };
    let all = script
        .serde(SchemaType::Avro, &[])
        .references(&root)
        .await
        .expect("references");
    let names: Vec<&str> = all.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["c", "b", "a"]);
    assert_eq!(
        &*all[2].1,
        "GET /subjects/%3A.c%3Aa/versions/1?deleted=true"
    );
    assert_eq!(script.asked().len(), 3);
}

fn registered() -> RegisteredSchema {
    RegisteredSchema {
        subject: None,
        version: 1,
        id: 0x0102_0304,
        guid: Some([9; 16]),
        schema_type: SchemaType::Avro,
        text: "".into(),
        references: Vec::new(),
        metadata: None,
        rule_set: None,
    }
}

const HEADER_ID: (&str, &str) = (
    "value.schema.id.serializer",
    "io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer",
);

#[test]
fn frames_are_written_and_read_back() {
    let script = Script::new(|_| stored(1, ""));
    let avro = script.serde(SchemaType::Avro, &[]);
    let (mut headers, mut out) = (Headers::new(), Vec::new());
    avro.write_frame(&registered(), None, &mut headers, &mut out)
        .expect("written");
    assert_eq!((out.as_slice(), headers.len()), (&[0, 1, 2, 3, 4][..], 0));
    let frame = avro
        .read_frame(&headers, &Blob::from(out))
        .expect("a frame");
    assert_eq!(
        (frame.schema, frame.body),
        (PayloadSchema::Id(0x0102_0304), 5)
    );

    let protobuf = script.serde(SchemaType::Protobuf, &[]);
    for (path, bytes) in [
        (&[0][..], &[0, 1, 2, 3, 4, 0][..]),
        (&[1, 2], &[0, 1, 2, 3, 4, 4, 2, 4]),
    ] {
        let mut out = Vec::new();
        protobuf
            .write_frame(&registered(), Some(path), &mut headers, &mut out)
            .expect("written");
        assert_eq!(out, bytes);
        let (frame, indexes) = protobuf
            .read_message_frame(&headers, &Blob::from(out))
            .expect("a frame");
        assert_eq!(
            (Some(indexes), frame.body),
            (MessageIndexes::new(path), bytes.len())
        );
    }

    let header = script.serde(SchemaType::Protobuf, &[HEADER_ID]);
    let mut out = Vec::new();
    header
        .write_frame(&registered(), Some(&[1]), &mut headers, &mut out)
        .expect("written");
    assert!(out.is_empty());
    let written = headers.last("__value_schema_id").expect("a header");
    let mut expected = vec![1];
    expected.extend([9; 16]);
    expected.extend([2, 2]);
    assert!(matches!(&written.data.value, Value::Bytes(bytes) if **bytes == expected[..]));
    let (frame, indexes) = header
        .read_message_frame(&headers, &Blob::from(&b"body"[..]))
        .expect("a frame");
    assert_eq!(
        (frame.schema, indexes.path(), frame.body),
        (PayloadSchema::Guid([9; 16]), &[1][..], 0)
    );
    // A guid may stand before the payload as well.
    let (frame, _) = protobuf
        .read_message_frame(&Headers::new(), &Blob::from(expected))
        .expect("a frame");
    assert_eq!(
        (frame.schema, frame.body),
        (PayloadSchema::Guid([9; 16]), 19)
    );

    let old = RegisteredSchema {
        guid: None,
        ..registered()
    };
    let error = header
        .write_frame(&old, None, &mut headers, &mut Vec::new())
        .expect_err("no guid");
    assert!(
        error.message.contains("value.schema.id.serializer"),
        "{}",
        error.message
    );
}

proptest::proptest! {
    #[test]
    fn no_payload_panics(payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64), in_header: bool) {
        let script = Script::new(|_| stored(1, ""));
        let serde = script.serde(SchemaType::Protobuf, &[]);
        let mut headers = Headers::new();
        if in_header {
            headers.push("__value_schema_id", Data::new(Schema::bytes(), Blob::from(payload.clone())));
        }
        let payload = Blob::from(payload);
        if let Ok(frame) = serde.read_frame(&headers, &payload) {
            assert!(frame.body <= payload.len());
        }
        if let Ok((frame, _)) = serde.read_message_frame(&headers, &payload) {
            assert!(frame.body <= payload.len());
        }
    }
}

#[test]
fn malformed_frames_are_named() {
    let script = Script::new(|_| stored(1, ""));
    let avro = script.serde(SchemaType::Avro, &[]);
    let read = |bytes: &[u8]| {
        chain(
            &avro
                .read_frame(&Headers::new(), &Blob::from(bytes))
                .expect_err("malformed"),
        )
    };
    let outer = (
        "org.apache.kafka.common.errors.SerializationException",
        "Error deserializing schema ID".to_owned(),
    );
    assert_eq!(
        read(&[7, 0, 0, 0, 1]),
        [
            outer.clone(),
            (
                "java.lang.IllegalArgumentException",
                "Unknown magic byte!".to_owned()
            )
        ]
    );
    for short in [&[][..], &[0, 0, 0, 1], &[1, 0]] {
        assert_eq!(read(short)[1].0, "java.nio.BufferUnderflowException");
    }
    let only_header = script.serde(
        SchemaType::Avro,
        &[(
            "value.schema.id.deserializer",
            "io.confluent.kafka.serializers.schema.id.HeaderSchemaIdDeserializer",
        )],
    );
    let error = only_header
        .read_frame(&Headers::new(), &Blob::from(&[0, 0, 0, 0, 1][..]))
        .expect_err("no header");
    assert!(chain(&error)[1].1.contains("__value_schema_id"));
}

#[test]
fn what_cannot_be_obeyed_is_refused_by_name() {
    let registry: Arc<dyn SchemaRegistry> =
        Arc::new(RestRegistry::new(Script::new(|_| stored(1, ""))));
    for (key, value) in [
        ("propagate.schema.tags", "true"),
        ("schema.format", "serialized"),
        ("rule.executors", "a"),
        ("rule.actions", "a"),
        ("context.name.strategy", "my.Strategy"),
        ("schema.reflection", "true"),
        ("key.subject.name.strategy", "my.Strategy"),
        (
            "value.subject.name.strategy",
            "io.confluent.kafka.serializers.subject.Other",
        ),
        ("subject.name.strategy.fallback.type", "x"),
        ("key.schema.id.serializer", "a.B"),
        ("value.schema.id.deserializer", "a.B"),
        ("use.latest.with.metadata", "a"),
        ("use.schema.id", "x"),
        ("use.schema.guid", "not-a-guid"),
        ("execution.environment", "MOON"),
        ("validation.rules.execution", "BEFORE_DOMAIN_RULES"),
        ("specific.avro.reader", "true"),
    ] {
        let error = SchemaSerde::new(
            Arc::clone(&registry),
            &Props::from_iter([(key, value)]),
            false,
            SchemaType::Avro,
        )
        .expect_err(key);
        assert!(
            error.message.contains(key) && error.message.contains(value),
            "{}",
            error.message
        );
    }
}

#[test]
fn every_setting_is_published_once_and_documented() {
    let definition = serde_config();
    for key in definition.keys() {
        assert!(!key.documentation.is_empty(), "{}", key.name);
    }
    for key in [
        "schema.registry.url",
        "auto.register.schemas",
        "max.retries",
        "schema.registry.ssl.truststore.location",
        "value.schema.id.serializer",
    ] {
        assert!(definition.contains(key), "{key}");
    }
}
