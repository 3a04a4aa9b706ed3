//! Tables that are missing, or lack columns.

use std::sync::Arc;

use super::fields::{Column, Columns};
use super::writer::{DdlCommit, Failure, Writer};
use crate::postgres::{
    DdlError, ErrorClass, Relation, ServerError, Session, TableDefinition, TableKind, alter_table,
    create_table,
};

impl Writer {
    /// What the table looks like; `None` when it is missing. A relation that cannot be a target is an error.
    pub(super) async fn definition(
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
    pub(super) async fn create_or_alter(
        &mut self,
        session: &mut Session,
        table: usize,
        columns: &Columns,
        ddl: &mut DdlCommit<'_>,
    ) -> Result<Arc<TableDefinition>, Failure> {
        let settings = Arc::clone(&self.settings);
        let config = &settings.config;
        let style = settings.ddl_style();
        let connect = |error: DdlError| Failure::connect("jdbc.ddl", error.to_string());
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
}
