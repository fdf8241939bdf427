//! `call`, `compare` and `bench` with the IDL that the server provides.

use std::net::TcpListener;
use std::process::{Command, Output};

use crate::support::{Flights, Stock, Tributary, free_port, stubs};

/// Runs the program in a folder without any configuration.
fn tributary(words: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.args(words).current_dir(folder.path());
    command.output().expect("the program runs")
}

#[track_caller]
fn said(words: &[&str]) -> String {
    let output = tributary(words);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {error}");
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
fn complained(words: &[&str], status: i32) -> String {
    let output = tributary(words);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{words:?}: {error}");
    error
}

const TICKET: [&str; 6] = [
    "carrier=UA",
    "flight=1545",
    "day=2013-01-01",
    "origin=EWR",
    "dest=IAH",
    "hour=5",
];

#[test]
fn the_server_provides_the_idl() {
    let flights = Flights::start();
    let addr = flights.server.addr.to_string();
    for options in [
        &[][..],
        &["--protocol", "compact"],
        &["--transport", "unframed"],
    ] {
        let call = [
            &["call", "--addr", &addr],
            options,
            &["getAirport", "code=JFK"],
        ];
        let reply = said(&call.concat());
        assert!(reply.contains("John F Kennedy"), "{reply}");
    }
    let compared = said(
        &[
            &["compare", "-n", "1", "--addr", &addr, "getDeparture"],
            &TICKET[..],
        ]
        .concat(),
    );
    assert!(compared.contains("the replies are equal"), "{compared}");
    let bench = [
        "bench",
        "--addr",
        &addr,
        "--requests",
        "20",
        "--warmup",
        "0s",
        "--connections",
        "2",
    ];
    let measured = said(&[&bench[..], &["--format", "json", "getAirport", "code=JFK"]].concat());
    let measured: serde_json::Value = serde_json::from_str(&measured).expect("JSON");
    assert_eq!(measured["calls"], 20, "{measured}");
    let wrong = complained(&["call", "--addr", &addr, "getAirprt"], 2);
    assert!(wrong.contains("did you mean `getAirport`?"), "{wrong}");
}

#[test]
fn the_servers_own_service_is_called_by_its_name() {
    let flights = Flights::start();
    let addr = flights.server.addr.to_string();
    let own = ["call", "--addr", &addr, "--service", "Tributary"];
    let health = said(&[&own[..], &["health"]].concat());
    let health: serde_json::Value = serde_json::from_str(&health).expect("JSON");
    assert_eq!(health["state"], "SERVING");
    let fetch = ["fetch", "view=getAirport", "params.code=JFK"];
    let airport = said(&[&own[..], &fetch].concat());
    let airport: serde_json::Value = serde_json::from_str(&airport).expect("JSON");
    assert_eq!(airport["name"], "John F Kennedy Intl");
    let explained = said(&[&own[..], &["explain", "method=getDeparture"]].concat());
    let explained: serde_json::Value = serde_json::from_str(&explained).expect("JSON");
    let config = flights.server.folder().join("tributary.toml");
    let weather = "http://127.0.0.1:1";
    let printed = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .env("WEATHER_URL", weather)
        .args(["explain", "-c", &config.to_string_lossy(), "getDeparture"])
        .output()
        .expect("the program runs");
    let printed = String::from_utf8(printed.stdout).expect("text");
    assert_eq!(
        explained["text"].as_str().map(str::trim_end),
        Some(printed.trim_end())
    );
    let wrong = complained(
        &[&own[..], &["fetch", "view=getAirport", "params.cod=JFK"]].concat(),
        1,
    );
    assert!(
        wrong.contains("InvalidRequest (call.bad_params)"),
        "{wrong}"
    );
    assert!(wrong.contains("cod: there is no such field"), "{wrong}");
    // In a benchmark too.
    let bench = [
        "bench",
        "--addr",
        &addr,
        "--service",
        "Tributary",
        "--requests",
        "5",
        "--warmup",
        "0s",
    ];
    let measured = said(&[&bench[..], &["--format", "json"], &fetch].concat());
    let measured: serde_json::Value = serde_json::from_str(&measured).expect("JSON");
    assert_eq!(measured["calls"], 5, "{measured}");
}

/// An IDL spread over several folders.
#[test]
fn includes_are_found_as_they_were_on_the_server() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is ours");
        std::fs::write(path, text).expect("the folder is ours");
    };
    write(
        "idl/common/types.thrift",
        "include '../more/types.thrift'\nstruct Row { 1: types.Name name }",
    );
    write("idl/more/types.thrift", "typedef string Name");
    write(
        "idl/main/s.thrift",
        "include '../common/types.thrift'\nservice S { types.Row get(1: i32 id) }",
    );
    write(
        "tributary.toml",
        "[server]\nidl = \"idl/main/s.thrift\"\n[backends.b]\nkind = \"file\"\npath = \"b.csv\"\ntypes = { id = \"i64\" }\n\
         [lookups.row]\nbackend = \"b\"\nkey = { id = \"{id}\" }\nrows = \"one\"\n\
         [views.get.lookups]\nrow = { use = \"row\", into = \".\" }\n",
    );
    write("b.csv", "id,name\n1,one\n");
    let server = Tributary::serve(folder, &[]);
    let reply = said(&["call", "--addr", &server.addr.to_string(), "get", "id=1"]);
    assert_eq!(reply, "{\n  \"name\": \"one\"\n}\n");
}

/// A field of type `tributary.Value` takes any answer of a lookup.
#[test]
fn a_field_of_type_value_takes_any_value() {
    let idl = "include 'tributary.thrift'
        struct Page { 1: tributary.Value row, 2: list<tributary.Value> rows, 3: tributary.Value none }
        service S { Page get(1: tributary.Value id) }";
    let config = r#"
[server]
idl = "s.thrift"
[backends.b]
kind = "file"
path = "b.json"
[lookups.row]
backend = "b"
key = { id = "{id}" }
rows = "one"
[lookups.rows]
backend = "b"
[views.get.lookups]
row = "row"
rows = "rows"
none = { use = "row", with = { id = { value = 3 } } }
"#;
    let rows = r#"[{"id": 1, "more": {"a": [1, 2.5, "x"]}}, {"id": 2, "more": null}]"#;
    let server = Tributary::start(config, &[("s.thrift", idl), ("b.json", rows)]);
    let addr = server.addr.to_string();
    let expected = serde_json::json!({
        "row": {"id": 1, "more": {"a": [1, 2.5, "x"]}},
        "rows": [{"id": 1, "more": {"a": [1, 2.5, "x"]}}, {"id": 2}],
    });
    let own = [
        "call",
        "--addr",
        &addr,
        "--service",
        "Tributary",
        "fetch",
        "view=get",
    ];
    for words in [
        &["call", "--addr", &addr, "get", "id=1"][..],
        &[&own[..], &["params.id=1"]].concat(),
    ] {
        let reply: serde_json::Value = serde_json::from_str(&said(words)).expect("JSON");
        assert_eq!(reply, expected, "{words:?}");
    }
}

#[test]
fn a_server_without_the_service_is_identified() {
    let help = "name the IDL with `--idl FILE`";
    let config = crate::support::airports::CONFIG.replace("[server]", "[server]\nmeta = false");
    let server = Tributary::start(&config, &crate::support::airports::FILES);
    let addr = server.addr.to_string();
    let error = complained(&["call", "--addr", &addr, "get", "code=JFK"], 1);
    assert!(
        error.contains("does not provide its IDL") && error.contains(help),
        "{error}"
    );
    let idl = server.folder().join("airports.thrift");
    let idl = idl.to_string_lossy();
    let reply = said(&["call", "--addr", &addr, "--idl", &idl, "get", "code=JFK"]);
    assert!(reply.contains("Kennedy"), "{reply}");
    // A different kind of server.
    let stubs = stubs("tests/clients/stock.thrift");
    let port = free_port();
    let _stock = Stock::start(port, STOCK, stubs.path());
    let error = complained(&["call", "--addr", &format!("127.0.0.1:{port}"), "get"], 1);
    assert!(
        error.contains("does not provide its IDL") && error.contains(help),
        "{error}"
    );
    // No server.
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = port.local_addr().expect("it is bound").to_string();
    drop(port);
    let error = complained(&["call", "--addr", &addr, "get"], 1);
    assert!(error.contains("can't connect"), "{error}");
}

const STOCK: [&str; 3] = ["framed", "binary", "plain"];
