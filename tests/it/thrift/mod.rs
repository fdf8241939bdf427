//! Thrift services as stores: what they return, what they throw, and calls while they are down.

mod apache;
mod header;
mod outages;
mod tributary;

use std::process::Command;

use serde_json::Value as Json;

use crate::support::{Tributary, run};

/// The result of a method called with these arguments, as the command line prints it.
pub(crate) fn call(server: &Tributary, words: &[&str]) -> Json {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command
        .args(["call", "--addr", &server.addr.to_string(), "--idl"])
        .arg(server.folder().join("front.thrift"))
        .args(words);
    let said = run(&mut command, "the program itself with `cargo build`");
    serde_json::from_str(&said).unwrap_or_else(|err| panic!("{err}: {said}"))
}

/// Fate and code of each lookup in a page's report, by name.
fn fates(page: &Json) -> Vec<(String, String, String)> {
    let text = |value: &Json| value.as_str().unwrap_or("-").to_owned();
    let lookups = page["report"]["lookups"].as_array().expect("a report");
    lookups
        .iter()
        .map(|lookup| {
            (
                text(&lookup["name"]),
                text(&lookup["fate"]),
                text(&lookup["code"]),
            )
        })
        .collect()
}
