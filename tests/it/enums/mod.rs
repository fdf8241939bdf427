//! Enums of the IDL as parameters of SQL: found by name in real stores, or by number, and never as something else.

mod check; // what `check` says about them

use std::process::Command;

use tempfile::TempDir;

use crate::support::{Mysql, Postgres, Tributary, free_port};

/// The stores' own order of the names is not that of the numbers.
const IDL: &str = "
enum Kind { MAIL = 1, CARGO = 2, PEOPLE = 3 }
struct Flight { 1: required i32 id, 2: required Kind kind }
struct Want { 1: Kind kind, 2: list<Kind> kinds, 3: map<Kind, i32> least }
struct Reply {
  1: optional Flight one
  2: optional list<Flight> among
  3: optional list<Flight> each
  4: optional list<Flight> batched
  5: optional i32 by_path
  6: optional i32 by_number
  7: optional i32 by_json
}
service S { Reply get(1: Kind kind, 2: list<Kind> kinds, 3: Want want) }
";

/// With a value that the server does not know.
const NEWER: (&str, &str) = ("PEOPLE = 3", "PEOPLE = 3, NEW = 9");

const ROWS: &str = "insert into flights values (7, 'CARGO', 2), (8, 'MAIL', 1), (9, 'PEOPLE', 3)";

fn config(backend: &str, lookups: &str) -> String {
    format!(
        r#"
[server]
idl = "s.thrift"

[backends.db]
{backend}
{lookups}

[views.get.lookups]
one = "one"
among = "among"
each = {{ use = "one", foreach = "kinds", with = {{ kind = "item" }} }}
batched = {{ use = "batched", foreach = "kinds", with = {{ kinds = "item" }} }}
by_path = {{ use = "by_path", with = {{ kind = "want.kind" }} }}
by_number = "by_number"
by_json = "by_json"
"#
    )
}

/// A lookup for each use; `keys` are added to all but `by_number`.
fn lookups(sqls: [&str; 6], keys: &str) -> String {
    let [one, among, batched, by_path, by_number, by_json] = sqls;
    let lookup = |name: &str, sql: &str, rest: &str| {
        format!("\n[lookups.{name}]\nbackend = \"db\"\nsql = \"{sql}\"\n{rest}\n")
    };
    let number = if keys.is_empty() {
        ""
    } else {
        "enums = \"number\""
    };
    [
        lookup("one", one, &format!("rows = \"one\"\n{keys}")),
        lookup("among", among, keys),
        lookup("batched", batched, &format!("rows = \"one\"\n{keys}")),
        lookup("by_path", by_path, &format!("rows = \"value\"\n{keys}")),
        lookup(
            "by_number",
            by_number,
            &format!("rows = \"value\"\n{number}"),
        ),
        lookup("by_json", by_json, &format!("rows = \"value\"\n{keys}")),
    ]
    .concat()
}

/// Calls `get`; the IDL is that in the folder with this change.
fn call(server: &Tributary, params: &[&str], change: (&str, &str)) -> serde_json::Value {
    let idl = server.folder().join("caller.thrift");
    std::fs::write(&idl, IDL.replace(change.0, change.1)).expect("the folder is ours");
    let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(["call", "get", "--addr", &server.addr.to_string(), "--idl"])
        .arg(idl)
        .args(params)
        .output()
        .expect("the program itself");
    let stderr = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|err| panic!("{err}: {stderr}"))
}

/// Every lookup finds the flight of its kind, and a number without a name finds none by name.
fn check_server(mut server: Tributary) {
    let want = r#"want={"kind": "PEOPLE", "kinds": ["PEOPLE"], "least": {"PEOPLE": 1}}"#;
    let params = ["kind=CARGO", r#"kinds=["PEOPLE", "MAIL"]"#, want];
    let (cargo, mail) = (flight(7, "CARGO"), flight(8, "MAIL"));
    let people = flight(9, "PEOPLE");
    let expected = serde_json::json!({
        "one": cargo,
        "among": [mail, people],
        "each": [people, mail],
        "batched": [people, mail],
        "by_path": 9,
        "by_number": 7,
        "by_json": 9,
    });
    assert_eq!(call(&server, &params, ("", "")), expected);

    let want = r#"want={"kind": "NEW"}"#;
    let params = ["kind=NEW", r#"kinds=["NEW"]"#, want];
    let nothing = serde_json::json!({});
    assert_eq!(call(&server, &params, NEWER), nothing);
    server.wait_for_line("9 is not a value of its enum");
    let (_, log) = server.stop("TERM");
    assert!(log.contains("lookup.bad_param"), "{log}");
}

fn flight(id: i32, kind: &str) -> serde_json::Value {
    serde_json::json!({ "id": id, "kind": kind })
}

#[tokio::test(flavor = "local")]
async fn postgres_takes_names_and_numbers_by_the_type_of_the_parameter() {
    let database = Postgres::create();
    database.start();
    database.run("create type kind as enum ('CARGO', 'MAIL', 'PEOPLE')");
    database.run("create table flights (id int, kind kind, code int)");
    database.run(ROWS);
    let lookups = lookups(
        [
            "select id, kind from flights where kind = :kind",
            "select id, kind from flights where kind = any(:kinds) order by code",
            "select id, kind from flights where kind = any(:kinds)\"\nbatch = { key = \"kind\" }\n#",
            "select id from flights where kind::text = :kind",
            "select id from flights where code = :kind",
            "select id from flights where kind::text = :want::jsonb->>'kind' \
             and (:want::jsonb->'least'->>kind::text)::int = 1",
        ],
        "",
    );
    let backend = format!("kind = \"postgres\"\nurl = \"{}\"", database.url());
    check_server(Tributary::start(
        &config(&backend, &lookups),
        &[("s.thrift", IDL)],
    ));
}

#[test]
fn mysql_takes_the_form_that_the_lookup_states() {
    let port = free_port();
    let tables = format!(
        "create or replace table flights (id int, kind enum('CARGO', 'MAIL', 'PEOPLE'), code int);\n{ROWS};"
    );
    let Ok(_database) = Mysql::start_on(port, Mysql::data(&tables)) else {
        panic!("the port is still free")
    };
    let lookups = lookups(
        [
            "select id, kind from flights where kind = :kind",
            "select id, kind from flights where json_contains(:kinds, json_quote(kind)) order by code",
            "select id, kind from flights where kind in (:kinds)\"\nbatch = { key = \"kind\" }\n#",
            "select id from flights where kind = :kind",
            "select id from flights where code = :kind",
            "select id from flights where kind = json_value(:want, '$.kind') and json_value(:want, '$.least.PEOPLE') = 1",
        ],
        "enums = \"name\"",
    );
    let backend = format!("kind = \"mysql\"\nurl = \"mysql://root@127.0.0.1:{port}/test\"");
    check_server(Tributary::start(
        &config(&backend, &lookups),
        &[("s.thrift", IDL)],
    ));
}

#[test]
fn sqlite_takes_the_form_that_the_lookup_states() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = database(&folder);
    let lookups = lookups(
        [
            "select id, kind from flights where kind = :kind",
            "select id, kind from flights where kind in (select value from json_each(:kinds)) order by code",
            "select id, kind from flights where kind = :kinds",
            "select id from flights where kind = :kind",
            "select id from flights where code = :kind",
            "select id from flights where kind = :want ->> 'kind' and :want ->> 'least' ->> kind = 1",
        ],
        "enums = \"name\"",
    );
    let backend = format!("kind = \"sqlite\"\npath = \"{path}\"");
    check_server(Tributary::start(
        &config(&backend, &lookups),
        &[("s.thrift", IDL)],
    ));
}

/// A SQLite file with the flights.
fn database(folder: &TempDir) -> String {
    let path = folder.path().join("flights.db");
    let database = rusqlite::Connection::open(&path).expect("a file");
    let tables = "create table flights (id int, kind text, code int)";
    database
        .execute_batch(&format!("{tables}; {ROWS}"))
        .expect("good SQL");
    path.display().to_string()
}

/// What travels in a key or a URL is the number, unless the lookup says otherwise.
#[test]
fn keys_take_the_number_or_the_name() {
    let lookups = r#"
[lookups.by_name]
backend = "flights"
key = { kind = "{kind}" }
rows = "one"
parse_text = true
enums = "name"

[lookups.by_number]
backend = "flights"
key = { code = "{kind}" }
columns = ["id"]
rows = "value"
parse_text = true

[views.get.lookups]
one = "by_name"
by_number = "by_number"
"#;
    let config = format!(
        "[server]\nidl = \"s.thrift\"\n[backends.flights]\nkind = \"file\"\npath = \"flights.csv\"\n{lookups}"
    );
    let csv = "id,kind,code\n7,CARGO,2\n8,MAIL,1\n9,2,3\n";
    let server = Tributary::start(&config, &[("s.thrift", IDL), ("flights.csv", csv)]);
    let reply = call(&server, &["kind=CARGO"], ("", ""));
    let expected = serde_json::json!({ "one": flight(7, "CARGO"), "by_number": 7 });
    assert_eq!(reply, expected);
}
