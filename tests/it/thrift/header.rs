//! The headers sent along with a call: to Apache's library, and through another Tributary.

use serde_json::json;

use super::apache::STOCK;
use super::call;
use crate::support::{Stock, Tributary, free_port, stubs};

const FRONT: &str = "
include 'tributary.thrift'
struct Headers { 1: string id, 2: string trace, 3: string budget, 4: string none, 5: string cover }
service Front { Headers headers(1: tributary.Context context) }";

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn front(port: u16, keys: &str) -> String {
    format!(
        r#"
[server]
idl = "front.thrift"

[backends.stock]
kind = "thrift"
url = "thrift://127.0.0.1:{port}"
idl = "stock.thrift"
service = "Stock"
transport = "header"
{keys}

[lookups.header]
backend = "stock"
call = "header"

[lookups.cover]
backend = "stock"
call = "cover"

[views.headers]
deadline = "30s"

[views.headers.lookups]
id = {{ use = "header", with = {{ name = {{ value = "request-id" }} }} }}
trace = {{ use = "header", with = {{ name = {{ value = "traceparent" }} }} }}
budget = {{ use = "header", with = {{ name = {{ value = "Deadline-Budget" }} }} }}
none = {{ use = "header", with = {{ name = {{ value = "tracestate" }} }} }}
cover = {{ use = "cover", with = {{ title = {{ value = "Emma" }} }} }}
"#
    )
}

/// A server in front of the service on `port` replies with the headers that the service received.
fn tells_the_headers(port: u16, keys: &str) {
    let files = [("front.thrift", FRONT), ("stock.thrift", STOCK)];
    let server = Tributary::start(&front(port, keys), &files);
    let context = json!({ "request_id": "r-1", "traceparent": TRACE, "budget_ms": 20_000 });
    let context = json!({ "context": context });
    let told = call(&server, &["headers", "--json", &context.to_string()]);
    assert_eq!(told["id"], "r-1", "{told}");
    assert_eq!(told["trace"], TRACE, "{told}");
    assert_eq!(told["none"], json!(null), "{told}");
    assert_eq!(told["cover"], "cover of Emma", "{told}");
    let budget = told["budget"]
        .as_str()
        .and_then(|budget| budget.parse().ok());
    // Two milliseconds at least are kept for the reply.
    assert!(budget.is_some_and(|budget: u64| budget <= 19_998), "{told}");
}

#[test]
fn binary() {
    of_apache("binary");
}

#[test]
fn compact() {
    of_apache("compact");
}

fn of_apache(protocol: &str) {
    let stubs = stubs("tests/clients/stock.thrift");
    let port = free_port();
    let _stock = Stock::start(port, ["header", protocol, "plain"], stubs.path());
    for pipelined_max in [1, 8] {
        let keys = format!("protocol = '{protocol}'\npipelined_max = {pipelined_max}");
        tells_the_headers(port, &keys);
    }
}

/// The server in the middle takes the context from the headers and passes it on in its own headers.
#[test]
fn through_another_tributary() {
    let middle = "
[server]
idl = 'stock.thrift'
unserved = ['find', 'all', 'count', 'touch', 'caller', 'fail']

[views.header]
deadline = '20s'

[views.header.lookups]
header = { into = '.' }

[views.cover.lookups]
cover = { into = '.' }
";
    let stubs = stubs("tests/clients/stock.thrift");
    let port = free_port();
    let _stock = Stock::start(port, ["header", "binary", "plain"], stubs.path());
    // Like the one in front, without its views.
    let behind = front(port, "");
    let (_, behind) = behind.split_once("[backends.stock]").expect("a backend");
    let (behind, _) = behind.split_once("[views.headers]").expect("a view");
    let config = format!("{middle}\n[backends.stock]{behind}");
    let middle = Tributary::start(&config, &[("stock.thrift", STOCK)]);
    tells_the_headers(middle.addr.port(), "protocol = 'compact'");
}
