use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why there is no PostgreSQL server. Each message says what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// No `initdb` beside a `postgres` anywhere.
    NoBinaries,
    /// [`Options::binaries`](crate::Options::binaries) names a folder without `initdb` and `postgres`.
    NotBinaries { folder: PathBuf },
    /// The given directory has files in it, and dropping the server would remove them.
    NotEmpty { dir: PathBuf },
    /// The unprivileged user cannot pass through `parent`, a parent of the server's directory.
    Unreachable {
        dir: PathBuf,
        parent: PathBuf,
        user: String,
    },
    /// The path of the Unix socket would not fit into a socket address.
    PathTooLong { dir: PathBuf, max: usize },
    /// Running as root, and neither `postgres` nor `nobody` is in `/etc/passwd`.
    NoUnprivilegedUser,
    /// `initdb` failed; `log` is the end of what it printed.
    Initdb { log: String },
    /// The server ended while starting; `log` is the end of its log.
    Ended { log: String },
    /// The server did not become ready in time; `log` is the end of its log.
    TimedOut { after: Duration, log: String },
    /// An operating system call failed.
    Io { doing: String, source: io::Error },
}

impl StartError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| StartError::Io { doing, source }
    }

    pub(crate) fn io_at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(format!("{doing} {}", path.display()))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::NoBinaries => write!(
                f,
                "no PostgreSQL server is installed: looked for initdb and postgres in /usr/lib/postgresql/*/bin and in PATH; \
                 on Debian and Ubuntu `apt-get install postgresql` brings them"
            ),
            StartError::NotBinaries { folder } => {
                write!(
                    f,
                    "{} has no initdb and postgres: name the bin folder of a PostgreSQL server",
                    folder.display()
                )
            }
            StartError::NotEmpty { dir } => {
                write!(
                    f,
                    "{} is not empty, and a throw-away server would remove it: name a new or an empty directory",
                    dir.display()
                )
            }
            StartError::Unreachable { dir, parent, user } => write!(
                f,
                "PostgreSQL does not run as root, and user {user}, whom it would run as, cannot pass through {} to reach {}: \
                 choose a directory below /tmp or /var/tmp",
                parent.display(),
                dir.display()
            ),
            StartError::PathTooLong { dir, max } => {
                write!(
                    f,
                    "{} is too long for a Unix socket's directory: use at most {max} bytes",
                    dir.display()
                )
            }
            StartError::NoUnprivilegedUser => {
                write!(
                    f,
                    "PostgreSQL does not run as root, and /etc/passwd has neither a user postgres nor nobody to run it as"
                )
            }
            StartError::Initdb { log } => write!(f, "initdb failed:\n{log}"),
            StartError::Ended { log } => write!(
                f,
                "the PostgreSQL server ended while starting; the end of its log:\n{log}"
            ),
            StartError::TimedOut { after, log } => {
                write!(
                    f,
                    "the PostgreSQL server was not ready after {} s; the end of its log:\n{log}",
                    after.as_secs()
                )
            }
            StartError::Io { doing, .. } => write!(f, "{doing}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
