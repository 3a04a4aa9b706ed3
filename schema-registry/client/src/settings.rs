//! How the registry is reached.

use std::time::Duration;

use millrace_api::config::{ConfigErrors, ConnectConfig, Props, Secret, Validator};
use millrace_api::plugin::TaskError;

/// Settings may carry this prefix; with it they win over the same name without.
const NAMESPACE: &str = "schema.registry.";
/// What begins so becomes a header of every request.
pub(crate) const HEADER_PREFIX: &str = "request.header.";

/// Settings of the client, under the names of Confluent's.
#[derive(Debug, Clone, ConnectConfig)]
pub(crate) struct ClientConfig {
    /// URLs of the registry's nodes, separated by commas. The first one that answers is used until it fails.
    #[config(name = "schema.registry.url", required, importance = "high")]
    pub(crate) urls: Vec<String>,
    /// Whether the node that is asked first is chosen by lot, so that clients spread over the nodes, instead of being the first of `schema.registry.url`.
    #[config(
        name = "schema.registry.url.randomize",
        default = false,
        importance = "low"
    )]
    pub(crate) randomize_urls: bool,
    /// How many answers about one subject are remembered.
    #[config(name = "max.schemas.per.subject", default = 1000, importance = "low", validate = Validator::at_least(1))]
    pub(crate) max_schemas_per_subject: i32,
    /// Of how many subjects the latest version is remembered.
    #[config(name = "latest.cache.size", default = 1000, importance = "low", validate = Validator::at_least(0))]
    pub(crate) latest_cache_size: i32,
    /// For how many seconds the latest version of a subject is remembered; -1 is without end.
    #[config(name = "latest.cache.ttl.sec", default = -1, importance = "low", validate = Validator::at_least(-1))]
    pub(crate) latest_cache_ttl_sec: i32,
    /// Where user and password for basic authentication come from: `URL` (they stand in the URL), `USER_INFO` (`basic.auth.user.info`) or `SASL_INHERIT` (the user of
    /// `sasl.jaas.config`).
    #[config(
        name = "basic.auth.credentials.source",
        default = "URL",
        importance = "medium"
    )]
    #[expect(
        dead_code,
        reason = "published; which source is set, and to what, is read from what was given"
    )]
    pub(crate) basic_source: String,
    /// User and password for basic authentication as `user:password`.
    #[config(
        name = "basic.auth.user.info",
        default = "",
        kind = "Password",
        importance = "medium"
    )]
    pub(crate) user_info: Secret<String>,
    /// Older name of `basic.auth.user.info`.
    #[config(
        name = "schema.registry.basic.auth.user.info",
        default = "",
        kind = "Password",
        importance = "medium"
    )]
    pub(crate) old_user_info: Secret<String>,
    /// Where the token for bearer authentication comes from: `STATIC_TOKEN` (`bearer.auth.token`) or `OAUTHBEARER` (fetched with client id and secret).
    #[config(
        name = "bearer.auth.credentials.source",
        default = "STATIC_TOKEN",
        importance = "medium"
    )]
    #[expect(
        dead_code,
        reason = "published; which source is set, and to what, is read from what was given"
    )]
    pub(crate) bearer_source: String,
    /// The token, for `STATIC_TOKEN`.
    #[config(
        name = "bearer.auth.token",
        default = "",
        kind = "Password",
        importance = "medium"
    )]
    pub(crate) bearer_token: Secret<String>,
    /// URL of the identity provider's token endpoint, for `OAUTHBEARER`.
    #[config(name = "bearer.auth.issuer.endpoint.url", importance = "medium")]
    pub(crate) issuer_url: Option<String>,
    /// Client id, for `OAUTHBEARER`.
    #[config(name = "bearer.auth.client.id", importance = "medium")]
    pub(crate) client_id: Option<String>,
    /// Client secret, for `OAUTHBEARER`.
    #[config(name = "bearer.auth.client.secret", importance = "medium")]
    pub(crate) client_secret: Option<Secret<String>>,
    /// Scope that is asked for, for `OAUTHBEARER`.
    #[config(name = "bearer.auth.scope", importance = "medium")]
    pub(crate) scope: Option<String>,
    /// Claim that names the scope, for `OAUTHBEARER`. When it is set, a token without the claim is refused.
    #[config(
        name = "bearer.auth.scope.claim.name",
        default = "scope",
        importance = "low"
    )]
    pub(crate) scope_claim: String,
    /// Claim that names the subject, for `OAUTHBEARER`. When it is set, a token without the claim is refused.
    #[config(
        name = "bearer.auth.sub.claim.name",
        default = "sub",
        importance = "low"
    )]
    pub(crate) sub_claim: String,
    /// Identity pool, sent as header `Confluent-Identity-Pool-Id` along with a token.
    #[config(name = "bearer.auth.identity.pool.id", importance = "medium")]
    pub(crate) identity_pool: Option<String>,
    /// Logical cluster, sent as header `target-sr-cluster` along with a token.
    #[config(name = "bearer.auth.logical.cluster", importance = "medium")]
    pub(crate) logical_cluster: Option<String>,
    /// How many seconds before its end a fetched token is replaced. Ignored for a token that lives no longer than that.
    #[config(name = "bearer.auth.cache.expiry.buffer.seconds", default = 300, kind = "Short", importance = "low", validate = Validator::between(0, 3600))]
    pub(crate) expiry_buffer_sec: i16,
    /// A Java class that provides tokens. It cannot be loaded here: leave it out and fetch the token with `OAUTHBEARER`, or set it with `STATIC_TOKEN`.
    #[config(name = "bearer.auth.custom.provider.class", importance = "medium")]
    #[expect(
        dead_code,
        reason = "published; the source that would use it, CUSTOM, is refused"
    )]
    pub(crate) custom_provider: Option<String>,
    /// Host of an HTTP proxy in front of the registry; empty: none.
    #[config(name = "proxy.host", default = "", importance = "low")]
    pub(crate) proxy_host: String,
    /// Port of the proxy.
    #[config(name = "proxy.port", default = -1, importance = "low", validate = Validator::between(-1, 65535))]
    pub(crate) proxy_port: i32,
    /// Longest time to connect, in milliseconds; 0: no limit.
    #[config(name = "http.connect.timeout.ms", kind = "Int", millis, default = 60000, importance = "low", validate = Validator::at_least(0))]
    pub(crate) connect_timeout: Duration,
    /// Longest time until the whole answer is there, in milliseconds; 0: no limit.
    #[config(name = "http.read.timeout.ms", kind = "Int", millis, default = 60000, importance = "low", validate = Validator::at_least(0))]
    pub(crate) read_timeout: Duration,
    /// How often a request that failed in a way that may pass is tried again: no connection, or status 408, 429, 500, 502, 503, 504.
    #[config(name = "max.retries", default = 3, importance = "low", validate = Validator::at_least(0))]
    pub(crate) max_retries: i32,
    /// Longest pause before the first retry, in milliseconds. It doubles with each further one; the pause itself is random, from 0 to that.
    #[config(name = "retries.wait.ms", kind = "Int", millis, default = 1000, importance = "low", validate = Validator::at_least(0))]
    pub(crate) retry_wait: Duration,
    /// Longest pause before any retry, in milliseconds.
    #[config(name = "retries.max.wait.ms", kind = "Int", millis, default = 20000, importance = "low", validate = Validator::at_least(0))]
    pub(crate) retry_max_wait: Duration,
    #[config(nested)]
    pub(crate) tls: TlsConfig,
}

/// TLS towards the registry. Stores are PEM.
#[derive(Debug, Clone, ConnectConfig)]
pub(crate) struct TlsConfig {
    /// TLS version that is preferred: `TLSv1.2` or `TLSv1.3`.
    #[config(
        name = "schema.registry.ssl.protocol",
        default = "TLSv1.3",
        importance = "medium"
    )]
    pub(crate) protocol: String,
    /// TLS versions that may be used.
    #[config(
        name = "schema.registry.ssl.enabled.protocols",
        default = "TLSv1.2,TLSv1.3",
        importance = "medium"
    )]
    pub(crate) enabled_protocols: Vec<String>,
    /// Java security provider. There is none here: leave it out.
    #[config(name = "schema.registry.ssl.provider", importance = "medium")]
    pub(crate) provider: Option<String>,
    /// Cipher suites. They cannot be chosen here: leave it out.
    #[config(
        name = "schema.registry.ssl.cipher.suites",
        kind = "List",
        importance = "low"
    )]
    pub(crate) cipher_suites: Option<Vec<String>>,
    /// Format of the trust store: `PEM`, `JKS` or `PKCS12`. What the file is counts: `JKS`, the default, opens all three.
    #[config(
        name = "schema.registry.ssl.truststore.type",
        default = "JKS",
        importance = "medium"
    )]
    pub(crate) truststore_type: String,
    /// File with the certificates of the authorities that are trusted. Without it and without `ssl.truststore.certificates`, the system's are.
    #[config(name = "schema.registry.ssl.truststore.location", importance = "high")]
    pub(crate) truststore_location: Option<String>,
    /// Password of the trust store. PEM has none; without it the integrity of a JKS store is not checked.
    #[config(name = "schema.registry.ssl.truststore.password", importance = "high")]
    pub(crate) truststore_password: Option<Secret<String>>,
    /// The trusted certificates themselves, as PEM text.
    #[config(
        name = "schema.registry.ssl.truststore.certificates",
        importance = "high"
    )]
    pub(crate) truststore_certificates: Option<Secret<String>>,
    /// Format of the key store: `PEM`, `JKS` or `PKCS12`. What the file is counts: `JKS`, the default, opens all three.
    #[config(
        name = "schema.registry.ssl.keystore.type",
        default = "JKS",
        importance = "medium"
    )]
    pub(crate) keystore_type: String,
    /// File with our private key and certificate chain.
    #[config(name = "schema.registry.ssl.keystore.location", importance = "high")]
    pub(crate) keystore_location: Option<String>,
    /// Password of the key store.
    #[config(name = "schema.registry.ssl.keystore.password", importance = "high")]
    pub(crate) keystore_password: Option<Secret<String>>,
    /// Our private key as PEM text.
    #[config(name = "schema.registry.ssl.keystore.key", importance = "high")]
    pub(crate) keystore_key: Option<Secret<String>>,
    /// Our certificate chain as PEM text.
    #[config(
        name = "schema.registry.ssl.keystore.certificate.chain",
        importance = "high"
    )]
    pub(crate) keystore_chain: Option<Secret<String>>,
    /// Password of the private key, in PEM text and in JKS. Where it is not set, the key store's is taken.
    #[config(name = "schema.registry.ssl.key.password", importance = "high")]
    pub(crate) key_password: Option<Secret<String>>,
    /// `https` compares the host name with the server's certificate, empty does not.
    #[config(
        name = "schema.registry.ssl.endpoint.identification.algorithm",
        default = "https",
        importance = "low"
    )]
    pub(crate) endpoint_identification: String,
    /// Java's algorithm for key managers. It has no meaning here and is ignored.
    #[config(
        name = "schema.registry.ssl.keymanager.algorithm",
        default = "SunX509",
        importance = "low"
    )]
    #[expect(dead_code, reason = "published; it means nothing outside of Java")]
    pub(crate) keymanager_algorithm: String,
    /// Java's algorithm for trust managers. It has no meaning here and is ignored.
    #[config(
        name = "schema.registry.ssl.trustmanager.algorithm",
        default = "PKIX",
        importance = "low"
    )]
    #[expect(dead_code, reason = "published; it means nothing outside of Java")]
    pub(crate) trustmanager_algorithm: String,
    /// Java's source of random numbers. It has no meaning here and is ignored.
    #[config(
        name = "schema.registry.ssl.secure.random.implementation",
        importance = "low"
    )]
    #[expect(dead_code, reason = "published; it means nothing outside of Java")]
    pub(crate) secure_random: Option<String>,
    /// A Java class that makes TLS engines. It cannot be loaded here: leave it out.
    #[config(name = "schema.registry.ssl.engine.factory.class", importance = "low")]
    pub(crate) engine_factory: Option<String>,
}

/// The settings of the client among those of a converter, without the prefix that they may carry (TLS settings always do).
pub(crate) fn own(props: &Props) -> Props {
    let mut own = Props::new();
    let is_plain = |key: &str| {
        matches!(key, "schema.registry.url" | "schema.registry.url.randomize")
            || key.starts_with("schema.registry.ssl.")
            || key == "schema.registry.basic.auth.user.info"
    };
    for (key, value) in props.iter() {
        let stripped = key.strip_prefix(NAMESPACE).filter(|_| !is_plain(key));
        match stripped {
            Some(stripped) => drop(own.insert(stripped, value)),
            None if !props.contains_key(&format!("{NAMESPACE}{key}"))
                || key == "basic.auth.user.info" =>
            {
                drop(own.insert(key, value))
            }
            None => {}
        }
    }
    own
}

/// A refusal that names the setting and, unless it is secret, its value.
pub(crate) fn refuse(key: &str, value: Option<&str>, why: &str) -> TaskError {
    let shown = value.map_or_else(String::new, |value| format!(" '{value}'"));
    TaskError::config("registry.settings", format!("`{key}`{shown}: {why}"))
}

/// All errors of a configuration as one.
pub(crate) fn invalid(errors: &ConfigErrors) -> TaskError {
    let all: Vec<String> = errors
        .iter()
        .map(|(_, message)| message.to_owned())
        .collect();
    TaskError::config("registry.settings", all.join("; "))
}

impl ClientConfig {
    /// The credentials of basic authentication, whichever name they were set under.
    pub(crate) fn user_info(&self) -> &Secret<String> {
        if self.old_user_info.expose().is_empty() {
            &self.user_info
        } else {
            &self.old_user_info
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_optional_and_wins() {
        let props = Props::from_iter([
            ("schema.registry.url", "http://a"),
            ("max.retries", "1"),
            ("schema.registry.max.retries", "2"),
            ("schema.registry.ssl.truststore.type", "PEM"),
            ("schema.registry.basic.auth.user.info", "u:p"),
        ]);
        let own = own(&props);
        assert_eq!(own.get("max.retries"), Some("2"));
        assert_eq!(own.get("schema.registry.ssl.truststore.type"), Some("PEM"));
        let config = ClientConfig::parse(&own).expect("valid");
        assert_eq!(config.user_info().expose(), "u:p");
        assert!(!format!("{config:?}").contains("u:p"));
    }

    #[test]
    fn errors_name_the_key() {
        let errors =
            ClientConfig::parse(&Props::from_iter([("max.retries", "many")])).expect_err("invalid");
        let text = invalid(&errors).message;
        assert!(
            text.contains("max.retries") && text.contains("schema.registry.url"),
            "{text}"
        );
    }
}
