//! What large answers of stores take is limited: more wait for each other, and small ones pass.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use serde_json::{Value as Json, json};

use crate::admin::{patiently, scrape};
use crate::support::{Memcached, Mysql, Postgres, Redis, Tributary, free_port};

const IDL: &str = "
struct Page { 1: optional i64 answer }
struct Blob { 1: optional binary blob, 2: optional i64 length }
service S { Page large(), Page huge(), Page small(), Blob some(), Blob much() }
";

const MIB: usize = 1024 * 1024;

/// The last bytes of large bodies are sent once this is set.
type Gate = Arc<OnceLock<()>>;

/// Answers `/small`, `/large` with not quite a mebibyte, and `/huge` with more.
fn serve(gate: &Gate) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let gate = Arc::clone(gate);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || answer(stream, &gate));
        }
    });
    addr
}

fn answer(mut stream: TcpStream, gate: &Gate) -> Option<()> {
    let lines = BufReader::new(stream.try_clone().ok()?).lines();
    let mut body = String::new();
    for line in lines.map_while(Result::ok) {
        if let Some(path) = line.strip_prefix("GET ") {
            let filler = match path.split(' ').next() {
                Some("/large") => 1_000_000,
                Some("/huge") => 2_000_000,
                _ => 0,
            };
            body = json!({"filler": "x".repeat(filler), "answer": 7}).to_string();
        }
        if line.is_empty() {
            let (most, rest) = body.split_at(body.len() - 2);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + most).as_bytes()).ok()?;
            if body.len() > 100 {
                gate.wait();
            }
            stream.write_all(rest.as_bytes()).ok()?;
        }
    }
    Some(())
}

/// A server with these stores and views, which keeps a mebibyte of answers. Its IDL is the first of `files`.
fn with_a_mebibyte(config: &str, files: &[(&str, &str)]) -> Tributary {
    let head = format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "{}"
workers = 1
limits = {{ store_bytes_max = "1MiB" }}
"#,
        files[0].0
    );
    Tributary::start(&(head + config), files)
}

/// A server, and its section of a configuration.
fn start_mysql() -> (Mysql, String) {
    let port = free_port();
    let Ok(mysql) = Mysql::start_on(port, Mysql::data("")) else {
        panic!("another process took port {port}");
    };
    let url = format!("mysql://root@127.0.0.1:{port}/test");
    let section = format!("[backends.mysql]\nkind = \"mysql\"\nurl = \"{url}\"\n");
    (mysql, section)
}

/// The bytes of answers that are kept.
fn held(admin: SocketAddr) -> usize {
    scrape(admin).count("tributary_store_bytes", &[])
}

/// So many answers had no room, `of_lookup` of them those of this one, which its calls did without. In the end nothing is kept.
fn assert_shed(admin: SocketAddr, (method, lookup): (&str, &str), of_lookup: usize, all: usize) {
    assert_eq!(fates(admin, (method, lookup), "shed"), of_lookup);
    assert_eq!(refused(admin), all);
    patiently(|| held(admin) == 0);
}

/// How many answers had no room.
fn refused(admin: SocketAddr) -> usize {
    scrape(admin).count("tributary_store_bytes_refused_total", &[])
}

/// How many lookups of a method had this fate.
fn fates(admin: SocketAddr, (method, lookup): (&str, &str), fate: &str) -> usize {
    let of = [("method", method), ("lookup", lookup), ("fate", fate)];
    scrape(admin).count("tributary_lookups_total", &of)
}

fn start(http: SocketAddr, redis: &Redis) -> Tributary {
    let config = format!(
        r#"
[backends.web]
kind = "http"
url = "http://{http}"
[backends.redis]
kind = "redis"
url = "redis://{}"
[lookups]
large = {{ backend = "web", get = "/large", pointer = "/answer" }}
huge = {{ backend = "web", get = "/huge", pointer = "/answer" }}
small = {{ backend = "web", get = "/small", pointer = "/answer" }}
some = {{ backend = "redis", get = "some", format = "bytes" }}
much = {{ backend = "redis", get = "much", format = "bytes" }}
length = {{ backend = "redis", get = "length", format = "i64" }}
[views]
large = {{ deadline = "60s", lookups.answer = {{ use = "large", timeout = "60s" }} }}
huge = {{ deadline = "60s", lookups.answer = {{ use = "huge", timeout = "60s" }} }}
small = {{ deadline = "60s", lookups.answer = {{ use = "small", timeout = "60s" }} }}
some = {{ deadline = "60s", lookups = {{ blob = "some", length = "length" }} }}
much = {{ deadline = "60s", lookups = {{ blob = "much", length = "length" }} }}
"#,
        redis.addr
    );
    with_a_mebibyte(&config, &[("s.thrift", IDL)])
}

/// Starts a call, with its parameters behind the method.
fn begin(server: &Tributary, method: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command
        .args(["call", "--timeout", "60s"])
        .args(["--addr", &server.addr.to_string()])
        .args(method.split(' '))
        .stdout(Stdio::piped());
    command.spawn().expect("the program itself")
}

fn reply(call: Child) -> Json {
    let output = call.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[test]
fn large_answers_wait_for_each_other_and_small_ones_pass() {
    let gate = Gate::default();
    let redis = Redis::start();
    let mut server = start(serve(&gate), &redis);
    let admin = server.admin();
    let held = || held(admin);
    let refused = || refused(admin);
    let whole = json!({"answer": 7});

    // Waiting would not help it.
    assert_eq!(reply(begin(&server, "huge")), json!({}));
    assert_eq!(refused(), 1);
    assert_eq!(fates(admin, ("huge", "answer"), "shed"), 1);
    patiently(|| held() == 0);

    let first = begin(&server, "large");
    patiently(|| held() >= 900 * 1024);
    // One may go beyond the limit.
    let second = begin(&server, "large");
    patiently(|| held() >= 1800 * 1024);
    let waits: Vec<Child> = (0..3).map(|_| begin(&server, "large")).collect();
    assert_eq!(reply(begin(&server, "small")), whole);
    assert!(held() <= 2 * MIB);

    gate.set(()).expect("once");
    for call in [first, second].into_iter().chain(waits) {
        assert_eq!(reply(call), whole);
    }
    patiently(|| held() == 0);
    assert_eq!(refused(), 1);
}

/// Of stores whose connections can't wait until there is room.
#[test]
fn rows_that_are_too_many_are_left_out_and_the_next_ones_are_not() {
    let postgres = Postgres::shared();
    let (_mysql, mysql) = start_mysql();
    let config = format!(
        r#"
[backends.postgres]
kind = "postgres"
url = "{}"
{mysql}[lookups.postgres]
backend = "postgres"
sql = "select repeat('x', 1000) as text from generate_series(1, cast(:count as int4))"
[lookups.mysql]
backend = "mysql"
sql = "select repeat('x', 1000) as text from seq_1_to_10000 where seq <= :count"
[views]
postgres = {{ deadline = "60s", lookups.rows = {{ use = "postgres", timeout = "60s" }} }}
mysql = {{ deadline = "60s", lookups.rows = {{ use = "mysql", timeout = "60s" }} }}
"#,
        postgres.url(),
    );
    let idl = "
struct Row { 1: string text }
struct Page { 1: optional list<Row> rows }
service S { Page postgres(1: i32 count), Page mysql(1: i32 count) }";
    let mut server = with_a_mebibyte(&config, &[("s.thrift", idl)]);
    let admin = server.admin();
    let rows = |method: &str, count: usize| {
        let reply = server.call(&[method, &format!("count={count}")]);
        reply["rows"].as_array().map(Vec::len)
    };
    for (at, method) in ["postgres", "mysql"].into_iter().enumerate() {
        assert_eq!(rows(method, 500), Some(500), "{method}");
        assert_eq!(rows(method, 3000), None, "{method}");
        assert_eq!(rows(method, 1), Some(1), "{method}");
        assert_shed(admin, (method, "rows"), 1, at + 1);
    }
}

/// A connection to MySQL has one question at a time, which waits.
#[test]
fn rows_of_mysql_wait_until_other_answers_are_gone() {
    let gate = Gate::default();
    let http = serve(&gate);
    let (_mysql, mysql) = start_mysql();
    let config = format!(
        r#"
[backends.web]
kind = "http"
url = "http://{http}"
{mysql}[lookups.large]
backend = "web"
get = "/large"
pointer = "/answer"
[lookups.mysql]
backend = "mysql"
sql = "select repeat('x', 1000) as text from seq_1_to_10000 where seq <= :count"
[views]
large = {{ deadline = "60s", lookups.answer = {{ use = "large", timeout = "60s" }} }}
rows = {{ deadline = "60s", lookups.rows = {{ use = "mysql", timeout = "60s" }} }}
hasty = {{ deadline = "60s", lookups.rows = {{ use = "mysql", timeout = "200ms" }} }}
"#
    );
    let idl = "
struct Row { 1: string text }
struct Page { 1: optional list<Row> rows, 2: optional i64 answer }
service S { Page large(), Page rows(1: i32 count), Page hasty(1: i32 count) }";
    let mut server = with_a_mebibyte(&config, &[("s.thrift", idl)]);
    let admin = server.admin();
    let held = || held(admin);
    let refused = || refused(admin);
    let rows = |page: &Json| page["rows"].as_array().map(Vec::len);

    let first = begin(&server, "large");
    patiently(|| held() >= 900 * 1024);
    let second = begin(&server, "large");
    patiently(|| held() >= 1800 * 1024);
    let waits = [(); 2].map(|()| begin(&server, "rows count=500"));
    let of_mysql = [("backend", "mysql")];
    let in_flight = || scrape(admin).count("tributary_backend_in_flight_lookups", &of_mysql);
    patiently(|| in_flight() == 2);
    // Its own time ends its wait, and that is not the fault of the store.
    assert_eq!(rows(&reply(begin(&server, "hasty count=500"))), None);
    patiently(|| refused() == 1);
    let fates = |method, fate| fates(admin, (method, "rows"), fate);
    assert_eq!((fates("hasty", "shed"), fates("hasty", "timeout")), (1, 0));
    // One whose call ends meanwhile waits no longer, and is not refused.
    let mut gone = begin(&server, "rows count=500");
    patiently(|| in_flight() == 3);
    gone.kill().expect("it waits");
    gone.wait().expect("it ends");
    patiently(|| in_flight() == 2);
    assert_eq!(fates("rows", "cancelled"), 1);
    assert_eq!(rows(&reply(begin(&server, "rows count=1"))), Some(1));

    gate.set(()).expect("once");
    for call in [first, second] {
        assert_eq!(reply(call), json!({"answer": 7}));
    }
    for call in waits {
        assert_eq!(rows(&reply(call)), Some(500));
    }
    patiently(|| held() == 0);
    assert_eq!(refused(), 1);
}

/// Replies of other calls follow on the same connection, which ends.
#[test]
fn a_reply_of_a_thrift_service_that_is_too_large_is_left_out_and_others_are_not() {
    let redis = Redis::start();
    redis.run("SETRANGE some 800000 x");
    redis.run("SETRANGE much 3000000 x");
    let back = format!(
        r#"
[server]
idl = "back.thrift"
[backends.redis]
kind = "redis"
url = "redis://{}"
[lookups.blob]
backend = "redis"
get = "{{name}}"
format = "bytes"
[views]
get = {{ deadline = "60s", lookups.blob = "blob" }}
"#,
        redis.addr
    );
    let idl = "
struct Blob { 1: optional binary blob }
service Back { Blob get(1: string name) }";
    let back = Tributary::start(&back, &[("back.thrift", idl)]);
    let front = format!(
        r#"
[backends.back]
kind = "thrift"
url = "thrift://{}"
idl = "back.thrift"
connections = 1
[lookups.get]
backend = "back"
call = "get"
[views.page]
deadline = "60s"
lookups.much = {{ use = "get", with.name = {{ value = "much" }}, timeout = "60s" }}
lookups.none = {{ use = "get", with.name = {{ value = "none" }}, timeout = "60s" }}
[views.some]
deadline = "60s"
lookups.some = {{ use = "get", with.name = {{ value = "some" }}, timeout = "60s" }}
"#,
        back.addr
    );
    let front_idl = "
struct Blob { 1: optional binary blob }
struct Page { 1: optional Blob much, 2: optional Blob none, 3: optional Blob some }
service Front { Page page(), Page some() }";
    let files = [("front.thrift", front_idl), ("back.thrift", idl)];
    let mut server = with_a_mebibyte(&front, &files);
    let admin = server.admin();
    for _ in 0..2 {
        // What was asked behind it is asked again over the next connection.
        assert_eq!(server.call(&["page"]), json!({"none": {}}));
        assert!(!server.call(&["some"])["some"]["blob"].is_null());
    }
    assert_shed(admin, ("page", "much"), 2, 2);
}

/// Those of several lookups come in one answer, which can't wait.
#[test]
fn a_value_of_memcached_without_room_is_left_out_and_those_beside_it_are_not() {
    let memcached = Memcached::start();
    let long = "x".repeat(700_000);
    memcached.set([("some", &*long), ("more", &long), ("length", "7")]);
    let config = format!(
        r#"
[backends.memcached]
kind = "memcached"
servers = ["{}"]
[lookups.of]
backend = "memcached"
get = "{{key}}"
[lookups.length]
backend = "memcached"
get = "{{key}}"
format = "i64"
[views.page]
deadline = "60s"
lookups.some = {{ use = "of", with.key = {{ value = "some" }}, timeout = "60s" }}
lookups.more = {{ use = "of", with.key = {{ value = "more" }}, timeout = "60s" }}
lookups.length = {{ use = "length", with.key = {{ value = "length" }}, timeout = "60s" }}
"#,
        memcached.addr
    );
    let idl = "
struct Page { 1: optional string some, 2: optional string more, 3: optional i64 length }
service S { Page page() }";
    let mut server = with_a_mebibyte(&config, &[("s.thrift", idl)]);
    let admin = server.admin();
    for _ in 0..2 {
        let expected = json!({"some": long, "length": 7});
        assert!(
            server.call(&["page"]) == expected,
            "only `more` is left out"
        );
    }
    assert_shed(admin, ("page", "more"), 2, 2);
}

/// Lookups of one statement share its rows, and each has its own time.
#[test]
fn rows_of_a_batch_without_room_are_left_out_and_the_next_ones_are_not() {
    let postgres = Postgres::shared();
    let (_mysql, mysql) = start_mysql();
    let config = format!(
        r#"
[backends.postgres]
kind = "postgres"
url = "{}"
{mysql}[lookups.postgres]
backend = "postgres"
rows = "one"
sql = "select i as size, repeat('x', i) as text from unnest(cast(:size as int4[])) as i"
batch = {{ key = "size" }}
[lookups.mysql]
backend = "mysql"
rows = "one"
sql = "select seq as size, repeat('x', seq) as text from seq_1_to_2000000 where seq in (:size)"
batch = {{ key = "size" }}
[views]
postgres = {{ deadline = "60s", lookups.row = {{ use = "postgres", timeout = "60s" }} }}
mysql = {{ deadline = "60s", lookups.row = {{ use = "mysql", timeout = "60s" }} }}
"#,
        postgres.url(),
    );
    let idl = "
struct Row { 1: i32 size, 2: string text }
struct Page { 1: optional Row row }
service S { Page postgres(1: i32 size), Page mysql(1: i32 size) }";
    let mut server = with_a_mebibyte(&config, &[("s.thrift", idl)]);
    let admin = server.admin();
    for (at, method) in ["postgres", "mysql"].into_iter().enumerate() {
        for (size, whole) in [(500_000, true), (1_500_000, false), (9, true)] {
            let reply = server.call(&[method, &format!("size={size}")]);
            let expected = json!({"row": {"size": size, "text": "x".repeat(size)}});
            let expected = if whole { expected } else { json!({}) };
            assert!(reply == expected, "{method}: {size}");
        }
        assert_shed(admin, (method, "row"), 1, at + 1);
    }
}

#[test]
fn a_reply_of_redis_that_is_too_large_is_left_out_and_others_are_not() {
    let redis = Redis::start();
    redis.run("SETRANGE some 800000 x");
    redis.run("SETRANGE much 3000000 x");
    redis.run("SET length 7");
    let mut server = start(serve(&Gate::default()), &redis);
    let admin = server.admin();
    for _ in 0..2 {
        assert_eq!(reply(begin(&server, "much")), json!({"length": 7}));
        let some = reply(begin(&server, "some"));
        assert_eq!(some["length"], json!(7));
        assert!(
            some["blob"].is_string() || some["blob"].is_object(),
            "{some}"
        );
    }
    assert_shed(admin, ("much", "blob"), 2, 2);
}
