//! What recorded cases do not show: references, headers, shared and recursive messages, and input that means harm.

use std::sync::Arc;

use millrace_api::data::{
    Data, Decimal, Headers, Kind, Schema, SchemaBuilder, Struct, Value, logical,
};
use millrace_protobuf_converter::ProtobufConverterPlugin;
use proptest::prelude::*;
use registry_client::memory::ConverterInMemory;
use registry_client::{NewSchema, SchemaType};

type Fixture = ConverterInMemory<ProtobufConverterPlugin>;

fn protobuf(text: &str) -> NewSchema {
    NewSchema {
        schema_type: SchemaType::Protobuf,
        text: text.into(),
        references: Vec::new(),
    }
}

/// A fixture whose topic `t` has this schema under id 1.
fn with_schema(settings: &[(&str, &str)], text: &str) -> Fixture {
    let fixture = Fixture::new(settings, false);
    fixture.registry.add("t-value", &protobuf(text));
    fixture
}

fn payload(body: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 1, 0], body].concat()
}

fn row(fields: &[(&str, Schema, Value)]) -> Data {
    let mut builder = SchemaBuilder::structure().name("a.Row");
    for (name, schema, _) in fields {
        builder = builder.field(*name, schema.clone());
    }
    let schema = builder.build_valid();
    let values: Vec<Value> = fields.iter().map(|field| field.2.clone()).collect();
    Data::new(schema.clone(), Struct::new(schema, values))
}

fn date() -> Schema {
    SchemaBuilder::new(Kind::Int32)
        .name(logical::DATE)
        .version(1)
        .build_valid()
}

#[test]
fn known_files_become_references_when_that_is_wanted() {
    for (strategy, subject) in [
        (
            "DefaultReferenceSubjectNameStrategy",
            "google/type/date.proto",
        ),
        ("QualifiedReferenceSubjectNameStrategy", "google.type.date"),
    ] {
        let class = format!("io.confluent.kafka.serializers.subject.{strategy}");
        let settings = [
            ("skip.known.types", "false"),
            ("reference.subject.name.strategy", class.as_str()),
        ];
        let mut fixture = Fixture::new(&settings, false);
        let data = row(&[("d", date(), Value::Int32(5))]);
        let written = fixture.write(&data).expect("written").expect("not null");
        assert_eq!(written[..6], [0, 0, 0, 0, 2, 0]);
        let registered = fixture.registry.registered();
        assert_eq!(registered[0].subject.as_deref(), Some(subject));
        assert!(registered[0].text.contains("option go_package = "));
        let reference = &registered[1].references[0];
        assert_eq!(
            (&*reference.name, &*reference.subject, reference.version),
            ("google/type/date.proto", subject, 1)
        );
        let read = fixture.read(&written).expect("read");
        assert_eq!(
            read.value.as_struct().and_then(|row| row.get("d")),
            Some(&Value::Int32(5))
        );
    }
    let unknown = [("reference.subject.name.strategy", "x.Y")];
    let error = Fixture::on(Arc::default(), &unknown, false).err();
    assert!(error.is_some_and(|error| {
        error
            .message
            .contains("DefaultReferenceSubjectNameStrategy")
    }));
    let lookup_only = [
        ("skip.known.types", "false"),
        ("reference.lookup.only", "true"),
    ];
    let mut fixture = Fixture::new(&lookup_only, false);
    assert!(
        fixture
            .write(&row(&[("d", date(), Value::Int32(5))]))
            .is_err()
    );
    assert!(fixture.registry.registered().is_empty());
}

#[test]
fn indexes_travel_in_the_header_with_a_guid() {
    let settings = [(
        "value.schema.id.serializer",
        "io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer",
    )];
    let mut fixture = Fixture::new(&settings, false);
    let mut headers = Headers::new();
    let data = Data::new(Schema::string(), "x");
    let written = fixture.encode("t", &mut headers, &data).expect("written");
    assert_eq!(written.as_deref(), Some(&[0x0a, 1, b'x'][..]));
    let header = headers.last("__value_schema_id").expect("a header");
    let Value::Bytes(bytes) = &header.data.value else {
        panic!("{header:?}");
    };
    assert_eq!((bytes[0], &bytes[17..]), (1, &[0x02, 0x0e][..]));
    let read = fixture
        .decode("t", &headers, written.as_deref())
        .expect("read");
    assert_eq!(read.value, "x".into());
}

#[test]
fn a_logical_type_at_the_root_can_be_read_again() {
    let mut fixture = Fixture::new(&[], false);
    let decimal = logical::decimal(2).build_valid();
    for (schema, value, back) in [
        (date(), Value::Int32(-5), Value::Int32(-5)),
        (
            decimal,
            Decimal::new(-256, 2).into(),
            Value::Bytes(vec![0xff, 0].into()),
        ),
    ] {
        let written = fixture.write(&Data::new(schema, value)).expect("written");
        let read = fixture.read(&written.expect("not null")).expect("read");
        assert_eq!(read.value, back);
    }
}

#[test]
fn a_latest_version_with_other_numbers_is_written_with_them() {
    let settings = [
        ("auto.register.schemas", "false"),
        ("use.latest.version", "true"),
        ("latest.compatibility.strict", "false"),
    ];
    let mut fixture = with_schema(
        &settings,
        "syntax = \"proto3\"; package a; message Other {} message Row { In deep = 4; string only_there = 1; repeated int32 n = 9; message In { int32 x = 3; } }",
    );
    let inner = SchemaBuilder::structure()
        .name("In")
        .field("x", Schema::int32())
        .build_valid();
    let list = Value::Array(Arc::new(vec![Value::Int32(1)]));
    let data = row(&[
        ("n", Schema::array(Schema::int32()), list),
        (
            "deep",
            inner.clone(),
            Struct::new(inner, vec![Value::Int32(7)]).into(),
        ),
    ]);
    let written = fixture.write(&data).expect("written").expect("not null");
    assert_eq!(written, [0, 0, 0, 0, 1, 2, 2, 0x22, 2, 0x18, 7, 0x4a, 1, 1]);
    let strict = [settings[0], settings[1]];
    let mut fixture = with_schema(&strict, "syntax = \"proto3\"; package b; message Row {}");
    let error = fixture.write(&data).expect_err("incompatible");
    let cause = error
        .source
        .and_then(|cause| cause.source().map(ToString::to_string));
    assert!(cause.is_some_and(|cause| cause.contains("latest.compatibility.strict=false")));
}

#[test]
fn a_struct_inside_itself_is_written_and_read() {
    let schema = SchemaBuilder::structure()
        .name("a.Node")
        .field("v", Schema::int32())
        .field(
            "next",
            SchemaBuilder::back_reference("a.Node")
                .optional(true)
                .build_valid(),
        )
        .field(
            "all",
            Schema::array(SchemaBuilder::back_reference("a.Node").build_valid()),
        )
        .build_valid();
    let node = |v, next: Value, all: Vec<Value>| -> Value {
        let values = vec![Value::Int32(v), next, Value::Array(Arc::new(all))];
        Struct::new(schema.clone(), values).into()
    };
    let leaf = node(3, Value::Null, Vec::new());
    let value = node(
        1,
        node(2, leaf.clone(), Vec::new()),
        vec![leaf.clone(), leaf],
    );
    let mut fixture = Fixture::new(&[], false);
    let written = fixture
        .write(&Data::new(schema.clone(), value))
        .expect("written")
        .expect("not null");
    let text = &fixture.registry.registered()[0].text;
    assert!(
        text.contains(
            "message Node {\n  int32 v = 1;\n  Node next = 2;\n  repeated Node all = 3;\n}"
        ),
        "{text}"
    );
    let read = fixture.read(&written).expect("read");
    let path = |value: &Value, field: &str| {
        value
            .as_struct()
            .and_then(|s| s.get(field))
            .cloned()
            .expect("a field")
    };
    let deep = path(&path(&read.value, "next"), "next");
    assert_eq!(path(&deep, "v"), Value::Int32(3));
    assert!(
        read.schema.is_some_and(
            |schema| schema.optional() && schema.fields()[1].schema.is_back_reference()
        )
    );
    assert!(matches!(path(&read.value, "all"), Value::Array(all) if all.len() == 2));
    // Deeper than can be read back is refused, not written.
    let mut endless = node(0, Value::Null, Vec::new());
    for _ in 0..2_000 {
        endless = node(0, endless, Vec::new());
    }
    let mut fixture = Fixture::new(&[], false);
    assert!(fixture.write(&Data::new(schema, endless)).is_err());
}

#[test]
fn a_message_used_twice_carries_the_number_of_its_first_use() {
    let mut fixture = with_schema(
        &[],
        "syntax = \"proto3\"; message M { A first = 5; repeated A more = 6; B b = 7; } message A { B b = 1; } message B { A a = 1; }",
    );
    let read = fixture
        .read(&payload(&[0x3a, 4, 0x0a, 2, 0x0a, 0]))
        .expect("read");
    let schema = read.schema.expect("a schema");
    let tag = |schema: &Schema| {
        schema
            .parameter("io.confluent.connect.protobuf.Tag")
            .map(str::to_owned)
    };
    let of = |name: &str| schema.field(name).expect("a field").1.schema.clone();
    let element = of("more").value_schema().expect("an element").clone();
    assert_eq!(
        (tag(&of("first")), tag(&element)),
        (Some("5".into()), Some("5".into()))
    );
    // b.a.b: the message is met inside itself only at the third step.
    let inner = of("b").fields()[0].schema.clone();
    assert!(!inner.is_back_reference() && inner.fields()[0].schema.is_back_reference());
    let at = |value: &Value, name: &str| {
        value
            .as_struct()
            .and_then(|s| s.get(name))
            .cloned()
            .expect("a field")
    };
    let b = at(&read.value, "b");
    let inner_b = at(&at(&b, "a"), "b");
    assert!(
        inner_b
            .as_struct()
            .is_some_and(|inner| *inner.schema() == of("b"))
    );
}

#[test]
fn what_is_split_counts_as_one_and_the_last_member_wins() {
    let mut fixture = with_schema(
        &[],
        "syntax = \"proto3\"; import \"google/type/date.proto\"; message M { In i = 1; oneof o { google.type.Date d = 2; int32 n = 3; In j = 4; } map<string, int32> m = 5; message In { int32 x = 1; int32 y = 2; } }",
    );
    let mut read = |body: &[u8]| fixture.read(&payload(body)).expect("read").value;
    let at = |value: &Value, name: &str| {
        value
            .as_struct()
            .and_then(|s| s.get(name))
            .cloned()
            .expect("a field")
    };
    let split = read(&[0x0a, 2, 8, 1, 0x0a, 2, 16, 2]);
    assert_eq!(
        (at(&at(&split, "i"), "x"), at(&at(&split, "i"), "y")),
        (Value::Int32(1), Value::Int32(2))
    );
    let date = read(&[0x18, 9, 0x12, 3, 8, 0xb2, 15, 0x12, 4, 16, 1, 24, 1]);
    assert_eq!(at(&at(&date, "o_0"), "d"), Value::Int32(0));
    assert_eq!(at(&at(&date, "o_0"), "n"), Value::Null);
    let number = read(&[0x12, 3, 8, 0xb2, 15, 0x18, 9]);
    assert_eq!(at(&at(&number, "o_0"), "n"), Value::Int32(9));
    assert_eq!(at(&at(&number, "o_0"), "d"), Value::Null);
    let map = read(&[0x2a, 5, 0x0a, 1, b'a', 16, 1, 0x2a, 5, 0x0a, 1, b'a', 16, 2]);
    assert!(matches!(at(&map, "m"), Value::Map(m) if *m == [("a".into(), Value::Int32(2))]));
}

#[test]
fn a_member_that_is_replaced_need_not_make_sense() {
    let text = "syntax = \"proto3\"; import \"google/type/date.proto\"; message M { oneof o { google.type.Date d = 1; M m = 2; int32 i = 3; } int32 n = 4; }";
    let mut fixture = with_schema(&[], text);
    // A date of day 0, then a number in the same oneof.
    let read = fixture
        .read(&payload(&[0x0a, 2, 0x10, 2, 0x18, 7]))
        .expect("read");
    let number = |data: &Data, name: &str| {
        let row = data.value.as_struct().expect("a struct").clone();
        match row.get("o_0") {
            Some(Value::Struct(union)) => union.get(name).cloned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(number(&read, "i"), Some(Value::Int32(7)));
    assert_eq!(number(&read, "d"), Some(Value::Null));
    assert!(fixture.read(&payload(&[0x0a, 2, 0x10, 2])).is_err());
    // Its bytes must be those of a message all the same.
    assert!(
        fixture
            .read(&payload(&[0x12, 2, 0x20, 0x80, 0x18, 7]))
            .is_err()
    );
    // A message in two parts with another field between them, out of order.
    let parts = [0x20, 5, 0x12, 2, 0x20, 9, 0x20, 6, 0x12, 2, 0x18, 3];
    let read = fixture.read(&payload(&parts)).expect("read");
    let Some(Value::Struct(inner)) = number(&read, "m") else {
        panic!("{read:?}");
    };
    assert_eq!(inner.get("n"), Some(&Value::Int32(9)));
    let Some(Value::Struct(union)) = inner.get("o_0") else {
        panic!("{inner:?}");
    };
    assert_eq!(union.get("i"), Some(&Value::Int32(3)));
}

#[test]
fn texts_in_maps_are_utf8_in_any_syntax() {
    let text = "message M { map<string, string> m = 1; optional string s = 2; }";
    let mut fixture = with_schema(&[], text);
    assert!(fixture.read(&payload(&[0x12, 1, 0xff])).is_ok());
    assert!(fixture.read(&payload(&[0x0a, 3, 0x0a, 1, b'k'])).is_ok());
    assert!(fixture.read(&payload(&[0x0a, 3, 0x0a, 1, 0xff])).is_err());
    assert!(fixture.read(&payload(&[0x0a, 3, 0x12, 1, 0xff])).is_err());
}

#[test]
fn an_empty_list_of_lists_is_written() {
    let inner = SchemaBuilder::map(Schema::string(), Schema::int64()).build_valid();
    let lists = SchemaBuilder::array(inner).build_valid();
    let list = |values: Vec<Value>| Value::Array(Arc::new(values));
    let mut fixture = Fixture::new(&[], false);
    let written = fixture.write(&row(&[("l", lists.clone(), list(Vec::new()))]));
    assert_eq!(
        written.expect("written").expect("not null"),
        [0, 0, 0, 0, 1, 0]
    );
    let full = list(vec![Value::Map(Arc::default())]);
    assert!(fixture.write(&row(&[("l", lists, full)])).is_err());
}

#[test]
fn defaults_of_a_recursive_message_are_made_where_they_end() {
    let text = "syntax = \"proto3\"; message Tree { repeated Node nodes = 1; int32 v = 2; } message Node { In in = 1; } message In { Tree tree = 1; }";
    let mut fixture = with_schema(&[("generate.struct.for.nulls", "true")], text);
    let read = fixture.read(&payload(&[0x0a, 0])).expect("read");
    let at = |value: &Value, name: &str| value.as_struct().and_then(|s| s.get(name)).cloned();
    let Some(Value::Array(nodes)) = at(&read.value, "nodes") else {
        panic!("{read:?}");
    };
    let inner = at(&nodes[0], "in").expect("a default");
    let tree = at(&inner, "tree").expect("a default");
    assert_eq!(at(&tree, "v"), Some(Value::Int32(0)));
    assert_eq!(at(&tree, "nodes"), Some(Value::Array(Arc::default())));
}

#[test]
fn payloads_and_schemas_that_have_no_end_are_refused() {
    let text = "syntax = \"proto3\"; message M { M m = 1; int32 v = 2; }";
    let mut fixture = with_schema(&[("generate.struct.for.nulls", "true")], text);
    assert!(fixture.read(&payload(&[16, 1])).is_err());
    let mut fixture = with_schema(&[], text);
    let mut deep = vec![16, 1];
    for _ in 0..400 {
        let mut outer = vec![0x0a];
        let mut length = deep.len();
        while length >= 0x80 {
            outer.push(length as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.append(&mut deep);
        deep = outer;
    }
    assert!(fixture.read(&payload(&deep)).is_err());
    // Every message refers to every other one: far more ways than can be laid out.
    let messages: String = (0..30)
        .map(|i| {
            let fields: String = (0..30)
                .map(|j| format!("M{j} f{j} = {}; ", j + 1))
                .collect();
            format!("message M{i} {{ {fields} }}\n")
        })
        .collect();
    let mut fixture = with_schema(&[], &format!("syntax = \"proto3\"; {messages}"));
    assert!(fixture.read(&payload(&[])).is_err());
}

#[test]
fn a_schema_is_refused_before_it_is_registered() {
    let mut fixture = Fixture::new(&[], false);
    let nested = Schema::array(Schema::array(Schema::int32()));
    let tagged = |tag: &str| {
        SchemaBuilder::new(Kind::Int32)
            .parameter("io.confluent.connect.protobuf.Tag", tag)
            .build_valid()
    };
    let int = || Value::Int32(1);
    for data in [
        row(&[("a-b", Schema::int32(), int())]),
        row(&[("a", nested, Value::Array(Arc::default()))]),
        row(&[("a", tagged("1"), int()), ("b", Schema::int32(), int())]),
        row(&[("a", tagged("0"), int())]),
        row(&[("a", tagged("x"), int())]),
        row(&[(
            "a",
            Schema::array(Schema::int32()),
            Value::Array(Arc::new(vec![Value::Null])),
        )]),
        Data::new(Schema::array(Schema::int32()), Value::Array(Arc::default())),
        Data::schemaless(Value::Int32(1)),
    ] {
        assert!(fixture.write(&data).is_err(), "{data:?}");
    }
    assert!(fixture.registry.registered().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn no_payload_panics(body in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut fixture = with_schema(
            &[],
            "syntax = \"proto3\"; import \"google/protobuf/wrappers.proto\"; import \"google/protobuf/timestamp.proto\"; import \"confluent/type/decimal.proto\"; message M { M m = 1; repeated sint64 r = 2; map<string, M> k = 3; oneof o { confluent.type.Decimal d = 4; google.protobuf.StringValue s = 5; } google.protobuf.Timestamp t = 6; E e = 7; bytes b = 8; enum E { Z = 0; } }",
        );
        let _ = fixture.read(&payload(&body));
        let _ = fixture.read(&body);
    }

    #[test]
    fn scalars_come_back(a in any::<i32>(), b in any::<i64>(), c in any::<f64>(), d in any::<bool>(), e in ".{0,20}", f in any::<i16>()) {
        let text: Value = e.as_str().into();
        let unsigned = SchemaBuilder::new(Kind::Int64).parameter("io.confluent.connect.protobuf.Type", "sint64").build_valid();
        let data = row(&[
            ("a", Schema::int32(), Value::Int32(a)),
            ("b", unsigned, Value::Int64(b)),
            ("c", Schema::float64(), Value::Float64(c)),
            ("d", Schema::boolean(), Value::Boolean(d)),
            ("e", Schema::string(), text),
            ("f", Schema::array(Schema::int16()), Value::Array(Arc::new(vec![Value::Int16(f); 3]))),
        ]);
        let mut fixture = Fixture::new(&[], false);
        let written = fixture.write(&data).expect("written").expect("not null");
        let read = fixture.read(&written).expect("read");
        let values = |data: &Data| data.value.as_struct().map(|s| s.values().to_vec());
        prop_assert_eq!(values(&read), values(&data));
    }
}
