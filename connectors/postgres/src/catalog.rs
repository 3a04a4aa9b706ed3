//! What the connector reads from PostgreSQL's catalog.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_cdc::TableId;
use tokio_postgres::{Client, Error};

/// A type as `pg_type` describes it.
#[derive(Debug, Clone)]
pub(crate) struct TypeInfo {
    pub(crate) name: String,
    pub(crate) schema: String,
    pub(crate) form: TypeForm,
}

/// What kind of type it is.
#[derive(Debug, Clone)]
pub(crate) enum TypeForm {
    /// A type of its own.
    Base,
    /// Labels in sort order.
    Enum(Arc<[String]>),
    /// Another type with constraints.
    Domain { base: u32, modifier: i32 },
    /// An array of this element type.
    Array(u32),
    /// Row types, ranges of ranges and whatever else has no mapping.
    Other,
}

/// All types of the database by OID.
#[derive(Debug, Clone, Default)]
pub(crate) struct TypeRegistry {
    types: HashMap<u32, TypeInfo>,
}

impl TypeRegistry {
    /// Reads every type.
    pub(crate) async fn load(client: &Client) -> Result<Self, Error> {
        let rows = client
            .query(
                "SELECT t.oid, t.typname::text, n.nspname::text, t.typtype::text, t.typcategory::text, t.typelem, t.typbasetype, t.typtypmod, \
                 (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) \
                 FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace",
                &[],
            )
            .await?;
        let mut types = HashMap::with_capacity(rows.len());
        for row in rows {
            let (kind, category): (&str, &str) = (row.get(3), row.get(4));
            let element: u32 = row.get(5);
            let form = match kind {
                "e" => TypeForm::Enum(
                    row.get::<_, Option<Vec<String>>>(8)
                        .unwrap_or_default()
                        .into(),
                ),
                "d" => TypeForm::Domain {
                    base: row.get(6),
                    modifier: row.get(7),
                },
                "b" if category == "A" && element != 0 => TypeForm::Array(element),
                "b" | "r" => TypeForm::Base,
                _ => TypeForm::Other,
            };
            types.insert(
                row.get(0),
                TypeInfo {
                    name: row.get(1),
                    schema: row.get(2),
                    form,
                },
            );
        }
        Ok(Self { types })
    }

    pub(crate) fn get(&self, oid: u32) -> Option<&TypeInfo> {
        self.types.get(&oid)
    }

    #[cfg(test)]
    pub(crate) fn of(types: impl IntoIterator<Item = (u32, TypeInfo)>) -> Self {
        Self {
            types: types.into_iter().collect(),
        }
    }
}

/// A column as the catalog describes it now.
#[derive(Debug, Clone)]
pub(crate) struct CatalogColumn {
    pub(crate) name: String,
    pub(crate) type_oid: u32,
    pub(crate) type_modifier: i32,
    pub(crate) not_null: bool,
    /// `pg_get_expr` of the default; not of generated columns.
    pub(crate) default: Option<String>,
}

/// A table as the catalog describes it now.
#[derive(Debug, Clone, Default)]
pub(crate) struct CatalogTable {
    /// In order, dropped ones left out.
    pub(crate) columns: Vec<CatalogColumn>,
    /// Columns of the primary key, else of the first unique index by name that has only plain columns; in the order of the constraint.
    pub(crate) key: Vec<String>,
}

/// Columns and key of a table; `None` when it does not exist.
pub(crate) async fn table(client: &Client, id: &TableId) -> Result<Option<CatalogTable>, Error> {
    let rows = client
        .query(
            "SELECT a.attname::text, a.atttypid, a.atttypmod, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), \
             CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END \
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
             JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            &[&id.schema, &id.table],
        )
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let columns = rows
        .iter()
        .map(|r| CatalogColumn {
            name: r.get(0),
            type_oid: r.get(1),
            type_modifier: r.get(2),
            not_null: r.get(3),
            default: r.get(4),
        })
        .collect();
    let key = client
        .query_opt(
            "SELECT ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(n, ord) \
               JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n WHERE k.ord <= i.indnkeyatts ORDER BY k.ord) \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid \
             JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2 AND i.indisunique AND (i.indisprimary OR i.indexprs IS NULL) \
             ORDER BY i.indisprimary DESC, x.relname LIMIT 1",
            &[&id.schema, &id.table],
        )
        .await?
        .map(|r| r.get(0))
        .unwrap_or_default();
    Ok(Some(CatalogTable { columns, key }))
}

/// All tables and partitioned tables, sorted by schema and name.
pub(crate) async fn tables(client: &Client) -> Result<Vec<TableId>, Error> {
    let rows = client
        .query(
            "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
             ORDER BY n.nspname::text COLLATE \"C\", c.relname::text COLLATE \"C\"",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|r| TableId::new(r.get::<_, String>(0), r.get::<_, String>(1)))
        .collect())
}
