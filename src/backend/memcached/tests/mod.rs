//! Tests against real memcached servers, started by the test on free ports, and against ones that misbehave.

mod accounts;
mod config;
mod misbehaving;
mod outages;
mod values;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command as Process, Stdio};

use tokio::time::timeout;

use super::*;
use crate::backend::net::Counts;
use crate::backend::testing;
use crate::value::Value;

/// A server of the test's own; killed when it goes out of scope.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts one on any free port.
    fn start() -> Self {
        // The port may be taken by another test between finding it and binding it.
        (0..10)
            .find_map(|_| Server::start_on(free_port()))
            .expect("memcached does not start")
    }

    /// Starts one on `port`; `None` if that is taken.
    fn start_on(port: u16) -> Option<Self> {
        Server::start_at(&["-l", "127.0.0.1", "-p", &port.to_string()], port)
    }

    /// Starts one and waits until it says that it listens; `None` if it ends instead.
    fn start_at(place: &[&str], port: u16) -> Option<Self> {
        let mut child = Process::new("memcached")
            .args(place)
            .args(["-U", "0", "-u", "root", "-t", "1", "-I", "4m", "-vv"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("install the Debian package `memcached`");
        let output = BufReader::new(child.stderr.take().expect("piped"));
        let listens = output
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("server listening"));
        let server = Server { child, port };
        listens.then_some(server)
    }

    fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stores values past the backend.
    fn set(&self, pairs: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let mut stream = BufReader::new(TcpStream::connect(self.addr()).expect("it listens"));
        for (key, value) in pairs {
            let mut command = format!("set {key} 0 0 {}\r\n", value.len()).into_bytes();
            command.extend(value);
            command.extend(b"\r\n");
            stream.get_mut().write_all(&command).expect("it reads");
            let mut line = String::new();
            stream.read_line(&mut line).expect("it answers");
            assert_eq!(line, "STORED\r\n", "{key}");
        }
    }

    /// A number from its statistics.
    fn stat(&self, name: &str) -> u64 {
        let mut stream = BufReader::new(TcpStream::connect(self.addr()).expect("it listens"));
        stream.get_mut().write_all(b"stats\r\n").expect("it reads");
        let prefix = format!("STAT {name} ");
        let mut lines = stream.lines().map_while(Result::ok);
        let number = lines.find_map(|line| line.strip_prefix(&prefix)?.parse().ok());
        number.expect("a statistic of that name")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("kill memcached");
        self.child.wait().expect("wait for memcached");
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// A backend of these servers with further keys.
async fn backend_with(addrs: &[String], keys: &str) -> Memcached {
    let config = testing::config::<Memcached>(&format!("servers = {addrs:?}\n{keys}"));
    Memcached::connect(
        &config.expect("a valid configuration"),
        &[],
        &crate::backend::OnLoop::default(),
    )
    .await
}

/// A backend that waits as long as a busy machine may need.
async fn backend(addrs: &[String]) -> Memcached {
    backend_with(addrs, "answer_timeout = '20s'\nconnect_timeout = '20s'").await
}

/// A lookup with these keys.
fn compiled(keys: &str) -> Compiled<Get> {
    let config = testing::config::<Memcached>("servers = ['127.0.0.1:1']").expect("valid");
    testing::lookup::<Memcached>(&config, keys).expect("a lookup")
}

/// Asks for one value.
async fn ask(memcached: &Memcached, keys: &str, params: &[Value]) -> Result<Value, Code> {
    let get = compiled(keys).lookup;
    ask_many(memcached, &get, &[params]).await.remove(0)
}

/// Asks for several together.
async fn ask_many<'a>(
    memcached: &Memcached,
    get: &'a Get,
    params: &[&'a [Value]],
) -> Vec<Result<Value, Code>> {
    let asked = |params: &&'a [Value]| BatchedAsk {
        lookup: get,
        params,
    };
    let asked: Vec<_> = params.iter().map(asked).collect();
    let answers = timeout(
        Duration::from_mins(1),
        Answers::collect(asked.len(), async |answers| {
            memcached.lookup_many(&asked, answers).await;
        }),
    )
    .await;
    let answers = answers.expect("lookups end");
    assert_eq!(answers.len(), params.len(), "one answer each");
    let value = |answer: Result<Answer, LookupError>| {
        answer.map(|answer| answer.value).map_err(|err| err.code)
    };
    answers.into_iter().map(value).collect()
}

/// Asks for `k:0` up to `k:{count}`.
async fn ask_range(memcached: &Memcached, count: i64) -> Vec<Result<Value, Code>> {
    let params: Vec<[Value; 1]> = (0..count).map(|n| [Value::I64(n)]).collect();
    let params: Vec<&[Value]> = params.iter().map(|params| &params[..]).collect();
    ask_many(memcached, &compiled("get = 'k:{n}'").lookup, &params).await
}

/// Waits until the connections to the server at `at` are as `wanted`.
async fn until(memcached: &Memcached, at: usize, wanted: impl FnMut(&Counts) -> bool) {
    memcached.servers[at].pool.until(wanted).await;
}

fn is_down(counts: &Counts) -> bool {
    counts.up + counts.connecting == 0
}

/// Stores `value n` at `k:{n}` on the server that the ring gives the key to; says which.
fn spread(memcached: &Memcached, servers: &[Server], count: i64) -> Vec<usize> {
    let place = |n| memcached.ring.server(format!("k:{n}").as_bytes());
    let places: Vec<usize> = (0..count).map(place).collect();
    for (at, server) in servers.iter().enumerate() {
        let own = (0..count).zip(&places).filter(|(_, place)| **place == at);
        server.set(own.map(|(n, _)| (format!("k:{n}"), format!("value {n}").into_bytes())));
    }
    places
}
