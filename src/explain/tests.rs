//! Explanations of views.

use super::Explanation;
use crate::cli::testing::program;
use crate::plan::Plan;
use crate::program::Program;

fn explain(program: &Program, plan: &Plan) -> String {
    Explanation::of(program, plan).to_string()
}

const IDL: &str = r#"
include "tributary.thrift"

struct Flight { 1: string tailnum, 2: string dest, 3: list<string> stops }
struct Airport { 1: string code, 2: string name }
struct Departure {
  1: Flight flight
  2: Airport origin
  3: string model
  4: list<Airport> stops
  5: optional string note
  6: optional string remark
}

service Flights {
  Departure getDeparture(1: string carrier, 2: string origin, 3: bool details, 4: tributary.Context context)
  list<Airport> getAirports(1: list<string> codes)
  oneway void forget(1: string carrier)
}
"#;

const TOML: &str = r#"
[server]
idl = "test.thrift"

[backends.ops]
kind = "sqlite"
path = "ops.sqlite"
in_flight_max = 8
waiting_max = 16

[lookups.flight]
backend = "ops"
sql = "select * from flights where carrier = :carrier"
rows = "one"
timeout = "200ms"

[lookups.airport]
backend = "ops"
sql = "select * from airports where code = :code"
rows = "one"
timeout = "100ms"
inject = { delay = "60ms", error_rate = 0.5 }

[lookups.plane]
backend = "ops"
sql = "select model from planes where tailnum = :tailnum limit :most"
rows = "value"

[lookups.notes]
backend = "ops"
sql = "select note, remark from notes where id = :id"
rows = "one"
timeout = "50ms"

[lookups.forget]
backend = "ops"
sql = "select 1 where :carrier = ''"
rows = "value"
timeout = "2s"

[views.getDeparture]
deadline = "800ms"

[views.getDeparture.lookups]
flight = { use = "flight", required = true }
origin = { use = "airport", with = { code = "origin" } }
model = { use = "plane", with = { tailnum = "flight.tailnum", most = { value = 1 } }, when = "details" }
stops = { use = "airport", foreach = "flight.stops", with = { code = "item" }, default = [] }
notes = { use = "notes", with = { id = "context.request_id" }, into = "." }
spare = { use = "airport", with = { code = "flight.dest" }, emit = false }

[views.getAirports]
deadline = "500ms"

[views.getAirports.lookups]
airports = { use = "airport", foreach = "codes", foreach_max = 20, with = { code = "item" } }

[views.forget.lookups]
forget = "forget"
"#;

fn explained(method: &str) -> String {
    let program = program(IDL, TOML);
    explain(&program, program.plan(method).expect("a view"))
}

#[test]
fn stages_references_and_targets_are_shown_by_name() {
    insta::assert_snapshot!(explained("getDeparture"), @r#"
    getDeparture(carrier, origin, details, context) returns test.Departure
    6 lookups in 2 stages, deadline 800ms

    stage 1: when the call arrives
      flight: asks ops (sqlite)
        required, timeout 200ms
        carrier <- carrier
        -> flight
      origin: asks ops (sqlite) for airport
        timeout 100ms, injected delay 60ms, injected error rate 0.5
        code <- origin
        -> origin
      notes: asks ops (sqlite)
        timeout 50ms
        id <- context.request_id
        -> the reply's own fields, where it has them: note, remark

    stage 2: each as soon as its inputs are there
      model: asks ops (sqlite) for plane, after flight
        when details
        tailnum <- flight.tailnum
        most    <- 1
        -> model
      stops: asks ops (sqlite) for airport, after flight
        for each of flight.stops, at most 100, default [], timeout 100ms, injected delay 60ms, injected error rate 0.5
        not batched: each element is a separate question
        code <- item
        -> stops
      spare: asks ops (sqlite) for airport, after flight
        timeout 100ms, injected delay 60ms, injected error rate 0.5
        code <- flight.dest
        -> not in the reply

    longest chain: flight -> model
    worst case: 800ms, the deadline: model has no timeout and can take what is left of it
    warning: one call may ask `ops` 100 times for stops (`foreach_max`); the others wait (`in_flight_max` is 8)
    warning: spare feeds nothing: it is not in the reply, and no lookup refers to it
    "#);
}

#[test]
fn a_wide_foreach_is_warned_of() {
    insta::assert_snapshot!(explained("getAirports"), @r#"
    getAirports(codes) returns list<test.Airport>
    1 lookup in 1 stage, deadline 500ms

    stage 1: when the call arrives
      airports: asks ops (sqlite) for airport
        for each of codes, at most 20, required, timeout 100ms, injected delay 60ms, injected error rate 0.5
        not batched: each element is a separate question
        code <- item
        -> the whole reply

    longest chain: airports
    worst case: 100ms of the deadline's 500ms: airports 100ms
    warning: one call may ask `ops` 20 times for airports (`foreach_max`); the others wait (`in_flight_max` is 8)
    "#);
}

#[test]
fn a_timeout_beyond_the_deadline_is_warned_of() {
    insta::assert_snapshot!(explained("forget"), @r#"
    forget(carrier) is oneway
    1 lookup in 1 stage, deadline 1s

    stage 1: when the call arrives
      forget: asks ops (sqlite)
        timeout 2s
        carrier <- carrier
        -> not in the reply

    longest chain: forget
    worst case: 1s, the deadline; forget 2s would take longer
    warning: the timeout of forget, 2s, may never be reached: the deadline of 1s comes first
    "#);
}

const BATCHED: &str = r#"
[server]
idl = "test.thrift"
unserved = ["getDeparture", "forget"]

[backends.ops]
kind = "KIND"
URL

[lookups.airport]
backend = "ops"
LOOKUP

[views.getAirports.lookups]
one = { use = "airport", with = { code = { value = "JFK" } }, emit = false }
airports = { use = "airport", foreach = "codes", with = { code = "item" } }
"#;

/// The lines on batching of a single lookup and of a `foreach`.
fn batching(kind: &str, url: &str, lookup: &str) -> String {
    let toml = BATCHED.replace("KIND", kind);
    let toml = toml.replace("URL", url).replace("LOOKUP", lookup);
    let program = program(IDL, &toml);
    let text = explain(&program, program.plan("getAirports").expect("a view"));
    let lines = text.lines().filter(|line| line.contains("batched"));
    lines.map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn batching_is_described() {
    let batch = "rows = 'one'\nbatch = { key = 'code', max = 64 }";
    let postgres = "url = 'postgresql://h/d'";
    let sql = format!("sql = 'select * from airports where code = any(:code)'\n{batch}");
    insta::assert_snapshot!(batching("postgres", postgres, &sql), @r"
    batched: one question per iteration of the event loop, at most 64 values, answers matched by column `code`
    batched, all elements together: one question per iteration of the event loop, at most 64 values, answers matched by column `code`
    ");
    let sql = format!("sql = 'select * from airports where code in (:code)'\n{batch}");
    insta::assert_snapshot!(batching("mysql", "url = 'mysql://h/d'", &sql), @r"
    batched: one question per iteration of the event loop, at most 64 values, answers matched by column `code`
    batched, all elements together: one question per iteration of the event loop, at most 64 values, answers matched by column `code`
    ");
    let sql = "sql = 'select * from airports where code = :code'\nrows = 'one'";
    insta::assert_snapshot!(batching("postgres", postgres, sql), @"not batched: each element is a separate question");
    let get = "get = 'airport:{code}'\nformat = 'json'";
    insta::assert_snapshot!(batching("redis", "url = 'redis://h'", get), @r"
    batched: one pipeline per iteration of the event loop, equal commands once
    batched, all elements together: one pipeline per iteration of the event loop, equal commands once
    ");
    insta::assert_snapshot!(batching("memcached", "servers = ['h:1']", get), @r"
    batched: one multi-get per server and iteration of the event loop, equal keys once
    batched, all elements together: one multi-get per server and iteration of the event loop, equal keys once
    ");
}

#[test]
fn a_required_field_that_may_have_no_value_is_warned_of() {
    const NEEDED: &str = "service S { R get(1: string code) }
        struct R { 1: required string name, 2: required string city = \"\", 3: optional string note }";
    let warnings = |options: &str| {
        let toml = format!(
            "[server]\nidl = 'test.thrift'\n[backends.ops]\nkind = 'sqlite'\npath = 'ops.sqlite'\n\
             [lookups.get]\nbackend = 'ops'\nsql = 'select name from a where code = :code'\nrows = 'one'\n\
             [views.get.lookups]\nname = {{ use = 'get'{options} }}\n"
        );
        let program = program(NEEDED, &toml);
        Explanation::of(&program, program.plan("get").expect("a view"))
            .warnings
            .join("\n")
    };
    insta::assert_snapshot!(warnings(""), @"required field `name` of the reply has no value whenever name has none, and the call fails: mark name `required`, give it a `default`, or make the field optional");
    insta::assert_snapshot!(warnings(", required = true, when = 'code'"), @"required field `name` of the reply has no value whenever name has none, and the call fails: drop the `when` of name and mark it `required`, or make the field optional");
    insta::assert_snapshot!(warnings(", default = 'x', default_on = 'empty'"), @"required field `name` of the reply has no value whenever name has none, and the call fails: mark name `required`, or make the field optional");
    insta::assert_snapshot!(warnings(", into = '.'"), @"required field `name` of the reply has no value whenever name has none, and the call fails: mark name `required`, give it a `default`, or make the field optional");
    assert_eq!(warnings(", required = true"), "");
    assert_eq!(warnings(", default = 'x'"), "");
    assert_eq!(warnings(", required = true, into = '.'"), "");
}

#[test]
fn second_endpoints_and_the_news_of_a_store_are_shown() {
    let toml = r#"
[server]
idl = "test.thrift"
unserved = ["getDeparture", "forget"]
[backends.http]
kind = "http"
url = "http://a.internal"
endpoints = ["10.0.0.1:1", "10.0.0.2:1"]
[backends.redis]
kind = "redis"
url = "redis://127.0.0.1:1"
[lookups.airport]
backend = "http"
get = "/airports/{code}"
hedge = { after = "20ms" }
[lookups.name]
backend = "redis"
hgetall = "airport:{code}"
cache = { ttl = "1h", invalidate = true }
[views.getAirports.lookups]
airports = { use = "airport", foreach = "codes", with = { code = "item" }, emit = true }
names = { use = "name", foreach = "codes", with = { code = "item" }, emit = false }
"#;
    let program = program(IDL, toml);
    let said = explain(&program, program.plan("getAirports").expect("a view"));
    for wanted in [
        "asked of a second endpoint after 20ms for up to 5 % of the questions and 1 a second",
        "cached for 1h, until its key changes",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
}
