//! Replaces what no two runs have in common by tokens that say how the values relate.

use std::collections::BTreeSet;
use std::ops::Range;

use super::json_text::{Scalars, split_schema};
use super::names::Names;

/// Distinct numbers of one kind; a number's token has its rank among them.
#[derive(Debug, Default)]
struct Ranks(BTreeSet<i64>);

impl Ranks {
    fn note(&mut self, value: Option<i64>) {
        self.0.extend(value);
    }

    fn token(&self, kind: &str, value: i64) -> Option<String> {
        self.0
            .contains(&value)
            .then(|| format!("<{kind}{}>", self.0.range(..=value).count()))
    }
}

/// What a value is an event of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Change,
    SnapshotRow,
    Heartbeat,
    Other,
}

fn kind_of(value: &Scalars<'_>) -> Kind {
    match value.raw("/op") {
        Some("\"r\"") if value.has("/source/lsn") => Kind::SnapshotRow,
        Some(_) if value.has("/source/lsn") => Kind::Change,
        _ if value.pointers().eq(["/ts_ms"]) => Kind::Heartbeat,
        _ => Kind::Other,
    }
}

/// All positions of a scenario must be noted before the first text is normalised: a rank depends on all of them.
#[derive(Debug)]
pub(super) struct Normaliser<'a> {
    names: &'a Names,
    /// How many positions there are depends on time: they are not ranked.
    unranked: bool,
    change_lsns: Ranks,
    snapshot_lsns: Ranks,
    /// LSNs of commit records. Ranked apart: a commit's end may or may not be the position of the next change.
    commit_lsns: Ranks,
    transactions: Ranks,
    commit_times: Ranks,
    snapshot_times: Ranks,
    /// Task runs by appearance.
    runs: Vec<String>,
}

impl<'a> Normaliser<'a> {
    pub(super) fn new(names: &'a Names, unranked: bool) -> Self {
        Normaliser {
            names,
            unranked,
            change_lsns: Ranks::default(),
            snapshot_lsns: Ranks::default(),
            commit_lsns: Ranks::default(),
            transactions: Ranks::default(),
            commit_times: Ranks::default(),
            snapshot_times: Ranks::default(),
            runs: Vec::new(),
        }
    }

    /// Takes the positions of one record's value.
    pub(super) fn note(&mut self, text: &str) {
        let Some(value) = Scalars::of(split_schema(text).1) else {
            return;
        };
        let (lsns, times) = match kind_of(&value) {
            Kind::Change => (&mut self.change_lsns, &mut self.commit_times),
            Kind::SnapshotRow => (&mut self.snapshot_lsns, &mut self.snapshot_times),
            Kind::Heartbeat | Kind::Other => return,
        };
        lsns.note(value.number("/source/lsn"));
        times.note(value.number("/source/ts_us"));
        self.transactions.note(value.number("/source/txId"));
        if let Some((commit, event)) = value.raw("/source/sequence").and_then(sequence) {
            self.commit_lsns.note(digits(commit));
            lsns.note(digits(event));
        }
    }

    /// A key or value without its schema.
    pub(super) fn payload(&self, text: &str) -> String {
        let Some(scalars) = Scalars::of(text) else {
            return self.names.hide(text);
        };
        let mut edit = Edit::of(text, &scalars);
        match kind_of(&scalars) {
            kind @ (Kind::Change | Kind::SnapshotRow) => self.event(kind, &scalars, &mut edit),
            Kind::Heartbeat => edit.put("/ts_ms", "\"<now>\""),
            Kind::Other => {}
        }
        self.names.hide(&edit.finish())
    }

    fn event(&self, kind: Kind, event: &Scalars<'_>, edit: &mut Edit<'_>) {
        let snapshot = kind == Kind::SnapshotRow;
        let commit_time = event.number("/source/ts_us").filter(|_| !self.unranked);
        let source_time = commit_time.map_or("<now>".to_owned(), |at| {
            let known = if snapshot {
                self.snapshot_times.token("snapts", at)
            } else {
                self.commit_times.token("ts", at)
            };
            known.unwrap_or("<otherts>".to_owned())
        });
        times(event, edit, "/source", &source_time, !snapshot);
        times(event, edit, "", "<now>", false);
        if let Some(lsn) = event.number("/source/lsn") {
            edit.put("/source/lsn", &quoted(&self.event_lsn(snapshot, lsn)));
        }
        if let Some(id) = event.number("/source/txId") {
            edit.put("/source/txId", &quoted(&self.transaction(id)));
        }
        edit.put("/source/xmin", "\"<xmin>\"");
        edit.put("/source/version", "\"<version>\"");
        if let Some((commit, lsn)) = event.raw("/source/sequence").and_then(sequence) {
            let commit = replace_digits(commit, |lsn| {
                self.ranked(&[("commit", &self.commit_lsns)], lsn)
            });
            let lsn = replace_digits(lsn, |lsn| self.event_lsn(snapshot, lsn));
            edit.put("/source/sequence", &format!("{commit},{lsn}"));
        }
    }

    fn event_lsn(&self, snapshot: bool, lsn: i64) -> String {
        let mut order = [("lsn", &self.change_lsns), ("snaplsn", &self.snapshot_lsns)];
        if snapshot {
            order.reverse();
        }
        self.ranked(&order, lsn)
    }

    /// The rank of an LSN in the first kind that has it.
    fn ranked(&self, kinds: &[(&str, &Ranks)], lsn: i64) -> String {
        if self.unranked {
            return "<lsn>".to_owned();
        }
        let known = kinds
            .iter()
            .find_map(|(kind, ranks)| ranks.token(kind, lsn));
        known.unwrap_or("<otherlsn>".to_owned())
    }

    fn transaction(&self, id: i64) -> String {
        if self.unranked {
            return "<tx>".to_owned();
        }
        self.transactions
            .token("tx", id)
            .unwrap_or("<othertx>".to_owned())
    }

    /// A value of the offsets topic.
    pub(super) fn offset(&self, text: &str) -> String {
        let Some(offset) = Scalars::of(text) else {
            return self.names.hide(text);
        };
        let (change, snapshot, commit) = (
            ("lsn", &self.change_lsns),
            ("snaplsn", &self.snapshot_lsns),
            ("commit", &self.commit_lsns),
        );
        let mut edit = Edit::of(text, &offset);
        for name in ["/lsn", "/lsn_proc"] {
            if let Some(lsn) = offset.number(name) {
                edit.put(
                    name,
                    &quoted(&self.ranked(&[change, snapshot, commit], lsn)),
                );
            }
        }
        if let Some(lsn) = offset.number("/lsn_commit") {
            let rank = self.ranked(&[commit, change, snapshot], lsn);
            edit.put("/lsn_commit", &quoted(&rank));
        }
        if let Some(id) = offset.number("/txId") {
            edit.put("/txId", &quoted(&self.transaction(id)));
        }
        if let Some(at) = offset.number("/ts_usec") {
            let known = self.commit_times.token("ts", at);
            let known = known.or_else(|| self.snapshot_times.token("snapts", at));
            let token = match known {
                _ if self.unranked => "<ts>".to_owned(),
                known => known.unwrap_or("<otherts>".to_owned()),
            };
            edit.put("/ts_usec", &quoted(&token));
        }
        edit.put("/xmin", "\"<xmin>\"");
        self.names.hide(&edit.finish())
    }

    /// A header's value.
    pub(super) fn header(&mut self, name: &str, value: &str) -> String {
        if name == "__debezium.context.runId" {
            return self.run_id(value);
        }
        if value.starts_with('{') {
            let (schema, payload) = split_schema(value);
            let payload = self.payload(payload);
            return match schema {
                Some(schema) => {
                    let schema = self.names.hide(schema);
                    format!("{{\"schema\":{schema},\"payload\":{payload}}}")
                }
                None => payload,
            };
        }
        self.names.hide(value)
    }

    fn run_id(&mut self, text: &str) -> String {
        let Some(place) = uuid(text) else {
            return text.to_owned();
        };
        let id = &text[place.clone()];
        let number = self.runs.iter().position(|run| run == id);
        let number = number.unwrap_or_else(|| {
            self.runs.push(id.to_owned());
            self.runs.len() - 1
        });
        format!(
            "{}<run{}>{}",
            &text[..place.start],
            number + 1,
            &text[place.end..]
        )
    }
}

/// The three times of an event or of its source are one instant; what is not is marked.
fn times(event: &Scalars<'_>, edit: &mut Edit<'_>, block: &str, token: &str, whole_micros: bool) {
    let at = |name: &str| event.number(&format!("{block}/{name}"));
    let (ms, us, ns) = (at("ts_ms"), at("ts_us"), at("ts_ns"));
    let agree = |fine: Option<i64>, coarse: Option<i64>| match (fine, coarse) {
        (Some(fine), Some(coarse)) => fine.div_euclid(1000) == coarse,
        _ => true,
    };
    let mut consistent = agree(us, ms) && agree(ns, us);
    if let (true, Some(us), Some(ns)) = (whole_micros, us, ns) {
        consistent &= ns == us * 1000;
    }
    let mark = if consistent { "" } else { "!inconsistent" };
    for name in ["ts_ms", "ts_us", "ts_ns"] {
        edit.put(&format!("{block}/{name}"), &format!("\"{token}{mark}\""));
    }
}

/// The two elements of `"[null,\"26\"]"`, with brackets and quotes.
fn sequence(raw: &str) -> Option<(&str, &str)> {
    raw.split_once(',')
}

fn digits(text: &str) -> Option<i64> {
    let number = text.trim_matches(|c: char| !c.is_ascii_digit());
    number.parse().ok()
}

fn replace_digits(text: &str, replace: impl Fn(i64) -> String) -> String {
    match digits(text) {
        Some(number) => text.replace(&number.to_string(), &replace(number)),
        None => text.to_owned(),
    }
}

fn quoted(token: &str) -> String {
    format!("\"{token}\"")
}

/// The first lower-case UUID in `text`.
fn uuid(text: &str) -> Option<Range<usize>> {
    const LENGTH: usize = 36;
    let is_uuid = |window: &[u8]| {
        window.iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        })
    };
    let start = text.as_bytes().windows(LENGTH).position(is_uuid)?;
    Some(start..start + LENGTH)
}

/// Replacements in a JSON text.
struct Edit<'a> {
    text: &'a str,
    scalars: &'a Scalars<'a>,
    replacements: Vec<(Range<usize>, String)>,
}

impl<'a> Edit<'a> {
    fn of(text: &'a str, scalars: &'a Scalars<'a>) -> Self {
        Edit {
            text,
            scalars,
            replacements: Vec::new(),
        }
    }

    /// Replaces a scalar; nothing happens when it is not there or null.
    fn put(&mut self, pointer: &str, replacement: &str) {
        if self.scalars.raw(pointer).is_some()
            && let Some(place) = self.scalars.place(pointer)
        {
            self.replacements.push((place, replacement.to_owned()));
        }
    }

    fn finish(mut self) -> String {
        self.replacements.sort_by_key(|(place, _)| place.start);
        let mut edited = String::with_capacity(self.text.len());
        let mut end = 0;
        for (place, replacement) in &self.replacements {
            edited.push_str(&self.text[end..place.start]);
            edited.push_str(replacement);
            end = place.end;
        }
        edited.push_str(&self.text[end..]);
        edited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(op: &str, commit: &str, lsn: i64, tx: i64, us: i64) -> String {
        format!(
            r#"{{"after":{{"lsn":{lsn}}},"source":{{"version":"1.0","ts_ms":{},"sequence":"[{commit},\"{lsn}\"]","ts_us":{us},"ts_ns":{us}000,"txId":{tx},"lsn":{lsn},"xmin":null}},"op":"{op}","ts_ms":5,"ts_us":5001,"ts_ns":5001002}}"#,
            us / 1000
        )
    }

    fn expected(
        op: &str,
        kinds: (&str, &str),
        commit: &str,
        ranks: (i32, i32),
        lsn: i64,
    ) -> String {
        let (ts, at) = (
            format!("<{}{}>", kinds.1, ranks.1),
            format!("<{}{}>", kinds.0, ranks.0),
        );
        format!(
            r#"{{"after":{{"lsn":{lsn}}},"source":{{"version":"<version>","ts_ms":"{ts}","sequence":"[{commit},\"{at}\"]","ts_us":"{ts}","ts_ns":"{ts}","txId":"<tx{}>","lsn":"{at}","xmin":null}},"op":"{op}","ts_ms":"<now>","ts_us":"<now>","ts_ns":"<now>"}}"#,
            ranks.1
        )
    }

    #[test]
    fn positions_become_ranks_and_rows_stay() {
        let names = Names::new("k", "h", 1);
        let mut normaliser = Normaliser::new(&names, false);
        let first = event("r", "null", 100, 7, 1_000_000);
        let second = event("c", "null", 300, 9, 3_000_000);
        let third = event("u", r#"\"400\""#, 500, 11, 2_000_000);
        for text in [&first, &third, &second] {
            normaliser.note(text);
        }
        assert_eq!(
            normaliser.payload(&first),
            expected("r", ("snaplsn", "snapts"), "null", (1, 1), 100)
        );
        let second = normaliser.payload(&second);
        assert!(second.contains(r#""lsn":"<lsn1>""#), "{second}");
        assert!(second.contains(r#""txId":"<tx2>""#), "{second}");
        assert!(second.contains(r#""ts_ms":"<ts2>""#), "{second}");
        let third = normaliser.payload(&third);
        assert!(third.contains(r#"[\"<commit1>\",\"<lsn2>\"]"#), "{third}");
        assert_eq!(
            normaliser.offset(
                r#"{"lsn_proc":500,"lsn_commit":400,"lsn":300,"txId":9,"ts_usec":2000000,"x":400}"#
            ),
            r#"{"lsn_proc":"<lsn2>","lsn_commit":"<commit1>","lsn":"<lsn1>","txId":"<tx2>","ts_usec":"<ts1>","x":400}"#
        );
    }

    #[test]
    fn times_that_differ_are_marked() {
        let names = Names::new("k", "h", 1);
        let normaliser = Normaliser::new(&names, true);
        let text = event("c", "null", 3, 9, 3_000_000).replace("\"ts_ms\":5,", "\"ts_ms\":6,");
        let text = normaliser.payload(&text);
        assert!(text.contains(r#""ts_us":"<now>!inconsistent""#), "{text}");
        assert!(text.contains(r#""lsn":"<lsn>","xmin":null"#), "{text}");
        assert_eq!(
            normaliser.payload(r#"{"ts_ms":12}"#),
            r#"{"ts_ms":"<now>"}"#
        );
        assert_eq!(
            normaliser.payload(r#"{"ts_ms":12,"a":1}"#),
            r#"{"ts_ms":12,"a":1}"#
        );
    }

    #[test]
    fn runs_are_numbered_by_appearance() {
        let names = Names::new("k", "h", 1);
        let mut normaliser = Normaliser::new(&names, false);
        let (a, b) = (
            "0d9d4f83-3a1c-4f0e-9b6c-111111111111",
            "0d9d4f83-3a1c-4f0e-9b6c-222222222222",
        );
        let mut of = |id: &str| normaliser.header("__debezium.context.runId", id);
        assert_eq!(
            (of(b), of(a), of(b)),
            ("<run1>".into(), "<run2>".into(), "<run1>".into())
        );
        assert_eq!(
            of(&format!("{{\"payload\":\"{a}\"}}")),
            "{\"payload\":\"<run2>\"}"
        );
    }
}
