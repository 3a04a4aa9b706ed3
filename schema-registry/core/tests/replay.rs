//! Whatever was done, a registry that reads the topic later holds the same: all of it, or what compaction leaves.

use std::collections::BTreeMap;

use proptest::prelude::*;
use registry_core::{Body, Command, Flags, Page, Plan, Query, Registry, Settings, TopicWrite};

#[derive(Debug, Clone)]
enum Step {
    Register(usize, usize),
    DeleteVersion(usize, i32, bool),
    DeleteSubject(usize, bool),
    Config(usize, bool),
}

const SUBJECTS: [&str; 4] = ["a", "b", ":.c:a", ":.c:"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4usize, 0..5usize).prop_map(|(s, t)| Step::Register(s, t)),
        2 => (0..4usize, 1..5i32, any::<bool>()).prop_map(|(s, v, p)| Step::DeleteVersion(s, v, p)),
        1 => (0..4usize, any::<bool>()).prop_map(|(s, p)| Step::DeleteSubject(s, p)),
        1 => (0..4usize, any::<bool>()).prop_map(|(s, set)| Step::Config(s, set)),
    ]
}

fn command(step: &Step) -> Command {
    match step {
        Step::Register(subject, text) => Command::Register {
            subject: SUBJECTS[*subject].to_owned(),
            body: Some(
                format!(
                    "{{\"schema\":\"{{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R{text}\\\",\\\"fields\\\":[]}}\"}}"
                )
                .into_bytes(),
            ),
            flags: Flags::default(),
        },
        Step::DeleteVersion(subject, version, permanent) => Command::DeleteVersion {
            subject: SUBJECTS[*subject].to_owned(),
            version: version.to_string(),
            flags: Flags {
                permanent: *permanent,
                ..Flags::default()
            },
        },
        Step::DeleteSubject(subject, permanent) => Command::DeleteSubject {
            subject: SUBJECTS[*subject].to_owned(),
            flags: Flags {
                permanent: *permanent,
                ..Flags::default()
            },
        },
        Step::Config(subject, true) => Command::PutConfig {
            subject: Some(SUBJECTS[*subject].to_owned()),
            body: Some(b"{\"compatibility\":\"NONE\"}".to_vec()),
        },
        Step::Config(subject, false) => Command::DeleteConfig {
            subject: Some(SUBJECTS[*subject].to_owned()),
        },
    }
}

fn load(records: &[TopicWrite]) -> Registry {
    let registry = Registry::new(Settings::default());
    for record in records {
        let applied = registry.apply(
            Some(record.key.as_bytes()),
            record.value.as_deref().map(str::as_bytes),
            0,
            1,
        );
        assert_eq!(applied.skipped, None, "{record:?}");
    }
    registry
}

/// The last record of each key, in the order of the topic.
fn compacted(records: &[TopicWrite]) -> Vec<TopicWrite> {
    let last: BTreeMap<&str, usize> = records
        .iter()
        .enumerate()
        .map(|(i, r)| (r.key.as_str(), i))
        .collect();
    records
        .iter()
        .enumerate()
        .filter(|(i, r)| last[r.key.as_str()] == *i)
        .map(|(_, r)| r.clone())
        .collect()
}

fn ask(registry: &Registry, query: &Query) -> String {
    match registry.query(query) {
        Ok(answer) => match answer.body {
            Body::Text(text) => text,
            Body::Empty => String::new(),
        },
        Err(error) => error.body(),
    }
}

/// Everything that can be asked, but for the order in which equal things came.
fn view(registry: &Registry) -> Vec<String> {
    let page = Page::default();
    let mut view = vec![
        ask(
            registry,
            &Query::Subjects {
                prefix: None,
                deleted: true,
                deleted_only: false,
                page,
            },
        ),
        ask(
            registry,
            &Query::Schemas {
                prefix: Some(":*:".to_owned()),
                aliases: false,
                deleted: true,
                latest_only: false,
                rule_type: None,
                associations: None,
                page,
            },
        ),
        ask(registry, &Query::Contexts { prefix: None, page }),
    ];
    for subject in SUBJECTS {
        view.push(ask(
            registry,
            &Query::Config {
                subject: Some(subject.to_owned()),
                default_to_global: false,
            },
        ));
        view.push(ask(
            registry,
            &Query::Version {
                subject: subject.to_owned(),
                version: "latest".to_owned(),
                format: None,
                reference_format: None,
                deleted: false,
                find_tags: Vec::new(),
            },
        ));
    }
    for context in ["", ":.c:"] {
        for id in 1..8 {
            view.push(ask(
                registry,
                &Query::SchemaTextById {
                    id,
                    subject: Some(context.to_owned()),
                    format: None,
                },
            ));
        }
    }
    view
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_read_later_is_the_same(steps in prop::collection::vec(step(), 1..40)) {
        let registry = Registry::new(Settings::default());
        let mut log = Vec::new();
        for step in &steps {
            if let Ok(Plan::Write(writes, pending)) = registry.plan(&command(step)) {
                for write in &writes {
                    let applied = registry.apply(Some(write.key.as_bytes()), write.value.as_deref().map(str::as_bytes), 0, 1);
                    prop_assert_eq!(applied.skipped, None);
                }
                log.extend(writes);
                prop_assert!(pending.answer(&registry).is_ok());
            }
        }
        let expected = view(&registry);
        prop_assert_eq!(&view(&load(&log)), &expected);
        prop_assert_eq!(&view(&load(&compacted(&log))), &expected);
    }
}
