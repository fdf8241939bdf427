//! Several services in one server: `[[services]]`.

use std::path::Path;
use std::process::Command;

use tributary::cli::call_json_at;

use crate::admin::scrape;
use crate::support::message::{CALL, message};
use crate::support::{PYTHON, Tributary, bytes, python, run, stubs};

/// Two IDLs that both have a type `Item`, and services that both have a method `get`.
const CATALOG: &str = "
include 'tributary.thrift'
struct Item { 1: required i32 id, 2: required string title, 3: optional tributary.Report report }
service Catalog { Item get(1: i32 id, 2: tributary.Context context) void hidden() }";
const ORDERS: &str = "
struct Item { 1: required string code, 2: required i64 count }
service Orders { Item get(1: string code) Item find(1: string code) }";

const CONFIG: &str = r#"
[server]
#keys

[backends.items]
kind = "file"
path = "items.csv"

[backends.orders]
kind = "file"
path = "orders.csv"

[lookups.item]
backend = "items"
key = { id = "{id}" }
rows = "one"
parse_text = true

[lookups.order]
backend = "orders"
key = { code = "{code}" }
rows = "one"
parse_text = true

[[services]]
idl = "catalog.thrift"
unserved = "*"
[services.views.get.lookups]
item = { use = "item", into = ".", required = true }

[[services]]
idl = "orders.thrift"
[services.views.get.lookups]
order = { use = "order", into = ".", required = true }
[services.views.find.lookups]
order = { use = "order", into = ".", required = true }
"#;

const FILES: [(&str, &str); 5] = [
    (
        "tributary.thrift",
        include_str!("../../idl/tributary.thrift"),
    ),
    ("catalog.thrift", CATALOG),
    ("orders.thrift", ORDERS),
    ("items.csv", "id,title\n7,lamp\n"),
    ("orders.csv", "code,count\na1,3\n"),
];

fn serve(keys: &str) -> Tributary {
    Tributary::start(&CONFIG.replace("#keys", keys), &FILES)
}

/// Runs a command in a folder; its status, stdout and stderr.
fn tributary(folder: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.args(words).current_dir(folder);
    let output = command.output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[track_caller]
fn done(folder: &Path, words: &[&str]) -> String {
    let (status, out, error) = tributary(folder, words);
    assert_eq!(status, Some(0), "{words:?}: {error}");
    out
}

#[track_caller]
fn refused(folder: &Path, words: &[&str], status: i32, says: &str) {
    let (found, _, error) = tributary(folder, words);
    assert_eq!(found, Some(status), "{words:?}: {error}");
    assert!(error.contains(says), "{words:?}: {error}");
}

/// JSON without blanks.
fn flat(json: &str) -> String {
    json.split_whitespace().collect()
}

#[test]
fn multiplexed_clients_of_apache() {
    let server = serve("");
    let stubs = stubs(&server.folder().join("catalog.thrift").to_string_lossy());
    let of_orders = server.folder().join("orders.thrift");
    run(
        Command::new("thrift")
            .args(["--gen", "py", "-out"])
            .arg(stubs.path())
            .arg(of_orders),
        "the Debian package `thrift-compiler`",
    );
    multiplexed(&server, "apache", stubs.path());
}

#[test]
fn multiplexed_clients_of_thriftpy2() {
    multiplexed(&serve(""), "thriftpy2", Path::new(""));
}

fn multiplexed(server: &Tributary, library: &str, stubs: &Path) {
    let mut command = python("multiplexed.py", stubs);
    command
        .arg(server.addr.port().to_string())
        .arg(library)
        .arg(server.folder());
    assert_eq!(run(&mut command, PYTHON).trim(), "6 replies compared");
}

#[test]
fn methods_of_one_name_are_told_apart() {
    let mut server = Tributary::start_telling_all(
        &format!("admin = {{ listen = \"127.0.0.1:0\" }}\n{CONFIG}"),
        &FILES,
    );
    let admin = server.admin();
    let addr = server.addr.to_string();
    let call = |words: &[&str]| {
        flat(&done(
            server.folder(),
            &[&["call", "--addr", &addr], words].concat(),
        ))
    };
    assert_eq!(call(&["Catalog:get", "id=7"]), r#"{"id":7,"title":"lamp"}"#);
    assert_eq!(
        call(&["--service", "Orders", "get", "code=a1"]),
        r#"{"code":"a1","count":3}"#
    );
    // Only one service has it.
    assert_eq!(call(&["find", "code=a1"]), r#"{"code":"a1","count":3}"#);
    refused(
        server.folder(),
        &["call", "--addr", &addr, "get"],
        2,
        "`Catalog:get`, `Orders:get`",
    );
    refused(
        server.folder(),
        &["call", "--addr", &addr, "Order:get"],
        2,
        "did you mean `Orders`?",
    );
    let reported = tributary(
        server.folder(),
        &["call", "--addr", &addr, "--report", "Catalog:get", "id=7"],
    );
    assert!(reported.2.contains("item"), "{}", reported.2);
    let counted = scrape(admin);
    for (method, calls) in [("Catalog:get", 2), ("Orders:get", 1), ("Orders:find", 1)] {
        let labels = [("method", method), ("outcome", "ok")];
        assert_eq!(
            counted.count("tributary_calls_total", &labels),
            calls,
            "{method}"
        );
    }
    let (_, log) = server.stop("TERM");
    assert!(
        log.contains("method=\"Catalog:get\"") && log.contains("method=\"Orders:get\""),
        "{log}"
    );
}

#[test]
fn a_name_without_a_service_is_refused_with_the_reason() {
    let server = serve("");
    let mut wire = server.connect();
    wire.send_frame(&message(CALL, "get", 1, "a1"));
    let reply = String::from_utf8_lossy(&wire.read_frame()).into_owned();
    assert!(
        reply.contains("this server has several services"),
        "{reply}"
    );
    wire.send_frame(&message(CALL, "Orders:get", 2, "a1"));
    let reply = wire.read_frame();
    // The reply has the method's name alone, as multiplexed clients expect it.
    assert!(
        reply.starts_with(&bytes("80 01 00 02 00 00 00 03 'get' 00 00 00 02")),
        "{reply:?}"
    );
}

#[test]
fn a_listener_may_be_for_one_service() {
    let mut server = serve("listeners = [{ listen = \"127.0.0.1:0\", service = \"Orders\" }]");
    let port = server.next_port();
    let mut wire = crate::support::Wire::connect(port);
    for name in ["get", "Orders:get"] {
        wire.send_frame(&message(CALL, name, 1, "a1"));
        let reply = wire.read_frame();
        assert!(
            reply.starts_with(&bytes("80 01 00 02 00 00 00 03 'get'")),
            "{reply:?}"
        );
    }
    wire.send_frame(&message(CALL, "Catalog:get", 1, "a1"));
    let reply = String::from_utf8_lossy(&wire.read_frame()).into_owned();
    assert!(reply.contains("call.unknown_method"), "{reply}");
    // The `Tributary` service tells of that service only.
    let reply = call_json_at(port, "get", r#"{"code": "a1"}"#).expect("a reply");
    assert_eq!(reply, r#"{"code":"a1","count":3}"#);
    let other =
        call_json_at(port, "Catalog:get", r#"{"id": 7}"#).expect_err("it is not served here");
    assert!(other.to_string().contains("`Catalog`"), "{other}");
    // The first address serves both.
    let reply = call_json_at(server.addr, "Catalog:get", r#"{"id": 7}"#).expect("a reply");
    assert_eq!(reply, r#"{"id":7,"title":"lamp"}"#);
}

#[test]
fn the_built_in_service_tells_of_all() {
    let server = serve("");
    let addr = server.addr.to_string();
    let call = |words: &[&str]| {
        let base = ["call", "--addr", &addr, "--service", "Tributary"];
        let text = done(server.folder(), &[&base[..], words].concat());
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    let described = call(&["describe"]);
    let other = &described["others"][0];
    assert_eq!(described["service_name"], "Catalog");
    assert_eq!(other["service_name"], "Orders");
    // Each has its own `Item`.
    let own = |description: &serde_json::Value, name: &str, field: &str| {
        let types = description["types"].as_array().expect("types");
        let of = types
            .iter()
            .find(|of| of["name"] == name)
            .expect("it is there");
        of["fields"][0]["name"] == field
    };
    assert!(own(&described, "catalog.Item", "id") && own(other, "orders.Item", "code"));
    assert_eq!(call(&["idl"])["others"][0]["root"], "orders.thrift");
    let fetched = call(&["fetch", "view=Orders:get", "params.code=a1"]);
    assert_eq!(fetched["count"], 3, "{fetched}");
    let explained = call(&["explain", "method=find"]);
    let signature = explained["signature"].as_str().expect("text");
    assert!(signature.starts_with("Orders:find(code)"), "{signature}");
    let ambiguous = [
        "call",
        "--addr",
        &addr,
        "--service",
        "Tributary",
        "explain",
        "method=get",
    ];
    refused(
        server.folder(),
        &ambiguous,
        1,
        "did you mean `Catalog:get` or `Orders:get`?",
    );
}

#[test]
fn commands_tell_the_services_apart() {
    let server = serve("");
    let (folder, addr) = (server.folder(), server.addr.to_string());
    let checked = done(folder, &["check"]);
    assert_eq!(
        checked,
        "Catalog:get: 1 lookup in 1 stage, deadline 1s\n\
         Orders:get: 1 lookup in 1 stage, deadline 1s\n\
         Orders:find: 1 lookup in 1 stage, deadline 1s\n\
         unserved: Catalog:hidden\n"
    );
    let explained = done(folder, &["explain", "Orders:get"]);
    assert!(
        explained.starts_with("Orders:get(code) returns orders.Item"),
        "{explained}"
    );
    refused(
        folder,
        &["explain", "get"],
        2,
        "`Catalog:get`, `Orders:get`",
    );
    let config = [
        "-c",
        "tributary.toml",
        "--addr",
        &addr,
        "Catalog:get",
        "id=7",
    ];
    let reply = done(folder, &[&["call"], &config[..]].concat());
    assert_eq!(flat(&reply), r#"{"id":7,"title":"lamp"}"#);
    let direct = [
        "call",
        "--addr",
        &addr,
        "--idl",
        "orders.thrift",
        "Orders:get",
        "code=a1",
    ];
    assert_eq!(flat(&done(folder, &direct)), r#"{"code":"a1","count":3}"#);
    let bench = [
        "bench",
        "--addr",
        &addr,
        "--requests",
        "20",
        "--warmup",
        "0s",
        "--verify",
        "--format",
        "json",
    ];
    let measured = done(folder, &[&bench[..], &["Orders:get", "code=a1"]].concat());
    let measured: serde_json::Value = serde_json::from_str(&measured).expect("JSON");
    assert_eq!(measured["calls"], 20, "{measured}");
    let compared = done(
        folder,
        &["compare", "-n", "1", "--addr", &addr, "Catalog:get", "id=7"],
    );
    assert!(compared.contains("the replies are equal"), "{compared}");
}
