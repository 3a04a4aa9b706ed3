//! JSON text broken into lines as Jackson's default pretty printer does: objects one member a line, arrays in one line.

/// Appends compact JSON text, indented.
pub(crate) fn indent(compact: &[u8], out: &mut Vec<u8>) {
    out.reserve(compact.len() * 2);
    // The kind of each open container.
    let mut open: Vec<u8> = Vec::new();
    // How many of them are objects.
    let mut level = 0_usize;
    let mut at = 0;
    while at < compact.len() {
        let byte = compact[at];
        at += 1;
        match byte {
            b'"' => {
                let start = at - 1;
                while let Some(byte) = compact.get(at) {
                    at += 1;
                    match byte {
                        b'\\' => at += 1,
                        b'"' => break,
                        _ => {}
                    }
                }
                out.extend_from_slice(&compact[start..at.min(compact.len())]);
            }
            b'{' | b'[' => {
                out.push(byte);
                let closing = if byte == b'{' { b'}' } else { b']' };
                if compact.get(at) == Some(&closing) {
                    at += 1;
                    out.extend_from_slice(&[b' ', closing]);
                    continue;
                }
                open.push(byte);
                level += usize::from(byte == b'{');
                separate(&open, level, out);
            }
            b'}' | b']' => {
                open.pop();
                level -= usize::from(byte == b'}');
                if byte == b'}' {
                    new_line(level, out);
                } else {
                    out.push(b' ');
                }
                out.push(byte);
            }
            b',' => {
                out.push(b',');
                separate(&open, level, out);
            }
            b':' => out.extend_from_slice(b" : "),
            _ => out.push(byte),
        }
    }
}

fn separate(open: &[u8], level: usize, out: &mut Vec<u8>) {
    if open.last() == Some(&b'{') {
        new_line(level, out);
    } else {
        out.push(b' ');
    }
}

fn new_line(level: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', 2 * level));
}

#[cfg(test)]
mod tests {
    #[test]
    fn objects_take_lines_and_arrays_do_not() {
        let mut out = Vec::new();
        super::indent(br#"{"a":1,"b":[1,{"c":"x,\"}"},[]],"d":{}}"#, &mut out);
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "{\n  \"a\" : 1,\n  \"b\" : [ 1, {\n    \"c\" : \"x,\\\"}\"\n  }, [ ] ],\n  \"d\" : { }\n}"
        );
    }
}
