//! How lookups of one event-loop iteration are batched for a real store.

use std::process::Command;

use crate::support::{Redis, Tributary};

const IDL: &str = "service S { list<string> notes(1: list<string> keys) }";

/// Lookups of one iteration travel in one batch, and equal keys are requested once.
#[test]
fn lookups_of_one_loop_iteration_are_batched_and_equal_ones_sent_once() {
    let redis = Redis::start();
    for key in 0..300 {
        redis.run(&format!("set note:{key} value-of-{key}"));
    }
    // Fewer batches in flight than lookups, so that several batches follow each other.
    let config = format!(
        r#"
[server]
idl = "s.thrift"
[backends.cache]
kind = "redis"
url = "redis://{}/0"
in_flight_max = 50
[lookups.note]
backend = "cache"
get = "note:{{key}}"
[views.notes.lookups]
notes = {{ use = "note", foreach = "keys", foreach_max = 1000, with = {{ key = "item" }} }}
"#,
        redis.addr
    );
    let server = Tributary::start(&config, &[("s.thrift", IDL)]);
    redis.run("config resetstat");
    let keys: Vec<String> = (0..600).map(|at| (at / 2).to_string()).collect();
    let json = format!("keys=[\"{}\"]", keys.join("\",\""));
    let idl = server.folder().join("s.thrift");
    let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args([
            "call",
            "notes",
            &json,
            "--addr",
            &server.addr.to_string(),
            "--idl",
        ])
        .arg(idl)
        .output()
        .expect("the program itself");
    let notes: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let expected: Vec<String> = keys.iter().map(|key| format!("value-of-{key}")).collect();
    assert_eq!(
        notes,
        serde_json::json!(expected),
        "each key has its own value"
    );
    let asked = redis.asked("get");
    assert!(
        asked < 600,
        "equal keys of a batch are asked once, not {asked} times"
    );
}
