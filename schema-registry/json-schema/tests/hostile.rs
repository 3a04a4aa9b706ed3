//! Schemas made to hurt: deep, large, circular, exponential.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use registry_json_schema::{Direction, JsonSchema, JsonSchemaError, Policy, Strictness};

/// What an unoptimised build may take for what must end within a second.
const PATIENCE: Duration = Duration::from_secs(10);

fn parse(text: &str) -> JsonSchema {
    JsonSchema::parse(text, &[], Strictness::New).unwrap()
}

fn check(old: &str, new: &str) -> Result<usize, String> {
    let started = Instant::now();
    let found = JsonSchema::check(
        &parse(new),
        &parse(old),
        Direction::Backward,
        Policy::Strict,
    );
    assert!(started.elapsed() < PATIENCE, "took {:?}", started.elapsed());
    found.map(|found| found.len())
}

/// Reading a thousand levels takes more than a test's stack in an unoptimised build.
fn on_a_larger_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new()
        .stack_size(16 << 20)
        .spawn(test)
        .unwrap();
    assert!(thread.join().is_ok());
}

#[test]
fn a_thousand_levels_are_read_printed_and_compared() {
    on_a_larger_stack(|| {
        for keyword in ["not", "items", "additionalProperties"] {
            let nested = |inner: &str| {
                format!(
                    "{}{inner}{}",
                    format!("{{\"{keyword}\":").repeat(999),
                    "}".repeat(999)
                )
            };
            let schema = parse(&nested("true"));
            assert_eq!(schema.canonical(), nested("true"));
            assert_eq!(schema.normalized(), nested("true"));
            assert_eq!(check(&nested("true"), &nested("true")), Ok(0));
            // An odd number of negations turns the direction round.
            let found = check(&nested("true"), &nested("false"));
            assert_eq!(found, Ok(usize::from(keyword != "not")));
        }
        parse(&format!(
            "{{\"enum\":[{}1{}]}}",
            "[".repeat(990),
            "]".repeat(990)
        ));
    });
    let too_deep = "[".repeat(10_000);
    assert!(matches!(
        JsonSchema::parse(&too_deep[..500], &[], Strictness::Stored),
        Err(JsonSchemaError::NotASchema(_))
    ));
    on_a_larger_stack(move || {
        assert!(matches!(
            JsonSchema::parse(&too_deep, &[], Strictness::Stored),
            Err(JsonSchemaError::NotASchema(_))
        ));
    });
}

#[test]
fn a_deep_comparison_leaves_a_small_stack_alone() {
    // Definitions that lead to each other, level by level: shallow as text, deep to follow.
    let ladder = |n: usize, kind: &str| {
        let mut text = String::from("{\"$ref\":\"#/definitions/d0\",\"definitions\":{");
        for i in 0..n {
            text.push_str(&format!(
                "\"d{i}\":{{\"properties\":{{\"p\":{{\"$ref\":\"#/definitions/d{}\"}}}}}},",
                i + 1
            ));
        }
        text.push_str(&format!("\"d{n}\":{{\"type\":\"{kind}\"}}}}}}"));
        text
    };
    assert_eq!(
        check(&ladder(3_000, "string"), &ladder(3_000, "integer")),
        Ok(1)
    );
    let error = check(&ladder(5_000, "string"), &ladder(5_000, "string")).unwrap_err();
    assert!(error.contains("nested too deeply"), "{error}");
}

#[test]
fn nesting_that_people_write_is_compared() {
    let nested = |kind: &str| {
        (0..90).fold(format!("{{\"type\":\"{kind}\"}}"), |inner, _| {
            format!("{{\"type\":\"object\",\"properties\":{{\"p\":{inner}}}}}")
        })
    };
    assert_eq!(check(&nested("string"), &nested("integer")), Ok(1));
}

#[test]
fn a_long_chain_of_references_is_short_to_compare() {
    let chain = |kind: &str| {
        let mut text = String::from("{\"$ref\":\"#/definitions/d0\",\"definitions\":{");
        for i in 0..20_000 {
            text.push_str(&format!(
                "\"d{i}\":{{\"$ref\":\"#/definitions/d{}\"}},",
                i + 1
            ));
        }
        text.push_str(&format!("\"d20000\":{{\"type\":\"{kind}\"}}}}}}"));
        text
    };
    // Behind a reference to a reference nothing is compared, as in the original.
    assert_eq!(check(&chain("string"), &chain("integer")), Ok(0));
    assert_eq!(check(&chain("string"), "{\"type\":\"string\"}"), Ok(1));
    let circle = r##"{"$ref":"#/definitions/a","definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}}}"##;
    assert_eq!(check(circle, circle), Ok(0));
    assert_eq!(check(circle, "{\"type\":\"string\"}"), Ok(1));
}

/// Each level offers the next one twice, so that there are 2^40 paths to the bottom.
fn doubling(keyword: &str, bottom: &str) -> String {
    let mut text = String::from("{\"$ref\":\"#/definitions/d0\",\"definitions\":{");
    for i in 0..40 {
        let next = format!("{{\"$ref\":\"#/definitions/d{}\"}}", i + 1);
        let level = match keyword {
            "properties" => format!("{{\"properties\":{{\"a\":{next},\"b\":{next}}}}}"),
            _ => {
                format!("{{\"{keyword}\":[{{\"title\":\"x\",\"not\":{next}}},{{\"not\":{next}}}]}}")
            }
        };
        text.push_str(&format!("\"d{i}\":{level},"));
    }
    text.push_str(&format!("\"d40\":{bottom}}}}}"));
    text
}

#[test]
fn exponential_combinations_end() {
    for keyword in ["oneOf", "anyOf", "allOf"] {
        let string = doubling(keyword, "{\"type\":\"string\"}");
        assert_eq!(check(&string, &string), Ok(0));
        assert!(check(&string, &doubling(keyword, "{\"type\":\"integer\"}")).is_ok_and(|n| n > 0));
    }
    // 2^40 differences are not listed.
    let listed = check(
        &doubling("properties", "{\"type\":\"string\"}"),
        &doubling("properties", "{\"type\":\"integer\"}"),
    );
    assert!(listed.is_ok_and(|n| (1_000..=10_000).contains(&n)));
}

#[test]
fn a_tangle_of_recursive_definitions_ends() {
    // Every definition has every other one as a property: the paths without a repetition are factorially many.
    let tangle = |kind: &str| {
        let mut text = String::from("{\"$ref\":\"#/definitions/d0\",\"definitions\":{");
        for i in 0..60 {
            let properties: Vec<String> = (0..60)
                .map(|j| format!("\"p{j}\":{{\"$ref\":\"#/definitions/d{j}\"}}"))
                .collect();
            let comma = if i == 59 { "" } else { "," };
            let own = if i == 59 { kind } else { "string" };
            text.push_str(&format!(
                "\"d{i}\":{{\"properties\":{{{},\"v\":{{\"type\":\"{own}\"}}}}}}{comma}",
                properties.join(",")
            ));
        }
        text.push_str("}}");
        text
    };
    assert_eq!(check(&tangle("string"), &tangle("string")), Ok(0));
    assert!(check(&tangle("string"), &tangle("integer")).is_ok_and(|n| n > 0));
}

#[test]
fn many_alternatives_end() {
    let union = |n: usize, prefix: &str| {
        let alternatives: Vec<String> = (0..n)
            .map(|i| format!("{{\"const\":\"{prefix}{i}\"}}"))
            .collect();
        format!("{{\"oneOf\":[{}]}}", alternatives.join(","))
    };
    assert_eq!(check(&union(400, "a"), &union(400, "a")), Ok(0));
    assert_eq!(check(&union(400, "a"), &union(400, "b")), Ok(1));
    assert_eq!(check(&union(4000, "a"), &union(4000, "a")), Ok(0));
    assert_eq!(check(&union(4000, "a"), &union(4010, "a")), Ok(0));
    assert_eq!(check(&union(4010, "a"), &union(4000, "a")), Ok(1));
    let error = check(&union(4000, "a"), &union(4000, "b")).unwrap_err();
    assert!(error.contains("too many combinations"), "{error}");
}

#[test]
fn a_catastrophic_pattern_is_not_run() {
    let name = "a".repeat(5000);
    let old = format!("{{\"type\":\"object\",\"properties\":{{\"{name}\":{{}}}}}}");
    let new = r#"{"type":"object","patternProperties":{"^(a+)+(?=x)$":{},"^(a|a)*\\1b$":{}},"additionalProperties":false}"#;
    assert_eq!(check(&old, new), Ok(2));
}

#[test]
fn large_texts() {
    let started = Instant::now();
    let properties: Vec<String> = (0..30_000)
        .map(|i| format!("\"p{i}\":{{\"type\":\"string\"}}"))
        .collect();
    let text = format!(
        "{{\"type\":\"object\",\"properties\":{{{}}}}}",
        properties.join(",")
    );
    assert_eq!(check(&text, &text), Ok(0));
    // Ids that accumulate.
    let id = format!("{{\"$id\":\"{}/\",\"not\":", "a".repeat(50));
    let ids = format!("{}true{}", id.repeat(300), "}".repeat(300));
    let error = JsonSchema::parse(&ids, &[], Strictness::New).unwrap_err();
    assert!(error.to_string().contains("a URI may have"), "{error}");
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn comparisons_of_metaschemas_end() {
    let schema = |draft: &str, name: &str| {
        format!(r#"{{"$schema":"{draft}","$ref":"https://json-schema.org/{name}"}}"#)
    };
    for draft in [
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        let names = [
            "draft-06/schema",
            "draft-07/schema",
            "draft/2019-09/schema",
            "draft/2020-12/schema",
            "draft/2020-12/meta/applicator",
        ];
        for old in names {
            assert_eq!(check(&schema(draft, old), &schema(draft, old)), Ok(0));
            for new in names {
                assert!(check(&schema(draft, old), &schema(draft, new)).is_ok());
            }
        }
    }
}
