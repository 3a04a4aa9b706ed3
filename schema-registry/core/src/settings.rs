/// Whose answers are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum Personality {
    /// Release 7.9: no guid, ts and deleted, schemaType only where it is not AVRO, registrations answer the id.
    V7_9,
    /// Release 8.1: error code 409 for incompatible schemas, no associations.
    V8_1,
    /// Release 8.3.
    #[default]
    V8_3,
}

/// What the server's properties say about the registry's behaviour. Names and defaults are those of the properties.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `millrace.registry.personality`
    pub personality: Personality,
    /// `schema.compatibility.level` (or the older `avro.compatibility.level`), upper case.
    pub compatibility: String,
    /// `schema.validate.fields`
    pub validate_fields: bool,
    /// `schema.validate.new.schemas`
    pub validate_new_schemas: bool,
    /// `schema.reject.empty.subject`
    pub reject_empty_subject: bool,
    /// `mode.mutability`
    pub mode_mutability: bool,
    /// `schema.providers.reference.versions.strict`
    pub strict_reference_versions: bool,
    /// `schema.search.default.limit` and `schema.search.max.limit`
    pub schema_limits: (i32, i32),
    /// `subject.search.*`
    pub subject_limits: (i32, i32),
    /// `subject.version.search.*`
    pub version_limits: (i32, i32),
    /// `context.search.*`
    pub context_limits: (i32, i32),
    /// Whether rule sets are kept (a superset of the community edition, which drops them); `millrace.registry.rulesets`.
    pub rule_sets: bool,
    /// `associations.enable`
    pub associations: bool,
    /// `schema.registry.group.id`, for `/v1/metadata/id`.
    pub group_id: String,
    /// Id of the Kafka cluster, for the same.
    pub cluster_id: String,
    /// Bytes that parsed schemas may take together before the least used are dropped.
    pub parsed_cache_bytes: usize,
    /// Longest schema text of a request, in bytes (`millrace.registry.schema.max.bytes`): twice what fits into a record of Kafka's default size, since a text may be laid out with blanks.
    pub max_schema_bytes: usize,
    /// Most references that one schema may resolve, transitive ones included.
    pub max_references: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            personality: Personality::default(),
            compatibility: "BACKWARD".to_owned(),
            validate_fields: false,
            validate_new_schemas: true,
            reject_empty_subject: false,
            mode_mutability: true,
            strict_reference_versions: false,
            schema_limits: (1000, 1000),
            subject_limits: (i32::MAX, i32::MAX),
            version_limits: (i32::MAX, i32::MAX),
            context_limits: (i32::MAX, i32::MAX),
            rule_sets: false,
            associations: true,
            group_id: "schema-registry".to_owned(),
            cluster_id: String::new(),
            parsed_cache_bytes: 64 << 20,
            max_schema_bytes: 2 << 20,
            max_references: 1000,
        }
    }
}
