//! Large answers: decoded, fitted and encoded outside of the loop, with the same result as small ones.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::{sleep, timeout};

use crate::admin::scrape;
use crate::support::{Postgres, Redis, Tributary};

const IDL: &str = r#"
include "tributary.thrift"
struct Item { 1: i64 id, 2: string name }
struct Page {
  1: optional list<Item> items,
  2: optional map<string, i64> hash,
  3: optional i64 last,
  4: optional tributary.Report report,
}
service S {
  list<Item> items(),
  Page page(),
  i64 last(),
  Page bad(),
}
"#;

const ITEMS: usize = 20_000;

fn items() -> Json {
    let item = |id| json!({"id": id, "name": format!("item {id}")});
    (0..ITEMS).map(item).collect()
}

/// Answers `/items` with this text, and `/bad` with one whose items do not fit.
fn serve(items: &Json) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let items = items.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let items = items.clone();
            std::thread::spawn(move || {
                let lines = BufReader::new(stream.try_clone().expect("a descriptor")).lines();
                let mut body = String::new();
                for line in lines.map_while(Result::ok) {
                    if let Some(path) = line.strip_prefix("GET ") {
                        let is_bad = path.starts_with("/bad");
                        body =
                            items.replace(if is_bad { "\"id\":19999" } else { "\0" }, "\"id\":{}");
                    }
                    if line.is_empty() {
                        let head =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                        if stream.write_all((head + &body).as_bytes()).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    addr
}

fn start(http: SocketAddr, redis: &Redis) -> Tributary {
    let config = format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
[backends.web]
kind = "http"
url = "http://{http}"
[backends.redis]
kind = "redis"
url = "redis://{}"
[lookups.items]
backend = "web"
get = "/items"
pointer = "/items"
[lookups.last]
backend = "web"
get = "/items"
pointer = "/last"
[lookups.bad]
backend = "web"
get = "/bad"
pointer = "/items"
[lookups.hash]
backend = "redis"
hgetall = "hash"
format = "i64"
[views.items]
deadline = "60s"
lookups.items = {{ use = "items", timeout = "60s" }}
[views.last]
deadline = "60s"
lookups.last = {{ use = "last", timeout = "60s" }}
[views.page]
deadline = "60s"
report = true
lookups.items = {{ use = "items", timeout = "60s" }}
lookups.hash = {{ use = "hash", timeout = "60s" }}
lookups.last = {{ use = "last", timeout = "60s" }}
[views.bad]
deadline = "60s"
lookups.items = {{ use = "bad", timeout = "60s" }}
lookups.last = {{ use = "last", timeout = "60s" }}
"#,
        redis.addr
    );
    Tributary::start(&config, &[("s.thrift", IDL)])
}

#[test]
fn large_answers_are_worked_on_outside_of_the_loop_and_are_whole() {
    let redis = Redis::start();
    let mut hash = "HSET hash".to_owned();
    for field in 0..3000 {
        write!(hash, " field{field} {field}").expect("a string takes it");
    }
    redis.run(&hash);
    let web = serve(&json!({ "items": items(), "last": ITEMS }));
    let mut server = start(web, &redis);
    let admin = server.admin();
    let offloaded = || scrape(admin).count("tributary_offloaded_total", &[]);

    assert_eq!(server.call(&["items"]), items());
    // Decoded, fitted and encoded.
    assert_eq!(offloaded(), 3);
    assert_eq!(server.call(&["last"]), json!(ITEMS));
    // Decoded; what is left is small.
    assert_eq!(offloaded(), 4);
    let page = server.call(&["page"]);
    assert_eq!(page["items"], items());
    assert_eq!(page["last"], json!(ITEMS));
    let fields = page["hash"].as_object().expect("a map");
    assert_eq!(fields.len(), 3000);
    assert!(
        fields
            .iter()
            .all(|(name, value)| *name == format!("field{value}"))
    );
    assert_eq!(page["report"]["complete"], json!(true));
    // Three are decoded, two of them fitted, and the whole is encoded.
    assert_eq!(offloaded(), 10);
    let bad = server.call(&["bad"]);
    assert_eq!(
        bad,
        json!({"last": ITEMS}),
        "the part that does not fit is missing"
    );
}

#[test]
fn large_parameters_and_results_of_fetch_are_worked_on_outside_of_the_loop() {
    let postgres = Postgres::shared();
    let config = format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
[backends.db]
kind = "postgres"
url = "{}"
[lookups.sum]
backend = "db"
sql = "select sum(id) from unnest(cast(:ids as int4[])) as id"
rows = "value"
[lookups.numbers]
backend = "db"
sql = "select id from generate_series(1, cast(:count as int4)) as id"
rows_max = 100000
[views.sum]
deadline = "60s"
lookups.sum = {{ use = "sum", timeout = "60s" }}
[views.numbers]
deadline = "60s"
lookups.rows = {{ use = "numbers", timeout = "60s" }}
"#,
        postgres.url()
    );
    let idl = "
struct Row { 1: i32 id }
struct Page { 1: optional i64 sum, 2: optional list<Row> rows }
service S { Page sum(1: list<i32> ids), Page numbers(1: i32 count) }";
    let mut server = Tributary::start(&config, &[("s.thrift", idl)]);
    let admin = server.admin();
    let mut before = 0;
    let mut offloaded = || {
        let now = scrape(admin).count("tributary_offloaded_total", &[]);
        now - std::mem::replace(&mut before, now)
    };
    let ids = (1..=10_000).collect::<Json>().to_string();
    let sum = json!({"sum": 50_005_000});
    assert_eq!(server.call(&["sum", "ids=[1,2,3]"]), json!({"sum": 6}));
    assert_eq!(offloaded(), 0);
    // Its parameters are bound.
    assert_eq!(server.call(&["sum", &format!("ids={ids}")]), sum);
    assert_eq!(offloaded(), 1);
    // They are also fitted to the view's types.
    let fetch = ["--service", "Tributary", "fetch"];
    let fetched = server.call(&[&fetch[..], &["view=sum", &format!("params.ids={ids}")]].concat());
    assert_eq!(fetched, sum);
    assert_eq!(offloaded(), 2);
    // Its rows are put together; its result is fitted, and encoded with its types left out.
    let rows: Json = (1..=10_000).map(|id| json!({ "id": id })).collect();
    let fetched = server.call(&[&fetch[..], &["view=numbers", "params.count=10000"]].concat());
    assert_eq!(fetched, json!({ "rows": rows }));
    assert_eq!(offloaded(), 3);
}

/// A status of a process in bytes, such as `VmRSS`.
fn memory(process: u32, status: &str) -> u64 {
    let statuses = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = statuses.lines().find(|line| line.starts_with(status));
    let kib = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    kib.expect("a number").parse::<u64>().expect("a number") * 1024
}

#[tokio::test]
async fn memory_is_given_back_though_the_loops_have_nothing_to_do() {
    const LARGE: usize = 14_000_000;
    let redis = Redis::start();
    let web = serve(&json!({ "items": "x".repeat(LARGE), "last": 1 }));
    let server = start(web, &redis);
    assert_eq!(server.call(&["last"]), json!(1));
    let given_back = || memory(server.id(), "VmHWM") - memory(server.id(), "VmRSS");
    // Nothing is asked meanwhile, so that no other thread frees anything and gives this back as well. After ten seconds,
    // threads that had no more work end, and do so.
    let all = async {
        while given_back() < LARGE as u64 / 2 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        timeout(Duration::from_secs(6), all).await.is_ok(),
        "given back: {} bytes",
        given_back()
    );
}
