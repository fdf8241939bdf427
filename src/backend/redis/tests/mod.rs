//! Tests against a real `redis-server`, started by the test on a free port.

mod cluster;
mod behind_nat;
mod commands;
mod config;
mod outages;
mod replicas;
mod sentinel;
mod tracked;
mod slots;
mod tls;

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::resp::{Reply, put_command};
use super::*;
use crate::backend::net::{self, Counts};
use crate::config::{document, whole};
use crate::context::Context;
use crate::error::Code;
use crate::value::Value;

/// A server of the test's own; killed when it goes out of scope.
struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts one on any free port.
    fn start() -> Self {
        // The port may be taken by another test between finding it and binding it.
        (0..10)
            .find_map(|_| Server::start_on(free_port()))
            .expect("redis-server does not start")
    }

    /// Starts one on `port` and waits until it says that it is ready; `None` if it ends instead.
    fn start_on(port: u16) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Server::start_in(folder, port, &[])
    }

    /// As [`Server::start_on`], with a folder and more options.
    fn start_in(folder: tempfile::TempDir, port: u16, options: &[&str]) -> Option<Self> {
        let mut child = Process::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("install redis-server");
        let ready = says(&mut child, "Ready to accept");
        let server = Server {
            child,
            port,
            folder,
        };
        ready.then_some(server)
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Runs a command past the backend.
    async fn run(&self, words: &[&str]) -> Reply {
        let reply = self.try_run(words).await;
        assert!(!matches!(reply, Reply::Error(_)), "{words:?}: {reply:?}");
        reply
    }

    /// As [`Server::run`], for a command that may be refused.
    async fn try_run(&self, words: &[&str]) -> Reply {
        let server = server::Server::parse(&self.url()).expect("a URL");
        let connection = Connection::start(
            server,
            Duration::from_secs(10),
            &crate::backend::OnLoop::default(),
        );
        command(&connection, words).await
    }

    /// As [`Server::run`], for a command that is answered with text.
    async fn text(&self, words: &[&str]) -> String {
        let Reply::String(text) = self.run(words).await else {
            panic!("{words:?} is answered with text")
        };
        String::from_utf8(text.to_vec()).expect("text")
    }
}

/// The reply to one command. A server that is made the master closes its connections, so it is asked again.
async fn command(connection: &Connection, words: &[&str]) -> Reply {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let mut packed = Vec::new();
    put_command(&mut packed, &words);
    let mut lost = None;
    for _ in 0..100 {
        match connection.ask(&packed, 1).await {
            Ok(mut replies) => return replies.remove(0),
            Err(err) => lost = Some(err),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{lost:?}")
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("kill redis-server");
        self.child.wait().expect("wait for redis-server");
    }
}

/// Waits until a process says `word`; false if it ends before. What it says later is thrown away.
fn says(child: &mut Child, word: &str) -> bool {
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let mut lines = output.lines().map_while(Result::ok);
    let found = lines.any(|line| line.contains(word));
    std::thread::spawn(move || lines.for_each(drop));
    found
}

/// Sends a signal by its name to a process of the test's own.
fn signal(process: &Child, name: &str) {
    let kill = format!("kill -{name} {}", process.id());
    let status = Process::new("sh").args(["-c", &kill]).status();
    assert!(status.expect("every system has a shell").success());
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// A backend of one connection to `url`.
async fn backend(url: &str) -> Redis {
    configured(&format!("url = \"{url}\"")).await
}

/// A backend with these keys.
async fn configured(keys: &str) -> Redis {
    let document = document(keys);
    let config = Redis::read_config(&mut whole(&document)).expect("a valid configuration");
    Redis::connect(&config, &[], &crate::backend::OnLoop::default()).await
}

/// A lookup with these keys.
pub(super) fn compiled(keys: &str) -> Compiled<Command> {
    let document = document(keys);
    let mut section = whole(&document);
    let compiled = Command::read(&mut section);
    section.finish();
    let problems: Vec<String> = document
        .problems
        .into_vec()
        .iter()
        .map(|problem| problem.render(false))
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    compiled.expect("a lookup")
}

/// Asks with these parameters, in the order in which the lookup mentions them.
async fn ask(redis: &Redis, keys: &str, params: &[Value]) -> Result<Value, Code> {
    ask_compiled(redis, &compiled(keys).lookup, params).await
}

async fn ask_compiled(redis: &Redis, command: &Command, params: &[Value]) -> Result<Value, Code> {
    let now = Instant::now();
    let deadline = now + Duration::from_secs(5);
    let context = Context::new(now, deadline);
    let ask = Ask {
        params,
        context: &context,
        deadline,
        allowed: Duration::ZERO,
        step: 0,
    };
    let answer = timeout(Duration::from_secs(10), redis.lookup(command, ask)).await;
    answer
        .expect("a lookup ends")
        .map(|answer| answer.value)
        .map_err(|err| err.code)
}

/// Asks several as one batch.
async fn ask_all(redis: &Redis, command: &Command, all: &[Value]) -> Vec<Result<Value, Code>> {
    let asked: Vec<_> = all
        .iter()
        .map(|param| BatchedAsk {
            lookup: command,
            params: std::slice::from_ref(param),
        })
        .collect();
    let answers = timeout(
        Duration::from_secs(10),
        Answers::collect(asked.len(), async |answers| {
            redis.lookup_many(&asked, answers).await;
        }),
    )
    .await;
    let answers = answers.expect("a batch ends").into_iter();
    answers
        .map(|answer| answer.map(|answer| answer.value).map_err(|err| err.code))
        .collect()
}

/// Waits until `done`; only a failure waits for long.
async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waited = timeout(Duration::from_secs(30), async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Waits until the first connection is as `wanted`.
async fn until(redis: &Redis, wanted: impl FnMut(&Counts) -> bool) {
    let first = Rc::clone(redis.connections[0].availability());
    net::until(&[first], wanted).await;
}
