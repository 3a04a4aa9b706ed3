//! Answers and errors on the wire.

use std::fmt;

use axum::body::Body;
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use millrace_worker::herder::HerderError;
use serde::Serialize;

use crate::request_target::Refused;
use crate::wire_json;

/// What a request is answered with when it is carried out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    status: StatusCode,
    content: Option<(&'static str, Vec<u8>)>,
    location: Option<String>,
}

impl Answer {
    /// No body: 204 or 202.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            content: None,
            location: None,
        }
    }

    /// JSON.
    pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<Self, ApiError> {
        let bytes = wire_json::to_vec(value).map_err(|e| {
            ApiError::internal(format!("The answer cannot be written as JSON: {e}"))
        })?;
        Ok(Self {
            status,
            content: Some(("application/json", bytes)),
            location: None,
        })
    }

    /// JSON with 200.
    pub(crate) fn ok(value: &impl Serialize) -> Result<Self, ApiError> {
        Self::json(StatusCode::OK, value)
    }

    /// Text with 200.
    pub(crate) fn text(content_type: &'static str, text: String) -> Self {
        Self {
            status: StatusCode::OK,
            content: Some((content_type, text.into_bytes())),
            location: None,
        }
    }

    /// Names what was created.
    pub(crate) fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = respond(self.status, self.content);
        if let Some(location) = self
            .location
            .and_then(|text| HeaderValue::try_from(text).ok())
        {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// Why a request is not carried out: `{"error_code": status, "message": message}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// Errors raised before a resource's method is chosen carry no `Content-Type`.
    typed: bool,
}

impl ApiError {
    /// An error of a resource's method.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            typed: true,
        }
    }

    /// 500
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// `HTTP <code> <reason>`, raised inside a resource's method.
    pub(crate) fn http(status: StatusCode) -> Self {
        Self::new(
            status,
            format!(
                "HTTP {} {}",
                status.as_u16(),
                status.canonical_reason().unwrap_or_default()
            ),
        )
    }

    /// The same, raised before one was chosen.
    pub(crate) fn unrouted(status: StatusCode) -> Self {
        Self {
            typed: false,
            ..Self::http(status)
        }
    }

    pub(crate) fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Wire<'a> {
            error_code: u16,
            message: &'a str,
        }
        let wire = Wire {
            error_code: self.status.as_u16(),
            message: &self.message,
        };
        let mut response = respond(
            self.status,
            Some((
                "application/json",
                wire_json::to_vec(&wire).unwrap_or_default(),
            )),
        );
        if !self.typed {
            response.headers_mut().remove(header::CONTENT_TYPE);
        }
        response
    }
}

impl From<HerderError> for ApiError {
    fn from(error: HerderError) -> Self {
        Self::new(
            StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            error.message,
        )
    }
}

fn respond(status: StatusCode, content: Option<(&'static str, Vec<u8>)>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Some((content_type, bytes)) = content {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        *response.body_mut() = Body::from(bytes);
    }
    response
}

/// The page with which Java's HTTP server refuses a request; DELETE gets none.
pub(crate) fn refusal(refused: Refused, method: &Method, url: &str) -> Response {
    let code = refused.status.as_u16();
    let reason = refused.reason;
    let page = format!(
        "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=ISO-8859-1\"/>\n<title>Error {code} {reason}</title>\n</head>\n<body>\n\
         <h2>HTTP ERROR {code} {reason}</h2>\n<table>\n<tr><th>URI:</th><td>{}</td></tr>\n<tr><th>STATUS:</th><td>{code}</td></tr>\n\
         <tr><th>MESSAGE:</th><td>{reason}</td></tr>\n</table>\n\n</body>\n</html>\n",
        Escaped(url)
    );
    let content =
        (method != Method::DELETE).then(|| ("text/html;charset=iso-8859-1", page.into_bytes()));
    let mut response = respond(refused.status, content);
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("must-revalidate,no-cache,no-store"),
    );
    response
}

/// Text in an HTML page of a one-byte character set.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c if c.is_ascii() => write!(f, "{c}")?,
                c => write!(f, "&#{};", u32::from(c))?,
            }
        }
        Ok(())
    }
}
