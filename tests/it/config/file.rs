//! Mistakes in the file itself: invalid TOML, unknown sections, an unreadable file.

use super::after;

#[test]
fn toml_that_does_not_parse() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        "idl = flights.thrift",
    ), @r#"
    error[config.syntax]: invalid boolean, expected `false`
     --> tributary.toml:2:7
      |
    2 | idl = flights.thrift
      |       ^^^^^^^^^^^^^^
      |
      = help: if this is text, put it in quotes: `"flights.thrift"`
      = manual: tributary manual configuration
    "#);
}

#[test]
fn a_duration_without_its_quotes() {
    insta::assert_snapshot!(after(
        r#"timeout = "200ms""#,
        "timeout = 200ms",
    ), @r#"
    error[config.syntax]: string values must be quoted, expected literal string
      --> tributary.toml:24:11
       |
    24 | timeout = 200ms
       |           ^^^^^
       |
       = help: if this is text, put it in quotes: `"200ms"`
       = manual: tributary manual configuration
    "#);
}

#[test]
fn a_misspelt_server() {
    insta::assert_snapshot!(after(
        "[server]",
        "[sever]",
    ), @r"
    error[config.unknown_key]: `sever`: unknown key
     --> tributary.toml:1:2
      |
    1 | [sever]
      |  ^^^^^
      |
      = help: did you mean `server`?
      = manual: tributary manual configuration
    ");
}

#[test]
fn an_unclosed_table_header() {
    insta::assert_snapshot!(after(
        "[backends.ops]",
        "[backends.ops",
    ), @r"
    error[config.syntax]: unclosed table, expected `]`
     --> tributary.toml:4:14
      |
    4 | [backends.ops
      |              ^
      |
      = manual: tributary manual configuration
    ");
}

#[test]
fn a_section_that_does_not_exist() {
    insta::assert_snapshot!(after(
        "[backends.ops]",
        "[backend.ops]",
    ), @r#"
    error[config.unknown_key]: `backend`: unknown key
     --> tributary.toml:4:2
      |
    4 | [backend.ops]
      |  ^^^^^^^
      |
      = help: did you mean `backends`?
      = manual: tributary manual configuration

    error[config.unknown_name]: `lookups.flight.backend`: there is no backend `ops`
      --> tributary.toml:21:11
       |
    21 | backend = "ops"
       |           ^^^^^
       |
       = help: available: `cache`, `tables`, `weather`
       = manual: tributary manual lookups

    error[config.unknown_name]: `lookups.board.backend`: there is no backend `ops`
      --> tributary.toml:27:11
       |
    27 | backend = "ops"
       |           ^^^^^
       |
       = help: available: `cache`, `tables`, `weather`
       = manual: tributary manual lookups
    "#);
}

#[test]
fn no_server() {
    insta::assert_snapshot!(after(
        r#"[server]
idl = "flights.thrift"
"#,
        "",
    ), @r#"
    error[config.missing_key]: `server` is missing
     --> tributary.toml:1:1
      |
    1 |
      | ^
      |
      = help: add `[server]` with `idl = "my.thrift"`
      = manual: tributary manual configuration
    "#);
}

#[test]
fn an_unclosed_server() {
    insta::assert_snapshot!(after("[server]", "[server"), @r"
    error[config.syntax]: unclosed table, expected `]`
     --> tributary.toml:1:8
      |
    1 | [server
      |        ^
      |
      = manual: tributary manual configuration
    ");
}

#[test]
fn configurations_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"# caf\xe9\n").expect("the folder is ours");
    let shown = |path: &std::path::Path| {
        let path = path.display().to_string();
        let problem = tributary::program::open(&path, &[]).expect_err("it is unreadable");
        problem
            .render(false)
            .replace(&folder.path().display().to_string(), "FOLDER")
    };
    insta::assert_snapshot!(shown(&latin), @r"
    error[config.file]: can't read `FOLDER/latin.toml`: it is not UTF-8
     |
     = help: save the file as UTF-8
     = manual: tributary manual configuration
    ");
    insta::assert_snapshot!(shown(folder.path()), @r"
    error[config.file]: can't read `FOLDER`: Is a directory (os error 21)
     |
     = help: name the file in it: `-c DIRECTORY/tributary.toml`
     = manual: tributary manual configuration
    ");
    insta::assert_snapshot!(shown(&folder.path().join("none.toml")), @r"
    error[config.file]: can't read `FOLDER/none.toml`: No such file or directory (os error 2)
     |
     = help: write it there, or name another file with `-c FILE`
     = manual: tributary manual configuration
    ");
}
