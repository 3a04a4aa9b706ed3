//! Connect's logical types as the messages that carry them.

use millrace_api::data::{Decimal, Value};
use num_bigint::BigInt;
use registry_protobuf::wire::{WireError, WireReader, WireValue, write_tag, write_varint};

use crate::calendar;
use crate::fault::{Fault, ILLEGAL_ARGUMENT, NUMBER_FORMAT};

/// A logical type that is a message of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logical {
    /// `confluent.type.Decimal`
    Decimal,
    /// `google.type.Date`
    Date,
    /// `google.type.TimeOfDay`
    Time,
    /// `google.protobuf.Timestamp`
    Timestamp,
}

const MILLIS_PER_DAY: i64 = 86_400_000;
/// 1 January of the year 1 and 31 December 9999, in seconds.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// An `int32` or `uint32` field, left out where it is zero.
fn put(number: i32, value: i64, out: &mut Vec<u8>) {
    if value != 0 {
        write_tag(number, 0, out);
        write_varint(value as u64, out);
    }
}

impl Logical {
    /// Appends the message's bytes.
    pub(crate) fn write(self, value: &Value, out: &mut Vec<u8>) -> Result<(), Fault> {
        match (self, value) {
            (Self::Decimal, Value::Decimal(decimal)) => write_decimal(decimal, out),
            (Self::Date, Value::Int32(days)) => {
                let (year, month, day) = calendar::from_days(*days);
                for (number, part) in [(1, year), (2, month), (3, day)] {
                    put(number, part.into(), out);
                }
            }
            (Self::Time, value @ (Value::Int32(_) | Value::Int64(_))) => {
                let millis = value.as_i64().unwrap_or_default();
                if !(0..=MILLIS_PER_DAY).contains(&millis) {
                    return Err(Fault::data(format!(
                        "Time values must use number of millis greater than 0 and less than 86400000, not {millis}"
                    )));
                }
                let millis = millis % MILLIS_PER_DAY;
                put(1, millis / 3_600_000, out);
                put(2, millis / 60_000 % 60, out);
                put(3, millis / 1_000 % 60, out);
                put(4, millis % 1_000 * 1_000_000, out);
            }
            (Self::Timestamp, Value::Int64(millis)) => {
                let seconds = millis.div_euclid(1_000);
                check_timestamp(seconds, 0)?;
                put(1, seconds, out);
                put(2, millis.rem_euclid(1_000) * 1_000_000, out);
            }
            (logical, value) => {
                return Err(Fault::data(format!(
                    "Invalid type for {logical:?}: {}",
                    value.java_class()
                )));
            }
        }
        Ok(())
    }

    /// The value of a message's bytes.
    pub(crate) fn read(self, bytes: &[u8]) -> Result<Value, Fault> {
        match self {
            Self::Decimal => read_decimal(bytes),
            Self::Date => {
                let [year, month, day, _] = numbers(bytes)?;
                let (year, month, day) = (year as i32, month as i32, day as i32);
                calendar::to_days(year, month, day)
                    .and_then(|days| i32::try_from(days).ok())
                    .map(Value::Int32)
                    .ok_or_else(|| {
                        Fault::new(ILLEGAL_ARGUMENT, format!("{year}-{month}-{day} is no date"))
                    })
            }
            Self::Time => {
                let [hours, minutes, seconds, nanos] = numbers(bytes)?.map(|part| part as i32);
                if !((0..24).contains(&hours)
                    && (0..60).contains(&minutes)
                    && (0..60).contains(&seconds)
                    && (0..1_000_000_000).contains(&nanos))
                {
                    return Err(Fault::new(
                        "java.time.DateTimeException",
                        format!(
                            "{hours}:{minutes}:{seconds} with {nanos} nanoseconds is no time of a day"
                        ),
                    ));
                }
                let millis = ((hours * 60 + minutes) * 60 + seconds) * 1_000 + nanos / 1_000_000;
                Ok(Value::Int32(millis))
            }
            Self::Timestamp => {
                let [seconds, nanos, ..] = numbers(bytes)?;
                let nanos = nanos as i32;
                check_timestamp(seconds, nanos)?;
                Ok(Value::Int64(seconds * 1_000 + i64::from(nanos) / 1_000_000))
            }
        }
    }
}

fn check_timestamp(seconds: i64, nanos: i32) -> Result<(), Fault> {
    if TIMESTAMP_SECONDS.contains(&seconds) && (0..1_000_000_000).contains(&nanos) {
        return Ok(());
    }
    Err(Fault::illegal(format!(
        "Timestamp is not valid. See proto definition for valid values. Seconds ({seconds}) must be in range [-62,135,596,800, +253,402,300,799]. Nanos ({nanos}) must be in range [0, +999,999,999]."
    )))
}

fn wire(error: WireError) -> Fault {
    Fault::new(crate::fault::INVALID_PROTOCOL_BUFFER, error.to_string())
}

/// The numbers of fields 1 to 4; all of them are varints.
fn numbers(bytes: &[u8]) -> Result<[i64; 4], Fault> {
    let mut found = [0; 4];
    let mut reader = WireReader::new(bytes);
    while let Some((number, value)) = reader.field().map_err(wire)? {
        if let (1..=4, WireValue::Varint(value)) = (number, value) {
            found[number as usize - 1] = value as i64;
        }
    }
    Ok(found)
}

fn write_decimal(decimal: &Decimal, out: &mut Vec<u8>) {
    write_tag(1, 2, out);
    let start = out.len();
    decimal.write_be_bytes(out);
    crate::write::insert_length(start, out);
    put(2, precision(decimal), out);
    put(3, decimal.scale().into(), out);
}

/// Decimal digits of the unscaled integer; zero has one.
fn precision(decimal: &Decimal) -> i64 {
    match decimal.unscaled_i128() {
        Some(0) => 1,
        Some(small) => i64::from(small.unsigned_abs().ilog10()) + 1,
        None => digits(&decimal.unscaled()),
    }
}

fn digits(unscaled: &BigInt) -> i64 {
    unscaled.magnitude().to_string().len() as i64
}

fn read_decimal(bytes: &[u8]) -> Result<Value, Fault> {
    let mut unscaled: &[u8] = &[];
    let (mut precision, mut scale) = (0, 0);
    let mut reader = WireReader::new(bytes);
    while let Some((number, value)) = reader.field().map_err(wire)? {
        match (number, value) {
            (1, WireValue::Bytes(bytes)) => unscaled = bytes,
            (2, WireValue::Varint(value)) => precision = value as i32,
            (3, WireValue::Varint(value)) => scale = value as i32,
            _ => {}
        }
    }
    if precision < 0 {
        return Err(Fault::illegal("Digits < 0"));
    }
    if unscaled.is_empty() {
        return Err(Fault::new(NUMBER_FORMAT, "Zero length BigInteger"));
    }
    let decimal = Decimal::from_be_bytes(unscaled, scale);
    Ok(Value::Decimal(Box::new(round(decimal, precision.into())?)))
}

/// Rounded half up to so many digits; 0 is without limit.
fn round(decimal: Decimal, limit: i64) -> Result<Decimal, Fault> {
    let excess = precision(&decimal) - limit;
    if limit == 0 || excess <= 0 {
        return Ok(decimal);
    }
    let Ok(excess32) = u32::try_from(excess) else {
        return Err(Fault::data("a decimal has too many digits"));
    };
    let power = BigInt::from(10).pow(excess32);
    let unscaled = decimal.unscaled();
    let (mut quotient, rest) = (&unscaled / &power, &unscaled % &power);
    if rest.magnitude() * 2u32 >= *power.magnitude() {
        quotient += if unscaled < BigInt::ZERO { -1 } else { 1 };
    }
    let scale = i64::from(decimal.scale()) - excess;
    let scale = i32::try_from(scale)
        .map_err(|_| Fault::new("java.lang.ArithmeticException", "Underflow"))?;
    // 9.99 to two digits becomes 10.0, which has three.
    round(Decimal::from_big(quotient, scale), limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(logical: Logical, value: &Value) -> Value {
        let mut out = Vec::new();
        logical.write(value, &mut out).expect("written");
        logical.read(&out).expect("read")
    }

    #[test]
    fn logical_values_come_back() {
        let big = BigInt::from(10).pow(50) + 7;
        for (logical, value) in [
            (Logical::Date, Value::Int32(-200_000)),
            (Logical::Time, Value::Int32(86_399_999)),
            (Logical::Timestamp, Value::Int64(-1)),
            (Logical::Decimal, Decimal::new(-12_345, 7).into()),
            (Logical::Decimal, Decimal::new(0, -3).into()),
            (Logical::Decimal, Decimal::from_big(big, 2).into()),
        ] {
            assert_eq!(through(logical, &value), value);
        }
    }

    #[test]
    fn decimals_are_rounded_half_up_to_their_precision() {
        for (unscaled, digits, expected) in [
            (12_345, 4, (1_235, 1)),
            (-12_345, 4, (-1_235, 1)),
            (12_344, 4, (1_234, 1)),
            (99_995, 4, (1_000, 0)),
            (12_345, 0, (12_345, 2)),
        ] {
            let rounded = round(Decimal::new(unscaled, 2), digits).expect("rounded");
            assert_eq!(rounded, Decimal::new(expected.0, expected.1));
        }
    }

    #[test]
    fn what_connect_has_no_value_for_is_refused() {
        for (logical, bytes) in [
            (Logical::Date, &[][..]),
            (Logical::Decimal, &[]),
            (Logical::Time, &[8, 24]),
            (
                Logical::Timestamp,
                &[16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            ),
        ] {
            assert!(logical.read(bytes).is_err(), "{logical:?}");
        }
        assert_eq!(Logical::Time.read(&[]), Ok(Value::Int32(0)));
        assert!(
            Logical::Time
                .write(&Value::Int32(-1), &mut Vec::new())
                .is_err()
        );
        assert!(
            Logical::Timestamp
                .write(&Value::Int64(i64::MAX), &mut Vec::new())
                .is_err()
        );
    }
}
