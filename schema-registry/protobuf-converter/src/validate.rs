//! The rules of Protobuf that a translated schema can break.

use std::collections::{HashMap, HashSet};

use registry_protobuf::ast::{Field, Message, ProtoFile, TypeElement};

use crate::fault::Fault;

/// Checks names, numbers and duplicates; that types resolve is checked where they are resolved.
pub(crate) fn validate(file: &ProtoFile) -> Result<(), Fault> {
    let package = file.package.as_deref().unwrap_or_default();
    if !package.is_empty() {
        for part in package.split('.') {
            identifier(part, package)?;
        }
    }
    types(&file.types, package)
}

fn invalid(place: &str, why: &str) -> Fault {
    Fault::illegal(format!(
        "Invalid protobuf schema definition: {place}: {why}"
    ))
}

fn identifier(name: &str, place: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(invalid(place, "Missing name."));
    }
    let legal = name
        .bytes()
        .enumerate()
        .all(|(i, b)| b.is_ascii_alphabetic() || b == b'_' || (i > 0 && b.is_ascii_digit()));
    if legal {
        Ok(())
    } else {
        Err(invalid(
            place,
            &format!("\"{name}\" is not a valid identifier."),
        ))
    }
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

fn types(types: &[TypeElement], scope: &str) -> Result<(), Fault> {
    for element in types {
        let full = join(scope, element.name());
        identifier(element.name(), &full)?;
        match element {
            TypeElement::Message(inner) => message(inner, &full)?,
            TypeElement::Enum(declared) => {
                if declared.constants.is_empty() {
                    return Err(invalid(&full, "Enums must contain at least one value."));
                }
                let mut names = HashSet::new();
                for constant in &declared.constants {
                    identifier(&constant.name, &full)?;
                    if !names.insert(constant.name.as_str()) {
                        return Err(already(&full, &constant.name));
                    }
                }
            }
        }
    }
    Ok(())
}

fn already(scope: &str, name: &str) -> Fault {
    invalid(
        &join(scope, name),
        &format!("\"{name}\" is already defined in \"{scope}\"."),
    )
}

fn message(message: &Message, full: &str) -> Result<(), Fault> {
    let mut names: HashSet<&str> = HashSet::new();
    let mut numbers: HashMap<i32, &str> = HashMap::new();
    for element in &message.types {
        if !names.insert(element.name()) {
            return Err(already(full, element.name()));
        }
    }
    let members = message.oneofs.iter().flat_map(|oneof| &oneof.fields);
    for Field { name, tag, .. } in message.fields.iter().chain(members) {
        identifier(name, &join(full, name))?;
        if !names.insert(name) {
            return Err(already(full, name));
        }
        if *tag <= 0 {
            return Err(invalid(
                &join(full, name),
                "Field numbers must be positive integers.",
            ));
        }
        if let Some(first) = numbers.insert(*tag, name) {
            return Err(invalid(
                &join(full, name),
                &format!(
                    "Field number {tag} has already been used in \"{full}\" by field \"{first}\"."
                ),
            ));
        }
    }
    for oneof in &message.oneofs {
        identifier(&oneof.name, full)?;
    }
    types(&message.types, full)
}
