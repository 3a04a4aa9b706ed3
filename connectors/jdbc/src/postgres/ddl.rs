//! CREATE TABLE and ALTER TABLE as the Java connector writes them.

use millrace_api::data::{Kind, Schema, Value, logical};

use super::catalog::TableId;
use super::identifier::{Quoting, UnquotableName};
use crate::sink::{Column, WallClock, date_text, epoch_number, time_text, timestamp_text};

/// Why there is no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DdlError {
    /// Java's message for a type that no column can have.
    #[error("{} ({}) type doesn't have a mapping to the SQL database column type", .name.as_deref().unwrap_or("null"), .kind.name())]
    NoColumnType {
        /// Name of the schema.
        name: Option<String>,
        /// Its type.
        kind: Kind,
    },
    /// A default that is no value of its column.
    #[error("the default of field '{0}' cannot be written as a default of its column")]
    Default(String),
    /// A name that cannot be written.
    #[error(transparent)]
    Name(#[from] UnquotableName),
}

/// How DDL is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DdlStyle<'a> {
    /// Quotes of names.
    pub(crate) quoting: Quoting,
    /// Zone and calendar of defaults.
    pub(crate) clock: &'a WallClock,
    /// Whether `timestamp.fields.list` holds nanoseconds.
    pub(crate) nanos: bool,
    /// Whether the dialect knows no types.
    pub(crate) generic: bool,
}

/// `CREATE TABLE` for `columns`, in that order.
pub(crate) fn create_table<'c>(style: DdlStyle<'_>, table: &TableId, columns: impl Iterator<Item = &'c Column> + Clone) -> Result<String, DdlError> {
    let lines = columns.clone().map(|column| definition(style, column)).collect::<Result<Vec<_>, _>>()?;
    let keys = columns.filter(|column| column.primary).map(|column| style.quoting.name(&column.name)).collect::<Result<Vec<_>, _>>()?;
    let mut sql = format!("CREATE TABLE {table} (\n{}", lines.join(",\n"));
    if !keys.is_empty() {
        sql.push_str(&format!(",\nPRIMARY KEY({})", keys.join(",")));
    }
    sql.push(')');
    Ok(sql)
}

/// `ALTER TABLE … ADD` for all `columns` at once.
pub(crate) fn alter_table<'c>(style: DdlStyle<'_>, table: &TableId, columns: impl Iterator<Item = &'c Column>) -> Result<String, DdlError> {
    let lines = columns.map(|column| definition(style, column).map(|text| format!("ADD {text}"))).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("ALTER TABLE {table} \n{}", lines.join(",\n")))
}

/// Name, type, and one of DEFAULT, NULL, NOT NULL.
fn definition(style: DdlStyle<'_>, column: &Column) -> Result<String, DdlError> {
    let name = style.quoting.name(&column.name)?;
    let kind = column_type(style, column)?;
    let rest = match column.schema.default() {
        Some(value) if !value.is_null() => format!("DEFAULT {}", default_literal(style, column, value)?),
        _ if column.nullable() => "NULL".to_owned(),
        _ => "NOT NULL".to_owned(),
    };
    Ok(format!("{name} {kind} {rest}"))
}

fn column_type(style: DdlStyle<'_>, column: &Column) -> Result<String, DdlError> {
    if column.epoch_number && !style.generic {
        return Ok("TIMESTAMP".to_owned());
    }
    type_of(style, &column.schema)
}

fn type_of(style: DdlStyle<'_>, schema: &Schema) -> Result<String, DdlError> {
    let unknown = || DdlError::NoColumnType { name: schema.name().map(str::to_owned), kind: schema.kind() };
    if style.generic {
        return Err(unknown());
    }
    let name = match schema.name() {
        Some(logical::DECIMAL) => "DECIMAL",
        Some(logical::DATE) => "DATE",
        Some(logical::TIME) => "TIME",
        Some(logical::TIMESTAMP) => "TIMESTAMP",
        _ => match schema.kind() {
            Kind::Int8 | Kind::Int16 => "SMALLINT",
            Kind::Int32 => "INT",
            Kind::Int64 => "BIGINT",
            Kind::Float32 => "REAL",
            Kind::Float64 => "DOUBLE PRECISION",
            Kind::Boolean => "BOOLEAN",
            Kind::String => "TEXT",
            Kind::Bytes => "BYTEA",
            Kind::Array => {
                let element = schema.value_schema().ok_or_else(unknown)?;
                return type_of(style, element).map(|element| format!("{element}[]"));
            }
            Kind::Map | Kind::Struct => return Err(unknown()),
        },
    };
    Ok(name.to_owned())
}

fn default_literal(style: DdlStyle<'_>, column: &Column, value: &Value) -> Result<String, DdlError> {
    let refused = || DdlError::Default(column.name.to_string());
    if column.epoch_number {
        let micros = epoch_number(value, style.nanos).map_err(|_| refused())?;
        return Ok(format!("'{}'", timestamp_text(style.clock.timestamp(micros))));
    }
    literal(style, &column.schema, value)?.ok_or_else(refused)
}

fn literal(style: DdlStyle<'_>, schema: &Schema, value: &Value) -> Result<Option<String>, DdlError> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    Ok(Some(match (schema.name(), value) {
        (Some(logical::DATE), value) => {
            let Some(days) = value.as_i64() else { return Ok(None) };
            format!("'{}'", date_text(style.clock.date(days)))
        }
        (Some(logical::TIME), value) => {
            let Some(millis) = value.as_i64() else { return Ok(None) };
            format!("'{}'", time_text(style.clock.time(millis)))
        }
        (Some(logical::TIMESTAMP), value) => {
            let Some(millis) = value.as_i64() else { return Ok(None) };
            format!("'{}'", timestamp_text(style.clock.timestamp(millis.checked_mul(1000))))
        }
        (_, Value::Decimal(decimal)) => decimal.to_plain_string(),
        (_, Value::Boolean(value)) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
        (_, Value::Int8(value)) => value.to_string(),
        (_, Value::Int16(value)) => value.to_string(),
        (_, Value::Int32(value)) => value.to_string(),
        (_, Value::Int64(value)) => value.to_string(),
        (_, Value::Float32(value)) if value.is_finite() => value.to_string(),
        (_, Value::Float64(value)) if value.is_finite() => value.to_string(),
        (_, Value::Float32(value)) => format!("'{}'", special(f64::from(*value))),
        (_, Value::Float64(value)) => format!("'{}'", special(*value)),
        (_, Value::String(text)) if !text.contains('\0') => quoted(text),
        (_, Value::Bytes(bytes)) => format!("'\\x{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        (_, Value::Array(items)) => {
            let Some(element) = schema.value_schema() else { return Ok(None) };
            let mut literals = Vec::with_capacity(items.len());
            for item in items.iter() {
                match if item.is_null() { Some("NULL".to_owned()) } else { literal(style, element, item)? } {
                    Some(text) => literals.push(text),
                    None => return Ok(None),
                }
            }
            format!("ARRAY[{}]::{}", literals.join(","), type_of(style, schema)?)
        }
        _ => return Ok(None),
    }))
}

fn special(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}
