//! A scrape after a scripted load counts exactly the calls that were made, however they ended.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;

use serde_json::Value as Json;

use super::scrape::Scrape;
use super::{CONFIG, IDL, Served, ask, get, patiently};
use crate::manual::rows;
use crate::support::{Redis, Tributary};

#[test]
fn a_scrape_counts_exactly_what_was_called() {
    let served = Served::start();
    for code in ["JFK", "LAX", "XXX"] {
        served
            .call("page", &format!(r#"{{"code":"{code}"}}"#))
            .expect("nothing of it is required");
    }
    served
        .call("box", r#"{"code":"JFK"}"#)
        .expect("it is there");
    served
        .call("box", r#"{"code":"XXX"}"#)
        .expect_err("it is required");

    let scrape = served.scrape();
    let calls = |method: &str, outcome: &str| {
        scrape.count(
            "tributary_calls_total",
            &[("method", method), ("outcome", outcome)],
        )
    };
    assert_eq!((calls("page", "ok"), calls("page", "partial")), (0, 3));
    assert_eq!(calls("box", "ok"), 1);
    assert_eq!(calls("box", "call.required_empty"), 1);
    assert_eq!(calls("_OTHER", "call.unknown_method"), 0);
    let fates = |lookup: &str, fate: &str| {
        let labels = [("method", "page"), ("lookup", lookup), ("fate", fate)];
        scrape.count("tributary_lookups_total", &labels)
    };
    assert_eq!((fates("a", "ok"), fates("a", "empty")), (2, 1));
    assert_eq!((fates("b", "ok"), fates("b", "default")), (2, 1));
    assert_eq!(fates("c", "error"), 3);
    assert_eq!(fates("d", "skipped_dependency"), 3);
    for (method, lookups) in [("page", 12), ("box", 2)] {
        let of = [("method", method)];
        assert_eq!(
            scrape.count("tributary_lookups_planned_total", &of),
            lookups
        );
        assert_eq!(scrape.sum("tributary_lookups_total", &of), lookups);
    }
    assert_eq!(scrape.sum("tributary_lookup_answers_total", &[]), 14);
    let durations = |backend: &str, lookup: &str| {
        let labels = [("backend", backend), ("lookup", lookup)];
        scrape.count("tributary_lookup_duration_seconds_count", &labels)
    };
    assert_eq!(durations("airports", "name"), 8);
    assert_eq!(durations("code", "fails"), 3);
    let of_backend = |backend: &str| {
        let labels = [("backend", backend)];
        scrape.count("tributary_backend_duration_seconds_count", &labels)
    };
    assert_eq!((of_backend("airports"), of_backend("code")), (8, 3));
    let page = [("method", "page")];
    assert_eq!(
        scrape.count("tributary_call_duration_seconds_count", &page),
        3
    );
    assert_eq!(scrape.count("tributary_calls_in_flight", &[]), 0);
    assert_eq!(scrape.count("tributary_connections_accepted_total", &[]), 5);
    assert_eq!(scrape.count("tributary_draining", &[]), 0);
    served.server.stop().expect("it ends well");
}

#[test]
fn fates_add_up_when_a_client_hangs_up() {
    let served = Served::start();
    let mut wire = TcpStream::connect(served.server.addr()).expect("the port is open");
    let message = crate::support::message::message(1, "slow", 1, "JFK");
    let len = u32::try_from(message.len()).expect("a small message");
    wire.write_all(&[&len.to_be_bytes(), &message[..]].concat())
        .expect("it is taken");
    let slow = [("method", "slow")];
    let planned = |scrape: &Scrape| scrape.count("tributary_lookups_planned_total", &slow);
    patiently(|| planned(&served.scrape()) >= 2);
    assert_eq!(served.scrape().count("tributary_calls_in_flight", &[]), 1);
    drop(wire);
    patiently(|| served.scrape().count("tributary_connections_open", &[]) == 0);

    let scrape = served.scrape();
    assert_eq!(scrape.count("tributary_calls_in_flight", &[]), 0);
    let hung_up = [("method", "slow"), ("outcome", "hung_up")];
    assert_eq!(scrape.count("tributary_calls_total", &hung_up), 1);
    let fate = |lookup, fate| {
        let labels = [("method", "slow"), ("lookup", lookup), ("fate", fate)];
        scrape.count("tributary_lookups_total", &labels)
    };
    assert_eq!((fate("a", "ok"), fate("b", "cancelled")), (1, 1));
    assert_eq!(scrape.sum("tributary_lookups_total", &slow), 2);
    let reason = [("reason", "hung_up")];
    assert_eq!(
        scrape.count("tributary_connections_closed_total", &reason),
        1
    );
    served.server.stop().expect("it ends well");
}

#[test]
fn counts_last_across_reloads_of_the_program() {
    let config = CONFIG
        .replace("[admin]\nlisten = \"127.0.0.1:0\"\n", "")
        .replace("c = { use = \"fails\" }", "c = { use = \"name\" }")
        .replace("[views.wait.lookups]\nit = \"blocks\"", "")
        .replace("idl = ", "unserved = [\"wait\"]\nidl = ");
    let config = format!("admin = {{ listen = \"127.0.0.1:0\" }}\n{config}");
    let csv = "code,name\nJFK,Kennedy\n";
    let mut server = Tributary::start(&config, &[("pages.thrift", IDL), ("airports.csv", csv)]);
    let admin = server.admin();
    let mut wire = server.connect();
    let mut call = || {
        wire.send_frame(&crate::support::message::message(1, "box", 1, "JFK"));
        wire.read_frame()
    };
    let before = call();
    server.reload("serving the reloaded");
    assert_eq!(call(), before);
    fs::write(server.folder().join("airports.csv"), "name\nx\n").expect("the folder is ours");
    server.reload("not reloaded");

    let count = |name, labels: &[_]| Scrape::read(&get(admin, "/metrics").1).count(name, labels);
    let reloads = |outcome| count("tributary_config_reloads_total", &[("outcome", outcome)]);
    // The log line and the last bytes on the wire may come a moment before they are counted.
    patiently(|| reloads("refused") == 1);
    assert_eq!(reloads("ok"), 1);
    let ok = [("method", "box"), ("outcome", "ok")];
    assert_eq!(count("tributary_calls_total", &ok), 2);
    assert_eq!(count("tributary_connections_open", &[]), 1);
    // Including the lengths of the frames.
    let sent = 2 * (before.len() + 4);
    patiently(|| count("tributary_sent_bytes_total", &[]) == sent);
}

#[test]
fn invalid_bytes_are_counted_by_code() {
    let served = Served::start();
    let (answer, _) = ask(served.server.addr(), "GET / HTTP/1.1\r\n\r\n");
    assert_eq!(answer, "", "this port speaks no HTTP");
    patiently(|| served.scrape().count("tributary_connections_open", &[]) == 0);
    let scrape = served.scrape();
    let code = [("code", "wire.unrecognized")];
    assert_eq!(scrape.count("tributary_wire_errors_total", &code), 1);
    let reason = [("reason", "bad_bytes")];
    assert_eq!(
        scrape.count("tributary_connections_closed_total", &reason),
        1
    );
    served.server.stop().expect("it ends well");
}

#[test]
fn the_manual_lists_the_metrics_of_a_scrape() {
    let traces = format!(
        "{CONFIG}\n[traces]\nendpoint = \"http://127.0.0.1:1\"\n[log]\naccess = \"calls.log\"\n"
    );
    let served = Served::start_with(&traces);
    let mut shown = served.scrape().names();
    served.server.stop().expect("it ends well");
    let table = rows("metrics", "| metric |");
    let names = table.iter().map(|row| row[0].trim_matches('`').to_owned());
    let mut documented: Vec<String> = names.collect();
    // Those of the log belong to the program: a server within another one has no log.
    documented.retain(|name| !name.starts_with("tributary_log_"));
    shown.sort();
    documented.sort();
    assert_eq!(documented, shown);
}

#[test]
fn lookups_that_travel_together_are_one_batch() {
    let mates = [Some(2); 3];
    assert_eq!(batches(""), ([0, 1, 1], 3, mates.into()));
}

#[test]
fn a_batch_is_no_longer_than_its_limit() {
    let mates = [Some(1), Some(1), None];
    assert_eq!(batches("batch_max = 2"), ([2, 2, 2], 2, mates.into()));
}

/// The batches of a call with three lookups to a Redis with this key: those of at most two lookups, of at most four, and
/// all; the number of lookups that shared a batch; and with how many others each travelled.
fn batches(key: &str) -> ([usize; 3], usize, Vec<Option<u64>>) {
    let redis = Redis::start();
    redis.run("mset a:JFK 1 b:JFK 2 c:JFK 3");
    let lookup =
        |name: &str| format!("[lookups.{name}]\nbackend = \"cache\"\nget = \"{name}:{{code}}\"\n");
    let config = format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "pages.thrift"
unserved = ["box", "slow", "wait"]
[backends.cache]
kind = "redis"
url = "redis://{}"
{key}
{}
[views.page.lookups]
a = {{}}
b = {{}}
c = {{}}
"#,
        redis.addr,
        ["a", "b", "c"].map(lookup).concat()
    );
    let mut server = Tributary::start(&config, &[("pages.thrift", IDL)]);
    let admin = server.admin();
    let mut wire = server.connect();
    wire.send_frame(&crate::support::message::message(1, "page", 1, "JFK"));
    wire.read_frame();

    let scrape = Scrape::read(&get(admin, "/metrics").1);
    let cache = ("backend", "cache");
    let batches = |at_most| {
        let labels = [cache, ("le", at_most)];
        scrape.count("tributary_batch_lookups_bucket", &labels)
    };
    let batched = [cache, ("source", "batched")];
    let batched = scrape.count("tributary_lookup_answers_total", &batched);
    assert_eq!(
        scrape.count("tributary_backend_in_flight_lookups", &[cache]),
        0
    );
    assert_eq!(
        scrape.count("tributary_backend_waiting_lookups", &[cache]),
        0
    );
    let calls: Json = serde_json::from_str(&get(admin, "/calls").1).expect("JSON");
    let lookups = calls["calls"][0]["lookups"].as_array().expect("a call");
    let mates = lookups.iter().map(|lookup| lookup["mates"].as_u64());
    let mates = mates.collect();
    (["2.0", "4.0", "+Inf"].map(batches), batched, mates)
}
