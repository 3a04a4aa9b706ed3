//! The objects of answers, members in the original's order.

use java_idioms::json::write_string_to_bytes;
use registry_formats::{Identity, Reference, SchemaType};

use crate::Personality;
use crate::content::{Content, Entry, TypeName};

/// Appends `[{"name":…,"subject":…,"version":…}]`.
pub(crate) fn write_references(references: &[Reference], out: &mut String) {
    out.push('[');
    for (i, reference) in references.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str("{\"name\":");
        write_string_to_bytes(&reference.name, out);
        out.push_str(",\"subject\":");
        write_string_to_bytes(&reference.subject, out);
        out.push_str(",\"version\":");
        push_int(reference.version.into(), out);
        out.push('}');
    }
    out.push(']');
}

/// Appends a number.
pub(crate) fn push_int(value: i64, out: &mut String) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        #[allow(clippy::cast_possible_truncation)]
        let digit = (rest % 10) as u8;
        digits[at] = b'0' + digit;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push('-');
    }
    out.extend(digits[at..].iter().map(|d| char::from(*d)));
}

fn push_guid(identity: Identity, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    for (i, byte) in identity.0.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
    out.push('"');
}

/// What is shown of one version, or of a schema that has none.
#[derive(Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) subject: Option<&'a str>,
    pub(crate) version: Option<i32>,
    pub(crate) id: Option<i32>,
    pub(crate) guid: Identity,
    pub(crate) content: &'a Content,
    /// Instead of the content's own, when a format was asked for.
    pub(crate) text: Option<&'a str>,
    /// Instead of the content's own, when they were qualified.
    pub(crate) references: Option<&'a [Reference]>,
    /// `[…]`
    pub(crate) tags: Option<&'a str>,
    pub(crate) max_id: Option<i32>,
    /// Timestamp and deletion of a stored version.
    pub(crate) stored: Option<(i64, bool)>,
    /// `["alias"]`
    pub(crate) aliases: Option<&'a [String]>,
    /// `[{…}]`
    pub(crate) associations: Option<&'a str>,
}

impl<'a> Shown<'a> {
    /// A content without a version.
    pub(crate) fn of_content(content: &'a Content) -> Self {
        Self {
            subject: None,
            version: None,
            id: None,
            guid: content.identity,
            content,
            text: None,
            references: None,
            tags: None,
            max_id: None,
            stored: None,
            aliases: None,
            associations: None,
        }
    }

    /// A stored version; `subject` is its full name.
    pub(crate) fn of_entry(entry: &'a Entry, subject: &'a str) -> Self {
        Self {
            subject: Some(subject),
            version: Some(entry.version),
            id: Some(entry.id),
            stored: Some((entry.timestamp, entry.deleted)),
            ..Self::of_content(&entry.content)
        }
    }
}

/// Writes the members of one object.
struct Writer<'o> {
    out: &'o mut String,
    first: bool,
    modern: bool,
}

impl Writer<'_> {
    fn name(&mut self, member: &str) {
        self.out.push_str(if self.first { "{\"" } else { ",\"" });
        self.first = false;
        self.out.push_str(member);
        self.out.push_str("\":");
    }

    fn text(&mut self, member: &str, text: Option<&str>) {
        if let Some(text) = text.filter(|t| !t.is_empty()) {
            self.name(member);
            write_string_to_bytes(text, self.out);
        }
    }

    fn int(&mut self, member: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.name(member);
            push_int(value, self.out);
        }
    }

    fn guid(&mut self, guid: Identity) {
        if self.modern {
            self.name("guid");
            push_guid(guid, self.out);
        }
    }

    fn schema_type(&mut self, schema_type: &TypeName) {
        if self.modern || *schema_type != TypeName::Known(SchemaType::Avro) {
            self.text("schemaType", Some(schema_type.name()));
        }
    }

    fn schema(&mut self, shown: &Shown<'_>) {
        match (shown.text, shown.content.escaped.get()) {
            (None, Some(escaped)) => {
                self.name("schema");
                self.out.push_str(escaped);
            }
            (text, _) => self.text("schema", Some(text.unwrap_or(&shown.content.text))),
        }
    }

    fn references(&mut self, shown: &Shown<'_>) {
        let references = shown.references.unwrap_or(&shown.content.references);
        if !references.is_empty() {
            self.name("references");
            write_references(references, self.out);
        }
    }

    fn metadata(&mut self, content: &Content) {
        if let Some(metadata) = &content.metadata {
            self.name("metadata");
            metadata.write(self.out);
        }
    }

    fn rules(&mut self, content: &Content) {
        if let Some(rules) = &content.rule_set {
            self.name("ruleSet");
            rules.write(self.out);
        }
    }

    fn raw(&mut self, member: &str, json: Option<&str>) {
        if let Some(json) = json {
            self.name(member);
            self.out.push_str(json);
        }
    }

    fn stored(&mut self, stored: Option<(i64, bool)>) {
        if let Some((timestamp, deleted)) = stored.filter(|_| self.modern) {
            self.int("ts", Some(timestamp));
            self.raw("deleted", Some(if deleted { "true" } else { "false" }));
        }
    }

    fn finish(self) {
        self.out.push_str(if self.first { "{}" } else { "}" });
    }
}

fn writer(personality: Personality, out: &mut String) -> Writer<'_> {
    Writer {
        out,
        first: true,
        modern: personality > Personality::V7_9,
    }
}

/// Appends a `Schema`: lookups, versions, lists.
pub(crate) fn write_schema(shown: &Shown<'_>, personality: Personality, out: &mut String) {
    let mut w = writer(personality, out);
    w.text("subject", shown.subject);
    w.int("version", shown.version.map(i64::from));
    w.int("id", shown.id.map(i64::from));
    w.guid(shown.guid);
    w.schema_type(&shown.content.schema_type);
    w.references(shown);
    w.metadata(shown.content);
    w.schema(shown);
    w.raw("schemaTags", shown.tags);
    w.stored(shown.stored);
    w.rules(shown.content);
    if let Some(aliases) = shown.aliases.filter(|a| !a.is_empty()) {
        w.name("aliases");
        write_texts(aliases.iter().map(String::as_str), w.out);
    }
    w.raw("associations", shown.associations);
    w.finish();
}

/// Appends a `SchemaString`: by id, by guid.
pub(crate) fn write_schema_string(shown: &Shown<'_>, personality: Personality, out: &mut String) {
    let mut w = writer(personality, out);
    if w.modern {
        w.text("subject", shown.subject);
        w.int("version", shown.version.map(i64::from));
    }
    w.guid(shown.guid);
    w.schema_type(&shown.content.schema_type);
    w.schema(shown);
    w.references(shown);
    w.metadata(shown.content);
    w.rules(shown.content);
    w.raw("schemaTags", shown.tags);
    w.int("maxId", shown.max_id.map(i64::from));
    w.stored(shown.stored);
    w.finish();
}

/// Appends the answer to a registration. `changed`: release 7.9 says more than the id only where the server changed metadata or rules.
pub(crate) fn write_registered(
    shown: &Shown<'_>,
    changed: bool,
    personality: Personality,
    out: &mut String,
) {
    let mut w = writer(personality, out);
    if !w.modern && !changed {
        w.int("id", shown.id.map(i64::from));
        return w.finish();
    }
    w.int("id", shown.id.map(i64::from));
    w.int("version", shown.version.map(i64::from));
    w.guid(shown.guid);
    w.schema_type(&shown.content.schema_type);
    w.references(shown);
    w.metadata(shown.content);
    w.rules(shown.content);
    w.schema(shown);
    w.stored(shown.stored);
    w.finish();
}

/// Appends a list of texts.
pub(crate) fn write_texts<'t>(texts: impl Iterator<Item = &'t str>, out: &mut String) {
    out.push('[');
    for (i, text) in texts.enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string_to_bytes(text, out);
    }
    out.push(']');
}

/// Appends a list of numbers.
pub(crate) fn write_ints(values: impl Iterator<Item = i32>, out: &mut String) {
    out.push('[');
    for (i, value) in values.enumerate() {
        if i > 0 {
            out.push(',');
        }
        push_int(value.into(), out);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for value in [0, 7, -1, i64::from(i32::MAX), i64::MIN] {
            let mut out = String::new();
            push_int(value, &mut out);
            assert_eq!(out, value.to_string());
        }
    }
}
