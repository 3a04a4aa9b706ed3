//! Records that the database refuses.

use std::sync::Arc;

use millrace_api::data::{Data, Schema, SinkRecord};
use millrace_api::plugin::ErrorKind;

use crate::harness::{Database, Reporter, Sink, UPSERT, item, key, pairs, record, row, values};

const BY_VALUE: &[(&str, &str)] = &[
    ("pk.mode", "record_value"),
    ("pk.fields", "nr"),
    ("max.retries", "2"),
];
const CHECKED: &str =
    "CREATE TABLE w (nr int PRIMARY KEY, title text, amount int CHECK (amount < 100))";

#[tokio::test]
async fn one_bad_record_in_thousands_is_reported_and_all_others_are_written() {
    let mut db = Database::new().await;
    db.execute(CHECKED).await;
    for bad in [vec![0], vec![2999], vec![1234], vec![5, 6, 7, 2000], vec![]] {
        db.execute("TRUNCATE w").await;
        let reporter = Arc::new(Reporter::default());
        let mut sink = Sink::with_reporter(&db, BY_VALUE, Some(reporter.clone())).await;
        let rows = (0..3000)
            .map(|nr| item(nr, "x", if bad.contains(&i64::from(nr)) { 500 } else { 1 }))
            .collect();
        sink.put(values("w", rows)).await.unwrap();
        assert_eq!(reporter.offsets(), bad);
        assert_eq!(
            db.rows("SELECT count(*) FROM w").await,
            [format!("({})", 3000 - bad.len())]
        );
        for (_, class, message) in reporter.reported.lock().unwrap().iter() {
            assert_eq!(*class, "java.sql.SQLException");
            assert!(
                message.contains("constraint w_amount_check")
                    && message.contains("\"public\".\"w\"")
                    && message.contains("key nr="),
                "{message}"
            );
            assert!(!message.contains("Failing row"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_batch_of_nothing_but_bad_records() {
    let mut db = Database::new().await;
    db.execute(CHECKED).await;
    let reporter = Arc::new(Reporter::default());
    let mut sink = Sink::with_reporter(&db, BY_VALUE, Some(reporter.clone())).await;
    sink.put(values("w", (0..300).map(|nr| item(nr, "x", 500)).collect()))
        .await
        .unwrap();
    assert_eq!(reporter.offsets(), (0..300).collect::<Vec<_>>());
}

#[tokio::test]
async fn duplicates_of_inserts_are_bad_one_by_one() {
    let mut db = Database::new().await;
    let reporter = Arc::new(Reporter::default());
    let settings = &[
        ("pk.mode", "record_value"),
        ("pk.fields", "nr"),
        ("auto.create", "true"),
    ];
    let mut sink = Sink::with_reporter(&db, settings, Some(reporter.clone())).await;
    sink.put(values(
        "w",
        vec![
            item(1, "a", 1),
            item(1, "b", 2),
            item(2, "c", 3),
            item(1, "d", 4),
        ],
    ))
    .await
    .unwrap();
    assert_eq!(reporter.offsets(), [1, 3]);
    assert!(
        reporter.messages()[0].contains("ERROR 23505")
            && reporter.messages()[0].contains("Detail: Key (nr)=(1) already exists."),
        "{:?}",
        reporter.messages()
    );
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY nr").await,
        ["(1,a,1)", "(2,c,3)"]
    );
}

#[tokio::test]
async fn without_a_reporter_the_batch_is_retried_and_then_the_task_fails_with_the_record_and_nothing_is_written()
 {
    let mut db = Database::new().await;
    db.execute(CHECKED).await;
    let mut sink = Sink::start(&db, BY_VALUE).await;
    let records = values(
        "w",
        vec![
            item(1, "a", 1),
            item(2, "secret title", 500),
            item(3, "c", 3),
        ],
    );
    for _ in 0..2 {
        assert_eq!(
            sink.put(records.clone()).await.unwrap_err().kind,
            ErrorKind::Retriable
        );
    }
    let error = sink.put(records).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Fatal);
    for part in [
        "(topic='w',partition=0,offset=1)",
        "key nr=2",
        &format!("table \"{}\".\"public\".\"w\"", db.name),
        "w_amount_check",
        "ERROR 23514",
    ] {
        assert!(error.message.contains(part), "{part} in {}", error.message);
    }
    assert!(!error.trace().contains("secret title"), "{}", error.trace());
    assert_eq!(db.rows("SELECT count(*) FROM w").await, ["(0)"]);
}

#[tokio::test]
async fn a_table_that_is_repaired_while_the_sink_retries_heals() {
    let mut db = Database::new().await;
    db.execute(CHECKED).await;
    let mut sink = Sink::start(&db, BY_VALUE).await;
    let records = values("w", vec![item(1, "a", 500)]);
    assert_eq!(
        sink.put(records.clone()).await.unwrap_err().kind,
        ErrorKind::Retriable
    );
    db.execute("ALTER TABLE w DROP CONSTRAINT w_amount_check")
        .await;
    sink.put(records).await.unwrap();
    assert_eq!(db.rows("SELECT * FROM w").await, ["(1,a,500)"]);
}

#[tokio::test]
async fn success_gives_all_retries_back() {
    let mut db = Database::new().await;
    db.execute(CHECKED).await;
    let mut sink = Sink::start(&db, &[("max.retries", "1")]).await;
    for round in 0..3 {
        let error = sink
            .put(values("w", vec![item(round, "x", 500)]))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Retriable, "{}", error.message);
        sink.put(values("w", vec![item(round, "x", 1)]))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn intolerance_stops_after_the_first_report_with_what_was_before_it_written() {
    let mut db = Database::new().await;
    db.execute(CHECKED).await;
    let reporter = Arc::new(Reporter {
        intolerant: true,
        ..Reporter::default()
    });
    let mut sink = Sink::with_reporter(&db, BY_VALUE, Some(reporter.clone())).await;
    let error = sink
        .put(values(
            "w",
            vec![
                item(1, "a", 1),
                item(2, "b", 500),
                item(3, "c", 3),
                item(4, "d", 500),
            ],
        ))
        .await
        .unwrap_err();
    assert_eq!(error.message, "Tolerance exceeded in error handler");
    assert_eq!(reporter.offsets(), [1]);
    assert_eq!(db.rows("SELECT * FROM w").await, ["(1,a,1)"]);
}

#[tokio::test]
async fn a_constraint_that_fails_at_commit_is_found_too() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE w (nr int, title text, amount int, CONSTRAINT un UNIQUE (title) DEFERRABLE INITIALLY DEFERRED)").await;
    let reporter = Arc::new(Reporter::default());
    let mut sink = Sink::with_reporter(&db, &[], Some(reporter.clone())).await;
    sink.put(values(
        "w",
        vec![item(1, "a", 1), item(2, "a", 2), item(3, "c", 3)],
    ))
    .await
    .unwrap();
    assert_eq!(reporter.offsets(), [1]);
    assert_eq!(
        db.rows("SELECT nr FROM w ORDER BY nr").await,
        ["(1)", "(3)"]
    );
}

/// Structure changes are part of the search's transaction and survive its turns.
#[tokio::test]
async fn tables_that_grow_during_the_search_are_known_afterwards() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE p (nr int PRIMARY KEY); CREATE TABLE w (nr int REFERENCES p DEFERRABLE INITIALLY DEFERRED, amount int CHECK (amount < 100)); INSERT INTO p SELECT generate_series(0, 9)").await;
    let reporter = Arc::new(Reporter::default());
    let mut sink = Sink::with_reporter(
        &db,
        &[("auto.evolve", "true"), ("auto.create", "true")],
        Some(reporter.clone()),
    )
    .await;
    let of = |topic: &str, offset: i64, nr: i32, amount: i32| {
        record(topic, offset, Data::NONE, item(nr, "t", amount))
    };
    sink.put(vec![
        of("w", 0, 1, 1),
        of("new", 1, 2, 2),
        of("w", 2, 3, 500),
        of("w", 3, 77, 1),
        of("new", 4, 5, 5),
        of("w", 5, 6, 1),
    ])
    .await
    .unwrap();
    assert_eq!(reporter.offsets(), [2, 3]);
    assert_eq!(
        db.rows("SELECT nr FROM w UNION ALL SELECT nr FROM new ORDER BY 1")
            .await,
        ["(1)", "(2)", "(5)", "(6)"]
    );
    sink.put(vec![of("w", 6, 7, 1), of("new", 7, 8, 8)])
        .await
        .unwrap();
    assert_eq!(db.rows("SELECT count(*) FROM new").await, ["(3)"]);
}

#[tokio::test]
async fn deletes_foreign_keys_and_triggers_are_refusals_of_a_record() {
    let mut db = Database::new().await;
    db.execute(
        "CREATE TABLE w (nr int PRIMARY KEY, title text, amount int); INSERT INTO w VALUES (1,'x',1),(2,'y',2); CREATE TABLE kid (nr int REFERENCES w); INSERT INTO kid VALUES (1); \
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.title = 'no' THEN RAISE EXCEPTION 'refused %', new.nr; END IF; RETURN new; END $$; \
         CREATE TRIGGER tr BEFORE INSERT ON w FOR EACH ROW EXECUTE FUNCTION f()",
    )
    .await;
    let reporter = Arc::new(Reporter::default());
    let mut sink = Sink::with_reporter(&db, UPSERT, Some(reporter.clone())).await;
    let records = vec![
        (key(1), Data::NONE),
        (key(2), Data::NONE),
        (key(3), item(3, "no", 1)),
        (key(4), item(4, "d", 1)),
    ];
    sink.put(pairs("w", records)).await.unwrap();
    assert_eq!(reporter.offsets(), [0, 2]);
    assert!(
        reporter.messages()[1].contains("ERROR P0001: refused 3"),
        "{:?}",
        reporter.messages()
    );
    assert_eq!(
        db.rows("SELECT nr FROM w ORDER BY nr").await,
        ["(1)", "(4)"]
    );
}

#[tokio::test]
async fn a_missing_table_sends_its_records_away_at_once_and_the_other_table_is_written() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE l (nr int, title text, amount int)")
        .await;
    let reporter = Arc::new(Reporter::default());
    let mut sink = Sink::with_reporter(&db, &[], Some(reporter.clone())).await;
    let of = |topic: &str, offset: i64| -> SinkRecord {
        record(topic, offset, Data::NONE, item(offset as i32, "x", 0))
    };
    sink.put(vec![of("k", 0), of("l", 1), of("k", 2), of("l", 3)])
        .await
        .unwrap();
    assert_eq!(reporter.offsets(), [0, 2]);
    let (_, class, message) = reporter.reported.lock().unwrap()[0].clone();
    assert_eq!(
        class,
        "io.confluent.connect.jdbc.sink.TableAlterOrCreateException"
    );
    assert_eq!(
        message,
        format!(
            "Table \"{}\".\"public\".\"k\" is missing and auto-creation is disabled",
            db.name
        )
    );
    assert_eq!(
        db.rows("SELECT nr FROM l ORDER BY nr").await,
        ["(1)", "(3)"]
    );
}

#[tokio::test]
async fn missing_columns_are_the_fault_of_the_records_that_have_them() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE w (title text)").await;
    let reporter = Arc::new(Reporter::default());
    let mut sink = Sink::with_reporter(&db, &[], Some(reporter.clone())).await;
    let narrow = |text: &str| row(vec![("title", Schema::string().to_optional(), text.into())]);
    sink.put(values("w", vec![narrow("a"), item(1, "b", 2), narrow("c")]))
        .await
        .unwrap();
    assert_eq!(reporter.offsets(), [1]);
    assert_eq!(db.rows("SELECT * FROM w ORDER BY 1").await, ["(a)", "(c)"]);
}

#[tokio::test]
async fn structure_changes_commit_earlier_rows_and_a_failure_takes_the_rest_back() {
    let mut db = Database::new().await;
    db.execute(CHECKED).await;
    let mut settings = BY_VALUE.to_vec();
    settings.extend([("auto.evolve", "true"), ("max.retries", "0")]);
    let mut sink = Sink::start(&db, &settings).await;
    let long = |nr: i32, amount: i32| {
        row(vec![
            ("nr", Schema::int32(), nr.into()),
            ("title", Schema::string().to_optional(), "t".into()),
            ("amount", Schema::int32().to_optional(), amount.into()),
            ("bonus", Schema::string().to_optional(), "b".into()),
        ])
    };
    let error = sink
        .put(values(
            "w",
            vec![item(1, "a", 1), item(2, "b", 2), long(3, 3), long(4, 500)],
        ))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("offset=3"),
        "the bad record, not one that is written already: {}",
        error.message
    );
    assert_eq!(
        db.rows("SELECT nr, title, amount, bonus FROM w ORDER BY nr")
            .await,
        ["(1,a,1,)", "(2,b,2,)"]
    );
}

#[tokio::test]
async fn a_failing_table_takes_back_the_rows_of_another() {
    let mut db = Database::new().await;
    db.execute(CHECKED).await;
    db.execute("CREATE TABLE p (nr int, title text, amount int)")
        .await;
    let mut sink = Sink::start(&db, &[("max.retries", "0"), ("batch.size", "1")]).await;
    sink.put(vec![
        record("p", 0, Data::NONE, item(1, "a", 1)),
        record("w", 1, Data::NONE, item(2, "b", 500)),
    ])
    .await
    .unwrap_err();
    assert_eq!(db.rows("SELECT count(*) FROM p").await, ["(0)"]);
}

#[tokio::test]
async fn keys_that_only_the_database_finds_equal_are_written_one_after_the_other() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE w (id char(4) PRIMARY KEY, x int)")
        .await;
    let reporter = Arc::new(Reporter::default());
    let mut sink = Sink::with_reporter(
        &db,
        &[
            ("insert.mode", "upsert"),
            ("pk.mode", "record_value"),
            ("pk.fields", "id"),
        ],
        Some(reporter.clone()),
    )
    .await;
    let of = |id: &str, x: i32| {
        row(vec![
            ("id", Schema::string(), id.into()),
            ("x", Schema::int32(), x.into()),
        ])
    };
    sink.put(values("w", vec![of("a", 1), of("a ", 2), of("b", 3)]))
        .await
        .unwrap();
    assert!(reporter.offsets().is_empty(), "{:?}", reporter.messages());
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY id").await,
        ["(\"a   \",2)", "(\"b   \",3)"]
    );
}

#[tokio::test]
async fn trimmed_messages_show_no_values() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE w (nr int PRIMARY KEY, title varchar(3), amount int)")
        .await;
    let reporter = Arc::new(Reporter::default());
    let mut settings = BY_VALUE.to_vec();
    settings.push(("trim.sensitive.log", "true"));
    let mut sink = Sink::with_reporter(&db, &settings, Some(reporter.clone())).await;
    sink.put(values("w", vec![item(4711, "a", 1), item(4711, "b", 1)]))
        .await
        .unwrap();
    let message = reporter.messages().remove(0);
    assert!(
        message.contains("23505") && message.contains("offset=1") && !message.contains("4711"),
        "{message}"
    );
}

#[tokio::test]
async fn upsert_without_keys_or_index_says_so() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE w (nr int, title text, amount int)")
        .await;
    let mut sink = Sink::start(&db, &[("insert.mode", "upsert")]).await;
    let error = sink
        .put(values("w", vec![item(1, "a", 1)]))
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        format!(
            "Write to table '\"{}\".\"public\".\"w\"' in UPSERT mode requires key field names to be known, check the primary key configuration",
            db.name
        )
    );
    let mut sink = Sink::start(
        &db,
        &[
            ("insert.mode", "upsert"),
            ("pk.mode", "record_value"),
            ("pk.fields", "nr"),
            ("max.retries", "0"),
        ],
    )
    .await;
    let error = sink
        .put(values("w", vec![item(1, "a", 1)]))
        .await
        .unwrap_err();
    assert!(error.message.contains("42P10"), "{}", error.message);
}
