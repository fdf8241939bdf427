//! A real Redis server without persistence.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use tempfile::TempDir;

use super::port::free_port;
use super::process::Process;
use super::wire::Wire;

/// A running `redis-server`.
pub(crate) struct Redis {
    /// Its address.
    pub(crate) addr: SocketAddr,
    process: Process,
    _folder: TempDir,
}

impl Redis {
    /// Starts one on a free port.
    pub(crate) fn start() -> Self {
        // Another process may take the port in the meantime; then another port is tried.
        (0..5)
            .find_map(|_| Redis::start_on(free_port()))
            .expect("one of five free ports is still free")
    }

    /// Starts one on `port`; `None` if the port is taken.
    pub(crate) fn start_on(port: u16) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("redis-server");
        command.args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--port",
            &port.to_string(),
        ]);
        command.arg("--dir").arg(folder.path());
        let mut process = Process::start(&mut command, "the Debian package `redis-server`");
        process.wait_for(|line| line.contains("Ready to accept connections").then_some(()))?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Some(Redis {
            addr,
            process,
            _folder: folder,
        })
    }

    /// Runs one command in Redis's inline form, and checks that the first line of the reply is not an error.
    pub(crate) fn run(&self, command: &str) {
        let mut wire = Wire::connect(self.addr);
        wire.send(format!("{command}\r\n").as_bytes());
        let line = wire.read_line();
        assert!(!line.starts_with('-'), "{command}: {line}");
    }

    /// Sends it the signal with this name.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// How often a command ran since the counters were last reset.
    pub(crate) fn asked(&self, command: &str) -> u64 {
        self.info("commandstats", &format!("cmdstat_{command}:calls="))
    }

    /// How many connections it has accepted, this question's included.
    pub(crate) fn connections(&self) -> u64 {
        self.info("stats", "total_connections_received:")
    }

    /// How often it has read from a socket.
    pub(crate) fn reads(&self) -> u64 {
        self.info("stats", "total_reads_processed:")
    }

    /// The number after `prefix` in a section of `INFO`; 0 if it is missing.
    fn info(&self, section: &str, prefix: &str) -> u64 {
        let mut wire = Wire::connect(self.addr);
        wire.send(format!("info {section}\r\n").as_bytes());
        let length = wire.read_line();
        let length = length.trim_start_matches('$').parse().expect("a length");
        let stats = String::from_utf8(wire.read(length)).expect("text");
        let said = stats
            .lines()
            .find_map(|line| line.strip_prefix(prefix)?.split(',').next());
        said.map_or(0, |number| number.parse().expect("a number"))
    }
}
