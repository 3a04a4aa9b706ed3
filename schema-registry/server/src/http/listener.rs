//! `listeners`: where to listen.

use std::fmt;
use std::io;
use std::net::Ipv4Addr;

use tokio::net::TcpListener;

use crate::StartError;

/// How a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Reads `http` or `https`, in any case of letters.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("http") {
            Some(Self::Http)
        } else if text.eq_ignore_ascii_case("https") {
            Some(Self::Https)
        } else {
            None
        }
    }
}

/// One item of `listeners`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerUri {
    /// Name, where the item begins with one that `listener.protocol.map` maps to a scheme.
    pub name: Option<String>,
    /// Scheme.
    pub scheme: Scheme,
    /// Host name or address, an IPv6 address without brackets; empty listens on all interfaces.
    pub host: String,
    /// Port; 0 takes a free one.
    pub port: u16,
}

impl ListenerUri {
    /// Reads a comma-separated list of `scheme://host:port`; blank items are left out. `names` are the entries of `listener.protocol.map`.
    ///
    /// # Errors
    /// The first item of another form, under `key`.
    pub fn parse_list(
        key: &str,
        text: &str,
        names: &[(String, Scheme)],
    ) -> Result<Vec<Self>, StartError> {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| Self::parse(key, item, names))
            .collect()
    }

    fn parse(key: &str, text: &str, names: &[(String, Scheme)]) -> Result<Self, StartError> {
        let form = "a listener has the form scheme://host:port, for example http://0.0.0.0:8081";
        let malformed = || StartError::setting(key, text, form);
        let (scheme, rest) = text.split_once("://").ok_or_else(malformed)?;
        let named = names
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(scheme));
        let (name, scheme) = match (named, Scheme::parse(scheme)) {
            (Some((name, scheme)), _) => (Some(name.clone()), *scheme),
            (None, Some(scheme)) => (None, scheme),
            (None, None) => {
                return Err(StartError::setting(
                    key,
                    text,
                    format!(
                        "'{scheme}' is neither http nor https nor a name that 'listener.protocol.map' maps to one of them"
                    ),
                ));
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or_else(malformed)?;
        let host = host.strip_prefix('[').unwrap_or(host);
        let host = host.strip_suffix(']').unwrap_or(host);
        if !host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-%._:".contains(&byte))
        {
            return Err(malformed());
        }
        let port = port.parse().map_err(|_| {
            StartError::setting(
                key,
                text,
                format!("the port must be between 0 and 65535; {form}"),
            )
        })?;
        Ok(Self {
            name,
            scheme,
            host: host.to_owned(),
            port,
        })
    }

    /// Whether the host is none that others could use: empty, `0.0.0.0` or `::`.
    pub(crate) fn listens_everywhere(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::")
    }

    pub(crate) async fn bind(&self, key: &'static str) -> Result<TcpListener, StartError> {
        self.bind_address()
            .await
            .map_err(|source| StartError::Listen {
                key,
                address: self.to_string(),
                source,
            })
    }

    async fn bind_address(&self) -> io::Result<TcpListener> {
        if !self.host.is_empty() {
            return TcpListener::bind((self.host.as_str(), self.port)).await;
        }
        match TcpListener::bind(("::", self.port)).await {
            // A machine without IPv6.
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
                ) =>
            {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port)).await
            }
            bound => bound,
        }
    }
}

impl fmt::Display for ListenerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", url(self.scheme, &self.host, self.port))
    }
}

/// `scheme://host:port`, an IPv6 address in brackets.
pub(crate) fn url(scheme: Scheme, host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("{}://[{host}]:{port}", scheme.name())
    } else {
        format!("{}://{host}:{port}", scheme.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_listeners() {
        let names = [("INTERNAL".to_owned(), Scheme::Https)];
        let all = ListenerUri::parse_list(
            "listeners",
            "http://0.0.0.0:8081, INTERNAL://[::1]:8082,",
            &names,
        )
        .expect("two listeners");
        assert_eq!(all.len(), 2);
        assert!(all[0].listens_everywhere() && !all[1].listens_everywhere());
        assert_eq!(
            (all[1].scheme, all[1].to_string().as_str()),
            (Scheme::Https, "https://[::1]:8082")
        );
        for wrong in [
            "8081",
            "http://:x",
            "http://a:99999",
            "ftp://a:1",
            "http://a b:1",
            "http://a",
        ] {
            let error = ListenerUri::parse_list("listeners", wrong, &names)
                .expect_err(wrong)
                .to_string();
            assert!(
                error.contains("'listeners'") && error.contains(wrong),
                "{error}"
            );
        }
    }
}
