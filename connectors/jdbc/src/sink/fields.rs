//! Which columns a pair of schemas has.

use std::collections::HashSet;
use std::sync::Arc;

use millrace_api::data::{Field, Kind, Schema, SchemaBuilder};

use super::config::{JdbcSinkConfig, PrimaryKeyMode};

/// Names of the key columns with `pk.mode=kafka` and no `pk.fields`.
pub(crate) const KAFKA_COLUMNS: [&str; 3] =
    ["__connect_topic", "__connect_partition", "__connect_offset"];

/// Where a column's value is in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The topic, after transforms.
    Topic,
    /// The partition it was consumed from.
    Partition,
    /// The offset it was consumed at.
    Offset,
    /// The whole key.
    Key,
    /// A field of the key.
    KeyField(usize),
    /// The whole value.
    Value,
    /// A field of the value.
    ValueField(usize),
}

/// One column as the record's schemas define it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    /// Name.
    pub(crate) name: Arc<str>,
    /// Schema of its values.
    pub(crate) schema: Schema,
    /// Where the value is.
    pub(crate) source: Source,
    /// Whether it is part of the primary key.
    pub(crate) primary: bool,
    /// Whether it is named in `timestamp.fields.list` and of a type for which that counts.
    pub(crate) epoch_number: bool,
}

impl Column {
    /// Whether null may be stored: never in a key.
    pub(crate) fn nullable(&self) -> bool {
        !self.primary && self.schema.optional()
    }
}

/// Java's `toString`, which is part of messages.
impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.schema.kind().name();
        let schema = self
            .schema
            .name()
            .map_or_else(|| kind.to_owned(), |name| format!("{name}:{kind}"));
        write!(
            f,
            "SinkRecordField{{schema=Schema{{{schema}}}, name='{}', isPrimaryKey={}}}",
            self.name, self.primary
        )
    }
}

/// All columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Columns {
    /// Key columns in the order of the key.
    pub(crate) keys: Vec<Column>,
    /// The other columns in the order of the value's fields.
    pub(crate) values: Vec<Column>,
    /// Indexes into keys followed by values: the order in which CREATE TABLE lists them.
    pub(crate) creation_order: Vec<usize>,
}

impl Columns {
    /// The columns for records of these schemas; without a value schema, for tombstones, the key columns alone. `table` is for messages.
    ///
    /// # Errors
    /// Java's message for what does not fit together; the task fails.
    pub(crate) fn of(
        table: &str,
        config: &JdbcSinkConfig,
        key: Option<&Schema>,
        value: Option<&Schema>,
    ) -> Result<Self, String> {
        let text_value = value.is_some_and(|schema| schema.kind() == Kind::String);
        if text_value {
            refuse_for_text(table, config)?;
        }
        let keys = match config.pk_mode {
            PrimaryKeyMode::None => Vec::new(),
            PrimaryKeyMode::Kafka => kafka_keys(table, config)?,
            PrimaryKeyMode::RecordKey => record_keys(table, config, key)?,
            PrimaryKeyMode::RecordValue => value_keys(table, config, value)?,
        };
        let taken: HashSet<&str> = keys.iter().map(|column| &*column.name).collect();
        let whitelist = &config.fields_whitelist;
        let mut values = Vec::new();
        if text_value {
            let name: Arc<str> = config.string_value_column.as_str().into();
            if taken.contains(&*name) {
                return Err(format!(
                    "The column '{name}' for STRING values (string.output.value.column.name) of table '{table}' is also a key column; name another"
                ));
            }
            let schema = SchemaBuilder::new(Kind::String)
                .optional(true)
                .build_valid();
            values.push(Column {
                name,
                schema,
                source: Source::Value,
                primary: false,
                epoch_number: false,
            });
        } else if let Some(schema) = value {
            for (index, field) in schema.fields().iter().enumerate() {
                if !taken.contains(&*field.name)
                    && (whitelist.is_empty() || whitelist.iter().any(|name| **name == *field.name))
                {
                    values.push(column(config, field, Source::ValueField(index), false));
                }
            }
        }
        if keys.is_empty() && values.is_empty() {
            return Err(format!(
                "No fields found using key and value schemas for table: {table}"
            ));
        }
        let creation_order = creation_order(&keys, &values, value, text_value);
        Ok(Self {
            keys,
            values,
            creation_order,
        })
    }

    /// Every column: keys, then values.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Column> {
        self.keys.iter().chain(&self.values)
    }

    /// Every column in the order of CREATE TABLE.
    pub(crate) fn in_creation_order(&self) -> impl Iterator<Item = &Column> + Clone {
        let at = |index: usize| {
            self.keys
                .get(index)
                .unwrap_or_else(|| &self.values[index - self.keys.len()])
        };
        self.creation_order.iter().map(move |&index| at(index))
    }
}

fn refuse_for_text(table: &str, config: &JdbcSinkConfig) -> Result<(), String> {
    let refused = [
        ("fields.whitelist", !config.fields_whitelist.is_empty()),
        ("timestamp.fields.list", !config.timestamp_fields.is_empty()),
    ];
    if let Some((key, _)) = refused.iter().find(|(_, set)| *set) {
        return Err(format!(
            "Records for table '{table}' have values of type STRING, which have no fields: {key} cannot be set"
        ));
    }
    if config.pk_mode == PrimaryKeyMode::RecordValue {
        return Err(format!(
            "PK mode for table '{table}' is RECORD_VALUE, but record values are of type STRING, which has no fields"
        ));
    }
    Ok(())
}

fn column(config: &JdbcSinkConfig, field: &Field, source: Source, primary: bool) -> Column {
    let number = matches!(field.schema.kind(), Kind::Int64 | Kind::String);
    let epoch_number = number
        && config
            .timestamp_fields
            .iter()
            .any(|name| **name == *field.name);
    Column {
        name: Arc::clone(&field.name),
        schema: field.schema.clone(),
        source,
        primary,
        epoch_number,
    }
}

fn kafka_keys(table: &str, config: &JdbcSinkConfig) -> Result<Vec<Column>, String> {
    let names: Vec<&str> = config.pk_fields.iter().map(String::as_str).collect();
    let names = match names.as_slice() {
        [] => KAFKA_COLUMNS,
        &[topic, partition, offset] => [topic, partition, offset],
        other => {
            return Err(format!(
                "PK mode for table '{table}' is KAFKA so there should either be no field names defined for defaults [{}] to be applicable, or exactly 3, \
                 defined fields are: [{}]",
                KAFKA_COLUMNS.join(", "),
                other.join(", ")
            ));
        }
    };
    let parts = [
        (Schema::string(), Source::Topic),
        (Schema::int32(), Source::Partition),
        (Schema::int64(), Source::Offset),
    ];
    Ok(names
        .into_iter()
        .zip(parts)
        .map(|(name, (schema, source))| Column {
            name: name.into(),
            schema,
            source,
            primary: true,
            epoch_number: false,
        })
        .collect())
}

fn record_keys(
    table: &str,
    config: &JdbcSinkConfig,
    key: Option<&Schema>,
) -> Result<Vec<Column>, String> {
    let Some(schema) = key else {
        return Err(format!(
            "PK mode for table '{table}' is RECORD_KEY, but record key schema is missing"
        ));
    };
    match schema.kind() {
        Kind::Struct => picked(table, config, schema, "key", Source::KeyField),
        Kind::Array | Kind::Map => Err(format!(
            "Key schema must be primitive type or Struct, but is of type: {}",
            schema.kind().name()
        )),
        _ => match config.pk_fields.as_slice() {
            [name] => {
                let field = Field {
                    name: name.as_str().into(),
                    schema: schema.clone(),
                };
                Ok(vec![column(config, &field, Source::Key, true)])
            }
            names => Err(format!(
                "Need exactly one PK column defined since the key schema for records is a primitive type, defined columns are: [{}]",
                names.join(", ")
            )),
        },
    }
}

fn value_keys(
    table: &str,
    config: &JdbcSinkConfig,
    value: Option<&Schema>,
) -> Result<Vec<Column>, String> {
    match value {
        Some(schema) => picked(table, config, schema, "value", Source::ValueField),
        None => Err(format!(
            "PK mode for table '{table}' is RECORD_VALUE, but record value schema is missing"
        )),
    }
}

/// The fields of `pk.fields`, or all.
fn picked(
    table: &str,
    config: &JdbcSinkConfig,
    schema: &Schema,
    part: &str,
    source: fn(usize) -> Source,
) -> Result<Vec<Column>, String> {
    if config.pk_fields.is_empty() {
        return Ok(schema
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| column(config, field, source(index), true))
            .collect());
    }
    let mut keys: Vec<Column> = Vec::with_capacity(config.pk_fields.len());
    for name in &config.pk_fields {
        let Some((index, field)) = schema.field(name) else {
            return Err(format!(
                "PK mode for table '{table}' is {} with configured PK fields [{}], but record {part} schema does not contain field: {name}",
                config.pk_mode.java_name(),
                config.pk_fields.join(", ")
            ));
        };
        if keys.iter().all(|key| key.name != field.name) {
            keys.push(column(config, field, source(index), true));
        }
    }
    Ok(keys)
}

/// The default Kafka columns, then those of the value's fields in their order, then the rest by name.
fn creation_order(
    keys: &[Column],
    values: &[Column],
    value: Option<&Schema>,
    text_value: bool,
) -> Vec<usize> {
    let all: Vec<&Column> = keys.iter().chain(values).collect();
    let mut order: Vec<usize> = Vec::with_capacity(all.len());
    let mut add = |name: &str| {
        if let Some(index) = all
            .iter()
            .position(|column| *column.name == *name)
            .filter(|index| !order.contains(index))
        {
            order.push(index);
        }
    };
    KAFKA_COLUMNS.into_iter().for_each(&mut add);
    if text_value {
        values.iter().for_each(|column| add(&column.name));
    }
    value
        .map(Schema::fields)
        .unwrap_or_default()
        .iter()
        .for_each(|field| add(&field.name));
    let mut rest: Vec<&str> = all.iter().map(|column| &*column.name).collect();
    rest.sort_unstable();
    rest.into_iter().for_each(&mut add);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::testing::config;

    fn schema(names: &[&str]) -> Schema {
        names
            .iter()
            .fold(SchemaBuilder::structure(), |builder, name| {
                builder.field(*name, Schema::int32().to_optional())
            })
            .build_valid()
    }

    fn columns(
        settings: &[(&str, &str)],
        key: Option<&Schema>,
        value: Option<&Schema>,
    ) -> Result<(String, String, String), String> {
        let columns = Columns::of("t", &config(settings), key, value)?;
        let names = |columns: &mut dyn Iterator<Item = &Column>| {
            columns
                .map(|column| column.name.to_string())
                .collect::<Vec<_>>()
                .join(",")
        };
        Ok((
            names(&mut columns.keys.iter()),
            names(&mut columns.values.iter()),
            names(&mut columns.in_creation_order()),
        ))
    }

    fn ok(keys: &str, values: &str, created: &str) -> Result<(String, String, String), String> {
        Ok((keys.to_owned(), values.to_owned(), created.to_owned()))
    }

    #[test]
    fn keys_of_every_mode() {
        let (key, value) = (schema(&["b", "a"]), schema(&["x", "a", "m"]));
        let (key, value) = (Some(&key), Some(&value));
        assert_eq!(columns(&[], key, value), ok("", "x,a,m", "x,a,m"));
        assert_eq!(
            columns(&[("pk.mode", "kafka")], None, value),
            ok(
                &KAFKA_COLUMNS.join(","),
                "x,a,m",
                &format!("{},x,a,m", KAFKA_COLUMNS.join(","))
            )
        );
        assert_eq!(
            columns(&[("pk.mode", "kafka"), ("pk.fields", "z,y,w")], None, value),
            ok("z,y,w", "x,a,m", "x,a,m,w,y,z")
        );
        assert_eq!(
            columns(&[("pk.mode", "record_key")], key, value),
            ok("b,a", "x,m", "x,a,m,b")
        );
        assert_eq!(
            columns(&[("pk.mode", "record_key"), ("pk.fields", "a")], key, value),
            ok("a", "x,m", "x,a,m")
        );
        assert_eq!(
            columns(
                &[("pk.mode", "record_key"), ("pk.fields", "nr")],
                Some(&Schema::int64()),
                value
            ),
            ok("nr", "x,a,m", "x,a,m,nr")
        );
        assert_eq!(
            columns(&[("pk.mode", "record_value")], None, value),
            ok("x,a,m", "", "x,a,m")
        );
        assert_eq!(
            columns(
                &[("pk.mode", "record_value"), ("pk.fields", "m,x")],
                None,
                value
            ),
            ok("m,x", "a", "x,a,m")
        );
        assert_eq!(
            columns(
                &[("pk.mode", "record_key"), ("delete.enabled", "true")],
                key,
                None
            ),
            ok("b,a", "", "a,b")
        );
        assert_eq!(
            columns(&[("pk.mode", "record_key")], key, Some(&Schema::string())),
            ok("b,a", "record_value", "record_value,a,b")
        );
    }

    #[test]
    fn the_whitelist_never_removes_keys_and_ignores_unknown_names() {
        let value = schema(&["x", "a", "m"]);
        assert_eq!(
            columns(
                &[
                    ("pk.mode", "record_value"),
                    ("pk.fields", "x"),
                    ("fields.whitelist", "m,nope")
                ],
                None,
                Some(&value)
            ),
            ok("x", "m", "x,m")
        );
    }

    #[test]
    fn what_does_not_fit_has_javas_text() {
        let value = schema(&["x"]);
        let error = |settings: &[(&str, &str)], key: Option<&Schema>, value: Option<&Schema>| {
            columns(settings, key, value).expect_err("refused")
        };
        assert_eq!(
            error(
                &[("pk.mode", "record_value"), ("pk.fields", "zz")],
                None,
                Some(&value)
            ),
            "PK mode for table 't' is RECORD_VALUE with configured PK fields [zz], but record value schema does not contain field: zz"
        );
        assert_eq!(
            error(
                &[("pk.mode", "record_key"), ("pk.fields", "nope")],
                Some(&value),
                Some(&value)
            ),
            "PK mode for table 't' is RECORD_KEY with configured PK fields [nope], but record key schema does not contain field: nope"
        );
        assert_eq!(
            error(
                &[("pk.mode", "record_key"), ("pk.fields", "a,b")],
                Some(&Schema::int64()),
                Some(&value)
            ),
            "Need exactly one PK column defined since the key schema for records is a primitive type, defined columns are: [a, b]"
        );
        assert!(
            error(
                &[("pk.mode", "kafka"), ("pk.fields", "a,b")],
                None,
                Some(&value)
            )
            .contains("or exactly 3, defined fields are: [a, b]")
        );
        assert_eq!(
            error(&[], None, Some(&schema(&[]))),
            "No fields found using key and value schemas for table: t"
        );
        assert!(
            error(&[("fields.whitelist", "x")], None, Some(&Schema::string()))
                .contains("fields.whitelist")
        );
        assert!(
            error(
                &[("pk.mode", "record_value")],
                None,
                Some(&Schema::string())
            )
            .contains("STRING")
        );
        let same = &[("pk.mode", "record_key"), ("pk.fields", "record_value")];
        assert!(
            error(same, Some(&Schema::int64()), Some(&Schema::string()))
                .contains("string.output.value.column.name")
        );
    }

    #[test]
    fn timestamps_are_named_numbers() {
        let schema = SchemaBuilder::structure()
            .field("a", Schema::int64())
            .field("b", Schema::int32())
            .field("c", Schema::string())
            .build_valid();
        let columns = Columns::of(
            "t",
            &config(&[("timestamp.fields.list", "a,b,c")]),
            None,
            Some(&schema),
        )
        .expect("columns");
        assert_eq!(
            columns
                .values
                .iter()
                .map(|column| column.epoch_number)
                .collect::<Vec<_>>(),
            [true, false, true]
        );
    }
}
