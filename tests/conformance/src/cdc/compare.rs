use std::collections::BTreeSet;
use std::fmt::Debug;

use serde_json::Value;

use super::{Answer, Record, Status};

/// Characters shown on either side of where two texts part.
const CONTEXT: usize = 70;

/// What is different in `found`, one entry per field of a record, each of a few lines: `-` is expected, `+` found.
pub fn differences(expected: &Answer, found: &Answer) -> Vec<String> {
    let mut all = Differences::default();
    let topics: BTreeSet<&String> = expected.topics.keys().chain(found.topics.keys()).collect();
    for topic in topics {
        let of = |answer: &Answer| answer.topics.get(topic).cloned().unwrap_or_default();
        all.topic(topic, &of(expected), &of(found));
    }
    if expected.timed {
        // What the last offset is depends on the moment of the stop.
        let keys = |answer: &Answer| {
            answer
                .offsets
                .iter()
                .map(|(key, _)| key.clone())
                .collect::<Vec<_>>()
        };
        all.value("offset keys", &keys(expected), &keys(found));
    } else {
        all.value("offsets", &expected.offsets, &found.offsets);
    }
    all.status(expected.status.as_deref(), found.status.as_deref());
    all.list("rest", &expected.rest, &found.rest);
    all.value("facts", &expected.facts, &found.facts);
    all.0
}

#[derive(Debug, Default)]
struct Differences(Vec<String>);

impl Differences {
    fn topic(&mut self, topic: &str, expected: &[Record], found: &[Record]) {
        for (n, (expected, found)) in expected.iter().zip(found).enumerate() {
            self.record(&format!("{topic}[{n}]"), expected, found);
        }
        let (want, have) = (expected.len(), found.len());
        if want != have {
            let (sign, rest) = if have < want {
                ('-', &expected[have..])
            } else {
                ('+', &found[want..])
            };
            let shown: String = rest
                .iter()
                .take(2)
                .map(|record| format!("\n  {sign} {}", describe(record)))
                .collect();
            self.0
                .push(format!("{topic}: {have} records, expected {want}{shown}"));
        }
    }

    fn record(&mut self, place: &str, expected: &Record, found: &Record) {
        self.text(place, "key schema", &expected.key_schema, &found.key_schema);
        self.text(place, "key", &expected.key, &found.key);
        self.text(
            place,
            "value schema",
            &expected.value_schema,
            &found.value_schema,
        );
        self.text(place, "value", &expected.value, &found.value);
        self.value(
            &format!("{place} partition"),
            &expected.partition,
            &found.partition,
        );
        self.value(
            &format!("{place} headers"),
            &expected.headers,
            &found.headers,
        );
    }

    fn status(&mut self, expected: Option<&[Status]>, found: Option<&[Status]>) {
        let states = |status: Option<&[Status]>| {
            let states = status.map(|all| {
                all.iter()
                    .map(|one| (one.connector.clone(), one.tasks.clone()))
            });
            states.map(Iterator::collect::<Vec<_>>)
        };
        let before = self.0.len();
        self.value("status", &states(expected), &states(found));
        if self.0.len() > before {
            for message in found.unwrap_or_default().iter().flat_map(|s| &s.messages) {
                self.0.push(format!("failure: {message}"));
            }
        }
    }

    fn list(&mut self, what: &str, expected: &[Value], found: &[Value]) {
        for n in 0..expected.len().max(found.len()) {
            // The order of members does not count, so equal values may have different texts.
            if expected.get(n) == found.get(n) {
                continue;
            }
            let text = |list: &[Value]| list.get(n).map(Value::to_string);
            self.text(&format!("{what}[{n}]"), "", &text(expected), &text(found));
        }
    }

    fn value<T: PartialEq + Debug>(&mut self, what: &str, expected: &T, found: &T) {
        if expected != found {
            let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
            self.text(what, "", &Some(expected), &Some(found));
        }
    }

    fn text(&mut self, place: &str, what: &str, expected: &Option<String>, found: &Option<String>) {
        if expected == found {
            return;
        }
        let (e, f) = (
            expected.as_deref().unwrap_or("(none)"),
            found.as_deref().unwrap_or("(none)"),
        );
        let (e, f) = around_difference(e, f);
        self.0.push(format!("{place} {what}\n  - {e}\n  + {f}"));
    }
}

fn describe(record: &Record) -> String {
    let (key, value) = (record.key.as_deref(), record.value.as_deref());
    let text = format!("{} → {}", key.unwrap_or("null"), value.unwrap_or("null"));
    text.chars().take(3 * CONTEXT).collect()
}

/// Both texts from a little before to a little after where they part.
fn around_difference(a: &str, b: &str) -> (String, String) {
    let same = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    let start = same.saturating_sub(CONTEXT);
    let cut = |text: &str| {
        let mut cut = if start > 0 {
            "…".to_owned()
        } else {
            String::new()
        };
        cut.extend(text.chars().skip(start).take(same - start + 2 * CONTEXT));
        cut
    };
    (cut(a), cut(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &str) -> Record {
        Record {
            partition: 0,
            key: Some("k".to_owned()),
            value: Some(value.to_owned()),
            headers: vec![("h".to_owned(), None)],
            key_schema: None,
            value_schema: Some("s".to_owned()),
        }
    }

    fn answer(records: Vec<Record>) -> Answer {
        Answer {
            name: "case".to_owned(),
            topics: [("T".to_owned(), records)].into(),
            offsets: vec![("key".to_owned(), Some("1".to_owned()))],
            status: None,
            rest: vec![],
            facts: vec![],
            raw_records: 1,
            timed: false,
        }
    }

    #[test]
    fn every_part_of_an_answer_counts() {
        let expected = answer(vec![record("a"), record("b")]);
        assert!(differences(&expected, &expected).is_empty());
        let changes: [fn(&mut Answer); 10] = [
            |a| a.topics.values_mut().for_each(|r| r[1].partition = 1),
            |a| a.topics.values_mut().for_each(|r| r[0].key = None),
            |a| {
                a.topics
                    .values_mut()
                    .for_each(|r| r[0].key_schema = Some(String::new()))
            },
            |a| a.topics.values_mut().for_each(|r| r[0].value_schema = None),
            |a| a.topics.values_mut().for_each(|r| r[0].headers.clear()),
            |a| a.topics.values_mut().for_each(|r| drop(r.pop())),
            |a| a.offsets[0].1 = None,
            |a| a.status = Some(vec![]),
            |a| a.rest.push(Value::Null),
            |a| a.facts.push((String::new(), Value::Null)),
        ];
        for (n, change) in changes.iter().enumerate() {
            let mut found = expected.clone();
            change(&mut found);
            assert_eq!(differences(&expected, &found).len(), 1, "change {n}");
            assert_eq!(differences(&found, &expected).len(), 1, "change {n}");
        }
    }

    #[test]
    fn a_difference_shows_where_texts_part() {
        let long = "x".repeat(500);
        let expected = answer(vec![record(&format!("{long}1{long}"))]);
        let found = answer(vec![record(&format!("{long}2{long}"))]);
        let all = differences(&expected, &found);
        let lines: Vec<&str> = all[0].lines().collect();
        assert_eq!(lines[0], "T[0] value");
        assert!(lines[1].starts_with("  - …x") && lines[1].contains("x1x"));
        assert!(lines[2].starts_with("  + …x") && lines[2].contains("x2x"));
        assert!(lines[1].chars().count() < 4 * CONTEXT);
    }

    #[test]
    fn a_timed_scenario_compares_only_keys_of_offsets() {
        let mut expected = answer(vec![]);
        expected.timed = true;
        let mut found = expected.clone();
        found.offsets[0].1 = None;
        assert!(differences(&expected, &found).is_empty());
        found.offsets.clear();
        assert_eq!(differences(&expected, &found).len(), 1);
    }
}
