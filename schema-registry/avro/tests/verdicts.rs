//! Texts and what Java says of them. Every message here was given by Java's library, release 1.12.1.

use registry_avro::{AvroSchema, Direction, Strictness};

fn message(text: &str, strictness: Strictness) -> Option<String> {
    AvroSchema::parse(text, &[], strictness)
        .err()
        .map(|error| error.message)
}

#[test]
fn bad_texts_get_javas_messages() {
    for (text, expected) in [
        ("", "Cannot parse <null> schema"),
        ("12", "Schema not yet supported: 12"),
        ("null", "Schema not yet supported: null"),
        ("{}", "No type: {}"),
        (
            r#"{"type":{"type":"string"}}"#,
            r#"No type: {"type":{"type":"string"}}"#,
        ),
        (
            r#""Foo""#,
            "Unknown schema: org.apache.avro.compiler.UnresolvedSchema_0",
        ),
        (r#"["null","Foo"]"#, "Undefined schema: Foo"),
        (r#""string" x"#, "dangling content after end of schema: x"),
        (
            r#"{"type":"record","fields":[]}"#,
            r#"No name in schema: {"type":"record","fields":[]}"#,
        ),
        (
            r#"{"type":"record","name":"R"}"#,
            r#"Record has no fields: {"type":"record","name":"R"}"#,
        ),
        (
            r#"{"type":"record","name":"a-b","fields":[]}"#,
            "Illegal character in: a-b",
        ),
        (
            r#"{"type":"record","name":"R","namespace":"a-b","fields":[]}"#,
            r#"Namespace part "a-b" is invalid: Illegal character in: a-b"#,
        ),
        (
            r#"{"type":"record","name":"int","fields":[]}"#,
            "Schemas may not be named after primitives: int",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
            "Duplicate field a in record R: a type:INT pos:1 and a type:INT pos:0.",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#,
            r#"No field type: {"name":"a"}"#,
        ),
        (
            r#"{"type":"record","name":"R","fields":["a"]}"#,
            r#"No field name: "a""#,
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":null}]}"#,
            r#"Invalid default for field a: null not a "int""#,
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":2147483648}]}"#,
            r#"Invalid default for field a: 2147483648 not a "int""#,
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","order":"up"}]}"#,
            "No enum constant org.apache.avro.Schema.Field.Order.UP",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"R","default":{}}]}"#,
            "Schema fields not set yet",
        ),
        (
            r#"{"type":"record","name":"R","fields":[],"x":12345678901234567890}"#,
            "Can't set a property to null: x",
        ),
        (
            r#"[{"type":"fixed","name":"F","size":1},{"type":"fixed","name":"n.F","size":2},{"type":"fixed","name":"F","size":2}]"#,
            "Can't redefine: F",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A","A"]}"#,
            "Duplicate enum symbol: A",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A"],"default":"Q"}"#,
            "The Enum Default: Q is not in the enum symbol set: [A]",
        ),
        (
            r#"{"type":"fixed","name":"F","size":"1"}"#,
            r#"Invalid or no size: {"type":"fixed","name":"F","size":"1"}"#,
        ),
        (
            r#"{"type":"fixed","name":"F","size":-1}"#,
            "Malformed data. Length is negative: -1",
        ),
        (r#"["int","int"]"#, "Duplicate in union:int"),
        (r#"["int",["null"]]"#, r#"Nested union: ["int",["null"]]"#),
        (
            r#"{"type":"array"}"#,
            r#"Array has no items type: {"type":"array"}"#,
        ),
        (
            r#"{"type":"record","name":"R","fields":[],"aliases":"x"}"#,
            r#"aliases not an array: {"type":"record","name":"R","fields":[],"aliases":"x"}"#,
        ),
    ] {
        assert_eq!(
            message(text, Strictness::New).as_deref(),
            Some(expected),
            "{text}"
        );
    }
}

#[test]
fn stored_texts_are_read_more_loosely() {
    for text in [
        r#"{"type":"record","name":"R","namespace":"a-b","fields":[{"name":"a","type":"int","default":null}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"R","default":{}}]}"#,
        r#"{"type":"record","name":"é","fields":[]}"#,
    ] {
        assert!(message(text, Strictness::New).is_some(), "{text}");
        assert_eq!(message(text, Strictness::Stored), None, "{text}");
    }
    let bad = r#"{"type":"record","name":"R","fields":[{"name":"a b","type":"int"}]}"#;
    assert_eq!(
        message(bad, Strictness::Stored).as_deref(),
        Some("Illegal character in: a b")
    );
}

#[test]
fn a_syntax_error_names_its_class() {
    let error = AvroSchema::parse("{bad", &[], Strictness::New).expect_err("no JSON");
    assert!(
        error
            .to_string()
            .starts_with("com.fasterxml.jackson.core.JsonParseException: ")
    );
    let error = AvroSchema::parse("{", &[], Strictness::New).expect_err("no JSON");
    assert!(
        error
            .to_string()
            .starts_with("com.fasterxml.jackson.core.io.JsonEOFException: ")
    );
}

#[test]
fn canonical_and_normalized_texts() {
    for (text, canonical, normalized) in [
        (r#"{"type":"string"}"#, r#""string""#, None),
        (
            r#"/* a */ {"type":"int","b":1e3,"a":{"z":1,"y":-0}}"#,
            r#"{"type":"int","b":1000.0,"a":{"z":1,"y":0}}"#,
            Some(r#"{"type":"int","a":{"y":0,"z":1},"b":1000.0}"#),
        ),
        (
            r#"{"type":"error","name":"a.b.E","doc":"","fields":[{"name":"x","type":"float","default":1,"order":"ascending","doc":""}],"aliases":["O","c.P"],"p":1}"#,
            r#"{"type":"error","name":"E","namespace":"a.b","doc":"","fields":[{"name":"x","type":"float","doc":"","default":1}],"p":1,"aliases":["O","c.P"]}"#,
            Some(
                r#"{"type":"record","name":"E","namespace":"a.b","fields":[{"name":"x","type":"float","doc":"","default":1.0}],"p":1,"aliases":["O","c.P"]}"#,
            ),
        ),
        (
            r#"{"type":"record","name":"n.R","fields":[{"name":"f","type":{"type":"fixed","name":"F","namespace":"","size":1}},{"name":"g","type":"F"}]}"#,
            r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"f","type":{"type":"fixed","name":"F","namespace":"","size":1}},{"name":"g","type":"F"}]}"#,
            Some(
                r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"f","type":{"type":"fixed","name":"F","size":1}},{"name":"g","type":"F"}]}"#,
            ),
        ),
        (
            r#"{"type":"bytes","scale":2,"x":1,"precision":4,"logicalType":"decimal"}"#,
            r#"{"type":"bytes","scale":2,"x":1,"precision":4,"logicalType":"decimal"}"#,
            Some(r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2,"x":1}"#),
        ),
        (
            r#"{"type":"array","items":{"type":"record","name":"E","fields":[{"name":"key","type":"string"},{"name":"value","type":"int"}]},"a":1,"logicalType":"map"}"#,
            r#"{"type":"array","items":{"type":"record","name":"E","fields":[{"name":"key","type":"string"},{"name":"value","type":"int"}]},"logicalType":"map","a":1}"#,
            None,
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","int"],"default":1},{"name":"m","type":{"type":"map","values":"double"},"default":{"b":1,"a":2}}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","int"],"default":1},{"name":"m","type":{"type":"map","values":"double"},"default":{"b":1,"a":2}}]}"#,
            Some(
                r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","int"]},{"name":"m","type":{"type":"map","values":"double"},"default":{"a":2.0,"b":1.0}}]}"#,
            ),
        ),
    ] {
        let schema = AvroSchema::parse(text, &[], Strictness::New).expect("valid");
        assert_eq!(schema.canonical(), canonical);
        assert_eq!(schema.normalized(), normalized.unwrap_or(canonical));
    }
}

#[test]
fn custom_properties_come_in_any_order() {
    let parse = |text| AvroSchema::parse(text, &[], Strictness::New).expect("valid");
    let one = parse(
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","p":1,"q":2}],"p":1,"q":{"a":1,"b":2}}"#,
    );
    let other = parse(
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","q":2,"p":1}],"q":{"b":2,"a":1},"p":1}"#,
    );
    assert!(one.is_equivalent(&other));
    let doc = parse(
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","p":1,"q":2,"doc":""}],"p":1,"q":{"a":1,"b":2}}"#,
    );
    assert!(!one.is_equivalent(&doc));
}

/// Reader, writer, and what is found: the kind, the place and the additional text.
#[test]
fn incompatibilities() {
    type Case = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str, &'static str)],
    );
    let cases: &[Case] = &[
        (r#""string""#, r#""bytes""#, &[]),
        (
            r#""int""#,
            r#""long""#,
            &[(
                "TYPE_MISMATCH",
                "/",
                "reader type: INT not compatible with writer type: LONG",
            )],
        ),
        (r#"["null","long"]"#, r#""int""#, &[]),
        (
            r#"["null","string"]"#,
            r#""int""#,
            &[(
                "MISSING_UNION_BRANCH",
                "/",
                "reader union lacking writer type: INT",
            )],
        ),
        (
            r#""string""#,
            r#"["null","string"]"#,
            &[(
                "TYPE_MISMATCH",
                "/0",
                "reader type: STRING not compatible with writer type: NULL",
            )],
        ),
        (
            r#"["null","string"]"#,
            r#"["null","string","int"]"#,
            &[(
                "MISSING_UNION_BRANCH",
                "/2",
                "reader union lacking writer type: INT",
            )],
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A"]}"#,
            r#"{"type":"enum","name":"F","symbols":["C","A","B"]}"#,
            &[
                ("NAME_MISMATCH", "/name", "expected: F"),
                ("MISSING_ENUM_SYMBOLS", "/symbols", "[B, C]"),
            ],
        ),
        (
            r#"{"type":"fixed","name":"F","size":2}"#,
            r#"{"type":"fixed","name":"n.F","size":3}"#,
            &[("FIXED_SIZE_MISMATCH", "/size", "expected: 3, found: 2")],
        ),
        // An alias is a full name; without a dot it is in the reader's namespace.
        (
            r#"{"type":"fixed","name":"n.G","size":2,"aliases":["F"]}"#,
            r#"{"type":"fixed","name":"n.F","size":2}"#,
            &[],
        ),
        (
            r#"{"type":"fixed","name":"n.G","size":2,"aliases":[".F"]}"#,
            r#"{"type":"fixed","name":"F","size":2}"#,
            &[("NAME_MISMATCH", "/name", "expected: F")],
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"e","type":{"type":"enum","name":"E","symbols":["A"],"default":"A"}},{"name":"b","type":"int","default":1}]}"#,
            r#"{"type":"record","name":"R","fields":[]}"#,
            &[
                ("READER_FIELD_MISSING_DEFAULT_VALUE", "/fields/0", "a"),
                (
                    "TYPE_MISMATCH",
                    "/fields/1/type",
                    "reader type: ENUM not compatible with writer type: RECORD",
                ),
            ],
        ),
        // A record that is met again repeats what was found, at the first place.
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":{"type":"record","name":"S","fields":[{"name":"x","type":"int"}]}}},{"name":"b","type":"S"}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":{"type":"record","name":"S","fields":[{"name":"x","type":"string"}]}}},{"name":"b","type":"S"}]}"#,
            &[
                (
                    "TYPE_MISMATCH",
                    "/fields/0/type/items/fields/0/type",
                    "reader type: INT not compatible with writer type: STRING",
                ),
                (
                    "TYPE_MISMATCH",
                    "/fields/0/type/items/fields/0/type",
                    "reader type: INT not compatible with writer type: STRING",
                ),
            ],
        ),
        // Within a branch of a union places begin anew; met again outside, they stay that way.
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null",{"type":"record","name":"S","fields":[{"name":"x","type":"int"}]}]},{"name":"b","type":"S"}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null",{"type":"record","name":"S","fields":[{"name":"x","type":"string"}]}]},{"name":"b","type":"S"}]}"#,
            &[
                (
                    "MISSING_UNION_BRANCH",
                    "/fields/0/type/1",
                    "reader union lacking writer type: RECORD",
                ),
                (
                    "TYPE_MISMATCH",
                    "/fields/0/type",
                    "reader type: INT not compatible with writer type: STRING",
                ),
            ],
        ),
    ];
    for (reader, writer, expected) in cases {
        let parse = |text| AvroSchema::parse(text, &[], Strictness::New).expect("valid");
        let found = AvroSchema::check(&parse(reader), &parse(writer), Direction::Backward)
            .expect("comparable");
        assert_eq!(found.len(), expected.len(), "{reader} {writer} {found:?}");
        for (found, (kind, path, info)) in found.iter().zip(*expected) {
            assert_eq!(
                (found.kind, found.path.as_str()),
                (*kind, *path),
                "{reader} {writer}"
            );
            assert!(
                found
                    .message
                    .ends_with(&format!(", additionalInfo:'{info}'}}")),
                "{}",
                found.message
            );
            assert!(
                found
                    .message
                    .starts_with(&format!("{{errorType:'{kind}', description:'The "))
            );
        }
    }
}

#[test]
fn the_texts_say_which_schema_is_new() {
    let parse = |text| AvroSchema::parse(text, &[], Strictness::New).expect("valid");
    let (reader, writer) = (
        parse(r#"{"type":"record","name":"R","fields":[{"name":"f2","type":"int"}]}"#),
        parse(r#"{"type":"record","name":"R","fields":[]}"#),
    );
    let text = |direction| {
        AvroSchema::check(&reader, &writer, direction)
            .expect("comparable")
            .remove(0)
            .message
    };
    assert_eq!(
        text(Direction::Backward),
        "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'f2' at path '/fields/0' in the new schema has no default value and is missing in the old schema', additionalInfo:'f2'}"
    );
    assert_eq!(
        text(Direction::Forward),
        "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'f2' at path '/fields/0' in the old schema has no default value and is missing in the new schema', additionalInfo:'f2'}"
    );
}

#[test]
fn an_ambiguous_alias_is_javas_exception() {
    let parse = |text| AvroSchema::parse(text, &[], Strictness::New).expect("valid");
    let reader = parse(
        r#"{"type":"record","name":"R","fields":[{"name":"y","type":"int","aliases":["x"]}]}"#,
    );
    let writer = parse(
        r#"{"type":"record","name":"R","doc":"%s of %s","fields":[{"name":"x","type":"int"},{"name":"y","type":"int"}]}"#,
    );
    assert_eq!(
        AvroSchema::check(&reader, &writer, Direction::Forward),
        Err(r#"Reader record field y type:INT pos:0 matches multiple fields in writer record schema {"type":"record","name":"R","doc":"old of new","fields":[{"name":"x","type":"int"},{"name":"y","type":"int"}]}"#.to_owned())
    );
}

#[test]
fn fingerprints_are_javas() {
    let schema = AvroSchema::parse(r#"{"type":"record","name":"a.R","doc":"d","fields":[{"name":"n","type":["null","R"],"default":null}]}"#, &[], Strictness::New).expect("valid");
    assert_eq!(
        schema.parsing_form(),
        r#"{"name":"a.R","type":"record","fields":[{"name":"n","type":["null","a.R"]}]}"#
    );
    assert_eq!(schema.fingerprint_rabin(), 0x3b20_2e80_6717_503d);
    // From the specification's own example.
    let int = AvroSchema::parse("\"int\"", &[], Strictness::New).expect("valid");
    assert_eq!(int.fingerprint_rabin(), 0x7275_d51a_3f39_5c8f);
    let hex: String = int
        .fingerprint_md5()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(hex, "ef524ea1b91e73173d938ade36c1db32");
    assert_eq!(int.fingerprint_sha256()[..4], [0x3f, 0x2b, 0x87, 0xa9]);
}
