//! The configuration in the form in which it is used.

use std::sync::Arc;

use super::config::{DateTimeZone, JdbcSinkConfig, TimestampPrecision};
use super::temporal::WallClock;
use super::zone::Zone;
use crate::postgres::{DdlStyle, Quoting, TableKind};

/// Everything that does not change while a task runs.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Name of the connector, for messages.
    pub(crate) connector: Arc<str>,
    /// The configuration.
    pub(crate) config: JdbcSinkConfig,
    /// `quote.sql.identifiers`
    pub(crate) quoting: Quoting,
    /// `db.timezone`, `date.timezone`, `date.calendar.system`
    pub(crate) clock: WallClock,
    /// Whether `timestamp.fields.list` holds nanoseconds.
    pub(crate) nanos: bool,
    /// Most rows in one statement; at least 1.
    pub(crate) batch_size: usize,
}

impl Settings {
    pub(crate) fn new(connector: Arc<str>, config: JdbcSinkConfig) -> Self {
        // Both were checked with the configuration.
        let zone = Zone::parse(&config.db_timezone).unwrap_or(Zone::UTC);
        let quoting = if config.quotes() == Some(false) {
            Quoting::Never
        } else {
            Quoting::Always
        };
        let date_zone = if config.date_timezone == DateTimeZone::Utc {
            Zone::UTC
        } else {
            zone
        };
        Self {
            connector,
            quoting,
            clock: WallClock {
                zone,
                date_zone,
                calendar: config.calendar,
            },
            nanos: config.timestamp_precision == TimestampPrecision::Nanoseconds,
            batch_size: usize::try_from(config.batch_size).unwrap_or(0).max(1),
            config,
        }
    }

    /// How DDL is written.
    pub(crate) fn ddl_style(&self) -> DdlStyle<'_> {
        DdlStyle {
            quoting: self.quoting,
            clock: &self.clock,
            nanos: self.nanos,
            generic: self.config.generic_dialect(),
        }
    }

    /// Whether `table.types` names this kind.
    pub(crate) fn accepts(&self, kind: TableKind) -> bool {
        self.config
            .table_types
            .iter()
            .any(|name| name.trim().eq_ignore_ascii_case(kind.jdbc_name()))
    }
}
