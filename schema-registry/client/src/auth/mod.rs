//! Who we are to the registry.

mod jaas;
mod oauth;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::HeaderName;
use millrace_api::config::{Props, Secret};
use millrace_api::plugin::TaskError;

use crate::http::Pool;
use crate::http::url::BaseUrl;
use crate::settings::{ClientConfig, HEADER_PREFIX, refuse};
use oauth::TokenSource;

/// Where the `Authorization` header comes from.
#[derive(Debug)]
pub(crate) enum Credentials {
    /// User and password stand in the URL, or nowhere.
    Url,
    /// The same for every URL.
    Fixed(HeaderValue),
    /// A token that is fetched and replaced in time.
    Fetched(Box<TokenSource>),
}

/// What is added to every request.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) credentials: Credentials,
    /// Headers beside `Authorization`; values that may be secret are marked sensitive.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

const BASIC_SOURCE: &str = "basic.auth.credentials.source";
const BEARER_SOURCE: &str = "bearer.auth.credentials.source";

impl Identity {
    /// Reads the settings; `props` are those of `config`.
    pub(crate) fn from_settings(config: &ClientConfig, props: &Props) -> Result<Self, TaskError> {
        let given = |key: &str| {
            props
                .get(key)
                .map(str::trim)
                .filter(|value| !value.is_empty())
        };
        let mut headers = request_headers(props)?;
        let credentials = match (given(BASIC_SOURCE), given(BEARER_SOURCE)) {
            (Some(_), Some(bearer)) => {
                return Err(refuse(
                    BEARER_SOURCE,
                    Some(bearer),
                    "only one of it and `basic.auth.credentials.source` may be set; remove the other",
                ));
            }
            (_, Some(bearer)) => {
                let credentials = bearer_credentials(bearer, config, props)?;
                bearer_headers(config, &mut headers)?;
                credentials
            }
            (basic, None) => basic_credentials(basic, config, props)?,
        };
        Ok(Self {
            credentials,
            headers,
        })
    }

    /// The `Authorization` header for a URL.
    ///
    /// # Errors
    /// A token could not be fetched.
    pub(crate) async fn authorization(
        &self,
        url: &BaseUrl,
        pool: &Pool,
    ) -> Result<Option<HeaderValue>, String> {
        match &self.credentials {
            Credentials::Url => url.user_info.as_ref().map(basic).transpose(),
            Credentials::Fixed(value) => Ok(Some(value.clone())),
            Credentials::Fetched(source) => source.header(pool).await.map(Some),
        }
    }

    /// The registry did not accept the credentials. Whether others may be at hand now: then the request is worth another try.
    pub(crate) async fn refused(&self, sent: Option<&HeaderValue>) -> bool {
        match (&self.credentials, sent) {
            (Credentials::Fetched(source), Some(sent)) => source.forget(sent).await,
            _ => false,
        }
    }
}

fn basic_credentials(
    source: Option<&str>,
    config: &ClientConfig,
    props: &Props,
) -> Result<Credentials, TaskError> {
    let header = |key: &str, user_info: &Secret<String>| {
        basic(user_info)
            .map(Credentials::Fixed)
            .map_err(|why| refuse(key, None, &why))
    };
    match source.map(str::to_ascii_uppercase).as_deref() {
        None => {
            if !config.user_info().expose().is_empty() {
                tracing::warn!(
                    "`basic.auth.user.info` is set, but not used: `basic.auth.credentials.source` is not USER_INFO"
                );
            }
            Ok(Credentials::Url)
        }
        Some("URL") => Ok(Credentials::Url),
        Some("USER_INFO") if config.user_info().expose().is_empty() => Err(refuse(
            "basic.auth.user.info",
            None,
            "it must be set to user:password when `basic.auth.credentials.source` is USER_INFO",
        )),
        Some("USER_INFO") => header("basic.auth.user.info", config.user_info()),
        Some("SASL_INHERIT") => {
            let user_info =
                jaas::user_info(props).map_err(|why| refuse("sasl.jaas.config", None, &why))?;
            header("sasl.jaas.config", &user_info)
        }
        Some(_) => Err(refuse(
            BASIC_SOURCE,
            source,
            "allowed are URL, USER_INFO and SASL_INHERIT",
        )),
    }
}

fn bearer_credentials(
    source: &str,
    config: &ClientConfig,
    props: &Props,
) -> Result<Credentials, TaskError> {
    match source.to_ascii_uppercase().as_str() {
        "STATIC_TOKEN" => {
            let token = config.bearer_token.expose();
            if token.is_empty() {
                return Err(refuse(
                    "bearer.auth.token",
                    None,
                    "it must be set when `bearer.auth.credentials.source` is STATIC_TOKEN",
                ));
            }
            bearer(token)
                .map(Credentials::Fixed)
                .map_err(|why| refuse("bearer.auth.token", None, &why))
        }
        "OAUTHBEARER" => TokenSource::from_settings(config, props)
            .map(|source| Credentials::Fetched(Box::new(source))),
        "SASL_OAUTHBEARER_INHERIT" => Err(refuse(
            BEARER_SOURCE,
            Some(source),
            "the token of the Kafka client cannot be taken over; set OAUTHBEARER with `bearer.auth.issuer.endpoint.url`, `bearer.auth.client.id` and `bearer.auth.client.secret`",
        )),
        "CUSTOM" => Err(refuse(
            BEARER_SOURCE,
            Some(source),
            "`bearer.auth.custom.provider.class` is a Java class, which cannot be loaded; set OAUTHBEARER to fetch tokens, or STATIC_TOKEN with `bearer.auth.token`",
        )),
        _ => Err(refuse(
            BEARER_SOURCE,
            Some(source),
            "allowed are STATIC_TOKEN and OAUTHBEARER",
        )),
    }
}

fn bearer_headers(
    config: &ClientConfig,
    headers: &mut Vec<(HeaderName, HeaderValue)>,
) -> Result<(), TaskError> {
    let named = [
        (
            "target-sr-cluster",
            "bearer.auth.logical.cluster",
            &config.logical_cluster,
        ),
        (
            "confluent-identity-pool-id",
            "bearer.auth.identity.pool.id",
            &config.identity_pool,
        ),
    ];
    for (header, key, value) in named {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            let header_value = HeaderValue::from_str(value)
                .map_err(|_| refuse(key, Some(value), "it cannot be sent as an HTTP header"))?;
            headers.push((HeaderName::from_static(header), header_value));
        }
    }
    Ok(())
}

/// `request.header.NAME=VALUE`
fn request_headers(props: &Props) -> Result<Vec<(HeaderName, HeaderValue)>, TaskError> {
    let mut headers = Vec::new();
    for (key, value) in props.iter() {
        let Some(name) = key.strip_prefix(HEADER_PREFIX) else {
            continue;
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            refuse(
                key,
                None,
                "what follows `request.header.` is no name of an HTTP header",
            )
        })?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| refuse(key, None, "the value cannot be sent as an HTTP header"))?;
        value.set_sensitive(true);
        headers.push((name, value));
    }
    Ok(headers)
}

fn basic(user_info: &Secret<String>) -> Result<HeaderValue, String> {
    sensitive(&format!("Basic {}", STANDARD.encode(user_info.expose())))
}

fn bearer(token: &str) -> Result<HeaderValue, String> {
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| "it cannot be sent as an HTTP header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
