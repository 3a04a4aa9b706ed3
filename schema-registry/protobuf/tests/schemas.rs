//! Schemas through the whole crate: printed, normalized, described, compared, and bounded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use registry_protobuf::ast::{Field, Label, Message, OptionValue, ProtoFile, Syntax, TypeElement};
use registry_protobuf::{
    Direction, FieldKind, Meta, ProtobufError, ProtobufSchema, Scalar, Strictness,
};

fn parse(text: &str) -> ProtobufSchema {
    ProtobufSchema::parse(text, &[], Strictness::New).expect(text)
}

fn refused(text: &str) -> String {
    ProtobufSchema::parse(text, &[], Strictness::New)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

const FULL: &str = r#"syntax = "proto2";
package shop;
import "z.proto"; import public "./a//b.proto"; import weak "w.proto";
option java_package = 'x.y';
extend M { optional int32 x = 150; repeated string y = 0x97; }
service S { option deprecated = true; rpc Get (M) returns (stream M.In); rpc Put (stream M) returns (M) { option idempotency_level = IDEMPOTENT; } }
enum E { option allow_alias = true; reserved 5 to 7, 9; reserved "OLD"; Z = 0; B = 2; A = 1 [deprecated = true]; }
message M {
  extensions 100 to max [verification = UNVERIFIED];
  reserved 50 to 60, 70, "old";
  message In { message Deep { optional int32 a = 1; oneof o { int32 b = 2; } } enum F { ONE = 1; } optional In in = 1; }
  option (confluent.message_meta).doc = "it's";
  option (confluent.message_meta) = { tags: ["PII"], params: { key: "k", value: "v" } };
  oneof pick { string s = 9 [json_name = "S"]; In i = 8; }
  required int32 b = 2 [default = 010, (confluent.field_meta) = { params: [{ key: "a" value: "b" }, { key: "c", value: "d" }] }];
  optional group G = 4 { optional int32 g = 5; }
  repeated NumbersEntry numbers = 3;
  message NumbersEntry { option map_entry = true; optional string key = 1; optional In value = 2; }
}
"#;

#[test]
fn the_canonical_text_keeps_groups_and_blanks() {
    let schema = ProtobufSchema::parse(FULL, &[], Strictness::Stored).expect("parses");
    let expected = concat!(
        "syntax = \"proto2\";\npackage shop;\n\nimport \"z.proto\";\nimport public \"a/b.proto\";\n\noption java_package = \"x.y\";\n\n",
        "message M {\n  reserved 50 to 60, 70, \"old\";\n\n  option (confluent.message_meta).doc = \"it\\'s\";\n",
        "  option (confluent.message_meta) = {\n    tags: [\n      \"PII\"\n    ],\n    params: {\n      key: \"k\",\n      value: \"v\"\n    }\n  };\n\n",
        "  required int32 b = 2 [\n    (confluent.field_meta) = {\n      params: [\n        {\n          key: \"a\",\n          value: \"b\"\n        },\n        {\n          key: \"c\",\n          value: \"d\"\n        }\n      ]\n    },\n    default = 010\n  ];\n",
        "  repeated NumbersEntry numbers = 3;\n\n  oneof pick {\n    string s = 9 [json_name = \"S\"];\n    In i = 8;\n  }\n\n",
        "  optional group G = 4 {\n    optional int32 g = 5;\n  }\n\n  extensions 100 to max [verification = UNVERIFIED];\n\n",
        "  message In {\n    optional In in = 1;\n  \n    message Deep {\n      optional int32 a = 1;\n    \n      oneof o {\n        int32 b = 2;\n      }\n    }\n    enum F {\n      ONE = 1;\n    }\n  }\n",
        "  message NumbersEntry {\n    option map_entry = true;\n  \n    optional string key = 1;\n    optional In value = 2;\n  }\n}\n",
        "enum E {\n  reserved 5 to 7, 9;\n  reserved \"OLD\";\n  option allow_alias = true;\n  Z = 0;\n  B = 2;\n  A = 1 [deprecated = true];\n}\n\n",
        "extend M {\n  optional int32 x = 150;\n  repeated string y = 151;\n}\n\n",
        "service S {\n  option deprecated = true;\n\n  rpc Get (M) returns (stream M.In);\n  rpc Put (stream M) returns (M) {\n    option idempotency_level = IDEMPOTENT;\n  };\n}\n",
    );
    assert_eq!(schema.canonical(), expected);
}

#[test]
fn the_normalized_text_sorts_and_qualifies() {
    let expected = concat!(
        "package shop;\n\nimport \"z.proto\";\nimport public \"a/b.proto\";\n\noption java_package = \"x.y\";\n\n",
        "message M {\n  reserved 50 to 60;\n  reserved 70;\n  reserved \"old\";\n\n",
        "  option (confluent.message_meta) = {\n    doc: \"it\\'s\",\n    params: {\n      key: \"k\",\n      value: \"v\"\n    },\n    tags: \"PII\"\n  };\n\n",
        "  required int32 b = 2 [\n    (confluent.field_meta) = {\n      params: [\n        {\n          key: \"a\",\n          value: \"b\"\n        },\n        {\n          key: \"c\",\n          value: \"d\"\n        }\n      ]\n    },\n    default = 8\n  ];\n",
        "  map<string, .shop.M.In> numbers = 3;\n\n  oneof pick {\n    .shop.M.In i = 8;\n    string s = 9 [json_name = \"S\"];\n  }\n\n",
        "  optional group G = 4 {\n    optional int32 g = 5;\n  }\n\n  extensions 100 to max [verification = UNVERIFIED];\n\n",
        "  message In {\n    optional .shop.M.In in = 1;\n  \n    message Deep {\n      optional int32 a = 1;\n    \n      oneof o {\n        int32 b = 2;\n      }\n    }\n    enum F {\n      ONE = 1;\n    }\n  }\n}\n",
        "enum E {\n  reserved 5 to 7;\n  reserved 9;\n  reserved \"OLD\";\n  option allow_alias = true;\n  Z = 0;\n  A = 1 [deprecated = true];\n  B = 2;\n}\n\n",
        "extend .shop.M {\n  optional int32 x = 150;\n  repeated string y = 151;\n}\n\n",
        "service S {\n  option deprecated = true;\n\n  rpc Get (.shop.M) returns (stream .shop.M.In);\n  rpc Put (stream .shop.M) returns (.shop.M) {\n    option idempotency_level = IDEMPOTENT;\n  };\n}\n",
    );
    assert_eq!(parse(FULL).normalized(), expected);
}

#[test]
fn a_descriptor_says_the_same_as_its_text() {
    let schema = parse(
        "syntax = \"proto3\";\npackage a;\nimport \"google/protobuf/timestamp.proto\";\nmessage M { option deprecated = true; optional int32 a = 1 [(confluent.field_meta) = { doc: \"d\" }]; repeated .a.E e = 2 [packed = false]; google.protobuf.Timestamp t = 3 [json_name = \"T\"]; oneof o { string s = 4; } reserved 9, 20 to 30, \"x\"; enum In { P = 0; } }\nenum E { Z = 0; N = -1; reserved 4 to 6; }\nservice S { rpc G (M) returns (stream M); }\n",
    );
    let base64 = schema.formatted("SERIALIZED").expect("a format");
    let back = parse(&base64);
    let text = back.canonical();
    assert!(text.starts_with("syntax = \"proto3\";\npackage a;\n\nimport \"google/protobuf/timestamp.proto\";\n\nmessage M {\n  reserved 9;\n  reserved 20 to 30;\n  reserved \"x\";\n\n  option deprecated = true;\n\n  optional int32 a = 1 [(confluent.field_meta) = {\n    doc: \"d\"\n  }];\n"), "{text}");
    assert_eq!(back.serialized(), schema.serialized());
    assert!(schema.formatted("ignore_extensions").is_some());
    assert_eq!(schema.formatted("resolved"), None);
}

#[test]
fn a_map_in_a_descriptor_is_an_entry() {
    let schema = parse("syntax = \"proto3\"; message M { map<string, M> my_map = 1; }");
    let back = parse(&schema.formatted("serialized").expect("a format"));
    assert_eq!(
        back.canonical(),
        "syntax = \"proto3\";\n\nmessage M {\n  repeated MyMapEntry my_map = 1;\n\n  message MyMapEntry {\n    option map_entry = true;\n  \n    string key = 1;\n    M value = 2;\n  }\n}\n"
    );
    assert_eq!(
        back.normalized(),
        "syntax = \"proto3\";\n\nmessage M {\n  map<string, .M> my_map = 1;\n}\n"
    );
}

#[test]
fn texts_that_a_new_schema_may_not_have() {
    for (text, message) in [
        (
            "syntax = \"proto3\"; message M { it.Item i = 1; }",
            "Could not resolve type: it.Item",
        ),
        (
            "syntax = \"proto3\"; message M { map<float, string> i = 1; }",
            "map key must be non-byte, non-floating point scalar: float",
        ),
        (
            "syntax = \"proto2\"; message M { optional bytes b = 1 [default = \"a b\"]; }",
            "Could not parse Protobuf - Syntax error in :3:37: Expected ',' or ']",
        ),
    ] {
        assert_eq!(refused(text), message);
    }
    // Used without their import, and an import that leads nowhere: both are fine.
    parse(
        "syntax = \"proto3\"; import \"no.proto\"; message M { google.type.Date d = 1; map<string, Nothing> m = 2; }",
    );
    assert!(
        ProtobufSchema::parse(
            "syntax = \"proto3\"; message M { it.Item i = 1; }",
            &[],
            Strictness::Stored
        )
        .is_ok()
    );
    assert!(matches!(
        ProtobufSchema::parse("{", &[], Strictness::Stored),
        Err(ProtobufError::Syntax(_))
    ));
}

#[test]
fn names_are_looked_up_from_the_inside() {
    let references = [(
        Arc::from("i.proto"),
        Arc::from(
            "syntax = \"proto3\"; package a.b; message Item { Part p = 1; message Part { int32 x = 1; } }",
        ),
    )];
    let text = "syntax = \"proto3\"; package a.c; import \"i.proto\"; message M { b.Item i = 1; Item j = 2; optional E e = 3; message Item { int64 y = 1; } enum E { Z = 0; } map<int32, b.Item.Part> m = 4; oneof o { M n = 5; } repeated sint32 r = 6; }";
    let schema = ProtobufSchema::parse(text, &references, Strictness::New).expect("parses");
    let types = schema.descriptors().expect("resolves");
    let message = types.message(types.find_message("a.c.M").expect("declared"));
    let names: Vec<(&str, String)> = message
        .fields
        .iter()
        .map(|field| {
            let kind = match field.kind {
                FieldKind::Scalar(scalar) => scalar.name().to_owned(),
                FieldKind::Message(place) => types.message(place).full_name.to_string(),
                FieldKind::Enum(place) => types.declared_enum(place).full_name.to_string(),
            };
            (&*field.name, kind)
        })
        .collect();
    let expected = [
        ("n", "a.c.M"),
        ("i", "a.b.Item"),
        ("j", "a.c.M.Item"),
        ("e", "a.c.M.E"),
        ("m", "a.c.M.mEntry"),
        ("r", "sint32"),
    ];
    assert_eq!(names, expected.map(|(name, kind)| (name, kind.to_owned())));
    assert!(
        message.fields[0].has_presence
            && message.fields[3].proto3_optional
            && message.fields[5].packed
    );
    assert_eq!(message.oneofs[0].fields, [0]);
    let entry = types.message(types.find_message("a.c.M.mEntry").expect("made"));
    assert!(entry.map_entry && entry.fields[0].kind == FieldKind::Scalar(Scalar::Int32));
    assert_eq!(schema.message_indexes("a.c.M.Item"), Some(vec![0, 0]));
    assert_eq!(schema.message_name(&[0, 0]).as_deref(), Some("a.c.M.Item"));
    assert_eq!(schema.message_name(&[1]), None);
    assert_eq!(schema.name().as_deref(), Some("a.c.M"));
}

#[test]
fn a_file_built_by_hand_prints_like_a_parsed_one() {
    let mut message = Message::new("M");
    let mut field = Field::new("int32", "a", 1).labelled(Label::Optional);
    let meta = Meta {
        params: [
            ("scale".to_owned(), "2".to_owned()),
            ("connect.type".to_owned(), "int8".to_owned()),
        ]
        .into_iter()
        .collect(),
        ..Meta::default()
    };
    field.options.extend(meta.to_option("confluent.field_meta"));
    message.fields.push(field);
    let file = ProtoFile {
        syntax: Some(Syntax::Proto3),
        package: Some("p".to_owned()),
        types: vec![TypeElement::Message(message)],
        options: vec![registry_protobuf::ast::OptionEntry::new(
            "java_package",
            OptionValue::text("x"),
        )],
        ..ProtoFile::default()
    };
    let schema = ProtobufSchema::from_file(file, Vec::new());
    let text = schema.canonical();
    assert_eq!(parse(&text).canonical(), text);
    assert!(text.contains("      {\n        value: \"2\",\n        key: \"scale\"\n      },\n      {\n        key: \"connect.type\",\n        value: \"int8\"\n      }\n"), "{text}");
}

#[test]
fn differences_follow_messages_into_references() {
    let item = |inner: &str| -> [(Arc<str>, Arc<str>); 1] {
        [(
            "i.proto".into(),
            format!(
                "syntax = \"proto3\"; package it; message Item {{ {inner} v = 1; Item next = 2; }}"
            )
            .into(),
        )]
    };
    let text =
        "syntax = \"proto3\"; package o; import \"i.proto\"; message Order { it.Item i = 1; }";
    let old = ProtobufSchema::parse(text, &item("int32"), Strictness::New).expect("old");
    let new = ProtobufSchema::parse(text, &item("string"), Strictness::New).expect("new");
    let found: Vec<(&str, String)> = ProtobufSchema::check(&new, &old, Direction::Backward)
        .expect("compared")
        .into_iter()
        .map(|found| (found.kind, found.path))
        .collect();
    let expected = [
        ("FIELD_SCALAR_KIND_CHANGED", "#/Item/1"),
        ("FIELD_NAMED_TYPE_CHANGED", "#/Order/1"),
    ];
    assert_eq!(found, expected.map(|(kind, path)| (kind, path.to_owned())));
}

/// Runs on a small stack, as a request does, and within a time.
fn bounded(limit: Duration, run: impl FnOnce() + Send + 'static) {
    let started = Instant::now();
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .expect("a thread")
        .join()
        .expect("no panic and no overflow");
    // Tests are not optimised and may share their cores.
    assert!(started.elapsed() < limit * 20, "{:?}", started.elapsed());
}

#[test]
fn huge_and_deep_texts_are_answered() {
    bounded(Duration::from_secs(1), || {
        assert!(refused(&"message A {".repeat(10_000)).contains("nested more than 100 deep"));
        let deep = format!("{}{}", "message A {".repeat(100), "}".repeat(100));
        assert!(refused(&deep).is_empty());
        let long = format!("package {};", "a.".repeat(2_000_000));
        assert!(
            refused(&format!(
                "syntax = \"proto3\"; {long} message M {{ {} }}",
                (1..200)
                    .map(|i| format!("a{} f{i} = {i}; ", ".a".repeat(500)))
                    .collect::<String>()
            ))
            .contains("too large")
        );
    });
    bounded(Duration::from_secs(2), || {
        let fields: String = (1..100_000)
            .map(|i| format!("repeated M field_{i} = {i};\n"))
            .collect();
        let schema = parse(&format!("syntax = \"proto3\"; message M {{ {fields} }}"));
        let found = ProtobufSchema::check(
            &schema,
            &parse("syntax = \"proto3\"; message M { int32 f = 5; }"),
            Direction::Backward,
        )
        .expect("compared");
        assert_eq!(found.len(), 1);
    });
}

#[test]
fn entangled_messages_end_the_comparison() {
    bounded(Duration::from_secs(2), || {
        let count = 40;
        let file = |scalar: &str| -> [(Arc<str>, Arc<str>); 1] {
            let messages: String = (0..count)
                .map(|i| {
                    let fields: String = (0..count)
                        .map(|j| format!("M{j} f{j} = {}; ", j + 2))
                        .collect();
                    format!("message M{i} {{ {scalar} s = 1; {fields} }}\n")
                })
                .collect();
            [(
                "m.proto".into(),
                format!("syntax = \"proto3\"; package m; {messages}").into(),
            )]
        };
        let text = "syntax = \"proto3\"; import \"m.proto\"; message R { m.M0 a = 1; }";
        let old = ProtobufSchema::parse(text, &file("int32"), Strictness::New).expect("old");
        let new = ProtobufSchema::parse(text, &file("string"), Strictness::New).expect("new");
        match ProtobufSchema::check(&new, &old, Direction::Backward) {
            Ok(found) => assert!(!found.is_empty()),
            Err(message) => assert!(message.contains("too entangled"), "{message}"),
        }
    });
}

fn type_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "int32",
        "string",
        "bytes",
        "double",
        "A",
        "B.C",
        ".p.A",
        "map<string, B>",
        "E",
    ])
}

prop_compose! {
    fn message_body()(fields in prop::collection::vec((type_name(), 1..50i32, prop::option::of("[ -~]{0,8}")), 0..6)) -> String {
        fields.iter().enumerate().map(|(i, (type_name, tag, json))| {
            let json = json.as_ref().map(|json| format!(" [json_name = \"{}\"]", json.replace('\\', "\\\\").replace('"', "\\\""))).unwrap_or_default();
            format!("{type_name} f{i} = {tag}{json};")
        }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_texts_are_fixpoints(a in message_body(), b in message_body(), c in message_body()) {
        let text = format!("syntax = \"proto3\"; package p; message A {{ {a} }} enum E {{ Z = 0; }} message B {{ message C {{ {c} }} {b} }}");
        let schema = ProtobufSchema::parse(&text, &[], Strictness::New).expect("parses");
        let canonical = schema.canonical();
        prop_assert_eq!(&parse(&canonical).canonical(), &canonical);
        let normalized = schema.normalized();
        prop_assert_eq!(&parse(&normalized).normalized(), &normalized);
        prop_assert_eq!(&parse(&normalized).canonical(), &normalized);
        prop_assert!(ProtobufSchema::check(&schema, &schema, Direction::Backward).expect("compared").is_empty());
    }

    #[test]
    fn no_text_panics(text in "[a-z{}=;\"\\[\\]().,/*0-9 \n-]{0,60}") {
        let _ = ProtobufSchema::parse(&text, &[], Strictness::New);
        let _ = ProtobufSchema::parse(&format!("syntax = \"proto3\"; message M {{ {text}"), &[], Strictness::New);
    }
}
