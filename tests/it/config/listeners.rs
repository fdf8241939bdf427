//! Mistakes in `server.listen` and `[[server.listeners]]`.

use super::after;

/// The problems of one listener with these keys.
#[track_caller]
fn of_listener(keys: &str) -> String {
    after(
        "[backends.ops]",
        &format!("[[server.listeners]]\n{keys}\n\n[backends.ops]"),
    )
}

#[test]
fn a_socket_without_a_name() {
    insta::assert_snapshot!(of_listener(r#"listen = "unix://""#), @r#"
    error[config.bad_value]: `server.listeners[0].listen`: `unix://` names no file
     --> tributary.toml:5:10
      |
    5 | listen = "unix://"
      |          ^^^^^^^^^
      |
      = help: a path, such as `"unix:///run/tributary.sock"`
      = manual: tributary manual listeners
    "#);
}

#[test]
fn an_unknown_transport() {
    insta::assert_snapshot!(of_listener("listen = \":::9090\"\ntransports = [\"theader\"]"), @r#"
    error[config.bad_value]: `server.listeners[0].transports[0]`: `theader` is not known here
     --> tributary.toml:6:15
      |
    6 | transports = ["theader"]
      |               ^^^^^^^^^
      |
      = help: one of `framed`, `unframed`, `header`
      = manual: tributary manual listeners
    "#);
}

#[test]
fn other_mistakes() {
    let long = format!(r#"listen = "unix:///{}""#, "x".repeat(120));
    for (keys, says) in [
        ("", "`listen` is missing"),
        (&*long, "a Unix socket's path has at most 100 bytes"),
        (r#"listen = "9090""#, "`9090` is not an address"),
        (
            r#"listen = "systemd:""#,
            "`` cannot be the name of a socket",
        ),
        (
            r#"listen = "systemd:a:b""#,
            "`a:b` cannot be the name of a socket",
        ),
        (
            "listen = \"systemd:a\"\nmode = \"0600\"",
            "only a Unix socket has permissions",
        ),
        (
            "listen = \":::1\"\nmode = \"0600\"",
            "only a Unix socket has permissions",
        ),
        (
            "listen = \"unix:///s\"\nmode = \"660u\"",
            "`660u` is no permission",
        ),
        (
            "listen = \"unix:///s\"\nmode = \"1777\"",
            "`1777` is no permission",
        ),
        (
            "listen = \"unix:///s\"\nmode = 660",
            "expected a string, found an integer",
        ),
        (
            "listen = \":::1\"\nprotocols = []",
            "nothing would be taken",
        ),
        (
            "listen = \":::1\"\nidle_timeuot = \"1s\"",
            "did you mean `idle_timeout`",
        ),
    ] {
        let problems = of_listener(keys);
        assert!(problems.contains(says), "{keys}: {problems}");
        assert_eq!(problems.matches("error[").count(), 1, "{problems}");
    }
    let server = |keys: &str| after("[server]", &format!("[server]\n{keys}"));
    let one = server("listeners = { listen = \":::1\" }");
    assert!(one.contains("expected an array of tables"), "{one}");
    let number = server("listeners = [9090]");
    assert!(
        number.contains("`server.listeners[0]`: expected a table"),
        "{number}"
    );
}

#[test]
fn a_table_instead_of_an_array_of_tables() {
    insta::assert_snapshot!(after(
        "[backends.ops]",
        "[server.listeners]\nlisten = \"127.0.0.1:9443\"\n\n[backends.ops]",
    ), @"
    error[config.bad_value]: `server.listeners`: expected an array of tables, found a table
     --> tributary.toml:4:1
      |
    4 | [server.listeners]
      | ^^^^^^^^^^^^^^^^^^
      |
      = help: write `[[server.listeners]]` instead of `[server.listeners]`
      = manual: tributary manual listeners
    ");
}

#[test]
fn an_address_that_is_not_in_the_environment() {
    let problems = of_listener("listen = \"env:NO_SUCH_ADDRESS\"");
    assert!(
        problems.contains("the environment variable `NO_SUCH_ADDRESS` is not set"),
        "{problems}"
    );
}

#[test]
fn an_array_of_tables_instead_of_a_table() {
    let problems = after(
        "[backends.ops]",
        "[[admin]]\nlisten = \"127.0.0.1:9091\"\n\n[backends.ops]",
    );
    assert!(
        problems.contains("expected a table, found an array of tables"),
        "{problems}"
    );
    assert!(
        problems.contains("write `[admin]` instead of `[[admin]]`"),
        "{problems}"
    );
}
