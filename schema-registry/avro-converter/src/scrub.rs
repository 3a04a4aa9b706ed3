//! `scrub.invalid.names`: any text made a name.

use std::borrow::Cow;
use std::fmt::Write;

/// One part of a name, made legal: percent-encoded as in a form, an `x` before a leading digit, everything else that is illegal as `_`.
pub(crate) fn scrub(name: &str) -> Cow<'_, str> {
    let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if legal {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 8);
    for (at, byte) in name.bytes().enumerate() {
        if at == 0 && byte.is_ascii_digit() {
            out.push('x');
        }
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => out.push(char::from(byte)),
            // What a form leaves alone, and the plus that stands for a space.
            b'.' | b'-' | b'*' | b' ' => out.push('_'),
            _ => {
                let _ = write!(out, "_{byte:02X}");
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::scrub;

    #[test]
    fn names_become_legal() {
        for (name, scrubbed) in [
            ("ok_1", "ok_1"),
            ("ü", "_C3_BC"),
            ("1x", "x1x"),
            ("a-b", "a_b"),
            ("a b", "a_b"),
            ("cust$", "cust_24"),
            ("per%cent", "per_25cent"),
            ("x.y", "x_y"),
            ("", ""),
        ] {
            assert_eq!(scrub(name), scrubbed);
        }
    }
}
