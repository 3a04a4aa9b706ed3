use super::parse;

fn refused(text: &str) -> String {
    match parse(text) {
        Ok(file) => format!("accepted: {file:?}"),
        Err(message) => message,
    }
}

#[test]
fn verdicts_and_places() {
    for (text, message) in [
        ("garbage", "Syntax error in :1:1: unexpected label: garbage"),
        (
            "syntax = \"proto4\";",
            "Syntax error in :1:1: unexpected syntax: proto4",
        ),
        (
            "syntax = \"proto3\";\nmessage M {\n  required int32 a = 1;\n}",
            "Syntax error in :3:3: 'required' label forbidden in proto3 field declarations",
        ),
        (
            "message M { int32 a = 1; }",
            "Syntax error in :1:13: unexpected label: int32",
        ),
        (
            "message M {}\n message M {}",
            "M (:2:2) is already defined at :1:1",
        ),
        (
            "syntax = \"proto3\"; message M { int32 a = 1",
            "Syntax error in :1:43: unexpected end of file",
        ),
        (
            "syntax = \"proto3\"; message M { int32 a = 99999999999; }",
            "Syntax error in :1:53: expected an integer but was 99999999999",
        ),
        (
            "syntax = \"proto3\"; message M { string a = 1; /* x */ string b = 2; }",
            "Syntax error in :1:55: no syntax may follow trailing comment",
        ),
        // A column that counts from zero.
        (
            "syntax = \"proto3\";\nmessage M {\n  int32 9a = 1;\n}",
            "Syntax error in :3:8: field and constant names cannot start with a digit",
        ),
        // Behind a comment of several lines columns are one too high.
        (
            "/* a\nb */ garbage",
            "Syntax error in :2:7: unexpected label: garbage",
        ),
        ("/* a\nb", "Syntax error in :2:2: unterminated comment"),
        // The place of a range that makes no sense is that of its line.
        (
            "message M {\n  reserved 1, 2 until 3;\n}",
            "Syntax error in :2:3: expected ',', ';', or 'to'",
        ),
        (
            "syntax = \"proto3\"; message M { int32 a = 1 [b = c d]; }",
            "Syntax error in :1:51: Expected ',' or ']",
        ),
        // Columns count UTF-16 units, also of half a character.
        (
            "option (a) \u{e9} 1;",
            "Syntax error in :1:13: expected '=' in option",
        ),
        (
            "message /\u{1f600}",
            "Syntax error in :1:11: unexpected '/'",
        ),
        // After a reserved line the text may not end.
        (
            "reserved 1;",
            "Syntax error in :1:12: expected '//' or '/*'",
        ),
    ] {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn what_is_wrong_for_protoc_is_accepted() {
    let text = "syntax = \"proto3\"; message M { int32 a = 0; int32 a = 19000; int32 b = 19000; ; message N {} message N {} }; reserved 1;\n";
    assert!(parse(text).is_ok());
}

#[test]
fn nesting_ends_with_a_message() {
    for open in [
        "message M { ".repeat(10_000),
        format!("option a = {}", "{ b: ".repeat(10_000)),
        format!("option a = {}", "[ ".repeat(10_000)),
        format!("message M {{ {} m = 1; }}", "map<string, ".repeat(10_000)),
        format!("message M {{ {}", "optional group G = 1 { ".repeat(10_000)),
        format!("option (a){} = 1;", ".b".repeat(10_000)),
    ] {
        let message = refused(&open);
        assert!(
            message.contains("nested more than 100 deep") || message.contains("was a group"),
            "{message}"
        );
    }
}
