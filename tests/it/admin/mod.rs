//! The admin port: scrapes after a scripted load, probes while a loop is stuck or the server drains, hostile requests.

mod certificates;
mod command; // `tributary health`
mod counts;
mod hostile;
mod probes;
mod secure; // over TLS
mod size;
mod shown; // to browsers
mod trying; // calls
pub(crate) mod scrape; // the reader they share

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
#[expect(
    clippy::disallowed_types,
    reason = "a closure of the library has to be `Sync`"
)]
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
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
  Page slow(1: string code)
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

[lookups.never]
backend = "airports"
rows = "one"
inject = { delay = "1h" }

[views.slow]
deadline = "1h"
[views.slow.lookups]
a = { use = "name" }
b = { use = "never" }

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

/// A server in this process, and its folder.
struct Served {
    server: Running,
    admin: SocketAddr,
    /// Ends the call of `wait` that blocks the loop.
    release: Sender<()>,
    /// Signals that the loop is stuck.
    stuck: Receiver<()>,
    _folder: TempDir,
}

impl Served {
    fn start() -> Self {
        Served::start_with(CONFIG)
    }

    fn start_with(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("the folder is ours");
        };
        write("pages.thrift", IDL);
        write("tributary.toml", config);
        write("airports.csv", "code,name\nJFK,Kennedy\nLAX,Los Angeles\n");
        let (release, released) = channel();
        let (sticks, stuck) = channel();
        #[expect(
            clippy::disallowed_types,
            reason = "a closure of the library has to be `Sync`"
        )]
        let channels = Arc::new(Mutex::new((sticks, released)));
        let server = Server::new(folder.path().join("tributary.toml"))
            .lookup("fails", &[], async |_| {
                Err(LookupError::new(Code::LookupRefused, "always"))
            })
            .lookup("blocks", &[], move |_| {
                let (sticks, released) = &*channels.lock().expect("no thread panics with it");
                sticks.send(()).expect("the test listens");
                // A closure on the loop must never do this.
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

    /// Calls with a JSON object, on a new connection.
    fn call(&self, method: &str, params: &str) -> Result<String, String> {
        call_json(self.server.addr(), self.server.program(), method, params)
            .map_err(|err| err.to_string())
    }

    /// Calls `wait` on a new thread; when this returns, the loop is stuck.
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
        scrape(self.admin)
    }
}

/// All counts of the server with this admin port.
#[track_caller]
pub(crate) fn scrape(admin: SocketAddr) -> Scrape {
    let (head, body) = get(admin, "/metrics");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        head.contains("application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    Scrape::read(&body)
}

/// Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks repeatedly until the answer is yes.
#[track_caller]
pub(crate) fn patiently(done: impl Fn() -> bool) {
    assert!(in_time(done), "it never came to that");
}

/// Like [`patiently`], for those who say themselves what is wrong.
pub(crate) fn in_time(done: impl Fn() -> bool) -> bool {
    let begun = tokio::time::Instant::now();
    loop {
        if done() {
            return true;
        }
        if begun.elapsed() >= PATIENCE {
            return false;
        }
    }
}

/// Head and body of the response to a GET.
pub(crate) fn get(addr: SocketAddr, path: &str) -> (String, String) {
    ask(
        addr,
        &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    )
}

fn status(addr: SocketAddr, path: &str) -> u16 {
    status_of(&get(addr, path).0)
}

#[track_caller]
pub(crate) fn status_of(head: &str) -> u16 {
    let word = head.split(' ').nth(1).unwrap_or_default();
    word.parse()
        .unwrap_or_else(|_| panic!("no status: {head:?}"))
}

/// Sends these bytes and reads until the server closes the connection after one response.
pub(crate) fn ask(addr: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).expect("the port is open");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    // A server that refuses early may close before it has read everything.
    let _sent = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _end = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_owned(), body.to_owned())
}
