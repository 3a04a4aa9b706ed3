//! The plan of one table: schemas and one conversion per column, made once per shape and used for every row.

use std::sync::Arc;

use millrace_api::data::{Data, Frame, Schema, SchemaBuilder, Struct, Text, Value};
use millrace_cdc::{ColumnFilter, Envelope, NameAdjustment, TableId, TopicNaming};

use crate::catalog::{CatalogTable, TypeRegistry};
use crate::column_default::schema_default;
use crate::convert::{Convert, ConvertError, Raw};
use crate::key_columns::KeyColumns;
use crate::type_mapping::{MappingModes, map};

/// What is done about a value that cannot be converted: `event.converting.failure.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConvertingFailure {
    Fail,
    Warn,
    Skip,
}

/// What the plans of all tables are made from.
#[derive(Debug)]
pub(crate) struct PlanContext {
    pub(crate) naming: TopicNaming,
    pub(crate) schema_names: NameAdjustment,
    pub(crate) field_names: NameAdjustment,
    pub(crate) columns: ColumnFilter,
    pub(crate) key_columns: KeyColumns,
    pub(crate) modes: MappingModes,
    pub(crate) source_schema: Schema,
    pub(crate) on_failure: ConvertingFailure,
}

/// A column as it arrives: by name, type and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WireColumn {
    pub(crate) name: String,
    pub(crate) type_oid: u32,
    pub(crate) type_modifier: i32,
}

/// A table whose schemas cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(
        "Table '{table}' has columns that differ only by case: {a} and {b}. Rename one of them or exclude the table."
    )]
    SameButCase {
        table: TableId,
        a: String,
        b: String,
    },
    #[error("the schemas of table '{table}' cannot be built: {source}")]
    Schema {
        table: TableId,
        source: millrace_api::data::SchemaError,
    },
}

/// How rows of one table become events.
#[derive(Debug)]
pub(crate) struct TablePlan {
    pub(crate) id: TableId,
    pub(crate) topic: Arc<str>,
    pub(crate) schema_text: Text,
    pub(crate) table_text: Text,
    pub(crate) envelope: Envelope,
    row_schema: Schema,
    columns: Vec<ColumnPlan>,
    key: Option<KeyPlan>,
    on_failure: ConvertingFailure,
}

#[derive(Debug)]
struct ColumnPlan {
    name: String,
    convert: Convert,
    /// Place in the row; `None`: not in the value.
    field: Option<usize>,
    in_key: bool,
    on_null: Value,
    unavailable: Value,
    required: bool,
}

#[derive(Debug)]
struct KeyPlan {
    schema: Schema,
    /// Index of the column of each key field.
    columns: Vec<usize>,
}

/// A column's value in a row as it arrives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WireValue {
    Null,
    Unchanged,
    Text { start: u32, len: u32 },
}

/// Why a row cannot become an event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowError {
    /// An enum has a label that was added after its type was read: read the types again, then try again.
    #[error("column '{column}' of table '{table}' has an enum label that is not known")]
    UnknownLabel { table: TableId, column: String },
    #[error("column '{column}' of table '{table}' cannot be converted: {source}")]
    Convert {
        table: TableId,
        column: String,
        source: ConvertError,
    },
    #[error(
        "Invalid value: null used for required field: \"{column}\", schema type: {kind} (table '{table}')"
    )]
    RequiredNull {
        table: TableId,
        column: String,
        kind: &'static str,
    },
}

/// A row in both of its forms.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) value: Struct,
    pub(crate) key: Data,
}

impl TablePlan {
    /// The plan for rows with these columns. `catalog` tells what the wire does not: nullability, defaults, the key.
    pub(crate) fn new(
        context: &PlanContext,
        types: &TypeRegistry,
        id: &TableId,
        wire: &[WireColumn],
        catalog: &CatalogTable,
    ) -> Result<Self, PlanError> {
        for (i, a) in wire.iter().enumerate() {
            if let Some(b) = wire[..i]
                .iter()
                .find(|b| b.name.eq_ignore_ascii_case(&a.name))
            {
                return Err(PlanError::SameButCase {
                    table: id.clone(),
                    a: b.name.clone(),
                    b: a.name.clone(),
                });
            }
        }
        let topic = context.naming.data_topic(id);
        let key_names = context
            .key_columns
            .of(id, wire)
            .unwrap_or_else(|| catalog.key.clone());
        let mut row = SchemaBuilder::structure()
            .name(&*context.schema_names.schema_name(&format!("{topic}.Value")))
            .optional(true);
        let mut columns = Vec::with_capacity(wire.len());
        let mut key_fields: Vec<Option<(String, Schema)>> = vec![None; wire.len()];
        let mut fields = 0;
        for (i, column) in wire.iter().enumerate() {
            let known = catalog.columns.iter().find(|c| c.name == column.name);
            let in_key = key_names.contains(&column.name);
            let optional = match known {
                Some(known) => !known.not_null,
                None => {
                    tracing::warn!(table = %id, column = column.name, "the column is no longer in the catalog: it is taken as optional");
                    true
                }
            };
            let Some(mapped) = map(types, column.type_oid, column.type_modifier, &context.modes)
            else {
                tracing::warn!(table = %id, column = column.name, type_oid = column.type_oid, "the type has no mapping: the column is left out");
                columns.push(ColumnPlan {
                    name: column.name.clone(),
                    convert: Convert::Text,
                    field: None,
                    in_key: false,
                    on_null: Value::Null,
                    unavailable: Value::Null,
                    required: false,
                });
                continue;
            };
            let default = known
                .filter(|_| mapped.takes_default)
                .and_then(|k| k.default.as_deref())
                .and_then(|expression| {
                    schema_default(expression, &mapped.convert, mapped.computed_default)
                });
            let on_null = match (&default, optional) {
                (_, true) => Value::Null,
                (Some(default), false) => default.clone(),
                (None, false) => mapped.fallback.clone(),
            };
            let schema = mapped
                .schema
                .optional(optional)
                .default(default)
                .build_valid();
            let field_name = context.field_names.field_name(&column.name).into_owned();
            let field = context.columns.accepts(id, &column.name).then(|| {
                fields += 1;
                fields - 1
            });
            if field.is_some() {
                row = row.field(field_name.clone(), schema.clone());
            }
            if in_key {
                key_fields[i] = Some((field_name, schema.clone()));
            }
            columns.push(ColumnPlan {
                name: column.name.clone(),
                convert: rebind(mapped.convert, &schema),
                field,
                in_key,
                on_null: rebind_value(on_null, &schema),
                unavailable: mapped.unavailable,
                required: !optional,
            });
        }
        let refuse = |source| PlanError::Schema {
            table: id.clone(),
            source,
        };
        let row_schema = row.build().map_err(refuse)?;
        let key = key_plan(context, &topic, &key_names, wire, &mut key_fields).map_err(refuse)?;
        if key.is_none() {
            tracing::warn!(table = %id, "the table has neither a primary key nor a usable unique index: its events have no key");
        }
        let envelope = Envelope::new(
            &context
                .schema_names
                .schema_name(&format!("{topic}.Envelope")),
            &row_schema,
            &context.source_schema,
        );
        Ok(Self {
            id: id.clone(),
            topic: Arc::from(topic),
            schema_text: Text::from(&*id.schema),
            table_text: Text::from(&*id.table),
            envelope,
            row_schema,
            columns,
            key,
            on_failure: context.on_failure,
        })
    }

    /// Number of columns on the wire.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Names of the columns that the value or the key needs.
    pub(crate) fn used_columns(&self) -> Vec<String> {
        self.columns
            .iter()
            .filter(|c| c.field.is_some() || c.in_key)
            .map(|c| c.name.clone())
            .collect()
    }

    /// Schema of `before` and `after`.
    #[cfg(test)]
    pub(crate) fn row_schema(&self) -> &Schema {
        &self.row_schema
    }

    /// Converts a row whose texts lie in `frame`. An unchanged TOAST value is taken from `old` when the old row has it, else its placeholder is used.
    pub(crate) fn row(
        &self,
        frame: &Frame,
        cells: impl Iterator<Item = WireValue>,
        old: Option<&Row>,
    ) -> Result<Row, RowError> {
        let mut values: Vec<Value> = Vec::with_capacity(self.row_schema.fields().len());
        // Only for key columns that are not in the value.
        let mut outside: Vec<(usize, Value)> = Vec::new();
        let mut cells = cells;
        for (i, column) in self.columns.iter().enumerate() {
            let cell = cells.next().unwrap_or(WireValue::Null);
            if column.field.is_none() && !column.in_key {
                continue;
            }
            let value = match cell {
                WireValue::Null => column.on_null.clone(),
                WireValue::Unchanged => self.unchanged(column, old)?,
                WireValue::Text { start, len } => {
                    match column.convert.value(Raw { frame, start, len }) {
                        Ok(value) => value,
                        Err(error) => self.failed(column, error)?,
                    }
                }
            };
            match column.field {
                Some(_) => values.push(value),
                None => outside.push((i, value)),
            }
        }
        let key = match &self.key {
            None => Data::NONE,
            Some(key) => {
                let parts: Vec<Value> = key
                    .columns
                    .iter()
                    .map(|&i| match self.columns[i].field {
                        Some(field) => values[field].clone(),
                        None => outside
                            .iter()
                            .find(|(at, _)| *at == i)
                            .map(|(_, v)| v.clone())
                            .unwrap_or_default(),
                    })
                    .collect();
                Data::new(key.schema.clone(), Struct::new(key.schema.clone(), parts))
            }
        };
        Ok(Row {
            value: Struct::new(self.row_schema.clone(), values),
            key,
        })
    }

    fn unchanged(&self, column: &ColumnPlan, old: Option<&Row>) -> Result<Value, RowError> {
        if let (Some(old), Some(field)) = (old, column.field) {
            return Ok(old.value.values()[field].clone());
        }
        if column.unavailable.is_null() && column.required {
            return Err(self.required_null(column));
        }
        Ok(column.unavailable.clone())
    }

    fn failed(&self, column: &ColumnPlan, error: ConvertError) -> Result<Value, RowError> {
        let (table, name) = (self.id.clone(), column.name.clone());
        match (error, self.on_failure) {
            (ConvertError::UnknownLabel, _) => {
                return Err(RowError::UnknownLabel {
                    table,
                    column: name,
                });
            }
            (source, ConvertingFailure::Fail) => {
                return Err(RowError::Convert {
                    table,
                    column: name,
                    source,
                });
            }
            (error, ConvertingFailure::Warn) => {
                tracing::warn!(%table, column = name, %error, "a value cannot be converted and is sent as null")
            }
            (error, ConvertingFailure::Skip) => {
                tracing::debug!(%table, column = name, %error, "a value cannot be converted and is sent as null")
            }
        }
        if column.required {
            return Err(self.required_null(column));
        }
        Ok(Value::Null)
    }

    fn required_null(&self, column: &ColumnPlan) -> RowError {
        let kind = column
            .field
            .map_or("?", |f| self.row_schema.fields()[f].schema.kind().name());
        RowError::RequiredNull {
            table: self.id.clone(),
            column: column.name.clone(),
            kind,
        }
    }
}

fn key_plan(
    context: &PlanContext,
    topic: &str,
    names: &[String],
    wire: &[WireColumn],
    fields: &mut [Option<(String, Schema)>],
) -> Result<Option<KeyPlan>, millrace_api::data::SchemaError> {
    let mut schema = SchemaBuilder::structure()
        .name(&*context.schema_names.schema_name(&format!("{topic}.Key")));
    let mut columns = Vec::new();
    for name in names {
        // A key column that is not published is left out of the key.
        let Some(i) = wire.iter().position(|c| c.name == *name) else {
            continue;
        };
        let Some((field, field_schema)) = &fields[i] else {
            continue;
        };
        schema = schema.field(field.clone(), field_schema.clone());
        columns.push(i);
    }
    if columns.is_empty() {
        Ok(None)
    } else {
        Ok(Some(KeyPlan {
            schema: schema.build()?,
            columns,
        }))
    }
}

/// Values that are structs must carry the very schema of their field.
fn rebind(convert: Convert, field: &Schema) -> Convert {
    match convert {
        Convert::VariableDecimal { .. } => Convert::VariableDecimal {
            schema: field.clone(),
        },
        Convert::Array(element) => match field.value_schema() {
            Some(item) => Convert::Array(Box::new(rebind(*element, item))),
            None => Convert::Array(element),
        },
        other => other,
    }
}

fn rebind_value(value: Value, field: &Schema) -> Value {
    match value {
        Value::Struct(s) => Value::Struct(Struct::new(field.clone(), s.values())),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{CatalogColumn, TypeForm, TypeInfo};
    use crate::convert::{BinaryMode, DecimalMode, IntervalMode};
    use crate::type_mapping::TimePrecision;
    use millrace_api::data::Kind;

    fn context() -> PlanContext {
        PlanContext {
            naming: TopicNaming::new("p", ".", "hb", None),
            schema_names: NameAdjustment::None,
            field_names: NameAdjustment::None,
            columns: ColumnFilter::new(None, Some("s.t.hidden")).expect("valid"),
            key_columns: KeyColumns::default(),
            modes: MappingModes {
                decimal: DecimalMode::Precise,
                time: TimePrecision::Adaptive,
                interval: IntervalMode::Numeric,
                binary: BinaryMode::Bytes,
                money_scale: 2,
                include_unknown: false,
                placeholder: b"gone".to_vec(),
            },
            source_schema: crate::source_info::schema(),
            on_failure: ConvertingFailure::Warn,
        }
    }

    /// `t(hidden int4, id int8 primary key, note text not null, big text, odd unknown)`
    fn plan() -> TablePlan {
        let base = |name: &str| TypeInfo {
            name: name.to_owned(),
            schema: "pg_catalog".to_owned(),
            form: TypeForm::Base,
        };
        let types = TypeRegistry::of([
            (23, base("int4")),
            (20, base("int8")),
            (25, base("text")),
            (99, base("tsquery")),
        ]);
        let columns = [
            ("hidden", 23, false),
            ("id", 20, true),
            ("note", 25, true),
            ("big", 25, false),
            ("odd", 99, false),
        ];
        let wire: Vec<_> = columns
            .iter()
            .map(|(n, oid, _)| WireColumn {
                name: (*n).to_owned(),
                type_oid: *oid,
                type_modifier: -1,
            })
            .collect();
        let catalog = CatalogTable {
            columns: columns
                .iter()
                .map(|(n, oid, not_null)| CatalogColumn {
                    name: (*n).to_owned(),
                    type_oid: *oid,
                    type_modifier: -1,
                    not_null: *not_null,
                    default: None,
                })
                .collect(),
            key: vec!["id".to_owned()],
        };
        TablePlan::new(&context(), &types, &TableId::new("s", "t"), &wire, &catalog)
            .expect("a plan")
    }

    fn text(frame: &mut Vec<u8>, text: &str) -> WireValue {
        let start = frame.len() as u32;
        frame.extend_from_slice(text.as_bytes());
        WireValue::Text {
            start,
            len: text.len() as u32,
        }
    }

    #[test]
    fn rows_have_the_columns_that_are_mapped_and_not_filtered() {
        let plan = plan();
        let names: Vec<&str> = plan
            .row_schema()
            .fields()
            .iter()
            .map(|f| &*f.name)
            .collect();
        assert_eq!(names, ["id", "note", "big"]);
        assert_eq!(plan.row_schema().fields()[0].schema.kind(), Kind::Int64);
        assert!(plan.row_schema().optional() && !plan.row_schema().fields()[1].schema.optional());
        let mut bytes = Vec::new();
        let cells = [
            WireValue::Null,
            text(&mut bytes, "7"),
            text(&mut bytes, "n"),
            WireValue::Null,
            text(&mut bytes, "'a'"),
        ];
        let row = plan
            .row(&Frame::new(bytes), cells.into_iter(), None)
            .expect("a row");
        assert_eq!(
            row.value.values(),
            [Value::Int64(7), Value::from("n"), Value::Null]
        );
        assert_eq!(
            row.key.value.as_struct().map(|k| k.values().to_vec()),
            Some(vec![Value::Int64(7)])
        );
    }

    #[test]
    fn null_in_a_required_column_becomes_its_fallback() {
        let mut bytes = Vec::new();
        let cells = [
            WireValue::Null,
            text(&mut bytes, "7"),
            WireValue::Null,
            WireValue::Null,
            WireValue::Null,
        ];
        let row = plan()
            .row(&Frame::new(bytes), cells.into_iter(), None)
            .expect("a row");
        assert_eq!(row.value.values()[1], Value::from(""));
    }

    #[test]
    fn an_unchanged_value_comes_from_the_old_row_or_is_a_placeholder() {
        let plan = plan();
        let mut bytes = Vec::new();
        let old = [
            WireValue::Null,
            text(&mut bytes, "7"),
            text(&mut bytes, "n"),
            text(&mut bytes, "long"),
            WireValue::Null,
        ];
        let new = [
            WireValue::Null,
            old[1],
            old[2],
            WireValue::Unchanged,
            WireValue::Null,
        ];
        let frame = Frame::new(bytes);
        let old = plan.row(&frame, old.into_iter(), None).expect("a row");
        assert_eq!(
            plan.row(&frame, new.into_iter(), Some(&old))
                .expect("a row")
                .value
                .values()[2],
            Value::from("long")
        );
        assert_eq!(
            plan.row(&frame, new.into_iter(), None)
                .expect("a row")
                .value
                .values()[2],
            Value::from("gone")
        );
    }

    #[test]
    fn a_row_costs_two_allocations_and_its_key_two_more() {
        let plan = plan();
        let mut bytes = Vec::new();
        let cells = [
            WireValue::Null,
            text(&mut bytes, "7"),
            text(&mut bytes, "n"),
            text(&mut bytes, "a long text"),
            WireValue::Null,
        ];
        let frame = Frame::new(bytes);
        let mut row = None;
        let count = crate::allocations::allocations(|| {
            row = plan.row(&frame, cells.into_iter(), None).ok();
        });
        assert!(row.is_some());
        assert!(count <= 4, "{count} allocations for a row and its key");
    }
}
