//! What is a schema, how it prints, and where references lead.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use registry_json_schema::{Direction, JsonSchema, JsonSchemaError, Policy, Strictness};

fn new(text: &str) -> Result<JsonSchema, JsonSchemaError> {
    JsonSchema::parse(text, &[], Strictness::New)
}

fn with(text: &str, references: &[(&str, &str)]) -> Result<JsonSchema, JsonSchemaError> {
    let references: Vec<(Arc<str>, Arc<str>)> = references
        .iter()
        .map(|(name, text)| (Arc::from(*name), Arc::from(*text)))
        .collect();
    JsonSchema::parse(text, &references, Strictness::New)
}

/// Compares with `{"type":"string"}`, to see where a reference leads.
fn is_string(schema: &JsonSchema) -> bool {
    JsonSchema::check(
        schema,
        &new(r#"{"type":"string"}"#).unwrap(),
        Direction::Backward,
        Policy::Strict,
    )
    .unwrap()
    .is_empty()
}

#[test]
fn texts() {
    for (text, canonical, normalized) in [
        (" { } ", "{}", "{}"),
        ("true", "true", "true"),
        (
            r#"{ "b" : 1e3, "a" : [ 1.0, 0.10, {"d":1,"c":2} ], "b": 1E-10 }"#,
            r#"{"b":1E-10,"a":[1.0,0.10,{"d":1,"c":2}]}"#,
            r#"{"a":[1.0,0.10,{"c":2,"d":1}],"b":1E-10}"#,
        ),
        (
            "{\"description\":\"\\u00e9 \\/ \\t\",\"\u{1F600}\":1,\"\u{FFFD}\":2}",
            "{\"description\":\"é / \\t\",\"\u{1F600}\":1,\"\u{FFFD}\":2}",
            "{\"description\":\"é / \\t\",\"\u{1F600}\":1,\"\u{FFFD}\":2}",
        ),
        // What follows the first value is not looked at.
        (
            r#"{"type":"string"} x"#,
            r#"{"type":"string"}"#,
            r#"{"type":"string"}"#,
        ),
    ] {
        let schema = new(text).unwrap();
        assert_eq!(schema.canonical(), canonical);
        assert_eq!(schema.normalized(), normalized);
    }
    let schema = new(r#"{"title":"a.B","type":"object"}"#).unwrap();
    assert_eq!(schema.title(), Some("a.B"));
    assert!(schema.is_equivalent(&new(r#"{"title":"a.B", "type":"object"}"#).unwrap()));
    assert!(!schema.is_equivalent(&new(r#"{"type":"object","title":"a.B"}"#).unwrap()));
    assert!(schema.size_hint() > 200);
}

#[test]
fn what_is_refused() {
    for text in ["{", "", "{'a':1}", "{\"a\":01}", "nul"] {
        assert!(
            matches!(new(text), Err(JsonSchemaError::NotASchema(_))),
            "{text}"
        );
        assert!(
            JsonSchema::parse(text, &[], Strictness::Stored).is_err(),
            "{text}"
        );
    }
    for text in [
        r#""text""#,
        "12",
        "[]",
        "null",
        r#"{"type":"nosuch"}"#,
        r#"{"type":5}"#,
        r#"{"type":["string",5]}"#,
        r#"{"properties":5}"#,
        r#"{"properties":{"a":5}}"#,
        r#"{"required":"a"}"#,
        r#"{"required":[1]}"#,
        r#"{"pattern":"["}"#,
        r#"{"patternProperties":{"(":{}}}"#,
        r#"{"minLength":1.0}"#,
        r#"{"maxItems":3000000000}"#,
        r#"{"minimum":"1"}"#,
        r#"{"multipleOf":0}"#,
        r#"{"title":5}"#,
        r#"{"$id":5}"#,
        r#"{"$schema":5}"#,
        r#"{"anyOf":{}}"#,
        r#"{"allOf":[5]}"#,
        r#"{"additionalProperties":5}"#,
        r#"{"dependencies":{"a":5}}"#,
        r##"{"$ref":"#/definitions/none"}"##,
        r#"{"$ref":"other.json"}"#,
        r#"{"$ref":"http://x.test/other.json"}"#,
        r#"{"$schema":"http://json-schema.org/draft-04/schema#","items":true}"#,
        r#"{"$schema":"http://json-schema.org/draft-04/schema#","exclusiveMinimum":1}"#,
        r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","items":[{}]}"#,
        r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"a":{"type":"nosuch"}}}"#,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"#nosuch"}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$anchor":"#a"}"##,
        r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":""}"#,
        r#"{"$id":"[","type":"string"}"#,
    ] {
        match new(text) {
            Err(JsonSchemaError::Invalid(message)) => {
                assert!(message.starts_with("Invalid JSON: "), "{message}");
            }
            other => panic!("{text}: {other:?}"),
        }
        assert!(
            JsonSchema::parse(text, &[], Strictness::Stored).is_ok(),
            "{text}"
        );
    }
    let Err(JsonSchemaError::Invalid(message)) =
        new(r#"{"properties":{"a":{"items":{"type":"x"}}}}"#)
    else {
        panic!("refused");
    };
    assert!(message.contains("`#/properties/a/items`"), "{message}");
}

#[test]
fn what_is_accepted() {
    for text in [
        r#"{"minLength":-1}"#,
        r#"{"$schema":"http://json-schema.org/draft-99/schema#","type":"string"}"#,
        r#"{"enum":[]}"#,
        r#"{"const":null}"#,
        r#"{"type":[]}"#,
        r#"{"nullable":true,"unknown":{"type":"nosuch"}}"#,
        // What is never referred to is never read in the older drafts.
        r#"{"definitions":{"a":{"type":"nosuch"}}}"#,
        r##"{"$ref":"#"}"##,
        r##"{"$ref":"#/definitions/a","type":"nosuch","definitions":{"a":true}}"##,
        r#"{"$schema":"http://json-schema.org/draft-04/schema#","exclusiveMinimum":true,"const":1,"if":5}"#,
        r#"{"properties":{"$id":"http://x.test/a","a":true}}"#,
    ] {
        new(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn references_within_a_schema() {
    let modern = r#""$schema":"https://json-schema.org/draft/2020-12/schema""#;
    for text in [
        r##"{"$ref":"#/definitions/a","definitions":{"a":{"type":"string"}}}"##.to_owned(),
        r##"{"$ref":"#/$defs/a","definitions":{"a":{"type":"string"}}}"##.to_owned(),
        r##"{"$ref":"#/definitions/a~1b%25","definitions":{"a/b%":{"type":"string"}}}"##.to_owned(),
        r##"{"$ref":"#/x/1","x":[{},{"type":"string"}]}"##.to_owned(),
        r##"{"$ref":"#a","definitions":{"a":{"$id":"#a","type":"string"}}}"##.to_owned(),
        r##"{"$id":"http://x.test/r.json","$ref":"r.json#/definitions/a","definitions":{"a":{"type":"string"}}}"##.to_owned(),
        r##"{"$id":"http://x.test/r.json","$ref":"http://x.test/i.json","definitions":{"a":{"$id":"http://x.test/i.json","type":"string"}}}"##.to_owned(),
        format!(r##"{{{modern},"$ref":"#a","$defs":{{"a":{{"$anchor":"a","type":"string"}}}}}}"##),
        format!(r##"{{{modern},"$ref":"i.json","$defs":{{"a":{{"$id":"i.json","type":"string"}}}}}}"##),
        format!(r##"{{{modern},"$id":"http://x.test/r.json","$ref":"r.json#/$defs/a","$defs":{{"a":{{"type":"string"}}}}}}"##),
        format!(r##"{{{modern},"$ref":"#/$defs/a","definitions":{{"a":{{"type":"string"}}}}}}"##),
        format!(r##"{{{modern},"$dynamicRef":"#a","$defs":{{"a":{{"$dynamicAnchor":"a","type":"string"}}}}}}"##),
    ] {
        let schema = new(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(is_string(&schema), "{text}");
    }
}

#[test]
fn references_to_other_schemas() {
    // One reference is followed at a time, so that what it leads to is something else than a reference.
    let other = r#"{"type":"string","definitions":{"n":{"type":"number"},"s":{"allOf":[{"$ref":"deeper.json#/definitions/s"}]}}}"#;
    let deeper =
        r##"{"definitions":{"s":{"allOf":[{"$ref":"#/definitions/t"}]},"t":{"type":"string"}}}"##;
    let modern = r#""$schema":"https://json-schema.org/draft/2020-12/schema","#;
    for (id, name, reference) in [
        ("", "other.json", "other.json"),
        ("", "other.json", "other.json#/definitions/s"),
        (
            "",
            "http://x.test/other.json",
            "http://x.test/other.json#/definitions/s",
        ),
        (
            r#""$id":"http://x.test/r.json","#,
            "other.json",
            "other.json",
        ),
        (
            r#""$id":"http://x.test/r.json","#,
            "http://x.test/other.json",
            "other.json#/definitions/s",
        ),
        (
            r#""$id":"urn:r","#,
            "other.json",
            "other.json#/definitions/s",
        ),
    ] {
        for draft in ["", modern] {
            if draft == modern && id.contains("urn") {
                continue;
            }
            let text = format!(r#"{{{draft}{id}"$ref":"{reference}"}}"#);
            // It is seen from the other one, wherever that is.
            let deeper_name = name.replace("other", "deeper");
            let schema = with(&text, &[(deeper_name.as_str(), deeper), (name, other)])
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(is_string(&schema), "{text}");
        }
    }
    assert!(
        with(
            r#"{"$ref":"other.json#/definitions/x"}"#,
            &[("other.json", other)]
        )
        .is_err()
    );
    // In the older drafts each must be an object, in the newer ones only what is used must be right, but then all of it.
    assert!(with(r#"{"type":"string"}"#, &[("unused", "true")]).is_err());
    for (other, reference, is_right) in [
        ("true", "other.json", true),
        (r#"{"type":5}"#, "", true),
        (
            r#"{"type":5,"$defs":{"a":{"type":"string"}}}"#,
            "other.json#/$defs/a",
            false,
        ),
        // An unknown type that nothing leads to is only a name.
        (
            r#"{"not":{"type":"nosuch"},"$defs":{"a":{"type":"string"}}}"#,
            "other.json#/$defs/a",
            true,
        ),
        (r#"{"not":{"type":"nosuch"}}"#, "other.json", false),
    ] {
        let reference = match reference {
            "" => String::new(),
            _ => format!(r#","$ref":"{reference}""#),
        };
        let text = format!("{{{}{reference}}}", modern.trim_end_matches(','));
        assert_eq!(
            with(&text, &[("other.json", other)]).is_ok(),
            is_right,
            "{text} {other}"
        );
    }
}

#[test]
fn references_are_found_under_their_resolved_names() {
    let modern = r#""$schema":"https://json-schema.org/draft/2020-12/schema","#;
    for (draft, id, name, reference, found) in [
        ("", "", "other.json", "./other.json", false),
        ("", "", "./other.json", "other.json", false),
        (modern, "", "other.json", "./other.json", true),
        (modern, "", "./other.json", "other.json", false),
        (modern, "", "other.json", "mem://input/other.json", true),
        ("", "", "other.json", "mem://input/other.json", false),
        (
            "",
            r#""$id":"http://x.test/s/r.json","#,
            "../other.json",
            "http://x.test/other.json",
            true,
        ),
        (
            "",
            r#""$id":"http://x.test/s/r.json","#,
            "../../other.json",
            "http://x.test/other.json",
            false,
        ),
        (
            "",
            r#""$id":"s/r.json","#,
            "other.json",
            "s/other.json",
            false,
        ),
    ] {
        let text = format!(r#"{{{draft}{id}"$ref":"{reference}"}}"#);
        assert_eq!(
            with(&text, &[(name, r#"{"type":"string"}"#)]).is_ok(),
            found,
            "{name} {text}"
        );
    }
}

#[test]
fn definitions_are_found_under_defs_too() {
    let modern = r#""$schema":"https://json-schema.org/draft/2020-12/schema","#;
    let (string, number) = (r#"{"type":"string"}"#, r#"{"type":"number"}"#);
    for draft in ["", modern] {
        for (members, pointer, leads_to) in [
            (
                format!(r#""definitions":{{"a":{string}}}"#),
                "#/$defs/a",
                Some(true),
            ),
            (
                format!(r#""$defs":{{"a":{string}}}"#),
                "#/definitions/a",
                None,
            ),
            // What stands under `$defs` itself counts first.
            (
                format!(r#""definitions":{{"a":{number}}},"$defs":{{"a":{string}}}"#),
                "#/$defs/a",
                Some(true),
            ),
            (
                format!(r#""definitions":{{"a":{string}}},"$defs":{{"b":{number}}}"#),
                "#/$defs/a",
                Some(true),
            ),
            (
                format!(r#""definitions":{{"not":{string}}}"#),
                "#/$defs",
                Some(false),
            ),
            // Only at the top.
            (
                format!(r#""$defs":{{"a":{{"definitions":{{"b":{string}}}}}}}"#),
                "#/$defs/a/$defs/b",
                None,
            ),
            (r#""definitions":{}"#.into(), "#/$defs", None),
        ] {
            let within = new(&format!(r#"{{{draft}"$ref":"{pointer}",{members}}}"#));
            let other = format!("{{{members}}}");
            let text = format!(r#"{{{draft}"$ref":"other.json{pointer}"}}"#);
            for schema in [within, with(&text, &[("other.json", &other)])] {
                let found = schema.ok().map(|schema| is_string(&schema));
                assert_eq!(found, leads_to, "{draft} {pointer} {members}");
            }
        }
    }
    // With an id it is there twice, which is once too often.
    assert!(
        new(&format!(
            r#"{{{modern}"definitions":{{"a":{{"$id":"http://x.test/a"}}}}}}"#
        ))
        .is_err()
    );
}

#[test]
fn metaschemas_are_known() {
    let drafts = [
        "",
        r#""$schema":"http://json-schema.org/draft-06/schema#","#,
        r#""$schema":"https://json-schema.org/draft/2019-09/schema","#,
        r#""$schema":"https://json-schema.org/draft/2020-12/schema","#,
    ];
    for draft in drafts {
        for name in [
            "draft-06/schema",
            "draft-07/schema",
            "draft/2019-09/schema",
            "draft/2019-09/meta/validation",
            "draft/2020-12/schema",
            "draft/2020-12/meta/applicator",
        ] {
            for (scheme, end) in [("http", ""), ("http", "#"), ("https", ""), ("https", "#")] {
                let text = format!(r#"{{{draft}"$ref":"{scheme}://json-schema.org/{name}{end}"}}"#);
                let schema = new(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                assert!(!is_string(&schema), "{text}");
            }
        }
        for reference in [
            "http://json-schema.org/draft-07/schema#/properties/$comment",
            "https://json-schema.org/draft/2019-09/meta/core#/properties/$ref",
            "https://json-schema.org/draft/2020-12/meta/core#/$defs/anchorString",
        ] {
            let text = format!(r#"{{{draft}"allOf":[{{"$ref":"{reference}"}}]}}"#);
            let schema = new(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let found = JsonSchema::check(
                &schema,
                &new(r#"{"type":"integer"}"#).unwrap(),
                Direction::Backward,
                Policy::Strict,
            );
            assert!(!found.unwrap().is_empty(), "{text}");
        }
        for reference in [
            "http://json-schema.org/draft-07/schema#/definitions/nosuch",
            "http://json-schema.org/draft-07/schema#/$defs/schemaArray",
            "http://json-schema.org/draft-05/schema#",
            "http://json-schema.org/draft/2020-12/meta/nosuch",
        ] {
            let text = format!(r#"{{{draft}"$ref":"{reference}"}}"#);
            assert!(new(&text).is_err(), "{text}");
        }
    }
    // Draft 4 is known to all that can read it.
    let reference = r#""$ref":"http://json-schema.org/draft-04/schema#""#;
    assert!(new(&format!("{{{reference}}}")).is_ok());
    assert!(
        new(&format!(
            r#"{{"$schema":"http://json-schema.org/draft-04/schema#",{reference}}}"#
        ))
        .is_ok()
    );
    assert!(new(&format!("{{{}{reference}}}", drafts[3])).is_err());
    // A reference of that name is what counts.
    let name = "http://json-schema.org/draft-07/schema";
    let own = with(
        &format!(r#"{{"$ref":"{name}"}}"#),
        &[(name, r#"{"type":"string"}"#)],
    );
    assert!(is_string(&own.unwrap()));
}

#[test]
fn a_subschema_names_a_metaschema_that_is_known() {
    let modern = r#""$schema":"https://json-schema.org/draft/2020-12/schema""#;
    for (uri, is_known) in [
        ("http://json-schema.org/draft-07/schema#", true),
        ("https://json-schema.org/draft/2019-09/schema", true),
        ("http://x.test/s", false),
    ] {
        let inner = format!(r#""not":{{"$schema":"{uri}"}}"#);
        assert_eq!(new(&format!("{{{modern},{inner}}}")).is_ok(), is_known);
        // The older drafts do not care.
        assert!(new(&format!("{{{inner}}}")).is_ok());
    }
}
