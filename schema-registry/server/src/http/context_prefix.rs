//! `/contexts/{ctx}/…`: the prefix by which every call can be made in a context.
//!
//! The path is rewritten before it is matched, as the original's filter does: the context goes into the subject of the path or into a parameter of the query.

use std::borrow::Cow;

use super::parameters::Parameters;
use super::target::decode;

/// A context whose name has a colon: 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColonInContext(pub(crate) String);

/// The segments and parameters that a request with the prefix stands for; others come back as they are.
pub(crate) fn rewrite<'a>(
    segments: Vec<&'a str>,
    parameters: &mut Parameters<'_>,
    method: &http::Method,
) -> Result<Vec<Cow<'a, str>>, ColonInContext> {
    let [first, context, rest @ ..] = &segments[..] else {
        return Ok(segments.into_iter().map(Cow::Borrowed).collect());
    };
    if *first != "contexts" {
        return Ok(segments.into_iter().map(Cow::Borrowed).collect());
    }
    let mut path: Vec<Cow<'a, str>> = Vec::with_capacity(rest.len() + 2);
    let mut subject_follows = false;
    let mut level = false;
    for (at, segment) in rest.iter().enumerate() {
        if std::mem::take(&mut subject_follows) {
            path.push(if is_qualified(segment) {
                Cow::Borrowed(segment)
            } else {
                Cow::Owned(qualified(context)? + segment)
            });
            continue;
        }
        let of_level = at == 0 && matches!(*segment, "config" | "mode");
        level |= of_level;
        subject_follows = of_level || matches!(*segment, "subjects" | "deks");
        path.push(Cow::Borrowed(segment));
    }
    if level && subject_follows {
        // The level of the context itself.
        let context = qualified(context)?;
        if !context.is_empty() {
            path.push(Cow::Owned(context));
        }
    } else if rest.is_empty() && *context != "." {
        path = vec![Cow::Borrowed("contexts"), Cow::Owned(qualified(context)?)];
    }
    match (
        path.first().map(|segment| &**segment),
        path.get(1).map(|segment| &**segment),
    ) {
        (Some("schemas"), Some(second)) if second.starts_with("ids") => {
            prefix(parameters, "subject", context)?;
        }
        (Some("schemas" | "subjects"), None) => prefix(parameters, "subjectPrefix", context)?,
        (Some(segment), _)
            if segment.starts_with("associations")
                && (method == http::Method::POST || method == http::Method::PUT) =>
        {
            let context = qualified(context)?;
            parameters.rewrite("context", |_| context.clone());
        }
        _ => {}
    }
    Ok(path)
}

fn prefix(
    parameters: &mut Parameters<'_>,
    name: &'static str,
    context: &str,
) -> Result<(), ColonInContext> {
    // Parameters are decoded already, the context is not.
    let context = decode(&qualified(context)?, false).into_owned();
    parameters.rewrite(name, |value| {
        if is_qualified(value) {
            value.to_owned()
        } else {
            format!("{context}{value}")
        }
    });
    Ok(())
}

/// `:.ctx:` for `ctx`, `.ctx` and `:.ctx:`; nothing for the default context.
fn qualified(context: &str) -> Result<String, ColonInContext> {
    let context = context.strip_prefix(':').unwrap_or(context);
    let context = context.strip_suffix(':').unwrap_or(context);
    if context.contains(':') {
        return Err(ColonInContext(context.to_owned()));
    }
    let dot = if context.starts_with('.') { "" } else { "." };
    Ok(match context {
        "." | "" => String::new(),
        _ => format!(":{dot}{context}:"),
    })
}

/// Whether a subject names its context, or all of them.
fn is_qualified(subject: &str) -> bool {
    let subject = decode(subject, true);
    subject.starts_with(":.") || subject.starts_with(":*:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::target;

    fn rewritten(method: http::Method, uri: &str) -> Result<String, String> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let mut parameters = Parameters::parse(Some(query));
        let segments = target::segments(path).map_err(|refused| refused.0.to_owned())?;
        let path = rewrite(segments, &mut parameters, &method).map_err(|colon| colon.0)?;
        let mut text = format!("/{}", path.join("/"));
        for (name, value) in parameters.pairs() {
            text += &format!(" {name}={value}");
        }
        Ok(text)
    }

    #[test]
    fn the_context_goes_where_the_original_puts_it() {
        for (uri, expected) in [
            (
                "/contexts/.c/subjects/s/versions",
                "/subjects/:.c:s/versions",
            ),
            ("/contexts/c/subjects/s", "/subjects/:.c:s"),
            ("/contexts/.c/subjects/%3A.d%3As", "/subjects/%3A.d%3As"),
            ("/contexts/.c/subjects/:*:s", "/subjects/:*:s"),
            ("/contexts/./subjects/s", "/subjects/s"),
            (
                "/contexts/.c/compatibility/subjects/s/versions",
                "/compatibility/subjects/:.c:s/versions",
            ),
            ("/contexts/.c/config", "/config/:.c:"),
            ("/contexts/.c/mode/s", "/mode/:.c:s"),
            ("/contexts/./config", "/config"),
            ("/contexts/.c/schemas/ids/1", "/schemas/ids/1 subject=:.c:"),
            (
                "/contexts/.c/schemas/ids/1?subject=s",
                "/schemas/ids/1 subject=:.c:s",
            ),
            (
                "/contexts/.c/schemas/ids/1?subject=:.d:s",
                "/schemas/ids/1 subject=:.d:s",
            ),
            ("/contexts/.c/schemas/types", "/schemas/types"),
            ("/contexts/.c/schemas", "/schemas subjectPrefix=:.c:"),
            ("/contexts/.c/subjects", "/subjects subjectPrefix=:.c:"),
            (
                "/contexts/.c/subjects?subjectPrefix=p",
                "/subjects subjectPrefix=:.c:p",
            ),
            ("/contexts/c%3Ad/subjects", "/subjects subjectPrefix=:.c:d:"),
            ("/contexts/.ci", "/contexts/:.ci:"),
            ("/contexts/ci", "/contexts/:.ci:"),
            ("/contexts/.", "/"),
            ("/contexts", "/contexts"),
            ("/contexts/", "/contexts"),
            ("/subjects/contexts", "/subjects/contexts"),
        ] {
            assert_eq!(
                rewritten(http::Method::GET, uri),
                Ok(expected.to_owned()),
                "{uri}"
            );
        }
        assert_eq!(
            rewritten(http::Method::GET, "/contexts/c:d/subjects"),
            Err("c:d".to_owned())
        );
        assert_eq!(
            rewritten(http::Method::POST, "/contexts/c/associations"),
            Ok("/associations context=:.c:".to_owned())
        );
    }
}
