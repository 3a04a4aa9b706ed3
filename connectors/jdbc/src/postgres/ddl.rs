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
pub(crate) fn create_table<'c>(
    style: DdlStyle<'_>,
    table: &TableId,
    columns: impl Iterator<Item = &'c Column> + Clone,
) -> Result<String, DdlError> {
    let lines = columns
        .clone()
        .map(|column| definition(style, column))
        .collect::<Result<Vec<_>, _>>()?;
    let keys = columns
        .filter(|column| column.primary)
        .map(|column| style.quoting.name(&column.name))
        .collect::<Result<Vec<_>, _>>()?;
    let mut sql = format!("CREATE TABLE {table} (\n{}", lines.join(",\n"));
    if !keys.is_empty() {
        sql.push_str(&format!(",\nPRIMARY KEY({})", keys.join(",")));
    }
    sql.push(')');
    Ok(sql)
}

/// `ALTER TABLE … ADD` for all `columns` at once.
pub(crate) fn alter_table<'c>(
    style: DdlStyle<'_>,
    table: &TableId,
    columns: impl Iterator<Item = &'c Column>,
) -> Result<String, DdlError> {
    let lines = columns
        .map(|column| definition(style, column).map(|text| format!("ADD {text}")))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(format!("ALTER TABLE {table} \n{}", lines.join(",\n")))
}

/// Name, type, and one of DEFAULT, NULL, NOT NULL.
fn definition(style: DdlStyle<'_>, column: &Column) -> Result<String, DdlError> {
    let name = style.quoting.name(&column.name)?;
    let kind = column_type(style, column)?;
    let rest = match column.schema.default() {
        Some(value) if !value.is_null() => {
            format!("DEFAULT {}", default_literal(style, column, value)?)
        }
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
    let unknown = || DdlError::NoColumnType {
        name: schema.name().map(str::to_owned),
        kind: schema.kind(),
    };
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

fn default_literal(
    style: DdlStyle<'_>,
    column: &Column,
    value: &Value,
) -> Result<String, DdlError> {
    let refused = || DdlError::Default(column.name.to_string());
    if column.epoch_number {
        let micros = epoch_number(value, style.nanos).map_err(|_| refused())?;
        return Ok(format!(
            "'{}'",
            timestamp_text(style.clock.timestamp(micros))
        ));
    }
    literal(style, &column.schema, value)?.ok_or_else(refused)
}

fn literal(
    style: DdlStyle<'_>,
    schema: &Schema,
    value: &Value,
) -> Result<Option<String>, DdlError> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    Ok(Some(match (schema.name(), value) {
        (Some(logical::DATE), value) => {
            let Some(days) = value.as_i64() else {
                return Ok(None);
            };
            format!("'{}'", date_text(style.clock.date(days)))
        }
        (Some(logical::TIME), value) => {
            let Some(millis) = value.as_i64() else {
                return Ok(None);
            };
            format!("'{}'", time_text(style.clock.time(millis)))
        }
        (Some(logical::TIMESTAMP), value) => {
            let Some(millis) = value.as_i64() else {
                return Ok(None);
            };
            format!(
                "'{}'",
                timestamp_text(style.clock.timestamp(millis.checked_mul(1000)))
            )
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
        (_, Value::Bytes(bytes)) => format!(
            "'\\x{}'",
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        ),
        (_, Value::Array(items)) => {
            let Some(element) = schema.value_schema() else {
                return Ok(None);
            };
            let mut literals = Vec::with_capacity(items.len());
            for item in items.iter() {
                match if item.is_null() {
                    Some("NULL".to_owned())
                } else {
                    literal(style, element, item)?
                } {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::testing::{config, row_schema};
    use crate::sink::{Columns, Settings};
    use millrace_api::data::SchemaBuilder;

    fn table() -> TableId {
        TableId {
            catalog: "shop".into(),
            schema: "public".into(),
            table: "t".into(),
            sql: "\"shop\".\"public\".\"t\"".into(),
        }
    }

    fn created(
        settings: &[(&str, &str)],
        key: Option<&Schema>,
        value: &Schema,
    ) -> Result<String, DdlError> {
        let settings = Settings::new("c".into(), config(settings));
        let columns = Columns::of("t", &settings.config, key, Some(value)).expect("columns");
        create_table(settings.ddl_style(), &table(), columns.in_creation_order())
    }

    #[test]
    fn a_table_lists_columns_and_keys_in_the_order_of_the_value() {
        let key = SchemaBuilder::structure()
            .field("z", Schema::string().to_optional())
            .field("id", Schema::int64())
            .build_valid();
        assert_eq!(
            created(&[("pk.mode", "record_key")], Some(&key), &row_schema()).as_deref(),
            Ok(
                "CREATE TABLE \"shop\".\"public\".\"t\" (\n\"id\" BIGINT NOT NULL,\n\"note\" TEXT NULL,\n\"z\" TEXT NOT NULL,\nPRIMARY KEY(\"id\",\"z\"))"
            )
        );
        assert_eq!(
            created(&[], None, &row_schema()).as_deref(),
            Ok(
                "CREATE TABLE \"shop\".\"public\".\"t\" (\n\"id\" INT NOT NULL,\n\"note\" TEXT NULL)"
            )
        );
        assert_eq!(
            created(
                &[("pk.mode", "kafka"), ("quote.sql.identifiers", "never")],
                None,
                &SchemaBuilder::structure()
                    .field("A", Schema::int8())
                    .build_valid()
            )
            .as_deref(),
            Ok(
                "CREATE TABLE \"shop\".\"public\".\"t\" (\n__connect_topic TEXT NOT NULL,\n__connect_partition INT NOT NULL,\n__connect_offset BIGINT NOT NULL,\nA SMALLINT NOT NULL,\n\
                PRIMARY KEY(__connect_topic,__connect_partition,__connect_offset))"
            )
        );
    }

    #[test]
    fn columns_are_added_in_one_statement() {
        let settings = Settings::new("c".into(), config(&[("timestamp.fields.list", "id")]));
        let schema = SchemaBuilder::structure()
            .field(
                "note",
                SchemaBuilder::new(Kind::String)
                    .default(Some("it's \\".into()))
                    .build_valid(),
            )
            .field(
                "id",
                SchemaBuilder::new(Kind::Int64)
                    .optional(true)
                    .default(Some(Value::Int64(1_700_000_000_123_456)))
                    .build_valid(),
            )
            .field(
                "tags",
                SchemaBuilder::array(Schema::string())
                    .default(Some(Value::Array(std::sync::Arc::new(vec![
                        "a'b".into(),
                        Value::Null,
                    ]))))
                    .build_valid(),
            )
            .field(
                "f",
                SchemaBuilder::new(Kind::Float64)
                    .default(Some(Value::Float64(f64::NEG_INFINITY)))
                    .build_valid(),
            )
            .build_valid();
        let columns = Columns::of("t", &settings.config, None, Some(&schema)).expect("columns");
        assert_eq!(
            alter_table(settings.ddl_style(), &table(), columns.all()).as_deref(),
            Ok(
                "ALTER TABLE \"shop\".\"public\".\"t\" \nADD \"note\" TEXT DEFAULT 'it''s \\',\nADD \"id\" TIMESTAMP DEFAULT '2023-11-14 22:13:20.123456',\n\
                ADD \"tags\" TEXT[] DEFAULT ARRAY['a''b',NULL]::TEXT[],\nADD \"f\" DOUBLE PRECISION DEFAULT '-Infinity'"
            )
        );
    }

    #[test]
    fn what_has_no_column_type_is_named_as_in_java() {
        let field = |schema: Schema| SchemaBuilder::structure().field("x", schema).build_valid();
        let map = Schema::map(Schema::string(), Schema::string());
        let error = |settings: &[(&str, &str)], schema: &Schema| {
            created(settings, None, schema)
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            error(&[], &field(map)),
            "null (MAP) type doesn't have a mapping to the SQL database column type"
        );
        assert_eq!(
            error(&[("dialect.name", "GenericDatabaseDialect")], &row_schema()),
            "null (INT32) type doesn't have a mapping to the SQL database column type"
        );
    }
}
