//! The spans as protobuf, compressed, decoded by the classes that Google's compiler makes of OpenTelemetry's own files.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::{attribute, named};
use crate::support::airports::{CONFIG, FILES};
use crate::support::{Certificates, PYTHON, Process, Tributary, python};

/// A running `tests/clients/otlp_sink.py`.
struct Sink {
    process: Process,
    addr: String,
}

impl Sink {
    fn start(tls: &[PathBuf]) -> Self {
        let nothing = tempfile::tempdir().expect("a temporary folder");
        let mut command = python("otlp_sink.py", nothing.path());
        let mut process = Process::start(command.args(tls), PYTHON);
        let addr = process.wait_for(|line| line.strip_prefix("listening ").map(str::to_owned));
        let addr = addr.unwrap_or_else(|| panic!("no sink:\n{}", process.written()));
        Sink { process, addr }
    }

    /// What the next request says.
    fn next(&mut self) -> Json {
        let line = self
            .process
            .wait_for(|line| line.starts_with('{').then(|| line.to_owned()));
        let line = line.unwrap_or_else(|| panic!("no spans:\n{}", self.process.written()));
        serde_json::from_str(&line).expect("JSON")
    }
}

#[test]
fn another_decoder_reads_what_is_sent() {
    decoded("", &Json::Null);
    decoded("compression = \"gzip\"\n", &"gzip".into());
}

/// What arrives of a call with these keys of `[traces]`.
#[track_caller]
fn decoded(keys: &str, encoding: &Json) {
    let mut sink = Sink::start(&[]);
    let traces = format!(
        "[traces]\nendpoint = \"http://{}/v1/traces\"\nshare = 1.0\n{keys}",
        sink.addr
    );
    let server = Tributary::start(&format!("{traces}{CONFIG}"), &FILES);
    server.call(&["slow", "code=JFK"]);
    let read = sink.next();
    assert_eq!(read["content"], "application/x-protobuf");
    assert_eq!(&read["encoding"], encoding);
    assert_eq!(read["unknown"], 0, "no field that the files do not have");
    assert_eq!(attribute(&read["resource"], "service.name"), "tributary");
    let spans = read["spans"].as_array().expect("a list");
    let call = named(spans, "Airports/slow");
    assert_eq!(
        (&call["kind"], &call["parent"]),
        (&"SPAN_KIND_SERVER".into(), &"".into())
    );
    assert_eq!(attribute(call, "rpc.method"), "Airports/slow");
    assert_eq!(attribute(call, "fanout.size"), 1);
    let lookup = named(spans, "airport");
    assert_eq!(
        (&lookup["trace"], &lookup["parent"]),
        (&call["trace"], &call["id"])
    );
    assert_eq!(attribute(lookup, "fanout.critical"), true);
    let time = |of: &Json, key: &str| of[key].as_u64().expect("nanoseconds");
    let took = time(lookup, "end") - time(lookup, "start");
    assert!(took >= 50_000_000, "it has a delay of 60 ms: {lookup}");
    assert!(time(lookup, "end") <= time(call, "end"));
}

#[test]
fn a_collector_with_tls_gets_traces_if_its_certificate_is_right() {
    let certificates = Certificates::new();
    let path = |name: &str| certificates.path(name);
    let serve = |ca: &str, addr: &str| {
        let traces = format!(
            "[traces]\nendpoint = \"https://{addr}\"\nshare = 1.0\ntls = {{ ca = \"{}\" }}\n",
            path(ca).display()
        );
        Tributary::start(&format!("{traces}{CONFIG}"), &FILES)
    };
    let mut sink = Sink::start(&[path("server.pem"), path("server.key")]);
    let mut distrusting = serve("other-ca.pem", &sink.addr);
    distrusting.call(&["slow", "code=JFK"]);
    distrusting.wait_for_line("the collector does not take traces");
    let trusting = serve("ca.pem", &sink.addr);
    trusting.call(&["get", "code=JFK"]);
    let read = sink.next();
    let spans = read["spans"].as_array().expect("a list");
    named(spans, "Airports/get");
    assert_eq!(read["path"], "/v1/traces");
}
