//! Questions as requests.

use std::fmt::{Debug, Write as _};

use crate::answer::{Known, body, body_of_registered, guid_text, schema, success};
use crate::percent::{escape, escaped};
use crate::{ClientError, NewSchema, RegisteredSchema, SchemaRegistry};

/// Carries requests to a registry.
#[async_trait::async_trait]
pub trait Calls: Send + Sync + Debug {
    /// One request; `path` begins with `/`, is percent-encoded and holds the query. The answer's status and body, whatever the status.
    ///
    /// # Errors
    /// There was no answer.
    async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, String), ClientError>;
}

/// A registry behind anything that carries requests. Remembers nothing.
#[derive(Debug)]
pub struct RestRegistry<C>(C);

impl<C: Calls> RestRegistry<C> {
    /// The registry that `calls` leads to.
    pub fn new(calls: C) -> Self {
        Self(calls)
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        known: Known<'_>,
    ) -> Result<RegisteredSchema, ClientError> {
        let (status, text) = self.0.call(method, path, body).await?;
        schema(&success(status, &text)?, known)
    }
}

/// See [`SchemaRegistry::version_of`].
pub(crate) async fn version_of<R: SchemaRegistry + ?Sized>(
    registry: &R,
    subject: &str,
    registered: &RegisteredSchema,
    deleted: bool,
) -> Result<RegisteredSchema, ClientError> {
    let path = format!("/subjects/{}?deleted={deleted}", escaped(subject));
    let question = body_of_registered(registered);
    let (status, text) = registry.call("POST", &path, Some(question)).await?;
    let known = Known {
        subject: Some(subject),
        id: None,
        schema: Some(&registered.to_new()),
    };
    schema(&success(status, &text)?, known)
}

#[async_trait::async_trait]
impl<C: Calls> SchemaRegistry for RestRegistry<C> {
    async fn register(
        &self,
        subject: &str,
        schema: &NewSchema,
        normalize: bool,
    ) -> Result<RegisteredSchema, ClientError> {
        let path = format!(
            "/subjects/{}/versions?normalize={normalize}",
            escaped(subject)
        );
        let known = Known {
            subject: Some(subject),
            id: None,
            schema: Some(schema),
        };
        self.ask("POST", &path, Some(body(schema)), known).await
    }

    async fn lookup(
        &self,
        subject: &str,
        schema: &NewSchema,
        normalize: bool,
    ) -> Result<RegisteredSchema, ClientError> {
        let path = format!(
            "/subjects/{}?normalize={normalize}&deleted=false",
            escaped(subject)
        );
        let known = Known {
            subject: Some(subject),
            id: None,
            schema: Some(schema),
        };
        self.ask("POST", &path, Some(body(schema)), known).await
    }

    async fn by_id(&self, id: i32, subject: Option<&str>) -> Result<RegisteredSchema, ClientError> {
        let mut path = format!("/schemas/ids/{id}?fetchMaxId=false");
        if let Some(subject) = subject {
            path.push_str("&subject=");
            escape(subject, &mut path);
        }
        let known = Known {
            id: Some(id),
            ..Known::default()
        };
        self.ask("GET", &path, None, known).await
    }

    async fn by_guid(&self, guid: [u8; 16]) -> Result<RegisteredSchema, ClientError> {
        let path = format!("/schemas/guids/{}", guid_text(&guid));
        // A guid stands for a content in every context, so there is no id.
        let known = Known {
            id: Some(-1),
            ..Known::default()
        };
        let answer = self.ask("GET", &path, None, known).await?;
        Ok(RegisteredSchema {
            guid: Some(guid),
            ..answer
        })
    }

    async fn version(
        &self,
        subject: &str,
        version: Option<i32>,
    ) -> Result<RegisteredSchema, ClientError> {
        let mut path = format!("/subjects/{}/versions/", escaped(subject));
        match version {
            // Writing to a String cannot fail.
            Some(version) => drop(write!(path, "{version}?deleted=true")),
            None => path.push_str("latest"),
        }
        let known = Known {
            subject: Some(subject),
            ..Known::default()
        };
        self.ask("GET", &path, None, known).await
    }

    async fn latest_with_metadata(
        &self,
        subject: &str,
        metadata: &[(String, String)],
    ) -> Result<RegisteredSchema, ClientError> {
        let mut path = format!("/subjects/{}/metadata?deleted=true", escaped(subject));
        for (key, value) in metadata {
            path.push_str("&key=");
            escape(key, &mut path);
            path.push_str("&value=");
            escape(value, &mut path);
        }
        let known = Known {
            subject: Some(subject),
            ..Known::default()
        };
        self.ask("GET", &path, None, known).await
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, String), ClientError> {
        self.0.call(method, path, body).await
    }
}
