//! What is certain to fail at run time, in all SQL stores: statements that write or may not be run, values that can't be
//! bound, and rows where none can stand.

use super::{check, folder, over, problems_of};
use crate::support::{Mysql, Postgres, Tributary, free_port};

const IDL: &str = "
struct Reply { 1: optional string name, 2: optional list<string> names, 3: optional i32 id }
service S { Reply get(1: i32 id, 2: list<binary> keys) }
";

const TABLES: &str = "create table birds (id int, name varchar(20)); insert into birds values (7, 'wren'), (8, 'tit')";

/// Lookups without a view's use are examined too.
fn lookups(sqls: &[(&str, &str)]) -> String {
    let lookup = |(name, sql): &(&str, &str)| {
        format!("[lookups.{name}]\nbackend = \"db\"\nsql = \"{sql}\"\n")
    };
    let lookups: String = sqls.iter().map(lookup).collect();
    format!("{lookups}\n[views.get.lookups]\nnames = \"good\"\n")
}

/// The errors among the lines of a check.
fn errors(lines: &str) -> String {
    let mut is_error = false;
    let lines = lines.lines().filter(|line| {
        if !line.starts_with(' ') {
            is_error = !line.contains(" warning ");
        }
        is_error
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn postgres_says_which_statements_write_or_may_not_be_run() {
    let server = Postgres::create();
    server.start();
    server.run(TABLES);
    server.run("create table secrets (id int)");
    server.run("create role reader login");
    server.run("grant select, delete, update on birds to reader");
    let url = server.url().replace("postgres@", "reader@");
    let rest = lookups(&[
        ("good", "select name from birds where id = :id"),
        ("secret", "select id from secrets where id = :id"),
        ("deletes", "delete from birds where id = :id returning name"),
        (
            "updates",
            "with gone as (update birds set id = 9 where id = :id returning name) select name from gone",
        ),
        ("locks", "select name from birds where id = :id for update"),
        ("shows", "show server_version"),
    ]);
    let told = problems_of(&over("postgres", &url, &rest), IDL, server.port);
    insta::assert_snapshot!(errors(&told), @r##"
    13 error config.bad_value lookups.secret.sql
      PostgreSQL: permission denied for table secrets (42501)
        (grant what the statement reads to the account of the backend)
    16 error config.bad_value lookups.deletes.sql
      the statement writes, and sessions are read-only
        (a lookup is one `select` statement, in which nothing inserts, updates or deletes)
    19 error config.bad_value lookups.updates.sql
      the statement writes, and sessions are read-only
        (a lookup is one `select` statement, in which nothing inserts, updates or deletes)
    22 error config.bad_value lookups.locks.sql
      the statement locks rows, and sessions are read-only
        (leave out `for update` and `for share`)
    exit 2
    "##);
    server.run("do $$ begin assert (select count(*) from birds where id < 9) = 2; end $$");
}

#[test]
fn mysql_says_which_statements_write_or_may_not_be_run() {
    let port = free_port();
    let tables = format!(
        "drop table if exists birds;\n{TABLES};\ncreate or replace table secrets (id int);\n\
         create user if not exists reader@localhost;\ngrant select, delete on test.birds to reader@localhost;"
    );
    let Ok(_server) = Mysql::start_on(port, Mysql::data(&tables.replace("; ", ";\n"))) else {
        panic!("the port is still free")
    };
    let rest = lookups(&[
        ("good", "select name from birds where id = :id"),
        ("secret", "select id from secrets where id = :id"),
        (
            "deletes",
            "/* gone */ delete from birds where id = :id returning name",
        ),
    ]);
    let url = format!("mysql://reader@127.0.0.1:{port}/test");
    let told = problems_of(&over("mysql", &url, &rest), IDL, port);
    insta::assert_snapshot!(errors(&told), @r##"
    13 error config.bad_value lookups.secret.sql
      MySQL: SELECT command denied to user 'reader'@'localhost' for table `test`.`secrets` (1142)
    16 error config.bad_value lookups.deletes.sql
      the statement writes (`delete`), and sessions are read-only
        (a lookup is one `select` statement)
    exit 2
    "##);
}

fn sqlite(lookups: &str) -> (String, rusqlite::Connection, tempfile::TempDir) {
    let config = format!(
        "[server]\nidl = \"s.thrift\"\n[backends.db]\nkind = \"sqlite\"\npath = \"birds.db\"\n{lookups}"
    );
    let folder = folder(&config, IDL, &[]);
    let database = rusqlite::Connection::open(folder.path().join("birds.db")).expect("a file");
    database.execute_batch(TABLES).expect("good SQL");
    (config, database, folder)
}

#[test]
fn values_that_never_bind_and_columns_that_never_spread() {
    let (_, _database, folder) = sqlite(
        r#"
[lookups.names]
backend = "db"
sql = "select name from birds where id in (select value from json_each(:keys))"
[lookups.text]
backend = "db"
sql = "select name from birds where id = :id"
rows = "value"
[lookups.many]
backend = "db"
sql = "select name from birds where id = :id"
[views.get.lookups]
names = "names"
text = { use = "text", into = "." }
"#,
    );
    let checked = check(&folder, 0, &["--format", "json"]);
    insta::assert_snapshot!(errors(&checked.lines()), @r##"
    18 error config.type views.get.lookups.names
      parameter `keys` of lookup `names` can't be list<binary>: it becomes JSON, which can't carry bytes
        (bind something else)
    19 error config.type views.get.lookups.text.into
      column `name` of the type `varchar(20)` has no columns, and `into = "."` fills a field with each
        (use `rows = "one"`, or name the field that it fills)
    exit 2
    "##);

    let many = "[lookups.many]\nbackend = \"db\"\nsql = \"select name from birds where id = :id\"\n\
                [views.get.lookups]\nmany = { use = \"many\", into = \".\" }";
    let (_, _database, folder) = sqlite(many);
    let checked = check(&folder, 0, &["--format", "json"]);
    insta::assert_snapshot!(errors(&checked.lines()), @r##"
    10 error config.type views.get.lookups.many.into
      a list has no columns, and `into = "."` fills a field with each
        (use `rows = "one"`, or name the field that it fills)
    exit 2
    "##);
}

/// A row of one column is bound as that column, to a statement, a key or a template.
#[test]
fn a_foreach_over_rows_of_one_column_binds_the_column() {
    let (config, _database, files) = sqlite(
        r#"
[backends.songs]
kind = "file"
path = "songs.csv"
[lookups.ids]
backend = "db"
sql = "select id from birds where id >= :id order by id"
[lookups.name]
backend = "db"
sql = "select name from birds where id = :id"
rows = "value"
[lookups.song]
backend = "songs"
key = { id = "{id}" }
columns = ["song"]
rows = "value"
[views.get.lookups]
ids = { use = "ids", emit = false }
names = { use = "name", foreach = "ids", with = { id = "item" } }
first = { use = "first", emit = false, with = { id = "id" } }
name = { use = "song", with = { id = "first" } }
[lookups.first]
backend = "db"
sql = "select id from birds where id = :id"
rows = "one"
"#,
    );
    let csv = "id,song\n7,trill\n8,peep\n";
    std::fs::write(files.path().join("songs.csv"), csv).expect("the folder is ours");
    let checked = check(&files, 0, &["--format", "json"]);
    assert_eq!(errors(&checked.lines()), "exit 0");

    let config = config.replace(
        "birds.db",
        &files.path().join("birds.db").display().to_string(),
    );
    let server = Tributary::start(&config, &[("s.thrift", IDL), ("songs.csv", csv)]);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args([
            "call",
            "get",
            "id=7",
            "keys=[]",
            "--addr",
            &server.addr.to_string(),
            "--idl",
        ])
        .arg(server.folder().join("s.thrift"))
        .output()
        .expect("the program itself");
    let reply: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let expected = serde_json::json!({ "name": "trill", "names": ["wren", "tit"] });
    assert_eq!(reply, expected);
}

#[test]
fn a_server_logs_the_warnings_of_a_check_once_at_its_start() {
    let (config, _database, files) = sqlite(
        "[lookups.good]\nbackend = \"db\"\nsql = \"select name from birds where id = :id\"\n\
         [lookups.idle]\nbackend = \"db\"\nsql = \"select 1\"\n\
         [views.get.lookups]\nnames = \"good\"\n",
    );
    let config = config.replace(
        "birds.db",
        &files.path().join("birds.db").display().to_string(),
    );
    let server = Tributary::start(
        &config.replace("idl =", "workers = 2\nidl ="),
        &[("s.thrift", IDL)],
    );
    let (_, log) = server.stop("TERM");
    let warnings: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("a warning about the configuration"))
        .collect();
    let [warning] = warnings[..] else {
        panic!("{log}")
    };
    for word in ["WARN", "config.reference", "lookups.idle", "no view uses"] {
        assert!(warning.contains(word), "{word}: {warning}");
    }
}
