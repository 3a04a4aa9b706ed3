use millrace_api::plugin::TaskError;

use crate::settings::refuse;

const KEY: &str = "use.latest.with.metadata";

/// The pairs of `use.latest.with.metadata`: `key=value` items between commas; an item in single quotes may hold commas, and two single quotes for one.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, TaskError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    items(text)?
        .into_iter()
        .map(|item| match item.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(refuse(
                KEY,
                Some(text),
                "it consists of key=value pairs separated by commas",
            )),
        })
        .collect()
}

fn items(text: &str) -> Result<Vec<String>, TaskError> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if quoted && chars.peek() == Some(&'\'') => {
                chars.next();
                item.push('\'');
            }
            '\'' if quoted => quoted = false,
            '\'' if item.is_empty() => quoted = true,
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            c => item.push(c),
        }
    }
    if quoted {
        return Err(refuse(KEY, Some(text), "a single quote is not closed"));
    }
    items.push(item);
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_may_be_quoted() {
        let pairs = parse("application.version=v1,'a=b,''c',d=e=f").expect("valid");
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [("application.version", "v1"), ("a", "b,'c"), ("d", "e=f")]
        );
        assert!(parse(" ").expect("valid").is_empty());
        for wrong in ["a", "a=b,", "=b", "'a=b"] {
            assert!(parse(wrong).expect_err(wrong).message.contains(KEY));
        }
    }
}
