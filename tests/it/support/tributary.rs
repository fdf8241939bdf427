//! The real binary, serving a configuration from a folder of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus};

use tempfile::TempDir;

use super::process::Process;
use super::wire::Wire;

/// A serving `tributary serve`.
pub(crate) struct Tributary {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    process: Process,
    folder: TempDir,
}

impl Tributary {
    /// Serves `config` with `files` beside it. A `listen` of the configuration is overruled by a free port.
    pub(crate) fn start(config: &str, files: &[(&str, &str)]) -> Self {
        Tributary::serve(laid_out(config, files), &[])
    }

    /// As [`Tributary::start`], with a line in the log for every call.
    pub(crate) fn start_telling_all(config: &str, files: &[(&str, &str)]) -> Self {
        Tributary::serve(laid_out(config, files), &[("RUST_LOG", "tributary=debug")])
    }

    /// Serves the `tributary.toml` of `folder` with `env` set.
    pub(crate) fn serve(folder: TempDir, env: &[(&str, &str)]) -> Self {
        let config = folder.path().join("tributary.toml");
        on_a_free_port(&config);
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        command.envs(env.iter().copied());
        Tributary::run(command, folder)
    }

    /// As [`Tributary::start`], in a process that may have so many files open.
    pub(crate) fn start_with_open_files(
        open_files: usize,
        config: &str,
        files: &[(&str, &str)],
    ) -> Self {
        let folder = laid_out(config, files);
        on_a_free_port(&folder.path().join("tributary.toml"));
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_tributary");
        command.args([
            "-c",
            &format!("ulimit -n {open_files}; exec \"$0\" \"$@\""),
            program,
        ]);
        Tributary::run(command, folder)
    }

    fn run(mut command: Command, folder: TempDir) -> Self {
        let config = folder.path().join("tributary.toml");
        command.arg("serve").arg("-c").arg(&config);
        let mut process = Process::start(&mut command, "the program itself with `cargo build`");
        let Some(addr) = process.wait_for(bound) else {
            panic!(
                "`tributary serve` never said `listening`:\n{}",
                process.written()
            );
        };
        Tributary {
            addr,
            process,
            folder,
        }
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.addr)
    }

    /// Where its admin port listens, which it says after its first address.
    pub(crate) fn admin(&mut self) -> SocketAddr {
        let said = self
            .process
            .wait_for(|line| bound(line).filter(|_| line.contains("admin")));
        said.unwrap_or_else(|| panic!("no admin port:\n{}", self.process.written()))
    }

    /// Where its next listener listens, which it says after its first address.
    pub(crate) fn next_port(&mut self) -> SocketAddr {
        let said = self.process.wait_for(bound);
        said.unwrap_or_else(|| panic!("no further port:\n{}", self.process.written()))
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where its configuration stands.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Asks it to read its configuration again, and waits for a line of the log with `word`.
    pub(crate) fn reload(&mut self, word: &str) {
        self.process.signal("HUP");
        self.wait_for_line(word);
    }

    /// Waits for a line of the log with `word`.
    pub(crate) fn wait_for_line(&mut self, word: &str) {
        let found = self
            .process
            .wait_for(|line| line.contains(word).then_some(()));
        assert!(
            found.is_some(),
            "never said `{word}`:\n{}",
            self.process.written()
        );
    }

    /// Ends it at once, without a chance to clean up; gives its folder.
    pub(crate) fn kill(self) -> TempDir {
        self.process.signal("KILL");
        self.process.end();
        self.folder
    }

    /// As [`Tributary::stop`], for who looks at its folder afterwards.
    pub(crate) fn stop_in(self, signal: &str) -> (ExitStatus, String, TempDir) {
        self.process.signal(signal);
        let (status, log) = self.process.end();
        (status, log, self.folder)
    }

    /// Asks it to stop with a signal by its name, and waits for its end: the status and what it logged.
    pub(crate) fn stop(self, signal: &str) -> (ExitStatus, String) {
        self.process.signal(signal);
        self.process.end()
    }
}

/// A folder with `config` and `files`.
fn laid_out(config: &str, files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    std::fs::write(folder.path().join("tributary.toml"), config).expect("the folder is ours");
    folder
}

/// The address on a line such as `listening addr=127.0.0.1:41234`.
fn bound(line: &str) -> Option<SocketAddr> {
    if !line.contains("listening") {
        return None;
    }
    let (_, tail) = line.rsplit_once("127.0.0.1:")?;
    let port: String = tail.chars().take_while(char::is_ascii_digit).collect();
    format!("127.0.0.1:{port}").parse().ok()
}

/// Rewrites `listen`, or adds it to `[server]`.
fn on_a_free_port(config: &Path) {
    let text = std::fs::read_to_string(config).expect("a configuration");
    let kept = text.lines().filter(|line| !line.starts_with("listen "));
    let lines: Vec<&str> = kept
        .flat_map(|line| match line {
            "[server]" => vec![line, "listen = \"127.0.0.1:0\""],
            _ => vec![line],
        })
        .collect();
    std::fs::write(config, lines.join("\n")).expect("the folder is ours");
}
