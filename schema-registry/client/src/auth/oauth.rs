//! Tokens by OAuth's client credentials grant.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::Full;
use java_idioms::Json;
use java_idioms::json::ReadOptions;
use millrace_api::config::{Props, Secret};
use millrace_api::plugin::TaskError;
use tokio::sync::Mutex;

use crate::http::Pool;
use crate::http::url::BaseUrl;
use crate::percent::escaped;
use crate::settings::{ClientConfig, refuse};

/// Fetches tokens and keeps the one that is valid.
#[derive(Debug)]
pub(crate) struct TokenSource {
    endpoint: BaseUrl,
    /// `id:secret`, escaped as the grant wants it.
    client: Secret<String>,
    scope: Option<String>,
    /// Claims that a token must have: those that were named in the settings.
    claims: Vec<String>,
    buffer: Duration,
    /// Held while a token is fetched: one fetch serves all that wait.
    token: Mutex<Option<Token>>,
}

#[derive(Debug, Clone)]
struct Token {
    /// Marked sensitive.
    header: HeaderValue,
    renew_at: Instant,
}

impl TokenSource {
    pub(crate) fn from_settings(config: &ClientConfig, props: &Props) -> Result<Self, TaskError> {
        let required = |key: &str, value: Option<&String>| {
            value
                .filter(|value| !value.is_empty())
                .cloned()
                .ok_or_else(|| {
                    refuse(
                        key,
                        None,
                        "it must be set when `bearer.auth.credentials.source` is OAUTHBEARER",
                    )
                })
        };
        let issuer = required(
            "bearer.auth.issuer.endpoint.url",
            config.issuer_url.as_ref(),
        )?;
        let id = required("bearer.auth.client.id", config.client_id.as_ref())?;
        let secret = required(
            "bearer.auth.client.secret",
            config.client_secret.as_ref().map(Secret::expose),
        )?;
        let endpoint = BaseUrl::parse(&issuer)
            .map_err(|why| refuse("bearer.auth.issuer.endpoint.url", None, why))?;
        let named = [
            ("bearer.auth.scope.claim.name", &config.scope_claim),
            ("bearer.auth.sub.claim.name", &config.sub_claim),
        ];
        Ok(Self {
            endpoint,
            client: Secret::new(format!("{id}:{secret}")),
            scope: config.scope.clone().filter(|scope| !scope.is_empty()),
            claims: named
                .iter()
                .filter(|(key, _)| props.contains_key(key))
                .map(|(_, claim)| (*claim).clone())
                .collect(),
            buffer: Duration::from_secs(
                u64::try_from(config.expiry_buffer_sec).unwrap_or_default(),
            ),
            token: Mutex::new(None),
        })
    }

    /// Whether tokens come over TLS.
    pub(crate) fn uses_tls(&self) -> bool {
        self.endpoint.origin.tls
    }

    /// The header with a valid token.
    pub(crate) async fn header(&self, pool: &Pool) -> Result<HeaderValue, String> {
        let mut token = self.token.lock().await;
        if let Some(token) = token
            .as_ref()
            .filter(|token| Instant::now() < token.renew_at)
        {
            return Ok(token.header.clone());
        }
        let fetched = self
            .fetch(pool)
            .await
            .map_err(|why| format!("no token from {}: {why}", self.endpoint))?;
        Ok(token.insert(fetched).header.clone())
    }

    /// Drops the token if it is the one that was sent. Whether the next one will be another.
    pub(crate) async fn forget(&self, sent: &HeaderValue) -> bool {
        let mut token = self.token.lock().await;
        if token.as_ref().is_some_and(|token| token.header == sent) {
            *token = None;
        }
        true
    }

    async fn fetch(&self, pool: &Pool) -> Result<Token, String> {
        let mut form = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &self.scope {
            form.push_str("&scope=");
            form.push_str(&escaped(scope));
        }
        let mut authorization =
            HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(self.client.expose())))
                .map_err(|_| "client id and secret cannot be sent")?;
        authorization.set_sensitive(true);
        let path = if self.endpoint.path.is_empty() {
            "/"
        } else {
            &self.endpoint.path
        };
        let request = Request::post(path)
            .header(header::HOST, self.endpoint.origin.authority())
            .header(header::AUTHORIZATION, authorization)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))
            .map_err(|e| e.to_string())?;
        let received = pool.send(&self.endpoint.origin, request).await?;
        let answer = Json::read(&received.body, ReadOptions::default()).ok();
        if received.status != 200 {
            // An error's own members are safe to show (RFC 6749, section 5.2); the rest of a body may not be.
            let text = |member: &str| {
                answer
                    .as_ref()
                    .and_then(|answer| answer.get(member))
                    .and_then(Json::as_str)
                    .unwrap_or_default()
            };
            return Err(format!(
                "HTTP {} {} {}",
                received.status,
                text("error"),
                text("error_description")
            )
            .trim_end()
            .to_owned());
        }
        let answer = answer.ok_or("the answer is not JSON")?;
        let token = answer
            .get("access_token")
            .and_then(Json::as_str)
            .ok_or("the answer has no `access_token`")?;
        let claims = claims(token);
        for claim in &self.claims {
            let found = claims
                .as_ref()
                .and_then(|claims| claims.get(claim))
                .is_some_and(|value| !value.is_null());
            if !found {
                return Err(format!(
                    "the token has no claim `{claim}`, which the settings ask for"
                ));
            }
        }
        let lives = lives(&answer, claims.as_ref());
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| "the token cannot be sent as an HTTP header")?;
        header.set_sensitive(true);
        Ok(Token {
            header,
            renew_at: Instant::now()
                + lives
                    .checked_sub(self.buffer)
                    .filter(|rest| !rest.is_zero())
                    .unwrap_or(lives),
        })
    }
}

/// For how long a token is valid; zero when nothing says so, which fetches one for every request.
fn lives(answer: &Json, claims: Option<&Json>) -> Duration {
    let seconds = |json: &Json| json.as_i64().and_then(|n| u64::try_from(n).ok());
    if let Some(seconds) = answer.get("expires_in").and_then(seconds) {
        return Duration::from_secs(seconds.min(u64::from(u32::MAX)));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let end = claims
        .and_then(|claims| claims.get("exp"))
        .and_then(seconds)
        .unwrap_or_default();
    Duration::from_secs(end.min(u64::from(u32::MAX))).saturating_sub(now)
}

/// The claims of a token that is a JWT. Its signature is the registry's business.
fn claims(token: &str) -> Option<Json> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    Json::read(std::str::from_utf8(&bytes).ok()?, ReadOptions::default()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_life_is_read_from_the_answer_or_the_token() {
        let read = |text: &str| Json::read(text, ReadOptions::default()).expect("JSON");
        assert_eq!(
            lives(&read(r#"{"expires_in":60}"#), None),
            Duration::from_secs(60)
        );
        let end = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("now")
            .as_secs()
            + 100;
        let token = format!(
            "x.{}.y",
            URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{end},"sub":"me"}}"#))
        );
        let claims = claims(&token).expect("claims");
        assert_eq!(claims.get("sub").and_then(Json::as_str), Some("me"));
        let left = lives(&read("{}"), Some(&claims));
        assert!(
            left > Duration::from_secs(90) && left <= Duration::from_secs(100),
            "{left:?}"
        );
        assert_eq!(lives(&read("{}"), None), Duration::ZERO);
    }
}
