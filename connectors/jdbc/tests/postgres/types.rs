//! Values of every type, into columns that the sink makes and into columns that are there.

use std::sync::Arc;

use millrace_api::data::{Data, Kind, Schema, SchemaBuilder, Value, logical};

use crate::harness::{Database, Sink, named, row, values};

fn optional(schema: Schema) -> Schema {
    schema.to_optional()
}

#[tokio::test]
async fn every_type_makes_its_column_and_keeps_its_value() {
    let mut db = Database::new().await;
    let mut sink = Sink::start(&db, &[("auto.create", "true")]).await;
    let decimal = |text: &str| Value::Decimal(Box::new(text.parse().unwrap()));
    let array = |items: Vec<Value>| Value::Array(Arc::new(items));
    let fields = |values: Vec<Value>| {
        let schemas = [
            ("i8", optional(Schema::int8())),
            ("i16", optional(Schema::int16())),
            ("i32", optional(Schema::int32())),
            ("i64", optional(Schema::int64())),
            ("f32", optional(Schema::float32())),
            ("f64", optional(Schema::float64())),
            ("bo", optional(Schema::boolean())),
            ("s", optional(Schema::string())),
            ("by", optional(Schema::bytes())),
            ("de", logical::decimal(4).optional(true).build_valid()),
            ("da", named(Kind::Int32, logical::DATE)),
            ("ti", named(Kind::Int32, logical::TIME)),
            ("ts", named(Kind::Int64, logical::TIMESTAMP)),
            (
                "micro",
                named(Kind::Int64, "io.debezium.time.MicroTimestamp"),
            ),
            ("ai", optional(Schema::array(optional(Schema::int32())))),
            ("at", optional(Schema::array(Schema::string()))),
        ];
        row(schemas
            .into_iter()
            .zip(values)
            .map(|((name, schema), value)| (name, schema, value))
            .collect())
    };
    let full = vec![
        Value::Int8(127),
        Value::Int16(-32768),
        Value::Int32(i32::MAX),
        Value::Int64(i64::MAX),
        Value::Float32(1.5),
        Value::Float64(2.225_073_858_507_201_4e-308),
        true.into(),
        "zażółć 🦀\t\"x\"\\".into(),
        Value::Bytes(vec![0, 255, 16].into()),
        decimal("12345678901234567890.1234"),
        Value::Int32(19_675),
        Value::Int32(86_399_999),
        Value::Int64(1_700_000_000_123),
        Value::Int64(1_700_000_000_123_456),
        array(vec![1.into(), Value::Null]),
        array(vec!["a\"b\\,{}".into(), "".into(), "null".into()]),
    ];
    sink.put(values(
        "w",
        vec![fields(full), fields(vec![Value::Null; 16])],
    ))
    .await
    .unwrap();
    assert_eq!(
        db.shape("w").await,
        [
            "i8 smallint",
            "i16 smallint",
            "i32 integer",
            "i64 bigint",
            "f32 real",
            "f64 double precision",
            "bo boolean",
            "s text",
            "by bytea",
            "de numeric",
            "da date",
            "ti time without time zone",
            "ts timestamp without time zone",
            "micro bigint",
            "ai integer[]",
            "at text[]"
        ]
    );
    let texts = "SELECT concat_ws('|', i8, i16, i32, i64, f32, f64, bo, s, by, de, da, ti, ts, micro, ai, at[1], at[2], at[3], cardinality(at)) AS x FROM w";
    let mut rows = Vec::new();
    for text in db
        .rows(&format!("SELECT x FROM ({texts}) t WHERE x <> ''"))
        .await
    {
        rows.push(text);
    }
    let expected = r#"127|-32768|2147483647|9223372036854775807|1.5|2.2250738585072014e-308|t|zażółć 🦀	"x"\|\x00ff10|12345678901234567890.1234|2023-11-14|23:59:59.999|2023-11-14 22:13:20.123|1700000000123456|{1,NULL}|a"b\,{}||null|3"#;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        rows[0]
            .trim_matches(['(', ')', '"'])
            .replace("\"\"", "\"")
            .replace("\\\\", "\\"),
        expected
    );
    assert_eq!(db.rows("SELECT count(*) FROM w WHERE num_nulls(i8,i16,i32,i64,f32,f64,bo,s,by,de,da,ti,ts,micro,ai,at) = 16").await, ["(1)"]);
}

#[tokio::test]
async fn texts_go_into_columns_of_any_type_and_numbers_by_assignment() {
    let mut db = Database::new().await;
    db.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN short AS varchar(3) CHECK (VALUE <> 'bad'); CREATE SCHEMA app; CREATE TYPE app.level AS ENUM ('hi'); \
         CREATE TABLE w (u uuid, j json, jb jsonb, m mood, l app.level, i inet, c char(4), v varchar(4), sh short, t timestamptz, n int, \
           txt text, dbl double precision, num numeric(10,2), tz timestamptz, d2 text, arr text[])",
    )
    .await;
    let mut sink = Sink::start(&db, &[]).await;
    let string = |name, text: &str| (name, Schema::string(), Value::from(text));
    let record = row(vec![
        string("u", "11111111-2222-3333-4444-555555555555"),
        string("j", "{\"a\":1}"),
        string("jb", "{\"a\": 1}"),
        string("m", "ok"),
        string("l", "hi"),
        string("i", "10.0.0.1"),
        string("c", "ab"),
        string("v", "abcd"),
        string("sh", "abc"),
        string("t", "2024-01-02T03:04:05+01:00"),
        string("n", "42"),
        ("txt", Schema::int32(), 5.into()),
        ("dbl", Schema::int64(), 7i64.into()),
        ("num", Schema::float64(), 1.555.into()),
        (
            "tz",
            named(Kind::Int64, logical::TIMESTAMP),
            Value::Int64(1_700_000_000_000),
        ),
        (
            "d2",
            named(Kind::Int32, logical::DATE),
            Value::Int32(19_675),
        ),
        (
            "arr",
            Schema::array(Schema::string()),
            Value::Array(Arc::new(vec!["x".into()])),
        ),
    ]);
    sink.put(values("w", vec![record])).await.unwrap();
    assert_eq!(
        db.rows("SELECT * FROM w").await,
        [
            r#"(11111111-2222-3333-4444-555555555555,"{""a"":1}","{""a"": 1}",ok,hi,10.0.0.1,"ab  ",abcd,abc,"2024-01-02 02:04:05+00",42,5,7,1.56,"2023-11-14 22:13:20+00","2023-11-14 +00",{x})"#
        ]
    );
}

#[tokio::test]
async fn nothing_is_cut_or_bent_silently() {
    let mut db = Database::new().await;
    db.execute("CREATE DOMAIN short AS varchar(3); CREATE TABLE w (v varchar(3), c char(3), s short, b bit(8), bo boolean, sm smallint, na numeric(4,2))").await;
    let cases: Vec<(&str, Schema, Value, &str)> = vec![
        ("v", Schema::string(), "abcd".into(), "22001"),
        ("c", Schema::string(), "abcd".into(), "22001"),
        ("s", Schema::string(), "abcd".into(), "22001"),
        ("b", Schema::int32(), 5.into(), "42804"),
        ("bo", Schema::int32(), 1.into(), "42804"),
        ("sm", Schema::int32(), 40_000.into(), "22003"),
        (
            "na",
            logical::decimal(2).build_valid(),
            Value::Decimal(Box::new("123.45".parse().unwrap())),
            "22003",
        ),
        ("v", Schema::string(), "a\0b".into(), "22021"),
    ];
    for (column, schema, value, state) in cases {
        let mut sink = Sink::start(&db, &[("max.retries", "0")]).await;
        let error = sink
            .put(values("w", vec![row(vec![(column, schema, value)])]))
            .await
            .unwrap_err();
        assert!(error.message.contains(state), "{column}: {}", error.message);
    }
    assert_eq!(db.rows("SELECT count(*) FROM w").await, ["(0)"]);
}

#[tokio::test]
async fn times_are_written_in_the_zone_of_the_database() {
    let mut db = Database::new().await;
    let mut sink = Sink::start(
        &db,
        &[("auto.create", "true"), ("db.timezone", "America/New_York")],
    )
    .await;
    let at = |nr: i32, d: i32, t: i32, ts: i64| {
        row(vec![
            ("nr", Schema::int32(), nr.into()),
            ("d", named(Kind::Int32, logical::DATE), d.into()),
            ("t", named(Kind::Int32, logical::TIME), t.into()),
            ("ts", named(Kind::Int64, logical::TIMESTAMP), ts.into()),
        ])
    };
    sink.put(values(
        "w",
        vec![
            at(1, 19_675, 3_600_000, 1_700_000_000_123),
            at(2, 0, 0, 0),
            at(3, 19_523, 82_800_000, 1_686_787_200_000),
        ],
    ))
    .await
    .unwrap();
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY nr").await,
        [
            "(1,2023-11-13,20:00:00,\"2023-11-14 17:13:20.123\")",
            "(2,1969-12-31,19:00:00,\"1969-12-31 19:00:00\")",
            "(3,2023-06-14,18:00:00,\"2023-06-14 20:00:00\")"
        ]
    );
}

#[tokio::test]
async fn numbers_that_are_timestamps() {
    let mut db = Database::new().await;
    let settings = &[
        ("auto.create", "true"),
        ("timestamp.fields.list", "a,b"),
        ("timestamp.precision.mode", "nanoseconds"),
    ];
    let mut sink = Sink::start(&db, settings).await;
    let of = |a: i64, b: &str| {
        row(vec![
            ("a", Schema::int64(), a.into()),
            ("b", Schema::string(), b.into()),
        ])
    };
    sink.put(values(
        "w",
        vec![of(1_700_000_000_123_456_789, "1700000000123456789")],
    ))
    .await
    .unwrap();
    assert_eq!(
        db.rows("SELECT * FROM w").await,
        ["(\"2023-11-14 22:13:20.123457\",\"2023-11-14 22:13:20.123457\")"]
    );
    let error = sink
        .put(values("w", vec![of(1, "soon")]))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("'b'") && error.message.contains("offset=0"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn nulls_take_defaults_unless_told_otherwise() {
    let mut db = Database::new().await;
    let schema = SchemaBuilder::new(Kind::String)
        .optional(true)
        .default(Some("d".into()))
        .build_valid();
    let of = |nr: i32| {
        row(vec![
            ("nr", Schema::int32(), nr.into()),
            ("a", schema.clone(), Value::Null),
        ])
    };
    let mut sink = Sink::start(&db, &[("auto.create", "true")]).await;
    sink.put(values("w", vec![of(1)])).await.unwrap();
    let mut sink = Sink::start(&db, &[("replace.null.with.default", "false")]).await;
    sink.put(values("w", vec![of(2)])).await.unwrap();
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY nr").await,
        ["(1,d)", "(2,)"]
    );
}

#[tokio::test]
async fn types_without_a_column_fail_the_task_by_name() {
    let db = Database::new().await;
    let point = SchemaBuilder::structure()
        .name("Point")
        .field("x", Schema::int32())
        .build_valid();
    let mut sink = Sink::start(&db, &[("auto.create", "true")]).await;
    let error = sink
        .put(values(
            "w",
            vec![row(vec![("p", point.to_optional(), Value::Null)])],
        ))
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        "Point (STRUCT) type doesn't have a mapping to the SQL database column type"
    );
    let array = Schema::array(
        SchemaBuilder::structure()
            .field("x", Schema::int32())
            .build_valid(),
    );
    let error = sink
        .put(values(
            "w",
            vec![row(vec![("p", array.to_optional(), Value::Null)])],
        ))
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        "null (STRUCT) type doesn't have a mapping to the SQL database column type"
    );
}

#[tokio::test]
async fn rows_beyond_the_size_of_a_statement_are_split() {
    let mut db = Database::new().await;
    let mut sink = Sink::start(&db, &[("auto.create", "true")]).await;
    let big = "x".repeat(1 << 20);
    let rows = (0..40)
        .map(|nr: i32| {
            row(vec![
                ("nr", Schema::int32(), nr.into()),
                ("t", Schema::string(), big.as_str().into()),
            ])
        })
        .collect();
    sink.put(values("w", rows)).await.unwrap();
    assert_eq!(
        db.rows("SELECT count(DISTINCT nr), sum(length(t)) FROM w")
            .await,
        [format!("(40,{})", 40 << 20)]
    );
    sink.put(values("e", vec![Data::new(Schema::string(), "")]))
        .await
        .unwrap();
}
