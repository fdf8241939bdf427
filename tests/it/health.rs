//! What an outage looks like to clients and operators: in reports, `health()`, the metrics and the log.

use std::process::Command;

use serde_json::{Value as Json, json};

use crate::admin::{patiently, scrape};
use crate::support::message::{CALL, sized, with_body};
use crate::support::{Redis, Tributary, bytes, free_port};

const IDL: &str = r#"
include "tributary.thrift"
struct Reply {
  1: optional list<i64> each,
  2: optional map<string, i64> by_id,
  3: optional i64 one,
  4: optional tributary.Report report,
}
service S { Reply get(1: list<string> ids, 2: string id) }
"#;

/// Every value of the page has a default.
fn config(store: &str) -> String {
    format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
[backends.store]
{store}
[lookups.visits]
backend = "store"
get = "visits:{{id}}"
format = "i64"
[views.get]
report = true
[views.get.lookups]
each = {{ use = "visits", foreach = "ids", with = {{ id = "item" }}, default = 0 }}
by_id = {{ use = "visits", foreach = "ids", with = {{ id = "item" }}, default = 0 }}
one = {{ use = "visits", with = {{ id = "id" }}, default = 0 }}
"#
    )
}

/// The reply to `get(["a", "b"], "a")`.
fn get(server: &Tributary) -> Json {
    call(server, &["get", r#"ids=["a","b"]"#, "id=a"])
}

fn call(server: &Tributary, words: &[&str]) -> Json {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let addr = server.addr.to_string();
    command.args(["call", "--addr", &addr]).args(words);
    let output = command.output().expect("the program runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}

/// Fate and code of each lookup, in the order of their names.
fn fates(reply: &Json) -> Vec<(&str, &str, &str)> {
    let lookups = reply["report"]["lookups"].as_array().expect("a list");
    let mut fates: Vec<_> = lookups
        .iter()
        .map(|lookup| {
            let [name, fate, code] = ["name", "fate", "code"].map(|key| &lookup[key]);
            (text(name), text(fate), text(code))
        })
        .collect();
    fates.sort_unstable();
    fates
}

fn is_answering(server: &Tributary) -> Json {
    let health = call(server, &["--service", "Tributary", "health"]);
    health["backends"][0]["is_answering"].clone()
}

/// Further calls on one connection.
fn call_repeatedly(server: &Tributary, times: usize) {
    let params = [
        bytes("0f 00 01 0b 00 00 00 02"),
        sized(b"a"),
        sized(b"b"),
        bytes("0b 00 02"),
        sized(b"a"),
        vec![0],
    ];
    let mut wire = server.connect();
    for _ in 0..times {
        wire.send_frame(&with_body(CALL, "get", 1, &params.concat()));
        wire.read_frame();
    }
}

#[test]
fn a_dead_store_does_not_look_healthy_behind_its_defaults() {
    let port = free_port();
    let store = format!("kind = \"redis\"\nurl = \"redis://127.0.0.1:{port}\"");
    let mut server = Tributary::start(&config(&store), &[("s.thrift", IDL)]);
    let admin = server.admin();
    let up = || scrape(admin).count("tributary_backend_up", &[("backend", "store")]);
    assert_eq!(up(), 1, "it was not asked yet");

    let reply = get(&server);
    assert_eq!(reply["each"], json!([0, 0]));
    assert_eq!(reply["by_id"], json!({"a": 0, "b": 0}));
    assert_eq!(reply["one"], json!(0));
    let down = "lookup.unavailable";
    let all = ["by_id", "each", "one"];
    assert_eq!(fates(&reply), all.map(|name| (name, "default", down)));
    assert_eq!(reply["report"]["complete"], json!(false), "{reply}");
    assert_eq!(is_answering(&server), json!(false));
    assert_eq!(up(), 0);

    call_repeatedly(&server, 200);
    let counts = scrape(admin);
    for lookup in all {
        let of = ("lookup", lookup);
        let fate = [of, ("fate", "default")];
        assert_eq!(counts.count("tributary_lookups_total", &fate), 201);
        let failed = "tributary_lookup_failures_total";
        assert_eq!(counts.sum(failed, &[of]), 201);
        assert_eq!(counts.count(failed, &[of, ("code", down)]), 201);
    }
    assert_eq!(is_answering(&server), json!(false));

    let redis = Redis::start_on(port).expect("the port is still free");
    redis.run("set visits:b 7");
    patiently(|| fates(&get(&server))[1] == ("each", "ok", ""));
    // A missing key is no failure: it takes the default too.
    let reply = get(&server);
    let missing = [
        ("by_id", "ok", ""),
        ("each", "ok", ""),
        ("one", "default", ""),
    ];
    assert_eq!(fates(&reply), missing);
    assert_eq!(reply["each"], json!([0, 7]));
    assert_eq!(is_answering(&server), json!(true));
    assert_eq!(up(), 1);
    let (_, log) = server.stop("TERM");
    assert_eq!(log.matches("backend fails").count(), 1, "{log}");
    assert_eq!(log.matches("backend answers again").count(), 1, "{log}");
}

#[test]
fn a_store_that_hangs_does_not_look_healthy_either() {
    let redis = Redis::start();
    redis.run("mset visits:a 1 visits:b 2");
    let store = format!("kind = \"redis\"\nurl = \"redis://{}\"", redis.addr);
    let config = config(&store).replace("format =", "timeout = \"50ms\"\nformat =");
    let mut server = Tributary::start(&config, &[("s.thrift", IDL)]);
    let admin = server.admin();
    let up = || scrape(admin).count("tributary_backend_up", &[("backend", "store")]);
    let all = ["by_id", "each", "one"];
    assert_eq!(fates(&get(&server)), all.map(|name| (name, "ok", "")));
    redis.signal("STOP");
    patiently(|| {
        call_repeatedly(&server, 1);
        up() == 0
    });
    assert_eq!(is_answering(&server), json!(false));
    redis.signal("CONT");
    patiently(|| {
        call_repeatedly(&server, 1);
        up() == 1
    });
    assert_eq!(is_answering(&server), json!(true));
    let (_, log) = server.stop("TERM");
    assert_eq!(log.matches("backend fails").count(), 1, "{log}");
    assert_eq!(log.matches("backend answers again").count(), 1, "{log}");
}
