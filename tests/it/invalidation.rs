//! Cached answers that real stores say are no longer right: the next call sees what somebody else has written.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::{Value as Json, json};

use crate::admin::{patiently, scrape};
use crate::caching::{IDL, answer, assert_get, call, start};
use crate::reload::change;
use crate::support::{PgBouncer, Postgres, Redis, Tributary};

const HEARD: &str = "changes of the store are heard";
const NOT_HEARD: &str = "changes of the store are not heard";

/// How often the store said so.
fn said(admin: SocketAddr, backend: &str, reason: &str) -> usize {
    let labels = [("backend", backend), ("reason", reason)];
    scrape(admin).count("tributary_cache_invalidations_total", &labels)
}

/// Whether changes of a backend are heard now, as the metrics have it.
fn is_heard(admin: SocketAddr, backend: &str) -> bool {
    let of = [("backend", backend)];
    scrape(admin).count("tributary_cache_changes_heard", &of) == 1
}

/// What `check --connect` says of a server's configuration.
fn connected(server: &Tributary) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.args(["check", "--connect", "-c"]);
    let output = command.arg(server.folder().join("tributary.toml")).output();
    let output = output.expect("the program runs");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

const UNHEARD: &str = "changes can't be heard";

const OF_REDIS: &str = "cache = { ttl = \"1h\", negative_ttl = \"1h\", invalidate = true }";

#[test]
fn a_key_that_another_client_writes_is_asked_again() {
    let redis = Redis::start();
    redis.run("set visits:a 1");
    let mut server = start(&redis, OF_REDIS);
    let admin = server.admin();
    server.wait_for_line(HEARD);
    assert_get(&server, &json!(1), "backend");
    for (command, value) in [
        ("set visits:a 2", json!(2)),
        ("incr visits:a", json!(3)),
        ("del visits:a", Json::Null),
        ("set visits:a 4", json!(4)),
        ("flushall", Json::Null),
        ("rename visits:b visits:a", json!(5)),
    ] {
        if command.starts_with("rename") {
            redis.run("set visits:b 5");
        }
        assert_eq!(answer(&call(&server, &["get", "id=a"])).1, "cache");
        let all = || said(admin, "store", "key") + said(admin, "store", "all");
        let before = all();
        redis.run(command);
        patiently(|| all() > before);
        assert_get(&server, &value, "backend");
        assert_get(&server, &value, "cache");
    }
    redis.run("set other 1");
    assert_get(&server, &json!(5), "cache");
    redis.run("psetex visits:a 20 6");
    patiently(|| answer(&call(&server, &["get", "id=a"])).0.is_null());
    assert!(is_heard(admin, "store"));
    let said = connected(&server);
    assert!(!said.contains(UNHEARD), "{said}");
}

#[test]
fn a_broken_connection_drops_what_was_heard_over_it() {
    let redis = Redis::start();
    redis.run("set visits:a 1");
    let mut server = start(&redis, OF_REDIS);
    let admin = server.admin();
    server.wait_for_line(HEARD);
    for lost in 1..4 {
        patiently(|| answer(&call(&server, &["get", "id=a"])).1 == "cache");
        redis.run("client kill type normal");
        patiently(|| said(admin, "store", "lost") == lost);
        let reply = call(&server, &["get", "id=a"]);
        assert_eq!(answer(&reply), (&json!(1), "backend"));
    }
    // One that hangs is as good as broken.
    patiently(|| answer(&call(&server, &["get", "id=a"])).1 == "cache");
    redis.signal("STOP");
    patiently(|| said(admin, "store", "lost") == 4);
    assert!(!is_heard(admin, "store"));
    redis.signal("CONT");
    assert_get(&server, &json!(1), "backend");
}

#[test]
fn without_the_permission_to_hear_nothing_is_kept() {
    let redis = Redis::start();
    redis.run("set visits:a 1");
    redis.run("acl setuser default -client|tracking");
    let mut server = start(&redis, OF_REDIS);
    let admin = server.admin();
    server.wait_for_line(NOT_HEARD);
    for _ in 0..3 {
        assert_get(&server, &json!(1), "backend");
    }
    assert!(!is_heard(admin, "store"));
    let said = connected(&server);
    for wanted in [
        "`lookups.visits.cache.invalidate`: changes can't be heard: Redis: NOPERM",
        "let the user run `hello` and `client|tracking`",
    ] {
        assert!(said.contains(wanted), "{said}");
    }
    redis.run("acl setuser default +client|tracking");
    patiently(|| is_heard(admin, "store"));
    assert!(!connected(&server).contains(UNHEARD));
}

/// A server before a PostgreSQL server, whose table has this name and this key. It listens on a channel of that name.
fn of_postgres(url: &str, (table, key): (&str, &str)) -> Tributary {
    let config = format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
unserved = ["each", "mine"]
[backends.db]
kind = "postgres"
url = "{url}"
[lookups.visits]
backend = "db"
sql = "select n from {table} where {key} = :id"
rows = "value"
cache = {{ ttl = "1h", invalidate = {{ listen = "{table}" }} }}
[views.get]
deadline = "30s"
report = true
[views.get.lookups]
visits = {{ use = "visits" }}
"#
    );
    Tributary::start(&config, &[("s.thrift", IDL)])
}

#[track_caller]
fn assert_visits(server: &Tributary, id: &str, value: i64, source: &str) {
    let reply = call(server, &["get", &format!("id={id}")]);
    assert_eq!(answer(&reply), (&json!(value), source), "{reply}");
}

const VISITS: &str =
    "create table visits (id text, n bigint); insert into visits values ('a', 1), ('b', 2)";

#[test]
fn rows_that_a_writer_names_on_a_channel_are_asked_again() {
    let postgres = Postgres::create();
    postgres.start();
    postgres.run(VISITS);
    let mut server = of_postgres(&postgres.url(), ("visits", "id"));
    let admin = server.admin();
    server.wait_for_line(HEARD);
    for source in ["backend", "cache"] {
        assert_visits(&server, "a", 1, source);
        assert_visits(&server, "b", 2, source);
    }
    postgres.run("begin; update visits set n = 5; notify visits, 'a'; commit");
    patiently(|| said(admin, "db", "key") == 1);
    assert_visits(&server, "a", 5, "backend");
    assert_visits(&server, "a", 5, "cache");
    assert_visits(&server, "b", 2, "cache");
    postgres.run("notify \"Visits\"; begin; notify visits; rollback");
    postgres.run("notify visits");
    patiently(|| said(admin, "db", "all") == 1);
    assert_visits(&server, "b", 5, "backend");
    assert_visits(&server, "b", 5, "cache");
    assert!(is_heard(admin, "db"));
    let checked = connected(&server);
    assert!(!checked.contains(UNHEARD), "{checked}");

    postgres.run("update visits set n = 6");
    let end = "select pg_terminate_backend(pid) from pg_stat_activity \
               where pid <> pg_backend_pid() and backend_type = 'client backend'";
    postgres.run(end);
    patiently(|| said(admin, "db", "lost") == 1);
    assert_visits(&server, "a", 6, "backend");
    patiently(|| answer(&call(&server, &["get", "id=a"])).1 == "cache");
}

#[test]
fn the_trigger_of_the_manual_names_each_plane_that_changes() {
    let page = include_str!("../../src/manual/caching.md");
    let (_, trigger) = page.split_once("```sql\n").expect("there is one");
    let (trigger, _) = trigger.split_once("```").expect("it ends");
    let postgres = Postgres::create();
    postgres.start();
    postgres.run("create table planes (tailnum text, n bigint)");
    postgres.run(trigger);
    postgres.run("insert into planes values ('a', 1), ('b', 2)");
    let mut server = of_postgres(&postgres.url(), ("planes", "tailnum"));
    let admin = server.admin();
    server.wait_for_line(HEARD);
    for source in ["backend", "cache"] {
        assert_visits(&server, "a", 1, source);
        assert_visits(&server, "b", 2, source);
    }
    postgres.run("update planes set n = 3 where tailnum = 'a'");
    // PostgreSQL says the same only once in a transaction.
    patiently(|| said(admin, "db", "key") == 1);
    assert_visits(&server, "a", 3, "backend");
    assert_visits(&server, "b", 2, "cache");
    postgres.run("delete from planes where tailnum = 'b'");
    patiently(|| said(admin, "db", "key") == 2);
    assert!(answer(&call(&server, &["get", "id=b"])).0.is_null());
}

#[test]
fn nothing_is_heard_through_a_pooler() {
    let postgres = Postgres::create();
    postgres.start();
    postgres.run(VISITS);
    let pooler = PgBouncer::start(&postgres, "pool_mode = transaction");
    let mut server = of_postgres(&pooler.url(), ("visits", "id"));
    server.wait_for_line(NOT_HEARD);
    for _ in 0..3 {
        assert_visits(&server, "a", 1, "backend");
    }
    let checked = connected(&server);
    let wanted = "changes can't be heard on the channel `visits`: PostgreSQL is behind a pooler";
    assert!(checked.contains(wanted), "{checked}");
}

#[test]
fn a_reload_keeps_what_is_heard_unless_other_keys_are_to_be_heard_of() {
    let redis = Redis::start();
    redis.run("set visits:a 1");
    let mut server = start(&redis, OF_REDIS);
    let admin = server.admin();
    server.wait_for_line(HEARD);
    assert_get(&server, &json!(1), "backend");
    change(&server, "deadline = \"30s\"", "deadline = \"29s\"");
    server.reload("serving the reloaded configuration");
    assert_get(&server, &json!(1), "cache");
    assert_eq!(said(admin, "store", "lost"), 0);

    change(&server, "visits:{user}:{id}", "of:{user}:{id}");
    server.reload("serving the reloaded configuration");
    // What was heard before the new connection says nothing about it.
    patiently(|| said(admin, "store", "lost") == 1);
    patiently(|| answer(&call(&server, &["get", "id=a"])).1 == "cache");
    let mine = r#"context={"baggage":{"user":"ann"}}"#;
    redis.run("set of:ann:a 2");
    patiently(|| answer(&call(&server, &["mine", "id=a", mine])).1 == "cache");
    let news = said(admin, "store", "key");
    redis.run("mset visits:a 3 of:ann:a 4");
    patiently(|| said(admin, "store", "key") >= news + 2);
    assert_get(&server, &json!(3), "backend");
    let reply = call(&server, &["mine", "id=a", mine]);
    assert_eq!(answer(&reply), (&json!(4), "backend"));
}

#[test]
fn a_reload_of_another_lookup_keeps_the_answers_that_rows_on_a_channel_change() {
    let postgres = Postgres::create();
    postgres.start();
    postgres.run(VISITS);
    let mut server = of_postgres(&postgres.url(), ("visits", "id"));
    let admin = server.admin();
    let other = "[lookups.other]\nbackend = \"db\"\nsql = \"select n from visits where id = :id\"\n\
                 rows = \"value\"\ntimeout = \"1s\"\n[views.get]\n";
    change(&server, "[views.get]\n", other);
    change(
        &server,
        "visits = { use = \"visits\" }",
        "visits = { use = \"visits\" }\nother = { use = \"other\", emit = false }",
    );
    server.reload("serving the reloaded configuration");
    patiently(|| is_heard(admin, "db"));
    patiently(|| answer(&call(&server, &["get", "id=a"])).1 == "cache");
    let lost = said(admin, "db", "lost");
    for (before, after) in [
        ("timeout = \"1s\"", "timeout = \"2s\""),
        (
            "select n from visits where id = :id\"\nrows = \"value\"\ntimeout",
            "select n + 1 from visits where id = :id\"\nrows = \"value\"\ntimeout",
        ),
    ] {
        change(&server, before, after);
        server.reload("serving the reloaded configuration");
        assert_visits(&server, "a", 1, "cache");
    }
    assert!(is_heard(admin, "db"));
    assert_eq!(said(admin, "db", "lost"), lost);
    // What is heard is still heard, and counted once.
    let news = said(admin, "db", "key");
    postgres.run("begin; update visits set n = 5; notify visits, 'a'; commit");
    patiently(|| said(admin, "db", "key") > news);
    assert_eq!(said(admin, "db", "key"), news + 1);
    assert_visits(&server, "a", 5, "backend");
    assert_visits(&server, "a", 5, "cache");
}

#[test]
fn a_reload_of_another_tracked_lookup_keeps_the_answers() {
    let redis = Redis::start();
    redis.run("set visits:a 1");
    let mut server = start(&redis, OF_REDIS);
    let admin = server.admin();
    server.wait_for_line(HEARD);
    assert_get(&server, &json!(1), "backend");
    change(
        &server,
        "get = \"visits:{user}:{id}\"",
        "timeout = \"3s\"\nget = \"visits:{user}:{id}\"",
    );
    server.reload("serving the reloaded configuration");
    assert_get(&server, &json!(1), "cache");
    assert_eq!(said(admin, "store", "lost"), 0);
}

#[test]
fn the_log_says_that_nothing_is_heard_though_no_calls_run() {
    for signal in ["STOP", "KILL"] {
        let redis = Redis::start();
        let mut server = start(&redis, OF_REDIS);
        let admin = server.admin();
        server.wait_for_line(HEARD);
        redis.signal(signal);
        server.wait_for_line(NOT_HEARD);
        patiently(|| !is_heard(admin, "store"));
    }
}
