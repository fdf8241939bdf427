//! The admin port: what a scrape shows after a scripted load, probes while a loop is stuck and while the server
//! drains, and requests that nobody means well with.

mod hostile;
mod scrape;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tributary::backend::LookupError;
use tributary::cli::call_json;
use tributary::error::Code;
use tributary::server::{Running, Server};
use tributary::value::Value;

use scrape::Scrape;

const IDL: &str = r"
struct Page { 1: string a, 2: string b, 3: string c, 4: string d }
struct Box { 1: required string code }
service Pages {
  Page page(1: string code)
  Box box(1: string code)
  string wait()
}
";

const CONFIG: &str = r#"
[server]
idl = "pages.thrift"
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"

[backends.airports]
kind = "file"
path = "airports.csv"

[lookups.name]
backend = "airports"
key = { code = "{code}" }
rows = "one"
columns = ["name"]

[views.page.lookups]
a = { use = "name" }
b = { use = "name", default = "none" }
c = { use = "fails" }
d = { use = "name", with = { code = "c" } }

[views.box.lookups]
code = { use = "name", required = true }

[views.wait.lookups]
it = "blocks"
"#;

/// A server in this process, and the folder it reads.
struct Served {
    server: Running,
    admin: SocketAddr,
    /// Ends the call of `wait` that is on the loop.
    release: Sender<()>,
    /// Tells that the loop is stuck.
    stuck: Receiver<()>,
    _folder: TempDir,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("the folder is ours");
        };
        write("pages.thrift", IDL);
        write("tributary.toml", CONFIG);
        write("airports.csv", "code,name\nJFK,Kennedy\nLAX,Los Angeles\n");
        let (release, released) = channel();
        let (sticks, stuck) = channel();
        let channels = Arc::new(Mutex::new((sticks, released)));
        let server = Server::new(folder.path().join("tributary.toml"))
            .lookup("fails", &[], async |_| {
                Err(LookupError::new(Code::LookupRefused, "always"))
            })
            .lookup("blocks", &[], move |_| {
                let (sticks, released) = &*channels.lock().expect("nobody panics with it");
                sticks.send(()).expect("the test listens");
                // What a closure on the loop must not do.
                released.recv().expect("the test lets go");
                async { Ok(Value::from("done")) }
            })
            .spawn()
            .expect("it starts");
        let admin = server.admin_addr().expect("an admin port");
        Served {
            server,
            admin,
            release,
            stuck,
            _folder: folder,
        }
    }

    /// Calls with a JSON object, on a connection of its own.
    fn call(&self, method: &str, params: &str) -> Result<String, String> {
        call_json(self.server.addr(), self.server.program(), method, params)
            .map_err(|err| err.to_string())
    }

    /// Calls `wait` on a thread of its own; when this returns, the loop is stuck.
    fn get_stuck(&self) -> thread::JoinHandle<Result<String, String>> {
        let (addr, program) = (self.server.addr(), Arc::clone(self.server.program()));
        let calling = thread::spawn(move || {
            call_json(addr, &program, "wait", "{}").map_err(|err| err.to_string())
        });
        self.stuck
            .recv_timeout(PATIENCE)
            .expect("the loop runs the closure");
        calling
    }

    fn scrape(&self) -> Scrape {
        let (head, body) = get(self.admin, "/metrics");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(
            head.contains("application/openmetrics-text; version=1.0.0"),
            "{head}"
        );
        Scrape::read(&body)
    }
}

/// Only a failure ever waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The head and the body of the answer to a GET.
fn get(addr: SocketAddr, path: &str) -> (String, String) {
    ask(addr, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
}

fn status(addr: SocketAddr, path: &str) -> u16 {
    status_of(&get(addr, path).0)
}

#[track_caller]
fn status_of(head: &str) -> u16 {
    let word = head.split(' ').nth(1).unwrap_or_default();
    word.parse()
        .unwrap_or_else(|_| panic!("no status: {head:?}"))
}

/// Sends these bytes and reads to the end, which the server makes after one answer.
fn ask(addr: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).expect("the port is open");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    // A server that refuses early may close before it has read all.
    let _sent = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _end = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_owned(), body.to_owned())
}

#[test]
fn a_scrape_counts_exactly_what_was_called() {
    let served = Served::start();
    for code in ["JFK", "LAX", "XXX"] {
        served
            .call("page", &format!(r#"{{"code":"{code}"}}"#))
            .expect("nothing of it is required");
    }
    served
        .call("box", r#"{"code":"JFK"}"#)
        .expect("it is there");
    served
        .call("box", r#"{"code":"XXX"}"#)
        .expect_err("it is required");

    let scrape = served.scrape();
    let calls = |method: &str, outcome: &str| {
        scrape.number(
            "tributary_calls_total",
            &[("method", method), ("outcome", outcome)],
        )
    };
    assert_eq!(calls("page", "ok"), 3.0);
    assert_eq!(calls("box", "ok"), 1.0);
    assert_eq!(calls("box", "call.required_empty"), 1.0);
    assert_eq!(calls("_OTHER", "call.unknown_method"), 0.0);
    let fates = |lookup: &str, fate: &str| {
        let labels = [("method", "page"), ("lookup", lookup), ("fate", fate)];
        scrape.number("tributary_lookups_total", &labels)
    };
    assert_eq!((fates("a", "ok"), fates("a", "empty")), (2.0, 1.0));
    assert_eq!((fates("b", "ok"), fates("b", "default")), (2.0, 1.0));
    assert_eq!(fates("c", "error"), 3.0);
    assert_eq!(fates("d", "skipped_dependency"), 3.0);
    for (method, lookups) in [("page", 12.0), ("box", 2.0)] {
        let of = [("method", method)];
        assert_eq!(
            scrape.number("tributary_lookups_planned_total", &of),
            lookups
        );
        assert_eq!(scrape.sum("tributary_lookups_total", &of), lookups);
    }
    assert_eq!(scrape.sum("tributary_lookup_answers_total", &[]), 14.0);
    let durations = |backend: &str, lookup: &str| {
        let labels = [("backend", backend), ("lookup", lookup)];
        scrape.number("tributary_lookup_duration_seconds_count", &labels)
    };
    assert_eq!(durations("airports", "name"), 8.0);
    assert_eq!(durations("code", "fails"), 3.0);
    let page = [("method", "page")];
    assert_eq!(
        scrape.number("tributary_call_duration_seconds_count", &page),
        3.0
    );
    assert_eq!(scrape.number("tributary_calls_in_flight", &[]), 0.0);
    assert_eq!(
        scrape.number("tributary_connections_accepted_total", &[]),
        5.0
    );
    assert_eq!(scrape.number("tributary_draining", &[]), 0.0);
    served.server.stop().expect("it ends well");
}

#[test]
fn fates_add_up_when_a_client_hangs_up() {
    let served = Served::start();
    let stuck = served.get_stuck();
    // Its call is read when the loop goes on, together with the end of the connection.
    let mut wire = TcpStream::connect(served.server.addr()).expect("the port is open");
    let message = crate::calls::message(1, "page", 1, "JFK");
    let len = u32::try_from(message.len()).expect("a small message");
    wire.write_all(&[&len.to_be_bytes(), &message[..]].concat())
        .expect("it is buffered");
    drop(wire);
    served.release.send(()).expect("the closure waits");
    stuck.join().expect("no panic").expect("it is answered");
    served
        .call("page", r#"{"code":"LAX"}"#)
        .expect("it is there");
    let planned = served.scrape();
    assert_eq!(
        planned.sum("tributary_lookups_planned_total", &[]),
        planned.sum("tributary_lookups_total", &[]),
    );
    assert_eq!(planned.number("tributary_calls_in_flight", &[]), 0.0);
    served.server.stop().expect("it ends well");
}

#[test]
fn the_port_answers_while_the_loop_is_stuck() {
    let served = Served::start();
    assert_eq!(status(served.admin, "/livez"), 200);
    let stuck = served.get_stuck();
    let scrape = served.scrape();
    assert_eq!(scrape.number("tributary_calls_in_flight", &[]), 1.0);
    // A stuck loop's heartbeat only grows older.
    let loop_0 = [("loop", "0")];
    while served
        .scrape()
        .number("tributary_loop_heartbeat_age_seconds", &loop_0)
        < 0.2
    {}
    let (head, body) = get(served.admin, "/livez");
    assert_eq!(status_of(&head), 200, "ten seconds are not over");
    let age = body
        .strip_prefix("loop 0: ok, last heartbeat ")
        .and_then(|rest| rest.strip_suffix(" ms ago\n")?.parse::<u64>().ok());
    assert!(age.is_some_and(|age| age >= 200), "{body}");
    served.release.send(()).expect("the closure waits");
    assert_eq!(stuck.join().expect("no panic").as_deref(), Ok("\"done\""));
    // The loop noted how late it was, once its timer had its turn.
    while served
        .scrape()
        .number("tributary_loop_lag_max_seconds", &loop_0)
        < 0.1
    {}
    served.server.stop().expect("it ends well");
}

#[test]
fn who_drains_is_not_ready_at_once_and_finishes_what_is_in_flight() {
    let served = Served::start();
    assert_eq!(status(served.admin, "/readyz"), 200);
    let stuck = served.get_stuck();
    served.server.drain();
    let (head, body) = get(served.admin, "/readyz");
    assert_eq!((status_of(&head), body.as_str()), (503, "draining\n"));
    assert_eq!(served.scrape().number("tributary_draining", &[]), 1.0);
    served.release.send(()).expect("the closure waits");
    assert_eq!(stuck.join().expect("no panic").as_deref(), Ok("\"done\""));
    let admin = served.admin;
    served.server.stop().expect("it ends well");
    assert!(
        TcpStream::connect(admin).is_err(),
        "the port ends with the server"
    );
}

#[test]
fn readme_lists_the_metrics_of_a_scrape() {
    let served = Served::start();
    let mut shown = served.scrape().names();
    served.server.stop().expect("it ends well");
    let readme = include_str!("../../../README.md");
    let (_, table) = readme.split_once("\n### Metrics\n").expect("its section");
    let (table, _) = table.split_once("\n#").unwrap_or((table, ""));
    let mut documented: Vec<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    shown.sort();
    documented.sort();
    assert_eq!(documented, shown);
}
