//! Insert, upsert, update with every primary key mode.

use millrace_api::data::{Data, Schema};

use crate::harness::{Database, Sink, UPSERT, item, key, pairs, record, row, values};

#[tokio::test]
async fn upsert_by_record_key_keeps_the_last_row_of_a_key() {
    let mut db = Database::new().await;
    let mut sink = Sink::start(&db, UPSERT).await;
    let records = pairs(
        "w",
        vec![
            (key(1), item(1, "a", 1)),
            (key(2), item(2, "b", 2)),
            (key(1), item(1, "c", 3)),
        ],
    );
    sink.put(records.clone()).await.unwrap();
    assert_eq!(
        db.shape("w").await,
        [
            "nr integer not null",
            "title text",
            "amount integer",
            "PRIMARY KEY (nr)"
        ]
    );
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY nr").await,
        ["(1,c,3)", "(2,b,2)"]
    );
    sink.put(records).await.unwrap();
    sink.put(pairs("w", vec![(key(2), item(2, "z", 9))]))
        .await
        .unwrap();
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY nr").await,
        ["(1,c,3)", "(2,z,9)"]
    );
}

#[tokio::test]
async fn insert_with_every_key_mode() {
    let mut db = Database::new().await;
    let mut sink = Sink::start(&db, &[("auto.create", "true")]).await;
    sink.put(values("plain", vec![item(1, "a", 1), item(1, "a", 1)]))
        .await
        .unwrap();
    assert_eq!(
        db.shape("plain").await,
        ["nr integer not null", "title text", "amount integer"]
    );
    assert_eq!(db.rows("SELECT * FROM plain").await, ["(1,a,1)", "(1,a,1)"]);

    let mut sink = Sink::start(&db, &[("auto.create", "true"), ("pk.mode", "kafka")]).await;
    sink.put(values("kafka", vec![item(1, "a", 1), item(1, "a", 1)]))
        .await
        .unwrap();
    assert_eq!(
        db.rows("SELECT * FROM kafka").await,
        ["(kafka,0,0,1,a,1)", "(kafka,0,1,1,a,1)"]
    );
    assert_eq!(
        db.shape("kafka").await.last().unwrap(),
        "PRIMARY KEY (__connect_topic, __connect_partition, __connect_offset)"
    );

    let mut sink = Sink::start(
        &db,
        &[
            ("auto.create", "true"),
            ("pk.mode", "record_value"),
            ("pk.fields", "amount,nr"),
        ],
    )
    .await;
    sink.put(values("by_value", vec![item(1, "a", 1), item(1, "b", 2)]))
        .await
        .unwrap();
    assert_eq!(
        db.shape("by_value").await,
        [
            "nr integer not null",
            "title text",
            "amount integer not null",
            "PRIMARY KEY (nr, amount)"
        ]
    );

    let mut sink = Sink::start(
        &db,
        &[
            ("auto.create", "true"),
            ("pk.mode", "record_key"),
            ("pk.fields", "id"),
        ],
    )
    .await;
    sink.put(pairs(
        "by_key",
        vec![(
            Data::new(Schema::int64(), 9_007_199_254_740_993i64),
            item(1, "a", 1),
        )],
    ))
    .await
    .unwrap();
    assert_eq!(
        db.rows("SELECT * FROM by_key").await,
        ["(1,a,1,9007199254740993)"]
    );
    assert_eq!(
        db.shape("by_key").await,
        [
            "nr integer not null",
            "title text",
            "amount integer",
            "id bigint not null",
            "PRIMARY KEY (id)"
        ]
    );
}

#[tokio::test]
async fn update_changes_what_is_there_and_ignores_the_rest() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE w (nr int PRIMARY KEY, title text, amount int, other text); INSERT INTO w VALUES (1,'a',1,'o'),(2,'b',2,'o')").await;
    let mut sink = Sink::start(
        &db,
        &[
            ("insert.mode", "update"),
            ("pk.mode", "record_value"),
            ("pk.fields", "nr"),
        ],
    )
    .await;
    sink.put(values(
        "w",
        vec![item(1, "x", 5), item(3, "c", 3), item(1, "y", 6)],
    ))
    .await
    .unwrap();
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY nr").await,
        ["(1,y,6,o)", "(2,b,2,o)"]
    );
}

#[tokio::test]
async fn without_other_columns_upsert_does_nothing_to_a_row_and_update_runs_no_statement() {
    let mut db = Database::new().await;
    let mut sink = Sink::start(
        &db,
        &[
            ("insert.mode", "upsert"),
            ("pk.mode", "record_value"),
            ("auto.create", "true"),
        ],
    )
    .await;
    sink.put(values(
        "w",
        vec![item(1, "a", 1), item(1, "a", 1), item(2, "b", 2)],
    ))
    .await
    .unwrap();
    sink.put(values("w", vec![item(1, "a", 1)])).await.unwrap();
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY nr").await,
        ["(1,a,1)", "(2,b,2)"]
    );
    let mut sink = Sink::start(
        &db,
        &[("insert.mode", "update"), ("pk.mode", "record_value")],
    )
    .await;
    sink.put(values("w", vec![item(1, "a", 1), item(7, "a", 1)]))
        .await
        .unwrap();
    assert_eq!(db.rows("SELECT count(*) FROM w").await, ["(2)"]);
}

#[tokio::test]
async fn the_key_wins_over_the_value_and_string_values_have_their_column() {
    let mut db = Database::new().await;
    let mut sink = Sink::start(&db, UPSERT).await;
    sink.put(pairs("w", vec![(key(1), item(99, "a", 1))]))
        .await
        .unwrap();
    assert_eq!(db.rows("SELECT * FROM w").await, ["(1,a,1)"]);
    sink.put(pairs(
        "s",
        vec![(key(1), Data::new(Schema::string(), "it's"))],
    ))
    .await
    .unwrap();
    assert_eq!(
        db.rows("SELECT record_value, nr FROM s").await,
        ["(it's,1)"]
    );
}

#[tokio::test]
async fn schemas_that_alternate_keep_the_order_of_a_key() {
    let mut db = Database::new().await;
    let settings = &[
        ("insert.mode", "upsert"),
        ("pk.mode", "record_value"),
        ("pk.fields", "nr"),
        ("auto.create", "true"),
        ("auto.evolve", "true"),
    ];
    let mut sink = Sink::start(&db, settings).await;
    let short = |nr: i32, a: &str| {
        row(vec![
            ("nr", Schema::int32(), nr.into()),
            ("a", Schema::string().to_optional(), a.into()),
        ])
    };
    let long = |nr: i32, a: &str, b: i32| {
        row(vec![
            ("nr", Schema::int32(), nr.into()),
            ("a", Schema::string().to_optional(), a.into()),
            ("b", Schema::int32().to_optional(), b.into()),
        ])
    };
    sink.put(values(
        "w",
        vec![
            short(1, "1"),
            short(2, "2"),
            long(1, "3", 3),
            short(2, "4"),
            long(2, "5", 5),
        ],
    ))
    .await
    .unwrap();
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY nr").await,
        ["(1,3,3)", "(2,5,5)"]
    );
}

#[tokio::test]
async fn batches_are_cut_and_tables_kept_apart() {
    let mut db = Database::new().await;
    let mut settings = UPSERT.to_vec();
    settings.push(("batch.size", "7"));
    let mut sink = Sink::start(&db, &settings).await;
    let records = (0..100)
        .map(|n| {
            record(
                if n % 2 == 0 { "p" } else { "q" },
                n,
                key(n as i32 % 30),
                item(0, "x", n as i32),
            )
        })
        .collect();
    sink.put(records).await.unwrap();
    assert_eq!(
        db.rows("SELECT count(*), max(amount), sum(nr) FROM p")
            .await,
        ["(15,98,210)"]
    );
    assert_eq!(
        db.rows("SELECT count(*), max(amount), sum(nr) FROM q")
            .await,
        ["(15,99,225)"]
    );
}
