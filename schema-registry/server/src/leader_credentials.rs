//! Who this node is to the leader, when it calls for its own process.
//!
//! A change that came over HTTP is forwarded with the credentials of whoever sent it. A converter of this process has none: for it the node has its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use registry_core::RegistryError;

use crate::StartError;
use crate::properties::Properties;

const USER_INFO: &str = "millrace.registry.leader.basic.auth.user.info";
const TOKEN: &str = "millrace.registry.leader.bearer.auth.token";

/// The `Authorization` of calls that come from this process; absent by default.
#[derive(Debug, Clone, Default)]
pub struct LeaderCredentials(Option<HeaderValue>);

impl LeaderCredentials {
    /// From `millrace.registry.leader.basic.auth.user.info` or `millrace.registry.leader.bearer.auth.token`.
    pub(crate) fn from_properties(p: &Properties<'_>) -> Result<Self, StartError> {
        let (key, text) = match (p.text(USER_INFO), p.text(TOKEN)) {
            (None, None) => return Ok(Self::default()),
            (Some(_), Some(_)) => {
                return Err(StartError::setting(
                    TOKEN,
                    "",
                    format!("only one of it and '{USER_INFO}' may be set; remove the other"),
                ));
            }
            (Some(user_info), None) if user_info.contains(':') => {
                (USER_INFO, format!("Basic {}", STANDARD.encode(user_info)))
            }
            (Some(_), None) => {
                return Err(StartError::setting(
                    USER_INFO,
                    "",
                    "the form is user:password",
                ));
            }
            (None, Some(token)) => (TOKEN, format!("Bearer {token}")),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            StartError::setting(
                key,
                "",
                "it must fit into a header, without control characters",
            )
        })?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }

    /// The headers of a call of this process.
    pub(crate) fn headers(&self) -> HeaderMap {
        self.0
            .iter()
            .map(|value| (AUTHORIZATION, value.clone()))
            .collect()
    }

    /// What a call of this process is told where the leader does not let the node in; `None` for other answers.
    pub(crate) fn refused(&self, status: StatusCode) -> Option<RegistryError> {
        let text = match (status, &self.0) {
            (StatusCode::UNAUTHORIZED, None) => format!(
                "Unauthorized: the registry's leader asks who calls. Set '{USER_INFO}' (user:password) or '{TOKEN}' for this node, to what the leader accepts"
            ),
            (StatusCode::UNAUTHORIZED, Some(_)) => format!(
                "Unauthorized: the registry's leader does not accept this node's '{USER_INFO}' or '{TOKEN}'"
            ),
            (StatusCode::FORBIDDEN, _) => format!(
                "Forbidden: the registry's leader does not allow this to the user of this node ('{USER_INFO}' or '{TOKEN}')"
            ),
            _ => return None,
        };
        Some(RegistryError::new(status.as_u16().into(), text))
    }
}
