//! What a writer's data become in a reader's schema.

use registry_avro::datum::{
    Datum, DatumReader, FieldStep, Problem, ReadPlan, SkipPlan, Step, write_bytes, write_default,
    write_int, write_long, write_string,
};
use registry_avro::{AvroSchema, Strictness};

fn parse(text: &str) -> AvroSchema {
    AvroSchema::parse(text, &[], Strictness::Stored).expect("valid")
}

fn read(writer: &str, reader: &str, bytes: &[u8]) -> Result<Datum, String> {
    let plan = ReadPlan::resolve(&parse(writer), &parse(reader)).map_err(|e| e.to_string())?;
    Datum::read(&plan, bytes).map_err(|e| e.to_string())
}

#[test]
fn numbers_have_javas_bytes() {
    for (value, bytes) in [
        (0, &[0][..]),
        (-1, &[1]),
        (63, &[0x7e]),
        (64, &[0x80, 1]),
        (i64::from(i32::MIN), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        (
            i64::MIN,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ),
    ] {
        let mut out = Vec::new();
        write_long(&mut out, value);
        assert_eq!(out, bytes);
        assert_eq!(DatumReader::new(bytes).read_long(), Ok(value));
        if let Ok(value) = i32::try_from(value) {
            let mut out = Vec::new();
            write_int(&mut out, value);
            assert_eq!(out, bytes);
            assert_eq!(DatumReader::new(bytes).read_int(), Ok(value));
        }
    }
    let six = DatumReader::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]).read_int();
    assert_eq!(
        six.expect_err("too long").problem(),
        &Problem::Varint { expected: "int" }
    );
}

#[test]
fn values_are_promoted() {
    let mut three = Vec::new();
    write_int(&mut three, 3);
    assert_eq!(read("\"int\"", "\"long\"", &three), Ok(Datum::Long(3)));
    assert_eq!(read("\"int\"", "\"float\"", &three), Ok(Datum::Float(3.0)));
    assert_eq!(
        read("\"long\"", "\"double\"", &three),
        Ok(Datum::Double(3.0))
    );
    assert_eq!(
        read("\"float\"", "\"double\"", &1.5f32.to_le_bytes()),
        Ok(Datum::Double(1.5))
    );
    assert_eq!(
        read("\"long\"", "\"int\"", &three),
        Err("the value at byte 0 cannot be read: Found long, expecting int".to_owned())
    );
    let mut text = Vec::new();
    write_string(&mut text, "é");
    assert_eq!(
        read("\"string\"", "\"bytes\"", &text),
        Ok(Datum::Bytes("é".into()))
    );
    assert_eq!(
        read("\"bytes\"", "\"string\"", &text),
        Ok(Datum::String("é".to_owned()))
    );
    let mut bytes = Vec::new();
    write_bytes(&mut bytes, &[0xff]);
    assert_eq!(
        read("\"bytes\"", "\"string\"", &bytes),
        Err("the string at byte 0 is not UTF-8".to_owned())
    );
}

#[test]
fn fields_are_reordered_skipped_renamed_and_filled_in() {
    let writer = r#"{"type":"record","name":"n.Old","fields":[
        {"name":"gone","type":{"type":"map","values":["null",{"type":"fixed","name":"F","size":2}]}},
        {"name":"b","type":"int"},{"name":"a","type":"string"}]}"#;
    let reader = r#"{"type":"record","name":"n.New","aliases":["Old"],"fields":[
        {"name":"a","type":"string"},{"name":"c","type":"long","aliases":["b"]},
        {"name":"d","type":{"type":"record","name":"D","fields":[{"name":"x","type":["int","double"],"default":1.5},{"name":"y","type":"bytes"}]},"default":{"y":"\u00ff"}}]}"#;
    let value = Datum::Record(vec![
        Datum::Map(vec![(
            "k".into(),
            Datum::Union(1, Box::new(Datum::Fixed(vec![1, 2]))),
        )]),
        Datum::Int(7),
        Datum::String("s".into()),
    ]);
    let written = parse(writer);
    let mut bytes = Vec::new();
    value
        .write(&written, written.root(), &mut bytes)
        .expect("a value of the writer");
    assert_eq!(
        read(writer, reader, &bytes),
        Ok(Datum::Record(vec![
            Datum::String("s".into()),
            Datum::Long(7),
            Datum::Record(vec![
                Datum::Union(1, Box::new(Datum::Double(1.5))),
                Datum::Bytes(vec![0xff])
            ]),
        ]))
    );
    let plan = ReadPlan::resolve(&written, &parse(reader)).expect("a plan");
    let Step::Record(record) = plan.step(plan.root()) else {
        panic!("a record")
    };
    assert!(!record.in_order);
    assert!(matches!(
        &*record.fields,
        [
            FieldStep::Skip(_),
            FieldStep::Read { field: 1, .. },
            FieldStep::Read { field: 0, .. }
        ]
    ));
    let (skip, root) = SkipPlan::new(&written, written.root());
    let mut input = DatumReader::new(&bytes);
    skip.skip(root, &mut input).expect("what was written");
    assert_eq!(input.finish(), Ok(()));
}

#[test]
fn a_field_that_is_missing_is_an_error_only_for_data() {
    let reader = r#"[{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]},"null"]"#;
    let writer = r#"["null",{"type":"record","name":"R","fields":[]}]"#;
    assert_eq!(
        read(writer, reader, &[0]),
        Ok(Datum::Union(1, Box::new(Datum::Null)))
    );
    assert_eq!(
        read(writer, reader, &[2]),
        Err(
            "the value at byte 1 cannot be read: Found R, expecting R, missing required field a"
                .to_owned()
        )
    );
}

#[test]
fn branches_are_found_by_kind_and_name_then_by_shape_then_by_promotion() {
    assert_eq!(
        read("\"int\"", r#"["null","double","long"]"#, &[6]),
        Ok(Datum::Union(1, Box::new(Datum::Double(3.0))))
    );
    assert_eq!(
        read(r#"["string","int"]"#, r#"["long","string"]"#, &[2, 6]),
        Ok(Datum::Union(0, Box::new(Datum::Long(3))))
    );
    assert_eq!(
        read(r#"["null","int"]"#, "\"int\"", &[2, 6]),
        Ok(Datum::Int(3))
    );
    assert_eq!(
        read(r#"["null","int"]"#, "\"int\"", &[0]),
        Err("the value at byte 1 cannot be read: Found null, expecting int".to_owned())
    );
    let shaped = r#"[{"type":"record","name":"A","fields":[{"name":"x","type":"string"}]},{"type":"record","name":"B","fields":[{"name":"y","type":"long","default":0}]}]"#;
    let other = r#"{"type":"record","name":"C","fields":[{"name":"y","type":"int"}]}"#;
    assert_eq!(
        read(other, shaped, &[6]),
        Ok(Datum::Union(
            1,
            Box::new(Datum::Record(vec![Datum::Long(3)]))
        ))
    );
}

#[test]
fn symbols_are_found_by_name() {
    let writer = r#"{"type":"enum","name":"E","symbols":["A","B","C"]}"#;
    let reader = r#"{"type":"enum","name":"E","symbols":["C","A"]}"#;
    assert_eq!(read(writer, reader, &[4]), Ok(Datum::Enum(0)));
    assert!(read(writer, reader, &[2]).is_err());
    assert!(read(writer, reader, &[6]).is_err());
    let reader = r#"{"type":"enum","name":"E","symbols":["C","A"],"default":"A"}"#;
    assert_eq!(read(writer, reader, &[2]), Ok(Datum::Enum(1)));
}

#[test]
fn blocks_with_sizes_are_read_and_skipped() {
    // Two blocks: 2 items in 2 bytes, then 1 item.
    let bytes = [3, 4, 2, 4, 2, 6, 0];
    let items = Datum::Array(vec![Datum::Int(1), Datum::Int(2), Datum::Int(3)]);
    let schema = r#"{"type":"array","items":"int"}"#;
    assert_eq!(read(schema, schema, &bytes), Ok(items));
    let (skip, root) = SkipPlan::new(&parse(schema), parse(schema).root());
    let mut input = DatumReader::new(&bytes);
    skip.skip(root, &mut input).expect("blocks");
    assert_eq!(input.remaining(), 0);
}

#[test]
fn a_default_that_does_not_fit_is_no_default() {
    let schema = parse(r#"["int","long"]"#);
    let number =
        |literal| java_idioms::Json::Number(java_idioms::Number::parse(literal).expect("a number"));
    let mut out = Vec::new();
    write_default(&schema, schema.root(), &number("5000000000"), &mut out).expect("a long");
    assert_eq!(out[0], 2);
    assert!(write_default(&schema, schema.root(), &number("1.5"), &mut out).is_err());
    let error = ReadPlan::resolve(
        &parse(r#"{"type":"record","name":"R","fields":[]}"#),
        &parse(
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":null}]}"#,
        ),
    );
    assert_eq!(
        error.expect_err("no default").message,
        "the default of field a of record R cannot be used: the value cannot be written: the default null is no value of type int"
    );
}
