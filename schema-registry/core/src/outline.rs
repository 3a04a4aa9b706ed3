//! Where the fields of an Avro record are in its text.
//!
//! Versions of a subject mostly differ in a field or two. Where the texts around these are the same byte for byte, only the fields between need to be parsed and compared, which
//! is what lets a registration be compared with thousands of versions that were never parsed.

use std::ops::Range;
use std::sync::Arc;

/// A record's text as the registry prints it, with the places of its fields.
#[derive(Debug)]
pub(crate) struct Outline {
    text: Arc<str>,
    /// Behind the bracket that opens the fields.
    open: usize,
    /// At the bracket that closes them.
    close: usize,
    fields: Vec<Range<usize>>,
    /// The names of the fields; `None` for one that is not at the field's beginning.
    names: Vec<Option<Range<usize>>>,
}

/// The part in which another text differs from an outlined one, in whole fields.
#[derive(Debug)]
pub(crate) struct Region<'a> {
    /// The fields of the outlined text that are not in the other.
    pub(crate) own: Range<usize>,
    /// What the other has instead: fields with commas between.
    pub(crate) other: &'a str,
    /// The places of these fields in `other`.
    pub(crate) fields: Vec<Range<usize>>,
}

const BEGIN: &str = "{\"type\":\"record\",\"name\":\"";
const FIELDS: &str = "\"fields\":[";
/// How a field begins, as the registry prints it.
pub(crate) const NAME: &str = "{\"name\":\"";

impl Outline {
    /// `None` for other types than records, and for texts that are laid out differently.
    pub(crate) fn of(text: &Arc<str>) -> Option<Self> {
        if !text.starts_with(BEGIN) {
            return None;
        }
        let bytes = text.as_bytes();
        let mut depth = 0usize;
        let mut at = 0;
        let open = loop {
            match bytes.get(at)? {
                b'"' if depth == 1 && bytes[at..].starts_with(FIELDS.as_bytes()) => {
                    break at + FIELDS.len();
                }
                b'"' => at = end_of_string(bytes, at)?,
                b'{' | b'[' => {
                    depth += 1;
                    at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    at += 1;
                }
                _ => at += 1,
            }
        };
        let (mut fields, length) = objects(&bytes[open..])?;
        for field in &mut fields {
            *field = field.start + open..field.end + open;
        }
        let close = open + length;
        (bytes.get(close) == Some(&b']')).then(|| Self {
            text: Arc::clone(text),
            open,
            close,
            names: fields
                .iter()
                .map(|field| {
                    let start = field.start + NAME.len();
                    name(&text[field.clone()]).map(|name| start..start + name.len())
                })
                .collect(),
            fields,
        })
    }

    /// The fields in which `other` differs; `None` where it differs in anything else.
    pub(crate) fn region<'a>(&self, other: &'a str) -> Option<Region<'a>> {
        let (new, old) = (self.text.as_bytes(), other.as_bytes());
        // What follows on the fields counts as the end, where all is the same.
        let prefix = common_prefix(new, old).min(self.close);
        let suffix = common_suffix(&new[prefix..], &old[prefix..]);
        if prefix < self.open || suffix < new.len() - self.close {
            return None;
        }
        let from = self.fields.partition_point(|field| field.end <= prefix);
        let to = self
            .fields
            .partition_point(|field| field.start < new.len() - suffix);
        let start = match from {
            0 => self.open,
            _ => self.fields[from - 1].end,
        };
        let end = self.fields.get(to).map_or(self.close, |next| next.start);
        let end = (old.len() + end).checked_sub(new.len())?;
        let between = other.get(start..end)?;
        // The commas towards the fields on both sides.
        let other = match (from > 0, to < self.fields.len()) {
            (true, true) if between == "," => "",
            (true, true) if between.is_empty() => return None,
            _ if between.is_empty() => "",
            (before, after) => {
                let fields = match before {
                    true => between.strip_prefix(',')?,
                    false => between,
                };
                let fields = match after {
                    true => fields.strip_suffix(',')?,
                    false => fields,
                };
                (!fields.is_empty()).then_some(fields)?
            }
        };
        let (fields, length) = objects(other.as_bytes())?;
        (length == other.len()).then_some(Region {
            own: from..to,
            other,
            fields,
        })
    }

    /// The texts of some fields, with the commas between.
    pub(crate) fn slice(&self, fields: &Range<usize>) -> &str {
        match (self.fields.get(fields.start), fields.end.checked_sub(1)) {
            (Some(first), Some(last)) if last >= fields.start => {
                &self.text[first.start..self.fields[last].end]
            }
            _ => "",
        }
    }

    /// The names of the fields; `None` for one that is not at the field's beginning.
    pub(crate) fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.names
            .iter()
            .map(|name| name.clone().map(|name| &self.text[name]))
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether `other` has more or fewer fields or other names, so that it is another record whatever the order of properties is.
    pub(crate) fn has_other_names(&self, other: &str) -> bool {
        let Some(region) = self.region(other) else {
            return false;
        };
        region.own.len() != region.fields.len()
            || self
                .names()
                .skip(region.own.start)
                .zip(region.names())
                .any(|(own, their)| own.zip(their).is_some_and(|(own, their)| own != their))
    }
}

impl Region<'_> {
    /// The names of the other's fields; `None` for one that is not at the field's beginning.
    pub(crate) fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.fields
            .iter()
            .map(|field| name(&self.other[field.clone()]))
    }
}

/// Texts are compared this many bytes at a time.
const STRIDE: usize = 32;

fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.chunks_exact(STRIDE).zip(other.chunks_exact(STRIDE));
    let same = STRIDE * blocks.take_while(|(a, b)| a == b).count();
    let rest = one[same..].iter().zip(&other[same..]);
    same + rest.take_while(|(a, b)| a == b).count()
}

fn common_suffix(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.rchunks_exact(STRIDE).zip(other.rchunks_exact(STRIDE));
    let same = STRIDE * blocks.take_while(|(a, b)| a == b).count();
    let rest = one[..one.len() - same].iter().rev();
    let rest = rest.zip(other[..other.len() - same].iter().rev());
    same + rest.take_while(|(a, b)| a == b).count()
}

/// Behind the string that begins at `at`.
fn end_of_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The objects at the beginning, with one comma between two, and how long they are altogether.
fn objects(bytes: &[u8]) -> Option<(Vec<Range<usize>>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while bytes.get(at) == Some(&b'{') {
        let start = at;
        let mut depth = 0usize;
        loop {
            match bytes.get(at)? {
                b'"' => {
                    at = end_of_string(bytes, at)?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                break;
            }
        }
        found.push(start..at);
        match bytes.get(at) {
            Some(b',') if bytes.get(at + 1) == Some(&b'{') => at += 1,
            _ => break,
        }
    }
    Some((found, at))
}

/// The name of a field, which the registry prints first.
fn name(field: &str) -> Option<&str> {
    let (name, _) = field.strip_prefix(NAME)?.split_once('"')?;
    (!name.contains('\\')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &str) -> Arc<str> {
        format!(
            r#"{{"type":"record","name":"R","doc":"\"fields\":[","fields":[{fields}],"p":{{"fields":[]}}}}"#
        )
        .into()
    }

    fn int(name: &str) -> String {
        format!(r#"{{"name":"{name}","type":"int","p":["{{[\"","]}}"]}}"#)
    }

    fn list(names: &[&str]) -> String {
        names.iter().map(|n| int(n)).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn the_region_is_the_fields_that_differ() {
        let all: [&[&str]; 9] = [
            &[],
            &["a"],
            &["b"],
            &["a", "b"],
            &["b", "a"],
            &["aa", "a"],
            &["a", "b", "c"],
            &["a", "x", "y", "c"],
            &["a", "a", "a"],
        ];
        for new in all {
            let outline = Outline::of(&record(&list(new))).expect("a record");
            for old in all {
                let text = record(&list(old));
                let region = outline.region(&text).expect("the rest is the same");
                assert_eq!(
                    outline.slice(&region.own),
                    list(&new[region.own.clone()]),
                    "{new:?} {old:?}"
                );
                let mut rebuilt: Vec<String> = new.iter().map(|n| int(n)).collect();
                rebuilt.splice(
                    region.own.clone(),
                    region
                        .fields
                        .iter()
                        .map(|f| region.other[f.clone()].to_owned()),
                );
                assert_eq!(record(&rebuilt.join(",")), text, "{new:?} {old:?}");
                assert_eq!(
                    outline.has_other_names(&text),
                    new != old,
                    "{new:?} {old:?}"
                );
                let names: Vec<_> = region.names().collect();
                let expected = region.own.start..region.own.start + names.len();
                assert_eq!(
                    names,
                    old[expected].iter().map(|n| Some(*n)).collect::<Vec<_>>()
                );
                assert!(outline.names().eq(new.iter().map(|n| Some(*n))));
            }
        }
    }

    #[test]
    fn what_differs_elsewhere_has_no_region() {
        let outline = Outline::of(&record(&list(&["a", "b"]))).expect("a record");
        for other in [
            record("").replace("\"R\"", "\"S\""),
            record(&list(&["a"])).replace("\"p\":{", "\"q\":{"),
            record("{\"name\":\"a\"}],\"x\":[{\"name\":\"b\"}").to_string(),
            record("{\"name\":\"a\"").to_string(),
            record("1").to_string(),
            record(&format!("{},", int("a"))).to_string(),
            record(&format!("{},,{}", int("a"), int("b"))).to_string(),
            String::new(),
        ] {
            assert!(outline.region(&other).is_none(), "{other}");
        }
        for other in [
            r#"{"type":"enum","name":"E","symbols":[]}"#,
            r#"{"type":"record","name":"E"}"#,
            r#"{"type":"record","name":"E","fields":[1]}"#,
            r#"{"type":"record","name":"E","fields":[{"#,
            r#"{"type":"record","name":""#,
        ] {
            assert!(Outline::of(&other.into()).is_none(), "{other}");
        }
        // Cuts are between characters.
        let outline = Outline::of(&record(r#"{"name":"é","type":"int"}"#)).expect("a record");
        let other = record(r#"{"name":"è","type":"int"}"#);
        assert!(outline.has_other_names(&other));
    }
}
