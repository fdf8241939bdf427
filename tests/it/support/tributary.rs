//! The real binary, serving a configuration from its own folder.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::process::Process;
use super::wire::Wire;

/// A serving `tributary serve`.
pub(crate) struct Tributary {
    /// Its address.
    pub(crate) addr: SocketAddr,
    process: Process,
    folder: TempDir,
}

impl Tributary {
    /// Serves `config`, with `files` in its folder. A free port replaces `listen` in the configuration.
    pub(crate) fn start(config: &str, files: &[(&str, &str)]) -> Self {
        Tributary::serve(laid_out(config, files), &[])
    }

    /// Like [`Tributary::start`], with a log line for every call.
    pub(crate) fn start_telling_all(config: &str, files: &[(&str, &str)]) -> Self {
        Tributary::serve(laid_out(config, files), &[("RUST_LOG", "tributary=debug")])
    }

    /// Serves the `tributary.toml` of `folder` with `env` set.
    pub(crate) fn serve(folder: TempDir, env: &[(&str, &str)]) -> Self {
        let config = folder.path().join("tributary.toml");
        on_a_free_port(&config);
        let mut command = Command::new(program());
        command.envs(env.iter().copied());
        Tributary::run(command, folder, &[])
    }

    /// Like [`Tributary::start`], with these options.
    pub(crate) fn start_with(options: &[&str], config: &str, files: &[(&str, &str)]) -> Self {
        let folder = laid_out(config, files);
        on_a_free_port(&folder.path().join("tributary.toml"));
        let command = Command::new(program());
        Tributary::run(command, folder, options)
    }

    /// Like [`Tributary::start`], in a process with this limit on open files.
    pub(crate) fn start_with_open_files(
        open_files: usize,
        config: &str,
        files: &[(&str, &str)],
    ) -> Self {
        let folder = laid_out(config, files);
        on_a_free_port(&folder.path().join("tributary.toml"));
        let mut command = Command::new("sh");
        let program = program();
        command.args([
            "-c",
            &format!("ulimit -n {open_files}; exec \"$0\" \"$@\""),
            &program,
        ]);
        Tributary::run(command, folder, &[])
    }

    fn run(mut command: Command, folder: TempDir, options: &[&str]) -> Self {
        let config = folder.path().join("tributary.toml");
        command.arg("serve").arg("-c").arg(&config).args(options);
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

    /// What a call by the program itself prints: `words` are a method, parameters and options.
    #[track_caller]
    pub(crate) fn call(&self, words: &[&str]) -> Json {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        let addr = self.addr.to_string();
        command.args(["call", "--timeout", "60s", "--addr", &addr]);
        let output = command.args(words).output().expect("the program itself");
        let error = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.addr)
    }

    /// The address of its admin port, which is logged after its first address.
    pub(crate) fn admin(&mut self) -> SocketAddr {
        let said = self
            .process
            .wait_for(|line| bound(line).filter(|_| line.contains("admin")));
        said.unwrap_or_else(|| panic!("no admin port:\n{}", self.process.written()))
    }

    /// The address of its next listener, which is logged after its first address.
    pub(crate) fn next_port(&mut self) -> SocketAddr {
        let said = self.process.wait_for(bound);
        said.unwrap_or_else(|| panic!("no further port:\n{}", self.process.written()))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The path of its configuration.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes it reload its configuration, and waits for a log line with `word`.
    pub(crate) fn reload(&mut self, word: &str) {
        self.process.signal("HUP");
        self.wait_for_line(word);
    }

    /// Waits for a log line with `word`.
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

    /// Kills it without a chance to clean up; returns its folder.
    pub(crate) fn kill(self) -> TempDir {
        self.process.signal("KILL");
        self.process.end();
        self.folder
    }

    /// Like [`Tributary::stop`], but keeps its folder.
    pub(crate) fn stop_in(self, signal: &str) -> (ExitStatus, String, TempDir) {
        self.process.signal(signal);
        let (status, log) = self.process.end();
        (status, log, self.folder)
    }

    /// Sends it the signal with this name.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for its end; returns the status and the log.
    pub(crate) fn end(self) -> (ExitStatus, String) {
        self.process.end()
    }

    /// Sends it the signal with this name and waits for its end; returns the status and the log.
    pub(crate) fn stop(self, signal: &str) -> (ExitStatus, String) {
        self.process.signal(signal);
        self.process.end()
    }
}

/// The program itself; `TRIBUTARY_PROGRAM` is another build of it, for long runs.
fn program() -> String {
    let other = std::env::var("TRIBUTARY_PROGRAM");
    other.unwrap_or_else(|_| env!("CARGO_BIN_EXE_tributary").to_owned())
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
    let tail = line.rsplit_once("127.0.0.1:");
    // What listens everywhere is reached here.
    let (_, tail) = tail.or_else(|| line.rsplit_once("0.0.0.0:"))?;
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
