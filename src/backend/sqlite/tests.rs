//! SQLite through the same four calls as in production, on real files and real threads.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rusqlite::Connection;

use super::*;
use crate::backend::testing::{self, ask, ask_within, config_problems, lookup_problems};
use crate::value::Value;

/// An endless query.
const ENDLESS: &str =
    "sql = 'with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n'";

/// A folder with databases; gone with the test.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a database and runs `sql` in it.
    pub(super) fn database(&self, name: &str, sql: &str) -> Connection {
        let connection = Connection::open(self.path(name)).unwrap();
        connection.execute_batch(sql).unwrap();
        connection
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }
}

/// `[backends.NAME]` for a database of the folder.
pub(super) fn config(folder: &Folder, name: &str) -> Config {
    config_with(folder, name, "")
}

fn config_with(folder: &Folder, name: &str, more: &str) -> Config {
    let toml = format!("path = {:?}\n{more}", folder.path(name).to_str().unwrap());
    testing::config::<Sqlite>(&toml).unwrap()
}

fn lookup(config: &Config, toml: &str) -> Compiled<Lookup> {
    testing::lookup::<Sqlite>(config, toml).unwrap()
}

/// Asks one SQL value with a database of `schema`.
async fn value(schema: &str, toml: &str, params: &[(&str, Value)]) -> Result<Value, LookupError> {
    let folder = Folder::new();
    drop(folder.database("a.db", schema));
    let config = config(&folder, "a.db");
    let lookup = lookup(&config, toml);
    ask(
        &Sqlite::connect(&config, &[], &crate::backend::OnLoop::default()).await,
        &lookup,
        params,
    )
    .await
}

#[tokio::test(flavor = "local")]
async fn all_kinds_of_values_come_back_unchanged() {
    let toml = "sql = \"select 7 as i, 1.5 as d, 'é' as t, x'00ff' as b, null as n, \
                cast(x'ff' as text) as bad, -9223372036854775808 as low\"\nrows = 'one'";
    let Value::Record(row) = value("", toml, &[]).await.unwrap() else {
        panic!("a record")
    };
    let names: Vec<&str> = row.names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["i", "d", "t", "b", "n", "bad", "low"]);
    let bytes = |bytes: &'static [u8]| Value::Bytes(bytes.into());
    let expected = [
        7.into(),
        1.5.into(),
        "é".into(),
        bytes(&[0, 255]),
        Value::Null,
        bytes(&[255]),
        i64::MIN.into(),
    ];
    assert_eq!(row.values, expected);
}

#[tokio::test(flavor = "local")]
async fn parameters_are_bound_and_never_spliced() {
    let toml = r#"sql = "select typeof(:a) || ',' || coalesce(:a, 'none')"
        rows = "value""#;
    for (param, expected) in [
        (Value::Null, "null,none"),
        (true.into(), "integer,1"),
        (5.into(), "integer,5"),
        (2.5.into(), "real,2.5"),
        ("x'; drop table t; --".into(), "text,x'; drop table t; --"),
        (
            Value::Uuid([0xab; 16]),
            "text,abababab-abab-abab-abab-abababababab",
        ),
        (vec![1, 2].into(), "text,[1,2]"),
    ] {
        let answer = value("", toml, &[("a", param)]).await.unwrap();
        assert_eq!(answer, expected.into());
    }
    let err = value("", toml, &[("a", f64::NAN.into())])
        .await
        .unwrap_err();
    assert_eq!(err.code, Code::LookupBadParam);
}

#[tokio::test(flavor = "local")]
async fn a_list_is_read_with_json_each() {
    let toml = "sql = 'select sum(value) from json_each(:ids)'\nrows = 'value'";
    let ids = vec![1, 2, 39].into();
    assert_eq!(value("", toml, &[("ids", ids)]).await.unwrap(), 42.into());
}

#[tokio::test(flavor = "local")]
async fn rows_share_their_names_and_have_a_limit() {
    let schema = "create table t(n); insert into t values (1), (2), (3)";
    let Value::List(rows) = value(schema, "sql = 'select n from t'", &[]).await.unwrap() else {
        panic!("a list")
    };
    let [Value::Record(first), .., Value::Record(last)] = &rows[..] else {
        panic!("records")
    };
    assert!(rows.len() == 3 && first.names.same(&last.names));
    let err = value(schema, "sql = 'select n from t'\nrows_max = 2", &[])
        .await
        .unwrap_err();
    assert_eq!(err.code, Code::LookupTooMany);
    let one = "sql = 'select n from t where n > :n'\nrows = 'one'";
    assert_eq!(
        value(schema, one, &[("n", 3.into())]).await.unwrap(),
        Value::Null
    );
}

#[tokio::test(flavor = "local")]
async fn a_value_longer_than_the_limit_is_refused() {
    let folder = Folder::new();
    let _open = folder.database("a.db", "");
    let config = config_with(&folder, "a.db", "value_bytes_max = '1KiB'");
    let sqlite = Sqlite::connect(&config, &[], &crate::backend::OnLoop::default()).await;
    for (sql, bytes, code) in [
        ("select zeroblob(1000)", 1, None),
        ("select zeroblob(2000)", 1, Some(Code::LookupRefused)),
        ("select :b", 1000, None),
        ("select :b", 2000, Some(Code::LookupBadParam)),
    ] {
        let lookup = lookup(&config, &format!("sql = '{sql}'\nrows = 'value'"));
        let text = "x".repeat(bytes);
        let answer = ask(&sqlite, &lookup, &[("b", text.as_str().into())]).await;
        let failed = answer.err().map(|err| err.code);
        assert_eq!(failed, code, "{sql}, {bytes}");
    }
}

#[tokio::test(flavor = "local")]
async fn a_missing_file_fails_lookups_until_it_appears() {
    let folder = Folder::new();
    let config = config(&folder, "a.db");
    let lookup = lookup(&config, "sql = 'select n from t'\nrows = 'value'");
    let sqlite = Sqlite::connect(&config, &[], &crate::backend::OnLoop::default()).await;
    let err = ask(&sqlite, &lookup, &[]).await.unwrap_err();
    assert_eq!(err.code, Code::LookupUnavailable);
    folder.database("new.db", "create table t(n); insert into t values (1)");
    folder.rename("new.db", "a.db");
    assert_eq!(ask(&sqlite, &lookup, &[]).await.unwrap(), 1.into());
}

#[tokio::test(flavor = "local")]
async fn a_file_that_is_not_a_database_is_a_bad_answer_until_it_is_replaced() {
    let folder = Folder::new();
    std::fs::write(folder.path("a.db"), "no database at all ".repeat(100)).unwrap();
    let config = config(&folder, "a.db");
    let lookup = lookup(&config, "sql = 'select n from t'\nrows = 'value'");
    let sqlite = Sqlite::connect(&config, &[], &crate::backend::OnLoop::default()).await;
    let err = ask(&sqlite, &lookup, &[]).await.unwrap_err();
    assert_eq!(err.code, Code::LookupBadAnswer);
    folder.database("new.db", "create table t(n); insert into t values (1)");
    folder.rename("new.db", "a.db");
    assert_eq!(ask(&sqlite, &lookup, &[]).await.unwrap(), 1.into());
}

#[tokio::test(flavor = "local")]
async fn a_locked_file_is_unavailable_until_it_is_free() {
    let folder = Folder::new();
    let other = folder.database("a.db", "create table t(n); insert into t values (1)");
    let config = config_with(&folder, "a.db", "busy_timeout = '1ms'");
    let lookup = lookup(&config, "sql = 'select n from t'\nrows = 'value'");
    let sqlite = Sqlite::connect(&config, &[], &crate::backend::OnLoop::default()).await;
    other.execute_batch("begin exclusive").unwrap();
    let err = ask(&sqlite, &lookup, &[]).await.unwrap_err();
    assert_eq!(err.code, Code::LookupUnavailable);
    other.execute_batch("commit").unwrap();
    assert_eq!(ask(&sqlite, &lookup, &[]).await.unwrap(), 1.into());
}

#[tokio::test(flavor = "local")]
async fn nothing_is_ever_written() {
    let folder = Folder::new();
    let config = config(&folder, "a.db");
    let lookups: Vec<_> = ["delete from t", "create table u(n)", "attach ''x'' as x"]
        .iter()
        .map(|sql| lookup(&config, &format!("sql = \"{}\"", sql.replace("''", "'"))))
        .collect();
    let count = lookup(&config, "sql = 'select count(*) from t'\nrows = 'value'");
    folder.database("a.db", "create table t(n); insert into t values (1)");
    let sqlite = Sqlite::connect(&config, &[], &crate::backend::OnLoop::default()).await;
    for lookup in &lookups {
        let err = ask(&sqlite, lookup, &[]).await.unwrap_err();
        assert_eq!(err.code, Code::LookupRefused, "{err}");
    }
    assert_eq!(ask(&sqlite, &count, &[]).await.unwrap(), 1.into());
}

#[tokio::test(flavor = "local")]
async fn an_endless_query_ends_at_its_deadline() {
    let folder = Folder::new();
    drop(folder.database("a.db", "create table t(n)"));
    let config = config(&folder, "a.db");
    let endless = lookup(&config, ENDLESS);
    let short = lookup(&config, "sql = 'select 1'\nrows = 'value'");
    let sqlite = Sqlite::connect(&config, &[], &crate::backend::OnLoop::default()).await;
    let err = ask_within(&sqlite, &endless, &[], Duration::from_millis(50))
        .await
        .unwrap_err();
    assert_eq!(err.code, Code::LookupTimeout);
    assert_eq!(ask(&sqlite, &short, &[]).await.unwrap(), 1.into());
}

#[tokio::test(flavor = "local")]
async fn a_full_queue_sheds_and_a_dropped_lookup_frees_its_thread() {
    let folder = Folder::new();
    drop(folder.database("a.db", "create table t(n)"));
    let config = config_with(&folder, "a.db", "queue = 1");
    let endless = lookup(&config, ENDLESS);
    let short = lookup(&config, "sql = 'select 1'\nrows = 'value'");
    let sqlite = Sqlite::connect(&config, &[], &crate::backend::OnLoop::default()).await;
    let mut running = Box::pin(ask(&sqlite, &endless, &[]));
    assert!(poll(running.as_mut()).is_pending());
    // Shed as long as the thread has not taken the endless one out of the queue; then this one waits in it.
    let waiting = loop {
        let mut waiting = Box::pin(ask(&sqlite, &short, &[]));
        match poll(waiting.as_mut()) {
            Poll::Pending => break waiting,
            Poll::Ready(answer) => assert_eq!(answer.unwrap_err().code, Code::LookupShed),
        }
        std::thread::yield_now();
    };
    let shed = ask(&sqlite, &short, &[]).await.unwrap_err();
    assert_eq!(shed.code, Code::LookupShed);
    drop(running);
    assert_eq!(waiting.await.unwrap(), 1.into());
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(flavor = "local")]
async fn dropping_the_store_ends_its_threads() {
    let folder = Folder::new();
    drop(folder.database("a.db", "create table t(n)"));
    let config = config_with(&folder, "a.db", "threads = 4");
    let endless = lookup(&config, ENDLESS);
    let sqlite = Sqlite::connect(&config, &[], &crate::backend::OnLoop::default()).await;
    let queue = Arc::clone(&sqlite.queue);
    {
        let mut running = pin!(ask(&sqlite, &endless, &[]));
        assert!(poll(running.as_mut()).is_pending());
    }
    drop(sqlite);
    while Arc::strong_count(&queue) > 1 {
        std::thread::yield_now();
    }
}

#[test]
fn configuration_mistakes_are_named() {
    assert_eq!(
        config_problems::<Sqlite>("threads = 9\nqueue = 0\nbusy_timeout = 100\npth = 'a.db'"),
        [
            "config.bad_value threads: 9 is out of range (1 to 4)",
            "config.bad_value queue: 0 is out of range (1 to 1000000)",
            "config.bad_value busy_timeout: expected a duration, found an integer \
             (a number with a unit in quotes, such as `\"250ms\"`)",
            "config.unknown_key pth: unknown key (did you mean `path`?)",
        ]
    );
}

#[test]
fn waiting_for_a_lock_is_limited() {
    assert_eq!(
        config_problems::<Sqlite>("path = 'a.db'\nbusy_timeout = '1day'"),
        [
            "config.bad_value busy_timeout: a long time to wait for a lock \
             (at most a minute: the thread answers no other lookup meanwhile)"
        ]
    );
}

#[test]
fn statements_are_prepared_where_the_file_is_there() {
    let folder = Folder::new();
    drop(folder.database("a.db", "create table t(a, b)"));
    let config = config(&folder, "a.db");
    for (sql, expected) in [
        (
            "selec a from t",
            "config.bad_value sql: SQLite: near \"selec\": syntax error",
        ),
        (
            "select a from u",
            "config.bad_value sql: SQLite: no such table: u",
        ),
        (
            "select c from t",
            "config.bad_value sql: SQLite: no such column: c",
        ),
        (
            "delete from t",
            "config.bad_value sql: the statement writes (a lookup is one `select` statement)",
        ),
        (
            "select * from t, t as u",
            "config.clash sql: two columns are called `a` (name one of them with `as`: `t.a as t_a`)",
        ),
    ] {
        assert_eq!(
            lookup_problems::<Sqlite>(&config, &format!("sql = '{sql}'")),
            [expected]
        );
    }
    let quoted = lookup_problems::<Sqlite>(&config, "sql = \"select a from t where b = ':b'\"");
    assert!(quoted[0].starts_with("config.bad_value sql: the parameter `:b` is inside quotes"));
}
