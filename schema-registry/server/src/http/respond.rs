//! What is sent back.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use registry_core::{Answer, Body, RegistryError};

use super::media_type::MediaType;

/// A response whose body is there.
pub(crate) type Reply = Response<Full<Bytes>>;

/// What a request comes to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The registry's answer.
    Answer(Answer, MediaType),
    /// The registry's refusal.
    Error(RegistryError, MediaType),
    /// A refusal that no resource was asked for: the JSON without a media type.
    Unrouted(RegistryError),
    /// What another server answered, as it came.
    Relayed {
        status: StatusCode,
        content_type: Option<HeaderValue>,
        body: Bytes,
    },
    /// 405, with the methods that are allowed.
    MethodNotAllowed(Vec<&'static str>),
    /// The answer to `OPTIONS`.
    Options(Vec<&'static str>),
    /// The answer to a pre-flight request.
    Preflight(Vec<(HeaderName, HeaderValue)>),
    /// A path that Java's web server itself refuses.
    Page(&'static str),
    /// A refusal before the registry is asked, as plain JSON: 400, 401, 403, 413.
    Refused(RegistryError, Option<HeaderValue>),
}

impl Outcome {
    /// `HTTP 404 Not Found` and its like.
    pub(crate) fn framework(status: StatusCode) -> RegistryError {
        RegistryError::new(
            i32::from(status.as_u16()),
            format!(
                "HTTP {} {}",
                status.as_u16(),
                status.canonical_reason().unwrap_or_default()
            ),
        )
    }

    /// The response.
    pub(crate) fn into_reply(self) -> Reply {
        match self {
            Self::Answer(answer, media) => match answer.body {
                Body::Text(text) => reply(
                    status(answer.status),
                    Some(media.header()),
                    Bytes::from(text),
                ),
                Body::Empty => reply(status(answer.status), None, Bytes::new()),
            },
            Self::Error(error, media) => error_reply(&error, Some(media.header())),
            Self::Unrouted(error) => error_reply(&error, None),
            Self::Relayed {
                status,
                content_type,
                body,
            } => reply(status, content_type, body),
            Self::MethodNotAllowed(allowed) => {
                let mut response =
                    error_reply(&Self::framework(StatusCode::METHOD_NOT_ALLOWED), None);
                allow(&mut response, &allowed);
                response
            }
            Self::Options(allowed) => {
                let text = allowed.join(", ");
                let mut response = reply(
                    StatusCode::OK,
                    Some(HeaderValue::from_static("text/plain")),
                    Bytes::from(text),
                );
                allow(&mut response, &allowed);
                response
            }
            Self::Preflight(headers) => {
                let mut response = reply(StatusCode::OK, None, Bytes::new());
                response.headers_mut().extend(headers);
                response
            }
            Self::Page(reason) => reply(
                StatusCode::BAD_REQUEST,
                Some(HeaderValue::from_static("text/html;charset=iso-8859-1")),
                Bytes::from(page(reason)),
            ),
            Self::Refused(error, challenge) => {
                let mut response =
                    error_reply(&error, Some(HeaderValue::from_static("application/json")));
                if let Some(challenge) = challenge {
                    response
                        .headers_mut()
                        .insert(header::WWW_AUTHENTICATE, challenge);
                }
                response
            }
        }
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn error_reply(error: &RegistryError, content_type: Option<HeaderValue>) -> Reply {
    reply(
        status(error.status()),
        content_type,
        Bytes::from(error.body()),
    )
}

fn reply(status: StatusCode, content_type: Option<HeaderValue>, body: Bytes) -> Reply {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    if let Some(value) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

fn allow(response: &mut Reply, methods: &[&str]) {
    if let Ok(value) = HeaderValue::from_str(&methods.join(",")) {
        response.headers_mut().insert(header::ALLOW, value);
    }
}

fn page(reason: &str) -> String {
    format!(
        "<html>\n<head>\n<title>Error 400 {reason}</title>\n</head>\n<body>\n<h2>HTTP ERROR 400 {reason}</h2>\n</body>\n</html>\n"
    )
}
