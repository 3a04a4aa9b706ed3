use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use millrace_api::config::{ConnectConfig as _, Props};
use millrace_api::plugin::TaskError;
use parking_lot::Mutex;

use crate::http::HttpCalls;
use crate::http::url::BaseUrl;
use crate::settings::{ClientConfig, HEADER_PREFIX, invalid, own};
use crate::{CacheLimits, CachedRegistry, RestRegistry, SchemaRegistry};

/// The registries that converters of this process talk to: one client per set of settings, however many tasks there are.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    inner: Arc<Inner>,
}

/// The settings of a client, sorted.
type Identity = Vec<(String, String)>;

#[derive(Default)]
struct Inner {
    /// By base URL.
    local: Mutex<HashMap<String, Arc<dyn SchemaRegistry>>>,
    /// By everything that makes a client what it is, secrets included. A client lives as long as somebody uses it.
    clients: Mutex<HashMap<Identity, Weak<CachedRegistry>>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries")
            .field("local", &self.local.lock().keys().collect::<Vec<_>>())
            .field("clients", &self.clients.lock().len())
            .finish_non_exhaustive()
    }
}

impl Registries {
    /// None yet; clients are made when they are first asked for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every settings whose `schema.registry.url` names one of `urls` use `registry` directly: a registry in this process.
    pub fn add_local(&self, urls: &[String], registry: Arc<dyn SchemaRegistry>) {
        let mut local = self.inner.local.lock();
        for url in urls {
            local.insert(canonical(url), Arc::clone(&registry));
        }
    }

    /// The client for a converter's settings (`schema.registry.url`, authentication, TLS, timeouts).
    ///
    /// # Errors
    /// A setting that is missing or cannot be obeyed, by name.
    pub fn client(&self, props: &Props) -> Result<Arc<dyn SchemaRegistry>, TaskError> {
        let props = own(props);
        let config = ClientConfig::parse(&props).map_err(|errors| invalid(&errors))?;
        {
            let local = self.inner.local.lock();
            if let Some(registry) = config
                .urls
                .iter()
                .find_map(|url| local.get(&canonical(url)))
            {
                return Ok(Arc::clone(registry));
            }
        }
        let key = identity(&props);
        let mut clients = self.inner.clients.lock();
        if let Some(client) = clients.get(&key).and_then(Weak::upgrade) {
            return Ok(client);
        }
        clients.retain(|_, client| client.strong_count() > 0);
        let rest = RestRegistry::new(HttpCalls::new(&config, &props)?);
        let client = Arc::new(CachedRegistry::new(Arc::new(rest), limits(&config)));
        clients.insert(key, Arc::downgrade(&client));
        Ok(client)
    }
}

fn limits(config: &ClientConfig) -> CacheLimits {
    CacheLimits {
        per_subject: usize::try_from(config.max_schemas_per_subject).unwrap_or_default(),
        latest: usize::try_from(config.latest_cache_size).unwrap_or_default(),
        latest_ttl: u64::try_from(config.latest_cache_ttl_sec)
            .ok()
            .map(Duration::from_secs),
    }
}

/// What distinguishes a client from another: its own settings, not those of the converter beside them.
fn identity(props: &Props) -> Identity {
    let definition = ClientConfig::definition();
    let counts = |key: &str| {
        definition.contains(key)
            || key.starts_with(HEADER_PREFIX)
            || matches!(key, "sasl.jaas.config" | "sasl.mechanism")
    };
    let mut all: Identity = props
        .iter()
        .filter(|(key, _)| counts(key))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect();
    all.sort();
    all
}

/// One spelling for a base URL, without credentials; what is no URL stays as it is.
fn canonical(url: &str) -> String {
    BaseUrl::parse(url).map_or_else(|_| url.trim().to_owned(), |url| url.to_string())
}
