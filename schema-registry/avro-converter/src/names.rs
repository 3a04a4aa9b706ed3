//! Full names taken apart and checked as Java does.

use std::borrow::Cow;

use registry_avro::Name;

use crate::fault::{Fault, SCHEMA_PARSE};
use crate::scrub::scrub;

/// Namespace and simple name of a Connect name, scrubbed when `scrubbing`. Empty parts at the end are dropped.
pub(crate) fn split(full: &str, scrubbing: bool) -> Result<(Option<String>, String), Fault> {
    if full.is_empty() {
        return Ok((None, String::new()));
    }
    let mut parts: Vec<&str> = full.split('.').collect();
    while parts.last() == Some(&"") {
        parts.pop();
    }
    let part = |text: &'_ str| -> String {
        if scrubbing {
            scrub(text).into_owned()
        } else {
            text.to_owned()
        }
    };
    match parts.split_last() {
        None => Err(Fault::new(
            "java.lang.ArrayIndexOutOfBoundsException",
            "Index 0 out of bounds for length 0",
        )),
        Some((simple, [])) => Ok((None, part(simple))),
        Some((simple, namespace)) => {
            let namespace: Vec<String> = namespace.iter().map(|p| part(p)).collect();
            Ok((Some(namespace.join(".")), part(simple)))
        }
    }
}

/// The name of a type. Only the simple name is checked here; the registry checks the rest.
pub(crate) fn name(namespace: Option<&str>, simple: &str) -> Result<Name, Fault> {
    let (namespace, simple) = match simple.rsplit_once('.') {
        Some((namespace, simple)) => (Some(namespace), simple),
        None => (namespace, simple),
    };
    check(simple)?;
    Ok(Name {
        simple: simple.into(),
        namespace: namespace.filter(|n| !n.is_empty()).map(Into::into),
    })
}

/// The full name under which a schema of this name is known in Avro.
pub(crate) fn full(connect_name: &str, scrubbing: bool) -> Result<String, Fault> {
    let (namespace, simple) = split(connect_name, scrubbing)?;
    Ok(match namespace.filter(|n| !n.is_empty()) {
        Some(namespace) => format!("{namespace}.{simple}"),
        None => simple,
    })
}

/// A field's name, scrubbed when `scrubbing`.
pub(crate) fn field(name: &str, scrubbing: bool) -> Cow<'_, str> {
    if scrubbing {
        scrub(name)
    } else {
        Cow::Borrowed(name)
    }
}

/// Java's check of a simple name: letters and digits of any script.
pub(crate) fn check(name: &str) -> Result<(), Fault> {
    let mut characters = name.chars();
    let refuse = |text: String| Err(Fault::new(SCHEMA_PARSE, text));
    match characters.next() {
        None => return refuse("Empty name".to_owned()),
        Some(first) if !(first.is_alphabetic() || first == '_') => {
            return refuse(format!("Illegal initial character: {name}"));
        }
        Some(_) => {}
    }
    if characters.all(|c| c.is_alphanumeric() || c == '_') {
        Ok(())
    } else {
        refuse(format!("Illegal character in: {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_the_last_dot() {
        let split = |text| split(text, false).expect("a name");
        assert_eq!(split("a.b.R"), (Some("a.b".into()), "R".into()));
        assert_eq!(split("R"), (None, "R".into()));
        assert_eq!(split("x..y"), (Some("x.".into()), "y".into()));
        assert_eq!(split("a."), (None, "a".into()));
        assert!(super::split("..", false).is_err());
        assert_eq!(
            super::split("my-server.1inv.cust$.Value", true),
            Ok((Some("my_server.x1inv.cust_24".into()), "Value".into()))
        );
    }

    #[test]
    fn illegal_names_are_told_apart() {
        for (name, message) in [
            ("", "Empty name"),
            ("1x", "Illegal initial character: 1x"),
            ("a-b", "Illegal character in: a-b"),
        ] {
            assert_eq!(
                check(name).map_err(|e| e.message.into_owned()),
                Err(message.to_owned())
            );
        }
        assert_eq!(check("Über"), Ok(()));
    }
}
