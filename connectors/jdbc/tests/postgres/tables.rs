//! Names, creation and evolution of tables.

use millrace_api::data::{Kind, Schema, SchemaBuilder, Value, logical};

use crate::harness::{Database, Sink, UPSERT, item, key, pairs, row, values};

const CREATE: &[(&str, &str)] = &[("auto.create", "true"), ("auto.evolve", "true")];

fn title(text: &str) -> millrace_api::data::Data {
    row(vec![("title", Schema::string().to_optional(), text.into())])
}

#[tokio::test]
async fn topics_become_tables() {
    let mut db = Database::new().await;
    db.execute("CREATE SCHEMA sx; CREATE SCHEMA other").await;
    let own = format!("{}.public.${{topic}}", db.name);
    let long = "l".repeat(70);
    let cases = [
        ("${topic}", "Bills", r#"public."Bills""#),
        ("${topic}", "sx.orders", "sx.orders"),
        ("\"${topic}\"", "s.x.orders", r#"public."s.x.orders""#),
        ("other.${topic}", "w", "other.w"),
        (own.as_str(), "own", "public.own"),
        (
            "kafka_${topic}_${topic}_${kind}",
            "t",
            r#"public."kafka_t_t_${kind}""#,
        ),
        ("${topic}", "select", r#"public."select""#),
        ("${topic}", "we\"ird", r#"public."we""ird""#),
        ("\"a b;c\"", "x", r#"public."a b;c""#),
        ("${topic}", long.as_str(), &long[..63]),
    ];
    for (format, topic, table) in cases {
        let mut settings = CREATE.to_vec();
        settings.push(("table.name.format", format));
        let mut sink = Sink::start(&db, &settings).await;
        sink.put(values(topic, vec![title("a")])).await.unwrap();
        sink.put(values(topic, vec![title("b")])).await.unwrap();
        assert_eq!(
            db.rows(&format!("SELECT * FROM {table} ORDER BY 1")).await,
            ["(a)", "(b)"],
            "{format} {topic}"
        );
    }
    for (topic, part) in [
        ("a.b.c.d", "more than three parts"),
        ("nodb.public.t", "names the database 'nodb'"),
    ] {
        let mut sink = Sink::start(&db, CREATE).await;
        let error = sink.put(values(topic, vec![title("a")])).await.unwrap_err();
        assert!(error.message.contains(part), "{}", error.message);
    }
}

#[tokio::test]
async fn the_connections_schema_is_used() {
    let mut db = Database::new().await;
    db.execute("CREATE SCHEMA app").await;
    let url = format!("{}?currentSchema=app&ApplicationName=x", db.url());
    let mut sink = Sink::start(&db, &[("connection.url", &url), ("auto.create", "true")]).await;
    sink.put(values("w", vec![title("a")])).await.unwrap();
    assert_eq!(db.rows("SELECT * FROM app.w").await, ["(a)"]);
    let url = format!("{}?currentSchema=nowhere", db.url());
    let mut sink = Sink::start(&db, &[("connection.url", &url), ("auto.create", "true")]).await;
    let error = sink.put(values("w", vec![title("a")])).await.unwrap_err();
    assert!(error.message.contains("currentSchema"), "{}", error.message);
}

#[tokio::test]
async fn without_quotes_the_server_folds_and_what_needs_quotes_is_refused() {
    let mut db = Database::new().await;
    let settings = &[
        ("quote.sql.identifiers", "Never"),
        ("auto.create", "true"),
        ("insert.mode", "upsert"),
        ("pk.mode", "record_value"),
        ("pk.fields", "UserId"),
    ];
    let mut sink = Sink::start(&db, settings).await;
    let user = |id: i32, name: &str| {
        row(vec![
            ("UserId", Schema::int32(), id.into()),
            ("fullName", Schema::string().to_optional(), name.into()),
        ])
    };
    sink.put(values("Bills", vec![user(1, "a"), user(2, "b")]))
        .await
        .unwrap();
    sink.put(values("Bills", vec![user(2, "c")])).await.unwrap();
    assert_eq!(
        db.shape("bills").await,
        [
            "userid integer not null",
            "fullname text",
            "PRIMARY KEY (userid)"
        ]
    );
    assert_eq!(
        db.rows("SELECT * FROM bills ORDER BY 1").await,
        ["(1,a)", "(2,c)"]
    );
    let error = sink
        .put(values("x; drop table bills", vec![user(1, "a")]))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("without quotes"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn columns_are_matched_by_exact_names_first_then_by_case_and_never_by_wildcard() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE a_b (nr int, \"Title\" text); CREATE TABLE axb (nr int, title text, amount int)").await;
    let mut sink = Sink::start(&db, &[]).await;
    let error = sink
        .put(values("a_b", vec![item(1, "a", 1)]))
        .await
        .unwrap_err();
    assert!(error.message.ends_with("is missing fields ([SinkRecordField{schema=Schema{INT32}, name='amount', isPrimaryKey=false}]) and auto-evolution is disabled"), "{}", error.message);
    assert_eq!(
        error.java_class,
        "io.confluent.connect.jdbc.sink.TableAlterOrCreateException"
    );
    sink.put(values(
        "a_b",
        vec![row(vec![
            ("nr", Schema::int32(), 1.into()),
            ("title", Schema::string().to_optional(), "t".into()),
        ])],
    ))
    .await
    .unwrap();
    assert_eq!(db.rows("SELECT * FROM a_b").await, ["(1,t)"]);
}

#[tokio::test]
async fn defaults_are_literals() {
    let mut db = Database::new().await;
    let with = |kind: Kind, name: Option<&str>, value: Value| {
        let builder = SchemaBuilder::new(kind).default(Some(value));
        match name {
            Some(name) => builder.name(name),
            None => builder,
        }
        .build_valid()
    };
    let decimal = logical::decimal(2)
        .default(Some(Value::Decimal(Box::new("1.50".parse().unwrap()))))
        .build_valid();
    let record = row(vec![
        ("s", with(Kind::String, None, "it's".into()), Value::Null),
        ("i", with(Kind::Int64, None, Value::Int64(-7)), Value::Null),
        ("b", with(Kind::Boolean, None, true.into()), Value::Null),
        ("f", with(Kind::Float64, None, 1.5.into()), Value::Null),
        (
            "by",
            with(Kind::Bytes, None, Value::Bytes(vec![1, 171].into())),
            Value::Null,
        ),
        ("de", decimal, Value::Null),
        (
            "da",
            with(Kind::Int32, Some(logical::DATE), 19_675.into()),
            Value::Null,
        ),
        (
            "ti",
            with(Kind::Int32, Some(logical::TIME), 3_600_001.into()),
            Value::Null,
        ),
        (
            "ts",
            with(
                Kind::Int64,
                Some(logical::TIMESTAMP),
                Value::Int64(1_700_000_000_123),
            ),
            Value::Null,
        ),
    ]);
    let mut sink = Sink::start(&db, CREATE).await;
    sink.put(values("w", vec![record])).await.unwrap();
    assert_eq!(
        db.shape("w").await,
        [
            "s text default 'it''s'::text",
            "i bigint default '-7'::integer",
            "b boolean default true",
            "f double precision default 1.5",
            "by bytea default '\\x01ab'::bytea",
            "de numeric default 1.50",
            "da date default '2023-11-14'::date",
            "ti time without time zone default '01:00:00.001'::time without time zone",
            "ts timestamp without time zone default '2023-11-14 22:13:20.123'::timestamp without time zone"
        ]
    );
    assert_eq!(
        db.rows("SELECT * FROM w").await,
        [r#"(it's,-7,t,1.5,"\\x01ab",1.50,2023-11-14,01:00:00.001,"2023-11-14 22:13:20.123")"#]
    );
}

#[tokio::test]
async fn tables_grow_by_the_rules() {
    let mut db = Database::new().await;
    let mut sink = Sink::start(&db, CREATE).await;
    sink.put(values("w", vec![title("a")])).await.unwrap();
    let grown = |title: &str, extra: Schema, value: Value| {
        row(vec![
            ("title", Schema::string().to_optional(), title.into()),
            ("extra", extra, value),
        ])
    };
    let required = SchemaBuilder::new(Kind::String)
        .default(Some("dd".into()))
        .build_valid();
    sink.put(values("w", vec![grown("b", required, "ee".into())]))
        .await
        .unwrap();
    assert_eq!(
        db.shape("w").await,
        ["title text", "extra text default 'dd'::text"]
    );
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY 1").await,
        ["(a,dd)", "(b,ee)"]
    );
    sink.put(values("w", vec![title("c")])).await.unwrap();

    let more = row(vec![
        ("title", Schema::string().to_optional(), "d".into()),
        ("must", Schema::int32(), 1.into()),
    ]);
    let mut strict = Sink::start(&db, &[]).await;
    for sink in [&mut sink, &mut strict] {
        let error = sink.put(values("w", vec![more.clone()])).await.unwrap_err();
        assert_eq!(
            error.message,
            format!(
                "Cannot ALTER \"{}\".\"public\".\"w\" to add missing field SinkRecordField{{schema=Schema{{INT32}}, name='must', isPrimaryKey=false}}, as the field is not \
                 optional and does not have a default value",
                db.name
            )
        );
    }
    let error = strict
        .put(values("missing", vec![title("a")]))
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        format!(
            "Table \"{}\".\"public\".\"missing\" is missing and auto-creation is disabled",
            db.name
        )
    );
}

#[tokio::test]
async fn table_types_decide_what_counts() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE base (title text); CREATE VIEW v AS SELECT * FROM base; CREATE TABLE parts (title text) PARTITION BY LIST (title); CREATE TABLE p1 PARTITION OF parts DEFAULT; CREATE SEQUENCE s").await;
    let mut sink = Sink::start(&db, CREATE).await;
    for (topic, text) in [
        ("v", "is a VIEW, which table.types does not name"),
        ("parts", "PARTITIONED TABLE"),
        ("s", "neither a table nor a view"),
    ] {
        let error = sink.put(values(topic, vec![title("a")])).await.unwrap_err();
        assert!(error.message.contains(text), "{}", error.message);
    }
    let mut sink = Sink::start(
        &db,
        &[
            ("table.types", "view, Partitioned Table"),
            ("auto.evolve", "true"),
        ],
    )
    .await;
    sink.put(values("v", vec![title("a")])).await.unwrap();
    sink.put(values("parts", vec![title("b")])).await.unwrap();
    assert_eq!(
        db.rows("SELECT * FROM base UNION ALL SELECT * FROM parts")
            .await,
        ["(a)", "(b)"]
    );
    let error = sink
        .put(values("v", vec![item(1, "a", 1)]))
        .await
        .unwrap_err();
    assert!(
        error.message.starts_with("View ")
            && error.message.ends_with("and ALTER VIEW is unsupported"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn tasks_that_race_for_a_table_and_a_column_all_succeed() {
    let mut db = Database::new().await;
    let mut tasks = Vec::new();
    for task in 0..4 {
        let mut settings = UPSERT.to_vec();
        settings.extend([("auto.evolve", "true"), ("max.retries", "10")]);
        let mut sink = Sink::start(&db, &settings).await;
        tasks.push(tokio::spawn(async move {
            let small = |nr: i32| {
                row(vec![(
                    "title",
                    Schema::string().to_optional(),
                    format!("t{nr}").as_str().into(),
                )])
            };
            sink.put_until_settled(pairs("w", vec![(key(task), small(task))]))
                .await
                .unwrap();
            sink.put_until_settled(pairs("w", vec![(key(task + 10), item(0, "x", task))]))
                .await
                .unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        db.rows("SELECT count(*), sum(amount) FROM w").await,
        ["(8,6)"]
    );
}

#[tokio::test]
async fn a_table_or_column_that_vanishes_between_batches_is_made_again() {
    let mut db = Database::new().await;
    let mut settings = CREATE.to_vec();
    settings.push(("max.retries", "0"));
    let mut sink = Sink::start(&db, &settings).await;
    sink.put(values("w", vec![item(1, "a", 1)])).await.unwrap();
    db.execute("DROP TABLE w").await;
    sink.put(values("w", vec![item(2, "b", 2)])).await.unwrap();
    db.execute("ALTER TABLE w DROP COLUMN title").await;
    sink.put(values("w", vec![item(3, "c", 3)])).await.unwrap();
    assert_eq!(
        db.rows("SELECT nr, amount, title FROM w ORDER BY nr").await,
        ["(2,2,)", "(3,3,c)"]
    );
}

#[tokio::test]
async fn the_generic_dialect_inserts_only() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE w (nr int primary key, title text, amount int)")
        .await;
    let mut sink = Sink::start(
        &db,
        &[
            ("dialect.name", "GenericDatabaseDialect"),
            ("auto.create", "true"),
        ],
    )
    .await;
    sink.put(values("w", vec![item(1, "a", 1)])).await.unwrap();
    let error = sink.put(values("new", vec![title("a")])).await.unwrap_err();
    assert_eq!(
        error.message,
        "null (STRING) type doesn't have a mapping to the SQL database column type"
    );
    let mut sink = Sink::start(
        &db,
        &[
            ("dialect.name", "GenericDatabaseDialect"),
            ("insert.mode", "upsert"),
            ("pk.mode", "record_key"),
        ],
    )
    .await;
    let error = sink
        .put(pairs("w", vec![(key(1), item(1, "a", 1))]))
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .ends_with("in UPSERT mode is not supported with the Generic dialect."),
        "{}",
        error.message
    );
}
