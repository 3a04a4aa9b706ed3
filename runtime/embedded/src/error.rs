use std::path::Path;
use std::sync::Arc;

use millrace_log::LogError;
use rusqlite::ErrorCode;

/// Says what a failed statement means for the caller: try again, or stop the worker.
///
/// Full and busy pass; nothing was written. Everything else (I/O error, damaged file, misuse) leaves open what is on the disk, so the log does not go on.
pub(crate) fn from_sqlite(error: rusqlite::Error, doing: &str, dir: &Path) -> LogError {
    let dir = dir.display();
    let message = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            let message = format!(
                "the embedded log in {dir} is full while {doing}: free space on its disk, raise log.max.bytes, or shorten retention"
            );
            return LogError::Retriable {
                message,
                source: Some(Arc::new(error)),
            };
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let message = format!(
                "the embedded log in {dir} is busy while {doing}: another process holds log.db locked"
            );
            return LogError::Retriable {
                message,
                source: Some(Arc::new(error)),
            };
        }
        Some(ErrorCode::SystemIoFailure) => format!(
            "I/O error in the embedded log in {dir} while {doing}: check the disk, then restart the worker"
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            format!(
                "the embedded log in {dir} is damaged (found while {doing}): restore log.db from a copy, or move the directory away and start anew"
            )
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            format!(
                "the embedded log in {dir} cannot be opened for this ({doing}): check that the directory exists and who may write to it"
            )
        }
        _ => format!("the embedded log in {dir} failed while {doing}"),
    };
    LogError::Fatal {
        message,
        source: Some(Arc::new(error)),
    }
}

/// The error for a batch whose bytes are not what was written.
pub(crate) fn damaged(
    partition: &millrace_log::TopicPartition,
    offset: i64,
    what: &str,
) -> LogError {
    LogError::fatal(format!(
        "the record batch at {partition}-{offset} in the embedded log is damaged ({what}): restore log.db from a copy, or delete topic '{}'",
        partition.topic
    ))
}
