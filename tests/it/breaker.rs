//! A store that hangs costs a few lookups their timeouts, and then no lookup any time; it is used again once it answers, little
//! by little.

use std::cell::Cell;
use std::process::Command;

use serde_json::{Value as Json, json};

use crate::admin::{patiently, scrape};
use crate::support::message::message;
use crate::support::stub::{Answer, Stub, answer};
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
    patiently(|| {
        get(&server);
        open() == 0
    });
    assert_eq!(breaker("closed"), 1);
    for _ in 0..10 {
        assert_eq!(codes(&get(&server)), ["ok", "ok"]);
    }
    let (_, log) = server.stop("TERM");
    assert_eq!(log.matches("breaker opens").count(), 1, "{log}");
    assert_eq!(log.matches("breaker closes").count(), 1, "{log}");
}

const ONCE: &str = r#"
admin = { listen = "127.0.0.1:0" }
[server]
idl = "s.thrift"
workers = 1
[backends.people]
kind = "http"
url = "http://ADDR"
breaker = { consecutive = 1 }
[lookups.name]
backend = "people"
get = "/{id}"
format = "text"
timeout = "10m"
[views.get]
deadline = "10m"
[views.get.lookups]
name = { use = "name", default = "nobody" }
"#;

#[test]
fn a_store_that_works_once_and_then_hangs_gets_few_lookups_after_its_probe() {
    const CALLS: usize = 40;
    let store = Stub::start(|nth| match nth {
        0 => b"no answer at all\r\n\r\n".to_vec(),
        1 => answer("200 OK", "", "Ann"),
        _ => Answer::new(),
    });
    let idl = "struct Reply { 1: optional string name } service S { Reply get(1: string id) }";
    let config = ONCE.replace("ADDR", &store.addr.to_string());
    let mut server = Tributary::start(&config, &[("s.thrift", idl)]);
    let admin = server.admin();
    let events = |event| {
        let labels = [("backend", "people"), ("event", event)];
        scrape(admin).count("tributary_breaker_events_total", &labels)
    };
    let name = || server.call(&["get", "id=7"])["name"].clone();
    assert_eq!(name(), json!("nobody"));
    assert_eq!(events("opened"), 1);
    patiently(|| name() == json!("Ann"));
    let (refused, asked) = (events("refused"), store.rest().len());
    assert_eq!((asked, events("probed")), (2, 1));

    let mut wires: Vec<_> = (0..CALLS).map(|_| server.connect()).collect();
    for (wire, seqid) in wires.iter_mut().zip(0..) {
        wire.send_frame(&message(1, "get", seqid, "7"));
    }
    let ended = || events("refused") - refused;
    // The others hang: one, and one more from time to time.
    patiently(|| ended() >= CALLS - 5);
    patiently(|| ended() + events("probed") - 1 == CALLS);
    assert!(events("probed") > 1, "it is asked again");
    assert_eq!(events("closed"), 0);
}
