//! Statements are prepared on every connection before the first call, and do not run longer than a lookup waits.

use std::process::Command;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use tokio::time::{Instant, sleep};

use crate::support::{Mysql, PATIENCE, Postgres, Tributary, free_port};

const IDL: &str = "struct Reply { 1: optional string limit, 2: optional string broken, 3: optional string slow } \
                   service S { Reply get(1: i64 n) }";
/// The connections per loop, and the number of loops.
const CONNECTIONS: i64 = 3;
const WORKERS: i64 = 2;

fn config(kind: &str, url: &str, limit: &str) -> String {
    format!(
        r#"
[server]
idl = "s.thrift"
workers = {WORKERS}

[backends.db]
kind = "{kind}"
url = "{url}"
connections = {CONNECTIONS}
statement_timeout = "20s"

[lookups.broken]
backend = "db"
sql = "select nothing from nowhere where n = :n"
rows = "value"

[lookups.limit]
backend = "db"
sql = "{limit}"
rows = "value"
timeout = "300ms"

[lookups.unused]
backend = "db"
sql = "select nothing from elsewhere where n = :n"
timeout = "40s"

[views.get]
deadline = "7s"

[views.get.lookups]
broken = "broken"
limit = {{ use = "limit", timeout = "9s" }}
slow = {{ use = "limit", when = "n" }}
"#
    )
}

fn start(kind: &str, url: &str, limit: &str) -> Tributary {
    let mut server = Tributary::start(&config(kind, url, limit), &[("s.thrift", IDL)]);
    server.wait_for_line("can't be prepared");
    server
}

/// The time limit, as the store reports it.
fn limit(server: &Tributary) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(["call", "get", "n=1", "--addr", &server.addr.to_string()])
        .arg("--idl")
        .arg(server.folder().join("s.thrift"))
        .output()
        .expect("the program itself");
    let reply: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    reply["limit"].clone()
}

/// Checks for one warning with the server's message, for all connections of all loops, and none for unused lookups.
fn check_log(server: Tributary, words: &str) {
    let (_, log) = server.stop("TERM");
    let lines = log.lines();
    let said: Vec<&str> = lines
        .filter(|line| line.contains("can't be prepared"))
        .collect();
    assert_eq!(said.len(), 1, "{log}");
    for word in ["broken", "lookup.refused", words] {
        assert!(said[0].contains(word), "{word}: {}", said[0]);
    }
    assert!(!log.contains("elsewhere"), "{log}");
}

/// Asks until the count has this value.
async fn until(wanted: i64, mut count: impl AsyncFnMut() -> i64) {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = count().await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < end, "{found} instead of {wanted}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "local")]
async fn postgres_has_its_statements_before_the_first_call_and_after_a_break() {
    let store = Postgres::create();
    store.start();
    let sql = "select current_setting('statement_timeout') as l";
    let server = start("postgres", &store.url(), sql);
    let (client, connection) = tokio_postgres::connect(&store.url(), tokio_postgres::NoTls)
        .await
        .expect("it runs");
    tokio::task::spawn_local(connection);
    // The last request of a connection was to prepare `limit`, because `broken` came before it.
    let prepared =
        "select count(*) from pg_stat_activity where application_name = 'tributary' and query = $1";
    let count = async || {
        let row = client.query_one(prepared, &[&sql]).await;
        row.expect("a count").get(0)
    };
    until(CONNECTIONS * WORKERS, count).await;
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tributary'";
    client.batch_execute(end).await.expect("it ends them");
    until(CONNECTIONS * WORKERS, count).await;
    assert_eq!(limit(&server), "7s");
    check_log(server, "nowhere");
}

#[tokio::test(flavor = "local")]
async fn mariadb_has_its_statements_before_the_first_call() {
    let port = free_port();
    let Ok(_store) = Mysql::start_on(port, Mysql::data("")) else {
        panic!("the port is still free")
    };
    let url = format!("mysql://root@127.0.0.1:{port}/test");
    let sql = "select cast(@@max_statement_time as char) as l";
    let server = start("mysql", &url, sql);
    let mut client = mysql_async::Conn::new(mysql_async::Opts::from_url(&url).expect("a URL"))
        .await
        .expect("it runs");
    let prepared = "show global status like 'Prepared_stmt_count'";
    until(CONNECTIONS * WORKERS, async || {
        let row: Option<(String, i64)> = client.query_first(prepared).await.expect("a row");
        row.expect("a count").1
    })
    .await;
    client.disconnect().await.expect("disconnects");
    assert_eq!(limit(&server), "7.000000");
    check_log(server, "nowhere");
}
