//! Servers that keep no data when they end: Redis, memcached, an HTTP server and a Thrift server, each a process on one
//! port.

use std::path::Path;

use super::{Store, pairs};
use crate::support::{Memcached, PYTHON, Process, Redis, free_port, python};

/// Such a server.
pub(super) trait Server: Sized {
    const NAME: &'static str;
    const FORGETS: bool;
    fn config(port: u16) -> (String, String);
    /// Starts it with values; `None` when the port is taken.
    fn start_with(port: u16, generation: usize) -> Option<Self>;
    fn signal(&self, name: &str);
}

pub(super) struct OnPort<S> {
    port: u16,
    running: Option<S>,
}

impl<S> OnPort<S> {
    pub(super) fn new() -> Self {
        OnPort {
            port: free_port(),
            running: None,
        }
    }
}

impl<S: Server> Store for OnPort<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn config(&self) -> (String, String) {
        S::config(self.port)
    }

    fn start(&mut self, generation: usize) {
        let running = S::start_with(self.port, generation);
        self.running = Some(running.expect("the port is still free"));
    }

    fn kill(&mut self) {
        self.running = None;
    }

    fn hang(&mut self) {
        self.running.as_ref().expect("it runs").signal("STOP");
    }

    fn resume(&mut self) {
        self.running.as_ref().expect("it runs").signal("CONT");
    }

    fn forgets(&self) -> bool {
        S::FORGETS
    }
}

impl Server for Redis {
    const NAME: &'static str = "redis";
    const FORGETS: bool = true;

    fn config(port: u16) -> (String, String) {
        (
            format!("kind = \"redis\"\nurl = \"redis://127.0.0.1:{port}\""),
            "get = \"{key}\"".into(),
        )
    }

    fn start_with(port: u16, generation: usize) -> Option<Self> {
        let redis = Redis::start_on(port)?;
        let words = pairs(Self::NAME, generation)
            .into_iter()
            .map(|(key, value)| format!(" {key} {value}"));
        redis.run(&format!("mset{}", words.collect::<String>()));
        Some(redis)
    }

    fn signal(&self, name: &str) {
        self.signal(name);
    }
}

impl Server for Memcached {
    const NAME: &'static str = "memcached";
    const FORGETS: bool = true;

    fn config(port: u16) -> (String, String) {
        (
            format!("kind = \"memcached\"\nservers = [\"127.0.0.1:{port}\"]"),
            "get = \"{key}\"".into(),
        )
    }

    fn start_with(port: u16, generation: usize) -> Option<Self> {
        let memcached = Memcached::start_on(port)?;
        let pairs = pairs(Self::NAME, generation);
        memcached.set(pairs.iter().map(|(key, value)| (&**key, &**value)));
        Some(memcached)
    }

    fn signal(&self, name: &str) {
        self.signal(name);
    }
}

/// `http_store.py`
pub(super) struct Http(Process);

impl Server for Http {
    const NAME: &'static str = "http";
    const FORGETS: bool = false;

    fn config(port: u16) -> (String, String) {
        let backend = format!("kind = \"http\"\nurl = \"http://127.0.0.1:{port}\"");
        (backend, "get = \"/{key}\"\nformat = \"text\"".into())
    }

    fn start_with(port: u16, generation: usize) -> Option<Self> {
        Some(Http(script("http_store.py", port, generation)))
    }

    fn signal(&self, name: &str) {
        self.0.signal(name);
    }
}

/// `thrift_store.py`
pub(super) struct Thrift(Process);

impl Server for Thrift {
    const NAME: &'static str = "thrift";
    const FORGETS: bool = false;

    fn config(port: u16) -> (String, String) {
        let idl = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/outages/store.thrift");
        let backend =
            format!("kind = \"thrift\"\nurl = \"thrift://127.0.0.1:{port}\"\nidl = \"{idl}\"");
        (backend, "call = \"get\"".into())
    }

    fn start_with(port: u16, generation: usize) -> Option<Self> {
        Some(Thrift(script("thrift_store.py", port, generation)))
    }

    fn signal(&self, name: &str) {
        self.0.signal(name);
    }
}

/// A store that is a Python program in this folder.
fn script(name: &str, port: u16, generation: usize) -> Process {
    let mut command = python(&format!("../it/outages/{name}"), Path::new(""));
    command.args([port.to_string(), generation.to_string()]);
    let mut process = Process::start(&mut command, PYTHON);
    let ready = process.wait_for(|line| (line == "ready").then_some(()));
    assert!(ready.is_some(), "{name}:\n{}", process.written());
    process
}
