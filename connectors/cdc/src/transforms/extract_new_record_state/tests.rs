use std::sync::Arc;

use millrace_api::config::Props;
use millrace_api::data::{Data, Headers, Kind, Record, Schema, SchemaBuilder, Struct, Value};
use millrace_api::plugin::{
    ConverterPlugin, Encoded, HeaderConverter, Transform, TransformPlugin, Verdict,
};
use millrace_converters::{JsonConverterPlugin, SimpleHeaderConverter};

use super::ExtractNewRecordStatePlugin;

fn transform(config: &[(&str, &str)]) -> Box<dyn Transform> {
    ExtractNewRecordStatePlugin
        .create(&config.iter().copied().collect())
        .expect("a transform")
}

fn key_schema() -> Schema {
    SchemaBuilder::structure()
        .name("PFX.public.client.Key")
        .field("id", Schema::int32())
        .build_valid()
}

fn row_schema() -> Schema {
    SchemaBuilder::structure()
        .name("PFX.public.client.Value")
        .optional(true)
        .field("id", Schema::int32())
        .field("val", Schema::string())
        .field(
            "n",
            SchemaBuilder::new(Kind::Int32)
                .optional(true)
                .default(Some(Value::Int32(7)))
                .build_valid(),
        )
        .field("more", Schema::string().to_optional())
        .build_valid()
}

fn source_schema() -> Schema {
    let snapshot = SchemaBuilder::new(Kind::String)
        .optional(true)
        .name("io.debezium.data.Enum")
        .version(1)
        .parameter(
            "allowed",
            "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental",
        )
        .default(Some("false".into()));
    SchemaBuilder::structure()
        .name("io.debezium.connector.postgresql.Source")
        .version(1)
        .field("version", Schema::string())
        .field("ts_ms", Schema::int64())
        .field("snapshot", snapshot.build_valid())
        .field("db", Schema::string())
        .field("table", Schema::string())
        .field("lsn", Schema::int64().to_optional())
        .build_valid()
}

fn envelope_schema() -> Schema {
    SchemaBuilder::structure()
        .name("PFX.public.client.Envelope")
        .version(2)
        .field("before", row_schema())
        .field("after", row_schema())
        .field("source", source_schema())
        .field("transaction", crate::transaction_block_schema())
        .field("op", Schema::string())
        .field("ts_ms", Schema::int64().to_optional())
        .build_valid()
}

fn key(id: i32) -> Data {
    Data::new(key_schema(), Struct::new(key_schema(), vec![id.into()]))
}

fn row(id: i32, val: &str, n: Option<i32>, more: Option<&str>) -> Value {
    Struct::new(
        row_schema(),
        vec![
            id.into(),
            val.into(),
            n.map_or(Value::Null, Value::Int32),
            more.map_or(Value::Null, Value::from),
        ],
    )
    .into()
}

/// `place`: the `snapshot` of a snapshot's event, or the transaction's id of a streamed one.
fn event(
    op: &str,
    id: Option<i32>,
    before: Value,
    after: Value,
    place: Result<&str, &str>,
) -> Record {
    let snapshot = place.ok().map_or(Value::Null, Value::from);
    let source = vec![
        "<version>".into(),
        17i64.into(),
        snapshot,
        "DB".into(),
        "client".into(),
        17i64.into(),
    ];
    let transaction = match place {
        Ok(_) => Value::Null,
        Err(id) => Struct::new(
            crate::transaction_block_schema(),
            vec![id.into(), 1i64.into(), 1i64.into()],
        )
        .into(),
    };
    let values = vec![
        before,
        after,
        Struct::new(source_schema(), source).into(),
        transaction,
        op.into(),
        17i64.into(),
    ];
    Record {
        topic: "PFX.public.client".into(),
        partition: None,
        timestamp: None,
        key: id.map_or(Data::NONE, key),
        value: Data::new(envelope_schema(), Struct::new(envelope_schema(), values)),
        headers: Headers::new(),
    }
}

fn tombstone(id: i32) -> Record {
    Record {
        value: Data::NONE,
        ..event("d", Some(id), Value::Null, Value::Null, Err(""))
    }
}

/// The events of: two rows read; 3 inserted; 1 updated; 2 becomes 20; 3 deleted; truncate. Rows before are complete only with full replica identity.
fn events(full_identity: bool) -> Vec<Record> {
    let before = |full: Value, id: i32| {
        if full_identity {
            full
        } else {
            row(id, "", None, None)
        }
    };
    let with_header = |mut record: Record, name: &str, id: i32| {
        record.headers.push(name, key(id));
        record
    };
    let (tx1, tx2, tx3, tx4) = (
        Err("<tx1>:<lsn2>"),
        Err("<tx2>:<lsn3>"),
        Err("<tx3>:<lsn4>"),
        Err("<tx4>:<lsn5>"),
    );
    let updated_before = if full_identity {
        row(1, "red", Some(1), None)
    } else {
        Value::Null
    };
    vec![
        event(
            "r",
            Some(1),
            Value::Null,
            row(1, "red", Some(1), None),
            Ok("first"),
        ),
        event(
            "r",
            Some(2),
            Value::Null,
            row(2, "green", None, Some("mooded")),
            Ok("last"),
        ),
        event(
            "c",
            Some(3),
            Value::Null,
            row(3, "blue", Some(7), None),
            tx1,
        ),
        event(
            "u",
            Some(1),
            updated_before,
            row(1, "eins", Some(1), None),
            tx2,
        ),
        with_header(
            event(
                "d",
                Some(2),
                before(row(2, "green", None, Some("mooded")), 2),
                Value::Null,
                tx3,
            ),
            "__debezium.newkey",
            20,
        ),
        with_header(tombstone(2), "__debezium.newkey", 20),
        with_header(
            event(
                "c",
                Some(20),
                Value::Null,
                row(20, "green", None, Some("mooded")),
                tx3,
            ),
            "__debezium.oldkey",
            2,
        ),
        event(
            "d",
            Some(3),
            before(row(3, "blue", Some(7), None), 3),
            Value::Null,
            tx4,
        ),
        tombstone(3),
        event("t", None, Value::Null, Value::Null, Err("<tx5>:<lsn6>")),
    ]
}

/// The headers of the transform that says which columns an update changed.
fn with_changed_headers(record: &mut Record) {
    let is_update = record
        .value
        .value
        .as_struct()
        .and_then(|v| v.get("op"))
        .and_then(Value::as_str)
        == Some("u");
    let (changed, unchanged): (&[&str], &[&str]) = if is_update {
        (&["val"], &["id", "n", "more"])
    } else {
        (&[], &[])
    };
    for (name, fields) in [("Changed", changed), ("Unchanged", unchanged)] {
        let schema = SchemaBuilder::array(Schema::string().to_optional())
            .name(name)
            .build_valid();
        record.headers.push(
            name,
            Data::new(
                schema,
                Value::Array(Arc::new(fields.iter().map(|f| Value::from(*f)).collect())),
            ),
        );
    }
}

fn json(data: &Data) -> Option<String> {
    let mut out = Vec::new();
    let mut converter =
        ConverterPlugin::create(&JsonConverterPlugin, &Props::new(), false).expect("a converter");
    match converter
        .encode("t", &mut Headers::new(), data, &mut out)
        .expect("written")
    {
        Encoded::Written => Some(String::from_utf8(out).expect("UTF-8")),
        _ => None,
    }
}

fn header_texts(record: &Record) -> Vec<(String, Option<String>)> {
    let text = |data: &Data| {
        let mut out = Vec::new();
        SimpleHeaderConverter
            .encode("t", "h", data, &mut out)
            .expect("written")
            .then(|| String::from_utf8(out).expect("UTF-8"))
    };
    record
        .headers
        .iter()
        .map(|header| (header.name.to_string(), text(&header.data)))
        .collect()
}

fn applied(config: &[(&str, &str)], mut record: Record) -> Option<Record> {
    (transform(config).apply(&mut record).expect("applied") == Verdict::Keep).then_some(record)
}

/// What Debezium's own transform made of these events in a Java worker, byte for byte.
#[test]
fn rows_are_those_that_debezium_made() {
    let cases: serde_json::Value =
        serde_json::from_str(include_str!("recorded.json")).expect("recorded answers");
    for case in cases.as_array().expect("cases") {
        let name = &case["name"];
        let config: Vec<(&str, &str)> = case["config"]
            .as_object()
            .expect("a config")
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str().expect("text")))
            .collect();
        let mut transform = transform(&config);
        let mut got = Vec::new();
        for mut record in events(case["full_identity"] == true) {
            if config
                .iter()
                .any(|(key, _)| *key == "drop.fields.header.name")
            {
                with_changed_headers(&mut record);
            }
            if transform.apply(&mut record).expect("applied") == Verdict::Keep {
                got.push(serde_json::json!({ "key": json(&record.key), "value": json(&record.value), "headers": header_texts(&record) }));
            }
        }
        let expected = case["records"].as_array().expect("records");
        for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
            assert_eq!(got, expected, "{name}, record {i}");
        }
        assert_eq!(got.len(), expected.len(), "{name}");
    }
}

#[test]
fn deletes_and_tombstones_follow_the_mode() {
    let delete = || {
        event(
            "d",
            Some(3),
            row(3, "blue", None, None),
            Value::Null,
            Err("tx"),
        )
    };
    for (mode, deleted, kept) in [
        ("drop", None, false),
        (
            "tombstone",
            Some(Data::new(row_schema(), Value::Null)),
            false,
        ),
        ("delete-to-tombstone", Some(Data::NONE), false),
        ("DELETE-TO-TOMBSTONE", Some(Data::NONE), false),
    ] {
        let config = [("delete.tombstone.handling.mode", mode)];
        assert_eq!(
            applied(&config, delete()).map(|r| r.value),
            deleted,
            "{mode}"
        );
        assert_eq!(applied(&config, tombstone(3)).is_some(), kept, "{mode}");
    }
    let config = [
        ("delete.tombstone.handling.mode", "rewrite-with-tombstone"),
        ("add.headers", "op,lsn"),
    ];
    let rewritten = applied(&config, delete()).expect("kept").value;
    let row = rewritten.value.as_struct().expect("a row");
    assert_eq!(
        (row.get("n"), row.get("__deleted")),
        (Some(&Value::Int32(7)), Some(&"true".into()))
    );
    let kept = applied(&config, tombstone(3)).expect("kept");
    assert_eq!(
        header_texts(&kept),
        [("__op".to_owned(), Some("d".to_owned()))]
    );
    assert_eq!(kept.value, Data::NONE);
    let config = [
        ("delete.tombstone.handling.mode", "rewrite"),
        ("replace.null.with.default", "false"),
    ];
    let rewritten = applied(&config, delete()).expect("kept").value;
    assert_eq!(
        rewritten.value.as_struct().and_then(|row| row.get("n")),
        Some(&Value::Null)
    );
}

#[test]
fn what_is_no_envelope_passes_and_a_truncate_does_not() {
    let mut heartbeat = tombstone(1);
    heartbeat.value = Data::schemaless("x");
    assert_eq!(applied(&[], heartbeat.clone()), Some(heartbeat));
    let row_only = Record {
        value: Data::new(row_schema(), row(1, "a", None, None)),
        ..tombstone(1)
    };
    assert_eq!(applied(&[], row_only.clone()), Some(row_only));
    assert_eq!(
        applied(&[], event("t", None, Value::Null, Value::Null, Err("tx"))),
        None
    );
}

#[test]
fn a_column_can_be_the_topic() {
    let topic = |before, after| {
        applied(
            &[("route.by.field", "val")],
            event("u", Some(1), before, after, Err("tx")),
        )
        .expect("kept")
        .topic
    };
    assert_eq!(&*topic(Value::Null, row(1, "red", None, None)), "red");
    assert_eq!(
        &*topic(row(1, "blue", None, None), Value::Null),
        "blue",
        "a delete goes by the row before it"
    );
    assert_eq!(
        &*topic(row(1, "", None, None), Value::Null),
        "PFX.public.client"
    );
    for (field, message) in [
        ("n", "Field 'n' is not of type STRING"),
        ("nope", "nope is not a valid field name"),
    ] {
        let mut record = event(
            "c",
            Some(1),
            Value::Null,
            row(1, "red", None, None),
            Err("tx"),
        );
        assert_eq!(
            transform(&[("route.by.field", field)])
                .apply(&mut record)
                .expect_err("refused")
                .message,
            message
        );
    }
}

#[test]
fn required_fields_are_dropped_only_when_readers_need_not_understand() {
    let names = |names: &[&str]| {
        Data::schemaless(Value::Array(Arc::new(
            names.iter().map(|n| Value::from(*n)).collect(),
        )))
    };
    let dropped = |config: &[(&str, &str)]| {
        let mut record = event(
            "c",
            Some(1),
            Value::Null,
            row(1, "red", None, Some("m")),
            Err("tx"),
        );
        record.headers.push("drop", names(&["id", "more", "nope"]));
        let record = applied(
            &[&[("drop.fields.header.name", "drop")], config].concat(),
            record,
        )
        .expect("kept");
        let fields = |data: &Data| {
            data.schema
                .as_ref()
                .expect("a schema")
                .fields()
                .iter()
                .map(|f| f.name.to_string())
                .collect::<Vec<_>>()
        };
        (fields(&record.key), fields(&record.value))
    };
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert_eq!(dropped(&[]), (owned(&["id"]), owned(&["id", "val", "n"])));
    assert_eq!(
        dropped(&[("drop.fields.keep.schema.compatible", "false")]),
        (owned(&["id"]), owned(&["val", "n"]))
    );
    let both = [
        ("drop.fields.keep.schema.compatible", "false"),
        ("drop.fields.from.key", "true"),
    ];
    assert_eq!(dropped(&both), (owned(&[]), owned(&["val", "n"])));
}

#[test]
fn wrong_configuration_and_wrong_events_are_refused() {
    for (key, value, problem) in [
        (
            "delete.tombstone.handling.mode",
            "none",
            "delete.tombstone.handling.mode",
        ),
        ("add.fields", "a:b:c", "Unexpected field name: a:b:c"),
        ("drop.fields.from.key", "maybe", "drop.fields.from.key"),
    ] {
        let error = ExtractNewRecordStatePlugin
            .create(&Props::from_iter([(key, value)]))
            .err()
            .expect("refused");
        assert!(error.message.contains(problem), "{}", error.message);
    }
    let refused = |config: &[(&str, &str)], mut record: Record| {
        transform(config).apply(&mut record).expect_err("refused")
    };
    let insert = || {
        event(
            "c",
            Some(1),
            Value::Null,
            row(1, "red", None, None),
            Err("tx"),
        )
    };
    assert_eq!(
        refused(&[("add.fields", "nope.x")], insert()).java_class,
        "java.lang.NullPointerException"
    );
    let twice = refused(
        &[("add.fields", "op:id"), ("add.fields.prefix", "")],
        insert(),
    );
    assert_eq!(
        twice.message,
        "Cannot create field because of field name duplication id"
    );
    let mut record = insert();
    record.headers.push("drop", Data::schemaless("val"));
    assert!(
        refused(&[("drop.fields.header.name", "drop")], record)
            .message
            .contains("must hold a list")
    );
}
