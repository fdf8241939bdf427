//! What a slow or silent store, server or statement costs the lookups beside it: nothing.

use std::cell::{Cell, RefCell};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;
use tokio_postgres::{Client, NoTls};
use tributary::{Server, call_json};

use crate::admin::{patiently, scrape};
use crate::support::{Memcached, Postgres, Tributary};

/// A call of `method` by the program itself, still running.
fn start(server: &Tributary, method: &str, words: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let idl = server.folder().join("s.thrift");
    command
        .args(["call", "--timeout", "60s"])
        .args(["--addr", &server.addr.to_string(), "--idl"])
        .arg(idl)
        .arg(method)
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().expect("the program itself")
}

fn reply(call: Child) -> Json {
    let Output { stdout, stderr, .. } = call.wait_with_output().expect("it ends");
    let error = String::from_utf8_lossy(&stderr);
    serde_json::from_slice(&stdout).unwrap_or_else(|_| panic!("{error}"))
}

fn call(server: &Tributary, method: &str, words: &[&str]) -> Json {
    reply(start(server, method, words))
}

const IDL: &str = "
struct Row { 1: required string code, 2: required string note }
struct Page { 1: optional Row quick, 2: optional Row slow }
service S { Page page(1: string code), Page quick(1: string code), Page slow(1: string code) }
";

/// `slow` asks a statement that waits for as long as the lock is held.
fn config(url: &str, slow: &str) -> String {
    format!(
        r#"
[server]
idl = "s.thrift"
workers = 1
[backends.db]
kind = "postgres"
url = "{url}"
connections = 2
statement_timeout = "60s"
[lookups.quick]
backend = "db"
sql = "select code, note from neighbours where code = any(:code)"
rows = "one"
batch = {{ key = "code" }}
[lookups.slow]
backend = "db"
{slow}
rows = "one"
[views.page]
deadline = "60s"
[views.page.lookups]
quick = {{ use = "quick", timeout = "60s" }}
slow = {{ use = "slow", timeout = "300ms" }}
[views.quick]
deadline = "60s"
[views.quick.lookups]
quick = {{ use = "quick", timeout = "60s" }}
[views.slow]
deadline = "60s"
[views.slow.lookups]
slow = {{ use = "slow", timeout = "60s" }}
"#
    )
}

fn about(code: &str) -> Json {
    json!({"code": code, "note": format!("about {code}")})
}

struct Gate {
    store: Arc<Postgres>,
    client: Client,
    number: i64,
}

impl Gate {
    /// The gate with this number. Makes the table if it is missing.
    async fn new(number: i64) -> Self {
        let store = Postgres::shared();
        let (client, connection) = tokio_postgres::connect(&store.url(), NoTls)
            .await
            .expect("it runs");
        drop(tokio::task::spawn_local(connection));
        let table = "create table if not exists neighbours (code text primary key, note text not null);
             insert into neighbours values ('a', 'about a'), ('b', 'about b') on conflict do nothing";
        for sql in [
            "select pg_advisory_lock(70)",
            table,
            "select pg_advisory_unlock(70)",
        ] {
            client.batch_execute(sql).await.expect("it is right");
        }
        Gate {
            store,
            client,
            number,
        }
    }

    /// Waits until as many statements wait for the lock as wanted.
    async fn until(&self, wanted: impl Fn(i64) -> bool) {
        let wait = async {
            while !wanted(self.waiting().await) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
        waited.expect("in time");
    }

    /// How many statements wait for the lock.
    async fn waiting(&self) -> i64 {
        let sql = "select count(*) from pg_locks where locktype = 'advisory' and not granted and objid = $1::int8::oid";
        let row = self.client.query_one(sql, &[&self.number]).await;
        row.expect("it runs").get(0)
    }

    async fn hold(&self) {
        let sql = "select pg_advisory_lock($1)";
        let held = self.client.execute(sql, &[&self.number]).await;
        held.expect("it is free");
    }

    async fn release(&self) {
        let sql = "select pg_advisory_unlock($1)";
        self.client
            .execute(sql, &[&self.number])
            .await
            .expect("it is held");
    }
}

/// Quick statements beside one that hangs, which is called `slow`: in the same call, and in calls of others.
async fn quick_beside(slow: &str, number: i64) {
    let gate = Gate::new(number).await;
    let server = Tributary::start(&config(&gate.store.url(), slow), &[("s.thrift", IDL)]);
    let whole = call(&server, "page", &["code=a"]);
    assert_eq!(whole, json!({"quick": about("a"), "slow": about("a")}));

    gate.hold().await;
    let slow: Vec<Child> = (0..6)
        .map(|_| start(&server, "slow", &["code=b"]))
        .collect();
    gate.until(|waiting| waiting > 0).await;
    for _ in 0..5 {
        let quick = call(&server, "quick", &["code=b"]);
        assert_eq!(quick, json!({"quick": about("b")}));
        let page = call(&server, "page", &["code=a"]);
        assert_eq!(
            page,
            json!({"quick": about("a")}),
            "the slow part is missing"
        );
    }
    assert!(gate.waiting().await > 0, "the slow statement still waits");
    gate.release().await;
    for slow in slow {
        assert_eq!(reply(slow), json!({"slow": about("b")}));
    }
}

#[tokio::test(flavor = "local")]
async fn a_batched_statement_that_hangs_costs_only_its_own_lookups() {
    let slow = "sql = \"select code, note from neighbours, pg_advisory_xact_lock_shared(71) where code = any(:code)\"\nbatch = { key = \"code\" }";
    quick_beside(slow, 71).await;
}

#[tokio::test(flavor = "local")]
async fn a_statement_that_hangs_costs_only_its_own_lookups() {
    let slow = "sql = \"select code, note from neighbours, pg_advisory_xact_lock_shared(72) where code = :code\"";
    quick_beside(slow, 72).await;
}

/// The lookup would get further connections. Its own limit keeps it from that.
#[tokio::test(flavor = "local")]
async fn a_lookup_with_a_limit_of_its_own_waits_for_itself() {
    let table = "code, note from neighbours, pg_advisory_xact_lock_shared(74) where code";
    let alone = format!("sql = \"select {table} = :code\"\nin_flight_max = 1");
    let batch = format!(
        "sql = \"select {table} = any(:code)\"\nbatch = {{ key = \"code\" }}\nin_flight_max = 1"
    );
    let gate = Gate::new(74).await;
    for slow in [alone, batch] {
        let config = config(&gate.store.url(), &slow);
        let config = format!("admin = {{ listen = \"127.0.0.1:0\" }}\n{config}");
        let mut server = Tributary::start(&config, &[("s.thrift", IDL)]);
        let admin = server.admin();
        let load = |what| {
            let name = format!("tributary_backend_{what}_lookups");
            scrape(admin).sum(&name, &[("backend", "db")])
        };
        gate.hold().await;
        let slow = [(); 3].map(|()| start(&server, "slow", &["code=b"]));
        gate.until(|waiting| waiting > 0).await;
        patiently(|| load("waiting") == 2);
        assert_eq!(load("in_flight"), 1);
        let quick = call(&server, "quick", &["code=b"]);
        assert_eq!(quick, json!({"quick": about("b")}));
        gate.release().await;
        for slow in slow {
            assert_eq!(reply(slow), json!({"slow": about("b")}));
        }
    }
}

/// The statement's time is a minute. Its callers hang up earlier.
#[tokio::test(flavor = "local")]
async fn a_statement_whose_callers_have_hung_up_is_stopped() {
    let slow = "sql = \"select code, note from neighbours, pg_advisory_xact_lock_shared(73) where code = any(:code)\"\nbatch = { key = \"code\" }";
    let alone = "sql = \"select code, note from neighbours, pg_advisory_xact_lock_shared(73) where code = :code\"";
    let gate = Gate::new(73).await;
    for slow in [slow, alone] {
        let server = Tributary::start(
            &config(&Postgres::shared().url(), slow),
            &[("s.thrift", IDL)],
        );
        assert_eq!(
            call(&server, "slow", &["code=a"]),
            json!({"slow": about("a")})
        );
        gate.hold().await;
        let mut callers = [(); 2].map(|()| start(&server, "slow", &["code=b"]));
        gate.until(|waiting| waiting > 0).await;
        for caller in &mut callers {
            caller.kill().expect("it runs");
            caller.wait().expect("it was killed");
        }
        gate.until(|waiting| waiting == 0).await;
        gate.release().await;
    }
}

/// The keys of a server that hangs stay under way until their time ends. All others are asked and answered meanwhile, even
/// if one call had taken all of `in_flight_max`.
#[test]
fn a_memcached_server_that_hangs_costs_only_its_keys() {
    let servers = [Memcached::start(), Memcached::start()];
    let keys: Vec<String> = (0..24).map(|n| format!("k{n:02}")).collect();
    for server in &servers {
        server.set(keys.iter().map(|key| (key.as_str(), key.as_str())));
    }
    let of_all = |text: &dyn Fn(&String) -> String| keys.iter().map(text).collect::<String>();
    let fields =
        of_all(&|key| format!("{}: optional string {key},\n", &key[1..]).replace("00:", "24:"));
    let lookups = of_all(&|key| format!("[lookups.{key}]\nbackend = \"cache\"\nget = \"{key}\"\n"));
    let uses = |timeout: &str| {
        of_all(&|key| format!("{key} = {{ use = \"{key}\", timeout = \"{timeout}\" }}\n"))
    };
    // The lookups' time ends much earlier than a server that hangs is given up.
    let config = format!(
        "admin = {{ listen = \"127.0.0.1:0\" }}\n\
         [server]\nidl = \"s.thrift\"\nworkers = 1\n[backends.cache]\nkind = \"memcached\"\n\
         servers = {:?}\nanswer_timeout = \"60s\"\nin_flight_max = {}\n{lookups}\
         [lookups.one]\nbackend = \"cache\"\nget = \"{{key}}\"\ntimeout = \"10s\"\n\
         [views.get]\ndeadline = \"60s\"\n[views.get.lookups]\n{}\
         [views.patient]\ndeadline = \"60s\"\n[views.patient.lookups]\n{}\
         [views.one.lookups]\none = \"one\"\n",
        servers.each_ref().map(|server| server.addr.to_string()),
        keys.len(),
        uses("500ms"),
        uses("60s"),
    );
    let idl = format!(
        "struct Page {{ {fields} }}\nservice S {{ Page get(), Page patient(), string one(1: string key) }}"
    );
    let mut server = Tributary::start(&config, &[("s.thrift", &idl)]);
    let whole = call(&server, "get", &[]);
    assert!(keys.iter().all(|key| whole[key] == **key), "{whole}");
    servers[1].signal("STOP");
    let beside = call(&server, "get", &[]);
    let (lost, has): (Vec<&String>, Vec<&String>) =
        keys.iter().partition(|key| beside[key].is_null());
    assert!(!has.is_empty() && !lost.is_empty(), "{beside}");
    assert!(has.iter().all(|key| beside[key] == ***key), "{beside}");

    let admin = server.admin();
    let under_way = || {
        let labels = [("backend", "cache")];
        scrape(admin).count("tributary_backend_in_flight_lookups", &labels)
    };
    let patient = start(&server, "patient", &[]);
    patiently(|| under_way() == lost.len());
    let one = call(&server, "one", &[&format!("key={}", has[0])]);
    assert_eq!(one, json!(has[0]));
    servers[1].signal("CONT");
    assert_eq!(reply(patient), whole);
}

thread_local! {
    /// How often the loop has polled its sockets, and which of these times each element was asked.
    static POLLS: Cell<usize> = const { Cell::new(0) };
    static ASKED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// To ask a store takes some microseconds each time.
#[test]
fn a_thousand_elements_are_asked_in_parts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let idl = "service S { list<i32> each(1: list<i32> ids) }";
    std::fs::write(at("s.thrift"), idl).expect("the folder is ours");
    let config = r#"
[server]
idl = "s.thrift"
listen = "127.0.0.1:0"
workers = 1
[views.each]
deadline = "60s"
[views.each.lookups]
each = { use = "same", foreach = "ids", with = { id = "item" }, foreach_max = 1000, timeout = "60s" }
"#;
    std::fs::write(at("s.toml"), config).expect("the folder is ours");
    let server = Server::new(at("s.toml"))
        .lookup("same", &["id"], async |input| {
            if ASKED.with_borrow(Vec::is_empty) {
                let count = async {
                    loop {
                        tokio::task::yield_now().await;
                        POLLS.set(POLLS.get() + 1);
                    }
                };
                drop(tokio::task::spawn_local(count));
            }
            ASKED.with_borrow_mut(|asked| asked.push(POLLS.get()));
            let asked = Instant::now();
            while asked.elapsed() < Duration::from_micros(20) {
                std::hint::spin_loop();
            }
            if ASKED.with_borrow(Vec::len) == 1000 {
                let asked = ASKED.take();
                let most = asked.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
                // Between two counts the call has its turn twice at most.
                assert!(most <= Some(128), "{most:?} at once");
            }
            Ok(input.get("id").clone())
        })
        .spawn()
        .expect("it starts");
    let ids: Vec<i64> = (0..1000).collect();
    let params = json!({ "ids": ids }).to_string();
    let reply = call_json(server.addr(), server.program(), "each", &params).expect("a reply");
    assert_eq!(reply, json!(ids).to_string());
    server.stop().expect("it stops");
}
