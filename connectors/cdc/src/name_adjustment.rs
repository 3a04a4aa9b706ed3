use std::borrow::Cow;
use std::fmt::Write;

/// What becomes of characters that a downstream schema language does not allow: `schema.name.adjustment.mode`, `field.name.adjustment.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameAdjustment {
    /// Names stay as they are.
    #[default]
    None,
    /// `_` instead of what Avro does not allow.
    Avro,
    /// `_uXXXX` instead of what Avro does not allow, `_` included.
    AvroUnicode,
}

impl NameAdjustment {
    /// A schema name, in which dots are allowed.
    pub fn schema_name<'a>(self, name: &'a str) -> Cow<'a, str> {
        self.adjust(name, true)
    }

    /// A field name.
    pub fn field_name<'a>(self, name: &'a str) -> Cow<'a, str> {
        self.adjust(name, false)
    }

    fn adjust<'a>(self, name: &'a str, dots: bool) -> Cow<'a, str> {
        if self == Self::None {
            return Cow::Borrowed(name);
        }
        let unicode = self == Self::AvroUnicode;
        let mut out = String::with_capacity(name.len() + 8);
        for (i, c) in name.chars().enumerate() {
            let letter = c.is_ascii_alphabetic() || (c == '_' && !unicode);
            let legal = letter || (i > 0 && c.is_ascii_digit()) || (i > 0 && dots && c == '.');
            match (legal, unicode) {
                (true, _) => out.push(c),
                (false, false) if i == 0 && c.is_ascii_digit() => out.extend(['_', c]),
                (false, false) => out.extend(std::iter::repeat_n('_', c.len_utf16())),
                (false, true) => {
                    let mut units = [0u16; 2];
                    for unit in c.encode_utf16(&mut units) {
                        // One or two digits are filled up to four, three stay three.
                        let _ = if *unit < 0x100 {
                            write!(out, "_u00{unit:02x}")
                        } else {
                            write!(out, "_u{unit:x}")
                        };
                    }
                }
            }
        }
        Cow::Owned(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_legal_for_avro() {
        assert_eq!(NameAdjustment::Avro.schema_name("1a-b.c"), "_1a_b.c");
        assert_eq!(NameAdjustment::Avro.field_name("a.b"), "a_b");
        assert_eq!(
            NameAdjustment::AvroUnicode.field_name("a-b_c"),
            "a_u002db_u005fc"
        );
        assert_eq!(NameAdjustment::AvroUnicode.field_name("1a"), "_u0031a");
        assert_eq!(NameAdjustment::None.field_name("ä"), "ä");
    }
}
