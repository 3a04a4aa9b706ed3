//! What the worker's properties say about REST.

use std::time::Duration;

use millrace_api::config::Props;

use crate::cross_origin::CrossOrigin;
use crate::error::RestError;
use crate::listener_uri::ListenerUri;
use crate::response_headers::ResponseHeaders;

/// Where `/admin/loggers` is served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AdminListeners {
    /// Beside everything else.
    #[default]
    Shared,
    /// Nowhere: 404.
    Disabled,
    /// On these, which serve nothing else.
    Separate(Vec<ListenerUri>),
}

/// How REST is served. [`RestOptions::default`] listens on 127.0.0.1:8083 only.
#[derive(Debug, Clone)]
pub struct RestOptions {
    /// `listeners`
    pub listeners: Vec<ListenerUri>,
    /// `admin.listeners`
    pub admin: AdminListeners,
    /// `rest.advertised.host.name`: the host in the advertised URL and in `worker_id`.
    pub advertised_host: Option<String>,
    /// `rest.advertised.port`
    pub advertised_port: Option<u16>,
    /// `access.control.allow.origin` and `access.control.allow.methods`; `None` answers without a word about origins.
    pub cross_origin: Option<CrossOrigin>,
    /// `response.http.headers.config`
    pub response_headers: ResponseHeaders,
    /// How long the herder may take to answer.
    pub request_timeout: Duration,
    /// How long requests may take to finish when the server stops.
    pub stop_timeout: Duration,
    /// The largest body that is read, in bytes.
    pub body_limit: usize,
    /// Connections open at once, per listener; more wait in the system's queue.
    pub max_connections: usize,
}

impl Default for RestOptions {
    fn default() -> Self {
        Self {
            listeners: vec![ListenerUri {
                host: "127.0.0.1".into(),
                port: 8083,
            }],
            admin: AdminListeners::Shared,
            advertised_host: None,
            advertised_port: None,
            cross_origin: None,
            response_headers: ResponseHeaders::default(),
            request_timeout: Duration::from_secs(90),
            stop_timeout: Duration::from_secs(60),
            body_limit: 32 << 20,
            max_connections: 1024,
        }
    }
}

impl RestOptions {
    /// Reads the keys of a worker's properties that concern REST; the rest is left alone. An absent key keeps [`RestOptions::default`].
    ///
    /// # Errors
    /// The first key whose value cannot be obeyed.
    pub fn from_properties(worker: &Props) -> Result<Self, RestError> {
        let mut options = Self::default();
        if let Some(text) = worker.get("listeners") {
            options.listeners = ListenerUri::parse_list("listeners", text)?;
            if options.listeners.is_empty() {
                return Err(RestError::invalid(
                    "listeners",
                    text,
                    "at least one listener is needed, for example http://127.0.0.1:8083",
                ));
            }
        }
        if let Some(text) = worker.get("admin.listeners") {
            let listeners = ListenerUri::parse_list("admin.listeners", text)?;
            options.admin = if listeners.is_empty() {
                AdminListeners::Disabled
            } else {
                AdminListeners::Separate(listeners)
            };
        }
        options.advertised_host = worker
            .get("rest.advertised.host.name")
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(str::to_owned);
        if let Some(text) = worker.get("rest.advertised.port") {
            let port = text.trim().parse().map_err(|_| {
                RestError::invalid(
                    "rest.advertised.port",
                    text,
                    "a port between 0 and 65535 is needed",
                )
            })?;
            options.advertised_port = Some(port);
        }
        if let Some(text) = worker
            .get("rest.advertised.listener")
            .filter(|text| !text.eq_ignore_ascii_case("http"))
        {
            return Err(RestError::invalid(
                "rest.advertised.listener",
                text,
                "only http can be advertised, because only http is served",
            ));
        }
        if let Some(text) = worker
            .get("rest.extension.classes")
            .filter(|text| !text.trim().is_empty())
        {
            return Err(RestError::invalid(
                "rest.extension.classes",
                text,
                "REST extensions are Java classes and cannot be loaded here: remove the key, and let a proxy in front of the worker authenticate",
            ));
        }
        options.cross_origin = CrossOrigin::new(
            worker
                .get("access.control.allow.origin")
                .unwrap_or_default(),
            worker
                .get("access.control.allow.methods")
                .unwrap_or_default(),
        )?;
        options.response_headers = ResponseHeaders::parse(
            worker
                .get("response.http.headers.config")
                .unwrap_or_default(),
        )?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<RestOptions, String> {
        let mut props = Props::new();
        for (key, value) in pairs {
            props.insert(*key, *value);
        }
        RestOptions::from_properties(&props).map_err(|e| e.to_string())
    }

    #[test]
    fn nothing_configured_is_loopback() {
        let options = read(&[("bootstrap.servers", "b:9092")]).expect("valid");
        assert_eq!(
            options.listeners,
            [ListenerUri {
                host: "127.0.0.1".into(),
                port: 8083
            }]
        );
        assert_eq!(options.admin, AdminListeners::Shared);
        assert!(options.cross_origin.is_none());
        assert_eq!(options.request_timeout, Duration::from_secs(90));
    }

    #[test]
    fn every_key_is_read() {
        let options = read(&[
            ("listeners", "http://0.0.0.0:1,http://:2"),
            ("admin.listeners", "http://127.0.0.1:3"),
            ("rest.advertised.host.name", "w1.example"),
            ("rest.advertised.port", "81"),
            ("rest.advertised.listener", "http"),
            ("access.control.allow.origin", "*"),
            ("response.http.headers.config", "set X-A: b"),
        ])
        .expect("valid");
        assert_eq!(options.listeners.len(), 2);
        assert_eq!(
            options.admin,
            AdminListeners::Separate(vec![ListenerUri {
                host: "127.0.0.1".into(),
                port: 3
            }])
        );
        assert_eq!(
            (options.advertised_host.as_deref(), options.advertised_port),
            (Some("w1.example"), Some(81))
        );
        assert!(options.cross_origin.is_some());
        assert_eq!(
            read(&[("admin.listeners", " ")]).expect("valid").admin,
            AdminListeners::Disabled
        );
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused() {
        for (key, value, part) in [
            ("listeners", " , ", "at least one listener"),
            ("rest.advertised.port", "x", "between 0 and 65535"),
            ("rest.advertised.listener", "https", "only http"),
            ("rest.extension.classes", "a.B", "Java classes"),
            (
                "response.http.headers.config",
                "put A: b",
                "Invalid header config action: 'put'",
            ),
            ("admin.listeners", "nope", "right format"),
        ] {
            let error = read(&[(key, value)]).expect_err(key);
            assert!(error.contains(part) && error.contains(key), "{error}");
        }
    }
}
