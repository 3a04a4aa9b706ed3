//! Calls that change something.

/// Query parameters of changing calls; each call uses some.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags {
    /// `normalize`
    pub normalize: bool,
    /// `format`
    pub format: Option<String>,
    /// `force`
    pub force: bool,
    /// `permanent`
    pub permanent: bool,
    /// `recursive`
    pub recursive: bool,
}

/// A call that changes something. Subjects, versions and bodies are as they came, percent-decoded; aliases are applied here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `POST /subjects/{s}/versions`
    Register {
        /// subject
        subject: String,
        /// The body as it came; `None` without one.
        body: Option<Vec<u8>>,
        /// `normalize`, `format`, `force`
        flags: Flags,
    },
    /// `POST /subjects/{s}/versions/{v}/tags`
    ModifyTags {
        /// subject
        subject: String,
        /// version as in the path
        version: String,
        /// The body as it came; `None` without one.
        body: Option<Vec<u8>>,
    },
    /// `DELETE /subjects/{s}`
    DeleteSubject {
        /// subject
        subject: String,
        /// `permanent`
        flags: Flags,
    },
    /// `DELETE /subjects/{s}/versions/{v}`
    DeleteVersion {
        /// subject
        subject: String,
        /// version as in the path
        version: String,
        /// `permanent`
        flags: Flags,
    },
    /// `DELETE /contexts/{ctx}`
    DeleteContext {
        /// context as in the path
        context: String,
    },
    /// `PUT /config`, `PUT /config/{s}`
    PutConfig {
        /// subject; `None`: global
        subject: Option<String>,
        /// The body as it came; `None` without one.
        body: Option<Vec<u8>>,
    },
    /// `DELETE /config`, `DELETE /config/{s}`
    DeleteConfig {
        /// subject; `None`: global
        subject: Option<String>,
    },
    /// `PUT /mode`, `PUT /mode/{s}`
    PutMode {
        /// subject; `None`: global
        subject: Option<String>,
        /// The body as it came; `None` without one.
        body: Option<Vec<u8>>,
        /// `force`
        flags: Flags,
    },
    /// `DELETE /mode`, `DELETE /mode/{s}`
    DeleteMode {
        /// subject; `None`: global
        subject: Option<String>,
        /// `recursive`
        flags: Flags,
    },
    /// `POST /associations`
    PostAssociations {
        /// The body as it came; `None` without one.
        body: Option<Vec<u8>>,
    },
    /// `PUT /associations/resources/{id}`
    PutAssociations {
        /// resource id
        id: String,
        /// The body as it came; `None` without one.
        body: Option<Vec<u8>>,
    },
    /// `DELETE /associations/resources/{id}`
    DeleteAssociations {
        /// resource id
        id: String,
        /// The query as pairs: `resourceType`, `associationType`, `cascadeLifecycle`
        query: Vec<(String, String)>,
    },
    /// `POST /associations:batchMutate`
    MutateAssociations {
        /// The body as it came; `None` without one.
        body: Option<Vec<u8>>,
    },
    /// One of the three association calls above with a body, with its query parameters.
    InContext {
        /// `context`: where unqualified subjects are, `:.context:`
        context: Option<String>,
        /// `dryRun`: everything is checked and nothing written
        dry_run: bool,
        /// The call.
        command: Box<Command>,
    },
}
