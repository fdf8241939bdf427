//! A lookup that does not get its turn ends with a code of its own: within `wait_max`, or at its timeout.

use serde_json::{Value as Json, json};

use crate::admin::{patiently, scrape};
use crate::support::message::with_body;
use crate::support::{Mysql, Postgres, Redis, Tributary, bytes};

const IDL: &str = r#"
include "tributary.thrift"
struct Reply { 1: optional string a, 2: optional string b, 3: optional list<string> c, 4: optional tributary.Report report }
service S { Reply get(1: string id, 2: list<string> ids) }
"#;

/// One lookup at a time; `keys` are those of the backend and of its lookup.
fn config(redis: &Redis, (backend, lookup): (&str, &str)) -> String {
    format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
[backends.main]
kind = "redis"
url = "redis://{}"
{backend}
[lookups.name]
backend = "main"
get = "name:{{id}}"
timeout = "500ms"
{lookup}
[views.get]
deadline = "5s"
report = true
[views.get.lookups]
a = {{ use = "name", with = {{ id = {{ value = "first" }} }} }}
b = {{ use = "name", default = "later" }}
c = {{ use = "name", foreach = "ids", with = {{ id = "item" }} }}
"#,
        redis.addr
    )
}

/// The reports of the lookups `a`, `b` and `c` of a call.
fn lookups(reply: &Json) -> [&Json; 3] {
    let lookups = reply["report"]["lookups"].as_array().expect("a list");
    ["a", "b", "c"].map(|name| {
        let lookup = lookups.iter().find(|lookup| lookup["name"] == name);
        lookup.expect("it was planned")
    })
}

#[track_caller]
fn assert_waits_end(keys: (&str, &str)) {
    let redis = Redis::start();
    redis.run("set name:first Ann");
    redis.run("set name:7 Bea");
    let mut server = Tributary::start(&config(&redis, keys), &[("s.thrift", IDL)]);
    let admin = server.admin();
    let get = || server.call(&["get", "id=7", "ids=[\"7\"]"]);
    patiently(|| {
        let reply = get();
        lookups(&reply)
            .iter()
            .all(|lookup| lookup["fate"] == json!("ok"))
    });
    let count = || {
        let labels = [("code", "lookup.waited")];
        let waited = scrape(admin).samples("tributary_lookup_failures_total", &labels);
        waited.iter().map(|(_, count)| count).sum::<usize>()
    };
    let before = count();
    redis.signal("STOP");
    let reply = get();
    let [first, second, third] = lookups(&reply);
    assert_eq!(first["code"], json!("lookup.timeout"), "{reply}");
    for (waited, fate) in [(second, "default"), (third, "timeout_pool")] {
        assert_eq!(waited["code"], json!("lookup.waited"), "{reply}");
        assert_eq!(waited["fate"], json!(fate), "{reply}");
        let done = |lookup: &Json| lookup["done_us"].as_i64().expect("a time");
        assert!(done(waited) < done(first), "{reply}");
    }
    assert_eq!(reply["b"], json!("later"));
    assert_eq!(count(), before + 2);
    redis.signal("CONT");
    patiently(|| {
        lookups(&get())
            .iter()
            .all(|lookup| lookup["fate"] == json!("ok"))
    });
}

#[test]
fn lookups_that_travel_alone_wait_no_longer_than_their_backend_says() {
    assert_waits_end(("in_flight_max = 1\nbatch_max = 1\nwait_max = \"50ms\"", ""));
}

#[test]
fn lookups_in_batches_wait_no_longer_than_their_backend_says() {
    assert_waits_end(("in_flight_max = 1\nwait_max = \"50ms\"", ""));
}

#[test]
fn a_lookup_with_limits_of_its_own_waits_no_longer_than_it_says() {
    let own = "in_flight_max = 1\nwait_max = \"50ms\"";
    assert_waits_end(("batch_max = 1", own));
    assert_waits_end(("wait_max = \"4s\"", own));
}

const FEW_CONNECTIONS: &str = r#"
admin = { listen = "127.0.0.1:0" }
[server]
idl = "s.thrift"
workers = 1
[backends.main]
kind = "KIND"
url = "URL"
connections = 2
breaker = {}
[lookups.a]
backend = "main"
sql = "SQL"
rows = "value"
timeout = "2s"
[lookups.quick]
backend = "main"
sql = "QUICK"
rows = "value"
[views.get]
deadline = "60s"
[views.get.lookups]
a = "a"
quick = "quick"
"#;

/// Sends more questions than a store with two connections answers in their time: those that were never sent say so, and are not
/// counted against the store, which answers all that it is asked.
#[track_caller]
fn assert_a_busy_store_is_not_blamed(kind: &str, url: &str, [slow, quick]: [&str; 2]) {
    const CALLS: usize = 40;
    let config = FEW_CONNECTIONS
        .replace("KIND", kind)
        .replace("URL", url)
        .replace("SQL", slow)
        .replace("QUICK", quick);
    let idl = "struct Reply { 1: optional string a, 2: optional string quick } service S { Reply get(1: i32 n) }";
    let mut server = Tributary::start(&config, &[("s.thrift", idl)]);
    let admin = server.admin();
    // From now on it is known which one is slow.
    server.call(&["get", "n=-1"]);
    let mut wires: Vec<_> = (0..CALLS).map(|_| server.connect()).collect();
    for (wire, n) in wires.iter_mut().zip(0..) {
        wire.send_frame(&with_number(n));
    }
    for wire in &mut wires {
        assert!(!wire.read_frame().is_empty());
    }
    let ended = |fate| {
        let labels = [("lookup", "a"), ("fate", fate)];
        scrape(admin).count("tributary_lookups_total", &labels)
    };
    // The store was in the middle of two, at most.
    let fates = ["ok", "timeout", "timeout_pool"].map(ended);
    assert!(fates[0] > 1 && fates[1] <= 2, "{fates:?}");
    assert_eq!(fates.iter().sum::<usize>(), CALLS + 1, "{fates:?}");
}

/// A call of `get` with this parameter.
fn with_number(n: i32) -> Vec<u8> {
    let param = [&bytes("08 00 01")[..], &n.to_be_bytes(), &[0]].concat();
    with_body(1, "get", n, &param)
}

#[test]
fn lookups_that_wait_for_a_busy_connection_to_postgresql_are_no_failures_of_it() {
    let server = Postgres::shared();
    let slow = "select cast(:n as text) from pg_sleep(0.2)";
    let quick = "select cast(:n as text)";
    assert_a_busy_store_is_not_blamed("postgres", &server.url(), [slow, quick]);
}

#[test]
fn lookups_that_wait_for_a_busy_connection_to_mariadb_are_no_failures_of_it() {
    let (_server, port) = Mysql::start();
    let url = format!("mysql://root@127.0.0.1:{port}/test");
    let (slow, quick) = ("select concat(sleep(0.2), :n)", "select concat('', :n)");
    assert_a_busy_store_is_not_blamed("mysql", &url, [slow, quick]);
}
