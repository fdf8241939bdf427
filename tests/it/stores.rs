//! Real stores that come and go: a server outlives them and finds them again by itself.

use std::process::Command;

use crate::support::{Redis, Tributary, Wire, bytes, free_port};

const IDL: &str = "struct Reply { 1: required string who, 2: optional string note } service S { Reply get(1: string who) }";

fn config(url: &str) -> String {
    format!(
        r#"
[server]
idl = "s.thrift"

[backends.cache]
kind = "redis"
url = "{url}"

[backends.table]
kind = "file"
path = "who.csv"

[lookups.who]
backend = "table"
key = {{ who = "{{who}}" }}
rows = "value"

[lookups.note]
backend = "cache"
get = "note:{{who}}"
inject = {{ delay = "5ms" }}

[views.get.lookups]
who = {{ use = "who", required = true }}
note = "note"
"#
    )
}

/// `get("ann")`, and whether `text` is in its reply.
fn note_is(wire: &mut Wire, text: &str) -> bool {
    wire.send_frame(&bytes(
        "80 01 00 01 00 00 00 03 'get' 00 00 00 01 0b 00 01 00 00 00 03 'ann' 00",
    ));
    let reply = wire.read_frame();
    let reply = String::from_utf8_lossy(&reply);
    assert!(
        reply.contains("ann"),
        "the required part is always there: {reply}"
    );
    reply.contains(text)
}

#[test]
fn redis_down_at_start_and_gone_in_between() {
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}/0");
    let server = Tributary::start(
        &config(&url),
        &[("s.thrift", IDL), ("who.csv", "who\nann\n")],
    );
    let mut wire = server.connect();
    assert!(!note_is(&mut wire, "hello"));

    for _ in 0..2 {
        let redis = Redis::start_on(port).expect("the port is still free");
        redis.run("set note:ann hello");
        // A connection is tried again after a pause, so the first answers may still be without a note. The
        // injected delay keeps the tries apart.
        assert!(
            (0..2000).any(|_| note_is(&mut wire, "hello")),
            "it finds Redis again"
        );
        drop(redis);
        assert!(
            (0..2000).any(|_| !note_is(&mut wire, "hello")),
            "it sees that Redis is gone"
        );
    }
}

const MANY_IDL: &str = "service S { list<string> notes(1: list<string> keys) }";

/// One question for all that is asked in a turn of the loop, and one for keys that are equal.
#[test]
fn lookups_of_one_turn_travel_together_and_equal_ones_once() {
    let redis = Redis::start();
    for key in 0..300 {
        redis.run(&format!("set note:{key} value-of-{key}"));
    }
    // Fewer turns than lookups, so that several batches follow one another.
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
    let server = Tributary::start(&config, &[("s.thrift", MANY_IDL)]);
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
