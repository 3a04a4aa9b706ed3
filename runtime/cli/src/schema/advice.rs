//! What to do about an incompatibility.

use registry_formats::Direction;

/// A sentence for each kind. In a forward comparison the old schema reads what the new one writes, so the remedies are the other way round.
pub(super) fn advice(kind: &str, direction: Direction) -> &'static str {
    let backward = direction == Direction::Backward;
    match kind {
        // Avro
        "READER_FIELD_MISSING_DEFAULT_VALUE" if backward => {
            "give the new field a default, so that records without it can be read"
        }
        "READER_FIELD_MISSING_DEFAULT_VALUE" => {
            "keep the field: readers with the old schema have no default for it. First give it a default in a version of its own, then remove it"
        }
        "TYPE_MISMATCH" if backward => {
            "keep the old type, or widen it along int → long → float → double or string ↔ bytes; otherwise add a new field with a default beside the old one"
        }
        "TYPE_MISMATCH" => {
            "keep the old type: readers with the old schema cannot take the new one (only int → long → float → double and string ↔ bytes widen)"
        }
        "NAME_MISMATCH" => "keep the name, or give the renamed type the old name as an alias",
        "MISSING_ENUM_SYMBOLS" if backward => {
            "keep the symbols, or give the enum a default symbol that stands for those that are gone"
        }
        "MISSING_ENUM_SYMBOLS" => {
            "do not add symbols: readers with the old schema do not know them, unless the old enum has a default symbol"
        }
        "MISSING_UNION_BRANCH" if backward => {
            "keep every branch of the union that old records may hold"
        }
        "MISSING_UNION_BRANCH" => {
            "do not add a branch to the union: readers with the old schema cannot take it"
        }
        "FIXED_SIZE_MISMATCH" => {
            "keep the size, or use a new type under another name in a new field with a default"
        }
        // Protobuf
        "PACKAGE_CHANGED" => "keep the package",
        "MESSAGE_REMOVED" if !backward => {
            "add no message to this file, as readers with the old schema do not know it: put it into a file of its own"
        }
        "MESSAGE_REMOVED" => {
            "keep the message, even when nothing uses it: records may name it by its index"
        }
        "FIELD_KIND_CHANGED" | "FIELD_SCALAR_KIND_CHANGED" | "FIELD_NAMED_TYPE_CHANGED" => {
            "keep the field's type, reserve its number, and add a field with a new number"
        }
        "FIELD_NUMERIC_LABEL_CHANGED" => {
            "keep the label: a repeated numeric field is written packed, and a single one is not"
        }
        "REQUIRED_FIELD_ADDED" if !backward => {
            "keep the field: readers with the old schema demand it"
        }
        "REQUIRED_FIELD_ADDED" => "make the field optional: records without it cannot be read",
        "REQUIRED_FIELD_REMOVED" => "keep the field: readers of the other schema demand it",
        "ONEOF_FIELD_REMOVED" if !backward => {
            "add no member to the oneof, as readers with the old schema do not know it: add the field outside"
        }
        "ONEOF_FIELD_REMOVED" => "keep the member in its oneof",
        "MULTIPLE_FIELDS_MOVED_TO_ONEOF" | "FIELD_MOVED_TO_EXISTING_ONEOF" if !backward => {
            "keep the fields in their oneof: for readers with the old schema only one of them can be set"
        }
        "MULTIPLE_FIELDS_MOVED_TO_ONEOF" => {
            "move at most one field into a new oneof: records may have several of them set"
        }
        "FIELD_MOVED_TO_EXISTING_ONEOF" => {
            "do not move a field into a oneof that exists: records may have both set"
        }
        // JSON Schema
        "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL"
        | "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"
        | "REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"
        | "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL"
        | "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"
            if !backward =>
        {
            "keep the property: where it is not described, records may have it with any value, which readers with the old schema refuse"
        }
        "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL" if !backward => {
            "do not add the property yet: the old schema is closed and refuses records that have it. Open it (additionalProperties) in a version of its own first"
        }
        "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL" | "REQUIRED_ATTRIBUTE_ADDED"
            if !backward =>
        {
            "keep the property, and keep it required: readers with the old schema refuse records without it"
        }
        "ADDITIONAL_PROPERTIES_REMOVED" | "ADDITIONAL_PROPERTIES_NARROWED" if !backward => {
            "do not open additionalProperties: readers with the old schema refuse what it lets in"
        }
        "ENUM_ARRAY_NARROWED" | "ENUM_ARRAY_CHANGED" if !backward => {
            "do not add values to the enum: readers with the old schema refuse them"
        }
        "TYPE_NARROWED" if !backward => {
            "do not widen the type: readers with the old schema refuse what is new. Add a property beside the old one"
        }
        "SUM_TYPE_NARROWED" if !backward => {
            "do not add an alternative to anyOf or oneOf: readers with the old schema refuse it"
        }
        "PRODUCT_TYPE_EXTENDED" if !backward => {
            "keep every member of allOf: readers with the old schema demand it"
        }
        "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"
        | "REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"
        | "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL"
        | "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL" => {
            "records may already have a member of this name with any value, because the object is open: close it with \"additionalProperties\": false from the first version on, or set compatibilityPolicy LENIENT"
        }
        "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL" => {
            "keep the property, or leave additionalProperties open: records that have it are refused otherwise"
        }
        "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL" | "REQUIRED_ATTRIBUTE_ADDED" => {
            "do not require the property, or give it a default: records without it are refused otherwise"
        }
        "ADDITIONAL_PROPERTIES_REMOVED" | "ADDITIONAL_PROPERTIES_NARROWED" => {
            "leave additionalProperties as open as it was"
        }
        "ENUM_ARRAY_NARROWED" | "ENUM_ARRAY_CHANGED" => "keep every value of the enum",
        "TYPE_NARROWED" | "TYPE_CHANGED" => "keep the type, or add a property beside the old one",
        "SUM_TYPE_NARROWED" => "keep every alternative of anyOf or oneOf",
        "PRODUCT_TYPE_EXTENDED" => "do not add to allOf: records need not satisfy the addition",
        "COMBINED_TYPE_CHANGED" | "COMBINED_TYPE_SUBSCHEMAS_CHANGED" => {
            "keep the combination (allOf, anyOf, oneOf) and its members; only extend them"
        }
        "SCHEMA_TYPE_CHANGED" => "a subject keeps its format: use another subject",
        kind if kind.ends_with("_ADDED") && !backward => {
            "keep the restriction: readers with the old schema go on demanding it"
        }
        kind if kind.ends_with("_ADDED") => {
            "do not add the restriction: records that break it exist or will be written"
        }
        kind if !backward && (kind.ends_with("_INCREASED") || kind.ends_with("_DECREASED")) => {
            "do not loosen the limit: readers with the old schema go on demanding the old one"
        }
        kind if kind.ends_with("_INCREASED") || kind.ends_with("_DECREASED") => {
            "do not tighten the limit: records beyond it exist or will be written"
        }
        _ if backward => "undo the change, or give it a new field or property beside the old one",
        _ => "undo the change: readers with the old schema cannot follow it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_depends_on_who_reads() {
        let kind = "READER_FIELD_MISSING_DEFAULT_VALUE";
        assert!(advice(kind, Direction::Backward).starts_with("give the new field a default"));
        assert!(advice(kind, Direction::Forward).starts_with("keep the field"));
        for kind in [
            "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL",
            "ENUM_ARRAY_NARROWED",
            "ONEOF_FIELD_REMOVED",
            "PATTERN_ADDED",
            "MAXIMUM_DECREASED",
        ] {
            let (backward, forward) = (
                advice(kind, Direction::Backward),
                advice(kind, Direction::Forward),
            );
            assert_ne!(backward, forward, "{kind}");
        }
        assert!(advice("MAX_LENGTH_DECREASED", Direction::Backward).contains("limit"));
    }
}
