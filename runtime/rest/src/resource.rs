//! What a path names.

use axum::http::Method;

use crate::request_target::Segment;

/// Which resources a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of them.
    All,
    /// All but `/admin`.
    WithoutAdmin,
    /// Only `/admin`.
    AdminOnly,
}

/// A resource with its path parameters, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resource {
    Root,
    Health,
    Metrics,
    Connectors,
    Connector(String),
    Config(String),
    Status(String),
    Topics(String),
    TopicsReset(String),
    Restart(String),
    Pause(String),
    Resume(String),
    Stop(String),
    Tasks(String),
    /// The task is still text.
    TaskStatus(String, String),
    /// The task is still text.
    TaskRestart(String, String),
    Offsets(String),
    Plugins,
    PluginConfig(String),
    Validate(String),
    Loggers,
    Logger(String),
}

impl Resource {
    /// Fixed names are compared as they were sent: `/%63onnectors` is nothing.
    pub(crate) fn find(path: &[Segment], scope: Scope) -> Option<Self> {
        if path.iter().any(|segment| segment.raw.is_empty()) {
            return None;
        }
        let raw: Vec<&str> = path.iter().map(|segment| segment.raw.as_str()).collect();
        let text = |at: usize| path[at].decoded.clone();
        let resource = match raw[..] {
            [] => Self::Root,
            ["health"] => Self::Health,
            ["metrics"] => Self::Metrics,
            ["connectors"] => Self::Connectors,
            ["connectors", _] => Self::Connector(text(1)),
            ["connectors", _, "config"] => Self::Config(text(1)),
            ["connectors", _, "status"] => Self::Status(text(1)),
            ["connectors", _, "topics"] => Self::Topics(text(1)),
            ["connectors", _, "topics", "reset"] => Self::TopicsReset(text(1)),
            ["connectors", _, "restart"] => Self::Restart(text(1)),
            ["connectors", _, "pause"] => Self::Pause(text(1)),
            ["connectors", _, "resume"] => Self::Resume(text(1)),
            ["connectors", _, "stop"] => Self::Stop(text(1)),
            ["connectors", _, "tasks"] => Self::Tasks(text(1)),
            ["connectors", _, "tasks", _, "status"] => Self::TaskStatus(text(1), text(3)),
            ["connectors", _, "tasks", _, "restart"] => Self::TaskRestart(text(1), text(3)),
            ["connectors", _, "offsets"] => Self::Offsets(text(1)),
            ["connector-plugins"] => Self::Plugins,
            ["connector-plugins", _, "config"] => Self::PluginConfig(text(1)),
            ["connector-plugins", _, "config", "validate"] => Self::Validate(text(1)),
            ["admin", "loggers"] => Self::Loggers,
            ["admin", "loggers", _] => Self::Logger(text(2)),
            _ => return None,
        };
        let admin = matches!(resource, Self::Loggers | Self::Logger(_));
        match scope {
            Scope::All => true,
            Scope::WithoutAdmin => !admin,
            Scope::AdminOnly => admin,
        }
        .then_some(resource)
    }

    /// Its methods in the order in which Java lists them.
    pub(crate) fn methods(&self) -> &'static [&'static str] {
        match self {
            Self::Connectors => &["HEAD", "POST", "GET", "OPTIONS"],
            Self::Connector(_) => &["HEAD", "DELETE", "GET", "OPTIONS"],
            Self::Config(_) => &["HEAD", "GET", "OPTIONS", "PUT", "PATCH"],
            Self::Offsets(_) => &["HEAD", "DELETE", "GET", "OPTIONS", "PATCH"],
            Self::Logger(_) => &["HEAD", "GET", "OPTIONS", "PUT"],
            Self::Restart(_) | Self::TaskRestart(..) => &["POST", "OPTIONS"],
            Self::Pause(_)
            | Self::Resume(_)
            | Self::Stop(_)
            | Self::TopicsReset(_)
            | Self::Validate(_) => &["OPTIONS", "PUT"],
            Self::Root
            | Self::Health
            | Self::Metrics
            | Self::Status(_)
            | Self::Topics(_)
            | Self::Tasks(_)
            | Self::TaskStatus(..)
            | Self::Plugins
            | Self::PluginConfig(_)
            | Self::Loggers => &["HEAD", "GET", "OPTIONS"],
        }
    }

    /// Whether it refuses a `Content-Type` other than JSON, with any method.
    pub(crate) fn consumes_json_only(&self) -> bool {
        !matches!(self, Self::Root | Self::Health | Self::Metrics)
    }

    /// Whether the body of a request with `method` is read.
    pub(crate) fn takes_body(&self, method: &Method) -> bool {
        match self {
            Self::Connectors => method == Method::POST,
            Self::Config(_) => method == Method::PUT || method == Method::PATCH,
            Self::Offsets(_) => method == Method::PATCH,
            Self::Logger(_) | Self::Validate(_) => method == Method::PUT,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_target::segments;

    fn find(path: &str, scope: Scope) -> Option<Resource> {
        Resource::find(
            &segments(&path.parse().expect("a URI")).expect("not refused"),
            scope,
        )
    }

    #[test]
    fn paths_name_resources() {
        let all = |path: &str| find(path, Scope::All);
        assert_eq!(all("/"), Some(Resource::Root));
        assert_eq!(all("/health/"), Some(Resource::Health));
        assert_eq!(
            all("/connectors;v=1/a%20b;c=d/config/"),
            Some(Resource::Config("a b".into()))
        );
        assert_eq!(
            all("/connectors/x/tasks/%30/status"),
            Some(Resource::TaskStatus("x".into(), "0".into()))
        );
        assert_eq!(
            all("/connector-plugins/P/config/validate"),
            Some(Resource::Validate("P".into()))
        );
        for unknown in [
            "/%63onnectors",
            "/Connectors",
            "/connectors/x/nope",
            "/connectors/x/tasks/0",
            "/connectors/x/tasks-config",
            "/admin",
            "/connectors/;a",
        ] {
            assert_eq!(all(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_scope_hides_the_rest() {
        assert_eq!(find("/admin/loggers", Scope::WithoutAdmin), None);
        assert_eq!(find("/connectors", Scope::AdminOnly), None);
        assert_eq!(
            find("/admin/loggers/a.b", Scope::AdminOnly),
            Some(Resource::Logger("a.b".into()))
        );
        assert_eq!(
            find("/connectors", Scope::WithoutAdmin),
            Some(Resource::Connectors)
        );
    }
}
