//! From configuration to connection options.

use std::time::Duration;

use millrace_api::config::Props;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::jdbc_url::JdbcUrl;
use crate::sink::JdbcSinkConfig;

/// How long a login may take when `connectTimeout` does not say: what the Java connector sets on the driver.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(40);

/// Prepared statements that are kept: one for each table and pair of schemas, and one for its deletes.
const STATEMENTS: usize = 500;

/// Which server of several is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerType {
    /// The first that answers.
    Any,
    /// The first that takes writes.
    Primary,
}

/// Where to connect and how.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// One for each host, in the order in which they are tried, with the host's name for messages.
    pub(crate) servers: Vec<(String, PgConnectOptions)>,
    /// Which one is wanted.
    pub(crate) server_type: ServerType,
    /// Longest time for one login.
    pub(crate) login_timeout: Option<Duration>,
}

/// Parameters of pgjdbc that only change how fast it is or how it logs; without meaning here, so they may stay in a URL.
const WITHOUT_MEANING: &[&str] = &[
    "adaptiveFetch",
    "adaptiveFetchMaximum",
    "adaptiveFetchMinimum",
    "assumeMinServerVersion",
    "binaryTransfer",
    "binaryTransferDisable",
    "binaryTransferEnable",
    "cleanupSavepoints",
    "databaseMetadataCacheFields",
    "databaseMetadataCacheFieldsMiB",
    "defaultRowFetchSize",
    "disableColumnSanitiser",
    "hostRecheckSeconds",
    "logServerErrorDetail",
    "logUnclosedConnections",
    "loggerFile",
    "loggerLevel",
    "maxResultBuffer",
    "maxSendBufferSize",
    "prepareThreshold",
    "preparedStatementCacheQueries",
    "preparedStatementCacheSizeMiB",
    "quoteReturningIdentifiers",
    "reWriteBatchedInserts",
    "receiveBufferSize",
    "sendBufferSize",
    "tcpKeepAlive",
    "tcpNoDelay",
    "unknownLength",
];

/// Parameters that would change behaviour and cannot be obeyed, with what to do instead.
const NOT_SUPPORTED: &[(&str, &str)] = &[
    (
        "authenticationPluginClassName",
        "a Java class cannot be loaded here; use a password or a client certificate",
    ),
    (
        "autosave",
        "leave it out: savepoints are set where they are needed",
    ),
    ("connectThreadFactory", "leave it out"),
    ("escapeSyntaxCallMode", "leave it out"),
    ("gssEncMode", "use sslmode for encryption"),
    ("gsslib", "use a password or a client certificate"),
    (
        "jaasApplicationName",
        "use a password or a client certificate",
    ),
    ("jaasLogin", "use a password or a client certificate"),
    (
        "kerberosServerName",
        "use a password or a client certificate",
    ),
    (
        "loadBalanceHosts",
        "leave it out: hosts are tried in their order",
    ),
    ("localSocketAddress", "leave it out"),
    (
        "preferQueryMode",
        "leave it out: statements are always prepared",
    ),
    ("protocolVersion", "leave it out: version 3 is spoken"),
    ("readOnly", "leave it out: a sink writes"),
    (
        "replication",
        "leave it out: a sink needs an ordinary session",
    ),
    (
        "socketFactory",
        "a Java class cannot be loaded here; leave it out",
    ),
    ("socketFactoryArg", "leave it out"),
    (
        "socketTimeout",
        "set statement_timeout in the parameter options instead: options=-c statement_timeout=60s",
    ),
    ("cancelSignalTimeout", "leave it out"),
    (
        "sslfactory",
        "a Java class cannot be loaded here; use sslmode and sslrootcert",
    ),
    ("sslfactoryarg", "use sslmode and sslrootcert"),
    ("sslhostnameverifier", "use sslmode=verify-full"),
    (
        "sslpassword",
        "store the key without a password, readable only for the worker",
    ),
    (
        "sslpasswordcallback",
        "store the key without a password, readable only for the worker",
    ),
    (
        "sslNegotiation",
        "leave it out: TLS is negotiated in the session",
    ),
    (
        "sslResponseTimeout",
        "leave it out; connectTimeout limits the whole login",
    ),
    ("sspiServiceClass", "use a password or a client certificate"),
    ("useSpnego", "use a password or a client certificate"),
    ("xmlFactoryFactory", "leave it out"),
];

/// Keys that begin with `connection.` and are the connector's own.
const OWN_KEYS: &[&str] = &["url", "user", "password", "attempts", "backoff.ms"];

impl Target {
    /// Reads URL, `connection.user`, `connection.password` and driver properties (`connection.<parameter>`). The URL wins over the others, as with pgjdbc.
    ///
    /// # Errors
    /// The key, and what is wrong with it. Never shows a parameter's value that could be a secret.
    pub(crate) fn of(config: &JdbcSinkConfig, props: &Props) -> Result<Self, (String, String)> {
        let in_url = |message: String| ("connection.url".to_owned(), message);
        let url = JdbcUrl::parse(config.connection_url.trim())
            .map_err(|error| in_url(error.to_string()))?;
        let mut login = Login::default();
        for (name, value) in props
            .with_prefix("connection.")
            .iter()
            .filter(|(name, _)| !OWN_KEYS.contains(name))
        {
            login
                .set(name, value)
                .map_err(|problem| (format!("connection.{name}"), problem))?;
        }
        login.user = config.connection_user.clone().or(login.user);
        login.password = config
            .connection_password
            .as_ref()
            .map(|password| password.expose().clone())
            .or(login.password);
        for (name, value) in &url.parameters {
            login
                .set(name, value)
                .map_err(|problem| in_url(format!("parameter '{name}': {problem}")))?;
        }
        let servers = url
            .hosts
            .iter()
            .map(|(host, port)| {
                (
                    format!("{host}:{port}"),
                    login.options(host, *port, url.database.as_deref()),
                )
            })
            .collect();
        Ok(Self {
            servers,
            server_type: login.server_type,
            login_timeout: login.login_timeout,
        })
    }
}

/// What the parameters say.
struct Login {
    user: Option<String>,
    password: Option<String>,
    ssl: bool,
    ssl_mode: Option<PgSslMode>,
    root_certificate: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    application: Option<String>,
    settings: Vec<(String, String)>,
    server_type: ServerType,
    login_timeout: Option<Duration>,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            user: None,
            password: None,
            ssl: false,
            ssl_mode: None,
            root_certificate: None,
            certificate: None,
            key: None,
            application: None,
            settings: Vec::new(),
            server_type: ServerType::Any,
            login_timeout: Some(LOGIN_TIMEOUT),
        }
    }
}

impl Login {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let text = value.to_owned();
        match name {
            "user" => self.user = Some(text),
            "password" => self.password = Some(text),
            "ssl" => match value {
                "" | "true" => self.ssl = true,
                "false" => self.ssl = false,
                _ => return Err("is neither true nor false".to_owned()),
            },
            "sslmode" => {
                self.ssl_mode = Some(value.parse().map_err(|_| format!("'{value}' is none of disable, allow, prefer, require, verify-ca, verify-full"))?);
            }
            "sslrootcert" => self.root_certificate = Some(text),
            "sslcert" => self.certificate = Some(text),
            "sslkey" => self.key = Some(text),
            "ApplicationName" => self.application = Some(text),
            "currentSchema" => self.settings.push(("search_path".to_owned(), text)),
            "options" => self.settings.extend(session_settings(value)?),
            // Texts are cast to the type of their column in any case.
            "stringtype" if matches!(value, "unspecified" | "varchar") => {}
            "stringtype" => return Err("is neither varchar nor unspecified".to_owned()),
            "connectTimeout" | "loginTimeout" => {
                let seconds: u64 = value
                    .parse()
                    .map_err(|_| format!("'{value}' is no number of seconds"))?;
                self.login_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            "targetServerType" => {
                self.server_type = match value {
                    "any" => ServerType::Any,
                    "primary" | "master" => ServerType::Primary,
                    _ => {
                        return Err(format!(
                            "'{value}' is not supported, a sink writes: use any or primary"
                        ));
                    }
                }
            }
            _ if WITHOUT_MEANING.contains(&name) => {
                tracing::debug!(parameter = name, "JDBC parameter has no meaning here")
            }
            _ => match NOT_SUPPORTED
                .iter()
                .find(|(parameter, _)| *parameter == name)
            {
                Some((_, remedy)) => return Err(format!("is not supported; {remedy}")),
                None => tracing::warn!(parameter = name, "unknown JDBC parameter has no effect"),
            },
        }
        Ok(())
    }

    fn options(&self, host: &str, port: u16, database: Option<&str>) -> PgConnectOptions {
        let mode = self.ssl_mode.unwrap_or(if self.ssl {
            PgSslMode::VerifyFull
        } else {
            PgSslMode::Prefer
        });
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(port)
            .ssl_mode(mode)
            .statement_cache_capacity(STATEMENTS)
            .disable_statement_logging();
        if let Some(user) = &self.user {
            options = options.username(user);
        }
        if let Some(password) = &self.password {
            options = options.password(password);
        }
        let database = database.map_or_else(|| options.get_username().to_owned(), str::to_owned);
        options = options.database(&database);
        if let Some(certificate) = &self.root_certificate {
            options = options.ssl_root_cert(certificate);
        }
        if let Some(certificate) = &self.certificate {
            options = options.ssl_client_cert(certificate);
        }
        if let Some(key) = &self.key {
            options = options.ssl_client_key(key);
        }
        options
            .application_name(self.application.as_deref().unwrap_or("Millrace JDBC Sink"))
            .options(self.settings.iter().map(|(name, value)| (name, value)))
    }
}

/// Settings from libpq's `-c name=value -c name=value`.
fn session_settings(text: &str) -> Result<Vec<(String, String)>, String> {
    let refused = || format!("'{text}' is not of the form -c name=value");
    let mut words = text.split_ascii_whitespace();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let pair = match word {
            "-c" => words.next().ok_or_else(refused)?,
            _ => word
                .strip_prefix("--")
                .or_else(|| word.strip_prefix("-c"))
                .ok_or_else(refused)?,
        };
        let (name, value) = pair.split_once('=').ok_or_else(refused)?;
        settings.push((name.to_owned(), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::testing::props;

    fn target(settings: &[(&str, &str)]) -> Result<Target, (String, String)> {
        let props = props(settings);
        Target::of(
            &JdbcSinkConfig::checked(&props).expect("configuration"),
            &props,
        )
    }

    #[test]
    fn the_url_wins_over_user_and_driver_properties() {
        let target = target(&[
            ("connection.url", "jdbc:postgresql://h1:1,h2/shop?user=url&currentSchema=a,b&options=-c%20statement_timeout=9s%20--x.y=1&reWriteBatchedInserts=true"),
            ("connection.user", "config"),
            ("connection.sslmode", "require"),
            ("connection.connectTimeout", "0"),
            ("connection.targetServerType", "primary"),
        ])
        .expect("a target");
        let (name, options) = &target.servers[1];
        assert_eq!(name, "h2:5432");
        assert_eq!(
            (
                options.get_host(),
                options.get_port(),
                options.get_username(),
                options.get_database()
            ),
            ("h2", 5432, "url", Some("shop"))
        );
        assert!(matches!(options.get_ssl_mode(), PgSslMode::Require));
        assert_eq!(
            options.get_options(),
            Some("-c search_path=a,b -c statement_timeout=9s -c x.y=1")
        );
        assert_eq!(
            (target.server_type, target.login_timeout),
            (ServerType::Primary, None)
        );
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused_by_key() {
        let refused = |settings: &[(&str, &str)]| target(settings).expect_err("refused");
        let (key, problem) =
            refused(&[("connection.url", "jdbc:postgresql://h/d?socketTimeout=30")]);
        assert_eq!(key, "connection.url");
        assert!(
            problem.contains("socketTimeout") && problem.contains("statement_timeout"),
            "{problem}"
        );
        let (key, problem) = refused(&[("connection.sslpassword", "geheim")]);
        assert_eq!(key, "connection.sslpassword");
        assert!(!problem.contains("geheim"));
        assert!(
            refused(&[("connection.url", "jdbc:postgresql://h/d?sslmode=strict")])
                .1
                .contains("verify-full")
        );
        assert!(
            refused(&[(
                "connection.url",
                "jdbc:postgresql://h/d?targetServerType=secondary"
            )])
            .1
            .contains("any or primary")
        );
        assert!(
            refused(&[(
                "connection.url",
                "jdbc:postgresql://h/d?options=search_path"
            )])
            .1
            .contains("-c name=value")
        );
    }
}
