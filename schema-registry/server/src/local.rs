//! The registry for callers of the same process.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use registry_client::{
    CacheLimits, CachedRegistry, Calls, ClientError, RestRegistry, SchemaRegistry,
};

use crate::http::handler::Api;

/// What Confluent's clients remember by default.
const LIMITS: CacheLimits = CacheLimits {
    per_subject: 1000,
    latest: 1000,
    // Asking costs no round trip, so what can change is asked for often.
    latest_ttl: Some(Duration::from_secs(1)),
};

/// Calls without HTTP: they go to the node of this process through the same paths as those that listeners take, so that they get the same answers, forwarding to the
/// leader included. There are no access rules.
#[derive(Debug, Clone)]
pub struct LocalRegistry {
    api: Arc<Api>,
}

impl LocalRegistry {
    pub(crate) fn new(api: Arc<Api>) -> Self {
        Self { api }
    }

    /// The registry as serializers see it, with what cannot change remembered.
    pub(crate) fn cached(self) -> Arc<dyn SchemaRegistry> {
        Arc::new(CachedRegistry::new(
            Arc::new(RestRegistry::new(self)),
            LIMITS,
        ))
    }
}

#[async_trait::async_trait]
impl Calls for LocalRegistry {
    async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, String), ClientError> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| ClientError {
            status: 0,
            code: 0,
            message: format!("'{method}' is no HTTP method"),
            retriable: false,
        })?;
        let (status, text) = self
            .api
            .local_call(&method, path, Bytes::from(body.unwrap_or_default()))
            .await;
        let text = String::from_utf8(text.into())
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok((status.as_u16(), text))
    }
}
