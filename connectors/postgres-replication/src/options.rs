//! How to reach a server.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A password, which no `Debug` or `Display` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    pub fn new(password: impl Into<String>) -> Self {
        Password(password.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Password {
    fn from(password: T) -> Self {
        Password::new(password)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// Whether and how the connection is encrypted, as libpq's `sslmode`. Unix sockets are never encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only if the server refuses a plain connection.
    Allow,
    /// If the server can; a plain connection otherwise. The certificate is not checked.
    #[default]
    Prefer,
    /// Always, without checking who the server is.
    Require,
    /// Always; the certificate must come from a trusted authority.
    VerifyCa,
    /// Always; the certificate must come from a trusted authority and name the host.
    VerifyFull,
}

impl SslMode {
    /// The option's value.
    pub fn as_str(self) -> &'static str {
        match self {
            SslMode::Disable => "disable",
            SslMode::Allow => "allow",
            SslMode::Prefer => "prefer",
            SslMode::Require => "require",
            SslMode::VerifyCa => "verify-ca",
            SslMode::VerifyFull => "verify-full",
        }
    }
}

impl FromStr for SslMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [
            SslMode::Disable,
            SslMode::Allow,
            SslMode::Prefer,
            SslMode::Require,
            SslMode::VerifyCa,
            SslMode::VerifyFull,
        ]
        .into_iter()
        .find(|mode| mode.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| {
            format!(
                "`{text}` is not an sslmode: use disable, allow, prefer, require, verify-ca or verify-full"
            )
        })
    }
}

/// Whether SCRAM authentication is bound to the TLS connection, as libpq's `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelBindingMode {
    /// Never.
    Disable,
    /// When the server offers it.
    #[default]
    Prefer,
    /// Always: fail if the server cannot, or wants another way of authentication.
    Require,
}

/// How socket reads are batched; see the [`low_water`](crate::LowWaterStream) stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LowWater {
    /// Wake only when so many bytes are waiting, while the stream is busy. 0 switches batching off.
    pub bytes: u32,
    /// Look at the socket after this time even if fewer are waiting: the latency batching may add.
    /// Timers have a resolution of one millisecond; zero switches batching off.
    pub tick: Duration,
}

impl LowWater {
    /// Every arriving segment wakes the reader.
    pub const OFF: LowWater = LowWater {
        bytes: 0,
        tick: Duration::ZERO,
    };

    pub(crate) fn is_on(self) -> bool {
        self.bytes > 0 && !self.tick.is_zero()
    }
}

impl Default for LowWater {
    fn default() -> Self {
        LowWater {
            bytes: 64 * 1024,
            tick: Duration::from_millis(1),
        }
    }
}

/// Everything needed to open a replication connection.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Host name or address, or the directory of a Unix socket when it starts with `/`.
    pub host: String,
    /// Port; also part of the Unix socket's file name.
    pub port: u16,
    /// Role; needs the REPLICATION attribute.
    pub user: String,
    /// Database whose changes are decoded.
    pub database: String,
    /// Password, if the server asks for one.
    pub password: Option<Password>,
    /// Name shown in `pg_stat_replication` and `pg_stat_activity`.
    pub application_name: String,
    /// The `options` start-up parameter (`-c name=value …`).
    pub options: Option<String>,
    /// Further start-up parameters, which win over the ones this crate sets
    /// (`DateStyle`, `TimeZone`, `wal_sender_timeout`, …).
    pub parameters: Vec<(String, String)>,
    /// Encryption.
    pub ssl_mode: SslMode,
    /// PEM file with the trusted authorities for `verify-ca` and `verify-full`; the operating system's if not given.
    pub ssl_root_cert: Option<PathBuf>,
    /// PEM file with the client's certificate chain. Needs `ssl_key`.
    pub ssl_cert: Option<PathBuf>,
    /// The certificate's unencrypted private key: PEM, or DER as Java drivers want it.
    pub ssl_key: Option<PathBuf>,
    /// Binding of SCRAM to TLS.
    pub channel_binding: ChannelBindingMode,
    /// Whether the operating system probes idle TCP connections.
    pub tcp_keep_alive: bool,
    /// Limit for connecting, TLS and authentication together.
    pub connect_timeout: Duration,
    /// Batching of socket reads.
    pub low_water: LowWater,
}

impl ConnectOptions {
    /// Options with defaults for everything else: `sslmode=prefer`, no password, 30 s to connect.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        user: impl Into<String>,
        database: impl Into<String>,
    ) -> Self {
        ConnectOptions {
            host: host.into(),
            port,
            user: user.into(),
            database: database.into(),
            password: None,
            application_name: "pg-replication".to_owned(),
            options: None,
            parameters: Vec::new(),
            ssl_mode: SslMode::default(),
            ssl_root_cert: None,
            ssl_cert: None,
            ssl_key: None,
            channel_binding: ChannelBindingMode::default(),
            tcp_keep_alive: true,
            connect_timeout: Duration::from_secs(30),
            low_water: LowWater::default(),
        }
    }

    pub(crate) fn unix_socket(&self) -> Option<PathBuf> {
        self.host.starts_with('/').then(|| {
            PathBuf::from(format!(
                "{}/.s.PGSQL.{}",
                self.host.trim_end_matches('/'),
                self.port
            ))
        })
    }

    /// Host and port for messages.
    pub(crate) fn address(&self) -> String {
        match self.unix_socket() {
            Some(path) => path.display().to_string(),
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_password() {
        let mut options = ConnectOptions::new("h", 1, "u", "d");
        options.password = Some("s3cret".into());
        let shown = format!("{options:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("***"), "{shown}");
    }

    #[test]
    fn ssl_mode_names_what_is_allowed() {
        assert_eq!("Verify-Full".parse(), Ok(SslMode::VerifyFull));
        let error = "on".parse::<SslMode>().expect_err("no such mode");
        assert!(
            error.contains("`on`") && error.contains("verify-ca"),
            "{error}"
        );
    }

    #[test]
    fn addresses() {
        let of = |host: &str| ConnectOptions::new(host, 5432, "u", "d").address();
        assert_eq!(of("db"), "db:5432");
        assert_eq!(of("::1"), "[::1]:5432");
        assert_eq!(of("/run/postgresql/"), "/run/postgresql/.s.PGSQL.5432");
    }
}
