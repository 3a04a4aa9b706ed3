//! Payloads and schemas that ask for more than there is: an answer, soon, in little memory and on a small stack.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_api::data::{Data, Schema, SchemaBuilder, Struct, Value};
use millrace_api::plugin::DataError;
use millrace_avro_converter::AvroConverterPlugin;
use registry_client::memory::{ConverterInMemory, MemoryRegistry};
use registry_client::{NewSchema, SchemaType};

type Fixture = ConverterInMemory<AvroConverterPlugin>;

/// Runs `work` on a stack as small as a worker's and gives it a second.
fn within_limits(work: impl FnOnce() + Send + 'static) {
    let started = Instant::now();
    let thread = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(work)
        .expect("a thread");
    thread.join().expect("no panic");
    // Builds for tests are not optimized.
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

fn reading(schema: &str) -> Fixture {
    let registry = Arc::<MemoryRegistry>::default();
    let schema = NewSchema {
        schema_type: SchemaType::Avro,
        text: schema.into(),
        references: Vec::new(),
    };
    registry.add("t-value", &schema);
    Fixture::on(registry, &[], false).expect("a converter")
}

/// An error with its causes.
fn chain(error: &DataError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

const ANYTHING: &str = "io.confluent.connect.avro.Anything";

#[test]
fn values_nest_to_a_bound() {
    within_limits(|| {
        let mut fixture = reading(
            r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#,
        );
        let list = |length: usize| {
            let mut payload = vec![0, 0, 0, 0, 1];
            payload.extend(std::iter::repeat_n(2, length));
            payload.push(0);
            payload
        };
        let read = fixture.read(&list(400)).expect("read");
        // What was read can be written again: its schema mentions itself.
        let written = fixture.write(&read).expect("written").expect("not null");
        assert_eq!(written[5..], list(400)[5..]);
        assert!(fixture.read(&list(10_000)).is_err());

        let mut value = Value::Int32(1);
        for _ in 0..400 {
            value = Value::Array(Arc::new(vec![value]));
        }
        let mut fixture = Fixture::new(&[], false);
        let data = Data::schemaless(value.clone());
        let written = fixture.write(&data).expect("written").expect("not null");
        assert_eq!(fixture.read(&written).expect("read"), data);
        for _ in 0..200 {
            value = Value::Array(Arc::new(vec![value]));
        }
        let error = fixture
            .write(&Data::schemaless(value))
            .expect_err("too deep");
        assert!(error.message.contains("500 levels"), "{error}");
        assert_eq!(
            fixture.registry.registered()[0].text.find(ANYTHING),
            None,
            "the name is split"
        );
    });
}

#[test]
fn counts_are_only_claims() {
    within_limits(|| {
        let many = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
        for (schema, body) in [
            (r#"{"type":"array","items":"long"}"#, &many[..]),
            (r#"{"type":"array","items":"null"}"#, &many),
            (
                r#"{"type":"array","items":{"type":"record","name":"E","fields":[]}}"#,
                &many,
            ),
            (r#"{"type":"map","values":"int"}"#, &many),
            (r#""string""#, &many),
            (
                r#""string""#,
                &[0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            ),
            (r#""long""#, &[0xff; 11]),
            (r#"["null","int"]"#, &[4]),
            (r#"{"type":"enum","name":"E","symbols":["A"]}"#, &[2]),
            (r#"{"type":"fixed","name":"F","size":2000000000}"#, &[1, 2]),
            (r#""int""#, &[]),
        ] {
            let mut fixture = reading(schema);
            let mut payload = vec![0, 0, 0, 0, 1];
            payload.extend(body);
            assert!(fixture.read(&payload).is_err(), "{schema}");
        }
    });
}

#[test]
fn schemas_that_unfold_without_end_are_refused() {
    within_limits(|| {
        // A record in itself, of which no value ends.
        let mut fixture =
            reading(r#"{"type":"record","name":"A","fields":[{"name":"a","type":"A"}]}"#);
        let error = fixture.read(&[0, 0, 0, 0, 1]).expect_err("no value ends");
        assert!(error.message.contains("record A"), "{error}");

        // Each record has the next one twice: 2^40 uses in 40 lines.
        let mut text = String::from(r#""int""#);
        for at in 0..40 {
            text = format!(
                r#"{{"type":"record","name":"R{at}","fields":[{{"name":"a","type":{text}}},{{"name":"b","type":["null","{}"]}}]}}"#,
                if at == 0 {
                    "int".to_owned()
                } else {
                    format!("R{}", at - 1)
                }
            );
        }
        let mut fixture = reading(&text);
        let mut payload = vec![0, 0, 0, 0, 1];
        payload.extend([0; 64]);
        let read = fixture
            .read(&payload)
            .expect("each record is translated once");
        assert!(read.value.as_struct().is_some());

        // Each record has all others as optional fields: no record is complete before all are.
        let records = 12;
        let fields = |of: usize, known: &mut Vec<usize>| -> String { complete(of, records, known) };
        let text = fields(0, &mut Vec::new());
        let mut fixture = reading(&text);
        let mut payload = vec![0, 0, 0, 0, 1];
        payload.extend([0; 64]);
        let error = fixture.read(&payload).expect_err("too large");
        assert!(error.message.contains("types"), "{error}");
    });
}

/// A record with an optional field for each of `count` records, each written out where it is first met.
fn complete(of: usize, count: usize, known: &mut Vec<usize>) -> String {
    known.push(of);
    let mut fields = Vec::new();
    for other in 0..count {
        let reference = if known.contains(&other) {
            format!(r#""C{other}""#)
        } else {
            complete(other, count, known)
        };
        fields.push(format!(
            r#"{{"name":"f{other}","type":["null",{reference}]}}"#
        ));
    }
    format!(
        r#"{{"type":"record","name":"C{of}","fields":[{}]}}"#,
        fields.join(",")
    )
}

#[test]
fn deep_schemas_are_refused() {
    within_limits(|| {
        let mut schema = Schema::int32();
        for _ in 0..10_000 {
            schema = Schema::array(schema);
        }
        let data = Data::new(schema.clone(), Value::Array(Arc::default()));
        let mut fixture = Fixture::new(&[], false);
        let error = fixture.write(&data).expect_err("too deep");
        assert!(error.message.contains("levels deep"), "{error}");
        // Dropping it level by level is no matter of this crate.
        std::mem::forget((schema, data));

        let entry = r#"{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","fields":[{"name":"key","type":"int"},{"name":"value","type":{"type":"array","items":"MapEntry"}}]}"#;
        let arrays = |levels: usize| {
            let open = r#"{"type":"array","items":"#.repeat(levels);
            format!(r#"{open}"int"{}"#, "}".repeat(levels))
        };
        for schema in [
            format!(r#"{{"type":"array","items":{entry}}}"#),
            arrays(900),
        ] {
            let error = reading(&schema).read(&[0, 0, 0, 0, 1, 0]);
            let error = error.expect_err("too deep");
            assert!(error.message.contains("levels deep"), "{error}");
        }
        assert!(reading(&arrays(190)).read(&[0, 0, 0, 0, 1, 0]).is_ok());

        let mut schema = Schema::int32();
        let mut value = Value::Int32(1);
        for at in 0..150 {
            schema = SchemaBuilder::structure()
                .name(format!("s.S{at}"))
                .field("f", schema)
                .build_valid();
            value = Struct::new(schema.clone(), vec![value]).into();
        }
        let data = Data::new(schema, value);
        let written = fixture.encode("deep", &mut Default::default(), &data);
        let written = written.expect("written").expect("not null");
        let read = fixture.decode("deep", &Default::default(), Some(&written));
        assert!(read.is_ok());
    });
}

#[test]
fn of_a_key_given_twice_the_last_value_counts() {
    let mut fixture = reading(r#"{"type":"map","values":"int"}"#);
    let payload = [0, 0, 0, 0, 1, 6, 2, b'a', 2, 2, b'b', 4, 2, b'a', 6, 0];
    let read = fixture.read(&payload).expect("read");
    let expected = vec![("a".into(), Value::Int32(3)), ("b".into(), Value::Int32(2))];
    assert_eq!(read.value, Value::Map(Arc::new(expected)));
}

#[test]
fn a_payload_cut_anywhere_is_refused_with_its_topic_and_id() {
    within_limits(|| {
        let mut fixture = reading(
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":["null",{"type":"array","items":"double"}]},{"name":"c","type":{"type":"map","values":"bytes"}},{"name":"d","type":{"type":"fixed","name":"F","size":3}}]}"#,
        );
        let mut payload = vec![0, 0, 0, 0, 1, 4, b'x', b'y', 2];
        // A block that says its size.
        payload.extend([1, 16]);
        payload.extend(1.5f64.to_le_bytes());
        payload.extend([0, 2, 2, b'k', 2, 9, 0, 1, 2, 3]);
        assert!(fixture.read(&payload).is_ok());
        for length in 0..payload.len() {
            let error = fixture.read(&payload[..length]).expect_err("cut");
            let chain = chain(&error);
            assert!(chain.contains("for topic t "), "{length}: {chain}");
            if length >= 5 {
                assert!(chain.contains("id=1"), "{length}: {chain}");
            }
        }
        payload[0] = 2;
        let error = fixture.read(&payload).expect_err("magic byte");
        assert!(chain(&error).contains("Unknown magic byte!"));
    });
}

#[test]
fn a_decimal_of_no_bytes_is_no_number() {
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#;
    let record = format!(
        r#"{{"type":"record","name":"R","fields":[{{"name":"d","type":{decimal},"default":""}}]}}"#
    );
    for (schema, body) in [(decimal, &[][..]), (&record, &[0])] {
        let mut fixture = reading(schema);
        let mut payload = vec![0, 0, 0, 0, 1];
        payload.extend(body);
        let error = fixture.read(&payload).expect_err("malformed");
        let chain = chain(&error);
        assert!(chain.contains("has no bytes"), "{chain}");
    }
    // The default that is none is left out, and values are read.
    let read = reading(&record).read(&[0, 0, 0, 0, 1, 2, 5]).expect("read");
    let schema = read.schema.expect("a schema");
    assert_eq!(schema.fields()[0].schema.default(), None);
}
