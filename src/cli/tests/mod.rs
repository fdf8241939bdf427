//! Commands as users type them.

mod calls; // those that ask a running server

use clap::CommandFactory;

use super::output::testing::captured;
use super::*;

/// Runs `words` and gives status, stdout and stderr.
fn typed(words: &[&str]) -> (ExitStatus, String, String) {
    let (mut out, data, rest) = captured();
    let words = std::iter::once("tributary").chain(words.iter().copied());
    let status = main_with(words, &mut out);
    (out.finish(status), data.text(), rest.text())
}

#[test]
fn the_options_make_sense_to_clap() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_says_what_it_does_and_shows_examples() {
    let commands = Cli::command();
    for command in commands.get_subcommands() {
        let name = command.get_name();
        let (status, help, rest) = typed(&[name, "--help"]);
        assert_eq!((status, rest.as_str()), (ExitStatus::Done, ""), "{name}");
        assert!(help.contains("\nExamples:\n  "), "{name}: {help}");
        for option in command.get_arguments() {
            assert!(option.get_help().is_some(), "{name}: {option}");
        }
    }
}

#[test]
fn misuse_is_reported_on_stderr() {
    let (status, data, rest) = typed(&["serv"]);
    assert_eq!((status, data.as_str()), (ExitStatus::Misuse, ""));
    assert!(rest.contains("'serve'"), "{rest}");
}

#[test]
fn a_configuration_without_its_option_is_recognised() {
    for command in ["check", "serve"] {
        let (status, _, rest) = typed(&[command, "bad.toml"]);
        assert_eq!(status, ExitStatus::Misuse);
        assert!(rest.contains("with `-c bad.toml`"), "{rest}");
    }
    for command in ["explain", "call", "compare", "bench"] {
        let (status, data, rest) = typed(&[command, "bad.toml"]);
        assert_eq!((status, data.as_str()), (ExitStatus::Misuse, ""));
        let says = "error: `bad.toml` is not a method\n  help: name the configuration with `-c bad.toml`\n";
        assert_eq!(rest, says, "{command}");
    }
    let (_, _, rest) = typed(&["check", "bad"]);
    assert!(!rest.contains("-c bad"), "{rest}");
}

#[test]
fn the_short_option_c_names_the_configuration_in_every_command() {
    let commands = Cli::command();
    let mut found = Vec::new();
    for command in commands.get_subcommands() {
        for option in command.get_arguments() {
            if option.get_short() == Some('c') {
                assert_eq!(option.get_long(), Some("config"), "{}", command.get_name());
                found.push(command.get_name());
            } else {
                assert_ne!(option.get_long(), Some("config"), "{}", command.get_name());
            }
        }
    }
    assert_eq!(
        found,
        [
            "serve", "health", "check", "explain", "tap", "top", "call", "compare", "bench"
        ]
    );
}

#[test]
fn a_number_of_connections_is_not_a_configuration() {
    let (status, data, rest) = typed(&["bench", "-c", "64", "getAirport"]);
    assert_eq!((status, data.as_str()), (ExitStatus::Misuse, ""));
    assert!(rest.contains("there is no file `64`"), "{rest}");
    assert!(
        rest.contains("help: for 64 connections: `--connections 64`"),
        "{rest}"
    );
}

#[test]
fn a_missing_configuration_is_misuse() {
    for command in ["check", "explain"] {
        let (status, data, rest) = typed(&[command, "-c", "/nowhere/tributary.toml"]);
        assert_eq!((status, data.as_str()), (ExitStatus::Misuse, ""));
        assert!(rest.contains("config.file"), "{rest}");
        assert!(rest.ends_with("\n\n1 problem\n"), "{rest}");
    }
}

#[test]
fn check_prints_problems_as_json() {
    let (status, data, rest) = typed(&["check", "--format", "json", "-c", "/nowhere/x.toml"]);
    assert_eq!((status, rest.as_str()), (ExitStatus::Misuse, ""));
    let problems: serde_json::Value = serde_json::from_str(&data).expect("JSON");
    assert_eq!(problems[0]["code"], "config.file");
    assert_eq!(problems[0]["line"], serde_json::Value::Null);
    assert_eq!(problems[0]["manual"], "configuration");
}

#[test]
fn check_warns_of_a_required_field_that_may_have_no_value() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let idl = "service S { R get(1: string code) } struct R { 1: required string name }";
    let toml = "[server]\nidl = 's.thrift'\n[backends.db]\nkind = 'sqlite'\npath = 'x'\n\
        [lookups.get]\nbackend = 'db'\nsql = 'select :code'\nrows = 'one'\n\
        [views.get.lookups]\nname = { use = 'get' }\n";
    let path = folder.path().join("tributary.toml");
    std::fs::write(folder.path().join("s.thrift"), idl).expect("the folder is ours");
    std::fs::write(&path, toml).expect("the folder is ours");
    let path = path.to_string_lossy();
    let (status, data, rest) = typed(&["check", "-c", &path]);
    assert_eq!(status, ExitStatus::Done, "{rest}");
    assert!(data.starts_with("get: 1 lookup in 1 stage"), "{data}");
    assert!(
        rest.starts_with("warning[merge.missing_field]: `views.get.lookups.name`: "),
        "{rest}"
    );
    let (_, json, _) = typed(&["check", "--format", "json", "-c", &path]);
    let remarks: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&remarks[0]["level"], &remarks[0]["line"]),
        (&"warning".into(), &11.into())
    );
}

#[test]
fn completions_are_data() {
    let (status, script, _) = typed(&["completions", "bash"]);
    assert_eq!(status, ExitStatus::Done);
    assert!(script.contains("compare"), "{script}");
}

#[test]
fn a_path_alone_is_not_an_address() {
    for command in ["call", "compare", "bench"] {
        let (status, data, rest) = typed(&[command, "--addr", "/run/shop.sock", "greet"]);
        assert_eq!((status, data.as_str()), (ExitStatus::Misuse, ""));
        let says = "a Unix socket is written `unix:///run/tributary.sock`";
        assert!(rest.contains(says), "{rest}");
    }
}

#[test]
fn a_url_is_not_an_address() {
    let (status, _, rest) = typed(&["call", "--addr", "thrift://shop:9090", "greet"]);
    assert_eq!(status, ExitStatus::Misuse);
    assert!(
        rest.contains("a host and a port, without a scheme"),
        "{rest}"
    );
}
