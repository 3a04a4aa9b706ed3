//! `listeners` and `admin.listeners`.

use std::fmt;

use crate::error::RestError;

/// Where to listen: one item of `listeners`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerUri {
    /// Host name or address, an IPv6 address without brackets; empty listens on all interfaces.
    pub host: String,
    /// Port; 0 takes a free one.
    pub port: u16,
}

impl ListenerUri {
    /// Reads `http://host:port`. `key` is the worker's key that an error names.
    ///
    /// # Errors
    /// Another form, another scheme than `http`, or a port above 65535.
    pub fn parse(key: &'static str, text: &str) -> Result<Self, RestError> {
        let malformed = || {
            RestError::invalid(
                key,
                text,
                "Listener doesn't have the right format (protocol://hostname:port). For example: http://127.0.0.1:8083",
            )
        };
        let (scheme, rest) = text.rsplit_once("://").ok_or_else(malformed)?;
        let (host, port) = rest.rsplit_once(':').ok_or_else(malformed)?;
        let host = host.strip_prefix('[').unwrap_or(host);
        let host = host.strip_suffix(']').unwrap_or(host);
        if !host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-%._:".contains(&b))
            || port.is_empty()
        {
            return Err(malformed());
        }
        if scheme.eq_ignore_ascii_case("https") {
            return Err(RestError::invalid(
                key,
                text,
                "this worker serves http only: listen on a loopback address and let a proxy in front of it do TLS",
            ));
        }
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(RestError::invalid(
                key,
                text,
                r#"Listener protocol must be either "http" or "https"."#,
            ));
        }
        if !port.bytes().all(|b| b.is_ascii_digit())
            && !port
                .strip_prefix('-')
                .is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(malformed());
        }
        let port = port
            .parse()
            .map_err(|_| RestError::invalid(key, text, "the port must be between 0 and 65535"))?;
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }

    /// Reads a comma-separated list; blank items are left out.
    ///
    /// # Errors
    /// Those of [`ListenerUri::parse`].
    pub fn parse_list(key: &'static str, text: &str) -> Result<Vec<Self>, RestError> {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| Self::parse(key, item))
            .collect()
    }
}

impl fmt::Display for ListenerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", bracketed(&self.host), self.port)
    }
}

/// A host as it stands in a URL.
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ListenerUri, String> {
        ListenerUri::parse("listeners", text).map_err(|e| e.to_string())
    }

    #[test]
    fn the_grammar_is_java_s() {
        assert_eq!(
            parse("http://127.0.0.1:8083"),
            Ok(ListenerUri {
                host: "127.0.0.1".into(),
                port: 8083
            })
        );
        assert_eq!(
            parse("HTTP://:0"),
            Ok(ListenerUri {
                host: String::new(),
                port: 0
            })
        );
        assert_eq!(
            parse("http://[::1]:8083"),
            Ok(ListenerUri {
                host: "::1".into(),
                port: 8083
            })
        );
        assert_eq!(
            parse("http://[::1]:8083").expect("valid").to_string(),
            "http://[::1]:8083"
        );
        for wrong in [
            "",
            "8083",
            "localhost:8083",
            "http://localhost",
            "http://a b:1",
            "http://h:x",
            "http://h:",
        ] {
            let error = parse(wrong).expect_err(wrong);
            assert!(
                error
                    .contains("Listener doesn't have the right format (protocol://hostname:port)."),
                "{error}"
            );
            assert!(
                error.starts_with(&format!(
                    "Invalid value {wrong} for configuration listeners: "
                )),
                "{error}"
            );
        }
        assert!(
            parse("ftp://h:1")
                .expect_err("scheme")
                .ends_with(r#"Listener protocol must be either "http" or "https"."#)
        );
        assert!(
            parse("https://h:1")
                .expect_err("no TLS")
                .contains("http only")
        );
        assert!(
            parse("http://h:65536")
                .expect_err("port")
                .contains("between 0 and 65535")
        );
        assert!(
            parse("http://h:-1")
                .expect_err("port")
                .contains("between 0 and 65535")
        );
    }

    #[test]
    fn a_list_may_have_blank_items() {
        let list = ListenerUri::parse_list("listeners", "http://a:1, ,http://b:2,").expect("valid");
        assert_eq!(
            list.iter().map(|l| l.host.as_str()).collect::<Vec<_>>(),
            ["a", "b"]
        );
    }
}
