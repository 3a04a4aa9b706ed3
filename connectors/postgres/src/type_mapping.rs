//! From PostgreSQL types to Connect schemas and conversions.

use std::sync::Arc;

use millrace_api::data::{
    Blob, Decimal, Kind, Schema, SchemaBuilder, Struct, Text, Value, logical,
};

use crate::catalog::{TypeForm, TypeRegistry};
use crate::convert::{
    BinaryMode, Convert, DateForm, DecimalMode, IntervalMode, TimeForm, TimestampForm,
};

/// `time.precision.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimePrecision {
    Adaptive,
    AdaptiveTimeMicroseconds,
    Connect,
    IsoString,
    Microseconds,
    Nanoseconds,
}

/// Everything in the configuration that decides how columns look.
#[derive(Debug, Clone)]
pub(crate) struct MappingModes {
    pub(crate) decimal: DecimalMode,
    pub(crate) time: TimePrecision,
    pub(crate) interval: IntervalMode,
    pub(crate) binary: BinaryMode,
    pub(crate) money_scale: i32,
    pub(crate) include_unknown: bool,
    /// `unavailable.value.placeholder`
    pub(crate) placeholder: Vec<u8>,
}

/// A type's place in Connect.
#[derive(Debug, Clone)]
pub(crate) struct Mapped {
    /// Required, without a default.
    pub(crate) schema: SchemaBuilder,
    pub(crate) convert: Convert,
    /// Stands for NULL where the schema does not allow it.
    pub(crate) fallback: Value,
    /// Stands for an unchanged TOAST value; null where a placeholder cannot be converted.
    pub(crate) unavailable: Value,
    /// Whether a default of the column is shown in the schema.
    pub(crate) takes_default: bool,
    /// Stands in the schema for a default that is computed at insert, where the conversion alone does not tell.
    pub(crate) computed_default: Option<&'static str>,
}

/// Maps the type of a column; `None`: it has no mapping and the column is left out.
pub(crate) fn map(
    types: &TypeRegistry,
    oid: u32,
    modifier: i32,
    modes: &MappingModes,
) -> Option<Mapped> {
    scalar_or_array(types, oid, modifier, modes)
        .or_else(|| modes.include_unknown.then(|| unknown(modes)))
}

fn scalar_or_array(
    types: &TypeRegistry,
    oid: u32,
    modifier: i32,
    modes: &MappingModes,
) -> Option<Mapped> {
    let info = types.get(oid)?;
    match &info.form {
        TypeForm::Domain {
            base,
            modifier: own,
            ..
        } => {
            // The innermost declared length wins; domains carry no schema default.
            let inner = if *own != -1 { *own } else { modifier };
            scalar_or_array(types, *base, inner, modes).map(|m| Mapped {
                takes_default: false,
                ..m
            })
        }
        TypeForm::Array(element) => array(types, *element, modifier, modes),
        TypeForm::Enum(labels) => Some(enumeration(labels)),
        TypeForm::Base if info.schema == "pg_catalog" => builtin(&info.name, modifier, modes),
        TypeForm::Base => extension(&info.name, modes),
        TypeForm::Other => None,
    }
}

fn mapped(schema: SchemaBuilder, convert: Convert, fallback: impl Into<Value>) -> Mapped {
    Mapped {
        schema,
        convert,
        fallback: fallback.into(),
        unavailable: Value::Null,
        takes_default: true,
        computed_default: None,
    }
}

fn named(kind: Kind, name: &str) -> SchemaBuilder {
    SchemaBuilder::new(kind).name(name).version(1)
}

fn text(schema: SchemaBuilder, modes: &MappingModes) -> Mapped {
    Mapped {
        unavailable: placeholder_text(modes),
        ..mapped(schema, Convert::Text, "")
    }
}

fn placeholder_text(modes: &MappingModes) -> Value {
    Value::String(Text::new(
        String::from_utf8_lossy(&modes.placeholder).into_owned(),
    ))
}

fn without_default(m: Mapped) -> Mapped {
    Mapped {
        takes_default: false,
        ..m
    }
}

fn builtin(name: &str, modifier: i32, modes: &MappingModes) -> Option<Mapped> {
    let plain = SchemaBuilder::new;
    Some(match name {
        "bool" => mapped(plain(Kind::Boolean), Convert::Boolean, false),
        "int2" => mapped(plain(Kind::Int16), Convert::Int16, Value::Int16(0)),
        "int4" => mapped(plain(Kind::Int32), Convert::Int32, 0),
        "int8" => mapped(plain(Kind::Int64), Convert::Int64, 0i64),
        "oid" => without_default(mapped(plain(Kind::Int64), Convert::Int64, 0i64)),
        "float4" => mapped(plain(Kind::Float32), Convert::Float32, Value::Float32(0.0)),
        "float8" => mapped(plain(Kind::Float64), Convert::Float64, 0.0),
        "numeric" => numeric(modifier, modes),
        "money" => without_default(money(modes)),
        "bit" | "varbit" => bits(if modifier >= 0 { modifier } else { i32::MAX }),
        "bpchar" | "varchar" | "text" => text(plain(Kind::String), modes),
        "char" | "name" | "inet" | "cidr" | "macaddr" | "macaddr8" => {
            without_default(text(plain(Kind::String), modes))
        }
        "int4range" | "int8range" | "numrange" | "tsrange" | "tstzrange" | "daterange" => {
            without_default(text(plain(Kind::String), modes))
        }
        "json" | "jsonb" => Mapped {
            computed_default: Some("{}"),
            ..text(named(Kind::String, "io.debezium.data.Json"), modes)
        },
        "xml" => text(named(Kind::String, "io.debezium.data.Xml"), modes),
        "uuid" => Mapped {
            unavailable: Value::Null,
            computed_default: Some("00000000-0000-0000-0000-000000000000"),
            ..text(named(Kind::String, "io.debezium.data.Uuid"), modes)
        },
        "tsvector" => without_default(text(
            named(Kind::String, "io.debezium.data.Tsvector"),
            modes,
        )),
        "bytea" => without_default(bytea(modes)),
        "date" => date(modes),
        "time" => time(precision(modifier), modes),
        "timestamp" => timestamp(precision(modifier), modes),
        "timestamptz" => mapped(
            named(Kind::String, "io.debezium.time.ZonedTimestamp"),
            Convert::TimestampTz {
                digits: precision(modifier),
            },
            "1970-01-01T00:00:00Z",
        ),
        "timetz" => without_default(mapped(
            named(Kind::String, "io.debezium.time.ZonedTime"),
            Convert::TimeTz,
            "00:00:00Z",
        )),
        "interval" => match modes.interval {
            IntervalMode::Numeric => mapped(
                named(Kind::Int64, "io.debezium.time.MicroDuration"),
                Convert::Interval(IntervalMode::Numeric),
                0i64,
            ),
            IntervalMode::String => mapped(
                named(Kind::String, "io.debezium.time.Interval"),
                Convert::Interval(IntervalMode::String),
                "P0Y0M0DT0H0M0S",
            ),
        },
        _ => return None,
    })
}

fn extension(name: &str, modes: &MappingModes) -> Option<Mapped> {
    Some(without_default(match name {
        "citext" | "isbn" => text(SchemaBuilder::new(Kind::String), modes),
        "ltree" => text(named(Kind::String, "io.debezium.data.Ltree"), modes),
        "hstore" => hstore(modes),
        _ => return None,
    }))
}

/// A pair of the placeholder and itself stands for an unchanged value.
fn hstore(modes: &MappingModes) -> Mapped {
    let placeholder = String::from_utf8_lossy(&modes.placeholder);
    let pair = serde_json::json!({ &*placeholder: &*placeholder }).to_string();
    Mapped {
        unavailable: Value::String(Text::new(pair)),
        ..mapped(
            named(Kind::String, "io.debezium.data.Json"),
            Convert::HstoreJson,
            "{}",
        )
    }
}

fn unknown(modes: &MappingModes) -> Mapped {
    let fallback = if modes.binary == BinaryMode::Bytes {
        Value::Bytes(Blob::from(&b""[..]))
    } else {
        Value::from("")
    };
    without_default(mapped(
        SchemaBuilder::new(modes.binary.kind()),
        Convert::Raw(modes.binary),
        fallback,
    ))
}

fn precision(modifier: i32) -> u32 {
    u32::try_from(modifier).unwrap_or(6)
}

fn numeric(modifier: i32, modes: &MappingModes) -> Mapped {
    // Eleven bits of scale, without their sign: so a negative scale shows as 2046 and the like, as it does in Java.
    let declared =
        (modifier >= 4).then(|| (((modifier - 4) >> 16) & 0xffff, (modifier - 4) & 0x7ff));
    match (modes.decimal, declared) {
        (DecimalMode::Double, _) => mapped(
            SchemaBuilder::new(Kind::Float64),
            Convert::DecimalAsDouble,
            0.0,
        ),
        (DecimalMode::String, _) => mapped(
            SchemaBuilder::new(Kind::String),
            Convert::DecimalAsString {
                scale: declared.map(|(_, scale)| scale),
            },
            "",
        ),
        (DecimalMode::Precise, Some((precision, scale))) => mapped(
            logical::decimal(scale).parameter("connect.decimal.precision", precision.to_string()),
            Convert::Decimal { scale },
            Decimal::new(0, scale),
        ),
        (DecimalMode::Precise, None) => {
            let builder = SchemaBuilder::structure()
                .name("io.debezium.data.VariableScaleDecimal")
                .version(1)
                .doc("Variable scaled decimal")
                .field("scale", Schema::int32())
                .field("value", Schema::bytes());
            // Values carry the required form; the field's own schema may be optional or not, and a struct's schema is compared by kind and fields.
            let schema = builder.clone().build_valid();
            let zero = Struct::new(
                schema.clone(),
                vec![Value::Int32(0), Value::Bytes(Blob::from(&[0u8][..]))],
            );
            Mapped {
                takes_default: false,
                ..mapped(builder, Convert::VariableDecimal { schema }, zero)
            }
        }
    }
}

fn money(modes: &MappingModes) -> Mapped {
    let convert = Convert::Money {
        scale: modes.money_scale,
        mode: modes.decimal,
    };
    match modes.decimal {
        DecimalMode::Precise => mapped(
            logical::decimal(modes.money_scale),
            convert,
            Decimal::new(0, modes.money_scale),
        ),
        DecimalMode::Double => mapped(SchemaBuilder::new(Kind::Float64), convert, 0.0),
        DecimalMode::String => mapped(SchemaBuilder::new(Kind::String), convert, ""),
    }
}

fn bits(length: i32) -> Mapped {
    if length == 1 {
        return mapped(SchemaBuilder::new(Kind::Boolean), Convert::Bit, false);
    }
    let schema =
        named(Kind::Bytes, "io.debezium.data.Bits").parameter("length", length.to_string());
    mapped(schema, Convert::Bits, Blob::from(&b""[..]))
}

fn bytea(modes: &MappingModes) -> Mapped {
    let schema = SchemaBuilder::new(modes.binary.kind());
    let convert = Convert::Bytea(modes.binary);
    match modes.binary {
        BinaryMode::Bytes => Mapped {
            unavailable: Value::Bytes(Blob::from(modes.placeholder.clone())),
            ..mapped(schema, convert, Blob::from(&b""[..]))
        },
        BinaryMode::Hex => Mapped {
            unavailable: placeholder_text(modes),
            ..mapped(schema, convert, "")
        },
        BinaryMode::Base64 | BinaryMode::Base64UrlSafe => mapped(schema, convert, ""),
    }
}

fn date(modes: &MappingModes) -> Mapped {
    match modes.time {
        TimePrecision::IsoString => mapped(
            named(Kind::String, "io.debezium.time.IsoDate"),
            Convert::Date(DateForm::Iso),
            "1970-01-01Z",
        ),
        TimePrecision::Connect => mapped(
            named(Kind::Int32, logical::DATE),
            Convert::Date(DateForm::Days),
            0,
        ),
        _ => mapped(
            named(Kind::Int32, "io.debezium.time.Date"),
            Convert::Date(DateForm::Days),
            0,
        ),
    }
}

fn time(precision: u32, modes: &MappingModes) -> Mapped {
    let of = |kind, name, form, zero: Value| mapped(named(kind, name), Convert::Time(form), zero);
    match modes.time {
        TimePrecision::Connect => of(
            Kind::Int32,
            logical::TIME,
            TimeForm::Millis,
            Value::Int32(0),
        ),
        TimePrecision::IsoString => of(
            Kind::String,
            "io.debezium.time.IsoTime",
            TimeForm::Iso,
            Value::from("00:00:00Z"),
        ),
        TimePrecision::Nanoseconds => of(
            Kind::Int64,
            "io.debezium.time.NanoTime",
            TimeForm::Nanos,
            Value::Int64(0),
        ),
        TimePrecision::Adaptive if precision <= 3 => of(
            Kind::Int32,
            "io.debezium.time.Time",
            TimeForm::Millis,
            Value::Int32(0),
        ),
        _ => of(
            Kind::Int64,
            "io.debezium.time.MicroTime",
            TimeForm::Micros,
            Value::Int64(0),
        ),
    }
}

fn timestamp(precision: u32, modes: &MappingModes) -> Mapped {
    let of =
        |kind, name, form, zero: Value| mapped(named(kind, name), Convert::Timestamp(form), zero);
    match modes.time {
        TimePrecision::Connect => of(
            Kind::Int64,
            logical::TIMESTAMP,
            TimestampForm::Millis,
            Value::Int64(0),
        ),
        TimePrecision::IsoString => of(
            Kind::String,
            "io.debezium.time.IsoTimestamp",
            TimestampForm::Iso,
            Value::from("1970-01-01T00:00:00Z"),
        ),
        TimePrecision::Nanoseconds => of(
            Kind::Int64,
            "io.debezium.time.NanoTimestamp",
            TimestampForm::Nanos,
            Value::Int64(0),
        ),
        TimePrecision::Adaptive | TimePrecision::AdaptiveTimeMicroseconds if precision <= 3 => of(
            Kind::Int64,
            "io.debezium.time.Timestamp",
            TimestampForm::Millis,
            Value::Int64(0),
        ),
        _ => of(
            Kind::Int64,
            "io.debezium.time.MicroTimestamp",
            TimestampForm::Micros,
            Value::Int64(0),
        ),
    }
}

fn enumeration(labels: &Arc<[String]>) -> Mapped {
    let schema =
        named(Kind::String, "io.debezium.data.Enum").parameter("allowed", labels.join(","));
    mapped(
        schema,
        Convert::Enum {
            labels: Arc::clone(labels),
        },
        "",
    )
}

/// Element types that Debezium maps in arrays; others leave the column out.
const ARRAY_ELEMENTS: &[&str] = &[
    "int2",
    "int4",
    "int8",
    "oid",
    "char",
    "varchar",
    "text",
    "bpchar",
    "numeric",
    "float4",
    "float8",
    "bool",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "uuid",
    "json",
    "jsonb",
    "bytea",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "daterange",
    "citext",
    "ltree",
];

fn array(
    types: &TypeRegistry,
    element: u32,
    modifier: i32,
    modes: &MappingModes,
) -> Option<Mapped> {
    let info = types.get(element)?;
    let is_enum = matches!(info.form, TypeForm::Enum(_));
    let listed = matches!(info.form, TypeForm::Base) && ARRAY_ELEMENTS.contains(&&*info.name);
    if !is_enum && !listed {
        return None;
    }
    let item = scalar_or_array(types, element, modifier, modes)?;
    let list = |values: Vec<Value>| Value::Array(Arc::new(values));
    let unavailable = match &*info.name {
        "text" | "varchar" | "bpchar" | "json" | "jsonb" => list(vec![placeholder_text(modes)]),
        "bytea" if modes.binary == BinaryMode::Bytes => {
            list(vec![Value::Bytes(Blob::from(modes.placeholder.clone()))])
        }
        "int4" | "date" => list(
            modes
                .placeholder
                .iter()
                .map(|b| Value::Int32(i32::from(*b as i8)))
                .collect(),
        ),
        "int8" => list(
            modes
                .placeholder
                .iter()
                .map(|b| Value::Int64(i64::from(*b as i8)))
                .collect(),
        ),
        "uuid" => list(vec![Value::String(Text::new(name_uuid(
            &modes.placeholder,
        )))]),
        _ => Value::Null,
    };
    let schema = SchemaBuilder::array(item.schema.optional(!is_enum).build_valid());
    Some(Mapped {
        schema,
        convert: Convert::Array(Box::new(item.convert)),
        fallback: list(Vec::new()),
        unavailable,
        takes_default: false,
        computed_default: None,
    })
}

/// The UUID that Java derives from bytes (`UUID.nameUUIDFromBytes`): version 3 without a namespace.
fn name_uuid(name: &[u8]) -> String {
    use md5::Digest as _;
    let mut hash: [u8; 16] = md5::Md5::digest(name).into();
    hash[6] = (hash[6] & 0x0f) | 0x30;
    hash[8] = (hash[8] & 0x3f) | 0x80;
    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placeholder_uuid_is_javas() {
        assert_eq!(
            name_uuid(b"__debezium_unavailable_value"),
            "b68a35a7-17ad-35b3-af2a-ae46edb4545a"
        );
    }
}
