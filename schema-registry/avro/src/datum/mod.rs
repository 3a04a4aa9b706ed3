//! Avro's binary encoding without a data model: primitives to write and to read, and plans that say how the bytes of one schema become values of another.
//!
//! A converter keeps its own values. To write, it walks the schema's types once, makes a plan of its own and calls the functions of [`write_int`] and its neighbours per record.
//! To read, it walks a [`ReadPlan`] with a [`DatumReader`]: the plan has already settled promotions, renamed and reordered fields, defaults and unions the way Java's resolving decoder does.
//!
//! ```
//! use registry_avro::datum::{DatumReader, ReadPlan, Step, write_int};
//! use registry_avro::{AvroSchema, Strictness};
//!
//! let writer = AvroSchema::parse("\"int\"", &[], Strictness::New)?;
//! let reader = AvroSchema::parse("[\"null\",\"long\"]", &[], Strictness::New)?;
//! let plan = ReadPlan::resolve(&writer, &reader)?;
//! let mut bytes = Vec::new();
//! write_int(&mut bytes, -3);
//! let mut input = DatumReader::new(&bytes);
//! let Step::ReaderUnion { branch: 1, step } = plan.step(plan.root()) else { panic!() };
//! let Step::IntToLong = plan.step(*step) else { panic!() };
//! assert_eq!(i64::from(input.read_int()?), -3);
//! input.finish()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod default;
mod error;
mod plan;
mod read;
mod resolve;
mod skip;
mod value;
mod write;

pub use default::write_default;
pub use error::{DatumError, Problem};
pub use plan::{DefaultField, FieldStep, PlanError, ReadPlan, RecordStep, Step, StepId};
pub use read::{Block, DatumReader};
pub use skip::{SkipId, SkipPlan};
pub use value::Datum;
pub use write::{
    write_block_end, write_block_start, write_boolean, write_bytes, write_double, write_fixed,
    write_float, write_int, write_length, write_long, write_string,
};

/// How deeply a datum may be nested: every record, array, map and union counts.
pub const MAX_DEPTH: usize = 500;

/// How many items of arrays and maps may take no bytes at all, in one datum: such items are nulls, empty records or fixed types of no size, and a few bytes can claim any number of them.
pub const MAX_EMPTY_ITEMS: usize = 1 << 20;
