//! Tombstones.

use millrace_api::data::{Data, Schema, SchemaBuilder};
use millrace_api::plugin::ErrorKind;

use crate::harness::{Database, Sink, UPSERT, item, key, pairs, row, values};

#[tokio::test]
async fn the_last_record_of_a_key_decides() {
    let mut db = Database::new().await;
    let mut sink = Sink::start(&db, UPSERT).await;
    let put = |nr| (key(nr), item(nr, "x", nr));
    let delete = |nr| (key(nr), Data::NONE);
    sink.put(pairs(
        "w",
        vec![
            put(1),
            delete(1),
            put(2),
            put(3),
            delete(3),
            put(3),
            delete(2),
            put(4),
            delete(5),
        ],
    ))
    .await
    .unwrap();
    assert_eq!(
        db.rows("SELECT nr FROM w ORDER BY nr").await,
        ["(3)", "(4)"]
    );
    sink.put(pairs("w", vec![delete(3), put(3), delete(4)]))
        .await
        .unwrap();
    assert_eq!(db.rows("SELECT nr FROM w ORDER BY nr").await, ["(3)"]);
}

#[tokio::test]
async fn a_delete_before_a_write_resets_columns_that_the_record_lacks() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE w (nr int PRIMARY KEY, title text, amount int, other text DEFAULT 'fresh'); INSERT INTO w VALUES (1,'a',1,'old'),(2,'b',2,'old')").await;
    let mut sink = Sink::start(&db, UPSERT).await;
    sink.put(pairs(
        "w",
        vec![
            (key(1), Data::NONE),
            (key(1), item(1, "n", 1)),
            (key(2), item(2, "m", 2)),
        ],
    ))
    .await
    .unwrap();
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY nr").await,
        ["(1,n,1,fresh)", "(2,m,2,old)"]
    );
}

#[tokio::test]
async fn deletes_with_inserts_and_updates_keep_their_order() {
    let mut db = Database::new().await;
    let insert = &[
        ("pk.mode", "record_key"),
        ("delete.enabled", "true"),
        ("auto.create", "true"),
    ];
    let mut sink = Sink::start(&db, insert).await;
    let put = |nr, title: &str| (key(nr), item(nr, title, 0));
    let delete = |nr| (key(nr), Data::NONE);
    sink.put(pairs(
        "w",
        vec![put(1, "a"), delete(1), put(1, "b"), put(2, "c"), delete(2)],
    ))
    .await
    .unwrap();
    assert_eq!(db.rows("SELECT nr, title FROM w").await, ["(1,b)"]);
    let update = &[
        ("insert.mode", "update"),
        ("pk.mode", "record_key"),
        ("delete.enabled", "true"),
    ];
    let mut sink = Sink::start(&db, update).await;
    sink.put(pairs("w", vec![put(1, "c"), put(1, "d")]))
        .await
        .unwrap();
    assert_eq!(db.rows("SELECT nr, title FROM w").await, ["(1,d)"]);
    sink.put(pairs("w", vec![delete(1), put(1, "e")]))
        .await
        .unwrap();
    assert_eq!(
        db.rows("SELECT nr, title FROM w").await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_tombstone_that_comes_first_makes_no_table_and_a_value_after_it_is_whole() {
    let mut db = Database::new().await;
    let mut sink = Sink::start(&db, UPSERT).await;
    sink.put(pairs("w", vec![(key(1), Data::NONE)]))
        .await
        .unwrap();
    assert_eq!(db.rows("SELECT to_regclass('w') IS NULL").await, ["(t)"]);
    sink.put(pairs(
        "w",
        vec![
            (key(1), Data::NONE),
            (key(2), item(2, "b", 6)),
            (key(3), Data::NONE),
            (key(4), item(4, "d", 4)),
        ],
    ))
    .await
    .unwrap();
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY nr").await,
        ["(2,b,6)", "(4,d,4)"]
    );
}

#[tokio::test]
async fn a_key_schema_that_a_tombstone_changes_does_not_cost_columns() {
    let mut db = Database::new().await;
    let mut sink = Sink::start(&db, UPSERT).await;
    let other = |nr: i32| {
        let schema = SchemaBuilder::structure()
            .name("other")
            .field("nr", Schema::int32())
            .build_valid();
        Data::new(
            schema.clone(),
            millrace_api::data::Struct::new(schema, vec![nr.into()]),
        )
    };
    let records = vec![
        (key(1), item(1, "a", 1)),
        (other(1), Data::NONE),
        (other(2), item(2, "b", 2)),
        (other(3), item(3, "c", 3)),
    ];
    sink.put(pairs("w", records)).await.unwrap();
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY nr").await,
        ["(2,b,2)", "(3,c,3)"]
    );
}

#[tokio::test]
async fn with_deletes_off_a_tombstone_fails_the_task_in_every_mode_and_is_not_reported() {
    let db = Database::new().await;
    for mode in ["none", "kafka", "record_key", "record_value"] {
        let reporter = std::sync::Arc::new(crate::harness::Reporter::default());
        let settings = [
            ("pk.mode", mode),
            ("auto.create", "true"),
            ("errors.tolerance", "all"),
        ];
        let mut sink = Sink::with_reporter(&db, &settings, Some(reporter.clone())).await;
        let error = sink
            .put(pairs("w", vec![(key(1), Data::NONE)]))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind, error.java_class),
            (
                ErrorKind::Fatal,
                "org.apache.kafka.connect.errors.ConnectException"
            )
        );
        assert!(
            error.message.contains(&format!("'pk.mode={mode}'"))
                && error
                    .message
                    .ends_with("with a null value and null value schema."),
            "{}",
            error.message
        );
        assert!(reporter.offsets().is_empty());
    }
}

#[tokio::test]
async fn a_record_that_is_refused_takes_the_batch_back_but_not_the_table() {
    let mut db = Database::new().await;
    let mut sink = Sink::start(&db, &[("auto.create", "true")]).await;
    sink.put(values("w", vec![item(1, "a", 1), Data::NONE]))
        .await
        .unwrap_err();
    assert_eq!(db.rows("SELECT count(*) FROM w").await, ["(0)"]);
}

#[tokio::test]
async fn deletes_by_keys_of_other_types() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE w (id uuid, t text, c char(4), v varchar(9), PRIMARY KEY (id, t, c, v)); INSERT INTO w VALUES ('11111111-2222-3333-4444-555555555555','7','ab','x'),('11111111-2222-3333-4444-555555555556','7','ab','x')").await;
    let mut sink = Sink::start(
        &db,
        &[
            ("pk.mode", "record_key"),
            ("delete.enabled", "true"),
            ("insert.mode", "upsert"),
        ],
    )
    .await;
    let key = row(vec![
        (
            "id",
            Schema::string(),
            "11111111-2222-3333-4444-555555555555".into(),
        ),
        ("t", Schema::int32(), 7.into()),
        ("c", Schema::string(), "ab".into()),
        ("v", Schema::string(), "x".into()),
    ]);
    sink.put(pairs("w", vec![(key, Data::NONE)])).await.unwrap();
    assert_eq!(
        db.rows("SELECT id FROM w").await,
        ["(11111111-2222-3333-4444-555555555556)"]
    );
}
