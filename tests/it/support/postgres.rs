//! A real PostgreSQL server with its own database, on a free port.

#![expect(
    clippy::disallowed_types,
    reason = "tests run on threads of their own and share a server"
)]

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;

use super::certificates::Certificates;
use super::port::free_port;
use super::process::{Process, run};

const PACKAGE: &str = "the Debian package `postgresql`";

/// A database cluster, running or not.
pub(crate) struct Postgres {
    /// Its address.
    pub(crate) port: u16,
    process: Mutex<Option<Process>>,
    folder: TempDir,
}

impl Postgres {
    /// A running server, shared by concurrent tests that do not stop it.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Postgres::create());
            started.start();
            *shared = Arc::downgrade(&started);
            started
        })
    }

    /// An empty cluster, not running.
    pub(crate) fn create() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        if is_root() {
            run(
                Command::new("chown").arg("postgres").arg(folder.path()),
                PACKAGE,
            );
        }
        let mut initdb = command("initdb");
        initdb.args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
        ]);
        run(initdb.arg(folder.path()).current_dir("/"), PACKAGE);
        Postgres {
            port: free_port(),
            process: Mutex::new(None),
            folder,
        }
    }

    /// Enables TLS from the next start on, with these `rules` (`pg_hba.conf`) for who may connect.
    pub(crate) fn secure(&self, rules: &str) {
        let path = |name: &str| self.folder.path().join(name);
        let mut settings =
            std::fs::read_to_string(path("postgresql.conf")).expect("initdb made it");
        settings.push_str("\nssl = on\nssl_ca_file = 'ca.pem'\n");
        std::fs::write(path("postgresql.conf"), settings).expect("the folder is ours");
        std::fs::write(path("pg_hba.conf"), rules).expect("the folder is ours");
    }

    /// Sets the certificate to use from the next start on.
    pub(crate) fn present(&self, certificates: &Certificates, name: &str) {
        for (from, to) in [
            ("ca.pem", "ca.pem"),
            (name, "server.crt"),
            ("server.key", "server.key"),
        ] {
            let to = self.folder.path().join(to);
            std::fs::copy(certificates.path(from), &to).expect("the folder is ours");
            // A key that others may read is refused.
            std::fs::set_permissions(&to, Permissions::from_mode(0o600)).expect("it is ours");
            if is_root() {
                run(Command::new("chown").arg("postgres").arg(to), PACKAGE);
            }
        }
    }

    /// Starts it and waits until it accepts connections.
    pub(crate) fn start(&self) {
        let mut postgres = command("postgres");
        postgres.arg("-D").arg(self.folder.path()).current_dir("/");
        postgres.args(["-p", &self.port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "max_connections=60",
        ] {
            postgres.args(["-c", setting]);
        }
        let mut process = Process::start(&mut postgres, PACKAGE);
        let ready = "ready to accept connections";
        let found = process.wait_for(|line| line.contains(ready).then_some(()));
        assert!(
            found.is_some(),
            "postgres never said `{ready}`:\n{}",
            process.written()
        );
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
    }

    /// Stops it at once, breaking all connections.
    pub(crate) fn stop(&self) {
        self.end("QUIT");
    }

    /// Kills it. When this returns, the processes of its connections have noticed and are gone too.
    pub(crate) fn kill(&self) {
        self.end("KILL");
    }

    fn end(&self, signal: &str) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = process.take() {
            process.signal(signal);
            process.end();
        }
    }

    /// Sends the signal with this name to it and to the processes of its connections.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().expect("it runs").signal_family(name);
    }

    /// Runs statements in one transaction.
    pub(crate) fn run(&self, sql: &str) {
        let mut psql = command("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url()]);
        run(psql.args(["-c", sql]).current_dir("/"), PACKAGE);
    }

    /// Its URL, for a configuration.
    pub(crate) fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A program of the newest installed version, run as a user other than root, as the server requires.
pub(super) fn command(name: &str) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let found = versions
        .filter_map(Result::ok)
        .map(|version| version.path().join("bin").join(name));
    let found = found.filter(|path| path.exists()).max();
    let program = found.unwrap_or_else(|| PathBuf::from(name));
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    command.arg(program);
    command
}

pub(super) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}
