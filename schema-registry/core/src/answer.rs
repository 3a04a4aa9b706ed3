/// What a call answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 200, 204, 207.
    pub status: u16,
    /// What is sent.
    pub body: Body,
}

/// The body of an answer. Errors are not answers, see [`RegistryError`](crate::RegistryError).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// JSON text, and bare schema texts: sent under the negotiated media type.
    Text(String),
    /// Nothing (204).
    Empty,
}

impl Answer {
    /// 200 with this text.
    pub fn ok(text: String) -> Self {
        Self {
            status: 200,
            body: Body::Text(text),
        }
    }
}
