//! The one line of Java's login configuration syntax that `sasl.jaas.config` holds.

/// A parsed `sasl.jaas.config`: `Module flag name="value" … ;`. Values may be passwords, so the type cannot be formatted.
pub(crate) struct Jaas {
    /// Java class of the login module.
    pub(crate) module: String,
    options: Vec<(String, String)>,
}

impl Jaas {
    /// Value of an option.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// Parses the line; the error says what is wrong without repeating the line.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut words = Words { rest: text };
        let module = words.next()?.ok_or("it is empty")?;
        let flag = words
            .next()?
            .ok_or("a control flag ('required') must follow the login module")?;
        if !["required", "requisite", "sufficient", "optional"]
            .iter()
            .any(|f| flag.eq_ignore_ascii_case(f))
        {
            return Err("a control flag ('required') must follow the login module");
        }
        let mut options = Vec::new();
        loop {
            let Some(name) = words.next()? else {
                return Err("it must end with ';'");
            };
            if name == ";" {
                break;
            }
            if words.next()?.as_deref() != Some("=") {
                return Err("an option must have the form name=\"value\"");
            }
            let value = words
                .next()?
                .filter(|v| v != ";")
                .ok_or("an option must have the form name=\"value\"")?;
            options.push((name, value));
        }
        if words.next()?.is_some() {
            return Err("only one login module is allowed");
        }
        Ok(Self { module, options })
    }
}

struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    fn next(&mut self) -> Result<Option<String>, &'static str> {
        self.rest = self.rest.trim_start();
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        match first {
            ';' | '=' => {
                self.rest = &self.rest[1..];
                Ok(Some(first.to_string()))
            }
            '"' | '\'' => self.quoted(first),
            _ => {
                let end = self
                    .rest
                    .find(|c: char| c.is_whitespace() || c == ';' || c == '=')
                    .unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                Ok(Some(word.to_owned()))
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Option<String>, &'static str> {
        let mut out = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, c)) => out.push(c),
                    None => break,
                },
                c if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(Some(out));
                }
                c => out.push(c),
            }
        }
        Err("a quoted value is not closed")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Jaas;

    #[test]
    fn takes_what_java_takes() {
        let jaas = Jaas::parse("org.apache.kafka.common.security.scram.ScramLoginModule required username=\"me\" password=\"a=b;\\\"c\" ;").unwrap();
        assert_eq!(
            jaas.module,
            "org.apache.kafka.common.security.scram.ScramLoginModule"
        );
        assert_eq!(jaas.get("username"), Some("me"));
        assert_eq!(jaas.get("password"), Some("a=b;\"c"));
        assert_eq!(
            Jaas::parse("M required\n a='x' b=y;").unwrap().get("b"),
            Some("y")
        );
    }

    #[test]
    fn says_what_is_wrong() {
        for bad in [
            "",
            "M",
            "M required username=\"a\"",
            "M required username \"a\";",
            "M required a=\"b;",
            "M required a=;",
            "M x a=b;",
            "M required; N required;",
        ] {
            assert!(Jaas::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
