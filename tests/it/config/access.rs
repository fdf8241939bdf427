//! Mistakes in `allow` and `tokens`.

use super::{CONFIG, problems_of};
use crate::config::IDL;

/// The problems with these keys in `[server]` and this `allow` of a view.
fn of(server: &str, allow: &str) -> String {
    let config = CONFIG
        .replace("[server]", &format!("[server]\n{server}"))
        .replace(
            "[views.getAirport.lookups]",
            &format!("[views.getAirport]\nallow = {allow}\n[views.getAirport.lookups]"),
        );
    problems_of(&config, IDL)
}

#[test]
fn a_token_that_does_not_exist() {
    let keys = "listen = \"unix:///s\"\ntokens = { batch = \"env:PATH\" }";
    insta::assert_snapshot!(of(keys, r#"["token:bach"]"#), @r#"
    error[config.unknown_name]: `views.getAirport.allow[0]`: there is no token `bach`
      --> tributary.toml:56:10
       |
    56 | allow = ["token:bach"]
       |          ^^^^^^^^^^^^
       |
       = help: did you mean `batch`?
       = manual: tributary manual listeners
    "#);
}

#[test]
fn other_mistakes() {
    let socket = "listen = \"unix:///s\"\n";
    let token = "tokens = { batch = \"env:PATH\" }";
    let both = format!("{socket}{token}");
    assert_eq!(of(&both, r#"["token:batch"]"#), "");
    for (server, allow, says) in [
        (&*both, "[]", "no caller could call the method"),
        (&both, r#"["*"]"#, "`*` does not name a caller"),
        (&both, r#"["spiffe://*/web"]"#, "does not name a caller"),
        (&both, r#"[""]"#, "does not name a caller"),
        (
            &both,
            r#"["web.test"]"#,
            "no listener asks its clients for certificates",
        ),
        (token, r#"["token:batch"]"#, "no listener takes tokens"),
        (socket, r#"["token:batch"]"#, "there is no token `batch`"),
        (
            "tokens = { a = \"secret\" }",
            "[\"x\"]",
            "a token must not be written in the file itself",
        ),
        ("tokens = { a = 5 }", "[\"x\"]", "expected a reference"),
        (
            "tokens = { a = \"env:NOT_SET_AT_ALL\" }",
            "[\"x\"]",
            "is not set",
        ),
        (
            "tokens = { a = \"file:airlines.csv\" }",
            "[\"x\"]",
            "no listener asks",
        ),
    ] {
        let problems = of(server, allow);
        assert!(problems.contains(says), "{server} {allow}: {problems}");
        assert_eq!(problems.matches("error[").count(), 1, "{problems}");
        assert!(!problems.contains("code,name"), "{problems}");
    }
}
