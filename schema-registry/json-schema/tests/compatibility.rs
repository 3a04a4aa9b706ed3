//! The comparison of two schemas: what a real registry answered, and rules that those answers do not show.

#![allow(clippy::unwrap_used)]

use java_idioms::Json;
use java_idioms::json::ReadOptions;
use registry_json_schema::{Direction, JsonSchema, Policy, Strictness};

fn parse(text: &str) -> JsonSchema {
    JsonSchema::parse(text, &[], Strictness::New).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn changes(old: &str, new: &str) -> Vec<String> {
    JsonSchema::check(
        &parse(new),
        &parse(old),
        Direction::Backward,
        Policy::Strict,
    )
    .unwrap()
    .into_iter()
    .map(|found| format!("{} {}", found.kind, found.path))
    .collect()
}

/// Each line: two schemas and the messages of a registry of release 8.3.1 under three settings (none where it failed itself).
#[test]
fn recorded_answers() {
    let mut compared = 0;
    for line in include_str!("data/recorded-pairs.jsonl").lines() {
        let case = Json::read(line, ReadOptions::default()).unwrap();
        let text = |member: &str| case.get(member).unwrap().as_str().unwrap();
        let (old, new) = (parse(text("old")), parse(text("new")));
        for (member, direction, policy) in [
            ("backward", Direction::Backward, Policy::Strict),
            ("forward", Direction::Forward, Policy::Strict),
            ("lenient", Direction::Backward, Policy::Lenient),
        ] {
            let Some(expected) = case.get(member) else {
                continue;
            };
            let (reader, writer) = match direction {
                Direction::Backward => (&new, &old),
                Direction::Forward => (&old, &new),
            };
            let found: Vec<String> = JsonSchema::check(reader, writer, direction, policy)
                .unwrap()
                .into_iter()
                .map(|found| found.message)
                .collect();
            let expected: Vec<&str> = expected
                .as_array()
                .unwrap()
                .iter()
                .map(|message| message.as_str().unwrap())
                .collect();
            assert_eq!(found, expected, "{} {member}", text("name"));
            compared += 1;
        }
    }
    assert_eq!(compared, 109);
}

#[test]
fn exclusive_maximum_compares_with_itself() {
    assert_eq!(
        changes(
            r#"{"type":"number","exclusiveMaximum":9}"#,
            r#"{"type":"number","exclusiveMaximum":2}"#
        ),
        ["EXCLUSIVE_MAXIMUM_DECREASED #/exclusiveMaximum"]
    );
    assert!(
        changes(
            r#"{"type":"number","maximum":1,"exclusiveMaximum":2}"#,
            r#"{"type":"number","maximum":1,"exclusiveMaximum":3}"#
        )
        .is_empty()
    );
}

#[test]
fn combined_schemas_match_alternatives_whatever_their_order() {
    let old = r#"{"oneOf":[{"type":"integer"},{"type":"number"},{"type":"string"}]}"#;
    assert!(
        changes(
            old,
            r#"{"oneOf":[{"type":"string"},{"type":"number"},{"type":"integer"}]}"#
        )
        .is_empty()
    );
    assert_eq!(
        changes(
            old,
            r#"{"oneOf":[{"type":"string"},{"type":"boolean"},{"type":"integer"}]}"#
        ),
        ["COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"]
    );
    // Equal alternatives count once, as does a difference in an unknown format.
    assert!(
        changes(
            r#"{"oneOf":[{"type":"string","format":"a"},{"type":"string","format":"b"},{"type":"null"}]}"#,
            r#"{"oneOf":[{"type":"string"},{"type":"null"}]}"#
        )
        .is_empty()
    );
    assert_eq!(
        changes(
            r#"{"allOf":[{"type":"string"}]}"#,
            r#"{"allOf":[{"type":"string"},{"maxLength":3}]}"#
        ),
        ["PRODUCT_TYPE_EXTENDED #/"]
    );
}

#[test]
fn one_reference_is_followed_and_no_more() {
    let chain = |kind: &str| {
        format!(
            r##"{{"$ref":"#/definitions/a","definitions":{{"a":{{"$ref":"#/definitions/b"}},"b":{{"type":"{kind}"}}}}}}"##
        )
    };
    // As the original does it: behind a reference to a reference it looks no further, and a reference is not what it leads to.
    assert!(changes(&chain("string"), &chain("integer")).is_empty());
    assert_eq!(
        changes(&chain("string"), r#"{"type":"string"}"#),
        ["TYPE_CHANGED #/"]
    );
    let direct = |kind: &str| {
        format!(r##"{{"$ref":"#/definitions/a","definitions":{{"a":{{"type":"{kind}"}}}}}}"##)
    };
    assert_eq!(
        changes(&direct("string"), &direct("integer")),
        ["TYPE_CHANGED #/"]
    );
    assert!(changes(&direct("string"), r#"{"type":"string"}"#).is_empty());
}

#[test]
fn alternatives_that_print_alike_count_once() {
    // A keyword that says nothing is not printed.
    for (kind, nothing) in [
        ("object", r#"{"additionalProperties":true}"#),
        ("array", r#"{"uniqueItems":false}"#),
        ("array", r#"{"items":true}"#),
    ] {
        let of = |second: &str| {
            format!(
                r#"{{"$schema":"https://json-schema.org/draft/2020-12/schema","oneOf":[{{"type":"string"}},{second},{{}}]}}"#
            )
        };
        let old = of(&format!(r#"{{"type":"{kind}"}}"#));
        assert_eq!(
            changes(&old, &of(nothing)),
            ["SUM_TYPE_NARROWED #/"],
            "{nothing}"
        );
    }
    // Beside a reference everything is printed.
    let all = |second: &str| {
        format!(
            r##"{{"allOf":[{{"$ref":"#/definitions/a"}},{{"$ref":"#/definitions/a"{second}}}],"definitions":{{"a":{{"type":"object"}}}}}}"##
        )
    };
    assert_eq!(
        changes(&all(""), &all(r#","minimum":1"#)),
        ["PRODUCT_TYPE_EXTENDED #/"]
    );
}

#[test]
fn a_recursive_schema_tells_its_differences_once() {
    let node = |kind: &str| {
        format!(
            r##"{{"$ref":"#/definitions/n","definitions":{{"n":{{"type":"object","properties":{{"v":{{"type":"{kind}"}},"next":{{"$ref":"#/definitions/n"}}}}}}}}}}"##
        )
    };
    assert_eq!(
        changes(&node("string"), &node("integer")),
        ["TYPE_CHANGED #/properties/v"]
    );
    // A schema that refers to itself as a whole is met a second time behind the reference.
    let whole = |kind: &str| {
        format!(
            r##"{{"type":"object","properties":{{"v":{{"type":"{kind}"}},"next":{{"$ref":"#"}}}}}}"##
        )
    };
    assert_eq!(
        changes(&whole("string"), &whole("integer")),
        [
            "TYPE_CHANGED #/properties/next/properties/v",
            "TYPE_CHANGED #/properties/v"
        ]
    );
}

#[test]
fn an_assumption_alone_makes_nothing_compatible() {
    // The alternative that is only the whole union again proves nothing for the number.
    assert_eq!(
        changes(
            r#"{"type":"number"}"#,
            r##"{"$ref":"#/definitions/u","definitions":{"u":{"anyOf":[{"$ref":"#/definitions/u"},{"type":"string"}]}}}"##
        ),
        ["TYPE_CHANGED #/"]
    );
    // A wrong assumption inside an alternative is taken back.
    let list = |tail: &str| {
        format!(
            r##"{{"anyOf":[{{"$ref":"#/definitions/n"}},{{"type":"null"}}],"definitions":{{"n":{{"type":"object","required":["v"],"properties":{{"v":{tail},"next":{{"anyOf":[{{"$ref":"#/definitions/n"}},{{"type":"null"}}]}}}}}}}}}}"##
        )
    };
    assert!(
        changes(
            &list(r#"{"type":"integer"}"#),
            &list(r#"{"type":"number"}"#)
        )
        .is_empty()
    );
    assert_eq!(
        changes(
            &list(r#"{"type":"number"}"#),
            &list(r#"{"type":"integer"}"#)
        ),
        ["COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"]
    );
}

#[test]
fn properties_come_in_the_order_of_a_hash_map() {
    let schema = |kind: &str| {
        let properties: Vec<String> = ["zebra", "id", "name", "amount", "created_at"]
            .iter()
            .map(|name| format!(r#""{name}":{{"type":"{kind}"}}"#))
            .collect();
        format!(
            r#"{{"type":"object","properties":{{{}}}}}"#,
            properties.join(",")
        )
    };
    assert_eq!(
        changes(&schema("string"), &schema("integer")),
        [
            "TYPE_CHANGED #/properties/zebra",
            "TYPE_CHANGED #/properties/amount",
            "TYPE_CHANGED #/properties/name",
            "TYPE_CHANGED #/properties/created_at",
            "TYPE_CHANGED #/properties/id",
        ]
    );
}

#[test]
fn pattern_properties_cover_what_they_match() {
    let old = r#"{"type":"object","properties":{"s_a":{"type":"string"},"t":{"type":"string"}},"patternProperties":{"^s_":{"type":"string"}},"additionalProperties":false}"#;
    let new = r#"{"type":"object","properties":{},"patternProperties":{"^s_":{"type":"string"}},"additionalProperties":false}"#;
    assert_eq!(
        changes(old, new),
        ["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/t"]
    );
    let narrower = r#"{"type":"object","properties":{"t":{"type":"string"}},"patternProperties":{"^s_":{"type":"integer"}},"additionalProperties":false}"#;
    assert_eq!(
        changes(old, narrower),
        [
            "TYPE_CHANGED #/properties/s_a",
            "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/s_a"
        ]
    );
}

#[test]
fn kinds_of_keywords_beside_each_other_are_an_all_of() {
    assert_eq!(
        changes(
            r#"{"type":"string","enum":["a","b"]}"#,
            r#"{"type":"string","enum":["a"]}"#
        ),
        ["COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"]
    );
    // In the newer drafts the keywords of several types are merged into the types.
    let modern = |length: u32| {
        format!(
            r#"{{"$schema":"https://json-schema.org/draft/2020-12/schema","type":["string","null"],"maxLength":{length}}}"#
        )
    };
    assert!(changes(&modern(3), &modern(4)).is_empty());
    let beside = |kind: &str| {
        format!(
            r#"{{"$schema":"https://json-schema.org/draft/2020-12/schema","anyOf":[{{"type":"object"}}],"properties":{{"a":{{"type":"{kind}"}}}}}}"#
        )
    };
    assert_eq!(
        changes(&beside("string"), &beside("integer")),
        ["COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"]
    );
    assert_eq!(
        changes(&modern(4), &modern(3)),
        ["COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"]
    );
}

#[test]
fn enum_values_are_java_objects() {
    assert_eq!(
        changes(r#"{"enum":[1]}"#, r#"{"enum":[1.0]}"#),
        ["ENUM_ARRAY_CHANGED #/enum"]
    );
    assert!(
        changes(
            r#"{"enum":[{"a":1,"b":2}]}"#,
            r#"{"enum":[{"b":2,"a":1},null]}"#
        )
        .is_empty()
    );
    assert_eq!(
        changes(r#"{"const":null}"#, r#"{"const":1}"#),
        ["ENUM_ARRAY_CHANGED #/const"]
    );
}

#[test]
fn forward_texts_name_the_old_schema_first() {
    let found = JsonSchema::check(
        &parse(r#"{"minLength":2}"#),
        &parse(r#"{"minLength":1}"#),
        Direction::Forward,
        Policy::Strict,
    )
    .unwrap();
    assert_eq!(
        found[0].message,
        "{errorType:\"MIN_LENGTH_INCREASED\", description:\"The value at path '#/minLength' in the old schema is more than its value in the new schema'}"
    );
}
