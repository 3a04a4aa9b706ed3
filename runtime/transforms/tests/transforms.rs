//! Each transform and predicate through its registration, as a worker makes them.

use std::sync::Arc;

use millrace_api::config::Props;
use millrace_api::data::{
    Data, Headers, Kind, Record, Schema, SchemaBuilder, Struct, Value, logical,
};
use millrace_api::plugin::{DataError, Predicate, TaskError, Transform, Verdict};
use millrace_transforms::{predicates, transforms};

fn try_transform(name: &str, config: &[(&str, &str)]) -> Result<Box<dyn Transform>, TaskError> {
    let class = format!("org.apache.kafka.connect.transforms.{name}");
    let plugin = transforms()
        .into_iter()
        .find(|plugin| plugin.info().class == class)
        .expect("registered");
    plugin.create(&config.iter().copied().collect::<Props>())
}

fn transform(name: &str, config: &[(&str, &str)]) -> Box<dyn Transform> {
    try_transform(name, config).expect("a transform")
}

fn predicate(name: &str, config: &[(&str, &str)]) -> Box<dyn Predicate> {
    let class = format!("org.apache.kafka.connect.transforms.predicates.{name}");
    let plugin = predicates()
        .into_iter()
        .find(|plugin| plugin.info().class == class)
        .expect("registered");
    plugin
        .create(&config.iter().copied().collect::<Props>())
        .expect("a predicate")
}

fn record(value: Data) -> Record {
    Record {
        topic: "db.public.orders".into(),
        partition: None,
        timestamp: Some(1_000),
        key: Data::NONE,
        value,
        headers: Headers::new(),
    }
}

fn row_schema() -> Schema {
    SchemaBuilder::structure()
        .name("row")
        .version(2)
        .optional(true)
        .field("a", Schema::int32())
        .field(
            "b",
            SchemaBuilder::new(Kind::String)
                .optional(true)
                .default(Some("d".into()))
                .build_valid(),
        )
        .build_valid()
}

fn row() -> Data {
    Data::new(
        row_schema(),
        Struct::new(row_schema(), vec![1.into(), Value::Null]),
    )
}

fn map(entries: &[(&str, Value)]) -> Data {
    Data::schemaless(Value::Map(Arc::new(
        entries
            .iter()
            .map(|(k, v)| (Value::from(*k), v.clone()))
            .collect(),
    )))
}

fn applied(name: &str, config: &[(&str, &str)], mut record: Record) -> Record {
    assert_eq!(
        transform(name, config).apply(&mut record).expect("applied"),
        Verdict::Keep
    );
    record
}

fn refused(name: &str, config: &[(&str, &str)], mut record: Record) -> DataError {
    transform(name, config)
        .apply(&mut record)
        .expect_err("refused")
}

/// Fields with their values, and what else matters of the schema.
fn shown(data: &Data) -> String {
    let Value::Struct(row) = &data.value else {
        return format!("{:?}", data.value);
    };
    assert_eq!(data.schema.as_ref(), Some(row.schema()));
    let schema = row.schema();
    let fields: Vec<String> = schema
        .fields()
        .iter()
        .zip(row.values())
        .map(|(f, v)| {
            format!(
                "{}={v:?}{}",
                f.name,
                if f.schema.optional() { "?" } else { "" }
            )
        })
        .collect();
    format!(
        "{}{} {}",
        schema.name().unwrap_or("-"),
        if schema.optional() { "?" } else { "" },
        fields.join(" ")
    )
}

#[test]
fn regex_router() {
    let topic = |regex: &str, replacement: &str| {
        applied(
            "RegexRouter",
            &[("regex", regex), ("replacement", replacement)],
            record(Data::NONE),
        )
        .topic
        .to_string()
    };
    assert_eq!(topic(r"(.*)\.public\.(.*)", "$1_$2"), "db_orders");
    assert_eq!(topic(r"(?<db>[^.]*)\..*", r"x-${db}-\$"), "x-db-$");
    assert_eq!(
        topic("public", "x"),
        "db.public.orders",
        "must match as a whole"
    );
    assert_eq!(
        topic("d|.*", "x"),
        "xb.public.orders",
        "the first match, which need not be the whole"
    );
    let mut router = transform("RegexRouter", &[("regex", "db.*"), ("replacement", "x")]);
    for _ in 0..2 {
        let mut again = record(Data::NONE);
        router.apply(&mut again).expect("applied");
        assert_eq!(&*again.topic, "x");
    }
    for (regex, replacement, problem) in [("(", "x", "Invalid regex"), ("a", "$1", "No group 1")] {
        let error = try_transform(
            "RegexRouter",
            &[("regex", regex), ("replacement", replacement)],
        )
        .err()
        .expect("refused");
        assert!(error.message.contains(problem), "{}", error.message);
    }
}

#[test]
fn extract_field() {
    let field =
        |config: &[(&str, &str)], data| applied("ExtractField$Value", config, record(data)).value;
    assert_eq!(
        field(&[("field", "a")], row()),
        Data::new(Schema::int32(), 1)
    );
    assert_eq!(
        field(&[("field", "b")], row()).value,
        "d".into(),
        "the default"
    );
    assert_eq!(
        field(
            &[("field", "b"), ("replace.null.with.default", "false")],
            row()
        )
        .value,
        Value::Null
    );
    assert_eq!(
        field(&[("field", "a")], Data::new(row_schema(), Value::Null)),
        Data::new(Schema::int32(), Value::Null)
    );
    assert_eq!(field(&[("field", "a")], Data::NONE), Data::NONE);
    let nested = map(&[("x", map(&[("y.z", 5.into())]).value)]);
    let v2 = |path| [("field", path), ("field.syntax.version", "v2")];
    assert_eq!(field(&v2("x.`y.z`"), nested.clone()).value, 5.into());
    assert_eq!(field(&v2("nope.y"), nested.clone()).value, Value::Null);
    assert_eq!(field(&[("field", "x.y")], nested).value, Value::Null);
    let outer = SchemaBuilder::structure()
        .field("r", row_schema())
        .build_valid();
    let inside = Data::new(outer.clone(), Struct::new(outer, vec![row().value]));
    assert_eq!(
        field(&v2("r.a"), inside.clone()),
        Data::new(Schema::int32(), 1)
    );
    assert_eq!(
        refused("ExtractField$Value", &v2("r.a.b"), record(inside)).message,
        "Cannot look up fields on non-struct type"
    );
    let unknown = refused("ExtractField$Value", &[("field", "c")], record(row()));
    assert_eq!(
        (&*unknown.message, unknown.java_class),
        ("Unknown field: c", "java.lang.IllegalArgumentException")
    );
    let wrong = refused(
        "ExtractField$Value",
        &[("field", "c")],
        record(Data::schemaless("x")),
    );
    assert_eq!(
        wrong.message,
        "Only Map objects supported in absence of schema for [field extraction], found: class java.lang.String"
    );
    let keyed = applied(
        "ExtractField$Key",
        &[("field", "a")],
        Record {
            key: row(),
            ..record(row())
        },
    );
    assert_eq!((keyed.key.value, keyed.value), (1.into(), row()));
}

#[test]
fn hoist_field() {
    let hoisted = |data| applied("HoistField$Value", &[("field", "x")], record(data)).value;
    assert_eq!(hoisted(Data::schemaless(5)), map(&[("x", 5.into())]));
    assert_eq!(
        shown(&hoisted(Data::new(Schema::int32(), 5))),
        "- x=Int32(5)"
    );
    assert_eq!(hoisted(Data::NONE), map(&[("x", Value::Null)]));
    let null = refused(
        "HoistField$Value",
        &[("field", "x")],
        record(Data::new(Schema::int32(), Value::Null)),
    );
    assert_eq!(
        null.message,
        "Invalid value: null used for required field: \"x\", schema type: INT32"
    );
}

#[test]
fn replace_field() {
    let replaced =
        |config: &[(&str, &str)], data| applied("ReplaceField$Value", config, record(data)).value;
    assert_eq!(
        shown(&replaced(&[("exclude", "a")], row())),
        "row b=String(\"d\")?",
        "required, and the default for the null"
    );
    assert_eq!(
        shown(&replaced(
            &[
                ("renames", "a:id,nope:x"),
                ("replace.null.with.default", "false")
            ],
            row()
        )),
        "row id=Int32(1) b=Null?"
    );
    assert_eq!(
        shown(&replaced(&[("include", "a,b"), ("exclude", "b")], row())),
        "row a=Int32(1)"
    );
    assert_eq!(
        replaced(
            &[("exclude", "a"), ("renames", "b:c")],
            map(&[("a", 1.into()), ("b", 2.into())])
        ),
        map(&[("c", 2.into())])
    );
    assert_eq!(
        replaced(&[("exclude", "a")], Data::new(row_schema(), Value::Null)),
        Data::new(row_schema(), Value::Null)
    );
    assert_eq!(
        refused("ReplaceField$Value", &[("renames", "a:b")], record(row())).message,
        "Cannot create field because of field name duplication b"
    );
    for renames in ["a", "a:", ":b", "a:b:c"] {
        let error = try_transform("ReplaceField$Value", &[("renames", renames)])
            .err()
            .expect("refused");
        assert!(
            error
                .message
                .ends_with(&format!("Invalid rename mapping: {renames}")),
            "{}",
            error.message
        );
    }
}

#[test]
fn value_to_key() {
    let keyed = |config: &[(&str, &str)], data| applied("ValueToKey", config, record(data)).key;
    assert_eq!(
        shown(&keyed(&[("fields", "b,a")], row())),
        "- b=String(\"d\")? a=Int32(1)"
    );
    assert_eq!(
        keyed(&[("fields", "x,a")], map(&[("a", 1.into())])),
        map(&[("x", Value::Null), ("a", 1.into())])
    );
    assert_eq!(
        refused("ValueToKey", &[("fields", "nope")], record(row())).message,
        "Field does not exist: nope"
    );
    let tombstone = refused("ValueToKey", &[("fields", "a")], record(Data::NONE));
    assert_eq!(
        tombstone.message,
        "Only Map objects supported in absence of schema for [copying fields from value to key], found: null"
    );
    assert!(try_transform("ValueToKey", &[("fields", "")]).is_err());
}

#[test]
fn insert_field() {
    let config = [
        ("topic.field", "t!"),
        ("partition.field", "p"),
        ("timestamp.field", "ts?"),
        ("static.field", "s"),
        ("static.value", "x"),
    ];
    let inserted = applied("InsertField$Value", &config, record(row())).value;
    assert_eq!(
        shown(&inserted),
        "row a=Int32(1) b=String(\"d\")? t=String(\"db.public.orders\") p=Null? ts=Int64(1000)? s=String(\"x\")?"
    );
    let timestamp = inserted
        .schema
        .as_ref()
        .and_then(|s| s.field("ts"))
        .map(|(_, f)| f.schema.name().map(str::to_owned));
    assert_eq!(timestamp, Some(Some(logical::TIMESTAMP.to_owned())));
    let schemaless = applied(
        "InsertField$Value",
        &config,
        record(map(&[("s", 1.into())])),
    )
    .value;
    assert_eq!(
        schemaless,
        map(&[
            ("s", "x".into()),
            ("t", "db.public.orders".into()),
            ("ts", Value::Int64(1000))
        ])
    );
    assert_eq!(
        applied("InsertField$Value", &config, record(Data::NONE)).value,
        Data::NONE
    );
    let twice = refused("InsertField$Value", &[("topic.field", "a")], record(row()));
    assert_eq!(
        twice.message,
        "Cannot create field because of field name duplication a"
    );
    for (config, problem) in [
        (&[][..], "No field insertion configured"),
        (
            &[("static.field", "s")],
            "Invalid value null for configuration static.value: No value specified for static field: s",
        ),
        (
            &[("offset.field", "o")],
            "offset.field of InsertField is not available",
        ),
    ] {
        let error = try_transform("InsertField$Value", config)
            .err()
            .expect("refused");
        assert!(error.message.starts_with(problem), "{}", error.message);
    }
}

#[test]
fn headers_and_filters() {
    let mut with_headers = record(Data::NONE);
    for name in ["a", "b", "a", "c"] {
        with_headers.headers.push(name, Data::schemaless(1));
    }
    let names = |record: &Record| {
        record
            .headers
            .iter()
            .map(|h| h.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&applied(
            "DropHeaders",
            &[("headers", "a, x")],
            with_headers.clone()
        )),
        ["b", "c"]
    );
    assert!(try_transform("DropHeaders", &[("headers", "")]).is_err());
    assert_eq!(
        transform("Filter", &[])
            .apply(&mut record(row()))
            .expect("applied"),
        Verdict::Drop
    );

    let mut holds = predicate("HasHeaderKey", &[("name", "c")]);
    assert!(
        holds.test(&with_headers).expect("tested") && !holds.test(&record(row())).expect("tested")
    );
    let mut holds = predicate("RecordIsTombstone", &[]);
    assert!(
        holds
            .test(&record(Data::new(row_schema(), Value::Null)))
            .expect("tested")
            && !holds.test(&record(row())).expect("tested")
    );
    let mut holds = predicate("TopicNameMatches", &[("pattern", "db\\..*")]);
    for topic in ["db.x", "xdb.x", "db.y", "db.y"] {
        let record = Record {
            topic: topic.into(),
            ..record(Data::NONE)
        };
        assert_eq!(
            holds.test(&record).expect("tested"),
            topic.starts_with("db"),
            "{topic}"
        );
    }
}
