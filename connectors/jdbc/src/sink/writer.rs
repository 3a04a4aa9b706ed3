//! Writes records inside the transaction that is open on the session: sorts them by table, makes or alters tables, folds keys, fills arrays, runs statements.
//!
//! Rows of a table wait in its buffer until the schema changes, `batch.size` is reached, or the batch ends; so rows of one table are written in their order, and
//! tables in the order in which they first appear. Within one statement only the last record of a key counts: PostgreSQL would refuse two. A delete before the last
//! write of a key is still carried out first, because it resets columns that the record does not have.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_api::data::{Schema, SchemaId, SinkRecord, Value};
use millrace_api::plugin::TaskError;

use super::config::InsertMode;
use super::fields::{Column, Columns};
use super::key_index::KeyIndex;
use super::plan::{Plan, Purpose};
use super::record_check::check;
use super::settings::Settings;
use super::table_name::TableName;
use crate::postgres::{
    ArrayBuffer, Element, ErrorClass, Relation, ServerError, Session, TableDefinition, TableId,
    TableKind, alter_table, create_table,
};

/// Parameters of one statement are kept below this, so that wide rows do not add up to more than the server takes.
const STATEMENT_BYTES: usize = 16 << 20;
/// Plans held for one table before they are made anew.
const PLANS: usize = 512;

/// Why records were not written.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The task cannot go on: Java's ConnectException.
    Fatal(TaskError),
    /// The table is missing, or lacks columns, and may not or cannot be changed.
    Table(String),
    /// The server refused something, or is gone.
    Server(ServerError),
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::Server(error)
    }
}

impl Failure {
    pub(crate) fn connect(code: &'static str, message: impl Into<String>) -> Self {
        Self::Fatal(TaskError::fatal(code, message))
    }
}

/// What may be committed on the way.
#[derive(Debug)]
pub(crate) enum DdlCommit<'a> {
    /// DDL is committed at once together with all rows written before it, as in Java; numbers of those records are appended here.
    AtOnce(&'a mut Vec<u32>),
    /// DDL stays in the transaction.
    Later,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    record: u32,
    delete: bool,
    /// A later row has the same key.
    superseded: bool,
    /// A write before which its key is deleted.
    deleted_before: bool,
}

/// Rows of one table that were not sent yet, all of the same schemas.
#[derive(Debug, Default)]
struct Buffer {
    open: bool,
    key: Option<Schema>,
    value: Option<Schema>,
    write: Option<Arc<Plan>>,
    delete: Option<Arc<Plan>>,
    /// Deletes from a table that is not there: nothing to do.
    no_table: bool,
    deletes: usize,
    rows: Vec<Row>,
}

impl Buffer {
    fn reset(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        *self = Self {
            rows,
            ..Self::default()
        };
        self.rows.clear();
    }
}

type PlanKey = (Option<SchemaId>, Option<SchemaId>, bool);

#[derive(Debug)]
struct Table {
    name: TableName,
    id: TableId,
    definition: Option<Arc<TableDefinition>>,
    plans: HashMap<PlanKey, Arc<Plan>>,
    buffer: Buffer,
}

impl Table {
    fn forget(&mut self) {
        self.definition = None;
        self.plans.clear();
    }
}

/// Everything a task knows about tables, and the memory that batches reuse.
#[derive(Debug)]
pub(crate) struct Writer {
    settings: Arc<Settings>,
    tables: Vec<Table>,
    by_topic: HashMap<Arc<str>, usize>,
    last_topic: Option<(Arc<str>, usize)>,
    /// Tables with rows of the current call, in the order in which they appeared.
    touched: Vec<usize>,
    /// Records of the current call that were sent.
    sent: Vec<u32>,
    /// Tables changed by DDL that is not committed.
    changed: Vec<usize>,
    arrays: Vec<ArrayBuffer>,
    keys: KeyIndex,
}

impl Writer {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            tables: Vec::new(),
            by_topic: HashMap::new(),
            last_topic: None,
            touched: Vec::new(),
            sent: Vec::new(),
            changed: Vec::new(),
            arrays: Vec::new(),
            keys: KeyIndex::default(),
        }
    }

    /// Forgets what tables look like.
    pub(crate) fn forget_tables(&mut self) {
        self.tables.clear();
        self.by_topic.clear();
        self.last_topic = None;
        self.touched.clear();
        self.changed.clear();
    }

    /// The transaction was rolled back: DDL in it never happened.
    pub(crate) fn rolled_back(&mut self) {
        self.part_rolled_back();
        self.changed.clear();
    }

    /// A part of the transaction was rolled back, perhaps with DDL: tables are looked at again.
    pub(crate) fn part_rolled_back(&mut self) {
        for &table in &self.changed {
            self.tables[table].forget();
        }
    }

    /// The transaction was committed.
    pub(crate) fn committed(&mut self) {
        self.changed.clear();
    }

    /// Writes the records with the numbers `chosen`, in that order.
    ///
    /// # Errors
    /// Some of them may have been written then; the transaction has to be rolled back.
    pub(crate) async fn write(
        &mut self,
        session: &mut Session,
        records: &[SinkRecord],
        chosen: &[u32],
        mut ddl: DdlCommit<'_>,
    ) -> Result<(), Failure> {
        for table in self.touched.drain(..) {
            self.tables[table].buffer.reset();
        }
        self.sent.clear();
        for &number in chosen {
            let record = &records[number as usize];
            let table = self.table_of(session, &record.record.topic)?;
            check(&self.settings.connector, &self.settings.config, record)
                .map_err(|message| Failure::connect("jdbc.record.invalid", message))?;
            let delete = self.settings.config.delete_enabled && record.record.value.value.is_null();
            if !self.fits(table, record, delete) {
                self.change_schema(session, records, table, record, delete, &mut ddl)
                    .await?;
            }
            let buffer = &mut self.tables[table].buffer;
            if delete && buffer.no_table {
                self.sent.push(number);
                continue;
            }
            buffer.rows.push(Row {
                record: number,
                delete,
                superseded: false,
                deleted_before: false,
            });
            buffer.deletes += usize::from(delete);
            if buffer.rows.len() >= self.settings.batch_size {
                self.flush(session, records, table).await?;
            }
        }
        for at in 0..self.touched.len() {
            self.flush(session, records, self.touched[at]).await?;
        }
        Ok(())
    }

    /// Table number for a topic.
    #[inline]
    fn table_of(&mut self, session: &Session, topic: &Arc<str>) -> Result<usize, Failure> {
        if let Some((last, table)) = &self.last_topic
            && Arc::ptr_eq(last, topic)
        {
            return Ok(*table);
        }
        let table = match self.by_topic.get(topic) {
            Some(&table) => table,
            None => self.new_topic(session, topic)?,
        };
        self.last_topic = Some((Arc::clone(topic), table));
        Ok(table)
    }

    fn new_topic(&mut self, session: &Session, topic: &Arc<str>) -> Result<usize, Failure> {
        let name = TableName::of(&self.settings.config.table_name_format, topic)
            .map_err(|error| Failure::connect("jdbc.table.name", error.to_string()))?;
        let id = session
            .table_id(&name, self.settings.quoting)
            .map_err(|error| Failure::Table(error.to_string()))?;
        let table = match self.tables.iter().position(|table| table.id == id) {
            Some(table) => table,
            None => {
                self.tables.push(Table {
                    name,
                    id,
                    definition: None,
                    plans: HashMap::new(),
                    buffer: Buffer::default(),
                });
                self.tables.len() - 1
            }
        };
        self.by_topic.insert(Arc::clone(topic), table);
        Ok(table)
    }

    /// Whether a record can join the rows that its table has waiting.
    #[inline]
    fn fits(&self, table: usize, record: &SinkRecord, delete: bool) -> bool {
        let buffer = &self.tables[table].buffer;
        if !buffer.open || buffer.key != record.record.key.schema {
            return false;
        }
        if delete {
            return buffer.delete.is_some() || buffer.no_table;
        }
        // Inserts are not folded, so a write after a delete has to wait for it.
        buffer.write.is_some()
            && buffer.value == record.record.value.schema
            && !(buffer.deletes > 0 && self.settings.config.insert_mode == InsertMode::Insert)
    }

    /// Sends what waits and finds the plan for `record`.
    async fn change_schema(
        &mut self,
        session: &mut Session,
        records: &[SinkRecord],
        table: usize,
        record: &SinkRecord,
        delete: bool,
        ddl: &mut DdlCommit<'_>,
    ) -> Result<(), Failure> {
        self.flush(session, records, table).await?;
        let key = record.record.key.schema.clone();
        let buffer = &mut self.tables[table].buffer;
        if !buffer.open {
            buffer.open = true;
            self.touched.push(table);
        }
        let buffer = &mut self.tables[table].buffer;
        if buffer.key != key {
            (buffer.write, buffer.delete, buffer.value, buffer.no_table) =
                (None, None, None, false);
            buffer.key.clone_from(&key);
        }
        if delete {
            if buffer.delete.is_none() && !buffer.no_table {
                match self.delete_plan(session, table, key).await? {
                    Some(plan) => self.tables[table].buffer.delete = Some(plan),
                    None => self.tables[table].buffer.no_table = true,
                }
            }
        } else {
            let value = record.record.value.schema.clone();
            let plan = self
                .write_plan(session, table, key, value.clone(), ddl)
                .await?;
            let buffer = &mut self.tables[table].buffer;
            (buffer.write, buffer.value, buffer.no_table) = (Some(plan), value, false);
        }
        Ok(())
    }

    /// How to write records of these schemas; makes or alters the table first.
    async fn write_plan(
        &mut self,
        session: &mut Session,
        table: usize,
        key: Option<Schema>,
        value: Option<Schema>,
        ddl: &mut DdlCommit<'_>,
    ) -> Result<Arc<Plan>, Failure> {
        let plan_key = (
            key.as_ref().map(Schema::id),
            value.as_ref().map(Schema::id),
            false,
        );
        if let Some(plan) = self.tables[table].plans.get(&plan_key) {
            return Ok(Arc::clone(plan));
        }
        let columns = self.columns(table, key.as_ref(), value.as_ref())?;
        let definition = self.create_or_alter(session, table, &columns, ddl).await?;
        self.plan(
            table,
            plan_key,
            &definition,
            &columns,
            Purpose::Write,
            [key, value],
        )
    }

    /// How to delete by keys of this schema; `None` when there is no table.
    async fn delete_plan(
        &mut self,
        session: &mut Session,
        table: usize,
        key: Option<Schema>,
    ) -> Result<Option<Arc<Plan>>, Failure> {
        let plan_key = (key.as_ref().map(Schema::id), None, true);
        if let Some(plan) = self.tables[table].plans.get(&plan_key) {
            return Ok(Some(Arc::clone(plan)));
        }
        let columns = self.columns(table, key.as_ref(), None)?;
        match self.definition(session, table).await? {
            Some(definition) => self
                .plan(
                    table,
                    plan_key,
                    &definition,
                    &columns,
                    Purpose::Delete,
                    [key, None],
                )
                .map(Some),
            None => Ok(None),
        }
    }

    fn columns(
        &self,
        table: usize,
        key: Option<&Schema>,
        value: Option<&Schema>,
    ) -> Result<Columns, Failure> {
        Columns::of(
            &self.tables[table].name.table,
            &self.settings.config,
            key,
            value,
        )
        .map_err(|message| Failure::connect("jdbc.fields", message))
    }

    fn plan(
        &mut self,
        table: usize,
        key: PlanKey,
        definition: &TableDefinition,
        columns: &Columns,
        purpose: Purpose,
        schemas: [Option<Schema>; 2],
    ) -> Result<Arc<Plan>, Failure> {
        let table = &mut self.tables[table];
        let plan = Plan::new(
            &self.settings,
            &table.id,
            definition,
            columns,
            purpose,
            schemas,
        )
        .map_err(|error| Failure::connect("jdbc.statement", error.to_string()))?;
        if table.plans.len() >= PLANS {
            table.plans.clear();
        }
        let plan = Arc::new(plan);
        table.plans.insert(key, Arc::clone(&plan));
        Ok(plan)
    }

    /// What the table looks like; `None` when it is missing. A relation that cannot be a target is an error.
    async fn definition(
        &mut self,
        session: &mut Session,
        table: usize,
    ) -> Result<Option<Arc<TableDefinition>>, Failure> {
        if let Some(definition) = &self.tables[table].definition {
            return Ok(Some(Arc::clone(definition)));
        }
        let id = &self.tables[table].id;
        match session.relation(id).await? {
            Relation::Missing => Ok(None),
            Relation::Unusable => Err(Failure::Table(format!(
                "{id} is neither a table nor a view; rows cannot be written to it"
            ))),
            Relation::Found(found) if !self.settings.accepts(found.kind) => {
                Err(Failure::Table(format!(
                    "{id} is a {0}, which table.types does not name; add {0} to table.types to write to it",
                    found.kind.jdbc_name()
                )))
            }
            Relation::Found(found) => {
                let found = Arc::new(found);
                self.tables[table].definition = Some(Arc::clone(&found));
                Ok(Some(found))
            }
        }
    }

    /// Makes sure that the table has all columns.
    async fn create_or_alter(
        &mut self,
        session: &mut Session,
        table: usize,
        columns: &Columns,
        ddl: &mut DdlCommit<'_>,
    ) -> Result<Arc<TableDefinition>, Failure> {
        let settings = Arc::clone(&self.settings);
        let config = &settings.config;
        let style = settings.ddl_style();
        let connect =
            |error: crate::postgres::DdlError| Failure::connect("jdbc.ddl", error.to_string());
        let mut attempts = 0;
        loop {
            let id = self.tables[table].id.clone();
            let Some(definition) = self.definition(session, table).await? else {
                if !config.auto_create {
                    return Err(Failure::Table(format!(
                        "Table {id} is missing and auto-creation is disabled"
                    )));
                }
                let sql = create_table(style, &id, columns.in_creation_order()).map_err(connect)?;
                if let Err(error) = self.run_ddl(session, table, sql, ddl).await? {
                    // Another task was faster, or it cannot be created.
                    if self.definition(session, table).await?.is_none() {
                        return Err(error.into());
                    }
                }
                continue;
            };
            let missing: Vec<&Column> = columns
                .all()
                .filter(|column| {
                    definition
                        .column(&settings.quoting.stored(&column.name))
                        .is_none()
                })
                .collect();
            if missing.is_empty() {
                return Ok(definition);
            }
            let listed = missing
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            let kind = definition.kind;
            if kind != TableKind::Table {
                return Err(Failure::Table(format!(
                    "{} {id} is missing fields ([{listed}]) and ALTER {} is unsupported",
                    kind.capitalized(),
                    kind.jdbc_name()
                )));
            }
            let has_default = |column: &Column| {
                column
                    .schema
                    .default()
                    .is_some_and(|value| !value.is_null())
            };
            if let Some(required) = missing
                .iter()
                .find(|column| !column.nullable() && !has_default(column))
            {
                return Err(Failure::Table(format!(
                    "Cannot ALTER {id} to add missing field {required}, as the field is not optional and does not have a default value"
                )));
            }
            if !config.auto_evolve {
                return Err(Failure::Table(format!(
                    "Table {id} is missing fields ([{listed}]) and auto-evolution is disabled"
                )));
            }
            let sql = alter_table(style, &id, missing.iter().copied()).map_err(connect)?;
            if let Err(error) = self.run_ddl(session, table, sql, ddl).await? {
                if attempts >= config.max_retries {
                    return Err(Failure::Table(format!(
                        "Failed to amend {id} to add missing fields [{listed}]: {}",
                        error.message()
                    )));
                }
                attempts += 1;
            }
        }
    }

    /// Runs DDL under a savepoint. The inner error is a refusal after which the transaction goes on as if nothing had been tried.
    async fn run_ddl(
        &mut self,
        session: &mut Session,
        table: usize,
        sql: String,
        ddl: &mut DdlCommit<'_>,
    ) -> Result<Result<(), ServerError>, Failure> {
        tracing::info!(connector = %self.settings.connector, %sql, "changing the database's structure");
        self.tables[table].forget();
        session.control("SAVEPOINT millrace_ddl").await?;
        match session.define(sql).await {
            Ok(()) => session.control("RELEASE SAVEPOINT millrace_ddl").await?,
            Err(error) if matches!(error.class(), ErrorClass::Refused | ErrorClass::Stale) => {
                session
                    .control("ROLLBACK TO SAVEPOINT millrace_ddl; RELEASE SAVEPOINT millrace_ddl")
                    .await?;
                return Ok(Err(error));
            }
            Err(error) => return Err(error.into()),
        }
        match ddl {
            DdlCommit::AtOnce(durable) => {
                session.commit().await?;
                self.changed.clear();
                durable.append(&mut self.sent);
                session.control("BEGIN").await?;
            }
            DdlCommit::Later => self.changed.push(table),
        }
        Ok(Ok(()))
    }

    /// Sends the rows of a table that wait.
    async fn flush(
        &mut self,
        session: &mut Session,
        records: &[SinkRecord],
        table: usize,
    ) -> Result<(), Failure> {
        if self.tables[table].buffer.rows.is_empty() {
            return Ok(());
        }
        let mut rows = std::mem::take(&mut self.tables[table].buffer.rows);
        self.tables[table].buffer.deletes = 0;
        let (write, delete) = (
            self.tables[table].buffer.write.clone(),
            self.tables[table].buffer.delete.clone(),
        );
        let folds = self.settings.config.insert_mode != InsertMode::Insert;
        if folds && let Some(plan) = write.as_ref().or(delete.as_ref()) {
            fold(&mut self.keys, plan, records, &mut rows);
        }
        let deletes = rows
            .iter()
            .filter(|row| !row.superseded && (row.delete || row.deleted_before))
            .map(|row| row.record);
        let writes = rows
            .iter()
            .filter(|row| !row.superseded && !row.delete)
            .map(|row| row.record);
        // Folded, a delete comes before the write of its key that is left; not folded, the deletes of a buffer are its last rows.
        if folds && let Some(plan) = &delete {
            self.execute(session, records, plan, deletes.clone())
                .await?;
        }
        if let Some(plan) = &write {
            self.execute(session, records, plan, writes).await?;
        }
        if !folds && let Some(plan) = &delete {
            self.execute(session, records, plan, deletes).await?;
        }
        self.sent.extend(rows.iter().map(|row| row.record));
        rows.clear();
        self.tables[table].buffer.rows = rows;
        Ok(())
    }

    /// Runs a plan over rows, in as many statements as their size asks for.
    async fn execute(
        &mut self,
        session: &mut Session,
        records: &[SinkRecord],
        plan: &Plan,
        rows: impl Iterator<Item = u32> + Send,
    ) -> Result<(), Failure> {
        let Some(sql) = &plan.sql else { return Ok(()) };
        let width = plan.binders.len();
        while self.arrays.len() < width {
            self.arrays.push(ArrayBuffer::new(Element::Text));
        }
        let settings = Arc::clone(&self.settings);
        let reset = |arrays: &mut [ArrayBuffer]| {
            arrays
                .iter_mut()
                .zip(&plan.binders)
                .for_each(|(array, binder)| array.reset(binder.element))
        };
        reset(&mut self.arrays[..width]);
        let mut waiting = 0u32;
        for number in rows {
            let record = &records[number as usize];
            for (array, binder) in self.arrays.iter_mut().zip(&plan.binders) {
                binder
                    .push(record, &settings.clock, array)
                    .map_err(|error| invalid_value(record, &error.to_string()))?;
            }
            waiting += 1;
            if waiting.is_multiple_of(16)
                && self.arrays[..width]
                    .iter()
                    .map(ArrayBuffer::byte_size)
                    .sum::<usize>()
                    >= STATEMENT_BYTES
            {
                session.write(sql, &mut self.arrays[..width]).await?;
                reset(&mut self.arrays[..width]);
                waiting = 0;
            }
        }
        if waiting > 0 {
            session.write(sql, &mut self.arrays[..width]).await?;
        }
        Ok(())
    }

    /// Table and key of a record, for messages. Nothing of it may fail.
    pub(crate) fn describe(&self, record: &SinkRecord) -> (String, String) {
        let table = self
            .by_topic
            .get(&record.record.topic)
            .and_then(|&table| self.tables.get(table));
        let name = table.map_or_else(
            || format!("of topic {}", record.record.topic),
            |table| table.id.to_string(),
        );
        if self.settings.config.trim_sensitive_log {
            return (name, String::from("(left out by trim.sensitive.log)"));
        }
        let (key, value) = (
            record.record.key.schema.as_ref(),
            record.record.value.schema.as_ref(),
        );
        let columns = Columns::of(&name, &self.settings.config, key, value);
        let keys = columns.map(|columns| columns.keys).unwrap_or_default();
        let parts: Vec<String> = keys
            .iter()
            .map(|column| {
                format!(
                    "{}={}",
                    column.name,
                    shown(super::binder::value_of(record, column.source))
                )
            })
            .collect();
        (
            name,
            if parts.is_empty() {
                "(none)".to_owned()
            } else {
                parts.join(", ")
            },
        )
    }
}

/// Marks rows whose key comes again.
fn fold(keys: &mut KeyIndex, plan: &Plan, records: &[SinkRecord], rows: &mut [Row]) {
    keys.reset(rows.len());
    for at in 0..rows.len() {
        let record = &records[rows[at].record as usize];
        let Some(hash) = plan.key_hash(record) else {
            continue;
        };
        let before = keys.put(hash, at as u32, |other| {
            plan.same_key(&records[rows[other as usize].record as usize], record)
        });
        if let Some(before) = before {
            let before = &mut rows[before as usize];
            before.superseded = true;
            let deleted = before.delete || before.deleted_before;
            rows[at].deleted_before = deleted && !rows[at].delete;
        }
    }
}

fn invalid_value(record: &SinkRecord, problem: &str) -> Failure {
    Failure::connect(
        "jdbc.record.value",
        format!(
            "Record at (topic='{}',partition={},offset={}) cannot be bound: {problem}",
            record.record.topic, record.original_partition, record.offset
        ),
    )
}

/// A key's value, cut when it is long.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Float32(value) => value.to_string(),
        Value::Float64(value) => value.to_string(),
        Value::String(text) => text.to_string(),
        Value::Decimal(value) => value.to_plain_string(),
        other => other.as_i64().map_or_else(
            || {
                format!(
                    "({})",
                    other.kind().map_or("null", millrace_api::data::Kind::name)
                )
            },
            |number| number.to_string(),
        ),
    };
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use millrace_api::data::{Data, SchemaBuilder, Struct};
    use proptest::prelude::*;

    use super::*;
    use crate::sink::testing::{config, record};

    /// What a record does: a key, and the value of its column or, without, a delete.
    type Change = (u8, Option<i32>);
    /// Rows by key: the column of the record, and one that no record has.
    type Rows = BTreeMap<u8, (i32, &'static str)>;

    fn change(rows: &mut Rows, (key, value): Change, mode: InsertMode) {
        match (value, mode) {
            (None, _) => drop(rows.remove(&key)),
            (Some(value), InsertMode::Update) => {
                drop(rows.entry(key).and_modify(|row| row.0 = value))
            }
            (Some(value), _) => drop(
                rows.entry(key)
                    .and_modify(|row| row.0 = value)
                    .or_insert((value, "fresh")),
            ),
        }
    }

    fn records(changes: &[Change]) -> Vec<SinkRecord> {
        let key_schema = SchemaBuilder::structure()
            .field("k", Schema::int32())
            .build_valid();
        let value_schema = SchemaBuilder::structure()
            .field("v", Schema::int32())
            .build_valid();
        (0..)
            .zip(changes)
            .map(|(offset, (key, value))| {
                let key = Data::new(
                    key_schema.clone(),
                    Struct::new(key_schema.clone(), vec![Value::Int32((*key).into())]),
                );
                let value = value.map_or(Data::NONE, |value| {
                    Data::new(
                        value_schema.clone(),
                        Struct::new(value_schema.clone(), vec![value.into()]),
                    )
                });
                record("t", offset, key, value)
            })
            .collect()
    }

    proptest! {
        #[test]
        fn folded_rows_leave_what_one_after_the_other_would(
            there in proptest::collection::btree_set(0u8..6, 0..6),
            changes in proptest::collection::vec((0u8..6, proptest::option::weighted(0.6, 0i32..1000)), 0..40),
            update: bool,
        ) {
            let mode = if update { InsertMode::Update } else { InsertMode::Upsert };
            let before: Rows = there.into_iter().map(|key| (key, (-1, "old"))).collect();
            let mut expected = before.clone();
            changes.iter().for_each(|&one| change(&mut expected, one, mode));

            let records = records(&changes);
            let settings = Settings::new("c".into(), config(&[("pk.mode", "record_key"), ("delete.enabled", "true"), ("insert.mode", "upsert")]));
            let table = TableId { catalog: "d".into(), schema: "s".into(), table: "t".into(), sql: "t".into() };
            let definition = TableDefinition { kind: TableKind::Table, columns: Vec::new() };
            let key = SchemaBuilder::structure().field("k", Schema::int32()).build_valid();
            let columns = Columns::of("t", &settings.config, Some(&key), None).expect("columns");
            let plan = Plan::new(&settings, &table, &definition, &columns, Purpose::Delete, [None, None]).expect("plan");
            let mut rows: Vec<Row> = (0..).zip(&changes).map(|(record, (_, value))| Row { record, delete: value.is_none(), superseded: false, deleted_before: false }).collect();
            fold(&mut KeyIndex::default(), &plan, &records, &mut rows);

            let mut got = before;
            let left: Vec<Row> = rows.into_iter().filter(|row| !row.superseded).collect();
            let mut keys: Vec<u8> = left.iter().map(|row| changes[row.record as usize].0).collect();
            keys.sort_unstable();
            prop_assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "a key twice: {keys:?}");
            for row in left.iter().filter(|row| row.delete || row.deleted_before) {
                change(&mut got, (changes[row.record as usize].0, None), mode);
            }
            for row in left.iter().filter(|row| !row.delete) {
                change(&mut got, changes[row.record as usize], mode);
            }
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn keys_that_are_null_are_equal_to_nothing() {
        let schema = SchemaBuilder::structure()
            .field("k", Schema::int32().to_optional())
            .build_valid();
        let settings = Settings::new(
            "c".into(),
            config(&[
                ("pk.mode", "record_value"),
                ("pk.fields", "k"),
                ("insert.mode", "upsert"),
            ]),
        );
        let table = TableId {
            catalog: "d".into(),
            schema: "s".into(),
            table: "t".into(),
            sql: "t".into(),
        };
        let definition = TableDefinition {
            kind: TableKind::Table,
            columns: Vec::new(),
        };
        let columns = Columns::of("t", &settings.config, None, Some(&schema)).expect("columns");
        let plan = Plan::new(
            &settings,
            &table,
            &definition,
            &columns,
            Purpose::Write,
            [None, None],
        )
        .expect("plan");
        let records: Vec<_> = (0..2)
            .map(|offset| {
                record(
                    "t",
                    offset,
                    Data::NONE,
                    Data::new(schema.clone(), Struct::empty(schema.clone())),
                )
            })
            .collect();
        let mut rows: Vec<Row> = (0..2)
            .map(|record| Row {
                record,
                delete: false,
                superseded: false,
                deleted_before: false,
            })
            .collect();
        fold(&mut KeyIndex::default(), &plan, &records, &mut rows);
        assert!(rows.iter().all(|row| !row.superseded));
    }
}
