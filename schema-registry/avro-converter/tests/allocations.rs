//! Writing Avro into a buffer that has room allocates nothing once the schema is known; reading allocates a struct's values and little else.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_api::data::{
    Blob, Data, Decimal, Headers, Kind, Schema, SchemaBuilder, Struct, Value, logical,
};
use millrace_api::plugin::{Decoded, Encoded};
use millrace_avro_converter::AvroConverterPlugin;
use registry_client::memory::ConverterInMemory;

type Fixture = ConverterInMemory<AvroConverterPlugin>;

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[allow(unsafe_code)] // a global allocator cannot be written without
// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as for `dealloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    work();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

fn row(i: i64) -> Data {
    let inner = SchemaBuilder::structure()
        .name("t.Inner")
        .field("x", Schema::int32())
        .optional(true)
        .build_valid();
    let color = SchemaBuilder::new(Kind::String)
        .name("t.Color")
        .parameter("io.confluent.connect.avro.Enum", "t.Color")
        .parameter("io.confluent.connect.avro.Enum.RED", "RED")
        .parameter("io.confluent.connect.avro.Enum.BLUE", "BLUE")
        .build_valid();
    let union = SchemaBuilder::structure()
        .name("io.confluent.connect.avro.Union")
        .field("int", Schema::int32().to_optional())
        .field("string", Schema::string().to_optional())
        .build_valid();
    let schema = SchemaBuilder::structure()
        .name("t.Value")
        .field("id", Schema::int64())
        .field("name", Schema::string().to_optional())
        .field("price", logical::decimal(2).build_valid())
        .field("ratio", Schema::float64())
        .field("raw", Schema::bytes())
        .field("tags", Schema::array(Schema::string()))
        .field(
            "counts",
            Schema::map(
                Schema::string(),
                Schema::map(Schema::string(), Schema::int32()),
            ),
        )
        .field("keyed", Schema::map(Schema::int32(), Schema::string()))
        .field("inner", inner.clone())
        .field("color", color)
        .field("union", union.clone())
        .field(
            "missing",
            SchemaBuilder::new(Kind::String)
                .optional(true)
                .default(Some("x".into()))
                .build_valid(),
        )
        .build_valid();
    let counts = |n: i32| {
        let entries = (0..n).map(|k| (format!("key {k}").as_str().into(), Value::Int32(k)));
        Value::Map(Arc::new(entries.collect()))
    };
    let values = vec![
        Value::Int64(i),
        Value::from("a text and é"),
        Decimal::new(i.into(), 2).into(),
        Value::Float64(i as f64 / 3.0),
        Value::Bytes(vec![7; 33].into()),
        Value::Array(Arc::new(vec!["a".into(), "b".into()])),
        Value::Map(Arc::new(vec![
            ("é".into(), counts(30)),
            ("b".into(), counts(3)),
        ])),
        Value::Map(Arc::new(vec![(Value::Int32(1), "one".into())])),
        Struct::new(inner, vec![Value::Int32(9)]).into(),
        "BLUE".into(),
        Struct::new(union, vec![Value::Null, "of the union".into()]).into(),
        Value::Null,
    ];
    Data::new(schema.clone(), Struct::new(schema, values))
}

fn flat(i: i64) -> Data {
    let mut builder = SchemaBuilder::structure().name("t.Flat");
    let mut values = Vec::new();
    for at in 0..20 {
        let (schema, value) = match at % 4 {
            0 => (Schema::int64(), Value::Int64(i)),
            1 => (Schema::string(), Value::from("a text of some length")),
            2 => (Schema::int32(), Value::Int32(at)),
            _ => (Schema::float64(), Value::Float64(0.5)),
        };
        let schema = if at < 8 { schema } else { schema.to_optional() };
        builder = builder.field(format!("f{at}"), schema);
        values.push(value);
    }
    let schema = builder.build_valid();
    Data::new(schema.clone(), Struct::new(schema, values))
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn records_cost_no_allocations_to_write_and_two_to_read() {
    let mut fixture = Fixture::new(&[("enhanced.avro.schema.support", "true")], false);
    let schemaless = Data::schemaless(Value::Array(Arc::new(vec![Value::Int32(1), "x".into()])));
    let mut out = Vec::with_capacity(1 << 16);
    let mut headers = Headers::new();
    for (topic, rows) in [
        (
            "nested",
            (0..100).map(|i| row(i * 1_000_003)).collect::<Vec<_>>(),
        ),
        ("flat", (0..100).map(flat).collect()),
        ("schemaless", vec![schemaless; 100]),
    ] {
        // Twice: the first answer asks for the schema, and scratch space grows to what the records need.
        for _ in 0..2 {
            fixture
                .encode(topic, &mut headers, &rows[0])
                .expect("written");
        }
        let mut bytes = 0;
        let count = counted(|| {
            for row in &rows {
                out.clear();
                let written = fixture.converter.encode(topic, &mut headers, row, &mut out);
                assert!(matches!(written, Ok(Encoded::Written)));
                bytes += out.len();
            }
        });
        assert_eq!(
            count,
            0,
            "allocations to write {} rows, {bytes} bytes",
            rows.len()
        );
    }

    let payload = fixture.write(&flat(7)).expect("written").expect("not null");
    fixture.read(&payload).expect("read");
    let payload = Blob::from(payload);
    let count = counted(|| {
        for _ in 0..100 {
            let read = fixture.converter.decode("t", &headers, Some(&payload));
            assert!(matches!(read, Ok(Decoded::Data(_))));
        }
    });
    assert_eq!(count, 200, "allocations to read 100 flat rows");
}
