//! Reading straight from the text must find what reading a tree of it finds, on made-up schemas and on payloads that fit them, nearly fit them, or are damaged.

use java_idioms::json::write_string;
use millrace_api::data::logical;
use proptest::prelude::*;
use registry_json_schema::{JsonSchema, Strictness};

use super::*;
use crate::config::Options;
use crate::read::body_options;
use crate::terms::is_object_map;
use crate::to_connect::to_connect;

/// Random numbers that a seed repeats.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % bound as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// Once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

const NAMES: [&str; 8] = [
    "id",
    "a",
    "b\\\"c",
    "key",
    "value",
    "größe",
    "",
    "longer_name",
];

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(text, &mut out);
    out
}

fn schema(dice: &mut Dice, depth: usize) -> String {
    let simple = [
        r#"{"type":"string"}"#,
        r#"{"type":"integer"}"#,
        r#"{"type":"integer","connect.type":"int8"}"#,
        r#"{"type":"integer","connect.type":"int32","default":7}"#,
        r#"{"type":"number"}"#,
        r#"{"type":"number","connect.type":"float32"}"#,
        r#"{"type":"boolean"}"#,
        r#"{"type":"string","connect.type":"bytes"}"#,
        r#"{"enum":["x","y"]}"#,
        r#"{"type":"string","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2"}}"#,
        r#"{"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.type":"int32"}"#,
        r#"{"type":"integer","title":"org.apache.kafka.connect.data.Time","connect.type":"int32"}"#,
        r#"{"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.type":"int64"}"#,
        "{}",
    ];
    let kind = if depth == 0 { 0 } else { dice.below(10) };
    match kind {
        0..=2 => dice.one(&simple).to_owned(),
        3 => format!(r#"{{"type":"array","items":{}}}"#, schema(dice, depth - 1)),
        4 => format!(
            r#"{{"type":"object","connect.type":"map","additionalProperties":{}}}"#,
            schema(dice, depth - 1)
        ),
        5 => format!(
            r#"{{"type":"array","connect.type":"map","items":{{"type":"object","properties":{{"key":{},"value":{}}}}}}}"#,
            schema(dice, 0),
            schema(dice, depth - 1)
        ),
        6 => format!(
            r#"{{"oneOf":[{{"type":"null"}},{}]}}"#,
            schema(dice, depth - 1)
        ),
        7 if dice.once_in(2) => format!(
            r#"{{"oneOf":[{},{}]}}"#,
            schema(dice, 0),
            schema(dice, depth - 1)
        ),
        _ => {
            let mut properties = Vec::new();
            for name in NAMES {
                if dice.once_in(2) {
                    properties.push(format!("{}:{}", quoted(name), schema(dice, depth - 1)));
                }
            }
            format!(
                r#"{{"type":"object","title":"S","properties":{{{}}}}}"#,
                properties.join(",")
            )
        }
    }
}

/// A value that fits, most of the time when there is `noise`.
fn value(dice: &mut Dice, schema: &Schema, noise: bool) -> String {
    if noise && dice.once_in(25) {
        return dice
            .one(&[
                "null",
                "true",
                "1",
                "-1.5",
                "1e3",
                "\"x\"",
                "[]",
                "{}",
                "[1]",
                "99999999999999999999",
                r#"{"a":{"b":[null,"\ud800"]}}"#,
                "\"\"",
                "NaN",
                r#"{"key":1,"value":2}"#,
                "[null]",
            ])
            .to_owned();
    }
    if schema.optional() && dice.once_in(4) {
        return "null".to_owned();
    }
    let text = [
        "\"\"",
        "\"plain\"",
        "\"größer 😀\"",
        r#""\"\\\/\b\f\n\r\t\u00e9""#,
        r#""\ud83d\ude00 \udead""#,
        "\"a text of more than eight bytes\"",
        "\"x\"",
    ];
    let base64 = ["\"\"", "\"AQI=\"", r#""\/\/\/\/""#, "\"AAAA\"", "\"gA==\""];
    match schema.name() {
        Some(logical::DECIMAL) => {
            return dice
                .one(&["1.25", "\"fQ==\"", "-3", r#""\/w==""#, "1e2"])
                .to_owned();
        }
        Some(logical::TIME) => return dice.one(&["0", "86399999", "86400000"]).to_owned(),
        _ => {}
    }
    match schema.kind() {
        Kind::Boolean => dice.one(&["true", "false"]).to_owned(),
        Kind::Int8 | Kind::Int16 | Kind::Int32 => {
            dice.one(&["0", "-0", "-1", "127", "300"]).to_owned()
        }
        Kind::Int64 => dice
            .one(&[
                "0",
                "9223372036854775807",
                "-9223372036854775808",
                "123456789012345678",
            ])
            .to_owned(),
        Kind::Float32 | Kind::Float64 => dice
            .one(&[
                "0",
                "1.5",
                "-0.0",
                "1e400",
                "3.4028236e38",
                "0.1",
                "123456789.125",
                "5e-324",
            ])
            .to_owned(),
        Kind::String => dice.one(&text).to_owned(),
        Kind::Bytes => dice.one(&base64).to_owned(),
        Kind::Array => {
            let of = schema.value_schema().expect("elements");
            let count = dice.below(4);
            let values: Vec<String> = (0..count).map(|_| value(dice, of, noise)).collect();
            format!("[{}]", values.join(dice.one(&[",", " ,\n "])))
        }
        Kind::Map => {
            let of = schema.value_schema().expect("values");
            let mut entries = Vec::new();
            for _ in 0..dice.below(4) {
                let value = value(dice, of, noise);
                entries.push(if is_object_map(schema) {
                    format!("\"k{}\":{value}", entries.len())
                } else {
                    let key = self::value(dice, schema.key_schema().expect("keys"), noise);
                    format!(r#"{{"key":{key},"value":{value}}}"#)
                });
            }
            let (open, close) = if is_object_map(schema) {
                ('{', '}')
            } else {
                ('[', ']')
            };
            format!("{open}{}{close}", entries.join(","))
        }
        Kind::Struct if crate::terms::is_union(schema) => {
            let fields = schema.fields();
            let field = &fields[dice.below(fields.len())];
            value(dice, &field.schema, noise)
        }
        Kind::Struct if crate::terms::is_variant(schema) => dice
            .one(&[
                "1",
                "\"x\"",
                r#"{"b":[1,{"a":null}]}"#,
                "[]",
                "12345678901234567890",
            ])
            .to_owned(),
        Kind::Struct => {
            let mut members = Vec::new();
            for field in schema.fields() {
                if !noise || !dice.once_in(8) {
                    members.push(format!(
                        "{}:{}",
                        quoted(&field.name),
                        value(dice, &field.schema, noise)
                    ));
                }
            }
            if dice.once_in(4) {
                members.push(r#""unknown" : [{"a":"\u0041","b":[]},-1.5e-3,false]"#.to_owned());
            }
            if noise && dice.once_in(10) && !members.is_empty() {
                members.push(members[dice.below(members.len())].clone());
            }
            let by = dice.below(members.len() + 1);
            members.rotate_left(by);
            format!("{{{}}}", members.join(dice.one(&[",", ", ", "\n,"])))
        }
    }
}

fn plan(text: &str) -> Option<ReadPlan> {
    let options = Options {
        additional_properties: true,
        optional_for_nonrequired: false,
        numeric_decimals: false,
        generalized: false,
        flatten_singletons: true,
        ignore_default: false,
    };
    let schema = JsonSchema::parse(text, &[], Strictness::New).expect("a schema");
    let tree = schema.tree(false).expect("a tree");
    ReadPlan::new(to_connect(&tree, None, options).ok()?).ok()
}

fn by_tree(plan: &ReadPlan, text: &str) -> Option<Value> {
    let (json, _) = Json::read_first(text, body_options()).ok()?;
    crate::read::read(plan, Some(&json)).ok()
}

/// The payload has five bytes before its body, as a frame has.
fn by_stream(plan: &ReadPlan, text: &str) -> Option<Value> {
    let payload = Blob::from([&[0; 5], text.as_bytes()].concat());
    read(plan, &payload, 5, text)
}

fn damage(dice: &mut Dice, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=dice.below(2) {
        let at = dice
            .below(bytes.len().max(1))
            .min(bytes.len().saturating_sub(1));
        match dice.below(4) {
            0 => bytes.truncate(at),
            1 if !bytes.is_empty() => drop(bytes.remove(at)),
            2 => bytes.insert(at, b"{}[]\",:\\ 0-.e\n\x01ntf"[dice.below(18)]),
            _ => {
                let piece: Vec<u8> = bytes.iter().skip(at).take(dice.below(9)).copied().collect();
                bytes.splice(at..at, piece);
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_text_is_read_as_its_tree_is(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let text = schema(&mut dice, 3);
        let Some(plan) = plan(&text) else { return Ok(()) };
        for _ in 0..8 {
            let body = value(&mut dice, &plan.schema, false);
            let expected = by_tree(&plan, &body);
            prop_assert!(expected.is_none() || by_stream(&plan, &body) == expected, "{} {}", text, body);

            let body = value(&mut dice, &plan.schema, true);
            let read = by_stream(&plan, &body);
            prop_assert!(read.is_none() || read == by_tree(&plan, &body), "{} {}", text, body);

            let body = damage(&mut dice, &body);
            let read = by_stream(&plan, &body);
            prop_assert!(read.is_none() || read == by_tree(&plan, &body), "{} {}", text, body);
        }
    }
}

#[test]
fn nested_as_deep_as_the_tree() {
    let text = r##"{"type":"object","title":"T","properties":{"c":{"type":"array","items":{"$ref":"#"}}}}"##;
    let plan = plan(text).expect("a plan");
    for levels in [1, 50, 124, 125, 126, 5_000] {
        let body = r#"{"c":["#.repeat(levels) + &"]}".repeat(levels);
        let read = by_stream(&plan, &body);
        assert_eq!(read.is_some(), by_tree(&plan, &body).is_some(), "{levels}");
        assert!(read.is_some() || levels > 124, "{levels}");
    }
}

#[test]
fn many_members_and_many_fields() {
    let names: Vec<String> = (0..200).map(|at| format!("n{at}")).collect();
    let members = |value: &str| {
        let members: Vec<String> = names.iter().map(|n| format!("\"{n}\":{value}")).collect();
        members.join(",")
    };
    let text = format!(
        r#"{{"type":"object","properties":{{{}}}}}"#,
        members(r#"{"type":"integer"}"#)
    );
    let wide = plan(&text).expect("a plan");
    let map =
        plan(r#"{"type":"object","connect.type":"map","additionalProperties":{"type":"integer"}}"#)
            .expect("a plan");
    for plan in [&wide, &map] {
        let body = format!("{{{}}}", members("7"));
        let read = by_stream(plan, &body);
        assert!(read.is_some());
        assert_eq!(read, by_tree(plan, &body));
        // Given twice: the other reader's.
        let twice = format!("{{{},\"n190\":8}}", members("7"));
        assert_eq!(by_stream(plan, &twice), None);
    }
}
