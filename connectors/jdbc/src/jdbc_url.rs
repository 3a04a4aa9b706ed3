//! JDBC URLs of PostgreSQL: `jdbc:postgresql://host:port,host2:port/database?parameter=value&…`.

use std::fmt;

const PREFIX: &str = "jdbc:postgresql:";
const DEFAULT_PORT: u16 = 5432;

/// A parsed URL. Parameters keep their order; names are as written. `Debug` prints no parameter values, because passwords are among them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct JdbcUrl {
    /// Hosts in the order in which they are tried; at least one. A host that begins with `/` is the directory of a Unix socket.
    pub(crate) hosts: Vec<(String, u16)>,
    /// Database; `None`: the one named like the user.
    pub(crate) database: Option<String>,
    /// Parameters behind the question mark, decoded.
    pub(crate) parameters: Vec<(String, String)>,
}

impl fmt::Debug for JdbcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.parameters.iter().map(|(name, _)| name).collect();
        f.debug_struct("JdbcUrl")
            .field("hosts", &self.hosts)
            .field("database", &self.database)
            .field("parameters", &names)
            .finish()
    }
}

/// Why a URL cannot be used. Never shows parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JdbcUrlError {
    /// Not a JDBC URL, or one of a database that is not supported.
    #[error("No suitable driver found for {0}; supported is jdbc:postgresql://host:port/database")]
    NoDriver(String),
    /// A database that is known but not supported.
    #[error(
        "{0} databases are not supported; supported is PostgreSQL, jdbc:postgresql://host:port/database"
    )]
    Unsupported(&'static str),
    /// A port that is no port.
    #[error(
        "'{0}' is not a port; expected is a number from 1 to 65535, as in jdbc:postgresql://host:5432/database"
    )]
    Port(String),
    /// A `%` that is not followed by two hexadecimal digits, or bytes that are not UTF-8.
    #[error("the {0} of the URL is not properly percent-encoded")]
    Encoding(&'static str),
    /// An IPv6 address without its closing bracket.
    #[error("the IPv6 address '{0}' has no closing bracket")]
    Bracket(String),
}

/// Subprotocols that Java has dialects for.
const KNOWN: &[(&str, &str)] = &[
    ("mysql", "MySQL"),
    ("mariadb", "MariaDB"),
    ("sqlite", "SQLite"),
    ("sqlserver", "SQL Server"),
    ("microsoft:sqlserver", "SQL Server"),
    ("jtds:sqlserver", "SQL Server"),
    ("oracle", "Oracle"),
    ("db2", "DB2"),
    ("derby", "Derby"),
    ("sap", "SAP HANA"),
    ("vertica", "Vertica"),
    ("sybase", "Sybase"),
];

impl JdbcUrl {
    /// Parses a URL as pgjdbc does: `jdbc:postgresql:db`, `jdbc:postgresql:/`, `jdbc:postgresql://host/` and several hosts are fine.
    ///
    /// # Errors
    /// See [`JdbcUrlError`].
    pub(crate) fn parse(url: &str) -> Result<Self, JdbcUrlError> {
        let (address, query) = url
            .split_once('?')
            .map_or((url, None), |(address, query)| (address, Some(query)));
        let Some(rest) = address.strip_prefix(PREFIX) else {
            let subprotocol = |name: &str| {
                address.strip_prefix("jdbc:").is_some_and(|rest| {
                    rest.strip_prefix(name)
                        .is_some_and(|rest| rest.starts_with(':'))
                })
            };
            return Err(match KNOWN.iter().find(|(name, _)| subprotocol(name)) {
                Some((_, database)) => JdbcUrlError::Unsupported(database),
                None => JdbcUrlError::NoDriver(without_credentials(address)),
            });
        };
        let (hosts, database) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
                (
                    hosts.split(',').map(host).collect::<Result<Vec<_>, _>>()?,
                    database,
                )
            }
            None => (
                vec![("localhost".to_owned(), DEFAULT_PORT)],
                rest.trim_start_matches('/'),
            ),
        };
        let database = decode(database).ok_or(JdbcUrlError::Encoding("database name"))?;
        let mut parameters = Vec::new();
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or(JdbcUrlError::Encoding("parameters"))?;
            let value = decode(value).ok_or(JdbcUrlError::Encoding("parameters"))?;
            parameters.push((name, value));
        }
        Ok(Self {
            hosts,
            database: Some(database).filter(|name| !name.is_empty()),
            parameters,
        })
    }
}

/// What may be shown of an address: `postgres://user:password@host` has its secret before the `@`.
fn without_credentials(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://[hidden]@{host}"),
        (None, Some((_, host))) => format!("[hidden]@{host}"),
        _ => address.to_owned(),
    }
}

fn host(text: &str) -> Result<(String, u16), JdbcUrlError> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (name, rest) = rest
            .split_once(']')
            .ok_or_else(|| JdbcUrlError::Bracket(text.to_owned()))?;
        (name, rest.strip_prefix(':'))
    } else {
        text.rsplit_once(':')
            .map_or((text, None), |(name, port)| (name, Some(port)))
    };
    let port = match port {
        None | Some("") => DEFAULT_PORT,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| JdbcUrlError::Port(port.to_owned()))?,
    };
    let name = if name.is_empty() {
        "localhost".to_owned()
    } else {
        decode(name).ok_or(JdbcUrlError::Encoding("host"))?
    };
    Ok((name, port))
}

/// Java's `URLDecoder`: `%41` is a byte, `+` a blank.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'%' => {
                let digits = rest.get(..2)?;
                rest = &rest[2..];
                bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> JdbcUrl {
        JdbcUrl::parse(url).expect("a URL")
    }

    #[test]
    fn every_form_of_pgjdbc() {
        let url = parsed(
            "jdbc:postgresql://h1:5433,h2,[::1]:5434/my%20db?user=a%40b&password=p+q&sslmode=require&flag",
        );
        assert_eq!(
            url.hosts,
            [
                ("h1".to_owned(), 5433),
                ("h2".to_owned(), 5432),
                ("::1".to_owned(), 5434)
            ]
        );
        assert_eq!(url.database.as_deref(), Some("my db"));
        let parameters: Vec<_> = url
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            parameters,
            [
                ("user", "a@b"),
                ("password", "p q"),
                ("sslmode", "require"),
                ("flag", "")
            ]
        );
        assert!(!format!("{url:?}").contains("p q"));

        for (url, database) in [
            ("jdbc:postgresql:shop", Some("shop")),
            ("jdbc:postgresql:/", None),
            ("jdbc:postgresql:", None),
            ("jdbc:postgresql:///shop", Some("shop")),
        ] {
            let url = parsed(url);
            assert_eq!(
                (url.hosts, url.database.as_deref()),
                (vec![("localhost".to_owned(), 5432)], database)
            );
        }
        assert_eq!(parsed("jdbc:postgresql://db.example/").database, None);
        assert_eq!(
            parsed("jdbc:postgresql://db.example").hosts[0].0,
            "db.example"
        );
    }

    #[test]
    fn a_wrong_url_says_what_is_supported_and_hides_parameters() {
        let error = |url: &str| JdbcUrl::parse(url).expect_err("refused").to_string();
        assert!(error("jdbc:nosuchdb://h/x").starts_with(
            "No suitable driver found for jdbc:nosuchdb://h/x; supported is jdbc:postgresql:"
        ));
        assert!(error("jdbc:mysql://h/x").contains("MySQL"));
        assert!(error("jdbc:microsoft:sqlserver://h").contains("SQL Server"));
        assert!(!error("postgres://h/x?password=secret").contains("secret"));
        assert!(!error("postgres://u:secret@h/x").contains("secret"));
        assert!(error("jdbc:postgresql://h:abc/x").contains("'abc' is not a port"));
        assert!(error("jdbc:postgresql://h:0/x").contains("'0' is not a port"));
        assert!(error("jdbc:postgresql://h/x?user=%zz").contains("percent-encoded"));
        assert!(error("jdbc:postgresql://h/x?user=%4").contains("percent-encoded"));
        assert!(error("jdbc:postgresql://[::1/x").contains("bracket"));
    }
}
