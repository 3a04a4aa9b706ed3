use std::fmt;

use millrace_api::config::Secret;

use crate::percent::unescaped;

/// A base URL taken apart. Its credentials are kept apart and never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    pub(crate) origin: Origin,
    /// Path without a slash at its end; empty for the root.
    pub(crate) path: String,
    /// `user:password` of the URL, unescaped.
    pub(crate) user_info: Option<Secret<String>>,
}

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) tls: bool,
    /// Lower case; IPv6 addresses without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    /// `host:port` as the `Host` header wants it: without the port where it is the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == default_port(self.tls) {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

impl BaseUrl {
    /// Parses `http://user:password@host:port/path`. The error says what is wrong and holds no part of the URL.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text
            .trim()
            .split_once("://")
            .ok_or("a URL begins with http:// or https://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            "mock" => {
                return Err("mock registries exist in Java tests only; use http:// or https://");
            }
            _ => return Err("a URL begins with http:// or https://"),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if path.contains(['?', '#']) {
            return Err("the URL of a registry has no query and no fragment");
        }
        let (user_info, host_port) = match authority.rsplit_once('@') {
            Some((user_info, host_port)) => (Some(user_info), host_port),
            None => (None, authority),
        };
        let user_info = match user_info {
            Some(text) => Some(Secret::new(
                unescaped(text).ok_or("user and password are not UTF-8")?,
            )),
            None => None,
        };
        let (host, port) = match host_port.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest
                    .split_once(']')
                    .ok_or("the IPv6 address has no closing bracket")?;
                (
                    host,
                    port.strip_prefix(':')
                        .or(if port.is_empty() { Some("") } else { None })
                        .ok_or("after the IPv6 address comes : and a port")?,
                )
            }
            None => host_port.split_once(':').unwrap_or((host_port, "")),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("the URL names no host");
        }
        let port = match port {
            "" => default_port(tls),
            port => port
                .parse()
                .map_err(|_| "the port is a number from 0 to 65535")?,
        };
        if path.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
            return Err("blanks and other characters in the path are to be percent-encoded");
        }
        Ok(Self {
            origin: Origin {
                tls,
                host: host.to_ascii_lowercase(),
                port,
            },
            path: path.trim_end_matches('/').to_owned(),
            user_info,
        })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.origin.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.origin.authority(), self.path)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_credentials_are_not_printed() {
        let url =
            BaseUrl::parse("HTTPS://us%40er:pa%3Ass@Registry.Example:8443/api/").expect("a URL");
        assert_eq!(
            url.user_info.as_ref().map(|u| u.expose().as_str()),
            Some("us@er:pa:ss")
        );
        assert_eq!(
            format!("{url} {url:?}"),
            "https://registry.example:8443/api https://registry.example:8443/api"
        );
        let url = BaseUrl::parse("http://[::1]:8081").expect("a URL");
        assert_eq!(
            (url.origin.host.as_str(), url.origin.authority().as_str()),
            ("::1", "[::1]:8081")
        );
        assert_eq!(BaseUrl::parse("http://a").expect("a URL").origin.port, 80);
    }

    #[test]
    fn wrong_urls_are_refused() {
        for text in [
            "a:8081",
            "ftp://a",
            "mock://x",
            "http://",
            "http://:1",
            "http://a:x",
            "http://a/b?c",
            "http://[::1",
            "http://a/b c",
            "http://a:70000",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }
}
