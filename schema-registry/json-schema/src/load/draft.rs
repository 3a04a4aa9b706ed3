//! Which draft a schema is written in.

use java_idioms::Json;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Draft {
    Draft4,
    Draft6,
    Draft7,
    /// 2019-09 and 2020-12, which are read alike.
    Modern,
}

impl Draft {
    /// As the registry chooses for a whole schema: 7 unless the exact URI of another is given.
    pub(super) fn of_schema(json: &Json) -> Self {
        let uri = json.get("$schema").and_then(Json::as_str).unwrap_or("");
        let uri = uri.strip_suffix('#').unwrap_or(uri);
        let name = uri
            .strip_prefix("https://")
            .or_else(|| uri.strip_prefix("http://"))
            .and_then(|rest| rest.strip_prefix("json-schema.org/"));
        match name {
            Some("draft/2019-09/schema" | "draft/2020-12/schema") => Self::Modern,
            _ => Self::classic(json).unwrap_or(Self::Draft7),
        }
    }

    /// As the loader of the older drafts chooses for a document: by the beginning of the URI.
    pub(super) fn classic(json: &Json) -> Option<Self> {
        let uri = json.get("$schema")?.as_str()?;
        let name = uri
            .strip_prefix("https://")
            .or_else(|| uri.strip_prefix("http://"))?
            .strip_prefix("json-schema.org/")?;
        if name.starts_with("draft-04/schema") || name.starts_with("schema") {
            Some(Self::Draft4)
        } else if name.starts_with("draft-06/schema") {
            Some(Self::Draft6)
        } else if name.starts_with("draft-07/schema") {
            Some(Self::Draft7)
        } else {
            None
        }
    }

    pub(super) fn id_keyword(self) -> &'static str {
        if self == Self::Draft4 { "id" } else { "$id" }
    }
}
