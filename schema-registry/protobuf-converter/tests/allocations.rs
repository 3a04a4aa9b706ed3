//! Writing into a buffer that has room allocates nothing once the schema is known; reading a flat row allocates its struct and little else.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_api::data::{
    Blob, Data, Decimal, Headers, Kind, Schema, SchemaBuilder, Struct, Value, logical,
};
use millrace_api::plugin::{Decoded, Encoded};
use millrace_protobuf_converter::ProtobufConverterPlugin;
use registry_client::memory::ConverterInMemory;

type Fixture = ConverterInMemory<ProtobufConverterPlugin>;

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

fn nested(i: i64) -> Data {
    let inner = SchemaBuilder::structure()
        .name("t.Inner")
        .field("x", Schema::int32())
        .optional(true)
        .build_valid();
    let color = SchemaBuilder::new(Kind::String)
        .name("Color")
        .parameter("io.confluent.connect.protobuf.Enum", "Color")
        .parameter("io.confluent.connect.protobuf.Enum.RED", "0")
        .parameter("io.confluent.connect.protobuf.Enum.BLUE", "7")
        .build_valid();
    let member = |schema: SchemaBuilder, tag: &str| {
        schema
            .optional(true)
            .parameter("io.confluent.connect.protobuf.Tag", tag)
            .build_valid()
    };
    let union = SchemaBuilder::structure()
        .name("io.confluent.connect.protobuf.Union.pick")
        .field("number", member(SchemaBuilder::new(Kind::Int32), "30"))
        .field("text", member(SchemaBuilder::new(Kind::String), "31"))
        .build_valid();
    let schema = SchemaBuilder::structure()
        .name("t.Value")
        .field("id", Schema::int64())
        .field("price", logical::decimal(2).build_valid())
        .field(
            "at",
            SchemaBuilder::new(Kind::Int64)
                .name(logical::TIMESTAMP)
                .build_valid(),
        )
        .field("raw", Schema::bytes())
        .field("tags", Schema::array(Schema::string()))
        .field("numbers", Schema::array(Schema::int32()))
        .field("counts", Schema::map(Schema::string(), Schema::int32()))
        .field("inner", inner.clone())
        .field("color", color)
        .field("union", union.clone())
        .build_valid();
    let counts = (0..30).map(|k| (format!("key {k}").as_str().into(), Value::Int32(k)));
    let values = vec![
        Value::Int64(i),
        Decimal::new(i.into(), 2).into(),
        Value::Int64(i),
        Value::Bytes(vec![7; 33].into()),
        Value::Array(Arc::new(vec!["a".into(), "b".into()])),
        Value::Array(Arc::new(vec![Value::Int32(1), Value::Int32(300)])),
        Value::Map(Arc::new(counts.collect())),
        Struct::new(inner, vec![Value::Int32(9)]).into(),
        "BLUE".into(),
        Struct::new(union, vec![Value::Null, "of the union".into()]).into(),
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
    let mut fixture = Fixture::new(&[], false);
    let mut out = Vec::with_capacity(1 << 16);
    let mut headers = Headers::new();
    for (topic, rows) in [
        (
            "nested",
            (0..100).map(|i| nested(i * 1_000_003)).collect::<Vec<_>>(),
        ),
        ("flat", (0..100).map(flat).collect()),
    ] {
        fixture
            .encode(topic, &mut headers, &rows[0])
            .expect("written");
        let count = counted(|| {
            for row in &rows {
                out.clear();
                let written = fixture.converter.encode(topic, &mut headers, row, &mut out);
                assert!(matches!(written, Ok(Encoded::Written)));
            }
        });
        assert_eq!(count, 0, "allocations to write {} {topic} rows", rows.len());
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
