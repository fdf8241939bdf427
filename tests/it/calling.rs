//! `tributary call` and `bench` against listeners that want more than plain TCP: TLS, certificates, Unix sockets, tokens.

use std::process::{Command, Output};

use crate::secure::Secured;
use crate::support::Tributary;
use crate::support::airports::{CONFIG, FILES};

/// Runs the program.
fn run(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.args(words).output().expect("the program itself")
}

/// Its exit code, and all that it said.
#[track_caller]
fn says(words: &[&str], code: i32, expected: &[&str]) {
    let output = run(words);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    for word in expected {
        assert!(said.contains(word), "{words:?} has no `{word}`: {said}");
    }
}

/// A command for this server, with these options.
fn all<'a>(command: &'a str, server: &[&'a str], options: &[&[&'a str]]) -> Vec<&'a str> {
    let options = options.concat();
    [&[command][..], server, &options[..], &["get", "code=JFK"]].concat()
}

const BENCH: [&str; 6] = ["-n", "40", "--warmup", "0s", "--connections", "2"];

#[test]
fn a_listener_with_tls_that_wants_a_certificate() {
    let secured = Secured::serve(CONFIG, ", client_ca = \"clients.pem\"");
    let folder = secured.server.folder();
    let identity = secured.authority.issue("spiffe://test/web");
    identity.write(folder, "web");
    let at = |name: &str| folder.join(name).display().to_string();
    let (addr, ca) = (secured.addr.to_string(), at("clients.pem"));
    let (cert, key) = (at("web.pem"), at("web.key"));
    let server = ["--addr", &addr, "--timeout", "20s"];
    let ca = ["--ca", &ca];
    let name = ["--server-name", "server.test"];
    let identity = ["--cert", &cert, "--key", &key];
    says(
        &all("call", &server, &[&ca, &name, &identity]),
        0,
        &["Kennedy"],
    );
    let headers = ["--transport", "header", "--report"];
    says(
        &all("call", &server, &[&ca, &name, &identity, &headers]),
        0,
        &["Kennedy", "airport"],
    );
    says(
        &all("bench", &server, &[&ca, &name, &identity, &BENCH]),
        0,
        &["40"],
    );
    // Without the client's certificate, for another name, with another authority, and without TLS.
    says(&all("call", &server, &[&ca, &name]), 1, &[]);
    says(
        &all("call", &server, &[&ca, &identity]),
        1,
        &["can't connect", "certificate"],
    );
    says(
        &all("call", &server, &[&["--tls"], &name, &identity]),
        1,
        &["can't connect"],
    );
    says(&all("call", &server, &[]), 1, &["speaks TLS", "--ca"]);
    // What makes no sense.
    says(&all("call", &server, &[&name]), 2, &["are for TLS"]);
    says(
        &all("call", &server, &[&ca, &["--cert", &cert]]),
        2,
        &["--key"],
    );
    says(
        &all("call", &server, &[&["--ca", &key], &name]),
        2,
        &["no certificate"],
    );
}

#[test]
fn a_unix_socket_whose_callers_have_tokens_and_ask_for_faults() {
    let above = "[server]\ntokens = { chaos = \"file:chaos.token\" }\ninject = [\"token:chaos\"]\n\
        listeners = [{ listen = \"unix://socket\" }]";
    let config = CONFIG.replace("[server]", above);
    let token = ("chaos.token", "0123456789abcdef-chaos\n");
    let server = Tributary::start(&config, &[&FILES[..], &[token]].concat());
    let at = |name: &str| server.folder().join(name).display().to_string();
    let (addr, token) = (
        format!("unix://{}", at("socket")),
        format!("file:{}", at("chaos.token")),
    );
    let server = ["--addr", &addr, "--timeout", "20s"];
    let by = ["--token", &token];
    let fails = ["--inject", "airport=error:unavailable"];
    says(&all("call", &server, &[]), 0, &["Kennedy"]);
    says(&all("call", &server, &[&by]), 0, &["Kennedy"]);
    says(
        &all("call", &server, &[&by, &fails]),
        1,
        &["lookup.unavailable"],
    );
    says(
        &all("call", &server, &[&by, &fails, &["--report"]]),
        1,
        &["airport", "lookup.unavailable"],
    );
    says(&all("call", &server, &[&fails]), 1, &["call.forbidden"]);
    let hangs = ["--inject", "*=hang", "--header", "deadline-budget=50"];
    says(&all("call", &server, &[&by, &hangs]), 1, &["call.deadline"]);
    says(&all("bench", &server, &[&by, &BENCH]), 0, &["40"]);
    says(
        &all("bench", &server, &[&by, &fails, &BENCH]),
        1,
        &["call.required_failed"],
    );
    // What makes no sense, and a secret where everybody could read it.
    says(
        &all("call", &server, &[&["--token", "0123456789abcdef-chaos"]]),
        2,
        &["env:NAME"],
    );
    says(
        &all("call", &server, &[&["--token", "env:NO_SUCH_TOKEN"]]),
        2,
        &["is not set"],
    );
    says(
        &all("call", &server, &[&by, &["--transport", "framed"]]),
        2,
        &["--transport header"],
    );
    says(
        &all("call", &server, &[&["--header", "novalue"]]),
        2,
        &["a name and a value"],
    );
    says(&["call", "--addr", "unix:socket", "get"], 2, &["unix:///"]);
    says(
        &["call", "--addr", "unix:///nowhere/at/all", "get"],
        1,
        &["can't connect"],
    );
}

#[test]
fn a_caller_beyond_its_rate_reads_when_the_next_call_is_taken() {
    let callers = "\n[callers.\"*\"]\nrate = \"1/h\"\nburst = 2\n";
    let server = Tributary::start(&format!("{CONFIG}{callers}"), &FILES);
    let addr = server.addr.to_string();
    let server = ["--addr", &addr, "--timeout", "20s"];
    let headers = ["--transport", "header"];
    says(&all("call", &server, &[&headers]), 0, &["Kennedy"]);
    says(&all("call", &server, &[]), 0, &["Kennedy"]);
    let limited = ["call.rate_limited", "takes the next call in 3", " ms"];
    says(&all("call", &server, &[&headers]), 1, &limited);
    // A transport without headers can't say it.
    says(&all("call", &server, &[]), 1, &["call.rate_limited"]);
}
