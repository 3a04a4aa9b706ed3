//! Associations of topics with subjects: created with their schema, changed, deleted with their subject.

use registry_core::{AssociationFilter, Command, Query};

use crate::played::{Played, text};

impl Played {
    fn of_topic(&self, topic: &str) -> String {
        text(self.registry.query(&Query::AssociationsOfResourceName {
            namespace: "-".to_owned(),
            name: topic.to_owned(),
            filter: AssociationFilter::default(),
        }))
        .1
    }
}

fn create(body: &str) -> Command {
    Command::PostAssociations {
        body: Some(body.as_bytes().to_vec()),
    }
}

const STRONG: &str = r#"{"resourceName":"orders","resourceNamespace":"lkc","resourceId":"id1","associations":[{"associationType":"value","schema":{"schema":"\"string\""}}]}"#;

fn delete(id: &str, query: &[(&str, &str)]) -> Command {
    Command::DeleteAssociations {
        id: id.to_owned(),
        query: query
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    }
}

#[test]
fn what_is_not_there_is_an_empty_list() {
    let mut played = Played::new();
    assert_eq!(played.of_topic("orders"), "[]");
    assert_eq!(
        played.change(&delete("nosuch", &[])),
        (
            404,
            r#"{"error_code":40410,"message":"Association for 'nosuch' not found."}"#.to_owned()
        )
    );
}

#[test]
fn a_schema_makes_a_frozen_strong_association_that_dies_with_its_subject() {
    let mut played = Played::new();
    let (status, answer) = played.change(&create(STRONG));
    assert_eq!(
        (status, answer.as_str()),
        (
            200,
            r#"{"resourceName":"orders","resourceNamespace":"lkc","resourceId":"id1","resourceType":"topic","associations":[{"subject":":.lkc:orders-value","associationType":"value","lifecycle":"STRONG","frozen":true,"schema":{"subject":":.lkc:orders-value","version":1,"id":1,"guid":"095d71cf-1255-6b9d-5e33-0ad575b3df5d","schemaType":"AVRO","schema":"\"string\""}}]}"#
        )
    );
    assert_eq!(
        played.keys,
        [
            r#"{"keytype":"CONTEXT","tenant":"default","context":".lkc","magic":0}"#,
            r#"{"keytype":"SCHEMA","subject":":.lkc:orders-value","version":1,"magic":1}"#,
            r#"{"keytype":"ASSOC","tenant":"default","resourceName":"orders","resourceNamespace":"lkc","resourceType":"topic","associationType":"value","subject":":.lkc:orders-value","magic":0}"#,
        ]
    );
    // Again: nothing to do. With another schema: refused.
    assert_eq!(played.change(&create(STRONG)).0, 200);
    assert!(played.keys.is_empty());
    let (status, error) = played.change(&create(&STRONG.replace("string", "int")));
    assert_eq!(status, 409, "{error}");
    assert!(
        played
            .of_topic("orders")
            .contains("\"frozen\":true,\"createTs\":5,\"updateTs\":5}")
    );
    // Its subject is protected, and so is it.
    let (_, error) = played.change(&Command::DeleteSubject {
        subject: ":.lkc:orders-value".to_owned(),
        flags: registry_core::Flags::default(),
    });
    assert!(error.contains("40904"), "{error}");
    assert!(played.change(&delete("id1", &[])).1.contains("40908"));
    assert_eq!(
        played
            .change(&delete("id1", &[("cascadeLifecycle", "true")]))
            .0,
        204
    );
    assert_eq!(played.keys.len(), 3, "{:?}", played.keys);
    assert_eq!(played.of_topic("orders"), "[]");
    assert_eq!(played.registry.statistics().versions, 0);
}

#[test]
fn weak_associations_need_a_subject_with_a_version() {
    let mut played = Played::new();
    let weak = r#"{"resourceName":"t","resourceNamespace":"lkc","resourceId":"id2","associations":[{"associationType":"key","subject":"s","lifecycle":"WEAK"}]}"#;
    assert!(played.change(&create(weak)).1.contains("40907"));
    played.change(&Command::Register {
        subject: "s".to_owned(),
        body: Some(br#"{"schema":"\"int\""}"#.to_vec()),
        flags: registry_core::Flags::default(),
    });
    assert_eq!(played.change(&create(weak)).0, 200);
    // A strong one has its subject for itself.
    let strong = weak
        .replace("id2", "id3")
        .replace("\"t\"", "\"u\"")
        .replace("WEAK", "STRONG");
    assert!(played.change(&create(&strong)).1.contains("40904"));
    let dry = Command::InContext {
        context: None,
        dry_run: true,
        command: Box::new(create(
            &weak.replace("\"t\"", "\"v\"").replace("id2", "id4"),
        )),
    };
    assert_eq!(played.change(&dry).0, 200);
    assert!(played.keys.is_empty());
}

#[test]
fn a_batch_that_reads_says_what_is_wrong_with_each_request() {
    let mut played = Played::new();
    assert_eq!(played.change(&create(STRONG)).0, 200);
    let body = r#"{"requests":[{"resourceId":"id1"},{},{"resourceName":"orders","resourceNamespace":"-"}]}"#;
    let (status, answer) = text(played.registry.query(&Query::AssociationsBatchGet {
        body: Some(body.as_bytes().to_vec()),
    }));
    assert_eq!(status, 207);
    for expected in [
        r#"{"results":[{"result":{"resourceName":"orders","resourceNamespace":"lkc","resourceId":"id1","resourceType":"topic","associations":[{"#,
        r#"{"error":{"error_code":500,"message":"Error while getting associations: property: resourceId; detail: either resourceId or resourceName must be specified"}}"#,
        r#"{"error":{"error_code":500,"message":"Error while getting associations: All associations must have the same resourceName, resourceNamespace, resourceId, and resourceType."}}"#,
    ] {
        assert!(answer.contains(expected), "{answer}");
    }
}

#[test]
fn each_request_of_a_batch_has_its_own_result() {
    let mut played = Played::new();
    let batch = r#"{"requests":[
        {"resourceName":"a","resourceNamespace":"lkc","resourceId":"a1","associations":[{"opType":"CREATE","schema":{"schema":"\"int\""}}]},
        {"resourceName":"b b","resourceNamespace":"lkc","resourceId":"b1","associations":[{"opType":"DELETE"}]},
        {"resourceName":"a","resourceNamespace":"lkc","resourceId":"a1","associations":[{"opType":"DELETE","cascadeLifecycle":true}]}
    ]}"#;
    let (status, answer) = played.change(&Command::MutateAssociations {
        body: Some(batch.as_bytes().to_vec()),
    });
    assert_eq!(status, 207);
    assert!(
        answer.starts_with(r#"{"results":[{"result":{"resourceName":"a","#),
        "{answer}"
    );
    assert!(
        answer.contains(r#"{"error":{"error_code":42212,"message":"The association specified an invalid value for property: 'resourceName', detail: illegal character ' '"}}"#),
        "{answer}"
    );
    assert_eq!(played.of_topic("a"), "[]");
    assert_eq!(played.registry.statistics().versions, 0);
    assert!(
        played
            .change(&Command::MutateAssociations {
                body: Some(b"{}".to_vec())
            })
            .1
            .contains("42212")
    );
}

#[test]
fn schemas_are_listed_by_the_associations_of_their_subjects() {
    let mut played = Played::new();
    assert_eq!(played.change(&create(STRONG)).0, 200);
    played.registry.apply(
        Some(br#"{"keytype":"SCHEMA","subject":"other","version":1,"magic":1}"#),
        Some(br#"{"subject":"other","version":1,"id":9,"schema":"\"int\"","deleted":false}"#),
        9,
        9,
    );
    let listed = |filter: Option<AssociationFilter>| {
        let (status, body) = text(played.registry.query(&Query::Schemas {
            prefix: Some(":*:".to_owned()),
            aliases: false,
            deleted: false,
            latest_only: false,
            rule_type: None,
            associations: filter,
            page: registry_core::Page::default(),
        }));
        (status, body.matches("\"version\":").count(), body)
    };
    let of = |lifecycle: Option<&str>, kinds: &[&str]| {
        Some(AssociationFilter {
            lifecycles: lifecycle.map(str::to_owned).into_iter().collect(),
            association_types: kinds.iter().map(|k| (*k).to_owned()).collect(),
            ..AssociationFilter::default()
        })
    };
    let count = |filter: Option<AssociationFilter>| {
        let (status, count, _) = listed(filter);
        (status, count)
    };
    assert_eq!(count(None), (200, 2));
    assert_eq!(count(of(Some("STRONG"), &[])), (200, 1));
    assert_eq!(count(of(Some("WEAK"), &[])), (200, 0));
    assert_eq!(count(of(None, &["key", "value"])), (200, 1));
    assert_eq!(count(of(None, &["key"])), (200, 0));
    assert_eq!(count(of(Some("x"), &[])).0, 404);
    // Without an association, of any type or of the wanted ones.
    let (status, found, body) = listed(of(Some("NONE"), &[]));
    assert_eq!((status, found), (200, 1));
    assert!(body.contains("\"subject\":\"other\"") && !body.contains("associations"));
    assert_eq!(count(of(Some("NONE"), &["key"])), (200, 2));
    let (_, found, body) = listed(Some(AssociationFilter {
        lifecycles: vec!["NONE".to_owned(), "STRONG".to_owned()],
        ..AssociationFilter::default()
    }));
    assert_eq!(found, 2);
    assert!(
        body.contains(",\"deleted\":false,\"associations\":[{\"subject\":"),
        "{body}"
    );
    let resource_type = |wanted: &str| {
        Some(AssociationFilter {
            resource_type: Some(wanted.to_owned()),
            ..AssociationFilter::default()
        })
    };
    assert_eq!(count(resource_type("topic")), (200, 1));
    assert_eq!(count(resource_type("")), (200, 0));
}
