//! `toString` of Java's objects.

use std::io::Write as _;

use millrace_api::data::{Kind, Schema, Struct, Value, java_f32, java_f64};

use crate::calendar::{date_of, time_of, year_of_era};
use crate::temporal::millis_of;

/// Appends what Java's `value.toString()` gives, for a value of `schema`.
pub(crate) fn write_java_text(schema: Option<&Schema>, value: &Value, out: &mut Vec<u8>) {
    if let Some(millis) = schema.and_then(|schema| millis_of(schema, value)) {
        write_java_date(millis, out);
        return;
    }
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(v) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
        Value::Int8(v) => write_integer(*v, out),
        Value::Int16(v) => write_integer(*v, out),
        Value::Int32(v) => write_integer(*v, out),
        Value::Int64(v) => write_integer(*v, out),
        Value::Float32(v) => java_f32(*v, out),
        Value::Float64(v) => java_f64(*v, out),
        Value::String(v) => out.extend_from_slice(v.as_bytes()),
        Value::Decimal(v) => put(out, format_args!("{v}")),
        // Java prints the array's identity, which is another one every time. Ours at least says whether two are equal.
        Value::Bytes(v) => put(
            out,
            format_args!(
                "[B@{:x}",
                v.iter().fold(1u32, |hash, byte| hash
                    .wrapping_mul(31)
                    .wrapping_add(u32::from(*byte)))
            ),
        ),
        Value::Array(values) => {
            let element = schema
                .filter(|s| s.kind() == Kind::Array)
                .and_then(Schema::value_schema);
            out.push(b'[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.extend_from_slice(b", ");
                }
                write_java_text(element, value, out);
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            let schema = schema.filter(|s| s.kind() == Kind::Map);
            out.push(b'{');
            for (i, (key, value)) in entries.iter().enumerate() {
                if i > 0 {
                    out.extend_from_slice(b", ");
                }
                write_java_text(schema.and_then(Schema::key_schema), key, out);
                out.push(b'=');
                write_java_text(schema.and_then(Schema::value_schema), value, out);
            }
            out.push(b'}');
        }
        Value::Struct(value) => write_struct(value, out),
    }
}

/// Fields that are null are left out.
fn write_struct(value: &Struct, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Struct{");
    let mut first = true;
    for (field, value) in value
        .schema()
        .fields()
        .iter()
        .zip(value.values())
        .filter(|(_, value)| !value.is_null())
    {
        if !first {
            out.push(b',');
        }
        first = false;
        out.extend_from_slice(field.name.as_bytes());
        out.push(b'=');
        write_java_text(Some(&field.schema), value, out);
    }
    out.push(b'}');
}

/// `Thu Jan 01 00:00:00 UTC 1970`
fn write_java_date(millis: i64, out: &mut Vec<u8>) {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let day = millis.div_euclid(crate::calendar::DAY);
    let date = date_of(day);
    let (hour, minute, second, _) = time_of(millis);
    let weekday = DAYS[usize::try_from(day.rem_euclid(7)).unwrap_or(0)];
    let month = MONTHS[usize::try_from(date.month - 1).unwrap_or(0)];
    put(
        out,
        format_args!(
            "{weekday} {month} {:02} {hour:02}:{minute:02}:{second:02} UTC {:04}",
            date.day,
            year_of_era(date.year)
        ),
    );
}

pub(crate) fn write_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends formatted text.
pub(crate) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use millrace_api::data::{Decimal, SchemaBuilder, logical};

    use super::*;

    fn text(schema: Option<&Schema>, value: &Value) -> String {
        let mut out = Vec::new();
        write_java_text(schema, value, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn values_print_as_in_java() {
        let timestamp = SchemaBuilder::new(Kind::Int64)
            .name(logical::TIMESTAMP)
            .version(1)
            .build_valid();
        let schema = SchemaBuilder::structure()
            .field("a", Schema::int32())
            .field("b", Schema::string().to_optional())
            .field("t", timestamp)
            .build_valid();
        let value = Struct::new(
            schema,
            vec![Value::Int32(1), Value::Null, Value::Int64(951_825_845_123)],
        );
        assert_eq!(
            text(None, &value.into()),
            "Struct{a=1,t=Tue Feb 29 12:04:05 UTC 2000}"
        );
        let list = Value::Array(Arc::new(vec![
            Value::Int64(1),
            "x".into(),
            Value::Null,
            Value::Float64(1.0),
        ]));
        let map = Value::Map(Arc::new(vec![
            ("k".into(), list.clone()),
            ("d".into(), Decimal::new(150, 2).into()),
        ]));
        assert_eq!(text(None, &list), "[1, x, null, 1.0]");
        assert_eq!(text(None, &map), "{k=[1, x, null, 1.0], d=1.50}");
        assert!(text(None, &Value::Bytes(vec![1, 2].into())).starts_with("[B@"));
    }
}
