//! Kafka's single message transforms and predicates. One file per transform, named after it; what depends on a schema is worked out once per schema.

mod drop_headers;
mod extract_field;
mod field_path;
mod filter;
mod hoist_field;
mod insert_field;
mod predicates;
mod purpose;
mod regex_router;
mod registration;
mod replace_field;
mod replacement;
mod side;
mod value_to_key;

use std::sync::Arc;

use millrace_api::plugin::{PredicatePlugin, TransformPlugin};

use registration::{both_sides, one};

/// All transforms, in the order in which `/connector-plugins` lists them.
pub fn transforms() -> Vec<Arc<dyn TransformPlugin>> {
    let mut all = vec![one::<drop_headers::DropHeaders>(
        "org.apache.kafka.connect.transforms.DropHeaders",
    )];
    all.extend(both_sides::<extract_field::ExtractField>(
        "org.apache.kafka.connect.transforms.ExtractField$Key",
        "org.apache.kafka.connect.transforms.ExtractField$Value",
    ));
    all.push(one::<filter::Filter>(
        "org.apache.kafka.connect.transforms.Filter",
    ));
    all.extend(both_sides::<hoist_field::HoistField>(
        "org.apache.kafka.connect.transforms.HoistField$Key",
        "org.apache.kafka.connect.transforms.HoistField$Value",
    ));
    all.extend(both_sides::<insert_field::InsertField>(
        "org.apache.kafka.connect.transforms.InsertField$Key",
        "org.apache.kafka.connect.transforms.InsertField$Value",
    ));
    all.push(one::<regex_router::RegexRouter>(
        "org.apache.kafka.connect.transforms.RegexRouter",
    ));
    all.extend(both_sides::<replace_field::ReplaceField>(
        "org.apache.kafka.connect.transforms.ReplaceField$Key",
        "org.apache.kafka.connect.transforms.ReplaceField$Value",
    ));
    all.push(one::<value_to_key::ValueToKey>(
        "org.apache.kafka.connect.transforms.ValueToKey",
    ));
    all
}

/// All predicates, in the order in which `/connector-plugins` lists them.
pub fn predicates() -> Vec<Arc<dyn PredicatePlugin>> {
    predicates::all()
}
