//! Caches and shared questions in front of real stores: what the stores are asked, and what the calls get.

use std::process::Command;

use serde_json::{Value as Json, json};

use crate::admin::{ask, patiently, scrape};
use crate::reload::change;
use crate::support::message::message;
use crate::support::{Postgres, Redis, Tributary, Wire};

pub(crate) const IDL: &str = r#"
include "tributary.thrift"
struct Reply { 1: optional i64 visits, 2: optional list<i64> each, 3: optional tributary.Report report }
service S {
  Reply get(1: string id)
  Reply each(1: list<string> ids)
  Reply mine(1: string id, 2: tributary.Context context)
}
"#;

/// A server before a Redis server; `keys` are those of the lookup.
fn config(redis: &Redis, keys: &str) -> String {
    let addr = redis.addr;
    format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
[backends.store]
kind = "redis"
url = "redis://{addr}"
[lookups.visits]
backend = "store"
get = "visits:{{id}}"
format = "i64"
{keys}
[lookups.mine]
backend = "store"
get = "visits:{{user}}:{{id}}"
format = "i64"
{keys}
[views.get]
deadline = "30s"
report = true
[views.get.lookups]
visits = {{ use = "visits", timeout = "20s" }}
[views.each]
report = true
[views.each.lookups]
each = {{ use = "visits", foreach = "ids", with = {{ id = "item" }} }}
[views.mine]
report = true
[views.mine.lookups]
visits = {{ use = "mine", with = {{ user = "context.baggage.user" }} }}
"#
    )
}

pub(crate) fn start(redis: &Redis, keys: &str) -> Tributary {
    Tributary::start(&config(redis, keys), &[("s.thrift", IDL)])
}

pub(crate) fn call(server: &Tributary, words: &[&str]) -> Json {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let addr = server.addr.to_string();
    command.args(["call", "--addr", &addr]).args(words);
    let output = command.output().expect("the program runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
}

/// The value of a reply, and where it came from.
pub(crate) fn answer(reply: &Json) -> (&Json, &str) {
    let lookup = &reply["report"]["lookups"][0];
    let source = lookup["source"].as_str().expect("a source");
    // Only kept answers have an age.
    assert_eq!(
        lookup["age_us"].is_number(),
        ["cache", "stale"].contains(&source),
        "{reply}"
    );
    (&reply["visits"], source)
}

#[track_caller]
pub(crate) fn assert_get(server: &Tributary, value: &Json, source: &str) {
    let reply = call(server, &["get", "id=a"]);
    assert_eq!(answer(&reply), (value, source), "{reply}");
}

/// How many questions of `visits` ended in `outcome`.
fn counted(server: std::net::SocketAddr, outcome: &str) -> usize {
    let labels = [("lookup", "visits"), ("outcome", outcome)];
    scrape(server).count("tributary_cache_lookups_total", &labels)
}

/// Connections with a call `get("a")` on each, of which the store has one question.
fn burst(server: &Tributary, connections: usize, each: usize) -> Vec<Wire> {
    let one = message(1, "get", 1, "a");
    let length = u32::try_from(one.len()).expect("a short message");
    let frame = [&length.to_be_bytes()[..], &one].concat();
    let mut wires = Vec::new();
    for _ in 0..connections {
        let mut wire = server.connect();
        wire.send(&frame.repeat(each));
        wires.push(wire);
    }
    wires
}

/// Ten thousand calls that ask for the same key at a time at which the store does not answer. Returns their server, their
/// replies, and how often the store was asked for them.
fn herd(redis: &Redis, keys: &str, first: &str) -> (std::net::SocketAddr, Tributary, Vec<Vec<u8>>) {
    const CONNECTIONS: usize = 400;
    const EACH: usize = 25;
    // So many calls at once are more than a slow build can do.
    let limits = "workers = 1\noverload = { mode = \"off\" }\nlimits = { calls_max = 20000 }";
    let config = config(redis, keys).replace("workers = 1", limits);
    let config = config.replace("30s", "300s").replace("20s", "200s");
    let mut server = Tributary::start(&config, &[("s.thrift", IDL)]);
    let admin = server.admin();
    // The connection is up, and what was kept for a millisecond has expired.
    call(&server, &[first, "id=a"]);
    call(&server, &["mine", "id=x"]);
    redis.run("set visits:a 8");
    redis.run("config resetstat");
    redis.signal("STOP");
    let before = asked_for(admin);
    let mut wires = burst(&server, CONNECTIONS, EACH);
    patiently(|| asked_for(admin) - before == CONNECTIONS * EACH);
    redis.signal("CONT");
    let replies = (wires.iter_mut())
        .flat_map(|wire| (0..EACH).map(|_| wire.read_frame()).collect::<Vec<_>>())
        .collect();
    (admin, server, replies)
}

/// How many questions of `visits` there were.
fn asked_for(admin: std::net::SocketAddr) -> usize {
    let scrape = scrape(admin);
    let outcomes = ["hit", "stale", "miss", "coalesced"].into_iter();
    let count = |outcome| {
        let labels = [("lookup", "visits"), ("outcome", outcome)];
        scrape.count("tributary_cache_lookups_total", &labels)
    };
    outcomes.map(count).sum()
}

/// How many of the replies have this value, which is their first field.
fn with_value(replies: &[Vec<u8>], value: u8) -> usize {
    let field = [
        &crate::support::bytes("0a 00 01 00 00 00 00 00 00 00")[..],
        &[value],
    ]
    .concat();
    let has = |reply: &&Vec<u8>| reply.windows(field.len()).any(|bytes| bytes == field);
    replies.iter().filter(has).count()
}

#[test]
fn ten_thousand_callers_of_an_expired_or_a_new_key_ask_once() {
    let redis = Redis::start();
    for (keys, first) in [
        ("cache = { ttl = \"1ms\" }", "get"),
        ("cache = { ttl = \"1h\" }", "mine"),
        ("coalesce = true", "mine"),
    ] {
        redis.run("set visits:a 7");
        let (admin, _server, replies) = herd(&redis, keys, first);
        assert_eq!(with_value(&replies, 8), 10_000, "{keys}");
        assert_eq!(redis.asked("get"), 1, "{keys}");
        // The one before the key expired has asked, too.
        let asked = if first == "get" { 2 } else { 1 };
        assert_eq!(
            (counted(admin, "miss"), counted(admin, "coalesced")),
            (asked, 9999)
        );
    }
}

#[test]
fn ten_thousand_callers_of_a_stale_key_get_the_old_answer_and_ask_once() {
    let redis = Redis::start();
    redis.run("set visits:a 7");
    let (admin, server, replies) = herd(&redis, "cache = { ttl = \"1ms\", stale = \"1h\" }", "get");
    assert_eq!((replies.len(), with_value(&replies, 7)), (10_000, 10_000));
    assert_eq!(counted(admin, "stale"), 10_000);
    patiently(|| redis.asked("get") > 0);
    assert_eq!(redis.asked("get"), 1);
    patiently(|| answer(&call(&server, &["get", "id=a"])).0 == &json!(8));
    let skipped = [("lookup", "visits"), ("outcome", "skipped")];
    assert_eq!(
        scrape(admin).count("tributary_cache_refreshes_total", &skipped),
        0
    );
}

#[test]
fn a_question_goes_on_without_the_caller_that_asked_it() {
    let redis = Redis::start();
    redis.run("set visits:a 7");
    let mut server = start(&redis, "coalesce = true");
    let admin = server.admin();
    call(&server, &["mine", "id=x"]);
    redis.run("config resetstat");
    redis.signal("STOP");
    let first = burst(&server, 1, 1);
    patiently(|| counted(admin, "miss") == 1);
    let mut second = burst(&server, 1, 1);
    patiently(|| counted(admin, "coalesced") == 1);
    drop(first);
    let hung_up = [("method", "get"), ("outcome", "hung_up")];
    patiently(|| scrape(admin).count("tributary_calls_total", &hung_up) == 1);
    redis.signal("CONT");
    second[0].read_frame();
    assert_eq!(redis.asked("get"), 1);
    let source = [("backend", "store"), ("source", "coalesced")];
    assert_eq!(
        scrape(admin).count("tributary_lookup_answers_total", &source),
        1
    );
}

#[test]
fn stale_answers_are_served_while_the_store_hangs() {
    let redis = Redis::start();
    redis.run("set visits:a 7");
    let keys = "cache = { ttl = \"50ms\", stale = \"1h\" }";
    let mut server = start(&redis, keys);
    let admin = server.admin();
    assert_get(&server, &json!(7), "backend");
    redis.run("set visits:a 8");
    redis.signal("STOP");
    patiently(|| answer(&call(&server, &["get", "id=a"])).1 == "stale");
    for _ in 0..5 {
        assert_get(&server, &json!(7), "stale");
    }
    redis.signal("CONT");
    patiently(|| answer(&call(&server, &["get", "id=a"])).0 == &json!(8));
    let ok = [("lookup", "visits"), ("outcome", "ok")];
    assert!(scrape(admin).count("tributary_cache_refreshes_total", &ok) >= 1);
}

#[test]
fn an_outage_shows_once_the_old_answers_are_dead() {
    let redis = Redis::start();
    redis.run("set visits:a 7");
    let covered = "cache = { ttl = \"50ms\", stale_if_error = \"1h\" }";
    let mut server = start(&redis, covered);
    let uncovered = start(&redis, "cache = { ttl = \"50ms\" }");
    let admin = server.admin();
    for server in [&server, &uncovered] {
        assert_get(server, &json!(7), "backend");
    }
    drop(redis);
    patiently(|| answer(&call(&server, &["get", "id=a"])).1 == "stale");
    assert_get(&server, &json!(7), "stale");
    let of = [("lookup", "visits")];
    assert!(scrape(admin).count("tributary_cache_stale_if_error_total", &of) >= 2);
    let fate = |server: &Tributary| {
        let reply = call(server, &["get", "id=a"]);
        reply["report"]["lookups"][0]["code"].clone()
    };
    patiently(|| fate(&uncovered) == json!("lookup.unavailable"));
    let (_, log) = server.stop("TERM");
    assert!(log.contains("backend fails"), "{log}");
}

#[test]
fn an_operator_removes_answers() {
    let redis = Redis::start();
    let mut server = start(&redis, "cache = { ttl = \"1h\" }");
    let admin = server.admin();
    let purge = |query: &str| {
        let request = format!(
            "POST /cache/purge{query} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"
        );
        let (head, body) = ask(admin, &request);
        let status = head.split(' ').nth(1).expect("a status").to_owned();
        (status, body)
    };
    let set = |value: i64| {
        for key in ["a", "b", "c"] {
            redis.run(&format!("set visits:{key} {value}"));
        }
    };
    let each = || call(&server, &["each", r#"ids=["a","b","c"]"#])["each"].clone();
    set(1);
    assert_eq!(each(), json!([1, 1, 1]));
    set(2);
    let (status, body) = purge("?lookup=visits&key=%7B%22id%22%3A%22b%22%7D");
    assert_eq!((&*status, &*body), ("200", "removed 1 answer on 1 loop\n"));
    assert_eq!(each(), json!([1, 2, 1]));
    let removed = ("200".to_owned(), "removed 3 answers on 1 loop\n".to_owned());
    assert_eq!(purge("?lookup=visits"), removed);
    assert_eq!(each(), json!([2, 2, 2]));
    set(3);
    assert_eq!(purge(""), removed);
    assert_eq!(each(), json!([3, 3, 3]));
    for (query, status) in [
        ("?lookup=visit", "404"),
        ("?lookup=visits&key=%7B%22name%22%3A1%7D", "400"),
        ("?lookup=visits&key=7", "400"),
        // A string is none of these, so that nothing would ever be removed.
        ("?lookup=visits&key=%7B%22id%22%3A1%7D", "400"),
        ("?lookup=visits&key=%7B%22id%22%3A%5B%22b%22%5D%7D", "400"),
        ("?lookup=visits&key=%7B%22id%22%3Anull%7D", "400"),
    ] {
        assert_eq!(purge(query).0, status, "{query}");
    }
    let (_, why) = purge("?lookup=visits&key=%7B%22id%22%3A1%7D");
    assert!(
        why.starts_with("`id` is string, and an integer is not"),
        "{why}"
    );
    let (_, why) = purge("?lookup=visits&key=%7B%22name%22%3A1%7D");
    assert_eq!(
        why,
        "the lookup `visits` has no parameter `name`; it has `id`\n"
    );
    let (head, _) = ask(
        admin,
        "GET /cache/purge HTTP/1.1\r\nhost: localhost\r\n\r\n",
    );
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
}

#[test]
fn a_reload_keeps_the_answers_of_what_did_not_change() {
    let redis = Redis::start();
    redis.run("set visits:a 1");
    let mut server = start(&redis, "cache = { ttl = \"1h\" }");
    assert_get(&server, &json!(1), "backend");
    redis.run("set visits:a 2");
    change(&server, "deadline = \"30s\"", "deadline = \"25s\"");
    server.reload("serving the reloaded configuration");
    assert_get(&server, &json!(1), "cache");
    change(&server, "ttl = \"1h\"", "ttl = \"2h\"");
    server.reload("serving the reloaded configuration");
    assert_get(&server, &json!(2), "backend");
    redis.run("set visits:a 3");
    change(&server, "workers = 1", "workers = 1 # the same");
    server.reload("serving the reloaded configuration");
    assert_get(&server, &json!(2), "cache");
    let url = format!("redis://{}", redis.addr);
    change(&server, &url, &format!("{url}/0"));
    server.reload("serving the reloaded configuration");
    assert_get(&server, &json!(3), "backend");
}

#[test]
fn a_measured_cache_changes_no_answer() {
    let redis = Redis::start();
    redis.run("config resetstat");
    let mut server = start(&redis, "cache = { ttl = \"1h\", mode = \"measure\" }");
    let admin = server.admin();
    for value in 0..5 {
        redis.run(&format!("set visits:a {value}"));
        assert_get(&server, &json!(value), "backend");
    }
    assert_eq!(redis.asked("get"), 5);
    assert_eq!(
        (counted(admin, "would_miss"), counted(admin, "would_hit")),
        (1, 4)
    );
    assert_eq!((counted(admin, "hit"), counted(admin, "miss")), (0, 0));
    let of = [("lookup", "visits")];
    assert_eq!(scrape(admin).count("tributary_cache_entries", &of), 1);
}

#[test]
fn callers_never_share_what_depends_on_who_asks() {
    let redis = Redis::start();
    redis.run("set visits:ann:a 1");
    redis.run("set visits:bob:a 2");
    let server = start(&redis, "cache = { ttl = \"1h\" }");
    for source in ["backend", "cache"] {
        for (user, value) in [("ann", 1), ("bob", 2)] {
            let context = format!(r#"context={{"baggage":{{"user":"{user}"}}}}"#);
            let reply = call(&server, &["mine", "id=a", &context]);
            assert_eq!(answer(&reply), (&json!(value), source), "{user}");
        }
    }
}

#[test]
fn rows_of_a_database_are_cached_by_all_parameters() {
    let postgres = Postgres::create();
    postgres.start();
    postgres.run(
        "create table visits (id text, n bigint); insert into visits values ('a', 1), ('b', 2)",
    );
    let config = format!(
        r#"
[server]
idl = "s.thrift"
unserved = ["each", "mine"]
[backends.db]
kind = "postgres"
url = "{}"
[lookups.visits]
backend = "db"
sql = "select n from visits where id = :id"
rows = "value"
cache = {{ ttl = "1h", negative_ttl = "1h" }}
[views.get]
deadline = "30s"
report = true
[views.get.lookups]
visits = {{ use = "visits" }}
"#,
        postgres.url()
    );
    let server = Tributary::start(&config, &[("s.thrift", IDL)]);
    let get = |id: &str| call(&server, &["get", &format!("id={id}")]);
    for source in ["backend", "cache"] {
        assert_eq!(answer(&get("a")), (&json!(1), source));
        assert_eq!(answer(&get("b")), (&json!(2), source));
        let reply = get("c");
        assert_eq!(answer(&reply), (&Json::Null, source));
        assert_eq!(reply["report"]["lookups"][0]["fate"], json!("empty"));
        postgres.run("insert into visits values ('c', 3); update visits set n = 7");
    }
}
