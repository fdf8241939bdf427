//! What a reload keeps: the connections to every store whose configuration did not change.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::change;
use crate::admin::patiently;
use crate::support::{Memcached, Mysql, Postgres, Redis, Tributary, Wire, free_port, send_signal};

const IDL: &str = "
struct Page {
  1: optional i64 postgres, 2: optional i64 mysql, 3: optional string redis, 4: optional string memcached,
  5: optional string sqlite, 6: optional string file, 7: optional string code
}
service S { Page page(1: i32 one) }
";

const CONFIG: &str = r#"
[server]
idl = "s.thrift"
workers = 1
[backends.postgres]
kind = "postgres"
url = "POSTGRES"
connections = 1
[backends.mysql]
kind = "mysql"
url = "mysql://root@127.0.0.1:MYSQL/test"
connections = 1
[backends.redis]
kind = "redis"
url = "redis://REDIS"
[backends.memcached]
kind = "memcached"
servers = ["MEMCACHED"]
connections = 1
[backends.sqlite]
kind = "sqlite"
path = "people.db"
[backends.file]
kind = "file"
path = "file.csv"
[lookups.postgres]
backend = "postgres"
sql = "select pg_backend_pid()::int8 where :one = 1"
rows = "value"
[lookups.mysql]
backend = "mysql"
sql = "select cast(connection_id() as signed) from dual where :one = 1"
rows = "value"
[lookups.redis]
backend = "redis"
get = "k"
[lookups.memcached]
backend = "memcached"
get = "k"
[lookups.sqlite]
backend = "sqlite"
sql = "select 'of-sqlite' where :one = 1"
rows = "value"
[lookups.file]
backend = "file"
key = { one = "{one}" }
columns = ["name"]
rows = "value"
[views.page]
deadline = "20s"
[views.page.lookups]
postgres = { use = "postgres", required = true }
mysql = { use = "mysql", required = true }
redis = { use = "redis", required = true }
memcached = { use = "memcached", required = true }
sqlite = { use = "sqlite", required = true }
file = { use = "file", required = true }
"#;

/// The stores of a machine, and a server that asks all of them. The first two answer with the number of the connection.
struct Stores {
    server: Tributary,
    redis: Redis,
    memcached: Memcached,
    _mysql: Mysql,
    _postgres: Arc<Postgres>,
}

impl Stores {
    fn start() -> Stores {
        let postgres = Postgres::shared();
        let (redis, memcached) = (Redis::start(), Memcached::start());
        redis.run("set k of-redis");
        redis.run("set j another");
        memcached.set([("k", "of-memcached")]);
        let port = free_port();
        let Ok(mysql) = Mysql::start_on(port, Mysql::data("")) else {
            panic!("a free port is taken");
        };
        let config = CONFIG
            .replace("POSTGRES", &postgres.url())
            .replace("MYSQL", &port.to_string())
            .replace("REDIS", &redis.addr.to_string())
            .replace("MEMCACHED", &memcached.addr.to_string());
        let files = [
            ("s.thrift", IDL),
            ("file.csv", "one,name\n1,of-file\n"),
            ("people.db", ""),
        ];
        Stores {
            server: Tributary::start(&config, &files),
            redis,
            memcached,
            _mysql: mysql,
            _postgres: postgres,
        }
    }

    fn page(&self) -> Json {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        let idl = self.server.folder().join("s.thrift");
        let addr = self.server.addr.to_string();
        command.args(["call", "--timeout", "20s", "--addr", &addr, "--idl"]);
        let output = command.arg(idl).args(["page", "one=1"]).output();
        let output = output.expect("the program itself");
        let error = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
    }

    /// Calls from several connections that go on until SIGINT.
    fn load(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        let addr = self.server.addr.to_string();
        command.args(["bench", "--addr", &addr, "--warmup", "0s"]);
        command.args(["--connections", "4", "--duration", "1h", "page", "one=1"]);
        let load = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        load.expect("the program itself")
    }

    /// How many connections Redis and memcached have accepted from others than this test.
    fn connections(&self, asked: u64) -> [u64; 2] {
        let mut wire = Wire::connect(self.memcached.addr);
        wire.send(b"stats\r\n");
        let total = loop {
            let line = wire.read_line();
            if let Some(total) = line.strip_prefix("STAT total_connections ") {
                break total.parse::<u64>().expect("a number");
            }
        };
        [self.redis.connections() - asked, total - asked]
    }
}

#[test]
fn reloads_of_an_unchanged_configuration_open_no_connection() {
    let mut stores = Stores::start();
    let before = stores.page();
    let expected = ["redis", "memcached", "sqlite", "file"];
    for of in expected {
        assert_eq!(before[of], json!(format!("of-{of}")), "{before}");
    }
    let connections = stores.connections(1);
    let load = stores.load();
    for _ in 0..20 {
        stores.server.reload("serving the reloaded configuration");
        assert_eq!(stores.page(), before, "on the same connections");
    }
    send_signal(load.id(), "INT");
    let load = load.wait_with_output().expect("it ends");
    let report = String::from_utf8_lossy(&load.stdout);
    assert!(load.status.success(), "every call was answered: {report}");
    assert_eq!(stores.connections(2), connections);
}

/// A change of one store, of a view and of a lookup of another store costs no connection but that of the first.
#[test]
fn a_reload_replaces_only_the_connections_of_what_changed() {
    let mut stores = Stores::start();
    let before = stores.page();
    let connections = stores.connections(1);
    change(
        &stores.server,
        "\nconnections = 1\n[backends.redis]",
        "\nconnections = 1\nconnect_timeout = \"3s\"\n[backends.redis]",
    );
    change(
        &stores.server,
        "redis = { use = \"redis\", required = true }",
        "redis = \"other\"\ncode = \"redis\"",
    );
    change(
        &stores.server,
        "[lookups.redis]",
        "[lookups.other]\nbackend = \"redis\"\nget = \"j\"\n[lookups.redis]",
    );
    stores.server.reload("serving the reloaded configuration");
    let after = stores.page();
    assert_eq!(after["postgres"], before["postgres"]);
    assert_ne!(after["mysql"], before["mysql"]);
    assert_eq!([&after["redis"], &after["code"]], ["another", "of-redis"]);
    assert_eq!(stores.connections(2), connections);
}

/// A password is in a file of its own, so that the configuration's text does not change with it.
#[test]
fn a_secret_that_changes_in_its_file_replaces_the_connections() {
    let redis = Redis::start();
    redis.run("set k text");
    let config = "[server]\nidl = \"s.thrift\"\nworkers = 1\n[backends.redis]\nkind = \"redis\"\nurl = \"file:url\"\n\
         [lookups.get]\nbackend = \"redis\"\nget = \"k\"\n[views.get.lookups]\nget = \"get\"\n";
    let idl = "service S { string get() }";
    let url = format!("redis://{}/0", redis.addr);
    let mut server = Tributary::start(config, &[("s.thrift", idl), ("url", &url)]);
    // Its own connection was made before this test's next one.
    patiently(|| redis.asked("ping") > 0);
    let connections = redis.connections();
    server.reload("serving the reloaded configuration");
    assert_eq!(redis.connections(), connections + 1, "only this test's");
    fs::write(
        server.folder().join("url"),
        format!("redis://{}/1", redis.addr),
    )
    .expect("the folder is ours");
    server.reload("serving the reloaded configuration");
    patiently(|| redis.asked("select") > 0);
}
