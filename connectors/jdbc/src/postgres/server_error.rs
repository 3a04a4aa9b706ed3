//! What the database said, and what it means for the batch.

use sqlx::postgres::PgDatabaseError;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// The connection is gone: a new one is needed.
    ConnectionLost,
    /// The same batch may succeed later as it is.
    Transient,
    /// The table is not what it was when the statement was made: look again.
    Stale,
    /// The server refuses some record, or the statement.
    Refused,
}

/// An error of the server or of the connection to it.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.message())]
pub(crate) struct ServerError {
    #[source]
    error: sqlx::Error,
    /// Whether it came from COMMIT: then the constraint that failed was deferred, or, when the connection is lost, the outcome is unknown.
    pub(crate) at_commit: bool,
}

impl From<sqlx::Error> for ServerError {
    fn from(error: sqlx::Error) -> Self {
        Self {
            error,
            at_commit: false,
        }
    }
}

impl ServerError {
    /// The same, from COMMIT.
    pub(crate) fn at_commit(error: sqlx::Error) -> Self {
        Self {
            error,
            at_commit: true,
        }
    }

    /// What to do about it.
    pub(crate) fn class(&self) -> ErrorClass {
        match &self.error {
            sqlx::Error::Database(error) => error
                .code()
                .map_or(ErrorClass::Refused, |code| classify(&code)),
            // The protocol is out of step or the socket is broken: nothing further can be said on this connection.
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::PoolClosed => ErrorClass::ConnectionLost,
            _ => ErrorClass::Refused,
        }
    }

    fn server(&self) -> Option<&PgDatabaseError> {
        match &self.error {
            sqlx::Error::Database(error) => error.try_downcast_ref(),
            _ => None,
        }
    }

    /// The SQLSTATE.
    pub(crate) fn code(&self) -> Option<&str> {
        self.server().map(PgDatabaseError::code)
    }

    /// The column that the server names.
    pub(crate) fn column(&self) -> Option<&str> {
        self.server().and_then(PgDatabaseError::column)
    }

    /// The constraint that the server names.
    pub(crate) fn constraint(&self) -> Option<&str> {
        self.server().and_then(PgDatabaseError::constraint)
    }

    /// SQLSTATE, message, detail and hint, as far as they do not repeat a whole row: that would put every column into logs.
    pub(crate) fn message(&self) -> String {
        let Some(error) = self.server() else {
            return self.error.to_string();
        };
        let mut text = format!("ERROR {}: {}", error.code(), error.message());
        if let Some(detail) = error
            .detail()
            .filter(|detail| !detail.starts_with("Failing row contains"))
        {
            text.push_str(&format!(" Detail: {detail}"));
        }
        if let Some(hint) = error.hint() {
            text.push_str(&format!(" Hint: {hint}"));
        }
        text
    }

    /// Nothing but the SQLSTATE, for `trim.sensitive.log`.
    pub(crate) fn trimmed(&self) -> String {
        match self.code() {
            Some(code) => {
                format!("SQL error with state {code} (details left out by trim.sensitive.log)")
            }
            None => "SQL error (details left out by trim.sensitive.log)".to_owned(),
        }
    }
}

/// By the class of the SQLSTATE, appendix A of PostgreSQL's documentation.
fn classify(code: &str) -> ErrorClass {
    match code {
        // Shutdowns and crashes end the session; 57P03 and 57P05 are said before or instead of one.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" => ErrorClass::ConnectionLost,
        _ if code.starts_with("08") => ErrorClass::ConnectionLost,
        // Statement cancelled, lock not available, read-only (a failover is under way), object in use.
        "57014" | "55P03" | "25006" | "55006" => ErrorClass::Transient,
        _ if matches!(code.get(..2), Some("40" | "53" | "58" | "XX")) && code != "40002" => {
            ErrorClass::Transient
        }
        // Undefined table, column, schema, object; "cached plan must not change result type"; undefined prepared statement.
        "42P01" | "42703" | "3F000" | "42704" | "0A000" | "26000" => ErrorClass::Stale,
        _ => ErrorClass::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_sqlstates() {
        use ErrorClass::{ConnectionLost, Refused, Stale, Transient};
        let table = [
            ("08006", ConnectionLost),
            ("57P01", ConnectionLost),
            ("40001", Transient),
            ("40P01", Transient),
            ("40002", Refused),
            ("53300", Transient),
            ("57014", Transient),
            ("25006", Transient),
            ("42P01", Stale),
            ("42703", Stale),
            ("22001", Refused),
            ("23505", Refused),
            ("21000", Refused),
            ("42804", Refused),
            ("P0001", Refused),
        ];
        for (code, class) in table {
            assert_eq!(classify(code), class, "{code}");
        }
    }

    #[test]
    fn a_broken_socket_is_a_lost_connection() {
        let error = ServerError::from(sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into()));
        assert_eq!(
            (error.class(), error.code()),
            (ErrorClass::ConnectionLost, None)
        );
    }
}
