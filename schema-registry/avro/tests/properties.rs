//! Properties of random schemas, pairs and data, and the agreement with another implementation where that is right.

use std::sync::Arc;

use apache_avro::types::Value;
use proptest::prelude::*;
use registry_avro::datum::{Datum, ReadPlan};
use registry_avro::generate::Generator;
use registry_avro::{AvroSchema, Direction, Kind, Strictness, TypeId};

fn parse(text: &str) -> AvroSchema {
    AvroSchema::parse(text, &[], Strictness::New).unwrap_or_else(|error| panic!("{error}: {text}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn canonical_text_is_a_fix_point(seed: u64) {
        let schema = parse(&Generator::new(seed).schema());
        let canonical = schema.canonical();
        let again = parse(&canonical);
        prop_assert_eq!(again.canonical(), canonical.as_str());
        prop_assert!(schema.is_equivalent(&again));
        prop_assert_eq!(again.parsing_form(), schema.parsing_form());
        let stored = AvroSchema::parse(&canonical, &[], Strictness::Stored).expect("looser");
        prop_assert_eq!(stored.canonical(), canonical);
    }

    #[test]
    fn normalized_text_is_a_fix_point_and_means_the_same(seed: u64) {
        let schema = parse(&Generator::new(seed).schema());
        let normalized = parse(&schema.normalized());
        prop_assert_eq!(normalized.normalized(), normalized.canonical());
    }

    #[test]
    fn a_schema_reads_itself(seed: u64) {
        let schema = parse(&Generator::new(seed).schema());
        for direction in [Direction::Backward, Direction::Forward] {
            match AvroSchema::check(&schema, &schema, direction) {
                Ok(found) => prop_assert!(found.is_empty(), "{:?}", found),
                // An alias that is another field's name.
                Err(error) => prop_assert!(error.contains("matches multiple fields"), "{}", error),
            }
        }
    }

    #[test]
    fn damaged_texts_get_a_verdict(seed: u64) {
        let text = Generator::new(seed).damaged();
        for strictness in [Strictness::New, Strictness::Stored] {
            match AvroSchema::parse(&text, &[], strictness) {
                Ok(schema) => {
                    let canonical = schema.canonical();
                    let again = AvroSchema::parse(&canonical, &[], Strictness::Stored);
                    prop_assert_eq!(again.expect("its own text").canonical(), canonical);
                }
                Err(error) => prop_assert!(!error.message.is_empty()),
            }
        }
    }

    #[test]
    fn what_is_written_is_read(seed: u64) {
        let mut random = Generator::new(seed);
        let schema = parse(&random.schema());
        let Some(datum) = random.datum(&schema, schema.root()) else { return Ok(()) };
        let mut bytes = Vec::new();
        datum.write(&schema, schema.root(), &mut bytes).expect("a value of the schema");
        let plan = ReadPlan::new(&schema).expect("a plan");
        prop_assert!(plan.min_size(plan.root()) <= bytes.len());
        prop_assert_eq!(&Datum::read(&plan, &bytes).expect("what was written"), &datum);
        for end in 0..bytes.len() {
            prop_assert!(Datum::read(&plan, &bytes[..end]).is_err(), "cut at {}", end);
        }
        bytes.push(0);
        prop_assert!(Datum::read(&plan, &bytes).is_err());
    }

    /// The checker's word counts: what it finds compatible can be read, whatever the data. It and the reader differ in aliases of types and in namespaces, so schemas with these are left out.
    #[test]
    fn compatible_data_is_readable(seed: u64) {
        let mut random = Generator::new(seed);
        let pair = random.pair();
        let (reader, writer) = (parse(&pair.reader), parse(&pair.writer));
        let renamed = pair.reader.contains("aliases") || pair.reader.contains("namespace") || pair.reader.contains("\"a.");
        let compatible = matches!(AvroSchema::check(&reader, &writer, Direction::Backward), Ok(found) if found.is_empty());
        if renamed || !compatible {
            return Ok(());
        }
        let plan = ReadPlan::resolve(&writer, &reader).expect("a plan");
        let Some(datum) = random.datum(&writer, writer.root()) else { return Ok(()) };
        let mut bytes = Vec::new();
        datum.write(&writer, writer.root(), &mut bytes).expect("a value of the writer");
        match Datum::read(&plan, &bytes) {
            Ok(read) => {
                let mut again = Vec::new();
                read.write(&reader, reader.root(), &mut again).expect("a value of the reader");
            }
            // Bytes become a string only if they are one.
            Err(error) => prop_assert!(error.to_string().contains("UTF-8"), "{}\n{}\n{}", error, pair.reader, pair.writer),
        }
    }

    #[test]
    fn rubbish_is_no_panic(seed: u64, bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let pair = Generator::new(seed).pair();
        let (reader, writer) = (parse(&pair.reader), parse(&pair.writer));
        if let Ok(plan) = ReadPlan::resolve(&writer, &reader) {
            let _ = Datum::read(&plan, &bytes);
        }
    }

    /// `apache-avro` writes what we read and reads what we write. It refuses some schemas that Java accepts, so only those that it parses are compared.
    #[test]
    fn the_other_implementation_agrees(seed: u64) {
        let mut random = Generator::new(seed);
        let schema = parse(&random.schema());
        let canonical = schema.resolved();
        let Ok(theirs) = apache_avro::Schema::parse_str(&canonical) else { return Ok(()) };
        if canonical.contains("logicalType") || canonical.contains("\"\"") {
            return Ok(());
        }
        let Some(datum) = random.datum(&schema, schema.root()) else { return Ok(()) };
        let mut ours = Vec::new();
        datum.write(&schema, schema.root(), &mut ours).expect("a value of the schema");
        let Ok(read) = apache_avro::reader::datum::GenericDatumReader::builder(&theirs).build() else { return Ok(()) };
        let value = read.read_value(&mut ours.as_slice()).expect("what we wrote");
        prop_assert!(same(&schema, schema.root(), &datum, &value), "{:?}\n{:?}\n{}", datum, value, canonical);
        let Ok(writer) = apache_avro::writer::datum::GenericDatumWriter::builder(&theirs).build() else { return Ok(()) };
        let Ok(written) = writer.write_value_to_vec(value) else { return Ok(()) };
        let plan = ReadPlan::new(&schema).expect("a plan");
        prop_assert!(equal(&Datum::read(&plan, &written).expect("what they wrote"), &datum));
    }
}

/// Entries of maps come in any order.
fn equal(a: &Datum, b: &Datum) -> bool {
    match (a, b) {
        (Datum::Map(a), Datum::Map(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.iter().any(|(k, v)| k == key && equal(v, value)))
        }
        (Datum::Array(a), Datum::Array(b)) | (Datum::Record(a), Datum::Record(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Datum::Union(i, a), Datum::Union(j, b)) => i == j && equal(a, b),
        (a, b) => a == b,
    }
}

fn same(schema: &AvroSchema, of: TypeId, ours: &Datum, theirs: &Value) -> bool {
    match (ours, theirs, &schema.get(of).kind) {
        (Datum::Null, Value::Null, _) => true,
        (Datum::Boolean(a), Value::Boolean(b), _) => a == b,
        (Datum::Int(a), Value::Int(b), _) => a == b,
        (Datum::Long(a), Value::Long(b), _) => a == b,
        (Datum::Float(a), Value::Float(b), _) => a == b,
        (Datum::Double(a), Value::Double(b), _) => a == b,
        (Datum::Bytes(a), Value::Bytes(b), _) => a == b,
        (Datum::String(a), Value::String(b), _) => a == b,
        (Datum::Fixed(a), Value::Fixed(_, b), _) => a == b,
        (Datum::Enum(a), Value::Enum(b, _), _) => *a == *b as usize,
        (Datum::Array(a), Value::Array(b), Kind::Array(item)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(schema, *item, a, b))
        }
        (Datum::Map(a), Value::Map(b), Kind::Map(inner)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|b| same(schema, *inner, value, b)))
        }
        (Datum::Union(i, a), Value::Union(j, b), Kind::Union(branches)) => {
            *i == *j as usize && same(schema, branches[*i], a, b)
        }
        (Datum::Record(a), Value::Record(b), Kind::Record(record)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .zip(&record.fields)
                    .all(|((a, (_, b)), field)| same(schema, field.schema, a, b))
        }
        _ => false,
    }
}

#[test]
fn the_generator_repeats_itself() {
    let texts = |seed| {
        let mut random = Generator::new(seed);
        let pair = random.pair();
        (random.schema(), pair.reader, pair.writer, random.damaged())
    };
    assert_eq!(texts(7), texts(7));
    assert_ne!(texts(7), texts(8));
}

#[test]
fn references_are_mentioned_and_written_out() {
    let leaf: Arc<str> = r#"{"type":"record","name":"n.Leaf","fields":[{"name":"inner","type":{"type":"fixed","name":"F","size":2}}]}"#.into();
    let text = r#"{"type":"record","name":"n.R","fields":[{"name":"a","type":"n.Leaf"},{"name":"b","type":"F"}]}"#;
    let schema =
        AvroSchema::parse(text, std::slice::from_ref(&leaf), Strictness::New).expect("valid");
    assert_eq!(
        schema.canonical(),
        r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":"Leaf"},{"name":"b","type":{"type":"fixed","name":"F","size":2}}]}"#
    );
    assert_eq!(
        schema.resolved(),
        r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":{"type":"record","name":"Leaf","fields":[{"name":"inner","type":{"type":"fixed","name":"F","size":2}}]}},{"name":"b","type":"F"}]}"#
    );
    assert_eq!(
        AvroSchema::parse(text, &[], Strictness::New)
            .expect_err("unknown")
            .message,
        "Undefined schema: n.Leaf"
    );
}
