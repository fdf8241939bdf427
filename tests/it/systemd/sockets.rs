//! Sockets that the service manager opened.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::airports::{CONFIG, FILES};
use crate::support::message::message;
use crate::support::{PYTHON, Process, Wire, run, send_signal};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/systemd/manager.py");

/// A manager that runs the airports' server.
struct Manager {
    process: Process,
    /// Lines that nothing has waited for yet: those of the manager and of the server come in any order.
    lines: Vec<String>,
    folder: TempDir,
}

impl Manager {
    /// Hands over `sockets` to a server with these keys in `[server]`.
    fn start(sockets: &[&str], keys: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = CONFIG.replace("[server]", &format!("[server]\n{keys}"));
        for (name, text) in [&FILES[..], &[("tributary.toml", &*config)]].concat() {
            fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        run(
            Command::new("mkfifo").arg(folder.path().join("gate")),
            "coreutils",
        );
        let mut command = Command::new("python3");
        command.current_dir(folder.path()).args([SCRIPT, "gate"]);
        command.args(sockets).arg("--");
        command.args([env!("CARGO_BIN_EXE_tributary"), "serve"]);
        Manager {
            process: Process::start(&mut command, PYTHON),
            lines: Vec::new(),
            folder,
        }
    }

    /// What follows `word` on a line of its own or of the server.
    #[track_caller]
    fn wait_for(&mut self, word: &str) -> String {
        loop {
            if let Some(at) = self.lines.iter().position(|line| line.contains(word)) {
                let line = self.lines.remove(at);
                let (_, rest) = line.split_once(word).expect("it contains it");
                return rest.trim().to_owned();
            }
            match self.process.wait_for(|line| Some(line.to_owned())) {
                Some(line) => self.lines.push(line),
                None => panic!("never said `{word}`:\n{}", self.process.written()),
            }
        }
    }

    fn runs(&mut self) -> u32 {
        self.wait_for("runs ").parse().expect("a process id")
    }

    fn open_gate(&self, word: &str) {
        fs::write(self.folder.path().join("gate"), word).expect("somebody reads it");
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[track_caller]
fn assert_answers(reply: &[u8]) {
    let text = String::from_utf8_lossy(reply);
    assert!(text.contains("Kennedy"), "{text}");
}

#[test]
fn sockets_of_the_manager_are_served_and_outlive_the_server() {
    let keys = r#"listeners = [
        { listen = "systemd:local" },
        { listen = "systemd:api" },
    ]"#;
    let mut manager = Manager::start(&["api=tcp", "local=unix:local.sock"], keys);
    let port: u16 = manager.wait_for("port api ").parse().expect("a port");
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let get = message(1, "get", 1, "JFK");

    let server = manager.runs();
    manager.wait_for("addr=unix://");
    manager.wait_for(&format!("addr={addr}"));
    let mut wires = (
        Wire::connect(addr),
        Wire::connect_unix(&manager.path().join("local.sock")),
    );
    wires.0.send_frame(&get);
    assert_answers(&wires.0.read_frame());
    wires.1.send_frame(&get);
    assert_answers(&wires.1.read_frame());
    send_signal(server, "TERM");
    assert_eq!(manager.wait_for("ended "), "0");

    // No server runs. What clients send meanwhile waits for the next one.
    let mut early = Wire::connect(addr);
    early.send_frame(&get);
    manager.open_gate("again");
    let server = manager.runs();
    assert_answers(&early.read_frame());
    // The port takes further connections: the drain of the first server has left nothing in the socket.
    let mut later = Wire::connect(addr);
    later.send_frame(&get);
    assert_answers(&later.read_frame());
    assert!(manager.path().join("local.sock").exists());
    send_signal(server, "TERM");
    assert_eq!(manager.wait_for("ended "), "0");
    manager.open_gate("end");
}

#[test]
fn a_socket_that_was_not_handed_over_is_named() {
    for (sockets, listen, expected) in [
        (&["api=tcp"][..], "systemd:metrics", "handed over only: api"),
        (&[][..], "systemd:api", "handed over no further socket"),
        (
            &["api=udp"][..],
            "systemd:api",
            "does not listen for connections",
        ),
    ] {
        let mut manager = Manager::start(sockets, &format!("listen = {listen:?}"));
        let why = manager.wait_for("can't serve: ");
        assert!(why.contains(expected), "{why}");
        assert!(why.contains("`server.listen`"), "{why}");
        assert_eq!(manager.wait_for("ended "), "1");
        manager.open_gate("end");
    }
}

#[test]
fn a_socket_that_no_listener_takes_is_named() {
    let sockets = ["api=tcp", "spare=tcp"];
    let mut manager = Manager::start(&sockets, "listen = \"systemd:api\"");
    manager.wait_for("no listener takes a socket of the service manager");
    let said = manager.process.written();
    assert!(said.contains("name=\"spare\""), "{said}");
}
