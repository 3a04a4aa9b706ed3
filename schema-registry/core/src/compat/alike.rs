//! Comparing with versions that differ in a few fields, without parsing them.

use std::collections::HashMap;
use std::ops::Range;

use parking_lot::Mutex;
use registry_formats::{Direction, ParsedSchema, Policy, SchemaType, Strictness};

use crate::config::Level;
use crate::content::{Content, TypeName};
use crate::draft::Canonical;
use crate::outline::{NAME, Outline, Region};

/// What makes fields depend on others: types that may be mentioned elsewhere, and further names of fields.
const ENTANGLING: [&str; 5] = [
    "\"record\"",
    "\"error\"",
    "\"enum\"",
    "\"fixed\"",
    "\"aliases\"",
];

/// Most verdicts that are kept during one registration.
const MOST_KEPT: usize = 4096;

/// Compares a new Avro record with old ones by the fields in which they differ.
pub(super) struct Alike<'a> {
    outline: &'a Outline,
    level: Level,
    met: Mutex<Met>,
}

/// What was found out on the way.
#[derive(Default)]
struct Met {
    /// The new record's side of regions, as records of their own; `None` where it depends on other fields.
    own: HashMap<Range<usize>, Option<ParsedSchema>>,
    /// Verdicts by the new record's side and the other's only field from behind its name on, which is not one of the new record.
    verdicts: HashMap<Range<usize>, HashMap<Box<str>, bool>>,
}

fn is_plain_avro(content: &Content) -> bool {
    content.schema_type == TypeName::Known(SchemaType::Avro) && content.references.is_empty()
}

fn is_plain_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A record of nothing but these fields.
fn record_of(fields: &str) -> Option<ParsedSchema> {
    // A word may be hidden in escapes, in text that the registry did not print itself.
    if fields.contains("\\u") || ENTANGLING.iter().any(|word| fields.contains(word)) {
        return None;
    }
    // Fields that mention types of other fields do not parse here.
    let text = format!(r#"{{"type":"record","name":"FieldsOfARegion","fields":[{fields}]}}"#);
    ParsedSchema::parse(SchemaType::Avro, &text, &[], Strictness::Stored).ok()
}

impl<'a> Alike<'a> {
    /// `None` where the new schema has to be compared as a whole.
    pub(super) fn new(level: Level, new: &'a Canonical) -> Option<Self> {
        if !is_plain_avro(&new.content) {
            return None;
        }
        let outline = new.outline()?;
        // An alias may mean any field.
        (!outline.text().contains("\"aliases\"")).then(|| Self {
            outline,
            level,
            met: Mutex::default(),
        })
    }

    /// Whether the level certainly allows the new schema beside this old one. `false` says nothing: they have to be compared as a whole then.
    ///
    /// The texts outside of the region are the same, and what they mention is defined in them: these fields read each other. Names are unique within a record, so no field
    /// of the region can be meant for one outside. So the verdict is that of the fields in the region, and that is what the checker says about records of nothing else.
    pub(super) fn allows(&self, old: &Content) -> bool {
        if !is_plain_avro(old) {
            return false;
        }
        let Some(region) = self.outline.region(&old.text) else {
            return false;
        };
        let Some(rest) = self.nameless(&region) else {
            return self.verdict(&region).unwrap_or(false);
        };
        // Versions often differ in the name of a field alone, and what that is does not matter where nothing else has it.
        if let Some(known) = self
            .met
            .lock()
            .verdicts
            .get(&region.own)
            .and_then(|all| all.get(rest))
        {
            return *known;
        }
        let verdict = self.verdict(&region).unwrap_or(false);
        let mut met = self.met.lock();
        let all = met.verdicts.entry(region.own.clone()).or_default();
        if all.len() < MOST_KEPT {
            all.insert(rest.into(), verdict);
        }
        verdict
    }

    /// The other's only field from behind its name on, where the new record has no field of that name.
    fn nameless<'r>(&self, region: &Region<'r>) -> Option<&'r str> {
        let [_] = region.fields.as_slice() else {
            return None;
        };
        let name = region.names().next()??;
        let taken = |own: Option<&str>| own.is_none_or(|own| own == name);
        if !is_plain_name(name) || self.outline.names().any(taken) {
            return None;
        }
        region.other.get(NAME.len() + name.len()..)
    }

    fn verdict(&self, region: &Region<'_>) -> Option<bool> {
        let theirs = record_of(region.other)?;
        // A name given twice makes the old text no schema.
        for (at, name) in self.outline.names().enumerate() {
            if !region.own.contains(&at) && theirs.has_top_level_field(name?) {
                return None;
            }
        }
        let known = self.met.lock().own.get(&region.own).cloned();
        let ours = match known {
            Some(known) => known,
            None => {
                let ours = record_of(self.outline.slice(&region.own));
                let mut met = self.met.lock();
                if met.own.len() < MOST_KEPT {
                    met.own.insert(region.own.clone(), ours.clone());
                }
                ours
            }
        }?;
        let passes = |reader: &ParsedSchema, writer: &ParsedSchema, direction| {
            ParsedSchema::check(reader, writer, direction, Policy::Strict)
                .is_ok_and(|found| found.is_empty())
        };
        Some(
            (!self.level.checks_forward() || passes(&theirs, &ours, Direction::Forward))
                && (!self.level.checks_backward() || passes(&ours, &theirs, Direction::Backward)),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TYPES: [&str; 12] = [
        r#""int""#,
        r#""long""#,
        r#""string""#,
        r#"["null","string"]"#,
        r#"["null",{"type":"long","p":1}]"#,
        r#"{"type":"array","items":"int"}"#,
        r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
        r#"{"type":"enum","name":"E","symbols":["A"]}"#,
        r#"{"type":"record","name":"N","fields":[{"name":"x","type":"int"}]}"#,
        r#""E""#,
        r#"["null","N"]"#,
        r#"["null","R"]"#,
    ];

    /// A fixed sequence that looks like chance.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % limit
        }

        fn field(&mut self) -> String {
            let name = ["a", "b", "c", "d", "e", "own_1", "own_2"][self.below(7)];
            let of = TYPES[if self.below(3) == 0 {
                self.below(TYPES.len())
            } else {
                self.below(6)
            }];
            let default = match self.below(2) {
                0 if of.starts_with("[\"null\"") => ",\"default\":null",
                0 if of == "\"int\"" => ",\"default\":1",
                _ => "",
            };
            let aliases = match self.below(12) {
                0 => ",\"aliases\":[\"a\"]",
                _ => "",
            };
            format!(r#"{{"name":"{name}","type":{of}{default}{aliases}}}"#)
        }

        fn changed(&mut self, fields: &[String]) -> Vec<String> {
            let mut fields = fields.to_vec();
            for _ in 0..=self.below(2) {
                let at = self.below(fields.len() + 1);
                match self.below(4) {
                    0 => fields.insert(at, self.field()),
                    1 if at < fields.len() => drop(fields.remove(at)),
                    2 if at < fields.len() => fields[at] = self.field(),
                    _ if at + 1 < fields.len() => fields.swap(at, at + 1),
                    _ => {}
                }
            }
            fields
        }
    }

    fn canonical(fields: &[String]) -> Option<Canonical> {
        let text = format!(
            r#"{{"type":"record","name":"R","namespace":"n","fields":[{}]}}"#,
            fields.join(",")
        );
        let parsed = ParsedSchema::parse(SchemaType::Avro, &text, &[], Strictness::New).ok()?;
        let content = Content::new(
            TypeName::Known(SchemaType::Avro),
            parsed.canonical().into(),
            Vec::new(),
            None,
            None,
        );
        Some(Canonical::new(parsed, content))
    }

    #[test]
    fn what_it_allows_the_checker_allows() {
        let mut dice = Dice(7);
        let (mut compared, mut compatible, mut allowed) = (0, 0, 0);
        let mut levels = HashSet::new();
        while compared < 4000 {
            let fields: Vec<String> = (0..dice.below(6)).map(|_| dice.field()).collect();
            let Some(new) = canonical(&fields) else {
                continue;
            };
            let level = [
                Level::BackwardTransitive,
                Level::ForwardTransitive,
                Level::FullTransitive,
            ][dice.below(3)];
            let alike = Alike::new(level, &new);
            for _ in 0..6 {
                let Some(old) = canonical(&dice.changed(&fields)) else {
                    continue;
                };
                compared += 1;
                let reads = |reader: &Canonical, writer: &Canonical, direction| {
                    ParsedSchema::check(&reader.parsed, &writer.parsed, direction, Policy::Strict)
                        .is_ok_and(|found| found.is_empty())
                };
                let expected = (!level.checks_forward() || reads(&old, &new, Direction::Forward))
                    && (!level.checks_backward() || reads(&new, &old, Direction::Backward));
                compatible += usize::from(expected);
                if alike.as_ref().is_some_and(|a| a.allows(&old.content)) {
                    allowed += 1;
                    levels.insert(level.name());
                    assert!(
                        expected,
                        "{}: {} {}",
                        level.name(),
                        new.content.text,
                        old.content.text
                    );
                }
            }
        }
        assert_eq!(levels.len(), 3);
        assert!(allowed * 2 > compatible, "{allowed} of {compatible}");
    }

    #[test]
    fn a_row_of_versions_that_differ_in_one_name_is_compared_once() {
        let field = |name: &str, default: &str| {
            format!(r#"{{"name":"{name}","type":["null","int"]{default}}}"#)
        };
        let null = ",\"default\":null";
        let new = canonical(&[field("a", ""), field("new", null)]).expect("a record");
        let alike = Alike::new(Level::FullTransitive, &new).expect("a record");
        let allows = |name: &str, default: &str| {
            let old = canonical(&[field("a", ""), field(name, default)]).expect("a record");
            alike.allows(&old.content)
        };
        for i in 0..100 {
            assert!(allows(&format!("own_{i}"), null));
            assert!(!allows(&format!("own_{i}"), ""));
        }
        assert!(allows("new", null));
        assert_eq!(
            alike
                .met
                .lock()
                .verdicts
                .values()
                .map(HashMap::len)
                .sum::<usize>(),
            2
        );
    }
}
