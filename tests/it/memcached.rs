//! memcached servers in one ring: calls are served by all of them, or by those that are up.

use std::process::Command;

use crate::support::{Memcached, Tributary, Wire, bytes, free_port};

const IDL: &str = "
struct Reply { 1: required string who, 2: optional string note }
service S { Reply get(1: string who), list<string> notes(1: list<string> keys) }
";

fn config(servers: &[String]) -> String {
    format!(
        r#"
[server]
idl = "s.thrift"

[backends.table]
kind = "file"
path = "who.csv"

[backends.cache]
kind = "memcached"
servers = {servers:?}

[lookups.who]
backend = "table"
key = {{ who = "{{who}}" }}
rows = "value"

[lookups.note]
backend = "cache"
get = "note:{{key}}"

[views.get.lookups]
who = {{ use = "who", required = true }}
note = {{ use = "note", with = {{ key = "who" }} }}

[views.notes.lookups]
notes = {{ use = "note", foreach = "keys", foreach_max = 1000, with = {{ key = "item" }} }}
"#
    )
}

fn names() -> Vec<String> {
    (0..40).map(|n| format!("p{n:02}")).collect()
}

fn serve(servers: &[String]) -> Tributary {
    let table = format!("who\n{}\n", names().join("\n"));
    Tributary::start(&config(servers), &[("s.thrift", IDL), ("who.csv", &table)])
}

/// Stores the note of every name on each server, so that the ring may choose any.
fn fill(servers: &[&Memcached]) {
    let pairs = names()
        .into_iter()
        .map(|name| (format!("note:{name}"), format!("about {name}")));
    let pairs: Vec<(String, String)> = pairs.collect();
    for server in servers {
        server.set(
            pairs
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
    }
}

/// The names for which `get` returns a note; the rest of the reply is always there.
fn noted(wire: &mut Wire) -> Vec<String> {
    let mut noted = names();
    noted.retain(|name| {
        let call =
            format!("80 01 00 01 00 00 00 03 'get' 00 00 00 01 0b 00 01 00 00 00 03 '{name}' 00");
        wire.send_frame(&bytes(&call));
        let reply = wire.read_frame();
        let reply = String::from_utf8_lossy(&reply);
        assert!(
            reply.contains(name.as_str()),
            "the required part is there: {reply}"
        );
        match reply.split_once("about ") {
            Some((_, whose)) => {
                assert!(whose.starts_with(name.as_str()), "of another: {reply}");
                true
            }
            None => false,
        }
    });
    noted
}

#[test]
fn a_server_that_is_down_costs_only_its_keys() {
    let port = free_port();
    let stays = Memcached::start();
    let server = serve(&[stays.addr.to_string(), format!("127.0.0.1:{port}")]);
    let mut wire = server.connect();
    fill(&[&stays]);
    let alone = noted(&mut wire);
    assert!(
        !alone.is_empty() && alone.len() < 40,
        "down at start: {alone:?}"
    );

    for _ in 0..2 {
        let comes = Memcached::start_on(port).expect("the port is still free");
        fill(&[&comes]);
        // The connection is retried after a pause, so the first answers may still lack notes.
        assert!(
            (0..2000).any(|_| noted(&mut wire) == names()),
            "it is found again"
        );
        drop(comes);
        assert_eq!(
            noted(&mut wire),
            alone,
            "the other one's keys stay where they are"
        );
    }
}

#[test]
fn lookups_of_one_call_are_spread_over_all_servers() {
    let servers = [Memcached::start(), Memcached::start(), Memcached::start()];
    fill(&servers.each_ref());
    let server = serve(&servers.each_ref().map(|server| server.addr.to_string()));
    let keys: Vec<String> = names().into_iter().cycle().take(600).collect();
    let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(["call", "notes", &format!("keys={keys:?}")])
        .args(["--addr", &server.addr.to_string(), "--idl"])
        .arg(server.folder().join("s.thrift"))
        .output()
        .expect("the program itself");
    let notes: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let expected: Vec<String> = keys.iter().map(|key| format!("about {key}")).collect();
    assert_eq!(notes, serde_json::json!(expected));
}
