//! Real clients in other languages against the real binary, with the demo's data.
//!
//! The clients are in `tests/clients`. Each one compares every field of every reply with the CSV files, which it reads
//! itself. The tests here only start them, one per client, transport and protocol.

use std::path::Path;

use crate::support::{Flights, PYTHON, python, run, stubs};

#[test]
fn apache_framed_binary() {
    apache("framed", "binary");
}

#[test]
fn apache_framed_old_binary() {
    apache("framed", "old-binary");
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
fn apache_unframed_old_binary() {
    apache("unframed", "old-binary");
}

#[test]
fn apache_unframed_compact() {
    apache("unframed", "compact");
}

#[test]
fn apache_header_binary() {
    apache("header", "binary");
}

#[test]
fn apache_header_compact() {
    apache("header", "compact");
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
fn thriftpy2_framed_cython() {
    thriftpy2("framed", "cython");
}

#[test]
fn thriftpy2_unframed_binary() {
    thriftpy2("unframed", "binary");
}

#[test]
fn thriftpy2_unframed_compact() {
    thriftpy2("unframed", "compact");
}

#[test]
fn thriftpy2_unframed_cython() {
    thriftpy2("unframed", "cython");
}

#[test]
fn a_store_that_is_down_affects_only_its_own_field() {
    let mut flights = Flights::start();
    flights.stop_weather();
    let stubs = stubs("idl/flights.thrift");
    client(
        &flights,
        "apache.py",
        ["framed", "binary", "down"],
        stubs.path(),
    );
    client(
        &flights,
        "apache.py",
        ["header", "compact", "down"],
        stubs.path(),
    );
    client(
        &flights,
        "thriftpy.py",
        ["unframed", "compact", "down"],
        stubs.path(),
    );
}

fn apache(transport: &str, protocol: &str) {
    let stubs = stubs("idl/flights.thrift");
    client(
        &Flights::start(),
        "apache.py",
        [transport, protocol, "up"],
        stubs.path(),
    );
}

fn thriftpy2(transport: &str, protocol: &str) {
    client(
        &Flights::start(),
        "thriftpy.py",
        [transport, protocol, "up"],
        Path::new(""),
    );
}

fn client(flights: &Flights, script: &str, options: [&str; 3], python_path: &Path) {
    let mut command = python(script, python_path);
    command
        .arg(flights.server.addr.port().to_string())
        .args(options);
    let said = run(&mut command, PYTHON);
    // "42 departures, 12000 fields compared"
    let fields = said
        .split(' ')
        .nth(2)
        .and_then(|number| number.parse::<usize>().ok());
    assert!(
        fields.is_some_and(|fields| fields > 1000),
        "it compared little: {said}"
    );
}
