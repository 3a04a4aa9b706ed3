//! Calls that read. Texts are as they came in the path and query, percent-decoded: parsing a version or an id is part of the answer.

/// `offset` and `limit` as they were sent; `None` where absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Page {
    /// `offset`
    pub offset: Option<i32>,
    /// `limit`
    pub limit: Option<i32>,
}

/// A call that only reads. Subjects are as in the path; the alias rule (an alias configured for the subject replaces it) is applied here, not by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// `GET /schemas`
    Schemas {
        /// `subjectPrefix`
        prefix: Option<String>,
        /// `aliases`
        aliases: bool,
        /// `deleted`
        deleted: bool,
        /// `latestOnly`
        latest_only: bool,
        /// `ruleType`
        rule_type: Option<String>,
        /// `resourceType`, `associationType`, `lifecycle`: only schemas of subjects with such an association; the page in it counts for nothing
        associations: Option<AssociationFilter>,
        /// `offset`, `limit`
        page: Page,
    },
    /// `GET /schemas/ids/{id}`
    SchemaById {
        /// id
        id: i32,
        /// `subject`
        subject: Option<String>,
        /// `format`
        format: Option<String>,
        /// `referenceFormat`
        reference_format: Option<String>,
        /// `fetchMaxId`
        fetch_max_id: bool,
        /// `findTags`
        find_tags: Vec<String>,
    },
    /// `GET /schemas/ids/{id}/schema`
    SchemaTextById {
        /// id
        id: i32,
        /// `subject`
        subject: Option<String>,
        /// `format`
        format: Option<String>,
    },
    /// `GET /schemas/ids/{id}/subjects`
    SubjectsOfId {
        /// id
        id: i32,
        /// `subject`
        subject: Option<String>,
        /// `deleted`
        deleted: bool,
        /// `offset`, `limit`
        page: Page,
    },
    /// `GET /schemas/ids/{id}/versions`
    VersionsOfId {
        /// id
        id: i32,
        /// `subject`
        subject: Option<String>,
        /// `deleted`
        deleted: bool,
        /// `offset`, `limit`
        page: Page,
    },
    /// `GET /schemas/guids/{guid}`
    SchemaByGuid {
        /// guid
        guid: String,
        /// `format`
        format: Option<String>,
    },
    /// `GET /schemas/guids/{guid}/ids`
    IdsOfGuid {
        /// guid
        guid: String,
    },
    /// `GET /schemas/types`
    SchemaTypes,
    /// `GET /contexts`
    Contexts {
        /// `contextPrefix`
        prefix: Option<String>,
        /// `offset`, `limit`
        page: Page,
    },
    /// `GET /subjects`
    Subjects {
        /// `subjectPrefix`
        prefix: Option<String>,
        /// `deleted`
        deleted: bool,
        /// `deletedOnly`
        deleted_only: bool,
        /// `offset`, `limit`
        page: Page,
    },
    /// `POST /subjects/{s}`: a lookup.
    Lookup {
        /// subject
        subject: String,
        /// The body as it came; `None` without one.
        body: Option<Vec<u8>>,
        /// `normalize`
        normalize: bool,
        /// `format`
        format: Option<String>,
        /// `deleted`
        deleted: bool,
    },
    /// `GET /subjects/{s}/metadata`
    LatestWithMetadata {
        /// subject
        subject: String,
        /// `key`, repeated
        keys: Vec<String>,
        /// `value`, repeated
        values: Vec<String>,
        /// `format`
        format: Option<String>,
        /// `deleted`
        deleted: bool,
    },
    /// `GET /subjects/{s}/versions`
    Versions {
        /// subject
        subject: String,
        /// `deleted`
        deleted: bool,
        /// `deletedOnly`
        deleted_only: bool,
        /// `deletedAsNegative`
        deleted_as_negative: bool,
        /// `offset`, `limit`
        page: Page,
    },
    /// `GET /subjects/{s}/versions/{v}`
    Version {
        /// subject
        subject: String,
        /// version as in the path
        version: String,
        /// `format`
        format: Option<String>,
        /// `referenceFormat`
        reference_format: Option<String>,
        /// `deleted`
        deleted: bool,
        /// `findTags`
        find_tags: Vec<String>,
    },
    /// `GET /subjects/{s}/versions/{v}/schema`
    VersionText {
        /// subject
        subject: String,
        /// version as in the path
        version: String,
        /// `format`
        format: Option<String>,
        /// `deleted`
        deleted: bool,
    },
    /// `GET /subjects/{s}/versions/{v}/referencedby`
    ReferencedBy {
        /// subject
        subject: String,
        /// version as in the path
        version: String,
        /// `deleted`
        deleted: bool,
        /// `offset`, `limit`
        page: Page,
    },
    /// `POST /compatibility/subjects/{s}/versions` and `…/versions/{v}`
    Compatibility {
        /// subject
        subject: String,
        /// version as in the path; `None`: against what the subject's level demands
        version: Option<String>,
        /// The body as it came; `None` without one.
        body: Option<Vec<u8>>,
        /// `normalize`
        normalize: bool,
        /// `verbose`
        verbose: bool,
    },
    /// `GET /config`, `GET /config/{s}`
    Config {
        /// subject; `None`: global
        subject: Option<String>,
        /// `defaultToGlobal`
        default_to_global: bool,
    },
    /// `GET /mode`, `GET /mode/{s}`
    Mode {
        /// subject; `None`: global
        subject: Option<String>,
        /// `defaultToGlobal`
        default_to_global: bool,
    },
    /// `GET /v1/metadata/id`
    ClusterMetadata,
    /// `GET /v1/metadata/version`
    ServerVersion,
    /// `GET /v1/metadata/deployment`
    Deployment,
    /// `GET /associations/subjects/{s}`
    AssociationsOfSubject {
        /// subject
        subject: String,
        /// `resourceType`, `associationType`, `lifecycle`, `offset`, `limit`
        filter: AssociationFilter,
    },
    /// `GET /associations/resources/{namespace}/{name}`
    AssociationsOfResourceName {
        /// namespace
        namespace: String,
        /// name
        name: String,
        /// `resourceType`, `associationType`, `lifecycle`, `offset`, `limit`
        filter: AssociationFilter,
    },
    /// `GET /associations/resources/{id}`
    AssociationsOfResource {
        /// resource id
        id: String,
        /// `resourceType`, `associationType`, `lifecycle`, `offset`, `limit`
        filter: AssociationFilter,
    },
    /// `POST /associations:batchGet`
    AssociationsBatchGet {
        /// The body as it came; `None` without one.
        body: Option<Vec<u8>>,
    },
    /// `POST /associations:batchGet?includeSchemas=true`
    AssociationsBatchGetWithSchemas {
        /// The body as it came; `None` without one.
        body: Option<Vec<u8>>,
    },
}

/// Which associations are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssociationFilter {
    /// `resourceType`
    pub resource_type: Option<String>,
    /// `associationType`, repeated
    pub association_types: Vec<String>,
    /// `lifecycle`, repeated: `GET /schemas` takes several, and `NONE` for subjects without an association; the lists of associations take the first
    pub lifecycles: Vec<String>,
    /// `offset`, `limit`
    pub page: Page,
}
