//! Names that `protoc` derives from other names.

/// The message that stands for `map<…> field_name`: `FieldNameEntry`; a name without an underscore keeps its first letter.
pub fn map_entry_name(field: &str) -> String {
    let mut name = if field.contains('_') {
        field
            .split('_')
            .map(|word| {
                let mut letters = word.chars();
                letters.next().map_or_else(String::new, |first| {
                    let mut word = first.to_ascii_uppercase().to_string();
                    word.extend(letters.map(|c| c.to_ascii_lowercase()));
                    word
                })
            })
            .collect()
    } else {
        field.to_owned()
    };
    name.push_str("Entry");
    name
}

/// The field whose map the message of this (possibly qualified) name stands for: `a.FieldNameEntry` gives `a.field_name`.
pub fn map_field_name(message: &str) -> String {
    let (before, simple) = match message.rfind('.') {
        Some(dot) => message.split_at(dot + 1),
        None => ("", message),
    };
    let Some(simple) = simple.strip_suffix("Entry") else {
        return message.to_owned();
    };
    let mut name = before.to_owned();
    for (i, c) in simple.char_indices() {
        if i > 0 && c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// The name in JSON where none is given: `field_name` gives `fieldName`.
pub(crate) fn default_json_name(field: &str) -> String {
    let mut name = String::with_capacity(field.len());
    let mut upper = false;
    for c in field.chars() {
        if c == '_' {
            upper = true;
        } else {
            name.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    name
}
