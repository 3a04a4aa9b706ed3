/// Reads a path by the syntax of version 2: steps separated by dots, a step in backticks where it has dots itself.
pub(crate) fn parse_path(path: &str) -> Result<Vec<String>, String> {
    let mut steps = Vec::new();
    let bytes = path.as_bytes();
    let mut at = 0;
    loop {
        if bytes.get(at) == Some(&b'`') {
            let mut step = String::new();
            let mut copied = at + 1;
            let mut search = at + 1;
            // A backtick closes the step when a dot or the end follows; others are part of it, and so is an escaped one, without its backslash.
            let end = loop {
                let Some(tick) = path[search..].find('`').map(|i| search + i) else {
                    return Err(format!(
                        "Incomplete backtick pair in path: [{path}], consider adding a backslash before backtick at position {at} to escape it"
                    ));
                };
                search = tick + 1;
                let closes = matches!(bytes.get(tick + 1), None | Some(b'.'));
                if closes && bytes[tick - 1] == b'\\' {
                    step.push_str(&path[copied..tick - 1]);
                    copied = tick;
                } else if closes && tick > at {
                    break tick;
                }
            };
            step.push_str(&path[copied.min(end)..end]);
            steps.push(step);
            if end + 1 == path.len() {
                return Ok(steps);
            }
            at = end + 2;
        } else {
            match path[at..].find('.') {
                Some(dot) => {
                    steps.push(path[at..at + dot].to_owned());
                    at += dot + 1;
                }
                None => {
                    steps.push(path[at..].to_owned());
                    return Ok(steps);
                }
            }
        }
        if at == path.len() {
            steps.push(String::new());
            return Ok(steps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_quote_steps() {
        for (path, steps) in [
            ("a.b.c", &["a", "b", "c"][..]),
            ("`a.b`.c", &["a.b", "c"]),
            ("a.`b.c`", &["a", "b.c"]),
            ("`a`b.c`", &["a`b.c"]),
            ("a.", &["a", ""]),
            ("a`b.c", &["a`b", "c"]),
            ("", &[""]),
            (r"`a\`.b`", &["a`.b"]),
        ] {
            assert_eq!(
                parse_path(path).as_deref(),
                Ok(&steps.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()[..]),
                "{path}"
            );
        }
        assert!(
            parse_path("a.`b")
                .expect_err("open")
                .starts_with("Incomplete backtick pair in path: [a.`b]")
        );
    }
}
