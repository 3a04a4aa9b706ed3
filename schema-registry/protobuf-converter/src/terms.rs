//! Names that Confluent's converter gives to things.

/// Parameter of a field's schema: its field number.
pub(crate) const TAG: &str = "io.confluent.connect.protobuf.Tag";
/// Parameter of an integer's schema: its Protobuf type, where it is not the usual one.
pub(crate) const TYPE: &str = "io.confluent.connect.protobuf.Type";
/// Parameter of an enum's schema: its name; with `.SYMBOL` behind it, the numbers of its symbols.
pub(crate) const ENUM: &str = "io.confluent.connect.protobuf.Enum";
/// The same for all formats.
pub(crate) const GENERAL_ENUM: &str = "org.apache.kafka.connect.data.Enum";
/// Beginning of the name of a struct that stands for a oneof.
pub(crate) const UNION: &str = "io.confluent.connect.protobuf.Union";
/// What stands before the oneof's name there.
pub(crate) const UNION_PREFIX: &str = "io.confluent.connect.protobuf.Union.";
/// Parameter of such a struct, the same for all formats.
pub(crate) const GENERAL_UNION: &str = "org.apache.kafka.connect.data.Union";
/// Name of a struct of metadata and value bytes that is a variant.
pub(crate) const VARIANT: &str = "org.apache.kafka.connect.data.Variant";
/// Beginning of the names of unnamed structs and maps.
pub(crate) const DEFAULT_NAME: &str = "ConnectDefault";

/// Parameter of a decimal's schema.
pub(crate) const PRECISION: &str = "connect.decimal.precision";
/// Parameter of a decimal's schema.
pub(crate) const SCALE: &str = "scale";
/// Meta data of a field that is an INT8 or INT16.
pub(crate) const CONNECT_TYPE: &str = "connect.type";

pub(crate) const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
pub(crate) const DATE: &str = "org.apache.kafka.connect.data.Date";
pub(crate) const TIME: &str = "org.apache.kafka.connect.data.Time";
pub(crate) const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

pub(crate) const DECIMAL_TYPE: &str = "confluent.type.Decimal";
pub(crate) const VARIANT_TYPE: &str = "confluent.type.Variant";
pub(crate) const DATE_TYPE: &str = "google.type.Date";
pub(crate) const TIME_TYPE: &str = "google.type.TimeOfDay";
pub(crate) const TIMESTAMP_TYPE: &str = "google.protobuf.Timestamp";

/// The file that declares the wrappers of scalars.
pub(crate) const WRAPPERS: &str = "google/protobuf/wrappers.proto";

/// The file that declares a type of these, if it does.
pub(crate) fn file_of(type_name: &str) -> Option<&'static str> {
    Some(match type_name {
        DECIMAL_TYPE => "confluent/type/decimal.proto",
        VARIANT_TYPE => "confluent/type/variant.proto",
        DATE_TYPE => "google/type/date.proto",
        TIME_TYPE => "google/type/timeofday.proto",
        TIMESTAMP_TYPE => "google/protobuf/timestamp.proto",
        _ if wrapped(type_name).is_some() => WRAPPERS,
        _ => return None,
    })
}

/// The scalar that a wrapper holds.
pub(crate) fn wrapped(full_name: &str) -> Option<registry_protobuf::Scalar> {
    use registry_protobuf::Scalar;
    Some(match full_name.strip_prefix("google.protobuf.")? {
        "DoubleValue" => Scalar::Double,
        "FloatValue" => Scalar::Float,
        "Int64Value" => Scalar::Int64,
        "UInt64Value" => Scalar::Uint64,
        "Int32Value" => Scalar::Int32,
        "UInt32Value" => Scalar::Uint32,
        "BoolValue" => Scalar::Bool,
        "StringValue" => Scalar::String,
        "BytesValue" => Scalar::Bytes,
        _ => return None,
    })
}
