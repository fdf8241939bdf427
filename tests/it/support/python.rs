//! Python programs of `tests/clients`, with the packages of the tests' own environment and Apache's stubs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::certificates::Certificates;
use super::process::{Process, run};

/// A command that runs `tests/clients/SCRIPT` with the stubs in `stubs` at hand.
pub(crate) fn python(script: &str, stubs: &Path) -> Command {
    let mut command = Command::new(interpreter());
    command.arg(repository().join("tests/clients").join(script));
    command
        .env("PYTHONPATH", stubs)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// What to install when there is no such interpreter.
pub(crate) const PYTHON: &str = "the Python clients with `tests/run --prepare`";

/// The stubs that Apache's compiler makes of an IDL of the repository, as a folder for `PYTHONPATH`.
pub(crate) fn stubs(idl: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new("thrift");
    command
        .args(["-r", "--gen", "py", "-out"])
        .arg(folder.path());
    command.arg(repository().join(idl));
    run(&mut command, "the Debian package `thrift-compiler`");
    folder
}

/// A running `tests/clients/stock_server.py`.
pub(crate) struct Stock {
    _process: Process,
}

impl Stock {
    /// Starts one on `port`.
    pub(crate) fn start(port: u16, options: [&str; 3], stubs: &Path) -> Self {
        Self::listening(port, options, stubs, &[])
    }

    /// Starts one that speaks TLS with the certificate `name`, to those who show one.
    pub(crate) fn start_secured(
        port: u16,
        stubs: &Path,
        certificates: &Certificates,
        name: &str,
    ) -> Self {
        let read = |name: &str| std::fs::read(certificates.path(name)).expect("it is there");
        let own = certificates.path("stock.pem");
        std::fs::write(&own, [read(name), read("server.key")].concat())
            .expect("the folder is ours");
        let options = ["framed", "binary", "plain"];
        Self::listening(port, options, stubs, &[own, certificates.path("ca.pem")])
    }

    fn listening(port: u16, options: [&str; 3], stubs: &Path, tls: &[PathBuf]) -> Self {
        let mut command = python("stock_server.py", stubs);
        command.arg(port.to_string()).args(options).args(tls);
        let mut process = Process::start(&mut command, PYTHON);
        let listens = process.wait_for(|line| line.contains("listening").then_some(()));
        assert!(
            listens.is_some(),
            "stock_server.py never listened:\n{}",
            process.written()
        );
        Stock { _process: process }
    }
}

/// The interpreter of the environment that `tests/run` makes: it has the clients' packages.
pub(crate) fn interpreter() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("target/tmp has a parent");
    target.join("venv/bin/python")
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
