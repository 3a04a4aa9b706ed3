//! Values checked against schemas.

#![allow(clippy::unwrap_used)]

use java_idioms::Json;
use java_idioms::json::ReadOptions;
use registry_json_schema::{JsonSchema, Strictness};

const MODERN: &str = r#""$schema":"https://json-schema.org/draft/2020-12/schema","#;

/// Each: a schema (`~` stands for the newest draft), values that fit, values that do not.
const CASES: &[(&str, &[&str], &[&str])] = &[
    ("true", &["1", "null"], &[]),
    ("false", &[], &["1"]),
    (r#"{"type":["string","null"]}"#, &["\"x\"", "null"], &["1"]),
    (
        r#"{"type":"integer"}"#,
        &["1", "1.0", "1e2"],
        &["1.5", "\"1\""],
    ),
    (
        r#"{"minimum":1,"exclusiveMaximum":3}"#,
        &["1", "2.9", "\"x\""],
        &["0.9", "3"],
    ),
    (
        r#"{"$schema":"http://json-schema.org/draft-04/schema#","minimum":1,"exclusiveMinimum":true}"#,
        &["1.1"],
        &["1"],
    ),
    (r#"{"multipleOf":0.1}"#, &["0.3", "1e1"], &["0.35"]),
    (
        r#"{"minLength":2,"maxLength":3}"#,
        &["\"éé\"", "1"],
        &["\"é\"", "\"abcd\""],
    ),
    (r#"{"pattern":"^\\d+$"}"#, &["\"12\""], &["\"a\""]),
    (
        r#"{"format":"date"}"#,
        &["\"2024-01-01\""],
        &["\"2024-13-01\""],
    ),
    (
        r#"{"enum":[1,{"a":[1]}]}"#,
        &["1.0", "{\"a\":[1]}"],
        &["2", "{\"a\":[]}"],
    ),
    (r#"{"const":null}"#, &["null"], &["0"]),
    (r#"{"not":{"type":"string"}}"#, &["1"], &["\"x\""]),
    (
        r#"{"oneOf":[{"minimum":1},{"maximum":2}]}"#,
        &["0", "3"],
        &["1.5"],
    ),
    (
        r#"{"anyOf":[{"type":"string"},{"minimum":2}]}"#,
        &["\"x\"", "2"],
        &["1"],
    ),
    (r#"{"allOf":[{"minimum":1},{"maximum":2}]}"#, &["1"], &["3"]),
    (
        r#"{"if":{"type":"string"},"then":{"minLength":2},"else":{"minimum":5}}"#,
        &["\"ab\"", "5"],
        &["\"a\"", "4"],
    ),
    (
        r#"{"properties":{"a":{"type":"string"}},"patternProperties":{"^x":{"type":"integer"}},"additionalProperties":false,"required":["a"]}"#,
        &["{\"a\":\"s\",\"x1\":1}", "5"],
        &[
            "{}",
            "{\"a\":1}",
            "{\"a\":\"s\",\"x\":\"s\"}",
            "{\"a\":\"s\",\"b\":1}",
        ],
    ),
    (
        r#"{"minProperties":1,"maxProperties":2}"#,
        &["{\"a\":1}"],
        &["{}", "{\"a\":1,\"b\":1,\"c\":1}"],
    ),
    (
        r#"{"propertyNames":{"maxLength":1}}"#,
        &["{\"a\":1}"],
        &["{\"ab\":1}"],
    ),
    (
        r#"{"dependencies":{"a":["b"],"c":{"required":["d"]}}}"#,
        &["{\"a\":1,\"b\":1}", "{\"c\":1,\"d\":1}"],
        &["{\"a\":1}", "{\"c\":1}"],
    ),
    (
        r#"{"items":[{"type":"string"}],"additionalItems":{"type":"integer"}}"#,
        &["[\"a\",1]", "[]"],
        &["[1]", "[\"a\",\"b\"]"],
    ),
    (
        r#"{"items":{"type":"string"},"minItems":1,"maxItems":2,"uniqueItems":true}"#,
        &["[\"a\"]"],
        &["[]", "[1]", "[\"a\",\"a\"]", "[\"a\",\"b\",\"c\"]"],
    ),
    (
        r#"{"contains":{"type":"string"}}"#,
        &["[1,\"a\"]"],
        &["[1]"],
    ),
    (
        r##"{"properties":{"n":{"$ref":"#"},"v":{"type":"integer"}}}"##,
        &["{\"n\":{\"n\":{\"v\":1}}}"],
        &["{\"n\":{\"n\":{\"v\":\"\"}}}"],
    ),
    (
        r#"{~"prefixItems":[{"type":"string"}],"items":false}"#,
        &["[\"a\"]"],
        &["[\"a\",1]"],
    ),
    (
        r#"{~"contains":{"type":"string"},"minContains":2,"maxContains":3}"#,
        &["[\"a\",\"b\"]"],
        &["[\"a\"]", "[\"\",\"\",\"\",\"\"]"],
    ),
    (
        r#"{~"properties":{"a":true},"anyOf":[{"properties":{"b":{"type":"string"}}}],"unevaluatedProperties":false}"#,
        &["{\"a\":1,\"b\":\"x\"}"],
        &["{\"a\":1,\"c\":1}"],
    ),
    (
        r##"{~"$defs":{"x":{"prefixItems":[true]}},"$ref":"#/$defs/x","unevaluatedItems":false}"##,
        &["[1]"],
        &["[1,2]"],
    ),
    (
        r#"{~"dependentRequired":{"a":["b"]}}"#,
        &["{\"b\":1}"],
        &["{\"a\":1}"],
    ),
    // Schemas as values. What stands within a vocabulary is read by all of them.
    (
        r#"{"$ref":"http://json-schema.org/draft-07/schema#"}"#,
        &["true", r#"{"properties":{"a":{"minLength":1}}}"#],
        &[
            "1",
            r#"{"type":5}"#,
            r#"{"properties":{"a":{"minLength":-1}}}"#,
        ],
    ),
    (
        r#"{~"$ref":"https://json-schema.org/draft/2020-12/schema"}"#,
        &["true", r#"{"properties":{"a":{"minLength":1}}}"#],
        &[
            "1",
            r#"{"type":5}"#,
            r#"{"properties":{"a":{"minLength":-1}}}"#,
        ],
    ),
    (
        r#"{~"$ref":"https://json-schema.org/draft/2019-09/schema"}"#,
        &["true", r#"{"properties":{"a":{"minLength":1}}}"#],
        &["1", r#"{"type":5}"#],
    ),
    (
        r##"{~"$dynamicAnchor":"n","properties":{"next":{"$dynamicRef":"#n"}},"maxProperties":1}"##,
        &[r#"{"next":{"next":{}}}"#],
        &[r#"{"next":{"a":1,"b":2}}"#],
    ),
];

#[test]
fn what_fits_and_what_does_not() {
    for (text, fitting, others) in CASES {
        let text = text.replace('~', MODERN);
        let schema = JsonSchema::parse(&text, &[], Strictness::New).unwrap();
        let tree = schema.tree(false).unwrap();
        for (values, fits) in [(fitting, true), (others, false)] {
            for value in *values {
                let json = Json::read(value, ReadOptions::default()).unwrap();
                assert_eq!(
                    tree.validate(&json).is_ok(),
                    fits,
                    "{value} against {text}: {:?}",
                    tree.validate(&json)
                );
            }
        }
    }
}

#[test]
fn a_violation_names_its_place() {
    let text = r#"{"properties":{"orders":{"items":{"properties":{"price":{"minimum":0}}}}}}"#;
    let tree = JsonSchema::parse(text, &[], Strictness::New)
        .unwrap()
        .tree(false)
        .unwrap();
    let json = Json::read(
        r#"{"orders":[{"price":1},{"price":-1}]}"#,
        ReadOptions::default(),
    )
    .unwrap();
    assert_eq!(
        tree.validate(&json).unwrap_err().to_string(),
        "#/orders/1/price: -1 is not greater or equal to its minimum"
    );
}

#[test]
fn endless_and_exponential_checks_end() {
    for text in [
        r##"{"$ref":"#"}"##.to_owned(),
        r##"{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}"##.to_owned(),
        (0..30).fold(String::from("{\"$ref\":\"#/definitions/d0\",\"definitions\":{"), |text, i| {
            format!("{text}\"d{i}\":{{\"anyOf\":[{{\"$ref\":\"#/definitions/d{n}\"}},{{\"$ref\":\"#/definitions/d{n}\"}}]}},", n = i + 1)
        }) + "\"d30\":{\"type\":\"string\"}}}",
    ] {
        let started = std::time::Instant::now();
        let tree = JsonSchema::parse(&text, &[], Strictness::New).unwrap().tree(false).unwrap();
        assert!(tree.validate(&Json::Null).is_err());
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }
}
