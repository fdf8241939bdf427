//! A lookup that does not get its turn within `wait_max` ends with a code of its own, long before its timeout.

use serde_json::{Value as Json, json};

use crate::admin::{patiently, scrape};
use crate::support::{Redis, Tributary};

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
