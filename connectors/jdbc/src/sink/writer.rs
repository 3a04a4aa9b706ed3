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
use super::fields::Columns;
use super::fold::{Row, fold};
use super::key_index::KeyIndex;
use super::plan::{Plan, Purpose};
use super::record_check::check;
use super::settings::Settings;
use super::table_name::TableName;
use crate::postgres::{ArrayBuffer, Element, ServerError, Session, TableDefinition, TableId};

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

/// A target table.
#[derive(Debug)]
pub(super) struct Table {
    name: TableName,
    pub(super) id: TableId,
    pub(super) definition: Option<Arc<TableDefinition>>,
    plans: HashMap<PlanKey, Arc<Plan>>,
    buffer: Buffer,
}

impl Table {
    pub(super) fn forget(&mut self) {
        self.definition = None;
        self.plans.clear();
    }
}

/// Everything a task knows about tables, and the memory that batches reuse.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) settings: Arc<Settings>,
    pub(super) tables: Vec<Table>,
    by_topic: HashMap<Arc<str>, usize>,
    last_topic: Option<(Arc<str>, usize)>,
    /// Tables with rows of the current call, in the order in which they appeared.
    touched: Vec<usize>,
    /// Records of the current call that were sent.
    pub(super) sent: Vec<u32>,
    /// Tables changed by DDL that is not committed.
    pub(super) changed: Vec<usize>,
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
