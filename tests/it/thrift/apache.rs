//! A service on Apache's Python library as a store, in every transport and protocol.

use serde_json::{Value as Json, json};

use super::{call, fates};
use crate::support::{Stock, Tributary, free_port, stubs};

/// The IDL of callers differs from the service's: an i64 year, another enum, a struct for the union, fewer fields.
const FRONT: &str = "
include 'tributary.thrift'
enum State { NEW = 1, USED = 2, LOST = 3 }
struct Size { 1: optional i64 pages, 2: optional string words }
struct Book {
  7: required string title
  6: optional i64 year
  5: optional State state
  4: optional double price
  3: optional Size size
  2: optional set<string> tags
  1: optional map<string, double> sold
}
struct Page {
  1: optional Book book
  2: optional list<Book> others
  3: optional i64 count
  4: optional string cover
  5: optional string touched
  6: optional string failed
  7: optional tributary.Report report
}
service Front { Page page(1: string title, 2: State state, 3: i32 limit) }";

pub(super) fn config(port: u16, keys: &str) -> String {
    format!(
        r#"
[server]
idl = "front.thrift"

[backends.stock]
kind = "thrift"
url = "thrift://127.0.0.1:{port}"
idl = "stock.thrift"
{keys}

[lookups.book]
backend = "stock"
call = "find"
empty_on = ["NotFound"]

[lookups.others]
backend = "stock"
call = "all"

[lookups.count]
backend = "stock"
call = "count"

[lookups.cover]
backend = "stock"
call = "cover"

[lookups.touched]
backend = "stock"
call = "touch"

[lookups.failed]
backend = "stock"
call = "fail"

[views.page]
report = true
deadline = "30s"

[views.page.lookups]
book = "book"
others = "others"
count = "count"
cover = "cover"
touched = "touched"
failed = "failed"
"#
    )
}

pub(super) const STOCK: &str = include_str!("../../clients/stock.thrift");

#[test]
fn framed_binary() {
    serves_pages("framed", "binary", "plain");
}

#[test]
fn framed_compact_multiplexed() {
    serves_pages("framed", "compact", "multiplexed");
}

#[test]
fn unframed_binary_multiplexed() {
    serves_pages("unframed", "binary", "multiplexed");
}

#[test]
fn unframed_compact() {
    serves_pages("unframed", "compact", "plain");
}

fn serves_pages(transport: &str, protocol: &str, plain: &str) {
    let stubs = stubs("tests/clients/stock.thrift");
    let port = free_port();
    let _stock = Stock::start(port, [transport, protocol, plain], stubs.path());
    let multiplexed = plain == "multiplexed";
    for pipelined_max in [1, 8] {
        let keys = format!(
            "transport = '{transport}'\nprotocol = '{protocol}'\nmultiplexed = {multiplexed}\n\
             pipelined_max = {pipelined_max}\nconnections = 2"
        );
        let files = [("front.thrift", FRONT), ("stock.thrift", STOCK)];
        let server = Tributary::start(&config(port, &keys), &files);
        is_whole(&server);
        is_partly_empty(&server);
    }
}

fn page(server: &Tributary, title: &str) -> (Json, Vec<(String, String, String)>) {
    let title = format!("title={title}");
    let mut page = call(server, &["page", &title, "state=USED", "limit=2"]);
    let fates = fates(&page);
    page.as_object_mut().expect("a struct").remove("report");
    (page, fates)
}

fn is_whole(server: &Tributary) {
    let (page, fates) = page(server, "Emma");
    let expected = json!({
        "book": {
            "title": "Emma", "year": 1815, "state": "USED", "price": 12.5,
            "size": { "words": "4 letters" },
            "tags": ["novel", "Emma"],
            "sold": { "London": 3.0, "Emma": 4.0 },
        },
        "others": [{ "title": "USED 0" }, { "title": "USED 1" }],
        "count": 1_099_511_627_778_i64,
        "cover": "cover of Emma",
    });
    assert_eq!(page, expected);
    let expected = [
        ("book", "ok", "-"),
        ("others", "ok", "-"),
        ("count", "ok", "-"),
        ("cover", "ok", "-"),
        ("touched", "empty", "-"),
        ("failed", "error", "lookup.failed"),
    ];
    same(&fates, &expected);
}

/// What the service does not have is empty; other exceptions are errors.
fn is_partly_empty(server: &Tributary) {
    let (_, fates) = page(server, "no such book");
    same(&fates[..1], &[("book", "empty", "-")]);
    let (_, fates) = page(server, "closed for today");
    same(&fates[..1], &[("book", "error", "lookup.threw")]);
    let (page, fates) = page(server, " ");
    same(&fates[3..4], &[("cover", "empty", "-")]);
    assert_eq!(page["book"]["title"], " ");
}

#[track_caller]
fn same(fates: &[(String, String, String)], expected: &[(&str, &str, &str)]) {
    let fates: Vec<_> = fates
        .iter()
        .map(|(name, fate, code)| (&**name, &**fate, &**code))
        .collect();
    assert_eq!(fates, expected);
}
