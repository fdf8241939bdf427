//! Behind a real pgbouncer that gives every transaction another session. `POOLED_CALLS` sets the number of calls.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use futures_util::future::join_all;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tributary::error::Code;
use tributary::value::Value;

use super::{Store, json, run};
use crate::support::{PgBouncer, Postgres, Tributary, Wire};

/// How many clients call at the same time, half of them each service.
const CALLERS: u32 = 4;
/// How many calls are on their way at the same time.
const PIPELINED: u32 = 50;

fn config(url: &str, letter: &str) -> String {
    format!(
        r#"
[server]
idl = "s.thrift"
workers = 2
[backends.db]
kind = "postgres"
url = "{url}"
connections = 4
connect_timeout = "20s"
[lookups.word]
backend = "db"
sql = "select '{letter}' || :n::int8"
rows = "value"
[lookups.unused]
backend = "db"
sql = "select :{letter}::text as {letter}"
[views.get]
deadline = "20s"
[views.get.lookups]
word = "word"
"#
    )
}

const IDL: &str = "service S { string get(1: i64 n) }";

/// How many calls each client makes.
fn calls_of_each() -> u32 {
    let all = std::env::var("POOLED_CALLS");
    let all = all.map_or(16_000, |all| all.parse().expect("a number"));
    (all / CALLERS).next_multiple_of(PIPELINED)
}

/// Every reply is the letter of the service and the number of the call.
fn call_all(addr: SocketAddr, letter: &str) {
    let mut wire = Wire::connect(addr);
    for first in (0..calls_of_each()).step_by(PIPELINED as usize) {
        let numbers = first..first + PIPELINED;
        for number in numbers.clone() {
            let head = [&[0x80, 1, 0, 1, 0, 0, 0, 3][..], b"get"].concat();
            let param = [&[10, 0, 1][..], &i64::from(number).to_be_bytes(), &[0]].concat();
            wire.send_frame(&[&head[..], &number.to_be_bytes(), &param].concat());
        }
        for _ in numbers {
            let reply = wire.read_frame();
            let (head, rest) = reply.split_at(11);
            assert_eq!(head, b"\x80\x01\x00\x02\x00\x00\x00\x03get");
            let (number, rest) = rest.split_at(4);
            let number = u32::from_be_bytes(number.try_into().expect("four bytes"));
            let word = rest.get(7..rest.len() - 1).unwrap_or_default();
            let word = String::from_utf8_lossy(word);
            assert_eq!(word, format!("{letter}{number}"), "{rest:02x?}");
        }
    }
}

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("it runs");
    tokio::task::spawn_local(connection);
    client
}

async fn first(client: &Client, sql: &str) -> String {
    let rows = client.simple_query(sql).await.expect("good SQL");
    let row = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.unwrap_or_default().to_owned()
}

/// What our connections would leave behind. Several clients at the same time see all sessions of the pool.
async fn check_nothing_is_left(url: &str) {
    let clients = join_all((0..3).map(|_| client(url))).await;
    for client in &clients {
        client.simple_query("begin").await.expect("a session");
    }
    for client in &clients {
        for setting in ["default_transaction_read_only", "transaction_read_only"] {
            assert_eq!(first(client, &format!("show {setting}")).await, "off");
        }
        assert_eq!(first(client, "show statement_timeout").await, "0");
        assert_eq!(
            first(client, "select count(*) from pg_prepared_statements").await,
            "0"
        );
    }
    for client in &clients {
        client.simple_query("rollback").await.expect("a session");
    }
}

/// Calls two services that have other statements under the same numbers, while a third program writes.
async fn two_services_and_a_writer(name: &str, settings: &str) {
    let server = Postgres::create();
    server.start();
    let pgbouncer = PgBouncer::start(&server, settings);
    let url = pgbouncer.url();
    let services = ["a", "b"].map(|letter| {
        let files = [("s.thrift", IDL)];
        (letter, Tributary::start(&config(&url, letter), &files))
    });
    let writer = client(&url).await;
    writer
        .batch_execute(&format!("create table {name} (n int8)"))
        .await
        .expect("a table");
    let addrs = services
        .each_ref()
        .map(|(letter, service)| (*letter, service.addr));
    let calling = addrs
        .iter()
        .cycle()
        .take(CALLERS as usize)
        .map(|(letter, addr)| {
            let (letter, addr) = (*letter, *addr);
            thread::spawn(move || call_all(addr, letter))
        });
    let calling: Vec<_> = calling.collect();
    let mut written = 0;
    while calling.iter().any(|calls| !calls.is_finished()) {
        let sql = format!("insert into {name} values ({written})");
        writer.simple_query(&sql).await.expect("it is written");
        written += 1;
    }
    for calls in calling {
        calls.join().expect("no wrong row and no error");
    }
    assert_eq!(
        first(&writer, &format!("select count(*) from {name}")).await,
        written.to_string()
    );
    check_nothing_is_left(&url).await;
    for (_, service) in services {
        let config = service.folder().join("tributary.toml");
        let checked = Command::new(env!("CARGO_BIN_EXE_tributary"))
            .args(["check", "--connect", "-c"])
            .arg(config)
            .output()
            .expect("the program itself");
        let told = String::from_utf8_lossy(&checked.stdout);
        assert!(
            told.contains("db: connected through a pooler, 2 statements prepared"),
            "{told}"
        );
    }
    check_nothing_is_left(&url).await;
}

#[tokio::test(flavor = "local")]
async fn two_services_and_a_writer_do_not_see_each_other() {
    two_services_and_a_writer("refusing", "").await;
}

/// Here the pooler accepts the option by which it would be found out, and does not pass it on.
#[tokio::test(flavor = "local")]
async fn a_pooler_that_ignores_options_is_found_out() {
    two_services_and_a_writer("ignoring", "ignore_startup_parameters = options").await;
}

/// Errors and limits have the same codes on every connection.
async fn check_errors(store: &Store, url: &str) {
    let wrong = [
        (
            "select mood from moods where mood = :m",
            Code::LookupBadParam,
        ),
        ("select 1 / length(:m) as n", Code::LookupRefused),
        ("select :m::text as m from nowhere", Code::LookupRefused),
        (
            "select setval('numbers', length(:m)) as n",
            Code::LookupRefused,
        ),
        ("select pg_sleep(20)::text || :m as m", Code::LookupTimeout),
    ];
    for (sql, code) in wrong {
        let param = if code == Code::LookupBadParam {
            "angry"
        } else {
            ""
        };
        let lookup = store.lookup(sql, "rows = \"one\"");
        assert_eq!(
            store.code(&lookup, &[param.into()]).await,
            code,
            "{url}: {sql}"
        );
    }
}

/// Over TCP and over a Unix socket, found out and told.
#[tokio::test(flavor = "local")]
async fn types_batches_errors_and_limits_are_as_on_a_direct_connection() {
    let server = Postgres::create();
    server.start();
    let pgbouncer = PgBouncer::start(&server, "");
    let socket = pgbouncer.socket_folder().display().to_string();
    let socket = format!(
        "postgresql://postgres@{}:{}/postgres",
        socket.replace('/', "%2F"),
        pgbouncer.port
    );
    run(
        &server.url(),
        "create type mood as enum ('sad', 'glad'); create domain grade as int4; \
         create table moods (id int4, mood mood, grade grade, \"when\" timestamptz); \
         create sequence numbers; \
         insert into moods values (1, 'sad', 5, '2013-01-01T00:00:00Z'), (2, 'glad', 6, null)",
    )
    .await;
    let urls = [
        (pgbouncer.url(), ""),
        (pgbouncer.url(), "pooler = \"transaction\""),
        (socket, "pooler = \"transaction\""),
        (server.url(), "pooler = \"transaction\""),
        (server.url(), "pooler = \"none\""),
    ];
    for (url, pooler) in urls {
        let keys = format!("connections = 2\nstatement_timeout = \"200ms\"\n{pooler}");
        let store = Store::new(&url, &keys).await;
        let one = store.lookup(
            "select mood, grade, \"when\" from moods where mood = :mood",
            "rows = \"one\"",
        );
        let batch = store.lookup(
            "select id, mood from moods where id = any(:ids)",
            "rows = \"one\"\nbatch = { key = \"id\" }",
        );
        for _ in 0..5 {
            let row = store.ask(&one, &["sad".into()]).await.expect("a row");
            let expected = serde_json::json!(
                { "mood": "sad", "grade": 5, "when": "2013-01-01T00:00:00Z" }
            );
            assert_eq!(json(&row), expected, "{url}");
            let ids = [2, 1, 3].map(Value::I64);
            let rows = store.ask_many(&batch, &ids).await;
            let moods = rows.into_iter().map(|row| {
                let row = row.expect("an answer");
                row.get("mood").and_then(Value::as_str).map(str::to_owned)
            });
            let moods: Vec<_> = moods.collect();
            assert_eq!(moods, [Some("glad".into()), Some("sad".into()), None]);
        }
        check_errors(&store, &url).await;
        assert!(store.ask(&one, &["sad".into()]).await.is_ok());
    }
}

/// Every question is parsed again, so that the server does not know that the client has old types.
#[tokio::test(flavor = "local")]
async fn rows_are_never_decoded_by_types_that_have_changed() {
    let server = Postgres::create();
    server.start();
    let pgbouncer = PgBouncer::start(&server, "");
    let store = Store::new(&pgbouncer.url(), "connections = 2").await;
    run(
        &server.url(),
        "create table shifting (n int8); insert into shifting values (7)",
    )
    .await;
    let lookup = store.lookup("select n from shifting where :n = 1", "rows = \"value\"");
    let ask = async || store.ask(&lookup, &[Value::I64(1)]).await.expect("a row");
    assert_eq!(ask().await, Value::I64(7));
    run(
        &server.url(),
        "alter table shifting alter column n type float8",
    )
    .await;
    for _ in 0..3 {
        assert_eq!(ask().await, Value::Double(7.0));
    }
}
