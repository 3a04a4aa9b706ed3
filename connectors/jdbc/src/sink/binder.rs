//! From values of records to elements of arrays.
//!
//! An array has the type that pgjdbc would give the parameter (an INT32 is an `int4`), so that PostgreSQL converts to the column's type by the same rules of
//! assignment as for the Java connector. Texts, and dates and times for columns of other types, are cast to the column's type.

use std::sync::Arc;

use millrace_api::data::{Kind, SinkRecord, Value, logical};

use super::fields::{Column, Source};
use super::temporal::{WallClock, date_text, offset_text, time_text};
use super::value_text::{array_literal, epoch_number, push_decimal, shortened, zoned_text};
use crate::postgres::{ArrayBuffer, Element};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Text,
    Bytea,
    Decimal,
    Date,
    Time,
    Timestamp,
    DateText,
    TimeText,
    TimestampText,
    Epoch,
    EpochText,
    ArrayText,
}

/// Writes the values of one column.
#[derive(Debug, Clone)]
pub(crate) struct Binder {
    /// Name of the column, for messages.
    name: Arc<str>,
    /// Where the value is.
    pub(crate) source: Source,
    form: Form,
    /// Type of the array.
    pub(crate) element: Element,
    /// Cast in the statement.
    pub(crate) cast: Option<String>,
    /// What stands for null.
    default: Option<Value>,
    nanos: bool,
}

/// A value that does not fit its column, found before the server sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field '{column}': {problem}")]
pub(crate) struct BindError {
    column: Arc<str>,
    problem: String,
}

/// A column type that cannot be bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Unsupported source data type: {kind} (field '{column}'){hint}")]
pub(crate) struct UnsupportedType {
    column: Arc<str>,
    kind: &'static str,
    hint: &'static str,
}

fn is_textual(target: &str) -> bool {
    matches!(target, "text" | "character varying" | "bpchar" | "name")
}

impl Binder {
    /// A binder for `column` into a column of type `target` (as `format_type` writes it). `replace_null`: whether nulls become the schema's default.
    pub(crate) fn new(
        column: &Column,
        target: &str,
        replace_null: bool,
        nanos: bool,
    ) -> Result<Self, UnsupportedType> {
        let schema = &column.schema;
        let as_target = || Some(target.to_owned());
        let unsupported = |hint| UnsupportedType {
            column: Arc::clone(&column.name),
            kind: schema.kind().name(),
            hint,
        };
        let number = |form, element| (form, element, is_textual(target).then(|| target.to_owned()));
        let (form, element, cast) = if column.epoch_number {
            match target {
                "timestamp without time zone" => (Form::Epoch, Element::Timestamp, None),
                _ => (Form::EpochText, Element::Text, as_target()),
            }
        } else {
            match (schema.name(), schema.kind(), target) {
                (Some(logical::DECIMAL), ..) => {
                    (Form::Decimal, Element::Text, Some("numeric".to_owned()))
                }
                (Some(logical::DATE), _, "date") => (Form::Date, Element::Date, None),
                (Some(logical::DATE), ..) => (Form::DateText, Element::Text, as_target()),
                (Some(logical::TIME), _, "time without time zone") => {
                    (Form::Time, Element::Time, None)
                }
                (Some(logical::TIME), ..) => (Form::TimeText, Element::Text, as_target()),
                (Some(logical::TIMESTAMP), _, "timestamp without time zone") => {
                    (Form::Timestamp, Element::Timestamp, None)
                }
                (Some(logical::TIMESTAMP), ..) => (Form::TimestampText, Element::Text, as_target()),
                (_, Kind::Boolean, _) => number(Form::Bool, Element::Bool),
                (_, Kind::Int8 | Kind::Int16, _) => number(Form::Int2, Element::Int2),
                (_, Kind::Int32, _) => number(Form::Int4, Element::Int4),
                (_, Kind::Int64, _) => number(Form::Int8, Element::Int8),
                (_, Kind::Float32, _) => number(Form::Float4, Element::Float4),
                (_, Kind::Float64, _) => number(Form::Float8, Element::Float8),
                (_, Kind::String, "text" | "character varying" | "name") => {
                    (Form::Text, Element::Text, None)
                }
                (_, Kind::String, _) => (Form::Text, Element::Text, as_target()),
                (_, Kind::Bytes, _) => (Form::Bytea, Element::Bytea, None),
                (_, Kind::Array, _) => {
                    let element = schema.value_schema().ok_or_else(|| unsupported(""))?;
                    let logical = matches!(
                        element.name(),
                        Some(logical::DECIMAL | logical::DATE | logical::TIME | logical::TIMESTAMP)
                    );
                    if logical
                        || matches!(
                            element.kind(),
                            Kind::Bytes | Kind::Array | Kind::Map | Kind::Struct
                        )
                    {
                        return Err(unsupported(
                            ", elements must be numbers, booleans or strings",
                        ));
                    }
                    (Form::ArrayText, Element::Text, as_target())
                }
                (_, Kind::Map | Kind::Struct, _) => {
                    return Err(unsupported(
                        "; flatten the record with a transform or leave the field out with fields.whitelist",
                    ));
                }
            }
        };
        let default = (replace_null || column.primary)
            .then(|| schema.default().cloned())
            .flatten();
        Ok(Self {
            name: Arc::clone(&column.name),
            source: column.source,
            form,
            element,
            cast,
            default,
            nanos,
        })
    }

    /// Appends the value of `record`.
    #[inline]
    pub(crate) fn push(
        &self,
        record: &SinkRecord,
        clock: &WallClock,
        out: &mut ArrayBuffer,
    ) -> Result<(), BindError> {
        let value = match self.source {
            Source::Topic => {
                out.push_bytes(record.record.topic.as_bytes());
                return Ok(());
            }
            Source::Partition => {
                return self.push_value(&Value::Int32(record.original_partition), clock, out);
            }
            Source::Offset => return self.push_value(&Value::Int64(record.offset), clock, out),
            _ => value_of(record, self.source),
        };
        if value.is_null() {
            return match &self.default {
                Some(default) if !default.is_null() => self.push_value(default, clock, out),
                _ => {
                    out.push_null();
                    Ok(())
                }
            };
        }
        self.push_value(value, clock, out)
    }

    fn push_value(
        &self,
        value: &Value,
        clock: &WallClock,
        out: &mut ArrayBuffer,
    ) -> Result<(), BindError> {
        match (self.form, value) {
            (Form::Text, Value::String(text)) => out.push_bytes(text.as_bytes()),
            (Form::Int4, Value::Int32(value)) => out.push_fixed(value.to_be_bytes()),
            (Form::Int8, Value::Int64(value)) => out.push_fixed(value.to_be_bytes()),
            (Form::Int2, Value::Int16(value)) => out.push_fixed(value.to_be_bytes()),
            (Form::Int2, Value::Int8(value)) => out.push_fixed(i16::from(*value).to_be_bytes()),
            (Form::Bool, Value::Boolean(value)) => out.push_fixed([u8::from(*value)]),
            (Form::Float8, Value::Float64(value)) => out.push_fixed(value.to_be_bytes()),
            (Form::Float4, Value::Float32(value)) => out.push_fixed(value.to_be_bytes()),
            (Form::Bytea, Value::Bytes(bytes)) => out.push_bytes(bytes),
            (Form::Decimal, Value::Decimal(value)) => push_decimal(value, out),
            (Form::Date, Value::Int32(days)) => {
                out.push_fixed(clock.date((*days).into()).to_be_bytes())
            }
            (Form::Time, Value::Int32(millis)) => {
                out.push_fixed(clock.time((*millis).into()).to_be_bytes())
            }
            (Form::Timestamp, Value::Int64(millis)) => {
                out.push_fixed(clock.timestamp(millis.checked_mul(1000)).to_be_bytes())
            }
            (Form::DateText, Value::Int32(days)) => {
                let offset = clock.date_zone.offset_at(i64::from(*days) * 86_400);
                out.push_bytes(
                    format!(
                        "{} {}",
                        date_text(clock.date((*days).into())),
                        offset_text(offset)
                    )
                    .as_bytes(),
                );
            }
            (Form::TimeText, Value::Int32(millis)) => {
                let offset = clock.zone.offset_at(i64::from(*millis).div_euclid(1000));
                out.push_bytes(
                    format!(
                        "{}{}",
                        shortened(&time_text(clock.time((*millis).into()))),
                        offset_text(offset)
                    )
                    .as_bytes(),
                );
            }
            (Form::TimestampText, Value::Int64(millis)) => {
                out.push_bytes(zoned_text(clock, millis.checked_mul(1000)).as_bytes())
            }
            (Form::Epoch, value) => {
                let micros =
                    epoch_number(value, self.nanos).map_err(|problem| self.error(problem))?;
                out.push_fixed(clock.timestamp(micros).to_be_bytes());
            }
            (Form::EpochText, value) => {
                let micros =
                    epoch_number(value, self.nanos).map_err(|problem| self.error(problem))?;
                out.push_bytes(zoned_text(clock, micros).as_bytes());
            }
            (Form::ArrayText, Value::Array(items)) => {
                let mut problem = None;
                out.push_with(|out| problem = array_literal(items, out).err());
                if let Some(problem) = problem {
                    return Err(self.error(problem));
                }
            }
            (_, other) => {
                return Err(self.error(format!(
                    "its schema does not allow a value of {}",
                    other.java_class()
                )));
            }
        }
        Ok(())
    }

    #[cold]
    fn error(&self, problem: String) -> BindError {
        BindError {
            column: Arc::clone(&self.name),
            problem,
        }
    }
}

/// The value at `source`; null for what is not there, and for what is not kept as a value (topic, partition, offset).
#[inline]
pub(crate) fn value_of(record: &SinkRecord, source: Source) -> &Value {
    const NULL: &Value = &Value::Null;
    match source {
        Source::Key => &record.record.key.value,
        Source::Value => &record.record.value.value,
        Source::KeyField(index) => record
            .record
            .key
            .value
            .as_struct()
            .and_then(|value| value.values().get(index))
            .unwrap_or(NULL),
        Source::ValueField(index) => record
            .record
            .value
            .value
            .as_struct()
            .and_then(|value| value.values().get(index))
            .unwrap_or(NULL),
        Source::Topic | Source::Partition | Source::Offset => NULL,
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::CalendarSystem;
    use super::super::zone::Zone;
    use super::*;
    use crate::sink::testing::record;
    use millrace_api::data::{Data, Decimal, Schema, SchemaBuilder};

    const CLOCK: WallClock = WallClock {
        zone: Zone::UTC,
        date_zone: Zone::UTC,
        calendar: CalendarSystem::Legacy,
    };

    fn column(schema: Schema, epoch_number: bool) -> Column {
        Column {
            name: "x".into(),
            schema,
            source: Source::Value,
            primary: false,
            epoch_number,
        }
    }

    /// Element bytes of the single value, `None` for null.
    fn bound_by(
        binder: &Binder,
        value: Value,
        clock: &WallClock,
    ) -> Result<Option<Vec<u8>>, BindError> {
        let mut out = ArrayBuffer::new(binder.element);
        let empty = out.byte_size();
        binder.push(
            &record("t", 7, Data::NONE, Data::schemaless(value)),
            clock,
            &mut out,
        )?;
        let bytes = out.element_bytes_for_tests(empty);
        Ok((bytes[..4] != [255; 4]).then(|| bytes[4..].to_vec()))
    }

    fn bound(schema: Schema, target: &str, value: Value) -> Vec<u8> {
        let binder = Binder::new(&column(schema, false), target, true, false).expect("supported");
        bound_by(&binder, value, &CLOCK)
            .expect("bound")
            .expect("not null")
    }

    fn text(schema: Schema, target: &str, value: Value) -> String {
        String::from_utf8(bound(schema, target, value)).expect("text")
    }

    fn logical_type(kind: Kind, name: &str) -> Schema {
        SchemaBuilder::new(kind).name(name).build_valid()
    }

    #[test]
    fn every_type_has_pgjdbcs_parameter_type() {
        let of = |schema: Schema, target: &str| {
            let binder =
                Binder::new(&column(schema, false), target, true, false).expect("supported");
            (binder.element, binder.cast)
        };
        let cast = |text: &str| Some(text.to_owned());
        assert_eq!(of(Schema::int8(), "smallint"), (Element::Int2, None));
        assert_eq!(of(Schema::int32(), "bit"), (Element::Int4, None));
        assert_eq!(of(Schema::int64(), "text"), (Element::Int8, cast("text")));
        assert_eq!(
            of(Schema::string(), "character varying"),
            (Element::Text, None)
        );
        assert_eq!(
            of(Schema::string(), "bpchar"),
            (Element::Text, cast("bpchar"))
        );
        assert_eq!(of(Schema::string(), "uuid"), (Element::Text, cast("uuid")));
        assert_eq!(of(Schema::bytes(), "bytea"), (Element::Bytea, None));
        assert_eq!(
            of(logical::decimal(2).build_valid(), "integer"),
            (Element::Text, cast("numeric"))
        );
        assert_eq!(
            of(
                logical_type(Kind::Int64, logical::TIMESTAMP),
                "timestamp with time zone"
            ),
            (Element::Text, cast("timestamp with time zone"))
        );
        assert_eq!(
            of(
                logical_type(Kind::Int64, "io.debezium.time.MicroTimestamp"),
                "bigint"
            ),
            (Element::Int8, None)
        );
        assert_eq!(
            of(Schema::array(Schema::int32()), "integer[]"),
            (Element::Text, cast("integer[]"))
        );
        for schema in [
            Schema::map(Schema::string(), Schema::string()),
            SchemaBuilder::structure().build_valid(),
            Schema::array(Schema::bytes()),
        ] {
            assert!(Binder::new(&column(schema, false), "text", true, false).is_err());
        }
    }

    #[test]
    fn values_of_every_type() {
        assert_eq!(
            bound(Schema::int8(), "smallint", Value::Int8(-1)),
            (-1i16).to_be_bytes()
        );
        assert_eq!(
            bound(Schema::int16(), "smallint", Value::Int16(7)),
            7i16.to_be_bytes()
        );
        assert_eq!(
            bound(Schema::int32(), "integer", Value::Int32(i32::MIN)),
            i32::MIN.to_be_bytes()
        );
        assert_eq!(
            bound(Schema::int64(), "bigint", Value::Int64(i64::MAX)),
            i64::MAX.to_be_bytes()
        );
        assert_eq!(
            bound(Schema::float32(), "real", Value::Float32(1.5)),
            1.5f32.to_be_bytes()
        );
        assert_eq!(
            bound(
                Schema::float64(),
                "double precision",
                Value::Float64(f64::NAN)
            ),
            f64::NAN.to_be_bytes()
        );
        assert_eq!(
            bound(Schema::boolean(), "boolean", Value::Boolean(true)),
            [1]
        );
        assert_eq!(
            bound(Schema::bytes(), "bytea", Value::Bytes(vec![0, 255].into())),
            [0, 255]
        );
        assert_eq!(text(Schema::string(), "text", "zażółć".into()), "zażółć");
        let decimal = |text: &str| Value::Decimal(Box::new(text.parse().expect("decimal")));
        for number in [
            "0.00",
            "-0.05",
            "12345678901234567890.1234",
            "7",
            "-1.50",
            "100",
            "9223372036854775807.1",
            "0.000000000000000001",
        ] {
            assert_eq!(
                text(
                    logical::decimal(2).build_valid(),
                    "numeric",
                    decimal(number)
                ),
                number
            );
        }
        assert_eq!(
            text(
                logical::decimal(-2).build_valid(),
                "numeric",
                Value::Decimal(Box::new(Decimal::new(5, -2)))
            ),
            "500"
        );
        let date = logical_type(Kind::Int32, logical::DATE);
        assert_eq!(
            bound(date.clone(), "date", Value::Int32(10_958)),
            1i32.to_be_bytes()
        );
        assert_eq!(text(date, "text", Value::Int32(19_675)), "2023-11-14 +00");
        let time = logical_type(Kind::Int32, logical::TIME);
        assert_eq!(
            bound(time.clone(), "time without time zone", Value::Int32(1)),
            1000i64.to_be_bytes()
        );
        assert_eq!(
            text(time, "time with time zone", Value::Int32(3_600_000)),
            "01:00:00+00"
        );
        let timestamp = logical_type(Kind::Int64, logical::TIMESTAMP);
        assert_eq!(
            bound(
                timestamp.clone(),
                "timestamp without time zone",
                Value::Int64(946_684_800_001)
            ),
            1000i64.to_be_bytes()
        );
        assert_eq!(
            text(
                timestamp,
                "timestamp with time zone",
                Value::Int64(1_700_000_000_120)
            ),
            "2023-11-14 22:13:20.12+00"
        );
    }

    #[test]
    fn arrays_are_literals() {
        let array = |items: Vec<Value>| Value::Array(Arc::new(items));
        let of = |element: Schema, items| text(Schema::array(element), "x[]", array(items));
        assert_eq!(
            of(
                Schema::int32(),
                vec![Value::Int32(1), Value::Null, Value::Int32(-3)]
            ),
            "{1,NULL,-3}"
        );
        assert_eq!(
            of(
                Schema::string(),
                vec!["a\"b\\".into(), "".into(), "NULL".into(), "x,y".into()]
            ),
            r#"{"a\"b\\","","NULL","x,y"}"#
        );
        assert_eq!(
            of(Schema::boolean(), vec![true.into(), false.into()]),
            "{t,f}"
        );
        assert_eq!(
            of(
                Schema::float64(),
                vec![1.5.into(), f64::NEG_INFINITY.into(), f64::NAN.into()]
            ),
            "{1.5,-Infinity,NaN}"
        );
        assert_eq!(of(Schema::string(), vec![]), "{}");
    }

    #[test]
    fn numbers_named_as_timestamps() {
        let new_york = WallClock {
            zone: Zone::parse("America/New_York").expect("zone"),
            ..CLOCK
        };
        for (schema, value, nanos) in [
            (Schema::int64(), Value::Int64(1_700_000_000_123_456), false),
            (Schema::string(), Value::from("1700000000123456499"), true),
        ] {
            let binder = Binder::new(
                &column(schema.clone(), true),
                "timestamp with time zone",
                true,
                nanos,
            )
            .expect("supported");
            let bytes = bound_by(&binder, value.clone(), &new_york)
                .expect("bound")
                .expect("not null");
            assert_eq!(
                String::from_utf8_lossy(&bytes),
                "2023-11-14 17:13:20.123456-05"
            );
            let binder = Binder::new(
                &column(schema, true),
                "timestamp without time zone",
                true,
                nanos,
            )
            .expect("supported");
            assert_eq!(
                bound_by(&binder, value, &CLOCK).expect("bound"),
                Some(
                    (1_700_000_000_123_456i64 - 946_684_800_000_000)
                        .to_be_bytes()
                        .to_vec()
                )
            );
        }
        let binder = Binder::new(
            &column(Schema::string(), true),
            "timestamp without time zone",
            true,
            false,
        )
        .expect("supported");
        let error = bound_by(&binder, "soon".into(), &CLOCK)
            .expect_err("refused")
            .to_string();
        assert_eq!(
            error,
            "field 'x': For input string: \"soon\", expected is a number of microseconds"
        );
        assert_eq!(
            epoch_number(&"99999999999999999999999999".into(), true),
            Ok(None)
        );
    }

    #[test]
    fn null_takes_the_default_only_when_told_or_in_a_key() {
        let schema = SchemaBuilder::new(Kind::Int32)
            .optional(true)
            .default(Some(Value::Int32(9)))
            .build_valid();
        let mut column = column(schema, false);
        let bound = |column: &Column, replace| {
            bound_by(
                &Binder::new(column, "integer", replace, false).expect("supported"),
                Value::Null,
                &CLOCK,
            )
            .expect("bound")
        };
        assert_eq!(bound(&column, true), Some(9i32.to_be_bytes().to_vec()));
        assert_eq!(bound(&column, false), None);
        column.primary = true;
        assert_eq!(bound(&column, false), Some(9i32.to_be_bytes().to_vec()));
    }

    #[test]
    fn a_value_that_is_not_of_its_schema_is_an_error() {
        let binder = Binder::new(&column(Schema::int32(), false), "integer", true, false)
            .expect("supported");
        assert!(
            bound_by(&binder, "x".into(), &CLOCK)
                .expect_err("refused")
                .to_string()
                .contains("class java.lang.String")
        );
    }
}
