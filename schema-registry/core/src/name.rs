//! Subject names: `:.context:subject`, where the context may be missing.

use std::fmt;
use std::sync::Arc;

/// The context of names without one.
pub(crate) const DEFAULT_CONTEXT: &str = ".";
/// The context above all others; only configurations and modes live there.
pub(crate) const GLOBAL_CONTEXT: &str = ".__GLOBAL";
/// Matches every context, in prefixes.
pub(crate) const ANY_CONTEXT: &str = ":*:";

/// A subject with its context. Ordered as the registry's store is: by context, then by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SubjectName {
    /// `.` or `.context`.
    pub(crate) context: Arc<str>,
    /// Without the context; empty for the context itself.
    pub(crate) bare: Arc<str>,
}

/// Splits a name into context and bare subject. Never fails: what does not look like a context is part of the subject.
pub(crate) fn split(name: &str) -> (&str, &str) {
    if let Some(rest) = name.strip_prefix(":.") {
        match rest.find(':') {
            Some(at) => (&name[1..2 + at], &rest[at + 1..]),
            None => (&name[1..], ""),
        }
    } else if let Some(rest) = name.strip_prefix(ANY_CONTEXT) {
        ("*", rest)
    } else {
        (DEFAULT_CONTEXT, name)
    }
}

/// A context as a prefix of names: empty for the default one.
pub(crate) fn context_prefix(context: &str) -> String {
    if context == DEFAULT_CONTEXT {
        String::new()
    } else {
        format!(":{context}:")
    }
}

impl SubjectName {
    /// From a name as in paths and records.
    pub(crate) fn parse(name: &str) -> Self {
        let (context, bare) = split(name);
        Self::new(context, bare)
    }

    pub(crate) fn new(context: &str, bare: &str) -> Self {
        Self {
            context: context.into(),
            bare: bare.into(),
        }
    }

    pub(crate) fn is_default_context(&self) -> bool {
        &*self.context == DEFAULT_CONTEXT
    }

    /// Whether it means a context and not a subject.
    pub(crate) fn is_context(&self) -> bool {
        self.bare.is_empty()
    }

    /// The name of a referenced subject, or of an alias: in this subject's context unless it names one.
    pub(crate) fn qualify(&self, other: &str) -> Self {
        let (context, bare) = split(other);
        if context == DEFAULT_CONTEXT && !self.is_default_context() {
            // The whole text: a name such as `:.:x` keeps its colons here.
            return Self::new(&self.context, other);
        }
        Self::new(context, bare)
    }
}

/// The full name, as in answers and records.
impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_default_context() {
            f.write_str(&self.bare)
        } else {
            write!(f, ":{}:{}", self.context, self.bare)
        }
    }
}

/// What a name is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    /// A schema is registered under it.
    Register {
        /// Whether the empty name is valid.
        allow_empty: bool,
    },
    /// A configuration or mode is set.
    ConfigOrMode,
}

/// Whether a name may be used; the name as it came.
pub(crate) fn is_valid(name: &str, usage: Usage) -> bool {
    if name.chars().any(|c| c.is_control()) {
        return false;
    }
    let (context, bare) = split(name);
    if bare == "__GLOBAL" || bare == "__EMPTY" {
        return false;
    }
    match usage {
        Usage::ConfigOrMode => true,
        Usage::Register { allow_empty } => {
            (allow_empty || !bare.is_empty()) && context != GLOBAL_CONTEXT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_like_the_original_does() {
        for (name, context, bare, full) in [
            ("s", ".", "s", "s"),
            (":.c:s", ".c", "s", ":.c:s"),
            (":.c:", ".c", "", ":.c:"),
            (":.c", ".c", "", ":.c:"),
            (":.:s", ".", "s", "s"),
            (":.a:.b:c", ".a", ".b:c", ":.a:.b:c"),
            (":x", ".", ":x", ":x"),
            ("::", ".", "::", "::"),
            (":*:p", "*", "p", ":*:p"),
        ] {
            assert_eq!(split(name), (context, bare), "{name}");
            assert_eq!(SubjectName::parse(name).to_string(), full);
        }
    }

    #[test]
    fn references_and_aliases_stay_in_the_context() {
        let parent = SubjectName::parse(":.c:s");
        assert_eq!(parent.qualify("a").to_string(), ":.c:a");
        assert_eq!(parent.qualify(":.d:a").to_string(), ":.d:a");
        assert_eq!(SubjectName::parse("s").qualify("a").to_string(), "a");
    }

    #[test]
    fn reserved_names_are_refused() {
        let register = Usage::Register { allow_empty: true };
        for name in ["__GLOBAL", ":.c:__EMPTY", "a\tb", ":.__GLOBAL:s"] {
            assert!(!is_valid(name, register), "{name}");
        }
        assert!(is_valid("", register));
        assert!(!is_valid("", Usage::Register { allow_empty: false }));
        assert!(is_valid(":.__GLOBAL:", Usage::ConfigOrMode));
    }
}
