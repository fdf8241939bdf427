//! Real clients of other libraries that know only the standard include: they fetch the same values that a client with
//! the service's IDL gets.

use std::path::Path;

use crate::support::{Flights, PYTHON, python, run, stubs};

#[test]
fn apache_framed_binary() {
    apache("framed", "binary");
}

#[test]
fn apache_framed_compact() {
    apache("framed", "compact");
}

#[test]
fn apache_unframed_binary() {
    apache("unframed", "binary");
}

#[test]
fn apache_unframed_compact() {
    apache("unframed", "compact");
}

#[test]
fn thriftpy2_framed_binary() {
    thriftpy2("framed", "binary");
}

#[test]
fn thriftpy2_framed_compact() {
    thriftpy2("framed", "compact");
}

#[test]
fn thriftpy2_unframed_compact() {
    thriftpy2("unframed", "compact");
}

fn apache(transport: &str, protocol: &str) {
    let stubs = stubs("idl/tributary.thrift");
    client([transport, protocol, "apache"], stubs.path());
}

fn thriftpy2(transport: &str, protocol: &str) {
    client([transport, protocol, "thriftpy2"], Path::new(""));
}

fn client(options: [&str; 3], python_path: &Path) {
    let flights = Flights::start();
    let mut command = python("meta.py", python_path);
    command
        .arg(flights.server.addr.port().to_string())
        .args(options);
    let said = run(&mut command, PYTHON);
    // "42 departures, 12000 fields compared"
    let fields = said.split(' ').nth(2).and_then(|word| word.parse().ok());
    let enough = fields.is_some_and(|fields: usize| fields > 1000);
    assert!(enough, "it compared little: {said}");
}
