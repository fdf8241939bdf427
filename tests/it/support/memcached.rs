//! A real memcached server.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use super::port::free_port;
use super::process::Process;
use super::wire::Wire;

/// A running `memcached`.
pub(crate) struct Memcached {
    /// Its address.
    pub(crate) addr: SocketAddr,
    process: Process,
}

impl Memcached {
    /// Starts one on a free port.
    pub(crate) fn start() -> Self {
        // Another process may take the port in the meantime; then another port is tried.
        (0..5)
            .find_map(|_| Memcached::start_on(free_port()))
            .expect("one of five free ports is still free")
    }

    /// Starts one on `port`; `None` if the port is taken.
    pub(crate) fn start_on(port: u16) -> Option<Self> {
        let mut command = Command::new("memcached");
        // It logs that it listens only at the highest verbosity.
        command.args(["-l", "127.0.0.1", "-U", "0", "-u", "root", "-t", "1", "-vv"]);
        command.args(["-p", &port.to_string()]);
        let mut process = Process::start(&mut command, "the Debian package `memcached`");
        process.wait_for(|line| line.contains("server listening").then_some(()))?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Some(Memcached { addr, process })
    }

    /// Sends it the signal with this name.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Stores values.
    pub(crate) fn set<'a>(&self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let mut wire = Wire::connect(self.addr);
        for (key, value) in pairs {
            wire.send(format!("set {key} 0 0 {}\r\n{value}\r\n", value.len()).as_bytes());
            assert_eq!(wire.read_line(), "STORED", "{key}");
        }
    }
}
