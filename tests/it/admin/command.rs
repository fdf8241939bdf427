//! `tributary health`, as a container's health check runs it.

use std::net::TcpListener;
use std::process::Command;

use super::{Served, patiently};

/// Its exit code, and the one line that it printed, on stdout or on stderr.
fn health(options: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let output = command.arg("health").args(options).output();
    let output = output.expect("the program itself");
    let code = output.status.code();
    let (said, silent) = match code {
        Some(0) => (output.stdout, output.stderr),
        _ => (output.stderr, output.stdout),
    };
    assert!(silent.is_empty(), "{silent:?}");
    let said = String::from_utf8(said).expect("UTF-8");
    assert_eq!(said.lines().count(), 1, "{said}");
    (code, said.trim_end().to_owned())
}

/// The same with a configuration that has only this text.
fn of_configuration(text: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("t.toml").display().to_string();
    std::fs::write(&path, text).expect("the folder is ours");
    let (code, said) = health(&["-c", &path, "--timeout", "30s"]);
    (code, said.replace(&path, "t.toml"))
}

#[test]
fn the_exit_code_says_whether_the_server_takes_calls() {
    let served = Served::start();
    let addr = served.admin.to_string();
    let asked =
        |options: &[&str]| health(&[&["--addr", &addr, "--timeout", "30s"], options].concat());
    assert_eq!(asked(&[]), (Some(0), format!("{addr}/readyz: ready")));
    let (code, said) = asked(&["--live"]);
    assert_eq!(code, Some(0));
    assert!(
        said.starts_with(&format!("{addr}/livez: loop 0: ok, ")),
        "{said}"
    );
    // The configuration's port is on every interface; the check is on this machine.
    let port = served.admin.port();
    let everywhere = format!("[admin]\nlisten = \"0.0.0.0:{port}\"\n[server]\nidl = 1");
    assert_eq!(
        of_configuration(&everywhere),
        (Some(0), format!("127.0.0.1:{port}/readyz: ready"))
    );

    let stuck = served.get_stuck();
    served.server.drain();
    patiently(|| asked(&[]).0 == Some(1));
    assert_eq!(asked(&[]).1, format!("error: {addr}/readyz: draining"));
    assert_eq!(asked(&["--live"]).0, Some(0), "a draining server is alive");
    served.release.send(()).expect("the closure waits");
    assert_eq!(stuck.join().expect("no panic").as_deref(), Ok("\"done\""));
    served.server.stop().expect("it ends well");
    let (code, said) = asked(&[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("onnection refused"), "{said}");
}

#[test]
fn a_check_that_cannot_ask_fails_and_says_why() {
    for (text, expected) in [
        ("[server]\nidl = 'x.thrift'", "`t.toml` has no admin port: "),
        (
            "[admin]\nlisten = '9091'",
            "`t.toml`: `admin.listen`: `9091` is not an address",
        ),
        (
            "[admin]\nlisten = '127.0.0.1:0'",
            "`t.toml` takes any free port",
        ),
        ("[admin", "unclosed table"),
    ] {
        let (code, said) = of_configuration(text);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.starts_with("error: "), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let (code, said) = health(&["-c", "/nowhere/t.toml"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("can't read `/nowhere/t.toml`"), "{said}");
    // A port that takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = silent.local_addr().expect("a socket").to_string();
    let (code, said) = health(&["--addr", &addr, "--timeout", "50ms"]);
    assert_eq!(code, Some(1));
    assert_eq!(said, format!("error: {addr}/readyz: no answer within 50ms"));
}
