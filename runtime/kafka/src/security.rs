//! How to reach a broker: one value, rendered for librdkafka and for the raw client.

use std::fmt;

use millrace_log::LogError;
use millrace_tls::{ProtocolVersion, SettingError, StoreSettings, certificates_to_pem, key_to_pem};

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
        if let Some(names) = settings
            .get("ssl.enabled.protocols")
            .filter(|v| !v.is_empty())
        {
            let versions = ProtocolVersion::list(names)
                .map_err(|error| settings.refuse("ssl.enabled.protocols", names, &error.message))?;
            // librdkafka offers both, and the stronger is agreed upon where the broker has it.
            if !versions.contains(&ProtocolVersion::Tls12) {
                return Err(settings.refuse(
                    "ssl.enabled.protocols",
                    names,
                    "TLSv1.2 cannot be switched off in the client; switch it off in the brokers, and list both here",
                ));
            }
        }
        let setting = |name: &str| settings.get(&format!("ssl.{name}"));
        let stores = StoreSettings {
            truststore_location: setting("truststore.location"),
            truststore_type: setting("truststore.type"),
            truststore_password: setting("truststore.password"),
            truststore_certificates: setting("truststore.certificates"),
            keystore_location: setting("keystore.location"),
            keystore_type: setting("keystore.type"),
            keystore_password: setting("keystore.password"),
            keystore_chain: setting("keystore.certificate.chain"),
            keystore_key: setting("keystore.key"),
            key_password: setting("key.password"),
        };
        let refuse = |error: SettingError| {
            let key = format!("ssl.{}", error.key);
            match &error.value {
                Some(value) => settings.refuse(&key, value, &error.message),
                None => settings.refuse_hidden(&key, &error.message),
            }
        };
        // librdkafka takes PEM text only.
        let authorities = stores.authorities().map_err(refuse)?;
        let authorities = authorities.map(|found| certificates_to_pem(&found));
        let identity = stores.identity().map_err(refuse)?.map(|found| {
            (
                certificates_to_pem(&found.chain),
                Secret::new(key_to_pem(&found.key).as_str()),
            )
        });
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
