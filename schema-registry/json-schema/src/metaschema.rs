//! The metaschemas of the drafts: what a `$ref` or `$schema` may name without its being given, and without its being fetched.

use std::sync::OnceLock;

use java_idioms::{Json, json::ReadOptions};

struct Metaschema {
    /// Its URI without scheme and host.
    path: &'static str,
    text: &'static str,
    json: OnceLock<Option<Json>>,
}

const fn metaschema(path: &'static str, text: &'static str) -> Metaschema {
    Metaschema {
        path,
        text,
        json: OnceLock::new(),
    }
}

static METASCHEMAS: [Metaschema; 19] = [
    metaschema(
        "draft-04/schema",
        include_str!("../data/draft-04/schema.json"),
    ),
    metaschema(
        "draft-06/schema",
        include_str!("../data/draft-06/schema.json"),
    ),
    metaschema(
        "draft-07/schema",
        include_str!("../data/draft-07/schema.json"),
    ),
    metaschema(
        "draft/2019-09/schema",
        include_str!("../data/draft-2019-09/schema.json"),
    ),
    metaschema(
        "draft/2019-09/meta/applicator",
        include_str!("../data/draft-2019-09/meta/applicator.json"),
    ),
    metaschema(
        "draft/2019-09/meta/content",
        include_str!("../data/draft-2019-09/meta/content.json"),
    ),
    metaschema(
        "draft/2019-09/meta/core",
        include_str!("../data/draft-2019-09/meta/core.json"),
    ),
    metaschema(
        "draft/2019-09/meta/format",
        include_str!("../data/draft-2019-09/meta/format.json"),
    ),
    metaschema(
        "draft/2019-09/meta/meta-data",
        include_str!("../data/draft-2019-09/meta/meta-data.json"),
    ),
    metaschema(
        "draft/2019-09/meta/validation",
        include_str!("../data/draft-2019-09/meta/validation.json"),
    ),
    metaschema(
        "draft/2020-12/schema",
        include_str!("../data/draft-2020-12/schema.json"),
    ),
    metaschema(
        "draft/2020-12/meta/applicator",
        include_str!("../data/draft-2020-12/meta/applicator.json"),
    ),
    metaschema(
        "draft/2020-12/meta/content",
        include_str!("../data/draft-2020-12/meta/content.json"),
    ),
    metaschema(
        "draft/2020-12/meta/core",
        include_str!("../data/draft-2020-12/meta/core.json"),
    ),
    metaschema(
        "draft/2020-12/meta/format-annotation",
        include_str!("../data/draft-2020-12/meta/format-annotation.json"),
    ),
    metaschema(
        "draft/2020-12/meta/format-assertion",
        include_str!("../data/draft-2020-12/meta/format-assertion.json"),
    ),
    metaschema(
        "draft/2020-12/meta/meta-data",
        include_str!("../data/draft-2020-12/meta/meta-data.json"),
    ),
    metaschema(
        "draft/2020-12/meta/unevaluated",
        include_str!("../data/draft-2020-12/meta/unevaluated.json"),
    ),
    metaschema(
        "draft/2020-12/meta/validation",
        include_str!("../data/draft-2020-12/meta/validation.json"),
    ),
];

/// The metaschema of that URI: with either scheme, with or without an empty fragment. Parsed at its first use.
pub(crate) fn find(uri: &str) -> Option<&'static Json> {
    let path = path(uri)?;
    let metaschema = METASCHEMAS.iter().find(|known| known.path == path)?;
    metaschema
        .json
        .get_or_init(|| Json::read(metaschema.text, ReadOptions::default()).ok())
        .as_ref()
}

fn path(uri: &str) -> Option<&str> {
    let uri = uri.strip_suffix('#').unwrap_or(uri);
    uri.strip_prefix("https://")
        .or_else(|| uri.strip_prefix("http://"))?
        .strip_prefix("json-schema.org/")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_is_found_under_its_own_id() {
        for known in &METASCHEMAS {
            let json = Json::read(known.text, ReadOptions::default()).unwrap();
            let id = json.get("$id").or_else(|| json.get("id")).unwrap();
            assert_eq!(path(id.as_str().unwrap()), Some(known.path));
            assert!(find(id.as_str().unwrap()).is_some(), "{}", known.path);
        }
        assert!(find("http://json-schema.org/draft/2020-12/schema#").is_some());
        assert!(find("https://json-schema.org/draft-07/schema").is_some());
        assert!(find("http://json-schema.org/draft-07/schema#/definitions").is_none());
        assert!(find("http://json-schema.test/draft-07/schema").is_none());
        assert!(find("json-schema.org/draft-07/schema").is_none());
    }
}
