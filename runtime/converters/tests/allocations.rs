//! Writing JSON into a buffer that has room allocates nothing once the schema is known.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_api::config::Props;
use millrace_api::data::{
    Data, Decimal, Headers, Kind, Schema, SchemaBuilder, Struct, Value, logical,
};
use millrace_api::plugin::{Converter, ConverterPlugin};
use millrace_converters::JsonConverterPlugin;

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

fn row(i: i64) -> Data {
    let schema = SchemaBuilder::structure()
        .name("t.Value")
        .field("id", Schema::int64())
        .field("name", Schema::string().to_optional())
        .field("price", logical::decimal(2).build_valid())
        .field("ratio", Schema::float64())
        .field("raw", Schema::bytes())
        .field("tags", Schema::array(Schema::string()))
        .field("counts", Schema::map(Schema::string(), Schema::int32()))
        .field(
            "day",
            SchemaBuilder::new(Kind::Int32)
                .name(logical::DATE)
                .version(1)
                .build_valid(),
        )
        .field(
            "missing",
            SchemaBuilder::new(Kind::String)
                .optional(true)
                .default(Some("x\"y".into()))
                .build_valid(),
        )
        .build_valid();
    let values = vec![
        Value::Int64(i),
        Value::from("a text with \"escapes\"\n and é"),
        Decimal::new(i.into(), 2).into(),
        Value::Float64(i as f64 / 3.0),
        Value::Bytes(vec![7; 33].into()),
        Value::Array(Arc::new(vec!["a".into(), "b".into()])),
        Value::Map(Arc::new(vec![("k".into(), Value::Int32(1))])),
        Value::Int32(20_000),
        Value::Null,
    ];
    Data::new(schema.clone(), Struct::new(schema, values))
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn encoding_into_a_reused_buffer_allocates_nothing() {
    let rows: Vec<Data> = (0..100).map(|i| row(i * 1_000_003)).collect();
    for props in [
        &[][..],
        &[("schemas.enable", "false")],
        &[("schemas.enable", "false"), ("decimal.format", "NUMERIC")],
    ] {
        let mut converter: Box<dyn Converter> = ConverterPlugin::create(
            &JsonConverterPlugin,
            &props.iter().copied().collect::<Props>(),
            false,
        )
        .expect("a converter");
        let (mut headers, mut out) = (Headers::new(), Vec::with_capacity(1 << 16));
        converter
            .encode("t", &mut headers, &rows[0], &mut out)
            .expect("written");
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let mut bytes = 0;
        for row in &rows {
            out.clear();
            converter
                .encode("t", &mut headers, row, &mut out)
                .expect("written");
            bytes += out.len();
        }
        let after = ALLOCATIONS.load(Ordering::Relaxed);
        assert_eq!(
            after - before,
            0,
            "allocations for {} rows, {bytes} bytes, {props:?}",
            rows.len()
        );
    }
}
