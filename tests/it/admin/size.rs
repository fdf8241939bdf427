//! How long a scrape of a large service is.

use std::fmt::Write as _;
use std::fs;

use tributary::cli::call_json;
use tributary::server::Server;

use super::get;
use super::scrape::Scrape;

const METHODS: usize = 300;
/// Prometheus keeps every line of every scrape.
const BYTES_MAX: usize = 500_000;

#[test]
fn a_scrape_of_three_hundred_methods_with_three_lookups_each_is_short() {
    let mut idl = String::from(
        "struct Item { 1: string item, 2: string price, 3: string stock }\nservice Items {\n",
    );
    let mut config = String::from(
        "[server]\nidl = 'items.thrift'\nlisten = '127.0.0.1:0'\n[admin]\nlisten = '127.0.0.1:0'\n\
         [backends.items]\nkind = 'file'\npath = 'items.csv'\n",
    );
    for n in 0..METHODS {
        writeln!(idl, "  Item getItem{n}(1: string id)").expect("text");
        for name in ["item", "price", "stock"] {
            let keys = "backend = 'items'\nkey = { id = '{id}' }\nrows = 'one'\ncolumns = ['name']";
            writeln!(config, "[lookups.{name}{n}]\n{keys}").expect("text");
        }
        writeln!(config, "[views.getItem{n}.lookups]").expect("text");
        for name in ["item", "price", "stock"] {
            writeln!(config, "{name} = {{ use = '{name}{n}' }}").expect("text");
        }
    }
    idl.push('}');
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in [
        ("items.thrift", &*idl),
        ("tributary.toml", &config),
        ("items.csv", "id,name\n1,one\n"),
    ] {
        fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    let server = Server::new(folder.path().join("tributary.toml")).spawn();
    let server = server.expect("it starts");
    for n in 0..METHODS {
        let method = format!("getItem{n}");
        call_json(server.addr(), server.program(), &method, r#"{"id": "1"}"#).expect("a reply");
    }
    let (_, body) = get(server.admin_addr().expect("an admin port"), "/metrics");
    let scrape = Scrape::read(&body);
    let calls = scrape.sum("tributary_calls_total", &[("outcome", "ok")]);
    assert_eq!(calls, METHODS);
    let lines = body.lines().count();
    println!("{} bytes in {lines} lines", body.len());
    assert!(
        body.len() <= BYTES_MAX,
        "{} bytes, {lines} lines",
        body.len()
    );
    server.stop().expect("it ends well");
}
