//! A child process whose output is read line by line, and which ends with its owner.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Only a failing test waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running program.
pub(crate) struct Process {
    child: Child,
    /// Its output, both stdout and stderr.
    lines: Receiver<String>,
    /// Lines that were read already.
    seen: Vec<String>,
}

impl Process {
    /// Starts `command`. `package` is what to install if the program is missing.
    pub(crate) fn start(command: &mut Command, package: &str) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|err| panic!("can't start `{program}` ({err}): install {package}"));
        let (sender, lines) = channel();
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        for stream in streams.into_iter().flatten() {
            let sender = sender.clone();
            // Read to the end even if the lines are not used, so that the child never blocks on a full pipe.
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    drop(sender.send(line));
                }
            });
        }
        Process {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// The next line that `wanted` accepts; `None` if the program ends or is silent for too long.
    pub(crate) fn wait_for<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).ok()?;
            let found = wanted(&line);
            self.seen.push(line);
            if found.is_some() {
                return found;
            }
        }
    }

    /// Its whole output so far.
    pub(crate) fn written(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        self.seen.join("\n")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the signal with this name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        send_signal(self.child.id(), name);
    }

    /// Sends the signal with this name to it and to its children.
    pub(super) fn signal_family(&self, name: &str) {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        self.signal(name);
        for child in children.expect("it runs").split_whitespace() {
            // A child may already have ended.
            try_signal(child.parse().expect("a process id"), name);
        }
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        // Its streams close when it ends; then no more lines arrive.
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(line);
        }
        let ended = self.child.try_wait().expect("it is our child");
        let status = match ended {
            Some(status) => status,
            None => self.child.wait().expect("it is our child"),
        };
        (status, self.seen.join("\n"))
    }
}

/// Sends the signal with this name to one of our processes.
pub(crate) fn send_signal(process: u32, name: &str) {
    assert!(try_signal(process, name), "the process is still there");
}

/// Whether there was such a process.
fn try_signal(process: u32, name: &str) -> bool {
    // Use the shell's built-in `kill`, because not every system has the program.
    let status = Command::new("sh")
        .args(["-c", &format!("kill -{name} {process}")])
        .stderr(Stdio::null())
        .status()
        .expect("every system has a shell");
    status.success()
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a program to its end and returns its stdout; panics with all its output if it fails.
pub(crate) fn run(command: &mut Command, package: &str) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|err| panic!("can't start `{program}` ({err}): install {package}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}{stderr}",
        output.status
    );
    stdout
}

/// Starts a program that does not end by itself, and ends it after a line with `word`.
pub(crate) fn wait_for_line(command: &mut Command, word: &str) {
    let mut process = Process::start(command, "it");
    let found = process.wait_for(|line| line.contains(word).then_some(()));
    assert!(
        found.is_some(),
        "{command:?} never said `{word}`:\n{}",
        process.written()
    );
}
