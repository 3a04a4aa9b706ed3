//! How to reach a broker: one value, rendered for librdkafka and for the raw client.

use std::fmt;
use std::path::Path;

use millrace_log::LogError;
use millrace_tls::{Concern, StoreError};

use crate::jaas::Jaas;
use crate::properties::Settings;

/// A password or key. It has no `Debug` and no `Display`, so it cannot end up in a log line or an error.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// SASL mechanisms that both clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    /// As spelled in `sasl.mechanism` and on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Who we say we are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sasl {
    pub(crate) mechanism: Mechanism,
    pub(crate) username: String,
    pub(crate) password: Secret,
}

/// Certificates, as PEM text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Authorities to trust; `None`: those of the system.
    pub(crate) authorities: Option<String>,
    /// Our certificate chain and private key.
    pub(crate) identity: Option<(String, Secret)>,
    /// Whether the broker's certificate must name the host.
    pub(crate) verify_host: bool,
}

/// Everything about the way to a broker that both clients must agree on.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct KafkaSecurity {
    pub(crate) tls: Option<Tls>,
    pub(crate) sasl: Option<Sasl>,
}

impl fmt::Debug for KafkaSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("KafkaSecurity");
        out.field("protocol", &self.protocol());
        if let Some(sasl) = &self.sasl {
            out.field("mechanism", &sasl.mechanism.name());
        }
        out.finish()
    }
}

const PLAIN_MODULE: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const SCRAM_MODULE: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";

impl KafkaSecurity {
    /// Reads `security.protocol`, `ssl.*` and `sasl.*` with Java's names. Reads files that they name.
    pub(crate) fn from_settings(settings: &Settings<'_>) -> Result<Self, LogError> {
        let protocol = settings.get("security.protocol").unwrap_or("PLAINTEXT");
        let (tls, sasl) = match protocol.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => (false, false),
            "SSL" => (true, false),
            "SASL_PLAINTEXT" => (false, true),
            "SASL_SSL" => (true, true),
            _ => {
                return Err(settings.refuse(
                    "security.protocol",
                    protocol,
                    "it must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
                ));
            }
        };
        Ok(Self {
            tls: if tls {
                Some(Tls::from_settings(settings)?)
            } else {
                None
            },
            sasl: if sasl {
                Some(Sasl::from_settings(settings)?)
            } else {
                None
            },
        })
    }

    /// `security.protocol` as Java spells it.
    pub(crate) fn protocol(&self) -> &'static str {
        match (self.tls.is_some(), self.sasl.is_some()) {
            (false, false) => "PLAINTEXT",
            (true, false) => "SSL",
            (false, true) => "SASL_PLAINTEXT",
            (true, true) => "SASL_SSL",
        }
    }

    /// Settings for librdkafka.
    pub(crate) fn librdkafka(&self, mut set: impl FnMut(&str, &str)) {
        set("security.protocol", &self.protocol().to_ascii_lowercase());
        if let Some(tls) = &self.tls {
            if let Some(pem) = &tls.authorities {
                set("ssl.ca.pem", pem);
            }
            if let Some((chain, key)) = &tls.identity {
                set("ssl.certificate.pem", chain);
                set("ssl.key.pem", key.expose());
            }
            set(
                "ssl.endpoint.identification.algorithm",
                if tls.verify_host { "https" } else { "none" },
            );
        }
        if let Some(sasl) = &self.sasl {
            set("sasl.mechanism", sasl.mechanism.name());
            set("sasl.username", &sasl.username);
            set("sasl.password", sasl.password.expose());
        }
    }
}

impl Sasl {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, LogError> {
        let name = settings.get("sasl.mechanism").unwrap_or("GSSAPI");
        let (mechanism, module) = match name {
            "PLAIN" => (Mechanism::Plain, PLAIN_MODULE),
            "SCRAM-SHA-256" => (Mechanism::ScramSha256, SCRAM_MODULE),
            "SCRAM-SHA-512" => (Mechanism::ScramSha512, SCRAM_MODULE),
            "GSSAPI" => {
                return Err(settings.refuse(
                    "sasl.mechanism",
                    name,
                    "Kerberos (also the default when 'sasl.mechanism' is not set) is not built in; use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
                ));
            }
            _ => {
                return Err(settings.refuse(
                    "sasl.mechanism",
                    name,
                    "it must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512",
                ));
            }
        };
        for key in [
            "sasl.client.callback.handler.class",
            "sasl.login.callback.handler.class",
            "sasl.login.class",
        ] {
            if let Some(class) = settings.get(key).filter(|v| !v.is_empty()) {
                return Err(settings.refuse(key, class, "Java classes cannot be loaded; remove it and put user name and password into 'sasl.jaas.config'"));
            }
        }
        let form = || {
            format!(
                "it must have the form: {module} required username=\"USER\" password=\"PASSWORD\";"
            )
        };
        let Some(text) = settings.get("sasl.jaas.config") else {
            return Err(settings.refuse(
                "sasl.jaas.config",
                "",
                &format!("it is missing; {}", form()),
            ));
        };
        let jaas = Jaas::parse(text).map_err(|why| {
            settings.refuse_hidden("sasl.jaas.config", &format!("{why}; {}", form()))
        })?;
        if jaas.module != module {
            return Err(settings.refuse_hidden(
                "sasl.jaas.config",
                &format!(
                    "its login module does not go with sasl.mechanism={name}; {}",
                    form()
                ),
            ));
        }
        let option = |key: &str| {
            jaas.get(key).map(str::to_owned).ok_or_else(|| {
                settings.refuse_hidden(
                    "sasl.jaas.config",
                    &format!("it has no option '{key}'; {}", form()),
                )
            })
        };
        Ok(Self {
            mechanism,
            username: option("username")?,
            password: Secret::new(option("password")?),
        })
    }
}

impl Tls {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, LogError> {
        if let Some(class) = settings
            .get("ssl.engine.factory.class")
            .filter(|v| !v.is_empty())
        {
            return Err(settings.refuse(
                "ssl.engine.factory.class",
                class,
                "Java classes cannot be loaded; remove it",
            ));
        }
        if let Some(suites) = settings.get("ssl.cipher.suites").filter(|v| !v.is_empty()) {
            return Err(settings.refuse("ssl.cipher.suites", suites, "the cipher suites cannot be chosen; remove it (TLS 1.2 and 1.3 with strong suites are used)"));
        }
        let authorities = authorities(settings)?;
        let identity = identity(settings)?;
        let verify_host = match settings.get("ssl.endpoint.identification.algorithm") {
            None => true,
            Some("") => false,
            Some(name) if name.eq_ignore_ascii_case("https") => true,
            Some(name) => {
                return Err(settings.refuse(
                    "ssl.endpoint.identification.algorithm",
                    name,
                    "it must be 'https' or empty (do not compare the host name)",
                ));
            }
        };
        Ok(Self {
            authorities,
            identity,
            verify_host,
        })
    }
}

/// Whom to trust, as PEM text.
fn authorities(settings: &Settings<'_>) -> Result<Option<String>, LogError> {
    let key = "ssl.truststore.certificates";
    let found = match settings.get(key) {
        Some(pem) => millrace_tls::authorities(pem.as_bytes(), Some("PEM"), None)
            .map_err(|error| settings.refuse_hidden(key, &error.message))?,
        None => {
            let Some(store) = StoreFile::read(settings, "truststore")? else {
                return Ok(None);
            };
            millrace_tls::authorities(&store.bytes, store.format, store.password)
                .map_err(|error| store.refuse(settings, &error))?
        }
    };
    Ok(Some(millrace_tls::certificates_to_pem(&found)))
}

/// Who we are, as two PEM texts.
fn identity(settings: &Settings<'_>) -> Result<Option<(String, Secret)>, LogError> {
    const CHAIN: &str = "ssl.keystore.certificate.chain";
    const KEY: &str = "ssl.keystore.key";
    let key_password = settings.get("ssl.key.password");
    let found = match (settings.get(CHAIN), settings.get(KEY)) {
        (Some(chain), Some(key)) => {
            // By itself first, so that an error names the setting at fault.
            millrace_tls::authorities(chain.as_bytes(), Some("PEM"), None)
                .map_err(|error| settings.refuse_hidden(CHAIN, &error.message))?;
            millrace_tls::pem_identity(chain, key, key_password).map_err(|error| {
                let at_fault = match error.concern {
                    Concern::KeyPassword => "ssl.key.password",
                    _ => KEY,
                };
                settings.refuse_hidden(at_fault, &error.message)
            })?
        }
        (Some(_), None) => {
            return Err(settings.refuse(
                KEY,
                "",
                "it is missing, but 'ssl.keystore.certificate.chain' is set; set both or none",
            ));
        }
        (None, Some(_)) => {
            return Err(settings.refuse(
                CHAIN,
                "",
                "it is missing, but 'ssl.keystore.key' is set; set both or none",
            ));
        }
        (None, None) => {
            let Some(store) = StoreFile::read(settings, "keystore")? else {
                return Ok(None);
            };
            millrace_tls::identity(&store.bytes, store.format, store.password, key_password)
                .map_err(|error| store.refuse(settings, &error))?
        }
    };
    Ok(Some((
        millrace_tls::certificates_to_pem(&found.chain),
        Secret::new(millrace_tls::key_to_pem(&found.key).as_str()),
    )))
}

/// The file behind `ssl.KIND.location`, and what opens it.
struct StoreFile<'a> {
    kind: &'static str,
    path: &'a str,
    bytes: Vec<u8>,
    format: Option<&'a str>,
    password: Option<&'a str>,
}

impl<'a> StoreFile<'a> {
    /// `None` where the setting is absent or empty.
    fn read(settings: &Settings<'a>, kind: &'static str) -> Result<Option<Self>, LogError> {
        let location = format!("ssl.{kind}.location");
        let Some(path) = settings.get(&location).filter(|p| !p.is_empty()) else {
            return Ok(None);
        };
        let bytes = std::fs::read(Path::new(path)).map_err(|e| {
            settings.refuse(&location, path, &format!("the file cannot be read: {e}"))
        })?;
        Ok(Some(Self {
            kind,
            path,
            bytes,
            format: settings.get(&format!("ssl.{kind}.type")),
            password: settings
                .get(&format!("ssl.{kind}.password"))
                .filter(|password| !password.is_empty()),
        }))
    }

    fn refuse(&self, settings: &Settings<'_>, error: &StoreError) -> LogError {
        let key = |name: &str| format!("ssl.{}.{name}", self.kind);
        match error.concern {
            Concern::Store => settings.refuse(&key("location"), self.path, &error.message),
            Concern::Format => settings.refuse(
                &key("type"),
                self.format.unwrap_or_default(),
                &error.message,
            ),
            Concern::Password => settings.refuse_hidden(
                &key("password"),
                &format!("{} ('{}')", error.message, self.path),
            ),
            Concern::KeyPassword => settings.refuse_hidden(
                "ssl.key.password",
                &format!("{} ('{}')", error.message, self.path),
            ),
        }
    }
}
