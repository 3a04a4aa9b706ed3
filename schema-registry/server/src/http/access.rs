//! `authentication.*`: who may call.

use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use md5::{Digest, Md5};

use crate::StartError;

/// Who may call the registry.
#[derive(Debug, Clone, Default)]
pub struct Access {
    method: Method,
    /// `authentication.skip.paths`
    skip: Vec<String>,
}

#[derive(Debug, Clone, Default)]
enum Method {
    #[default]
    Open,
    Basic {
        challenge: HeaderValue,
        roles: Roles,
        users: HashMap<String, User>,
    },
    Bearer {
        challenge: HeaderValue,
        /// Compared one by one, each to its end.
        tokens: Vec<Token>,
    },
}

/// `authentication.roles`.
#[derive(Debug, Clone)]
enum Roles {
    /// `*` or `**`: everybody who is known.
    Any,
    Of(Vec<String>),
}

#[derive(Clone)]
struct User {
    password: Password,
    roles: Vec<String>,
}

#[derive(Clone)]
enum Password {
    Plain(String),
    Md5([u8; 16]),
}

#[derive(Clone)]
struct Token {
    text: String,
    principal: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Allowed,
    /// 401 with this challenge.
    Unknown(HeaderValue),
    /// 403: known, but in none of the roles.
    Forbidden,
}

impl Access {
    /// Everybody.
    pub fn open() -> Self {
        Self::default()
    }

    /// HTTP basic authentication. `users` is the text of a file with lines of `user: password,role,…`, as Java's `PropertyFileLoginModule` reads it; a password may be
    /// `MD5:` and its hash. `roles` are those that may call; `*` is everybody in the file.
    ///
    /// # Errors
    /// A line of another form, or a password in a form that is not read (`OBF:`, `CRYPT:`), by its line.
    pub fn basic(
        realm: &str,
        roles: &[String],
        users_path: &str,
        users: &str,
    ) -> Result<Self, StartError> {
        let mut all = HashMap::new();
        for (at, line) in users.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let refuse = |problem: &str| {
                StartError::setting(
                    "millrace.registry.users.file",
                    users_path,
                    format!("line {}: {problem}", at + 1),
                )
            };
            let (name, rest) = line
                .split_once([':', '='])
                .ok_or_else(|| refuse("the form is user: password,role"))?;
            let mut parts = rest.split(',').map(str::trim);
            let password = parts.next().unwrap_or_default();
            let password = match password.split_once(':') {
                Some(("MD5", hash)) => Password::Md5(
                    unhex(hash)
                        .ok_or_else(|| refuse("MD5: must be followed by 32 hexadecimal digits"))?,
                ),
                Some((form @ ("OBF" | "CRYPT"), _)) => {
                    return Err(refuse(&format!(
                        "passwords in the form {form}: are not read; write the password itself, or MD5: and its hash (printf %s PASSWORD | md5sum)"
                    )));
                }
                _ => Password::Plain(password.to_owned()),
            };
            let user = User {
                password,
                roles: parts
                    .filter(|role| !role.is_empty())
                    .map(str::to_owned)
                    .collect(),
            };
            all.insert(name.trim().to_owned(), user);
        }
        Ok(Self {
            method: Method::Basic {
                challenge: challenge("basic", realm)?,
                roles: if roles.iter().any(|role| role == "*" || role == "**") {
                    Roles::Any
                } else {
                    Roles::Of(roles.to_vec())
                },
                users: all,
            },
            skip: Vec::new(),
        })
    }

    /// Bearer tokens. `tokens` is the text of a file with lines of `token=principal`.
    ///
    /// # Errors
    /// A line of another form.
    pub fn bearer(realm: &str, tokens_path: &str, tokens: &str) -> Result<Self, StartError> {
        let mut all = Vec::new();
        for (at, line) in tokens.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // Tokens end in `=` where they are Base64, so the last one separates.
            let (token, principal) = line
                .rsplit_once('=')
                .filter(|(token, principal)| !token.is_empty() && !principal.is_empty())
                .ok_or_else(|| {
                    StartError::setting(
                        "millrace.registry.tokens.file",
                        tokens_path,
                        format!("line {}: the form is token=principal", at + 1),
                    )
                })?;
            all.push(Token {
                text: token.trim().to_owned(),
                principal: principal.trim().to_owned(),
            });
        }
        Ok(Self {
            method: Method::Bearer {
                challenge: challenge("bearer", realm)?,
                tokens: all,
            },
            skip: Vec::new(),
        })
    }

    /// Paths that anybody may call: `/exact`, or `/prefix/*`.
    #[must_use]
    pub fn skipping(mut self, paths: Vec<String>) -> Self {
        self.skip = paths;
        self
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.method, Method::Open)
    }

    /// Judges a request by its path and headers.
    pub(crate) fn judge(&self, path: &str, headers: &HeaderMap) -> Verdict {
        if self.is_open() || self.skip.iter().any(|pattern| covers(pattern, path)) {
            return Verdict::Allowed;
        }
        let sent = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.trim().split_once(' '));
        match &self.method {
            Method::Open => Verdict::Allowed,
            Method::Basic {
                challenge,
                roles,
                users,
            } => {
                let user = sent
                    .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
                    .and_then(|(_, text)| STANDARD.decode(text.trim()).ok())
                    .and_then(|text| String::from_utf8(text).ok())
                    .and_then(|text| {
                        let (name, password) = text.split_once(':')?;
                        users.get(name).filter(|user| user.password.is(password))
                    });
                match (user, roles) {
                    (None, _) => Verdict::Unknown(challenge.clone()),
                    (Some(_), Roles::Any) => Verdict::Allowed,
                    (Some(user), Roles::Of(roles))
                        if user.roles.iter().any(|role| roles.contains(role)) =>
                    {
                        Verdict::Allowed
                    }
                    (Some(_), Roles::Of(_)) => Verdict::Forbidden,
                }
            }
            Method::Bearer { challenge, tokens } => {
                let known = sent.is_some_and(|(scheme, text)| {
                    scheme.eq_ignore_ascii_case("bearer")
                        && tokens.iter().fold(false, |known, token| {
                            known | same(token.text.as_bytes(), text.trim().as_bytes())
                        })
                });
                if known {
                    Verdict::Allowed
                } else {
                    Verdict::Unknown(challenge.clone())
                }
            }
        }
    }
}

impl Password {
    fn is(&self, sent: &str) -> bool {
        match self {
            Self::Plain(text) => same(text.as_bytes(), sent.as_bytes()),
            Self::Md5(hash) => same(hash, &Md5::digest(sent.as_bytes())),
        }
    }
}

/// Equality that takes the same time wherever two texts of one length differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let mut out = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in out.iter_mut().zip((0..32).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(out)
}

fn challenge(scheme: &str, realm: &str) -> Result<HeaderValue, StartError> {
    HeaderValue::from_str(&format!("{scheme} realm=\"{}\"", realm.replace('"', "'"))).map_err(
        |_| {
            StartError::setting(
                "authentication.realm",
                realm,
                "printable characters are allowed",
            )
        },
    )
}

fn covers(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some(prefix) => {
            path == prefix
                || path
                    .strip_prefix(prefix)
                    .is_some_and(|rest| rest.starts_with('/'))
        }
        None => pattern == path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            AUTHORIZATION,
            HeaderValue::from_str(text).expect("a header value"),
        )])
    }

    fn basic(user: &str, password: &str) -> HeaderMap {
        header(&format!(
            "Basic {}",
            STANDARD.encode(format!("{user}:{password}"))
        ))
    }

    #[test]
    fn users_passwords_roles_and_open_paths() {
        let users = "# comment\nann: secret:with,admin\nbob=MD5:5ebe2294ecd0e0f08eab7690d2a6ee69,reader,other\n";
        let access = Access::basic("SR", &["admin".into()], "users", users)
            .expect("users")
            .skipping(vec!["/v1/metadata/*".into(), "/".into()]);
        let unknown = || Verdict::Unknown(HeaderValue::from_static("basic realm=\"SR\""));
        assert_eq!(access.judge("/subjects", &HeaderMap::new()), unknown());
        assert_eq!(
            access.judge("/subjects", &basic("ann", "secret:with")),
            Verdict::Allowed
        );
        assert_eq!(access.judge("/subjects", &basic("ann", "wrong")), unknown());
        assert_eq!(
            access.judge("/subjects", &basic("bob", "secret")),
            Verdict::Forbidden
        );
        assert_eq!(
            access.judge("/subjects", &basic("eve", "secret")),
            unknown()
        );
        assert_eq!(access.judge("/subjects", &header("Bearer x")), unknown());
        assert_eq!(
            access.judge("/v1/metadata/id", &HeaderMap::new()),
            Verdict::Allowed
        );
        assert_eq!(access.judge("/v1/metadata2", &HeaderMap::new()), unknown());
        let any = Access::basic("SR", &["*".into()], "users", users).expect("users");
        assert_eq!(
            any.judge("/subjects", &basic("bob", "secret")),
            Verdict::Allowed
        );
        assert!(!format!("{access:?}").contains("secret"));
    }

    #[test]
    fn forms_of_passwords_that_are_not_read_are_refused_by_name() {
        for (line, named) in [
            ("a: OBF:1abc,admin", "OBF"),
            ("a: CRYPT:x,admin", "CRYPT"),
            ("a: MD5:12,admin", "32 hexadecimal"),
            ("a", "user: password"),
        ] {
            let error = Access::basic("SR", &[], "users", line)
                .expect_err(line)
                .to_string();
            assert!(error.contains(named) && error.contains("line 1"), "{error}");
        }
    }

    #[test]
    fn bearer_tokens() {
        let access = Access::bearer("SR", "tokens", "abc==ann\nother=bob\n").expect("tokens");
        assert_eq!(access.judge("/", &header("Bearer abc=")), Verdict::Allowed);
        assert_eq!(access.judge("/", &header("bearer other")), Verdict::Allowed);
        assert!(matches!(
            access.judge("/", &header("Bearer abc")),
            Verdict::Unknown(_)
        ));
        assert!(Access::bearer("SR", "tokens", "token-without-principal=").is_err());
    }
}
