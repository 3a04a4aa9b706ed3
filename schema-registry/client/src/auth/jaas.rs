//! User and password of a Kafka client's `sasl.jaas.config`.

use millrace_api::config::{Props, Secret};

/// `user:password` of the login module, for `SASL_INHERIT`. The error quotes nothing of the setting.
pub(crate) fn user_info(props: &Props) -> Result<Secret<String>, String> {
    if props
        .get("sasl.mechanism")
        .is_some_and(|mechanism| mechanism.eq_ignore_ascii_case("GSSAPI"))
    {
        return Err("SASL_INHERIT cannot be used with `sasl.mechanism` GSSAPI, which has no password; set USER_INFO with `basic.auth.user.info`".to_owned());
    }
    let text = props.get("sasl.jaas.config").map(str::trim).filter(|text| !text.is_empty()).ok_or(
        "it is not set for the converter, and `basic.auth.credentials.source` is SASL_INHERIT; set it here too, or set USER_INFO with `basic.auth.user.info`",
    )?;
    let user = option(text, "username").ok_or("it names no username=\"…\"")?;
    let password = option(text, "password").ok_or("it names no password=\"…\"")?;
    Ok(Secret::new(format!("{user}:{password}")))
}

/// The value of `name=…` or `name="…"` in a JAAS entry; within quotes a backslash escapes.
fn option(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || c == '=' || c == ';')
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let Some(value) = after.trim_start().strip_prefix('=') else {
            // The module's class or its flag. A word is never empty here: blanks and semicolons are gone, and = follows a word.
            rest = after.trim_start_matches('=');
            continue;
        };
        let (value, after) = value_of(value.trim_start());
        if word == name {
            return Some(value);
        }
        rest = after;
    }
}

fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .find(|c: char| c.is_whitespace() || c == ';')
            .unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        user_info(&Props::from_iter([("sasl.jaas.config", text)])).map(Secret::into_exposed)
    }

    #[test]
    fn options_are_found_whatever_their_order_and_quotes() {
        let text = r#"org.apache.kafka.common.security.plain.PlainLoginModule required serviceName="x" password="a\"b=c;" username = bob;"#;
        assert_eq!(parse(text).as_deref(), Ok("bob:a\"b=c;"));
    }

    #[test]
    fn what_is_missing_is_named_without_quoting() {
        let text = r#"M required username="bob" passwort="s3cret";"#;
        let error = parse(text).expect_err("no password");
        assert!(error.contains("password") && !error.contains("s3cret"));
        assert!(parse("").is_err());
        assert!(parse("= = ;= a").is_err());
        assert!(
            user_info(&Props::from_iter([
                ("sasl.mechanism", "GSSAPI"),
                ("sasl.jaas.config", text)
            ]))
            .is_err()
        );
    }
}
