//! Query parameters.

use crate::percent;

/// The parameters of a query in order.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=2`. A part with a broken escape is left out.
    pub(crate) fn parse(text: &str) -> Self {
        let decode = |text: &str| {
            percent::decode(text, true).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        Self(
            text.split('&')
                .filter(|part| !part.is_empty())
                .filter_map(|part| {
                    let (name, value) = part.split_once('=').unwrap_or((part, ""));
                    Some((decode(name)?, decode(value)?))
                })
                .collect(),
        )
    }

    /// All values of `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of `name`.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A boolean: only `true`, in any case, is true.
    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.first(name)
            .map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_repeat_and_flags_are_java_s() {
        let query = Query::parse(
            "expand=status&expand=in%66o&includeTasks=TRUE&onlyFailed=yes&empty=&&bare&bad=%zz",
        );
        assert_eq!(query.all("expand").collect::<Vec<_>>(), ["status", "info"]);
        assert!(query.flag("includeTasks", false));
        assert!(!query.flag("onlyFailed", true));
        assert!(!query.flag("empty", true));
        assert!(query.flag("absent", true));
        assert_eq!(query.first("bare"), Some(""));
        assert_eq!(query.first("bad"), None);
    }
}
