//! What large answers of stores take is limited: more wait for each other, and small ones pass.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use serde_json::{Value as Json, json};

use crate::admin::{patiently, scrape};
use crate::support::{Mysql, Postgres, Redis, Tributary, free_port};

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

fn start(http: SocketAddr, redis: &Redis) -> Tributary {
    let config = format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
limits = {{ store_bytes_max = "1MiB" }}
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
    Tributary::start(&config, &[("s.thrift", IDL)])
}

fn begin(server: &Tributary, method: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command
        .args(["call", "--timeout", "60s"])
        .args(["--addr", &server.addr.to_string(), method])
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
    let held = || scrape(admin).count("tributary_store_bytes", &[]);
    let refused = || scrape(admin).count("tributary_store_bytes_refused_total", &[]);
    let whole = json!({"answer": 7});

    // Waiting would not help it.
    assert_eq!(reply(begin(&server, "huge")), json!({}));
    assert_eq!(refused(), 1);
    let shed = [("method", "huge"), ("fate", "shed")];
    assert_eq!(scrape(admin).count("tributary_lookups_total", &shed), 1);
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
    let port = free_port();
    let Ok(_mysql) = Mysql::start_on(port, Mysql::data("")) else {
        panic!("another process took port {port}");
    };
    let config = format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
limits = {{ store_bytes_max = "1MiB" }}
[backends.postgres]
kind = "postgres"
url = "{}"
[backends.mysql]
kind = "mysql"
url = "mysql://root@127.0.0.1:{port}/test"
[lookups.postgres]
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
    let mut server = Tributary::start(&config, &[("s.thrift", idl)]);
    let admin = server.admin();
    let rows = |method: &str, count: usize| {
        let reply = server.call(&[method, &format!("count={count}")]);
        reply["rows"].as_array().map(Vec::len)
    };
    for (at, method) in ["postgres", "mysql"].into_iter().enumerate() {
        assert_eq!(rows(method, 500), Some(500), "{method}");
        assert_eq!(rows(method, 3000), None, "{method}");
        assert_eq!(rows(method, 1), Some(1), "{method}");
        let scraped = scrape(admin);
        let shed = [("method", method), ("fate", "shed")];
        assert_eq!(scraped.count("tributary_lookups_total", &shed), 1);
        let refused = scraped.count("tributary_store_bytes_refused_total", &[]);
        assert_eq!(refused, at + 1);
        patiently(|| scrape(admin).count("tributary_store_bytes", &[]) == 0);
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
    let scraped = scrape(admin);
    let shed = [("method", "much"), ("lookup", "blob"), ("fate", "shed")];
    assert_eq!(scraped.count("tributary_lookups_total", &shed), 2);
    assert_eq!(scraped.count("tributary_store_bytes_refused_total", &[]), 2);
    patiently(|| scrape(admin).count("tributary_store_bytes", &[]) == 0);
}
