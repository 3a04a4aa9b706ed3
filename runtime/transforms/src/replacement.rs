use fancy_regex::Captures;

/// A replacement text in Java's syntax: `$1`, `${name}`, `\` before anything that is meant as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replacement(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
    Named(String),
}

impl Replacement {
    /// `groups`: number of groups of the pattern, the whole match included; `names`: those that have one. A group's number takes digits for as long as there is
    /// such a group.
    pub(crate) fn parse(text: &str, groups: usize, names: &[&str]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            if c == '\\' {
                literal.push(rest.next().ok_or("character to be escaped is missing")?);
                continue;
            }
            if c != '$' {
                literal.push(c);
                continue;
            }
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            match rest.next() {
                None => return Err("Illegal group reference: group index is missing".into()),
                Some('{') => {
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some(c) if c.is_ascii_alphanumeric() => name.push(c),
                            _ => return Err("named capturing group is missing trailing '}'".into()),
                        }
                    }
                    if !names.contains(&name.as_str()) {
                        return Err(format!("No group with name {{{name}}}"));
                    }
                    parts.push(Part::Named(name));
                }
                Some(digit) => {
                    let mut group = digit.to_digit(10).ok_or("Illegal group reference")? as usize;
                    if group >= groups {
                        return Err(format!("No group {group}"));
                    }
                    while let Some(next) = rest.peek().and_then(|c| c.to_digit(10)) {
                        let longer = group * 10 + next as usize;
                        if longer >= groups {
                            break;
                        }
                        group = longer;
                        rest.next();
                    }
                    parts.push(Part::Group(group));
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self(parts))
    }

    /// Appends the replacement of a match.
    pub(crate) fn expand(&self, captures: &Captures<'_, str>, out: &mut String) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(group) => out.push_str(captures.get(*group).map_or("", |m| m.as_str())),
                Part::Named(name) => out.push_str(captures.name(name).map_or("", |m| m.as_str())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_syntax_is_javas() {
        let parse = |text: &str| Replacement::parse(text, 3, &["n"]);
        assert_eq!(
            parse(r"a\$$1-${n}$12"),
            Ok(Replacement(vec![
                Part::Text("a$".into()),
                Part::Group(1),
                Part::Text("-".into()),
                Part::Named("n".into()),
                Part::Group(1),
                Part::Text("2".into())
            ]))
        );
        for (text, problem) in [
            ("$3", "No group 3"),
            ("$", "Illegal group reference: group index is missing"),
            ("$x", "Illegal group reference"),
            ("${y}", "No group with name {y}"),
            ("\\", "character to be escaped is missing"),
        ] {
            assert_eq!(parse(text), Err(problem.into()), "{text}");
        }
    }
}
