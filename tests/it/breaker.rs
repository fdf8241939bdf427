//! A store that hangs costs a few lookups their timeouts, and then no lookup any time; it is used again once it answers.

use std::cell::Cell;
use std::process::Command;

use serde_json::{Value as Json, json};

use crate::admin::{patiently, scrape};
use crate::support::{Postgres, Tributary};

const IDL: &str = r#"
include "tributary.thrift"
struct Reply { 1: optional string name, 2: optional string nickname, 3: optional tributary.Report report }
service S { Reply get(1: i64 id) }
"#;

fn config(url: &str, breaker: &str) -> String {
    format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
[backends.people]
kind = "postgres"
url = "{url}"
breaker = {breaker}
[lookups.name]
backend = "people"
sql = "select 'Ann' where :id::int8 > 0"
rows = "value"
timeout = "150ms"
[views.get]
report = true
[views.get.lookups]
name = {{ use = "name", default = "nobody" }}
nickname = {{ use = "name" }}
"#
    )
}

fn get(server: &Tributary) -> Json {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let addr = server.addr.to_string();
    command.args(["call", "--addr", &addr, "get", "id=7"]);
    let output = command.output().expect("the program runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
}

/// The code of each lookup, in the order of their names; of one that succeeded, its fate.
fn codes(reply: &Json) -> [String; 2] {
    let lookups = reply["report"]["lookups"].as_array().expect("a list");
    ["name", "nickname"].map(|name| {
        let lookup = lookups.iter().find(|lookup| lookup["name"] == name);
        let lookup = lookup.expect("it was planned");
        let code = lookup["code"].as_str().filter(|code| !code.is_empty());
        code.or(lookup["fate"].as_str())
            .unwrap_or_default()
            .to_owned()
    })
}

#[test]
fn a_hung_database_costs_no_time_behind_a_breaker_and_is_used_again_when_it_answers() {
    let database = Postgres::create();
    database.start();
    let mut server = Tributary::start(
        &config(&database.url(), "{ consecutive = 4 }"),
        &[("s.thrift", IDL)],
    );
    let admin = server.admin();
    let breaker = |event| {
        let labels = [("backend", "people"), ("event", event)];
        scrape(admin).count("tributary_breaker_events_total", &labels)
    };
    let open = || scrape(admin).count("tributary_breakers_open", &[("backend", "people")]);
    patiently(|| codes(&get(&server)) == ["ok", "ok"]);
    assert_eq!((open(), breaker("opened")), (0, 0));

    database.signal("STOP");
    let late = Cell::new(0);
    patiently(|| {
        let codes = codes(&get(&server));
        let more = codes.iter().filter(|code| *code == "lookup.timeout");
        late.set(late.get() + more.count());
        codes == ["lookup.breaker_open", "lookup.breaker_open"]
    });
    assert_eq!(late.get(), 4, "as many as open it");
    assert_eq!((open(), breaker("opened")), (1, 1));
    let mut refused = 0;
    for _ in 0..50 {
        let reply = get(&server);
        assert_eq!(reply["name"], json!("nobody"), "its default");
        assert_eq!(reply["nickname"], json!(null));
        let codes = codes(&reply);
        refused += codes
            .iter()
            .filter(|code| *code == "lookup.breaker_open")
            .count();
    }
    let probes = breaker("probed");
    assert_eq!(refused + probes, 100, "each was refused or was a probe");
    assert!(refused > 50, "{refused}");

    database.signal("CONT");
    patiently(|| codes(&get(&server)) == ["ok", "ok"]);
    assert_eq!((open(), breaker("closed")), (0, 1));
    let (_, log) = server.stop("TERM");
    assert_eq!(log.matches("breaker opens").count(), 1, "{log}");
    assert_eq!(log.matches("breaker closes").count(), 1, "{log}");
}
