//! Tags in `(confluent.message_meta)` and `(confluent.field_meta)`: listed, added, removed.

use registry_protobuf::{ProtobufSchema, Strictness, TaggedEntity};

fn parse(text: &str) -> ProtobufSchema {
    ProtobufSchema::parse(text, &[], Strictness::New).expect(text)
}

fn message(path: &str, tags: &[&str]) -> TaggedEntity {
    entity(path, false, tags)
}

fn field(path: &str, tags: &[&str]) -> TaggedEntity {
    entity(path, true, tags)
}

fn entity(path: &str, is_field: bool, tags: &[&str]) -> TaggedEntity {
    TaggedEntity {
        path: path.to_owned(),
        is_field,
        tags: tags.iter().map(ToString::to_string).collect(),
    }
}

const ORDERS: &str = r#"syntax = "proto3";
package shop;
message Order {
  option (confluent.message_meta).tags = "SALES";
  int64 id = 1 [(confluent.field_meta).tags = "KEY", (confluent.field_meta).tags = "KEY", (confluent.field_meta).tags = "ID"];
  oneof payer { string card = 2 [(.confluent.field_meta) = { doc: "d" tags: ["PCI", "PII"] }]; Item item = 3; }
  message Item { string name = 1 [(confluent.field_meta).doc = "no tag"]; }
}
"#;

#[test]
fn tags_are_listed_without_the_package_and_oneofs_first() {
    let expected = [
        message("Order", &["SALES"]),
        field("Order.card", &["PCI", "PII"]),
        field("Order.id", &["KEY", "ID"]),
    ];
    assert_eq!(parse(ORDERS).tags(), expected);
    let nothing =
        "syntax = \"proto3\"; message M { option (confluent.message_meta) = { tags: [] }; }";
    assert_eq!(parse(nothing).tags(), []);
}

#[test]
fn tags_are_added_then_removed_and_options_become_maps() {
    let add = [
        message(".Order.Item", &["NEW"]),
        field("Order.payer.card", &["NEW", "PII"]),
        field("Order.id", &["GONE"]),
    ];
    let remove = [
        message("Order", &["SALES"]),
        field(".Order.id", &["GONE", "KEY", "UNKNOWN"]),
    ];
    let changed = parse(ORDERS).with_tags(&add, &remove).expect("changed");
    let expected = r#"syntax = "proto3";
package shop;

message Order {
  int64 id = 1 [(confluent.field_meta) = {
    tags: [
      "ID"
    ]
  }];

  oneof payer {
    string card = 2 [(confluent.field_meta) = {
      doc: "d",
      tags: [
        "PCI",
        "PII",
        "NEW"
      ]
    }];
    Item item = 3;
  }

  message Item {
    option (confluent.message_meta) = {
      tags: [
        "NEW"
      ]
    };
  \u{20}
    string name = 1 [(confluent.field_meta).doc = "no tag"];
  }
}
"#;
    assert_eq!(changed, expected.replace("  \\u{20}", "  "));
    let unchanged = parse(&changed).with_tags(&[], &[]).expect("unchanged");
    assert_eq!(unchanged, changed);
}

#[test]
fn the_other_options_are_put_together_in_the_order_of_a_hash_map() {
    let text = r#"syntax = "proto3";
message M { int32 a = 1 [(x).b = 1, (rep).c = ONE, packed = true, (x).d.e = "s"]; }"#;
    let schema = ProtobufSchema::parse(text, &[], Strictness::Stored).expect("parses");
    let changed = schema
        .with_tags(&[field("M.a", &["T"])], &[])
        .expect("changed");
    let expected = r#"syntax = "proto3";

message M {
  int32 a = 1 [
    (confluent.field_meta) = {
      tags: [
        "T"
      ]
    },
    (x) = {
      b: 1,
      d: {
        e: "s"
      }
    },
    packed = true,
    (rep) = {
      c: ONE
    }
  ];
}
"#;
    assert_eq!(changed, expected);
}

#[test]
fn what_the_original_loses_stays() {
    let text = r#"message M {
  optional string a = 1 [(x) = { quote: "\"", line: "1\n2" }, targets = [ONE, TWO]];
  oneof empty { }
  optional group G = 2 { optional int32 b = 3; }
}"#;
    let schema = ProtobufSchema::parse(text, &[], Strictness::Stored).expect("parses");
    let changed = schema
        .with_tags(&[message("M", &["T"])], &[])
        .expect("changed");
    for kept in [
        "quote: \"\\\"\"",
        "line: \"1\\n2\"",
        "targets = [\n",
        "optional group G = 2 {",
    ] {
        assert!(changed.contains(kept), "{kept} in {changed}");
    }
    // No package is made up, and the oneof without members is gone, as in the original.
    assert!(changed.starts_with("\nmessage M {"), "{changed}");
    assert!(!changed.contains("oneof"), "{changed}");
}

#[test]
fn unknown_paths_are_named() {
    let schema = parse(ORDERS);
    let no_message =
        |name: &str| format!("No matching Message with name '{name}' found in the schema");
    let no_field = |name: &str| format!("No matching Field with name '{name}' found in the schema");
    for (change, expected) in [
        (message("shop.Order", &["T"]), no_message("shop")),
        (message("Order.payer", &["T"]), no_message("payer")),
        (message("..Order", &["T"]), no_message("")),
        (field("Order", &["T"]), no_field("Order")),
        (field("Order.Item.id", &["T"]), no_field("id")),
        (field("Order.nothing.card", &["T"]), no_field("card")),
        (field("Order.Item.a.b", &["T"]), no_field("b")),
        (field("Order.a.b.c", &["T"]), no_message("a")),
    ] {
        let error = schema.with_tags(std::slice::from_ref(&change), &[]);
        assert_eq!(error, Err(expected), "{change:?}");
        assert!(schema.with_tags(&[], &[change]).is_err());
    }
}

#[test]
fn endless_paths_and_many_changes_end() {
    let fields: String = (1..=20_000)
        .map(|i| format!("int32 f{i} = {i}; "))
        .collect();
    let schema = parse(&format!("syntax = \"proto3\"; message M {{ {fields} }}"));
    let add: Vec<TaggedEntity> = (1..=20_000)
        .map(|i| field(&format!("M.f{i}"), &["T"]))
        .collect();
    let started = std::time::Instant::now();
    let changed = schema.with_tags(&add, &[]).expect("changed");
    assert_eq!(parse(&changed).tags().len(), 20_000);
    let error = schema.with_tags(&[field(&"a.".repeat(1_000_000), &["T"])], &[]);
    assert!(error.is_err());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
