//! A variant as JSON text. The bytes come from elsewhere: every length in them is checked.

use millrace_api::data::{Decimal, Struct, Value, java_f32, java_f64};

use crate::base64;
use crate::fault::{DATA, Fault, MAX_VALUE_DEPTH};
use crate::terms::{VALUE, VARIANT_METADATA};
use crate::write::write_string;

const MICROS: i64 = 1_000_000;
const NANOS: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Appends the JSON that a variant's struct holds.
pub(crate) fn write(variant: &Struct, out: &mut Vec<u8>) -> Result<(), Fault> {
    let bytes = |field: &str| match variant.get(field) {
        Some(Value::Bytes(bytes)) => Ok(bytes),
        _ => Err(Fault::new(
            "java.lang.NullPointerException",
            format!("the variant's field `{field}` must be bytes"),
        )),
    };
    let (metadata, value) = (bytes(VARIANT_METADATA)?, bytes(VALUE)?);
    if metadata.first().is_none_or(|header| header & 15 != 1) {
        return Err(Fault::new(
            "java.lang.UnsupportedOperationException",
            "Unsupported variant metadata version",
        ));
    }
    // In a proper variant no byte belongs to two values, so there are at most as many values as bytes.
    Reader {
        metadata,
        depth: 0,
        values: value.len(),
    }
    .value(value, out)
}

struct Reader<'m> {
    metadata: &'m [u8],
    depth: usize,
    /// How many values may still come.
    values: usize,
}

#[cold]
fn malformed() -> Fault {
    Fault::new(
        DATA,
        "the variant is malformed: a length in it leads behind its end",
    )
}

fn unsigned(bytes: &[u8], at: usize, size: usize) -> Result<usize, Fault> {
    let end = at.checked_add(size).ok_or_else(malformed)?;
    let bytes = bytes.get(at..end).ok_or_else(malformed)?;
    Ok(bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

fn signed(bytes: &[u8], size: usize) -> Result<i128, Fault> {
    let bytes = bytes.get(..size).ok_or_else(malformed)?;
    let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) {
        -1
    } else {
        0
    };
    Ok(bytes
        .iter()
        .rev()
        .fold(sign, |value: i128, byte| value << 8 | i128::from(*byte)))
}

fn signed64(bytes: &[u8], size: usize) -> Result<i64, Fault> {
    i64::try_from(signed(bytes, size)?).map_err(|_| malformed())
}

fn from(bytes: &[u8], at: usize) -> Result<&[u8], Fault> {
    bytes.get(at..).ok_or_else(malformed)
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    write_string(&String::from_utf8_lossy(bytes), out);
}

impl Reader<'_> {
    fn value(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.values = self.values.checked_sub(1).ok_or_else(malformed)?;
        let (header, rest) = value.split_first().ok_or_else(malformed)?;
        let info = header >> 2;
        match header & 3 {
            0 => primitive(info, rest, out),
            1 => {
                text(rest.get(..usize::from(info)).ok_or_else(malformed)?, out);
                Ok(())
            }
            kind => {
                if self.depth >= MAX_VALUE_DEPTH {
                    return Err(Fault::value_too_deep());
                }
                self.depth += 1;
                let written = if kind == 2 {
                    self.object(info, rest, out)
                } else {
                    self.array(info, rest, out)
                };
                self.depth -= 1;
                written
            }
        }
    }

    fn object(&mut self, info: u8, rest: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let (size, id_size) = (usize::from(info & 3) + 1, usize::from(info >> 2 & 3) + 1);
        let count_size = if info >> 4 & 1 == 1 { 4 } else { 1 };
        let count = unsigned(rest, 0, count_size)?;
        let ids = count_size;
        let offsets = count
            .checked_mul(id_size)
            .and_then(|n| n.checked_add(ids))
            .ok_or_else(malformed)?;
        let data = (count + 1)
            .checked_mul(size)
            .and_then(|n| n.checked_add(offsets))
            .ok_or_else(malformed)?;
        out.push(b'{');
        for index in 0..count {
            if index > 0 {
                out.push(b',');
            }
            text(
                self.name(unsigned(rest, ids + index * id_size, id_size)?)?,
                out,
            );
            out.push(b':');
            let offset = unsigned(rest, offsets + index * size, size)?;
            self.value(from(rest, data + offset)?, out)?;
        }
        out.push(b'}');
        Ok(())
    }

    fn array(&mut self, info: u8, rest: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let size = usize::from(info & 3) + 1;
        let count_size = if info >> 2 & 1 == 1 { 4 } else { 1 };
        let count = unsigned(rest, 0, count_size)?;
        let data = (count + 1)
            .checked_mul(size)
            .and_then(|n| n.checked_add(count_size))
            .ok_or_else(malformed)?;
        out.push(b'[');
        for index in 0..count {
            if index > 0 {
                out.push(b',');
            }
            let offset = unsigned(rest, count_size + index * size, size)?;
            self.value(from(rest, data + offset)?, out)?;
        }
        out.push(b']');
        Ok(())
    }

    fn name(&self, id: usize) -> Result<&[u8], Fault> {
        let size = usize::from(self.metadata[0] >> 6) + 1;
        let count = unsigned(self.metadata, 1, size)?;
        if id >= count {
            return Err(malformed());
        }
        let offsets = 1 + size;
        let data = offsets + (count + 1) * size;
        let start = unsigned(self.metadata, offsets + id * size, size)?;
        let end = unsigned(self.metadata, offsets + (id + 1) * size, size)?;
        self.metadata
            .get(data + start..data + end)
            .ok_or_else(malformed)
    }
}

fn primitive(kind: u8, rest: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    match kind {
        0 => out.extend_from_slice(b"null"),
        1 => out.extend_from_slice(b"true"),
        2 => out.extend_from_slice(b"false"),
        3..=6 => {
            let value = signed(rest, 1 << (kind - 3))?;
            out.extend_from_slice(value.to_string().as_bytes());
        }
        7 => {
            let bits = rest.first_chunk().ok_or_else(malformed)?;
            let value = f64::from_le_bytes(*bits);
            if value.is_finite() {
                java_f64(value, out);
            } else {
                let mut name = Vec::new();
                java_f64(value, &mut name);
                text(&name, out);
            }
        }
        14 => {
            let bits = rest.first_chunk().ok_or_else(malformed)?;
            let value = f32::from_le_bytes(*bits);
            if value.is_finite() {
                java_f32(value, out);
            } else {
                let mut name = Vec::new();
                java_f32(value, &mut name);
                text(&name, out);
            }
        }
        8..=10 => {
            let (scale, rest) = rest.split_first().ok_or_else(malformed)?;
            let unscaled = signed(rest, 4 << (kind - 8))?;
            let decimal = Decimal::new(unscaled, i32::from(*scale as i8));
            out.extend_from_slice(decimal.to_string().as_bytes());
        }
        11 => quoted(&date(signed64(rest, 4)?), out),
        12 => {
            let micros = signed64(rest, 8)?;
            let nanos = micros.rem_euclid(MICROS) * 1_000;
            quoted(&instant(micros.div_euclid(MICROS), nanos), out);
        }
        13 => {
            let micros = signed64(rest, 8)?;
            let nanos = micros.rem_euclid(MICROS) * 1_000;
            quoted(&local(micros.div_euclid(MICROS), nanos), out);
        }
        18 => {
            let nanos = signed64(rest, 8)?;
            quoted(
                &instant(nanos.div_euclid(NANOS), nanos.rem_euclid(NANOS)),
                out,
            );
        }
        19 => {
            let nanos = signed64(rest, 8)?;
            quoted(
                &local(nanos.div_euclid(NANOS), nanos.rem_euclid(NANOS)),
                out,
            );
        }
        17 => {
            let micros = signed64(rest, 8)?;
            if !(0..DAY_SECONDS * MICROS).contains(&micros) {
                return Err(malformed());
            }
            quoted(&time(micros / MICROS, micros % MICROS * 1_000), out);
        }
        15 | 16 => {
            let length = unsigned(rest, 0, 4)?;
            let bytes = from(rest, 4)?.get(..length).ok_or_else(malformed)?;
            if kind == 16 {
                text(bytes, out);
            } else {
                out.push(b'"');
                base64::encode(bytes, out);
                out.push(b'"');
            }
        }
        20 => {
            let bytes = rest.get(..16).ok_or_else(malformed)?;
            out.push(b'"');
            for (at, byte) in bytes.iter().enumerate() {
                if matches!(at, 4 | 6 | 8 | 10) {
                    out.push(b'-');
                }
                out.extend_from_slice(format!("{byte:02x}").as_bytes());
            }
            out.push(b'"');
        }
        other => {
            return Err(Fault::new(
                "java.lang.UnsupportedOperationException",
                format!("Unknown type in Variant. primitive type: {other}"),
            ));
        }
    }
    Ok(())
}

/// A day as `LocalDate` prints it.
fn date(days: i64) -> String {
    // Civil calendar from days, by eras of 400 years that begin in March.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let sign = match year {
        ..0 => "-",
        10_000.. => "+",
        _ => "",
    };
    format!("{sign}{:04}-{month:02}-{day:02}", year.abs())
}

/// A fraction in groups of three digits, as many as needed.
fn fraction(nanos: i64) -> String {
    match nanos {
        0 => String::new(),
        n if n % 1_000_000 == 0 => format!(".{:03}", n / 1_000_000),
        n if n % 1_000 == 0 => format!(".{:06}", n / 1_000),
        n => format!(".{n:09}"),
    }
}

/// A time of day as `LocalTime` prints it: seconds only when there are any.
fn time(seconds: i64, nanos: i64) -> String {
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if second == 0 && nanos == 0 {
        format!("{hour:02}:{minute:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}{}", fraction(nanos))
    }
}

/// As `LocalDateTime` prints it.
fn local(seconds: i64, nanos: i64) -> String {
    format!(
        "{}T{}",
        date(seconds.div_euclid(DAY_SECONDS)),
        time(seconds.rem_euclid(DAY_SECONDS), nanos)
    )
}

/// As `Instant` prints it.
fn instant(seconds: i64, nanos: i64) -> String {
    let of_day = seconds.rem_euclid(DAY_SECONDS);
    format!(
        "{}T{:02}:{:02}:{:02}{}Z",
        date(seconds.div_euclid(DAY_SECONDS)),
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60,
        fraction(nanos)
    )
}

#[cfg(test)]
mod tests {
    use java_idioms::Json;
    use java_idioms::json::ReadOptions;
    use millrace_api::data::{Schema, SchemaBuilder};
    use proptest::prelude::*;

    use super::*;
    use crate::variant;

    fn schema() -> Schema {
        SchemaBuilder::structure()
            .field(VARIANT_METADATA, Schema::bytes())
            .field(VALUE, Schema::bytes())
            .build_valid()
    }

    fn printed(metadata: &[u8], value: &[u8]) -> Result<String, Fault> {
        let values = [Value::Bytes(metadata.into()), Value::Bytes(value.into())];
        let mut out = Vec::new();
        write(&Struct::new(schema(), values.to_vec()), &mut out)?;
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn json_goes_in_and_comes_out() {
        let long = "x".repeat(100);
        for text in [
            "null".to_owned(),
            r#"{"a":1,"b":[true,false,null,"é",5000000000],"c":{"a":{}}}"#.to_owned(),
            r#"[1.50,-2147483648,12345678901234567890,0.1234567890123456789]"#.to_owned(),
            format!("[\"{long}\",[],{{}}]"),
            format!("[{}]", vec!["7"; 300].join(",")),
        ] {
            let json = Json::read(&text, ReadOptions::default()).expect("JSON");
            let (metadata, value) = variant::encode(&json).expect("a variant");
            assert_eq!(printed(&metadata, &value), Ok(text));
        }
    }

    #[test]
    fn known_bytes() {
        let json = Json::read(r#"{"b":1,"a":"x"}"#, ReadOptions::default()).expect("JSON");
        let (metadata, value) = variant::encode(&json).expect("a variant");
        assert_eq!(metadata, [1, 2, 0, 1, 2, b'b', b'a']);
        assert_eq!(value, [2, 2, 1, 0, 0, 2, 7, 5, b'x', 0x14, 1, 0, 0, 0]);
    }

    #[test]
    fn moments_print_as_javas() {
        let print = |kind: u8, value: i64| {
            let mut bytes = vec![kind << 2];
            bytes.extend_from_slice(&value.to_le_bytes());
            printed(&[1, 0, 0], &bytes).expect("printed")
        };
        assert_eq!(print(11, 19_723), "\"2024-01-01\"");
        assert_eq!(
            print(12, 1_704_067_200_000_001),
            "\"2024-01-01T00:00:00.000001Z\""
        );
        assert_eq!(print(13, 1_704_067_200_000_000), "\"2024-01-01T00:00\"");
        assert_eq!(print(13, -1), "\"1969-12-31T23:59:59.999999\"");
        assert_eq!(print(17, 3_661_500_000), "\"01:01:01.500\"");
        assert_eq!(print(18, 1_500_000_000), "\"1970-01-01T00:00:01.500Z\"");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(metadata in prop::collection::vec(any::<u8>(), 0..20), value in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut versioned = vec![1];
            versioned.extend_from_slice(&metadata);
            let _ = printed(&versioned, &value);
        }
    }
}
