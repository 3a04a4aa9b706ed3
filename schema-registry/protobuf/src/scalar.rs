//! The scalar types.

/// A scalar type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// `double`
    Double,
    /// `float`
    Float,
    /// `int64`
    Int64,
    /// `uint64`
    Uint64,
    /// `int32`
    Int32,
    /// `fixed64`
    Fixed64,
    /// `fixed32`
    Fixed32,
    /// `bool`
    Bool,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `uint32`
    Uint32,
    /// `sfixed32`
    Sfixed32,
    /// `sfixed64`
    Sfixed64,
    /// `sint32`
    Sint32,
    /// `sint64`
    Sint64,
}

/// Each scalar with its name and its number in `FieldDescriptorProto.Type`.
const ALL: [(Scalar, &str, i32); 15] = [
    (Scalar::Double, "double", 1),
    (Scalar::Float, "float", 2),
    (Scalar::Int64, "int64", 3),
    (Scalar::Uint64, "uint64", 4),
    (Scalar::Int32, "int32", 5),
    (Scalar::Fixed64, "fixed64", 6),
    (Scalar::Fixed32, "fixed32", 7),
    (Scalar::Bool, "bool", 8),
    (Scalar::String, "string", 9),
    (Scalar::Bytes, "bytes", 12),
    (Scalar::Uint32, "uint32", 13),
    (Scalar::Sfixed32, "sfixed32", 15),
    (Scalar::Sfixed64, "sfixed64", 16),
    (Scalar::Sint32, "sint32", 17),
    (Scalar::Sint64, "sint64", 18),
];

impl Scalar {
    /// By keyword.
    pub fn from_name(name: &str) -> Option<Self> {
        // All keywords are short; the length test spares most type names the comparisons.
        if name.len() > 8 {
            return None;
        }
        ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// The keyword.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    /// Its number in `FieldDescriptorProto.Type`.
    pub(crate) fn descriptor_type(self) -> i32 {
        ALL.iter().find(|row| row.0 == self).map_or(0, |row| row.2)
    }

    /// By number of `FieldDescriptorProto.Type`.
    pub(crate) fn from_descriptor_type(number: i32) -> Option<Self> {
        ALL.iter().find(|row| row.2 == number).map(|row| row.0)
    }

    /// Whether a map may have it as key.
    pub(crate) fn is_map_key(self) -> bool {
        !matches!(self, Self::Double | Self::Float | Self::Bytes)
    }

    /// Whether a repeated field of it can be packed.
    pub fn is_packable(self) -> bool {
        !matches!(self, Self::String | Self::Bytes)
    }

    /// 0 varint, 1 fixed 64, 2 length-delimited, 5 fixed 32.
    pub fn wire_type(self) -> u8 {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => 1,
            Self::String | Self::Bytes => 2,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => 5,
            _ => 0,
        }
    }
}
